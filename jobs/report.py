"""Committed tables become one HTML page: what came in, topics, people; what is missing is made first.

ray job submit --working-dir . -- python jobs/report.py --config recipes/topics.yaml --root s3://bucket/name
"""

from theta_ray.report import report
from theta_ray.runtime import main

if __name__ == "__main__":
    main(report)
