"""Stage that only reads: the committed corpus and embeddings as one short page with examples."""

from __future__ import annotations

import json
import math
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from theta_ray.config import Config
from theta_ray.encoder import embed
from theta_ray.encoder.job import make_job
from theta_ray.encoder.neighbours import nearest_neighbours
from theta_ray.encoder.shard import EmbedJob
from theta_ray.encoder.stored import read_vectors
from theta_ray.errors import InputError
from theta_ray.manifest import read_manifest
from theta_ray.runcard import RULE, Plan, RunCard, load_run_card, page_line, printable
from theta_ray.schemas import CORPUS
from theta_ray.store import read_shard
from theta_ray.table import open_table

NUM_EXAMPLES, NUM_NEIGHBOURS = 3, 2
MAX_ROWS = 20_000
# From here on two texts share most of their words, and tell little about the embeddings.
NEAR_COPY_COSINE = 0.8
TEXT_WIDTH, LINE_WIDTH = 180, 88


@dataclass(frozen=True)
class Example:
    """A document and its nearest neighbours of other text, with their cosines."""

    text: str
    neighbours: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Preview:
    """The page that `make sample` ends with."""

    title: str
    figures: dict[str, Any]
    quarantined: dict[str, int]
    examples: tuple[Example, ...]
    below: float = NEAR_COPY_COSINE

    def page(self) -> str:
        """The page for a terminal; texts are cut and made harmless."""
        lines = ["", self.title, RULE]
        for name, value in self.figures.items():
            lines.append(page_line(name.replace("_", " "), value))
            if name == "quarantined":
                lines += [page_line(f"  {reason}", count) for reason, count in sorted(self.quarantined.items())]
        lines += ["", f"{len(self.examples)} documents drawn at random and their nearest neighbours"]
        lines += [f"(cosine below {self.below:.3g}: closer ones are near-copies)", RULE]
        for example in self.examples:
            lines += _wrapped(example.text, "  ")
            for cosine, text in example.neighbours:
                lines += _wrapped(text, f"    {cosine:5.2f}  ")
        return "\n".join(lines) + "\n"

    def json_line(self) -> str:
        """The figures in one line of JSON; no text."""
        return json.dumps({**self.figures, "quarantined": self.quarantined}) + "\n"


def _wrapped(text: str, start: str) -> list[str]:
    """A text on few lines, the first after `start`."""
    line = printable(text, TEXT_WIDTH)
    return textwrap.wrap(line, LINE_WIDTH, initial_indent=start, subsequent_indent=" " * len(start)) or [start]


def plan(config: Config, day: str) -> Plan:
    """What embedding would do; the preview itself only reads."""
    return embed.plan(config, day)


def run(config: Config, day: str) -> Preview:
    """Read the tables of a day.

    Raises:
        InputError: the embeddings are not committed.
    """
    job = make_job(config, day)
    manifest = read_manifest(job.embeddings)
    if manifest is None:
        raise InputError(f"{job.embeddings.path}: not committed; run jobs/embed.py for {day} first")
    # the version that was embedded: a newer one of the corpus may be there already
    corpus_card = load_run_card(job.corpus, manifest["inputs"]["corpus"]["version"])
    embed_card = load_run_card(job.embeddings, manifest["version"])
    if corpus_card is None or embed_card is None:
        raise InputError(f"{job.embeddings.path}: has no run card; run jobs/embed.py for {day} again")
    quarantined = {**corpus_card.quarantined, **embed_card.quarantined}
    figures = _figures(corpus_card, embed_card)
    examples = _examples(job, manifest, config.recipe.embed.seed)
    below = near_copy_cosine(job.embed.store_dtype)
    return Preview(f"{config.recipe.name}  {day}", figures, quarantined, examples, below)


def near_copy_cosine(store_dtype: str) -> float:
    """From where on two texts are near-copies. Of signs: vectors at angle a share 1 - a / pi of them, on average."""
    return 1 - 2 * math.acos(NEAR_COPY_COSINE) / math.pi if store_dtype == "binary" else NEAR_COPY_COSINE


def _figures(corpus: RunCard, embeddings: RunCard) -> dict[str, Any]:
    shown = embeddings.figures
    return {
        "documents_in": corpus.figures["documents_in"],
        "quarantined": sum([*corpus.quarantined.values(), *embeddings.quarantined.values()]),
        "languages": corpus.figures["languages"],
        "duplicates_collapsed": shown["duplicates_collapsed"],
        "embedded": shown["embedded"],
        "tokens": shown["tokens"],
        "tokens_per_second": shown["tokens_per_second"],
        "padding_share": f"{100 * shown['padding_share']:.1f} %",
        "smallest_cosine": f"{shown['smallest_cosine']}  ({shown['rows_compared']} rows against plain transformers)",
        "vectors": shown["vectors"],
        "corpus": corpus.path,
        "embeddings": embeddings.path,
    }


def _examples(job: EmbedJob, manifest: dict[str, Any], seed: int) -> tuple[Example, ...]:
    """Random documents of the first shards, each with the closest documents of other text."""
    doc_ids, vectors = _first_vectors(job, manifest)
    texts = _texts_of(job, manifest["inputs"]["corpus"]["version"], set(doc_ids))
    ids_of_texts = np.unique([texts[doc_id] for doc_id in doc_ids], return_inverse=True)[1]
    num_texts = int(ids_of_texts.max(initial=-1)) + 1
    if num_texts <= NUM_NEIGHBOURS:
        return ()
    queries = np.random.default_rng(seed).choice(len(doc_ids), min(NUM_EXAMPLES, len(doc_ids)), replace=False)
    rows, cosines = nearest_neighbours(
        vectors, queries, ids_of_texts, num_neighbours=NUM_NEIGHBOURS, below=near_copy_cosine(job.embed.store_dtype)
    )
    return tuple(
        Example(
            texts[doc_ids[q]],
            tuple((float(c), texts[doc_ids[r]]) for r, c in zip(near, close, strict=True) if np.isfinite(c)),
        )
        for q, near, close in zip(queries, rows, cosines, strict=True)
    )


def _first_vectors(job: EmbedJob, manifest: dict[str, Any]) -> tuple[list[str], npt.NDArray[Any]]:
    doc_ids: list[str] = []
    vectors = []
    for shard in manifest["shards"]:
        table = read_shard(job.embeddings, shard["shard"])
        doc_ids += table.column("doc_id").to_pylist()
        vectors.append(read_vectors(table))
        if len(doc_ids) >= MAX_ROWS:
            break
    return doc_ids, np.concatenate(vectors) if vectors else np.empty((0, job.dim))


def _texts_of(job: EmbedJob, version: int, doc_ids: set[str]) -> dict[str, str]:
    """Texts of some documents, batch by batch."""
    texts = {}
    for batch in open_table(job.corpus.path, version, schema=CORPUS).to_batches(columns=["doc_id", "text"]):
        for doc_id, text in zip(batch["doc_id"].to_pylist(), batch["text"].to_pylist(), strict=True):
            if doc_id in doc_ids:
                texts[doc_id] = text
        if len(texts) == len(doc_ids):
            break  # the first shards of both tables hold the same documents
    return texts
