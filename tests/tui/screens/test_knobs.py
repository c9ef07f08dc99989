"""Keys become commands; keys pressed quickly add up."""

import made
import pytest

from probes.config.knob_ranges import KNOBS
from probes.control.commands import Burst, EndCoolDown, Pause, SetKnob
from probes.kit.clock import NS_PER_S
from tui.screens.knobs import Knobs

ROUTE = made.route("r", target=4, interval=5.0, max_tokens=64)
NOW = 10 * NS_PER_S


@pytest.mark.parametrize(
    ("direction", "value"), [("more", 5.0), ("fewer", 3.0), ("double", 8.0), ("halve", 2.0)]
)
def test_concurrency(direction: str, value: float) -> None:
    command = Knobs().concurrency(ROUTE, direction, NOW)  # type: ignore[arg-type]
    assert command == SetKnob(route="r", knob="concurrency", value=value)


def test_concurrency_stops_at_one() -> None:
    assert Knobs().concurrency(made.route("r", target=1), "fewer", NOW) is None
    assert Knobs().concurrency(made.route("r", target=1), "halve", NOW) is None


def test_quick_presses_add_up_before_the_board_answers() -> None:
    knobs = Knobs()
    values = [knobs.concurrency(ROUTE, "more", NOW + n * 50_000_000) for n in range(3)]
    assert [command.value for command in values if command] == [5.0, 6.0, 7.0]


def test_an_old_wish_gives_way_to_the_board() -> None:
    knobs = Knobs()
    knobs.concurrency(ROUTE, "double", NOW)
    command = knobs.concurrency(ROUTE, "more", NOW + 2 * NS_PER_S)
    assert command is not None
    assert command.value == 5.0


def test_intervals_go_up_and_down_their_steps() -> None:
    longer = Knobs().interval(ROUTE, longer=True, now_ns=NOW)
    shorter = Knobs().interval(ROUTE, longer=False, now_ns=NOW)
    assert longer == SetKnob(route="r", knob="interval", value=10.0)
    assert shorter == SetKnob(route="r", knob="interval", value=2.0)


def test_intervals_end() -> None:
    most = made.route("r", interval=KNOBS["interval"].most)
    least = made.route("r", interval=0.0)
    assert Knobs().interval(most, longer=True, now_ns=NOW) is None
    assert Knobs().interval(least, longer=False, now_ns=NOW) is None


def test_the_answer_cap_doubles_and_halves() -> None:
    assert Knobs().cap(ROUTE, longer=True, now_ns=NOW) == SetKnob(
        route="r", knob="max_tokens", value=128.0
    )
    assert Knobs().cap(made.route("r", max_tokens=1), longer=False, now_ns=NOW) is None


@pytest.mark.parametrize(
    ("knob", "shown", "longer", "value"),
    [
        ("max_tokens", 200_000, True, 400_000.0),
        ("max_tokens", 900_000, True, 1_000_000.0),
        ("max_tokens", 1_000_000, True, None),
        ("interval", 0.0, False, None),
        ("interval", 3_000.0, True, 3_600.0),
        ("interval", 3_000.0, False, 1_800.0),
        ("interval", 86_400.0, True, None),
    ],
)
def test_no_key_moves_a_value_of_the_file_the_wrong_way(
    knob: str, shown: float, longer: bool, value: float | None
) -> None:
    route = made.route("r", **{knob: shown})
    turn = Knobs().cap if knob == "max_tokens" else Knobs().interval
    expected = None if value is None else SetKnob(route="r", knob=knob, value=value)
    assert turn(route, longer=longer, now_ns=NOW) == expected


def test_concurrency_stops_at_the_most() -> None:
    most = made.route("r", target=1_000)
    assert Knobs().concurrency(most, "more", NOW) is None
    assert Knobs().concurrency(most, "double", NOW) is None
    command = Knobs().concurrency(made.route("r", target=700), "double", NOW)
    assert command == SetKnob(route="r", knob="concurrency", value=1_000.0)


def test_pause_goes_to_and_fro() -> None:
    knobs = Knobs()
    assert knobs.pause(ROUTE, NOW) == Pause(route="r", paused=True)
    assert knobs.pause(ROUTE, NOW + 1) == Pause(route="r", paused=False)
    assert Knobs().pause(made.route("r", "paused"), NOW) == Pause(route="r", paused=False)


def test_panic_pauses_all_and_cancels_unless_all_are_paused() -> None:
    knobs = Knobs()
    rows = (ROUTE, made.route("s", "paused"))
    assert knobs.panic(rows, NOW) == Pause(paused=True, cancel=True)
    assert knobs.panic(rows, NOW + 1) == Pause(paused=False)
    assert Knobs().panic((), NOW) == Pause(paused=True, cancel=True)


def test_bursts_are_as_large_as_the_concurrency() -> None:
    assert Knobs().burst(ROUTE) == Burst(route="r", count=4)
    assert Knobs().burst(made.route("r", target=0)) == Burst(route="r", count=1)


def test_a_cool_down_is_ended() -> None:
    assert Knobs().end_cool_down(ROUTE) == EndCoolDown(route="r")
