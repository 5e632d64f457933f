"""A store that throttles, fails, hangs and hangs up: what is written is whole, and what fails says so in time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.conftest import S3, s3_client
from tests.models import save_bert
from tests.s3.fault_proxy import FaultProxy, Kind
from tests.s3.throttled import seconds_of_small_operations
from tests.small_jobs import DAY, make_config, make_texts, read_table, write_jsonl
from theta_ray import objects, retries
from theta_ray.encoder import embed
from theta_ray.errors import InputError, TransientError

pytestmark = pytest.mark.s3
KINDS: tuple[Kind, ...] = ("slow_down", "error_500", "reset", "stall", "truncate", "lost_reply")
NUM_OBJECTS = 6
STALL_SECONDS = 0.8
PATIENCE = {"READ_SECONDS": 0.5, "CONNECT_SECONDS": 1.0, "FIRST_WAIT_SECONDS": 0.02, "LONGEST_WAIT_SECONDS": 0.2}


class Broken(Protocol):
    def __call__(self, faults: dict[Kind, float], **options: object) -> AbstractContextManager[FaultProxy]: ...


@pytest.fixture
def broken(s3: S3) -> Broken:
    """The store behind a proxy, for the time of a `with` block."""

    @contextmanager
    def through(faults: dict[Kind, float], **options: object) -> Iterator[FaultProxy]:
        with (
            FaultProxy(s3.endpoint, faults, **{"seed": 1, "stall_seconds": STALL_SECONDS, **options}) as proxy,
            s3_client({"AWS_ENDPOINT_URL": proxy.endpoint}),
        ):
            yield proxy

    return through


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeouts and waits that fit a server on this machine and stalls of half a second."""
    for name, value in PATIENCE.items():
        monkeypatch.setattr(retries, name, value)


def _data(number: int) -> bytes:
    return f"object {number} ".encode() * 4000 * (1 + number % 3)


def _write_and_read(root: str, folder: Path) -> None:
    """Every call of the library on the same few objects; whatever it returns is exact."""
    uris = [f"{root}/{number:02d}" for number in range(NUM_OBJECTS)]
    for number, uri in enumerate(uris):
        # a lost reply makes our own object look like another's, and then it is the same
        assert objects.create(uri, _data(number)) or objects.read_bytes(uri) == _data(number)
        assert not objects.create(uri, b"something else")
    contents = [_data(number) for number in range(NUM_OBJECTS)]
    assert objects.list_names(root) == [f"{number:02d}" for number in range(NUM_OBJECTS)]
    assert [objects.read_bytes(uri) for uri in uris] == contents
    assert objects.read_many(uris) == contents
    for uri, content in zip(uris, contents, strict=True):
        objects.get_file(uri, str(folder / "copy"))
        assert (folder / "copy").read_bytes() == content
        fs, path = objects.open_filesystem(uri)
        with fs.open(path, "rb", block_size=2**14, cache_type="readahead") as file:
            assert b"".join(iter(lambda file=file: file.read(10_000), b"")) == content


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", KINDS)
def test_every_object_is_whole_under_a_fifth_of_faults(s3: S3, broken: Broken, tmp_path: Path, kind: Kind) -> None:
    root = s3.root(kind)
    with broken({kind: 0.2}) as proxy:
        _write_and_read(root, tmp_path)
    assert proxy.injected[kind] > 10
    # and seen without the proxy
    assert objects.read_many([f"{root}/{number:02d}" for number in range(NUM_OBJECTS)]) == [
        _data(n) for n in range(NUM_OBJECTS)
    ]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "stall"])  # which can replace it later
def test_a_heartbeat_is_replaced_dated_and_removed(s3: S3, broken: Broken, kind: Kind) -> None:
    root = s3.root("heartbeat")
    before = datetime.now(UTC) - timedelta(seconds=2)  # the store keeps whole seconds
    with broken({kind: 0.2}):
        for number in range(5):
            objects.replace(f"{root}/alive", str(number).encode())
            assert objects.read_bytes(f"{root}/alive") == str(number).encode()
            assert before < objects.modified(f"{root}/alive") < datetime.now(UTC) + timedelta(seconds=2)
            objects.remove(f"{root}/alive")
            assert objects.list_names(root) == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_throttling_at_any_share_is_waited_out(s3: S3, broken: Broken, tmp_path: Path, share: float) -> None:
    with broken({"slow_down": share}) as proxy:
        _write_and_read(s3.root("throttled"), tmp_path)
    assert proxy.injected["slow_down"] > 0


@pytest.mark.usefixtures("impatient")
def test_a_create_whose_reply_is_lost_finds_its_own_object(s3: S3, broken: Broken) -> None:
    root = s3.root("lost")
    with broken({"lost_reply": 0.5}, methods=["PUT"]) as proxy:
        won = [objects.create(f"{root}/{number}", _data(number)) for number in range(20)]
    assert proxy.injected["lost_reply"] > 5
    assert True in won
    assert False in won  # told that an object was there: it was our own
    assert objects.read_many([f"{root}/{number}" for number in range(20)]) == [_data(number) for number in range(20)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_never_answers_is_an_error_within_the_stated_time(
    s3: S3, broken: Broken, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    for name, value in {**PATIENCE, "TOTAL_SECONDS": 0.5}.items():
        monkeypatch.setattr(retries, name, value)
    uri = f"{s3.root('never')}/key"
    with broken({kind: 1.0}) as proxy:
        for call in (
            lambda: objects.create(uri, b"data"),
            lambda: objects.read_many([uri]),
            lambda: objects.list_names(uri),
        ):
            start = time.monotonic()
            with pytest.raises(TransientError, match=r"tries in \d+ s; rerun to go on") as gave_up:
                call()
            # the last try begins within TOTAL_SECONDS and a wait, and ends with its own timeouts
            assert time.monotonic() - start < 0.5 + 0.2 + (1.0 + 2 * 0.5) + 1.0
            assert uri in str(gave_up.value)
            assert len(str(gave_up.value).splitlines()) == 1
    assert proxy.injected[kind] <= 3 * retries.ATTEMPTS


def test_a_server_that_is_not_there_is_told_as_such(s3: S3, broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "TOTAL_SECONDS", 0.3)
    with broken({}) as proxy:
        endpoint = proxy.endpoint
    with s3_client({"AWS_ENDPOINT_URL": endpoint}), pytest.raises(TransientError, match="Could not connect"):
        objects.read_bytes(f"{s3.root('nobody')}/key")


def test_what_no_retry_can_mend_is_asked_once(s3: S3, broken: Broken) -> None:
    root = s3.root("final")
    objects.create(f"{root}/key", b"data")
    with broken({}) as proxy:
        with pytest.raises(FileNotFoundError):
            objects.read_bytes(f"{root}/nothing")
        assert proxy.requests == {"GET": 1}
        assert not objects.create(f"{root}/key", b"other")
        assert proxy.requests == {"GET": 1, "PUT": 1}
        with pytest.raises(InputError, match="create the bucket"):
            objects.create("s3://no-such-bucket/key", b"data")
        assert proxy.requests["PUT"] == 2


def test_a_twentieth_of_throttled_requests_costs_less_than_twice_the_time(s3: S3) -> None:
    seconds: dict[float, list[float]] = {0.0: [], 0.05: []}
    for number in range(3):
        for share, measured in seconds.items():
            # no S3 is nearer: beside a server in the memory of a fast machine any wait is long
            measured.append(seconds_of_small_operations(s3, share, seed=number, seconds_away=0.003))
    assert statistics.median(seconds[0.05]) < 2 * statistics.median(seconds[0.0])


@pytest.mark.usefixtures("impatient")
def test_arrow_reads_a_data_set_whole(s3: S3, broken: Broken, tmp_path: Path) -> None:
    root = s3.root("dataset")
    table = pa.table({"number": list(range(20_000)), "text": [f"row {number}" for number in range(20_000)]})
    for number in range(5):
        pq.write_table(table, tmp_path / "shard", row_group_size=1000)
        assert objects.create_from_file(f"{root}/{number}.parquet", str(tmp_path / "shard"))
    with broken(dict.fromkeys(KINDS, 0.05)) as proxy:
        fs, path = objects.open_filesystem(root)
        dataset = ds.dataset([f"{path}/{number}.parquet" for number in range(5)], filesystem=fs)
        read = dataset.to_table()
    assert read.equals(pa.concat_tables([table] * 5))
    assert sum(proxy.injected.values()) > 0


@pytest.mark.usefixtures("impatient")
def test_an_embed_job_ends_with_every_id_once(s3: S3, broken: Broken, tmp_path: Path) -> None:
    root = s3.root("embed")
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(60))
    config = make_config(raw, root, save_bert(tmp_path / "bert"), corpus={"shard_bytes": 1000})
    with broken(dict.fromkeys(KINDS, 0.02)) as proxy:
        embed.run(config, DAY)
    assert sum(proxy.injected.values()) > 5
    assert sorted(read_table(root, "embeddings").column("doc_id").to_pylist()) == sorted(f"d{i}" for i in range(60))
