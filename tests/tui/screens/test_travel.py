"""Where in time a cockpit stands, and how it gets elsewhere."""

import math
from collections.abc import Callable

import anyio
import pytest
from fakes import FakeClock, FakeSpan, FakeTimeline
from made import NOW_NS
from made_happenings import happening

from probes.kit.clock import NS_PER_S
from tui.screens.travel import SPEEDS, Travel

pytestmark = pytest.mark.anyio

MINUTE_NS = 60 * NS_PER_S
FIRST_NS = NOW_NS - 3600 * NS_PER_S


class Trip:
    """Somebody who travels, and where that led."""

    def __init__(self, *, has_present: bool = True) -> None:
        self.timeline = FakeTimeline()
        self.clock = FakeClock()
        self.travel = Travel(self.timeline, self.clock, has_present=has_present)
        self.arrivals: list[float] = []
        """Seconds before the end, of each place that was reached."""

    async def go(self, is_asked: bool) -> None:
        if is_asked:
            await self.travel.go(self.arrived)

    def arrived(self) -> None:
        assert self.travel.is_live or self.travel.board is not None
        if not self.travel.is_live:
            self.arrivals.append(self.ago_s)

    @property
    def ago_s(self) -> float:
        place = self.travel.place()
        assert place is not None
        return (NOW_NS - place.at_ns) / NS_PER_S


@pytest.fixture
def trip() -> Trip:
    return Trip()


async def until(true: Callable[[], object]) -> None:
    """Wait for a thread."""
    with anyio.fail_after(10):
        while not true():  # noqa: ASYNC110 - a thread sets it
            await anyio.sleep(0.001)


def test_live_there_is_no_place(trip: Trip) -> None:
    assert trip.travel.is_live
    assert trip.travel.place() is None
    assert trip.travel.board is None


def test_without_a_recording_one_goes_nowhere() -> None:
    travel = Travel(None, FakeClock())
    assert not travel.can_go_back
    assert not travel.step(-NS_PER_S)
    assert not travel.beat()
    assert travel.stops() == ()
    assert travel.is_live


async def test_steps_add_up_and_the_end_is_the_present(trip: Trip) -> None:
    travel = trip.travel
    for _ in range(3):
        await trip.go(travel.step(-10 * NS_PER_S))
    assert trip.arrivals == [10, 20, 30]
    await trip.go(travel.step(10 * NS_PER_S))
    assert trip.ago_s == 20
    await trip.go(travel.step(30 * NS_PER_S))
    assert travel.is_live
    assert not travel.step(10 * NS_PER_S), "there is nothing after the present"
    assert travel.is_live


async def test_a_step_through_a_silence_is_a_step(trip: Trip) -> None:
    """The last event before a place may be long ago: the next step begins where one stands."""
    await trip.go(trip.travel.want(NOW_NS - MINUTE_NS))
    board = trip.travel.board
    assert board is not None
    trip.timeline.shown = lambda at_ns: trip.timeline.whole  # type: ignore[method-assign]
    for _ in range(3):
        await trip.go(trip.travel.step(NS_PER_S))
    assert trip.arrivals == [60, 59, 58, 57]


async def test_nobody_goes_before_the_beginning(trip: Trip) -> None:
    await trip.go(trip.travel.want(FIRST_NS))
    assert trip.ago_s == 3600
    await trip.go(trip.travel.step(-10 * NS_PER_S))
    assert trip.ago_s == 3600


async def test_a_board_is_not_shown_while_it_is_moved(trip: Trip) -> None:
    travel, road = trip.travel, trip.timeline.open_road
    road.clear()
    async with anyio.create_task_group() as tasks:
        assert travel.step(-10 * NS_PER_S)
        tasks.start_soon(travel.go, trip.arrived)
        await until(lambda: trip.timeline.ways)
        assert not travel.is_live
        assert travel.board is None
        road.set()
    assert trip.arrivals == [10]
    assert travel.board is not None


async def test_a_way_is_told_of_where_it_takes_long_and_not_before(trip: Trip) -> None:
    travel, road = trip.travel, trip.timeline.open_road
    trip.clock.now_ns += MINUTE_NS
    road.clear()
    told = []
    async with anyio.create_task_group() as tasks:
        assert travel.step(-10 * NS_PER_S)
        tasks.start_soon(travel.go, trip.arrived)
        await until(lambda: trip.timeline.ways)
        for _ in range(2):
            place = travel.place()
            assert place is not None
            assert place.wanted_ns == NOW_NS - 10 * NS_PER_S
            told.append(place.is_far)
            trip.clock.now_ns += NS_PER_S
        road.set()
    assert told == [False, True]
    place = travel.place()
    assert place is not None
    assert not place.is_far


async def test_the_span_is_that_of_the_run_wherever_one_stands(trip: Trip) -> None:
    assert Travel(None, FakeClock()).span is None
    await trip.go(trip.travel.want(NOW_NS - MINUTE_NS))
    span = trip.travel.span
    assert span is not None
    assert (span.begin_ns, span.end_ns) == (FIRST_NS, NOW_NS)


async def test_places_between_are_passed_over(trip: Trip) -> None:
    travel, road = trip.travel, trip.timeline.open_road
    road.clear()
    async with anyio.create_task_group() as tasks:
        assert travel.step(-10 * NS_PER_S)
        tasks.start_soon(travel.go, trip.arrived)
        await until(lambda: trip.timeline.ways)
        for _ in range(30):
            assert not travel.step(-10 * NS_PER_S), "somebody goes already"
        road.set()
    assert [(NOW_NS - way) / NS_PER_S for way in trip.timeline.ways] == [10, 310]
    assert trip.arrivals == [10, 310]


async def test_who_follows_live_on_the_way_is_live_and_may_leave_again(trip: Trip) -> None:
    travel, road = trip.travel, trip.timeline.open_road
    road.clear()
    async with anyio.create_task_group() as tasks:
        assert travel.step(-10 * NS_PER_S)
        tasks.start_soon(travel.go, trip.arrived)
        await until(lambda: trip.timeline.ways)
        travel.follow()
        assert travel.is_live
        assert not travel.step(-20 * NS_PER_S), "the same task goes there"
        assert not travel.is_live
        road.set()
    assert trip.arrivals == [20]


async def test_what_arrives_after_one_is_live_again_is_not_shown(trip: Trip) -> None:
    travel, road = trip.travel, trip.timeline.open_road
    road.clear()
    async with anyio.create_task_group() as tasks:
        assert travel.step(-10 * NS_PER_S)
        tasks.start_soon(travel.go, trip.arrived)
        await until(lambda: trip.timeline.ways)
        travel.follow()
        road.set()
    assert trip.arrivals == []
    assert travel.is_live
    assert travel.place() is None


async def test_what_cannot_be_read_is_told_and_one_is_live(trip: Trip) -> None:
    trip.timeline.trouble = "run.jsonl: line 7 is damaged"
    await trip.go(trip.travel.step(-10 * NS_PER_S))
    assert trip.travel.problem == "run.jsonl: line 7 is damaged"
    assert trip.travel.is_live
    trip.timeline.trouble = ""
    await trip.go(trip.travel.step(-10 * NS_PER_S))
    assert trip.travel.problem == ""
    assert trip.ago_s == 10


async def test_next_steps_are_prepared_until_somebody_wants_one(trip: Trip) -> None:
    trip.timeline.prepares = 5
    await trip.go(trip.travel.step(-10 * NS_PER_S))
    assert trip.timeline.prepared == 5
    trip.timeline.prepares = 1_000_000
    async with anyio.create_task_group() as tasks:
        assert trip.travel.step(-10 * NS_PER_S)
        tasks.start_soon(trip.travel.go, trip.arrived)
        await until(lambda: trip.timeline.prepared > 10)
        assert not trip.travel.step(-10 * NS_PER_S)
        await until(lambda: trip.arrivals[-1] == 30)
        trip.travel.follow()
    assert trip.timeline.prepared < 1_000_000


async def test_what_cannot_be_prepared_is_nobodys_trouble(trip: Trip) -> None:
    past = trip.timeline.past()

    def failing() -> object:
        raise trip.timeline.failure
        yield

    past.prepare = failing  # type: ignore[method-assign, assignment]
    trip.timeline.past = lambda: past  # type: ignore[method-assign]
    await trip.go(trip.travel.step(-10 * NS_PER_S))
    assert trip.arrivals == [10]
    assert trip.travel.problem == ""


# Playing.


@pytest.mark.parametrize(("speed", "covered_s"), [(1.0, 0.1), (10.0, 1.0)])
async def test_it_is_played_by_the_clock(trip: Trip, speed: float, covered_s: float) -> None:
    travel = trip.travel
    await trip.go(travel.want(NOW_NS - MINUTE_NS))
    travel.speed = speed
    assert not travel.beat(), "it stands still"
    travel.play(True)
    for times in range(1, 4):
        trip.clock.now_ns += NS_PER_S // 10
        await trip.go(travel.beat())
        assert trip.ago_s == pytest.approx(60 - times * covered_s)
    travel.play(False)
    trip.clock.now_ns += NS_PER_S
    assert not travel.beat()


async def test_as_fast_as_it_can_be_read_is_ever_faster_where_reading_is_quick(trip: Trip) -> None:
    travel = trip.travel
    await trip.go(travel.want(FIRST_NS))
    travel.speed = math.inf
    travel.play(True)
    strides = []
    for _ in range(8):
        before_s = trip.ago_s
        trip.clock.now_ns += NS_PER_S // 10
        await trip.go(travel.beat())
        strides.append(before_s - trip.ago_s)
    assert strides == sorted(strides)
    assert strides[-1] > 60


async def test_a_slow_disk_plays_more_slowly_and_not_in_ever_longer_leaps() -> None:
    trip = Trip()
    travel = trip.travel
    past = trip.timeline.past()
    go = past.go

    def slowly(at_ns: int) -> None:
        trip.clock.now_ns += max(0, at_ns - past.at_ns) // 5  # five seconds of the run in one
        go(at_ns)

    await trip.go(travel.want(FIRST_NS))
    past.go = slowly  # type: ignore[method-assign]
    past.at_ns = FIRST_NS
    trip.timeline.past = lambda: past  # type: ignore[method-assign]
    travel.follow()
    await trip.go(travel.want(FIRST_NS))
    travel.speed = 60.0
    travel.play(True)
    for _ in range(50):
        before_s = trip.ago_s
        trip.clock.now_ns += NS_PER_S // 10
        await trip.go(travel.beat())
        assert before_s - trip.ago_s <= 6.0


async def test_what_is_played_ends_in_the_present(trip: Trip) -> None:
    await trip.go(trip.travel.step(-NS_PER_S))
    trip.travel.play(True)
    trip.clock.now_ns += NS_PER_S
    await trip.go(trip.travel.beat())
    assert trip.travel.is_live
    assert not trip.travel.is_playing


def test_there_are_speeds_and_no_more(trip: Trip) -> None:
    travel = trip.travel
    assert [travel.turn_speed(True) for _ in range(4)] == [*SPEEDS[1:], SPEEDS[-1]]
    assert [travel.turn_speed(False) for _ in range(4)] == [*SPEEDS[-2::-1], SPEEDS[0]]


# A recording.


async def test_a_recording_is_shown_from_its_beginning_as_soon_as_any_is_read() -> None:
    trip = Trip(has_present=False)
    travel, timeline = trip.travel, trip.timeline
    whole, timeline.span = timeline.span, FakeSpan(0, 0)
    assert not travel.is_live
    assert not travel.beat(), "nothing is read yet"
    timeline.span = whole
    await trip.go(travel.beat())
    assert trip.arrivals == [3600]
    assert not travel.beat()


async def test_a_recording_is_never_live() -> None:
    trip = Trip(has_present=False)
    travel = trip.travel
    await trip.go(travel.beat())
    await trip.go(travel.follow())
    assert trip.ago_s == 0
    await trip.go(travel.step(10 * NS_PER_S))
    assert trip.ago_s == 0
    assert not travel.is_live


async def test_at_the_end_of_a_recording_it_waits_for_what_is_being_read_and_then_stops() -> None:
    trip = Trip(has_present=False)
    travel, timeline = trip.travel, trip.timeline
    await trip.go(travel.beat())
    await trip.go(travel.follow())
    travel.play(True)
    trip.clock.now_ns += NS_PER_S // 2
    assert not travel.beat()
    assert travel.is_playing
    timeline.span = FakeSpan(timeline.span.begin_ns, NOW_NS + 5 * NS_PER_S)
    await trip.go(travel.beat())
    assert trip.ago_s < 0
    timeline.span = FakeSpan(timeline.span.begin_ns, NOW_NS - round(trip.ago_s * NS_PER_S))
    trip.clock.now_ns += 2 * NS_PER_S
    assert not travel.beat()
    assert not travel.is_playing


async def test_a_recording_that_breaks_off_stands_where_it_could_be_read() -> None:
    trip = Trip(has_present=False)
    await trip.go(trip.travel.beat())
    trip.timeline.trouble = "run.jsonl: line 7 is damaged"
    await trip.go(trip.travel.step(10 * NS_PER_S))
    assert trip.travel.problem
    assert trip.travel.board is not None
    assert trip.ago_s == 3600


# What happened.


async def test_one_goes_from_one_thing_that_happened_to_the_next(trip: Trip) -> None:
    travel = trip.travel
    trip.timeline.happenings = (
        happening(30, "mark", "here"),
        happening(40, "throttled", "429 ×3", "alpha"),
        happening(60, "recovered", "recovered", "alpha"),
        happening(120, "onset", "down", "alpha"),
        happening(9_000, "knob", "CONC 3→6", "alpha"),
    )
    assert [one.kind for one in travel.stops()] == ["onset", "recovered", "mark"]
    assert travel.stop(1) is None
    gone = []
    while (stop := travel.stop(-1)) is not None:
        gone.append(stop.kind)
        await trip.go(travel.want(stop.at_ns))
    assert gone == ["mark", "recovered", "onset"]
    stop = travel.stop(1)
    assert stop is not None
    assert stop.kind == "recovered"
    from_there = travel.stop(1, NOW_NS - 50 * NS_PER_S)
    assert from_there is not None
    assert from_there.kind == "mark"
