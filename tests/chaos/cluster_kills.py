"""SIGKILL of drivers, actors and whole nodes of a Ray cluster, while a job runs on it."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable

import psutil

from tests.chaos.jobs import Outcome, Setting, Trial, require_done, trial
from tests.chaos.nodes import NUM_WORKER_NODES, Nodes

RAY = {"executor": "ray"}
# A node is only new for a moment: its next kill comes when its actor has had time to start again.
SECONDS_BETWEEN_ACTORS, SECONDS_BETWEEN_NODES = (1.0, 4.0), (4.0, 12.0)
SECONDS_UNTIL_WORKERS_LEAVE = 30.0


def kill_actors(setting: Setting, nodes: Nodes, kills: int, seed: int) -> Outcome:
    """SIGKILL a random embedding actor every few seconds; the job must end well without being submitted again."""
    rng = random.Random(seed)

    def kill(_: Trial) -> bool:
        actors = nodes.workers("EmbedActor")
        return bool(actors) and _killed(rng.choice(actors))

    outcome = Outcome("actor SIGKILL")
    return _disturb(setting, nodes, outcome, kills, (kill, lambda: rng.uniform(*SECONDS_BETWEEN_ACTORS)))


def kill_tasks(setting: Setting, nodes: Nodes, kills: int, seed: int) -> Outcome:
    """SIGKILL whatever worker runs: the tasks of `prepare`, tokenising tasks and actors alike."""
    rng = random.Random(seed)

    def kill(_: Trial) -> bool:
        workers = nodes.workers()
        return bool(workers) and _killed(rng.choice(workers))

    return _disturb(setting, nodes, Outcome("worker SIGKILL"), kills, (kill, lambda: rng.uniform(0.3, 3)))


def kill_raylets(setting: Setting, nodes: Nodes, kills: int, seed: int) -> Outcome:
    """SIGKILL the raylet of a random worker node and start another node, every few seconds."""
    rng = random.Random(seed)

    def kill(_: Trial) -> bool:
        nodes.replace_node(rng.randrange(NUM_WORKER_NODES))
        return True

    outcome = Outcome("raylet SIGKILL, node replaced")
    return _disturb(setting, nodes, outcome, kills, (kill, lambda: rng.uniform(*SECONDS_BETWEEN_NODES)))


def kill_workers_at_step(setting: Setting, nodes: Nodes, target: str, times: int) -> Outcome:
    """Workers end themselves with SIGKILL at one step, so many of them; the job must end well all the same."""
    outcome = Outcome(f"worker SIGKILL at {target}")
    with trial(setting, outcome, nodes.steps) as made:
        made.steps.kill_at(target, times)
        require_done(made.start(RAY, nodes.environment), made.steps)
        made.steps.mark_kills_at(target)
        outcome.kills = made.steps.num_kills
        if outcome.kills != times:
            outcome.problems.append(f"{target}: {outcome.kills} kills of {times}")
    return outcome


def kill_ray_drivers(setting: Setting, nodes: Nodes, kills: int, seed: int) -> Outcome:
    """SIGKILL the driver of a job on the cluster at random times, until it is done and there were so many kills."""
    outcome, rng = Outcome("driver SIGKILL on Ray"), random.Random(seed)
    while outcome.kills < kills:
        with trial(setting, outcome, nodes.steps) as made:
            while True:
                process = made.start(RAY, nodes.environment)
                _wait_for_random_time(process, made, rng)
                if outcome.kills == kills or process.poll() is not None:
                    require_done(process, made.steps)
                    break
                process.kill()
                process.wait()
                outcome.kills += 1
                _wait_until_idle(nodes)
                made.steps.mark_kill()
    return outcome


def _wait_for_random_time(process: subprocess.Popen[bytes], made: Trial, rng: random.Random) -> None:
    """Half of the times some seconds after the first step, in which Ray starts; else after the first new shard."""
    first = ["", "embeddings:record_created"][rng.randrange(2)]
    made.steps.wait_for_line(process, made.steps.count(first), first)
    _is_running(process, rng.uniform(0, 4 if first else 15))


def _disturb(
    setting: Setting,
    nodes: Nodes,
    outcome: Outcome,
    kills: int,
    how: tuple[Callable[[Trial], bool], Callable[[], float]],
) -> Outcome:
    """Kill now and then while jobs run, each submitted once, until there were so many kills."""
    kill, pause = how
    while outcome.kills < kills:
        with trial(setting, outcome, nodes.steps) as made:
            process = made.start(RAY, nodes.environment)
            made.steps.wait_for_line(process, 0)
            while outcome.kills < kills and _is_running(process, pause()):
                if kill(made):
                    outcome.kills += 1
                    made.steps.mark_kill()
            require_done(process, made.steps)
    return outcome


def _is_running(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _killed(process: psutil.Process) -> bool:
    try:
        process.kill()
        process.wait(10)
    except psutil.Error:
        return False
    return True


def _wait_until_idle(nodes: Nodes) -> None:
    """Workers of a dead driver leave by themselves; what they still do belongs to the time before the kill."""
    deadline = time.monotonic() + SECONDS_UNTIL_WORKERS_LEAVE
    while nodes.workers() and time.monotonic() < deadline:
        time.sleep(0.1)
