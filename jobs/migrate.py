"""A new model or adapter takes over: drift is measured, topics go on where a map is good enough, costs are told.

ray job submit --working-dir . -- python jobs/migrate.py --config recipes/migrate.yaml --root s3://bucket/name
"""

from theta_ray.nightly import migrate
from theta_ray.runtime import main

if __name__ == "__main__":
    main(migrate)
