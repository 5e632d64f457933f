"""What projections would cost, for a plan: contexts of the committed corpus are counted in this process."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.config import Resources
from theta_ray.errors import ConfigError
from theta_ray.network.contexts import pairs_within, priced
from theta_ray.network.events import EVENTS, READ, kinds_of
from theta_ray.network.inputs import Inputs
from theta_ray.network.job import NetworkJob
from theta_ray.network.windows import Timeline
from theta_ray.store import read_shard

# Participations are held in this process: 100 bytes each.
MAX_DOCUMENTS = 10_000_000
# Pairs within a window, of one core, for ties and episodes: below what was measured.
TIMED_PAIRS_PER_SECOND = 1e6


def price_corpus(job: NetworkJob, inputs: Inputs, resources: Resources) -> dict[str, Any]:
    """Lines of a plan: pairs, bytes and seconds of each projection, or why it would be refused."""
    graphs = job.settings.projected
    figures: dict[str, Any] = {"documents": inputs.num_rows, "random graphs of each": job.settings.num_nulls}
    if inputs.num_rows > MAX_DOCUMENTS:
        return figures | {"prices": f"told when the run has counted {inputs.num_rows:,} documents, before any pair"}
    parts: dict[str, list[pa.Table]] = {graph: [] for graph in graphs}
    authors = set[str]()
    for shard in inputs.shards:
        documents = read_shard(job.corpus, shard, columns=READ).combine_chunks()
        documents = documents.set_column(READ.index("kind"), "kind", kinds_of(documents))
        authors.update(documents["author_id"].drop_null().unique().to_pylist())
        for graph in graphs:
            rows = EVENTS[graph](documents, job.settings).select(["context", "author_id", "created_at"])
            parts[graph].append(rows.filter(rows["author_id"].is_valid()))
    for graph in graphs:
        rows = pa.concat_tables(parts[graph])
        try:
            if job.settings.projection.window_seconds is None:
                found = priced(_histogram(rows), len(authors), job.settings.projection)
                figures |= _lines(graph, found.figures(resources.num_actors or 1))
            else:
                figures |= _lines(graph, _within_window(job, graph, rows))
        except ConfigError as error:
            figures |= _lines(graph, {"refused": str(error)})
    return figures


def _lines(graph: str, found: dict[str, str]) -> dict[str, str]:
    return {f"{graph}: {name}": value for name, value in found.items()}


def _within_window(job: NetworkJob, graph: str, rows: pa.Table) -> dict[str, str]:
    """Pairs of events within the window, counted from their times. 60 bytes an event.

    Raises:
        ConfigError: more than the recipe allows.
    """
    rules, coded = job.settings.projection, rows.combine_chunks()
    actor, context = (coded[name].combine_chunks().dictionary_encode() for name in ("author_id", "context"))
    at = coded["created_at"].combine_chunks().cast(pa.int64())
    at = pc.if_else(pc.less_equal(at, job.last_time), at, None).cast(pa.timestamp("us"))
    ends, times = (actor.indices.to_numpy(), context.indices.to_numpy()), at.to_numpy(zero_copy_only=False)
    events = Timeline.of(len(actor.dictionary), len(context.dictionary), *ends, times)
    pairs = pairs_within(graph, events, rules)
    seconds = pairs * (1 + job.settings.num_nulls) / TIMED_PAIRS_PER_SECOND
    return {
        "pairs": f"{pairs:,} of events within {rules.window_seconds:g} seconds, and as many for each random graph",
        "seconds": f"{seconds:,.1f} on one core for all of these",
        "events without a time": f"{events.num_without_time:,} of {rows.num_rows:,}",
    }


def _histogram(rows: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[largest size + 1] contexts of each size."""
    members = rows.group_by(["context", "author_id"], use_threads=False).aggregate([])
    sizes = members.group_by("context", use_threads=False).aggregate([("author_id", "count")])
    counts = Counter(sizes["author_id_count"].to_pylist())
    found = np.zeros(max(counts, default=0) + 1, np.int64)
    found[list(counts)] = list(counts.values())
    return found
