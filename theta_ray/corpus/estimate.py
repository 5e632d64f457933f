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

SAMPLE_FILES = 3
SAMPLE_BYTES = 256 * 2**10
SAMPLE_ROWS = 10_000
BYTES_PER_TOKEN = 4


def estimate(corpus: Corpus, files: list[File]) -> tuple[int, int]:
    """Documents and tokens of all files, by the share of bytes that the sample is."""
    last = len(files) - 1
    places = sorted({0, last // 2, last})[:SAMPLE_FILES]
    samples = [_sample(corpus, files[place]) for place in places]
    num_documents, text_bytes, sampled = (sum(values) for values in zip(*samples, strict=True))
    scale = sum(file.num_bytes for file in files) / max(1.0, sampled)
    return round(num_documents * scale), round(text_bytes * scale / BYTES_PER_TOKEN)


def _sample(corpus: Corpus, file: File) -> tuple[int, int, float]:
    """Documents, bytes of text, and how many of the file's bytes they were read from."""
    spec = corpus.inputs[file.input_index]
    is_cut = spec.reader in LINE_READERS and compression_of(file.uri) is None
    stop = SAMPLE_BYTES if is_cut and file.num_bytes > SAMPLE_BYTES else None
    unit = Unit(file.uri, file.input_index, file.num_bytes, 0, stop)
    rows = list(islice(READERS[spec.reader](unit, spec), SAMPLE_ROWS))
    for row in rows:
        if isinstance(row, Rejected) and policy_of(corpus, row.reason) == "fail":
            raise failure(row.reason, file.uri, row.place, row.detail)
    texts = [row.text for row in rows if isinstance(row, Document)]
    sampled = float(stop or file.num_bytes)
    if len(rows) == SAMPLE_ROWS:
        sampled = _bytes_before(file, spec.reader, rows[-1].place)
    return len(texts), sum(len(text.encode("utf-8", "surrogatepass")) for text in texts), sampled


def _bytes_before(file: File, reader: str, place: int) -> float:
    if reader != "parquet":
        return min(file.num_bytes, place / expansion(file.uri)) if place else file.num_bytes
    rows = read_row_groups(file.uri)
    return file.num_bytes if isinstance(rows, Rejected) else file.num_bytes * (place + 1) / sum(rows)
