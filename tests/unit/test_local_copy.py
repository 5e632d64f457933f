"""Corpus and pairs on a node's own disk: every row in its place, one copy for all, none left over."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from tests.corpora import DAY, config_of, jsonl_input, write_jsonl
from tests.mined import with_pairs
from theta_ray.config import Config
from theta_ray.errors import InputError
from theta_ray.training import local_copy, mine_pairs
from theta_ray.training.local_copy import LocalCopy

COUNT = 2500


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def labelled(folder: Path, count: int = COUNT) -> Config:
    records = [{"id": f"d{n}", "text": f"text number {n}", "label": f"l{n % 5}"} for n in range(count)]
    config = config_of(folder, jsonl_input(write_jsonl(folder / "raw.jsonl", records), label="label"))
    return with_pairs(config, {"kind": "label", "max_pairs_per_group": 500, "split": {"test_share": 0.4}})


def copied(config: Config) -> LocalCopy:
    mine_pairs.run(config, DAY)
    job = mine_pairs.make_job(config, DAY)
    return LocalCopy(job.corpus, job.partition)


def test_pairs_lead_to_their_documents(tmp_path: Path) -> None:
    copy = copied(labelled(tmp_path))
    assert len(copy.documents) == COUNT
    for split in ("train", "test"):
        pairs = copy.pairs(split)
        places = np.arange(len(pairs))[::-1]
        for side in ("anchor", "positive"):
            rows = np.array(pairs.values(side, places))
            texts = copy.documents.values("text", rows)
            ids = copy.documents.values("doc_id", rows)
            groups = pairs.values("group", places)
            assert [f"d{text.split()[-1]}" for text in texts] == ids
            assert [f"l{int(name[1:]) % 5}" for name in ids] == groups
    assert len(copy.pairs("train")) > len(copy.pairs("test")) > 0


def test_documents_whose_keys_are_alike_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = local_copy.key_of
    monkeypatch.setattr(local_copy, "key_of", lambda text: real(text) % 7)
    copy = copied(labelled(tmp_path, 40))
    rows = np.array(copy.pairs("train").values("anchor", np.arange(len(copy.pairs("train")))))
    ids = copy.documents.values("doc_id", rows)
    groups = copy.pairs("train").values("group", np.arange(len(rows)))
    assert [f"l{int(name[1:]) % 5}" for name in ids] == groups


def test_a_document_that_the_corpus_lacks_is_named(tmp_path: Path) -> None:
    whole, part = labelled(tmp_path / "whole", 40), labelled(tmp_path / "part", 20)
    jobs = []
    for config in (whole, part):
        mine_pairs.run(config, DAY)
        jobs.append(mine_pairs.make_job(config, DAY))
    with pytest.raises(InputError, match=r"names document d\d+, which the corpus lacks; mine the pairs again"):
        LocalCopy(jobs[1].corpus, jobs[0].partition)


def test_a_second_run_takes_the_copy_of_the_first(tmp_path: Path, temporary: Path) -> None:
    config = labelled(tmp_path, 40)
    first = copied(config)
    (folder,) = (path for path in next(temporary.iterdir()).iterdir() if path.is_dir())
    made = (folder / "documents.arrow").stat().st_mtime_ns
    second = copied(config)
    assert len(first.documents) == len(second.documents)
    assert (folder / "documents.arrow").stat().st_mtime_ns == made


def test_old_copies_go_unless_somebody_has_them_open(tmp_path: Path, temporary: Path) -> None:
    held = copied(labelled(tmp_path / "held", 40))
    copied(labelled(tmp_path / "old", 40))
    copied(labelled(tmp_path / "new", 40))
    top = next(temporary.iterdir())
    folders = [path for path in top.iterdir() if path.is_dir()]
    assert len(folders) == 3
    newest = max(folders, key=lambda path: path.stat().st_mtime_ns)
    for folder in folders:
        if folder != newest:
            os.utime(folder, (time.time() - 90_000,) * 2)
    copied(labelled(tmp_path / "another", 40))
    left = [path for path in top.iterdir() if path.is_dir()]
    assert len(left) == 3  # held, new and another
    assert len(held.documents) == 40
