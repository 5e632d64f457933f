"""A loaded model turns tokenised shards into committed ones. No Ray here.

token sequences -> vectors of full width -> Matryoshka width -> quarantine what is no vector -> the form to store
-> a few rows compared with plain transformers, neighbours with those of full width -> shard -> receipt
"""

from __future__ import annotations

import os
import platform
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from theta_ray.encoder.devices import peak_of
from theta_ray.encoder.earlier_texts import read_taken
from theta_ray.encoder.encoder import TextEncoder, first_values, unit, vector_rules
from theta_ray.encoder.engine import load_engine
from theta_ray.encoder.exports import Export, Exports, TextVectors, Totals
from theta_ray.encoder.flops import count_flops
from theta_ray.encoder.model import load_config, load_model
from theta_ray.encoder.neighbours import MAX_TEXTS, evenly_spaced, measure_recall
from theta_ray.encoder.probes import check_contract, check_probes
from theta_ray.encoder.reference import Reference
from theta_ray.encoder.shard import (
    EmbedJob,
    TextColumns,
    made_on,
    row_details,
    source_on_this_node,
    tokenize_shard,
    write_shard,
)
from theta_ray.encoder.source import num_parameters
from theta_ray.encoder.stored import QUANTISED, Stored, mean_cosine, to_stored, vector_problems
from theta_ray.encoder.timeline import Call
from theta_ray.encoder.tokenize import TokenSequences
from theta_ray.encoder.tokenized import LAYER_ROWS, ShardTask, TokenizedShard
from theta_ray.errors import StageError
from theta_ray.store import Record, find_record

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ShardVectors:
    """The vectors of a shard's N distinct texts, on their way to the table."""

    full: Vectors
    """[N, width of the model]."""
    exact: Vectors
    """[N, dim], before rounding."""
    stored: Stored
    compared: Vectors
    """[N, dim], compared with plain transformers: what readers get back, or `exact` where that is quantised."""
    num_tokens: npt.NDArray[np.int32]
    """[N]."""
    reasons: npt.NDArray[Any]
    """[N], why a vector cannot be stored, or an empty string."""

    @property
    def sound(self) -> npt.NDArray[np.int64]:
        """Texts whose vector can be stored."""
        return np.flatnonzero(self.reasons == "")


class ShardEmbedder:
    """A loaded model that turns tokenised shards into committed ones."""

    def __init__(self, job: EmbedJob) -> None:
        import torch

        loading = time.time()
        torch.set_num_threads(job.threads)
        self.job = job
        self.source = source_on_this_node(job.encoder, job.source)
        self.rules = vector_rules(job.encoder, job.embed, self.source)
        self._full_width = job.embed.model_copy(update={"dim": None})
        self.encoder, self.engine_choice = load_engine(job, self.source)
        if job.encoder.num_layers is None:
            check_probes(self.encoder, job.encoder, self.source)
        else:
            check_contract(job.encoder, self.source, device=job.device)
        self._model_config, self._num_parameters = load_config(self.source), num_parameters(self.source.folder)
        self._peak = peak_of(job.device, self.encoder.precision, self._model_config)
        self._exports = Exports(job, self.encoder.tokenizer, self._embed_sequences)
        self._reference: Reference | None = None
        self._device = threading.Lock()  # one shard computes at a time; others are read or written meanwhile
        self._name = f"{platform.node()}-{os.getpid()}"
        self._loading = loading, time.time()

    def embed_task(self, task: ShardTask) -> dict[str, Any]:
        """Read, tokenise and make one shard; its receipt."""
        began = time.time()
        if (finished := self._finished(task)) is not None:
            return finished
        shard = tokenize_shard(self.job, task)
        return self.embed(shard, (began, began + shard.seconds["read"]))

    def embed(self, shard: TokenizedShard, arrival: tuple[float, float] | None = None) -> dict[str, Any]:
        """Make, check and write one shard; its receipt: record, seconds and places in time, as JSON values.

        Args:
            shard: a finished one is not made again.
            arrival: when work on it began here, and when its texts were read; absent where both were done elsewhere.
        """
        began, was_read = arrival or (time.time(),) * 2
        if (finished := self._finished(shard.task)) is not None:
            return finished
        seconds = dict(shard.seconds)
        exports, taken = self._exports.fetch(shard), read_taken(self.job.earlier, shard.task.shard)
        with self._device:
            times = [began, was_read, time.time()]
            vectors, details = self._compute(shard, exports, seconds)
            times.append(time.time())
            checks = self._check(shard, vectors)
        details |= checks | self._measure(vectors)
        times.append(time.time())
        seconds["check"] = times[-1] - times[-2]
        columns = TextColumns(vectors.stored, vectors.num_tokens, vectors.reasons).followed_by(taken)
        record = write_shard(self.job, shard, columns, details | row_details(shard, columns, taken), made_on(self.job))
        times.append(time.time())
        seconds["write"] = times[-1] - times[-2]
        return {
            **self._about(record, made=True),
            "seconds": seconds,
            "bytes_read": shard.task.text_bytes,
            "peak": asdict(self._peak),
            "call": asdict(Call(self._name, *self._loading, *times)),
        }

    def _finished(self, task: ShardTask) -> dict[str, Any] | None:
        record = find_record(self.job.embeddings, task.shard)
        return None if record is None else self._about(record, made=False)

    def _about(self, record: Record, *, made: bool) -> dict[str, Any]:
        encoder = self.encoder
        kernels = {
            "device": encoder.device_name,
            "precision": encoder.precision,
            **asdict(self.engine_choice),
            **asdict(encoder.kernels),
        }
        return {"record": asdict(record), "made": made, "kernels": kernels}

    def _embed_sequences(self, sequences: TokenSequences) -> TextVectors:
        """Vectors of full width, and what they took."""
        full, work = self.encoder.embed_sequences(sequences, batch_tokens=self.job.batch_tokens)
        num_layers = self.job.encoder.num_layers
        flops = count_flops(self._model_config, sequences.lengths, self._num_parameters, num_layers)
        totals = Totals(sequences.num_texts, work.num_tokens, work.num_padded_tokens, flops)
        too_large = np.zeros(sequences.num_texts, bool)
        too_large[sorted(work.too_large)] = True
        return TextVectors(full, sequences.tokens_per_text(), too_large, totals, work.seconds)

    def _compute(
        self, shard: TokenizedShard, exports: dict[str, Export], seconds: dict[str, float]
    ) -> tuple[ShardVectors, dict[str, Any]]:
        """The vectors of a shard's texts, and what they took."""
        made = self._exports.embed(shard, exports)
        seconds["forward"], full = made.seconds, made.full
        vectors = full if full.shape[1] == self.rules.dim else first_values(full, self.rules)
        reasons = vector_problems(vectors)  # before any rounding: a NaN has no sign, a zero vector no scale
        vectors[reasons != ""] = 0
        stored = to_stored(vectors, self.job.embed.store_dtype)
        compared = vectors if stored.store_dtype in QUANTISED else stored.restored()
        reasons = np.where(reasons == "", vector_problems(compared), reasons)
        reasons[made.too_large] = "out_of_memory"
        return ShardVectors(full, vectors, stored, compared, made.num_tokens, reasons), asdict(made.totals)

    def _check(self, shard: TokenizedShard, vectors: ShardVectors) -> dict[str, Any]:
        """Compare with plain transformers, and with the whole model where the recipe takes the first layers only."""
        parity = self._check_parity(shard, vectors.compared, vectors.reasons)
        return {**parity, "layers": self._compare_layers(shard, vectors.full, vectors.sound)}

    def _measure(self, vectors: ShardVectors) -> dict[str, Any]:
        """What the stored form keeps of neighbours, and how alike all vectors are."""
        sample = vectors.sound[evenly_spaced(len(vectors.sound), MAX_TEXTS)]
        recall = measure_recall(vectors.full[sample], vectors.stored.take(sample).restored())
        return {"mean_cosine": mean_cosine(vectors.exact[vectors.sound]), "recall": recall._asdict()}

    def _check_parity(
        self, shard: TokenizedShard, vectors: npt.NDArray[np.float32], reasons: npt.NDArray[Any]
    ) -> dict[str, Any]:
        """Compare the drawn rows with plain transformers in float32, one text at a time."""
        lowest, compared = 1.0, 0
        for row, text in zip(shard.task.parity_rows, shard.parity_texts, strict=True):
            index = shard.text_of_row[row]
            if index >= len(reasons) or reasons[index]:  # the night that embedded a text has compared some of its own
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
        sound = sound[sound < shard.sequences.num_texts]  # the tokens of shared texts are not here
        if not len(sound):
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
                    device=self.encoder.device,
                    pooling=pooling,
                    num_layers=job.encoder.num_layers,
                )
            self._reference = Reference(model, self.encoder.tokenizer, job.encoder, self.rules)
        return self._reference
