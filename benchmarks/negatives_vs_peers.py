"""Hard negatives beside sentence-transformers' `mine_hard_negatives`: the same embeddings, pairs and rules.

    python benchmarks/negatives_vs_peers.py --config recipes/tune_hashtags.yaml --root results

Needs `datasets` beside sentence-transformers. The corpus is embedded and the pairs are mined first where they are
missing; the first pair of each anchor is taken. Each side runs in a process of its own, `--rounds` times in turn. Ours
reads committed tables and stages what it finds; the peer has pairs, texts and vectors in memory before the clock, that
of the processor, starts. Both take the ten nearest of ranks 1 to 100 by the 95 % rule. Ours leaves out what shares a
tag, a label or a thread with the pair; the peer knows the pairs only. `same` is the share of a side's negatives that
are among the peer's.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs where the project is not installed

DAY = "2026-01-31"
COUNT, RANKS, MARGIN = 10, 100, 0.05
NAMES = {"ours": "theta_ray", "peer": "sentence-transformers"}


class Stored:
    """A model whose vectors are there already."""

    device = "cpu"

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self._vectors = vectors

    def encode(self, texts: list[str], **_: Any) -> np.ndarray:
        return np.stack([self._vectors[text] for text in texts])

    encode_document = encode_query = encode

    def similarity(self, left: Any, right: Any) -> Any:
        import torch

        return torch.as_tensor(left) @ torch.as_tensor(right).T

    def similarity_pairwise(self, left: Any, right: Any) -> Any:
        import torch

        return (torch.as_tensor(left) * torch.as_tensor(right)).sum(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a recipe value")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        options.out.write_bytes(pickle.dumps(measure(options)))
        return
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for name in NAMES:
                out = Path(folder) / f"{name}-{number}"
                command = [sys.executable, __file__, *sys.argv[1:], "--one", name, "--out", str(out)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
                found[name].append(pickle.loads(out.read_bytes()))
    print_table(found)


def print_table(found: dict[str, list[dict[str, Any]]]) -> None:
    ours, peer = (found[name][0] for name in NAMES)
    print(json.dumps(ours["sizes"]))
    print("| miner | CPU seconds | x | peak MiB | negatives | same |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, runs in found.items():
        ratios = [other["seconds"] / run["seconds"] for run, other in zip(runs, found["peer"], strict=True)]
        seconds, peak = (statistics.median(run[key] for run in runs) for key in ("seconds", "peak"))
        mined = runs[0]["negatives"]
        total = sum(map(len, mined.values()))
        same = sum(len(mined[pair] & peer["negatives"].get(pair, set())) for pair in mined) / total
        cells = f"{seconds:.1f} | {statistics.median(ratios):.2f} | {peak:,.0f} | {total:,} | {same:.3f}"
        print(f"| {NAMES[name]} | {cells} |")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """One side's seconds, peak memory in MiB, and negatives by pair of ids."""
    from theta_ray.recipe_files import load_config
    from theta_ray.training import mine_pairs

    rules = f"pairs.negatives={{count: {COUNT}, first_rank: 1, last_rank: {RANKS}, choose: hardest}}"
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "resources.yaml"
        where.write_text("executor: local\n")
        root = str(options.root.resolve())
        config = load_config(options.config, resources_path=str(where), root=root, overrides=(rules, *options.set))
    mine_pairs.run(config, DAY)
    mined, seconds, sizes = (mine_ours if options.one == "ours" else mine_peer)(config)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"negatives": mined, "seconds": seconds, "peak": peak, "sizes": sizes}


def read_pairs(config: Any) -> Any:
    """The first pair of each anchor."""
    from theta_ray.schemas import PAIRS
    from theta_ray.table import open_table
    from theta_ray.training import mine_pairs

    pairs = open_table(mine_pairs.make_job(config, DAY).partition.path, schema=PAIRS).to_table()
    return pairs.take(np.sort(np.unique(np.array(pairs["anchor_id"].to_pylist()), return_index=True)[1]))


def mine_ours(config: Any) -> tuple[dict[tuple[str, str], set[str]], float, dict[str, int]]:
    from dataclasses import replace

    import pyarrow.parquet as pq

    from theta_ray.tasks import Executor
    from theta_ray.training.negatives import make_negatives_job, mine_negatives, read_negatives

    pairs = read_pairs(config)
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/pairs.parquet"
        pq.write_table(pairs, file)
        began = time.process_time()
        job = replace(make_negatives_job(config, DAY, config.recipe.pairs.negatives), staging=f"{folder}/staging")
        mine_negatives(job, [file], Executor("negatives", config.resources, lambda: None))
        negatives = read_negatives(job, file).to_pylist()
        seconds = time.process_time() - began
    ids = zip(pairs["anchor_id"].to_pylist(), pairs["positive_id"].to_pylist(), strict=True)
    sizes = {"pairs": len(pairs), "documents": sum(shard.num_rows for shard in job.shards)}
    return dict(zip(ids, map(set, negatives), strict=True)), seconds, sizes


def mine_peer(config: Any) -> tuple[dict[tuple[str, str], set[str]], float, dict[str, int]]:
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    from theta_ray.corpus.survey import partition_of
    from theta_ray.encoder.job import make_job
    from theta_ray.encoder.stored import read_vectors
    from theta_ray.schemas import CORPUS
    from theta_ray.table import open_table
    from theta_ray.training.negative_files import unit

    rows = open_table(partition_of(config, DAY).path, schema=CORPUS).to_table(columns=["doc_id", "text"])
    text = dict(zip(rows["doc_id"].to_pylist(), rows["text"].to_pylist(), strict=True))
    name = {value: key for key, value in text.items()}
    stored = open_table(make_job(config, DAY).embeddings.path).to_table()
    vectors = {
        text[key]: row for key, row in zip(stored["doc_id"].to_pylist(), unit(read_vectors(stored)), strict=True)
    }
    pairs = read_pairs(config)
    anchors, positives = ([text[key] for key in pairs[f"{side}_id"].to_pylist()] for side in ("anchor", "positive"))
    # the anchor as a second positive of itself: it is in the corpus as well
    twice = {"anchor": anchors + anchors, "positive": positives + anchors}
    began = time.process_time()
    found = mine_hard_negatives(
        Dataset.from_dict(twice),
        Stored(vectors),
        corpus=list(text.values()),
        num_negatives=COUNT,
        range_max=RANKS,
        relative_margin=MARGIN,
        sampling_strategy="top",
        output_format="triplet",
        verbose=False,
    )
    seconds = time.process_time() - began
    mined: dict[tuple[str, str], set[str]] = {}
    for anchor, positive, negative in zip(found["anchor"], found["positive"], found["negative"], strict=True):
        mined.setdefault((name[anchor], name[positive]), set()).add(name[negative])
    return {pair: ids for pair, ids in mined.items() if pair[0] != pair[1]}, seconds, {}


if __name__ == "__main__":
    main()
