"""Two nights of the sample through the jobs themselves: tables and pages say what was planted, and what was deleted
is nowhere."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import resource
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import REPOSITORY
from tests.forgotten import holding
from tests.read_pages import ReadPage
from theta_ray.corpus.sample import planted_damage
from theta_ray.corpus.sample_nights import BORN, DIED, NIGHTS, write_nights
from theta_ray.manifest import identity_of, read_manifest
from theta_ray.nightly import forget, refresh
from theta_ray.publication import Publications
from theta_ray.recipe_files import load_config
from theta_ray.report import report
from theta_ray.report.gather import read_rows
from theta_ray.report.tables import find_tables
from theta_ray.runtime import main
from theta_ray.training.metrics import normalized_mutual_information

NUM_POSTS = 500
# Small numbers of everything that is drawn; what the nights are about stays as in the recipe.
QUICK = (
    "embed.parity_rows=2",
    "network.graphs=[comment_to_parent_author]",
    "network.num_nulls=2",
    "network.num_resamples=5",
    "network.num_permutations=9",
    "network.communities.num_seeds=2",
    "network.max_export_edges=0",
    "report.num_points=0",
)


@dataclass
class Nights:
    """The folder of two nights, and what the jobs made of them before and after the deletion."""

    folder: Path
    truth: dict[str, dict[str, Any]]
    posts: dict[str, dict[str, str]]
    """Text by id of each night's well-formed lines."""
    num_lines: dict[str, int]
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: dict[str, dict[str, pa.Table]] = field(default_factory=dict)
    after: dict[str, dict[str, pa.Table]] = field(default_factory=dict)
    page_before: dict[str, ReadPage] = field(default_factory=dict)
    page_after: dict[str, ReadPage] = field(default_factory=dict)
    deleted_texts: tuple[str, ...] = ()
    """Of deleted posts, as far as nobody else says the same."""

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def options(self, *sets: str) -> list[str]:
        recipe, path = REPOSITORY / "recipes/nightly.yaml", f"{self.folder}/nights/{{date}}/*.jsonl.gz"
        overrides = [part for each in (f"corpus.inputs.0.path={path}", *QUICK, *sets) for part in ("--set", each)]
        where = ["--resources", str(self.folder / "resources.yaml"), "--root", str(self.root)]
        return ["--config", str(recipe), *where, *overrides]

    def job(self, stage: Any, night: str, *sets: str) -> dict[str, Any]:
        """The line that a job of this process prints."""
        out, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said), pytest.raises(SystemExit) as left:
            main(stage, [*self.options(*sets), "--date", night])
        assert left.value.code == 0, said.getvalue()
        found: dict[str, Any] = json.loads(out.getvalue())
        return found

    def look(self, tables: dict[str, dict[str, pa.Table]], pages: dict[str, ReadPage]) -> None:
        """Read what is committed now: rows of all tables, and the page that is published."""
        sets = tuple(self.options()[self.options().index("--set") + 1 :: 2])
        config = load_config(str(REPOSITORY / "recipes/nightly.yaml"), root=str(self.root), overrides=sets)
        for night in NIGHTS:
            found = find_tables(config, night)
            tables[night] = {name: read_rows(each) for name, each in found.items()}
            place = report.partition_of(config, night)
            page, publication = read_manifest(place), Publications(str(self.root), "nightly").of_day(night)
            assert page is not None
            assert publication is not None
            made = {name: each.identity for name, each in found.items()} | {"report": identity_of(page)}
            assert publication["tables"] == made
            pages[night] = ReadPage(Path(report.page_of(place, page)).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, minilm: Path) -> Nights:
    """Night one, night two, a deletion; each through the command that a user types."""
    del minilm  # the recipe names its package
    folder = tmp_path_factory.mktemp("nights")
    write_nights(folder, num_posts=NUM_POSTS)
    (folder / "resources.yaml").write_text("executor: local\nthreads_per_actor: 1\n")
    truth = {row["doc_id"]: row for row in pq.read_table(folder / "nights/truth.parquet").to_pylist()}
    lines = {night: _lines(folder / "nights" / night) for night in NIGHTS}
    posts = {night: _posts(lines[night], truth) for night in NIGHTS}
    found = Nights(folder, truth, posts, {night: len(lines[night]) for night in NIGHTS})
    found.cards = {night: found.job(refresh, night) for night in NIGHTS}
    found.look(found.before, found.page_before)
    ids = f"forget.ids={folder}/nights/deleted-{NIGHTS[1]}.txt"
    found.cards["forget"] = found.job(forget, NIGHTS[1], ids)
    found.look(found.after, found.page_after)
    found.deleted_texts = _only_deleted(found)
    (folder / "texts.txt").write_text("".join(f"{text}\n" for text in found.deleted_texts), encoding="utf-8")
    found.cards["verify"] = found.job(forget, NIGHTS[1], ids, "forget.verify=true", f"forget.texts={folder}/texts.txt")
    return found


def _lines(folder: Path) -> list[str]:
    return [line for file in sorted(folder.glob("*.jsonl.gz")) for line in _lines_of(file)]


def _lines_of(file: Path) -> list[str]:
    return gzip.decompress(file.read_bytes()).decode().splitlines()


def _posts(lines: list[str], truth: dict[str, Any]) -> dict[str, str]:
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return {row["id"]: row["text"] for row in rows if row["id"] in truth}


def _only_deleted(nights: Nights) -> tuple[str, ...]:
    posts = {doc_id: text for night in NIGHTS for doc_id, text in nights.posts[night].items()}
    kept = [text for doc_id, text in posts.items() if not nights.truth[doc_id]["is_deleted"]]
    gone = {text for doc_id, text in posts.items() if nights.truth[doc_id]["is_deleted"] and "\n" not in text}
    return tuple(sorted(text for text in gone if not any(text in other for other in kept)))


def topics_by_id(nights: Nights, tables: dict[str, pa.Table]) -> dict[int, str]:
    """Topic id -> the planted topic that nine in ten of its documents have."""
    topic_of = {row["cluster_id"]: row["topic_id"] for row in tables["topics"].to_pylist()}
    rows = [row for row in tables["assignments"].to_pylist() if row["cluster_id"] is not None]
    found = [topic_of[row["cluster_id"]] for row in rows]
    planted = [nights.truth[row["doc_id"]]["topic"] for row in rows]
    nmi = normalized_mutual_information(np.ones((1, len(rows))), np.array(planted), np.array(found))[0]
    assert nmi >= 0.95
    counts: dict[int, Counter[str]] = {}
    for topic_id, topic in zip(found, planted, strict=True):
        counts.setdefault(topic_id, Counter())[topic] += 1
    assert all(each.most_common(1)[0][1] >= 0.9 * each.total() for each in counts.values())
    assert {topic_id: each.total() for topic_id, each in counts.items()} == _column(tables["topics"], "size")
    return {topic_id: each.most_common(1)[0][0] for topic_id, each in counts.items()}


def _column(topics: pa.Table, name: str) -> dict[int, Any]:
    return {row["topic_id"]: row[name] for row in topics.to_pylist()}


@pytest.mark.parametrize("when", ["before", "after"])
def test_birth_and_death_are_told_as_they_were_planted_and_other_topics_keep_their_ids(
    nights: Nights, when: str
) -> None:
    tables, pages = getattr(nights, when), getattr(nights, f"page_{when}")
    one, two = (topics_by_id(nights, tables[night]) for night in NIGHTS)
    assert sorted(one.values()) == sorted({*one.values()})
    (dead,), (born,) = set(one) - set(two), set(two) - set(one)
    assert (one[dead], two[born]) == (DIED, BORN)
    assert {one[each] for each in one if each != dead} == {two[each] for each in two if each != born}
    assert all(one[each] == two[each] for each in set(one) & set(two))
    page, label = pages[NIGHTS[1]], _column(tables[NIGHTS[1]]["topics"], "label")
    before = {name: _column(tables[NIGHTS[0]]["topics"], name) for name in ("label", "size")}
    assert {int(row[0]): row[5] for row in page.tables["The topics, by size"]} == {
        each: "born" if each == born else "goes on" for each in two
    }
    assert page.said["ended"] == [
        f"No. {dead} ({before['label'][dead]}): died; it had {before['size'][dead]} documents."
    ]
    told = [each for each in page.said["looks-title"] if each.startswith(("A topic was born", "A topic has died"))]
    assert any(each.startswith(f"A topic was born: {label[born]}") for each in told)
    assert any(each.startswith(f"A topic has died: {before['label'][dead]}") for each in told)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("night", NIGHTS)
def test_counts_on_the_page_are_those_of_tables_truth_and_raw_lines(nights: Nights, when: str, night: str) -> None:
    tables, page = getattr(nights, when)[night], getattr(nights, f"page_{when}")[night]
    numbers = re.match(r"(\S+) files held (\S+) rows: (\S+) were kept .*?, (\S+) were turned", page.said["intake"][0])
    assert numbers is not None
    num_files, rows_in, kept, turned_away = (int(each.replace(",", "")) for each in numbers.groups())
    assert (num_files, rows_in) == (2, nights.num_lines[night])
    assert rows_in == kept + turned_away == NUM_POSTS + sum(planted_damage(NUM_POSTS).values())
    assert kept == tables["corpus"].num_rows == tables["assignments"].num_rows == tables["embeddings"].num_rows
    reasons = {row[0]: int(row[1]) for row in page.tables["Why rows were turned away"]}
    assert sum(reasons.values()) == turned_away
    if when == "before":
        assert {reason: reasons[reason] for reason in planted_damage(NUM_POSTS)} == planted_damage(NUM_POSTS)
    topics = tables["topics"].to_pylist()
    assert {(int(row[0]), row[1], int(row[2])) for row in page.tables["The topics, by size"]} == {
        (row["topic_id"], row["label"], row["size"]) for row in topics
    }
    assert sum(row["size"] for row in topics) == kept
    listed = {row[0]: int(row[1].replace(",", "")) for row in page.tables["Each in the version that was read"]}
    assert listed == {name: table.num_rows for name, table in tables.items()}


def test_texts_that_the_first_night_embedded_are_taken_over_on_the_second(nights: Nights) -> None:
    one, two = (set(nights.before[night]["corpus"]["text"].to_pylist()) for night in NIGHTS)
    shards = _texts_by_file(nights, NIGHTS[1])  # each file is a shard, and each shard embeds its texts once
    taken_over, card = sum(len(texts & one) for texts in shards), nights.cards[NIGHTS[1]]
    assert card["texts_taken_over"] == taken_over >= NUM_POSTS // 20
    assert card["texts_embedded"] == sum(len(texts - one) for texts in shards)
    run_card = {row[0]: row[1] for row in nights.page_before[NIGHTS[1]].tables["Run card of embed"]}
    assert int(run_card["texts taken over"]) == taken_over
    vectors = [_vectors(nights.before[night]) for night in NIGHTS]
    assert all(vectors[0][text] == vectors[1][text] for text in one & two)


def _texts_by_file(nights: Nights, night: str) -> list[set[str]]:
    """Different texts of the documents that each file of a night has in the corpus."""
    text_of = dict(zip(*(nights.before[night]["corpus"][name].to_pylist() for name in ("doc_id", "text")), strict=True))
    files = sorted((nights.folder / "nights" / night).glob("*.jsonl.gz"))
    ids = [{doc_id for doc_id in _posts(_lines_of(file), nights.truth) if doc_id in text_of} for file in files]
    return [{text_of[doc_id] for doc_id in of_file} for of_file in ids]


def _vectors(tables: dict[str, pa.Table]) -> dict[str, list[float]]:
    vectors = dict(zip(*(tables["embeddings"][name].to_pylist() for name in ("doc_id", "embedding")), strict=True))
    return {row["text"]: vectors[row["doc_id"]] for row in tables["corpus"].to_pylist()}


def test_what_was_deleted_is_in_no_object_and_what_others_wrote_is_as_it_was(nights: Nights) -> None:
    deleted = {doc_id for doc_id, row in nights.truth.items() if row["is_deleted"]}
    assert nights.cards["verify"]["verified"] == "nothing was found"
    assert len(nights.deleted_texts) >= len(deleted) // 2
    assert holding(nights.root, {*deleted, *nights.deleted_texts}) == []
    for night in NIGHTS:
        before, after = nights.before[night], nights.after[night]
        gone = set(before["corpus"]["doc_id"].to_pylist()) & deleted
        assert set(after["corpus"]["doc_id"].to_pylist()) == set(before["corpus"]["doc_id"].to_pylist()) - gone
        assert len(gone) >= 5
        assert _of_others(after["embeddings"], deleted) == _of_others(before["embeddings"], deleted)
        assert _of_others(after["assignments"].select(["doc_id", "cluster_id"]), set()) == _of_others(
            before["assignments"].select(["doc_id", "cluster_id"]), deleted
        )
        reasons = {row[0]: int(row[1]) for row in nights.page_after[night].tables["Why rows were turned away"]}
        lines = [line for line in _lines(nights.folder / "nights" / night) if line.endswith("}")]
        assert reasons["deleted_id"] == sum(json.loads(line)["id"] in deleted for line in lines)


def _of_others(table: pa.Table, deleted: set[str]) -> list[dict[str, Any]]:
    return [row for row in table.sort_by("doc_id").to_pylist() if row["doc_id"] not in deleted]


def test_a_refresh_with_nothing_new_changes_no_object_and_takes_seconds(nights: Nights) -> None:
    assert nights.job(report, NIGHTS[1])["status"] == "nothing to do"
    before = _objects(nights.root)
    command = [sys.executable, "jobs/refresh.py", *nights.options(), "--date", NIGHTS[1]]
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert json.loads(done.stdout)["status"] == "nothing to do"
    assert _objects(nights.root) == before
    # by the processor's clock, so that it holds on a busy machine; most of it are imports
    assert ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime < 20


def _objects(root: Path) -> dict[str, tuple[int, int]]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}
