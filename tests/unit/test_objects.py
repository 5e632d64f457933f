from __future__ import annotations

import contextlib
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from fsspec.asyn import get_loop
from hypothesis import given
from hypothesis import strategies as st

from theta_ray import objects
from theta_ray.errors import ConfigError, InputError
from theta_ray.objects import (
    create,
    create_from_file,
    list_names,
    modified,
    open_filesystem,
    read_bytes,
    read_many,
    remove,
    replace,
)
from theta_ray.uris import masked


@pytest.mark.parametrize(
    "uri",
    [
        "s3://key:canary@bucket/x",
        "gs://me:canary@bucket/x",
        "s3://canary@bucket/x",
        "s3://key:a/canary@bucket/x",
        "https://key:canary@host/x",
        "abfs://me:canary@account.dfs.core.windows.net/x",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(ConfigError, match="put them in the environment") as refused:
        open_filesystem(uri)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/x?X-Amz-Signature=canary",
        "s3://bucket/x?endpoint_url=http://canary",
        "abfs://container@account.dfs.core.windows.net/x?sv=2026&sig=canary",
        "gs://bucket/x#generation=canary",
    ],
)
def test_a_query_is_refused_and_its_values_are_not_repeated(uri: str) -> None:
    with pytest.raises(ConfigError, match="name the object alone") as refused:
        open_filesystem(uri)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("file:///etc/passwd", "write a local path without file://"),
        ("http://169.254.169.254/latest/meta-data", "scheme http is not read"),
        ("https://host/x?sig=canary", "scheme https is not read"),
        ("gopher://host/x", "scheme gopher is not read"),
        ("memory://x", "scheme memory is not read"),
        ("s3:/bucket/x", "scheme s3 is not read"),
        ("simplecache::s3://bucket/x", "chains file systems"),
        ("zip://x.csv::/data/a.zip", "chains file systems"),
        ("/data/a.zip::b", "chains file systems"),
    ],
)
def test_what_is_no_plain_object_is_refused_in_one_line(uri: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint) as refused:
        open_filesystem(uri)
    assert "canary" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_an_azure_container_is_no_credential() -> None:
    with contextlib.suppress(InputError):  # where the azure extra is not installed
        open_filesystem("abfs://container@account.dfs.core.windows.net/x")


@pytest.mark.parametrize("uri", ["s3://bucket/dt=2026-0?/*.csv", "s3://bucket/a#b@c:d", "s3://bucket/dt=1/a=b?"])
def test_globs_and_signs_in_a_key_are_no_query(uri: str) -> None:
    assert open_filesystem(uri)[1] == uri.removeprefix("s3://")


@pytest.mark.parametrize("name", ["a:b@c", "what?x=1", "#1", "*.csv", "data:x", "~", "http:", "a/file://b"])
def test_a_local_path_may_hold_any_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    fs, path = open_filesystem(name)
    assert path == os.path.join(tmp_path, os.path.normpath(name))
    assert open_filesystem(path) == (fs, path)
    assert fs.protocol[0] == "file"


@given(st.sampled_from(["s3", "gs", "https"]), st.text("ab/:@?=&#", max_size=8), st.text("ab/:@", max_size=8))
def test_a_masked_uri_never_shows_a_secret(scheme: str, before: str, after: str) -> None:
    name = before.replace("/", "")
    assert "CANARY" not in masked(f"{scheme}://{name}:CANARY{after}@bucket/x")
    assert "CANARY" not in masked(f"{scheme}://bucket/x?{name}=CANARY")


def test_many_objects_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    uris = [str(tmp_path / str(number)) for number in range(40)]
    for uri in uris:
        create(uri, uri.encode())
    assert read_many(uris[::-1]) == [uri.encode() for uri in uris[::-1]]
    assert read_many([]) == []
    with pytest.raises(FileNotFoundError):
        read_many([*uris, str(tmp_path / "nothing")])


def test_names_directly_below_a_folder_are_listed(tmp_path: Path) -> None:
    for name in ("b", "a", "below/c"):
        create(str(tmp_path / "folder" / name), b"data")
    (tmp_path / "folder" / ".tmp-1").write_bytes(b"not linked yet")
    assert list_names(str(tmp_path / "folder")) == ["a", "b", "below"]
    assert list_names(f"{tmp_path}/folder/") == ["a", "b", "below"]
    assert list_names(str(tmp_path / "elsewhere")) == []
    assert list_names(str(tmp_path / "folder" / "a")) == []


def test_a_replaced_object_is_whole_and_readable_for_the_group(tmp_path: Path) -> None:
    uri = str(tmp_path / "lease" / "alive")
    replace(uri, b"one")
    replace(uri, b"two")
    assert read_bytes(uri) == b"two"
    assert os.listdir(tmp_path / "lease") == ["alive"]
    assert os.stat(uri).st_mode & 0o777 == 0o644


def test_the_time_of_an_object_is_in_utc(tmp_path: Path) -> None:
    create(str(tmp_path / "object"), b"data")
    time = modified(str(tmp_path / "object"))
    assert time.tzinfo == UTC
    assert abs(datetime.now(UTC) - time) < timedelta(seconds=60)
    with pytest.raises(FileNotFoundError):
        modified(str(tmp_path / "nothing"))


def test_a_root_that_can_be_no_folder_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="a file is where a folder should be; take another --root"):
        create(f"{tmp_path}/file/root/x.json", b"")
    with pytest.raises(InputError, match="cannot be made .*; take another --root"):
        create(f"{tmp_path}/link/x.json", b"")


def test_an_object_can_be_removed_twice(tmp_path: Path) -> None:
    uri = str(tmp_path / "object")
    create(uri, b"data")
    remove(uri)
    remove(uri)
    assert list_names(str(tmp_path)) == []


class _Store:
    """A store in a dict, as far as `create_from_file` asks it; `fails` is raised once the object is there."""

    def __init__(self, protocol: str, fails: Exception | None = None) -> None:
        self.protocol, self.fails = (protocol,), fails
        self.loop, self.objects, self.asked = get_loop(), {}, {}  # type: ignore[var-annotated]

    def split_path(self, path: str) -> tuple[str, str, None]:
        return "bucket", path, None

    def put_file(self, local_path: str, path: str, **asked: object) -> None:
        self.asked = asked
        if path in self.objects:
            raise FileExistsError(path)
        self.objects[path] = Path(local_path).read_bytes()
        if self.fails:
            raise self.fails

    async def simple_upload(self, bucket: str, path: str, data: bytes, mode: str) -> None:
        self.asked = {"mode": mode}
        if path in self.objects:
            raise FileExistsError(path)
        self.objects[path] = data

    def info(self, path: str) -> dict[str, object]:
        if path not in self.objects:
            raise FileNotFoundError(path)
        return {}


def _use(store: _Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "open_filesystem", lambda uri: (store, uri))
    monkeypatch.setitem(sys.modules, "gcsfs", ModuleType("gcsfs"))
    core = ModuleType("gcsfs.core")
    core.simple_upload = _Store.simple_upload  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gcsfs.core", core)


@pytest.mark.parametrize(
    ("protocol", "asked"),
    [
        ("s3", {"mode": "create", "chunksize": 5 * 2**30}),
        ("gs", {"mode": "create"}),
        ("abfs", {"overwrite": False}),
    ],
)
def test_each_store_is_asked_for_its_own_exclusive_put(
    monkeypatch: pytest.MonkeyPatch, protocol: str, asked: dict[str, object]
) -> None:
    store = _Store(protocol)
    _use(store, monkeypatch)
    assert create("key", b"one")
    assert not create("key", b"two")
    assert store.objects == {"key": b"one"}
    assert store.asked == asked


def test_a_store_without_an_exclusive_put_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store = _Store("memory")
    _use(store, monkeypatch)
    with pytest.raises(ConfigError, match="no exclusive create on memory; take another --root"):
        create("key", b"data")
    assert store.objects == {}


def test_an_upload_that_is_gone_was_completed_where_its_object_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    _use(_Store("s3", fails=FileNotFoundError("no such upload")), monkeypatch)
    assert not create("key", b"data")


def test_an_object_too_large_for_one_request_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(_Store("s3"), monkeypatch)
    with open(tmp_path / "large", "wb") as file:
        file.truncate(objects.MAX_PUT_BYTES)  # takes no room
    with pytest.raises(InputError, match="make smaller shards"):
        create_from_file("key", str(tmp_path / "large"))
