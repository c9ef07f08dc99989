"""Servers on this machine: what they say of themselves is believed, and nothing else."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from probes.discovery.loopback import PORTS, LocalServer, ServerReply, find_servers
from probes.discovery.loopback_network import MOST_BYTES, HttpNetwork

pytestmark = pytest.mark.anyio

PATHS = ("/v1/models", "/api/version", "/props")
V4, V6 = "127.0.0.1", "::1"


def answer(value: object, status: int = 200, server: str = "") -> ServerReply:
    return ServerReply(status, server, json.dumps(value).encode())


def models(*names: str, owner: str | None = None) -> dict[str, Any]:
    entries = [{"id": name, "object": "model", "owned_by": owner} for name in names]
    return {"object": "list", "data": entries}


@dataclass
class Machine:
    """Answers by host, port and path; nobody listens elsewhere."""

    answers: dict[tuple[str, int, str], ServerReply]
    asked: list[tuple[str, int, str]] = field(default_factory=list)

    async def get(self, host: str, port: int, path: str) -> ServerReply | None:
        self.asked.append((host, port, path))
        known = {(host, port) for host, port, _ in self.answers}
        if (host, port) not in known:
            return None
        return self.answers.get((host, port, path), ServerReply(404, "", b"404 page not found"))


def at(port: int, answers: dict[str, ServerReply], host: str = V4) -> Machine:
    return Machine({(host, port, path): reply for path, reply in answers.items()})


async def only(machine: Machine) -> LocalServer:
    (server,) = await find_servers(machine)
    return server


@pytest.mark.parametrize(
    ("answers", "product"),
    [
        ({"/v1/models": answer(models("m", owner="vllm"))}, "vLLM"),
        ({"/v1/models": answer(models("m", owner="sglang"))}, "SGLang"),
        ({"/v1/models": answer(models("m", owner="llamacpp"))}, "llama.cpp"),
        ({"/v1/models": answer(models("m"), server="llama.cpp")}, "llama.cpp"),
        (
            {
                "/v1/models": answer(models("m", owner="me")),
                "/props": answer({"default_generation_settings": {}, "build_info": "b1"}),
            },
            "llama.cpp",
        ),
        (
            {
                "/v1/models": answer(models("m", owner="organization_owner")),
                "/api/v0/models": answer({"data": [{"id": "m", "compatibility_type": "gguf"}]}),
            },
            "LM Studio",
        ),
        (
            {"/v1/models": answer(models("m", owner="organization_owner"))},
            "an OpenAI-compatible server",
        ),
        ({"/v1/models": answer(models("m", owner="somebody"))}, "an OpenAI-compatible server"),
    ],
)
@pytest.mark.parametrize("port", PORTS)
async def test_a_server_is_what_it_says_whatever_its_port(
    answers: dict[str, ServerReply], product: str, port: int
) -> None:
    server = await only(at(port, answers))
    assert (server.product, server.port, server.models) == (product, port, ("m",))
    assert (server.base_url, server.dialect) == (f"http://127.0.0.1:{port}/v1", "chat")


@pytest.mark.parametrize("port", PORTS)
async def test_ollama_is_known_by_its_version_and_speaks_its_own_dialect(port: int) -> None:
    version = answer({"version": "0.12.3"})
    listed = {"/v1/models": answer(models("llama3.2", owner="library")), "/api/version": version}
    server = await only(at(port, listed))
    assert (server.product, server.dialect) == ("Ollama", "ollama")
    assert (server.base_url, server.models) == (f"http://127.0.0.1:{port}", ("llama3.2",))
    tags = answer({"models": [{"name": "mistral:7b", "model": "mistral:7b"}]})
    older = await only(at(port, {"/api/version": version, "/api/tags": tags}))
    assert (older.product, older.models) == ("Ollama", ("mistral:7b",))


async def test_a_server_without_a_model_is_found_and_has_none() -> None:
    server = await only(at(11434, {"/api/version": answer({"version": "0.1"})}))
    assert (server.product, server.models, server.model) == ("Ollama", (), None)


async def test_the_other_loopback_counts_where_the_first_does_not_answer() -> None:
    listed = {"/v1/models": answer(models("m", owner="vllm"))}
    assert (await only(at(8000, listed, host=V6))).base_url == "http://[::1]:8000/v1"
    both = Machine(at(8000, listed).answers | at(8000, listed, host=V6).answers)
    assert (await only(both)).base_url == "http://127.0.0.1:8000/v1"


async def test_servers_are_told_in_the_order_of_their_ports() -> None:
    listed = {"/v1/models": answer(models("m", owner="vllm"))}
    machine = Machine(at(1234, listed).answers | at(8000, listed).answers)
    assert [server.port for server in await find_servers(machine)] == [8000, 1234]
    assert {(host, port) for host, port, _ in machine.asked} == {
        (host, port) for host in (V4, V6) for port in PORTS
    }


async def test_what_is_no_llm_server_is_asked_twice_and_left_out() -> None:
    machine = at(8080, {"/": ServerReply(200, "nginx", b"<html>")})
    assert await find_servers(machine) == ()
    assert [path for host, port, path in machine.asked if (host, port) == (V4, 8080)] == [
        "/v1/models",
        "/api/version",
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Directory listing</html>",
        b"[" * 60_000,
        b'{"data":',
        b"[]",
        b"null",
        b'{"data":{"a":1}}',
        b'{"data":"models"}',
        b"\xff\xfe\x00",
    ],
)
async def test_what_is_no_list_of_models_is_no_server(body: bytes) -> None:
    everywhere = {
        path: ServerReply(200, "", body) for path in ("/v1/models", "/api/version", "/props")
    }
    assert await find_servers(at(8000, everywhere)) == ()


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 500])
async def test_an_answer_that_is_no_200_is_no_server(status: int) -> None:
    refused = answer(models("m", owner="vllm"), status=status)
    assert await find_servers(at(8000, {"/v1/models": refused})) == ()


async def test_names_that_cannot_stand_in_a_setting_are_left_out() -> None:
    bad = ["", "  ", "a\nb", "a\x1b[2J", "a\u202eb", "\ud800", "a\x00", "x" * 201, None, 7, {}]
    entries = [{"id": name} for name in [*bad, 'say "hi" \\o/', "日本", "日本"]] + [None, 3, []]
    server = await only(at(8000, {"/v1/models": answer({"data": entries})}))
    assert server.models == ('say "hi" \\o/', "日本")


async def test_a_great_many_models_are_cut() -> None:
    names = [f"m{number}" for number in range(2_000)]
    server = await only(at(8000, {"/v1/models": answer(models(*names))}))
    assert len(server.models) == 500


async def test_the_model_to_ask_is_the_first_that_writes() -> None:
    names = ("text-embedding-nomic", "bge-Reranker", "qwen3", "llama")
    server = await only(at(1234, {"/v1/models": answer(models(*names))}))
    assert server.model == "qwen3"
    mute = await only(at(1234, {"/v1/models": answer(models(*names[:2]))}))
    assert mute.model == "text-embedding-nomic"


@dataclass
class Listener:
    """A raw server on loopback: what it heard, and what it says."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def saying(*pieces: bytes, pause_s: float = 0.0) -> AsyncIterator[Listener]:
    listener = await anyio.create_tcp_listener(local_host=V4)
    heard = Listener(listener.extra(SocketAttribute.local_port))

    async def handle(stream: SocketStream) -> None:
        async with stream:
            try:
                heard.heads.append(await stream.receive())
                for piece in pieces:
                    await stream.send(piece)
                    await anyio.sleep(pause_s)
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                return  # the asker has left

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield heard
        group.cancel_scope.cancel()


def http(body: bytes, head: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return head + b"\r\ncontent-length: %d\r\nserver: s\r\n\r\n" % len(body) + body


async def asked(port: int, timeout_s: float = 5.0) -> ServerReply | None:
    async with HttpNetwork(timeout_s) as network:
        return await network.get(V4, port, "/v1/models")


async def test_a_get_carries_nothing_but_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", "/nonexistent")
    async with saying(http(b"{}")) as server:
        assert await asked(server.port) == ServerReply(200, "s", b"{}")
    (head,) = server.heads
    lines = head.decode().split("\r\n")
    assert lines[0] == "GET /v1/models HTTP/1.1"
    names = {line.split(":")[0].lower() for line in lines[1:] if line}
    assert names == {"host", "accept", "accept-encoding", "connection", "user-agent"}
    assert b"secret" not in head


async def test_a_redirect_is_never_followed() -> None:
    async with saying(http(b"{}")) as target:
        moved = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:%d/" % target.port
        async with saying(http(b"", moved)) as server:
            assert await asked(server.port) == ServerReply(302, "s", b"")
    assert target.heads == []


@pytest.mark.parametrize(
    "pieces",
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n",),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50_000,),
        (b"\x16\x03\x01\x00",),
        (b"",),
        (http(b" " * (MOST_BYTES + 1)),),
    ],
)
async def test_what_is_no_whole_answer_within_bounds_is_none(pieces: tuple[bytes, ...]) -> None:
    async with saying(*pieces) as server:
        assert await asked(server.port) is None


async def test_an_answer_as_large_as_may_be_is_read() -> None:
    async with saying(http(b" " * MOST_BYTES)) as server:
        reply = await asked(server.port)
    assert reply is not None
    assert len(reply.body) == MOST_BYTES


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"])
async def test_a_slow_drip_is_not_waited_for(first: bytes) -> None:
    drips = [b"x"] * 1_000
    async with saying(first, *drips, pause_s=0.02) as server:
        with anyio.fail_after(5):
            assert await asked(server.port, timeout_s=0.1) is None


async def test_nobody_there_is_none() -> None:
    async with saying() as server:
        port = server.port
    assert await asked(port) is None


async def test_a_server_is_found_over_a_socket() -> None:
    async with (
        saying(http(json.dumps(models("m", owner="vllm")).encode())) as server,
        HttpNetwork(5.0) as network,
    ):
        (found,) = await find_servers(network, [server.port])
    assert (found.product, found.models) == ("vLLM", ("m",))
