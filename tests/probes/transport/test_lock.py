"""The second lock: a secret is never written where others can read along, whatever the URL said."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import trustme
from anyio.abc import SocketStream
from far_side import Steps, authority_file, good, http_proxy, server_context, transport_of
from transports import KINDS
from wire import serve

from probes.config import Route, Tls
from probes.config.proxies import Proxy
from probes.transport import Request, connecting, lock, resolve
from probes.transport.failures import of_failure, words_of
from probes.transport.lock import ClearTextError, is_local

pytestmark = pytest.mark.anyio

KEY = "sk-hush-hush-0123456789"
SECRETS = {
    "authorization": {"Authorization": f"Bearer {KEY}"},
    "any case": {"aUTHORIZATION": f"Bearer {KEY}"},
    "api-key": {"api-key": KEY},
    "x-api-key": {"X-Api-Key": KEY},
    "proxy-authorization": {"Proxy-Authorization": f"Basic {KEY}"},
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that answers is this machine's loopback."""
    monkeypatch.setattr(lock, "is_loopback_address", lambda _address: False)


@asynccontextmanager
async def a_listener() -> AsyncIterator[tuple[int, bytearray]]:
    """A server that keeps every byte it is told and says nothing."""
    heard = bytearray()

    async def handle(stream: SocketStream) -> None:
        async with stream:
            try:
                while True:
                    heard.extend(await stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield listener.extra(anyio.abc.SocketAttribute.local_port), heard
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()


async def refused(kind: str, url: str, headers: dict[str, str], **options: object) -> str:
    """Return the words of an exchange that must not be made."""
    async with transport_of(kind, **options) as transport:
        with pytest.raises(ClearTextError) as caught:
            async with transport.exchange(Request(url, headers, b"{}"), Steps()):
                pytest.fail("it was sent")
        assert transport.open_sockets == 0
    verdict = of_failure(caught.value)
    assert (verdict.outcome, verdict.reason, verdict.retryable) == (
        "client_error",
        "clear_text",
        False,
    )
    return words_of(caught.value, verdict.reason)


async def sent(kind: str, url: str, headers: dict[str, str], **options: object) -> int:
    async with transport_of(kind, **options) as transport:
        request = Request(url, headers, b"{}")
        async with transport.exchange(request, Steps()) as exchange:
            await exchange.read_body(lambda *_: None)
            return exchange.status


@pytest.mark.parametrize("headers", SECRETS.values(), ids=SECRETS)
async def test_a_secret_is_not_written_to_a_peer_that_is_elsewhere(
    kind: str, headers: dict[str, str], elsewhere: None
) -> None:
    async with a_listener() as (port, heard):
        words = await refused(kind, f"http://127.0.0.1:{port}/v1", headers)
        assert "to 127.0.0.1" in words
        assert "insecure = true" in words
    assert not heard


async def test_localhost_that_leads_elsewhere_gets_nothing(
    kind: str, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_listener() as (port, heard):
        found = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(resolve._shared, "_lookup", lambda _host, _port: found)
        await refused(kind, f"http://localhost:{port}/v1", SECRETS["authorization"])
    assert not heard


async def test_a_kept_connection_is_looked_at_before_each_request(
    kind: str, elsewhere: None
) -> None:
    async with serve(good) as server, transport_of(kind) as transport:
        async with transport.exchange(Request(server.url, {}, b"{}"), Steps()) as exchange:
            await exchange.read_body(lambda *_: None)
        assert transport.open_sockets == 1
        with pytest.raises(ClearTextError):
            async with transport.exchange(Request(server.url, SECRETS["api-key"], b"{}"), Steps()):
                pytest.fail("it was sent")


async def test_http2_without_tls_is_locked_too(elsewhere: None) -> None:
    async with a_listener() as (port, heard):
        await refused(
            "httpx", f"http://127.0.0.1:{port}", SECRETS["api-key"], http2=True, http1=False
        )
    assert not heard


async def test_a_header_from_the_environment_is_a_secret_under_any_name(
    kind: str, elsewhere: None
) -> None:
    route = Route(
        name="r",
        base_url="http://127.0.0.1:1",
        model="m",
        headers={"X-Team": "env:TEAM", "X-Place": "here"},
    )
    secret = connecting(route, {}).secret_headers
    async with a_listener() as (port, heard):
        url = f"http://127.0.0.1:{port}/v1"
        await refused(kind, url, {"X-Team": KEY}, secret_headers=secret)
        assert not heard
    async with serve(good) as server:
        assert await sent(kind, server.url, {"X-Place": "here"}, secret_headers=secret) == 200


async def test_insecure_lifts_the_lock(kind: str, elsewhere: None) -> None:
    route = Route(name="r", base_url="http://127.0.0.1:1", model="m", insecure=True)
    assert connecting(route, {}).insecure
    async with serve(good) as server:
        assert await sent(kind, server.url, SECRETS["api-key"], insecure=True) == 200


async def test_loopback_by_the_peers_address_is_open(kind: str) -> None:
    async with serve(good) as server:
        assert await sent(kind, server.url, SECRETS["authorization"]) == 200


async def test_a_unix_socket_is_open(kind: str, tmp_path: Path, elsewhere: None) -> None:
    path = tmp_path / "s"
    async with serve(good, path=path):
        headers = SECRETS["authorization"]
        assert await sent(kind, "http://far.example/v1", headers, unix_socket=str(path)) == 200


async def test_tls_with_the_server_is_open(kind: str, tmp_path: Path, elsewhere: None) -> None:
    authority = trustme.CA()
    tls = Tls(ca_file=authority_file(authority, tmp_path), server_name="localhost")
    async with serve(good, tls=server_context(authority)) as server:
        assert await sent(kind, server.url, SECRETS["authorization"], tls=tls) == 200
        async with http_proxy() as proxy:
            through = Proxy("http", "127.0.0.1", proxy.port)
            headers = SECRETS["authorization"]
            assert await sent(kind, server.url, headers, tls=tls, proxy=through) == 200


async def test_a_plain_request_through_a_plain_proxy_is_locked(kind: str) -> None:
    async with a_listener() as (port, heard):
        words = await refused(
            kind,
            "http://far.example/v1",
            SECRETS["authorization"],
            proxy=Proxy("http", "127.0.0.1", port),
        )
        assert "through a proxy" in words
    assert KEY.encode() not in heard


@pytest.mark.parametrize(
    ("family", "peer", "local"),
    [
        (socket.AF_INET, ("127.0.0.1", 1), True),
        (socket.AF_INET, ("127.200.3.4", 1), True),
        (socket.AF_INET, ("128.0.0.1", 1), False),
        (socket.AF_INET, ("10.0.0.1", 1), False),
        (socket.AF_INET6, ("::1", 1, 0, 0), True),
        (socket.AF_INET6, ("::ffff:127.0.0.1", 1, 0, 0), True),
        (socket.AF_INET6, ("::ffff:10.0.0.1", 1, 0, 0), False),
        (socket.AF_INET6, ("fe80::1%lo", 1, 0, 1), False),
        (socket.AF_INET6, ("::", 1, 0, 0), False),
        (socket.AF_UNIX, "/run/x", True),
        (socket.AF_UNIX, "", True),
    ],
)
def test_a_socket_is_local_by_the_address_of_its_peer(
    family: int, peer: object, local: bool
) -> None:
    class Connected:
        def __init__(self) -> None:
            self.family = family

        def getpeername(self) -> object:
            return peer

    assert is_local(Connected()) is local  # type: ignore[arg-type]
