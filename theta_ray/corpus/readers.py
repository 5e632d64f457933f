"""The readers by name: each takes a unit and its input's recipe and yields documents and rejections.

To add a format: a function here or in a file of its own, one line in READERS, one word in
config.Reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from theta_ray.config import Input
from theta_ray.corpus.columns import read_csv, read_jsonl
from theta_ray.corpus.document import Document, Rejected, Row, Unit, made_id
from theta_ray.corpus.files import Line, read_lines, read_whole
from theta_ray.corpus.parquet import read_parquet
from theta_ray.corpus.reddit import read_reddit
from theta_ray.corpus.threads import read_threads
from theta_ray.corpus.twitter_v1 import read_twitter_v1
from theta_ray.corpus.twitter_v2 import read_twitter_v2


def read_text(unit: Unit, spec: Input) -> Iterator[Row]:
    """Documents of plain text: each line that is not blank, or the whole file."""
    rows: Iterator[Line | Rejected] = iter((read_whole(unit),)) if spec.documents == "files" else read_lines(unit)
    for row in rows:
        if isinstance(row, Rejected):
            yield row
        elif spec.documents == "files" or row.data.strip():
            try:
                text = row.data.removesuffix(b"\r").decode("utf-8")
            except UnicodeDecodeError as error:
                yield Rejected("bad_encoding", f"byte {error.start} is not UTF-8", row.place)
            else:
                yield Document(made_id(unit.uri, row.place), text, row.place, spec.kind)


Read = Callable[[Unit, Input], Iterator[Row]]
READERS: dict[str, Read] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "reddit": read_reddit,
    "text": read_text,
    "thread_json": read_threads,
    "twitter_v1": read_twitter_v1,
    "twitter_v2": read_twitter_v2,
}
# Uncompressed files of these readers are cut into byte ranges; a line is a record there.
LINE_READERS = frozenset(("jsonl", "reddit", "text", "twitter_v1", "twitter_v2"))


def has_authors(spec: Input) -> bool:
    """Whether an input can yield author ids."""
    if spec.columns is None:
        return spec.reader != "text"
    columns = (spec.columns.author_id, spec.columns.parent_author_id, spec.columns.mention_ids)
    return any(column is not None for column in columns)
