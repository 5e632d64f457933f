"""How many documents and tokens the inputs hold, about, from the beginning of a few of their files."""

from __future__ import annotations

from itertools import islice

from theta_ray.config import Corpus
from theta_ray.corpus.damage import failure, policy_of
from theta_ray.corpus.document import Document, Rejected, Unit
from theta_ray.corpus.files import compression_of
from theta_ray.corpus.listing import File, expansion
from theta_ray.corpus.parquet import read_row_groups
from theta_ray.corpus.readers import LINE_READERS, READERS
from theta_ray.corpus.rows import RowBuilder
from theta_ray.schemas import CORPUS

SAMPLE_FILES = 3
SAMPLE_BYTES = 256 * 2**10
SAMPLE_ROWS = 10_000
BYTES_PER_TOKEN = 4


def sample(corpus: Corpus, files: list[File]) -> tuple[list[Document], float]:
    """Documents from the beginning of a few files, and how many times their bytes all files have."""
    last = len(files) - 1
    places = sorted({0, last // 2, last})[:SAMPLE_FILES]
    samples = [_sample(corpus, files[place]) for place in places]
    scale = sum(file.num_bytes for file in files) / max(1.0, sum(sampled for _, sampled in samples))
    return [document for documents, _ in samples for document in documents], scale


def estimate(documents: list[Document], scale: float) -> tuple[int, int]:
    """Documents and tokens of all files, of a sample and its scale."""
    text_bytes = sum(len(document.text.encode("utf-8", "surrogatepass")) for document in documents)
    return round(len(documents) * scale), round(text_bytes * scale / BYTES_PER_TOKEN)


def kept_texts(corpus: Corpus, documents: list[Document]) -> list[str]:
    """The texts of those documents that the recipe's rules keep, as the corpus would hold them."""
    builder = RowBuilder(corpus.model_copy(update={"authors": "drop"}), None)
    rows = [builder.build(document, "") for document in documents]
    return [row[CORPUS.names.index("text")] for row in rows if not isinstance(row, Rejected)]


def _sample(corpus: Corpus, file: File) -> tuple[list[Document], float]:
    """Documents, and how many of the file's bytes they were read from."""
    spec = corpus.inputs[file.input_index]
    is_cut = spec.reader in LINE_READERS and compression_of(file.uri) is None
    stop = SAMPLE_BYTES if is_cut and file.num_bytes > SAMPLE_BYTES else None
    unit = Unit(file.uri, file.input_index, file.num_bytes, 0, stop)
    rows = list(islice(READERS[spec.reader](unit, spec), SAMPLE_ROWS))
    for row in rows:
        if isinstance(row, Rejected) and policy_of(corpus, row.reason) == "fail":
            raise failure(row.reason, file.uri, row.place, row.detail)
    sampled = float(stop or file.num_bytes)
    if len(rows) == SAMPLE_ROWS:
        sampled = _bytes_before(file, spec.reader, rows[-1].place)
    return [row for row in rows if isinstance(row, Document)], sampled


def _bytes_before(file: File, reader: str, place: int) -> float:
    if reader != "parquet":
        return min(file.num_bytes, place / expansion(file.uri)) if place else file.num_bytes
    rows = read_row_groups(file.uri)
    return file.num_bytes if isinstance(rows, Rejected) else file.num_bytes * (place + 1) / sum(rows)
