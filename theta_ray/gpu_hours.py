"""The limit on what a job may cost: GPUs are held within it, and a job that has used it up stops, ready to go on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from theta_ray.config import Resources
from theta_ray.errors import CostLimitError
from theta_ray.metrics import COUNTS

NAME = "theta_gpu_seconds_total"


class _UsedUpError(KeyboardInterrupt):
    """Python's own way of stopping a program, which no library swallows."""


@contextmanager
def holding_gpus(resources: Resources, num_gpus: float) -> Iterator[None]:
    """Count the seconds of a `with` block for each of so many GPUs, over all stages of this process.

    Raises:
        CostLimitError: in the midst of the block, once `max_gpu_hours` are used up; what is finished stays.
    """
    began, before = time.monotonic(), COUNTS.total(NAME)
    limit = None if resources.max_gpu_hours is None else 3600 * resources.max_gpu_hours
    try:
        with _stopping_after(None if limit is None or not num_gpus else (limit - before) / num_gpus):
            yield
    except _UsedUpError:
        raise CostLimitError(
            f"max_gpu_hours: {resources.max_gpu_hours:g} are used up; rerun to go on from what is finished, "
            "or raise it in the resources file"
        ) from None
    finally:
        if num_gpus:
            COUNTS.add(NAME, num_gpus * (time.monotonic() - began))


@contextmanager
def _stopping_after(seconds: float | None) -> Iterator[None]:
    """Raise in the main thread after so many seconds; a block in another thread runs to its end."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise _UsedUpError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
