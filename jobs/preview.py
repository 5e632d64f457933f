"""A look at committed embeddings: counts, rates and three documents with their nearest neighbours.

ray job submit --working-dir . -- python jobs/preview.py --config recipes/sample.yaml --root s3://bucket/name
"""

from theta_ray.encoder import preview
from theta_ray.runtime import main

if __name__ == "__main__":
    main(preview)
