"""What all jobs share: options, logging, exit codes, Ray, and tasks over shards.

A job is `main(stage)`; a stage is a module with `plan(config, day)`, which gives a plan, and
`run(config, day)`, which gives a run card. Ray is imported inside functions, so that a wrong key
in a recipe is reported before Ray is even loaded.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, NoReturn, Protocol, TypeVar

from theta_ray.config import Config, Resources
from theta_ray.errors import BUG_EXIT_CODE, ConfigError, InputError, ThetaError, WorkerLostError
from theta_ray.recipe_files import load_config
from theta_ray.runcard import Plan

logger = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 30.0
# A thread that spins at a barrier on a shared or CPU-limited machine costs 5 to 8 times the time.
WORKER_ENV = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
Item = TypeVar("Item")
Result = TypeVar("Result")


class Shown(Protocol):
    """What a stage gives back: a page for people and a line for scripts."""

    def page(self) -> str:
        """The page."""

    def json_line(self) -> str:
        """The line."""


class Stage(Protocol):
    """What a job needs of a stage module."""

    def plan(self, config: Config, day: str) -> Plan:
        """What would run, without starting anything."""

    def run(self, config: Config, day: str) -> Shown:
        """Read tables, commit tables, tell how it went."""


def build_parser() -> argparse.ArgumentParser:
    """The options of every job; there is never another."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--config", required=True, metavar="FILE", help="recipe: what to compute")
    parser.add_argument("--resources", metavar="FILE", help="where to compute it; default: this machine")
    parser.add_argument("--root", metavar="URI", help="absolute folder or URI of all tables; default: ./results")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="day of the input; default: today (UTC)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a recipe value")
    parser.add_argument("--plan", action="store_true", help="show what would run and stop")
    return parser


def main(stage: Stage, argv: Sequence[str] | None = None) -> None:
    """Run one job and leave the process with its exit code (errors.py)."""
    sys.exit(_run_job(stage, argv))


def _run_job(stage: Stage, argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for noisy in ("httpx", "huggingface_hub", "ray.data", "transformers"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        day = parse_day(options.date)
        config = load_config(
            options.config,
            resources_path=options.resources,
            root=resolve_root(options.root),
            overrides=tuple(options.set),
        )
        if options.plan:
            sys.stdout.write(stage.plan(config, day).page())
            return 0
        card = stage.run(config, day)
    except ThetaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command goes on from the shards that are finished\n")
        return 130
    except Exception:  # noqa: BLE001  the one boundary: whatever arrives here is a bug and shown whole
        traceback.print_exc()
        return BUG_EXIT_CODE
    sys.stderr.write(card.page())
    if not sys.stdout.isatty():
        sys.stdout.write(card.json_line())
    return 0


def parse_day(text: str | None) -> str:
    """`--date` as YYYY-MM-DD; today in UTC when absent."""
    if text is None:
        return datetime.now(UTC).date().isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise ConfigError(f"--date {text}: not a day; write it like 2026-01-31") from error


def resolve_root(text: str | None) -> str:
    """`--root` checked: absolute or a URI. A submitted job runs in a temporary folder, so it must name one."""
    submitted = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
    if text is None:
        if submitted:
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


def map_tasks(
    function: Callable[[Item], Result], items: Sequence[Item], resources: Resources, progress: Progress
) -> Iterator[Result]:
    """`function` over items as Ray tasks (or in this process), results as they finish.

    Functions must be safe to repeat: a lost worker's item runs again.
    """
    if resources.executor == "local":
        for item in items:
            progress.waiting_for = "this process"
            yield function(item)
        return
    import ray

    remote = ray.remote(max_retries=resources.max_retries, num_cpus=1)(function)
    window = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    todo = list(reversed(items))
    running: list[Any] = []
    while todo or running:
        while todo and len(running) < window:
            running.append(remote.remote(todo.pop()))
        progress.waiting_for = f"{len(running)} tasks"
        done, running = ray.wait(running, timeout=HEARTBEAT_SECONDS)
        for reference in done:
            yield result_of(reference)


def result_of(reference: Any) -> Any:
    """`ray.get`, with what the worker raised instead of Ray's wrapping of it."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise_cause(error)


def raise_cause(error: BaseException) -> NoReturn:
    """Raise what lies at the bottom of an error of Ray: our own error, a lost worker, or itself."""
    import ray

    lost = (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError)
    cause: BaseException | None = error
    while cause is not None:
        # Ray's wrapper is of the cause's class too, but its text is a traceback
        if isinstance(cause, ThetaError) and not isinstance(cause, ray.exceptions.RayTaskError):
            raise type(cause)(str(cause).splitlines()[0]) from None  # Ray adds lines of advice to the text
        if isinstance(cause, lost):
            raise WorkerLostError(
                f"a worker was lost too often: {str(cause).splitlines()[0]}; rerun to go on"
            ) from error
        cause = getattr(cause, "cause", None) or cause.__cause__
    raise error


class Progress:
    """Done and total of a stage, told to a person as a bar and to a log every 30 seconds."""

    def __init__(self, name: str, total: int, unit: str = "shards") -> None:
        self.name, self.total, self.unit = name, total, unit
        self.waiting_for = "the first worker"
        self.done, self.num_rows = 0, 0
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Progress:
        from tqdm import tqdm

        self._bar = tqdm(total=self.total, desc=self.name, unit=f" {self.unit}", disable=not sys.stderr.isatty())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._bar.close()

    def advance(self, num_rows: int) -> None:
        """One more unit is finished; it had `num_rows` rows."""
        self.done += 1
        self.num_rows += num_rows
        self._bar.update(1)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            seconds = time.monotonic() - self._started
            message = "%s: %d of %d %s, %d rows, %.0f rows/s, waiting for %s"
            values = (
                self.done,
                self.total,
                self.unit,
                self.num_rows,
                self.num_rows / seconds,
                self.waiting_for,
            )
            logger.info(message, self.name, *values)
