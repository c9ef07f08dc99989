"""How a route asks, and what it learns of its server."""

import json
from random import Random

import pytest
from probing import probe_once
from wire import Wire, chat_answer, serve

from probes.config import Route
from probes.engine.request_builder import RequestBuilder
from probes.engine.single import ProbeRecord
from probes.kit.clock import SystemClock

pytestmark = pytest.mark.anyio

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 22\r\n\r\n"


async def probed(base_url: str, **settings: str) -> ProbeRecord:
    route = Route(name="r", base_url=base_url, model="a b", **settings)  # type: ignore[arg-type]
    key = {"Authorization": "Bearer secret-key"}
    return await probe_once(route, key, clock=SystemClock(), random=Random(1))


def azure(base_url: str, **settings: str) -> str:
    route = Route(name="r", base_url=base_url, model="my gpt", dialect="azure", **settings)  # type: ignore[arg-type]
    builder = RequestBuilder(route, {})
    return builder.request(builder.way, max_tokens=8, nonce=None).url


def test_azure_is_asked_under_its_deployment_with_a_version() -> None:
    whole = "https://a.openai.azure.com/openai/deployments/my%20gpt/chat/completions"
    assert azure("https://a.openai.azure.com") == f"{whole}?api-version=2024-10-21"
    assert azure("https://a.openai.azure.com/openai") == f"{whole}?api-version=2024-10-21"
    assert azure("https://a.openai.azure.com", api_version="2025-04-01-preview") == (
        f"{whole}?api-version=2025-04-01-preview"
    )


def test_azure_keeps_a_deployment_and_a_version_that_the_url_has() -> None:
    base = "https://a.openai.azure.com/openai/deployments/other"
    assert azure(f"{base}?api-version=2024-06-01") == (
        f"{base}/chat/completions?api-version=2024-06-01"
    )
    assert azure(f"{base}?x=1") == f"{base}/chat/completions?x=1&api-version=2024-10-21"


async def test_azure_takes_its_key_in_a_header_of_its_own() -> None:
    heads: list[bytes] = []

    async def play(wire: Wire) -> None:
        heads.append(wire.head.lower())
        await wire.send(*chat_answer("hi"))

    async with serve(play) as server:
        record = await probed(server.url, dialect="azure")
    assert record.probe.outcome == "ok"
    assert b"\r\napi-key: secret-key" in heads[0]
    assert b"authorization" not in heads[0]
    assert b"/openai/deployments/a%20b/chat/completions?api-version=2024-10-21" in heads[0]


async def test_auto_asks_in_one_dialect_after_the_other_and_says_what_it_found() -> None:
    paths: list[str] = []

    async def play(wire: Wire) -> bool:
        paths.append(wire.path)
        if wire.path.endswith("/completions") and "chat" not in wire.path:
            await wire.send(*chat_answer("hi"))
        else:
            await wire.send(NOT_FOUND, b'{"detail":"Not Found"}')
        return True

    async with serve(play) as server:
        record = await probed(server.url, dialect="auto")
    assert record.probe.outcome == "ok"
    assert record.notices == ("dialect auto: the server speaks completions",)
    assert paths == ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/completions"]
    assert [attempt.dialect for attempt in record.attempts] == [
        "chat",
        "responses",
        "messages",
        "completions",
    ]
    assert all(attempt.retry is None for attempt in record.attempts)


async def test_auto_that_finds_nothing_says_so_and_tells_the_first_answer() -> None:
    async def play(wire: Wire) -> bool:
        await wire.send(NOT_FOUND, b'{"detail":"Not Found"}')
        return True

    async with serve(play) as server:
        record = await probed(server.url, dialect="auto")
    assert (record.probe.outcome, record.probe.reason) == ("client_error", "not_found")
    assert record.notices == (
        "dialect auto: none of chat, responses, messages, completions is spoken here;"
        " is base_url right?",
    )


async def test_an_answer_in_another_dialect_is_named_and_never_a_success() -> None:
    said = {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": True}
    body = json.dumps(said).encode() + b"\n"

    async def play(wire: Wire) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"
        await wire.send(head, b"content-length: %d\r\n\r\n" % len(body), body)

    async with serve(play) as server:
        record = await probed(server.url)
    (attempt,) = record.attempts
    assert (attempt.outcome, attempt.reason) == ("protocol_error", "other_dialect")
    assert attempt.message == 'the answer is in the ollama dialect: set dialect = "ollama"'
    assert attempt.dialect == "ollama"


async def test_a_stream_in_another_dialect_is_not_waited_for_to_its_end() -> None:
    async def play(wire: Wire) -> bool:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        event = b'data: {"type": "message_start", "message": {"usage": {}}}\n\n'
        await wire.send(head, event)
        await wire.stream.receive()
        return False

    async with serve(play) as server:
        record = await probed(server.url)
    (attempt,) = record.attempts
    assert (attempt.outcome, attempt.reason) == ("protocol_error", "other_dialect")
    assert attempt.dialect == "messages"


async def test_auto_goes_to_the_dialect_that_the_server_is_heard_to_speak() -> None:
    paths: list[str] = []

    async def play(wire: Wire) -> bool:
        paths.append(wire.path)
        if wire.path == "/v1/chat/completions":
            await wire.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 45\r\n\r\n",
                b'{"type": "message", "content": [], "id": "x"}',
            )
        else:
            await wire.send(NOT_FOUND, b'{"detail":"Not Found"}')
        return True

    async with serve(play) as server:
        await probed(server.url, dialect="auto")
    assert paths[:2] == ["/v1/chat/completions", "/v1/messages"]
