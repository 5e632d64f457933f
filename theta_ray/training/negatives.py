"""Hard negatives for pairs that have been staged, from committed embeddings of their corpus.

    pairs (parquet files) x embeddings (shards) -> nearest texts of each anchor -> ranks, margins -> negatives

What a stage does with it, within a cluster and under its lease:

    job = make_negatives_job(config, day, rules)                 # its `lineage` goes into names and the manifest
    job = replace(job, staging=folder)
    counts = mine_negatives(job, uris, executor)
    read_negatives(job, uri)                                     # a list of ids for each pair of that file

The driver sees names and counts only. A task is a block of 8,192 pairs against a range of shards, so there are tasks
enough for few pairs among many documents, and for many. The result depends neither on blocks and ranges nor on the
number of workers (topk.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from theta_ray.config import Config, Embed
from theta_ray.config_negatives import Negatives
from theta_ray.corpus.survey import partition_of
from theta_ray.encoder.job import make_job
from theta_ray.encoder.map_shards import num_actors
from theta_ray.encoder.tokenized import plan_tasks
from theta_ray.errors import InputError
from theta_ray.manifest import identity_of, read_manifest
from theta_ray.store import Partition
from theta_ray.tasks import Executor
from theta_ray.training.negative_files import BlockTask, FileTask, IndexTask, NegativesJob, SearchTask, read
from theta_ray.training.negative_phases import choose_block, gather_block, index_shard, scan_pairs, search_range

# With 100 ranks, 33 MB of near texts for each range of shards.
BLOCK_PAIRS = 2**13
# Blocks x ranges: enough for a cluster where pairs are few.
MIN_TASKS, MAX_RANGES = 256, 64


def embeddings_of(config: Config, day: str, rules: Negatives) -> Partition:
    """The partition in which negatives are looked for: it enters the fingerprint of the pairs."""
    if rules.embeddings is None:
        return make_job(config, day).embeddings
    return Partition(config.root, "embeddings", rules.embeddings, day)


def make_negatives_job(config: Config, day: str, rules: Negatives) -> NegativesJob:
    """Find the committed embeddings of the day's corpus.

    Raises:
        InputError: nothing is committed, or it is of another version of the corpus.
    """
    corpus, embeddings = partition_of(config, day), embeddings_of(config, day, rules)
    of_corpus, manifest = read_manifest(corpus), read_manifest(embeddings)
    if manifest is None or of_corpus is None:
        missing = corpus if of_corpus is None else embeddings
        raise InputError(f"{missing.path}: not committed; run jobs/embed.py for {day} first")
    if manifest["inputs"]["corpus"] != identity_of(of_corpus):
        raise InputError(
            f"{embeddings.path}: is of corpus {manifest['inputs']['corpus']['fingerprint']} version "
            f"{manifest['inputs']['corpus']['version']}, the pairs are of {corpus.fingerprint} version "
            f"{of_corpus['version']}; run jobs/embed.py for {day} first"
        )
    lineage = {"embeddings": identity_of(manifest)}
    lineage |= {name: manifest["inputs"][name] for name in ("model", "adapter")}
    shards = plan_tasks(of_corpus, Embed.model_validate(manifest["sections"]["embed"]))
    device = "cuda" if config.resources.gpus_per_actor else "cpu"
    return NegativesJob(corpus, embeddings, tuple(shards), lineage, rules, device)


def mine_negatives(job: NegativesJob, files: Sequence[str], executor: Executor) -> dict[str, int]:
    """Stage the negatives of all pairs; a rerun takes up what is staged.

    Args:
        job: with its staging folder.
        files: URIs of parquet files with the columns of the pairs table; their names differ.
        executor: what runs the tasks; a cluster is there already.

    Returns:
        `pairs`; near texts that were `near` (within last_rank), `in_ranks` and `below_margin`; the `negatives` taken;
        `pairs_without_negatives`, of which `pairs_without_vector` lack the vector of one of their documents.
    """
    tasks = [FileTask(job, uri) for uri in files]
    sizes = {found["name"]: found["num_rows"] for found in executor.map(scan_pairs, tasks)}
    names = tuple(task.name for task in tasks)
    executor.map(index_shard, [IndexTask(job, number, names) for number in range(len(job.shards))])
    blocks = plan_blocks(tasks, sizes)
    executor.map(gather_block, blocks)
    ranges = [SearchTask(block, number) for block in blocks for number in range(block.num_ranges)]
    gpus = executor.resources.gpus_per_actor
    if gpus:
        num_actors(executor.resources)  # a missing GPU stops the job: its tasks would wait for ever
    executor.map(search_range, ranges, gpus=gpus)
    totals: Counter[str] = Counter()
    for counts in executor.map(choose_block, blocks):
        totals.update(counts)
    del totals["num_rows"]
    return dict(totals)


def plan_blocks(files: Sequence[FileTask], sizes: dict[str, int]) -> list[BlockTask]:
    """All pairs in blocks, and the shards in as many ranges as give tasks enough."""
    num_blocks = sum(-(-sizes[file.name] // BLOCK_PAIRS) for file in files)
    num_shards = len(files[0].job.shards) if files else 0
    num_ranges = max(1, min(num_shards, MAX_RANGES, -(-MIN_TASKS // max(1, num_blocks))))
    blocks = []
    for file in files:
        for start in range(0, sizes[file.name], BLOCK_PAIRS):
            blocks.append(BlockTask(file, start, min(start + BLOCK_PAIRS, sizes[file.name]), num_ranges))
    return blocks


def read_negatives(job: NegativesJob, uri: str) -> pa.ChunkedArray:
    """A list of ids for each pair of a file, in its order; nearest first, empty where none is left."""
    file = FileTask(job, uri)
    num_rows = scan_pairs(file)["num_rows"]
    parts = [
        read(job.at("chosen", block.name), ["negative_ids"]) for block in plan_blocks([file], {file.name: num_rows})
    ]
    empty = pa.chunked_array([], pa.list_(pa.string()))
    return pa.concat_tables(parts)["negative_ids"] if parts else empty
