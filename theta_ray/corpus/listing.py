"""The recipe's inputs become files, units of reading, and shards of about equal size.

Everything here depends on the listing alone: the same files give the same shards on any cluster.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from theta_ray.config import Corpus, Input
from theta_ray.corpus.damage import failure, policy_of
from theta_ray.corpus.document import Rejected, Unit
from theta_ray.corpus.files import EXPANSION, compression_of
from theta_ray.corpus.parquet import read_row_groups
from theta_ray.corpus.readers import LINE_READERS
from theta_ray.errors import ConfigError, InputError, MissingInputError
from theta_ray.objects import access, join, open_filesystem
from theta_ray.schemas import KEYS
from theta_ray.store import canonical_json

SAMPLE_BYTES = 2**16
MAX_SHARDS = 100_000
# Values in columns are compressed as well; rows of a text table grow about threefold.
PARQUET_EXPANSION = 3
GLOB_CHARACTERS = "*?["


@dataclass(frozen=True)
class File:
    """One input file. `identity` changes when its content does, and not when it is only touched."""

    uri: str
    num_bytes: int
    identity: str
    input_index: int


def list_files(corpus: Corpus, day: str) -> list[File]:
    """All input files of a day, by input, then by URI.

    Raises:
        MissingInputError: a path, glob or folder has no file.
        InputError: it may not be listed.
    """
    files = []
    for index, spec in enumerate(corpus.inputs):
        found: dict[str, File] = {}
        for path in paths_of(spec, day):
            listed = list(find_files(path, index))
            if not listed:
                raise MissingInputError(f"{path}: no file there for {day}; check the path of corpus.inputs.{index}")
            found.update((file.uri, file) for file in listed)
        files += [found[uri] for uri in sorted(found)]
    return files


def paths_of(spec: Input, day: str) -> list[str]:
    """The paths of an input for a day; local ones absolute."""
    paths = (spec.path,) if isinstance(spec.path, str) else spec.path
    dated = [path.replace("{date}", day) for path in paths]
    return [path if "://" in path else os.path.abspath(path) for path in dated]


def find_files(uri: str, index: int = 0) -> Iterator[File]:
    """The file, or the files of a glob or folder, that lie at a path or URI."""
    fs, path = open_filesystem(uri)
    is_local = _is_local(fs)
    with access(uri):
        if fs.isfile(path):
            found = {path: fs.info(path)}
        elif any(character in path for character in GLOB_CHARACTERS):
            found = {name: info for name, info in fs.glob(path, detail=True).items() if info["type"] == "file"}
        else:
            found = {n: i for n, i in fs.find(path, detail=True).items() if not _is_hidden(n, path)}
    for name, info in found.items():
        file_uri = name if is_local else fs.unstrip_protocol(name)
        yield File(file_uri, int(info["size"]), _identity(name, info, is_local), index)


def _is_hidden(name: str, folder: str) -> bool:
    """Files that programs leave in folders of data: `_SUCCESS`, `.part.crc`."""
    return any(part.startswith((".", "_")) for part in name.removeprefix(folder).split("/"))


def _is_local(fs: Any) -> bool:
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))


def check_identity(unit: Unit) -> None:
    """Raise InputError when the unit's file is not the one that the run was planned with."""
    fs, path = open_filesystem(unit.uri)
    try:
        with access(unit.uri):
            now = _identity(path, fs.info(path), _is_local(fs))
    except FileNotFoundError:
        now = "gone"
    if unit.identity and now != unit.identity:
        raise InputError(
            f"{unit.uri}: changed while the job ran ({unit.identity} when it was planned, {now} now); "
            "rerun once nobody writes to it"
        )


def _identity(path: str, info: dict[str, Any], is_local: bool) -> str:
    """The store's ETag; for local files a digest of the first, middle and last 64 KiB.

    A modification time would call a file that was copied or written again the same a changed one.
    """
    if not is_local:
        tag = next((info[key] for key in ("ETag", "etag", "md5Hash", "content_md5") if info.get(key)), None)
        return f"etag:{str(tag).strip(chr(34))}" if tag else f"time:{info.get('LastModified') or info.get('updated')}"
    digest, size = hashlib.blake2b(digest_size=16), int(info["size"])
    with access(path), open(path, "rb") as file:
        for start in sorted({0, max(0, size // 2 - SAMPLE_BYTES // 2), max(0, size - SAMPLE_BYTES)}):
            file.seek(start)
            digest.update(file.read(SAMPLE_BYTES))
    return f"content:{digest.hexdigest()}"


def check_places(corpus: Corpus, files: list[File], root: str, day: str) -> None:
    """Refuse to read our own tables, and to write tables among the inputs.

    Raises:
        ConfigError: an input lies in a table's folder, or the root lies in an input folder.
    """
    real_root = _real(root)
    tables = tuple(join(real_root, table) + "/" for table in KEYS)
    for file in files:
        if _real(file.uri).startswith(tables):
            raise ConfigError(f"{file.uri}: lies in a table of root {root}; move the input or take another --root")
    for spec in corpus.inputs:
        for path in paths_of(spec, day):
            fixed = path
            if any(character in path for character in GLOB_CHARACTERS):
                if "**" not in path:
                    continue
                fixed = path[: min(path.find(c) for c in GLOB_CHARACTERS if c in path)].rsplit("/", 1)[0]
            if f"{real_root}/".startswith(_real(fixed).rstrip("/") + "/"):
                raise ConfigError(f"{root}: the root lies in the input folder {fixed}; take a --root outside of it")


def _real(path: str) -> str:
    """A local path without links and `..`, behind which one folder could lie in another unseen."""
    return path if "://" in path else os.path.realpath(path)


def digest_of(files: list[File]) -> str:
    """12 hex digits over names, sizes and identities of all files."""
    return hashlib.sha256(canonical_json([asdict(file) for file in files])).hexdigest()[:12]


def to_shards(corpus: Corpus, files: list[File]) -> list[list[Unit]]:
    """Units in order, gathered into shards of about `shard_bytes` decompressed bytes."""
    shards: list[list[Unit]] = []
    room = 0
    for file in files:
        for unit in _to_units(file, corpus.inputs[file.input_index].reader, corpus):
            weight = unit.num_bytes * expansion(unit.uri)
            if not shards or weight > room:
                shards.append([])
                room = corpus.shard_bytes
            shards[-1].append(unit)
            room -= weight
    if len(shards) > MAX_SHARDS:
        raise ConfigError(f"corpus.shard_bytes: {corpus.shard_bytes} makes {len(shards)} shards; take a larger value")
    return shards


def expansion(uri: str) -> int:
    """Bytes that a stored byte stands for, roughly."""
    suffix = compression_of(uri)
    return EXPANSION[suffix] if suffix else PARQUET_EXPANSION if uri.endswith(".parquet") else 1


def _to_units(file: File, reader: str, corpus: Corpus) -> Iterator[Unit]:
    spec, step = corpus.inputs[file.input_index], corpus.shard_bytes
    if reader == "parquet" and file.num_bytes * PARQUET_EXPANSION > step:
        yield from _row_groups(file, corpus)
        return
    is_cut = reader in LINE_READERS and spec.documents == "lines" and compression_of(file.uri) is None
    if not is_cut or file.num_bytes <= step:
        yield Unit(file.uri, file.input_index, file.num_bytes, identity=file.identity)
        return
    for start in range(0, file.num_bytes, step):
        stop = min(start + step, file.num_bytes)
        yield Unit(file.uri, file.input_index, stop - start, start, stop, file.identity)


def _row_groups(file: File, corpus: Corpus) -> Iterator[Unit]:
    """Runs of row groups of about `shard_bytes` decompressed bytes; the file's bytes are shared out by rows."""
    step, rows = corpus.shard_bytes, read_row_groups(file.uri)
    if isinstance(rows, Rejected):
        if policy_of(corpus, rows.reason) == "fail":
            raise failure(rows.reason, file.uri, rows.place, rows.detail)
        yield Unit(file.uri, file.input_index, file.num_bytes, identity=file.identity)
        return
    per_row = file.num_bytes / max(1, sum(rows))
    start = 0
    for stop in range(1, len(rows) + 1):
        num_bytes = int(sum(rows[start:stop]) * per_row)
        if stop == len(rows) or (num_bytes + rows[stop] * per_row) * PARQUET_EXPANSION > step:
            yield Unit(file.uri, file.input_index, num_bytes, start, stop, file.identity)
            start = stop
