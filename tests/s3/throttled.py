"""What throttling costs: small operations through the fault proxy, with the waits that users have."""

from __future__ import annotations

import time

from tests.conftest import S3, s3_client
from tests.s3.fault_proxy import FaultProxy
from theta_ray.objects import create, read_bytes

NUM_OBJECTS = 100
"""Each is created and read: twice as many operations."""


def seconds_of_small_operations(server: S3, share: float, *, seed: int, seconds_away: float = 0.0) -> float:
    """Time of one operation after another where so many requests are answered with `503 SlowDown`."""
    root = server.root("throttled")
    with (
        FaultProxy(server.endpoint, {"slow_down": share}, seed=seed) as proxy,
        s3_client({"AWS_ENDPOINT_URL": proxy.endpoint}),
    ):
        proxy.seconds_away = seconds_away
        create(f"{root}/first", b"the client is made here")
        start = time.perf_counter()
        for number in range(NUM_OBJECTS):
            create(f"{root}/{number}", b"data")
            read_bytes(f"{root}/{number}")
        seconds = time.perf_counter() - start
    assert (proxy.injected["slow_down"] > 0) == (share > 0), "the proxy did not do what it was told"
    return seconds
