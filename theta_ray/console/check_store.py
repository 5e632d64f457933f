"""Checks of the output store: it lists, reads, creates only once, tells the time, and lets objects go again."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from theta_ray.console.checks import Finding, fail, ok, warn
from theta_ray.errors import ThetaError, TransientError
from theta_ray.objects import create, exists, join, list_names, modified, read_bytes, remove
from theta_ray.uris import SCHEME

FOLDER = ".theta_ray_doctor"
WARN_SECONDS, FAIL_SECONDS = 60.0, 600.0
CONNECT_SECONDS = 5.0


def check_store(root: str) -> Sequence[Finding]:
    """Create, create again, read, list and delete one small object, and compare its time with this machine's."""
    unreachable = _unreachable(root)
    if unreachable:
        return [unreachable]
    names = list_names(root)
    findings = [ok("list", f"{len(names)} names below {root}")]
    with _probe(root) as uri:
        data = secrets.token_bytes(16)
        if not create(uri, data):
            return [*findings, fail("create", f"{uri} was there before anyone made it", "take another --root")]
        now = datetime.now(UTC)
        if read_bytes(uri) != data:
            return [*findings, fail("read", f"{uri} is not what was written", "take another --root")]
        findings.append(ok("write and read", f"an object of {len(data)} bytes"))
        findings.append(_exclusive(uri, data))
        findings.append(_clock(modified(uri), now))
        if uri.rpartition("/")[2] not in list_names(join(root, FOLDER)):
            findings.append(fail("list after write", f"{uri} is not listed", "take a store whose listings are current"))
    gone = not exists(uri)
    findings.append(ok("delete", "the object is gone") if gone else _not_deleted(uri))
    return findings


def _unreachable(root: str) -> Finding | None:
    """At once what a client would retry for minutes: nobody listens at an endpoint of one's own."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not root.startswith("s3://") or not endpoint:
        return None
    place = urlsplit(endpoint)
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        socket.create_connection((place.hostname or "", port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        told = f"{endpoint}: {error.strerror or error}"
        return fail("store", told, "start it, or correct AWS_ENDPOINT_URL", TransientError.exit_code)
    return None


@contextmanager
def _probe(root: str) -> Iterator[str]:
    """An address of our own, which is empty again afterwards."""
    uri = join(root, FOLDER, secrets.token_hex(16))
    try:
        yield uri
    finally:
        with suppress(ThetaError):  # the check tells that it is still there
            remove(uri)
        if not SCHEME.match(root):
            with suppress(OSError):  # another doctor may be at work in it
                os.rmdir(join(root, FOLDER))


def _exclusive(uri: str, data: bytes) -> Finding:
    """Whether a second create is refused, as the commit protocol needs."""
    what = "create only once"
    if create(uri, data[::-1]) or read_bytes(uri) != data:
        return fail(what, "the store let a second create replace the first", "take a store with If-None-Match")
    return ok(what, "a second create was refused")


def _clock(stored: datetime, now: datetime) -> Finding:
    seconds = (now - stored).total_seconds()
    told = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the store's"
    advice = "set this machine's clock (NTP)"
    if abs(seconds) > FAIL_SECONDS:
        return fail("clock", told, advice)
    return warn("clock", told, advice) if abs(seconds) > WARN_SECONDS else ok("clock", told)


def _not_deleted(uri: str) -> Finding:
    return warn("delete", f"{uri} is still there", "allow deletes, or leases and clean-up will not work")
