"""llmtop's numbers held to the provider's own log of what it sent, and when.

Three processes, as in real life: the provider, the engine and this one. It takes some 20 s of wall
time: what is measured is time itself, on real sockets, ten streams at once.
"""

import json
import subprocess
import sys
import urllib.request
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import anyio
import pytest

from probes.board import Board
from probes.board.views import Figure
from probes.config import Budget, Config, Route
from probes.events import AttemptFinished, Event, FirstToken, ProbeFinished
from probes.money.ledger import Ledger
from probes.run.session import Session

WANTED = 500
STREAMS = 10
NS_PER_MS = 1_000_000
SKEW_NS = 50_000
"""The kernel's stamps are of the wall clock, which is never compared in the very same instant."""
TYPICAL = 0.25
"""What a reading is off by on a machine that has time for it: a busy one delays the rest."""


@dataclass(frozen=True)
class Run:
    """What llmtop said, what the provider knows, and the board that folded it."""

    events: list[Event]
    truth: dict[str, dict]
    board: Board

    def attempts(self) -> list[AttemptFinished]:
        return [event for event in self.events if isinstance(event, AttemptFinished)]

    def pairs(self) -> list[tuple[AttemptFinished, dict]]:
        return [(a, self.truth[a.request_id]) for a in self.attempts() if a.outcome != "cancelled"]


async def watch(base_url: str) -> tuple[list[Event], Board]:
    route = Route(
        name="r",
        base_url=base_url + "/v1",
        model="healthy",
        concurrency=STREAMS,
        interval=0.0,
        max_tokens=12,
    )
    plenty = Budget(tokens_per_hour=10**9, route_tokens_per_hour=10**9)
    ledger = Ledger(None)
    session = Session(Config(routes=(route,), budget=plenty), {}, recorder=None, ledger=ledger)
    events: list[Event] = []
    finished = 0

    def receive(batch: list[Event], _lines: bytes) -> None:
        nonlocal finished
        events.extend(batch)
        finished += sum(isinstance(event, ProbeFinished) for event in batch)
        if finished >= WANTED:
            session.stop()

    session.subscribe(receive)
    with anyio.fail_after(120):
        await session.run()
    ledger.close()
    return events, session.board


@pytest.fixture(scope="module")
def run() -> Run:
    command = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", "healthy"]
    with subprocess.Popen(
        [*command, "--port", "0", "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as provider:
        assert provider.stdout is not None
        base_url = json.loads(provider.stdout.readline())["base_url"]
        events, board = anyio.run(watch, base_url)
        with urllib.request.urlopen(base_url + "/truth") as answer:  # noqa: S310 - loopback
            records = json.load(answer)["records"]
        assert provider.stdin is not None
        provider.stdin.close()
    return Run(events, {record["request_id"]: record for record in records}, board)


def quantile(values: list[float], p: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * p))]


def first_token_ns(record: dict) -> int:
    writes = zip(record["chunks_ns"], record["chunk_tokens"], strict=True)
    return next(stamp for stamp, tokens in writes if tokens)


def test_every_request_is_known_to_both_sides_with_the_same_outcome(run: Run) -> None:
    assert len(run.pairs()) >= WANTED
    assert {attempt.outcome for attempt, _ in run.pairs()} == {"ok"}
    assert {record["ending"] for _, record in run.pairs()} == {"streamed"}


def test_token_counts_are_the_servers(run: Run) -> None:
    for attempt, record in run.pairs():
        assert attempt.output_tokens == record["output_tokens"]
        assert attempt.input_tokens == record["prompt_tokens"]
        assert attempt.cached_tokens == record["cached_tokens"]
        assert attempt.finish_reason == record["finish_reason"]


def test_ttft_of_warm_attempts_is_the_servers_within_5_ms(run: Run) -> None:
    errors = []
    for attempt, record in run.pairs():
        stamps = attempt.stamps_ns
        if attempt.cold or stamps.first_token is None or stamps.started is None:
            continue
        measured_ns = stamps.first_token - stamps.started
        errors.append((measured_ns - (first_token_ns(record) - record["read_ns"])) / NS_PER_MS)
    assert len(errors) >= WANTED - 2 * STREAMS
    assert min(errors) > 0
    assert quantile(errors, TYPICAL) < 5


def test_e2e_of_warm_attempts_is_the_servers_within_5_ms(run: Run) -> None:
    errors = []
    for attempt, record in run.pairs():
        stamps = attempt.stamps_ns
        if attempt.cold or stamps.done is None or stamps.started is None:
            continue
        measured_ns = stamps.done - stamps.started
        errors.append((measured_ns - (record["ended_ns"] - record["read_ns"])) / NS_PER_MS)
    assert min(errors) > 0
    assert quantile(errors, TYPICAL) < 5


def test_every_output_chunk_arrives_after_it_was_sent(run: Run) -> None:
    for attempt, record in run.pairs():
        writes = zip(record["chunks_ns"], record["chunk_tokens"], strict=True)
        sent = [stamp for stamp, tokens in writes if tokens]
        started_ns = attempt.stamps_ns.started
        assert started_ns is not None
        assert attempt.chunks <= len(sent)
        arrived = [started_ns + offset for offset in attempt.chunk_offsets_ns]
        assert arrived[0] >= sent[0] - SKEW_NS
        assert arrived[-1] >= sent[-1] - SKEW_NS


def rank_error(value: float, samples: list[float], p: float) -> float:
    """How far, in share of the samples, a value lies from where the p quantile may lie."""
    ordered = sorted(samples)
    low = bisect_left(ordered, value - 1e-9) / len(ordered)
    high = bisect_right(ordered, value + 1e-9) / len(ordered)
    return 0.0 if low <= p <= high else min(abs(low - p), abs(high - p))


def assert_close(figure: Figure, samples: list[float], p: float, allowed: float) -> None:
    assert figure.n == len(samples)
    assert figure.value is not None
    assert rank_error(figure.value, samples, p) <= allowed + 1 / len(samples)


def test_the_boards_percentiles_are_those_of_the_same_samples(run: Run) -> None:
    ttft = [event.felt_ns / 1e9 for event in run.events if isinstance(event, FirstToken)]
    e2e = [
        (event.done_ns - event.started_ns) / 1e9
        for event in run.events
        if isinstance(event, ProbeFinished) and event.done_ns is not None
    ]
    detail = run.board.snapshot(window="run", detail_routes=("r",)).details["r"]
    column = next(column for column in detail.percentiles.columns if column.window == "run")
    for figures, samples in ((column.ttft, ttft), (column.e2e, e2e)):
        for figure, p, allowed in (
            (figures[0], 0.5, 0.01),
            (figures[2], 0.95, 0.005),
            (figures[3], 0.99, 0.002),
        ):
            assert_close(figure, samples, p, allowed)
        assert figures[4].value == pytest.approx(max(samples))
