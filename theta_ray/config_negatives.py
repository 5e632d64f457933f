"""The `pairs.negatives` section of a recipe: which near texts become the hard negatives of a pair."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from theta_ray.strict import Strict

Choose = Literal["hardest", "random"]


class Negatives(Strict):
    """Hard negatives of each pair, from an embeddings table.

    Ranked are the texts nearest to the anchor that share neither group, label, tag, thread nor text with the pair.
    """

    count: Annotated[int, Field(ge=1)] = 1
    """Negatives of a pair; fewer where fewer are left."""
    first_rank: Annotated[int, Field(ge=1)] = 10
    """The nearest texts are passed over: too often they are right answers that nobody marked."""
    last_rank: Annotated[int, Field(ge=1)] = 100
    """Ranks from the first to this one are chosen from; the nearest text is 1."""
    relative_margin: Annotated[float, Field(ge=0, lt=1)] | None = 0.05
    """A negative is at most (1 - this) times as similar to the anchor as the positive is; 0.05 is the 95 % rule of
    NV-Retriever (Moreira et al. 2024). None: no such rule, where labels are sure that a negative is one."""
    margin: Annotated[float, Field(ge=0, le=2)] | None = None
    """A negative is less similar to the anchor than the positive by at least this. None: no such rule."""
    max_similarity: Annotated[float, Field(gt=-1, le=1)] | None = None
    """A negative is at most this similar to the anchor, whatever the positive is. None: no such rule."""
    choose: Choose = "random"
    """Of the ranks that the margins leave: any, by the seed, or the nearest."""
    share: Annotated[float, Field(gt=0, le=1)] = 1
    """Of the documents, drawn by their ids: a smaller one costs less, and its ranks reach that much further."""
    embeddings: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None
    """Fingerprint of the embeddings to look in, below the same root. Absent: those of the recipe's encoder."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Negatives:
        if self.first_rank > self.last_rank:
            raise ValueError(f"first_rank {self.first_rank} is beyond last_rank {self.last_rank}")
        if self.count > self.last_rank - self.first_rank + 1:
            raise ValueError(f"count {self.count} is more than ranks {self.first_rank} to {self.last_rank} hold")
        return self
