"""Stage `analyze_network` run again, in other shards, in blocks, over budget, and on what nobody meant to analyse."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.corpora import DAY
from tests.networks import Row, Tables, edges_of, network_config, statistics_of, tables_of, with_resources
from tests.unit.test_analyze_network import GRAPHS, row, talk
from theta_ray.corpus import prepare
from theta_ray.errors import ConfigError, StageError
from theta_ray.manifest import commit, read_manifest
from theta_ray.network import analyze_network, community_quality
from theta_ray.network.definitions import OF_RECIPE
from theta_ray.objects import list_names
from theta_ray.runtime import main
from theta_ray.store import Partition


def crowd(num_comments: int = 200, seed: int = 0) -> list[Row]:
    """Twenty posts and comments on them by thirty people, some of whom write more than others."""
    generator = random.Random(seed)
    rows = []
    for number in range(num_comments + 20):
        author = f"a{int(generator.paretovariate(1)) % 30:02d}"
        time = f"2026-01-{1 + number % 28:02d}T{generator.randrange(24):02d}:{number % 60:02d}:00Z"
        more: dict[str, Any] = {"time": time, "score": generator.randrange(-3, 9)}
        if number < 20:
            rows.append(row(f"p{number}", author, forum=f"f{number % 4}", text=f"post {number} #t{number % 5}", **more))
        else:
            thread = f"p{generator.randrange(20)}"
            parents = [each["id"] for each in rows if each["thread"] == thread]
            rows.append(row(f"c{number}", author, generator.choice(parents), thread, forum=f"f{number % 4}", **more))
    return rows


def same(one: Tables, other: Tables) -> None:
    for name, table in one.items():
        assert table.equals(other[name]), name


def test_a_rerun_does_nothing_and_another_corpus_is_another_version(tmp_path: Path) -> None:
    config = network_config(tmp_path, talk())
    first = tables_of(config)
    job = analyze_network.make_job(config, DAY)
    manifest = read_manifest(job.tables["network_stats"])
    assert manifest is not None
    assert analyze_network.run(config, DAY).status == "nothing to do"
    assert read_manifest(job.tables["network_stats"]) == manifest
    assert list_names(job.tables["network_stats"].at("staging")) == []
    assert "nothing to do" in analyze_network.plan(config, DAY).page()
    more = network_config(tmp_path, [*talk(), row("c20", "fay", "p1", "p1")])
    again = tables_of(more)
    assert again["edges"].num_rows > first["edges"].num_rows
    newer = read_manifest(analyze_network.make_job(more, DAY).tables["network_stats"])
    assert newer is not None
    assert newer["version"] != manifest["version"]


def test_other_shards_and_another_order_of_the_rows_give_the_same_tables(tmp_path: Path) -> None:
    rows = crowd()
    one = tables_of(network_config(tmp_path / "one", rows, {"graphs": GRAPHS}))
    random.Random(5).shuffle(rows)
    config = network_config(tmp_path / "many", rows, {"graphs": GRAPHS}, shard_bytes=5000)
    prepare.run(config, DAY)
    corpus = read_manifest(analyze_network.make_job(config, DAY).corpus)
    assert corpus is not None
    assert len(corpus["shards"]) > 3
    same(one, tables_of(config))


OF_NODES = ("graph", "author_id", "degree", "in_degree", "out_degree", "core", "component_id")
MEASURED = ("strength", "in_strength", "out_strength", "hub", "authority", "pagerank")


def test_a_graph_in_blocks_has_the_nodes_of_one_that_fits_a_task(tmp_path: Path) -> None:
    section = {"graphs": ["co_thread", "comment_to_parent_author", "mention"]}
    rows = [*crowd(), *talk()]
    whole = tables_of(network_config(tmp_path / "whole", rows, section))
    blocks = tables_of(with_resources(network_config(tmp_path / "blocks", rows, section), max_task_edges=5))
    for column in OF_NODES:
        assert whole["nodes"][column].equals(blocks["nodes"][column]), column
    for column in MEASURED:
        one, other = (tables["nodes"][column].fill_null(0).to_pylist() for tables in (whole, blocks))
        assert one == pytest.approx(other, abs=1e-9), column
    assert whole["edges"].equals(blocks["edges"])
    for graph in section["graphs"]:
        one_task, in_blocks = (statistics_of(tables, graph) for tables in (whole, blocks))
        assert set(in_blocks) <= set(one_task)
        # blocks have the communities of label propagation
        other = {name for name in in_blocks if name in {**community_quality.DEFINITIONS, **OF_RECIPE}}
        assert len(in_blocks) - len(other) > 40
        for name in set(in_blocks) - other:
            assert in_blocks[name] == pytest.approx(one_task[name], rel=1e-9), name


def test_a_stopped_run_in_blocks_leaves_nothing_that_a_run_in_one_task_would_take_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tables_of(network_config(tmp_path / "whole", crowd()))
    config = network_config(tmp_path / "both", crowd())

    def stop_at_last(partition: Partition, *rest: Any) -> dict[str, Any]:
        if partition.table == "network_stats":
            raise StageError("no more")
        return commit(partition, *rest)

    with monkeypatch.context() as patch:
        patch.setattr("theta_ray.network.finish.commit", stop_at_last)
        with pytest.raises(StageError, match="no more"):
            analyze_network.run(with_resources(config, max_task_edges=5), DAY)
    same(expected, tables_of(config))


def saved(config: Any, folder: Path) -> list[str]:
    """Options of a job that runs a configuration from files."""
    recipe = {k: v for k, v in config.recipe.model_dump(mode="json").items() if k in ("name", "corpus", "encoder")}
    recipe["network"] = config.recipe.network.model_dump(mode="json")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "local.yaml").write_text("executor: local\n")
    files = ["--config", str(folder / "recipe.yaml"), "--resources", str(folder / "local.yaml")]
    return [*files, "--root", config.root, "--date", DAY]


def exit_code(options: list[str]) -> object:
    with pytest.raises(SystemExit) as left:
        main(analyze_network, options)
    return left.value.code


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"graphs": ["mention", "repost", "mention"]}, "graphs names mention twice"),
        ({"graphs": []}, "at least 1 item"),
        ({"projection": {"max_participants": 9}}, "say what becomes of contexts above it: cap, sample or thin"),
        ({"projection": {"policy": "thin", "window_seconds": 60}}, "thin does not go with window_seconds; take exact"),
        ({"projection": {"weights": "count"}}, "weights"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused_with_what_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], section: dict[str, Any], message: str
) -> None:
    options = saved(network_config(tmp_path, talk()), tmp_path)
    assert exit_code([*options, "--set", f"network={json.dumps(section)}"]) == ConfigError.exit_code
    assert message in capsys.readouterr().err


def test_a_plan_tells_what_projections_cost_and_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = network_config(tmp_path, crowd())
    options = saved(config, tmp_path)
    assert exit_code([*options, "--plan"]) == 0
    assert "the corpus is not committed" in capsys.readouterr().out
    prepare.run(config, DAY)
    assert exit_code([*options, "--plan"]) == 0
    page = capsys.readouterr().out
    assert "co thread: pairs" in page
    assert "co thread: seconds" in page
    assert read_manifest(analyze_network.make_job(config, DAY).tables["network_stats"]) is None
    assert not (Path(config.root) / "edges").exists()


def test_a_projection_over_its_budget_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = {"graphs": ["co_container"], "projection": {"max_pairs": 10}}
    config = network_config(tmp_path, crowd(), section)
    options = saved(config, tmp_path)
    assert exit_code(options) == ConfigError.exit_code == 2
    line, last = capsys.readouterr().err.strip().splitlines()[-2:]
    assert line.startswith("co_container: projection: ")
    assert ", 5.3 KB of edges at most, 0.0 seconds of one core, " in line
    assert "over the budget of 10; choose policy cap, thin or sample" in line
    assert last.startswith("exit code 2")
    assert exit_code([*options, "--plan"]) == 0
    assert "co container: refused" in capsys.readouterr().out
    assert not (Path(config.root) / "edges").exists()


@pytest.mark.parametrize("policy", ["cap", "sample", "thin"])
def test_contexts_above_a_limit_are_dealt_with_as_the_recipe_says(tmp_path: Path, policy: str) -> None:
    projection = {"policy": policy, "max_participants": 4, "participants": "commenters", "weight": "count"}
    config = network_config(tmp_path, talk(), {"graphs": ["co_thread"], "projection": projection})
    tables = tables_of(config)
    edges = edges_of(tables, "co_thread")
    assert ("ann", "cat") in edges
    manifest = read_manifest(analyze_network.make_job(config, DAY).tables["network_stats"])
    assert manifest is not None
    price = manifest["counts"]["prices"]["co_thread"]
    assert (price["policy"], price["limit"], price["num_contexts_above"]) == (policy, 4, 1)
    if policy == "cap":
        assert edges == {("ann", "cat"): 1}
    else:
        assert 6 <= len(edges) <= 7
