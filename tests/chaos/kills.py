"""SIGKILL of drivers at random times, and of any process at each step of the protocol."""

from __future__ import annotations

import random
import signal
import time

from tests.chaos.forked import JobForks
from tests.chaos.jobs import LOCAL, Outcome, Setting, require_done, trial

# Readers see the table from here on: a rerun finds it committed and does not come here again.
LAST_STEP = "manifest_created"


def kill_drivers(setting: Setting, kills: int, seed: int) -> Outcome:
    """SIGKILL the driver at random times, again and again until the job is done, until there were so many kills."""
    outcome, rng = Outcome("driver SIGKILL at random times"), random.Random(seed)
    while outcome.kills < kills:
        with trial(setting, outcome) as made:
            while True:
                known = made.steps.count()
                process = made.start(LOCAL)
                made.steps.wait_for_line(process, known)
                time.sleep(rng.uniform(0, 0.5 * setting.seconds))
                if outcome.kills == kills or process.poll() is not None:
                    require_done(process, made.steps)
                    break
                process.kill()
                process.wait()
                made.steps.mark_kill()
                outcome.kills += 1
    return outcome


def kill_at_step(setting: Setting, forks: JobForks, target: str, times: int) -> Outcome:
    """Kill the job when it comes to one step, and its next attempts there as well, then let it finish."""
    outcome = Outcome(f"SIGKILL at {target}")
    with trial(setting, outcome) as made:
        made.steps.kill_at(target, times)
        while (code := forks.run(setting.command(made.root, LOCAL), made.steps.folder)) == -signal.SIGKILL:
            made.steps.mark_kill()
        if code:
            outcome.problems.append(f"{target}: the last attempt ended with {code}: {made.steps.last_words()}")
        outcome.kills = made.steps.num_kills
        expected = 1 if target.endswith(LAST_STEP) else times
        if outcome.kills != expected:
            outcome.problems.append(f"{target}: {outcome.kills} kills of {expected}")
    return outcome
