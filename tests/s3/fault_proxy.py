"""A proxy that breaks requests to a real server on the way, by a seeded share of each kind of fault.

    with FaultProxy("http://127.0.0.1:8333", {"slow_down": 0.05}, seed=1) as proxy:
        ...  # talk to proxy.endpoint
    proxy.injected  # {"slow_down": 7}

Kinds: `slow_down` and `error_500` answer for the server. `reset` cuts the connection hard, in the middle of
the request or of the answer. `truncate` closes it in the middle of the answer, as if that were the end.
`stall` keeps still for `stall_seconds`, before the request is passed on or in the middle of the answer.
`lost_reply` lets the server do its work and tells nobody.

The Host header stays as it is, so signatures stay valid. Requests and answers are held in memory whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Collection, Coroutine, Mapping
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

Kind = Literal["slow_down", "error_500", "reset", "stall", "truncate", "lost_reply"]
T = TypeVar("T")
EXPECT = re.compile(rb"expect: *100-continue\r\n", re.IGNORECASE)
HEAD_BYTES = 2**16
# An error of S3, in its own words.
ERRORS = {
    "slow_down": ("503 Service Unavailable", "SlowDown", "Please reduce your request rate."),
    "error_500": ("500 Internal Server Error", "InternalError", "We encountered an internal error."),
}


class Message(NamedTuple):
    """A request or an answer: its first line and headers as they were sent, and its body likewise."""

    head: bytes
    body: bytes

    @property
    def first_words(self) -> list[str]:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)


class FaultProxy:
    """Listens on a free loopback port for the time of a `with` block. `methods`: break only these."""

    seconds_away: float = 0.0
    """That every request is on its way."""

    def __init__(
        self,
        upstream: str,
        faults: Mapping[Kind, float],
        *,
        seed: int,
        stall_seconds: float = 30.0,
        methods: Collection[str] = (),
    ) -> None:
        address = urlsplit(upstream)
        self._upstream = (address.hostname or "127.0.0.1", address.port or 80)
        self.faults, self.methods, self.stall_seconds = dict(faults), frozenset(methods), stall_seconds
        self.injected: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_BYTES))
        self.endpoint = "http://{}:{}".format(*self._server.sockets[0].getsockname())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _stop(self) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                while await self._exchange(reader, writer):
                    pass
        except asyncio.CancelledError:
            pass  # the proxy stops
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer, as it should be or not; False when the connection is over."""
        head = await reader.readuntil(b"\r\n\r\n")
        method = head.split(b" ", 1)[0].decode()
        kind = self._draw(method)
        self.requests[method] += 1
        early = self._random.random() < 0.5  # in the request, not in the answer
        if kind == "reset" and early:
            return _reset(writer)  # what was sent of the body is not looked at
        if EXPECT.search(head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = Message(EXPECT.sub(b"", head), await _read_body(reader, head))
        await asyncio.sleep(self.seconds_away)
        if kind in ERRORS:
            return await _send(writer, _error(kind, method))
        if kind == "stall" and early:
            await asyncio.sleep(self.stall_seconds)
        answer = await self._ask(request)
        if kind == "lost_reply":
            return False
        if kind in ("reset", "truncate", "stall"):
            return await self._break(kind, writer, answer)
        return await _send(writer, answer)

    def _draw(self, method: str) -> Kind | None:
        place = self._random.random()
        if self.methods and method not in self.methods:
            return None
        for kind, share in self.faults.items():
            if place < share:
                self.injected[kind] += 1
                return kind
            place -= share
        return None

    async def _ask(self, request: Message) -> Message:
        """What the server says, on a connection of its own."""
        reader, writer = await asyncio.open_connection(*self._upstream, limit=HEAD_BYTES)
        try:
            await _send(writer, request)
            head = await reader.readuntil(b"\r\n\r\n")
            status = head.split(b" ", 2)[1]
            bodiless = request.first_words[0] == "HEAD" or status in (b"204", b"304")
            return Message(head, b"" if bodiless else await _read_body(reader, head))
        finally:
            writer.close()

    async def _break(self, kind: Kind, writer: asyncio.StreamWriter, answer: Message) -> bool:
        """Half of the body, or of the head where there is no body, and then no more, or much later."""
        data = answer.head + answer.body
        cut = len(answer.head) + len(answer.body) // 2 if len(answer.body) > 1 else len(data) // 2
        writer.write(data[:cut])
        await writer.drain()
        if kind == "stall":
            await asyncio.sleep(self.stall_seconds)
            writer.write(data[cut:])
            await writer.drain()
            return True
        if kind == "reset":
            await asyncio.sleep(0.01)  # a reset overtakes what was sent just before
            return _reset(writer)
        return False


def _reset(writer: asyncio.StreamWriter) -> bool:
    """Close with RST, without a word."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


async def _send(writer: asyncio.StreamWriter, message: Message) -> bool:
    writer.write(message.head + message.body)
    await writer.drain()
    return True


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """The body that a head announces, chunks as they came."""
    headers = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"chunked" not in headers.get(b"transfer-encoding", b""):
        return await reader.readexactly(int(headers.get(b"content-length", b"0")))
    pieces = [b""]
    while pieces[-1] != b"0\r\n":
        pieces.append(await reader.readuntil(b"\r\n"))
        if size := int(pieces[-1].split(b";")[0], 16):
            pieces.append(await reader.readexactly(size + 2))
    while pieces[-1] != b"\r\n":  # trailing headers, then an empty line
        pieces.append(await reader.readuntil(b"\r\n"))
    return b"".join(pieces)


def _error(kind: str, method: str) -> Message:
    status, code, text = ERRORS[kind]
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return Message(head.encode(), b"" if method == "HEAD" else body)
