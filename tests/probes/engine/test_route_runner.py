"""A route at work, on a scripted network and a manual clock."""

import errno
from dataclasses import replace
from random import Random

import pytest
from clocks import ManualClock, settle
from route_yard import Yard
from scripted import Script, chat, refusal, sse

from probes.config import Route
from probes.events import AttemptFinished, AttemptStarted, Fault
from probes.transport import Transport

pytestmark = pytest.mark.anyio


async def test_one_worker_probes_once_an_interval() -> None:
    yard = Yard(interval=2.0)
    async with yard.running():
        await yard.advance(20)
        assert 9 <= len(yard.finished()) <= 11
        assert yard.network.most_open == 1
        assert yard.network.transports == 1


async def test_each_worker_has_a_connection_of_its_own() -> None:
    yard = Yard(chat("a", wait_s=5), concurrency=4)
    async with yard.running():
        await yard.advance(3)
        assert yard.network.transports == 4
        assert yard.runner.counts().in_flight == 4
        assert yard.runner.open_sockets == 4
    assert yard.runner.open_sockets == 0


async def test_raising_the_concurrency_acts_at_once() -> None:
    yard = Yard(chat("a", wait_s=50), interval=100.0)
    async with yard.running():
        await yard.advance(0.5)
        yard.runner.set_knob("concurrency", 3, "user")
        await yard.advance(80)
        assert yard.runner.counts().target == 3
        assert yard.network.most_open == 3
    assert yard.knobs() == [("concurrency", 1.0, 3.0)]


async def test_lowering_the_concurrency_cancels_nothing_and_admits_no_more() -> None:
    yard = Yard(chat("a", wait_s=3), concurrency=4, interval=0.0)
    async with yard.running():
        await yard.advance(2)
        assert yard.network.open == 4
        yard.runner.set_knob("concurrency", 1, "user")
        await yard.advance(0.5)
        assert yard.network.open == 4
        await yard.advance(4)
        assert yard.network.open == 1
        assert {event.outcome for event in yard.finished()} == {"ok"}
        yard.runner.set_knob("concurrency", 3, "user")
        await yard.advance(1)
        assert yard.network.open == 3


async def test_a_change_of_nothing_is_no_event() -> None:
    yard = Yard()
    yard.runner.set_knob("concurrency", 1_000, "user")
    yard.runner.set_knob("max_tokens", 1, "user")
    yard.runner.set_knob("max_tokens", 1, "user")
    assert yard.knobs() == [("concurrency", 1.0, 1_000.0), ("max_tokens", 64.0, 1.0)]


async def test_a_shorter_interval_wakes_a_worker_that_waits_for_a_long_one() -> None:
    yard = Yard(interval=3_600.0)
    async with yard.running():
        await yard.advance(2)
        assert len(yard.finished()) == 1
        yard.runner.set_knob("interval", 1.0, "user")
        await yard.advance(5)
        assert len(yard.finished()) >= 4


async def test_a_new_answer_cap_goes_into_the_next_request_and_its_cohort() -> None:
    yard = Yard()
    async with yard.running():
        await yard.advance(0.5)
        yard.runner.set_knob("max_tokens", 128, "user")
        await yard.advance(3)
    assert b'"max_tokens":128' in yard.network.requests[-1].body
    assert yard.finished()[-1].cohort == "128/256"


async def test_a_pause_lets_what_is_open_end_and_starts_nothing() -> None:
    yard = Yard(chat("a", wait_s=2), interval=0.0)
    async with yard.running():
        await yard.advance(1)
        yard.runner.pause(True, cancel=False, who="user")
        await yard.advance(10)
        assert [event.outcome for event in yard.finished()] == ["ok"]
        yard.runner.pause(False, cancel=False, who="user")
        await yard.advance(5)
        assert len(yard.finished()) > 1


async def test_panic_cancels_what_is_open() -> None:
    yard = Yard(chat("a", wait_s=60), concurrency=2, interval=0.0)
    async with yard.running():
        await yard.advance(1)
        yard.runner.pause(True, cancel=True, who="user")
        await settle()
        assert [event.outcome for event in yard.finished()] == ["cancelled"] * 2
        assert yard.runner.counts().in_flight == 0


async def test_a_burst_goes_beside_the_pace_and_above_the_concurrency() -> None:
    yard = Yard(chat("a", wait_s=2), interval=3_600.0)
    async with yard.running():
        await yard.advance(5)
        yard.runner.burst(6, "user")
        await yard.advance(1)
        assert yard.network.open == 6
        await yard.advance(3)
        assert len(yard.finished()) == 7


async def test_a_burst_of_one_tells_a_connection_that_hangs_from_a_server_that_does() -> None:
    yard = Yard(chat("a", wait_s=60), chat("b", wait_s=0.5), interval=1.0)
    async with yard.running():
        await yard.advance(5)
        assert (yard.network.open, yard.network.transports) == (1, 1)
        yard.runner.burst(1, "user")
        await yard.advance(2)
        assert yard.network.transports == 2
        assert [(event.outcome, event.evidence) for event in yard.finished()] == [("ok", False)]
        assert yard.knobs() == [("burst", 0.0, 1.0)]
        assert (yard.network.open, yard.runner.open_sockets) == (1, 1)  # the worker's own, as ever


async def test_a_burst_waits_as_any_probe_does_where_the_route_is_paused() -> None:
    yard = Yard(chat("a"), interval=3_600.0)
    async with yard.running():
        await yard.advance(2)
        yard.runner.pause(True, cancel=False, who="user")
        yard.runner.burst(1, "user")
        await yard.advance(5)
        assert len(yard.finished()) == 1
        yard.runner.pause(False, cancel=False, who="user")
        await yard.advance(2)
        assert len(yard.finished()) == 2


async def test_probes_that_are_asked_for_go_one_by_one_on_one_connection_of_their_own() -> None:
    yard = Yard(chat("a", wait_s=2), interval=3_600.0)
    async with yard.running():
        await yard.advance(5)
        for _ in range(3):
            yard.runner.probe_now()
        await yard.advance(1)
        assert (yard.network.open, yard.network.transports) == (1, 2)
        await yard.advance(7)
        assert len(yard.finished()) == 4
        assert (yard.network.transports, yard.runner.open_sockets) == (2, 2)
    assert yard.runner.open_sockets == 0
    assert yard.knobs() == []


async def test_a_route_without_a_worker_sends_what_it_is_asked_for_and_nothing_else() -> None:
    yard = Yard(concurrency=0, evidence=False)
    async with yard.running():
        await yard.advance(20)
        assert yard.network.requests == []
        yard.runner.probe_now()
        await yard.advance(2)
        assert [event.outcome for event in yard.finished()] == ["ok"]
        await yard.advance(20)
        assert len(yard.network.requests) == 1


async def test_a_probe_that_is_asked_for_waits_where_the_server_asked_for_time() -> None:
    yard = Yard(refusal(429, retry_after="5"), chat("a"), concurrency=0, retries=0)
    async with yard.running():
        yard.runner.probe_now()
        await yard.advance(1)
        yard.runner.probe_now()
        await yard.advance(3)
        assert [event.outcome for event in yard.finished()] == ["throttled"]
        await yard.advance(3)
        assert [event.outcome for event in yard.finished()] == ["throttled", "ok"]


async def test_a_defect_of_ours_in_a_probe_that_is_asked_for_is_told_and_the_next_one_goes() -> (
    None
):
    yard = Yard(Script(error=RuntimeError("ours")), chat("a"), concurrency=0)
    async with yard.running():
        yard.runner.probe_now()
        yard.runner.probe_now()
        await yard.advance(3)
        assert [event.error for event in yard.events if isinstance(event, Fault)] == [
            "RuntimeError: ours"
        ]
        assert [event.outcome for event in yard.finished()] == ["cancelled", "ok"]


async def test_stopping_ends_what_was_asked_for_too() -> None:
    yard = Yard(chat("a", wait_s=60), concurrency=0)
    async with yard.running():
        yard.runner.probe_now()
        yard.runner.probe_now()
        await yard.advance(1)
    yard.runner.probe_now()
    assert [event.outcome for event in yard.finished()] == ["cancelled"]


async def test_stopping_reports_what_was_open_as_cancelled() -> None:
    yard = Yard(chat("a", wait_s=60))
    async with yard.running():
        await yard.advance(1)
    assert [event.outcome for event in yard.finished()] == ["cancelled"]


async def test_a_defect_of_ours_is_told_and_the_worker_goes_on() -> None:
    yard = Yard(Script(error=RuntimeError("ours")), chat("a"), interval=0.5)
    async with yard.running():
        await yard.advance(5)
    (fault,) = [event for event in yard.events if isinstance(event, Fault)]
    assert fault.error == "RuntimeError: ours"
    assert "Traceback" in fault.traceback
    assert yard.finished()[-1].outcome == "ok"


async def test_a_429_with_a_wait_stops_all_workers_of_the_route() -> None:
    yard = Yard(refusal(429, retry_after="5"), chat("a"), concurrency=3, interval=0.5)
    async with yard.running():
        await yard.advance(0.5)
        sent = len(yard.network.requests)
        await yard.advance(4)
        assert len(yard.network.requests) == sent
        await yard.advance(4)
        assert len(yard.network.requests) > sent + 2
    attempts = [event for event in yard.events if isinstance(event, AttemptFinished)]
    assert attempts[0].outcome == "throttled"


async def test_ticks_that_could_not_be_sent_are_counted() -> None:
    yard = Yard(chat("a", wait_s=10), interval=1.0)
    async with yard.running():
        await yard.advance(25)
        assert yard.runner.counts().skipped >= 16


async def test_a_server_that_refuses_at_once_is_not_hammered() -> None:
    yard = Yard(refusal(401), interval=0.0, retries=0)
    async with yard.running():
        await yard.advance(10)
        assert 10 <= len(yard.network.requests) <= 20


async def test_a_transport_that_cannot_be_made_is_a_fault_of_its_route_alone() -> None:
    yard = Yard(chat("a"), interval=0.5)
    made = yard.runner._tools.transport
    refusals = [ValueError("sk-secret"), ValueError("again")]

    def transport(route: Route, clock: ManualClock) -> Transport:
        if refusals:
            raise refusals.pop()
        return made(route, clock)

    yard.runner._tools = replace(yard.runner._tools, transport=transport)
    async with yard.running():
        yard.runner.burst(1, "user")
        await yard.advance(8)
        faults = [event for event in yard.events if isinstance(event, Fault)]
        assert len(faults) == 2
        assert yard.finished()[-1].outcome == "ok"


async def test_a_worker_that_waited_for_its_turn_sends_nothing_to_a_target_of_zero() -> None:
    yard = Yard(chat("a", wait_s=3), concurrency=3, interval=0.0)
    async with yard.running():
        await yard.advance(1)
        yard.runner.set_knob("concurrency", 1, "user")
        await yard.clock.advance(2.06)
        assert (len(yard.finished()), yard.network.open) == (1, 2)
        yard.runner.set_knob("concurrency", 0, "user")
        sent = len(yard.network.requests)
        await yard.advance(30)
        assert len(yard.network.requests) == sent
        assert yard.runner.counts().in_flight == 0


async def test_a_thousand_quick_changes_leave_what_the_last_one_asked_for() -> None:
    yard = Yard(chat("a", wait_s=0.3), concurrency=2, interval=0.0)
    random = Random(7)
    async with yard.running():
        for _ in range(1_000):
            yard.runner.set_knob("concurrency", random.choice([0, 1, 2, 5, 20]), "user")
            if random.random() < 0.2:
                yard.runner.pause(random.random() < 0.5, cancel=random.random() < 0.3, who="user")
            if random.random() < 0.02:
                yard.runner.burst(3, "user")
            if random.random() < 0.1:
                await yard.clock.advance(random.random() / 5)
        yard.runner.pause(False, cancel=False, who="user")
        yard.runner.set_knob("concurrency", 4, "user")
        await yard.advance(5)
        counts = yard.runner.counts()
        assert (counts.target, counts.waiting) == (4, 0)
        assert yard.network.open == 4
        assert yard.runner.open_sockets == 4
    started = [event for event in yard.events if isinstance(event, AttemptStarted)]
    ended = [event for event in yard.events if isinstance(event, AttemptFinished)]
    assert {(e.probe, e.attempt) for e in started} == {(e.probe, e.attempt) for e in ended}
    assert len(started) == len(ended)
    assert yard.network.open == 0


OUT_OF_DESCRIPTORS = Script(wait_s=0.0, error=OSError(errno.EMFILE, "Too many open files"))


async def test_a_shortage_of_ours_is_asked_for_less_and_less_often() -> None:
    yard = Yard(OUT_OF_DESCRIPTORS, interval=0.0)
    async with yard.running():
        await yard.advance(60)
        ended = yard.finished()
        assert {(event.outcome, event.reason) for event in ended} == {
            ("cancelled", "local.descriptors")
        }
        assert all(event.attempts == 1 for event in ended)
        assert 5 <= len(ended) <= 11
        assert yard.shortages.now(yard.clock.now_ns) == "descriptors"


async def test_a_worker_that_has_what_it_needs_again_keeps_its_pace() -> None:
    yard = Yard(OUT_OF_DESCRIPTORS, OUT_OF_DESCRIPTORS, chat("a"), interval=1.0)
    async with yard.running():
        await yard.advance(30)
        assert sum(event.outcome == "ok" for event in yard.finished()) >= 20
        assert yard.shortages.now(yard.clock.now_ns) == ""


async def test_an_answer_that_a_shortage_cut_counts_against_nobody() -> None:
    begun = sse({"choices": [{"index": 0, "delta": {"content": "a"}}]})
    yard = Yard(Script(parts=((0.1, begun), (0.1, OSError(errno.ENOBUFS, "no buffers")))))
    async with yard.running():
        await yard.advance(1)
        (attempt, *_) = (event for event in yard.events if isinstance(event, AttemptFinished))
        assert (attempt.outcome, attempt.reason, attempt.chunks) == (
            "cancelled",
            "local.buffers",
            1,
        )
