"""Rates, utilisation and cost of a run are its sums over its time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.small_jobs import DAY, make_config, make_texts, read_table, write_jsonl
from theta_ray.encoder import embed
from theta_ray.encoder.devices import Peak
from theta_ray.encoder.flops import count_flops
from theta_ray.encoder.model import load_config
from theta_ray.encoder.rates import Made, cost_per_million, rates
from theta_ray.encoder.source import ModelSource

MADE = Made(num_rows=1000, num_tokens=30_000, flops=6 * 10**12, bytes_read=120_000, bytes_written=800_000)
PEAKS = [Peak(1e12, "measured"), Peak(3e12, "measured"), Peak(2e12, "measured")]


def test_rates_are_sums_over_seconds_and_devices() -> None:
    figures = rates(MADE, 10.0, 2, PEAKS)
    assert figures["tokens_per_second"] == 3000
    assert figures["tokens_per_device_second"] == 1500
    assert figures["documents_per_second"] == 100
    assert figures["model_tflop"] == 6
    assert (figures["bytes_of_text_read"], figures["bytes_written"]) == (120_000, 800_000)


def test_mfu_is_the_share_of_what_all_devices_could_compute_in_that_time() -> None:
    figures = rates(MADE, 10.0, 2, PEAKS)
    assert figures["mfu"] == 6e12 / (10 * 2 * 2e12)
    assert figures["peak_of_a_device"] == "2 TFLOP/s (measured)"


@given(st.floats(0.1, 1e5), st.floats(0.25, 1000))
def test_mfu_at_the_peak_is_one(seconds: float, num_devices: float) -> None:
    made = Made(num_rows=1, num_tokens=1, flops=round(seconds * num_devices * 1e14))
    assert rates(made, seconds, num_devices, [Peak(1e14, "table")])["mfu"] == 1


def test_a_run_that_made_nothing_has_no_rates() -> None:
    assert set(rates(Made(), 10.0, 0, []).values()) == {None}
    assert cost_per_million(Made(), 10.0, 1, 2.5) is None


def test_a_device_without_a_peak_has_rates_and_no_mfu() -> None:
    figures = rates(MADE, 10.0, 1, [])
    assert figures["mfu"] is None
    assert figures["tokens_per_second"] == 3000


def test_cost_is_device_hours_at_their_price() -> None:
    assert cost_per_million(MADE, 36.0, 4, 2.5) == pytest.approx(0.04 * 2.5 / 1000 * 1e6)


def test_the_card_of_a_run_tells_what_it_computed_read_wrote_and_cost(bert: Path, tmp_path: Path) -> None:
    texts = make_texts(200, repeat_every=0)
    raw = write_jsonl(tmp_path / "a.jsonl", texts)
    resources = {"price_per_device_hour": 3.6}
    config = make_config(raw, str(tmp_path / "root"), bert, resources=resources, embed={"shard_tokens": 500})
    card = embed.run(config, DAY)
    lengths = read_table(config.root, "embeddings")["num_tokens"].to_numpy()
    flops = count_flops(load_config(ModelSource(str(bert), "")), lengths, 0)
    figures, seconds = card.figures, card.seconds["embed"]
    assert figures["model_tflop"] == float(f"{flops / 1e12:.4g}") > 0
    assert 0 < figures["mfu"] < 1
    assert figures["tokens_per_device_second"] == figures["tokens_per_second"]
    assert figures["peak_of_a_device"].endswith("TFLOP/s (measured)")
    assert figures["bytes_of_text_read"] == sum(len(text.encode()) for text in texts)
    shards = Path(card.path).glob("*.parquet")
    assert figures["bytes_written"] == sum(shard.stat().st_size for shard in shards)
    assert figures["cost_of_million_documents"] == pytest.approx(seconds * 0.001 / 200 * 1e6, rel=0.01)


def test_a_run_without_a_price_tells_no_cost(bert: Path, tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(20))
    card = embed.run(make_config(raw, str(tmp_path / "root"), bert), DAY)
    assert "cost_of_million_documents" not in card.figures
