"""The arrival stamps held to a server that knows when it sent each chunk, and when it was asked.

Both sides have their arrivals from the kernel, so that neither counts the time it slept: what is
not flagged is exact on a busy machine too. Three processes, some seconds of wall time.
"""

import json
import subprocess
import urllib.request

import anyio
import pytest
from truth import MetronomeRecord
from truth.command import ARGV, ENVIRONMENT

from probes.config import Budget, Config, Route
from probes.events import AttemptFinished, Event, ProbeFinished
from probes.money.ledger import Ledger
from probes.run.session import Session
from probes.transport import kernel_stamps

WANTED = 240
STREAMS = 24
TOKENS = 16
NS_PER_MS = 1_000_000
SKEW_NS = 50_000
"""The wall clock and the monotonic one are never compared in one instant."""

Pair = tuple[AttemptFinished, MetronomeRecord]

pytestmark = pytest.mark.skipif(not kernel_stamps(), reason="this kernel does not stamp arrivals")


async def watch(base_url: str) -> list[AttemptFinished]:
    route = Route(
        name="r",
        base_url=base_url + "/v1",
        model="m",
        concurrency=STREAMS,
        interval=0.0,
        max_tokens=TOKENS,
    )
    plenty = Budget(tokens_per_hour=10**9, route_tokens_per_hour=10**9)
    ledger = Ledger(None)
    session = Session(Config(routes=(route,), budget=plenty), {}, recorder=None, ledger=ledger)
    attempts: list[AttemptFinished] = []
    finished = 0

    def receive(batch: list[Event], _lines: bytes) -> None:
        nonlocal finished
        attempts.extend(event for event in batch if isinstance(event, AttemptFinished))
        finished += sum(isinstance(event, ProbeFinished) for event in batch)
        if finished >= WANTED:
            session.stop()

    session.subscribe(receive)
    with anyio.fail_after(120):
        await session.run()
    ledger.close()
    return attempts


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """Every whole answer as both sides saw it."""
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    with subprocess.Popen([*ARGV, "--until-eof"], env=ENVIRONMENT, **pipes) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        base_url = json.loads(server.stdout.readline())["base_url"]
        attempts = anyio.run(watch, base_url)
        with urllib.request.urlopen(base_url + "/truth") as answer:  # noqa: S310 - loopback
            records = json.load(answer)["records"]
        server.stdin.close()
    truth = {record["request_id"]: MetronomeRecord(**record) for record in records}
    return [(a, truth[a.request_id]) for a in attempts if a.outcome == "ok" and a.request_id]


def sent(record: MetronomeRecord) -> list[int]:
    writes = zip(record.chunks_ns, record.chunk_tokens, strict=True)
    return [stamp for stamp, tokens in writes if tokens]


def quantile(values: list[float], p: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * p))]


def test_all_arrivals_are_the_kernels(pairs: list[Pair]) -> None:
    assert len(pairs) >= WANTED - STREAMS
    assert {attempt.clock for attempt, _ in pairs} == {"kernel"}


def test_no_stamp_is_earlier_than_the_truth(pairs: list[Pair]) -> None:
    for attempt, record in pairs:
        started_ns, done_ns = attempt.stamps_ns.started, attempt.stamps_ns.done
        assert started_ns is not None
        assert done_ns is not None
        assert record.ended_ns is not None
        first_ns = started_ns + attempt.chunk_offsets_ns[0]
        assert started_ns <= record.read_ns + SKEW_NS
        assert first_ns >= sent(record)[0] - SKEW_NS
        assert done_ns >= record.ended_ns - SKEW_NS


def test_what_is_not_flagged_is_exact(pairs: list[Pair]) -> None:
    ttft, e2e = [], []
    for attempt, record in pairs:
        stamps = attempt.stamps_ns
        if attempt.cold or "first_token" in attempt.inexact:
            continue
        assert stamps.started is not None
        assert stamps.first_token is not None
        assert stamps.done is not None
        assert record.ended_ns is not None
        felt_ns = stamps.first_token - stamps.started
        ttft.append((felt_ns - (sent(record)[0] - record.read_ns)) / NS_PER_MS)
        whole_ns = stamps.done - stamps.started
        e2e.append((whole_ns - (record.ended_ns - record.read_ns)) / NS_PER_MS)
    assert len(ttft) > WANTED // 4
    assert quantile(ttft, 0.5) < 0.5
    assert quantile(ttft, 0.9) < 2
    assert quantile(e2e, 0.5) < 0.5


def test_chunks_without_a_stamp_of_their_own_are_flagged(pairs: list[Pair]) -> None:
    for attempt, record in pairs:
        missing = len(sent(record)) - attempt.chunks
        assert missing >= 0
        assert attempt.inexact_chunks > 0 or missing == 0
