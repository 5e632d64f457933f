"""What is wrong with pairs, or with a corpus that should give them, in one line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from theta_ray.config import COLUMN_READERS, Input, Recipe
from theta_ray.config_pairs import Pairs
from theta_ray.errors import ConfigError, InputError, StageError
from theta_ray.store import Record
from theta_ray.training.candidates import DROPPED, merged
from theta_ray.training.pair_phases import PairsJob
from theta_ray.training.splits import NAMES

# Columns of the corpus that a kind or a split needs.
NEEDED_BY_KIND = {
    "dictionary": ("label",),
    "hashtag": ("tags",),
    "label": ("label",),
    "reply": ("parent_id",),
    "thread": ("context_id", "created_at"),
}
NEEDED_BY_SPLIT = {"author": ("author_id",), "time": ("created_at",)}
# Readers of platforms know these; none knows labels.
NOT_OF_PLATFORMS = ("label",)
NOT_OF_TEXT = ("author_id", "context_id", "created_at", "label", "parent_id")
GROUPED = ("dictionary", "hashtag", "label")


def check_recipe(recipe: Recipe) -> Pairs:
    """The section `pairs` of a recipe whose corpus can serve it.

    Raises:
        ConfigError: there is no such section, or the corpus lacks what it needs.
    """
    pairs = recipe.pairs
    if pairs is None:
        raise ConfigError(f"{recipe.name}: the recipe has no section pairs; add one, such as `pairs: {{kind: self}}`")
    needed = [(f"kind {pairs.kind}", name) for name in NEEDED_BY_KIND.get(pairs.kind, ())]
    needed += [(f"split.by {pairs.split_by}", name) for name in NEEDED_BY_SPLIT.get(pairs.split_by, ())]
    for who, column in needed:
        if column == "tags" and recipe.corpus.hashtags != "none":
            continue
        if column == "author_id" and recipe.corpus.authors == "drop":
            raise ConfigError(f"pairs.{who}: needs authors, which the corpus drops; set corpus.authors: pseudonym")
        if not _is_given(column, recipe.corpus.inputs):
            hint = f"add {column} to the columns of an input"
            raise ConfigError(f"pairs.{who}: needs {column}, which no input of the corpus has; {hint}")
    return pairs


def _is_given(column: str, inputs: Iterable[Input]) -> bool:
    return any(_gives(one, column) for one in inputs)


def _gives(one: Input, column: str) -> bool:
    if one.reader in COLUMN_READERS:
        return getattr(one.columns, column) is not None
    return column not in (NOT_OF_TEXT if one.reader == "text" else NOT_OF_PLATFORMS)


def check_found(job: PairsJob, num_candidates: int, num_staged: int, dropped: dict[str, int]) -> None:
    """Raise InputError where no document is a candidate, or every one of them was left out."""
    kind, where = job.pairs.kind, job.corpus.path
    if not num_candidates:
        needed = NEEDED_BY_KIND.get(kind, ("text",))[0]
        raise InputError(f"{where}: no document has {needed}, which pairs.kind {kind} needs; choose another kind")
    if not num_staged:
        reason = max(dropped, key=lambda name: dropped[name])
        why = DROPPED[reason]
        raise InputError(f"{where}: all {num_candidates:,} candidates were left out, most for {reason}: {why}")


def check_pairs(job: PairsJob, counts: dict[str, Any], largest: tuple[int, str]) -> None:
    """Raise InputError where the pairs are no use: none, of one label only, or none on a side of the split."""
    pairs, where = job.pairs, job.corpus.path
    size, name = largest
    called = f"the largest, {name}, has {size:,}" if name else f"the largest has {size:,}"
    if not counts["num_groups"] and pairs.kind == "hashtag" and size < pairs.hashtag.min_tag_count:
        minimum = pairs.hashtag.min_tag_count
        raise InputError(f"{where}: no tag has {minimum} documents ({called}); lower pairs.hashtag.min_tag_count")
    if not counts["num_groups"]:
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in counts["dropped"].items())
        raise InputError(f"{where}: no pairs of kind {pairs.kind} (dropped: {dropped}); choose another kind or split")
    if counts["num_groups"] == 1 and pairs.kind in GROUPED:
        what = "tag" if pairs.kind == "hashtag" else "label"
        raise InputError(
            f"{where}: one {what} only has pairs ({called}); nothing would be a negative, add a second one"
        )
    for side in ("train", "test") if pairs.split.test_share else ("train",):
        if not counts[f"num_{side}"]:
            hint = "change pairs.split.test_share, pairs.split.by or pairs.seed"
            among = f"groups with pairs: {counts['num_groups']:,}"
            raise InputError(f"{where}: the {side} split by {pairs.split_by} is empty ({among}); {hint}")


def sum_up(job: PairsJob, found: dict[str, int], left_out: dict[str, int], records: list[Record]) -> dict[str, Any]:
    """Sums over all shards, after a check that every candidate is counted once."""
    details = [record.details for record in sorted(records, key=lambda record: record.shard)]
    dropped = merged([left_out, *(each["dropped"] for each in details)])
    counts: dict[str, Any] = {
        "num_documents": found["num_rows"],
        "num_candidates": found["num_candidates"],
        **{f"num_{name}": sum(each[f"num_{name}"] for each in details) for name in ("in_pairs", "groups", *NAMES)},
        "dropped": dict(sorted(dropped.items())),
    }
    if counts["num_candidates"] != counts["num_in_pairs"] + dropped.total():
        raise StageError(
            f"{job.partition.path}: {counts['num_candidates']} candidates, {counts['num_in_pairs']} in pairs and "
            f"{dropped.total()} dropped; use another --root and report this as a bug"
        )
    check_pairs(job, counts, max(tuple(each["largest_group"]) for each in details))
    return counts
