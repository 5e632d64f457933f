"""The corpus becomes pairs of documents that belong together, prepared first where it is not yet.

ray job submit --working-dir . -- python jobs/mine_pairs.py --config recipes/hashtag_pairs.yaml --root s3://bucket/name
"""

from theta_ray.runtime import main
from theta_ray.training import mine_pairs

if __name__ == "__main__":
    main(mine_pairs)
