"""Kept candidates of a bucket become pairs, and every candidate is counted: in a pair, or dropped for one reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from theta_ray.config_pairs import OF_ONE_DOCUMENT, Pairs
from theta_ray.privacy import MINIMUM
from theta_ray.schemas import PAIRS
from theta_ray.training.groups import CHILD, PARENT, Indices, Limits, changes, codes, num_pairs, ring
from theta_ray.training.splits import NAMES, TEST, TRAIN


@dataclass
class Paired:
    """Pairs of one bucket, and what became of its candidates."""

    pairs: pa.Table
    num_in_pairs: int
    dropped: Counter[str] = field(default_factory=Counter)
    num_groups: int = 0
    """Groups that have a pair."""
    largest: tuple[int, str] = (0, "")
    """Candidates of the largest group, and its name where it has enough of them to be named."""

    def details(self) -> dict[str, Any]:
        """Counts for the record of the shard."""
        split = Counter(self.pairs["split"].to_pylist())
        return {
            "num_in_pairs": self.num_in_pairs,
            "dropped": dict(sorted((reason, count) for reason, count in self.dropped.items() if count)),
            **{f"num_{name}": split[name] for name in NAMES},
            "num_groups": self.num_groups,
            "largest_group": list(self.largest),
        }


def limits_of(pairs: Pairs) -> Limits:
    """How many candidates a group needs for its pairs, on each side of the split."""
    train, test = caps_of(pairs)
    if pairs.kind in OF_ONE_DOCUMENT:
        return Limits(1, 1)
    if pairs.kind == "reply":
        return Limits(train, test)
    if pairs.kind == "thread":
        return Limits(pairs.max_pairs_per_group + 1, 0)
    width = pairs.hashtag.posts_per_anchor
    return Limits(train + width, test + width)


def caps_of(pairs: Pairs) -> tuple[int, int]:
    """Pairs of a group on the train and the test side; a group that is split whole has all of them on its side."""
    cap = pairs.max_pairs_per_group
    if pairs.split_by == "group":
        return cap, cap
    test = max(1, round(cap * pairs.split.test_share))
    return max(1, cap - test if pairs.split.test_share else cap), test


def make_pairs(kept: pa.Table, sides: NDArray[np.int8], pairs: Pairs) -> Paired:
    """Pairs of kept candidates (groups.keep_lowest), whose split sides are `sides` [N]."""
    kept = kept.combine_chunks()
    if not kept.num_rows:
        return Paired(PAIRS.empty_table(), 0)
    if pairs.kind in OF_ONE_DOCUMENT:
        return _of_one_document(kept, sides, pairs)
    if pairs.kind == "reply":
        return _replies(kept, sides, pairs)
    if pairs.kind == "thread":
        return _neighbours(kept, sides, pairs)
    return _of_groups(kept, sides, pairs)


def _of_one_document(kept: pa.Table, sides: NDArray[np.int8], pairs: Pairs) -> Paired:
    places, none = np.arange(kept.num_rows), pa.nulls(kept.num_rows, pa.string())
    table = _table(kept, (places[:, None], places), none, sides, pairs.kind)
    return Paired(table, kept.num_rows, num_groups=kept.num_rows)


def _of_groups(kept: pa.Table, sides: NDArray[np.int8], pairs: Pairs) -> Paired:
    """Pairs of documents of a label or a tag."""
    # within a group by side, then as they were: by hash
    kept = kept.append_column("side", pa.array(sides, pa.int8()))
    order = np.lexsort((np.arange(kept.num_rows), sides, codes(kept)))
    kept = kept.take(order)
    group, sides = codes(kept), kept["side"].to_numpy()
    totals, largest = _totals(kept, group)
    dropped: Counter[str] = Counter()
    minimum = pairs.hashtag.min_tag_count if pairs.kind == "hashtag" else 2
    is_small = totals < minimum
    evicted = kept["evicted"].to_numpy()
    dropped["small_group"] = int((1 + evicted)[is_small].sum())
    dropped["over_cap"] = int(evicted[~is_small].sum())

    width = pairs.hashtag.posts_per_anchor
    starts = np.flatnonzero(changes(group) | changes(sides))
    sizes = np.diff(np.append(starts, len(group)))
    caps = np.array(caps_of(pairs))[sides[starts]]
    counts = np.where(is_small[starts], 0, np.minimum(num_pairs(sizes, width), caps))
    anchors, positives = ring(starts, sizes, counts, width)
    used = np.zeros(len(group), dtype=bool)
    used[anchors.ravel()] = used[positives] = True
    is_alone = np.repeat(counts == 0, sizes) & ~is_small
    dropped["alone"] = int(is_alone.sum())
    dropped["over_cap"] += int((~used & ~is_alone & ~is_small).sum())
    num_groups = len(np.unique(group[positives]))
    table = _table(kept, (anchors, positives), kept["group"].take(pa.array(positives)), sides, pairs.kind)
    return Paired(table, int(used.sum()), dropped, num_groups, largest)


def _replies(kept: pa.Table, sides: NDArray[np.int8], pairs: Pairs) -> Paired:
    """A parent with each of its replies."""
    group = codes(kept)
    is_child, evicted = kept["role"].to_numpy() == CHILD, kept["evicted"].to_numpy()
    starts = changes(group)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(group)), 0))
    has_parent = (kept["role"].to_numpy() == PARENT)[first]
    dropped = Counter(
        no_parent=int((1 + evicted)[~has_parent].sum()),
        over_cap=int(evicted[has_parent].sum()),
    )
    found = np.flatnonzero(has_parent & is_child)
    side, side_of_parent = sides[found], sides[first[found]]
    dropped["no_split_key"] = int((side_of_parent < 0).sum())
    dropped["crosses_split"] = int(((side_of_parent >= 0) & (side != side_of_parent)).sum())
    positives = found[side == side_of_parent]
    parents = first[positives]
    table = _table(kept, (parents[:, None], positives), kept["thread"].take(pa.array(positives)), sides, pairs.kind)
    largest = _totals(kept, group)[1]
    return Paired(table, len(positives), dropped, len(np.unique(parents)), largest)


def _neighbours(kept: pa.Table, sides: NDArray[np.int8], pairs: Pairs) -> Paired:
    """Each post of a thread with the one after it, by time."""
    group = codes(kept)
    places = np.arange(len(group) - 1)
    together = group[1:] == group[:-1]
    crosses = sides[1:] != sides[:-1]
    anchors = places[together & ~crosses]
    used = np.zeros(len(group), dtype=bool)
    used[anchors] = used[anchors + 1] = True
    # of a document in no pair: its neighbours are on the other side, or it has none
    between = together & crosses
    crossing = np.append(between, False) | np.insert(between, 0, False)
    dropped = Counter(
        crosses_split=int((~used & crossing).sum()),
        alone=int((~used & ~crossing).sum()),
        over_cap=int(kept["evicted"].to_numpy().sum()),
    )
    table = _table(kept, (anchors[:, None], anchors + 1), kept["group"].take(pa.array(anchors)), sides, pairs.kind)
    largest = _totals(kept, group)[1]
    return Paired(table, int(used.sum()), dropped, len(np.unique(group[anchors])), largest)


def _totals(kept: pa.Table, group: Indices) -> tuple[Indices, tuple[int, str]]:
    """[N], candidates of each row's group before any was turned away; and the largest group."""
    starts = np.flatnonzero(changes(group))
    is_child = kept["role"].to_numpy() == CHILD
    sums = np.add.reduceat(is_child + kept["evicted"].to_numpy(), starts)
    most = int(np.argmax(sums))
    name = kept["group"][int(starts[most])].as_py() if sums[most] >= MINIMUM else ""
    return np.repeat(sums, np.diff(np.append(starts, len(group)))), (int(sums[most]), name)


def _table(
    kept: pa.Table, places: tuple[Indices, Indices], group: pa.ChunkedArray, sides: NDArray[np.int8], kind: str
) -> pa.Table:
    """Rows of PAIRS; `places` are row numbers of anchors [P, width] and positives [P]."""
    anchors, positives = places
    ids = kept["doc_id"].combine_chunks()
    count, more = len(positives), anchors.shape[1] - 1
    offsets = pa.array(np.arange(count + 1) * more, pa.int32())
    assert set(np.unique(sides[positives])) <= {TRAIN, TEST}, "candidates without a side were dropped before"
    columns = {
        "anchor_id": ids.take(pa.array(anchors[:, 0])),
        "more_anchor_ids": pa.ListArray.from_arrays(offsets, ids.take(pa.array(anchors[:, 1:].ravel()))),
        "positive_id": ids.take(pa.array(positives)),
        "negative_ids": pa.ListArray.from_arrays(pa.array(np.zeros(count + 1), pa.int32()), pa.array([], pa.string())),
        "group": group,
        "kind": pa.array([kind] * count, pa.string()),
        "weight": pa.array(np.ones(count), pa.float32()),
        "split": pa.array(NAMES).take(pa.array(sides[positives])),
    }
    return pa.table([columns[field.name] for field in PAIRS], schema=PAIRS)
