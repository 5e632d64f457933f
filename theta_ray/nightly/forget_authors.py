"""Which documents forgotten authors have written: tables of a root, or raw inputs, in; digests of their ids out.

Their ids become tombstones before anything is changed: answers and links to them, in any table and on any later night,
are known by these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from theta_ray.config import Config, Corpus
from theta_ray.corpus.document import Document, Unit
from theta_ray.corpus.gone_authors import GoneAuthors
from theta_ray.corpus.listing import list_files, to_shards
from theta_ray.corpus.readers import READERS, has_authors
from theta_ray.corpus.survey import partition_of
from theta_ray.corpus.tombstones import Tombstones, digest_of_id
from theta_ray.corpus.values import stored_id
from theta_ray.errors import MissingInputError
from theta_ray.nightly.forget_scan import KEY, ScanTask, batches_of, tasks_of
from theta_ray.store import Partition
from theta_ray.tasks import Executor

AUTHOR = "author_id"


@dataclass(frozen=True)
class InputTask:
    """Some raw files of one day, or parts of them."""

    corpus: Corpus
    units: tuple[Unit, ...]


def find_documents(
    config: Config, partitions: Sequence[Partition], authors: GoneAuthors, executor: Executor
) -> Tombstones:
    """Ids of what the authors have written.

    Args:
        config: recipe and root.
        partitions: all below the root.
        authors: whom to forget.
        executor: runs the tasks.

    Raises:
        InputError: the store refuses, or a raw input cannot be read.
    """
    corpora = [each for each in partitions if each.table == "corpus"]
    shared = executor.share(_itself, authors)
    found = executor.map(written_in_tables, tasks_of(corpora), shared=shared)
    if _needs_inputs(config):
        mine = [each.date for each in corpora if each.fingerprint == partition_of(config, each.date).fingerprint]
        found += executor.map(written_in_inputs, list(input_tasks(config, sorted(set(mine)))), shared=shared)
    return Tombstones.of_digests(digest for each in found for digest in each["digests"])


def _itself(value: GoneAuthors) -> GoneAuthors:
    return value


def _needs_inputs(config: Config) -> bool:
    corpus = config.recipe.corpus
    return any(has_authors(spec) for spec in corpus.inputs) and (
        corpus.authors == "drop" or config.recipe.forget.read_inputs
    )


def input_tasks(config: Config, days: Sequence[str]) -> Iterator[InputTask]:
    """Shards of the raw inputs of some days; nothing of a day whose files are gone."""
    corpus = config.recipe.corpus
    for day in days:
        try:
            files = list_files(corpus, day)
        except MissingInputError:
            continue
        yield from (InputTask(corpus, tuple(units)) for units in to_shards(corpus, files))


def documents_of(task: InputTask) -> Iterator[tuple[Document, str]]:
    """The documents of some raw files with their sources; rows that are none are left out."""
    for unit in task.units:
        spec = task.corpus.inputs[unit.input_index]
        for row in READERS[spec.reader](unit, spec):
            if isinstance(row, Document):
                yield row, spec.source or spec.reader


def written_in_tables(task: ScanTask, authors: GoneAuthors) -> dict[str, Any]:
    """Digests of ids of documents of the authors in some objects, and how many rows were looked at."""
    digests, num_rows = set[bytes](), 0
    for name in task.names:
        for batch in batches_of(task.partition.at(name), {KEY, AUTHOR}):
            num_rows += batch.num_rows
            if batch.num_columns == 2:
                written = batch.filter(pa.array(_of_authors(batch[AUTHOR], authors)))[KEY]
                digests |= {digest_of_id(doc_id) for doc_id in written.to_pylist()}
    return {"digests": digests, "num_rows": num_rows}


def _of_authors(column: pa.Array, authors: GoneAuthors) -> list[bool]:
    """For each row whether it is of them: every author is looked up once."""
    coded = column.dictionary_encode()
    known = authors.matches(coded.dictionary).tolist()
    return [number is not None and known[number] for number in coded.indices.to_pylist()]


def written_in_inputs(task: InputTask, authors: GoneAuthors) -> dict[str, Any]:
    """Digests of ids of documents of the authors in some raw files, and how many documents were looked at."""
    digests, num_rows = set[bytes](), 0
    for document, _ in documents_of(task):
        num_rows += 1
        if document.author in authors:
            digests.add(digest_of_id(stored_id(document.doc_id)))
    return {"digests": digests, "num_rows": num_rows}
