"""Single objects on local disk, S3, GCS or Azure: read whole, or created once, atomically and exclusively.

Nothing here replaces an object. Whoever creates first wins and everyone else is told so; the tests
prove it with racing writers on local disk and on a real S3 server.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from theta_ray.errors import ConfigError, InputError

SCHEMES = ("file", "s3", "gs", "gcs", "abfs", "abfss", "az")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def join(uri: str, *parts: str) -> str:
    """`uri` with parts below it."""
    return "/".join([uri.rstrip("/"), *parts])


def open_filesystem(uri: str) -> tuple[Any, str]:
    """The fsspec file system of a URI, and the path in it.

    Raises:
        ConfigError: a scheme that is not one of local files, S3, GCS or Azure.
        InputError: the package for the scheme is not installed.
    """
    scheme, _, rest = uri.partition("://") if "://" in uri else ("file", "", uri)
    if scheme != "file" and ":" in rest.partition("/")[0].partition("@")[0] and "@" in rest.partition("/")[0]:
        where = rest.partition("@")[2]
        raise ConfigError(f"{scheme}://...@{where}: holds credentials; put them in the environment, not in a URI")
    if scheme not in SCHEMES:
        raise ConfigError(f"{uri}: scheme {scheme} is not read; use a local path or one of {', '.join(SCHEMES)}")
    try:
        fs, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    except ImportError as error:
        raise InputError(f"{uri}: {error}; install that package on every node") from error
    return fs, path


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
    handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
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
