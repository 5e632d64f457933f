"""Which documents may be negatives of a pair, and which of the near ones are taken. Pure functions on arrays.

What documents share is held as keys, hashes of 64 bits: the id (of a document and of what it answers), the text, the
label, the tags, the thread. A document that has a key of the pair's documents, or is in its group, is no negative.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config_negatives import Negatives
from theta_ray.training.order import mixed
from theta_ray.training.splits import hash64
from theta_ray.training.topk import Int64, Near, UInt64, ranks_in
from theta_ray.training.views import fold_tag

KEY_COLUMNS = ["doc_id", "text_hash", "context_id", "parent_id", "tags", "label"]
# A group of pairs is a label, a folded tag, a thread or what is answered, by the kind of the pairs.
GROUP_SPACES = ("label", "tag", "thread", "id")
# Keys that a document has and that say nothing of it as a part of a pair.
NO_LABEL, IN_TEST = (np.uint64(hash64(0, name)) for name in ("no label", "in test"))
# Kinds whose negatives have another label, and so a label.
BY_LABEL = ("dictionary", "label")


def hashes(values: pa.Array, space: str, fold: Callable[[str], str] = str) -> UInt64:
    """[N] hashes of strings of one space (ids, labels, tags); each distinct one is hashed once."""
    encoded = values.dictionary_encode()
    known = np.array([hash64(0, space, fold(value)) for value in encoded.dictionary.to_pylist()], np.uint64)
    return np.asarray(known[np.asarray(encoded.indices)])


def text_hashes(values: pa.Array) -> UInt64:
    """[N] the first half of each text's hash of 16 bytes."""
    return np.array([int.from_bytes(value[:8], "big") for value in values.to_pylist()], np.uint64)


def keys_of(rows: pa.Table) -> tuple[UInt64, Int64]:
    """Keys of documents of the corpus (KEY_COLUMNS), and the row that has each, by row.

    Returns:
        [K] keys and [K] rows. A document has each of its keys once or several times.
    """
    columns = {name: rows[name].combine_chunks() for name in KEY_COLUMNS}
    number = np.arange(rows.num_rows)
    found = [(hashes(columns["doc_id"], "id"), number), (text_hashes(columns["text_hash"]), number)]
    for name, space in (("parent_id", "id"), ("context_id", "thread"), ("label", "label")):
        there = np.asarray(columns[name].is_valid())
        found.append((hashes(columns[name].drop_null(), space), number[there]))
        if name == "label":
            found.append((np.full(int((~there).sum()), NO_LABEL), number[~there]))
    tags = columns["tags"]
    owner = np.repeat(number, np.diff(np.asarray(tags.offsets)))
    found.append((hashes(tags.flatten(), "tag", fold_tag), owner))
    keys, owners = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(owners, kind="stable")
    return keys[order], owners[order]


def forbidden_keys(keys: UInt64, group: str | None, kind: str, split: str) -> UInt64:
    """What no negative of a pair has, ascending.

    Args:
        keys: of the pair's documents.
        group: of the pair.
        kind: of the pair.
        split: "train" pairs have no negatives from test pairs, which the model must not have seen.
    """
    of_pair = keys[(keys != NO_LABEL) & (keys != IN_TEST)]
    more = [] if group is None else [hash64(0, space, group) for space in GROUP_SPACES]
    more += [int(NO_LABEL)] if kind in BY_LABEL else []
    more += [int(IN_TEST)] if split == "train" else []
    return np.unique(np.concatenate([of_pair, np.array(more, np.uint64)]))


def is_drawn(doc: UInt64, rules: Negatives) -> npt.NDArray[np.bool_]:
    """[N] whether documents are in the share that is looked at, by the hashes of their ids."""
    if rules.share == 1:
        return np.ones(len(doc), bool)
    limit = np.uint64(min(round(rules.share * 2**64), 2**64 - 1))
    return np.asarray(mixed(doc ^ mixed(np.array([rules.seed], np.uint64))) < limit)


def choose(
    near: Near, positive_N: npt.NDArray[np.float64], pair_N: UInt64, rules: Negatives
) -> tuple[Near, dict[str, int]]:
    """The negatives of each pair, nearest first, and how many near texts each rule left.

    Args:
        near: the `last_rank` nearest texts of each of N pairs.
        positive_N: similarity of anchor and positive.
        pair_N: hashes of the pairs, which decide what is drawn.
        rules: ranks, margins and count.
    """
    in_ranks = near.take((ranks_in(near) >= rules.first_rank - 1) & (ranks_in(near) < rules.last_rank))
    usable = in_ranks.take(in_ranks.similarity <= _limits(positive_N, rules)[in_ranks.query])
    order = np.arange(len(usable), dtype=np.uint64)
    if rules.choose == "random":
        order = mixed(usable.doc ^ mixed(pair_N[usable.query] + np.uint64(rules.seed)))
    drawn = usable.take(np.lexsort((order, usable.query)))
    chosen = drawn.take(ranks_in(drawn) < rules.count)
    chosen = chosen.take(np.lexsort((chosen.doc, -chosen.similarity, chosen.query)))
    return chosen, {"near": len(near), "in_ranks": len(in_ranks), "below_margin": len(usable), "negatives": len(chosen)}


def _limits(positive_N: npt.NDArray[np.float64], rules: Negatives) -> npt.NDArray[np.float64]:
    """[N] how similar to its anchor a negative may be."""
    limit_N = np.full(len(positive_N), np.inf if rules.max_similarity is None else rules.max_similarity)
    if rules.margin is not None:
        limit_N = np.minimum(limit_N, positive_N - rules.margin)
    if rules.relative_margin is not None:
        limit_N = np.minimum(limit_N, positive_N - rules.relative_margin * np.abs(positive_N))
    return limit_N
