"""The corpus becomes one embedding per document, prepared first where it is not yet.

ray job submit --working-dir . -- python jobs/embed.py --config recipes/sample.yaml --root s3://bucket/name
"""

from theta_ray.encoder import embed
from theta_ray.runtime import main

if __name__ == "__main__":
    main(embed)
