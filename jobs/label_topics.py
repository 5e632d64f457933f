"""Clusters become topics: terms, documents, labels and ids that last; they are made first where they are missing.

ray job submit --working-dir . -- python jobs/label_topics.py --config recipes/topics.yaml --root s3://bucket/name
"""

from theta_ray.runtime import main
from theta_ray.topics import label_topics

if __name__ == "__main__":
    main(label_topics)
