"""What httpx's transport tells of an exchange, on connections that break or end."""

import httpx
import pytest
from far_side import HEADERS, Steps, post
from wire import Wire, serve

from probes.kit.clock import SystemClock
from probes.transport import Request
from probes.transport.pooled import HttpxTransport

pytestmark = pytest.mark.anyio


async def test_a_host_name_that_idna_forbids_is_a_bad_url() -> None:
    transport = HttpxTransport(SystemClock())
    with pytest.raises(httpx.InvalidURL):
        await post(transport, "http://xn--/v1")
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
        told = await post(transport, server.url)
        assert (told.body, transport.open_sockets) == (b"ok", kept)
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
