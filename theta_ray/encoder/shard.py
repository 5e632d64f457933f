"""One shard of the embeddings table, from corpus rows to the committed object. No Ray here.

corpus row groups -> texts, each distinct one once -> token sequences          (tokenize_shard, CPU)
-> vectors -> rows again -> quarantine what is no vector -> compare a few rows
   with plain transformers -> write under the fixed name -> record             (ShardEmbedder)
"""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config import Embed, Encoder
from theta_ray.encoder.encoder import TextEncoder, make_tokenizer
from theta_ray.encoder.model import load_model
from theta_ray.encoder.reference import Reference
from theta_ray.encoder.source import ModelSource, resolve_model
from theta_ray.encoder.tokenize import Tokenizer
from theta_ray.encoder.tokenized import ShardTask, TokenizedShard
from theta_ray.errors import InputError, StageError
from theta_ray.schemas import QUARANTINE, embeddings_schema
from theta_ray.store import Partition, ShardWriter, find_record, read_shard

# Below this many texts a shard says nothing about whether all vectors are alike.
MIN_TEXTS_FOR_SPREAD = 8
# Two attempts on GPUs, other processors or with other batches choose other kernels; else the same bytes are demanded.
GPU_MAX_DIFFERENCE, GPU_MIN_COSINE = 1e-3, 0.9999


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
    epoch: int = 0
    """Lease epoch of the run."""

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
    table = read_shard(job.corpus, task.corpus_shard, columns=["doc_id", "text"], row_groups=list(task.row_groups))
    read = time.perf_counter()
    # The exact text, not its normalised hash: a cased model tells "US" from "us".
    texts = table.column("text").combine_chunks().dictionary_encode()
    distinct = texts.dictionary.to_pylist()
    text_of_row = texts.indices.to_numpy().astype(np.int32)
    tokenizer = _tokenizer(job.encoder, job.source)
    loaded = time.perf_counter()
    sequences = tokenizer.encode(distinct)
    return TokenizedShard(
        task=task,
        doc_ids=table.column("doc_id").combine_chunks(),
        text_of_row=text_of_row,
        sequences=sequences,
        parity_texts=tuple(distinct[text_of_row[row]] for row in task.parity_rows),
        seconds={
            "read": read - started,
            "load tokenizer": loaded - read,
            "tokenize": time.perf_counter() - loaded,
        },
    )


class ShardEmbedder:
    """A loaded model that turns tokenised shards into committed ones."""

    def __init__(self, job: EmbedJob) -> None:
        import torch

        torch.set_num_threads(job.threads)
        self.job = job
        self.source = source_on_this_node(job.encoder, job.source)
        self.encoder = TextEncoder(job.encoder, job.embed, self.source, device=job.device)
        self._reference: Reference | None = None

    def embed(self, shard: TokenizedShard) -> dict[str, Any]:
        """Make, check and write one shard; its record and seconds as JSON values. A finished one is not made again."""
        job, seconds = self.job, dict(shard.seconds)
        finished = find_record(job.embeddings, shard.task.shard)
        if finished is not None:
            return {"record": asdict(finished), "seconds": {}, "device": self.encoder.device_name, "made": False}
        vectors, work = self.encoder.embed_sequences(shard.sequences, batch_tokens=job.batch_tokens)
        seconds["forward"] = work.seconds
        stored = vectors.astype(job.embed.store_dtype)
        reasons = vector_problems(stored)
        started = time.perf_counter()
        parity = self._check_parity(shard, stored, reasons)
        seconds["parity"] = time.perf_counter() - started
        started = time.perf_counter()
        details = {
            "num_rows_in": shard.task.num_rows,
            "num_texts": shard.sequences.num_texts,
            "num_tokens": work.num_tokens,
            "num_padded_tokens": work.num_padded_tokens,
            "mean_cosine": mean_cosine(stored[reasons == ""]),
            **parity,
        }
        record = write_shard(job, shard, stored, reasons, details)
        seconds["write"] = time.perf_counter() - started
        return {"record": asdict(record), "seconds": seconds, "device": self.encoder.device_name, "made": True}

    def _check_parity(
        self, shard: TokenizedShard, stored: npt.NDArray[Any], reasons: npt.NDArray[Any]
    ) -> dict[str, Any]:
        """Compare the drawn rows with plain transformers in float32, one text at a time."""
        lowest, compared = 1.0, 0
        for row, text in zip(shard.task.parity_rows, shard.parity_texts, strict=True):
            index = shard.text_of_row[row]
            if reasons[index]:
                continue
            ours, reference = stored[index].astype(np.float64), self.reference.embed(text).double().numpy()
            cosine = float(ours @ reference / (np.linalg.norm(ours) * np.linalg.norm(reference)))
            if not cosine >= self.job.embed.min_cosine:  # NaN, too, is below every bound
                raise StageError(
                    f"{shard.task.shard}: document {shard.doc_ids[row].as_py()} has cosine {cosine:.6f} with plain "
                    f"transformers, embed.min_cosine is {self.job.embed.min_cosine}; use encoder.precision: float32, "
                    "or accept less in the recipe"
                )
            lowest, compared = min(lowest, cosine), compared + 1
        return {"num_compared": compared, "min_cosine": round(lowest, 9) if compared else None}

    @property
    def reference(self) -> Reference:
        """Plain transformers in float32: the same module where that is its precision already."""
        if self._reference is None:
            job, model = self.job, self.encoder.model
            if job.encoder.precision != "float32":
                pooling = self.encoder.rules.pooling
                model = load_model(
                    self.source,
                    precision="float32",
                    device=job.device,
                    pooling=pooling,
                    num_layers=job.encoder.num_layers,
                )
            self._reference = Reference(model, self.encoder.tokenizer, job.encoder, self.encoder.rules)
        return self._reference


def vector_problems(vectors: npt.NDArray[Any]) -> npt.NDArray[np.str_]:
    """For each vector the reason why it cannot be stored, or an empty string."""
    wide = vectors.astype(np.float32)
    reasons = np.where((wide == 0).all(axis=1), "zero_embedding", "").astype("<U32")
    reasons[~np.isfinite(wide).all(axis=1)] = "non_finite_embedding"
    return reasons


def mean_cosine(vectors: npt.NDArray[Any]) -> float | None:
    """Mean cosine over all pairs of distinct texts; near 1 the embeddings have collapsed. None for few."""
    count = len(vectors)
    if count < MIN_TEXTS_FOR_SPREAD:
        return None
    wide = vectors.astype(np.float64)
    total = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).sum(axis=0)
    return round(float((total @ total - count) / (count * (count - 1))), 6)


def write_shard(
    job: EmbedJob, shard: TokenizedShard, stored: npt.NDArray[Any], reasons: npt.NDArray[Any], details: dict[str, Any]
) -> Any:
    """Put the quarantined rows and then the shard in place; rows in = rows out + quarantined."""
    reason_of_row = reasons[shard.text_of_row]
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
    tokens_per_text = shard.sequences.tokens_per_text()
    text_of_kept = shard.text_of_row[kept]
    flat = pa.array(stored[text_of_kept].reshape(-1))
    columns = [
        shard.doc_ids.take(pa.array(kept)),
        pa.FixedSizeListArray.from_arrays(flat, job.dim),
        pa.array(tokens_per_text[text_of_kept], pa.int32()),
    ]
    with ShardWriter(job.embeddings, shard.task.shard, schema, made_on=made_on(job)) as writer:
        writer.write(pa.Table.from_arrays(columns, names=schema.names))
        return writer.publish(quarantined=counts, details=details, epoch=job.epoch, difference=vector_difference)


def made_on(job: EmbedJob) -> dict[str, Any]:
    """What the last bits of a vector depend on beside recipe and text: kernels, and which texts share a batch."""
    import torch

    device = torch.cuda.get_device_name() if job.device.startswith("cuda") else "cpu"
    return {"device": device, "processor": _processor(), "torch": torch.__version__, "batch_tokens": job.batch_tokens}


@lru_cache(maxsize=1)
def _processor() -> str:
    """The CPU's own name; its architecture where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def vector_difference(mine: pa.Table, there: pa.Table) -> str | None:
    """Why two attempts on GPUs, or on other machines, are not the same shard; None: they are within the tolerance."""
    for name in ("doc_id", "num_tokens"):
        if not mine[name].equals(there[name]):
            return f"other values of {name}"
    a, b = (t["embedding"].combine_chunks().flatten().to_numpy().astype(np.float64) for t in (mine, there))
    if a.shape != b.shape:
        return "vectors of another width"
    a, b = a.reshape(mine.num_rows, -1), b.reshape(mine.num_rows, -1)
    furthest = float(np.abs(a - b).max(initial=0.0))
    cosines = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    lowest = float(cosines.min(initial=1.0))
    if furthest <= GPU_MAX_DIFFERENCE and lowest >= GPU_MIN_COSINE:
        return None
    return f"vectors differ by up to {furthest:.2g}, smallest cosine {lowest:.6f}"
