from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.corpora import DAY, corpus_of, write_jsonl
from tests.small_jobs import WORDS, make_recipe, read_table
from theta_ray.config import Config, Recipe, Resources
from theta_ray.config_negatives import Negatives
from theta_ray.corpus import prepare
from theta_ray.encoder import embed
from theta_ray.encoder.stored import read_vectors
from theta_ray.encoder.tokenized import ShardTask
from theta_ray.errors import ConflictError, InputError
from theta_ray.schemas import PAIRS
from theta_ray.store import Partition
from theta_ray.tasks import Executor
from theta_ray.training import negatives
from theta_ray.training.negative_files import unit
from theta_ray.training.negative_rules import hashes
from theta_ray.training.negatives import make_negatives_job, mine_negatives, read_negatives

RULES = Negatives(count=2, first_rank=2, last_rank=40, relative_margin=0.05, choose="hardest")
LOCAL = Resources(executor="local")
HERE = Executor("test", LOCAL, lambda: None)
NUM_DOCUMENTS = 120
LABELS = ["sport", "food", "sky", None]


def _documents() -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    documents = []
    for number in range(NUM_DOCUMENTS):
        words = generator.choice(WORDS, 5).tolist()
        text = documents[number // 2]["text"] if number % 10 == 9 else f"{' '.join(words)} #{words[0]}"
        thread = f"t{number % 30}"
        documents.append({"id": f"d{number}", "text": text, "label": LABELS[number % 4], "thread": thread})
    return documents


def _make_config(folder: Path, model: Path) -> Config:
    raw = [str(write_jsonl(folder / f"{part}.jsonl", _documents()[part::3])) for part in range(3)]
    recipe = make_recipe(raw[0], model, corpus={"shard_bytes": 4000}, embed={"shard_tokens": 300})
    columns = {"doc_id": "id", "text": "text", "label": "label", "context_id": "thread"}
    recipe["corpus"]["inputs"] = [{"reader": "jsonl", "path": raw, "columns": columns}]
    return Config(recipe=Recipe.model_validate(recipe), resources=LOCAL, root=str(folder / "root"))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Config:
    config = _make_config(tmp_path_factory.mktemp("negatives"), bert)
    embed.run(config, DAY)
    return config


def _pairs(num_pairs: int, kind: str = "hashtag", split: str = "train") -> pa.Table:
    generator = np.random.default_rng(num_pairs)
    rows = []
    for _ in range(num_pairs):
        of_label = np.arange(generator.integers(3), NUM_DOCUMENTS, len(LABELS))
        anchor, positive, more = (f"d{number}" for number in generator.choice(of_label, 3, replace=False))
        rows.append({"anchor_id": anchor, "positive_id": positive, "more_anchor_ids": [more][: len(rows) % 2]})
    same = {"negative_ids": [], "group": "road", "kind": kind, "weight": 1.0, "split": split}
    return pa.Table.from_pylist([{**row, **same} for row in rows], schema=PAIRS)


def _mine(config: Config, folder: Path, *tables: pa.Table, rules: Negatives = RULES) -> list[list[list[str]]]:
    """Negatives of the pairs of each table."""
    job = replace(make_negatives_job(config, DAY, rules), staging=str(folder / "staging"))
    folder.mkdir(exist_ok=True)
    files = []
    for number, table in enumerate(tables):
        files.append(str(folder / f"pairs-{number}.parquet"))
        pq.write_table(table, files[-1])
    mine_negatives(job, files, HERE)
    return [read_negatives(job, file).to_pylist() for file in files]


class Oracle:
    """Every document with its vector and what it shares, looked at one by one."""

    def __init__(self, config: Config) -> None:
        embeddings = read_table(config.root, "embeddings")
        self.vector = dict(zip(embeddings["doc_id"].to_pylist(), unit(read_vectors(embeddings)), strict=True))
        self.row = {row["doc_id"]: row for row in corpus_of(config).to_pylist()}
        ids = pa.array(list(self.row))
        self.order = dict(zip(self.row, hashes(ids, "id").tolist(), strict=True))

    def is_allowed(self, doc_id: str, pair: dict[str, Any], in_test: set[str]) -> bool:
        row = self.row[doc_id]
        if doc_id in in_test and pair["split"] == "train":
            return False
        if pair["kind"] in ("label", "dictionary") and row["label"] is None:
            return False
        if pair["group"] in (*row["tags"], row["label"], row["context_id"]):
            return False
        members = (self.row[name] for name in (pair["anchor_id"], *pair["more_anchor_ids"], pair["positive_id"]))
        return not any(
            row["text"] == member["text"]
            or row["context_id"] == member["context_id"]
            or (row["label"] is not None and row["label"] == member["label"])
            or set(row["tags"]) & set(member["tags"])
            for member in members
        )

    def hardest(self, pair: dict[str, Any], rules: Negatives, in_test: set[str]) -> list[str]:
        anchors = [self.vector[name] for name in (pair["anchor_id"], *pair["more_anchor_ids"])]
        anchor = unit(np.sum(anchors, axis=0, keepdims=True))[0].astype(np.float64)
        near: dict[str, tuple[float, int, str]] = {}
        for name in sorted(self.row, key=self.order.__getitem__):
            if self.is_allowed(name, pair, in_test):
                similarity = round(float(anchor @ self.vector[name]), 7)
                near.setdefault(self.row[name]["text"], (-similarity, self.order[name], name))
        limit = (1 - rules.relative_margin) * round(float(anchor @ self.vector[pair["positive_id"]]), 7)
        ranked = sorted(near.values())[rules.first_rank - 1 : rules.last_rank]
        return [name for similarity, _, name in ranked if -similarity <= limit][: rules.count]


@pytest.mark.parametrize("kind", ["hashtag", "label"])
def test_negatives_are_those_that_looking_at_every_document_finds(config: Config, tmp_path: Path, kind: str) -> None:
    train, test = _pairs(40, kind), _pairs(9, kind, split="test")
    oracle = Oracle(config)
    in_test = {name for row in test.to_pylist() for name in (row["anchor_id"], row["positive_id"])}
    in_test |= {name for row in test.to_pylist() for name in row["more_anchor_ids"]}
    for table, found in zip((train, test), _mine(config, tmp_path, train, test), strict=True):
        expected = [oracle.hardest(pair, RULES, in_test) for pair in table.to_pylist()]
        assert found == expected
        assert sum(map(len, found)) > 0


def test_blocks_ranges_and_files_do_not_change_the_negatives(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, pairs = RULES.model_copy(update={"choose": "random"}), _pairs(30)
    (whole,) = _mine(config, tmp_path / "whole", pairs, rules=rules)
    monkeypatch.setattr(negatives, "BLOCK_PAIRS", 7)
    monkeypatch.setattr(negatives, "MIN_TASKS", 9)
    cut = _mine(config, tmp_path / "cut", pairs.slice(0, 11), pairs.slice(11), rules=rules)
    assert cut[0] + cut[1] == whole
    monkeypatch.setattr(negatives, "MIN_TASKS", 1)
    assert _mine(config, tmp_path / "one", pairs, rules=rules) == [whole]


def test_an_interrupted_run_goes_on_from_what_is_staged(config: Config, tmp_path: Path) -> None:
    file, pairs = str(tmp_path / "pairs.parquet"), _pairs(20)
    pq.write_table(pairs, file)
    job = replace(make_negatives_job(config, DAY, RULES), staging=str(tmp_path / "staging"))
    (expected,) = _mine(config, tmp_path / "other", pairs)
    steps = iter(range(1000))

    def lost_after(count: int) -> Any:
        def check() -> None:
            if next(steps) % count == count - 1:
                raise ConflictError("another run took the lease over")

        return check

    for count in (2, 5, 7):
        with pytest.raises(ConflictError):
            mine_negatives(job, [file], Executor("test", LOCAL, lost_after(count)))
    first = mine_negatives(job, [file], HERE)
    assert read_negatives(job, file).to_pylist() == expected
    assert mine_negatives(job, [file], HERE) == first  # from what is staged
    assert first["pairs"] == 20
    assert first["negatives"] == sum(map(len, expected))
    assert first["pairs_without_negatives"] == sum(not ids for ids in expected)


def test_a_pair_whose_document_has_no_vector_has_no_negatives_and_is_counted(config: Config, tmp_path: Path) -> None:
    rows = _pairs(3).to_pylist()
    rows[1]["positive_id"] = "nobody"
    file = str(tmp_path / "pairs.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=PAIRS), file)
    job = replace(make_negatives_job(config, DAY, RULES), staging=str(tmp_path / "staging"))
    assert mine_negatives(job, [file], HERE)["pairs_without_vector"] == 1
    assert read_negatives(job, file).to_pylist()[1] == []


def test_a_file_without_pairs_has_no_negatives(config: Config, tmp_path: Path) -> None:
    assert _mine(config, tmp_path, _pairs(0), _pairs(2))[0] == []


def test_a_share_of_the_documents_gives_others(config: Config, tmp_path: Path) -> None:
    rules = RULES.model_copy(update={"share": 0.4})
    (some,), (all_of_them,) = (
        _mine(config, tmp_path / name, _pairs(20), rules=r) for name, r in (("a", rules), ("b", RULES))
    )
    assert some != all_of_them
    assert sum(map(len, some)) > 0


def test_the_lineage_names_the_version_of_the_embeddings_and_their_model(config: Config) -> None:
    lineage = make_negatives_job(config, DAY, RULES).lineage
    assert lineage["embeddings"]["table"] == "embeddings"
    assert lineage["embeddings"]["version"] == 1
    assert lineage["model"].startswith("sha256:")
    assert lineage["adapter"] is None


@pytest.fixture
def fresh(tmp_path: Path, bert: Path) -> Iterator[Config]:
    return _make_config(tmp_path, bert)


def test_embeddings_that_are_not_committed_or_of_another_corpus_are_told(fresh: Config) -> None:
    with pytest.raises(InputError, match=r"corpus/.*: not committed; run jobs/embed.py for 2026-01-31 first"):
        make_negatives_job(fresh, DAY, RULES)
    prepare.run(fresh, DAY)
    with pytest.raises(InputError, match=r"embeddings/.*: not committed; run jobs/embed.py"):
        make_negatives_job(fresh, DAY, RULES)
    embed.run(fresh, DAY)
    named = make_negatives_job(fresh, DAY, RULES).embeddings.fingerprint
    write_jsonl(Path(fresh.recipe.corpus.inputs[0].path[0]), _documents()[:20])
    prepare.run(fresh, DAY)
    rules = RULES.model_copy(update={"embeddings": named})
    with pytest.raises(InputError, match=r"version 1, the pairs are of .* version 2; run jobs/embed.py"):
        make_negatives_job(fresh, DAY, rules)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"first_rank": 20, "last_rank": 10}, "first_rank 20 is beyond last_rank 10"),
        ({"first_rank": 5, "last_rank": 6, "count": 3}, "count 3 is more than ranks 5 to 6 hold"),
        ({"relative_margin": 1}, "less than 1"),
        ({"embeddings": "results/embeddings"}, "should match pattern"),
    ],
)
def test_rules_that_no_text_can_keep_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Negatives(**values)


@pytest.mark.parametrize(("num_pairs", "num_shards", "ranges"), [(20_000, 1000, 64), (20_000, 5, 5), (9_000_000, 9, 1)])
def test_every_pair_meets_every_shard_once(num_pairs: int, num_shards: int, ranges: int) -> None:
    nowhere = Partition("/nowhere", "corpus", "0" * 12, DAY)
    shards = tuple(ShardTask(f"s{number}", "s", (0,), 1, 1) for number in range(num_shards))
    job = negatives.NegativesJob(nowhere, nowhere, shards, {}, RULES)
    blocks = negatives.plan_blocks([negatives.FileTask(job, "/nowhere/a.parquet")], {"a": num_pairs})
    assert [row for block in blocks for row in (block.start, block.stop)][1:-1:2] == [b.start for b in blocks[1:]]
    assert (blocks[0].start, blocks[-1].stop) == (0, num_pairs)
    assert max(block.stop - block.start for block in blocks) == negatives.BLOCK_PAIRS
    for block in (blocks[0], blocks[-1]):
        assert block.num_ranges == ranges
        tasks = [negatives.SearchTask(block, number) for number in range(ranges)]
        assert [shard for task in tasks for shard in task.shards] == list(range(num_shards))
    assert len({block.name for block in blocks}) == len(blocks)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_search_on_a_gpu_that_is_not_there_is_told_in_one_line(config: Config, tmp_path: Path) -> None:
    wanting = config.model_copy(update={"resources": Resources(executor="local", gpus_per_actor=1)})
    with pytest.raises(InputError, match=r"torch sees none; .* set gpus_per_actor: 0"):
        _mine(wanting, tmp_path, _pairs(3))
