"""Routes with `stream = false`: whole answers, without TTFT, from the request to the board."""

import json
from random import Random
from typing import Any

import anyio
import pytest
from board_streams import ProbeScript, hello, route_info, tick
from probing import probe_once
from transports import TRANSPORTS
from wire import SSE, Play, Wire, chat_answer, chunked, delta, serve

from probes.answers.dialects import dialect_for
from probes.answers.dialects.base import Adaptation
from probes.board import Board
from probes.board.views import RouteView
from probes.config import Dialect, Route, Timeouts
from probes.engine.introduction import route_info as info_of
from probes.engine.route import TransportFactory
from probes.engine.single import ProbeRecord
from probes.kit.clock import SystemClock

ROUTE = Route(name="r", base_url="http://127.0.0.1/v1", model="m", stream=False)
USAGE = {"prompt_tokens": 9, "completion_tokens": 2}
WHOLE = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}], "usage": USAGE}
OLLAMA = {"message": {"content": "Hello"}, "done": True, "prompt_eval_count": 9, "eval_count": 2}


@pytest.fixture(params=TRANSPORTS.values(), ids=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> TransportFactory:
    """Have a test run on each transport."""
    made: TransportFactory = request.param
    return made


def body_of(route: Route) -> dict[str, Any]:
    dialect = dialect_for(route.dialect)
    return dict(
        json.loads(dialect.request_body(route, max_tokens=64, nonce=None, adaptation=Adaptation()))
    )


def answering(body: bytes, wait_s: float = 0.0) -> Play:
    async def play(wire: Wire) -> bool:
        await anyio.sleep(wait_s)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        await wire.send(head % len(body), body)
        return True

    return play


async def asked(
    play: Play,
    transport: TransportFactory,
    timeouts: Timeouts | None = None,
    dialect: Dialect = "chat",
) -> ProbeRecord:
    async with serve(play) as server:
        route = Route(
            name="r",
            base_url=server.url,
            model="m",
            dialect=dialect,
            stream=False,
            retries=0,
            timeouts=timeouts or Timeouts(),
        )
        return await probe_once(
            route,
            {},
            clock=SystemClock(),
            random=Random(1),
            include_text=True,
            transport=transport,
        )


def test_the_request_asks_for_no_stream_and_has_no_options_of_one() -> None:
    assert body_of(ROUTE)["stream"] is False
    assert "stream_options" not in body_of(ROUTE)
    streamed = Route(name="r", base_url="http://h", model="m")
    assert body_of(streamed)["stream"] is True
    assert body_of(streamed)["stream_options"] == {"include_usage": True}


@pytest.mark.anyio
@pytest.mark.parametrize(("dialect", "body"), [("chat", WHOLE), ("ollama", OLLAMA)])
async def test_a_whole_answer_has_an_end_and_no_first_token(
    dialect: Dialect, body: dict[str, Any], transport: TransportFactory
) -> None:
    record = await asked(answering(json.dumps(body).encode()), transport, dialect=dialect)
    (attempt,) = record.attempts
    assert (attempt.outcome, attempt.text, attempt.ttft_kind) == ("ok", "Hello", "not_streamed")
    assert (attempt.input_tokens, attempt.output_tokens, attempt.chunks) == (9, 2, 0)
    stamps = attempt.stamps_ns
    assert (stamps.first_token, stamps.first_answer, stamps.last_token) == (None, None, None)
    assert stamps.done is not None
    assert record.probe.first_token_ns is None
    assert record.probe.done_ns == stamps.done


@pytest.mark.anyio
async def test_a_stream_that_was_not_asked_for_is_read_and_has_no_ttft_either(
    transport: TransportFactory,
) -> None:
    async def play(wire: Wire) -> bool:
        for part in chat_answer("Hel", "lo"):
            await wire.send(part)
            await anyio.sleep(0.01)
        return True

    (attempt,) = (await asked(play, transport)).attempts
    assert (attempt.outcome, attempt.text, attempt.ttft_kind) == ("ok", "Hello", "not_streamed")
    assert attempt.output_tokens == 2
    assert (attempt.stamps_ns.first_token, attempt.chunks, attempt.stalls) == (None, 0, 0)


@pytest.mark.anyio
async def test_a_stream_that_was_not_asked_for_is_truncated_where_it_was_cut(
    transport: TransportFactory,
) -> None:
    async def play(wire: Wire) -> bool:
        await wire.send(SSE, delta("Hel"))
        return False

    (attempt,) = (await asked(play, transport)).attempts
    assert (attempt.outcome, attempt.reason, attempt.text) == ("truncated", "cut", "Hel")
    assert attempt.ttft_kind == "not_streamed"


@pytest.mark.anyio
async def test_neither_a_first_token_nor_a_stall_is_waited_for(transport: TransportFactory) -> None:
    hasty = Timeouts(connect=5.0, first_token=0.05, stall=0.05, total=5.0)
    body = json.dumps(WHOLE).encode()

    async def in_two_halves(wire: Wire) -> bool:
        await anyio.sleep(0.2)
        await wire.send(SSE.replace(b"text/event-stream", b"application/json"))
        await wire.send(chunked(body[:20]))
        await anyio.sleep(0.2)
        await wire.send(chunked(body[20:]), b"0\r\n\r\n")
        return True

    (attempt,) = (await asked(in_two_halves, transport, hasty)).attempts
    assert (attempt.outcome, attempt.text) == ("ok", "Hello")


@pytest.mark.anyio
async def test_the_whole_answer_is_waited_for_no_longer_than_the_total(
    transport: TransportFactory,
) -> None:
    hasty = Timeouts(connect=5.0, first_token=0.05, stall=0.05, total=0.3)
    (attempt,) = (await asked(answering(b"{}", wait_s=5.0), transport, hasty)).attempts
    assert (attempt.outcome, attempt.reason) == ("timeout", "timeout.total")
    assert attempt.status is None


def test_the_board_is_told_that_a_route_is_not_streamed() -> None:
    assert not info_of(ROUTE).streamed
    assert info_of(Route(name="r", base_url="http://h", model="m")).streamed


def shown(e2e_s: float) -> tuple[Board, RouteView]:
    board = Board()
    board.fold(hello(route_info(streamed=False)))
    probes = [
        ProbeScript(f"e1-{i}", float(i), ttft_s=None, e2e_s=e2e_s, finished={"chunks": 0})
        for i in range(25)
    ]
    events = [event for probe in probes for event in probe.events()]
    for event in sorted([*events, tick(40.0)], key=lambda event: event.at_ns):
        board.fold(event)
    return board, board.snapshot("5m", ("alpha",)).routes[0]


@pytest.mark.parametrize(("e2e_s", "state", "goodput"), [(2.0, "ok", 1.0), (3.5, "slow", 0.0)])
def test_such_a_route_is_judged_by_its_e2e(e2e_s: float, state: str, goodput: float) -> None:
    board, view = shown(e2e_s)
    assert (view.state, view.goodput, view.streamed) == (state, goodput, False)
    assert (view.ttft_p95.n, view.ttft_p95.value, view.ttft_p95.grade) == (0, None, "none")
    assert (view.e2e_p95.value, view.stream_tokens_per_s) == (e2e_s, None)
    assert not board.snapshot("5m", ("alpha",)).details["alpha"].percentiles.streamed


def test_its_summary_misses_no_ttft_goal() -> None:
    board, _ = shown(2.0)
    summary = board.summary()["alpha"]
    assert (summary["ttft_p95_s"], summary["ttft_n"], summary["goals_met"]) == (None, 0, True)
