"""What a plan says of tokens and seconds is what a run then finds."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.small_jobs import DAY, make_config, make_texts, write_jsonl
from theta_ray.config import Config, Resources
from theta_ray.corpus import prepare
from theta_ray.encoder import embed, job
from theta_ray.encoder.devices import Peak
from theta_ray.encoder.job import assumed_rate, busiest_share, make_job
from theta_ray.encoder.sizing import even_texts, mean_at
from theta_ray.runcard import RunCard

SHORT = make_texts(600)
LONG = [" ".join(SHORT[number : number + 1 + number % 40]) for number in range(200)]
CHINESE = ["天文学家看到了年轻星系的第一缕光，" * (1 + number % 5) + str(number) for number in range(400)]
MIXED = [*itertools.chain.from_iterable(zip(SHORT, CHINESE[:400], strict=False)), *LONG]


def plan_and_run(config: Config) -> tuple[dict[str, float], RunCard]:
    """Figures of the plan of an embedding whose corpus is there, and the card of its run."""
    prepare.run(config, DAY)
    figures = embed.plan(config, DAY).steps[-1].figures
    return figures, embed.run(config, DAY)


@pytest.mark.parametrize(
    "texts", [SHORT, LONG, CHINESE, MIXED], ids=["short", "truncated documents", "Chinese", "all of them in one corpus"]
)
def test_planned_tokens_are_those_of_the_run_within_a_fifth(texts: list[str], bert: Path, tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", texts)
    figures, card = plan_and_run(make_config(raw, str(tmp_path / "root"), bert, embed={"shard_tokens": 2000}))
    assert figures["estimated_tokens"] == pytest.approx(card.figures["tokens"], rel=0.2)


def test_windows_of_long_documents_are_all_counted(bert: Path, tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", LONG)
    encoder = {"long_documents": "windows", "window_length": 30, "window_stride": 10}
    figures, card = plan_and_run(make_config(raw, str(tmp_path / "root"), bert, encoder=encoder))
    assert figures["estimated_tokens"] == pytest.approx(card.figures["tokens"], rel=0.2)


def test_tokens_are_counted_on_the_inputs_where_there_is_no_corpus_yet(bert: Path, tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", CHINESE)
    config = make_config(raw, str(tmp_path / "root"), bert, corpus={"min_chars": 40})
    planned = embed.plan(config, DAY).steps[-1].figures["estimated_tokens"]
    assert not Path(config.root).exists()
    assert planned == pytest.approx(embed.run(config, DAY).figures["tokens"], rel=0.2)


def test_planned_seconds_are_those_of_the_run_within_a_factor_of_two(minilm: Path, tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(800, repeat_every=0))
    figures, card = plan_and_run(make_config(raw, str(tmp_path / "root"), minilm))
    seconds = sum(card.seconds.values())
    assert seconds / 2 < figures["estimated_seconds"] < seconds * 2


def test_a_finished_job_takes_nothing(bert: Path, tmp_path: Path) -> None:
    config = make_config(write_jsonl(tmp_path / "a.jsonl", SHORT), str(tmp_path / "root"), bert)
    embed.run(config, DAY)
    figures = embed.plan(config, DAY).steps[-1].figures
    assert (figures["estimated_tokens"], figures["estimated_seconds"]) == (0, 0)


def test_a_plan_leaves_the_number_of_threads_as_it_was(bert: Path, tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", SHORT)
    before = torch.get_num_threads()
    embed.plan(make_config(raw, str(tmp_path / "root"), bert, resources={"threads_per_actor": before + 1}), DAY)
    assert torch.get_num_threads() == before


def test_a_large_model_is_not_loaded_for_a_plan(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "MAX_TIMED_WEIGHTS", 0)
    monkeypatch.delattr(job, "measure_rate")
    monkeypatch.setattr(job, "peak_of", lambda *_: Peak(1e11, "measured"))
    config = make_config(write_jsonl(tmp_path / "a.jsonl", SHORT), str(tmp_path / "root"), bert)

    figures = embed.plan(config, DAY).steps[-1].figures
    assert "60 GFLOP/s each (60% of the peak measured on this machine)" in figures["estimated_time"]


def test_the_time_on_a_gpu_says_what_it_assumes(bert: Path, tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", SHORT)
    config = make_config(raw, str(tmp_path / "root"), bert, resources={"executor": "ray", "gpus_per_actor": 1})
    rate, basis = assumed_rate(make_job(config, DAY))
    assert "25% of the peak of" in basis
    assert rate > 1e12
    assert "the cluster's size is known once it is joined" in embed.plan(config, DAY).page()


@given(st.sets(st.integers(1, 10_000), min_size=2), st.floats(0, 100), st.floats(0, 10), st.floats(1, 10_000))
def test_what_grows_in_a_straight_line_is_known_at_any_size(
    sizes: set[int], start: float, slope: float, size: float
) -> None:
    array = np.array(sorted(sizes), np.float64)
    assert mean_at(start + slope * array, array, size) == pytest.approx(start + slope * size, rel=1e-6, abs=1e-6)


def test_texts_of_one_size_have_their_mean() -> None:
    assert mean_at(np.array([3.0, 5.0]), np.array([10.0, 10.0]), 20.0) == 4.0


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=50), st.integers(1, 8))
def test_the_busiest_actor_does_at_least_its_share_and_at_most_one_shard_more(sizes: list[int], actors: int) -> None:
    share = busiest_share(sizes, actors)
    assert max(1 / actors, max(sizes) / sum(sizes)) - 1e-9 <= share
    assert share <= 1 / actors + max(sizes) / sum(sizes) + 1e-9


@given(st.lists(st.text(min_size=1, max_size=50), max_size=200), st.integers(1, 10_000))
def test_drawn_texts_are_some_of_the_texts_and_a_few_at_least(texts: list[str], num_bytes: int) -> None:
    drawn = even_texts(texts, num_bytes)
    assert set(drawn) <= set(texts)
    assert min(len(texts), 8) <= len(drawn) <= len(texts)


def test_actors_are_counted_from_the_cores_where_the_resources_name_none(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    config = make_config(write_jsonl(tmp_path / "a.jsonl", SHORT), str(tmp_path / "root"), bert)
    for resources, actors in ((Resources(num_actors=3), 3), (Resources(executor="local"), 1)):
        figures = embed.plan(config.model_copy(update={"resources": resources}), DAY).steps[-1].figures
        assert f"on {actors} actor" in figures["estimated_time"]
