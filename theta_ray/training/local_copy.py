"""The corpus and the pairs of a run on this node's own disk, mapped into memory: any row at once, none of it in RAM.

    corpus shards            -> documents.arrow: text, text_hash, tags; a batch for each row group
                             -> keys.npy: 64-bit keys of doc_id, sorted, and rows.npy: where each is
    pairs shards of a split  -> <split>.arrow: rows of anchor, positive and negatives, group

Made once on a node by whoever comes first; the others wait at its lock. The folder's name holds both manifests'
digests, so that another version of either is another copy. Copies that no process has open any more are removed, a day
after they were made, by the next run that makes one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.errors import InputError
from theta_ray.manifest import manifest_digest, read_manifest
from theta_ray.store import Partition, read_shard

DOCUMENT_COLUMNS = ["doc_id", "text", "text_hash", "tags"]
PAIRS = pa.schema(
    [
        ("anchor", pa.int64()),
        ("more_anchors", pa.list_(pa.int64())),
        ("positive", pa.int64()),
        ("negatives", pa.list_(pa.int64())),
        ("group", pa.string()),
        ("kind", pa.string()),
        ("weight", pa.float32()),
    ]
)
MIN_AGE_SECONDS = 24 * 3600
IDS = {"anchor_id": "anchor", "positive_id": "positive"}
LISTS_OF_IDS = {"more_anchor_ids": "more_anchors", "negative_ids": "negatives"}
COPIED = ("group", "kind", "weight")
Rows = npt.NDArray[np.int64]


class Batches:
    """An Arrow file's record batches, and its rows by number."""

    def __init__(self, path: Path) -> None:
        file = pa.ipc.open_file(pa.memory_map(str(path)))
        self.batches = [file.get_batch(number) for number in range(file.num_record_batches)]
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self.batches)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def values(self, column: str, rows: Rows) -> list[Any]:
        """A column's values at some rows, in their order."""
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        places = (rows - self._starts[numbers]).tolist()
        return [
            self.batches[n].column(column)[place].as_py() for n, place in zip(numbers.tolist(), places, strict=True)
        ]

    def distinct(self, column: str) -> list[str]:
        """A column's different values, sorted, without nulls."""
        found = set[str | None]().union(*(pc.unique(batch.column(column)).to_pylist() for batch in self.batches))
        return sorted(value for value in found if value is not None)


class Index:
    """Which row of the documents an id has, by keys in memory-mapped files."""

    def __init__(self, folder: Path) -> None:
        self._keys, self._rows = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("keys", "rows"))
        self._documents = Batches(folder / "documents.arrow")

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """[len(ids)], -1 for an id that there is not."""
        wanted = np.fromiter((key_of(doc_id) for doc_id in ids), np.int64, len(ids))
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        found: Rows = np.asarray(self._rows)[places]
        for number, there in enumerate(self._documents.values("doc_id", found)):
            while there != ids[number]:  # another document may have the same key; those of one key lie side by side
                places[number] += 1
                if places[number] == len(self._keys) or self._keys[places[number]] != wanted[number]:
                    found[number] = -1
                    break
                found[number] = self._rows[places[number]]
                (there,) = self._documents.values("doc_id", found[number : number + 1])
        return found


class LocalCopy:
    """Documents and pairs of one run on this node."""

    def __init__(self, corpus: Partition, pairs: Partition) -> None:
        digests = [manifest_digest(manifest_of(partition)) for partition in (corpus, pairs)]
        name = blake2b(" ".join([corpus.path, pairs.path, *digests]).encode(), digest_size=8).hexdigest()
        self.folder, self._use = made_once(name, partial(_copy, corpus, pairs))
        self.path = pairs.path

    @cached_property
    def documents(self) -> Batches:
        """Columns doc_id, text, text_hash and tags."""
        return Batches(self.folder / "documents.arrow")

    @cached_property
    def index(self) -> Index:
        """Rows of the documents by their ids."""
        return Index(self.folder)

    def pairs(self, split: str) -> Batches:
        """The pairs of `train` or `test`: anchor, positive and negatives as rows of the documents."""
        return Batches(self.folder / f"{split}.arrow")


def key_of(text: str | bytes) -> int:
    """A 63-bit key: among a hundred million strings two are alike with a chance of 1 in 2,000."""
    data = text.encode() if isinstance(text, str) else text
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little") >> 1


def made_once(name: str, make: Callable[[Path], None]) -> tuple[Path, IO[str]]:
    """A folder that the first of this node's processes fills, and the mark of its use, as long as that file is open.

    Args:
        name: tells what is in it.
        make: fills a folder; the others wait for it.
    """
    top = Path(tempfile.gettempdir()) / f"theta-ray-training-{os.getuid()}"
    top.mkdir(mode=0o700, exist_ok=True)
    folder = top / name
    use = _use_of(folder).open("w")
    fcntl.flock(use, fcntl.LOCK_SH)
    with (top / f"{name}.making").open("w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        if not folder.exists():
            _remove_unused(top)
            partly = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=top))
            try:
                make(partly)
                partly.rename(folder)
            finally:
                shutil.rmtree(partly, ignore_errors=True)
    return folder, use


def _use_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.used")


def _remove_unused(top: Path) -> None:
    """Remove the copies that are old and that nobody has open."""
    for folder in top.iterdir():
        if not folder.is_dir() or time.time() - folder.stat().st_mtime < MIN_AGE_SECONDS:
            continue
        with _use_of(folder).open("w") as use, suppress(BlockingIOError):
            fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def manifest_of(partition: Partition) -> dict[str, Any]:
    """The newest manifest.

    Raises:
        InputError: there is none.
    """
    manifest = read_manifest(partition)
    if manifest is None:
        raise InputError(f"{partition.path}: not committed; run the job that makes {partition.table} first")
    return manifest


def _tables(partition: Partition, columns: list[str]) -> Iterator[pa.Table]:
    for shard in manifest_of(partition)["shards"]:
        yield read_shard(partition, shard["shard"], columns=columns)


def _copy(corpus: Partition, pairs: Partition, folder: Path) -> None:
    _copy_documents(corpus, folder)
    _copy_pairs(pairs, folder)


def _copy_documents(corpus: Partition, folder: Path) -> None:
    keys: list[npt.NDArray[np.int64]] = []
    writer = None
    with pa.OSFile(str(folder / "documents.arrow"), "wb") as file:
        for table in _tables(corpus, DOCUMENT_COLUMNS):
            writer = writer or pa.ipc.new_file(file, table.schema)
            writer.write_table(table)
            ids = table.column("doc_id").to_pylist()
            keys.append(np.fromiter((key_of(doc_id) for doc_id in ids), np.int64, len(ids)))
        if writer is None:
            raise InputError(f"{corpus.path}: has no documents; give the recipe an input that has")
        writer.close()
    all_keys = np.concatenate(keys)
    rows = np.argsort(all_keys, kind="stable")
    np.save(folder / "keys.npy", all_keys[rows])
    np.save(folder / "rows.npy", rows)


def _copy_pairs(pairs: Partition, folder: Path) -> None:
    index = Index(folder)
    paths = {split: folder / f"{split}.arrow" for split in ("train", "test")}
    with (
        pa.ipc.new_file(str(paths["train"]), PAIRS) as train,
        pa.ipc.new_file(str(paths["test"]), PAIRS) as test,
    ):
        for table in _tables(pairs, [*IDS, *LISTS_OF_IDS, *COPIED, "split"]):
            placed = _placed(table, index, pairs)
            for split, writer in (("train", train), ("test", test)):
                mask = pc.equal(table.column("split"), split)
                writer.write_table(placed.filter(mask).combine_chunks())


def _placed(table: pa.Table, index: Index, pairs: Partition) -> pa.Table:
    """The pairs with rows of documents in the place of ids."""

    def rows_of(ids: Sequence[str]) -> Rows:
        found = index.rows_of(ids)
        if len(missing := np.flatnonzero(found < 0)):
            where = f"{pairs.path}: names document {ids[missing[0]]}"
            raise InputError(f"{where}, which the corpus lacks; mine the pairs again")
        return found

    columns = {name: table.column(name).combine_chunks() for name in COPIED}
    for column, name in IDS.items():
        columns[name] = pa.array(rows_of(table.column(column).to_pylist()))
    for column, name in LISTS_OF_IDS.items():
        lists = table.column(column).combine_chunks()
        flat = pa.array(rows_of(lists.flatten().to_pylist()))
        columns[name] = pa.ListArray.from_arrays(_offsets(lists), flat)
    return pa.table(columns).select(PAIRS.names).cast(PAIRS)


def _offsets(lists: pa.ListArray) -> pa.Array:
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy()
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
