"""Bytes of a unit as lines or JSON values, each with its place; decompressed while they stream.

Memory: one chunk and one record; a record larger than 64 MiB is skipped, not read.
"""

from __future__ import annotations

import bz2
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import zstandard

from theta_ray.corpus.document import MAX_RECORD_BYTES, Rejected, Unit
from theta_ray.errors import InputError
from theta_ray.objects import access, open_filesystem
from theta_ray.terminal import escaped

CHUNK_BYTES = 2**20
# zstd can turn 4 bytes into 128 KiB and its decompressor takes no output limit: feed it little at a time.
ZSTD_CHUNK_BYTES = 2**12
BZ2_OUTPUT_BYTES = 2**22
# The monthly Reddit dumps are written with a window of 2 GiB.
ZSTD_WINDOW = 2**31
MAX_EXPANSION = 1000
MIN_BOMB_BYTES = 2**30
HEAD_BYTES = 2**16
UTF8_BOM = b"\xef\xbb\xbf"
OTHER_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
# Bytes that a compressed byte stands for, roughly: used to balance shards and to estimate, never to read.
EXPANSION = {".gz": 4, ".bz2": 5, ".zst": 6}


class Line(NamedTuple):
    """One line without its newline, and the offset of its first byte in the decompressed file."""

    place: int
    data: bytes


class _Broken(Exception):
    """The compressed stream ends early, is damaged, or expands beyond reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def compression_of(uri: str) -> str | None:
    """The suffix of a compressed file, or None."""
    return next((suffix for suffix in EXPANSION if uri.lower().endswith(suffix)), None)


def bare_name(uri: str) -> str:
    """The file's name in lower case without folder and compression suffix."""
    name = uri.rsplit("/", 1)[-1].lower()
    return name.removesuffix(compression_of(uri) or "")


def read_lines(unit: Unit) -> Iterator[Line | Rejected]:
    """Lines that start inside the unit, blank ones too.

    A damaged compressed file yields the lines before the break, then one `truncated_file`.
    A line above 64 MiB yields one `record_too_large`.
    """
    with opened(unit.uri, 4 * CHUNK_BYTES) as file:
        head = file.read(3)
        if head[:2] in OTHER_BOMS:
            if unit.start == 0:
                yield Rejected("bad_encoding", f"{OTHER_BOMS[head[:2]]}; convert the file to UTF-8", 0)
            return
        place = _first_line(file, unit)
        if place is not None:
            chunks = decompressed(file, unit) if compression_of(unit.uri) else plain(file)
            yield from _split_lines(chunks, place, unit.stop)


def plain(file: Any) -> Iterator[bytes]:
    """Chunks of a file as it is."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _first_line(file: Any, unit: Unit) -> int | None:
    """Move to the first line that starts in the unit; None when no line does."""
    if unit.start == 0:
        file.seek(0)
        return 0
    place = unit.start - 1
    file.seek(place)
    while unit.stop is None or place + 1 < unit.stop:
        chunk = file.read(CHUNK_BYTES)
        if not chunk:
            return None
        newline: int = chunk.find(b"\n")
        if newline >= 0:
            file.seek(place + newline + 1)
            return place + newline + 1
        place += len(chunk)
    return None


def read_whole(unit: Unit) -> Line | Rejected:
    """The whole decompressed file as one record, or why it cannot be."""
    pieces, size = [], 0
    with opened(unit.uri) as file:
        chunks = decompressed(file, unit) if compression_of(unit.uri) else plain(file)
        try:
            for chunk in chunks:
                pieces.append(chunk)
                size += len(chunk)
                if size > MAX_RECORD_BYTES:
                    return Rejected("record_too_large", "one file is one record here", 0)
        except _Broken as error:
            return Rejected(error.reason, error.detail, 0)
    data = b"".join(pieces)
    if data[:2] in OTHER_BOMS:
        return Rejected("bad_encoding", f"{OTHER_BOMS[data[:2]]}; convert the file to UTF-8", 0)
    return Line(0, data.removeprefix(UTF8_BOM))


def _split_lines(chunks: Iterator[bytes], place: int, stop: int | None) -> Iterator[Line | Rejected]:
    """Lines with their places; a break in a compressed stream becomes the last row."""
    try:
        for data, num_bytes in _cut(chunks):
            if stop is not None and place >= stop:
                return
            if data is None:
                yield Rejected("record_too_large", f"{num_bytes} bytes; the limit is {MAX_RECORD_BYTES}", place)
            else:
                yield Line(place, data if place else data.removeprefix(UTF8_BOM))
            place += num_bytes + 1
    except _Broken as error:
        yield Rejected(error.reason, error.detail, place)


def _cut(chunks: Iterator[bytes]) -> Iterator[tuple[bytes | None, int]]:
    """Each line and its size; a line above the limit is None. A line that a break cuts off is dropped."""
    pieces: list[bytes] = []
    held = 0
    for chunk in chunks:
        lines = chunk.split(b"\n")
        held += len(lines[0])
        if held <= MAX_RECORD_BYTES:
            pieces.append(lines[0])
        else:
            pieces.clear()
        if len(lines) > 1:
            yield (b"".join(pieces) if held <= MAX_RECORD_BYTES else None), held
            for data in lines[1:-1]:
                yield (data if len(data) <= MAX_RECORD_BYTES else None), len(data)
            pieces, held = [lines[-1]], len(lines[-1])
    if held:
        yield (b"".join(pieces) if held <= MAX_RECORD_BYTES else None), held


def decompressed(file: Any, unit: Unit) -> Iterator[bytes]:
    """Chunks of a decompressed file: members, streams and frames that follow each other are one."""
    suffix = compression_of(unit.uri)
    start = {".gz": _start_gzip, ".bz2": _start_bz2, ".zst": _start_zstd}[suffix or ""]
    limit = max(MIN_BOMB_BYTES, MAX_EXPANSION * unit.num_bytes)
    step = ZSTD_CHUNK_BYTES if suffix == ".zst" else CHUNK_BYTES // 16
    decompressor, decompress = start()
    pending, total, begun = b"", 0, False
    while True:
        data = pending or file.read(step)
        pending = b""
        if not data:
            break
        if not begun and suffix == ".gz" and not data.strip(b"\0"):
            continue  # zero padding after the last member is usual
        begun = True
        try:
            for chunk in decompress(data):
                total += len(chunk)
                if chunk:
                    yield chunk
        except (OSError, zlib.error, zstandard.ZstdError, EOFError) as error:
            raise _Broken("truncated_file", f"not {suffix[1:] if suffix else ''} data: {error}") from error
        if total > limit:
            raise _Broken("decompression_bomb", f"{unit.num_bytes} bytes became more than {limit}")
        if decompressor.eof:
            pending = decompressor.unused_data
            decompressor, decompress = start()
            begun = False
    if begun:
        raise _Broken("truncated_file", f"{unit.num_bytes} bytes end inside a compressed stream")


@contextmanager
def opened(uri: str, block_size: int | None = None) -> Iterator[Any]:
    """An input file, open for reading.

    Raises:
        InputError: the store refuses, or the file is gone.
    """
    fs, path = open_filesystem(uri)
    with access(uri):
        try:
            with fs.open(path, "rb", block_size=block_size) as file:
                yield file
        except FileNotFoundError as error:
            raise InputError(f"{escaped(uri)}: is gone since it was listed; put it back or run again") from error


Decompress = Callable[[bytes], Iterator[bytes]]


def _start_gzip() -> tuple[Any, Decompress]:
    decompressor = zlib.decompressobj(31)
    return decompressor, lambda data: iter((decompressor.decompress(data),))


def _start_zstd() -> tuple[Any, Decompress]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
    return decompressor, lambda data: iter((decompressor.decompress(data),))


def _start_bz2() -> tuple[Any, Decompress]:
    decompressor = bz2.BZ2Decompressor()

    def decompress(data: bytes) -> Iterator[bytes]:
        yield decompressor.decompress(data, BZ2_OUTPUT_BYTES)
        while not decompressor.needs_input and not decompressor.eof:
            yield decompressor.decompress(b"", BZ2_OUTPUT_BYTES)

    return decompressor, decompress


def read_json_lines(unit: Unit) -> Iterator[tuple[int, Any] | Rejected]:
    """One JSON value a line; blank lines (keep-alives of streams) are no rows."""
    for line in read_lines(unit):
        if isinstance(line, Rejected):
            yield line
        elif line.data.strip():
            yield parse_json(line)


def read_json_values(unit: Unit) -> Iterator[tuple[int, Any] | Rejected]:
    """JSON values of a file that holds one a line, or one over many lines (pretty-printed, an array)."""
    if _is_one_value(unit):
        if unit.start == 0:
            whole = read_whole(unit)
            yield whole if isinstance(whole, Rejected) else parse_json(whole)
        return
    yield from read_json_lines(unit)


def parse_json(line: Line) -> tuple[int, Any] | Rejected:
    """Place and value of one JSON record."""
    try:
        return line.place, json.loads(line.data.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Rejected("bad_encoding", f"byte {error.start} of the record is not UTF-8", line.place)
    except RecursionError:
        return Rejected("bad_record", "nested too deeply", line.place)
    except json.JSONDecodeError as error:
        # never the line itself: what is broken may still name its author
        return Rejected("bad_record", f"{error.msg} (character {error.pos} of the record)", line.place)
    except ValueError:
        return Rejected("bad_record", "a number of too many digits", line.place)


def _is_one_value(unit: Unit) -> bool:
    """Whether the file opens a JSON object or array that its first line does not close."""
    with opened(unit.uri, HEAD_BYTES) as file:
        try:
            head = next(decompressed(file, unit), b"") if compression_of(unit.uri) else file.read(HEAD_BYTES)
        except _Broken:
            return False
    lines = head.removeprefix(UTF8_BOM).lstrip().split(b"\n", 2)
    if len(lines) == 1:
        return False
    first, second = lines[0].strip(), lines[1].lstrip()
    opens = first.startswith((b"{", b"[")) and not first.endswith((b"}", b"]"))
    # A line that was cut off is followed by the next record; an array's first record follows its bracket.
    return opens and (first.startswith(b"[") or not second.startswith(b"{"))
