"""Ways to a server and ways in which there is none, on both transports."""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio.abc import SocketAttribute, SocketStream
from far_side import Steps, failure, good, listening, post, server_context, transport_of
from transports import KINDS
from wire import serve

from probes.config import Tls
from probes.config.proxies import read_proxy
from probes.transport import Request, kernel_stamps, resolve

pytestmark = pytest.mark.anyio

FOLDER = Path("/proc/self/fd")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def descriptors() -> int:
    return len(list(FOLDER.iterdir()))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def knows(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Have every name stand for these addresses."""

    def lookup(_host: str, _port: int) -> list[Any]:
        found = []
        for address, port in addresses:
            found += socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
        return found

    monkeypatch.setattr(resolve._shared, "_lookup", lookup)


@pytest.mark.parametrize("reuse", [True, False])
async def test_a_connection_is_kept_or_made_anew(kind: str, reuse: bool) -> None:
    async with serve(good) as server, transport_of(kind, reuse=reuse) as transport:
        for _ in range(2):
            assert (await post(transport, server.url)).status == 200
            assert transport.open_sockets == int(reuse)
        assert server.connections == (1 if reuse else 2)


async def test_an_address_of_ipv6_is_reached(kind: str) -> None:
    async with serve(good, host="::1") as server, transport_of(kind) as transport:
        told = await post(transport, server.url)
        assert server.requests[0][0].split(b"\r\n")[1].startswith(b"Host: [::1]:")
    assert list(told.stamps) == ["started", "tcp", "sent", "headers"]


async def test_of_several_addresses_one_that_lives_is_enough(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(good) as server, transport_of(kind) as transport:
        port = int(server.url.rpartition(":")[2].split("/")[0])
        knows(monkeypatch, ("::1", port), ("127.0.0.2", closed_port()), ("127.0.0.1", port))
        told = await post(transport, f"http://many.example:{port}/v1")
    assert list(told.stamps) == ["started", "dns", "tcp", "sent", "headers"]


async def test_a_name_that_nobody_knows(kind: str) -> None:
    reason, words = await failure(kind, "http://no-such-host.invalid/v1")
    assert reason == "connect.dns"
    assert words.startswith("the host name cannot be resolved (")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_a_port_on_which_nothing_listens(kind: str, host: str) -> None:
    reason, words = await failure(kind, f"http://{host}:{closed_port()}/v1")
    assert reason == "connect.refused"
    assert words.startswith("nothing listens there (")


def failing_to_connect(
    monkeypatch: pytest.MonkeyPatch, error_of: Callable[[Any], Exception]
) -> None:
    async def sock_connect(_loop: object, _sock: object, address: Any) -> None:
        raise error_of(address)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", sock_connect)


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
async def test_a_host_to_which_there_is_no_way(
    kind: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_to_connect(monkeypatch, lambda _address: OSError(number, os.strerror(number)))
    reason, words = await failure(kind, "http://192.0.2.1/v1")
    assert reason == "connect.unreachable"
    assert words.startswith("there is no way to this host (")


async def test_the_system_gives_up_on_a_connection(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_to_connect(monkeypatch, lambda _address: TimeoutError(errno.ETIMEDOUT, "timed out"))
    assert (await failure(kind, "http://192.0.2.1/v1"))[0] == "timeout.connect"


async def test_of_addresses_that_fail_apart_the_one_that_answered_counts(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def error_of(address: Any) -> OSError:
        if address[0] == "127.0.0.1":
            return ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed")
        return OSError(errno.ENETUNREACH, "Network is unreachable")

    failing_to_connect(monkeypatch, error_of)
    knows(monkeypatch, ("::1", 9), ("127.0.0.1", 9))
    assert (await failure(kind, "http://many.example:9/v1"))[0] == "connect.refused"


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_that_ends_before_the_answer(kind: str, how: str) -> None:
    async def leave(stream: SocketStream) -> None:
        await stream.receive()
        if how == "reset":
            raw = stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with listening(leave) as port:
        reason, words = await failure(kind, f"http://127.0.0.1:{port}/v1")
    assert reason == "reset"
    assert words.startswith("the server closed the connection before it answered (")


async def test_a_unix_socket(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with (
        serve(good, path=path) as server,
        transport_of(kind, unix_socket=str(path)) as transport,
    ):
        cold = await post(transport, "http://model.example/v1")
        warm = await post(transport, "http://model.example/v1")
        assert (server.connections, transport.clock_source) == (1, "user")
        head = server.requests[0][0].split(b"\r\n")
    assert head[:2] == [b"POST /v1/chat/completions HTTP/1.1", b"Host: model.example"]
    assert list(cold.stamps) == ["started", "tcp", "sent", "headers"]
    assert list(warm.stamps) == ["started", "sent", "headers"]


async def test_a_unix_socket_is_connected_to_anew_where_asked_for(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    options = {"unix_socket": str(path), "reuse": False}
    async with serve(good, path=path) as server, transport_of(kind, **options) as transport:
        for _ in range(2):
            assert "tcp" in (await post(transport, server.url)).stamps
            assert transport.open_sockets == 0
        assert server.connections == 2


async def test_tls_over_a_unix_socket(kind: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    path = tmp_path / "socket"
    options = {"unix_socket": str(path), "tls": Tls(verify=False)}
    async with (
        serve(good, path=path, tls=server_context(authority)) as server,
        transport_of(kind, **options) as transport,
    ):
        told = await post(transport, server.url)
    assert list(told.stamps) == ["started", "tcp", "tls", "sent", "headers"]


async def test_a_unix_socket_that_is_not_there_or_dead(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    reason, words = await failure(kind, "http://localhost/v1", unix_socket=str(path))
    assert (reason, str(path) in words) == ("connect.refused", True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    reason, words = await failure(kind, "http://localhost/v1", unix_socket=str(path))
    assert (reason, str(path) in words) == ("connect.refused", True)


async def test_what_the_clock_will_be_is_known_before_the_first_exchange(kind: str) -> None:
    stamped = kind == "stamping" and kernel_stamps()
    async with transport_of(kind) as tcp, transport_of(kind, unix_socket="/x") as unix:
        assert tcp.clock_source == ("kernel" if stamped else "user")
        assert unix.clock_source == "user"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no /proc: descriptors cannot be counted")
async def test_cancelling_a_connection_that_does_not_come_leaves_nothing(kind: str) -> None:
    async def sleepy(stream: SocketStream) -> None:
        await anyio.sleep(30)

    async with listening(sleepy) as port, transport_of(kind) as transport:
        before = descriptors()
        for _ in range(3):
            with anyio.move_on_after(0.05) as scope:
                await post(transport, f"https://127.0.0.1:{port}/v1")
            assert scope.cancelled_caught
            assert transport.open_sockets == 0
        await anyio.sleep(0.02)
        # The far side's descriptors are ours too, until it notices.
        assert descriptors() <= before + 3


@pytest.mark.parametrize(
    ("silent", "reached"), [("proxy", ["started"]), ("tls", ["started", "tcp"])]
)
async def test_an_exchange_whose_connection_does_not_come_has_begun_already(
    kind: str, silent: str, reached: list[str]
) -> None:
    """Else a request that hangs there would be open without anybody knowing it."""

    async def sleepy(_: SocketStream) -> None:
        await anyio.sleep(30)

    async with listening(sleepy) as port:
        address = f"127.0.0.1:{port}"
        options = {"proxy": read_proxy(f"http://{address}")} if silent == "proxy" else {}
        async with transport_of(kind, **options) as transport:
            steps, request = Steps(), Request(f"https://{address}/v1", {}, b"{}")
            with anyio.move_on_after(0.2) as scope:
                async with transport.exchange(request, steps):
                    pytest.fail("nobody answered")
            assert scope.cancelled_caught
            assert list(steps.stamps) == reached
