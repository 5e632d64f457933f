"""What all jobs share: options, logging, exit codes and Ray.

A job is `main(stage)`; a stage is a module with `plan(config, day)`, which gives a plan, and
`run(config, day)`, which gives a run card. Ray is imported inside functions, so that a wrong key
in a recipe is reported before Ray is even loaded.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, NoReturn, Protocol

from theta_ray.config import Config, Resources
from theta_ray.errors import (
    BUG_EXIT_CODE,
    EXIT_CODES,
    INTERRUPTED_EXIT_CODE,
    ConfigError,
    InputError,
    PreemptedError,
    ThetaError,
)
from theta_ray.logs import is_submitted, say, start_logging
from theta_ray.metrics import COUNTS
from theta_ray.recipe_files import load_config
from theta_ray.runcard import Plan

logger = logging.getLogger(__name__)
# A thread that spins at a barrier on a shared or CPU-limited machine costs 5 to 8 times the time.
WORKER_ENV = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}


class Shown(Protocol):
    """What a stage gives back: a page for people and a line for scripts."""

    def page(self) -> str:
        """The page."""

    def json_line(self) -> str:
        """The line."""


class Stage(Protocol):
    """What a job needs of a stage module.

    Where no day is given, `default_day(config)` chooses it if there is one, and `planned_day(config)` that of a plan.
    """

    def plan(self, config: Config, day: str) -> Plan:
        """What would run, without starting anything."""

    def run(self, config: Config, day: str) -> Shown:
        """Read tables, commit tables, tell how it went."""


def build_parser() -> argparse.ArgumentParser:
    """The options of every job; there is never another."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser)
    parser.add_argument("--plan", action="store_true", help="show what would run and stop")
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that say what to compute, where and of which day."""
    parser.add_argument("--config", required=True, metavar="FILE", help="recipe: what to compute")
    parser.add_argument("--resources", metavar="FILE", help="where to compute it; default: this machine")
    parser.add_argument("--root", metavar="URI", help="absolute folder or URI of all tables; default: ./results")
    help_of_date = "day of the input; default: today (UTC), of a refresh the day before"
    parser.add_argument("--date", metavar="YYYY-MM-DD", help=help_of_date)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a recipe value")


class _Preempted(KeyboardInterrupt):
    """SIGTERM in Python's own way of stopping a program, which no library swallows."""


def main(stage: Stage, argv: Sequence[str] | None = None) -> None:
    """Run one job and leave the process with its exit code (errors.py), which is also in the last line of the log."""
    options = build_parser().parse_args(argv)
    leave(getattr(stage, "__name__", "job").rpartition(".")[2], lambda: _plan_or_run(stage, options))


def leave(name: str, action: Callable[[], int]) -> NoReturn:
    """Leave the process with the exit code of an action, and say what it means where that is not plain."""
    with _noticing_preemption():
        code = guarded(name, action)
    if code or is_submitted():
        # `ray job submit` itself only ever gives 0 or 1
        sys.stdout.flush()
        _say_code(name, code)
    sys.exit(code)


def _say_code(name: str, code: int) -> None:
    text = f"exit code {code}: {EXIT_CODES.get(code, 'see the line before')}"
    figures = {"event": "summary", "exit_code": code, "metrics": COUNTS.snapshot()}
    say(name, text, level="ERROR" if code else "INFO", figures=figures)


@contextmanager
def _noticing_preemption() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    _notice_preemption()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _notice_preemption() -> None:
    """Stop in order at SIGTERM. Called again after `ray.init`, which puts its own handler in place."""
    signal.signal(signal.SIGTERM, _preempt)


def _preempt(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # leaving in order takes a moment; once is enough
    raise _Preempted


def guarded(name: str, action: Callable[[], int]) -> int:
    """The exit code of an action; an error is told in one line, a bug with its traceback."""
    start_logging(name)
    try:
        return action()
    except ThetaError as error:
        say(name, str(error))
        return error.exit_code
    except KeyboardInterrupt as stop:
        say(name, "stopped; the same command goes on from the shards that are finished")
        return PreemptedError.exit_code if isinstance(stop, _Preempted) else INTERRUPTED_EXIT_CODE
    except SystemExit:
        # Ray's own handler of SIGTERM, in place while it starts; half started it aborts a process that ends as usual
        say(name, "stopped before any work; run the same command again")
        return leave_at_once(name, PreemptedError.exit_code)
    except Exception:  # noqa: BLE001  the one boundary: whatever arrives here is a bug and shown whole
        say(name, traceback.format_exc().rstrip())
        return BUG_EXIT_CODE


def leave_at_once(name: str, code: int) -> NoReturn:
    """Leave as `leave` does, but wait for no thread and call nothing that is to be called at the end."""
    sys.stdout.flush()
    if code or is_submitted():
        _say_code(name, code)
    sys.stderr.flush()
    os._exit(code)


def _plan_or_run(stage: Stage, options: argparse.Namespace) -> int:
    config, day = read_options(options, getattr(stage, "planned_day" if options.plan else "default_day", today))
    if options.plan:
        sys.stdout.write(stage.plan(config, day).page())
        return 0
    COUNTS.corpus = config.recipe.name
    card = stage.run(config, day)
    COUNTS.succeed()
    if not is_submitted():
        sys.stderr.write(card.page())  # a log has the line
    if not sys.stdout.isatty():
        sys.stdout.write(card.json_line())
    return 0


def today(_: object = None) -> str:
    """The day in UTC, by the clock of this machine."""
    return datetime.now(UTC).date().isoformat()


def read_options(options: argparse.Namespace, default_day: Callable[[Config], str] = today) -> tuple[Config, str]:
    """Configuration and day of a command line; `default_day` is the day where it names none."""
    day = None if options.date is None else parse_day(options.date)
    root, overrides = resolve_root(options.root), tuple(options.set)
    config = load_config(options.config, resources_path=options.resources, root=root, overrides=overrides)
    return config, day or default_day(config)


def parse_day(text: str) -> str:
    """`--date` as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise ConfigError(f"--date {text}: not a day; write it like 2026-01-31") from error


def resolve_root(text: str | None) -> str:
    """`--root` checked: absolute or a URI. A submitted job runs in a temporary folder, so it must name one."""
    if text is None:
        if is_submitted():
            raise ConfigError("--root is missing: a submitted job's own folder is removed; add --root s3://bucket/name")
        return os.path.abspath("results")
    if "://" not in text and not os.path.isabs(text):
        raise ConfigError(f"--root {text}: is relative; write an absolute folder or a URI such as s3://bucket/name")
    return text.rstrip("/") or "/"


@contextmanager
def cluster(resources: Resources) -> Iterator[None]:
    """Ray for the time of a stage: the submitting cluster, the running one, or one of our own.

    `RAY_ADDRESS` (set for submitted jobs) names a cluster to join. Otherwise a cluster of this
    machine is started and ended, under a random token that is not written to the home folder.
    """
    if resources.executor == "local" or ("ray" in sys.modules and sys.modules["ray"].is_initialized()):
        yield
        return
    joined = "RAY_ADDRESS" in os.environ
    if not joined:
        os.environ.update(WORKER_ENV)
        # Ray's C++ part calls every restartable actor an error (ray-project/ray#53727)
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if os.environ["RAY_AUTH_MODE"] == "token" and "RAY_AUTH_TOKEN_PATH" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray  # reads the authentication settings as it is imported

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
    if joined:
        require_answer(os.environ["RAY_ADDRESS"])
        try:
            ray.init(runtime_env={"env_vars": WORKER_ENV}, **quiet)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise InputError(_cluster_hint(error)) from error
    else:
        ray.init(address="local", include_dashboard=False, **quiet)
    if threading.current_thread() is threading.main_thread():
        _notice_preemption()
    try:
        yield
    finally:
        ray.shutdown()


def require_answer(address: str) -> None:
    """Fail in seconds where nobody listens; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return  # "auto" and other forms are for Ray to read
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"RAY_ADDRESS {address}: {reason}; start the cluster, or unset RAY_ADDRESS") from error


def _cluster_hint(error: Exception) -> str:
    text = str(error)
    cause = text.splitlines()[0] if text else type(error).__name__
    hint = "check the address"
    if "auth" in text.lower() or "token" in text.lower():
        hint = "export RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or RAY_AUTH_MODE=disabled, as on the cluster"
    return f"RAY_ADDRESS {os.environ['RAY_ADDRESS']}: {cause}; {hint}"
