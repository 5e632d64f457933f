"""A program that fills the memory for objects of all nodes of a cluster, and the folders that they spill to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.jobs import REPOSITORY
from tests.chaos.nodes import Nodes

FULL = "all nodes are full"
# Large objects first, then smaller ones into what is left.
OBJECT_BYTES = (2_000_000, 200_000)


@contextmanager
def hoard_objects(nodes: Nodes) -> Iterator[None]:
    """No node has room for another object for the time of a `with` block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.hoard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **nodes.environment},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not any(line.strip() == FULL for line in process.stdout):
            raise AssertionError(f"the program that fills the nodes has ended with {process.wait()}")
        yield
    finally:
        process.stdin.close()
        process.wait(timeout=60)


class Hoarder:
    """Holds objects on its node until no more fit."""

    def __init__(self) -> None:
        self.references: list[object] = []

    def fill(self) -> int:
        """How many objects there are."""
        import numpy as np
        import ray

        for size in OBJECT_BYTES:
            try:
                while True:
                    self.references.append(ray.put(np.zeros(size, dtype=np.uint8)))
            except ray.exceptions.RayError:
                continue
        return len(self.references)


def _fill() -> None:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray.init(log_to_driver=False)
    hoarder = ray.remote(num_cpus=0)(Hoarder)
    strategies = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in ray.nodes()]
    actors = [hoarder.options(scheduling_strategy=strategy).remote() for strategy in strategies]
    ray.get([actor.fill.remote() for actor in actors])
    sys.stdout.write(f"{FULL}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _fill()
