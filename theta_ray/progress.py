"""Done and total of a stage: a bar for a person, a line every 30 seconds for a log."""

from __future__ import annotations

import logging
import sys
import threading
import time

logger = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 30.0


class Progress:
    """Done and total of a stage, told to a person as a bar and to a log every 30 seconds."""

    def __init__(self, name: str, total: int, unit: str = "shards") -> None:
        self.name, self.total, self.unit = name, total, unit
        self.waiting_for = "the first worker"
        self.done, self.num_rows = 0, 0
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Progress:
        from tqdm import tqdm

        self._bar = tqdm(total=self.total, desc=self.name, unit=f" {self.unit}", disable=not sys.stderr.isatty())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._bar.close()

    def advance(self, num_rows: int) -> None:
        """One more unit is finished; it had `num_rows` rows."""
        self.done += 1
        self.num_rows += num_rows
        self._bar.update(1)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            seconds = time.monotonic() - self._started
            message = "%s: %d of %d %s, %d rows, %.0f rows/s, waiting for %s"
            values = (
                self.done,
                self.total,
                self.unit,
                self.num_rows,
                self.num_rows / seconds,
                self.waiting_for,
            )
            logger.info(message, self.name, *values)
