"""What a run counts, under the names that monitoring knows: kept in this process, and given to Ray where it is up.

Ray puts `ray_` before the names and serves them on each node's metrics port. Pods vanish with their job: what the
driver has counted is in the run card as well, and in the last line of a submitted job's log. What workers count (the
retries of their requests) is with Ray alone.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

logger = logging.getLogger(__name__)
Labels = tuple[tuple[str, str], ...]
# Seconds; shards are made to take 30 to 120.
BOUNDARIES = (1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 1000.0)


@dataclass(frozen=True)
class Metric:
    """What a name means; few values for each label, so never a shard or a document."""

    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str


METRICS = {
    "theta_docs_total": Metric("counter", ("stage", "outcome"), "Documents that a stage has kept, or quarantined."),
    "theta_rejects_total": Metric("counter", ("reason",), "Rows turned away, by reason."),
    "theta_shard_seconds": Metric("histogram", ("stage",), "Seconds that a worker took for a shard, or another task."),
    "theta_retries_total": Metric("counter", ("kind",), "Second tries: of a request (store), of lost workers."),
    "theta_gpu_seconds_total": Metric("counter", (), "Seconds that GPUs were held, summed over them."),
    "theta_last_success_timestamp_seconds": Metric("gauge", ("corpus",), "When a stage of the recipe last committed."),
}
# Of a run card, the first of these is what its stage has kept.
KEPT = ("documents_kept", "embedded", "documents", "pairs", "rows")


class Counts:
    """The values of one process."""

    def __init__(self) -> None:
        self.corpus = ""
        """The recipe's name."""
        self._values: dict[tuple[str, Labels], float] = {}
        self._sums: dict[tuple[str, Labels], list[float]] = {}
        self._lock = threading.Lock()
        self._ray: tuple[str, dict[str, Any]] = ("", {})

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        """Add to a counter."""
        key = _key(name, labels)
        with self._lock:
            self._values[key] = self._values.get(key, 0) + value
        self._tell_ray(name, value, labels)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Put one value into a histogram."""
        key = _key(name, labels)
        with self._lock:
            self._sums.setdefault(key, []).append(value)
        self._tell_ray(name, value, labels)

    def total(self, name: str) -> float:
        """Of a counter, over all labels."""
        with self._lock:
            return sum(value for (known, _), value in self._values.items() if known == name)

    def add_card(self, stage: str, figures: Mapping[str, Any], quarantined: Mapping[str, int]) -> None:
        """Count what a committed stage has kept and turned away, and that it was now."""
        kept = next((figures[name] for name in KEPT if isinstance(figures.get(name), int)), None)
        if kept is not None:
            self.add("theta_docs_total", kept, stage=stage, outcome="kept")
        if quarantined:
            self.add("theta_docs_total", sum(quarantined.values()), stage=stage, outcome="quarantined")
        for reason, count in quarantined.items():
            self.add("theta_rejects_total", count, reason=reason)
        self.succeed()

    def succeed(self) -> None:
        """Note the time of a success, where a job has named its recipe."""
        if self.corpus:
            name, labels = "theta_last_success_timestamp_seconds", {"corpus": self.corpus}
            with self._lock:
                self._values[_key(name, labels)] = now = time.time()
            self._tell_ray(name, now, labels)

    def snapshot(self) -> dict[str, Any]:
        """All values as JSON: `{name: [{label: ..., "value": ...}]}`; of a histogram `count`, `sum` and `max`."""
        with self._lock:
            found = [(key, {"value": value}) for key, value in self._values.items()]
            found += [
                (key, {"count": len(seen), "sum": round(sum(seen), 3), "max": round(max(seen), 3)})
                for key, seen in self._sums.items()
            ]
        told: dict[str, Any] = {}
        for (name, labels), values in sorted(found, key=lambda each: each[0]):
            told.setdefault(name, []).append({**dict(labels), **values})
        return told

    def _tell_ray(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        is_up = getattr(sys.modules.get("ray"), "is_initialized", None)
        if is_up is None or not is_up():
            return
        try:
            metric = self._ray_metric(name)
            record = {"counter": "inc", "gauge": "set", "histogram": "observe"}[METRICS[name].kind]
            if value or METRICS[name].kind != "counter":
                getattr(metric, record)(value, tags=dict(labels))
        except Exception as error:  # noqa: BLE001  a number that monitoring misses must not end a run
            logger.debug("metrics: %s", error)

    def _ray_metric(self, name: str) -> Any:
        """Ray's own object of a name, made anew for each session."""
        import ray
        from ray.util import metrics

        session = ray.get_runtime_context().get_job_id()
        if self._ray[0] != session:
            self._ray = (session, {})
        known = self._ray[1]
        if name not in known:
            metric = METRICS[name]
            more: dict[str, Any] = {"boundaries": list(BOUNDARIES)} if metric.kind == "histogram" else {}
            make = getattr(metrics, metric.kind.capitalize())
            known[name] = make(name, description=metric.meaning, tag_keys=metric.labels, **more)
        return known[name]


def _key(name: str, labels: Mapping[str, str]) -> tuple[str, Labels]:
    assert set(labels) == set(METRICS[name].labels), name
    return name, tuple(sorted(labels.items()))


COUNTS = Counts()
