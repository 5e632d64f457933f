"""A Ray cluster of three nodes on this machine, for trying what happens when one of them goes.

    .venv/bin/python cluster_configs/local_3_nodes.py      prints what to export in another terminal, until Ctrl-C

A head that runs no tasks and two workers of a core each. A line typed here ends one, as a spot node is taken away:
`1` or `2`.
"""

from __future__ import annotations

import os
import secrets
import sys


def main() -> None:
    """Start the nodes and wait."""
    os.environ.update({"RAY_AUTH_MODE": "token", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"})
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    from ray.cluster_utils import Cluster  # reads the token as it is imported

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    workers = {str(number): cluster.add_node(num_cpus=1) for number in (1, 2)}
    try:
        cluster.wait_for_nodes()
        print(f"export RAY_ADDRESS={cluster.address} RAY_AUTH_MODE=token RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}")
        print("type 1 or 2 to end a worker, Ctrl-C to end all", flush=True)
        for line in sys.stdin:
            worker = workers.pop(line.strip(), None)
            if worker is not None:
                cluster.remove_node(worker, allow_graceful=False)
                print(f"worker {line.strip()} is gone", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
