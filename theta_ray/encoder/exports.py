"""Vectors of texts that several shards have: made and published once, looked up by all others. No Ray here.

    read what others have published -> own shared texts, published -> other texts of the shard
    -> what others have published meanwhile, or make it in their place -> texts that they turn out not to have

Nobody waits for anybody, so any order of shards and any kill is safe. A shard publishes before it computes
the rest, so that those beside it find its vectors when they have computed theirs. A publication is an exclusive
create: the first stays, and whoever comes second takes that one.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from theta_ray.encoder.earlier_texts import taken_rows
from theta_ray.encoder.shard import EmbedJob, made_on
from theta_ray.encoder.shared import read_index, split_texts
from theta_ray.encoder.stored import from_column, to_column, vector_difference, vector_problems
from theta_ray.encoder.text_keys import text_digest
from theta_ray.encoder.tokenize import Tokenizer, TokenSequences
from theta_ray.encoder.tokenized import TokenizedShard
from theta_ray.errors import StageError
from theta_ray.objects import list_names, read_bytes
from theta_ray.steps import reached
from theta_ray.store import METADATA_KEY, canonical_json, create_same, read_shard

# What an actor keeps of other shards' vectors, instead of reading them again for each of its shards.
CACHE_BYTES = 2**28
# Read side by side; each is in memory whole until the rows that are needed have been taken.
NUM_FETCHES = 4


@dataclass
class Totals:
    """Sums over texts, as records of shards hold them."""

    num_texts: int = 0
    num_tokens: int = 0
    num_padded_tokens: int = 0
    model_flops: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class TextVectors:
    """What the model made of N texts, and what it took."""

    full: npt.NDArray[np.float32]
    """[N, width of the model]."""
    num_tokens: npt.NDArray[np.int32]
    """[N]."""
    too_large: npt.NDArray[np.bool_]
    """[N], a sequence of the text did not fit the device's memory; the vector is NaN."""
    totals: Totals
    seconds: float = 0.0


@dataclass(frozen=True)
class Export:
    """The vectors of an owner's shared texts, as published."""

    row_of: dict[bytes, int]
    """By digest of the exact text."""
    vectors: TextVectors

    def only(self, digests: Iterable[bytes]) -> Export:
        """A copy of these rows, as far as they are there, so that the rest can be forgotten."""
        row_of = {digest: self.row_of[digest] for digest in digests if digest in self.row_of}
        rows, made = list(row_of.values()), self.vectors
        vectors = TextVectors(made.full[rows], made.num_tokens[rows], made.too_large[rows], made.totals)
        return Export(dict(zip(row_of, range(len(rows)), strict=True)), vectors)


class Exports:
    """The shared texts of shards become vectors.

    Args:
        job: `job.shared` is the folder of the run's shared texts.
        tokenizer: of the model.
        embed: gives sequences their vectors.
    """

    def __init__(self, job: EmbedJob, tokenizer: Tokenizer, embed: Callable[[TokenSequences], TextVectors]) -> None:
        self._job, self._tokenizer, self._embed = job, tokenizer, embed
        self._kept: dict[str, Export] = {}
        self._room = CACHE_BYTES

    def fetch(self, shard: TokenizedShard) -> dict[str, Export]:
        """What other owners of a shard's texts have published so far."""
        wanted = _by_owner(shard)
        wanted.pop(shard.task.shard, None)
        if not wanted:
            return {}
        published = set(list_names(self._job.embeddings.at("shared", self._folder)))

        def find(owner: str) -> Export | None:
            export = self._find(owner) if f"{owner}.parquet" in published else None
            return None if export is None else export.only(wanted[owner])

        with ThreadPoolExecutor(NUM_FETCHES) as pool:
            found = zip(wanted, pool.map(find, wanted), strict=True)
            return {owner: export for owner, export in found if export is not None}

    def embed(self, shard: TokenizedShard, found: dict[str, Export]) -> TextVectors:
        """The vectors of all texts of a shard; totals count its own shared texts, whoever embedded them.

        Args:
            shard: where none of its texts are shared nothing is read or published.
            found: from `fetch`, some time ago.
        """
        me, shared, wanted = shard.task.shard, shard.shared, _by_owner(shard)
        if not shared.texts:
            return self._embed(shard.sequences)
        exports, seconds, counted = dict(found), 0.0, Totals()
        if me in wanted:
            mine = [text for text, owner in zip(shared.texts, shared.owners, strict=True) if owner == me]
            exports[me], seconds = self._find_or_make(me, mine)
            counted = exports[me].vectors.totals
        own = self._embed(shard.sequences)
        for owner in _in_turn(set(wanted) - set(exports), me):
            export, spent = self._find_or_make(owner)
            exports[owner] = export.only(wanted[owner])
            seconds += spent
        pairs = zip(shared.texts, shared.owners, strict=True)
        places = [exports[owner].row_of.get(text_digest(text)) for text, owner in pairs]
        # the owner has a text of the same hash and not this one: it is embedded here
        missing = [number for number, place in enumerate(places) if place is None]
        rest = self._embed(self._tokenizer.encode([shared.texts[number] for number in missing])) if missing else None
        looked_up = [(exports[owner].vectors, place) for owner, place in zip(shared.owners, places, strict=True)]
        for number, place in enumerate(missing):
            assert rest is not None
            looked_up[place] = rest, number
        counted = counted + own.totals + (rest.totals if rest else Totals())
        return _joined(own, looked_up, counted, seconds + own.seconds + (rest.seconds if rest else 0.0))

    @property
    def _folder(self) -> str:
        assert self._job.shared is not None, "a shard with shared texts comes from a run that has some"
        return self._job.shared

    def _path(self, owner: str) -> str:
        return self._job.embeddings.at("shared", self._folder, f"{owner}.parquet")

    def _find(self, owner: str) -> Export | None:
        """What an owner has published, from here or from the store."""
        if owner in self._kept:
            return self._kept[owner]
        try:
            export = _from_table(pq.read_table(pa.BufferReader(read_bytes(self._path(owner)))))
        except FileNotFoundError:
            return None
        return self._keep(owner, export)

    def _keep(self, owner: str, export: Export) -> Export:
        size = export.vectors.full.nbytes
        if owner not in self._kept and size <= self._room:
            self._kept[owner] = export
            self._room -= size
        return export

    def _find_or_make(self, owner: str, texts: list[str] | None = None) -> tuple[Export, float]:
        """What an owner has published, or is now published in its name; and the seconds that its model took."""
        export = self._find(owner)
        if export is not None:
            return export, 0.0
        texts = self._owned_texts(owner) if texts is None else texts
        made = self._embed(self._tokenizer.encode(texts))
        reached("export_computed", self._job.embeddings.table, owner)
        identity = {"shard": owner, "made_on": made_on(self._job), "totals": asdict(made.totals)}
        table = publish(self._path(owner), _to_table(texts, made, identity))
        reached("export_created", self._job.embeddings.table, owner)
        return self._keep(owner, _from_table(table)), made.seconds

    def _owned_texts(self, owner: str) -> list[str]:
        index = read_index(self._job.embeddings, self._folder, owner)
        columns, row_groups = ["text", "text_hash"], list(index.row_groups)
        table = read_shard(self._job.corpus, index.corpus_shard, columns=columns, row_groups=row_groups)
        _, shared, _ = split_texts(table, index, taken_rows(self._job.earlier, owner))
        return [text for text, of in zip(shared.texts, shared.owners, strict=True) if of == owner]


def _by_owner(shard: TokenizedShard) -> dict[str, list[bytes]]:
    """Digests of the texts that a shard needs of each owner."""
    wanted: defaultdict[str, list[bytes]] = defaultdict(list)
    for text, owner in zip(shard.shared.texts, shard.shared.owners, strict=True):
        wanted[owner].append(text_digest(text))
    return dict(wanted)


def publish(uri: str, table: pa.Table) -> pa.Table:
    """Create an export; where there is one, that one, if it says the same within what its device promises.

    Raises:
        StageError: it says something else.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    there = create_same(uri, sink.getvalue().to_pybytes())
    if there is None:
        return table
    other = pq.read_table(pa.BufferReader(there))
    why = export_difference(table, other)
    if why is not None:
        raise StageError(f"{uri}: other vectors than this attempt made ({why}); remove that object, then rerun")
    return other


def export_difference(mine: pa.Table, there: pa.Table) -> str | None:
    """Why two attempts at an export are not the same; None: they are, within the tolerance of `vector_difference`."""
    made_here, made_there = (json.loads(table.schema.metadata[METADATA_KEY])["made_on"] for table in (mine, there))
    if made_here == made_there and made_here["device"] == "cpu":
        return "other bytes"
    sound = _sound_rows(mine)
    if not np.array_equal(sound, _sound_rows(there)):
        return "other texts without a vector"
    renamed = {"text_digest": "doc_id"}
    columns = [
        table.select(["text_digest", "num_tokens", "embedding"]).rename_columns(renamed) for table in (mine, there)
    ]
    return vector_difference(*(table.filter(pa.array(sound)) for table in columns))


def _sound_rows(table: pa.Table) -> npt.NDArray[np.bool_]:
    rows: npt.NDArray[np.bool_] = vector_problems(from_column(table["embedding"])) == ""
    return rows


def _to_table(texts: list[str], made: TextVectors, identity: dict[str, Any]) -> pa.Table:
    columns = {
        "text_digest": pa.array([text_digest(text) for text in texts], pa.binary(16)),
        "num_tokens": pa.array(made.num_tokens, pa.int32()),
        "reason": pa.array(np.where(made.too_large, "out_of_memory", "")),
        "embedding": to_column(made.full),
    }
    return pa.table(columns).replace_schema_metadata({METADATA_KEY: canonical_json(identity)})


def _from_table(table: pa.Table) -> Export:
    totals = Totals(**json.loads(table.schema.metadata[METADATA_KEY])["totals"])
    row_of = {digest: row for row, digest in enumerate(table.column("text_digest").to_pylist())}
    too_large = table.column("reason").to_numpy() == "out_of_memory"
    return Export(
        row_of, TextVectors(from_column(table["embedding"]), table.column("num_tokens").to_numpy(), too_large, totals)
    )


def _in_turn(owners: Iterable[str], me: str) -> list[str]:
    """Each shard begins elsewhere, so that two that lack the same vectors rarely make them at once."""
    ordered = sorted(owners)
    first = zlib.crc32(me.encode()) % max(1, len(ordered))
    return [*ordered[first:], *ordered[:first]]


def _joined(
    own: TextVectors, looked_up: Sequence[tuple[TextVectors, Any]], totals: Totals, seconds: float
) -> TextVectors:
    """The texts of a shard in their order: its own, and those that it shares."""
    count = len(own.full)
    full = np.empty((count + len(looked_up), own.full.shape[1]), np.float32)
    num_tokens, too_large = np.empty(len(full), np.int32), np.zeros(len(full), bool)
    full[:count], num_tokens[:count], too_large[:count] = own.full, own.num_tokens, own.too_large
    for number, (source, row) in enumerate(looked_up, start=count):
        full[number], num_tokens[number], too_large[number] = (
            source.full[row],
            source.num_tokens[row],
            source.too_large[row],
        )
    return TextVectors(full, num_tokens, too_large, totals, seconds)
