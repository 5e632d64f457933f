"""The `report` section of a recipe: what the page shows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from theta_ray.strict import Strict


class Report(Strict):
    """Committed tables to one page (jobs/report.py)."""

    make_missing: bool = True
    """Tables that the recipe describes and that are missing are made first. False: the page says how to make them."""
    show_text: bool = False
    """Short excerpts of documents, on the map and with each topic. Off: terms and counts only."""
    num_points: Annotated[int, Field(ge=0, le=50_000)] = 20_000
    """Documents of the topic map, drawn by the hash of their ids; 0: no map."""
    num_topics: Annotated[int, Field(ge=1, le=1_000)] = 100
    """Topics that are listed, by size."""
    min_cell: Annotated[int, Field(ge=1)] = 5
    """Smaller groups of people are neither named nor counted apart."""
    title: Annotated[str, Field(max_length=200)] | None = None
    """Of the page. Absent: the recipe's name."""
    seed: int = 0
