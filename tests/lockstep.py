"""Workers of a training run as threads that take turns, so that a test needs no process group."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")


class Lockstep:
    """`size` threads of which one runs at a time, each until it adds a tensor or ends."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._turn = 0
        self._changed = threading.Condition()
        self._parts: list[torch.Tensor] = []

    def run(self, work: Callable[[Rank], Result]) -> list[Result]:
        """What each rank's work gives."""

        def one(rank: int) -> Result:
            self._wait_for(rank)
            try:
                return work(Rank(self, rank))
            finally:
                self._pass_on(rank)

        with ThreadPoolExecutor(self.size) as pool:
            return list(pool.map(one, range(self.size)))

    def _wait_for(self, rank: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._turn == rank, timeout=120)

    def _pass_on(self, rank: int) -> None:
        with self._changed:
            self._turn = (rank + 1) % self.size
            self._changed.notify_all()

    def add(self, rank: int, tensor: torch.Tensor) -> torch.Tensor:
        """The sum in the order of the ranks, in place of each rank's tensor."""
        if rank == 0:
            self._parts = []
        self._parts.append(tensor.clone())
        parts = self._parts
        self._pass_on(rank)
        self._wait_for(rank)
        assert len(parts) == self.size, "all ranks add at the same places"
        return tensor.copy_(torch.stack(parts).sum(dim=0))


class Rank:
    """One worker's view."""

    def __init__(self, lockstep: Lockstep, rank: int) -> None:
        self._lockstep, self.rank, self.size = lockstep, rank, lockstep.size

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks, in place."""
        return self._lockstep.add(self.rank, tensor)
