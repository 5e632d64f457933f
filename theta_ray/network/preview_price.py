"""What projections would cost, for a plan: contexts of the committed corpus are counted in this process."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from theta_ray.config import Resources
from theta_ray.errors import ConfigError
from theta_ray.network.contexts import priced
from theta_ray.network.events import EVENTS, READ, kinds_of
from theta_ray.network.inputs import Inputs
from theta_ray.network.job import NetworkJob
from theta_ray.store import read_shard

# Participations are held in this process: 100 bytes each.
MAX_DOCUMENTS = 10_000_000


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
            rows = EVENTS[graph](documents, job.settings).select(["context", "author_id"])
            parts[graph].append(rows.filter(rows["author_id"].is_valid()))
    for graph in graphs:
        sizes = _histogram(pa.concat_tables(parts[graph]))
        try:
            found = priced(sizes, len(authors), job.settings.projection).figures(resources.num_actors or 1)
        except ConfigError as error:
            found = {"refused": str(error)}
        figures |= {f"{graph}: {name}": value for name, value in found.items()}
    return figures


def _histogram(rows: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[largest size + 1] contexts of each size."""
    members = rows.group_by(["context", "author_id"], use_threads=False).aggregate([])
    sizes = members.group_by("context", use_threads=False).aggregate([("author_id", "count")])
    counts = Counter(sizes["author_id_count"].to_pylist())
    found = np.zeros(max(counts, default=0) + 1, np.int64)
    found[list(counts)] = list(counts.values())
    return found
