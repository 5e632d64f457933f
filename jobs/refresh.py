"""All tables of a night, made where they are missing or stale, and published together.

ray job submit --working-dir . -- python jobs/refresh.py --config recipes/nightly.yaml --root s3://bucket/name
"""

from theta_ray.nightly import refresh
from theta_ray.runtime import main

if __name__ == "__main__":
    main(refresh)
