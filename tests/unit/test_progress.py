"""A person at a terminal sees a bar with rate and time left; a log gets a line that says what is waited for."""

from __future__ import annotations

import fcntl
import logging
import os
import pty
import struct
import subprocess
import sys
import termios
import time

import pytest

from tests.conftest import REPOSITORY
from theta_ray.errors import TransientError
from theta_ray.progress import Progress

SCRIPT = """
import logging, time
from theta_ray.progress import Progress
logging.basicConfig(level=logging.INFO, format="%(message)s")
with Progress("embed", 4) as progress:
    progress.waiting_for = "2 actors"
    for number in range(4):
        time.sleep(0.7)
        progress.advance(1000)
        logging.info("shard %d", number)
"""


def test_at_a_terminal_there_is_a_bar_with_rate_time_left_and_what_it_waits_for() -> None:
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 160, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=REPOSITORY, stderr=secondary, stdout=secondary)
    os.close(secondary)
    seen = b""
    try:
        while chunk := os.read(primary, 4096):
            seen += chunk
    except OSError:  # Linux: the other end is closed
        pass
    finally:
        os.close(primary)
    assert process.wait(timeout=30) == 0
    text = seen.decode()
    assert "embed:   0%" in text
    assert "4/4" in text
    assert "shards/s" in text or "s/ shards" in text
    assert "waiting for 2 actors" in text
    assert "rows/s" in text
    assert "4,000 rows" in text
    assert any(line.strip() == "shard 3" for line in text.replace("\r", "\n").split("\n"))  # above the bar


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.setattr("theta_ray.progress.HEARTBEAT_SECONDS", 0.01)
    caplog.set_level(logging.INFO, logger="theta_ray.progress")
    return caplog


def _until(beats: pytest.LogCaptureFixture, words: str) -> None:
    deadline = time.monotonic() + 10
    while not any(words in message for message in beats.messages):
        assert time.monotonic() < deadline, beats.messages[-3:]
        time.sleep(0.01)


def test_a_heartbeat_tells_the_time_left_and_how_far_the_work_is(beats: pytest.LogCaptureFixture) -> None:
    with Progress("finetune", 100, "steps") as progress:
        progress.waiting_for, progress.look = "4 workers", lambda: "step 30 is saved"
        _until(beats, "time left not known yet, waiting for 4 workers, step 30 is saved")
        progress.reach(99)
        _until(beats, "finetune: 99 of 100 steps, 0 rows, 0 rows/s, about 0 s left")


def test_a_store_that_is_away_does_not_end_the_heartbeat(beats: pytest.LogCaptureFixture) -> None:
    def fail() -> str:
        raise TransientError("s3://bucket: away")

    with Progress("finetune", 1, "adapters") as progress:
        progress.waiting_for, progress.look = "4 workers", fail
        _until(beats, "waiting for 4 workers")
        progress.waiting_for = "3 workers"
        _until(beats, "waiting for 3 workers")
