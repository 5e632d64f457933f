"""What is known of the Davis Southern Women's projection and of the karate club, beyond one module's own tests."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from tests.graphs import of_networkx
from tests.incidences import davis, projection_of
from theta_ray.network.assortativity import degree_assortativity
from theta_ray.network.communities import communities
from theta_ray.network.community_quality import split
from theta_ray.network.degrees import degrees
from theta_ray.network.graph import Graph
from theta_ray.network.inequality import gini
from theta_ray.network.observations import histogram
from theta_ray.network.pagerank import pagerank
from theta_ray.network.projection import Weighting, project

EIGHT = ("Brenda", "Charlotte", "Eleanor", "Evelyn", "Frances", "Laura", "Ruth", "Theresa")


def women(weighting: Weighting) -> tuple[Graph, list[str]]:
    incidence, names = davis()
    edges = project(projection_of(incidence, weighting))
    return Graph.of(len(names), edges.source, edges.target, edges.weight, directed=False), names


@pytest.mark.parametrize(
    ("weighting", "best", "sizes"), [("count", 0.15186528297519383, [10, 8]), ("newman", 0.2641439694842048, [9, 9])]
)
def test_the_southern_women_fall_into_the_two_known_groups(weighting: Weighting, best: float, sizes: list[int]) -> None:
    graph, names = women(weighting)
    found = communities(graph, range(10))
    assert split(graph, found.label).modularity() == pytest.approx(best, abs=1e-9)
    assert np.bincount(found.label).tolist() == sizes
    if weighting == "count":
        assert sorted(name.split()[0] for name, group in zip(names, found.label, strict=True) if group == 1) == list(
            EIGHT
        )


def test_scores_and_degrees_of_the_southern_women_are_the_pinned_ones() -> None:
    graph, names = women("count")
    scores = dict(zip((name.split()[0] for name in names), pagerank(graph, weights="raw").score, strict=True))
    assert scores["Theresa"] == pytest.approx(0.0834853606165, abs=1e-9)
    assert scores["Olivia"] == pytest.approx(0.0274755185122, abs=1e-9)
    assert degree_assortativity(graph)["degree_assortativity"] == pytest.approx(-0.17639198218263, abs=1e-9)


def test_degrees_of_the_karate_club_have_the_pinned_gini() -> None:
    club = degrees(of_networkx(nx.karate_club_graph())).degree
    assert gini(histogram(club)) == pytest.approx(0.385369532428356, abs=1e-12)
