"""Leases: one holder at a time, taken over when it is gone, and never by the clock of a host."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from theta_ray import lease
from theta_ray.config import Resources
from theta_ray.errors import ConflictError
from theta_ray.lease import holding, is_held
from theta_ray.objects import list_names
from theta_ray.store import Partition


@pytest.fixture
def partition(tmp_path: Path) -> Partition:
    return Partition(str(tmp_path), "things", "0123456789ab", "2026-01-31")


def resources(**values: Any) -> Resources:
    return Resources(**{"executor": "local", "lease_seconds": 2, **values})


def other_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on this process cannot see whether a holder still runs."""
    monkeypatch.setattr(lease, "_machine", lambda: "")


def forget_release(partition: Partition, epoch: int = 1) -> None:
    """As if the holder had been killed."""
    os.unlink(partition.at("lease", f"{epoch:08d}.released"))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_epochs_count_up_from_holder_to_holder(partition: Partition) -> None:
    for epoch in (1, 2, 3):
        with holding(partition, resources()) as held:
            assert held.epoch == epoch
            assert is_held(partition)
        assert not is_held(partition)


def test_a_partition_is_released_when_the_run_fails(partition: Partition) -> None:
    with pytest.raises(ZeroDivisionError), holding(partition, resources()):
        _ = 1 / 0
    assert not is_held(partition)


def test_a_second_run_that_may_not_wait_is_told_who_holds_it(partition: Partition) -> None:
    message = rf"process {os.getpid()} on .* holds it; wait for it, or set on_conflict: wait or join"
    with (
        holding(partition, resources()),
        pytest.raises(ConflictError, match=message),
        holding(partition, resources(on_conflict="fail")),
    ):
        pass


def test_a_waiting_run_gets_the_lease_once_it_is_free(partition: Partition) -> None:
    free = threading.Event()

    def hold() -> None:
        with holding(partition, resources()):
            assert free.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    wait_until(lambda: is_held(partition))
    threading.Timer(0.3, free.set).start()
    with holding(partition, resources(lease_seconds=0.4)) as held:
        assert (held.epoch, held.waited, free.is_set()) == (2, True, True)
    holder.join()


def test_a_run_that_joins_shares_the_epoch_and_does_not_release_it(partition: Partition) -> None:
    with holding(partition, resources()) as first:
        with holding(partition, resources(on_conflict="join"), joins=True) as second:
            assert (second.epoch, second.joined) == (first.epoch, True)
        assert is_held(partition)


def test_nobody_joins_a_clean_up_or_a_stage_that_cannot_be_shared(partition: Partition) -> None:
    joining = resources(on_conflict="join", lease_seconds=0.2)
    with holding(partition, resources(), shareable=False), ThreadPoolExecutor(1) as pool:

        def join() -> bool:
            with holding(partition, joining, joins=True) as held:
                return held.joined

        later = pool.submit(join)
        time.sleep(0.3)
        assert not later.done()
        with holding(Partition(partition.root, "others", partition.fingerprint, partition.date), joining):
            pass
        released = partition.at("lease", "00000001.released")
        Path(released).touch()
        assert later.result(timeout=10) is False


def test_one_of_sixteen_runs_gets_each_epoch(partition: Partition) -> None:
    start, epochs = threading.Barrier(16), []

    def take(_: int) -> None:
        start.wait()
        with holding(partition, resources(lease_seconds=0.2)) as held:
            assert [name for name in list_names(partition.at("lease")) if name.endswith(".json")][-1] == (
                f"{held.epoch:08d}.json"
            )
            epochs.append(held.epoch)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(take, range(16)))
    assert sorted(epochs) == list(range(1, 17))


def test_a_holder_that_was_killed_on_this_machine_is_taken_over_at_once(partition: Partition) -> None:
    code = f"""
import os, signal
from theta_ray.config import Resources
from theta_ray.lease import holding
from theta_ray.store import Partition
with holding({partition!r}, Resources(lease_seconds=3600)):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False)
    assert killed.returncode == -9
    started = time.monotonic()
    with holding(partition, resources()) as held:
        assert (held.epoch, held.waited) == (2, False)
    assert time.monotonic() - started < 5


def test_a_holder_elsewhere_is_taken_over_when_its_lease_expires_and_not_before(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    with holding(partition, resources(lease_seconds=1.5)):
        pass
    forget_release(partition)
    other_machine(monkeypatch)
    started = time.monotonic()
    with holding(partition, resources(lease_seconds=0.2)) as held:
        assert held.epoch == 2
    assert 1.0 < time.monotonic() - started < 10


def test_a_living_holder_elsewhere_keeps_its_lease(partition: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    other_machine(monkeypatch)
    with holding(partition, resources(lease_seconds=0.8)):
        time.sleep(2)
        assert is_held(partition)


def test_a_paused_holder_finds_that_it_was_replaced(partition: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    other_machine(monkeypatch)
    with holding(partition, resources(lease_seconds=0.4)) as paused:
        paused.check()
        Path(partition.at("lease", "00000002.json")).write_bytes(
            Path(partition.at("lease", "00000001.json")).read_bytes()
        )
        wait_until(paused._lost.is_set)
        with pytest.raises(ConflictError, match="another run took the lease over"):
            paused.check()


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_host_whose_clock_is_wrong_changes_nothing(
    partition: Partition, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    other_machine(monkeypatch)
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + 60 * minutes)
    with holding(partition, resources()):
        assert is_held(partition)
        with pytest.raises(ConflictError), holding(partition, resources(on_conflict="fail")):
            pass
    forget_release(partition)
    assert is_held(partition)


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_file_that_is_missing_after_a_take_over_is_a_conflict(partition: Partition, is_lost: bool) -> None:
    def work() -> None:
        if is_lost:
            Path(partition.at("lease", "00000002.json")).write_bytes(b"{}")
        raise FileNotFoundError("staging/a.parquet")

    with pytest.raises(ConflictError if is_lost else FileNotFoundError) as caught, holding(partition, resources()):
        work()
    cause = caught.value.__cause__ if is_lost else caught.value
    assert str(cause) == "staging/a.parquet"


def test_asking_for_the_time_of_the_store_leaves_nothing_behind(partition: Partition) -> None:
    lease.store_now(partition.at("lease"))
    assert list_names(partition.at("lease")) == []
