"""Embeddings become clusters: centroids, and the nearest one of each document; embedded first where missing.

ray job submit --working-dir . -- python jobs/cluster.py --config recipes/topics.yaml --root s3://bucket/name
"""

from theta_ray.runtime import main
from theta_ray.topics import cluster

if __name__ == "__main__":
    main(cluster)
