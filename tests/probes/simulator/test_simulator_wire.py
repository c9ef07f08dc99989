"""Connections of the server: good, broken, hostile, slow and lost ones."""

import json
import socket
from collections.abc import AsyncIterator
from random import Random

import anyio
import httpx
import pytest
from simulator_kit import CHAT, SLOW, body, client, quick, serving, until

from probes.kit.clock import SystemClock
from probes.simulator import (
    Conditions,
    Faults,
    Serving,
    SimulatorServer,
    serve,
    steady,
)
from probes.simulator.wire import ClientConnection

pytestmark = pytest.mark.anyio


async def raw(server: SimulatorServer, data: bytes) -> bytes:
    """Send bytes, and return everything until the server closes."""
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        await stream.send(data)
        received = b""
        with anyio.fail_after(5):
            async for piece in stream:
                received += piece
        return received


async def test_a_body_over_the_limit_is_a_413_declared_or_not() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 65_536

    async with serving() as server, client(server) as http:
        declared = await http.post(CHAT, content=b" " * (5 * 1024 * 1024))
        chunked = await http.post(CHAT, content=pieces())
    assert (declared.status_code, chunked.status_code) == (413, 413)
    assert declared.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked"
        b"\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_not_http_is_a_400_and_the_server_lives(request_bytes: bytes) -> None:
    async with serving() as server:
        received = await raw(server, request_bytes)
        async with client(server) as http:
            assert (await http.get("/v1/models")).status_code == 200
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b'"error"' in received


async def test_damaged_requests_never_break_the_server(caplog: pytest.LogCaptureFixture) -> None:
    content = json.dumps(body(stream=True)).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n" % len(content) + content
    chance = Random(3)
    async with serving() as server:
        for _ in range(150):
            damaged = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
                await stream.send(bytes(damaged))
                with anyio.move_on_after(0.02):
                    await stream.receive()
        await until(lambda: server.models["quick"].in_flight == 0)
        async with client(server) as http:
            assert (await http.post(CHAT, json=body())).status_code == 200
    assert "failed" not in caplog.text


async def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    content = json.dumps(body()).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(content)
    )
    async with serving() as server, await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        await stream.send(head)
        assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
        await stream.send(content)
        assert (await stream.receive()).startswith(b"HTTP/1.1 200 OK")


async def test_only_loopback_hosts_are_answered() -> None:
    async with serving() as server, client(server) as http:
        statuses = {
            host: (await http.get("/v1/models", headers={"host": host})).status_code
            for host in ("localhost", "LOCALHOST:99", "127.0.0.2:80", "[::1]:80", "evil.example")
        }
        rebound = await http.get("/truth", headers={"host": "127.0.0.1.evil.example"})
    assert list(statuses.values()) == [200, 200, 200, 200, 403]
    assert rebound.status_code == 403


async def test_the_listener_is_on_loopback_only() -> None:
    async with serving() as server:
        # Another address of this machine's own, where a wildcard listener would answer. Some
        # systems refuse it, others do not know it.
        with pytest.raises(OSError, match=r"refused|assign|timed out"):
            socket.create_connection(("127.0.0.2", server.port), timeout=0.2)
        assert server.base_url == f"http://127.0.0.1:{server.port}"


async def test_pipelined_requests_are_answered_in_turn() -> None:
    one = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    async with serving() as server:
        received = await raw(server, one + one + last)
    statuses = [line.split()[1] for line in received.split(b"\r\n") if b"HTTP/1.1 " in line]
    assert statuses == [b"200", b"200", b"404"]


async def test_a_reader_that_stops_holds_up_nobody_else() -> None:
    talkative = Serving(
        gateway_s=0, decode_tokens_per_s=100_000, chunk_tokens=500, answer_tokens=16_000
    )
    request = json.dumps(body(stream=True, max_tokens=16_000)).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    scenario = steady("quick", Conditions(serving=talkative))
    async with serving(scenario) as server, client(server) as http:
        with socket.create_connection(("127.0.0.1", server.port)) as sleeper:
            sleeper.sendall(head % len(request) + request)
            await until(lambda: server.models["quick"].in_flight == 1)
            answer = await http.post(CHAT, json=body(max_tokens=10))
            assert answer.status_code == 200
        await until(lambda: server.models["quick"].in_flight == 0)


async def test_a_connection_is_kept_alive_and_each_answer_has_its_id() -> None:
    async with serving() as server, client(server) as http:
        answers = [await http.post(CHAT, json=body()) for _ in range(3)]
        ports = {
            answer.extensions["network_stream"].get_extra_info("client_addr") for answer in answers
        }
    assert len(ports) == 1
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


async def test_a_client_that_leaves_in_mid_stream_frees_its_slot_at_once() -> None:
    scenario = steady("quick", Conditions(serving=SLOW))
    async with serving(scenario) as server, client(server) as http:
        model = server.models["quick"]
        async with http.stream("POST", CHAT, json=body(stream=True)) as answer:
            async for _ in answer.aiter_bytes():
                break
            assert model.in_flight == 1
        await until(lambda: model.in_flight == 0)
        await until(server.truth)
        (record,) = server.truth()
    assert record.ending == "disconnected"


async def test_a_client_that_leaves_the_queue_frees_its_slot_too() -> None:
    serving_conditions = Conditions(serving=Serving(gateway_s=60.0))
    async with serving(steady("quick", serving_conditions)) as server, client(server) as http:
        model = server.models["quick"]
        with anyio.move_on_after(0.1):
            await http.post(CHAT, json=body())
        await until(lambda: model.in_flight == 0)


async def test_faults_end_connections_as_they_are_named() -> None:
    async def fail(faults: Faults, error: type[Exception], ending: str) -> None:
        async with serving(quick(faults=faults)) as server, client(server) as http:
            with pytest.raises(error):
                await http.post(CHAT, json=body(stream=True))
            await until(server.truth)
            assert server.truth()[0].ending == ending

    await fail(Faults(reset_share=1.0), httpx.ReadError, "reset")
    await fail(Faults(down="closed"), httpx.RemoteProtocolError, "closed")
    await fail(Faults(cut_share=1.0), httpx.ReadError, "cut")


async def test_small_writes_are_not_held_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
        with accepted:
            ClientConnection(accepted, SystemClock())
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_an_error_inside_the_context_comes_out_bare() -> None:
    with pytest.raises(LookupError, match="mine"):
        async with serving():
            raise LookupError("mine")


async def test_a_port_in_use_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with serve(quick(), clock=SystemClock(), random=Random(1), port=port):
                raise AssertionError("it was served")
