"""What a run did a second, beside what its devices can, and what that cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from theta_ray.encoder.devices import TERA, Peak

SECONDS_PER_HOUR = 3600


@dataclass
class Made:
    """Sums over the shards that a run made itself, those that it found finished left out."""

    num_rows: int = 0
    num_texts: int = 0
    """That the model read."""
    num_tokens: int = 0
    """Without padding."""
    flops: int = 0
    """Of the model, without padding."""
    bytes_read: int = 0
    """Of the documents' texts, in UTF-8."""
    bytes_written: int = 0
    """Of the shards, compressed."""


def rates(made: Made, seconds: float, num_devices: float, peaks: Iterable[Peak]) -> dict[str, Any]:
    """Figures of the embedding phase for a run card; None where the run made nothing.

    Args:
        made: sums over the run's own shards.
        seconds: wall seconds of the phase, from the first shard asked for to the last receipt, ramp included.
        num_devices: GPUs that the actors held, or actors on CPUs.
        peaks: what each shard's device can do at best; the median is told.
    """
    known = list(peaks)
    busy = seconds > 0 and num_devices > 0 and made.num_rows > 0
    peak = median(peak.flops for peak in known) if known else 0.0
    sources = ", ".join(sorted({peak.source for peak in known}))
    device_seconds = seconds * num_devices
    return {
        "tokens_per_second": round(made.num_tokens / seconds) if busy else None,
        "tokens_per_device_second": round(made.num_tokens / device_seconds) if busy else None,
        "documents_per_second": round(made.num_rows / seconds, 1) if busy else None,
        "model_tflop": _digits(made.flops / TERA) if busy else None,
        "mfu": _digits(made.flops / (device_seconds * peak)) if busy and peak else None,
        "peak_of_a_device": f"{peak / TERA:,.3g} TFLOP/s ({sources})" if busy and peak else None,
        "bytes_of_text_read": made.bytes_read if busy else None,
        "bytes_written": made.bytes_written if busy else None,
    }


def cost_per_million(made: Made, seconds: float, num_devices: float, price_per_hour: float) -> float | None:
    """Cost of a million documents at the pace of this run, in the price's currency; None where it made none."""
    if not made.num_rows:
        return None
    return _digits(seconds * num_devices / SECONDS_PER_HOUR * price_per_hour / made.num_rows * 1e6)


def _digits(value: float) -> float:
    """The value to four digits."""
    return float(f"{value:.4g}")
