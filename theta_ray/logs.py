"""Log lines: plain ones for a person, JSON objects for whoever collects those of a submitted job."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
from datetime import UTC, datetime
from functools import cache
from typing import Any

from theta_ray.terminal import escaped_lines, masked_secrets

NOISY = ("aiobotocore", "botocore", "httpx", "huggingface_hub", "openTSNE", "ray.data", "transformers")


def is_submitted() -> bool:
    """Whether this process is the driver of a submitted job."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


@cache
def run_id() -> str:
    """Of this process: the submission id of a submitted job, else a random name."""
    try:
        submitted = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
        return str(submitted["metadata"]["job_submission_id"])
    except (ValueError, KeyError, TypeError):
        return f"run_{secrets.token_hex(8)}"


def json_line(level: str, stage: str, message: str, figures: dict[str, Any] | None = None) -> str:
    """One log line: `time` in UTC, `level`, `run`, `stage`, `message`, and the figures that go with it."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = {"time": now, "level": level, "run": run_id(), "stage": stage, "message": masked_secrets(message)}
    return json.dumps({**told, **(figures or {})}) + "\n"  # ASCII: nothing in it steers a terminal


class _JsonLines(logging.Formatter):
    """Records as JSON lines of one stage."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        return json_line(record.levelname, self._stage, message).rstrip("\n")


class _PlainLines(logging.Formatter):
    """Records as a time and a message, in which strangers' text cannot steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return escaped_lines(masked_secrets(super().format(record)))


def start_logging(stage: str) -> None:
    """Send log records to stderr, in the form of this process; does nothing where a program has its own handlers."""
    plain = _PlainLines("%(asctime)s %(message)s", "%H:%M:%S")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(stage) if is_submitted() else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def say(stage: str, text: str, *, level: str = "ERROR", figures: dict[str, Any] | None = None) -> None:
    """Write to stderr what the end of a job has to say, in the form of this process.

    `figures` are for machines: a person at a terminal has seen them.
    """
    shown = escaped_lines(masked_secrets(text)) + "\n"
    sys.stderr.write(json_line(level, stage, text, figures) if is_submitted() else shown)
