"""Authors forgotten run after run: killed in between, planned, asked for by a platform, masked twice in one row."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.forgotten import DAYS, account_of, holding, id_of, records_of, rows_of, small_config, write_days
from theta_ray.config import Config
from theta_ray.config_nightly import Compliance
from theta_ray.corpus import prepare
from theta_ray.corpus.authors import KEY_VARIABLE, pseudonym
from theta_ray.corpus.survey import partition_of
from theta_ray.network import analyze_network
from theta_ray.nightly import compliance, forget
from theta_ray.steps import FOLDER_VARIABLE

KEY, GONE = "k" * 32, account_of(4)
NAMES = {GONE, pseudonym(KEY.encode(), GONE)}
WRITTEN = {record["id"] for record in records_of(0, 64) if record["user"] == GONE}
PROGRAM = """
import sys
from pathlib import Path
from tests.forgotten import small_config
from theta_ray.nightly import forget
forget.run(small_config(Path(sys.argv[1]), author_ids=sys.argv[2]), "2026-01-01")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Raw files, a list of one author, and a root with a corpus and its networks on one day."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    write_days(tmp_path, [records_of(0, 64)])
    (tmp_path / "authors.txt").write_text(f"{GONE}\n")
    analyze_network.run(small_config(tmp_path), DAYS[0])
    return tmp_path


def asking(folder: Path, **settings: Any) -> Config:
    """To forget the author."""
    return small_config(folder, author_ids=str(folder / "authors.txt"), **settings)


@pytest.mark.parametrize("step", ["prepare:tables_made_again", "edges:objects_removed", "corpus:objects_removed"])
def test_a_killed_run_that_forgets_an_author_is_ended_by_the_next_one(folder: Path, step: str) -> None:
    listed = folder / "root" / "compliance" / "0123456789ab" / "ids-00000.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text(f"{GONE}\n")
    (folder / "steps").mkdir()
    (folder / "steps" / "kill").write_text(f"{step} 1")
    environment = {**os.environ, FOLDER_VARIABLE: str(folder / "steps"), "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-c", PROGRAM, str(folder), str(folder / "authors.txt")]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert holding(folder / "root", NAMES | WRITTEN)
    assert forget.run(asking(folder), DAYS[0]).status == "committed"
    assert holding(folder / "root", NAMES | WRITTEN) == []
    (path,) = (path for path in folder.glob("root/deletions/*/*.json") if ".found" not in path.name)
    report = json.loads(path.read_bytes())
    assert (report["num_authors_found"], report["num_documents_of_authors"]) == (1, len(WRITTEN))
    assert report["rows"]["corpus"] == len(WRITTEN)
    assert forget.run(asking(folder), DAYS[0]).status == "nothing to do"


def test_a_plan_to_forget_an_author_says_what_would_go_and_touches_nothing(folder: Path) -> None:
    known = {path for path in folder.rglob("*") if path.is_file()}
    page = forget.plan(asking(folder), DAYS[0]).page()
    assert f"would run for {DAYS[0]}" in page
    assert GONE not in page
    assert {path for path in folder.rglob("*") if path.is_file()} == known


def test_a_row_whose_answer_was_masked_loses_its_link_when_that_is_deleted_too(folder: Path) -> None:
    """The shard holds no deleted row of its own, and the same row of it is masked as before."""
    records = records_of(0, 16)
    records[15]["links"], records[15]["parent"] = [f"https://example.org/{id_of(1, 2)}"], id_of(1, 1)
    records[15]["thread"] = None
    write_days(folder, [records[8:], records_of(1, 8)])
    for number in (1, 2):
        (folder / "ids.txt").write_text("".join(f"{id_of(1, each)}\n" for each in range(1, number + 1)))
        for day in DAYS:
            prepare.run(small_config(folder), day)
        forget.run(small_config(folder, ids=str(folder / "ids.txt")), DAYS[0])
        (row,) = (
            row for row in rows_of(partition_of(asking(folder), DAYS[0])).to_pylist() if row["doc_id"][-2:] == "08"
        )
        assert row["parent_id"] is None
        assert len(row["links"]) == 2 - number


def test_accounts_go_out_under_their_own_ids_and_what_comes_back_leaves(folder: Path) -> None:
    section = {"compliance": Compliance(ids_of="authors")}
    plain = small_config(folder)
    config = plain.model_copy(update={"recipe": plain.recipe.model_copy(update=section)})
    card = compliance.run(config, DAYS[0])
    lines = [line for path in Path(card.path).glob("*.txt") for line in path.read_text().splitlines()]
    assert sorted(lines) == [account_of(number) for number in range(11)]
    raw = config.recipe.corpus.model_copy(update={"authors": "raw"})
    stored = config.model_copy(update={"recipe": config.recipe.model_copy(update={"corpus": raw})})
    prepare.run(stored, DAYS[0])
    (folder / f"raw-{DAYS[0]}.jsonl").rename(folder / "kept")  # the tables have them
    card = compliance.run(stored, DAYS[0])
    assert sorted(line for path in Path(card.path).glob("*.txt") for line in path.read_text().splitlines()) == lines
    (folder / "kept").rename(folder / f"raw-{DAYS[0]}.jsonl")

    reasons = {4: "deactivated", 5: "scrub_geo"}
    rows = [{"id": account_of(number), "action": "delete", "reason": reason} for number, reason in reasons.items()]
    (folder / "authors.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = str(folder / "authors.json")
    forget.run(small_config(folder, author_ids=asked, other_recipes="remove"), DAYS[0])
    assert holding(folder / "root", {GONE, *WRITTEN}) == []
    authors = set(rows_of(partition_of(plain, DAYS[0]))["author_id"].to_pylist())
    assert authors == {pseudonym(KEY.encode(), account_of(number)) for number in range(11)} - NAMES
