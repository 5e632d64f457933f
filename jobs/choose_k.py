"""How many clusters the embeddings have: a curve over several numbers, and a suggestion; embedded first where missing.

ray job submit --working-dir . -- python jobs/choose_k.py --config recipes/topics.yaml --root s3://bucket/name
"""

from theta_ray.runtime import main
from theta_ray.topics import choose_k

if __name__ == "__main__":
    main(choose_k)
