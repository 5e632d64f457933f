"""Deleted documents leave every table, version and object; with forget.verify=true everything is searched for them.

ray job submit --working-dir . -- python jobs/forget.py --config recipes/sample.yaml --root s3://bucket/name \
    --set forget.ids=s3://bucket/deleted.txt
"""

from theta_ray.nightly import forget
from theta_ray.runtime import main

if __name__ == "__main__":
    main(forget)
