"""The corpus becomes graphs of its authors: edges, communities, a backbone, and statistics beside random graphs.

ray job submit --working-dir . -- python jobs/analyze_network.py --config recipes/sample.yaml --root s3://bucket/name
"""

from theta_ray.network import analyze_network
from theta_ray.runtime import main

if __name__ == "__main__":
    main(analyze_network)
