"""Statistics of the corpus as a whole: who is active how much, when, and how threads look. `graph` is `corpus`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from theta_ray.corpus import staging
from theta_ray.corpus.staging import read_rows
from theta_ray.network import arrival, hours, inequality, lifespans, repeats, rhythm, thread_shape
from theta_ray.network.arrival import Arrivals, arrival_deciles, arrival_statistics
from theta_ray.network.arrival_ratios import DEFINITIONS as OF_RATIOS
from theta_ray.network.arrival_ratios import arrival_ratios
from theta_ray.network.bootstrap import Interval, intervals
from theta_ray.network.contexts import GraphTask
from theta_ray.network.hours import hour_profile, hour_statistics
from theta_ray.network.inequality import above_zero, lorenz, measures
from theta_ray.network.lifespans import Spans, lifespan_statistics
from theta_ray.network.observations import HOUR, Histogram, histogram, merged
from theta_ray.network.people import integers
from theta_ray.network.repeats import repeat_statistics
from theta_ray.network.rhythm import rhythm_statistics
from theta_ray.network.statistic import Statistic, statistics_of
from theta_ray.network.thread_shape import Threads, thread_statistics

CORPUS = "corpus"
MAX_POINTS = 1000
COUNTS = {
    "num_documents": "Documents of the corpus.",
    "num_without_author": "Documents whose author is deleted or unknown: they are in threads, and nowhere else.",
    "num_without_time": "Documents without a time.",
    "num_in_future": "Documents with a time after the end of the day: it counts as missing.",
}
DEFINITIONS = {
    **COUNTS,
    **inequality.DEFINITIONS,
    **lifespans.DEFINITIONS,
    **hours.DEFINITIONS,
    **arrival.DEFINITIONS,
    **OF_RATIOS,
    **thread_shape.DEFINITIONS,
    **repeats.DEFINITIONS,
    **rhythm.DEFINITIONS,
}
Curve = tuple[NDArray[Any], NDArray[Any]]
COLUMNS = {"posts": "num_posts", "comments": "num_comments", "score": "score"}


def measure_corpus(task: GraphTask, totals: dict[str, int]) -> tuple[list[Statistic], dict[str, Curve]]:
    """Statistics and curves of all authors, threads and texts, in the memory of one task: 300 bytes an author."""
    authors, found, curves = _gather(task, "authors"), list[Statistic](), dict[str, Curve]()
    counts = {name: float(totals[name]) for name in COUNTS}
    found += statistics_of(counts, "documents", totals["num_documents"])
    for quantity, column in COLUMNS.items():
        values = histogram(integers(authors[column]))
        found += _inequality(task, quantity, values, authors.num_rows)
        for suffix, population in (("", above_zero(values)), ("_with_zeros", values.with_zeros(authors.num_rows))):
            curves[f"{quantity}_lorenz{suffix}"] = _thinned(*lorenz(population))
    found += statistics_of(rhythm_statistics(authors["interval_cv"].to_numpy()), "authors", authors.num_rows)
    found += _lifespans(task)
    all_hours = _hours(task, "hours")
    for variant, some in (("", all_hours), ("post_", _hours(task, "post_hours"))):
        profile = hour_profile(all_hours, some, whole_days=task.job.settings.whole_days)
        found += statistics_of(hour_statistics(profile, variant), "events", int(profile.num_events.sum()))
        curves[f"{variant}hour"] = np.arange(24.0), profile.num_events.astype(np.float64)
    columns = [integers(authors[name]) for name in ("first_at", "score", "early_score", "num_posts")]
    compared = Arrivals(*[*columns, _gather(task, "containers")["container"].to_numpy()])
    found += _arrival(task, compared)
    curves["score_by_arrival_decile"] = arrival_deciles(compared)
    shapes = _gather(task, "shapes")
    threads = Threads(*(shapes[name].to_numpy() for name in Threads._fields))
    found += statistics_of(thread_statistics(threads, task.job.settings.max_comments), "threads", shapes.num_rows)
    return found + _repeats(task), curves


def _ranges(task: GraphTask, kind: str) -> Iterator[pa.Table]:
    return (read_rows(task.job.staged(kind, f"{place:05d}")) for place in range(task.ranges))


def _gather(task: GraphTask, kind: str) -> pa.Table:
    return pa.concat_tables(_ranges(task, kind)).combine_chunks()


def _hours(task: GraphTask, kind: str) -> Histogram:
    return merged(Histogram(rows["value"].to_numpy(), rows["frequency"].to_numpy()) for rows in _ranges(task, kind))


def _arrival(task: GraphTask, compared: Arrivals) -> list[Statistic]:
    horizon = int(task.job.settings.horizon_hours * HOUR)
    values = arrival_statistics(compared, task.job.end, horizon)
    ratios, low_high = arrival_ratios(compared, task.job.end)
    num_authors = int(values["arrival_num_authors"])
    return statistics_of(values | ratios, "authors with a score and a time", num_authors, low_high)


def _inequality(task: GraphTask, quantity: str, values: Histogram, num_authors: int) -> list[Statistic]:
    settings = task.job.settings
    low_high: dict[str, Interval] = {}
    for suffix, population in (("", above_zero(values)), ("_with_zeros", values.with_zeros(num_authors))):
        drawn = intervals(measures, population, settings.num_resamples, settings.seed)
        low_high |= {f"{quantity}_{name}{suffix}": interval for name, interval in drawn.items()}
    return statistics_of(inequality.inequality(quantity, values, num_authors), "authors", num_authors, low_high)


def _lifespans(task: GraphTask) -> list[Statistic]:
    rows, found = _gather(task, "spans"), list[Statistic]()
    for variant in lifespans.VARIANTS:
        spans = Spans(*(rows[f"{variant}_{name}"].to_numpy() for name in Spans._fields))
        values = lifespan_statistics(variant, lifespans.lifespans(spans, task.job.end))
        found += statistics_of(values, "authors with an event at a known time", int((spans.num_events > 0).sum()))
    return found


def _repeats(task: GraphTask) -> list[Statistic]:
    parts = []
    for place in range(task.ranges):
        row = staging.read_json(task.job.staged("copies", f"{place:05d}", "json"))
        assert row is not None, "all ranges are counted"
        parts.append(Histogram(np.array(row["value"], np.int64), np.array(row["count"], np.int64)))
    copies = merged(parts)
    return statistics_of(repeat_statistics(copies), "documents", int((copies.value * copies.frequency).sum()))


def _thinned(x: NDArray[Any], y: NDArray[Any]) -> Curve:
    """At most a thousand points of a curve, its ends included."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), MAX_POINTS)).round().astype(int)) if len(x) else slice(0)
    return x[kept], y[kept]
