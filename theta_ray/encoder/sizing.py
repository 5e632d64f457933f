"""What an embedding job would take: tokens counted on a sample of its texts, seconds timed on some packs of them.

    row groups, drawn by their bytes -> a few rows of each -> token sequences -> tokens and operations of all rows
    packs of those sequences -> timed on this CPU, its other cores as busy as the run makes them -> seconds

A GPU is not touched: its time is the operations over a stated share of its peak.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from theta_ray.encoder.devices import peak_of
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.flops import count_flops
from theta_ray.encoder.model import load_config
from theta_ray.encoder.shard import EmbedJob
from theta_ray.encoder.source import num_parameters
from theta_ray.encoder.tokenize import Tokenizer, TokenSequences
from theta_ray.encoder.tokenized import ShardTask
from theta_ray.store import read_shard

NUM_DRAWS = 16
BYTES_PER_DRAW = 32 * 2**10
MIN_TEXTS_PER_DRAW = 8
# Seconds that are timed, how long one pack may take of them, and packs of a model that is too slow for either.
SECONDS_OF_PACKS, SECONDS_PER_PACK, MIN_PACKS, MIN_TOKENS_PER_PACK = 1.5, 0.25, 3, 128
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Stratum:
    """Some texts, and how many rows and bytes of text they stand for."""

    texts: list[str]
    num_rows: float
    num_bytes: float


@dataclass(frozen=True)
class Load:
    """What there is to compute, and the sequences that it was counted on."""

    num_tokens: int
    flops: int
    tokenize_seconds: float
    """In one process."""
    sequences: TokenSequences


@dataclass(frozen=True)
class Rate:
    """What one actor was seen to do on this machine's CPU."""

    flops: float
    """Operations a second, on packs such as the run's."""
    load_seconds: float
    """The model and what it is compared with, from their files to the first pack."""
    single_seconds: float
    """One text alone, as the comparison with plain transformers reads it."""


def draw_strata(job: EmbedJob, corpus: dict[str, Any], tasks: list[ShardTask]) -> list[Stratum]:
    """Rows of some row groups of the shards to make: groups in proportion to their bytes, rows at even distances."""
    shards = {shard["shard"]: shard["details"]["row_groups"] for shard in corpus["shards"]}
    places = [(task.corpus_shard, group) for task in tasks for group in task.row_groups]
    ends = np.cumsum([shards[shard][group]["text_bytes"] for shard, group in places])
    if not len(ends) or not ends[-1]:
        return []
    # each distinct text is embedded once
    share = corpus["counts"]["num_texts"] / corpus["num_rows"]
    positions = (np.arange(NUM_DRAWS) + 0.5) / NUM_DRAWS * ends[-1]
    drawn, counts = np.unique(np.searchsorted(ends, positions), return_counts=True)
    strata = []
    for (shard, group), count in zip([places[index] for index in drawn], counts.tolist(), strict=True):
        texts = read_shard(job.corpus, shard, columns=["text"], row_groups=[group])["text"].to_pylist()
        figures, num_bytes = shards[shard][group], float(ends[-1]) * share * count / NUM_DRAWS
        num_rows = figures["num_rows"] * num_bytes / figures["text_bytes"]
        strata.append(Stratum(even_texts(texts, count * BYTES_PER_DRAW), num_rows, num_bytes))
    return strata


def even_texts(texts: list[str], num_bytes: int) -> list[str]:
    """About `num_bytes` of `texts`, at even distances; a few at least."""
    total = sum(len(text.encode()) for text in texts)
    count = min(len(texts), max(MIN_TEXTS_PER_DRAW, round(len(texts) * num_bytes / max(1, total))))
    return [texts[int((place + 0.5) * len(texts) / count)] for place in range(count)]


def count_load(job: EmbedJob, tokenizer: Tokenizer, strata: list[Stratum]) -> Load:
    """Tokens and operations of everything that the strata stand for."""
    config, num_weights = load_config(job.source), num_parameters(job.source.folder)
    num_tokens, flops, seconds, parts = 0.0, 0.0, 0.0, []
    for stratum in strata:
        started = time.perf_counter()
        sequences = tokenizer.encode(stratum.texts)
        elapsed = time.perf_counter() - started
        sizes = np.array([len(text.encode()) for text in stratum.texts], np.float64)
        per_text = sequences.tokens_per_text().astype(np.float64)
        tokens = stratum.num_rows * mean_at(per_text, sizes, stratum.num_bytes / stratum.num_rows)
        cost = count_flops(config, sequences.lengths, num_weights, job.encoder.num_layers)
        num_tokens += tokens
        flops += tokens * cost / max(1.0, per_text.sum())
        seconds += elapsed * stratum.num_bytes / max(1.0, sizes.sum())
        parts.append(sequences)
    return Load(round(num_tokens), round(flops), seconds, _joined(parts))


def mean_at(values: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], size: float) -> float:
    """Mean of `values` where `sizes` would have the mean `size`, by the line through both (regression estimator)."""
    spread = sizes - sizes.mean()
    variance = float(spread @ spread)
    slope = float(spread @ values) / variance if variance else 0.0
    return max(0.0, float(values.mean()) + slope * (size - float(sizes.mean())))


def _joined(parts: list[TokenSequences]) -> TokenSequences:
    lengths = np.concatenate([np.zeros(1, np.int64), *(part.lengths for part in parts)])
    starts = np.cumsum([0, *(part.num_texts for part in parts)])
    owners = [part.text_index + start for part, start in zip(parts, starts.tolist(), strict=False)]
    tokens = np.concatenate([np.zeros(0, np.int32), *(part.tokens for part in parts)])
    text_index = np.concatenate([np.zeros(0, np.int32), *owners]).astype(np.int32)
    return TokenSequences(tokens, np.cumsum(lengths), text_index, int(starts[-1]))


def measure_rate(job: EmbedJob, load: Load, num_busy: int) -> Rate:
    """The speed of one actor on this CPU while `num_busy` other cores compute as well."""
    sequences, num_threads = load.sequences, torch.get_num_threads()
    torch.set_num_threads(job.threads)
    try:
        started = time.perf_counter()
        encoder = TextEncoder(job.encoder, job.embed, job.source, device="cpu")
        order = np.argsort(-sequences.lengths, kind="stable")
        encoder.embed_sequences(_taken(sequences, order[-1:]), batch_tokens=job.batch_tokens)
        # where the model's weights were changed to be fast, the comparison loads them once more
        load_seconds = (time.perf_counter() - started) * (1 if encoder.is_plain else 2)
        config, num_weights = load_config(job.source), num_parameters(job.source.folder)
        with _busy(num_busy):
            peak = peak_of("cpu", encoder.precision, config)
            likely = SECONDS_PER_PACK * peak.flops / 2 / (load.flops / load.num_tokens)
            packs = _runs(sequences, order, min(job.batch_tokens, max(MIN_TOKENS_PER_PACK, int(likely))))
            flops, seconds = 0, 0.0
            for number, pack in enumerate(packs):
                if seconds > SECONDS_OF_PACKS and number >= MIN_PACKS:
                    break
                began = time.perf_counter()
                encoder.embed_sequences(pack, batch_tokens=job.batch_tokens)
                seconds += time.perf_counter() - began
                flops += count_flops(config, pack.lengths, num_weights, job.encoder.num_layers)
            began = time.perf_counter()
            singles = order[[len(order) // 4, len(order) // 2, len(order) * 3 // 4]]
            for place in singles:
                encoder.embed_sequences(_taken(sequences, np.array([place])), batch_tokens=job.batch_tokens)
            return Rate(flops / seconds, load_seconds, (time.perf_counter() - began) / len(singles))
    finally:
        torch.set_num_threads(num_threads)


def _taken(sequences: TokenSequences, places: npt.NDArray[np.int64]) -> TokenSequences:
    """Some of the sequences, each a text of its own."""
    offsets = sequences.offsets
    tokens = np.concatenate([sequences.tokens[offsets[place] : offsets[place + 1]] for place in places])
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(sequences.lengths[places])])
    return TokenSequences(tokens, ends, np.arange(len(places), dtype=np.int32), len(places))


def _runs(sequences: TokenSequences, order: npt.NDArray[np.int64], num_tokens: int) -> Iterator[TokenSequences]:
    """Packs of near-equal lengths as a run has them: spread over all lengths from the first few on."""
    run_of_place = np.cumsum(sequences.lengths[order]) // num_tokens
    starts = np.flatnonzero(np.diff(run_of_place, prepend=-1))
    runs = np.split(order, starts[1:])
    for number in np.argsort((np.arange(len(runs)) + 1) * GOLDEN % 1):
        yield _taken(sequences, runs[number])


@contextmanager
def _busy(num_threads: int) -> Iterator[None]:
    """Keep some threads multiplying matrices, as other actors on the same machine will."""
    done = threading.Event()

    def multiply() -> None:
        torch.set_num_threads(1)
        left, right = torch.rand(1024, 384), torch.rand(384, 1536)
        while not done.is_set():
            torch.mm(left, right)

    threads = [threading.Thread(target=multiply, daemon=True) for _ in range(num_threads)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
