"""What no retained version of any table names is listed, and removed where the recipe says so.

ray job submit --working-dir . -- python jobs/clean_up.py --config recipes/sample.yaml --root s3://bucket/name
"""

from theta_ray import clean_up
from theta_ray.runtime import main

if __name__ == "__main__":
    main(clean_up)
