"""The shards to make, and a shard on its way from the tokenising worker to the model.

A tokenised shard travels as one Arrow row of lists: flat token ids and offsets, no Python objects.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config import Embed
from theta_ray.encoder.tokenize import TokenSequences

LAYER_ROWS = 256


@dataclass(frozen=True)
class ShardTask:
    """One shard to make: its name, the corpus rows it holds, and the rows to compare."""

    shard: str
    corpus_shard: str
    row_groups: tuple[int, ...]
    num_rows: int
    num_tokens: int
    """Estimated."""
    parity_rows: tuple[int, ...] = ()
    compares_layers: bool = False
    """The one shard of a run on which the first layers (encoder.num_layers) are compared with the whole model."""
    text_bytes: int = 0
    """Of the corpus rows' texts."""

    def to_json(self) -> str:
        """The task as one string, for a row of Ray Data."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> ShardTask:
        """The task that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        values.update({name: tuple(values[name]) for name in ("row_groups", "parity_rows")})
        return ShardTask(**values)


@dataclass(frozen=True)
class SharedTexts:
    """The distinct texts of a shard that others may have as well, and which shard embeds each (shared.py)."""

    texts: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


@dataclass(frozen=True)
class EarlierTexts:
    """Where the workers of a run find the vectors of texts that earlier nights embedded (earlier_texts.py)."""

    folder: str
    num_files: int
    identity: str
    """12 hex digits over what those nights had indexed."""


@dataclass(frozen=True)
class TokenizedShard:
    """A shard between its CPU and its GPU half."""

    task: ShardTask
    doc_ids: pa.Array
    text_of_row: npt.NDArray[np.int32]
    """Which distinct text each row has: those of `sequences` come first, then `shared.texts`, then earlier nights'."""
    sequences: TokenSequences
    """Of the texts that no other shard has, and no earlier night."""
    parity_texts: tuple[str, ...]
    """The texts of `task.parity_rows`."""
    seconds: dict[str, float] = field(default_factory=dict)
    shared: SharedTexts = field(default_factory=SharedTexts)

    def to_row(self) -> pa.Table:
        """One row that holds everything."""
        sequences = self.sequences
        return pa.table(
            {
                "task": [self.task.to_json()],
                "seconds": [json.dumps(self.seconds)],
                "doc_ids": _one_list(self.doc_ids),
                "text_of_row": _one_list(pa.array(self.text_of_row)),
                "tokens": _one_list(pa.array(sequences.tokens)),
                "offsets": _one_list(pa.array(sequences.offsets)),
                "text_index": _one_list(pa.array(sequences.text_index)),
                "num_texts": [sequences.num_texts],
                "parity_texts": _one_list(pa.array(self.parity_texts, pa.string())),
                "shared_texts": _one_list(pa.array(self.shared.texts, pa.string())),
                "shared_owners": _one_list(pa.array(self.shared.owners, pa.string())),
            }
        )

    @staticmethod
    def from_row(row: pa.Table) -> TokenizedShard:
        """The shard that `to_row` wrote."""

        def values(name: str) -> Any:
            return row[name].combine_chunks().flatten()

        arrays = {name: values(name).to_numpy() for name in ("tokens", "offsets", "text_index")}
        return TokenizedShard(
            task=ShardTask.from_json(row["task"][0].as_py()),
            doc_ids=values("doc_ids"),
            text_of_row=values("text_of_row").to_numpy(),
            sequences=TokenSequences(num_texts=row["num_texts"][0].as_py(), **arrays),
            parity_texts=tuple(values("parity_texts").to_pylist()),
            seconds=json.loads(row["seconds"][0].as_py()),
            shared=SharedTexts(*(tuple(values(name).to_pylist()) for name in ("shared_texts", "shared_owners"))),
        )


def _one_list(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)


def plan_tasks(manifest: dict[str, Any], embed: Embed) -> list[ShardTask]:
    """The shards of the embeddings table: runs of row groups of one corpus shard, by estimated tokens."""
    tasks: list[ShardTask] = []
    for corpus_shard in manifest["shards"]:
        start, rows, tokens, num_bytes, count = 0, 0, 0, 0, 0
        groups = corpus_shard["details"]["row_groups"]
        for index, group in enumerate(groups):
            rows += group["num_rows"]
            num_bytes += group["text_bytes"]
            tokens += estimate_tokens(group["text_bytes"], group["num_rows"])
            if tokens >= embed.shard_tokens or index == len(groups) - 1:
                name = f"{corpus_shard['shard']}-{count:05d}"
                row_groups = tuple(range(start, index + 1))
                tasks.append(ShardTask(name, corpus_shard["shard"], row_groups, rows, tokens, text_bytes=num_bytes))
                start, rows, tokens, num_bytes, count = index + 1, 0, 0, 0, count + 1
    return _choose_shard_for_layers(_choose_parity_rows(tasks, embed))


def estimate_tokens(text_bytes: int, num_texts: int) -> int:
    """Tokens of some text before it is tokenised: about 4 bytes each, and 2 special ones a text."""
    return text_bytes // 4 + 2 * num_texts


def _choose_shard_for_layers(tasks: list[ShardTask]) -> list[ShardTask]:
    """Mark the first shard that has rows enough, or else the largest."""
    sizes = [min(task.num_rows, LAYER_ROWS) for task in tasks]
    chosen = sizes.index(max(sizes)) if sizes else -1
    return [replace(task, compares_layers=number == chosen) for number, task in enumerate(tasks)]


def _choose_parity_rows(tasks: list[ShardTask], embed: Embed) -> list[ShardTask]:
    """Draw `parity_rows` rows of the whole run, without replacement, by the recipe's seed."""
    total = sum(task.num_rows for task in tasks)
    drawn = np.sort(np.random.default_rng(embed.seed).choice(total, min(embed.parity_rows, total), replace=False))
    chosen, first = [], 0
    for task in tasks:
        mine = drawn[(drawn >= first) & (drawn < first + task.num_rows)] - first
        chosen.append(replace(task, parity_rows=tuple(mine.tolist())))
        first += task.num_rows
    return chosen
