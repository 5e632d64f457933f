"""Documents become events of networks: the first phase, one corpus shard after another.

    documents       who wrote a document, by its id: what replies and reposts are joined to
    asks            a reply or a repost whose target's author is looked for, by the target's id
    ties            mentions, whose targets are known, by their source
    participations  an author in a context (thread, container, hashtag, link, reposted document), by the context
    threads         a document in its thread, by the thread
    activity        a document of an author, by the author
    texts           the hash of a text, by itself

Documents without an author are counted; they stay parents in threads and targets, and are nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.config_network import GraphName, Network
from theta_ray.corpus import staging
from theta_ray.corpus.staging import write_rows
from theta_ray.network.job import HASH, TIES, TIME, ReadTask, add_up, numbers_of, with_hash
from theta_ray.steps import reached
from theta_ray.store import read_shard

READ = [
    *("doc_id", "text_hash", "kind", "author_id", "context_id", "parent_id", "parent_author_id", "container"),
    *("created_at", "score", "tags", "mention_ids", "links"),
]
ASKS = pa.schema(
    [
        ("target_id", pa.string()),
        ("graph", pa.string()),
        ("author_id", pa.string()),
        ("known_id", pa.string()),
        ("created_at", TIME),
    ]
)
PARTICIPATIONS = pa.schema(
    [("graph", pa.string()), ("context", pa.string()), ("author_id", pa.string()), ("created_at", TIME)]
)
TEXTS = pa.schema([HASH, ("low", pa.uint64())])


def read_events(task: ReadTask) -> dict[str, Any]:
    """Stage the events of one corpus shard; what was counted."""
    job, uri = task.job, task.job.staged("read", task.shard, "json")
    found = staging.read_json(uri)
    if found is not None:
        return found
    documents = read_shard(job.corpus, task.shard, columns=READ).combine_chunks()
    times = documents["created_at"].combine_chunks()
    is_late = pc.fill_null(pc.greater(times.cast(pa.int64()), job.last_time), False)
    known = pc.if_else(is_late, pa.scalar(None, TIME), times)
    documents = documents.set_column(READ.index("created_at"), "created_at", known)
    documents = documents.set_column(READ.index("kind"), "kind", kinds_of(documents))
    events = {graph: EVENTS[graph](documents, job.settings) for graph in job.settings.graphs}
    for kind, table in {**_of_graphs(events), **_of_people(documents, topics_of(task, documents))}.items():
        write_rows(job.staged(kind, task.shard), table)
    num_late = int(pc.sum(is_late).as_py() or 0)
    found = {
        "num_rows": documents.num_rows,
        "num_without_author": documents["author_id"].null_count,
        "num_without_time": known.null_count - num_late,
        "num_in_future": num_late,
        "last_time": pc.max(known.cast(pa.int64())).as_py(),
        "graphs": {
            graph: {"num_events": rows.num_rows, "num_without_author": rows["author_id"].null_count}
            for graph, rows in events.items()
        },
    }
    staging.write_json(uri, found)
    reached("rows_staged", "network_stats", task.shard)
    return found


def kinds_of(documents: pa.Table) -> pa.ChunkedArray:
    """[documents] `repost`, `comment` or `post`: whatever answers another document is a comment."""
    is_repost = pc.equal(documents["kind"], "repost")
    answers = pc.and_(documents["parent_id"].is_valid(), pc.not_equal(documents["parent_id"], documents["doc_id"]))
    is_comment = pc.or_(pc.equal(documents["kind"], "comment"), pc.fill_null(answers, False))
    return pc.if_else(is_repost, "repost", pc.if_else(is_comment, "comment", "post"))


def _of_graphs(events: dict[GraphName, pa.Table]) -> dict[str, pa.Table]:
    """Rows to stage of the events of each graph: those with an author."""
    asks, ties, parts = [ASKS.empty_table()], [TIES.empty_table()], [PARTICIPATIONS.empty_table()]
    for graph, rows in events.items():
        rows = rows.filter(rows["author_id"].is_valid())
        rows = rows.append_column("graph", pa.repeat(pa.scalar(graph), rows.num_rows))
        if "context" in rows.column_names:
            parts.append(rows.select(PARTICIPATIONS.names).cast(PARTICIPATIONS))
        elif "mentioned_id" in rows.column_names:
            ones = pa.repeat(pa.scalar(1), rows.num_rows)
            ends = [rows["author_id"], rows["mentioned_id"]]
            ties.append(pa.table([rows["graph"], *ends, ones, rows["created_at"], rows["created_at"]], schema=TIES))
        else:
            asks.append(rows.select(ASKS.names).cast(ASKS))
    return {
        "asks": with_hash(pa.concat_tables(asks), "target_id"),
        "ties": with_hash(add_up(pa.concat_tables(ties)), "source_id"),
        "participations": with_hash(pa.concat_tables(parts), "graph", "context"),
    }


def _of_people(documents: pa.Table, topic_ids: pa.Array) -> dict[str, pa.Table]:
    threads = in_threads(documents)
    activity = documents.select(["author_id", "created_at", "kind", "score"]).append_column("topic_id", topic_ids)
    activity = activity.append_column("container", numbers_of(documents["container"]))
    digests = b"".join(documents["text_hash"].to_pylist())
    halves = np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)
    return {
        "documents": with_hash(documents.select(["doc_id", "author_id"]), "doc_id"),
        "threads": with_hash(threads.select(["context_id", "doc_id", "parent_id", "created_at", "kind"]), "context_id"),
        "activity": with_hash(activity.filter(activity["author_id"].is_valid()), "author_id"),
        "texts": pa.table([halves[:, 0], halves[:, 1]], schema=TEXTS).sort_by("hash"),
    }


def topics_of(task: ReadTask, documents: pa.Table) -> pa.Array:
    """[documents] int32 topic of each; null without one."""
    if task.job.assignments is None or not task.assigned or not task.job.topic_of_cluster:
        return pa.nulls(documents.num_rows, pa.int32())
    assigned = pa.concat_tables(
        [read_shard(task.job.assignments, name, columns=["doc_id", "cluster_id"]) for name in task.assigned]
    ).combine_chunks()
    place = pc.index_in(documents["doc_id"].combine_chunks(), assigned["doc_id"].combine_chunks())
    cluster_ids = assigned["cluster_id"].combine_chunks().take(place)
    names, topic_ids = (pa.array(values, pa.int32()) for values in zip(*task.job.topic_of_cluster, strict=True))
    return topic_ids.take(pc.index_in(cluster_ids, names))


def in_threads(documents: pa.Table) -> pa.Table:
    """Documents of a thread. A repost answers nobody in it: it is there only where it is what the others answer."""
    is_repost = pc.equal(documents["kind"], "repost")
    opens = pc.equal(documents["doc_id"], documents["context_id"])
    return documents.filter(pc.and_(documents["context_id"].is_valid(), pc.or_(opens, pc.invert(is_repost))))


def _threads(documents: pa.Table, settings: Network) -> pa.Table:
    """Authors in the threads that they take part in."""
    who, threads = settings.projection.participants, in_threads(documents)
    if who != "all":
        threads = threads.filter(pc.not_equal(threads["doc_id"], threads["context_id"]))
    if who == "top_level":
        parents = pc.fill_null(pc.equal(threads["parent_id"], threads["context_id"]), True)
        threads = threads.filter(parents)
    return _in_context(threads, threads["context_id"])


def _containers(documents: pa.Table, settings: Network) -> pa.Table:
    inside = documents.filter(documents["container"].is_valid())
    return _in_context(inside, inside["container"])


def _hashtags(documents: pa.Table, settings: Network) -> pa.Table:
    rows = _in_each(documents, "tags", "context")
    # platforms take #Tea and #tea for one
    return rows.set_column(rows.column_names.index("context"), "context", pc.utf8_lower(rows["context"]))


def _links(documents: pa.Table, settings: Network) -> pa.Table:
    return _in_each(documents, "links", "context")


def _reposted(documents: pa.Table, settings: Network) -> pa.Table:
    reposts = _targeted(documents, "repost")
    return _in_context(reposts, reposts["parent_id"])


def _mentions(documents: pa.Table, settings: Network) -> pa.Table:
    # a repost has the mentions of what it repeats: its author mentions nobody
    return _in_each(documents.filter(pc.not_equal(documents["kind"], "repost")), "mention_ids", "mentioned_id")


def _reposts(documents: pa.Table, settings: Network) -> pa.Table:
    reposts = _targeted(documents, "repost")
    return _asking(reposts, reposts["parent_id"], reposts["parent_author_id"])


def _to_parent_author(documents: pa.Table, settings: Network) -> pa.Table:
    comments = documents.filter(pc.equal(documents["kind"], "comment"))
    target = pc.coalesce(comments["parent_id"], comments["context_id"])
    return _asking(comments, target, comments["parent_author_id"])


def _to_post_author(documents: pa.Table, settings: Network) -> pa.Table:
    comments = documents.filter(pc.equal(documents["kind"], "comment"))
    is_top_level = pc.fill_null(pc.equal(comments["parent_id"], comments["context_id"]), False)
    known = pc.if_else(is_top_level, comments["parent_author_id"], pa.scalar(None, pa.string()))
    return _asking(comments, comments["context_id"], known)


def _targeted(documents: pa.Table, kind: str) -> pa.Table:
    chosen = documents.filter(pc.equal(documents["kind"], kind))
    return chosen.filter(chosen["parent_id"].is_valid())


def _in_context(documents: pa.Table, context: pa.ChunkedArray) -> pa.Table:
    return documents.select(["author_id", "created_at"]).append_column("context", context)


def _asking(documents: pa.Table, target_id: pa.ChunkedArray, known_id: pa.ChunkedArray) -> pa.Table:
    """Documents whose target, or its author, is known by name."""
    rows = documents.select(["author_id", "created_at"]).append_column("target_id", target_id)
    rows = rows.append_column("known_id", known_id)
    rows = rows.filter(pc.or_(rows["target_id"].is_valid(), rows["known_id"].is_valid()))
    nameless = pc.fill_null(rows["target_id"], "")  # no document has an empty id
    return rows.set_column(rows.column_names.index("target_id"), "target_id", nameless)


def _in_each(documents: pa.Table, column: str, name: str) -> pa.Table:
    """A row for each value of a column of lists."""
    values = documents[column].combine_chunks()
    at = pc.list_parent_indices(values)
    return documents.select(["author_id", "created_at"]).take(at).append_column(name, pc.list_flatten(values))


EVENTS: dict[GraphName, Callable[[pa.Table, Network], pa.Table]] = {
    "co_container": _containers,
    "co_hashtag": _hashtags,
    "co_link": _links,
    "co_repost": _reposted,
    "co_thread": _threads,
    "comment_to_parent_author": _to_parent_author,
    "comment_to_post_author": _to_post_author,
    "mention": _mentions,
    "repost": _reposts,
}
