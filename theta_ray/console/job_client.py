"""Ray's jobs API for one submission: what is sent, retried, followed, and how it ended. Imports Ray in functions.

Found with Ray 2.60: right after a cluster's start the API answers 500 ("No available agent"); its own command gives
only 0 or 1, while the driver's code is in the job's details; a tail that is opened again begins at the first line.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import urlsplit

from theta_ray.errors import ConfigError, InputError, PreemptedError, TransientError
from theta_ray.terminal import escaped_lines

Result = TypeVar("Result")
MAX_PACKAGE_BYTES = 100 * 2**20
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 5.0
# For a cluster that has just started; and for one that went away while a job ran.
START_SECONDS, LOST_SECONDS = 60.0, 300.0
CONNECT_SECONDS = 10.0
PASSING = ("no available agent", "status code 500", "status code 502", "status code 503", "failed to connect")
PACKAGING = ("_private.runtime_env.packaging", "_private.runtime_env.working_dir")
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
# What a shell gives for a driver that a signal has ended, and Python for a process.
OF_SIGNALS = {143: PreemptedError.exit_code, -15: PreemptedError.exit_code}
OF_SIGNALS |= {137: TransientError.exit_code, -9: TransientError.exit_code}


@dataclass(frozen=True)
class Cluster:
    """Where jobs are sent, and the secret that goes with them."""

    address: str
    token: str | None

    def check(self, *, insecure: bool) -> None:
        """Refuse an address that is none, or that would take jobs of anyone who reaches it.

        Raises:
            ConfigError: what to change.
        """
        place = urlsplit(self.address)
        if place.scheme not in ("http", "https") or not place.hostname or place.username or place.query:
            raise ConfigError(f"--address {place.hostname or self.address}: write it like http://HEAD:8265")
        if self.token is None and place.scheme == "http" and not _is_loopback(place.hostname) and not insecure:
            raise ConfigError(
                f"--address {self.address}: no token is set, and whoever reaches such a cluster runs code on it; "
                "export RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or say --insecure on a network of its own"
            )

    def connect(self) -> Any:
        """A client, once the cluster answers.

        Raises:
            InputError: the token is refused, or no Ray answers there.
            TransientError: nobody answers.
        """
        from ray.job_submission import JobSubmissionClient

        _quieten()
        for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
            os.environ.pop(name, None)  # Ray takes them over the address that it is given
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}

        def connected() -> Any:
            place = urlsplit(self.address)
            port = place.port or (443 if place.scheme == "https" else 80)
            # the client itself knows no time limit
            socket.create_connection((place.hostname or "", port), timeout=CONNECT_SECONDS).close()
            return JobSubmissionClient(self.address, headers=headers)

        return patiently(connected, self.address, START_SECONDS)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _quieten() -> None:
    """Ray's own lines about uploads and connections, whose levels it sets as it is imported."""
    for name in ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk", *PACKAGING):
        logging.getLogger(f"ray.{name}").setLevel(logging.ERROR)


def find_token() -> str | None:
    """The token of this side, by Ray's own variables and file; None where authentication is disabled or there is none.

    Raises:
        ConfigError: a file that is named cannot be read.
    """
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "disabled":
        return None
    if os.environ.get("RAY_AUTH_TOKEN"):
        return os.environ["RAY_AUTH_TOKEN"].strip()
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError as error:
        if named:
            raise ConfigError(f"RAY_AUTH_TOKEN_PATH {named}: {error.strerror}; name a file with the token") from error
        return None


def patiently(call: Callable[[], Result], address: str, seconds: float) -> Result:
    """The result of a call, tried again with growing waits while a cluster starts or is away.

    Raises:
        InputError: an answer that no retry mends.
        TransientError: no answer for so many seconds.
    """
    until, wait = time.monotonic() + seconds, FIRST_WAIT_SECONDS
    while True:
        try:
            return call()
        except Exception as error:  # Ray gives RuntimeError, requests and aiohttp their own
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if _is_refusal(error):
                hint = "export RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as on the head node"
                raise InputError(f"{address}: {said}; {hint}") from error
            if not (isinstance(error, OSError) or any(word in str(error).lower() for word in PASSING)):
                raise InputError(f"{address}: {said}; see whether a Ray dashboard of this version is there") from error
            if time.monotonic() + wait > until:
                raise TransientError(f"{address}: {said}, for {seconds:g} s; rerun when it answers") from error
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def _is_refusal(error: Exception) -> bool:
    return type(error).__name__ == "AuthenticationError" or any(f"status code {c}" in str(error) for c in (401, 403))


def check_package(folder: Path) -> int:
    """Bytes of the package that Ray makes of a folder, without what .gitignore and .rayignore leave out.

    Raises:
        ConfigError: it is too large, with its largest files.
    """
    try:
        from ray._private.ray_constants import get_runtime_env_default_excludes
        from ray._private.runtime_env.packaging import create_package
    except ImportError:
        return 0  # private: where it has moved, Ray's own limit remains
    _quieten()
    with TemporaryDirectory(prefix="theta-ray-package-") as made:
        path = Path(made) / "package.zip"
        create_package(str(folder), path, include_gitignore=True, excludes=get_runtime_env_default_excludes())
        size = path.stat().st_size
        if size <= MAX_PACKAGE_BYTES:
            return size
        with zipfile.ZipFile(path) as package:
            largest = sorted(package.infolist(), key=lambda file: -file.compress_size)[:5]
    told = ", ".join(f"{file.filename} {file.compress_size / 2**20:,.0f} MiB" for file in largest)
    raise ConfigError(
        f"{folder}: its package has {size / 2**20:,.0f} MiB, more than {MAX_PACKAGE_BYTES >> 20}: {told}; "
        "leave them out in .rayignore, and name data by URI"
    )


def follow(client: Any, address: str, submission_id: str) -> Any:
    """Write the job's log as it grows; its details, once it has ended. A connection that breaks is made again."""
    log = _Log()
    while True:
        details = patiently(lambda: client.get_job_info(submission_id), address, LOST_SECONDS)
        if str(details.status.value) in ENDED:
            log.write_after(patiently(lambda: client.get_job_logs(submission_id), address, LOST_SECONDS))
            return details
        try:
            asyncio.run(log.tail(client, submission_id))
        except Exception as error:  # noqa: BLE001  whatever broke: the log is asked for again, or the cluster is away
            logging.getLogger(__name__).debug("tail: %s", error)
        time.sleep(FIRST_WAIT_SECONDS)


class _Log:
    """A log of which so many characters are written."""

    def __init__(self) -> None:
        self.written = 0

    async def tail(self, client: Any, submission_id: str) -> None:
        """Write what comes, from where it was left: a tail begins at the first line."""
        seen = 0
        async for chunk in client.tail_job_logs(submission_id):
            seen += len(chunk)
            if seen > self.written:
                _write(chunk[len(chunk) - (seen - self.written) :])
                self.written = seen

    def write_after(self, whole: str) -> None:
        """Write the rest of the whole log."""
        _write(whole[self.written :])
        self.written = len(whole)


def _write(text: str) -> None:
    sys.stdout.write(escaped_lines(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def exit_code_of(details: Any) -> int:
    """The driver's own exit code; where there is none, what the job's end amounts to."""
    status, code = str(details.status.value), details.driver_exit_code
    if status == "SUCCEEDED":
        return 0
    if code:
        return OF_SIGNALS.get(int(code), int(code))
    return PreemptedError.exit_code if status == "STOPPED" else TransientError.exit_code
