"""The sections of a recipe that say how its tables are kept up to date; they enter no table's fingerprint."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from theta_ray.strict import Strict

RefreshStage = Literal["analyze_network", "embed", "label_topics", "report"]


class Refresh(Strict):
    """All tables of a day, made where they are missing or stale, and published together (jobs/refresh.py)."""

    stages: Annotated[tuple[RefreshStage, ...], Field(min_length=1)] | None = None
    """What is published. Absent: `embed` where the recipe has a section `encoder`, `label_topics` where it has
    `cluster`, `analyze_network` and `report`."""
    num_days: Annotated[int, Field(ge=1, le=366)] = 1
    """Days up to and with the one asked for that are looked at; a missed night and late files are made up for. More
    than one needs `{date}` in the inputs' paths."""
    time_zone: str = "UTC"
    """Whose yesterday is refreshed where no `--date` is given, by the store's clock; a name such as Europe/Berlin."""
    publish_version: Annotated[int, Field(ge=1)] | None = None
    """Publish what this version of the publication holds again, and make nothing: a night is rolled back."""

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        try:
            if name != "UTC":  # which needs no table of time zones
                ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
            hint = "write it like Europe/Berlin, and install tzdata where the system has no time zones"
            raise ValueError(f"{name!r} is no known time zone; {hint}") from error
        return name


class Forget(Strict):
    """Deleted documents, and all documents of forgotten authors, leave every table (jobs/forget.py)."""

    ids: str | tuple[str, ...] | None = None
    """Files of ids of documents: a list as below `tombstones/`, or the result file of a platform's compliance job."""
    author_ids: str | tuple[str, ...] | None = None
    """Files of ids of authors, as the platform has them, and of names where addresses hold these; or the result file
    of a compliance job for users."""
    read_inputs: bool = False
    """Look for the authors' documents in the raw inputs of all days as well, for the ids of those that were turned
    away; without it only where `corpus.authors` is `drop`, whose tables do not say who wrote what."""
    verify: bool = False
    """Delete nothing: search every retained object for the ids, and for `texts`."""
    texts: str | None = None
    """`verify`: a file of texts, one a line, that must not be found either."""
    other_recipes: Literal["fail", "remove"] = "fail"
    """Tables of other recipes that hold a deleted document cannot be made again by this one: tell them and stop, or
    remove these days of them."""


class Compliance(Strict):
    """Ids of the corpus for a platform's compliance job (jobs/compliance.py)."""

    ids_of: Literal["authors", "documents"] = "documents"
    """`authors`: of whoever wrote, is answered, repeated or mentioned. Pseudonyms cannot be undone, so without
    `corpus.authors: raw` they are read from the inputs."""
    source: str | None = None
    """Only documents of this `source`. Absent: all."""
    max_ids: Annotated[int, Field(ge=1)] = 500_000
    """Of one file."""


class Migrate(Strict):
    """From the vectors of one model, or adapter, to those of another (jobs/migrate.py)."""

    previous: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None
    """Fingerprint of the embeddings to come from, below the same root. Absent: the newest other ones of the corpus."""
    num_anchors: Annotated[int, Field(ge=100)] = 10_000
    """Documents that both models embed."""
    num_neighbours: Annotated[int, Field(ge=1)] = 10
    min_overlap: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Share of a held-out document's neighbours that mapped vectors must find for centroids and topics to go on."""
    num_days: Annotated[int, Field(ge=1)] = 7
    """Newest earlier days that a partial embedding by the new model is of; what it would take is told."""
    seed: int = 0


class CleanUp(Strict):
    """Removing what no retained version names (jobs/clean_up.py). Enters no fingerprint."""

    remove: bool = False
    """False: only list it."""
    min_age_hours: Annotated[float, Field(ge=0)] = 72
    """Younger objects stay, by the store's clock: more than the longest job takes, and a margin."""
    keep_versions: Annotated[int, Field(ge=1)] = 3
    """Newest versions of each partition, and newest publications, that stay readable, with what they were made from."""
