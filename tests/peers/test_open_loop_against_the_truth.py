"""The starts of an open pace, held to the provider's own log of when each request came.

Three processes, as in real life: the provider, the engine and this one. It takes some 12 s of wall
time: what is measured is time itself, on real sockets.
"""

import json
import subprocess
import sys
import urllib.request
from itertools import pairwise

import anyio
import pytest
from clocks import NS
from goodness_of_fit import exponential, kolmogorov_smirnov

from probes.board import Board
from probes.config import Budget, Config, Route
from probes.events import AttemptFinished, Event, PaceKind
from probes.money.ledger import Ledger
from probes.run.session import Session

LASTS_S = 9.0
RATE = 25.0
PLENTY = Budget(tokens_per_hour=10**9, route_tokens_per_hour=10**9)


def route(name: PaceKind, base_url: str) -> Route:
    return Route(
        name=name,
        base_url=base_url + "/v1",
        model="healthy",
        concurrency=100,
        pace=name,
        rate=RATE,
        max_tokens=2,
    )


async def watch(base_url: str) -> tuple[list[Event], Board]:
    routes = (route("poisson", base_url), route("constant", base_url))
    ledger, events = Ledger(None), list[Event]()
    session = Session(Config(routes=routes, budget=PLENTY), {}, recorder=None, ledger=ledger)
    session.subscribe(lambda batch, _lines: events.extend(batch))
    async with anyio.create_task_group() as group:
        group.start_soon(session.run)
        await anyio.sleep(LASTS_S + 2)
        session.stop()
    ledger.close()
    return events, session.board


def asked() -> tuple[dict[str, list[float]], bool]:
    """Return when requests of each pace were read by the provider, in seconds, in order; and
    whether all that was due was sent."""
    command = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", "healthy"]
    with subprocess.Popen(
        [*command, "--port", "0", "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as provider:
        assert provider.stdout is not None
        assert provider.stdin is not None
        base_url = json.loads(provider.stdout.readline())["base_url"]
        events, board = anyio.run(watch, base_url)
        with urllib.request.urlopen(base_url + "/truth") as answer:  # noqa: S310 - loopback
            records = {one["request_id"]: one for one in json.load(answer)["records"]}
        provider.stdin.close()
    read: dict[str, list[float]] = {"poisson": [], "constant": []}
    for event in events:
        if isinstance(event, AttemptFinished) and event.request_id in records:
            read[event.route].append(records[event.request_id]["read_ns"] / NS)
    whole = not any(row.skipped for row in board.snapshot().routes)
    return {pace: sorted(stamps) for pace, stamps in read.items()}, whole


@pytest.fixture(scope="module")
def came() -> dict[str, list[float]]:
    # A machine that stands still for seconds skips what was due then, as it should.
    for _ in range(3):
        found, whole = asked()
        if whole:
            break
    return found


def gaps(stamps: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(stamps)]


def test_the_provider_is_asked_at_exponential_gaps(came: dict[str, list[float]]) -> None:
    found = gaps(came["poisson"])
    # Of chance each is allowed so little that a right pace is called wrong once in a million runs.
    assert len(found) > LASTS_S * RATE * 0.65
    assert kolmogorov_smirnov(found, exponential(RATE)) > 1e-6
    assert kolmogorov_smirnov(found, exponential(RATE * 2)) < 1e-6


def test_the_provider_is_asked_at_equal_gaps(came: dict[str, list[float]]) -> None:
    stamps = came["constant"]
    assert len(stamps) > LASTS_S * RATE * 0.9
    # Of each start how far it is from its own tick, the least late one being in time: a late start
    # moves no other, however busy the machine.
    off = [stamp - number / RATE for number, stamp in enumerate(stamps)]
    late = sorted(one - min(off) for one in off)
    assert late[len(late) // 2] < 0.5 / RATE
    assert kolmogorov_smirnov(gaps(stamps), exponential(RATE)) < 0.001
