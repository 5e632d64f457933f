"""S3 for fsspec, with one bounded retry loop around every request and the whole body of its answer."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from typing import Any

from botocore.exceptions import ClientError, IncompleteReadError
from fsspec.asyn import sync_wrapper
from s3fs import S3FileSystem
from s3fs.errors import translate_boto_error
from tenacity import AsyncRetrying

from theta_ray import retries

RANGE_BYTES = 2**25


class S3(S3FileSystem):
    """s3fs, but a request counts as answered once its body is there, as long as the store said it is.

    Open files, listings, uploads and downloads all end in `_call_s3`, so they all survive the same faults.
    """

    retries = 1  # s3fs has a loop inside a loop, without jitter; botocore's begins with a second

    def _prepare_config_kwargs(self) -> dict[str, Any]:
        ours = {
            "connect_timeout": retries.CONNECT_SECONDS,
            "read_timeout": retries.READ_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": 1},
        }
        return {**ours, **self.config_kwargs}

    async def _call_s3(self, method: str, *options: dict[str, Any], **arguments: Any) -> Any:
        await self.set_session()
        function = getattr(await self.get_s3(arguments.get("Bucket")), method)
        arguments = self._get_s3_method_kwargs(function, *options, **arguments)
        uri = "/".join(["s3:/", *(arguments[name] for name in ("Bucket", "Key", "Prefix") if arguments.get(name))])
        try:
            return await AsyncRetrying(**retries.policy(uri))(_answer, function, arguments)
        except ClientError as error:
            raise translate_boto_error(error) from error

    call_s3 = sync_wrapper(_call_s3)

    async def _cat_file(self, path: str, **options: Any) -> bytes:
        # s3fs asks for the size first where it may fetch parts side by side: twice the requests
        return bytes(await super()._cat_file(path, **{"max_concurrency": 1, **options}))

    async def _get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        """Download in ranges, which fit into memory and are repeated one by one; all of one version."""
        if os.path.isdir(lpath):
            return
        info = await self._info(rpath)
        bucket, key, _version = self.split_path(rpath)
        with open(lpath, "wb") as file:
            for start in range(0, info["size"], RANGE_BYTES):
                part = f"bytes={start}-{min(start + RANGE_BYTES, info['size']) - 1}"
                answer = await self._call_s3("get_object", Bucket=bucket, Key=key, Range=part, IfMatch=info["ETag"])
                file.write(await answer["Body"].read())

    async def _isfile(self, path: str) -> bool:
        # fsspec takes any error for a no, a store that is down too
        try:
            return bool((await self._info(path))["type"] == "file")
        except FileNotFoundError:
            return False


@cache
def of_process(pid: int) -> S3:
    """The one file system of a process, for all its threads; fsspec would make a client for each."""
    return S3(use_listings_cache=False, skip_instance_cache=True)


class _Body:
    """A body that was read, as s3fs expects it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        return self._data

    def close(self) -> None:
        pass


async def _answer(function: Any, arguments: dict[str, Any]) -> Any:
    """One attempt. aiohttp's read timeout begins when the request was sent: the time to send it is limited here."""
    async with asyncio.timeout(_seconds(len(arguments.get("Body") or b""))):
        answer = await function(**arguments)
    body = answer.get("Body")
    if body is None:
        return answer
    promised = answer["ContentLength"]
    try:
        async with asyncio.timeout(_seconds(promised)):
            data = await body.read()
    finally:
        body.close()
    if len(data) != promised:
        raise IncompleteReadError(actual_bytes=len(data), expected_bytes=promised)
    return {**answer, "Body": _Body(data)}


def _seconds(num_bytes: int) -> float:
    return retries.CONNECT_SECONDS + 2 * retries.READ_SECONDS + num_bytes / retries.SLOWEST_BYTES_PER_SECOND
