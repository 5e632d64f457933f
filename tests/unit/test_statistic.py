"""Rows of the table of statistics."""

from __future__ import annotations

import numpy as np
import pytest

from theta_ray.network.nulls import Null, compared
from theta_ray.network.statistic import Statistic, statistics_of


def test_a_row_has_a_value_its_population_interval_and_null() -> None:
    null = Null(0.5, 0.2, 0.1, 3.0, 0.02, 99)
    row = Statistic("reciprocity", 0.5, "edges", 8, 0.4, 0.6, null).row()
    assert row == {
        "statistic": "reciprocity",
        "population": "edges",
        "value": 0.5,
        "low": 0.4,
        "high": 0.6,
        "null_mean": 0.2,
        "null_sd": 0.1,
        "z": 3.0,
        "p_value": 0.02,
        "num_values": 8,
        "num_nulls": 99,
    }


def test_what_there_is_not_is_null_in_the_table() -> None:
    row = Statistic("density", float("nan"), "nodes", 1).row()
    assert [name for name, value in row.items() if value is None] == [
        "value",
        "low",
        "high",
        "null_mean",
        "null_sd",
        "z",
        "p_value",
    ]
    assert row["num_nulls"] == 0


def test_values_of_one_population_get_the_intervals_and_nulls_that_there_are() -> None:
    null = compared(2.0, [1.0, 1.5])
    first, second = statistics_of({"a": 1, "b": 2}, "nodes", 5, {"a": (0.5, 1.5)}, {"b": null})
    assert (first.low, first.high, first.null) == (0.5, 1.5, None)
    assert np.isnan(second.low)
    assert second.null == null


def test_a_null_of_another_graph_is_refused() -> None:
    with pytest.raises(ValueError, match="a is 1.0, its null is of 2.0: give both the same graph"):
        statistics_of({"a": 1}, "nodes", 5, nulls={"a": compared(2.0, [1.0])})
    same = Statistic("a", float("nan"), "nodes", 5).with_null(compared(float("nan"), []))
    assert same.row()["z"] is None
