"""A probe over connections as a route sets them: what its record says, and does not say."""

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import anyio
import msgspec
import pytest
import trustme
from far_side import authority_file, good, http_proxy, listening, server_context
from probing import probe_once
from transports import TRANSPORTS
from wire import Wire, serve

from probes.config import Route, Timeouts, Tls
from probes.engine.single import ProbeRecord
from probes.kit.clock import SystemClock

pytestmark = pytest.mark.anyio

SECRET = "hush-hush-password"


def route_to(url: str, **settings: Any) -> Route:
    return Route(name="r", base_url=url, model="m", retries=0, **settings)


async def probe(route: Route) -> ProbeRecord:
    return await probe_once(route, {}, clock=SystemClock(), random=Random(1))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def test_a_certificate_that_does_not_hold_is_told_in_words_and_tried_again(
    authority: trustme.CA, tmp_path: Path
) -> None:
    setting = Tls(ca_file=authority_file(authority, tmp_path))
    async with serve(good, tls=server_context(authority, expired=True)) as server:
        record = await probe(route_to(server.url.replace("127.0.0.1", "localhost"), tls=setting))
    (attempt,) = record.attempts
    assert (record.probe.outcome, record.probe.reason) == (
        "protocol_error",
        "connect.tls.expired",
    )
    assert attempt.message.startswith("the server's certificate has expired (")
    assert attempt.retryable
    assert attempt.http_version == ""
    assert attempt.stamps_ns.tls is None


async def test_what_is_not_verified_is_said_first(authority: trustme.CA) -> None:
    async with serve(good, tls=server_context(authority)) as server:
        record = await probe(route_to(server.url, tls=Tls(verify=False)))
    assert record.probe.outcome == "ok"
    assert "certificates are not verified" in record.notices[0]
    assert record.attempts[0].http_version == "HTTP/1.1"


async def test_an_attempt_tells_its_path_and_one_that_reached_nobody_tells_none() -> None:
    async with serve(good) as server:
        (told,) = (await probe(route_to(server.url))).attempts
    if sys.platform == "linux":
        assert told.rtt_to == "server"
        assert told.rtt_ns is not None
    (failed,) = (await probe(route_to(server.url))).attempts
    assert (failed.reason, failed.rtt_ns, failed.rtt_to) == ("connect.refused", None, None)


async def test_a_proxys_password_is_nowhere_even_where_a_server_tells_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def telltale(wire: Wire) -> bool:
        sent = next(
            line for line in wire.head.split(b"\r\n") if b"proxy-authorization" in line.lower()
        )
        words = json.dumps({"error": {"message": f"{sent.decode()} {SECRET}"}}).encode()
        head = b"HTTP/1.1 400 No\r\nx-request-id: %b\r\ncontent-length: %d\r\n\r\n"
        await wire.send(head % (sent.split()[-1], len(words)) + words)
        return False

    async with serve(telltale) as server, http_proxy() as proxied:
        monkeypatch.setenv("PROXY", f"http://someone:{SECRET}@127.0.0.1:{proxied.port}")
        record = await probe(route_to(server.url, proxy="env:PROXY"))
    (attempt,) = record.attempts
    told = msgspec.json.encode(attempt).decode()
    assert attempt.status == 400
    assert "[secret]" in attempt.message
    assert SECRET not in told
    assert "c29tZW9uZTpodXNoLWh1c2gtcGFzc3dvcmQ" not in told  # the same as HTTP has it


async def test_a_proxy_that_refuses_is_blamed_and_not_named_with_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    async with http_proxy(answer=answer) as proxied:
        monkeypatch.setenv("PROXY", f"http://someone:{SECRET}@127.0.0.1:{proxied.port}")
        record = await probe(route_to("https://api.example/v1", proxy="env:PROXY"))
    (attempt,) = record.attempts
    assert record.probe.reason == "connect.proxy"
    assert attempt.message == (
        f"the proxy http://127.0.0.1:{proxied.port}: it answered 407 Proxy Authentication Required"
    )
    assert attempt.clock in ("kernel", "user")


@pytest.mark.parametrize("kind", TRANSPORTS)
@pytest.mark.parametrize("silent", ["handshake", "http", "socks5h"])
async def test_who_says_nothing_while_we_connect_runs_into_our_clock(
    kind: str, silent: str
) -> None:
    async with listening(lambda _stream: anyio.sleep(30)) as port:
        proxy = "none" if silent == "handshake" else f"{silent}://127.0.0.1:{port}"
        route = route_to(
            f"https://127.0.0.1:{port}/v1", proxy=proxy, timeouts=Timeouts(connect=0.1)
        )
        record = await probe_once(
            route, {}, clock=SystemClock(), random=Random(1), transport=TRANSPORTS[kind]
        )
    (attempt,) = record.attempts
    assert (attempt.outcome, attempt.reason) == ("timeout", "timeout.connect")
    assert (attempt.stamps_ns.tcp is not None) == (silent == "handshake")
    assert attempt.stamps_ns.sent is None


async def test_a_unix_socket_is_probed_like_any_server(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with serve(good, path=path):
        record = await probe(route_to("http://localhost/v1", unix_socket=str(path)))
    (attempt,) = record.attempts
    assert (record.probe.outcome, attempt.clock, attempt.cold) == ("ok", "user", True)
