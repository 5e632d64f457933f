"""Single objects on local disk, S3, GCS or Azure: read whole, or created once, atomically and exclusively.

Whoever creates first wins and everyone else is told so; the tests prove it with racing writers on local
disk and on a real S3 server. Nothing of a table is ever replaced; only a lease's heartbeat is.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.asyn import sync

from theta_ray.errors import ConfigError, InputError, ThetaError, TransientError
from theta_ray.retries import CONNECT_SECONDS, READ_SECONDS, first_line, is_transient
from theta_ray.uris import AZURE, SCHEME, check_uri, masked

TEMPORARY = ".tmp-"
MAX_PUT_BYTES = 5 * 2**30
READERS = 16
CLIENTS = ("botocore", "google.auth", "gcsfs", "azure.")
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
    check_uri(uri, scheme[1])
    try:
        if scheme[1] == "s3":
            from theta_ray import s3  # s3fs takes half a second to import

            fs = s3.of_process(os.getpid())
            return fs, fs._strip_protocol(uri)
        # gcsfs ends a request after five minutes; it knows no limit for silence alone
        limits = {"connection_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS} if scheme[1] in AZURE else {}
        fs, path = fsspec.core.url_to_fs(uri, use_listings_cache=False, **limits)
    except ImportError as error:
        raise InputError(f"{uri}: {error}; install that package on every node") from error
    return fs, path


@contextmanager
def access(uri: str) -> Iterator[None]:
    """Tell in one line that a store refuses, is full, keeps failing or cannot be reached; that is no bug.

    Raises:
        InputError: what the store said. FileNotFoundError passes: what it means is the caller's.
        TransientError: the store kept failing after all retries.
    """
    try:
        yield
    except (ThetaError, FileNotFoundError):
        raise
    except Exception as error:
        said = f"{uri}: {first_line(error)}"
        if is_transient(error):
            raise TransientError(f"{said}; rerun to go on when the store answers") from error
        hint = _hint(error)
        if hint is None:
            raise
        room = _room(uri) if isinstance(error, OSError) and error.errno in FULL else ""
        raise InputError(f"{said}{room}; {hint}") from error


def _hint(error: Exception) -> str | None:
    """What the user can do about an error of a store, if anything."""
    if isinstance(error, PermissionError) or str(error).startswith("Forbidden"):  # gcsfs makes no type of it
        return "check the credentials and what they allow"
    if isinstance(error, OSError) and error.errno in FULL:
        return "make room there, or take another --root or TMPDIR, then rerun"
    if isinstance(error, NotADirectoryError):
        return "a file is where a folder should be; take another --root"
    if type(error).__name__ == "FileExpired" or _code(error) == "PreconditionFailed":
        return "it changed while it was read; leave inputs alone, then rerun"
    # passed on as they are: no credentials found, a certificate that is not trusted, an unknown profile
    return "check the credentials and the endpoint" if type(error).__module__.startswith(CLIENTS) else None


def _room(path: str) -> str:
    """How much room a local disk has left; nothing for a store, which cannot be asked."""
    if SCHEME.match(path):
        return ""
    there = next(folder for folder in [Path(path), *Path(path).absolute().parents] if folder.exists())
    usage = shutil.disk_usage(there)
    return f" ({usage.free:,} of {usage.total:,} bytes free)"


def _code(error: BaseException) -> str | None:
    """S3's own word for an error."""
    response = getattr(error.__cause__, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None


def exists(uri: str) -> bool:
    """Whether there is an object (or folder) at `uri`."""
    fs, path = open_filesystem(uri)
    with access(uri):
        try:
            fs.info(path)
        except FileNotFoundError:
            return False
    return True


def read_bytes(uri: str) -> bytes:
    """The whole object at `uri`."""
    fs, path = open_filesystem(uri)
    with access(uri):
        return bytes(fs.cat_file(path))


def read_many(uris: Sequence[str]) -> list[bytes]:
    """Whole objects, read side by side, in the order asked for."""
    opened = [open_filesystem(uri) for uri in uris]  # here, since fsspec may make a client for each thread that asks

    def read(uri: str, fs: Any, path: str) -> bytes:
        with access(uri):
            return bytes(fs.cat_file(path))

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, uris, *zip(*opened, strict=True))) if opened else []


def get_file(uri: str, local_path: str) -> None:
    """Copy the whole object at `uri` to a local file."""
    fs, path = open_filesystem(uri)
    with access(uri):
        fs.get_file(path, local_path)


def list_names(uri: str) -> list[str]:
    """Names of the objects and folders directly below a folder, sorted; none where there is no folder."""
    return sorted(list_sizes(uri))


def list_sizes(uri: str) -> dict[str, int]:
    """Bytes of the objects directly below a folder by name (0 for folders); none where there is no folder."""
    fs, path = open_filesystem(uri)
    with access(uri):
        try:
            found = fs.ls(path, detail=True)
        except FileNotFoundError:
            return {}
    # a store lists an object as if it were its own folder; a local folder may hold files not linked yet
    pairs = [(info["name"].rstrip("/").rpartition("/"), int(info["size"] or 0)) for info in found]
    folder = path.rstrip("/")
    return {name: size for (where, _, name), size in pairs if where == folder and not name.startswith(TEMPORARY)}


def modified(uri: str) -> datetime:
    """When the object last changed, by the store's own clock, in UTC. FileNotFoundError passes."""
    fs, path = open_filesystem(uri)
    with access(uri):
        time: datetime = fs.modified(path)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def create(uri: str, data: bytes) -> bool:
    """Create the object at `uri`, atomically and exclusively. False: there was one already."""
    with access(tempfile.gettempdir()), tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return create_from_file(uri, file.name)


def create_from_file(uri: str, local_path: str) -> bool:
    """Create the object at `uri` from a local file, atomically and exclusively. False: it existed.

    A reply that was lost can make our own object look like someone else's: after False, read it back.

    Raises:
        InputError: the store refuses, is full, or has no such bucket.
        TransientError: the store kept failing after all retries.
    """
    fs, path = open_filesystem(uri)
    protocols = _protocols(fs)
    if "file" in protocols:
        with access(uri):
            return _link(Path(path), local_path)
    put = next((EXCLUSIVE[name] for name in protocols if name in EXCLUSIVE), None)
    if put is None:
        raise ConfigError(f"{uri}: no exclusive create on {protocols[0]}; take another --root")
    if os.path.getsize(local_path) >= MAX_PUT_BYTES:
        raise InputError(f"{uri}: would be 5 GiB or more, which no store takes in one request; make smaller shards")
    with access(uri):
        try:
            put(fs, local_path, path)
        except FileNotFoundError as error:
            if exists(uri):
                return False  # gone only for the retry: an upload session that is over, its reply lost
            raise InputError(f"{uri}: {first_line(error)}; create the bucket or correct its name") from error
        except OSError as error:
            if isinstance(error, FileExistsError) or _code(error) == "PreconditionFailed":
                return False  # s3fs raises FileExistsError for Amazon's own wording only
            raise
    return True


def _put_on_s3(fs: Any, local_path: str, path: str) -> None:
    """In one request, never in parts: a store may let two win that complete their uploads at once."""
    fs.put_file(local_path, path, mode="create", chunksize=MAX_PUT_BYTES)


def _put_on_gcs(fs: Any, local_path: str, path: str) -> None:
    """In one request as well; `put_file` takes a resumable upload from 5 MiB on."""
    from gcsfs.core import simple_upload

    bucket, key, _ = fs.split_path(path)
    sync(fs.loop, simple_upload, fs, bucket, key, Path(local_path).read_bytes(), mode="create")


def _put_on_azure(fs: Any, local_path: str, path: str) -> None:
    """Blocks have random names, so that a commit can only name blocks of its own upload."""
    fs.put_file(local_path, path, overwrite=False)


# How each store creates an object and fails where there is one.
EXCLUSIVE: dict[str, Callable[[Any, str, str], None]] = {"s3": _put_on_s3, "gs": _put_on_gcs, "abfs": _put_on_azure}


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _link(path: Path, local_path: str) -> bool:
    """Local exclusive create: a synced temporary file in the folder, then link(2), then sync the folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError) as error:
        raise InputError(f"{path.parent}: cannot be made ({error.strerror}); take another --root") from error
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
    """Write a small object whole, over one that is there: for a lease's heartbeat and nothing else.

    A request that hung on its way can still arrive later, even after the object was replaced again or removed.
    """
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
