"""The tasks that find hard negatives, each a function of a picklable description. No Ray here.

1. `scan_pairs`: one file of pairs: how many there are, and the documents of its test pairs.
2. `index_shard`: one shard of the embeddings with its part of the corpus: hashes and keys of its documents.
3. `gather_block`: a block of pairs with the vectors of its anchors, from all shards.
4. `search_range`: the block against a range of shards: its nearest texts there.
5. `choose_block`: all ranges together, and the rules: negatives.

Alive in memory: a block's vectors and nearest texts, and one shard. What a task has staged (negative_files.py) is taken
up by a rerun.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.corpus import staging
from theta_ray.encoder.devices import require_device
from theta_ray.encoder.stored import from_column, read_vectors, to_column
from theta_ray.objects import exists
from theta_ray.steps import reached
from theta_ray.store import read_shard
from theta_ray.training.negative_files import (
    ROW_BITS,
    BlockTask,
    FileTask,
    IndexTask,
    NegativesJob,
    SearchTask,
    from_lists,
    read,
    read_candidates,
    to_lists,
    unit,
    write,
)
from theta_ray.training.negative_rules import (
    IN_TEST,
    KEY_COLUMNS,
    choose,
    forbidden_keys,
    hashes,
    is_drawn,
    keys_of,
    text_hashes,
)
from theta_ray.training.topk import NOTHING, Int64, Near, Queries, UInt64, merge, search, similarities

PAIR_COLUMNS = ["anchor_id", "more_anchor_ids", "positive_id", "group", "kind", "split"]
PAIRS = "pairs"
IDS = pa.list_(pa.string())


def scan_pairs(task: FileTask) -> dict[str, Any]:
    """Count a file's pairs, and stage the documents of its test pairs."""
    summary = staging.read_json(task.job.at("scan", task.name, "json"))
    if summary is not None:
        return summary
    pairs = read(task.uri, PAIR_COLUMNS)
    test = pairs.filter(pc.equal(pairs["split"], "test"))
    docs = np.unique(_members(test.combine_chunks())[0])
    write(task.job.at("test", task.name), pa.table({"doc": docs}))
    summary = {"name": task.name, "num_rows": pairs.num_rows}
    staging.write_json(task.job.at("scan", task.name, "json"), summary)
    return summary


def _members(pairs: pa.Table) -> tuple[UInt64, Int64]:
    """The documents of N pairs, by hash, and the pair of each: the anchors, then N positives."""
    number, more = np.arange(pairs.num_rows), pairs["more_anchor_ids"].combine_chunks()
    ids = [pairs["anchor_id"].combine_chunks(), more.flatten(), pairs["positive_id"].combine_chunks()]
    owners = [number, np.repeat(number, more.value_lengths().to_numpy()), number]
    return np.concatenate([hashes(column, "id") for column in ids]), np.concatenate(owners)


def index_shard(task: IndexTask) -> dict[str, Any]:
    """Stage hashes and keys of a shard's documents, in its order."""
    job, shard = task.job, task.job.shards[task.number]
    if not exists(job.at("index", shard.shard)):
        ids = read_shard(job.embeddings, shard.shard, columns=["doc_id"])["doc_id"]
        groups = list(shard.row_groups)
        corpus = read_shard(job.corpus, shard.corpus_shard, columns=KEY_COLUMNS, row_groups=groups)
        # those of the corpus rows that have a vector
        rows = corpus.take(pc.index_in(ids.combine_chunks(), corpus["doc_id"].combine_chunks()))
        doc, (keys, owner) = hashes(ids.combine_chunks(), "id"), keys_of(rows)
        in_test = np.zeros(len(doc), bool)
        for file in task.files:
            in_test |= np.isin(doc, read(job.at("test", file), ["doc"])["doc"].to_numpy())
        keys = np.concatenate([keys, np.full(int(in_test.sum()), IN_TEST)])
        columns = {
            "doc": doc,
            "text": text_hashes(rows["text_hash"].combine_chunks()),
            "is_drawn": is_drawn(doc, job.rules),
            "keys": to_lists(keys, np.concatenate([owner, np.flatnonzero(in_test)]), len(doc)),
        }
        write(job.at("index", shard.shard), pa.table(columns))
    return {"num_rows": shard.num_rows}


def gather_block(task: BlockTask) -> dict[str, Any]:
    """Stage a block's anchors with the similarity of their positives, and the keys that no negative of theirs has.

    The vector of several anchors is the mean of theirs. A pair without all its vectors has a similarity of NaN.
    """
    job = task.file.job
    if not exists(job.at("queries", task.name)):
        pairs = read(task.file.uri, PAIR_COLUMNS).slice(task.start, task.stop - task.start).combine_chunks()
        gathered = _Gathered(pairs)
        for number in range(len(job.shards)):
            gathered.look_in(job, number)
        write(job.at("queries", task.name), gathered.to_table(pairs))
    return {"num_rows": task.stop - task.start}


class _Gathered:
    """Vectors and keys of the documents of N pairs, as shards bring them."""

    def __init__(self, pairs: pa.Table) -> None:
        doc, pair = _members(pairs)
        is_positive = np.arange(len(doc)) >= len(doc) - pairs.num_rows
        order = np.argsort(doc, kind="stable")
        self._doc, self._pair, self._is_positive = doc[order], pair[order], is_positive[order]
        self._missing = np.bincount(pair, minlength=pairs.num_rows)
        self._sides = [np.zeros((pairs.num_rows, 1), np.float32) for _ in ("anchor", "positive")]
        self._keys: list[UInt64] = [np.empty(0, np.uint64)]
        self._owner: list[Int64] = [np.empty(0, np.int64)]

    def look_in(self, job: NegativesJob, number: int) -> None:
        """Take what one shard has of them."""
        shard = job.shards[number].shard
        index = read(job.at("index", shard), ["doc", "keys"])
        doc = index["doc"].to_numpy()
        order = np.argsort(doc)
        place = np.searchsorted(doc[order], self._doc).clip(max=max(0, len(doc) - 1))
        found = np.flatnonzero(doc[order][place] == self._doc) if len(doc) else np.empty(0, np.int64)
        if not len(found):
            return
        rows, pair = order[place[found]], self._pair[found]
        wanted, row = np.unique(rows, return_inverse=True)
        vectors = unit(read_vectors(read_shard(job.embeddings, shard).take(pa.array(wanted))))
        for side in (0, 1):
            if self._sides[side].shape[1] != vectors.shape[1]:
                self._sides[side] = np.zeros((len(self._missing), vectors.shape[1]), np.float32)
            mine = self._is_positive[found] == bool(side)
            np.add.at(self._sides[side], pair[mine], vectors[row[mine]])
        np.subtract.at(self._missing, pair, 1)
        keys = index["keys"].combine_chunks().take(pa.array(rows))
        self._keys.append(keys.flatten().to_numpy())
        self._owner.append(np.repeat(pair, keys.value_lengths().to_numpy()))

    def to_table(self, pairs: pa.Table) -> pa.Table:
        """The block: vector, similarity, pair (a hash) and forbidden keys."""
        anchors_ND, positives_ND = (unit(side) for side in self._sides)
        keys = to_lists(np.concatenate(self._keys), np.concatenate(self._owner), pairs.num_rows)
        of_pair = (pairs[name].to_pylist() for name in ("group", "kind", "split"))
        forbidden = [forbidden_keys(*values) for values in zip(from_lists(keys), *of_pair, strict=True)]
        owner = np.repeat(np.arange(len(forbidden)), [len(mine) for mine in forbidden])
        anchor, positive = (hashes(pairs[name].combine_chunks(), name) for name in ("anchor_id", "positive_id"))
        columns = {
            "vector": to_column(anchors_ND),
            "similarity": np.where(self._missing == 0, similarities(anchors_ND, positives_ND), np.nan),
            "pair": anchor ^ positive,
            "forbidden": to_lists(np.concatenate(forbidden), owner, len(forbidden)),
        }
        return pa.table(columns)


def search_range(task: SearchTask) -> dict[str, Any]:
    """Stage the nearest texts of a block's anchors among those of a range of shards."""
    block, job = task.block, task.block.file.job
    if not exists(job.at("near", task.name)):
        require_device(job.device)
        queries = read(job.at("queries", block.name), ["vector", "similarity", "forbidden"])
        usable = np.flatnonzero(~np.isnan(queries["similarity"].to_numpy()))
        queries = queries.take(pa.array(usable))
        who = Queries(from_column(queries["vector"]), from_lists(queries["forbidden"].combine_chunks()))
        near = NOTHING
        for number in task.shards if len(usable) else ():
            near = search(who, read_candidates(job, number), job.rules.last_rank, near, job.device)
        write(job.at("near", task.name), pa.table({**vars(near), "query": usable[near.query]}))
        reached("near_staged", PAIRS, task.name)
    return {"num_rows": block.stop - block.start}


def choose_block(task: BlockTask) -> dict[str, Any]:
    """Stage the negatives of a block's pairs; how many texts each rule left, and pairs without any."""
    job = task.file.job
    counts = staging.read_json(job.at("chosen", task.name, "json"))
    if counts is not None:
        return counts
    near, columns = NOTHING, list(vars(NOTHING))
    for number in range(task.num_ranges):
        part = read(job.at("near", SearchTask(task, number).name), columns)
        near = merge([near, Near(*(part[name].to_numpy() for name in columns))], job.rules.last_rank)
    queries = read(job.at("queries", task.name), ["similarity", "pair"])
    positive = queries["similarity"].to_numpy()
    chosen, counts = choose(near, positive, queries["pair"].to_numpy(), job.rules)
    num_pairs = task.stop - task.start
    negatives = to_lists(_ids_of(job, chosen.place), chosen.query, num_pairs)
    write(job.at("chosen", task.name), pa.table({"negative_ids": negatives.cast(IDS)}))
    reached("negatives_staged", PAIRS, task.name)
    counts["pairs"] = counts["num_rows"] = num_pairs
    counts["pairs_without_vector"] = int(np.isnan(positive).sum())
    counts["pairs_without_negatives"] = num_pairs - len(np.unique(chosen.query))
    staging.write_json(job.at("chosen", task.name, "json"), counts)
    return counts


def _ids_of(job: NegativesJob, place: Int64) -> Any:
    """[M] the ids of documents, by place."""
    ids = np.empty(len(place), object)
    shards = place >> ROW_BITS
    for number in np.unique(shards):
        mine = np.flatnonzero(shards == number)
        column = read_shard(job.embeddings, job.shards[number].shard, columns=["doc_id"])["doc_id"]
        ids[mine] = column.take(pa.array(place[mine] & (2**ROW_BITS - 1))).to_pylist()
    return ids
