"""Proxies on both transports: led through, handed requests, told apart from servers."""

import socket
from typing import Any

import pytest
import trustme
from far_side import (
    authority_file,
    failure,
    good,
    http_proxy,
    listening,
    post,
    server_context,
    socks_proxy,
    transport_of,
)
from transports import KINDS
from wire import serve

from probes.config import Tls
from probes.config.proxies import Proxy, read_proxy
from probes.kit.clock import SystemClock
from probes.transport import StampingTransport, contexts, kernel_stamps
from probes.transport import open_transport as most_exact
from probes.transport.options import Connecting
from probes.transport.pooled import HttpxTransport

pytestmark = pytest.mark.anyio

SECRET = "hush-hush-password"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Any) -> Tls:
    return Tls(ca_file=authority_file(authority, tmp_path))


def at(scheme: str, port: int, userinfo: str = "") -> Proxy:
    return read_proxy(f"{scheme}://{userinfo}127.0.0.1:{port}")


@pytest.mark.parametrize("byte_by_byte", [False, True])
async def test_https_goes_through_a_tunnel(
    kind: str, byte_by_byte: bool, authority: trustme.CA, trusted: Tls
) -> None:
    async with (
        serve(good, tls=server_context(authority)) as server,
        http_proxy(delay_s=0.1, byte_by_byte=byte_by_byte) as proxied,
        transport_of(kind, tls=trusted, proxy=at("http", proxied.port)) as transport,
    ):
        url = server.url.replace("127.0.0.1", "localhost")
        cold, warm = await post(transport, url), await post(transport, url)
        stamped = kind == "stamping" and kernel_stamps()
        assert transport.clock_source == ("kernel" if stamped else "user")
        (asked,) = proxied.asked
        assert asked.startswith(b"CONNECT localhost:")
    assert list(cold.stamps) == ["started", "tcp", "tls", "sent", "headers"]
    assert cold.stamps["tcp"] - cold.stamps["started"] > 90_000_000
    assert list(warm.stamps) == ["started", "sent", "headers"]


async def test_http_is_handed_to_the_proxy(kind: str) -> None:
    async with (
        serve(good) as server,
        http_proxy() as proxied,
        transport_of(kind, proxy=at("http", proxied.port, f"me:{SECRET}@")) as transport,
    ):
        told = await post(transport, server.url)
        (asked,) = proxied.asked
    assert told.status == 200
    assert list(told.stamps) == ["started", "tcp", "sent", "headers"]
    assert asked.startswith(f"POST {server.url}/chat/completions HTTP/1.1\r\n".encode())
    assert b"proxy-authorization: basic " in asked.lower()


async def test_a_user_and_a_password_are_told_to_the_proxy_alone(
    kind: str, authority: trustme.CA, trusted: Tls
) -> None:
    async with (
        serve(good, tls=server_context(authority)) as server,
        http_proxy() as proxied,
        transport_of(
            kind, tls=trusted, proxy=at("http", proxied.port, f"me:{SECRET}@")
        ) as transport,
    ):
        await post(transport, server.url.replace("127.0.0.1", "localhost"))
        (asked,) = proxied.asked
        assert b"Proxy-Authorization: Basic bWU6aHVzaC1odXNoLXBhc3N3b3Jk\r\n" in asked
        assert b"proxy-authorization" not in server.requests[0][0].lower()


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_a_fresh_connection_has_a_tunnel_of_its_own(
    kind: str, scheme: str, authority: trustme.CA, trusted: Tls
) -> None:
    proxy_of = http_proxy if scheme == "http" else socks_proxy
    async with (
        serve(good, tls=server_context(authority)) as server,
        proxy_of() as proxied,
        transport_of(kind, tls=trusted, proxy=at(scheme, proxied.port), reuse=False) as transport,
    ):
        for _ in range(2):
            told = await post(transport, server.url.replace("127.0.0.1", "localhost"))
            assert list(told.stamps) == ["started", "tcp", "tls", "sent", "headers"]
            assert transport.open_sockets == 0
        assert len(proxied.asked) == 2


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("byte_by_byte", [False, True])
async def test_socks_leads_to_the_server(kind: str, scheme: str, byte_by_byte: bool) -> None:
    async with (
        serve(good) as server,
        socks_proxy(byte_by_byte=byte_by_byte) as proxied,
        transport_of(kind, proxy=at(scheme, proxied.port)) as transport,
    ):
        told = await post(transport, server.url.replace("127.0.0.1", "localhost"))
        (asked,) = proxied.asked
    assert told.status == 200
    resolved = ["dns"] if scheme == "socks5" else []
    assert list(told.stamps) == ["started", *resolved, "tcp", "sent", "headers"]
    assert asked[3] == (1 if scheme == "socks5" else 3)


async def test_socks_with_a_password_and_tls(
    kind: str, authority: trustme.CA, trusted: Tls
) -> None:
    async with (
        serve(good, tls=server_context(authority)) as server,
        socks_proxy(password=(b"me", SECRET.encode())) as proxied,
        transport_of(
            kind, tls=trusted, proxy=at("socks5h", proxied.port, f"me:{SECRET}@")
        ) as transport,
    ):
        told = await post(transport, server.url.replace("127.0.0.1", "localhost"))
    assert list(told.stamps) == ["started", "tcp", "tls", "sent", "headers"]


@pytest.mark.parametrize("target", ["http", "https"])
async def test_a_proxy_may_itself_be_reached_over_tls(
    target: str, authority: trustme.CA, trusted: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trusted.ca_file is not None
    monkeypatch.setenv("SSL_CERT_FILE", trusted.ca_file)
    contexts._made.cache_clear()
    tls = server_context(authority, "inside.example") if target == "https" else None
    setting = Tls(ca_file=trusted.ca_file, server_name="inside.example")
    async with (
        serve(good, tls=tls) as server,
        http_proxy(tls=server_context(authority, "127.0.0.1")) as proxied,
        transport_of("httpx", tls=setting, proxy=at("https", proxied.port)) as transport,
    ):
        for _ in range(2):
            assert (await post(transport, server.url)).status == 200
        assert len(proxied.asked) == 1
    contexts._made.cache_clear()


async def test_the_certificate_of_a_proxy_is_the_proxys_fault(authority: trustme.CA) -> None:
    async with http_proxy(tls=server_context(authority, "127.0.0.1")) as proxied:
        proxy = at("https", proxied.port)
        reason, words = await failure("httpx", "http://server.example/v1", proxy=proxy)
    assert reason == "connect.proxy"
    assert f"the proxy https://127.0.0.1:{proxied.port}: " in words


async def test_a_proxy_over_tls_is_not_spoken_to_without() -> None:
    async with http_proxy() as proxied:
        proxy = at("https", proxied.port)
        reason, words = await failure("stamping", "https://server.example/v1", proxy=proxy)
    assert (reason, proxied.asked) == ("connect.proxy", [])
    assert "reached over TLS" in words


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "https://127.0.0.1:9/v1"])
async def test_a_proxy_that_is_not_there(kind: str, scheme: str, url: str) -> None:
    reason, words = await failure(kind, url, proxy=at(scheme, closed_port()))
    assert reason == "connect.proxy"
    assert "cannot be reached" in words


async def test_a_proxy_whose_name_nobody_knows(kind: str) -> None:
    proxy = read_proxy("http://no-such-proxy.invalid:3128")
    reason, words = await failure(kind, "https://127.0.0.1:9/v1", proxy=proxy)
    assert reason == "connect.proxy"
    assert "no-such-proxy.invalid" in words


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "407"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", "502 Bad Gateway"),
        (b"HTTP/1.1 403\r\n\r\n", "403"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP"),
        (b"", "did not answer"),
        (b"HTTP/1.1 204 ok\r\n\r\nmore", "wrote into the tunnel"),
    ],
)
async def test_a_proxy_that_gives_no_tunnel(kind: str, answer: bytes, told: str) -> None:
    async with http_proxy(answer=answer) as proxied:
        proxy = at("http", proxied.port, f"me:{SECRET}@")
        reason, words = await failure(kind, "https://127.0.0.1:9/v1", proxy=proxy)
    assert reason == "connect.proxy"
    assert told in words
    assert SECRET not in words


@pytest.mark.parametrize(
    ("reply", "told"),
    [(1, "general"), (2, "rules"), (4, "host unreachable"), (5, "refused"), (99, "error 99")],
)
async def test_a_socks_proxy_that_refuses(kind: str, reply: int, told: str) -> None:
    async with socks_proxy(reply=reply) as proxied:
        proxy = at("socks5h", proxied.port)
        reason, words = await failure(kind, "https://server.example/v1", proxy=proxy)
    assert reason == "connect.proxy"
    assert told in words


@pytest.mark.parametrize(
    ("userinfo", "told"), [("", "wants a user and a password"), ("me:wrong@", "does not accept")]
)
async def test_a_socks_proxy_that_wants_another_password(
    kind: str, userinfo: str, told: str
) -> None:
    async with socks_proxy(password=(b"me", SECRET.encode())) as proxied:
        proxy = at("socks5h", proxied.port, userinfo)
        reason, words = await failure(kind, "https://server.example/v1", proxy=proxy)
    assert reason == "connect.proxy"
    assert told in words


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05"])
async def test_a_socks_proxy_that_is_none(kind: str, answer: bytes) -> None:
    async def talk(stream: Any) -> None:
        await stream.receive()
        if answer:
            await stream.send(answer)

    async with listening(talk) as port:
        reason, _ = await failure(kind, "http://server.example/v1", proxy=at("socks5h", port))
    assert reason == "connect.proxy"


async def test_a_server_that_the_tunnel_leads_to_is_judged_by_itself(
    kind: str, authority: trustme.CA
) -> None:
    async with (
        serve(good, tls=server_context(authority)) as server,
        http_proxy() as proxied,
    ):
        reason, _ = await failure(kind, server.url, proxy=at("http", proxied.port))
    assert reason == "connect.tls.untrusted"


async def test_a_name_that_is_resolved_here_is_no_fault_of_the_proxys(kind: str) -> None:
    async with socks_proxy() as proxied:
        proxy = at("socks5", proxied.port)
        reason, _ = await failure(kind, "http://no-such-host.invalid/v1", proxy=proxy)
    assert reason == "connect.dns"


async def test_a_proxy_that_cannot_be_used_fails_requests_and_nothing_else(kind: str) -> None:
    reason, words = await failure(kind, "http://h.example/v1", unusable_proxy="is no URL")
    assert (reason, words) == ("connect.proxy", "the proxy that the environment names is no URL")


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (Connecting(), StampingTransport),
        (Connecting(proxy=at("http", 1)), StampingTransport),
        (Connecting(proxy=at("socks5", 1)), StampingTransport),
        (Connecting(unix_socket="/x"), StampingTransport),
        (Connecting(proxy=at("https", 1)), HttpxTransport),
        (Connecting(http2=True), HttpxTransport),
    ],
)
async def test_the_most_exact_transport_is_chosen(options: Connecting, chosen: type) -> None:
    assert type(most_exact(SystemClock(), options)) is chosen
