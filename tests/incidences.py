"""Incidences that tests share: drawn ones, and the Davis Southern Women."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import networkx as nx
import numpy as np
from hypothesis import strategies as st

from theta_ray.network.incidence import Incidence
from theta_ray.network.pricing import Policy, price
from theta_ray.network.projection import Projection, Weighting

Events = list[tuple[int, int]]
EVENTS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 7)), max_size=70)
NUM_ACTORS, NUM_CONTEXTS = 12, 8


def incidence_of(events: Events, num_actors: int = NUM_ACTORS, num_contexts: int = NUM_CONTEXTS) -> Incidence:
    actor, context = np.array(events, np.int64).reshape(-1, 2).T
    return Incidence.of(num_actors, num_contexts, actor, context)


def davis() -> tuple[Incidence, list[str]]:
    """18 women at 14 events, and the women's names (Davis, Gardner and Gardner 1941)."""
    graph = nx.davis_southern_women_graph()
    women, events = graph.graph["top"], graph.graph["bottom"]
    pairs = [(women.index(woman), events.index(event)) for woman in women for event in graph[woman]]
    return incidence_of(pairs, len(women), len(events)), women


def projection_of(
    incidence: Incidence,
    weighting: Weighting = "count",
    policy: Policy = "exact",
    limit: int | None = None,
    min_shared: int = 1,
) -> Projection:
    at = price(incidence.size_histogram(), incidence.num_actors, policy, limit=limit)
    return Projection.of(incidence, at, weighting, min_shared=min_shared)


def brute_force(events: Events) -> Counter[tuple[int, int]]:
    """Shared contexts of every pair of actors."""
    members: dict[int, set[int]] = {}
    for actor, context in events:
        members.setdefault(context, set()).add(actor)
    return Counter(pair for actors in members.values() for pair in combinations(sorted(actors), 2))
