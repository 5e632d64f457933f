"""Damaged rows: what the recipe wants done with each cause, and how many are too many. Pure.

Rows in = rows out + quarantined + skipped, in each shard and in the whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from theta_ray.config import Corpus, DamagePolicy
from theta_ray.corpus.document import printable
from theta_ray.errors import InputError, StageError, ThetaError
from theta_ray.schemas import DAMAGED_INPUT


def policy_of(corpus: Corpus, reason: str) -> DamagePolicy:
    """What the recipe wants done with a row of this reason; filtered rows go to quarantine."""
    return getattr(corpus.on_damage, reason) if reason in DAMAGED_INPUT else "quarantine"


def failure(reason: str, uri: str, place: int, detail: str) -> ThetaError:
    """The error of a row whose cause has policy `fail`. A row's own content is not in it."""
    hint = f"mend the input, or set corpus.on_damage.{reason} to quarantine or skip"
    where = printable(uri, 2000)
    if reason == "unreadable_file":
        return InputError(f"{where}: not readable as parquet ({printable(detail)}); fetch it again, {hint}")
    return StageError(f"{where}#{place}: {reason} ({DAMAGED_INPUT[reason]}); {hint}")


def total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Sums by name."""
    summed: Counter[str] = Counter()
    for count in counts:
        summed.update(count)
    return dict(summed)


def told(counts: Mapping[str, int]) -> str:
    """Counts by cause as text, the largest first."""
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items(), key=lambda i: (-i[1], i[0])))


def check_balance(where: str, num_rows_in: int, num_rows: int, quarantined: int, skipped: int) -> None:
    """Raise StageError unless rows in = rows out + quarantined + skipped."""
    if num_rows_in != num_rows + quarantined + skipped:
        counts = f"{num_rows} kept, {quarantined} quarantined and {skipped} skipped"
        raise StageError(f"{where}: {num_rows_in} rows in, {counts}; rerun with another --root and report it")


def check_damage(where: str, summaries: list[dict[str, Any]], limit: float) -> None:
    """Raise StageError when a larger share of the rows than `limit` is damaged. Skipped rows do not count."""
    quarantined = total(summary["quarantined"] for summary in summaries)
    damaged = Counter({reason: count for reason, count in quarantined.items() if reason in DAMAGED_INPUT})
    num_rows_in = sum(summary["num_rows_in"] for summary in summaries)
    if damaged.total() <= limit * num_rows_in:
        return
    most = max(damaged, key=lambda reason: (damaged[reason], reason))
    example = min(summary["examples"][most] for summary in summaries if most in summary["examples"])
    # rounded up: with the value that is told, the same input passes
    enough = math.ceil(damaged.total() / num_rows_in * 10_000) / 10_000
    raise StageError(
        f"{where}: {damaged.total()} of {num_rows_in} rows are damaged ({told(damaged)}), more than "
        f"corpus.max_damaged_share {limit:g}; look at {example}, then mend the input or its columns, "
        f"or raise corpus.max_damaged_share to {enough:g}"
    )


def check_vectors(path: str, quarantined: Mapping[str, int], num_rows_in: int, limit: float, example: str) -> None:
    """Raise StageError when a larger share of the rows than `limit` has no usable vector."""
    num_damaged = sum(quarantined.values())
    if num_damaged <= limit * num_rows_in:
        return
    raise StageError(
        f"{path}: {num_damaged} of {num_rows_in} rows have no usable vector ({told(quarantined)}), more than "
        f"embed.max_damaged_share {limit:g}; look at {printable(example)}, then use encoder.precision: float32 "
        "or embed.store_dtype: float32, or another model"
    )
