"""One HTTP exchange over a real socket."""

import json
from dataclasses import dataclass, field

import anyio
import pytest
from transports import TRANSPORTS
from wire import SSE, Play, Wire, chat_answer, chunked, data, delta, serve

from probes.answers.answer import Answer
from probes.answers.dialects import dialect_for
from probes.answers.progress import Progress
from probes.config import Route, Timeouts
from probes.engine.attempt import Attempt
from probes.engine.health import GapWatch
from probes.engine.route import TransportFactory
from probes.engine.stamp_recorder import StampRecorder
from probes.events import StampLadder, TtftKind
from probes.kit.clock import SystemClock
from probes.transport import Request

pytestmark = pytest.mark.anyio

BODY = b'{"model":"m"}'
ROUTE = Route(name="r", base_url="http://127.0.0.1/v1", model="m")


@pytest.fixture(params=TRANSPORTS.values(), ids=TRANSPORTS, autouse=True)
def _transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every test run on each transport."""
    monkeypatch.setattr(Bench, "make", staticmethod(request.param), raising=False)


@dataclass
class Heard:
    """What a listener was told, in order."""

    started: list[int] = field(default_factory=list)
    first_tokens: list[tuple[int, TtftKind]] = field(default_factory=list)
    outputs: list[Progress] = field(default_factory=list)
    hears_output: bool = True

    def on_started(self, at_ns: int) -> None:
        self.started.append(at_ns)

    def on_first_token(self, at_ns: int, kind: TtftKind) -> None:
        self.first_tokens.append((at_ns, kind))

    def on_output(self, progress: Progress) -> None:
        self.outputs.append(progress)


@dataclass
class Result:
    """What an attempt came to."""

    answer: Answer
    measured: StampRecorder

    @property
    def stamps(self) -> StampLadder:
        return StampLadder(**self.measured.stamps)

    @property
    def cold(self) -> bool:
        return self.stamps.tcp is not None


class Bench:
    """An attempt with everything around it."""

    make: TransportFactory

    def __init__(self, timeouts: Timeouts | None = None, stall_after: float = 1.0) -> None:
        self.clock = SystemClock()
        self.transport = Bench.make(ROUTE, self.clock)
        self.heard = Heard()
        self.gaps = GapWatch(self.clock.monotonic_ns(), asleep_ns=lambda: 0)
        self.timeouts = timeouts or Timeouts()
        self.stall_after = stall_after

    def attempt(self) -> Attempt:
        return Attempt(
            transport=self.transport,
            dialect=dialect_for("chat"),
            clock=self.clock,
            gaps=self.gaps,
            timeouts=self.timeouts,
            stall_after=self.stall_after,
            listener=self.heard,
            keep_text=True,
        )

    async def run(self, url: str) -> Result:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        attempt = self.attempt()
        answer = await attempt.run(Request(url + "/chat/completions", headers, BODY))
        return Result(answer, attempt.recorder)


async def exchange(play: Play, **options: object) -> tuple[Result, Heard]:
    bench = Bench(**options)
    async with serve(play) as server:
        result = await bench.run(server.url)
        await bench.transport.aclose()
    return result, bench.heard


def whole(*parts: bytes) -> Play:
    async def play(wire: Wire) -> bool:
        await wire.send(*parts)
        return True

    return play


def in_order(stamps: StampLadder, *steps: str) -> bool:
    values = [getattr(stamps, step) for step in steps]
    return None not in values and values == sorted(values)


async def test_a_cold_attempt_has_the_whole_ladder_in_order() -> None:
    async def play(wire: Wire) -> bool:
        for part in chat_answer("Hel", "lo"):
            await wire.send(part)
            await anyio.sleep(0.005)
        return True

    result, heard = await exchange(play)
    assert result.answer.outcome == "ok"
    assert result.answer.text == "Hello"
    steps = ("started", "tcp", "sent", "headers", "first_event", "first_token")
    assert in_order(result.stamps, *steps, "last_token", "done", "ended")
    assert result.stamps.tls is None
    assert result.cold
    assert heard.started == [result.stamps.started]
    assert heard.first_tokens == [(result.stamps.first_token, "content")]
    assert (
        result.measured.chunks == len(heard.outputs) == len(result.measured.chunk_offsets_ns) == 2
    )


async def test_a_second_attempt_reuses_the_connection_and_has_no_tcp_stamp() -> None:
    bench = Bench()
    async with serve(whole(*chat_answer("a"))) as server:
        await bench.run(server.url)
        assert bench.transport.open_sockets == 1
        warm = await bench.run(server.url)
        await bench.transport.aclose()
    assert server.connections == 1
    assert not warm.cold
    assert in_order(warm.stamps, "started", "sent", "headers", "first_token", "done")
    assert bench.transport.open_sockets == 0


async def test_the_role_chunk_does_not_stop_the_ttft_clock() -> None:
    async def play(wire: Wire) -> bool:
        role = '{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}'
        await wire.send(SSE, data(role))
        await anyio.sleep(0.05)
        await wire.send(*chat_answer("x")[1:])
        return True

    result, _ = await exchange(play)
    stamps = result.stamps
    assert stamps.first_token is not None
    assert stamps.first_event is not None
    assert stamps.first_token - stamps.first_event > 30_000_000


async def test_gaps_between_output_chunks_are_measured_and_long_ones_counted_as_stalls() -> None:
    async def play(wire: Wire) -> bool:
        await wire.send(SSE, delta("a"))
        await anyio.sleep(0.08)
        await wire.send(*chat_answer("b")[1:])
        return True

    result, _ = await exchange(play, stall_after=0.05)
    assert result.measured.stalls == 1
    assert 60_000_000 < result.measured.longest_gap_ns < 500_000_000


async def test_a_body_left_open_after_its_end_marker_is_closed_and_the_marker_counts() -> None:
    async def play(wire: Wire) -> bool:
        await wire.send(*chat_answer("a")[:-1])
        await anyio.sleep(10)
        return False

    result, _ = await exchange(play)
    assert result.answer.outcome == "ok"
    stamps = result.stamps
    assert stamps.done is not None
    assert stamps.first_token is not None
    assert stamps.done - stamps.first_token < 500_000_000
    assert stamps.ended == stamps.done


TIGHT = Timeouts(connect=5, first_token=0.15, stall=0.15, total=5)


async def test_no_answer_within_the_first_token_clock_is_a_timeout() -> None:
    async def play(wire: Wire) -> bool:
        await anyio.sleep(10)
        return False

    result, heard = await exchange(play, timeouts=TIGHT)
    assert (result.answer.outcome, result.answer.reason) == ("timeout", "timeout.first_token")
    assert result.answer.status is None
    assert result.stamps.ended is not None
    assert len(heard.started) == 1


async def test_keep_alives_and_empty_deltas_do_not_hold_off_the_first_token_clock() -> None:
    async def play(wire: Wire) -> bool:
        await wire.send(SSE)
        for _ in range(100):
            await wire.send(b"4\r\n: p\n\r\n", delta(""))
            await anyio.sleep(0.02)
        return False

    result, _ = await exchange(play, timeouts=TIGHT)
    assert (result.answer.outcome, result.answer.reason) == ("timeout", "timeout.first_token")
    assert result.stamps.first_token is None


async def test_keep_alives_do_not_hold_off_the_stall_clock() -> None:
    async def play(wire: Wire) -> bool:
        await wire.send(SSE, delta("a"))
        for _ in range(100):
            await wire.send(b"4\r\n: p\n\r\n")
            await anyio.sleep(0.02)
        return False

    result, _ = await exchange(play, timeouts=TIGHT)
    assert (result.answer.outcome, result.answer.reason) == ("timeout", "timeout.stall")
    assert result.answer.text == "a"


async def test_output_holds_off_the_stall_clock_but_not_the_total() -> None:
    async def play(wire: Wire) -> bool:
        await wire.send(SSE)
        for _ in range(100):
            await wire.send(delta("a"))
            await anyio.sleep(0.05)
        return False

    timeouts = Timeouts(connect=5, first_token=5, stall=0.2, total=0.6)
    result, _ = await exchange(play, timeouts=timeouts)
    assert (result.answer.outcome, result.answer.reason) == ("timeout", "timeout.total")
    assert result.measured.chunks > 5


async def test_a_refused_connection_says_so() -> None:
    bench = Bench()
    async with serve(whole()) as server:
        url = server.url
    result = await bench.run(url)
    assert result.answer.reason == "connect.refused"
    assert result.answer.retryable
    assert result.stamps.started is not None
    assert result.stamps.sent is None


async def test_an_unknown_host_says_so() -> None:
    result = await Bench().run("http://no-such-host.invalid/v1")
    assert result.answer.reason == "connect.dns"


async def test_a_cut_stream_is_truncated_with_what_came() -> None:
    async def play(wire: Wire) -> bool:
        await wire.send(SSE, delta("Hel"))
        return False

    result, _ = await exchange(play)
    assert result.answer.outcome == "truncated"
    assert result.answer.text == "Hel"
    assert result.stamps.done is None


async def test_our_own_cancellation_is_not_the_servers_failure() -> None:
    started = anyio.Event()

    async def play(wire: Wire) -> bool:
        await wire.send(SSE, delta("a"))
        started.set()
        await anyio.sleep(10)
        return False

    bench = Bench()
    attempt = bench.attempt()
    results = []

    async def run(url: str) -> None:
        answer = await attempt.run(Request(url + "/chat/completions", {}, BODY))
        results.append(Result(answer, attempt.recorder))

    async with serve(play) as server, anyio.create_task_group() as group:
        group.start_soon(run, server.url)
        await started.wait()
        await anyio.sleep(0.05)
        attempt.cancel()
    assert results[0].answer.outcome == "cancelled"
    assert results[0].stamps.first_token is not None


async def test_a_timeout_that_our_own_pause_caused_is_not_the_servers() -> None:
    async def play(wire: Wire) -> bool:
        await anyio.sleep(10)
        return False

    bench = Bench(TIGHT)
    bench.gaps.beat(bench.clock.monotonic_ns() + 3_000_000_000)
    async with serve(play) as server:
        result = await bench.run(server.url)
    assert (result.answer.outcome, result.answer.reason) == ("cancelled", "local_gap")
    assert result.measured.flagged == "local_gap"


async def test_redirects_are_not_followed() -> None:
    answer = b"HTTP/1.1 307 X\r\nlocation: http://evil.invalid/\r\ncontent-length: 0\r\n\r\n"
    result, _ = await exchange(whole(answer))
    assert result.answer.status == 307
    assert result.answer.outcome == "client_error"


async def test_a_kept_connection_that_was_closed_is_told_from_a_server_that_fails() -> None:
    async def play(wire: Wire) -> bool:
        if server.connections == 1 and len(server.requests) == 2:
            return False
        await wire.send(*chat_answer("a"))
        return True

    bench = Bench()
    async with serve(play) as server:
        await bench.run(server.url)
        stale = await bench.run(server.url)
        fresh = await bench.run(server.url)
        await bench.transport.aclose()
    assert (stale.answer.outcome, stale.answer.reason) == ("protocol_error", "stale_connection")
    assert stale.answer.retryable
    assert not stale.cold
    assert fresh.answer.outcome == "ok"
    assert fresh.cold


async def test_a_fresh_connection_that_is_closed_at_once_is_the_servers_failure() -> None:
    result, _ = await exchange(whole_close())
    assert (result.answer.outcome, result.answer.reason) == ("protocol_error", "reset")


def whole_close() -> Play:
    async def play(_wire: Wire) -> bool:
        return False

    return play


async def test_a_stall_after_a_fast_stream_is_noticed_in_time_and_never_early() -> None:
    async def play(wire: Wire) -> bool:
        await wire.send(SSE)
        for _ in range(60):
            await wire.send(delta("a"))
            await anyio.sleep(0.003)
        await anyio.sleep(3)
        return False

    result, _ = await exchange(play, timeouts=Timeouts(stall=0.4))
    assert result.answer.reason == "timeout.stall"
    assert result.stamps.ended is not None
    assert result.stamps.last_token is not None
    waited_s = (result.stamps.ended - result.stamps.last_token) / 1e9
    assert 0.4 <= waited_s < 0.7


async def test_a_refusal_whose_body_stays_open_is_over_with_its_json() -> None:
    async def play(wire: Wire) -> bool:
        head = b"HTTP/1.1 429 X\r\ncontent-type: application/json\r\n"
        await wire.send(head + b"transfer-encoding: chunked\r\n\r\n")
        await wire.send(chunked(b'{"error":{"message":"slow"'), chunked(b',"code":"x"}}'))
        await anyio.sleep(10)
        return False

    result, _ = await exchange(play, timeouts=Timeouts(first_token=8))
    assert (result.answer.outcome, result.answer.message) == ("throttled", "slow")
    assert result.stamps.ended is not None
    assert result.stamps.headers is not None
    assert result.stamps.ended - result.stamps.headers < 500_000_000


def chunk(finish: str | None = None, **keys: str) -> bytes:
    """One chunk of a chat stream with these keys in its delta."""
    choice = {"index": 0, "delta": keys, "finish_reason": finish}
    return data(json.dumps({"choices": [choice]}))


STOP = chunk("stop")
SOON_S = 0.15
"""How long a body may stay open after its end in these tests."""


def later(*parts: bytes | float, ends: bool = True) -> Play:
    """Send parts, wait so many seconds where there is a number; then end the body, or cut it."""

    async def play(wire: Wire) -> bool:
        await wire.send(SSE)
        for part in parts:
            if isinstance(part, float):
                await anyio.sleep(part)
            else:
                await wire.send(part)
        if ends:
            await wire.send(b"0\r\n\r\n")
        return False

    return play


@pytest.fixture
def _short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.engine.watchdog.LINGER_S", SOON_S)


EARLY: dict[str, list[bytes | float]] = {
    "on an empty chunk": [chunk("stop", role="assistant", content=""), 0.4, delta("a"), STOP],
    "on reasoning": [chunk("stop", reasoning="hm"), 0.4, delta("a"), STOP],
    "on both": [STOP, 0.3, chunk("stop", reasoning="hm"), 0.3, delta("a"), STOP],
    "after reasoning": [chunk(reasoning="hm"), STOP, 0.4, delta("a"), STOP],
    "on text": [chunk("stop", content="a"), 0.05, STOP],
    "and the end marker ends it": [STOP, 0.4, delta("a"), data("[DONE]")],
}
TWICE: list[bytes | float] = [delta("a"), STOP, 0.05, delta("b"), 0.4, delta("c"), STOP]


@pytest.mark.usefixtures("_short_linger")
@pytest.mark.parametrize(
    ("parts", "text"),
    [*((parts, "a") for parts in EARLY.values()), (TWICE, "abc")],
    ids=[*EARLY, "after text, and taken back in time"],
)
async def test_a_finish_that_output_follows_ends_nothing(
    parts: list[bytes | float], text: str
) -> None:
    result, _ = await exchange(later(*parts))
    waited_ns = sum(part for part in parts if isinstance(part, float)) * 1e9
    assert (result.answer.outcome, result.answer.text) == ("ok", text)
    assert result.stamps.done is not None
    assert result.stamps.headers is not None
    assert result.stamps.done - result.stamps.headers >= waited_ns * 0.9


@pytest.mark.usefixtures("_short_linger")
async def test_output_starts_the_wait_after_the_end_anew() -> None:
    parts = (delta("a"), STOP, 0.05, delta("b"), STOP, 5.0)
    result, _ = await exchange(later(*parts))
    stamps = result.stamps
    assert (result.answer.outcome, result.answer.text) == ("ok", "ab")
    assert stamps.done is not None
    assert stamps.last_token is not None
    assert stamps.last_token <= stamps.done < stamps.last_token + 100_000_000


@pytest.mark.usefixtures("_short_linger")
@pytest.mark.parametrize(
    ("parts", "ends", "reason"),
    [
        ((STOP, 5.0), False, "timeout.first_token"),
        ((STOP, chunk(content=""), 5.0), False, "timeout.first_token"),
        ((chunk("stop", reasoning="hm"), 5.0), False, "timeout.stall"),
        ((chunk(reasoning="hm"), STOP, 5.0), False, "timeout.stall"),
        ((delta("a"), STOP, delta("b"), 5.0), False, "timeout.stall"),
        ((STOP,), False, "cut"),
        ((STOP, delta("a")), False, "cut"),
        ((chunk("stop", reasoning="hm"),), False, "cut"),
        ((delta("a"), STOP, delta("b")), False, "cut"),
        ((delta("a"), STOP, delta("b")), True, "no_finish"),
        ((chunk("stop", reasoning="hm"), delta("a")), True, "no_finish"),
        ((chunk("stop", reasoning="hm"),), True, "no_finish"),
        ((STOP,), True, "empty"),
        ((chunk("length"), 5.0), False, "cap_exhausted"),
        ((chunk("length"),), False, "cap_exhausted"),
        ((chunk("content_filter"),), False, "content_filter"),
    ],
)
async def test_an_early_finish_holds_off_no_clock_and_excuses_no_cut(
    parts: tuple[bytes | float, ...], ends: bool, reason: str
) -> None:
    result, _ = await exchange(later(*parts, ends=ends), timeouts=TIGHT)
    assert result.answer.reason == reason


@pytest.mark.parametrize(
    "parts",
    [
        (delta("a"), STOP),
        (chunk("stop", content="a"),),
        (delta("a"), STOP, chunk(content=""), data('{"choices":[],"usage":{"prompt_tokens":9}}')),
        (chunk(reasoning="hm"), chunk("length")),
        (chunk("length", reasoning="hm"),),
        (STOP, delta("a"), STOP),
    ],
)
async def test_a_finish_that_only_usage_follows_outweighs_a_cut(parts: tuple[bytes, ...]) -> None:
    result, _ = await exchange(later(*parts, ends=False))
    assert result.answer.outcome == "ok"
