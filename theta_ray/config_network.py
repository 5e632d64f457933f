"""The `network` section of a recipe: which graphs are made of the corpus, and what is said of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from theta_ray.strict import Strict

GraphName = Literal[
    "co_container",
    "co_hashtag",
    "co_link",
    "co_repost",
    "co_thread",
    "comment_to_parent_author",
    "comment_to_post_author",
    "mention",
    "repost",
]
EdgeWeight = Literal["count", "idf", "newman"]
Policy = Literal["cap", "exact", "sample", "thin"]
BackboneMethod = Literal["disparity", "sdsm"]
CommunityMethod = Literal["leiden", "louvain"]
HitsWeights = Literal["binary", "log1p", "raw"]
Participants = Literal["all", "commenters", "top_level"]


class Projection(Strict):
    """Actors of the same context become ties between actors."""

    weight: EdgeWeight = "newman"
    """Of a tie: contexts that both are in, each as 1, as 1 / (participants - 1), or as log(authors / participants)."""
    participants: Participants = "top_level"
    """Of a thread: authors of comments on the post itself; of any comment; or of the post as well."""
    min_shared: Annotated[int, Field(ge=1)] = 1
    """Contexts that both ends of a tie share at least."""
    window_seconds: Annotated[float, Field(gt=0)] | None = None
    """Two actors share a context only where they were in it within so many seconds of each other; `weight` is count."""
    policy: Policy = "exact"
    """What becomes of contexts above the limit. `exact`: there is none, and above `max_pairs` the job stops. `cap`:
    they are left out. `thin`: a sample of their participants counts, `sample`: of their pairs; the weights are right on
    average."""
    max_participants: Annotated[int, Field(ge=2)] | None = None
    """The limit. Absent: as many as `max_pairs` allows."""
    max_pairs: Annotated[int, Field(ge=1)] = 200_000_000
    """Pairs that a projection may have to look at."""

    @model_validator(mode="after")
    def _policy_fits(self) -> Projection:
        if self.max_participants is not None and self.policy == "exact":
            raise ValueError("max_participants is a limit; say what becomes of contexts above it: cap, sample or thin")
        if self.window_seconds is not None and self.policy != "exact":
            raise ValueError(f"policy {self.policy} does not go with window_seconds; take exact")
        if self.window_seconds is not None and self.weight != "count":
            raise ValueError("window_seconds: contexts within a window are counted; set weight: count")
        return self


class Backbone(Strict):
    """Which ties are more than the activity of their ends explains."""

    method: BackboneMethod = "sdsm"
    """`sdsm`: shared contexts beside the bipartite configuration model, false discoveries controlled over all pairs;
    with `window_seconds` beside the same events dealt anew to the actors of each context.
    `disparity`: a tie's share of the strength of either end (Serrano et al. 2009)."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """False discovery rate, or level of significance."""


class Communities(Strict):
    """Groups of nodes with more edges among them than their degrees explain."""

    method: CommunityMethod = "leiden"
    """Both of them on modularity."""
    resolution: Annotated[float, Field(gt=0)] = 1.0
    """Above 1: more and smaller communities."""
    num_seeds: Annotated[int, Field(ge=1, le=1000)] = 10
    """The best of so many partitions; how they differ is reported."""
    on_backbone: bool = False
    """Co-participation graphs: only edges of the backbone count."""
    min_size: Annotated[int, Field(ge=1)] = 10
    """Of the communities that `num_communities_of_min_size` counts."""


class Network(Strict):
    """Corpus to graphs, their statistics and communities (jobs/analyze_network.py)."""

    graphs: Annotated[tuple[GraphName, ...], Field(min_length=1)] = (
        "co_thread",
        "comment_to_parent_author",
        "comment_to_post_author",
    )
    """Who takes part in the same (`co_...`), or who answers, mentions or reposts whom: docs/networks.md."""
    projection: Projection = Projection()
    backbone: Backbone = Backbone()
    communities: Communities = Communities()
    hits_weights: HitsWeights = "binary"
    """On `raw` weights one heavy pair takes the whole vector."""
    num_nulls: Annotated[int, Field(ge=0, le=10_000)] = 100
    """Graphs with the same degrees that each statistic is put beside."""
    num_resamples: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """Bootstrap resamples of the authors, for intervals."""
    num_permutations: Annotated[int, Field(ge=0, le=100_000)] = 999
    """Of communities over authors, for topics by community."""
    whole_days: bool = True
    """Hours of the day are counted of days only that are observed from their first hour to the last."""
    max_comments: Annotated[int, Field(ge=1)] | None = None
    """Comments of a post that the source of the corpus gives at most: threads with so many are truncated, and what is
    said of threads is said without them as well."""
    horizon_hours: Annotated[float, Field(gt=0)] = 24
    """Scores of an author's first so many hours are compared between early and late authors."""
    num_top: Annotated[int, Field(ge=0, le=1000)] = 20
    """Contexts in each list, such as hashtags, by their events."""
    min_cell: Annotated[int, Field(ge=1)] = 5
    """A context, or a topic in a community, is named from so many authors on."""
    max_export_edges: Annotated[int, Field(ge=0)] = 100_000
    """Of the GraphML and GEXF files, the strongest first. 0: no files."""
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def projected(self) -> tuple[GraphName, ...]:
        """Graphs of who takes part in the same: no directions."""
        return tuple(name for name in self.graphs if name.startswith("co_"))

    @property
    def directed(self) -> tuple[GraphName, ...]:
        """Graphs of who answers, mentions or reposts whom."""
        return tuple(name for name in self.graphs if not name.startswith("co_"))

    @model_validator(mode="after")
    def _graphs_once(self) -> Network:
        twice = sorted({name for name in self.graphs if self.graphs.count(name) > 1})
        if twice:
            raise ValueError(f"graphs names {', '.join(twice)} twice")
        return self
