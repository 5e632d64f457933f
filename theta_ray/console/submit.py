"""`theta-ray submit`: check, send, follow a job on a cluster, and leave with the exit code of its driver."""

from __future__ import annotations

import argparse
import secrets
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from theta_ray.console.job_client import (
    START_SECONDS,
    Cluster,
    check_package,
    exit_code_of,
    find_token,
    follow,
    patiently,
)
from theta_ray.errors import INTERRUPTED_EXIT_CODE, ConfigError
from theta_ray.runtime import build_parser, resolve_root
from theta_ray.terminal import masked_secrets


def submit(options: argparse.Namespace, job_options: Sequence[str]) -> int:
    """Send a job and follow it; its exit code.

    Args:
        options: `job`, `address`, `working_dir`, `insecure`, `skip_doctor`.
        job_options: of the job, as after `python jobs/X.py`.

    Raises:
        ConfigError: the job would stop at its command line, or its package is too large.
        InputError: the cluster refuses.
        TransientError: it does not answer.
    """
    folder, address = Path(options.working_dir).absolute(), options.address.rstrip("/")
    entrypoint = make_entrypoint(folder, options.job, job_options, doctor=not options.skip_doctor)
    cluster = Cluster(address, find_token())
    cluster.check(insecure=options.insecure)
    check_package(folder)
    client = cluster.connect()
    name = f"{Path(options.job).stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    _send(client, cluster.address, name, {"entrypoint": entrypoint, "runtime_env": {"working_dir": str(folder)}})
    sys.stderr.write(f"submitted {name} to {address}\n")
    try:
        details = follow(client, address, name)
    except KeyboardInterrupt:
        return _detach(client, address, name)
    code = exit_code_of(details)
    if code and details.driver_exit_code is None:
        sys.stderr.write(f"{name}: {masked_secrets(str(details.message).splitlines()[0])}\n")
    return code


def make_entrypoint(folder: Path, job: str, job_options: Sequence[str], *, doctor: bool) -> str:
    """The command of the driver: the checks first, then the job, both with the same options.

    Raises:
        ConfigError: no such job, a recipe that is not sent along, a root that only this machine has, or a secret.
    """
    if Path(job).is_absolute() or not (folder / job).is_file():
        raise ConfigError(f"{job}: is not in {folder}; name a job such as jobs/embed.py, or another --working-dir")
    try:
        given = build_parser().parse_args(job_options)
    except SystemExit as left:  # argparse has said what is wrong
        raise ConfigError(f"{job}: its options, after --, are those of the usage above; correct them") from left
    if given.root is None:
        raise ConfigError("--root is missing: a submitted job's own folder is removed; add --root s3://bucket/name")
    resolve_root(given.root)
    for option, path in (("--config", given.config), ("--resources", given.resources)):
        # an absolute path is the head node's own
        if path is not None and not Path(path).is_absolute() and not (folder / path).is_file():
            raise ConfigError(f"{option} {path}: is not in {folder}, which is all that the cluster gets; put it there")
    words = ["python", job, *job_options]
    if masked_secrets(shlex.join(words)) != shlex.join(words):
        raise ConfigError("an option holds credentials, which a cluster shows; put them in the nodes' environment")
    if not doctor or given.plan:
        return shlex.join(words)
    return f"{shlex.join(['python', '-m', 'theta_ray.console', 'doctor', *job_options])} && {shlex.join(words)}"


def _send(client: Any, address: str, name: str, job: dict[str, Any]) -> None:
    """Submit under a name of our own: where a reply was lost, the next try finds the job there."""
    tries = 0

    def send() -> None:
        nonlocal tries
        tries += 1
        try:
            client.submit_job(submission_id=name, **job)
        except RuntimeError as error:
            if tries == 1 or "already exists" not in str(error):
                raise

    patiently(send, address, START_SECONDS)


def _detach(client: Any, address: str, name: str) -> int:
    """Leave a job that goes on, unless a person at a terminal says to stop it."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write(f"\nstop {name} as well? [y/N] ")
        sys.stderr.flush()
        try:
            answer = sys.stdin.readline()
        except KeyboardInterrupt:
            answer = ""
        if answer.strip().lower() in ("y", "yes"):
            patiently(lambda: client.stop_job(name), address, START_SECONDS)
            sys.stderr.write(f"{name} is told to stop; the same command goes on from the shards that are finished\n")
            return INTERRUPTED_EXIT_CODE
    sys.stderr.write(
        f"{name} goes on\n  ray job logs --address {address} --follow {name}\n"
        f"  ray job stop --address {address} {name}\n"
    )
    return INTERRUPTED_EXIT_CODE
