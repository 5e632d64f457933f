"""The `cluster` section of a recipe: everything that decides centroids and assignments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from theta_ray.strict import Strict

Metric = Literal["cosine", "euclidean"]
Mode = Literal["assign", "auto", "fit", "warm"]
Seeding = Literal["kmeans++", "kmeans||", "random", "ward"]


class DriftLimits(Strict):
    """What a day's rows may differ by from those that the centroids were fitted on (topics/drift.py)."""

    outside_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Rows beyond the radius of their cluster, which held 99 % of the rows of the fit."""
    share_shift: Annotated[float, Field(gt=0)] = 0.25
    """Population stability index of the clusters' shares, over what chance alone gives."""
    centroid_shift: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Share of the inertia that moving each centroid to its rows would save, over what chance alone gives."""


class Cluster(Strict):
    """Embeddings to centroids, and a cluster for each document (jobs/cluster.py)."""

    num_clusters: Annotated[int, Field(ge=1)]
    """Clusters, and so topics; jobs/choose_k.py shows what speaks for which number."""
    metric: Metric = "cosine"
    """`cosine`: unit vectors and unit centroids (spherical k-means). `euclidean`: vectors as they are stored."""
    mode: Mode = "auto"
    """`fit` starts anew, `warm` from the newest earlier centroids, `assign` takes those as they are. `auto`: `assign`
    while the day is like the one of the fit (`drift`), else what `on_drift` says; `fit` where there is none before."""
    on_drift: Literal["fit", "warm"] = "warm"
    """`auto`, on a day that is unlike the one of the fit: anew, or from the newest earlier centroids."""
    drift: DriftLimits = DriftLimits()
    seeding: Seeding = "ward"
    """`ward`: several times as many seeds as clusters, which Ward's criterion merges."""
    restarts: Annotated[int, Field(ge=1, le=100)] | None = None
    """Sets of seeds that are tried on a sample, of which the best goes on. Absent: 10 up to 50 clusters, above 1."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.002
    """Share of the inertia that the fit may be above its optimum for having seen a sample only."""
    max_steps: Annotated[int, Field(ge=1)] = 100
    """Over growing samples and over all rows together."""
    max_cluster_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """A cluster with a larger share of the rows is cut in two. Absent: any size."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Cluster:
        if self.max_cluster_share is not None and self.max_cluster_share * self.num_clusters < 1:
            raise ValueError(
                f"max_cluster_share {self.max_cluster_share:g}: {self.num_clusters} clusters cannot hold all rows; "
                f"set it above {1 / self.num_clusters:.3g}"
            )
        return self
