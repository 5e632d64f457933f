"""Two runs of one table at once, a run with another model beside it, and a run that is told to stop."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from typing import Any

from tests.chaos import oracle
from tests.chaos.cluster_kills import RAY
from tests.chaos.jobs import LOCAL, Outcome, Setting, Steps, Trial, require_done, start, trial
from tests.chaos.nodes import Nodes
from tests.models import save_bert
from tests.small_jobs import DAY, save_recipe
from theta_ray.errors import ConflictError, PreemptedError

NOTICE_SECONDS = 30.0


def run_two_at_once(setting: Setting, on_conflict: str, resources: dict[str, Any] | None = None) -> Outcome:
    """Start the same job twice; both must end well."""
    outcome = Outcome(f"two runs at once, on_conflict: {on_conflict}")
    with trial(setting, outcome) as made:
        both = [made.start({**LOCAL, **(resources or {}), "on_conflict": on_conflict}) for _ in range(2)]
        for process in both:
            require_done(process, made.steps)
    return outcome


def run_two_of_which_one_leaves(setting: Setting) -> Outcome:
    """Start the same job twice with `on_conflict: fail`: one does the work, one leaves with its own exit code."""
    outcome = Outcome("two runs at once, on_conflict: fail")
    with trial(setting, outcome) as made:
        both = [made.start({**LOCAL, "on_conflict": "fail"}) for _ in range(2)]
        codes = sorted(process.wait(timeout=300) for process in both)
        if codes != [0, ConflictError.exit_code]:
            outcome.problems.append(f"exit codes {codes}: {made.steps.last_words()}")
    return outcome


def with_other_model(setting: Setting) -> Setting:
    """The same recipe with another model, and the manifests of its undisturbed run."""
    folder = setting.folder / "other"
    model = save_bert(folder / "model", seed=1)
    before = setting.read_recipe()
    recipe = save_recipe(folder / "recipe.yaml", {**before, "encoder": {**before["encoder"], "model": str(model)}})
    other = replace(setting, folder=folder, recipe=recipe)
    made = Trial(other, folder / "undisturbed")
    require_done(made.start(), made.steps)
    return replace(other, whole=oracle.check(made.local_root(), DAY, set(setting.ids))["manifests"])


def run_beside_other_model(setting: Setting, other: Setting) -> Outcome:
    """Start two recipes over one corpus, which differ in the model, on one root: each has its own table."""
    outcome = Outcome("second run with another model")
    whole = replace(setting, whole={**setting.whole, **other.whole})
    with trial(whole, outcome) as made:
        steps = Steps(made.folder / "other-steps")
        process, second = made.start(), start(other.command(made.root, LOCAL), steps)
        require_done(process, made.steps)
        require_done(second, steps)
    return outcome


def stop_by_notice(setting: Setting, shards: int, nodes: Nodes | None = None) -> Outcome:
    """SIGTERM after some shards: the run leaves in time with its own exit code, and a rerun goes on at once."""
    outcome = Outcome("SIGTERM, then a rerun")
    # A lease that was not released would hold the second run up for a minute
    how: tuple[dict[str, Any], dict[str, str]] = ({**LOCAL, "lease_seconds": 60, "on_conflict": "fail"}, {})
    if nodes:
        how = ({**how[0], **RAY}, nodes.environment)
    with trial(setting, outcome, nodes.steps if nodes else None) as made:
        process = made.start(*how)
        made.steps.wait_for_line(process, shards - 1, "embeddings:record_created")
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        require_done(process, made.steps, PreemptedError.exit_code)
        seconds = time.monotonic() - started
        if seconds > NOTICE_SECONDS:
            outcome.problems.append(f"left after {seconds:.0f} s")
        outcome.problems += _left_behind(made)
        outcome.kills += 1
        made.steps.mark_kill()
        require_done(made.start(*how), made.steps)
    return outcome


def _left_behind(made: Trial) -> list[str]:
    """What a run that left in peace must not leave: a manifest, a temporary file, a lease."""
    found = [
        f"{path}: is there" for pattern in ("embeddings/*/*/manifests/*", "**/.tmp-*") for path in made.paths(pattern)
    ]
    leases = made.paths("*/*/*/lease/*.json")
    return found + [f"{path}: not released" for path in leases if not path.with_suffix(".released").exists()]
