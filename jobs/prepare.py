"""Raw dumps become one corpus table.

ray job submit --working-dir . -- python jobs/prepare.py --config recipes/sample.yaml --root s3://bucket/name
"""

from theta_ray.corpus import prepare
from theta_ray.runtime import main

if __name__ == "__main__":
    main(prepare)
