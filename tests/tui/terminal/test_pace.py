"""The screen slows itself on a slow terminal, and comes back."""

import pytest

from probes.config import Display
from probes.kit.clock import NS_PER_S
from tui.terminal.driver import WriteMeter
from tui.terminal.pace import CpuMeter, Pace


class Beats:
    """A pace under a clock of its own, beaten ten times a second."""

    def __init__(self, hz: float = 10.0) -> None:
        self.now_ns = 0
        self.hz = hz
        self.pace = Pace(hz, 0)

    def run(self, for_s: float, *, write_s: float = 0.001, busy: bool = False) -> int:
        """Beat for a while; return how many frames were due."""
        due = 0
        for _ in range(round(for_s * self.hz)):
            self.now_ns += int(NS_PER_S / self.hz)
            due += self.pace.due(self.now_ns, busy=busy, slowest_s=write_s)
        return due


def test_a_fast_terminal_gets_every_frame() -> None:
    beats = Beats()
    assert beats.run(5) == 50
    assert beats.pace.slowed_hz is None


def test_a_write_of_most_of_a_frames_time_halves_the_rate() -> None:
    beats = Beats()
    beats.run(1.1, write_s=0.07)
    assert beats.pace.slowed_hz == 5.0
    assert beats.run(4, write_s=0.07) == pytest.approx(20, abs=1)


@pytest.mark.parametrize(("write_s", "slowed_hz"), [(0.0499, None), (0.0501, 5.0)])
def test_a_terminal_is_slow_that_takes_more_than_half_the_time_of_a_frame(
    write_s: float, slowed_hz: float | None
) -> None:
    beats = Beats(Display().refresh_hz)
    beats.run(1.1, write_s=write_s)
    assert beats.pace.slowed_hz == slowed_hz


@pytest.mark.parametrize(("write_s", "slowed_hz"), [(0.0249, None), (0.0251, 5.0)])
def test_there_is_room_for_the_faster_rate_where_a_write_takes_a_quarter_of_its_time(
    write_s: float, slowed_hz: float | None
) -> None:
    beats = Beats(Display().refresh_hz)
    beats.run(1.1, write_s=0.07)
    beats.run(2.8, write_s=write_s)
    assert beats.pace.slowed_hz == 5.0  # three seconds of room come first
    beats.run(1, write_s=write_s)
    assert beats.pace.slowed_hz == slowed_hz


def test_it_halves_stepwise_down_to_one_a_second() -> None:
    beats = Beats()
    rates = []
    for _ in range(8):
        beats.run(1, write_s=0.8)
        rates.append(beats.pace.slowed_hz)
    assert sorted(rates, key=lambda rate: -(rate or 0)) == rates
    assert rates[-1] == 1.0
    assert beats.run(10, write_s=0.8) == pytest.approx(10, abs=1)


def test_no_frame_is_due_while_one_is_being_written() -> None:
    beats = Beats()
    assert beats.run(3, busy=True, write_s=0.3) == 0
    assert beats.run(1.5) >= 1


def test_room_brings_the_rate_back_step_by_step() -> None:
    beats = Beats()
    beats.run(6, write_s=0.8)
    seen = []
    for _ in range(20):
        beats.run(1)
        seen.append(beats.pace.slowed_hz)
    assert seen[-1] is None
    assert 5.0 in seen
    assert beats.run(2) == 20


def test_a_single_slow_write_does_not_slow_it_for_long() -> None:
    beats = Beats()
    beats.run(0.1, write_s=0.2)
    beats.run(10)
    assert beats.pace.slowed_hz is None


def test_a_rate_just_fast_enough_is_kept() -> None:
    beats = Beats()
    beats.run(1.1, write_s=0.07)
    beats.run(10, write_s=0.07)
    assert beats.pace.slowed_hz == 5.0


def test_a_rate_below_one_that_was_asked_for_is_never_raised() -> None:
    beats = Beats(hz=0.5)
    beats.run(20, write_s=3.0)
    assert beats.pace.slowed_hz is None


class Hands:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)


def test_a_write_lasts_until_the_file_let_go_of_it() -> None:
    clock = Hands()
    meter = WriteMeter(clock)
    meter.queued(100)
    clock.now_ns += NS_PER_S // 4
    meter.passed(100)
    assert meter.busy
    assert meter.slowest_s() == 0.25
    clock.now_ns += NS_PER_S // 4
    meter.written()
    assert not meter.busy
    assert meter.slowest_s() == 0.5
    assert meter.slowest_s() == 0.0


def test_a_flush_of_the_first_of_two_leaves_the_second_on_its_way() -> None:
    clock = Hands()
    meter = WriteMeter(clock)
    meter.queued(100)
    meter.passed(100)
    meter.queued(50)
    meter.written()
    assert meter.busy
    meter.passed(50)
    meter.written()
    assert not meter.busy


def test_the_share_of_a_core_is_told_every_two_seconds() -> None:
    clock, used_s = Hands(), [0.0]
    meter = CpuMeter(clock, lambda: used_s[0])
    assert meter.share() == 0.0
    clock.now_ns, used_s[0] = NS_PER_S, 1.0
    assert meter.share() == 0.0
    clock.now_ns, used_s[0] = 2 * NS_PER_S, 1.0
    assert meter.share() == 0.5
    used_s[0] = 2.0
    assert meter.share() == 0.5


def test_where_a_frame_takes_long_to_make_there_are_fewer() -> None:
    pace = Pace(10.0, 0)
    drawn = [
        beat for beat in range(100)
        if pace.due(beat * NS_PER_S // 10, busy=False, slowest_s=0.0, taken_s=0.015)
    ]  # fmt: skip
    assert len(drawn) == 20  # with the tables, twice a second
    assert pace.slowed_hz is None  # the terminal is not slow


@pytest.mark.parametrize(
    ("taken_s", "frames"), [(0.009, 50), (0.011, 20), (0.02, 20), (0.032, 13), (0.1, 10)]
)
def test_frames_that_are_dear_come_with_the_tables_or_less_often(
    taken_s: float, frames: int
) -> None:
    pace = Pace(10.0, 0)
    due = [
        pace.due(beat * NS_PER_S // 10, busy=False, slowest_s=0.0, taken_s=taken_s)
        for beat in range(100)
    ]
    assert sum(due) == frames


def test_one_frame_that_took_long_does_not_stop_the_screen() -> None:
    """A full collection of garbage in it is enough for two seconds."""
    pace = Pace(10.0, 0)
    assert pace.due(0, busy=False, slowest_s=0.0)
    due = [
        beat
        for beat in range(1, 31)
        if pace.due(beat * NS_PER_S // 10, busy=False, slowest_s=0.0, taken_s=2.0)
    ]
    assert due == [10, 20, 30]
