"""What httpx's transport tells of an exchange, through proxies and on connections that break."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from httpcore._backends.anyio import AnyIOStream
from wire import Wire, chat_answer, serve

from probes.clock import SystemClock
from probes.transport import HttpxTransport, Request, pooled
from probes.transport.pooled import environment_proxy

pytestmark = pytest.mark.anyio

HEADERS = {"Content-Type": "application/json"}


class Steps:
    """Steps in their order, the first of each name."""

    def __init__(self) -> None:
        self.stamps: dict[str, int] = {}

    def reached(self, step: str, at_ns: int) -> None:
        self.stamps.setdefault(step, at_ns)


async def post(transport: HttpxTransport, url: str) -> tuple[Steps, int]:
    """Send one request and read its answer to the end; return its steps and its size."""
    steps = Steps()
    request = Request(url + "/chat/completions", HEADERS, b"{}")
    async with transport.exchange(request, steps) as exchange:
        parts: list[bytes] = []
        await exchange.read_body(lambda data, *_: parts.append(data))
    return steps, len(b"".join(parts))


@asynccontextmanager
async def tunnel_proxy(answer: bytes, delay_s: float, target: int) -> AsyncIterator[str]:
    """A proxy that answers CONNECT after a while and then passes bytes on."""

    async def pump(source: ByteStream, sink: ByteStream) -> None:
        try:
            while True:
                await sink.send(await source.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async def handle(client: SocketStream) -> None:
        async with client:
            await client.receive()
            await anyio.sleep(delay_s)
            await client.send(answer)
            if b" 200 " not in answer:
                return
            async with (
                await anyio.connect_tcp("127.0.0.1", target) as upstream,
                anyio.create_task_group() as group,
            ):
                group.start_soon(pump, client, upstream)
                await pump(upstream, client)
                group.cancel_scope.cancel()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        group.cancel_scope.cancel()
    await listener.aclose()


def pretend_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the handshake, so that a tunnel can be had without a certificate."""

    async def start_tls(stream: AnyIOStream, *_given: object, **_named: object) -> AnyIOStream:
        return stream

    monkeypatch.setattr(AnyIOStream, "start_tls", start_tls)


async def play(wire: Wire) -> bool:
    await anyio.sleep(0.05)
    await wire.send(*chat_answer("a"))
    return True


async def test_the_request_inside_a_tunnel_is_stamped_not_the_one_for_the_tunnel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend_tls(monkeypatch)
    async with serve(play) as server:
        port = httpx.URL(server.url).port
        assert port is not None
        async with tunnel_proxy(b"HTTP/1.1 200 ok\r\n\r\n", 0.1, port) as proxy:
            transport = HttpxTransport(SystemClock(), proxy=proxy)
            cold, _ = await post(transport, f"https://127.0.0.1:{port}/v1")
            warm, _ = await post(transport, f"https://127.0.0.1:{port}/v1")
            await transport.aclose()
    order = ["started", "tcp", "tls", "sent", "headers"]
    assert sorted(cold.stamps, key=cold.stamps.__getitem__) == order
    assert cold.stamps["sent"] - cold.stamps["tcp"] > 90_000_000
    assert list(warm.stamps) == ["started", "sent", "headers"]


async def test_a_proxy_that_refuses_is_named() -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    async with tunnel_proxy(answer, 0.0, 1) as proxy:
        transport = HttpxTransport(SystemClock(), proxy=proxy)
        with pytest.raises(httpx.ProxyError, match="407"):
            await post(transport, "https://127.0.0.1:9/v1")
        assert transport.open_sockets == 0
        await transport.aclose()


@pytest.mark.parametrize("proxy", ["ftp://proxy.example:21", "foo:bar:baz"])
async def test_a_proxy_that_cannot_be_used_fails_requests_and_nothing_else(proxy: str) -> None:
    transport = HttpxTransport(SystemClock(), proxy=proxy)
    with pytest.raises(httpx.ProxyError, match="cannot be used"):
        await post(transport, "http://127.0.0.1:9/v1")
    await transport.aclose()


def test_a_proxy_without_a_scheme_is_an_http_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "proxy.example:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert environment_proxy("http://api.example/v1") == "http://proxy.example:3128"
    assert environment_proxy("http://127.0.0.1:8000/v1") is None
    assert environment_proxy("http://[::1]:8000/v1") is None


async def test_a_host_name_that_idna_forbids_is_a_bad_url() -> None:
    transport = HttpxTransport(SystemClock())
    with pytest.raises(httpx.InvalidURL):
        await post(transport, "http://xn--/v1")
    await transport.aclose()


async def test_a_failed_handshake_leaves_no_open_socket() -> None:
    transport = HttpxTransport(SystemClock())
    async with tunnel_proxy(b"HTTP/1.1 400 Bad Request\r\n\r\n", 0.0, 1) as url:
        with pytest.raises(httpx.TransportError):
            await post(transport, url.replace("http:", "https:"))
        assert transport.open_sockets == 0
        await transport.aclose()


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n", 0),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n", 0),
    ],
)
async def test_a_connection_that_the_server_ends_is_not_counted_as_open(
    head: bytes, kept: int
) -> None:
    async def answer(wire: Wire) -> bool:
        await wire.send(head + b"ok")
        return True

    transport = HttpxTransport(SystemClock())
    async with serve(answer) as server:
        _, size = await post(transport, server.url)
        assert (size, transport.open_sockets) == (2, kept)
        await transport.aclose()


async def test_redirects_are_not_followed() -> None:
    async def answer(wire: Wire) -> bool:
        await wire.send(
            b"HTTP/1.1 307 T\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
        )
        return True

    transport = HttpxTransport(SystemClock())
    async with serve(answer) as server:
        steps = Steps()
        request = Request(server.url + "/chat/completions", HEADERS, b"{}")
        async with transport.exchange(request, steps) as exchange:
            assert exchange.status == 307
            parts: list[bytes] = []
            await exchange.read_body(lambda data, *_: parts.append(data))
            assert parts == []
        await transport.aclose()
    assert server.connections == 1


def test_all_transports_share_one_tls_context() -> None:
    shared = pooled.shared_ssl_context
    assert shared() is shared()
