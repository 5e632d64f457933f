"""Sections of a recipe that judge topics: their identity between fits, their quality, and how many there should be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from theta_ray.strict import Strict

Share = Annotated[float, Field(ge=0, le=1)]


class Identity(Strict):
    """When a topic of today is one of yesterday's (topics/align.py)."""

    words_weight: Share = 0.5
    """Similarity is this much overlap of words, the rest cosine of centroids."""
    min_similarity: Share = 0.5
    """Of two topics that can be the same, or parts of each other."""
    min_shared: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Of the documents of either topic, for one to have come from the other, where both nights know documents."""
