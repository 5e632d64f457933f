"""One shard of the embeddings table, from corpus rows to the committed object. No Ray here.

corpus row groups -> texts, each distinct one once -> token sequences          (tokenize_shard, CPU)
-> vectors in the form to store, checked                                       (shard_embedder.py, exports.py)
-> rows again -> write under the fixed name -> record                          (write_shard)
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.config import Embed, Encoder
from theta_ray.encoder.earlier_texts import taken_rows
from theta_ray.encoder.encoder import make_tokenizer
from theta_ray.encoder.engine import choose_engine
from theta_ray.encoder.precision import resolve_precision
from theta_ray.encoder.processor import processor_name
from theta_ray.encoder.shared import read_index, split_texts
from theta_ray.encoder.source import ModelSource, resolve_model
from theta_ray.encoder.stored import Stored, read_stored, vector_difference
from theta_ray.encoder.tokenize import Tokenizer
from theta_ray.encoder.tokenized import EarlierTexts, ShardTask, TokenizedShard
from theta_ray.encoder.vllm_engine import vllm_version
from theta_ray.errors import InputError, StageError
from theta_ray.schemas import QUARANTINE, embeddings_schema
from theta_ray.store import Partition, Record, ShardWriter, read_shard


@dataclass(frozen=True)
class EmbedJob:
    """What every worker of a run needs to know."""

    corpus: Partition
    embeddings: Partition
    encoder: Encoder
    embed: Embed
    source: ModelSource
    dim: int
    device: str
    threads: int
    batch_tokens: int
    gpus: float = 1.0
    """GPUs of one actor, where `device` is one."""
    epoch: int = 0
    """Lease epoch of the run."""
    shared: str | None = None
    """Folder of the texts that several shards have (shared.py); None where each shard embeds all of its own."""

    earlier: EarlierTexts | None = None
    """Texts that earlier nights embedded (earlier_texts.py); None where there are none."""

    @property
    def quarantine(self) -> Partition:
        """Where rows without an embedding go."""
        return Partition(self.embeddings.root, "quarantine", self.embeddings.fingerprint, self.embeddings.date)


@lru_cache(maxsize=1)
def source_on_this_node(encoder: Encoder, expected: ModelSource) -> ModelSource:
    """The model where this node has it: folders differ between nodes, contents must not.

    Raises:
        InputError: this node's model is another one than the driver's.
    """
    if not expected.identity.startswith("sha256:"):
        # the commit that the driver saw: a branch may have moved since
        encoder = encoder.model_copy(update={"revision": expected.identity.rpartition("@")[2]})
    source = resolve_model(encoder)
    if (source.identity, source.adapter_identity) != (expected.identity, expected.adapter_identity):
        raise InputError(
            f"encoder.model {encoder.model}: this node has {source.identity}, the driver has "
            f"{expected.identity}; copy the same files to every node"
        )
    return source


@lru_cache(maxsize=1)
def _tokenizer(encoder: Encoder, expected: ModelSource) -> Tokenizer:
    """One tokenizer per worker process."""
    return make_tokenizer(encoder, source_on_this_node(encoder, expected))


def tokenize_shard(job: EmbedJob, task: ShardTask) -> TokenizedShard:
    """Read a shard's rows and tokenise each distinct text once."""
    started = time.perf_counter()
    index = None if job.shared is None else read_index(job.embeddings, job.shared, task.shard)
    columns = ["doc_id", "text"] if index is None else ["doc_id", "text", "text_hash"]
    table = read_shard(job.corpus, task.corpus_shard, columns=columns, row_groups=list(task.row_groups))
    read = time.perf_counter()
    own, shared, text_of_row = split_texts(table, index, taken_rows(job.earlier, task.shard))
    tokenizer = _tokenizer(job.encoder, job.source)
    loaded = time.perf_counter()
    sequences = tokenizer.encode(own)
    return TokenizedShard(
        task=task,
        doc_ids=table.column("doc_id").combine_chunks(),
        text_of_row=text_of_row,
        sequences=sequences,
        parity_texts=tuple(table.column("text").take(pa.array(task.parity_rows, pa.int64())).to_pylist()),
        shared=shared,
        seconds={
            "read": read - started,
            "load tokenizer": loaded - read,
            "tokenize": time.perf_counter() - loaded,
        },
    )


@dataclass(frozen=True)
class TextColumns:
    """What N distinct texts put into the table."""

    stored: Stored
    num_tokens: npt.NDArray[np.int32]
    """[N]."""
    reasons: npt.NDArray[Any]
    """[N], why a vector cannot be stored, or an empty string."""

    def followed_by(self, taken: pa.Table | None) -> TextColumns:
        """These texts and then those that earlier nights embedded, as they are stored there."""
        if taken is None:
            return self
        num_tokens = np.concatenate([self.num_tokens, taken["num_tokens"].to_numpy()])
        reasons = np.concatenate([self.reasons, np.full(len(taken), "")])
        return TextColumns(self.stored.followed_by(read_stored(taken)), num_tokens, reasons)


def row_details(shard: TokenizedShard, texts: TextColumns, taken: pa.Table | None) -> dict[str, Any]:
    """What the record of a shard says of its rows, and of the texts that earlier nights embedded."""
    row_tokens = int(texts.num_tokens[shard.text_of_row].sum(dtype=np.int64))
    details = {"num_rows_in": shard.task.num_rows, "num_row_tokens": row_tokens}
    if taken is None:
        return details
    nights = {each["values"]: each["counts"] for each in taken["night"].value_counts().to_pylist()}
    num_tokens = pc.sum(taken["num_tokens"]).as_py()
    taken_over = {"num_taken_texts": len(taken), "num_taken_tokens": num_tokens}
    return {**details, **taken_over, "taken_from": dict(sorted(nights.items()))}


def write_shard(
    job: EmbedJob, shard: TokenizedShard, texts: TextColumns, details: dict[str, Any], origin: dict[str, Any]
) -> Record:
    """Put the quarantined rows and then the shard in place: rows in = rows out + quarantined. Its record.

    Args:
        job: where it goes.
        shard: its rows.
        texts: of all its distinct texts.
        details: for the record.
        origin: what its last bits depend on, from `made_on`.
    """
    reason_of_row = texts.reasons[shard.text_of_row]
    kept = np.flatnonzero(reason_of_row == "")
    bad = np.flatnonzero(reason_of_row != "")
    counts: dict[str, int] = {}
    if len(bad):
        names = reason_of_row[bad].tolist()
        counts = {reason: names.count(reason) for reason in sorted(set(names))}
        ids = shard.doc_ids.take(pa.array(bad)).to_pylist()
        rows = [{"stage": "embed", "source_ref": i, "reason": r, "detail": ""} for i, r in zip(ids, names, strict=True)]
        with ShardWriter(job.quarantine, shard.task.shard, QUARANTINE) as writer:
            writer.write(pa.Table.from_pylist(rows, schema=QUARANTINE))
            writer.publish(epoch=job.epoch)
    if len(kept) + len(bad) != shard.task.num_rows:
        raise StageError(
            f"{job.embeddings.at(shard.task.shard)}: {shard.task.num_rows} rows in, {len(kept)} out and {len(bad)} "
            "quarantined; the corpus shard changed, prepare it again under another --root"
        )
    schema = embeddings_schema(job.dim, job.embed.store_dtype)
    text_of_kept = shard.text_of_row[kept]
    columns = {
        "doc_id": shard.doc_ids.take(pa.array(kept)),
        **texts.stored.take(text_of_kept).columns(),
        "num_tokens": pa.array(texts.num_tokens[text_of_kept], pa.int32()),
    }
    with ShardWriter(job.embeddings, shard.task.shard, schema, made_on=origin) as writer:
        writer.write(pa.table(columns))
        return writer.publish(quarantined=counts, details=details, epoch=job.epoch, difference=vector_difference)


def made_on(job: EmbedJob) -> dict[str, Any]:
    """What the last bits of a vector depend on beside recipe and text: kernels, and which texts share a batch."""
    import torch

    device = torch.cuda.get_device_name() if job.device.startswith("cuda") else "cpu"
    choice = choose_engine(job.encoder, source_on_this_node(job.encoder, job.source), job.device, job.gpus)
    return {
        "device": device,
        "engine": f"vllm {vllm_version()}" if choice.engine == "vllm" else "torch",
        "processor": processor_name(),
        "torch": torch.__version__,
        "precision": resolve_precision(job.encoder.precision, job.device),
        "batch_tokens": job.batch_tokens,
        "threads": job.threads,
        "shared": job.shared,
        **({"earlier": job.earlier.identity} if job.earlier else {}),
    }
