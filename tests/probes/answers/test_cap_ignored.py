"""A server that ignores its answer cap: the stream is cut, and the route reserves what it uses."""

import json
from collections.abc import Iterator
from random import Random
from typing import get_args

import pytest
from probing import probe_once
from transports import TRANSPORTS
from wire import SSE, Play, Wire, chunked, serve

from probes.config import Dialect, DialectChoice, Price, Route, Timeouts
from probes.config.scrubbing import Scrubber
from probes.engine.health import GapWatch
from probes.engine.probe import Probe, ProbeTools
from probes.engine.route import TransportFactory
from probes.events import AttemptFinished, Event, Notice
from probes.kit.clock import SystemClock
from probes.money.pricing import output_limit

pytestmark = pytest.mark.anyio

CAP = 64
FLOOD = 20_000
LINES = SSE.replace(b"text/event-stream", b"application/x-ndjson")


def chat(text: str) -> bytes:
    return sse({"choices": [{"index": 0, "delta": {"content": text}}]})


def sse(payload: object, name: str = "") -> bytes:
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(payload)}\n\n".encode()


def spoken(dialect: DialectChoice, text: str) -> bytes:
    """Return one token of an answer in a dialect."""
    match dialect:
        case "completions":
            return sse({"choices": [{"index": 0, "text": text}]})
        case "messages":
            delta = {"type": "text_delta", "text": text}
            event = {"type": "content_block_delta", "index": 0, "delta": delta}
            return sse(event, "content_block_delta")
        case "responses":
            kind = "response.output_text.delta"
            return sse({"type": kind, "output_index": 0, "item_id": "i", "delta": text}, kind)
        case "ollama":
            line = {"message": {"role": "assistant", "content": text}, "done": False}
            return json.dumps(line).encode() + b"\n"
        case _:
            return chat(text)


class Flood:
    """Sends tokens until the client goes away or `FLOOD` are sent, and counts them."""

    def __init__(self, dialect: DialectChoice = "chat", text: str = "word ", a_write: int = 1):
        self.sent = 0
        self._dialect = dialect
        self._piece = chunked(spoken(dialect, text) * a_write)
        self._a_write = a_write

    async def play(self, wire: Wire) -> bool:
        await wire.send(LINES if self._dialect == "ollama" else SSE)
        for _ in range(FLOOD // self._a_write):
            await wire.send(self._piece)
            self.sent += self._a_write
        return False


def route_for(url: str, **settings: object) -> Route:
    known: dict[str, object] = {"max_tokens": CAP, "retries": 0, "timeouts": Timeouts(total=20)}
    return Route(name="r", base_url=url, model="m", **(known | settings))  # type: ignore[arg-type]


async def attempt_on(
    play: Play, transport: TransportFactory, **settings: object
) -> AttemptFinished:
    async with serve(play) as server:
        record = await probe_once(
            route_for(server.url, **settings),
            {},
            clock=SystemClock(),
            random=Random(1),
            transport=transport,
        )
    return record.attempts[0]


@pytest.mark.parametrize("transport", TRANSPORTS.values(), ids=TRANSPORTS)
@pytest.mark.parametrize("dialect", get_args(Dialect))
async def test_the_stream_is_cut_in_every_dialect(
    dialect: DialectChoice, transport: TransportFactory
) -> None:
    flood = Flood(dialect)
    attempt = await attempt_on(flood.play, transport, dialect=dialect)
    assert (attempt.outcome, attempt.reason) == ("protocol_error", "cap_ignored")
    assert not attempt.retryable
    assert attempt.charged_tokens > 1.4 * attempt.reserved_tokens
    assert attempt.characters < len("word ") * FLOOD / 2


@pytest.mark.parametrize(
    ("text", "a_write"),
    [("word ", 1), ("a", 1), ("word ", 50), ("a whole page of words " * 100, 1), ("海", 1)],
    ids=["words", "letters", "many at once", "pages", "wide"],
)
async def test_however_its_tokens_come(text: str, a_write: int) -> None:
    flood = Flood(text=text, a_write=a_write)
    attempt = await attempt_on(flood.play, TRANSPORTS["stamping"])
    assert attempt.reason == "cap_ignored"
    came = attempt.characters // len(text)
    assert attempt.charged_tokens >= came, "what was cut is charged as all that may have come"


def honest(*texts: str) -> Play:
    async def play(wire: Wire) -> bool:
        await wire.send(SSE)
        for text in texts:
            await wire.send(chunked(chat(text)))
        await wire.send(chunked(sse({"choices": [{"delta": {}, "finish_reason": "stop"}]})))
        await wire.send(chunked(b"data: [DONE]\n\n"), b"0\r\n\r\n")
        return True

    return play


@pytest.mark.parametrize(
    "texts",
    [
        ["tokens "] * CAP,
        ["internationalisation "] * 20,
        list("letter by letter, as some proxies type what they hold back " * 6),
        [" " * 15] * CAP,
    ],
    ids=["at its cap", "long words", "letters", "blanks"],
)
async def test_an_answer_within_its_cap_is_never_cut(texts: list[str]) -> None:
    attempt = await attempt_on(honest(*texts), TRANSPORTS["stamping"])
    assert attempt.outcome == "ok"
    assert attempt.charged_tokens == attempt.reserved_tokens


class Row:
    """Probes of one route, one after the other, as a worker sends them."""

    def __init__(self, route: Route) -> None:
        self.events: list[Event] = []
        clock = SystemClock()
        self.tools = ProbeTools(
            route=route,
            headers={},
            clock=clock,
            random=Random(1),
            gaps=GapWatch(clock.monotonic_ns(), asleep_ns=lambda: 0),
            scrub=Scrubber(frozenset()),
            emit=self.events.append,
            gate=self,
        )

    async def admit(self, tokens: object, cancelled: object, **_: bool) -> bool:
        return True

    def settle(self, event: AttemptFinished) -> None:
        pass

    async def probe(self) -> AttemptFinished:
        tools = self.tools
        transport = TRANSPORTS["stamping"](tools.route, tools.clock)
        now_ns = tools.clock.monotonic_ns()
        await Probe("1-1", tools, transport, scheduled_ns=now_ns).run()
        await transport.aclose()
        attempts = [event for event in self.events if isinstance(event, AttemptFinished)]
        return attempts[-1]

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Notice)]


async def test_the_next_attempt_reserves_what_the_last_one_used() -> None:
    async with serve(Flood().play) as server:
        row = Row(route_for(server.url, price=Price(input=1.0, output=2.0)))
        first, second = await row.probe(), await row.probe()
    size = row.tools.route.input_tokens
    assert first.reserved_tokens == size + CAP
    assert second.reserved_tokens == first.charged_tokens
    assert first.charged_usd == pytest.approx(
        (size * 1.0 + (first.charged_tokens - size) * 2.0) / 1e6
    )
    limit = size + output_limit(size, CAP)
    assert second.charged_tokens < 2 * limit, "it is cut at the same place, not ever later"
    (said,) = row.notices
    assert said.startswith(f"the server ignores the answer cap of {CAP}")
    assert f"{first.charged_tokens:,} tokens are reserved" in said


async def test_a_whole_answer_beyond_the_cap_teaches_the_same() -> None:
    message = {"role": "assistant", "content": "word " * 3_000}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"

    async def play(wire: Wire) -> bool:
        await wire.send(head % len(body) + body)
        return True

    async with serve(play) as server:
        row = Row(route_for(server.url, stream=False))
        first, second = await row.probe(), await row.probe()
    assert (first.outcome, first.reason) == ("ok", "")
    assert first.charged_tokens > 900, "the least that 15,000 characters can be"
    assert second.reserved_tokens == first.charged_tokens
    (said,) = row.notices
    assert said.endswith(
        f" under a cap of {CAP}: {first.charged_tokens:,} tokens are reserved for the next"
    )


def usages() -> Iterator[dict[str, object]]:
    yield {"prompt_tokens": 9, "completion_tokens": 10**9}
    yield {"prompt_tokens": 10**9, "completion_tokens": 1}
    yield {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10**9}


@pytest.mark.parametrize("usage", usages(), ids=["output", "input", "total"])
async def test_a_false_usage_is_charged_as_reserved_and_said_once(usage: dict[str, object]) -> None:
    async def play(wire: Wire) -> bool:
        await wire.send(SSE, chunked(chat("a")))
        await wire.send(chunked(sse({"choices": [{"delta": {}, "finish_reason": "stop"}]})))
        await wire.send(chunked(sse({"choices": [], "usage": usage})))
        await wire.send(chunked(b"data: [DONE]\n\n"), b"0\r\n\r\n")
        return True

    async with serve(play) as server:
        row = Row(route_for(server.url))
        first, second = await row.probe(), await row.probe()
    for attempt in (first, second):
        assert attempt.outcome == "ok"
        assert attempt.charged_tokens == attempt.reserved_tokens
        assert (attempt.input_tokens, attempt.output_tokens) == (None, None)
    (said,) = row.notices
    assert "1,000,000,000" in said or "999,999,991" in said
