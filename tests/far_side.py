"""The far side of a connection: authorities, proxies, and what one exchange over it gave."""

import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trustme
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream
from transports import KINDS
from wire import Wire, chat_answer

from probes.kit.clock import SystemClock
from probes.transport import Connecting, Request, Transport
from probes.transport.failures import of_failure, words_of

HEADERS = {"Content-Type": "application/json"}
Handle = Callable[[SocketStream], Awaitable[None]]


class Steps:
    """Steps in their order, the first of each name."""

    def __init__(self) -> None:
        self.stamps: dict[str, int] = {}

    def reached(self, step: str, at_ns: int) -> None:
        self.stamps.setdefault(step, at_ns)


@dataclass
class Told:
    """What one exchange gave."""

    stamps: dict[str, int]
    status: int
    body: bytes
    http_version: str


@asynccontextmanager
async def transport_of(kind: str, **options: Any) -> AsyncIterator[Transport]:
    """A transport of a kind, which must have let go of everything at the end."""
    transport = KINDS[kind](SystemClock(), Connecting(**options))
    try:
        yield transport
    finally:
        await transport.aclose()
        assert transport.open_sockets == 0


async def failure(kind: str, url: str, **options: Any) -> tuple[str, str]:
    """Return reason and words of an exchange that fails, and would be tried again."""
    async with transport_of(kind, **options) as transport:
        with pytest.raises((httpx.HTTPError, OSError)) as caught:
            await post(transport, url)
        assert transport.open_sockets == 0
    verdict = of_failure(caught.value)
    assert verdict.outcome in ("protocol_error", "timeout")
    assert verdict.retryable
    return verdict.reason, words_of(caught.value, verdict.reason)


async def post(transport: Transport, url: str, body: bytes = b"{}") -> Told:
    """Send one request and read its answer to the end."""
    steps = Steps()
    parts: list[bytes] = []
    request = Request(url + "/chat/completions", HEADERS, body)
    with anyio.fail_after(20):  # a defect that hangs must fail
        async with transport.exchange(request, steps) as exchange:
            await exchange.read_body(lambda data, *_: parts.append(data))
    return Told(steps.stamps, exchange.status, b"".join(parts), exchange.http_version)


async def good(wire: Wire) -> bool:
    await wire.send(*chat_answer("a", "b"))
    return True


def server_context(
    authority: trustme.CA, name: str = "localhost", *, expired: bool = False
) -> ssl.SSLContext:
    """A server's side, with a certificate for `name`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ended = datetime(2026, 11, 1, tzinfo=UTC) if expired else None
    authority.issue_cert(name, not_after=ended).configure_cert(context)
    return context


def authority_file(authority: trustme.CA, folder: Path) -> str:
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


def own_files(authority: trustme.CA, folder: Path) -> tuple[str, str]:
    """A client's certificate and its key."""
    issued = authority.issue_cert("us@example.org")
    cert, key = folder / "own.pem", folder / "own.key"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    return str(cert), str(key)


@asynccontextmanager
async def listening(handle: Handle) -> AsyncIterator[int]:
    """Serve connections with `handle`; gives the port."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def guarded(stream: SocketStream) -> None:
        async with stream:
            try:
                await handle(stream)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # the client has left

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, guarded)
        yield listener.extra(SocketAttribute.local_port)
        group.cancel_scope.cancel()


@asynccontextmanager
async def handshakes(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A server that shakes hands, and tells by an alert why it does not; gives its port."""

    async def handle(stream: SocketStream) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_side=True)
        done = False
        while not done:
            try:
                session.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                if outgoing.pending:
                    await stream.send(outgoing.read())
                incoming.write(await stream.receive())
            except ssl.SSLError:
                done = True
            if outgoing.pending:
                await stream.send(outgoing.read())
        await stream.send_eof()
        while True:  # what is left unread would make the end a reset, and lose the alert
            await stream.receive()

    async with listening(handle) as port:
        yield port


@dataclass
class Proxied:
    """A proxy at work."""

    port: int = 0
    asked: list[bytes] = field(default_factory=list)
    """What it was asked, each connection's."""


async def relay(client: ByteStream, host: str, port: int, first: bytes = b"") -> None:
    """Pass bytes between a client and a server, `first` ahead of all, until one of them leaves."""

    async def pump(source: ByteStream, sink: ByteStream) -> None:
        try:
            while True:
                await sink.send(await source.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            group.cancel_scope.cancel()

    async with (
        await anyio.connect_tcp(host, port) as upstream,
        anyio.create_task_group() as group,
    ):
        if first:
            await upstream.send(first)
        group.start_soon(pump, client, upstream)
        group.start_soon(pump, upstream, client)


@asynccontextmanager
async def http_proxy(
    *,
    answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n",
    delay_s: float = 0.0,
    tls: ssl.SSLContext | None = None,
    byte_by_byte: bool = False,
) -> AsyncIterator[Proxied]:
    """A proxy that tunnels on CONNECT, and forwards to the URL of any other request."""
    proxied = Proxied()

    async def handle(raw: SocketStream) -> None:
        stream: ByteStream = raw
        if tls is not None:
            stream = await TLSStream.wrap(
                raw, server_side=True, ssl_context=tls, standard_compatible=False
            )
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive()
        proxied.asked.append(head)
        method, target, _ = head.split(b" ", 2)
        await anyio.sleep(delay_s)
        if method != b"CONNECT":
            await forward(stream, target, head)
            return
        for part in [bytes([byte]) for byte in answer] if byte_by_byte else [answer]:
            await stream.send(part)
            await anyio.sleep(0.001 if byte_by_byte else 0)
        if b" 200 " in answer:
            host, _, port = target.decode().rpartition(":")
            await relay(stream, host.strip("[]"), int(port))

    async def forward(stream: ByteStream, target: bytes, head: bytes) -> None:
        host, _, port = target.split(b"/")[2].decode().rpartition(":")
        await relay(stream, host.strip("[]"), int(port), head)

    async with listening(handle) as proxied.port:
        yield proxied


@asynccontextmanager
async def socks_proxy(
    *, reply: int = 0, password: tuple[bytes, bytes] | None = None, byte_by_byte: bool = False
) -> AsyncIterator[Proxied]:
    """A SOCKS 5 proxy that answers the request with `reply`."""
    proxied = Proxied()

    async def handle(stream: SocketStream) -> None:
        async def say(data: bytes) -> None:
            for part in [bytes([byte]) for byte in data] if byte_by_byte else [data]:
                await stream.send(part)
                await anyio.sleep(0.001 if byte_by_byte else 0)

        methods = (await stream.receive())[2:]
        if password is not None:
            if 2 not in methods:
                await say(b"\x05\xff")
                return
            await say(b"\x05\x02")
            said = await stream.receive()
            user, secret = password
            right = b"\x01%c%b%c%b" % (len(user), user, len(secret), secret)
            await say(b"\x01\x00" if said == right else b"\x01\x01")
            if said != right:
                return
        else:
            await say(b"\x05\x00")
        asked = await stream.receive()
        proxied.asked.append(asked)
        await say(bytes([5, reply, 0, 1, 127, 0, 0, 1, 0, 0]))
        if reply == 0:
            await relay(stream, *_asked_for(asked))

    async with listening(handle) as proxied.port:
        yield proxied


def _asked_for(asked: bytes) -> tuple[str, int]:
    (port,) = struct.unpack("!H", asked[-2:])
    if asked[3] == 1:
        return ".".join(map(str, asked[4:8])), port
    assert asked[3] == 3
    return asked[5:-2].decode(), port
