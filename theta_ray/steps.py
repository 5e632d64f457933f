"""The steps of the commit protocol by name, so that a test can count them and kill a process at any of them.

Nothing happens unless THETA_RAY_STEPS names a folder. Then each step reached is a line of `log` there
(`<pid> <table>:<step> <what>`), and a file `kill` with `<table>:<step> <times>` ends the process with
SIGKILL at that step, so many times over all processes.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Literal

FOLDER_VARIABLE = "THETA_RAY_STEPS"
Step = Literal[
    "lease_taken",  # before the run plans anything
    "plan_created",  # the inputs of this run are written down
    "rows_staged",  # prepare, topics and networks only: one shard's rows are read, repeats not known yet
    "index_created",  # embeddings only: the texts that a shard has in common with others are written down
    "export_computed",  # embeddings only: vectors that several shards need, in memory
    "export_created",  # they are there, the shard that owns them is not
    "pairs_staged",  # pairs only: those of one shard wait for their negatives
    "near_staged",  # pairs only: the texts near to some anchors, in some shards of the embeddings
    "negatives_staged",  # pairs only: those of some pairs, their counts are not there
    "shard_computed",  # in memory or in a local file only
    "shard_created",  # the object is there, its record is not
    "record_created",  # the shard is done
    "step_taken",  # adapter only: a worker has taken an optimizer step
    "checkpoint_created",  # adapter only: a later run would go on from here
    "all_done",  # every record is there, the manifest is not
    "tables_made_again",  # deletions only: one stage of a day has its version without them, the old one is there
    "objects_removed",  # deletions only: one partition holds its newest version alone
    "manifest_created",  # readers see the table; run card and clean-up of staging are to come
]


def reached(step: Step, table: str, what: str) -> None:
    """Note that `what` (a shard, a version) has come to this step of this table."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return
    with open(Path(folder, "log"), "a", encoding="utf-8") as log:
        log.write(f"{os.getpid()} {table}:{step} {what}\n")
    try:
        target, times = Path(folder, "kill").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return
    if target == f"{table}:{step}":
        _kill_once_of(Path(folder), int(times))


def _kill_once_of(folder: Path, times: int) -> None:
    """SIGKILL this process unless so many were killed already; each kill takes one exclusive mark."""
    for number in range(times):
        try:
            os.close(os.open(folder / f"killed-{number}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)
