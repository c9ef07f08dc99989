"""A route at work in an open loop, on a scripted network and a manual clock."""

import errno
import itertools
from collections import deque

import msgspec
import pytest
from clocks import NS
from goodness_of_fit import exponential, kolmogorov_smirnov
from route_yard import Yard
from scripted import Script, chat, refusal

from probes.board import Board
from probes.board.checkpoint import Checkpoint
from probes.board.views import Snapshot
from probes.config.settings import Timeouts
from probes.control.commands import Allowance
from probes.engine.introduction import route_info
from probes.events import AttemptStarted, Fault, Health, Held, Hello, ProbeFinished, Tick
from probes.transport import Transport

pytestmark = pytest.mark.anyio


def open_yard(*scripts: Script, **route: object) -> Yard:
    settings: dict[str, object] = {
        "pace": "constant",
        "rate": 10.0,
        "concurrency": 4,
        "retries": 0,
        **route,
    }
    return Yard(*scripts, **settings)


def starts_s(yard: Yard) -> list[float]:
    """Return when probes were started, from the beginning."""
    return [
        (event.at_ns - yard.began_ns) / NS
        for event in yard.events
        if isinstance(event, AttemptStarted) and event.attempt == 0
    ]


def late_s(event: ProbeFinished) -> float:
    return (event.started_ns - event.scheduled_ns) / NS


async def test_constant_probes_begin_at_equal_gaps_whatever_the_others_do() -> None:
    yard = open_yard(chat("a", wait_s=0.25))
    async with yard.running():
        await yard.advance(5)
        starts = starts_s(yard)
        assert starts == pytest.approx([n / 10 for n in range(len(starts))])
        assert len(starts) >= 50
        assert yard.network.most_open == 3
        # A place keeps its connection, and none is opened that is not needed.
        assert yard.network.transports == yard.runner.open_sockets == 3
    assert yard.runner.open_sockets == 0


@pytest.mark.parametrize("seed", range(3))
async def test_poisson_probes_begin_at_exponential_gaps(seed: int) -> None:
    yard = open_yard(chat("a", wait_s=0.1), pace="poisson", rate=4.0, concurrency=100)
    yard.runner._tools.random.seed(seed)
    async with yard.running():
        await yard.advance(150)
        starts = starts_s(yard)
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert len(gaps) > 500
    assert kolmogorov_smirnov(gaps, exponential(4.0)) > 0.001
    assert yard.runner.counts().skipped == 0


async def test_coordinated_omission_is_seen_in_the_scheduled_latency_alone() -> None:
    """Two places of 0.5 s carry 4 probes a second; 6 are due. The queue grows by half a probe for
    each that begins, and so does what a user waits; the first token from the start never moves."""
    yard = open_yard(chat("a", wait_s=0.5, gap_s=0.0), rate=6.0, concurrency=2)
    async with yard.running():
        await yard.advance(40)
        counts = yard.runner.counts()
    finished = [event for event in yard.finished() if event.outcome == "ok"]
    ttft_s = [(event.first_token_ns - event.started_ns) / NS for event in finished]
    assert max(ttft_s) - min(ttft_s) < 1e-6
    waited_s = [late_s(event) for event in finished]
    assert waited_s == sorted(waited_s)
    for number in (10, 60, 140):
        # The n-th begins when n are done at 4 a second, and was due when n were at 6.
        assert waited_s[number] == pytest.approx(number * (1 / 4 - 1 / 6), abs=0.51)
    assert counts.due == 241
    assert counts.due_waiting == pytest.approx(40 * (6 - 4), abs=3)
    assert counts.skipped == 0
    (row,) = folded(yard).routes
    assert row.pace is not None
    assert row.ttft_p95.value == pytest.approx(0.5, rel=0.02)
    # Those that have begun waited from nothing to 13 s: who looks at TTFT alone sees half a second.
    assert row.pace.scheduled_ttft[0].value == pytest.approx(0.5 + 40 / 6, rel=0.05)
    assert row.pace.scheduled_ttft[1].value == pytest.approx(0.5 + 40 / 3 * 0.95, rel=0.05)
    assert row.pace.scheduled_e2e[1].value == pytest.approx(0.5 + 40 / 3 * 0.95, rel=0.05)
    assert row.pace.is_late
    assert row.pace.begun_per_s == pytest.approx(4.0, rel=0.02)


async def test_a_checkpoint_of_a_board_goes_on_as_the_board_does() -> None:
    yard = open_yard(chat("a", wait_s=0.5, gap_s=0.0), rate=6.0, concurrency=2)
    async with yard.running():
        await yard.advance(40)
    board = board_of(yard)
    copy = Checkpoint(board).board()
    assert copy.snapshot(window="run").routes == board.snapshot(window="run").routes
    assert copy.snapshot(window="run").routes[0].pace is not None


def folded(yard: Yard) -> Snapshot:
    """Return what a board makes of it."""
    return board_of(yard).snapshot(window="run")


def board_of(yard: Yard) -> Board:
    """Return a board that has folded it, with a tick a second as an engine tells them."""
    route, counts = yard.runner.route, yard.runner.counts()
    board = Board()
    board.fold(
        Hello(
            at_ns=yard.began_ns,
            wall_ns=0,
            engine="1",
            version="0",
            routes=(route_info(route),),
            schema=1,
        )
    )
    events = [event for event in yard.events if event.at_ns <= yard.began_ns + 40 * NS]
    begun = deque(one.at_ns for one in events if isinstance(one, AttemptStarted))
    seen = 0
    for second in range(41):
        upto_ns = yard.began_ns + second * NS
        while events and events[0].at_ns <= upto_ns:
            board.fold(events.pop(0))
        while begun and begun[0] <= upto_ns:
            begun.popleft()
            seen += 1
        due = second * 6 + 1
        told = msgspec.structs.replace(counts, due=due, due_waiting=due - seen)
        board.fold(Tick(at_ns=upto_ns, wall_ns=0, health=Health(), routes=(told,)))
    return board


async def test_a_queue_that_only_grows_is_bounded_and_what_it_lost_is_counted() -> None:
    yard = open_yard(chat("a", wait_s=1.0), concurrency=1, timeouts=Timeouts(first_token=5.0))
    async with yard.running():
        await yard.advance(60)
        counts = yard.runner.counts()
    assert 5.0 * 10 - 2 <= counts.due_waiting <= 5.0 * 10 + 1
    assert counts.skipped_for == {"late": counts.skipped}
    assert counts.due == len(starts_s(yard)) + counts.due_waiting + counts.skipped
    assert max(late_s(event) for event in yard.finished() if event.outcome == "ok") <= 5.0


async def test_what_was_due_in_a_pause_is_skipped_and_not_sent_in_a_burst() -> None:
    yard = open_yard()
    async with yard.running():
        await yard.advance(2)
        yard.runner.pause(True, cancel=False, who="user")
        before = len(starts_s(yard))
        await yard.advance(3)
        assert len(starts_s(yard)) == before
        yard.runner.pause(False, cancel=False, who="user")
        await yard.advance(0.5)
        assert len(starts_s(yard)) <= before + 6
        counts = yard.runner.counts()
    assert counts.skipped_for.keys() == {"paused"}
    assert 29 <= counts.skipped <= 31


async def test_pausing_skips_what_waited_for_a_place_too() -> None:
    yard = open_yard(chat("a", wait_s=100.0), concurrency=1)
    async with yard.running():
        await yard.advance(2)
        assert yard.runner.counts().due_waiting == 20
        yard.runner.pause(True, cancel=True, who="user")
        await yard.advance(0.5)
        counts = yard.runner.counts()
    assert counts.due_waiting == 0
    assert counts.skipped_for["paused"] >= 20


async def test_what_was_due_in_a_cool_down_is_skipped_for_it() -> None:
    yard = open_yard(chat("a"), refusal(429, retry_after="5"), chat("a"), concurrency=3, rate=5.0)
    async with yard.running():
        await yard.advance(8)
        starts = starts_s(yard)
        counts = yard.runner.counts()
    held = [(event.at_ns - yard.began_ns) / NS for event in yard.events if isinstance(event, Held)]
    assert held[1] - held[0] == pytest.approx(5.0, abs=0.2)
    assert not [at_s for at_s in starts if held[0] < at_s < held[1]]
    assert counts.skipped_for.keys() == {"cool_down"}
    assert 24 <= counts.skipped <= 26
    assert yard.network.most_open == 1  # no burst at its end


async def test_a_cool_down_is_told_to_be_over_when_it_is_though_nothing_is_due_then() -> None:
    yard = open_yard(refusal(429, retry_after="5"), chat("a"), rate=0.02)
    async with yard.running():
        await yard.advance(8)
        ended = [event.at_ns for event in yard.events if isinstance(event, Held) and event.released]
    assert [(at_ns - yard.began_ns) / NS for at_ns in ended] == [pytest.approx(5.0, abs=0.2)]


async def test_what_was_due_without_a_budget_is_skipped_for_it_and_none_waits() -> None:
    yard = open_yard(concurrency=5)
    yard.spending.allow((Allowance(route="r", tokens=500),))
    async with yard.running():
        await yard.advance(5)
        begun = len(starts_s(yard))
        counts = yard.runner.counts()
        assert counts.waiting == 0
        assert counts.skipped_for == {"budget": counts.due - begun}
        yard.spending.allow((Allowance(route="r", tokens=1_000_000),))
        yard.runner.gate.changed.ring()
        await yard.advance(1)
        assert begun + 9 <= len(starts_s(yard)) <= begun + 11
    held = [(event.reason, event.released) for event in yard.events if isinstance(event, Held)]
    # At the edge each probe that cost less than it might makes room for one more.
    assert held == [("budget", False), ("budget", True)] * (len(held) // 2)


async def test_a_lease_that_is_dry_for_a_moment_makes_a_start_late_and_skips_nothing() -> None:
    yard = open_yard(concurrency=5, rate=2.0)
    yard.spending.allow((Allowance(route="r", tokens=0, more=True),))
    async with yard.running():
        await yard.advance(1)
        assert starts_s(yard) == []
        yard.spending.allow((Allowance(route="r", tokens=1_000_000, more=True),))
        yard.runner.gate.changed.ring()
        await yard.advance(2)
        counts = yard.runner.counts()
    assert counts.skipped == 0
    assert late_s(yard.finished()[0]) == pytest.approx(1.0, abs=0.01)


async def test_what_was_due_while_the_reader_stood_still_is_skipped_for_it() -> None:
    yard = open_yard(rate=5.0)
    async with yard.running():
        await yard.advance(1)
        yard.outbox.stalled = True
        await yard.advance(3)
        yard.outbox.stalled = False
        await yard.advance(1)
        counts = yard.runner.counts()
    assert counts.skipped_for == {"reader_stalled": 15}
    assert yard.network.most_open == 1


async def test_what_was_due_while_we_stood_still_is_skipped_and_not_made_up_for() -> None:
    yard = open_yard()
    async with yard.running():
        await yard.advance(1)
        before = len(starts_s(yard))
        yard.clock.now_ns += 30 * NS  # a stopped process: nobody woke
        yard.gaps.beat(yard.clock.now_ns)
        await yard.advance(1)
        assert len(starts_s(yard)) <= before + 11
        counts = yard.runner.counts()
    assert counts.skipped_for.keys() == {"gap"}
    assert counts.skipped == pytest.approx(300, abs=2)


async def test_a_place_that_is_added_takes_what_waits_at_once() -> None:
    yard = open_yard(chat("a", wait_s=100.0), concurrency=1)
    async with yard.running():
        await yard.advance(1)
        assert yard.network.open == 1
        yard.runner.set_knob("concurrency", 4, "user")
        await yard.advance(0.5)
        assert yard.network.open == 4
        yard.runner.set_knob("concurrency", 2, "user")
        await yard.advance(0.5)
        assert yard.network.open == 4
        assert yard.runner.counts().target == 2


async def test_a_place_less_lets_its_connection_go() -> None:
    yard = open_yard(chat("a", wait_s=0.35))
    async with yard.running():
        await yard.advance(2)
        assert yard.runner.open_sockets == 4
        yard.runner.set_knob("concurrency", 1, "user")
        await yard.advance(2)
        assert yard.runner.open_sockets == 1


async def test_a_turned_rate_acts_at_once_and_is_told() -> None:
    yard = open_yard(rate=0.01)
    async with yard.running():
        await yard.advance(1)
        assert len(starts_s(yard)) == 1
        yard.runner.set_knob("rate", 10.0, "user")
        await yard.advance(1)
        assert 9 <= len(starts_s(yard)) <= 12
    assert yard.knobs() == [("rate", 0.01, 10.0)]


async def test_retries_keep_their_place_and_do_not_move_the_schedule() -> None:
    yard = open_yard(refusal(500), chat("a"), retries=2, rate=2.0)
    async with yard.running():
        await yard.advance(5)
        starts = starts_s(yard)
    assert starts == pytest.approx([n / 2 for n in range(len(starts))])
    assert yard.finished()[-1].attempts == 1
    assert max(event.attempts for event in yard.finished()) == 2


async def test_what_our_machine_cannot_send_is_tried_seldom_and_said() -> None:
    yard = open_yard(Script(error=OSError(errno.EMFILE, "too many open files")))
    async with yard.running():
        await yard.advance(10)
        counts = yard.runner.counts()
        assert len(starts_s(yard)) <= 8
    assert counts.skipped_for.keys() == {"local"}
    assert counts.due == counts.skipped + len(starts_s(yard))


async def test_a_defect_of_ours_is_told_survived_and_waited_out() -> None:
    yard = open_yard(chat("a"))
    real, broken = yard.network.transport, [True] * 3

    def transport(route: object, clock: object) -> Transport:
        if broken:
            broken.pop()
            raise ValueError("a defect")
        return real(route, clock)  # type: ignore[arg-type, return-value]

    object.__setattr__(yard.runner._tools, "transport", transport)
    async with yard.running():
        await yard.advance(12)
        counts = yard.runner.counts()
    faults = [event for event in yard.events if isinstance(event, Fault)]
    assert len(faults) == 3
    assert [fault.restart_in_s for fault in faults] == [0.5, 1.0, 2.0]
    assert counts.skipped_for.keys() == {"fault"}
    assert len(yard.finished()) > 50


async def test_one_probe_a_second_goes_beside_a_slow_open_pace_in_a_free_place() -> None:
    yard = open_yard(rate=0.05, concurrency=2)
    async with yard.running():
        await yard.advance(2)
        yard.runner.thicken(10.0, fresh=False)
        await yard.advance(10)
        evidence = [event for event in yard.finished() if event.evidence]
        assert 8 <= len(evidence) <= 10
        counts = yard.runner.counts()
    assert counts.due == 1
    assert counts.skipped == 0


async def test_no_probe_goes_beside_a_pace_that_is_fast_enough() -> None:
    yard = open_yard(rate=1.0, concurrency=2)
    async with yard.running():
        yard.runner.thicken(10.0, fresh=False)
        await yard.advance(10)
        assert not [event for event in yard.finished() if event.evidence]


async def test_at_its_end_what_waits_is_dropped_and_all_connections_are_closed() -> None:
    yard = open_yard(chat("a", wait_s=100.0), concurrency=2)
    async with yard.running():
        await yard.advance(2)
    assert yard.runner.open_sockets == 0
    assert {event.outcome for event in yard.finished()} == {"cancelled"}
