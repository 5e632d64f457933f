"""What `--plan` says about why work has to be done."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.models import save_bert
from tests.small_jobs import DAY, find_partition, write_jsonl
from theta_ray.config import Config
from theta_ray.encoder import embed
from theta_ray.stale import compare_inputs, compare_settings, cut

LISTING = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3))


def listed(files: dict[str, int]) -> list[dict[str, object]]:
    return [{"uri": uri, "bytes": 1, "identity": f"etag:{tag}", "input": 0} for uri, tag in files.items()]


@given(LISTING, LISTING)
def test_every_file_is_new_gone_changed_or_the_same(before: dict[str, int], now: dict[str, int]) -> None:
    changes = compare_inputs(listed(before), listed(now))
    assert set(changes.new) == set(now) - set(before)
    assert set(changes.gone) == set(before) - set(now)
    assert set(changes.changed) == {uri for uri in set(now) & set(before) if now[uri] != before[uri]}
    assert bool(changes) == (before != now)
    assert len(changes.lines()) == bool(changes.new) + bool(changes.gone) + bool(changes.changed)


def test_a_shard_names_the_file_that_makes_it_stale() -> None:
    changes = compare_inputs(listed({"a": 1, "b": 1}), listed({"a": 1, "b": 2, "c": 1, "d": 1}))
    assert changes.of(["a", "b"]) == "b is changed"
    assert changes.of(["c", "d"]) == "c and 1 more are new"
    assert changes.of(["a"]) == "its files were grouped otherwise, or library versions have changed"


def test_settings_that_differ_are_told_by_their_path() -> None:
    before = {"sections": {"encoder": {"max_length": 256, "pooling": "mean"}}, "inputs": {"model": "a"}}
    now = {"sections": {"encoder": {"max_length": 128, "pooling": "mean"}}, "inputs": {"model": None}}
    assert compare_settings(before, now) == [
        "inputs.model: a before, nothing now",
        "sections.encoder.max_length: 256 before, 128 now",
    ]
    assert compare_settings(before, before) == []
    inputs = [{"inputs": [{"path": path, "kind": "post"}]} for path in ("a/*.csv", "b/*.csv")]
    assert compare_settings(*inputs) == ["inputs.0.path: a/*.csv before, b/*.csv now"]
    assert compare_settings({"a": "x" * 500}, {"a": 1})[0].endswith("\u2026 before, 1 now")


def test_long_lists_of_reasons_are_cut_with_their_number() -> None:
    assert cut([str(i) for i in range(10)]) == [str(i) for i in range(10)]
    assert cut([str(i) for i in range(1500)])[-1] == "... and 1,490 more"


def reasons(config: Config) -> list[str]:
    return embed.plan(config, DAY).steps[-1].reasons


def with_max_length(config: Config, length: int) -> Config:
    encoder = config.recipe.encoder.model_copy(update={"max_length": length})
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"encoder": encoder})})


def test_a_first_run_says_what_is_missing_and_a_finished_one_nothing(config: Config) -> None:
    assert reasons(config) == ["the corpus is not committed in this version"]
    embed.run(config, DAY)
    assert reasons(config) == []
    assert "because" not in embed.plan(config, DAY).page()


def test_another_setting_is_named_with_both_values(config: Config) -> None:
    embed.run(with_max_length(config, 16), DAY)
    name = find_partition(config.root, "embeddings").fingerprint
    first, *rest = reasons(with_max_length(config, 8))
    assert first == f"{name} is another table: sections.encoder.max_length: 16 before, 8 now"
    assert rest
    assert all(line.endswith("has not been made yet") for line in rest)


def test_another_model_is_named_by_its_digest(config: Config, tmp_path: Path) -> None:
    embed.run(config, DAY)
    other = save_bert(tmp_path / "other", hidden_size=64)
    encoder = config.recipe.encoder.model_copy(update={"model": str(other)})
    changed = config.model_copy(update={"recipe": config.recipe.model_copy(update={"encoder": encoder})})
    told = " ".join(reasons(changed))
    assert "inputs.model: sha256:" in told
    assert "sections.encoder.model: " in told


def test_a_late_file_makes_its_own_shards_stale(config: Config, tmp_path: Path) -> None:
    inputs = config.recipe.corpus.inputs[0].model_copy(update={"path": str(tmp_path / "raw")})
    corpus = config.recipe.corpus.model_copy(update={"inputs": (inputs,)})
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"corpus": corpus})})
    first = embed.run(config, DAY)
    late = write_jsonl(tmp_path / "raw" / "late.jsonl", ["a text of today"])
    late.write_text(late.read_text().replace('"d0"', '"late"'))
    prepare_step, embed_step = embed.plan(config, DAY).steps
    assert prepare_step.reasons[0] == f"1 input file new: {late}"
    assert [line for line in prepare_step.reasons[1:] if not line.endswith(f"is stale: {late} is new")] == []
    assert embed_step.status == "would run after prepare"
    card = embed.run(config, DAY)
    assert card.figures["embedded"] == first.figures["embedded"] + 1
    assert 0 < card.figures["shards_made_by_this_run"] < card.figures["shards"]
