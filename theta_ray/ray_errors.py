"""What an error of Ray means to a user: an error of ours, a lost worker, or a full spill folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from theta_ray.errors import InputError, ThetaError, WorkerLostError

# A node with no idle worker has to start one, which imports Ray.
SECONDS_TO_ASK = 10.0
SPILL_OPTION = "--fallback_directory="


class SpillFolder(NamedTuple):
    """Where a node's Ray puts objects that memory has no room for, and the room on its disk."""

    node: str
    path: str
    bytes_free: int
    bytes_total: int


def result_of(reference: Any) -> Any:
    """`ray.get`, with what the worker raised instead of Ray's wrapping of it."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise_cause(error)


def raise_cause(error: BaseException) -> NoReturn:
    """Raise what lies at the bottom of an error of Ray: our own error, a lost worker, a full disk, or itself."""
    import ray

    lost = (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError)
    full = (ray.exceptions.OutOfDiskError, ray.exceptions.ObjectStoreFullError)
    cause: BaseException | None = error
    while cause is not None:
        # Ray's wrapper is of the cause's class too, but its text is a traceback
        if isinstance(cause, ThetaError) and not isinstance(cause, ray.exceptions.RayTaskError):
            raise type(cause)(str(cause).splitlines()[0]) from None  # Ray adds lines of advice to the text
        if isinstance(cause, lost):
            said = str(cause).splitlines()[0].rstrip(".")
            raise WorkerLostError(f"a worker was lost too often: {said}; rerun to go on") from error
        if isinstance(cause, full):
            raise InputError(explain_full(ask_spill_folders())) from error
        cause = getattr(cause, "cause", None) or cause.__cause__
    raise error


def explain_full(folders: Sequence[SpillFolder]) -> str:
    """The line for a user: it names the fullest of the nodes' spill folders, or none where none are known."""
    if not folders:
        return "the folder that a node's Ray spills to is full; make room there, then rerun"
    fullest = min(folders, key=lambda folder: folder.bytes_free / max(folder.bytes_total, 1))
    # "too full": Ray stops before the last byte, by default at 95 %
    room = f"{fullest.bytes_free:,} of {fullest.bytes_total:,} bytes free"
    return f"node {fullest.node}: Ray's spill folder {fullest.path} is too full ({room}); make room there, then rerun"


def ask_spill_folders() -> list[SpillFolder]:
    """The spill folders of all nodes; none at all where a node does not answer, since that may be the full one."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        task = ray.remote(num_cpus=0)(find_spill_folder)
        pinned = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
        # answers of a few bytes come with the reply and need no room among the objects
        answers = ray.get([task.options(scheduling_strategy=node).remote() for node in pinned], timeout=SECONDS_TO_ASK)
    except Exception:  # noqa: BLE001  the user is told what is full even where nobody can say how full
        return []
    return [SpillFolder(node["NodeManagerAddress"], *answer) for node, answer in zip(nodes, answers, strict=True)]


def find_spill_folder() -> tuple[str, int, int]:
    """Path, bytes free and bytes in all of the spill folder, or the first of several, of this worker's node."""
    # A node may have a folder of its own, and only its raylet, the parent of all its workers, is told which.
    arguments = Path(f"/proc/{os.getppid()}/cmdline").read_text(encoding="utf-8").split("\0")
    path = next(argument.removeprefix(SPILL_OPTION) for argument in arguments if argument.startswith(SPILL_OPTION))
    usage = shutil.disk_usage(path)
    return path, usage.free, usage.total
