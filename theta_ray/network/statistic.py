"""One row of table `network_stats`: a number, what it is of, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from theta_ray.network.nulls import Null


@dataclass(frozen=True)
class Statistic:
    """A number about a graph with its population, interval and null. NaN where there is none."""

    name: str
    value: float
    population: str
    """What its values are of, such as "nodes"."""
    num_values: int
    """How many of them."""
    low: float = float("nan")
    high: float = float("nan")
    """Its interval."""
    null: Null | None = None

    def with_null(self, null: Null) -> Statistic:
        """The same statistic beside random graphs.

        Raises:
            ValueError: the null is of another value.
        """
        if not np.array_equal(null.value, self.value, equal_nan=True):
            raise ValueError(f"{self.name} is {self.value}, its null is of {null.value}: give both the same graph")
        return replace(self, null=null)

    def row(self) -> dict[str, str | float | int | None]:
        """Columns of `network_stats` except `graph`; None for what there is not."""
        null = self.null or Null(self.value, np.nan, np.nan, np.nan, np.nan, 0)
        numbers = {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "null_mean": null.mean,
            "null_sd": null.sd,
            "z": null.z,
            "p_value": null.p_value,
        }
        known = {name: None if np.isnan(number) else float(number) for name, number in numbers.items()}
        counts = {"num_values": self.num_values, "num_nulls": null.num_replicates}
        return {"statistic": self.name, "population": self.population, **known, **counts}


def statistics_of(
    values: Mapping[str, float],
    population: str,
    num_values: int,
    intervals: Mapping[str, tuple[float, float]] | None = None,
    nulls: Mapping[str, Null] | None = None,
) -> list[Statistic]:
    """A statistic of each value of one population, with those intervals and nulls that there are."""
    rows = []
    for name, value in values.items():
        low, high = (intervals or {}).get(name, (float("nan"), float("nan")))
        row = Statistic(name, float(value), population, num_values, low, high)
        rows.append(row.with_null(nulls[name]) if nulls and name in nulls else row)
    return rows
