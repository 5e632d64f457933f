"""What a page says, read from committed tables: small values, bounded whatever the size of the corpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from theta_ray.report.map_picture import MapPoints
from theta_ray.runcard import RunCard


@dataclass(frozen=True)
class Source:
    """The version of a table that a part of the page is of."""

    table: str
    path: str
    fingerprint: str
    version: int
    num_rows: int


@dataclass(frozen=True)
class Rejected:
    """Rows that were turned away for one reason."""

    reason: str
    meaning: str
    rows: int
    is_damaged: bool
    """Else the recipe asked for it."""


@dataclass(frozen=True)
class Intake:
    """What came in, and what became of it."""

    rows_in: int
    kept: int
    num_texts: int
    """Different ones among those kept."""
    num_files: int
    rejected: tuple[Rejected, ...]
    """Most rows first."""
    skipped: int
    """Damaged rows that the recipe only counts."""
    languages: Mapping[str, int]
    """Of the documents kept, as far as they may be told apart."""

    @property
    def adds_up(self) -> bool:
        """Every row that came in is kept, turned away or counted as skipped."""
        return self.rows_in == self.kept + sum(each.rows for each in self.rejected) + self.skipped


@dataclass(frozen=True)
class LevelChange:
    """When a topic's share of the documents changed."""

    bucket: str
    before: float
    after: float


@dataclass(frozen=True)
class Topic:
    """A topic as the page shows it."""

    topic_id: int
    label: str
    terms: tuple[str, ...]
    size: int
    coherence: float | None
    event: str
    previous_ids: tuple[int, ...]
    languages: tuple[tuple[str, int], ...]
    duplicate_share: float
    changes: tuple[LevelChange, ...]
    counts: tuple[int, ...] = ()
    """Documents of each bucket of `Topics.buckets`."""
    representative_ids: tuple[str, ...] = ()
    excerpts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """A topic of an earlier night that is no more."""

    topic_id: int
    event: str
    """`died`, `split` or `merged`."""
    next_ids: tuple[int, ...]
    label: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Topics:
    """The topics of a day."""

    listed: tuple[Topic, ...]
    """The largest, by size."""
    num_topics: int
    num_documents: int
    buckets: tuple[str, ...]
    """First days of the days, weeks or months of `counts`, or nights."""
    ended: tuple[Ended, ...]
    mean_coherence: float | None
    before: str | None
    """The day that ids go on from."""
    is_of_nights: bool = False
    """Counts are sizes of the topic on the nights before, since the day's own are of one day."""

    @property
    def num_unlisted(self) -> int:
        """Topics that are too small, or too many, to be listed."""
        return self.num_topics - len(self.listed)


@dataclass(frozen=True)
class Stat:
    """A row of `network_stats`."""

    value: float
    low: float | None
    high: float | None
    null_mean: float | None
    null_sd: float | None
    z: float | None
    p_value: float | None
    num_nulls: int
    definition: str


@dataclass(frozen=True)
class Community:
    """A group of nodes; `name` is `other` for all that are too small to be told apart."""

    name: str
    size: int
    conductance: float | None


@dataclass(frozen=True)
class Person:
    """A hub or an authority of a graph."""

    name: str
    """A pseudonym, or a place in the list: never what the corpus calls somebody by name."""
    key: str
    """What tells people apart within this page; never shown."""
    community: str
    degree: int
    hub: float
    authority: float
    pagerank: float


@dataclass(frozen=True)
class Cell:
    """Documents of a topic in a community, beside what was expected."""

    topic_id: int
    community: str
    num_documents: int
    expected: float
    log2_ratio: float | None
    q_value: float | None


Curve = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class GraphFacts:
    """One graph."""

    name: str
    stats: Mapping[str, Stat]
    communities: tuple[Community, ...]
    degrees: Mapping[str, Curve]
    """By kind of degree: values, and the share of the nodes with so much or more."""
    hubs: tuple[Person, ...]
    authorities: tuple[Person, ...]
    cells: tuple[Cell, ...]

    def value(self, name: str) -> float | None:
        """A statistic's value; None where it is not defined."""
        found = self.stats.get(name)
        return None if found is None else found.value


@dataclass(frozen=True)
class NetworkFacts:
    """The networks of a day; statistics and curves of no graph beside."""

    graphs: tuple[GraphFacts, ...]
    stats: Mapping[str, Stat]
    lorenz: Mapping[str, Curve]
    hours: tuple[int, ...]


@dataclass(frozen=True)
class Night:
    """An earlier night, as far as today is compared with it."""

    date: str
    rows_in: int
    kept: int
    rejected: Mapping[str, int]
    topics: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    """Label and size by id."""
    stats: Mapping[tuple[str, str], Stat] = field(default_factory=dict)
    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Keys of the hubs and authorities of each graph."""


@dataclass(frozen=True)
class Facts:
    """Everything that a page says."""

    title: str
    recipe: str
    day: str
    intake: Intake
    topics: Topics | None
    network: NetworkFacts | None
    drift: str | None
    """Why clusters were fitted anew, where they were and earlier ones were there."""
    cards: tuple[RunCard, ...]
    sources: Mapping[str, Source]
    before: Night | None
    map: MapPoints | None = None
