"""Runs whose tables lie on an S3 server that throttles, fails and hangs up, by a seed."""

from __future__ import annotations

import os

from tests.chaos.forked import JobForks
from tests.chaos.jobs import LOCAL, Outcome, Setting, trial
from tests.conftest import S3
from tests.s3.fault_proxy import FaultProxy, Kind

# One request in ten goes wrong. Stalls are short here; tests/s3 waits for long ones.
SHARES: dict[Kind, float] = {
    "slow_down": 0.05,
    "error_500": 0.02,
    "reset": 0.01,
    "truncate": 0.01,
    "lost_reply": 0.01,
    "stall": 0.002,
}
STALL_SECONDS = 3.0


def run_through_faults(setting: Setting, forks: JobForks, server: S3, seeds: range) -> Outcome:
    """One job for each seed; the reader and the oracle read past the proxy."""
    outcome = Outcome("S3 faults on one request in ten")
    for seed in seeds:
        root = server.root(f"faults-{seed}")
        with (
            trial(setting, outcome, root=root) as made,
            FaultProxy(server.endpoint, SHARES, seed=seed, stall_seconds=STALL_SECONDS) as proxy,
        ):
            keys = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
            environment = {**keys, "AWS_ENDPOINT_URL": proxy.endpoint}
            code = forks.run(setting.command(root, LOCAL), made.steps.folder, environment)
            outcome.kills += proxy.injected.total()
            if code:
                outcome.problems.append(f"seed {seed}: the job ended with {code}: {made.steps.last_words()}")
    return outcome
