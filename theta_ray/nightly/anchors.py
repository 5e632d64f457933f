"""A day's earlier embeddings in, a bounded sample of its different texts (anchors) with vectors of both models out.

1. `draw_anchors`: of one shard of embeddings, its documents with the smallest hashes, their texts and old vectors.
2. `gather_anchors`: the smallest of all shards, each text once, and a small corpus of them that the new recipe's
   encoder embeds as any other corpus (encoder/map_shards.py).
3. `read_anchors`: both vectors of each.

A hash is of the text and the seed, so a rerun draws the same and copies of a text are drawn together.

    staging/<digest>/drawn/<shard>.parquet     documents and old vectors, of one shard and of all
                     counts/<shard>.json       its shard is drawn when it is there
                     corpus/anchors/dt=<day>/  their texts, and embeddings/ their new vectors
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.config_cluster import Metric
from theta_ray.config_nightly import Migrate
from theta_ray.corpus import staging
from theta_ray.corpus.staging import read_rows, write_rows
from theta_ray.encoder.shard import EmbedJob
from theta_ray.encoder.stored import from_column, read_vectors, to_column
from theta_ray.encoder.tokenized import ShardTask, plan_tasks
from theta_ray.nightly.maps import Vectors
from theta_ray.objects import join
from theta_ray.schemas import CORPUS
from theta_ray.store import Partition, ShardWriter, find_record, read_shard

ALL = "all"
TEXTS = pa.schema([CORPUS.field(name) for name in ("doc_id", "text", "text_hash")])
# Of one shard of the staged corpus: work for several actors.
ANCHORS_PER_SHARD = 1024
# A shard stages so many times its share of the anchors: of copies only one is taken, and some shards have more of them.
SPARE, SPARE_ROWS = 4, 50
VECTOR_COLUMNS = ("embedding", "scale")


@dataclass(frozen=True)
class MigrateJob:
    """What all tasks need."""

    embed: EmbedJob
    """By the new recipe, of the day of the earlier embeddings."""
    previous: Partition
    """The earlier embeddings."""
    columns: tuple[str, ...]
    """Of the earlier embeddings, those that hold vectors."""
    maps: Partition
    settings: Migrate
    metric: Metric
    centroids: Partition | None = None
    """Of the earlier embeddings; None: they have none."""
    staging: str = ""
    epoch: int = 0

    @property
    def texts(self) -> EmbedJob:
        """How the anchors are embedded: from their own small corpus, into staging."""
        corpus = Partition(self.staging, "corpus", "anchors", self.previous.date)
        embeddings = replace(self.embed.embeddings, root=self.staging)
        return replace(self.embed, corpus=corpus, embeddings=embeddings, epoch=self.epoch)

    def staged(self, kind: str, name: str, suffix: str = "parquet") -> str:
        """Where a staged file lies."""
        return join(self.staging, kind, f"{name}.{suffix}")


@dataclass(frozen=True)
class DrawTask:
    """One shard of the earlier embeddings, and how many of its documents may be anchors."""

    job: MigrateJob
    shard: str
    count: int


@dataclass(frozen=True)
class GatherTask:
    """All shards that were drawn from."""

    job: MigrateJob
    shards: tuple[str, ...]


@dataclass(frozen=True)
class Anchors:
    """N documents of different texts, in a random order that the seed decides."""

    old_ND: Vectors
    new_NE: Vectors
    num_tokens_N: npt.NDArray[np.int32]
    """Of each text, as the new model reads it."""


def draw_tasks(job: MigrateJob, manifest: dict[str, Any]) -> list[DrawTask]:
    """A task for each shard of the earlier embeddings."""
    wanted = SPARE * job.settings.num_anchors / max(1, manifest["num_rows"])
    return [
        DrawTask(job, shard["shard"], SPARE_ROWS + round(wanted * shard["num_rows"])) for shard in manifest["shards"]
    ]


def draw_anchors(task: DrawTask) -> dict[str, Any]:
    """Stage the documents of one shard that may be anchors; how many there are."""
    job, uri = task.job, task.job.staged("counts", task.shard, "json")
    found = staging.read_json(uri)
    if found is not None:
        return found
    rows = read_shard(job.previous, task.shard, columns=["doc_id", *job.columns])
    # a shard of embeddings is a part of a corpus shard
    texts = read_shard(job.embed.corpus, task.shard.rpartition("-")[0], columns=TEXTS.names)
    at = pc.index_in(rows["doc_id"].combine_chunks(), texts["doc_id"].combine_chunks())
    hash_N = _hashes(texts["text_hash"].take(at).to_pylist(), job.settings.seed)
    chosen = _smallest(hash_N, rows["doc_id"].to_pylist(), task.count)
    vectors = read_vectors(rows.select(list(job.columns)).take(chosen))
    drawn = texts.take(at.take(chosen)).append_column("hash", pa.array(hash_N).take(chosen))
    write_rows(job.staged("drawn", task.shard), drawn.append_column("vector", to_column(vectors)))
    found = {"num_rows": rows.num_rows, "num_drawn": len(chosen)}
    staging.write_json(uri, found)
    return found


def gather_anchors(task: GatherTask) -> dict[str, Any]:
    """Stage the anchors with their old vectors, and their texts as a corpus; its shards, as a manifest has them."""
    job, uri = task.job, task.job.staged("counts", ALL, "json")
    found = staging.read_json(uri)
    if found is not None:
        return found
    rows = pa.concat_tables([read_rows(job.staged("drawn", shard)) for shard in task.shards]).combine_chunks()
    ids = rows["doc_id"].to_pylist()
    rows = rows.take(_smallest(rows["hash"].to_numpy(), ids, job.settings.num_anchors))
    write_rows(job.staged("drawn", ALL), rows.drop_columns(["text"]))
    shards = [
        _write_texts(job, rows.slice(start, ANCHORS_PER_SHARD), f"part-{start // ANCHORS_PER_SHARD:05d}")
        for start in range(0, rows.num_rows, ANCHORS_PER_SHARD)
    ]
    found = {"num_rows": rows.num_rows, "shards": shards}
    staging.write_json(uri, found)
    return found


def embed_tasks(job: MigrateJob, gathered: dict[str, Any]) -> list[ShardTask]:
    """The anchors as shards of the embed stage."""
    return plan_tasks(gathered, job.embed.embed)


def read_anchors(job: MigrateJob, shards: Sequence[str]) -> Anchors:
    """The anchors that both models have a vector of.

    Args:
        job: of the stage.
        shards: of the anchors' new embeddings.
    """
    embeddings = job.texts.embeddings
    now = pa.concat_tables([read_shard(embeddings, shard) for shard in shards])
    before = read_rows(job.staged("drawn", ALL), columns=["doc_id", "vector"])
    at = pc.index_in(before["doc_id"].combine_chunks(), now["doc_id"].combine_chunks())
    has_both = pc.is_valid(at)
    old, now = from_column(before["vector"].filter(has_both)), now.take(at.drop_null())
    vectors = now.select([name for name in VECTOR_COLUMNS if name in now.column_names])
    return Anchors(old, read_vectors(vectors), now["num_tokens"].to_numpy())


def _write_texts(job: MigrateJob, rows: pa.Table, shard: str) -> dict[str, Any]:
    record = find_record(job.texts.corpus, shard)
    if record is None:
        texts = rows.select(TEXTS.names)
        group = {"num_rows": texts.num_rows, "text_bytes": pc.sum(pc.binary_length(texts["text"])).as_py()}
        with ShardWriter(job.texts.corpus, shard, TEXTS) as writer:
            writer.write(texts)
            record = writer.publish(details={"row_groups": [group]}, epoch=job.epoch)
    return asdict(record)


def _hashes(text_hashes: Sequence[bytes], seed: int) -> npt.NDArray[np.uint64]:
    key = seed.to_bytes(8, "big", signed=True)
    digests = (blake2b(text_hash, digest_size=8, key=key).digest() for text_hash in text_hashes)
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _smallest(hash_N: npt.NDArray[np.uint64], doc_ids: Sequence[str], count: int) -> npt.NDArray[np.int64]:
    """Rows of the smallest hashes, ascending; of equal ones that of the smallest id."""
    order = np.lexsort((np.asarray(doc_ids, object).astype(str), hash_N))
    first = np.unique(hash_N[order], return_index=True)[1]
    chosen: npt.NDArray[np.int64] = order[first[:count]]
    return chosen
