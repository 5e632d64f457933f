"""What each statistic is: name -> one sentence with formula, population and source; rows of `network_stats` have it."""

from __future__ import annotations

from theta_ray.network import (
    communities,
    community_quality,
    corpus_statistics,
    episodes,
    hits,
    measure,
    pagerank,
    structure,
)

OF_EVENTS = {
    "num_events": "Comments, reposts or mentions that could be a tie; of co-participation, participations.",
    "num_events_without_author": "Of these, those whose author is deleted or unknown.",
    "num_events_without_target": "Those whose target is not in the corpus and that do not name its author.",
    "num_loops": "Those of authors with themselves: they are no edges.",
    "loop_share": "Loops over events between known authors; NaN without any.",
}
OF_RECIPE = {"num_communities_of_min_size": "Communities with at least as many nodes as the recipe's `min_size`."}
DEFINITIONS: dict[str, str] = {
    **structure.DEFINITIONS,
    **hits.DEFINITIONS,
    **pagerank.DEFINITIONS,
    **communities.DEFINITIONS,
    **community_quality.DEFINITIONS,
    **OF_RECIPE,
    **measure.DEFINITIONS,
    **episodes.DEFINITIONS,
    **corpus_statistics.DEFINITIONS,
    **OF_EVENTS,
}
