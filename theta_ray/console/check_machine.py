"""Checks of this machine: room on disk and in shared memory, open files, Ray's version, its address and its token."""

from __future__ import annotations

import importlib.metadata
import os
import resource
import shutil
import socket
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from theta_ray.config import Config
from theta_ray.console.checks import Finding, fail, ok, warn
from theta_ray.corpus.authors import KEY_VARIABLE, read_key

# Ray's versions that this package is tested with (pyproject.toml).
FIRST_RAY, FIRST_RAY_NOT = (2, 59), (2, 64)
DISK_BYTES = 10 * 2**30
# One shard is in a temporary file, and read back from another where an attempt was first.
LEAST_DISK_BYTES = 2**30
SHARED_BYTES = 2**30
OPEN_FILES = 4096
SHARED_MEMORY = "/dev/shm"
CONNECT_SECONDS = 5.0


def check_room() -> Sequence[Finding]:
    """Room for temporary files and for Ray's object store, and open files."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    told, advice = f"{free / 2**30:,.1f} GiB free in {folder}", "make room there, or set TMPDIR"
    findings = [ok("disk", told) if free >= DISK_BYTES else warn("disk", told, advice)]
    if free < LEAST_DISK_BYTES:
        findings = [fail("disk", told, advice)]
    if os.path.isdir(SHARED_MEMORY):
        room = shutil.disk_usage(SHARED_MEMORY).free
        told = f"{room / 2**30:,.1f} GiB free in {SHARED_MEMORY}"
        larger = "give the container more (--shm-size; in Kubernetes an emptyDir of medium Memory)"
        findings.append(ok("shared memory", told) if room >= SHARED_BYTES else warn("shared memory", told, larger))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = f"{soft:,} may be open at once"
    raise_it = f"ulimit -n {min(hard, 65_536) if hard > 0 else 65_536} before the job"
    findings.append(ok("files", told) if soft >= OPEN_FILES else warn("files", told, raise_it))
    return findings


def check_ray(config: Config) -> Sequence[Finding]:
    """Ray's version, where a cluster is asked for, and what this side says about authentication."""
    if config.resources.executor == "local":
        return [ok("ray", "not used: executor local")]
    version = importlib.metadata.version("ray")
    known = FIRST_RAY <= tuple(int(part) for part in version.split(".")[:2]) < FIRST_RAY_NOT
    upto = f"{FIRST_RAY_NOT[0]}.{FIRST_RAY_NOT[1]}"
    wanted = f"install ray>={FIRST_RAY[0]}.{FIRST_RAY[1]},<{upto}, the same on all nodes"
    findings = [ok("ray", version) if known else fail("ray", version, wanted)]
    address = os.environ.get("RAY_ADDRESS")
    findings.append(_reachable(address) if address else ok("cluster", "one of this machine: RAY_ADDRESS is not set"))
    return [*findings, _authentication(bool(address)), *_token_file()]


def _reachable(address: str) -> Finding:
    host, _, port = address.removeprefix("http://").removeprefix("https://").rstrip("/").rpartition(":")
    if not host or not port.isdigit():
        return ok("cluster", f"RAY_ADDRESS {address}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        advice = "start the cluster, or unset RAY_ADDRESS"
        return fail("cluster", f"RAY_ADDRESS {address}: {error.strerror or error}", advice)
    return ok("cluster", f"RAY_ADDRESS {address} answers")


def _authentication(joins: bool) -> Finding:
    """The mode and, where it is `token`, whether there is a token; never the token."""
    mode = os.environ.get("RAY_AUTH_MODE", "").lower()
    what = "authentication"
    if mode == "token":
        there = os.environ.get("RAY_AUTH_TOKEN") or _token_path().is_file()
        return (
            ok(what, "RAY_AUTH_MODE=token, and there is a token")
            if there
            else fail(what, "RAY_AUTH_MODE=token without a token", "export RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH")
        )
    if mode == "disabled":
        advice = "whoever reaches the cluster runs code on it; use RAY_AUTH_MODE=token"
        return warn(what, "RAY_AUTH_MODE=disabled", advice) if joins else ok(what, "RAY_AUTH_MODE=disabled")
    if joins:
        advice = "export RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as on the cluster"
        return warn(what, "RAY_AUTH_MODE is not set", advice)
    return ok(what, "a random token for a cluster of this machine")


def _token_path() -> Path:
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(named) if named else Path.home() / ".ray" / "auth_token"


def _token_file() -> Sequence[Finding]:
    path = _token_path()
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return []
    if mode & 0o077:
        return [warn("token file", f"{path} may be read by others (mode {mode:o})", f"chmod 600 {path}")]
    return [ok("token file", f"{path}, mode {mode:o}")]


def check_key(config: Config) -> Sequence[Finding]:
    """The key for pseudonyms, where the recipe needs one; never the key."""
    if config.recipe.corpus.authors != "pseudonym":
        return [ok("author key", f"not needed: authors {config.recipe.corpus.authors}")]
    read_key(config.recipe.corpus)
    return [ok("author key", f"{KEY_VARIABLE} is set")]
