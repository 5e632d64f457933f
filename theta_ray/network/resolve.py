"""Replies and reposts find the authors of their targets: the second phase, one range of hashes after another.

`find_targets`: asks of a range are joined to the documents of the same range and become ties.
`sum_ties`: ties of a range of sources, of all shards and ranges, are added up: one row for each edge.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.corpus import staging
from theta_ray.corpus.staging import write_rows
from theta_ray.network.job import TIES, RangeTask, add_up, with_hash

# What becomes of an event whose author is known.
OUTCOMES = ("num_ties", "num_loops", "num_without_target")


def find_targets(task: RangeTask) -> dict[str, Any]:
    """Stage the ties of a range of targets; outcomes of each graph."""
    job, uri = task.job, task.job.staged("found_targets", task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        ties = joined(task.read("asks"), task.read("documents"))
        found = {"num_rows": ties.num_rows, "graphs": outcomes(ties, job.settings.directed)}
        write_rows(job.staged("resolved", task.name), with_hash(add_up(between_two(ties)), "source_id"))
        staging.write_json(uri, found)
    return found


def joined(asks: pa.Table, documents: pa.Table) -> pa.Table:
    """[asks] rows of TIES, each one event; the target is null where nobody knows it.

    The author that the corpus has of a target counts; where it has none, the one that the asking document names.
    """
    at = pc.index_in(asks["target_id"].combine_chunks(), documents["doc_id"].combine_chunks())
    target_id = pc.coalesce(documents["author_id"].combine_chunks().take(at), asks["known_id"].combine_chunks())
    ones = pa.repeat(pa.scalar(1), asks.num_rows)
    columns = [asks["graph"], asks["author_id"], target_id, ones, asks["created_at"], asks["created_at"]]
    return pa.table(columns, schema=TIES)


def between_two(ties: pa.Table) -> pa.Table:
    """Ties with a target that is not their source."""
    return ties.filter(pc.fill_null(pc.not_equal(ties["source_id"], ties["target_id"]), False))


def outcomes(ties: pa.Table, graphs: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Events of each graph by what becomes of them."""
    found = {}
    for graph in graphs:
        mine = ties.filter(pc.equal(ties["graph"], graph))
        total = int(pc.sum(mine["num_events"]).as_py() or 0)
        known = mine.filter(mine["target_id"].is_valid())
        num_known = int(pc.sum(known["num_events"]).as_py() or 0)
        num_ties = int(pc.sum(between_two(known)["num_events"]).as_py() or 0)
        found[graph] = dict(zip(OUTCOMES, (num_ties, num_known - num_ties, total - num_known), strict=True))
    return found


def sum_ties(task: RangeTask) -> dict[str, Any]:
    """Stage the edges of a range of sources; outcomes of the ties that no target had to be found for.

    `task.names` are corpus shards; their mentions and the resolved ranges are read.
    """
    job, uri = task.job, task.job.staged("summed_ties", task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        direct = task.read("ties")
        resolved = RangeTask(job, task.place, task.ranges, task.more_names).read("resolved")
        edges = add_up(pa.concat_tables([between_two(direct), resolved]))
        found = {"num_rows": edges.num_rows, "graphs": outcomes(direct, ("mention",))}
        write_rows(job.staged("edges", task.name), edges)
        staging.write_json(uri, found)
    return found
