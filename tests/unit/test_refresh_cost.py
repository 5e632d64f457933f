"""A refresh whose GPU-hours are used up stops, publishes nothing, and goes on from what is finished."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.nights import NIGHTS, nightly_config, objects_of, save_nightly, write_night
from theta_ray import runtime
from theta_ray.encoder import embed
from theta_ray.nightly import refresh
from theta_ray.publication import Publications

DAY = NIGHTS[1]


def an_hour_each_time() -> SimpleNamespace:
    """A clock that is an hour later whenever it is looked at."""
    hours = iter(range(1000))
    return SimpleNamespace(monotonic=lambda: 3600.0 * next(hours), time=time.time, perf_counter=time.perf_counter)


def test_a_night_stops_at_its_limit_and_the_next_run_pays_only_for_the_rest(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_night(tmp_path, DAY, "a", "b", "c", "d")  # each file is a shard
    options = save_nightly(tmp_path, bert, stages=["embed", "analyze_network"])
    (tmp_path / "resources.yaml").write_text("executor: local\nthreads_per_actor: 1\nmax_gpu_hours: 1.5\n")
    with monkeypatch.context() as patch:
        patch.setattr(embed, "num_gpus", lambda *_: 1.0)  # the first shard takes an hour, the second another
        patch.setattr(embed, "time", an_hour_each_time())
        with pytest.raises(SystemExit) as left:
            runtime.main(refresh, [*options, "--date", DAY])
    assert left.value.code == 8
    assert "max_gpu_hours: 1.5 are used up (2.00); rerun to go on from the finished shards" in capsys.readouterr().err
    config = nightly_config(tmp_path, bert, stages=["embed", "analyze_network"])
    assert Publications(config.root, "small").read() is None
    card = refresh.run(config, DAY)
    assert card.figures["shards_embedded"] == 2
    assert card.figures["texts_embedded"] == 80
    whole = config.model_copy(update={"root": str(tmp_path / "whole")})
    refresh.run(whole, DAY)
    assert objects_of(config) == objects_of(whole)
