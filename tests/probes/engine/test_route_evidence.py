"""Probes beside the pace, while something is suspected of a route."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import anyio
import pytest
from clocks import NS
from route_yard import Yard
from scripted import Script, chat, refusal

from probes.control.commands import Allowance
from probes.control.evidence import EVIDENCE_EVERY_S, LONGEST_EVIDENCE_S
from probes.engine.route import NEAR_NS
from probes.events import AttemptFinished, AttemptStarted

pytestmark = pytest.mark.anyio

HANGS = chat("a", wait_s=1_000)


def starts(yard: Yard, *, evidence: bool | None = None, attempt: int = 0) -> list[float]:
    """Return when first attempts started, in seconds of the test; those of the pace or beside it
    alone, where asked so."""
    return [
        (event.at_ns - yard.began_ns) / NS
        for event in yard.events
        if isinstance(event, AttemptStarted)
        and event.attempt == attempt
        and evidence in (None, event.evidence)
    ]


async def test_a_route_that_is_thickened_starts_a_probe_each_second_and_no_more() -> None:
    yard = Yard(interval=30.0)
    async with yard.running():
        await yard.advance(5)
        yard.runner.thicken(8.0, fresh=False)
        await yard.advance(20)
        assert starts(yard, evidence=False) == [0.0]
        beside = starts(yard, evidence=True)
        assert len(beside) == 8
        assert 5.0 <= beside[0] <= beside[-1] < 13.0
        (first, *_) = (e for e in yard.events if isinstance(e, AttemptStarted) and e.evidence)
        assert first.scheduled_ns == first.at_ns  # no wait of ours is told of it
        assert yard.knobs() == []
        assert (yard.network.most_open, yard.network.transports) == (1, 1)
        assert yard.runner.interval == 30.0


async def test_the_pace_goes_on_as_if_nothing_had_gone_beside_it() -> None:
    paced = []
    for for_s in (0.0, 20.0):
        yard = Yard(interval=5.0)
        async with yard.running():
            await yard.advance(7)
            yard.runner.thicken(for_s, fresh=False)
            await yard.advance(40)
            paced.append(starts(yard, evidence=False))
            assert bool(starts(yard, evidence=True)) == bool(for_s)
            assert yard.runner.skipped == 0
    assert paced[0] == paced[1]
    assert len(paced[0]) > 8


async def test_a_probe_of_the_pace_that_is_due_soon_takes_the_place_of_one_beside_it() -> None:
    yard = Yard(interval=5.0)
    async with yard.running():
        await yard.advance(0.5)
        yard.runner.thicken(20.0, fresh=False)
        await yard.advance(20)
        own, beside = starts(yard, evidence=False), starts(yard, evidence=True)
        assert len(own) + len(beside) in range(18, 24)
        assert all(not 0 < at - one < NEAR_NS / NS for at in own for one in beside)
        assert all(at - one >= EVIDENCE_EVERY_S for at in beside for one in own if one < at)


@pytest.mark.parametrize("interval", [0.0, 0.3, 1.0, 1.2])
async def test_a_route_that_is_probed_each_second_anyway_gets_nothing_beside(
    interval: float,
) -> None:
    yard = Yard(interval=interval)
    async with yard.running():
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(20)
        assert starts(yard, evidence=True) == []


async def test_several_workers_send_one_a_second_together_on_their_own_connections() -> None:
    yard = Yard(concurrency=4, interval=40.0)
    async with yard.running():
        await yard.advance(35)
        assert yard.network.transports == 4
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(20)
        beside = starts(yard, evidence=True)
        assert 17 <= len(beside) <= 20
        gaps = [after - before for before, after in pairwise(beside)]
        assert min(gaps) >= EVIDENCE_EVERY_S
        assert (yard.network.most_open, yard.network.transports) == (1, 4)


async def test_workers_that_hang_leave_the_others_to_send_each_second() -> None:
    yard = Yard(HANGS, HANGS, chat("a"), concurrency=3, interval=100.0)
    async with yard.running():
        await yard.advance(70)
        assert (yard.network.open, len(starts(yard))) == (2, 3)
        yard.runner.thicken(10.0, fresh=True)
        await yard.advance(12)
        assert 9 <= len(starts(yard, evidence=True)) <= 10
        assert (yard.network.most_open, yard.network.transports) == (3, 3)


async def test_the_worker_that_its_own_pace_needs_last_is_the_one_that_lends_itself() -> None:
    yard = Yard(chat("a"), chat("a", wait_s=7.0), chat("a"), concurrency=2, interval=20.0)
    async with yard.running():
        await yard.advance(5)
        yard.runner.thicken(1.0, fresh=False)
        await yard.advance(20)
        assert starts(yard, evidence=True) == [5.0]
        assert starts(yard, evidence=False)[1] == 10.0  # of the other, at rest until then


async def test_no_worker_lends_itself_while_more_are_under_way_than_are_wanted_by_now() -> None:
    slow = chat("a", wait_s=30.0)
    yard = Yard(chat("a"), slow, slow, chat("a"), concurrency=3, interval=3.0)
    async with yard.running():
        await yard.advance(2.5)
        assert yard.network.open == 2
        yard.runner.set_knob("interval", 1_000.0, "user")
        yard.runner.set_knob("concurrency", 1, "user")
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(20)
        assert (yard.network.open, starts(yard, evidence=True)) == (2, [])
        await yard.advance(20)  # nor later, when they have ended: nobody asks any more
        assert (yard.network.open, starts(yard, evidence=True)) == (0, [])


async def test_slow_answers_are_awaited_within_the_concurrency() -> None:
    yard = Yard(chat("a", wait_s=2.9), concurrency=2, interval=100.0)
    async with yard.running():
        await yard.advance(60)
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(25)
        assert yard.network.most_open == 2
        # Two starts each three seconds, as long as the two workers are away, with a look now and
        # then for whether one is back.
        assert 10 <= len(starts(yard, evidence=True)) <= 14


async def test_an_only_worker_that_hangs_gets_one_more_probe_on_a_fresh_connection() -> None:
    yard = Yard(HANGS, HANGS)
    async with yard.running():
        await yard.advance(9)
        assert starts(yard) == [0.0]
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(30)
        assert len(starts(yard, evidence=True)) == 1
        assert (yard.network.open, yard.network.transports) == (2, 2)
        (own, fresh) = (e for e in yard.events if isinstance(e, AttemptStarted))
        assert (own.evidence, fresh.evidence) == (False, True)
        assert fresh.scheduled_ns <= fresh.at_ns


async def test_fresh_connections_come_one_after_the_other_a_second_apart() -> None:
    yard = Yard(HANGS, chat("a", wait_s=0.1))
    async with yard.running():
        await yard.advance(9)
        yard.runner.thicken(5.0, fresh=True)
        await yard.advance(30)
        assert 4 <= len(starts(yard, evidence=True)) <= 5
        assert yard.network.most_open == 2
        assert yard.runner.open_sockets == 1  # that of the worker; the others are closed


@pytest.mark.parametrize(
    ("concurrency", "fresh"), [(1, False), (2, True)], ids=["not asked for", "more workers"]
)
async def test_no_more_than_the_workers_are_sent_otherwise(concurrency: int, fresh: bool) -> None:
    yard = Yard(HANGS, HANGS, concurrency=concurrency)
    async with yard.running():
        await yard.advance(9)
        yard.runner.thicken(20.0, fresh=fresh)
        await yard.advance(20)
        assert starts(yard, evidence=True) == []
        assert yard.network.open == concurrency


async def test_one_more_is_sent_at_a_time_also_where_the_worker_is_away() -> None:
    breaks = Script(wait_s=12.0, error=RuntimeError("ours"))
    yard = Yard(breaks, HANGS)
    async with yard.running():
        await yard.advance(9)
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(3.5)  # the worker waits for a second, after a defect of ours
        assert len(yard.runner._open) == 1
        assert len(starts(yard, evidence=True)) == 1


async def test_one_more_is_not_sent_where_another_worker_is_only_away() -> None:
    breaks = Script(error=RuntimeError("ours"))
    yard = Yard(HANGS, breaks, concurrency=2, interval=2.0)
    async with yard.running():
        await yard.advance(5)
        assert len(yard.runner._open) == 1
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(2)
        assert starts(yard, evidence=True) == []


async def test_one_more_is_not_sent_beside_a_burst() -> None:
    yard = Yard(HANGS, HANGS)
    async with yard.running():
        await yard.advance(5)
        yard.runner.burst(1, "user")
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(20)
        assert starts(yard, evidence=True) == []


@pytest.mark.parametrize("asked_again", [False, True])
async def test_a_pause_ends_it_at_once_and_for_good(asked_again: bool) -> None:
    yard = Yard(interval=30.0)
    async with yard.running():
        await yard.advance(5)
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(2)
        sent = len(starts(yard))
        yard.runner.pause(True, cancel=False, who="user")
        if asked_again:
            yard.runner.thicken(20.0, fresh=True)
        await yard.advance(1)
        yard.runner.pause(False, cancel=False, who="user")
        await yard.advance(15)
        assert len(starts(yard)) == sent
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(5)
        assert len(starts(yard)) > sent


async def test_it_is_ended_by_a_command_and_begun_anew_by_the_next() -> None:
    yard = Yard(interval=60.0)
    async with yard.running():
        await yard.advance(5)
        yard.runner.thicken(20.0, fresh=False)
        await yard.advance(3)
        yard.runner.thicken(0.0, fresh=False)
        sent = len(starts(yard, evidence=True))
        assert 3 <= sent <= 4
        await yard.advance(10)
        assert len(starts(yard, evidence=True)) == sent
        yard.runner.thicken(3.0, fresh=False)
        yard.runner.thicken(5.0, fresh=False)
        await yard.advance(10)
        assert len(starts(yard, evidence=True)) == sent + 5


async def test_it_is_asked_for_again_while_it_lasts() -> None:
    yard = Yard(interval=60.0)
    async with yard.running():
        await yard.advance(5)
        for _ in range(3):
            yard.runner.thicken(LONGEST_EVIDENCE_S, fresh=False)
            await yard.advance(10)
        assert 29 <= len(starts(yard, evidence=True)) <= 31


async def test_nothing_goes_beside_the_pace_where_the_settings_say_so() -> None:
    yard = Yard(interval=30.0, evidence=False)
    async with yard.running():
        await yard.advance(5)
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(20)
        assert starts(yard, evidence=True) == []


@pytest.mark.parametrize("answer", [refusal(429), refusal(529), refusal(402)])
async def test_nothing_goes_beside_the_pace_of_a_server_that_asks_for_less(answer: Script) -> None:
    yard = Yard(chat("a"), answer, chat("a"), interval=30.0, retries=0)
    async with yard.running():
        await yard.advance(5)
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(20)
        assert len(starts(yard, evidence=True)) == 1  # it was told the first time
        for _ in range(6):
            yard.runner.thicken(20.0, fresh=True)
            await yard.advance(5)
        assert len(starts(yard, evidence=True)) == 1
        await yard.advance(12)
        yard.runner.thicken(5.0, fresh=True)
        await yard.advance(5)
        assert len(starts(yard, evidence=True)) > 4


async def test_nothing_goes_beside_the_pace_that_the_budget_does_not_hold() -> None:
    yard = Yard(interval=60.0)
    async with yard.running():
        await yard.advance(5)
        probe = yard.runner.probe_tools.most_tokens
        used = sum(e.charged_tokens for e in yard.events if isinstance(e, AttemptFinished))
        yard.spending.allow((Allowance(route="r", tokens=used + probe),))
        yard.runner.thicken(20.0, fresh=False)
        await yard.advance(20)
        beside = starts(yard, evidence=True)
        assert 1 <= len(beside) <= 5  # what each did not use is the next one's
        assert {type(event).__name__ for event in yard.events} & {"Held", "Notice"} == set()


async def test_what_holds_a_route_for_a_moment_only_does_not_end_it() -> None:
    yard = Yard(interval=60.0)
    async with yard.running():
        await yard.advance(5)
        yard.spending.allow((Allowance(route="r", tokens=1, more=True),))
        yard.runner.thicken(20.0, fresh=False)
        await yard.advance(3)
        assert starts(yard, evidence=True) == []
        yard.spending.allow((Allowance(route="r", tokens=100_000, more=True),))
        await yard.advance(5)
        assert len(starts(yard, evidence=True)) == 5
        yard.runner.gate.cool_down(1.0, yard.clock.now_ns)  # as one of another engine
        await yard.advance(20)
        assert len(starts(yard, evidence=True)) == 5


async def test_a_shortage_of_ours_is_not_made_worse() -> None:
    yard = Yard(interval=30.0)
    async with yard.running():
        await yard.advance(5)
        yard.shortages.note("local.descriptors", yard.clock.now_ns)
        yard.runner.thicken(10.0, fresh=True)
        await yard.advance(10)
        assert starts(yard, evidence=True) == []


async def test_a_failure_beside_the_pace_is_retried_as_any_other() -> None:
    yard = Yard(chat("a"), refusal(500), chat("a"), interval=60.0)
    async with yard.running():
        await yard.advance(5)
        yard.runner.thicken(5.0, fresh=False)
        await yard.advance(10)
        (retried,) = [e for e in yard.events if isinstance(e, AttemptFinished) and e.attempt == 1]
        assert (retried.evidence, retried.outcome) == (True, "ok")


async def test_a_long_answer_beside_the_pace_delays_it_as_one_of_its_own_would() -> None:
    yard = Yard(chat("a"), chat("a", wait_s=18.5), chat("a"), interval=10.0)
    async with yard.running():
        await yard.advance(7.5)
        yard.runner.thicken(1.0, fresh=False)
        await yard.advance(19)
        assert starts(yard, evidence=True) == [7.5]
        assert starts(yard, evidence=False) == [0.0, pytest.approx(26.04)]
        assert yard.runner.skipped == 2  # those of about 20 and 30 s; that of 10 s came late


async def test_after_a_failure_beside_the_pace_the_worker_pauses_too() -> None:
    fails = replace(refusal(500), wait_s=8.0)
    yard = Yard(chat("a"), fails, chat("a"), interval=5.0, retries=0)
    async with yard.running():
        await yard.advance(1)
        yard.runner.thicken(1.0, fresh=False)
        await yard.advance(10)
        assert starts(yard) == [0.0, 1.0, pytest.approx(9.5)]


async def test_an_interval_that_is_turned_meanwhile_moves_the_next_start() -> None:
    yard = Yard(chat("a"), chat("a", wait_s=3.0), chat("a"), interval=3_600.0)
    async with yard.running():
        await yard.advance(1)
        yard.runner.thicken(2.0, fresh=False)
        await yard.advance(2)
        assert len(starts(yard, evidence=True)) == 1
        yard.runner.set_knob("interval", 1.0, "user")
        await yard.advance(5)
        assert len(starts(yard, evidence=False)) >= 2


async def test_a_route_that_has_not_begun_or_is_ending_takes_nothing() -> None:
    yard = Yard(interval=30.0)
    yard.runner.thicken(20.0, fresh=True)
    async with yard.running():
        await yard.advance(5)
        assert starts(yard, evidence=True) == []
        yard.runner.stop()
        yard.runner.thicken(20.0, fresh=True)
        await yard.advance(3)
        assert starts(yard, evidence=True) == []


async def test_whatever_is_turned_meanwhile_the_bounds_hold() -> None:
    answers = [chat("a", wait_s=wait_s) for wait_s in (0.1, 0.4, 1.7, 5.0)]
    random = Random(11)
    scripts = [random.choice([*answers, refusal(500)]) for _ in range(500)]
    yard = Yard(*scripts, concurrency=2, interval=6.0)
    async with yard.running():
        most = 2
        for _ in range(600):
            yard.runner.thicken(random.choice([0.0, 3.0, 20.0, 20.0]), fresh=random.random() < 0.5)
            if random.random() < 0.05:
                yard.runner.set_knob("concurrency", random.choice([1, 2, 3]), "user")
                most = max(most, yard.runner.concurrency)
            if random.random() < 0.05:
                yard.runner.set_knob("interval", random.choice([1.5, 6.0, 60.0]), "user")
            if random.random() < 0.02:
                yard.runner.pause(random.random() < 0.5, cancel=random.random() < 0.5, who="user")
            await yard.clock.advance(random.random())
            assert yard.network.open <= max(most, 2)
        yard.runner.pause(False, cancel=False, who="user")
        yard.runner.set_knob("concurrency", 2, "user")
        await yard.advance(100)
        assert yard.runner.counts().waiting == 0
        assert len(yard.runner._resting) + len(yard.runner._open) == 2
    began = [event for event in yard.events if isinstance(event, AttemptStarted)]
    ended = [event for event in yard.events if isinstance(event, AttemptFinished)]
    assert {(e.probe, e.attempt, e.evidence) for e in began} == {
        (e.probe, e.attempt, e.evidence) for e in ended
    }
    every, beside = starts(yard), starts(yard, evidence=True)
    assert len(beside) > 50
    for at in beside:
        before = [one for one in every if one < at]
        assert not before or at - before[-1] >= EVIDENCE_EVERY_S - 1e-9
    assert yard.network.open == 0
    with anyio.fail_after(1):
        await yard.runner.gate.admit(lambda: 1, lambda: False)
