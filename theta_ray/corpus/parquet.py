"""Parquet files with a column map: row groups become documents, and nothing a file says of itself is trusted.

Memory: one column chunk as stored, one dictionary, and 1,024 rows. Texts that repeat are held once, as the
file's own dictionary holds them: a few kilobytes may otherwise unfold to terabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from theta_ray.config import Input
from theta_ray.corpus.columns import CELLS, ColumnMap
from theta_ray.corpus.document import MAX_RECORD_BYTES, Rejected, Row, Unit, printable
from theta_ray.corpus.files import MAX_EXPANSION, opened
from theta_ray.corpus.values import Microseconds

BATCH_ROWS = 1024
# A footer with a million columns must not fill the memory before its schema is looked at.
MAX_FOOTER_BYTES = 64 * 2**20
MAX_FOOTER_ITEMS = 2**17
# Below this a row group may unfold as it likes.
MIN_BOMB_BYTES = 2**28
MAGIC = b"PAR1"
TAIL_BYTES = 8


def read_parquet(unit: Unit, spec: Input) -> Iterator[Row]:
    """Documents of a parquet file's row groups; only mapped columns are decoded.

    What cannot be read is one `unreadable_file` for the file, or for the rest of a row group.
    """
    columns = ColumnMap(spec, CELLS)
    with opened(unit.uri) as file:
        try:
            parquet = open_parquet(file, columns.names)
        except (pa.ArrowException, OSError, ValueError) as error:
            yield Rejected("unreadable_file", cause_of(error), 0)
            return
        columns.check(parquet.schema_arrow.names, unit.uri)
        groups = [parquet.metadata.row_group(i) for i in range(parquet.num_row_groups)]
        place = sum(group.num_rows for group in groups[: unit.start])
        for number in range(unit.start, len(groups) if unit.stop is None else unit.stop):
            yield from _read_group(parquet, number, place, columns, unit)
            place += groups[number].num_rows


def _read_group(parquet: pq.ParquetFile, number: int, place: int, columns: ColumnMap, unit: Unit) -> Iterator[Row]:
    """Rows of one row group; those from a break on become one rejection, and the next group is read."""
    group = parquet.metadata.row_group(number)
    last, done, cause = place + group.num_rows - 1, place, f"the footer promises {group.num_rows} rows"
    bomb = _expansion(group, columns.names)
    if bomb:
        yield Rejected("decompression_bomb", f"row group {number}, rows {place} to {last} are not read: {bomb}", place)
        return
    try:
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[number], columns=columns.names):
            cells = [_to_cells(batch.column(name)) for name in columns.names]
            is_large = batch.nbytes > MAX_RECORD_BYTES
            for row in zip(*cells, strict=True):
                size = _largest(row) if is_large else 0
                yield _too_large(size, done) if size > MAX_RECORD_BYTES else columns.document(row, unit, done)
                done += 1
    except (pa.ArrowException, OSError) as error:
        cause = cause_of(error)
    if done <= last:
        yield Rejected("unreadable_file", f"row group {number}, rows {done} to {last} are lost: {cause}", done)


def _largest(row: Sequence[Any]) -> int:
    return max((len(cell) for cell in row if isinstance(cell, str | bytes)), default=0)


def _too_large(size: int, place: int) -> Rejected:
    return Rejected("record_too_large", f"a cell of {size} characters; the limit is {MAX_RECORD_BYTES}", place)


def _expansion(group: pq.RowGroupMetaData, names: list[str]) -> str | None:
    """How far the mapped columns of a row group would unfold, where that is beyond reason."""
    chunks = [group.column(i) for i in range(group.num_columns)]
    mapped = [chunk for chunk in chunks if chunk.path_in_schema.split(".", 1)[0] in names]
    stored, unfolded = (sum(getattr(c, f"total_{n}_size") for c in mapped) for n in ("compressed", "uncompressed"))
    if unfolded > max(MIN_BOMB_BYTES, MAX_EXPANSION * stored):
        return f"{stored} bytes become {unfolded}"
    return None


def cause_of(error: Exception) -> str:
    """What Arrow says about a file; an error of the store itself is raised again, for it says nothing about it."""
    if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
        raise error
    return printable((str(error).strip().splitlines() or [type(error).__name__])[0], 120)


def open_parquet(file: Any, names: Sequence[str] = ()) -> pq.ParquetFile:
    """A parquet file whose footer keeps to sane limits and agrees with itself.

    Args:
        file: an open binary file.
        names: columns whose texts stay in their dictionary.

    Raises:
        ValueError, OSError, pa.ArrowException: the file cannot be read.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    if size < len(MAGIC) + TAIL_BYTES or not tail.endswith(MAGIC):
        raise ValueError(f"{size} bytes without the mark of a parquet file at the end")
    num_bytes = int.from_bytes(tail[:4], "little")
    if num_bytes > MAX_FOOTER_BYTES:
        raise ValueError(f"a footer of {num_bytes} bytes; the limit is {MAX_FOOTER_BYTES}")
    file.seek(0)
    limits = {"thrift_string_size_limit": MAX_FOOTER_BYTES, "thrift_container_size_limit": MAX_FOOTER_ITEMS}
    metadata = pq.ParquetFile(file, **limits).metadata
    rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    if min(rows, default=0) < 0 or sum(rows) != metadata.num_rows:
        raise ValueError(f"the footer promises {metadata.num_rows} rows, its row groups {sum(rows)}")
    leaves = [metadata.schema.column(i) for i in range(len(metadata.schema))]
    texts = [leaf.path for leaf in leaves if leaf.path in names and _is_text(leaf)]
    return pq.ParquetFile(file, metadata=metadata, read_dictionary=texts, page_checksum_verification=True, **limits)


def _is_text(leaf: Any) -> bool:
    return bool(leaf.physical_type == "BYTE_ARRAY" and leaf.max_repetition_level == 0)


def read_row_groups(uri: str) -> list[int] | Rejected:
    """Rows of each row group of a file, or why it cannot be read."""
    metadata = _of_file(uri, lambda parquet: parquet.metadata)
    if isinstance(metadata, Rejected):
        return metadata
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def read_schema(uri: str) -> pa.Schema | Rejected:
    """Columns of a file, or why it cannot be read."""
    return _of_file(uri, lambda parquet: parquet.schema_arrow)


def _of_file(uri: str, look: Callable[[pq.ParquetFile], Any]) -> Any:
    with opened(uri) as file:
        try:
            return look(open_parquet(file))
        except (pa.ArrowException, OSError, ValueError) as error:
            return Rejected("unreadable_file", cause_of(error), 0)


def _to_cells(column: pa.Array) -> list[Any]:
    """Python values of a column; integers stay exact beside nulls, times become microseconds."""
    if pa.types.is_dictionary(column.type):
        used = pc.unique(column.indices).drop_null()
        values = dict(zip(used.to_pylist(), _to_cells(column.dictionary.take(used)), strict=True))
        return [values.get(index) for index in column.indices.to_pylist()]
    if pa.types.is_timestamp(column.type):
        ticks = pc.cast(column, pa.timestamp("us", tz=column.type.tz), safe=False).cast(pa.int64()).to_pylist()
        return [None if tick is None else Microseconds(tick) for tick in ticks]
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        binary = pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
        return list(column.cast(binary).to_pylist())
