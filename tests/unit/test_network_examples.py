"""Recipes of example networks are valid, and what the benchmark writes for them becomes the documents meant."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard

from tests.conftest import REPOSITORY
from theta_ray.config import Recipe
from theta_ray.config_network import Network
from theta_ray.corpus.document import Document, Unit
from theta_ray.corpus.readers import READERS

RECIPES = sorted((REPOSITORY / "recipes" / "networks").glob("*.yaml"))


def benchmark() -> ModuleType:
    """benchmarks/network_examples.py, which is no module of a package."""
    path = REPOSITORY / "benchmarks" / "network_examples.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recipe_of(name: str) -> Recipe:
    values = yaml.safe_load((REPOSITORY / "recipes" / "networks" / f"{name}.yaml").read_text())
    if "network" not in Recipe.model_fields:
        Network.model_validate(values.pop("network"))
    return Recipe.model_validate(values)


def documents(folder: Path, name: str) -> list[Document]:
    """All documents of an example, by its recipe's readers; only deleted ones are turned away."""
    found: list[Document] = []
    for spec in recipe_of(name).corpus.inputs:
        assert isinstance(spec.path, str)
        for path in sorted((folder / name).glob(Path(spec.path).name)):
            for row in READERS[spec.reader](Unit(str(path), 0, path.stat().st_size), spec):
                if isinstance(row, Document):
                    found.append(row)
                else:
                    assert row.reason == "deleted_text"
    return found


def written(folder: Path, name: str, out: Path) -> list[Document]:
    module = benchmark()
    for file, rows in module.EXAMPLES[name](folder):
        module.write(out / name / file, rows)
    return documents(out, name)


def save(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_every_example_has_a_recipe() -> None:
    assert [path.stem for path in RECIPES] == sorted(benchmark().EXAMPLES)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_valid_and_opens_with_its_command(path: Path) -> None:
    assert recipe_of(path.stem).name == path.stem
    command = re.fullmatch(
        r"# python jobs/analyze_network.py --config (\S+) --date \S+", path.read_text().split("\n")[0]
    )
    assert command is not None
    assert command[1] == path.relative_to(REPOSITORY).as_posix()


def test_a_message_names_its_recipient(tmp_path: Path) -> None:
    save(tmp_path / "net_college_msg" / "edges.parquet", [{"src": 1, "dst": 2, "unixts": 1082040961}] * 2)
    found = written(tmp_path, "college_msg", tmp_path / "out")
    assert [(d.kind, d.author, d.parent_author, d.created_at) for d in found] == [
        ("comment", "1", "2", 1082040961 * 10**6)
    ] * 2
    assert len({d.doc_id for d in found}) == 2  # the same message twice is two messages


def test_a_share_is_a_repost_of_its_object(tmp_path: Path) -> None:
    share = {"object_id": "o", "account_id": "a", "content_id": "c", "timestamp_share": 1623881091}
    save(tmp_path / "net_coshare_ru" / "shares.parquet", [share])
    (found,) = written(tmp_path, "co_share", tmp_path / "out")
    assert (found.kind, found.author, found.parent_id, found.created_at) == ("repost", "a", "o", 1623881091 * 10**6)


def test_an_answer_is_a_comment_in_its_question_and_the_site_is_no_author(tmp_path: Path) -> None:
    common = {"created_at": None, "score": 3, "tags": ["brew"], "title": "T", "text": "x"}
    for site in ("coffee", "tea"):
        rows = [
            {"post_id": 1, "post_type": "question", "parent_id": None, "author_id": -1},
            {"post_id": 2, "post_type": "answer", "parent_id": 1, "author_id": 7},
            {"post_id": 3, "post_type": "tag_wiki", "parent_id": None, "author_id": 7},
        ]
        save(tmp_path / f"forum_se_{site}" / "posts.parquet", [{**row, **common} for row in rows])
    found = {d.doc_id: d for d in written(tmp_path, "stack_exchange", tmp_path / "out")}
    assert set(found) == {"coffee-1", "coffee-2", "tea-1", "tea-2"}
    question, answer = found["coffee-1"], found["coffee-2"]
    assert (question.kind, question.author, question.context_id, question.tags) == ("post", None, "coffee-1", ("brew",))
    assert (answer.kind, answer.author, answer.context_id, answer.parent_id) == (
        "comment",
        "coffee-7",
        "coffee-1",
        "coffee-1",
    )


def test_tweets_name_whom_they_answer_repeat_and_mention(tmp_path: Path) -> None:
    empty = dict.fromkeys(("retweet_of_id", "reply_to_tweet_id", "in_reply_to_user_id", "created_at"))
    common = {**empty, "lang": "en", "hashtags": [], "mentions": ["Ann", "nobody"], "urls": [], "like_count": 0}
    rows = [
        {**common, "tweet_id": "1", "author_id": "10", "text": "post"},
        {**common, "tweet_id": "2", "author_id": "11", "text": "@ann yes", "reply_to_tweet_id": "1"},
        {**common, "tweet_id": "3", "author_id": "11", "text": "RT @ann: post", "retweet_of_id": "1"},
        {**common, "tweet_id": "4", "author_id": "11", "text": "RT @Bob: gone", "retweet_of_id": "9"},
        {**common, "tweet_id": "5", "author_id": "11", "text": "no", "reply_to_tweet_id": "9"},
    ]
    rows[4]["in_reply_to_user_id"] = "12"
    save(tmp_path / "tweets_x" / "tweets.parquet", [{**row, "conversation_id": "1"} for row in rows])
    users = [{"username": "ann", "user_id": "10"}, {"username": "bob", "user_id": "13"}]
    save(tmp_path / "tweets_x" / "users.parquet", users)
    found = {d.doc_id: d for d in written(tmp_path, "tweets", tmp_path / "out")}
    assert {key: (d.kind, d.parent_id, d.parent_author) for key, d in found.items()} == {
        "1": ("post", None, None),
        "2": ("comment", "1", "10"),
        "3": ("repost", "1", "10"),
        "4": ("repost", "9", "13"),
        "5": ("comment", "9", "12"),
    }
    assert found["1"].mention_ids == ("10",)


def test_one_thread_is_taken_out_of_a_dump(tmp_path: Path) -> None:
    comment = {"author": "a", "body": "x", "created_utc": 1323100000, "score": 1, "parent_id": "t3_n49rw"}
    kept = [{**comment, "id": "c1", "link_id": "t3_n49rw"}, {**comment, "id": "c2", "link_id": "t3_other"}]
    post = {"id": "n49rw", "author": "b", "title": "T", "selftext": "", "created_utc": 1323000000, "score": 1}
    for name, rows in (("RC_x", kept), ("RS_x", [post, {**post, "id": "other"}])):
        path = tmp_path / "forum_reddit" / f"{name}.zst"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    found = written(tmp_path, "reddit_thread", tmp_path / "out")
    assert [(d.doc_id, d.context_id) for d in found] == [("t1_c1", "t3_n49rw"), ("t3_n49rw", "t3_n49rw")]


NUM_DOCUMENTS = {
    "co_share": 35_125,
    "college_msg": 59_835,
    "moltbook": 5_105 + 578,
    "reddit_thread": 1_428 + 1 - 25,
    "stack_exchange": 225 + 397 + 327 + 1_507,
    "tweets": 5_055,
}


@pytest.mark.parametrize("name", sorted(NUM_DOCUMENTS))
def test_every_row_of_the_public_data_becomes_a_document(name: str, shared_data: Path, tmp_path: Path) -> None:
    assert len(written(shared_data, name, tmp_path)) == NUM_DOCUMENTS[name]


def test_what_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.argv", ["network_examples.py", str(tmp_path), "--out", str(tmp_path / "out")])
    benchmark().main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(NUM_DOCUMENTS)
    assert all(line.endswith("; left out") for line in lines)
