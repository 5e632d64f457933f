from __future__ import annotations

import asyncio
import errno
from typing import Any

import aiohttp
import botocore.exceptions as boto
import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st
from s3fs.errors import translate_boto_error

from theta_ray import retries
from theta_ray.errors import TransientError
from theta_ray.objects import access
from theta_ray.retries import first_line, is_transient


def _client_error(status: int, code: str) -> boto.ClientError:
    told = {"Error": {"Code": code, "Message": "said the store"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(told, "PutObject")  # type: ignore[arg-type]


PASSING = [
    _client_error(503, "SlowDown"),
    _client_error(500, "InternalError"),
    _client_error(502, "502"),
    _client_error(400, "RequestTimeout"),
    _client_error(409, "ConditionalRequestConflict"),
    boto.ReadTimeoutError(endpoint_url="http://host"),
    boto.ConnectTimeoutError(endpoint_url="http://host"),
    boto.EndpointConnectionError(endpoint_url="http://host"),
    boto.ConnectionClosedError(endpoint_url="http://host"),
    boto.ResponseStreamingError(error="cut"),
    boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    aiohttp.ClientPayloadError("not enough data"),
    aiohttp.ServerDisconnectedError(),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    TimeoutError(),
]
LASTING = [
    _client_error(404, "NoSuchKey"),
    _client_error(404, "NoSuchBucket"),
    _client_error(403, "AccessDenied"),
    _client_error(403, "SignatureDoesNotMatch"),
    _client_error(412, "PreconditionFailed"),
    _client_error(416, "InvalidRange"),
    _client_error(501, "NotImplemented"),
    boto.NoCredentialsError(),
    boto.SSLError(endpoint_url="https://host", error="CERTIFICATE_VERIFY_FAILED"),
    FileNotFoundError("key"),
    PermissionError("no"),
    OSError(errno.ENOSPC, "full"),
    TransientError("was retried already"),
    KeyError("a bug"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_may_succeed_a_moment_later_is_retried(error: Exception) -> None:
    assert is_transient(error)
    assert is_transient(translate_boto_error(error))  # as s3fs passes it on
    with pytest.raises(TransientError, match="^s3://bucket/key: .*; rerun to go on"), access("s3://bucket/key"):
        raise error


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_no_retry_can_mend_is_not_retried(error: Exception) -> None:
    assert not is_transient(error)
    assert not is_transient(translate_boto_error(error))


@given(st.text(max_size=30), st.sampled_from([ValueError, OSError, KeyError]))
def test_what_an_error_says_is_one_line(text: str, kind: type[Exception]) -> None:
    assert len(first_line(kind(text)).splitlines()) == 1
    assert first_line(_client_error(503, "SlowDown")) == "SlowDown said the store"


def _run(call: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[float]]:
    """The result of a retried call, and what was waited between its tries; no time passes."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    retrying = tenacity.AsyncRetrying(**retries.policy("s3://bucket/key"), sleep=sleep)
    try:
        return asyncio.run(retrying(call)), waited
    except TransientError as error:
        return error, waited


def test_waits_grow_at_random_and_tries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        raise _client_error(503, "SlowDown")

    error, waited = _run(fail, monkeypatch)
    assert str(error).startswith(f"s3://bucket/key: SlowDown said the store, after {retries.ATTEMPTS} tries in 0 s;")
    assert tries == retries.ATTEMPTS == len(waited) + 1
    assert all(0 <= wait <= min(retries.LONGEST_WAIT_SECONDS, 0.1 * 2**i) for i, wait in enumerate(waited))
    assert len(set(waited)) == len(waited)


def test_a_call_that_works_at_last_gives_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [TimeoutError(), ConnectionResetError(), "answer"]

    async def answer() -> str:
        said = answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return str(said)

    assert _run(answer, monkeypatch)[0] == "answer"


def test_no_try_begins_after_the_stated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "TOTAL_SECONDS", 0.0)
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        raise TimeoutError

    assert isinstance(_run(fail, monkeypatch)[0], TransientError)
    assert tries == 1
