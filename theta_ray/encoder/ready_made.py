"""Shards that need no model. No Ray here.

carried     the night before has a shard of the same name, which holds a digest of all that decides its rows:
            object and record are copied (inputs that grow from day to day)
assembled   earlier nights embedded all of its texts (earlier_texts.py): their vectors are put together
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from theta_ray.encoder.earlier_texts import read_taken
from theta_ray.encoder.exports import Totals
from theta_ray.encoder.neighbours import Recall
from theta_ray.encoder.shard import EmbedJob, TextColumns, row_details, write_shard
from theta_ray.encoder.shared import split_texts
from theta_ray.encoder.stored import mean_cosine, read_stored
from theta_ray.encoder.tokenize import TokenSequences
from theta_ray.encoder.tokenized import ShardTask, TokenizedShard
from theta_ray.manifest import list_versions, read_manifest
from theta_ray.objects import create_from_file, get_file, join, list_names
from theta_ray.steps import reached
from theta_ray.store import Partition, Record, create_record, file_sha256, read_records, read_shard

NO_SEQUENCES = TokenSequences(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.int32), 0)


@dataclass(frozen=True)
class Carried:
    """A shard of an earlier night, to be copied."""

    source: Partition
    embeddings: Partition
    record: Record


def find_carried(embeddings: Partition, todo: Sequence[ShardTask], epoch: int) -> list[Carried]:
    """Those of the shards to make that the night before has, by its newest version."""
    days = [
        name.removeprefix("dt=") for name in list_names(join(embeddings.root, "embeddings", embeddings.fingerprint))
    ]
    for day in sorted((day for day in days if day < embeddings.date), reverse=True):
        source = replace(embeddings, date=day)
        if not list_versions(source):
            continue
        manifest = read_manifest(source)
        assert manifest is not None, "it was listed"
        wanted = {task.shard for task in todo}
        records = [Record(**shard, epoch=epoch) for shard in manifest["shards"] if shard["shard"] in wanted]
        return [Carried(source, embeddings, record) for record in records]
    return []


def carry_shard(item: Carried) -> dict[str, Any]:
    """Copy a shard, its quarantined rows first; `record` is None where the source is not what its record says."""
    record: Record | None = item.record
    if item.record.quarantined:
        source, target = (replace(each, table="quarantine") for each in (item.source, item.embeddings))
        try:
            (rejects,) = read_records(source, [item.record.shard])
        except FileNotFoundError:
            return {"num_rows": 0, "record": None}
        record = copy_shard(replace(rejects, epoch=item.record.epoch), source, target)
    if record is not None:
        record = copy_shard(item.record, item.source, item.embeddings)
    return {"num_rows": record.num_rows if record else 0, "record": None if record is None else asdict(record)}


def copy_shard(record: Record, source: Partition, target: Partition) -> Record | None:
    """A finished shard of one partition under its name in another; None where it is not what its record says.

    None as well where another attempt has begun to make that shard itself: it goes on.
    """
    uri = target.at(f"{record.shard}.parquet")
    with tempfile.TemporaryDirectory(prefix="theta-ray-") as folder:
        local, there = os.path.join(folder, "shard.parquet"), os.path.join(folder, "there.parquet")
        try:
            get_file(source.at(f"{record.shard}.parquet"), local)
        except FileNotFoundError:
            return None
        if file_sha256(local) != record.sha256:
            return None
        reached("shard_computed", target.table, record.shard)
        if not create_from_file(uri, local):
            get_file(uri, there)
            if file_sha256(there) != record.sha256:
                return None
    reached("shard_created", target.table, record.shard)
    record = create_record(target, record, exact=False)
    reached("record_created", target.table, record.shard)
    return record


def assemble_shard(item: tuple[EmbedJob, ShardTask]) -> Record:
    """Make a shard of vectors that earlier nights have stored, all of its texts among them."""
    job, task = item
    table = read_shard(job.corpus, task.corpus_shard, columns=["doc_id", "text"], row_groups=list(task.row_groups))
    taken = read_taken(job.earlier, task.shard)
    assert taken is not None, "all of its texts were found"
    _, _, text_of_row = split_texts(table, None, taken["place"].to_numpy())
    shard = TokenizedShard(task, table.column("doc_id").combine_chunks(), text_of_row, NO_SEQUENCES, ())
    stored = read_stored(taken)
    columns = TextColumns(stored, taken["num_tokens"].to_numpy(), np.full(len(taken), ""))
    details = {
        **asdict(Totals()),
        "num_compared": 0,
        "min_cosine": None,
        "layers": None,
        "mean_cosine": mean_cosine(stored.restored()),
        "recall": Recall()._asdict(),
        **row_details(shard, columns, taken),
    }
    assert job.earlier is not None, "some of its texts were found"
    # no kernel has a say here: the same nights give the same bytes anywhere
    return write_shard(job, shard, columns, details, {"device": "cpu", "earlier": job.earlier.identity})
