"""Needles (ids, texts) and decoded objects in, how often each part of an object holds one out. Shares no code with what
deletes: it knows no table and no column, only formats.

    parquet    every string, binary and nested column of every row group, and the metadata of the footer
    JSON       every string in it, names included; other text files (HTML, GraphML, GEXF, CSV, SVG) as they are
    .gz        what it holds
    all else   its bytes, a piece at a time

An id counts as a whole word; one of fewer than 6 characters as a whole cell or JSON string only, since such a word also
means other things. So does a name without a digit, which also counts in quotes or alone in an element. A text counts
wherever it stands, in any form that an object may write it in.
"""

from __future__ import annotations

import gzip
import html
import io
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

WORD = re.compile(r"\w+")
MIN_ID_CHARS = 6
PIECE_BYTES = 2**24
# A longer run of letters and digits is no id.
MAX_WORD_BYTES = 2**12
CUT_WORD, FIRST_WORD = re.compile(rb"[\w\x80-\xff]*\Z"), re.compile(rb"\A[\w\x80-\xff]+")
Parts = Iterator[tuple[str, bool, list[str]]]
"""Name of a part, whether its texts are whole values (cells, JSON strings), and these."""


@dataclass(frozen=True)
class Needles:
    """What is looked for, each under its longest word: one look at the words of an object finds all candidates."""

    whole: frozenset[str]
    """Ids that count as a whole value only."""
    words: dict[str, tuple[tuple[str, bool], ...]]
    """Word -> needles that have it, and whether these are ids."""
    odd: tuple[tuple[str, bool], ...] = ()
    """Needles without a word, such as one emoji."""

    @classmethod
    def of(
        cls,
        ids: Iterable[str],
        texts: Iterable[str],
        normalize: Callable[[list[str]], list[str]],
        names: Iterable[str] = (),
    ) -> Needles:
        """Needles of ids, texts and names that are words; `normalize` makes a text what the corpus stores."""
        ids, whole = set(ids), set(names)
        found: defaultdict[str, set[tuple[str, bool]]] = defaultdict(set)
        needles = {(text, False) for text in forms_of(list(texts), normalize)}
        needles |= {(form.format(html.escape(name)), False) for name in whole for form in ('"{}"', ">{}<")}
        for doc_id in ids:
            if len(doc_id) < MIN_ID_CHARS:
                whole.add(doc_id)
            else:
                needles.add((doc_id, True))
        for needle in needles:
            found[max(WORD.findall(needle[0]), key=len, default="")].add(needle)
        odd = tuple(sorted(found.pop("", ())))
        return cls(frozenset(whole), {word: tuple(sorted(each)) for word, each in found.items()}, odd)

    @property
    def longest(self) -> int:
        """Characters of the longest one."""
        return max((len(text) for each in (*self.words.values(), self.odd) for text, _ in each), default=0)

    def count(self, texts: list[str], *, are_values: bool) -> int:
        """How often some texts hold any of them."""
        found = sum(text in self.whole for text in texts) if are_values and self.whole else 0
        # all words together: most texts end here
        if self.odd or self.words.keys() & set(WORD.findall("\n".join(texts))):
            found += sum(self._count_in(text) for text in texts)
        return found

    def _count_in(self, text: str) -> int:
        needles = [each for word in self.words.keys() & set(WORD.findall(text)) for each in self.words[word]]
        return sum(_count(needle, is_id, text) for needle, is_id in (*needles, *self.odd))


def _count(needle: str, is_id: bool, text: str) -> int:
    if not is_id:
        return text.count(needle)
    return len(re.findall(rf"(?<!\w){re.escape(needle)}(?!\w)", text))


def forms_of(texts: list[str], normalize: Callable[[list[str]], list[str]]) -> set[str]:
    """Texts as objects may write them: as they are, composed (NFC), as the corpus has them, escaped for HTML or JSON.

    Shorter ones than 6 characters are left out: they are in everybody's texts.
    """
    plain = {form for text in texts for form in (text, unicodedata.normalize("NFC", text))}
    plain |= set(normalize(texts))
    forms = set(plain)
    for text in plain:
        forms |= {html.escape(text), html.escape(text, quote=False), html.escape(text).replace("&#x27;", "&#39;")}
        for ascii_only in (True, False):
            forms.add(json.dumps(text, ensure_ascii=ascii_only)[1:-1])
    return {form.strip() for form in forms if len(form.strip()) >= MIN_ID_CHARS}


def search_object(name: str, file: IO[bytes], needles: Needles) -> Counter[str]:
    """How often each part of an object holds a needle; parts are columns of parquet, and `` of all else."""
    found: Counter[str] = Counter()
    for part, are_values, texts in parts_of(name, file, needles.longest):
        count = needles.count(texts, are_values=are_values)
        if count:
            found[part] += count
    return found


def parts_of(name: str, file: IO[bytes], longest: int) -> Parts:
    """The decoded parts of an object, by the ending of its name; what is not as its ending says is taken as bytes."""
    if name.endswith(".gz"):
        yield from parts_of(name.removesuffix(".gz"), io.BytesIO(gzip.decompress(file.read())), longest)
        return
    start = file.tell()
    try:
        if name.endswith(".parquet"):
            yield from _parquet(file)
            return
        if name.endswith((".json", ".jsonl")):
            yield from _json(file.read())
            return
    except (pa.ArrowInvalid, ValueError):
        file.seek(start)
    yield from _pieces(file, longest)


def _parquet(file: IO[bytes]) -> Parts:
    with pq.ParquetFile(file) as parquet:
        for key, value in (parquet.metadata.metadata or {}).items():
            if key != b"ARROW:schema":
                yield "footer", False, [f"{key.decode(errors='replace')} {value.decode(errors='replace')}"]
        yield "footer", False, parquet.schema_arrow.names
        for batch in parquet.iter_batches():
            for name in batch.schema.names:
                yield name, True, list(_strings(batch[name]))


def _strings(values: pa.Array) -> Iterator[str]:
    """Every string in a column, however deep; of binary values those that are text."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        yield from _strings(values.dictionary_decode())
    elif pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _strings(pc.struct_field(values, number))
    elif pa.types.is_map(kind):
        yield from _strings(values.keys)
        yield from _strings(values.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _strings(pc.list_flatten(values))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield from (value for value in pc.drop_null(values).to_pylist())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        yield from (value.decode(errors="replace") for value in pc.drop_null(values).to_pylist())
    elif pa.types.is_integer(kind):
        yield from (str(value) for value in pc.drop_null(pc.unique(values)).to_pylist() if abs(value) >= 10**5)


def _json(data: bytes) -> Parts:
    text = data.decode()
    try:
        values = [json.loads(text)]
    except ValueError:
        values = [json.loads(line) for line in text.splitlines() if line.strip()]
    yield "", True, list(_json_strings(values))


def _json_strings(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            stack += value
        elif isinstance(value, str):
            yield value
        elif isinstance(value, int) and not isinstance(value, bool):
            yield str(value) if abs(value) >= 10**5 else ""


def _pieces(file: IO[bytes], longest: int) -> Parts:
    """Bytes as text, in pieces that overlap by more than a needle: one may count twice, none is missed.

    Pieces are cut between words, so that the end of a long number is no id.
    """
    kept, data = b"", file.read(PIECE_BYTES)
    while data:
        following = file.read(PIECE_BYTES)
        piece = kept + data
        end = len(piece) - (len(CUT_WORD.findall(piece[-MAX_WORD_BYTES:])[0]) if following else 0)
        yield "", False, [piece[:end].decode(errors="replace")]
        kept = FIRST_WORD.sub(b"", piece[-(4 * longest + MAX_WORD_BYTES) :])
        data = following
