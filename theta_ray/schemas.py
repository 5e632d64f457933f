"""The tables: their Arrow schemas, keys and the reasons for which a row may be turned away.

Text appears in `corpus` only; everything downstream joins on `doc_id`. Vectors are
`fixed_size_list` columns built in pyarrow, so that polars, DuckDB and Spark read them.
"""

from __future__ import annotations

import re

import pyarrow as pa

from theta_ray.errors import SchemaError
from theta_ray.schemas_network import NETWORK_KEYS

CORPUS = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("text_hash", pa.binary(16), nullable=False),
        pa.field("author_id", pa.string()),
        pa.field("context_id", pa.string()),
        pa.field("parent_id", pa.string()),
        # who wrote what it answers or repeats
        pa.field("parent_author_id", pa.string()),
        pa.field("container", pa.string()),
        pa.field("created_at", pa.timestamp("us", tz="UTC")),
        pa.field("lang", pa.string()),
        pa.field("tags", pa.list_(pa.string()), nullable=False),
        # other authors that it mentions, parent_author_id left out
        pa.field("mention_ids", pa.list_(pa.string()), nullable=False),
        # web addresses, normalised (corpus/links.py)
        pa.field("links", pa.list_(pa.string()), nullable=False),
        pa.field("label", pa.string()),
        pa.field("score", pa.int64()),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ]
)

QUARANTINE = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),
        pa.field("source_ref", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)

STORE_TYPES = {"binary": pa.uint8(), "float16": pa.float16(), "float32": pa.float32(), "int8": pa.int8()}


def embeddings_schema(dim: int, store_dtype: str) -> pa.Schema:
    """Schema of an `embeddings` table of vectors of `dim` values; of binary ones, a byte holds 8."""
    width = dim // 8 if store_dtype == "binary" else dim
    return pa.schema(
        [
            pa.field("doc_id", pa.string(), nullable=False),
            pa.field("embedding", pa.list_(STORE_TYPES[store_dtype], width), nullable=False),
            *([pa.field("scale", pa.float32(), nullable=False)] if store_dtype == "int8" else []),
            pa.field("num_tokens", pa.int32(), nullable=False),
        ]
    )


# Where the vector of each text that any night has embedded lies (encoder/text_index.py).
TEXT_INDEX = pa.schema(
    [
        # halves of the first 16 bytes of BLAKE2b of the exact text
        pa.field("text_high", pa.uint64(), nullable=False),
        pa.field("text_low", pa.uint64(), nullable=False),
        # path below the root, without `.parquet`, of a shard of the embeddings, and a row of it
        pa.field("shard", pa.string(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
    ]
)

PAIRS = pa.schema(
    [
        pa.field("anchor_id", pa.string(), nullable=False),
        # a hash-document is the anchor's text and these; none elsewhere
        pa.field("more_anchor_ids", pa.list_(pa.string()), nullable=False),
        pa.field("positive_id", pa.string(), nullable=False),
        pa.field("negative_ids", pa.list_(pa.string()), nullable=False),
        pa.field("group", pa.string()),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
)

ASSIGNMENTS = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        # -1 where the vector is zero or not finite
        pa.field("cluster_id", pa.int32(), nullable=False),
        # cosine with the centroid; of Euclidean clusters, minus the distance
        pa.field("similarity", pa.float32(), nullable=False),
        # how much less similar the second nearest centroid is
        pa.field("margin", pa.float32(), nullable=False),
    ]
)


def centroids_schema(dim: int) -> pa.Schema:
    """Schema of a `centroids` table of vectors of `dim` values."""
    return pa.schema(
        [
            pa.field("cluster_id", pa.int32(), nullable=False),
            pa.field("centroid", pa.list_(pa.float32(), dim), nullable=False),
            pa.field("size", pa.int64(), nullable=False),
            # distance (1 - cosine where cosine is the metric) that held 99 % of the cluster's rows at the fit
            pa.field("radius", pa.float32(), nullable=False),
        ]
    )


RANKED_TERMS = pa.list_(pa.struct([("term", pa.string()), ("score", pa.float64())]))
TEMPLATES = pa.list_(pa.struct([("doc_id", pa.string()), ("documents", pa.int64())]))
LANGUAGES = pa.list_(pa.struct([("lang", pa.string()), ("documents", pa.int64())]))
CHANGES = pa.list_(pa.struct([("bucket", pa.date32()), ("before", pa.float64()), ("after", pa.float64())]))
TOPICS = pa.schema(
    [
        pa.field("topic_id", pa.int32(), nullable=False),  # stable between days
        pa.field("cluster_id", pa.int32(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("terms", RANKED_TERMS, nullable=False),
        pa.field("representative_ids", pa.list_(pa.string()), nullable=False),
        pa.field("borderline_ids", pa.list_(pa.string()), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        # first, born, kept, split or merged, and the topics that it comes from
        pa.field("event", pa.string(), nullable=False),
        pa.field("previous_ids", pa.list_(pa.int32()), nullable=False),
        # mean NPMI of its terms over whole documents; null with fewer than two terms
        pa.field("coherence", pa.float64()),
        # documents that repeat the text of another one, but for digits, addresses and mentions
        pa.field("duplicate_share", pa.float64(), nullable=False),
        # the texts that most documents repeat, by one of these
        pa.field("templates", TEMPLATES, nullable=False),
        pa.field("languages", LANGUAGES, nullable=False),
        # where its share of the documents changed, and the shares in the levels before and after
        pa.field("changes", CHANGES, nullable=False),
    ]
)

TOPIC_COUNTS = pa.schema(
    [
        pa.field("topic_id", pa.int32(), nullable=False),
        # first day of the day, week or month; null for documents without a time
        pa.field("bucket", pa.date32()),
        pa.field("count", pa.int64(), nullable=False),
        pa.field("terms", RANKED_TERMS, nullable=False),
    ]
)

# One figure: of a topic, or of all of them where topic_id is null; null where it has no value or no interval.
TOPIC_QUALITY = pa.schema(
    [
        pa.field("topic_id", pa.int32()),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        # documents, answers or topics that it is of
        pa.field("num_values", pa.int64(), nullable=False),
    ]
)

TOPIC_TREE = pa.schema(
    [
        pa.field("node_id", pa.string(), nullable=False),
        # null for the node of all topics
        pa.field("parent_id", pa.string()),
        pa.field("topic_ids", pa.list_(pa.int32()), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("height", pa.float64(), nullable=False),
        pa.field("persistence", pa.float64()),
        # numbers of nodes of the levels that it is a node of
        pa.field("levels", pa.list_(pa.int32()), nullable=False),
    ]
)

K_CURVE = pa.schema(
    [
        pa.field("num_clusters", pa.int32(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        # rows, or fits, that it is of
        pa.field("num_values", pa.int64(), nullable=False),
    ]
)

# y = (x - source_mean) matrix + target_mean, from the vectors of one model to those of another
EMBEDDING_MAPS = pa.schema(
    [
        pa.field("method", pa.string(), nullable=False),
        pa.field("is_chosen", pa.bool_(), nullable=False),
        # share of the true neighbours of held-out documents that mapped vectors find, and its interval
        pa.field("overlap", pa.float64(), nullable=False),
        pa.field("overlap_low", pa.float64(), nullable=False),
        pa.field("overlap_high", pa.float64(), nullable=False),
        # mean cosine of mapped and true vectors
        pa.field("cosine", pa.float64(), nullable=False),
        pa.field("num_held_out", pa.int64(), nullable=False),
        pa.field("source_mean", pa.list_(pa.float32()), nullable=False),
        # row after row; null where it is the identity
        pa.field("matrix", pa.list_(pa.float32())),
        pa.field("target_mean", pa.list_(pa.float32()), nullable=False),
    ]
)

KEYS = {
    "corpus": "doc_id",
    "embeddings": "doc_id",
    "text_index": "text_high, text_low",
    "pairs": "anchor_id, positive_id, group",
    "adapter": None,
    "centroids": "cluster_id",
    "assignments": "doc_id",
    "topics": "topic_id",
    "topic_counts": "topic_id, bucket",
    "topic_quality": "topic_id, metric",
    "topic_tree": "node_id",
    "k_curve": "num_clusters, metric",
    "embedding_maps": "method",
    **NETWORK_KEYS,
    "report": None,
    "quarantine": None,
}

# Damaged rows count against `max_damaged_share`; filtered rows are turned away because the recipe asks.
DAMAGED_INPUT = {
    "unreadable_file": "the parquet file, or the rest of a row group, cannot be read or is not as its footer says",
    "bad_record": "the line is not valid JSON, CSV or a record of this format",
    "bad_encoding": "the bytes are not UTF-8",
    "record_too_large": "one record is larger than the limit of 64 MiB",
    "truncated_file": "the compressed file ends in the middle or is damaged; the rows before the break are kept",
    "decompression_bomb": "the compressed file, or row group, grows more than 1,000-fold; the rest is not read",
    "missing_id": "the id column is empty",
    "damaged_id": "the id is a float beyond 2^53, so its last digits are gone",
    "missing_text": "the text column is empty or absent",
    "bad_time": "the time is neither ISO 8601, Unix seconds nor a Twitter date",
    "bad_score": "the score is not a whole number",
}
DAMAGED_VECTORS = {
    "non_finite_embedding": "the embedding has NaN or infinite values",
    "zero_embedding": "the embedding is the zero vector",
    "out_of_memory": "one sequence of the text alone did not fit the device's memory",
}
DAMAGED = {**DAMAGED_INPUT, **DAMAGED_VECTORS}
FILTERED = {
    "control_message": "a stream notice (delete, limit, error), not a document",
    "deleted_id": "the id is in a list below tombstones/; the quarantine row holds neither id nor text",
    "deleted_text": "the platform replaced the text by [deleted] or [removed]",
    "too_short": "fewer characters than corpus.min_chars",
    "too_long": "more characters than corpus.max_chars",
    "other_language": "the language is not in corpus.keep_languages",
    "duplicate_id": "an earlier row has the same doc_id",
    "duplicate_text": "an earlier row has the same normalised text (corpus.duplicates: drop)",
}


def type_named(text: str) -> pa.DataType:
    """The Arrow type of a column as a manifest writes it."""
    schemas = (CORPUS, QUARANTINE, TOPICS, TOPIC_COUNTS, TOPIC_TREE, EMBEDDING_MAPS)
    known = {str(field.type): field.type for schema in schemas for field in schema}
    known |= {str(kind): kind for kind in (pa.int32(), *STORE_TYPES.values())}
    if text in known:
        return known[text]
    vector = re.fullmatch(r"fixed_size_list<[a-z]+: ([a-z0-9]+)>\[(\d+)\]", text)
    if vector is None or vector[1] not in known:
        raise SchemaError(f"column type {text}: is not one of this version's tables; read it with the version it is of")
    return pa.list_(known[vector[1]], int(vector[2]))


def check_schema(actual: pa.Schema, expected: pa.Schema, where: str) -> None:
    """Raise SchemaError with every difference in one line when `actual` is not `expected`."""
    problems = []
    for field in expected:
        if field.name not in actual.names:
            problems.append(f"no column {field.name}")
        elif actual.field(field.name).type != field.type:
            problems.append(f"{field.name} is {actual.field(field.name).type}, not {field.type}")
    problems += [f"unknown column {name}" for name in actual.names if name not in expected.names]
    if problems:
        raise SchemaError(f"{where}: {'; '.join(problems)}; write it again with this version's stage")
