"""A device's memory runs out: the budget of a pack is halved, and grows again as packs succeed."""

from __future__ import annotations

import logging

import torch

from theta_ray.encoder.packing import Pack

logger = logging.getLogger(__name__)
# Packs in a row that fit before a larger one is tried again.
SUCCESSES_TO_GROW = 16


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was short: CUDA's, Python's own, or that of torch's CPU allocator."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


class PackQueue:
    """Packs to run, in order; those above the budget of the moment come in parts."""

    def __init__(self, packs: list[Pack], max_tokens: int) -> None:
        self._todo = packs[::-1]
        self._wanted = self._budget = max([max_tokens, *(pack.num_tokens for pack in packs[:1])])
        self._successes = 0
        self.too_large: list[int] = []
        """Sequences that did not fit alone."""

    def next(self) -> Pack | None:
        """The next pack that is within the budget, or a single sequence; None at the end."""
        if not self._todo:
            return None
        pack = self._todo.pop()
        if pack.num_tokens > self._budget and len(pack.sequences_B) > 1:
            pack, rest = pack.split(self._budget)
            self._todo.append(rest)
        return pack

    def failed(self, pack: Pack, device: str) -> None:
        """The pack did not fit: go on with half of it, or give its only sequence up."""
        self._successes = 0
        self._budget = max(1, pack.num_tokens // 2)
        if len(pack.sequences_B) == 1:
            logger.warning("%s: out of memory on one sequence of %d tokens; quarantined", device, pack.num_tokens)
            self.too_large.append(int(pack.sequences_B[0]))
            return
        logger.warning(
            "%s: out of memory on %d sequences, %d tokens; going on with packs of %d",
            *(device, len(pack.sequences_B), pack.num_tokens, self._budget),
        )
        self._todo.append(pack)

    def succeeded(self) -> None:
        """The pack fitted: after some of them the budget doubles, up to what the recipe asks for."""
        self._successes += 1
        if self._budget < self._wanted and self._successes >= SUCCESSES_TO_GROW:
            self._budget, self._successes = min(self._wanted, 2 * self._budget), 0
