"""Processes that create the same objects at the same instant: python -m tests.s3.racers '{"root": ...}'

They are forked from one that has imported everything and started no thread; before each 25 keys they
wait for each other. Prints what each of them was told.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier

import theta_ray.s3  # noqa: F401  # imported once, not by each racer
from theta_ray.objects import create, create_from_file, exists, join

SECONDS = 120.0
AT_ONCE = 25  # keys: a store takes seconds to settle one


def content(name: int) -> bytes:
    """What a racer writes where it has no file."""
    return f"racer {name} ".encode() * 100


def race(race: dict[str, object], name: int, barrier: Barrier, told: SimpleQueue[tuple[int, list[bool]]]) -> None:
    """One racer: its own client first, then key after key."""
    root, files = str(race["root"]), race["files"]
    assert isinstance(files, list)

    def enter(key: int) -> bool:
        uri = join(root, f"{key:04d}")
        return create_from_file(uri, files[name]) if files else create(uri, content(name))

    exists(join(root, "nothing"))
    keys, won = range(int(str(race["keys"]))), []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in keys[::AT_ONCE]:
            barrier.wait(SECONDS)
            won += pool.map(enter, keys[start : start + AT_ONCE])
    told.put((name, won))


def main() -> None:
    """Start the racers, gather what they were told, print it in their order."""
    settings = json.loads(sys.argv[1])
    fork = get_context("fork")
    barrier, told, racers = fork.Barrier(settings["racers"]), fork.SimpleQueue(), range(settings["racers"])
    processes = [fork.Process(target=race, args=(settings, name, barrier, told), daemon=True) for name in racers]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit(f"a racer ended with {process.exitcode}")
    print(json.dumps([won for _, won in sorted(told.get() for _ in racers)]))  # noqa: T201


if __name__ == "__main__":
    main()
