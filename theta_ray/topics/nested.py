"""The fit: Lloyd steps on a growing sample of the rows, then on all of them.

    seeds -> steps on the first share of every file -> twice that share -> ... -> passes over all rows -> centroids

1. A step assigns the rows of the share to their nearest centroids, which move to the mean of their rows.
2. The share doubles as soon as centroids move less than the sample lets them be known: the median over clusters of
   (standard error of the centroid / how far it moved) is above 1 (Newling and Fleuret, "Nested Mini-Batch K-Means",
   NIPS 2016). It stops at K / eps rows: a centroid fitted on m rows costs 1/m of its cluster's inertia, over all
   clusters K / rows, which is eps.
3. Passes over all rows, until one gains less than `polish`. What a step gains by moving centroids is known at once:
   weight x squared way, over all clusters.
4. Few clusters have many near optima, and are cheap to fit on the first share: ten sets of seeds are tried there, and
   the best goes on.
5. A cluster without rows starts again at the row that is farthest from its centroid in the cluster of largest inertia;
   one with more than its share of the rows is cut in two. Each repair is an event of the trace.

The driver holds centroids and the workers' sums; rows stay where they are. All decisions rest on sums that have the
same bits for any number of workers, so the centroids have them too.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from theta_ray.errors import InputError
from theta_ray.topics.lloyd import MIN_NORM, Grid, Int64, Sums, Vectors, unit_vectors
from theta_ray.topics.repairs import Clusters, Event, cut_giant, drop_empty, refill_empty
from theta_ray.topics.seeding import SEEDINGS, Seeds
from theta_ray.topics.worker import Facts
from theta_ray.topics.workers import Data, Workers

Doubles = npt.NDArray[np.float64]
# Rounds of repairs in a fit; clusters that are empty after them are left away, and giants stay.
MAX_REPAIRS = 16
# Of the first steps: on fewer rows many clusters fit the sample better than the data.
ROWS_PER_CLUSTER = 80
# Up to so many clusters several sets of seeds are tried: above, one set merged by Ward's method ends lower than the
# best of five k-means++ fits. All go until a step gains little, a few of the best until one gains next to nothing.
FEW_CLUSTERS, RESTARTS, ROUGHLY, NUM_FINALISTS, EXACTLY = 50, 10, 0.003, 2, 1e-7


@dataclass(frozen=True)
class Plan:
    """What is fitted, and when it is good enough."""

    k: int
    spherical: bool = False
    seed: int = 0
    seeding: str = "ward"
    """A key of `seeding.SEEDINGS`."""
    first_rows: int = 20_000
    """Rows of the first steps, or 80 k if these are more."""
    eps: float = 0.002
    """Steps are repeated on K / eps rows at most."""
    tol: float = 0.0001
    """Steps at the largest share end when one gains less than this share of the inertia."""
    polish: float = 0.005
    """Passes over all rows, where there are more than K / eps, end when one gains less than this."""
    max_steps: int = 100
    """Steps on samples and passes over all rows together."""
    max_share: float = 1.0
    """A cluster with more than this share of the rows is cut in two."""
    restarts: int | None = None
    """Sets of seeds that are tried. None: 10 for at most 50 clusters, else 1."""

    @property
    def num_restarts(self) -> int:
        """Sets of seeds that are tried."""
        if self.restarts is not None:
            return max(1, self.restarts)
        return RESTARTS if 1 < self.k <= FEW_CLUSTERS else 1


@dataclass(frozen=True)
class Step:
    """One line of the trace."""

    share: float
    """Of the rows of each file."""
    num_rows: int
    inertia: float
    """Mean over these rows, copies counted, of the squared distance before centroids moved; spherical: 2 - 2 cos."""
    moved: float | None
    """The share of rows with another label than in the step before, of those whose label was known."""
    shift: float
    """Root of the mean squared way of the centroids."""
    gain: float
    """What moving them takes off the inertia of these rows at least, as a share of it."""
    seconds: float
    events: tuple[Event, ...] = ()
    """Repairs: `event` (empty, giant, dropped), `cluster`, and where its new centroid comes from."""


@dataclass
class Fit:
    """Centroids and how they came about."""

    centroids: Vectors
    """[K, D]; fewer than asked for where there are fewer different rows. Unit vectors when spherical."""
    weight: Int64
    """[K] rows of each cluster in the last step, copies counted."""
    facts: Facts
    seeding: dict[str, Any]
    """How the first centroids were chosen: method, seed, share of each file's rows, counts, seconds."""
    trace: list[Step] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Everything but the arrays, for a manifest."""
        return {"facts": asdict(self.facts), "seeding": self.seeding, "trace": [asdict(step) for step in self.trace]}


def fit(workers: Workers, plan: Plan, first: Vectors | None = None) -> Fit:
    """Centroids of all rows of some workers.

    Args:
        workers: what holds the rows.
        plan: what is fitted.
        first: [K, D] centroids to start from, such as yesterday's; without them `plan.seeding` chooses.

    Raises:
        InputError: there is no row, or `first` is not [plan.k, D].
    """
    data = Data.of(workers)
    if not data.facts.num_rows:
        raise InputError("no row can be clustered: all are zero, damaged or missing; look at the embeddings")
    if first is not None and first.shape != (plan.k, data.facts.dim):
        raise InputError(f"first centroids are {first.shape}, not {(plan.k, data.facts.dim)}; fit without them")
    if first is not None:
        return _Course(data, plan, Seeds(first.astype(np.float32), {"method": "warm", "seconds": 0.0})).run()
    if plan.num_restarts == 1:
        return _Course(data, plan, _seeds(data, plan, plan.seed)).run()
    return _best_course(data, plan).run()


def _seeds(data: Data, plan: Plan, seed: int) -> Seeds:
    started = time.perf_counter()
    seeds = SEEDINGS[plan.seeding](data, plan.k, seed, spherical=plan.spherical)
    seeds.record["seconds"] = round(time.perf_counter() - started, 3)
    return seeds


def _best_course(data: Data, plan: Plan) -> _Course:
    """The course whose first share has the least inertia, of as many as the plan says."""
    courses = []
    for seed in range(plan.seed, plan.seed + plan.num_restarts):
        course = _Course(data, plan, _seeds(data, plan, seed))
        course.settle(ROUGHLY)
        courses.append(course)
    finalists = sorted(courses, key=lambda course: course.inertia)[:NUM_FINALISTS]  # the earlier seed of equal ones
    for course in finalists:
        course.settle(EXACTLY)
    best = min(finalists, key=lambda course: course.inertia)
    best.fit.seeding["tried"] = [
        {"seed": course.fit.seeding.get("seed"), "steps": len(course.fit.trace), "inertia": course.inertia}
        for course in courses
    ]
    return best


class _Course:
    """A fit under way."""

    def __init__(self, data: Data, plan: Plan, seeds: Seeds) -> None:
        missing = plan.k - len(seeds.centroids)
        # copies of a centroid get no rows and are repaired as any empty cluster is
        centroids = np.concatenate([seeds.centroids, seeds.centroids[:1].repeat(missing, axis=0)])
        self.data, self.plan, self.repairs = data, plan, 0
        self.fit = Fit(centroids, np.zeros(plan.k, np.int64), data.facts, seeds.record)
        self.share: float | None = self._shares(max(plan.first_rows, ROWS_PER_CLUSTER * plan.k))

    def _shares(self, first_rows: int) -> float:
        """The first share, once the largest below a whole pass is known."""
        # with few clusters the first share is worth all its steps
        at_least = first_rows if self.plan.num_restarts > 1 else 0
        self.largest = self.data.share(max(self.plan.k / self.plan.eps, at_least))
        if self.largest > 0.5:  # a pass over all rows costs less than another step and then the pass
            self.largest = 1.0
        return min(self.largest, self.data.share(first_rows))

    @property
    def inertia(self) -> float:
        """Of the last step."""
        return self.fit.trace[-1].inertia

    def settle(self, tol: float) -> None:
        """Steps on this share of the rows until one gains less than `tol` of the inertia."""
        share, trace = self.share, self.fit.trace
        assert share is not None, "it has just begun"
        # the other half of the steps is for more rows
        while len(trace) < self.plan.max_steps // 2 and not (trace and trace[-1].gain < tol and not trace[-1].events):
            self._step(share)

    def run(self) -> Fit:
        """Steps until one gains little."""
        while self.share is not None:
            self.share = self._next_share(*self._step(self.share))
        return self.fit

    def _step(self, share: float) -> tuple[Step, bool]:
        """One step, and whether centroids moved less than this share of the rows lets them be known."""
        started, before, grid = time.perf_counter(), self.fit.centroids, self.data.grid
        sums = self.data.step(before, share)
        after, pull = moved_centroids(before, sums, grid, spherical=self.plan.spherical)
        way = np.square(after.astype(np.float64) - before).sum(axis=1)
        clusters = Clusters(before, after, sums.weight, sums.inertias(grid))
        used_up, sse = sample_is_used_up(clusters, way), float(clusters.sse.sum())
        events = self._repair(share, clusters)
        step = Step(
            share=share,
            num_rows=sums.num_rows,
            inertia=sse / float(sums.weight.sum()),
            moved=sums.num_moved / sums.num_compared if sums.num_compared else None,
            shift=float(np.sqrt(way.mean())),
            gain=float((pull * way).sum()) / max(sse, np.finfo(float).tiny),
            events=tuple(events),
            seconds=round(time.perf_counter() - started, 4),
        )
        self.fit.centroids, self.fit.weight = clusters.after, clusters.weight
        self.fit.trace.append(step)
        return step, used_up

    def _repair(self, share: float, clusters: Clusters) -> list[Event]:
        last = len(self.fit.trace) + 1 >= self.plan.max_steps  # nothing would be assigned to a new centroid
        events: list[Event] = []
        if self.repairs < MAX_REPAIRS and not last:
            events = refill_empty(self.data, share, clusters) + cut_giant(
                self.data, share, clusters, self.plan.max_share
            )
            self.repairs += bool(events)
        if not events and share == 1:
            events = drop_empty(clusters)
        if self.plan.spherical and events:
            clusters.after = unit_vectors(clusters.after)
        return events

    def _next_share(self, step: Step, used_up: bool) -> float | None:
        if len(self.fit.trace) >= self.plan.max_steps:
            return None
        if step.events:
            return step.share
        little = step.gain < self.plan.tol
        if step.share < self.largest:
            return min(self.largest, 2 * step.share) if used_up or little else step.share
        if step.share < 1:
            return 1.0 if little else step.share
        enough = self.plan.tol if self.largest == 1 or self.plan.num_restarts > 1 else self.plan.polish
        return None if step.gain < enough else 1.0


def moved_centroids(before: Vectors, sums: Sums, grid: Grid, *, spherical: bool) -> tuple[Vectors, Doubles]:
    """[K, D] centroids in the middle of their rows, and [K] what a squared way of each takes off the inertia."""
    means = sums.means(grid)
    pull = sums.weight.astype(np.float64)
    if spherical:
        lengths = np.linalg.norm(means, axis=1)
        pull *= lengths
        means /= np.where(lengths < MIN_NORM, 1, lengths)[:, None]
    stays = pull < MIN_NORM
    means[stays] = before[stays]
    return means.astype(np.float32), pull


def sample_is_used_up(clusters: Clusters, way: Doubles) -> bool:
    """Whether half of the centroids moved less than their standard errors.

    Args:
        clusters: after a step.
        way: [K] squared ways of the centroids.
    """
    known = clusters.weight > 1
    weight, way = clusters.weight[known].astype(np.float64), way[known]
    squared_error = clusters.sse[known] / (weight * (weight - 1))
    return bool((squared_error >= way).sum() * 2 >= known.sum())
