"""One writer per partition: a lease of create-only epochs, which expires by the store's own clock.

    <partition>/lease/00000001.json       who took epoch 1; created once, so that one of many wins it
                      00000001.alive      put again every quarter of the lease: the holder's sign of life
                      00000001.released   the holder has left in peace

The lease saves work, it does not guard the data: shards are deterministic and create-only, and the
manifest is. A paused holder that wakes up after another has taken epoch 2 can do no harm; it finds
the higher epoch and leaves. Only times that the store gives to objects are compared, never the
clock of a host.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from theta_ray.config import Resources
from theta_ray.errors import ConflictError, ThetaError
from theta_ray.objects import list_names, modified, read_bytes, remove, replace
from theta_ray.steps import reached
from theta_ray.store import Partition, canonical_json, create_same

logger = logging.getLogger(__name__)
BEATS_PER_LEASE = 4
LONGEST_POLL_SECONDS = 5.0
TOLD_EVERY_SECONDS = 30.0


class Lease:
    """A partition that this run holds, or has joined. `epoch` goes into every record."""

    def __init__(self, partition: Partition, epoch: int, *, waited: bool = False, joined: bool = False) -> None:
        self.partition, self.epoch, self.waited, self.joined = partition, epoch, waited, joined
        self._stop, self._lost = threading.Event(), threading.Event()

    def is_lost(self) -> bool:
        """Whether another run has taken the partition over, by a look at the store."""
        return max(_epochs(self.partition)) > self.epoch

    def check(self) -> None:
        """Raise ConflictError when another run has taken the partition over."""
        if self._lost.is_set():
            raise self.conflict()

    def conflict(self) -> ConflictError:
        """What to raise when another run has taken the partition over."""
        return ConflictError(
            f"{self.partition.path}: another run took the lease over, for this one gave no sign of life; "
            "rerun to go on, or raise lease_seconds in the resources file"
        )

    @contextmanager
    def kept_alive(self, seconds: float) -> Iterator[None]:
        """Signs of life for the time of a `with` block, then the release."""
        thread = threading.Thread(target=self._beat, args=(seconds / BEATS_PER_LEASE,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            try:
                create_same(_at(self.partition, self.epoch, "released"), b"")
            except ThetaError as error:  # the lease expires by itself; the run's own outcome matters more
                logger.warning("lease: not released: %s", error)

    def _beat(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            try:
                replace(_at(self.partition, self.epoch, "alive"), b"")
                if self.is_lost():
                    self._lost.set()
                    return
            except (ThetaError, OSError) as error:  # a store that is away for a moment must not end the thread
                logger.warning("lease: no sign of life: %s", error)


@contextmanager
def holding(
    partition: Partition, resources: Resources, *, joins: bool = False, shareable: bool = True
) -> Iterator[Lease]:
    """Hold the lease of a partition for the time of a `with` block.

    `joins` says that the block is safe beside another run that is `shareable`; only then
    `on_conflict: join` does not wait.

    Raises:
        ConflictError: another run holds it and `on_conflict` is `fail`, or has taken it over and removed a file.
    """
    lease = _acquire(partition, resources, joins=joins, shareable=shareable)
    if lease.joined:
        yield lease
        return
    with lease.kept_alive(resources.lease_seconds):
        reached("lease_taken", partition.table, str(lease.epoch))
        try:
            yield lease
        except OSError as error:
            # whoever has taken over removes what was staged once it has committed
            if lease.is_lost():
                raise lease.conflict() from error
            raise


def is_held(partition: Partition) -> bool:
    """Whether a run that is alive holds the partition."""
    epochs = _epochs(partition)
    return bool(epochs) and not _is_free(partition, max(epochs))


def _acquire(partition: Partition, resources: Resources, *, joins: bool, shareable: bool) -> Lease:
    run = {"run": secrets.token_hex(8), "lease_seconds": resources.lease_seconds, "shareable": shareable}
    holder = {**_this_process(), **run}
    waited, told = False, float("-inf")
    while True:
        newest = max(_epochs(partition), default=0)
        if newest == 0 or _is_free(partition, newest):
            if create_same(_at(partition, newest + 1, "json"), canonical_json(holder)) is None:
                return Lease(partition, newest + 1, waited=waited)
            continue  # another run was faster
        if joins and resources.on_conflict == "join" and _holder(partition, newest)["shareable"]:
            logger.info("lease: %s is held by another run; sharing its shards", partition.path)
            return Lease(partition, newest, joined=True)
        who = _told(partition, newest)
        if resources.on_conflict == "fail":
            raise ConflictError(f"{partition.path}: {who} holds it; wait for it, or set on_conflict: wait or join")
        if time.monotonic() - told >= TOLD_EVERY_SECONDS:
            logger.info("lease: %s is held by %s; waiting for it", partition.path, who)
            told = time.monotonic()
        waited = True
        time.sleep(min(resources.lease_seconds / BEATS_PER_LEASE, LONGEST_POLL_SECONDS))


def _at(partition: Partition, epoch: int, suffix: str) -> str:
    return partition.at("lease", f"{epoch:08d}.{suffix}")


def _epochs(partition: Partition) -> list[int]:
    return [int(name[:8]) for name in list_names(partition.at("lease")) if name.endswith(".json")]


def _holder(partition: Partition, epoch: int) -> dict[str, Any]:
    return dict(json.loads(read_bytes(_at(partition, epoch, "json"))))


def _told(partition: Partition, epoch: int) -> str:
    holder = _holder(partition, epoch)
    return f"process {holder['pid']} on {holder['host']}"


def _is_free(partition: Partition, epoch: int) -> bool:
    """Released, held by a process of this machine that is gone, or without a sign of life for too long."""
    if f"{epoch:08d}.released" in list_names(partition.at("lease")):
        return True
    holder = _holder(partition, epoch)
    if _is_gone(holder):
        return True
    silent = (store_now(partition.at("lease")) - _last_sign(partition, epoch)).total_seconds()
    return silent > float(holder["lease_seconds"])


def _last_sign(partition: Partition, epoch: int) -> datetime:
    try:
        return modified(_at(partition, epoch, "alive"))
    except FileNotFoundError:
        return modified(_at(partition, epoch, "json"))


def store_now(folder: str) -> datetime:
    """The time by the store's own clock: that of an object put for the purpose, and removed again."""
    uri = f"{folder.rstrip('/')}/clock-{secrets.token_hex(8)}"
    replace(uri, b"")
    try:
        return modified(uri)
    finally:
        remove(uri)


def _this_process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "machine": _machine(), "started": _started(os.getpid())}


def _machine() -> str:
    """This boot of this machine, and this space of process ids; empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process started, in ticks since boot; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _is_gone(holder: dict[str, Any]) -> bool:
    """Whether the holder certainly runs no more: it was a process of this machine."""
    return bool(_machine()) and holder["machine"] == _machine() and _started(holder["pid"]) != holder["started"]
