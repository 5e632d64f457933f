"""What every section of a recipe is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen values; a key that is not a field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
