"""A server that plays bytes: what a test says is what goes over the socket."""

import asyncio
import base64
import json
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream
from http_request import take_request
from stream_cases import dated

_BULK = 65_536
_LARGEST = 1 << 30
"""Tests of large requests send tens of megabytes."""
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Wire:
    """One accepted connection's request, and the way to answer it."""

    stream: ByteStream
    head: bytes = b""
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    async def read_request(self) -> bool:
        """Read one request; False at the end of the connection."""
        inbox = bytearray()
        while (request := take_request(inbox, most=_LARGEST)) is None:
            try:
                inbox += await self.stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return False
        self.head, self.body = request.head, request.body
        return True

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            await self.stream.send(part)

    def reset(self) -> None:
        """Close with a TCP reset."""
        raw = self.stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Play = Callable[[Wire], Awaitable[bool | None]]
"""Answers one request; returns True to keep the connection."""


@dataclass
class Served:
    url: str
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    connections: int = 0


def data(payload: str) -> bytes:
    """One chunked SSE event."""
    return chunked(f"data: {payload}\n\n".encode())


def chunked(payload: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(payload), payload)


def delta(text: str) -> bytes:
    return data(json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}))


def chat_answer(*texts: str) -> list[bytes]:
    """A whole streamed answer: head, one event a text, finish, usage, end."""
    usage = {"prompt_tokens": 9, "completion_tokens": len(texts)}
    return [
        SSE,
        *(delta(text) for text in texts),
        data('{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'),
        data(json.dumps({"choices": [], "usage": usage})),
        data("[DONE]"),
        b"0\r\n\r\n",
    ]


@asynccontextmanager
async def serve(
    play: Play,
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    path: Path | None = None,
) -> AsyncIterator[Served]:
    """Serve on a free loopback port, or on a Unix socket at `path`."""
    if path is not None:
        listener: Any = _UnixListener(path)
        authority = "localhost"
    else:
        listener = await anyio.create_tcp_listener(local_host=host)
        port = listener.extra(SocketAttribute.local_port)
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    served = Served(f"http{'s' if tls else ''}://{authority}/v1")

    async def handle(raw: SocketStream) -> None:
        served.connections += 1
        async with raw:
            try:
                wire = Wire(raw if tls is None else await _encrypted(raw, tls))
                while await wire.read_request():
                    served.requests.append((wire.head, wire.body))
                    if not await play(wire):
                        return
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                return  # the client has left
            except anyio.EndOfStream:
                return  # in the handshake

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield served
        group.cancel_scope.cancel()


def payloads(frame: dict[str, Any]) -> Iterator[bytes]:
    """Yield what a frame sends; `repeat` says how often its bytes come, written in bulk."""
    piece = base64.b64decode(frame["bytes_b64"])
    left = frame.get("repeat", 1) if piece else 0
    at_once = max(1, _BULK // max(1, len(piece)))
    while left > 0:
        yield piece * min(left, at_once)
        left -= at_once


class _UnixListener:
    """anyio's own streams of Unix sockets cannot be cancelled in the moment of a read."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._socket.setblocking(False)

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_error: object) -> None:
        self._socket.close()

    async def serve(self, handle: Callable[[SocketStream], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as group:
            while True:
                accepted, _ = await loop.sock_accept(self._socket)
                group.start_soon(handle, await SocketStream.from_socket(accepted))


async def _encrypted(raw: SocketStream, tls: ssl.SSLContext) -> TLSStream:
    return await TLSStream.wrap(raw, server_side=True, ssl_context=tls, standard_compatible=False)


def play_case(case: dict[str, Any], frames: Sequence[dict[str, Any]] | None = None) -> Play:
    """Play a case of stream_cases.jsonl."""

    async def play(wire: Wire) -> bool:
        framing = case.get("framing", "chunked")
        if case["status"] and framing != "raw":
            await wire.send(_head(case, framing))
        for frame in case["frames"] if frames is None else frames:
            await anyio.sleep(frame["delay_ms"] / 1000)
            for payload in payloads(frame):
                await wire.send(chunked(payload) if framing == "chunked" else payload)
        if case["close"] == "clean" and framing == "chunked" and case["status"]:
            await wire.send(b"0\r\n\r\n")
        elif case["close"] == "stall":
            await anyio.sleep(30)
        elif case.get("reset_kind") == "rst":
            wire.reset()
        return False

    return play


def _head(case: dict[str, Any], framing: str) -> bytes:
    headers = dated(case["headers"], time.time())
    if framing == "length":
        headers["content-length"] = str(sum(len(p) for f in case["frames"] for p in payloads(f)))
    lines = [f"HTTP/1.1 {case['status']} X"]
    lines.extend(f"{name}: {value}" for name, value in headers.items())
    if framing == "chunked":
        lines.append("transfer-encoding: chunked")
    return "\r\n".join([*lines, "connection: close", "", ""]).encode()
