"""HTTP/2 through httpx's transport: agreed on over TLS, spoken unasked without."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import h2.config
import h2.connection
import h2.events
import httpx
import pytest
import trustme
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSStream
from far_side import (
    authority_file,
    failure,
    good,
    http_proxy,
    listening,
    post,
    server_context,
    transport_of,
)
from wire import serve

from probes.config import Tls
from probes.config.proxies import read_proxy
from probes.transport.failures import end_of_body

pytestmark = pytest.mark.anyio

BODY = b"data: {}\n\n"


class Server:
    """One HTTP/2 connection's server side."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.session = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )

    async def flush(self) -> None:
        await self.stream.send(self.session.data_to_send())


Answer = Callable[[Server, int], Awaitable[None]]


async def whole(server: Server, number: int) -> None:
    server.session.send_headers(number, [(":status", "200"), ("content-type", "text/plain")])
    for _ in range(3):
        server.session.send_data(number, BODY)
        await server.flush()
        await anyio.sleep(0.002)
    server.session.end_stream(number)
    await server.flush()


async def reset_before(server: Server, number: int) -> None:
    server.session.reset_stream(number, 7)
    await server.flush()


async def reset_within(server: Server, number: int) -> None:
    server.session.send_headers(number, [(":status", "200")])
    server.session.send_data(number, BODY)
    await server.flush()
    await anyio.sleep(0.02)
    server.session.reset_stream(number, 2)
    await server.flush()


async def leave_within(server: Server, number: int) -> None:
    server.session.send_headers(number, [(":status", "200")])
    server.session.send_data(number, BODY)
    await server.flush()
    await server.stream.aclose()


async def leave_before(server: Server, number: int) -> None:
    await server.stream.aclose()


async def say_goodbye(server: Server, number: int) -> None:
    server.session.close_connection(2)
    await server.flush()


@asynccontextmanager
async def serve_h2(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def handle(raw: SocketStream) -> None:
        stream: ByteStream = raw
        if tls is not None:
            stream = await TLSStream.wrap(
                raw, server_side=True, ssl_context=tls, standard_compatible=False
            )
        server = Server(stream)
        server.session.initiate_connection()
        await server.flush()
        while server.session.state_machine.state is not h2.connection.ConnectionState.CLOSED:
            for event in server.session.receive_data(await stream.receive()):
                if isinstance(event, h2.events.StreamEnded):
                    await answer(server, event.stream_id)
            await server.flush()

    async with listening(handle) as port:
        yield port


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def offering(authority: trustme.CA) -> ssl.SSLContext:
    context = server_context(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def test_it_is_agreed_on_over_tls(authority: trustme.CA, tmp_path: Path) -> None:
    setting = Tls(ca_file=authority_file(authority, tmp_path))
    async with (
        serve_h2(whole, offering(authority)) as port,
        transport_of("httpx", http2=True, tls=setting) as transport,
    ):
        cold = await post(transport, f"https://localhost:{port}")
        warm = await post(transport, f"https://localhost:{port}")
        assert (transport.open_sockets, transport.clock_source) == (1, "user")
    assert (cold.http_version, cold.body) == ("HTTP/2", 3 * BODY)
    assert list(cold.stamps) == ["started", "dns", "tcp", "tls", "sent", "headers"]
    assert list(warm.stamps) == ["started", "sent", "headers"]


async def test_a_server_that_does_not_agree_is_spoken_to_in_http_1(
    authority: trustme.CA, tmp_path: Path
) -> None:
    setting = Tls(ca_file=authority_file(authority, tmp_path))
    async with (
        serve(good, tls=server_context(authority)) as server,
        transport_of("httpx", http2=True, tls=setting) as transport,
    ):
        told = await post(transport, server.url.replace("127.0.0.1", "localhost"))
    assert (told.http_version, told.status) == ("HTTP/1.1", 200)


async def test_who_is_not_asked_for_it_is_not_offered_it(
    authority: trustme.CA, tmp_path: Path
) -> None:
    setting = Tls(ca_file=authority_file(authority, tmp_path))
    context = offering(authority)
    for kind in ("httpx", "stamping"):
        async with (
            serve(good, tls=context) as server,
            transport_of(kind, tls=setting) as transport,
        ):
            told = await post(transport, server.url.replace("127.0.0.1", "localhost"))
            assert told.http_version == "HTTP/1.1"


@pytest.mark.parametrize("reuse", [True, False])
async def test_over_plain_http_it_is_spoken_unasked(reuse: bool) -> None:
    async with (
        serve_h2(whole) as port,
        transport_of("httpx", http2=True, http1=False, reuse=reuse) as transport,
    ):
        for number in range(2):
            told = await post(transport, f"http://127.0.0.1:{port}")
            assert told.http_version == "HTTP/2"
            assert ("tcp" in told.stamps) == (number == 0 or not reuse)
            assert transport.open_sockets == int(reuse)


async def test_it_goes_through_a_tunnel() -> None:
    async with serve_h2(whole) as port, http_proxy() as proxied:
        proxy = read_proxy(f"http://127.0.0.1:{proxied.port}")
        async with transport_of("httpx", http2=True, http1=False, proxy=proxy) as transport:
            assert (await post(transport, f"http://127.0.0.1:{port}")).http_version == "HTTP/2"
        assert proxied.asked[0].startswith(b"CONNECT ")


async def test_a_server_that_speaks_only_http_1_is_no_fault_of_ours() -> None:
    async def plain(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        while True:
            await stream.receive()

    async with listening(plain) as port:
        reason, words = await failure("httpx", f"http://127.0.0.1:{port}", http2=True, http1=False)
    assert reason == "protocol"
    assert words.startswith("the server speaks no HTTP/2")


@pytest.mark.parametrize("answer", [reset_before, leave_before, say_goodbye])
async def test_a_stream_that_ends_before_the_answer_is_reset(answer: Answer) -> None:
    async with serve_h2(answer) as port:
        reason, words = await failure("httpx", f"http://127.0.0.1:{port}", http2=True, http1=False)
    assert reason == "reset"
    assert not set("<>") & set(words)


@pytest.mark.parametrize(("answer", "ending"), [(reset_within, "reset"), (leave_within, "cut")])
async def test_a_stream_that_ends_within_the_answer_is_told_as_over_http_1(
    answer: Answer, ending: str
) -> None:
    async with (
        serve_h2(answer) as port,
        transport_of("httpx", http2=True, http1=False) as transport,
    ):
        with pytest.raises(httpx.TransportError) as caught:
            await post(transport, f"http://127.0.0.1:{port}")
        assert transport.open_sockets == 0
    assert end_of_body(caught.value) == ending
    assert not set("<>") & set(str(caught.value))


async def test_what_nobody_reads_to_its_end_is_closed() -> None:
    async def endless(server: Server, number: int) -> None:
        server.session.send_headers(number, [(":status", "200")])
        await server.flush()
        await anyio.sleep(30)

    async with (
        serve_h2(endless) as port,
        transport_of("httpx", http2=True, http1=False) as transport,
    ):
        with anyio.move_on_after(0.1) as scope:
            await post(transport, f"http://127.0.0.1:{port}")
        assert scope.cancelled_caught
        assert transport.open_sockets == 0
