"""Sections of a recipe that judge topics: their identity between fits, their quality, and how many there should be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from theta_ray.strict import Strict

Share = Annotated[float, Field(ge=0, le=1)]


class Identity(Strict):
    """When a topic of today is one of yesterday's (topics/align.py)."""

    words_weight: Share = 0.5
    """Similarity is this much overlap of words, the rest cosine of centroids."""
    min_similarity: Share = 0.45
    """Of two topics that can be the same, or parts of each other."""
    min_shared: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Of the documents of either topic, for one to have come from the other, where both nights know documents."""


class Evaluate(Strict):
    """How good the topics of a day are (jobs/evaluate_topics.py)."""

    top_terms: Annotated[int, Field(ge=2)] = 10
    """Of each topic, for coherence and exclusivity; diversity looks at 25."""
    npmi_window: Annotated[int, Field(ge=1)] | None = 10
    """Words of a window; absent: whole texts, as U_Mass has them."""
    c_v_window: Annotated[int, Field(ge=1)] | None = 110
    """Likewise for C_V."""
    num_groups: Annotated[int, Field(ge=10, le=1000)] = 64
    """Of documents, by their texts; intervals resample groups."""
    num_resamples: Annotated[int, Field(ge=100)] = 500
    """For the intervals."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Of the intervals."""
    max_documents: Annotated[int, Field(ge=1000)] = 1_000_000
    """That are looked at, about; of more, an even share by their texts."""
    sample_rows: Annotated[int, Field(ge=100)] = 20_000
    """Documents, about, of which held-out perplexity and further fits are; likewise by their texts."""
    num_refits: Annotated[int, Field(ge=0, le=100)] = 4
    """Further fits of the clusters to the sample, each with a seed of its own: what the figures owe to the seed."""
    items_per_topic: Annotated[int, Field(ge=0)] = 1
    """Of each task sheet for people; 0 writes no sheets."""
    max_items: Annotated[int, Field(ge=1)] = 200
    """Of one sheet."""
    max_chars: Annotated[int, Field(ge=20)] = 280
    """Of a document on a sheet."""
    answers: tuple[str, ...] = ()
    """Filled sheets, one file of each person, as CSV or JSON lines; enters no fingerprint."""
    seed: Annotated[int, Field(ge=0)] = 0


class ChooseK(Strict):
    """How many clusters a sample of embeddings asks for (jobs/choose_k.py)."""

    num_clusters: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=2)] = (5, 10, 20, 50, 100, 200)
    """What is tried, each with several fits."""
    sample_rows: Annotated[int, Field(ge=100)] = 20_000
    """Documents, the same ones for all."""
    silhouette_rows: Annotated[int, Field(ge=10, le=20_000)] = 2_000
    """Of these, for silhouettes of all distances."""
    num_pairs: Annotated[int, Field(ge=2)] = 5
    """Of bootstrap samples: each pair is fitted and compared."""
    num_references: Annotated[int, Field(ge=2)] = 5
    """Fits to samples of a normal distribution of the same mean and covariance, which has no clusters."""
    num_resamples: Annotated[int, Field(ge=100)] = 500
    """For the intervals."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Of the intervals."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _ascending(self) -> ChooseK:
        if list(self.num_clusters) != sorted(set(self.num_clusters)):
            raise ValueError("num_clusters must ascend")
        return self
