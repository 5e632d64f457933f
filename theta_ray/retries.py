"""Which failures of a store pass by themselves, how often and how long they are waited out.

Every request to S3 runs in the one loop of `s3.py`, under this policy; the loops of botocore and s3fs
are off, since loops around loops multiply. gcsfs and the Azure client bring their own loops with jitter;
what passes through those ends here as well. Nothing is ever waited out that a retry cannot mend: an
object that is missing, a refusal, a wrong bucket, a condition that does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from theta_ray.errors import TransientError
from theta_ray.metrics import COUNTS

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0  # without a byte
SLOWEST_BYTES_PER_SECOND = 2**18  # a body that moves more slowly has stalled
ATTEMPTS = 20
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
# No attempt begins later. With the last wait and the last attempt a small request ends within 2.5 minutes.
TOTAL_SECONDS = 120.0

STATUSES = (408, 425, 429, 500, 502, 503, 504)
# Refusals that are none: the request came in damaged or late, or another one was in the way.
CODES = (
    "BadDigest",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "XAmzContentSHA256Mismatch",
)
# By name: the packages of the other stores need not be installed.
TYPES = (
    "aiohttp.client_exceptions.ClientConnectionError",
    "aiohttp.client_exceptions.ClientPayloadError",
    "azure.core.exceptions.IncompleteReadError",
    "azure.core.exceptions.ServiceRequestError",
    "azure.core.exceptions.ServiceResponseError",
    "botocore.exceptions.ConnectionError",
    "botocore.exceptions.HTTPClientError",
    "botocore.exceptions.IncompleteReadError",
    "botocore.parsers.ResponseParserError",
    "gcsfs.retry.ChecksumError",
    "requests.exceptions.ConnectionError",
    "requests.exceptions.Timeout",
    "urllib3.exceptions.IncompleteRead",
)


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    return any(_is_transient_itself(cause) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those it was translated from."""
    while error is not None:
        yield error
        error = error.__cause__


def _is_transient_itself(error: BaseException) -> bool:
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    if any(f"{kind.__module__}.{kind.__qualname__}" in TYPES for kind in type(error).__mro__):
        return "CERTIFICATE_VERIFY_FAILED" not in str(error)
    told = _told(error)
    status = told.get("ResponseMetadata", {}).get("HTTPStatusCode") or _status_of(error)
    return status in STATUSES or told.get("Error", {}).get("Code") in CODES


def _told(error: BaseException) -> dict[str, Any]:
    """The answer of the store in an error of botocore; other packages have objects of that name."""
    response = getattr(error, "response", None)
    return response if isinstance(response, dict) else {}


def _status_of(error: BaseException) -> int | None:
    """HTTP status in an error of gcsfs (`code`), aiohttp (`status`) or Azure (`status_code`)."""
    found = (getattr(error, name, None) for name in ("status_code", "status", "code"))
    return next((int(str(value)) for value in found if str(value).isdecimal()), None)


def first_line(error: BaseException) -> str:
    """What an error says, as part of one line."""
    told = _told(error).get("Error")
    said = f"{told.get('Code')} {told.get('Message', '')}" if told else getattr(error, "strerror", None) or str(error)
    text = said.strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def policy(uri: str) -> dict[str, Any]:
    """How tenacity retries a request about `uri`; TransientError when it is over."""

    def give_up(state: RetryCallState) -> NoReturn:
        error = state.outcome.exception() if state.outcome else None
        said = first_line(error) if error else "no answer"
        tried = f"{state.attempt_number} tries in {state.seconds_since_start or 0:.0f} s"
        raise TransientError(f"{uri}: {said}, after {tried}; rerun to go on when the store answers") from error

    return {
        "before_sleep": lambda _: COUNTS.add("theta_retries_total", kind="store"),
        "retry": retry_if_exception(is_transient),
        "wait": wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS),
        "stop": stop_after_attempt(ATTEMPTS) | stop_after_delay(TOTAL_SECONDS),
        "retry_error_callback": give_up,
    }
