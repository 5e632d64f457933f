"""Public data through the whole job: what is published of them, and what docs/networks.md says of their graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.corpora import DAY
from tests.networks import QUICK, statistics_of, tables_of
from tests.unit.test_network_examples import recipe_of, written
from theta_ray.config import Config, Resources
from theta_ray.config_network import Network

# Name, settings, graph -> what is known of it.
KNOWN: list[tuple[str, dict[str, Any], dict[str, dict[str, float]]]] = [
    (
        "college_msg",
        {},
        # snap.stanford.edu/data/CollegeMsg.html: nodes, static edges, temporal edges
        {"comment_to_parent_author": {"num_nodes": 1_899, "num_edges": 20_296, "total_weight": 59_835, "num_loops": 0}},
    ),
    (
        "reddit_thread",
        {},
        {
            "comment_to_parent_author": {
                **{"num_nodes": 885, "num_edges": 1_081, "num_loops": 2},
                **{"num_events_without_author": 147, "num_events_without_target": 122},
            },
            "comment_to_post_author": {"num_nodes": 934, "num_edges": 933, "num_loops": 25, "reciprocity": 0},
            "corpus": {"comment_depth_max": 11},
        },
    ),
    (
        "stack_exchange",
        {"graphs": ["comment_to_post_author", "co_thread"], "projection": {"participants": "all"}},
        {
            "comment_to_post_author": {"num_nodes": 468, "num_edges": 1_418},
            "co_thread": {"num_nodes": 475, "num_edges": 4_039, "num_isolates": 7, "backbone_edges": 0},
        },
    ),
    (
        "moltbook",
        {"graphs": ["comment_to_post_author", "co_thread"]},
        {
            "comment_to_post_author": {"num_nodes": 265, "num_edges": 385, "num_loops": 3, "reciprocity": 0},
            "co_thread": {"num_nodes": 152, "num_edges": 549},
            "corpus": {"num_threads": 5_103, "thread_comments_max": 12, "num_threads_at_max": 2},
        },
    ),
    (
        "tweets",
        {"graphs": ["comment_to_parent_author", "mention", "repost"]},
        {
            "comment_to_parent_author": {"num_nodes": 214, "num_edges": 569, "num_loops": 23},
            "mention": {"num_nodes": 565, "num_edges": 826, "num_loops": 5, "num_mutual_dyads": 1},
            "repost": {"num_nodes": 2_058, "num_edges": 2_379, "num_loops": 5, "num_events": 2_523},
            # 1,830 posts, and 195 conversations whose first tweet is not there; no reposts
            "corpus": {"num_threads": 2_025, "num_threads_without_post": 195},
        },
    ),
    (
        "co_share",
        {"graphs": ["co_repost"], "projection": {"weight": "count", "window_seconds": 60, "min_shared": 2}},
        {"co_repost": {"num_edges": 32, "backbone_edges": 0, "num_episodes": 1}},
    ),
]


@pytest.mark.parametrize(("name", "section", "known"), KNOWN, ids=[name for name, *_ in KNOWN])
def test_graphs_of_public_data_are_those_that_are_known(
    name: str, section: dict[str, Any], known: dict[str, dict[str, float]], shared_data: Path, tmp_path: Path
) -> None:
    written(shared_data, name, tmp_path)
    recipe = recipe_of(name)
    inputs = tuple(
        spec.model_copy(update={"path": str(tmp_path / name / Path(str(spec.path)).name)})
        for spec in recipe.corpus.inputs
    )
    few = {**QUICK, "num_nulls": 0, "num_resamples": 0}
    network = Network.model_validate({"graphs": recipe.network.graphs, **few, **section})
    corpus = recipe.corpus.model_copy(update={"inputs": inputs, "authors": "raw"})
    recipe = recipe.model_copy(update={"corpus": corpus, "network": network})
    day = "2026-02-03" if name == "moltbook" else DAY
    config = Config(recipe=recipe, resources=Resources(executor="local"), root=str(tmp_path / "results"))
    tables = tables_of(config, day)
    for graph, values in known.items():
        found = statistics_of(tables, graph)
        assert {statistic: found.get(statistic) for statistic in values} == values
