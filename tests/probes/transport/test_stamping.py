"""The stamping transport over real sockets: as an engine's, and as httpx's own."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute
from far_side import HEADERS, Steps
from wire import SSE, Wire, chat_answer, chunked, serve

from probes.kit.clock import SystemClock
from probes.transport import Connecting, Request, StampingTransport, kernel_stamps
from probes.transport.connection import MAX_HELD

pytestmark = pytest.mark.anyio

MS = 1_000_000
FOLDER = Path("/proc/self/fd")


@dataclass
class Told:
    """What one exchange gave."""

    stamps: dict[str, int]
    status: int
    headers: dict[str, str]
    headers_exact: bool
    reads: list[tuple[bytes, int, bool, Sequence[int]]]
    end_ns: int

    @property
    def body(self) -> bytes:
        return b"".join(data for data, *_ in self.reads)


async def post(transport: StampingTransport, url: str, body: bytes = b"{}") -> Told:
    steps = Steps()
    reads: list[tuple[bytes, int, bool, Sequence[int]]] = []
    async with transport.exchange(Request(url + "/chat", HEADERS, body), steps) as exchange:
        end_ns = await exchange.read_body(lambda *read: reads.append(read))
    return Told(
        steps.stamps,
        exchange.status,
        dict(exchange.headers),
        exchange.headers_exact,
        reads,
        end_ns,
    )


@asynccontextmanager
async def transport_of(**options: Any) -> AsyncIterator[StampingTransport]:
    transport = StampingTransport(SystemClock(), Connecting(**options))
    try:
        yield transport
    finally:
        await transport.aclose()
        assert transport.open_sockets == 0


async def closed(transport: StampingTransport) -> None:
    """Return when the transport has noticed that its connection ended."""
    with anyio.fail_after(5):
        while transport.open_sockets:  # noqa: ASYNC110 - a transport tells nobody
            await anyio.sleep(0.001)


def descriptors() -> int:
    return len(list(FOLDER.iterdir()))


async def good(wire: Wire) -> bool:
    await wire.send(*chat_answer("a", "b"))
    return True


async def test_the_second_request_goes_over_the_same_connection() -> None:
    async with serve(good) as server, transport_of() as transport:
        cold, warm = await post(transport, server.url), await post(transport, server.url)
        assert (server.connections, transport.open_sockets) == (1, 1)
    assert list(cold.stamps) == ["started", "tcp", "sent", "headers"]
    assert list(warm.stamps) == ["started", "sent", "headers"]
    assert warm.body == cold.body
    assert transport.reads >= 2


async def test_without_reuse_each_request_has_a_connection_of_its_own() -> None:
    async with serve(good) as server, transport_of(reuse=False) as transport:
        for _ in range(2):
            told = await post(transport, server.url)
            assert "tcp" in told.stamps
            assert transport.open_sockets == 0
        assert server.connections == 2


async def test_a_name_is_resolved_before_it_is_dialled() -> None:
    async with serve(good) as server, transport_of() as transport:
        told = await post(transport, server.url.replace("127.0.0.1", "localhost"))
    assert list(told.stamps) == ["started", "dns", "tcp", "sent", "headers"]
    assert list(told.stamps.values()) == sorted(told.stamps.values())


@pytest.mark.skipif(not kernel_stamps(), reason="this kernel does not stamp arrivals")
async def test_arrivals_do_not_care_how_late_we_read() -> None:
    sent_ns: list[int] = []
    clock = SystemClock()

    async def play(wire: Wire) -> bool:
        await wire.send(SSE)
        await anyio.sleep(0.03)
        sent_ns.append(clock.monotonic_ns())
        await wire.send(chunked(b"data: x\n\n"))
        until_ns = clock.monotonic_ns() + 30 * MS
        while clock.monotonic_ns() < until_ns:  # the loop we share is busy
            pass
        await anyio.sleep(0.01)
        await wire.send(b"0\r\n\r\n")
        return True

    async with serve(play) as server, transport_of() as transport:
        told = await post(transport, server.url)
        assert transport.clock_source == "kernel"
    arrived_ns = next(at_ns for data, at_ns, *_ in told.reads if data)
    assert -1 * MS < arrived_ns - sent_ns[0] < 10 * MS
    assert told.end_ns - sent_ns[0] > 25 * MS


async def test_a_read_says_whether_more_than_body_came_with_it() -> None:
    async def together(wire: Wire) -> bool:
        await wire.send(SSE)
        await anyio.sleep(0.02)
        await wire.send(chunked(b"data: x\n\n") + b"0\r\n\r\n")
        return True

    async with serve(together) as server, transport_of() as transport:
        told = await post(transport, server.url)
    assert [(data, trailed) for data, _, trailed, _ in told.reads] == [(b"data: x\n\n", True)]
    assert told.headers_exact


async def test_a_read_says_where_the_chunks_begin_that_it_merged() -> None:
    async def play(wire: Wire) -> None:
        await wire.send(SSE)
        await anyio.sleep(0.05)  # or the head would come with the body
        await wire.send(b"".join([chunked(b"data: x\n"), chunked(b"\n"), chunked(b"data: y\n\n")]))
        await wire.send(b"0\r\n\r\n")

    async with serve(play) as server, transport_of() as transport:
        told = await post(transport, server.url)
    data, _, _, cuts = told.reads[0]
    assert data == b"data: x\n\ndata: y\n\n"
    assert list(cuts) == [8, 9]


async def test_a_head_that_came_with_its_body_is_not_exact() -> None:
    async def at_once(wire: Wire) -> bool:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
        return True

    async with serve(at_once) as server, transport_of() as transport:
        assert not (await post(transport, server.url)).headers_exact


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again() -> None:
    async def once(wire: Wire) -> bool:
        await good(wire)
        return False

    async with serve(once) as server, transport_of() as transport:
        await post(transport, server.url)
        await closed(transport)
        assert "tcp" in (await post(transport, server.url)).stamps
        assert server.connections == 2


async def test_a_server_that_speaks_unasked_loses_its_connection() -> None:
    async def chatty(wire: Wire) -> bool:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
        await anyio.sleep(0.02)
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb")
        return True

    async with serve(chatty) as server, transport_of() as transport:
        assert (await post(transport, server.url)).body == b"a"
        await closed(transport)


async def test_an_answer_that_is_not_read_to_its_end_closes_the_connection() -> None:
    async with serve(good) as server, transport_of() as transport:
        async with transport.exchange(Request(server.url, HEADERS, b"{}"), Steps()) as exchange:
            assert exchange.status == 200
        assert transport.open_sockets == 0


async def test_cancelling_closes_the_connection_at_once() -> None:
    async def silent(wire: Wire) -> bool:
        await anyio.sleep(30)
        return True

    async with serve(silent) as server, transport_of() as transport:
        with anyio.move_on_after(0.05) as scope:
            await post(transport, server.url)
        assert scope.cancelled_caught
        assert transport.open_sockets == 0


@asynccontextmanager
async def listening(
    handle: Callable[[anyio.abc.SocketStream], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve connections with `handle`; gives the port."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield listener.extra(SocketAttribute.local_port)
        group.cancel_scope.cancel()


async def test_an_early_refusal_is_heard_although_the_request_is_not_wholly_written() -> None:
    async def refuse(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive(10)
            await stream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            await anyio.sleep(0.2)

    async with listening(refuse) as port, transport_of() as transport:
        told = await post(transport, f"http://127.0.0.1:{port}", b"x" * 30_000_000)
        assert (told.status, told.body, transport.open_sockets) == (413, b"no", 0)
        assert told.stamps["sent"] >= told.stamps["headers"] - 5 * MS


async def test_a_large_request_is_written_whole() -> None:
    async with serve(good) as server, transport_of() as transport:
        await post(transport, server.url, b"x" * 5_000_000)
        assert len(server.requests[0][1]) == 5_000_000


async def test_an_error_of_the_sink_reaches_whoever_reads() -> None:
    def sink(*_read: object) -> None:
        raise KeyError("ours")

    async with serve(good) as server, transport_of() as transport:
        request = Request(server.url, HEADERS, b"{}")
        with pytest.raises(KeyError, match="ours"):
            async with transport.exchange(request, Steps()) as exchange:
                await exchange.read_body(sink)
        assert transport.open_sockets == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_a_refused_connection_says_what_the_system_said(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with transport_of() as transport:
        with pytest.raises(httpx.ConnectError) as caught:
            await post(transport, f"http://{host}:{port}")
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_name_that_does_not_exist_is_a_failure_of_resolving() -> None:
    async with transport_of() as transport:
        with pytest.raises(httpx.ConnectError) as caught:
            await post(transport, "http://no-such-host.invalid")
    assert isinstance(caught.value.__cause__, socket.gaierror)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no /proc: descriptors cannot be counted")
async def test_no_descriptor_is_left_whatever_becomes_of_an_exchange() -> None:
    async def mixed(wire: Wire) -> bool:
        number = len(server.requests) % 4
        if number == 0:
            return await good(wire)
        if number == 1:
            await wire.send(SSE, chunked(b"data: x"))
            wire.reset()
        if number == 2:
            await anyio.sleep(0.01)
        return False

    before = descriptors()
    async with serve(mixed) as server, transport_of() as transport:
        for _ in range(100):
            with anyio.move_on_after(0.005):
                try:
                    await post(transport, server.url)
                except httpx.TransportError:
                    continue
    assert descriptors() <= before


async def test_a_reader_that_is_slow_stops_the_socket_not_the_memory() -> None:
    size = 40 * MAX_HELD

    async def flood(wire: Wire) -> bool:
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(40):
            await wire.send(b"x" * MAX_HELD)
        return True

    async with serve(flood) as server:
        transport = StampingTransport(SystemClock())
        request = Request(server.url, {}, b"x")
        sizes: list[int] = []
        async with transport.exchange(request, Steps()) as exchange:
            await anyio.sleep(0.2)
            connection = transport._connection
            assert connection is not None
            assert connection._held_size <= 2 * MAX_HELD
            await exchange.read_body(lambda data, *_: sizes.append(len(data)))
        await transport.aclose()
    assert sum(sizes) == size
