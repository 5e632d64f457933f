"""Authors, threads and texts of one range of hashes each: what statistics of people in time are made of.

activity  ->  authors/<range>      rows of table `authors`
              spans/<range>        first and last time of posts, comments and both, of the same authors
              hours/<range>        events by hour since 1970, and post_hours posts
              containers/<range>   where most documents of an author are, by number
              talk/<range>         documents by author and topic
threads   ->  shapes/<range>       what each thread is like
texts     ->  copies/<range>.json  how many texts have how many documents
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from theta_ray.corpus import staging
from theta_ray.corpus.staging import write_rows
from theta_ray.network.arrival import Documents, arrivals
from theta_ray.network.hours import hours_of
from theta_ray.network.job import RangeTask
from theta_ray.network.lifespans import VARIANTS, spans
from theta_ray.network.observations import HOUR, MISSING, Flags, Integers
from theta_ray.network.repeats import copies, texts
from theta_ray.network.rhythm import interval_cv
from theta_ray.network.thread_shape import TOP, UNKNOWN, Threads, thread_shapes
from theta_ray.network.topic_communities import NO_TOPIC, Talk, top_topics
from theta_ray.schemas_network import AUTHORS

TALK = pa.schema([("author_id", pa.string()), ("topic_id", pa.int32()), ("num_documents", pa.int64())])
KINDS = ("post", "comment", "repost")


def measure_authors(task: RangeTask) -> dict[str, Any]:
    """Stage everything about a range of authors; how many there are."""
    job, uri = task.job, task.job.staged("measured_authors", task.name, "json")
    found = staging.read_json(uri)
    if found is not None:
        return found
    rows = task.read("activity").combine_chunks()
    names = rows["author_id"].combine_chunks().unique().sort()
    author = pc.index_in(rows["author_id"].combine_chunks(), names).to_numpy().astype(np.int32)
    times, score = integers(rows["created_at"]), integers(rows["score"])
    kinds = {kind: pc.equal(rows["kind"], kind).to_numpy() for kind in KINDS}
    topic = rows["topic_id"].combine_chunks().fill_null(NO_TOPIC).to_numpy()
    horizon = int(job.settings.horizon_hours * HOUR)
    documents = Documents(author, times, score, kinds["post"], integers(rows["container"]))
    compared = arrivals(documents, len(names), job.end, horizon)
    talk = Talk.of(author, topic)
    of_variant = {
        variant: spans(author[chosen], times[chosen], len(names), job.end)
        for variant, chosen in (
            ("activity", np.ones(len(author), bool)),
            *((k, kinds[k]) for k in VARIANTS if k in kinds),
        )
    }
    columns = [
        names,
        *(_counts(author, chosen, len(names)) for chosen in (None, kinds["post"], kinds["comment"], kinds["repost"])),
        nullable(compared.score),
        nullable(compared.early_score),
        nullable(of_variant["activity"].first).cast(AUTHORS.field("first_at").type),
        nullable(of_variant["activity"].last).cast(AUTHORS.field("last_at").type),
        pa.array(interval_cv(author, times, len(names), job.end), from_pandas=True),
        nullable(top_topics(talk, len(names)).astype(np.int64), NO_TOPIC).cast(pa.int32()),
    ]
    write_rows(job.staged("authors", task.name), pa.table(columns, schema=AUTHORS))
    flat = {f"{variant}_{name}": each for variant, s in of_variant.items() for name, each in s._asdict().items()}
    write_rows(job.staged("spans", task.name), pa.table(flat))
    write_rows(job.staged("hours", task.name), pa.table(hours_of(times, job.end)._asdict()))
    write_rows(job.staged("post_hours", task.name), pa.table(hours_of(times[kinds["post"]], job.end)._asdict()))
    write_rows(job.staged("containers", task.name), pa.table({"container": compared.container}))
    spoken = [names.take(pa.array(talk.author)), talk.topic, talk.num_documents]
    write_rows(job.staged("talk", task.name), pa.table(spoken, schema=TALK))
    found = {"num_rows": len(names)}
    staging.write_json(uri, found)
    return found


def integers(column: pa.ChunkedArray) -> Integers:
    """Whole numbers, or microseconds of times; MISSING where there is none."""
    return np.asarray(column.combine_chunks().cast(pa.int64()).fill_null(MISSING).to_numpy())


def nullable(values: Integers, missing: int = MISSING) -> pa.Array:
    """The reverse."""
    return pa.array(values, pa.int64(), mask=values == missing)


def _counts(author: NDArray[np.int32], chosen: Flags | None, count: int) -> Integers:
    return np.bincount(author if chosen is None else author[chosen], minlength=count).astype(np.int64)


def measure_threads(task: RangeTask) -> dict[str, Any]:
    """Stage what the threads of a range are like; how many documents they have."""
    job, uri = task.job, task.job.staged("measured_threads", task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        rows = task.read("threads").combine_chunks()
        write_rows(job.staged("shapes", task.name), pa.table(shapes_of(rows)._asdict()))
        found = {"num_rows": rows.num_rows}
        staging.write_json(uri, found)
    return found


def shapes_of(rows: pa.Table) -> Threads:
    """What threads are like, from documents with `context_id`, `doc_id`, `parent_id`, `created_at` and `kind`.

    A repost without comments is no thread.
    """
    others = rows.filter(pc.not_equal(rows["kind"], "repost"))
    rows = rows.filter(pc.is_in(rows["context_id"], value_set=others["context_id"].combine_chunks())).combine_chunks()
    coded = rows["context_id"].combine_chunks().dictionary_encode()
    thread, times = coded.indices.to_numpy(), integers(rows["created_at"])
    is_post = pc.equal(rows["doc_id"], rows["context_id"]).to_numpy()
    post_times = np.full(len(coded.dictionary), MISSING)
    post_times[thread[is_post]] = times[is_post]
    has_post = np.zeros(len(coded.dictionary), bool)
    has_post[thread[is_post]] = True
    comments = rows.filter(pa.array(~is_post))
    thread, times = thread[~is_post], times[~is_post]
    on_post = pc.fill_null(pc.equal(comments["parent_id"], comments["context_id"]), True).to_numpy()
    at = pc.index_in(comments["parent_id"].combine_chunks(), comments["doc_id"].combine_chunks())
    parent = at.fill_null(UNKNOWN).to_numpy().astype(np.int64)
    # a parent in another thread is not there
    parent[(parent >= 0) & (thread[np.maximum(parent, 0)] != thread)] = UNKNOWN
    parent[on_post] = TOP
    return thread_shapes(thread.astype(np.int32), parent, times, post_times, has_post)


def count_texts(task: RangeTask) -> dict[str, Any]:
    """How many texts of a range have how many documents."""
    uri = task.job.staged("copies", task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        rows = task.read("texts", keep_hash=True)
        many = copies(texts(rows["hash"].to_numpy(), rows["low"].to_numpy()))
        found = {"num_rows": rows.num_rows, "value": many.value.tolist(), "count": many.frequency.tolist()}
        staging.write_json(uri, found)
    return found
