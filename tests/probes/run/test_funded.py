"""Engines that spend what they have leased: real ones on one ledger, a clock of the test's own."""

from collections.abc import Callable
from typing import Any

import pytest
from group_of_engines import PROBE, Group, route

from probes.control.commands import Burst, SetKnob
from probes.events import AttemptFinished, Held, Knob

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("closed_ledgers")]


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ledger in memory answer in the test's own thread, by the test's own clock."""

    async def at_once(work: Callable[..., Any], *args: Any, **_: Any) -> Any:
        return work(*args)

    monkeypatch.setattr("anyio.to_thread.run_sync", at_once)


def charged(group: Group) -> int:
    """Return what all attempts were charged."""
    return sum(event.charged_tokens for event in group.of(AttemptFinished))


def known(group: Group) -> int:
    """Return what the ledger knows to be spent."""
    assert group.ledger is not None
    return group.ledger.used()[0]


@pytest.mark.parametrize("engines", [1, 2, 5])
async def test_together_the_engines_spend_their_budget_and_no_more(engines: int) -> None:
    group = Group(route(concurrency=5, interval=0.1), engines=engines, tokens=20 * PROBE)
    async with group.running():
        await group.clock.advance(30)
        assert 19 * PROBE < charged(group) <= 20 * PROBE
        holds = [(event.reason, event.released) for event in group.of(Held)]
        assert holds[-1] == ("budget", False)
    assert known(group) == charged(group)
    assert group.ledger is not None
    assert group.ledger.report().routes[0].leased_tokens == 0


async def test_what_one_engine_alone_has_no_workers_for_is_not_kept_from_another() -> None:
    group = Group(route(concurrency=1, interval=0.1), tokens=5 * PROBE)
    async with group.running():
        await group.clock.advance(12)
        assert 4 * PROBE < charged(group) <= 5 * PROBE


async def test_a_burst_is_sent_whole_and_told_once() -> None:
    group = Group(route(concurrency=1, interval=60.0), tokens=6 * PROBE)
    async with group.running():
        await group.clock.advance(1)
        group.send(Burst(route="a", count=5))
        await group.clock.advance(4)
        assert len(group.network.requests) == 6
        assert sorted(group.engines_of().values()) == [3, 3]
        (knob,) = group.of(Knob)
        assert (knob.knob, knob.after) == ("burst", 5)


async def test_engines_that_die_do_not_make_the_budget_grow() -> None:
    group = Group(route(concurrency=3, interval=0.1), tokens=20 * PROBE)
    async with group.running():
        for _ in range(3):
            await group.clock.advance(2)
            group.scopes[0].cancel()
            del group.scopes[0]
        await group.clock.advance(20)
        assert charged(group) > 10 * PROBE
        assert len(group.engines_of()) > 2
    assert charged(group) <= known(group) <= 20 * PROBE
    assert known(group) > 19 * PROBE


async def test_no_money_lies_with_an_engine_that_was_given_up() -> None:
    group = Group(route(concurrency=3, interval=0.1), tokens=100_000)
    async with group.running():
        await group.clock.advance(2)
        for _ in range(3):
            (group.scopes[0] if len(group.scopes) == 2 else group.scopes[-1]).cancel()
            await group.clock.advance(2.5)
        assert group.host.status.state == "gave_up"
        await group.clock.advance(2)
        assert group.ledger is not None
        before = group.ledger.report().runs[0].leased_tokens
        group.host.stop()
        assert before <= 9 * PROBE


async def test_a_dearer_probe_gets_the_money_of_all_engines_together() -> None:
    group = Group(route(concurrency=2, interval=0.5), tokens=600)
    async with group.running():
        await group.clock.advance(2)
        group.send(SetKnob(route="a", knob="max_tokens", value=400))
        await group.clock.advance(1)
        before = group.engines_of()
        await group.clock.advance(5)
        assert all(group.engines_of()[engine] > before[engine] + 2 for engine in ("1", "2"))


async def test_the_engines_of_a_run_are_one_run_in_the_ledger() -> None:
    group = Group(route(concurrency=4, interval=0.1), tokens=100_000)
    async with group.running():
        await group.clock.advance(3)
        assert group.ledger is not None
        (run,) = group.ledger.report().runs
        assert run.tokens > 0
        assert run.leased_tokens > 4 * PROBE
