"""Pairs of documents become an adapter for the recipe's model; the pairs are mined first where they are missing.

ray job submit --working-dir . -- python jobs/finetune.py --config recipes/hashtag_pairs.yaml --root s3://bucket/name
"""

from theta_ray.runtime import main
from theta_ray.training import finetune

if __name__ == "__main__":
    main(finetune)
