"""The `topics` section of a recipe: terms, documents, identity and labels of clusters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from theta_ray.config_quality import Identity
from theta_ray.strict import Strict

BucketUnit = Literal["day", "month", "week"]
Weighting = Literal["bm25", "ctfidf"]


class Labels(Strict):
    """Labels of topics from any OpenAI-compatible endpoint, which is sent terms and cut texts of each topic.

    The key, where one is needed, is read from THETA_RAY_LABEL_KEY only.
    """

    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$")]
    """Such as `http://localhost:8000/v1`; `/chat/completions` is added."""
    model: Annotated[str, Field(min_length=1)]
    """As the endpoint calls it."""
    num_documents: Annotated[int, Field(ge=0, le=50)] = 5
    """Representative documents that are sent; 0 sends terms only."""
    max_chars: Annotated[int, Field(ge=20, le=10_000)] = 300
    """Of each document."""
    language: Annotated[str, Field(pattern=r"^[A-Za-z -]{2,40}$")] = "English"
    """Of the labels."""
    seconds: Annotated[float, Field(gt=0, le=600)] = 30
    """That one request may take."""
    tries: Annotated[int, Field(ge=1, le=10)] = 3
    """Of one request, before the label stays the first terms."""


class Topics(Strict):
    """Assignments and their corpus to topics (jobs/label_topics.py)."""

    num_terms: Annotated[int, Field(ge=1, le=100)] = 10
    """Terms of a topic."""
    max_words: Literal[1, 2] = 2
    """Of a term: 2 takes pairs of neighbouring words as well."""
    min_documents: Annotated[int, Field(ge=1)] = 2
    """That a term is in; the rarer ones are typing errors and names that nothing can be said of."""
    weighting: Weighting = "ctfidf"
    """How rare a term is over all clusters: log(1 + A / f) (Grootendorst 2022), or as BM25 has it."""
    reduce_frequent_words: bool = True
    """Square root of a term's share of its cluster: words of everyday language rank lower, above all in languages
    with few known stop words."""
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Above 0, a term that is in the same documents as a better one ranks lower (maximal marginal relevance)."""
    stop_words: tuple[str, ...] = ()
    """More of them, for every language."""
    unknown_language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = "en"
    """Whose stop words go for documents without a language, where the script does not tell. None: no one's."""
    bucket: BucketUnit = "day"
    """Of `topic_counts`, by the documents' times in UTC; weeks begin on Monday."""
    num_representatives: Annotated[int, Field(ge=0, le=100)] = 5
    """Documents nearest the centroid, no two of which differ only in digits, addresses and mentions."""
    num_borderline: Annotated[int, Field(ge=0, le=100)] = 5
    """Documents that are almost as near to another centroid; likewise."""
    identity: Identity = Identity()
    previous: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None
    """Fingerprint of the topics whose ids go on, below the same root. Absent: those of this recipe."""
    labels: Labels | None = None
    """Absent: a label is the topic's first terms."""
