"""The `finetune.evaluation` section of a recipe: how a tuned model is compared with its base."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from theta_ray.strict import Strict


class ScoredTexts(Strict):
    """Pairs of texts that people have scored by how alike they are, such as STS: one parquet or CSV file."""

    path: str
    """Absolute, or a URI."""
    first: str = "sentence1"
    """Column of the first text."""
    second: str = "sentence2"
    """Column of the second text."""
    score: str = "score"
    """Column of the score; any scale, as only ranks count."""
    max_pairs: Annotated[int, Field(ge=2)] = 5000
    """Evenly spaced ones of a larger file."""


class Evaluation(Strict):
    """Metrics on held-out texts, with intervals from resampling, and the bounds beyond which a run has collapsed."""

    every: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps between evaluations during training, each of which encodes the held-out texts; a run that has
    collapsed ends there. Absent: after the last step only."""
    scored: ScoredTexts | None = None
    """Correlation of cosines with people's scores. Absent: not measured."""
    num_resamples: Annotated[int, Field(ge=100)] = 1000
    """Of the queries, with replacement, for each interval (Efron and Tibshirani 1993, chapter 13)."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Of the intervals."""
    num_neighbors: Annotated[int, Field(ge=1)] = 5
    """Labelled texts that vote on the label of another."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Pairs among whose positives an anchor looks for its own: the task of training, on held-out pairs."""
    max_mean_cosine: Annotated[float, Field(gt=-1, le=1)] = 0.99
    """Of texts that are not paired; a run above it has collapsed."""
    min_effective_rank: Annotated[float, Field(ge=1)] = 2
    """Dimensions that the vectors use; a run below it has collapsed."""
    seed: Annotated[int, Field(ge=0)] = 0
