"""What calls people hears of an alert with what was seen before, and never late for long."""

import pytest
from board_streams import at, diagnosis, tick
from changed import replace
from clocks import ManualClock

from probes.events import Alert, Event, Harm, SeenBefore
from probes.run.with_past import WAITS_S, with_past

ALERT = Alert(
    at_ns=at(130),
    id="e1-a1",
    state="firing",
    kind="incident",
    routes=("alpha",),
    since_ns=at(100),
    incident="e1-1",
    cause="provider_errors",
    harm=Harm("probes_fail", "alpha"),
)
NAMED = diagnosis(130.0, "provider_errors", 100.0)
SEEN = SeenBefore(
    at_ns=at(130.3),
    cause="provider_errors",
    routes=("alpha",),
    times=3,
    first_wall_ns=1,
    last_wall_ns=2,
)


class Pager:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[list[Event]] = []
        self.is_closed = False

    def receive(self, events: list[Event], _lines: bytes) -> None:
        self.heard.append(events)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_an_alert_is_heard_behind_what_was_seen_before(pager: Pager, clock: ManualClock) -> None:
    sink = with_past(pager, clock, history=object())
    sink.receive([tick(129), NAMED, ALERT], b"")
    sink.receive([tick(130)], b"")
    assert pager.heard == []
    sink.receive([SEEN, tick(131)], b"")
    assert pager.heard == [[SEEN, tick(129), NAMED, ALERT, tick(130), tick(131)]]
    sink.receive([tick(132)], b"")
    assert pager.heard[1:] == [[tick(132)]]


def test_where_nothing_was_seen_before_it_waits_two_seconds_of_the_stream(
    pager: Pager, clock: ManualClock
) -> None:
    sink = with_past(pager, clock, history=object())
    sink.receive([ALERT], b"")
    sink.receive([tick(130 + WAITS_S - 0.1)], b"")
    assert pager.heard == []
    sink.receive([tick(130 + WAITS_S)], b"")
    assert [len(events) for events in pager.heard] == [3]


@pytest.mark.anyio
async def test_where_the_stream_stands_still_our_clock_ends_the_wait(
    pager: Pager, clock: ManualClock
) -> None:
    sink = with_past(pager, clock, history=object())
    sink.receive([ALERT], b"")
    await clock.advance(WAITS_S)
    sink.receive([NAMED], b"")
    assert pager.heard == [[ALERT, NAMED]]


def test_what_waits_at_the_end_is_told_before_it(pager: Pager, clock: ManualClock) -> None:
    sink = with_past(pager, clock, history=object())
    sink.receive([ALERT], b"")
    sink.close()
    assert (pager.heard, pager.is_closed) == ([[ALERT]], True)


@pytest.mark.parametrize(
    "event", [replace(ALERT, state="over"), replace(ALERT, incident="", kind="burn"), NAMED, SEEN]
)
def test_all_else_goes_on_at_once(pager: Pager, clock: ManualClock, event: Event) -> None:
    with_past(pager, clock, history=object()).receive([event], b"line")
    assert pager.heard == [[event]]


def test_without_a_history_nothing_waits(pager: Pager, clock: ManualClock) -> None:
    assert with_past(pager, clock, history=None) is pager
