"""Topics are judged: coherence, diversity, agreement with labels, task sheets for people; topics first where missing.

ray job submit --working-dir . -- python jobs/evaluate_topics.py --config recipes/topics.yaml --root s3://bucket/name
"""

from theta_ray.runtime import main
from theta_ray.topics import evaluate_topics

if __name__ == "__main__":
    main(evaluate_topics)
