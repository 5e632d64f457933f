"""What a run of the embed stage did, next to what was finished before it: the sum of its receipts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from theta_ray.encoder.devices import Peak
from theta_ray.encoder.rates import Made
from theta_ray.encoder.timeline import Call, ramp_seconds, stall_seconds
from theta_ray.runcard import Phases
from theta_ray.store import Record


@dataclass
class Work:
    """Grows by one receipt of `ShardEmbedder` after the other."""

    phases: Phases = field(default_factory=Phases)
    worker_seconds: dict[str, float] = field(default_factory=dict)
    num_shards: int = 0
    num_made: int = 0
    """With the model."""
    num_carried: int = 0
    """Copied from the night before."""
    num_assembled: int = 0
    """Made of vectors that earlier nights have stored."""
    num_taken_texts: int = 0
    """Whose vectors earlier nights have stored; once in each shard that this run has made or assembled."""
    earlier: str = ""
    """What was found of earlier nights; empty where there is none."""
    made: Made = field(default_factory=Made)
    peaks: list[Peak] = field(default_factory=list)
    """Of the device of each shard that was made."""
    began: float = 0.0
    """Seconds of the epoch: the first actor was asked for."""
    calls_at_once: int = 1
    calls: list[Call] = field(default_factory=list)
    kernels: set[str] = field(default_factory=set)

    def add(self, receipt: dict[str, Any]) -> Record:
        """Count one receipt; its record."""
        record = Record(**receipt["record"])
        if not receipt["made"]:
            return record
        self.num_made += 1
        self.kernels.add(json.dumps(receipt["kernels"], sort_keys=True))
        self.calls.append(Call(**receipt["call"]))
        self.take_over(record)
        self.made.num_rows += record.num_rows
        self.made.num_texts += record.details["num_texts"]
        self.made.num_tokens += record.details["num_tokens"]
        self.made.flops += record.details["model_flops"]
        self.made.bytes_read += receipt["bytes_read"]
        self.made.bytes_written += record.num_bytes
        self.peaks.append(Peak(**receipt["peak"]))
        for name, seconds in receipt["seconds"].items():
            self.worker_seconds[name] = self.worker_seconds.get(name, 0.0) + seconds
        return record

    def take_over(self, record: Record) -> None:
        """Count what a shard of this run has of earlier nights."""
        self.num_taken_texts += record.details.get("num_taken_texts", 0)

    def distinct_kernels(self) -> list[dict[str, Any]]:
        """The devices, precisions and ways of attending that made shards, each once."""
        return [json.loads(kernels) for kernels in sorted(self.kernels)]

    def stall_seconds(self) -> dict[str, float]:
        """Seconds that devices did not compute, by cause, summed over all actors."""
        return stall_seconds(self.calls, self.calls_at_once)

    def num_actors(self) -> int:
        """The most actors that were alive at once; one that was restarted is one."""
        spans: dict[str, tuple[float, float]] = {}
        for call in self.calls:
            first, last = spans.get(call.actor, (call.loading, call.ended))
            spans[call.actor] = min(first, call.loading), max(last, call.ended)
        starts = [first for first, _ in spans.values()]
        return max((sum(first <= start < last for first, last in spans.values()) for start in starts), default=0)

    def ramp_seconds(self) -> float:
        """Seconds until the last actor computed."""
        return ramp_seconds(self.calls, self.began)
