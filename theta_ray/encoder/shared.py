"""Hashes of the texts of all shards in; which texts several shards have, and which of them embeds each, out.

    <embeddings partition>/shared/<12 hex>/<shard>.index.parquet  its shared texts by key, each with its owner
                                          /<shard>.parquet        vectors of those that it owns (exports.py)

The owner of a text is the first shard that has it. Shards are those of one version of the corpus, finished or
not, so that a resumed run comes to the same. Keys are the first 8 bytes of the corpus column `text_hash`: they
only propose; the exact text decides, since a cased model tells "US" from "us".
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from theta_ray.config import Resources
from theta_ray.encoder.tokenized import ShardTask, SharedTexts
from theta_ray.errors import StageError
from theta_ray.manifest import manifest_digest
from theta_ray.objects import READERS, read_bytes
from theta_ray.progress import Progress
from theta_ray.steps import reached
from theta_ray.store import METADATA_KEY, Partition, canonical_json, create_same, digest_of, read_shard
from theta_ray.tasks import map_tasks

MIN_SHARE = 0.05
# The driver holds about 55 bytes a row while it sorts: 2.7 GB.
MAX_ROWS = 50_000_000

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Owned:
    """The keys of one shard that others have as well, ascending, and the number of each one's owner."""

    keys: Keys
    owners: npt.NDArray[np.int32]


def find_owners(keys_of_shards: Sequence[Keys]) -> tuple[list[Owned], int]:
    """For each shard the keys that others have, and how many embeddings sharing saves over all of them.

    Args:
        keys_of_shards: the keys of each shard, each once.
    """
    keys = np.concatenate([np.zeros(0, np.uint64), *keys_of_shards])
    shards = np.repeat(np.arange(len(keys_of_shards), dtype=np.int32), [len(keys) for keys in keys_of_shards])
    order = np.argsort(keys, kind="stable")  # of equal keys the first shard's comes first
    keys, shards = keys[order], shards[order]
    starts = np.flatnonzero(np.concatenate([np.ones(len(keys[:1]), bool), keys[1:] != keys[:-1]]))
    sizes = np.diff(starts, append=len(keys))
    owners = np.repeat(shards[starts], sizes)
    shared = np.repeat(sizes > 1, sizes)
    keys, shards, owners = keys[shared], shards[shared], owners[shared]
    by_shard = np.argsort(shards, kind="stable")
    ends = np.cumsum(np.bincount(shards, minlength=len(keys_of_shards)))[:-1]
    parts = zip(np.split(keys[by_shard], ends), np.split(owners[by_shard], ends), strict=True)
    return [Owned(*part) for part in parts][: len(keys_of_shards)], int((sizes - 1).sum())


@dataclass(frozen=True)
class Sharing:
    """Whether the shards of a corpus version share texts, as its embeddings' manifest says."""

    folder: str | None
    """12 hex digits of the corpus manifest and the earlier nights, below `shared/`; None where nothing is shared."""
    finding: str

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def plan_sharing(
    places: tuple[Partition, Partition],
    corpus: dict[str, Any],
    tasks: list[ShardTask],
    resources: Resources,
    earlier: str = "",
) -> Sharing:
    """Find the texts that shards have in common and write an index for each, where that saves enough.

    Args:
        places: the corpus and the embeddings.
        corpus: manifest of the corpus version.
        tasks: all shards of that version, finished ones as well.
        resources: where its hashes are read.
        earlier: identity of the earlier nights whose texts are taken over, and so are not shared.
    """
    num_rows = int(corpus["num_rows"])
    # the manifest bounds it from above: repeats within a shard count here as well
    most = 1 - corpus["counts"]["num_texts"] / max(1, num_rows)
    if len(tasks) < 2:
        return Sharing(None, "one shard")
    if most < MIN_SHARE:
        return Sharing(None, f"at most {most:.1%} of rows repeat a text, below {MIN_SHARE:.0%}")
    if num_rows > MAX_ROWS:
        return Sharing(None, f"{num_rows:,} rows, above the {MAX_ROWS:,} whose hashes the driver can hold")
    keys_of_shards = _read_keys(places[0], tasks, resources)
    owned, num_saved = find_owners(keys_of_shards)
    share = num_saved / sum(len(keys) for keys in keys_of_shards)
    if share < MIN_SHARE:
        return Sharing(None, f"{share:.1%} of texts repeat one of another shard, below {MIN_SHARE:.0%}")
    folder = digest_of([manifest_digest(corpus), earlier])[:12] if earlier else manifest_digest(corpus)[:12]
    _write_indexes((places[1], folder), tasks, owned)
    return Sharing(folder, f"{share:.1%} of texts repeat one of another shard")


def _read_keys(corpus: Partition, tasks: list[ShardTask], resources: Resources) -> list[Keys]:
    """The keys of each shard, each once. The texts are not read."""
    of_corpus_shard: defaultdict[str, list[ShardTask]] = defaultdict(list)
    for task in tasks:
        of_corpus_shard[task.corpus_shard].append(task)
    items = [(corpus, tuple(group)) for group in of_corpus_shard.values()]
    found: dict[str, Keys] = {}
    with Progress("embed: find shared texts", len(items)) as progress:
        for keys in map_tasks(read_text_keys, items, resources, progress):
            found |= keys
            progress.advance(sum(len(each) for each in keys.values()))
    return [found[task.shard] for task in tasks]


def read_text_keys(item: tuple[Partition, tuple[ShardTask, ...]]) -> dict[str, Keys]:
    """The keys of the shards that are made of one corpus shard, by name."""
    corpus, tasks = item
    found = {}
    for task in tasks:
        table = read_shard(corpus, task.corpus_shard, columns=["text_hash"], row_groups=list(task.row_groups))
        found[task.shard] = np.unique(to_keys(table.column("text_hash")))
    return found


def to_keys(hashes: pa.ChunkedArray) -> Keys:
    """The first 8 bytes of each hash."""
    values = pa.concat_arrays(hashes.chunks) if hashes.num_chunks else pa.array([], hashes.type)
    halves = np.frombuffer(values.buffers()[1] or b"", "<u8").reshape(-1, 2)
    return np.asarray(halves[values.offset : values.offset + len(values), 0], np.uint64)


@dataclass(frozen=True)
class Index:
    """The shared texts of one shard, and where its rows lie in the corpus."""

    corpus_shard: str
    row_groups: tuple[int, ...]
    keys: Keys
    """Ascending."""
    owners: tuple[str, ...]
    """Of each key, the shard that embeds its text."""


def index_path(embeddings: Partition, folder: str, shard: str) -> str:
    """Where the index of a shard lies."""
    return embeddings.at("shared", folder, f"{shard}.index.parquet")


def _write_indexes(place: tuple[Partition, str], tasks: list[ShardTask], owned: Iterable[Owned]) -> None:
    names = pa.array([task.shard for task in tasks])

    def write(task: ShardTask, part: Owned) -> None:
        identity = {"corpus_shard": task.corpus_shard, "row_groups": task.row_groups}
        columns = {"key": pa.array(part.keys), "owner": names.take(pa.array(part.owners))}
        table = pa.table(columns).replace_schema_metadata({METADATA_KEY: canonical_json(identity)})
        _create_index(index_path(*place, task.shard), table)
        reached("index_created", place[0].table, task.shard)

    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(write, tasks, owned))


def _create_index(uri: str, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    there = create_same(uri, sink.getvalue().to_pybytes())
    if there is None:
        return
    other = pq.read_table(pa.BufferReader(there))  # another pyarrow may write the same in other bytes
    if not (other.equals(table) and other.schema.metadata == table.schema.metadata):
        raise StageError(f"{uri}: holds other texts than this run finds shared; remove that object, then rerun")


def read_index(embeddings: Partition, folder: str, shard: str) -> Index:
    """The index of a shard.

    Raises:
        StageError: it is gone.
    """
    uri = index_path(embeddings, folder, shard)
    try:
        table = pq.read_table(pa.BufferReader(read_bytes(uri)))
    except FileNotFoundError as error:
        raise StageError(f"{uri}: was removed while a run needed it; rerun") from error
    identity = json.loads(table.schema.metadata[METADATA_KEY])
    keys, owners = table.column("key").to_numpy(), tuple(table.column("owner").to_pylist())
    return Index(identity["corpus_shard"], tuple(identity["row_groups"]), keys, owners)


def split_texts(
    table: pa.Table, index: Index | None, taken: npt.NDArray[np.int32] | None = None
) -> tuple[list[str], SharedTexts, npt.NDArray[np.int32]]:
    """The distinct texts of some rows that no other shard has, those that others may have, and the text of each row.

    Each in the order in which they first occur; those that others may have are numbered after the rest, and those
    that earlier nights embedded, which are not returned, after both.

    Args:
        table: columns `text` and, with an index, `text_hash`.
        index: absent where nothing is shared.
        taken: first rows of the texts that earlier nights embedded, ascending; absent: of none.
    """
    # The exact text, not its normalised hash: a cased model tells "US" from "us".
    texts = table.column("text").combine_chunks().dictionary_encode()
    distinct, text_of_row = texts.dictionary.to_pylist(), texts.indices.to_numpy().astype(np.int32)
    is_sharing = index is not None and len(index.keys) > 0
    if not is_sharing and taken is None:
        return distinct, SharedTexts(), text_of_row
    kinds, places = np.zeros(len(distinct), np.int8), np.zeros(len(distinct), np.int64)
    if index is not None and is_sharing:
        _, first_rows = np.unique(text_of_row, return_index=True)
        keys = to_keys(table.column("text_hash"))[first_rows]
        places = np.searchsorted(index.keys, keys).clip(max=len(index.keys) - 1)
        kinds[index.keys[places] == keys] = 1
    if taken is not None:
        kinds[text_of_row[taken]] = 2
    order = np.argsort(kinds, kind="stable")
    numbers = np.empty(len(order), np.int32)
    numbers[order] = np.arange(len(order), dtype=np.int32)
    own, shared = (np.flatnonzero(kinds == kind) for kind in (0, 1))
    owners = tuple(index.owners[place] for place in places[shared]) if index is not None else ()
    return [distinct[i] for i in own], SharedTexts(tuple(distinct[i] for i in shared), owners), numbers[text_of_row]
