"""One shard of the embeddings table, from corpus rows to the committed object. No Ray here.

corpus row groups -> texts, each distinct one once -> token sequences          (tokenize_shard, CPU)
-> vectors of full width -> Matryoshka width -> quarantine what is no vector
-> the form to store -> compare a few rows with plain transformers, and neighbours
   with those of full width -> rows again -> write under the fixed name -> record  (ShardEmbedder)
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config import Embed, Encoder
from theta_ray.encoder.encoder import TextEncoder, first_values, make_tokenizer, unit, vector_rules
from theta_ray.encoder.model import load_model
from theta_ray.encoder.neighbours import MAX_TEXTS, evenly_spaced, measure_recall
from theta_ray.encoder.precision import resolve_precision
from theta_ray.encoder.processor import processor_name
from theta_ray.encoder.reference import Reference
from theta_ray.encoder.source import ModelSource, resolve_model
from theta_ray.encoder.stored import QUANTISED, Stored, mean_cosine, to_stored, vector_difference, vector_problems
from theta_ray.encoder.tokenize import Tokenizer
from theta_ray.encoder.tokenized import LAYER_ROWS, ShardTask, TokenizedShard
from theta_ray.errors import InputError, StageError
from theta_ray.schemas import QUARANTINE, embeddings_schema
from theta_ray.store import Partition, ShardWriter, find_record, read_shard


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
        self.rules = vector_rules(job.encoder, job.embed, self.source)
        self._full_width = job.embed.model_copy(update={"dim": None})
        self.encoder = TextEncoder(job.encoder, self._full_width, self.source, device=job.device)
        self._reference: Reference | None = None

    def embed(self, shard: TokenizedShard) -> dict[str, Any]:
        """Make, check and write one shard; its record and seconds as JSON values. A finished one is not made again."""
        job, seconds = self.job, dict(shard.seconds)
        finished = find_record(job.embeddings, shard.task.shard)
        if finished is not None:
            return {"record": asdict(finished), "seconds": {}, "device": self.encoder.device_name, "made": False}
        full, work = self.encoder.embed_sequences(shard.sequences, batch_tokens=job.batch_tokens)
        seconds["forward"] = work.seconds
        vectors = full if full.shape[1] == self.rules.dim else first_values(full, self.rules)
        reasons = vector_problems(vectors)  # before any rounding: a NaN has no sign, a zero vector no scale
        vectors[reasons != ""] = 0
        stored = to_stored(vectors, job.embed.store_dtype)
        restored = stored.restored()
        reasons = np.where(reasons == "", vector_problems(restored), reasons)
        reasons[sorted(work.too_large)] = "out_of_memory"
        started = time.perf_counter()
        parity = self._check_parity(shard, vectors if job.embed.store_dtype in QUANTISED else restored, reasons)
        seconds["parity"] = time.perf_counter() - started
        started = time.perf_counter()
        sound = np.flatnonzero(reasons == "")
        sample = sound[evenly_spaced(len(sound), MAX_TEXTS)]
        recall = measure_recall(full[sample], restored[sample])
        layers = self._compare_layers(shard, full, sound)
        seconds["recall"] = time.perf_counter() - started
        started = time.perf_counter()
        details = {
            "num_rows_in": shard.task.num_rows,
            "num_texts": shard.sequences.num_texts,
            "num_tokens": work.num_tokens,
            "num_padded_tokens": work.num_padded_tokens,
            "mean_cosine": mean_cosine(vectors[sound]),
            "recall": recall._asdict(),
            "layers": layers,
            **parity,
        }
        record = write_shard(job, shard, stored, reasons, details)
        seconds["write"] = time.perf_counter() - started
        return {"record": asdict(record), "seconds": seconds, "device": self.encoder.device_name, "made": True}

    def _check_parity(
        self, shard: TokenizedShard, vectors: npt.NDArray[np.float32], reasons: npt.NDArray[Any]
    ) -> dict[str, Any]:
        """Compare the drawn rows with plain transformers in float32, one text at a time."""
        lowest, compared = 1.0, 0
        for row, text in zip(shard.task.parity_rows, shard.parity_texts, strict=True):
            index = shard.text_of_row[row]
            if reasons[index]:
                continue
            ours, reference = vectors[index].astype(np.float64), self.reference.embed(text).double().numpy()
            cosine = float(ours @ reference / (np.linalg.norm(ours) * np.linalg.norm(reference)))
            if not cosine >= self.job.embed.min_cosine:  # NaN, too, is below every bound
                raise StageError(
                    f"{shard.task.shard}: document {shard.doc_ids[row].as_py()} has cosine {cosine:.6f} with plain "
                    f"transformers, embed.min_cosine is {self.job.embed.min_cosine}; use encoder.precision: float32, "
                    "or accept less in the recipe"
                )
            lowest, compared = min(lowest, cosine), compared + 1
        return {"num_compared": compared, "min_cosine": round(lowest, 9) if compared else None}

    def _compare_layers(
        self, shard: TokenizedShard, full: npt.NDArray[np.float32], sound: npt.NDArray[np.int64]
    ) -> dict[str, Any] | None:
        """What the first layers keep of the whole model, which is loaded for it, on texts of the run's chosen shard."""
        job = self.job
        if job.encoder.num_layers is None or not shard.task.compares_layers:
            return None
        texts = sound[evenly_spaced(len(sound), LAYER_ROWS)]
        whole = job.encoder.model_copy(update={"num_layers": None})
        encoder = TextEncoder(whole, self._full_width, self.source, device=job.device)
        exact, _ = encoder.embed_sequences(shard.sequences.of_texts(texts), batch_tokens=job.batch_tokens)
        is_vector = vector_problems(exact) == ""
        exact, ours = exact[is_vector], full[texts[is_vector]]
        recall = measure_recall(exact, ours)
        cosines = (unit(exact) * unit(ours)).sum(axis=1)
        mean = round(float(cosines.mean()), 4) if len(cosines) else None
        return {"mean_cosine": mean, **recall._asdict()}

    @property
    def reference(self) -> Reference:
        """Plain transformers in float32: the same module where that is its precision already."""
        if self._reference is None:
            job, model = self.job, self.encoder.model
            if not self.encoder.is_plain:
                pooling = self.rules.pooling
                model = load_model(
                    self.source,
                    precision="float32",
                    device=job.device,
                    pooling=pooling,
                    num_layers=job.encoder.num_layers,
                )
            self._reference = Reference(model, self.encoder.tokenizer, job.encoder, self.rules)
        return self._reference


def write_shard(
    job: EmbedJob, shard: TokenizedShard, stored: Stored, reasons: npt.NDArray[Any], details: dict[str, Any]
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
    columns = {
        "doc_id": shard.doc_ids.take(pa.array(kept)),
        **stored.columns(text_of_kept),
        "num_tokens": pa.array(tokens_per_text[text_of_kept], pa.int32()),
    }
    with ShardWriter(job.embeddings, shard.task.shard, schema, made_on=made_on(job)) as writer:
        writer.write(pa.table(columns))
        return writer.publish(quarantined=counts, details=details, epoch=job.epoch, difference=vector_difference)


def made_on(job: EmbedJob) -> dict[str, Any]:
    """What the last bits of a vector depend on beside recipe and text: kernels, and which texts share a batch."""
    import torch

    device = torch.cuda.get_device_name() if job.device.startswith("cuda") else "cpu"
    return {
        "device": device,
        "processor": processor_name(),
        "torch": torch.__version__,
        "precision": resolve_precision(job.encoder.precision, job.device),
        "batch_tokens": job.batch_tokens,
    }
