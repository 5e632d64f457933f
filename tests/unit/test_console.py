"""`theta-ray show`, `diff` and `runs` say what is in the tables of two small nights; nothing steers a terminal."""

from __future__ import annotations

import json
import pkgutil
import re
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.clustered import rows_of
from tests.conftest import REPOSITORY
from tests.shown_nights import NIGHTS, make_nights, publish
from tests.small_jobs import save_recipe
from theta_ray.config import Config
from theta_ray.console.diff import topic_changes
from theta_ray.console.main import main
from theta_ray.console.runs import list_runs, runs_table
from theta_ray.console.text_table import TextTable, cut_to, display_width, trend
from theta_ray.network.analyze_network import make_job as network_job
from theta_ray.topics.label_topics import make_job as topics_job

HOSTILE = "\x1b[2J\u202eevil\n{{7*7}} <script>"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Config:
    return make_nights(tmp_path_factory.mktemp("nights"), bert)


@pytest.fixture
def options(nights: Config, tmp_path: Path) -> list[str]:
    recipe = save_recipe(tmp_path / "recipe.yaml", nights.recipe.model_dump(mode="json"))
    (tmp_path / "resources.yaml").write_text("executor: local\n")
    return ["--config", str(recipe), "--resources", str(tmp_path / "resources.yaml"), "--root", nights.root]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as left:
        main(words)
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def tables_of(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, list[dict[str, Any]]]:
    code, out, err = run(capsys, *words)
    assert code == 0, err
    tables: dict[str, list[dict[str, Any]]] = json.loads(out)["tables"]
    return tables


def test_show_says_what_is_in_the_tables(
    nights: Config, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tables_of(capsys, "show", *options, "--date", NIGHTS[1])
    values = {row["what"]: row["value"] for row in tables["documents"]}
    assert (values["documents in"], values["documents kept"], values["quarantined"]) == (121, 120, 1)
    assert [(row["reason"], row["rows"]) for row in tables["quarantine"]] == [("missing_text", 1)]
    topics = rows_of(topics_job(nights, NIGHTS[1]).topics).to_pylist()
    shown = {row["topic"]: (row["label"], row["documents"]) for row in tables["topics"]}
    assert shown == {str(row["topic_id"]): (row["label"], row["size"]) for row in topics if row["size"] >= 5}
    job = network_job(nights, NIGHTS[1])
    (reciprocity,) = [r for r in rows_of(job.tables["network_stats"]).to_pylist() if r["statistic"] == "reciprocity"]
    (told,) = [row for row in tables["statistics"] if row["statistic"] == "reciprocity"]
    assert (told["value"], told["null_mean"]) == (reciprocity["value"], reciprocity["null_mean"])
    assert {row["table"] for row in tables["versions"]} >= {"corpus", "topics", "nodes"}


def test_show_finds_the_tables_of_the_corpus_where_the_model_is_not_on_this_machine(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    there = tables_of(capsys, "show", *options, "--date", NIGHTS[1])
    elsewhere = ["--set", "encoder.model=/nowhere/model", "--date", NIGHTS[1]]
    assert tables_of(capsys, "show", *options, *elsewhere) == there


def test_hubs_are_by_place_where_authors_are_not_pseudonyms_and_have_neighbours_enough(
    nights: Config, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    hubs = tables_of(capsys, "show", *options, "--table", "hubs")["hubs"]
    assert hubs
    assert all(re.fullmatch(r"(hub|authority) \d", row["person"]) for row in hubs)
    nodes = rows_of(network_job(nights, NIGHTS[1]).tables["nodes"]).to_pylist()
    first = sorted((n["hub"] for n in nodes if n["degree"] >= 5), reverse=True)[:5]
    assert [row["score"] for row in hubs if row["as"] == "hub"] == first


def test_the_newest_publication_is_shown_before_what_is_only_committed(
    nights: Config, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "show", *options)
    assert (code, json.loads(out)["date"], json.loads(out)["publication"]) == (0, NIGHTS[1], None)
    publish(nights, NIGHTS[0])
    try:
        assert json.loads(run(capsys, "show", *options)[1])["publication"] == 1
        told = json.loads(run(capsys, "diff", "v1", NIGHTS[1], *options)[1])
        assert (told["before"], told["after"]) == NIGHTS
    finally:
        Path(nights.root, "published", nights.recipe.name, "00000001.json").unlink()


def test_diff_tells_what_became_of_every_topic_and_row(
    nights: Config, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tables_of(capsys, "diff", *NIGHTS, *options)
    rows = {row["what"]: row for row in tables["rows"]}
    assert (rows["documents in"]["before"], rows["documents in"]["after"], rows["documents in"]["change"]) == (
        120,
        121,
        1,
    )
    assert tables["quarantine"] == [{"what": "missing_text", "before": 0, "after": 1, "change": 1}]
    before, after = (rows_of(topics_job(nights, day).topics).to_pylist() for day in NIGHTS)
    told = Counter(row["event"].split(" ")[0] for row in tables["topics"])
    assert told["kept"] == len({r["topic_id"] for r in before} & {r["topic_id"] for r in after})
    assert sum(row["before"] for row in tables["topics"]) == sum(row["size"] for row in before)
    assert sum(row["after"] for row in tables["topics"]) == sum(row["size"] for row in after)
    assert "settings" not in tables  # the same recipe


def test_topics_are_born_kept_split_merged_and_die() -> None:
    def topic(size: int, event: str = "kept", *previous: int) -> dict[str, Any]:
        return {"label": "words", "size": size, "event": event, "previous_ids": list(previous)}

    before = {0: topic(50), 1: topic(40), 2: topic(30), 3: topic(20)}
    after = {0: topic(55), 7: topic(20, "split", 1), 8: topic(19, "split", 1), 9: topic(30, "merged", 2), 5: topic(9)}
    events = {row[1]: row[0] for row in topic_changes(before, after).rows}
    assert events == {
        "0": "kept",
        "1": "merged into 7, 8",
        "2": "merged into 9",
        "3": "died",
        "5": "born",
        "7": "split",
        "8": "split",
        "9": "merged",
    }


def test_runs_are_listed_newest_first_shown_and_compared(
    nights: Config, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tables_of(capsys, "runs", "list", "--root", nights.root)["runs"]
    assert [row["stored"] for row in runs] == sorted((row["stored"] for row in runs), reverse=True)
    assert Counter(row["stage"] for row in runs) == Counter(
        dict.fromkeys(("prepare", "embed", "cluster", "label_topics", "analyze_network"), 2)
    )
    embeds = [row["run"] for row in runs if row["stage"] == "embed"]
    code, out, _ = run(capsys, "runs", "show", "--root", nights.root, "--json", embeds[0])
    assert (code, json.loads(out)["embedded"]) == (0, 120)
    parts = tables_of(capsys, "runs", "diff", "--root", nights.root, *embeds[::-1])
    assert any(row["what differs"].startswith("corpus.sha256: ") for row in parts["inputs"])
    assert "recipe" not in parts
    assert len(tables_of(capsys, "runs", "list", "--root", nights.root, "--limit", "3")["runs"]) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "--date", "2020-01-01"], 3, "nothing of 2020-01-01 is committed for this recipe"),
        (["show", "--set", "corpus.min_chars=9"], 3, "run a job, or check --root, --config and --set"),
        (["show", "--table", "hub"], 2, "--table hub: there is none of"),
        (["diff", "v9", "2026-01-31"], 3, "there is no such publication"),
        (
            ["diff", *NIGHTS, "--table", "topic"],
            2,
            "--table topic: there is no such table; choose one of rows, quarantine",
        ),
        (["runs", "show", "embeddings/../x"], 2, "is no run; take a name such as"),
        (["runs", "show", "embeddings/0123456789ab/2026-01-31/1"], 3, "there is no run"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(
    options: list[str], capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    given = options[-2:] if words[0] == "runs" else options
    found, out, err = run(capsys, *words, *given)
    assert (found, out) == (code, "")
    assert said in err.splitlines()[0]
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_table_fits_the_terminal_and_strangers_text_does_not_steer_it(width: int) -> None:
    rows = tuple((str(i), f"{HOSTILE} {'wide ' * i}", "日本語の話題" * i, i * 1000) for i in range(9))
    table = TextTable("topics", ("topic", "label", "other", "documents"), rows)
    lines = table.lines(width, max_rows=7)
    assert lines[-1] == "2 more: --table topics"
    assert all(display_width(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)
    assert json.loads(json.dumps(table.to_json()))[0]["label"].startswith(HOSTILE)


def test_a_column_that_another_command_takes_is_never_cut() -> None:
    table = TextTable("runs", ("stage", "run"), (("analyze_network", "x" * 41),), keep="run")
    assert all("x" * 41 in line for line in table.lines(50)[3:])


def test_a_column_that_another_one_says_as_well_gives_way_and_the_table_says_so() -> None:
    columns = ("stored", "stage", "seconds", "cost", "run")
    row = ("2026-01-31 10:35", "analyze_network", 11.5, None, "network_stats/e98be36bd3a6/2026-01-31/1")
    table = TextTable("runs", columns, (row,), keep="run", spare="stage")
    wide, narrow = table.lines(92), table.lines(80)
    assert "analyze_network" in wide[3]
    assert len(wide) == 4
    assert max(map(len, narrow)) <= 80
    assert narrow[3].split() == ["2026-01-31", "10:35", "11.5", "-", row[-1]]
    told = f"without stage: all columns take a width of {max(map(len, wide))}, or --json"
    assert narrow[4] == told
    assert replace(table, note="1 more").lines(80)[4] == f"1 more; {told}"


def test_runs_fit_a_terminal_of_80_columns(nights: Config) -> None:
    table = runs_table(list_runs(nights.root, 20))
    lines = table.lines(80)
    assert max(map(len, lines)) <= 80
    assert all(row[0] in line and row[-1] in line for row, line in zip(table.rows, lines[3:], strict=False))


def test_the_command_that_is_installed_is_this_one() -> None:
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    assert pkgutil.resolve_name(scripts["theta-ray"]) is main


def test_a_table_without_a_difference_is_said_to_have_none(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "diff", *options, "--no-json", "--table", "settings", *NIGHTS)
    assert (code, out.splitlines()[1:]) == (0, ["", "no difference"])


def test_prose_goes_on_in_further_lines_and_no_word_is_lost() -> None:
    words = "the time is neither ISO 8601, Unix seconds nor a date of 日本 at all"
    lines = TextTable("quarantine", ("reason", "rows", "meaning"), (("bad_time", 2, words),), prose=True).lines(40)
    assert all(display_width(line) <= 40 for line in lines)
    assert lines[3].startswith("  bad_time     2  the time")
    assert " ".join([lines[3].split("  ")[-1], *(line.strip() for line in lines[4:])]) == words


def test_rows_become_records_where_they_do_not_fit_and_nothing_is_cut() -> None:
    columns = ("graph", "statistic", "value", "null_mean", "z", "definition")
    name = "comments_top_10_percent_share_with_zeros"
    rows = (("co_thread", name, 0.527, None, 2.85, "edges " * 30), ("co_thread", "density", 1.5, 0.25, None, "few"))
    table = TextTable("statistics", columns, rows, records=True)
    lines = table.lines(80)
    assert max(map(len, lines)) <= 80
    assert lines[2:4] == ["  co_thread", f"    {name}  value 0.527  z 2.85  definition"]
    assert sum(line.split().count("edges") for line in lines) == 30
    assert lines[-1] == "    density  value 1.5  null mean 0.25  definition few"
    assert len(table.lines(400)) == 5


def test_paths_are_whole_and_other_columns_too_where_a_path_leaves_no_room() -> None:
    path = "/tables/" + "x" * 60
    table = TextTable("versions", ("table", "version", "path"), (("topics", 1, path),), keep="path", spare="table")
    assert table.lines(60)[2:4] == ["  version  path", f"        1  {path}"]


def test_a_number_just_below_one_is_not_one() -> None:
    rows = (("smallest cosine", 0.999979827), ("recall", 1.0), ("other", 0.5))
    assert [line.split()[-1] for line in TextTable("documents", ("what", "value"), rows).lines(80)[3:]] == [
        "0.999979827",
        "1",
        "0.5",
    ]


def test_trends_and_cuts_count_columns() -> None:
    assert trend([0, 1, 2, 4]) == "\u2581\u2583\u2585\u2588"
    assert trend([0, 0]) == "\u2581\u2581"
    assert len(trend(range(100))) == 16
    assert cut_to("日本語", 5) == "日本\u2026"
    assert display_width("e\u0301") == 1
