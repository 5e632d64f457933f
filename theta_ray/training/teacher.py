"""A teacher's vectors of the documents that a run trains on: committed embeddings, on this node's own disk.

    embeddings shards -> vectors.npy: a row for each document of the corpus, mapped into memory

Only documents of training pairs take room: the rows of others are holes in the file. A document that a view of the
model's text is cut from has the vector of all of it.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.encoder.stored import read_vectors
from theta_ray.errors import InputError
from theta_ray.manifest import identity_of, manifest_digest, read_manifest
from theta_ray.objects import join
from theta_ray.store import Partition, read_shard
from theta_ray.training.local_copy import LocalCopy, made_once, manifest_of

FILE = "vectors.npy"


def find_teacher(reference: str, root: str, corpus: dict[str, Any] | None = None) -> Partition:
    """The partition that `finetune.loss.teacher` names.

    Args:
        reference: a folder, a URI, or `embeddings/<fingerprint>/dt=<day>` below the root.
        root: of the tables.
        corpus: manifest of the corpus that the pairs are of; None where it is not committed yet.

    Raises:
        InputError: it is no committed embeddings, or of another version of the corpus.
    """
    where = f"finetune.loss.teacher {reference}"
    path = join(root, reference) if reference.startswith("embeddings/") else reference.rstrip("/")
    parts = path.rsplit("/", 3)
    if len(parts) < 4 or parts[1] != "embeddings" or not parts[3].startswith("dt="):
        raise InputError(f"{where}: is no partition of embeddings; name .../embeddings/<fingerprint>/dt=<day>")
    partition = Partition(parts[0], "embeddings", parts[2], parts[3].removeprefix("dt="))
    manifest = read_manifest(partition)
    if manifest is None:
        raise InputError(f"{where}: is not committed; run jobs/embed.py with the teacher's recipe first")
    if corpus is not None and manifest["inputs"]["corpus"] != identity_of(corpus):
        raise InputError(
            f"{where}: is of corpus {manifest['inputs']['corpus']['fingerprint']} version "
            f"{manifest['inputs']['corpus']['version']}, the pairs are of {corpus['fingerprint']} version "
            f"{corpus['version']}; embed that one with the teacher"
        )
    return partition


class TeacherVectors:
    """Vectors of the documents of a run's training pairs.

    Raises:
        InputError: documents of training pairs have none.
    """

    def __init__(self, copy: LocalCopy, teacher: Partition) -> None:
        digest = manifest_digest(manifest_of(teacher))
        name = blake2b(" ".join([copy.folder.name, teacher.path, digest]).encode(), digest_size=8).hexdigest()
        folder, self._use = made_once(name, partial(_copy_vectors, copy, teacher))
        self._values = np.load(folder / FILE, mmap_mode="r")

    @property
    def width(self) -> int:
        """E, the values of a vector."""
        return int(self._values.shape[1])

    def of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """[len(rows), E] vectors of some rows of the documents."""
        vectors: npt.NDArray[np.float32] = self._values[rows].astype(np.float32)
        return vectors


def _copy_vectors(copy: LocalCopy, teacher: Partition, folder: Path) -> None:
    wanted = _in_pairs(copy)
    values, found = None, np.zeros(len(wanted), bool)
    for shard in manifest_of(teacher)["shards"]:
        table = read_shard(teacher, shard["shard"])
        rows = copy.index.rows_of(table.column("doc_id").to_pylist())
        places = np.flatnonzero((rows >= 0) & wanted[rows])
        vectors = read_vectors(table.take(pa.array(places)))
        if values is None:
            stored = table.schema.field("embedding").type.value_type
            kind = np.float16 if stored == pa.float16() else np.float32
            shape = (len(wanted), vectors.shape[1])
            values = np.lib.format.open_memmap(folder / FILE, mode="w+", dtype=kind, shape=shape)
        values[rows[places]] = vectors
        found[rows[places]] = True
    missing = np.flatnonzero(wanted & ~found)
    if len(missing):
        (first,) = copy.documents.values("doc_id", missing[:1])
        raise InputError(
            f"{teacher.path}: lacks the vectors of {len(missing)} documents of the training pairs, such as {first}; "
            "look into the quarantine of that table, and leave such documents out of the corpus"
        )
    assert values is not None, "a training split has documents"
    values.flush()


def _in_pairs(copy: LocalCopy) -> npt.NDArray[np.bool_]:
    """Which documents the training pairs are made of."""
    wanted = np.zeros(len(copy.documents), bool)
    for batch in copy.pairs("train").batches:
        for name in ("anchor", "positive", "negatives"):
            column = batch.column(name)
            rows = column.flatten() if pa.types.is_list(column.type) else column
            wanted[rows.to_numpy()] = True
    return wanted
