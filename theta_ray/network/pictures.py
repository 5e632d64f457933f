"""The plots of a run: Lorenz curves, hours of the day, and the degrees of each graph with the tails fitted to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import log_ndtr, zeta

from theta_ray.errors import StageError
from theta_ray.network.corpus_statistics import CORPUS
from theta_ray.network.job import NetworkJob
from theta_ray.network.plots import Curve, degree_plot, hours_plot, lorenz_plot
from theta_ray.store import create_same

LORENZ = ("posts", "comments", "score")
CCDF = "degree_ccdf"
Known = dict[tuple[str, str], float | None]


def draw(job: NetworkJob, digest: str, curves: pa.Table, statistics: pa.Table) -> list[str]:
    """Write the plots of a run; their names.

    Args:
        job: of the run.
        digest: a part of their names.
        curves: rows of table `network_curves`.
        statistics: rows of table `network_stats`.
    """
    known: Known = {(row["graph"], row["statistic"]): row["value"] for row in statistics.to_pylist()}
    found = dict[tuple[str, str], Curve]()
    lists = curves.group_by(["graph", "curve"], use_threads=False).aggregate([("x", "list"), ("y", "list")])
    for row in lists.to_pylist():
        found[row["graph"], row["curve"]] = Curve(np.array(row["x_list"]), np.array(row["y_list"]))
    pictures = {"lorenz": _lorenz(found, known), "hours": _hours(found, known)}
    for (graph, name), curve in found.items():
        if name.endswith(CCDF):
            of = name.removesuffix("_ccdf")
            title = f"{of.replace('_', '-')}s of {graph}"
            pictures[f"{of}-{graph}"] = degree_plot(curve, fits(np.asarray(curve.x), of, graph, known), title)
    files = []
    for name, svg in sorted(pictures.items()):
        files.append(f"{name}-{digest}.svg")
        uri = job.tables["network_curves"].at(files[-1])
        if create_same(uri, svg.encode()) is not None:
            raise StageError(f"{uri}: holds another picture than this run has made; remove it, then rerun")
    return files


def _lorenz(found: dict[tuple[str, str], Curve], known: Known) -> str:
    curves = {name: found[CORPUS, f"{name}_lorenz"] for name in LORENZ if (CORPUS, f"{name}_lorenz") in found}
    ginis = {name: value for name in curves if (value := known.get((CORPUS, f"{name}_gini"))) is not None}
    return lorenz_plot(curves, ginis)


def _hours(found: dict[tuple[str, str], Curve], known: Known) -> str:
    counts = np.asarray(found[CORPUS, "hour"].y).astype(int).tolist()
    return hours_plot(counts, int(known.get((CORPUS, "hour_num_days")) or 0))


def fits(x: NDArray[Any], of: str, graph: str, known: Known) -> dict[str, Curve]:
    """Share of nodes with x or more that the fitted tails give, from where they begin; none where none was fitted.

    Args:
        x: [values] degrees that are there.
        of: kind of degree.
        graph: name of the graph.
        known: statistics.
    """
    values = {
        name: known.get((graph, f"{of}_tail_{name}"))
        for name in ("exponent", "x_min", "size", "lognormal_mu", "lognormal_sigma")
    }
    num_nodes = known.get((graph, "num_nodes"))
    if any(value is None for value in values.values()) or not num_nodes:
        return {}
    exponent, x_min, size, mu, sigma = (float(value or 0) for value in values.values())
    tail = x[x >= x_min]
    share = size / num_nodes
    law = zeta(exponent, tail) / zeta(exponent, x_min)
    # a tail far above mu has a probability below the smallest number, and a part of it still has a share
    above = np.exp(log_ndtr(-(np.log(tail - 0.5) - mu) / sigma) - log_ndtr(-(np.log(x_min - 0.5) - mu) / sigma))
    return {f"power law, exponent {exponent:.2f}": Curve(tail, share * law), "lognormal": Curve(tail, share * above)}
