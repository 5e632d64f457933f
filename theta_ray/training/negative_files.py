"""What lies between the phases that find hard negatives: parquet files below a run's staging folder.

    negatives/scan/<file>.json, test/<file>.parquet   counts; hashes of the documents of test pairs
              index/<shard>.parquet                   hashes and keys, a row for each of the shard's rows
              queries/<block>.parquet                 a row for each pair of the block (its file, first and last)
              near/<block>-00000-of-00006.parquet     at most last_rank rows for each, from a range of shards
              chosen/<block>.json, .parquet           counts; ids of negatives, a row for each pair

Files depend on the inputs alone and are created whole: who writes one first is right, and none is made again.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config_negatives import Negatives
from theta_ray.corpus import staging
from theta_ray.encoder.stored import read_vectors
from theta_ray.encoder.tokenized import ShardTask
from theta_ray.objects import join
from theta_ray.store import Partition, read_shard
from theta_ray.training.topk import Candidates, Int64, UInt64, Vectors

# The place of a document: the number of its shard, and its row there.
ROW_BITS = 32


@dataclass(frozen=True)
class NegativesJob:
    """What all tasks need: committed tables to read, the rules, and where things go."""

    corpus: Partition
    embeddings: Partition
    shards: tuple[ShardTask, ...]
    """Of the embeddings."""
    lineage: dict[str, Any]
    """Which version of the embeddings, and of which model, the negatives are from."""
    rules: Negatives
    device: str = "cpu"
    """What searches."""
    staging: str = ""
    """Folder of the run."""

    def at(self, kind: str, name: str, suffix: str = "parquet") -> str:
        """Where a staged file lies."""
        return join(self.staging, "negatives", kind, f"{name}.{suffix}")


@dataclass(frozen=True)
class FileTask:
    """One parquet file of pairs, whose name no other file of the run has."""

    job: NegativesJob
    uri: str

    @property
    def name(self) -> str:
        """Of what is staged for it."""
        return posixpath.basename(self.uri).removesuffix(".parquet")


@dataclass(frozen=True)
class IndexTask:
    """One shard of the embeddings, and the names of the files whose test pairs are looked up."""

    job: NegativesJob
    number: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class BlockTask:
    """Some pairs of a file, and how many ranges the shards are cut into."""

    file: FileTask
    start: int
    stop: int
    num_ranges: int

    @property
    def name(self) -> str:
        """Of what is staged for it."""
        return f"{self.file.name}-{self.start:08d}-{self.stop:08d}"


@dataclass(frozen=True)
class SearchTask:
    """A block, and one of the ranges of shards."""

    block: BlockTask
    number: int

    @property
    def name(self) -> str:
        """Of what is staged for it."""
        return f"{self.block.name}-{self.number:05d}-of-{self.block.num_ranges:05d}"

    @property
    def shards(self) -> range:
        """Numbers of the range's shards."""
        count, parts = len(self.block.file.job.shards), self.block.num_ranges
        return range(count * self.number // parts, count * (self.number + 1) // parts)


def write(uri: str, table: pa.Table) -> None:
    """Stage a table."""
    with staging.writing(uri, table.schema) as writer:
        writer.write_table(table)


def read(uri: str, columns: list[str]) -> pa.Table:
    """Columns of a staged file, each in one piece."""
    return staging.read_rows(uri, columns=columns).combine_chunks()


def to_lists(values: npt.NDArray[Any], owner: Int64, count: int) -> pa.Array:
    """The values of each of `count` owners as a column of lists."""
    order = np.argsort(owner, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values[order]))


def from_lists(lists: pa.ListArray) -> list[UInt64]:
    """The lists of a column of unsigned numbers."""
    return np.split(lists.flatten().to_numpy(), np.cumsum(lists.value_lengths().to_numpy())[:-1])


def unit(vectors_ND: Vectors) -> Vectors:
    """Vectors of length 1; those of length 0 stay."""
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.asarray(vectors_ND / np.where(lengths_N1 == 0, np.float32(1), lengths_N1), np.float32)


def read_candidates(job: NegativesJob, number: int) -> Candidates:
    """What of one shard of the embeddings may be near, with the vector of each text once."""
    name = job.shards[number].shard
    index = read(job.at("index", name), ["doc", "text", "is_drawn", "keys"])
    doc, text = index["doc"].to_numpy(), index["text"].to_numpy()
    rows = np.flatnonzero(index["is_drawn"].to_numpy())
    rows = rows[np.lexsort((doc[rows], text[rows]))]
    texts, starts = np.unique(text[rows], return_index=True)
    vectors = unit(read_vectors(read_shard(job.embeddings, name).take(pa.array(rows[starts]))))
    keys = index["keys"].combine_chunks().take(pa.array(rows))
    owner = np.repeat(np.arange(len(rows)), keys.value_lengths().to_numpy())
    values = keys.flatten().to_numpy()
    order = np.argsort(values, kind="stable")
    ends = np.append(starts, len(rows)).astype(np.int64)
    place = (np.int64(number) << ROW_BITS) | rows
    return Candidates(vectors, texts, ends, doc[rows], place, values[order], owner[order])
