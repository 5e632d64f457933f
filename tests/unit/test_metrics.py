"""What a run counts is in its card, in its last line and with Ray; GPUs are held within their limit."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from theta_ray import gpu_hours, metrics
from theta_ray.config import Resources
from theta_ray.errors import CostLimitError
from theta_ray.gpu_hours import holding_gpus
from theta_ray.metrics import COUNTS, Counts
from theta_ray.progress import Progress
from theta_ray.runcard import RunCard, load_run_card
from theta_ray.store import Partition
from theta_ray.tasks import map_tasks


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Counts of this test alone."""
    counts = Counts()
    for module in ("metrics", "gpu_hours", "runcard", "tasks", "retries"):
        monkeypatch.setattr(f"theta_ray.{module}.COUNTS", counts)
    return counts


def test_a_card_holds_what_its_run_has_counted(counts: Counts, tmp_path: Path) -> None:
    counts.corpus = "forum"
    before = time.time()
    card = RunCard("prepare", "committed", "/x", "0" * 12, "2026-01-31", {"documents_kept": 7}, {"too_short": 2})
    partition = Partition(str(tmp_path), "corpus", "0" * 12, "2026-01-31")
    card.save(partition, 1)
    found = load_run_card(partition, 1)
    assert found is not None
    assert found.metrics["theta_docs_total"] == [
        {"stage": "prepare", "outcome": "kept", "value": 7},
        {"stage": "prepare", "outcome": "quarantined", "value": 2},
    ]
    assert found.metrics["theta_rejects_total"] == [{"reason": "too_short", "value": 2}]
    (success,) = found.metrics["theta_last_success_timestamp_seconds"]
    assert success["corpus"] == "forum"
    assert before <= success["value"] <= time.time()


def test_tasks_are_timed_by_stage(counts: Counts) -> None:
    with Progress("embed: find shared texts", 2) as progress:
        assert list(map_tasks(lambda item: time.sleep(0.01) or item, [1, 2], Resources(executor="local"), progress))
    (seconds,) = counts.snapshot()["theta_shard_seconds"]
    assert (seconds["stage"], seconds["count"]) == ("embed", 2)
    assert 0.02 <= seconds["sum"] < 5
    assert json.dumps(counts.snapshot())


def test_a_label_that_the_metric_does_not_have_is_a_mistake(counts: Counts) -> None:
    with pytest.raises(AssertionError):
        counts.add("theta_docs_total", 1, shard="part-00000")


def test_counts_of_all_labels_add_up(counts: Counts) -> None:
    counts.add("theta_retries_total", kind="store")
    counts.add("theta_retries_total", 2, kind="worker")
    assert counts.total("theta_retries_total") == 3
    assert set(metrics.METRICS) >= set(counts.snapshot())


@pytest.mark.usefixtures("counts")
def test_a_job_that_has_used_its_gpu_hours_stops_in_the_midst_of_its_work() -> None:
    before, began = signal.getsignal(signal.SIGALRM), time.monotonic()
    limited = Resources(max_gpu_hours=0.4 / 3600)  # 0.4 seconds of one GPU
    with holding_gpus(limited, 2):  # uses half of it
        time.sleep(0.1)
    with pytest.raises(CostLimitError, match="rerun to go on from what is finished"), holding_gpus(limited, 2):
        time.sleep(30)
    assert time.monotonic() - began < 10
    assert 0.4 <= gpu_hours.COUNTS.total("theta_gpu_seconds_total") < 5
    assert signal.getsignal(signal.SIGALRM) is before


def test_without_gpus_or_a_limit_nothing_stops(counts: Counts) -> None:
    with holding_gpus(Resources(max_gpu_hours=1e-9), 0), holding_gpus(Resources(), 1):
        time.sleep(0.02)
    assert 0.02 <= counts.total("theta_gpu_seconds_total") < 5


def test_an_error_of_the_work_passes_and_its_seconds_count(counts: Counts) -> None:
    with pytest.raises(ZeroDivisionError), holding_gpus(Resources(max_gpu_hours=1), 1):
        raise ZeroDivisionError
    assert counts.total("theta_gpu_seconds_total") > 0
    assert COUNTS is not counts
