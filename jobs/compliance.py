"""The ids of a corpus become files for a platform's compliance job, whose result jobs/forget.py takes.

ray job submit --working-dir . -- python jobs/compliance.py --config recipes/sample.yaml --root s3://bucket/name
"""

from theta_ray.nightly import compliance
from theta_ray.runtime import main

if __name__ == "__main__":
    main(compliance)
