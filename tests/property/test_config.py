"""What enters a fingerprint: every recipe value that the table depends on, and nothing of where it runs."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.config import Config, Corpus, Encoder, Input, Recipe, Resources
from theta_ray.store import fingerprint

RECIPE = Recipe(
    name="r",
    corpus=Corpus(inputs=(Input(reader="text", path="a.txt"),)),
    encoder=Encoder(model="package:a/b"),
)
SCHEMA = pa.schema([("doc_id", pa.string())])
# Another valid value for each field, on its own and with the rest at its default.
OTHER_VALUES: dict[tuple[str, str], Any] = {
    ("corpus", "inputs"): [{"reader": "text", "path": "b.txt"}],
    ("corpus", "normalize"): "basic",
    ("corpus", "hashtags"): "none",
    ("corpus", "authors"): "drop",
    ("corpus", "language"): "none",
    ("corpus", "keep_languages"): ["en"],
    ("corpus", "min_language_score"): 0.5,
    ("corpus", "min_chars"): 2,
    ("corpus", "max_chars"): 999,
    ("corpus", "duplicates"): "drop",
    ("corpus", "max_damaged_share"): 0.5,
    ("corpus", "on_damage"): {"bad_record": "skip"},
    ("embed", "max_damaged_share"): 0.5,
    ("corpus", "shard_bytes"): 1,
    ("encoder", "model"): "package:a/c",
    ("encoder", "revision"): "main",
    ("encoder", "weights_sha256"): "0" * 64,
    ("encoder", "adapter"): "/adapter",
    ("encoder", "num_layers"): 2,
    ("encoder", "engine"): "torch",
    ("encoder", "pooling"): "mean",
    ("encoder", "normalize"): False,
    ("encoder", "max_length"): 128,
    ("encoder", "long_documents"): "windows",
    ("encoder", "window_length"): 300,
    ("encoder", "window_stride"): 200,
    ("encoder", "document_prompt"): "passage: ",
    ("encoder", "query_prompt"): "query: ",
    ("encoder", "encode_as"): "query",
    ("encoder", "template"): "{text} is [MASK].",
    ("encoder", "precision"): "bfloat16",
    ("embed", "dim"): 8,
    ("embed", "store_dtype"): "float32",
    ("embed", "min_cosine"): 0.5,
    ("embed", "parity_rows"): 1,
    ("embed", "shard_tokens"): 1,
    ("embed", "seed"): 1,
    ("network", "graphs"): ["mention"],
    ("network", "projection"): {"weight": "count"},
    ("network", "backbone"): {"method": "disparity"},
    ("network", "communities"): {"resolution": 2.0},
    ("network", "hits_weights"): "raw",
    ("network", "num_nulls"): 1,
    ("network", "num_resamples"): 1,
    ("network", "num_permutations"): 1,
    ("network", "whole_days"): False,
    ("network", "max_comments"): 100,
    ("network", "horizon_hours"): 48.0,
    ("network", "num_top"): 5,
    ("network", "min_cell"): 2,
    ("network", "max_export_edges"): 5,
    ("network", "seed"): 1,
}
SECTIONS = ("corpus", "embed", "encoder", "network")


def _fingerprint(recipe: Recipe, resources: Resources, root: str) -> str:
    sections = Config(recipe=recipe, resources=resources, root=root).sections(*SECTIONS)
    return fingerprint("things", SCHEMA, sections, {})


PLAIN = _fingerprint(RECIPE, Resources(), "/root")

resources = st.builds(
    Resources,
    executor=st.sampled_from(["local", "ray"]),
    num_actors=st.none() | st.integers(1, 1000),
    gpus_per_actor=st.floats(0, 8),
    threads_per_actor=st.none() | st.integers(1, 64),
    batch_tokens=st.integers(16, 10**6),
    max_retries=st.integers(0, 10),
)


@given(resources=resources, root=st.text(min_size=1))
def test_a_fingerprint_ignores_where_a_recipe_runs(resources: Resources, root: str) -> None:
    assert _fingerprint(RECIPE, resources, root) == PLAIN


def test_every_field_of_a_section_is_tried_below() -> None:
    fields = {(name, field) for name in SECTIONS for field in _fields(name)}
    assert set(OTHER_VALUES) == fields


def _fields(section: str) -> list[str]:
    return list(type(getattr(RECIPE, section)).model_fields)


fields = st.sampled_from(sorted(OTHER_VALUES))


@given(one=fields, other=fields)
def test_a_fingerprint_changes_with_any_field_and_differently_with_each(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    first, second = (_fingerprint(_changed(key), Resources(), "/root") for key in (one, other))
    assert first != PLAIN
    assert (first == second) == (one == other)


@given(changed=fields)
def test_a_fingerprint_ignores_sections_that_the_table_does_not_depend_on(changed: tuple[str, str]) -> None:
    before, after = (
        fingerprint("corpus", SCHEMA, Config(recipe=recipe, root="/root").sections("corpus"), {})
        for recipe in (RECIPE, _changed(changed))
    )
    assert (before == after) == (changed[0] != "corpus")


def _changed(key: tuple[str, str]) -> Recipe:
    """The recipe with another value of one field (a template comes with its pooling)."""
    section, field = key
    data = RECIPE.model_dump(mode="json")
    data[section] |= {"pooling": "mask"} if field == "template" else {}
    data[section][field] = OTHER_VALUES[key]
    return Recipe.model_validate(data)
