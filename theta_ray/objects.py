"""Single objects on local disk, S3, GCS or Azure: read whole, or created once, atomically and exclusively.

Whoever creates first wins and everyone else is told so; the tests prove it with racing writers on local
disk and on a real S3 server. Nothing of a table is ever replaced; only a lease's heartbeat is.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec

from theta_ray.errors import ConfigError, InputError

AZURE = ("abfs", "abfss", "az")
SCHEMES = ("s3", "gs", "gcs", *AZURE)
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/+")
# A lone question mark is a glob; one before a name and a value could set an endpoint or hold a signature.
QUERY = re.compile(r"[?&#][^/?&#=]*=")
TEMPORARY = ".tmp-"
READERS = 16
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def join(uri: str, *parts: str) -> str:
    """`uri` with parts below it."""
    return "/".join([uri.rstrip("/"), *parts])


def open_filesystem(uri: str) -> tuple[Any, str]:
    """The fsspec file system of a local path or URI, and the path in it.

    Raises:
        ConfigError: neither a local path nor a plain URI on S3, GCS or Azure.
        InputError: the package for the scheme is not installed.
    """
    if "::" in uri:
        raise ConfigError(f"{masked(uri)}: '::' chains file systems; take a path without it")
    scheme = SCHEME.match(uri)
    if scheme is None:
        # absolute, since fsspec reads more than a name into `local:x`, `data:x` and `~`
        return fsspec.filesystem("file"), os.path.abspath(uri)
    _check_uri(uri, scheme[1])
    try:
        fs, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    except ImportError as error:
        raise InputError(f"{uri}: {error}; install that package on every node") from error
    return fs, path


def _check_uri(uri: str, scheme: str) -> None:
    """Refuse everything but the plain address of an object; what could be a secret is not repeated."""
    shown = masked(uri)
    if "://...@" in shown:
        raise ConfigError(f"{shown}: holds credentials; put them in the environment, not in a URI")
    if scheme == "file":
        raise ConfigError(f"{shown}: write a local path without file://")
    if scheme not in SCHEMES or not uri.startswith(f"{scheme}://"):
        raise ConfigError(f"{shown}: scheme {scheme} is not read; use a local path or one of {', '.join(SCHEMES)}")
    if shown != uri:
        raise ConfigError(f"{shown}: holds a query; name the object alone, endpoints and keys in the environment")


def masked(uri: str) -> str:
    """`uri` without what could be a secret: user and password, and the values of a query."""
    scheme = SCHEME.match(uri)
    if scheme is None:
        return uri
    rest = uri[scheme.end() :]
    host = rest.partition("/")[0]
    if "@" in rest and ":" in host or "@" in host and scheme[1] not in AZURE:
        rest = f"...@{rest.rpartition('@')[2]}"  # the last one: a secret may hold slashes
    query = QUERY.search(rest)
    return f"{scheme[1]}://{rest[: query.start() + 1]}..." if query else f"{scheme[1]}://{rest}"


@contextmanager
def access(uri: str) -> Iterator[None]:
    """Tell in one line that a store refuses, is full or cannot be reached; that is no bug.

    Raises:
        InputError: what the store said. FileNotFoundError passes: what it means is the caller's.
    """
    try:
        yield
    except PermissionError as error:
        raise InputError(f"{uri}: {_first_line(error)}; check the credentials and what they allow") from error
    except OSError as error:
        if error.errno not in FULL or isinstance(error, FileNotFoundError):
            raise
        raise InputError(f"{uri}: {_first_line(error)}; make room or use another --root, then rerun") from error
    except Exception as error:
        # s3fs passes these on as they are: no credentials found, no connection, an unknown profile
        if not type(error).__module__.startswith("botocore"):
            raise
        raise InputError(f"{uri}: {_first_line(error)}; check the credentials and the endpoint") from error


def _first_line(error: Exception) -> str:
    text = (getattr(error, "strerror", None) or str(error)).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def exists(uri: str) -> bool:
    """Whether there is an object (or folder) at `uri`."""
    fs, path = open_filesystem(uri)
    with access(uri):
        return bool(fs.exists(path))


def read_bytes(uri: str) -> bytes:
    """The whole object at `uri`."""
    fs, path = open_filesystem(uri)
    with access(uri):
        return bytes(fs.cat_file(path))


def read_many(uris: Sequence[str]) -> list[bytes]:
    """Whole objects, read side by side, in the order asked for."""
    if not uris:
        return []
    with ThreadPoolExecutor(min(len(uris), READERS)) as pool:
        return list(pool.map(read_bytes, uris))


def get_file(uri: str, local_path: str) -> None:
    """Copy the whole object at `uri` to a local file."""
    fs, path = open_filesystem(uri)
    with access(uri):
        fs.get_file(path, local_path)


def list_names(uri: str) -> list[str]:
    """Names of the objects and folders directly below a folder, sorted; none where there is no folder."""
    fs, path = open_filesystem(uri)
    with access(uri):
        try:
            found = fs.ls(path, detail=False)
        except FileNotFoundError:
            return []
    # a store lists an object as if it were its own folder; a local folder may hold files not linked yet
    pairs = [name.rstrip("/").rpartition("/") for name in found]
    return sorted(name for folder, _, name in pairs if folder == path.rstrip("/") and not name.startswith(TEMPORARY))


def modified(uri: str) -> datetime:
    """When the object last changed, by the store's own clock, in UTC. FileNotFoundError passes."""
    fs, path = open_filesystem(uri)
    with access(uri):
        time: datetime = fs.modified(path)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def create(uri: str, data: bytes) -> bool:
    """Create the object at `uri`, atomically and exclusively. False: there was one already."""
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(data)
    try:
        return create_from_file(uri, file.name)
    finally:
        os.unlink(file.name)


def create_from_file(uri: str, local_path: str) -> bool:
    """Create the object at `uri` from a local file, atomically and exclusively. False: it existed.

    Raises:
        InputError: the store refuses, is full, cannot be reached, or has no such bucket.
    """
    fs, path = open_filesystem(uri)
    with access(uri):
        if "file" in _protocols(fs):
            return _link(Path(path), local_path)
        try:
            fs.put_file(local_path, path, mode="create")
        except FileNotFoundError as error:
            raise InputError(f"{uri}: {_first_line(error)}; create the bucket or correct its name") from error
        except OSError as error:
            if _lost_the_race(error):
                return False
            raise
    return True


def _lost_the_race(error: OSError) -> bool:
    """Whether a put failed because the object exists; s3fs says so for Amazon's own wording only."""
    response = getattr(error.__cause__, "response", None) or {}
    return isinstance(error, FileExistsError) or response.get("Error", {}).get("Code") == "PreconditionFailed"


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _link(path: Path, local_path: str) -> bool:
    """Local exclusive create: a synced temporary file in the folder, then link(2), then sync the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as target, open(local_path, "rb") as source:
            while chunk := source.read(2**22):
                target.write(chunk)
            target.flush()
            os.fchmod(target.fileno(), 0o644)  # mkstemp lets nobody else read, a table is for the whole group
            os.fsync(target.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    finally:
        os.unlink(temporary)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def replace(uri: str, data: bytes) -> None:
    """Write a small object whole, over one that is there: for a lease's heartbeat and nothing else."""
    fs, path = open_filesystem(uri)
    with access(uri):
        if "file" not in _protocols(fs):
            fs.pipe_file(path, data)
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=os.path.dirname(path))
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)


def remove(uri: str) -> None:
    """Remove one object; none there is fine."""
    fs, path = open_filesystem(uri)
    with access(uri), suppress(FileNotFoundError):
        fs.rm_file(path)
