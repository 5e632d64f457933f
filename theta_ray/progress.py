"""Done and total of a stage: a bar with rate and time left for a person, a line every 30 seconds for a log."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from theta_ray.errors import ThetaError

logger = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 30.0
# How often a person's bar says what is waited for.
GLANCE_SECONDS = 1.0


class Progress:
    """Done and total of a stage, told to a person as a bar and to a log every 30 seconds."""

    def __init__(self, name: str, total: int, unit: str = "shards") -> None:
        self.name, self.total, self.unit = name, total, unit
        self.waiting_for = "the first worker"
        self.look: Callable[[], str] | None = None
        """Asked by each heartbeat how far work is that no unit tells of."""
        self.done, self.num_rows = 0, 0
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._has_bar = sys.stderr.isatty()
        self._thread = threading.Thread(target=self._glance if self._has_bar else self._beat, daemon=True)
        self._stack = ExitStack()

    def __enter__(self) -> Progress:
        from tqdm import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        if self._has_bar:
            self._stack.enter_context(logging_redirect_tqdm())  # log lines go above the bar, not through it
        width: Any = {"ncols": 80} if self._has_bar and not _columns() else {"dynamic_ncols": True}
        bar = tqdm(total=self.total, desc=self.name, unit=f" {self.unit}", disable=not self._has_bar, **width)
        self._bar = self._stack.enter_context(bar)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._has_bar:
            self._bar.set_postfix_str(f"{self.num_rows:,} rows" if self.num_rows else "", refresh=False)
        self._stack.close()

    def advance(self, num_rows: int) -> None:
        """One more unit is finished; it had `num_rows` rows."""
        self.done += 1
        self.num_rows += num_rows
        self._bar.update(1)

    def reach(self, done: int) -> None:
        """So many units are finished, those of an earlier run among them."""
        self.done = self._bar.n = done
        self._bar.refresh()

    def _glance(self) -> None:
        while not self._stop.wait(GLANCE_SECONDS):
            rate = f"{self.num_rows / self._seconds():,.0f} rows/s, " if self.num_rows else ""
            self._bar.set_postfix_str(f"{rate}waiting for {self._told()}")

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            message = "%s: %d of %d %s, %d rows, %.0f rows/s, %s, waiting for %s"
            counts = (self.done, self.total, self.unit, self.num_rows, self.num_rows / self._seconds())
            logger.info(message, self.name, *counts, self._left(), self._told())

    def _told(self) -> str:
        """What is waited for, and how far that is."""
        if self.look is None:
            return self.waiting_for
        try:
            return f"{self.waiting_for}, {self.look()}"
        except (ThetaError, OSError):  # a store that is away for a moment must not end the thread
            return self.waiting_for

    def _left(self) -> str:
        """How long the rest takes at the pace so far."""
        if not self.done:
            return "time left not known yet"
        seconds = (self.total - self.done) * self._seconds() / self.done
        return f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"

    def _seconds(self) -> float:
        return time.monotonic() - self._started


def _columns() -> int:
    """Of the terminal; 0 where it does not know, and tqdm would show nothing."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 0
