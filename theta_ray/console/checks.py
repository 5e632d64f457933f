"""Checks that ask before a job does: small functions side by side, each with a time limit, each one line at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal

from theta_ray.errors import ConfigError, InputError, ThetaError
from theta_ray.terminal import escaped, masked_secrets

Outcome = Literal["ok", "warn", "fail"]
# With the imports before it, under 20 seconds whatever does not answer.
SECONDS = 15.0


@dataclass(frozen=True)
class Finding:
    """What one check has found."""

    outcome: Outcome
    what: str
    value: str
    advice: str = ""
    """What to do about it; empty where all is well."""
    exit_code: int = 0

    def line(self) -> str:
        """As a person reads it."""
        told = f"{self.outcome:<5} {self.what:<22} {self.value}"
        return masked_secrets(escaped(f"{told}; {self.advice}" if self.advice else told))

    def to_json(self) -> dict[str, str]:
        """As a script reads it."""
        values = {"outcome": self.outcome, "what": self.what, "value": self.value, "advice": self.advice}
        return {name: masked_secrets(escaped(value)) for name, value in values.items()}


def ok(what: str, value: str) -> Finding:
    """All is well."""
    return Finding("ok", what, value)


def warn(what: str, value: str, advice: str) -> Finding:
    """A job would run, and something may be amiss."""
    return Finding("warn", what, value, advice)


def fail(what: str, value: str, advice: str, exit_code: int = InputError.exit_code) -> Finding:
    """A job would stop here."""
    return Finding("fail", what, value, advice, exit_code)


Check = Callable[[], Sequence[Finding]]


def run_checks(
    checks: Mapping[str, Check], *, optional: Collection[str] = (), seconds: float = SECONDS
) -> tuple[list[Finding], bool]:
    """All findings in the order of the checks, and whether all were done in time.

    A check that was not is a failure itself, an optional one a warning. Its thread is left behind.
    """
    done: SimpleQueue[tuple[str, Sequence[Finding]]] = SimpleQueue()
    threads = []
    for name, check in checks.items():
        threads.append(threading.Thread(target=lambda n=name, c=check: done.put((n, _guarded(n, c))), daemon=True))
        threads[-1].start()
    found: dict[str, Sequence[Finding]] = {}
    until = time.monotonic() + seconds
    while len(found) < len(checks):
        try:
            name, findings = done.get(timeout=max(0.01, until - time.monotonic()))
        except Empty:
            break
        found[name] = findings
    for name in checks.keys() - found.keys():
        advice = "see whether the address is right and reachable from here"
        late = fail(name, f"no answer within {seconds:g} s", advice)
        found[name] = (warn(name, f"not known within {seconds:g} s", "see --plan") if name in optional else late,)
    return [each for name in checks for each in found[name]], not any(thread.is_alive() for thread in threads)


def _guarded(name: str, check: Check) -> Sequence[Finding]:
    try:
        return check()
    except ThetaError as error:
        said, _, advice = str(error).partition("; ")
        lines = said.splitlines()
        code = ConfigError.exit_code if isinstance(error, ConfigError) else error.exit_code
        return (fail(name, lines[0], advice.splitlines()[0] if advice else "see the line", code),)
    except Exception as error:  # noqa: BLE001  one check that breaks must not take the others with it
        said = (str(error).splitlines() or [""])[0]
        return (fail(name, f"{type(error).__name__}: {said}", "report this as a bug of the check", 70),)


def exit_code_of(findings: Sequence[Finding]) -> int:
    """0 where no check failed; else 2 where the recipe is wrong, or the first code of another failure."""
    codes = [each.exit_code for each in findings if each.outcome == "fail"]
    return ConfigError.exit_code if ConfigError.exit_code in codes else next(iter(codes), 0)
