"""Keys become commands, from what is wanted by now."""

from types import MappingProxyType

import made
import pytest

from probes.board.views import IncidentView
from probes.control.commands import AcceptUsual, Burst, Pause, SetKnob
from probes.control.knobs import KnobName, Move
from probes.control.wanted import Wanted, WantedRoute
from probes.events import Cause, Evidence
from tui.screens import knobs


def wanted(**values: float) -> Wanted:
    """Return what is wanted of one route `r`."""
    route = WantedRoute(
        **{"concurrency": 4.0, "interval": 5.0, "max_tokens": 64.0, "paused": False, **values}
    )
    routes = MappingProxyType({"r": route})
    return Wanted(routes, routes)


@pytest.mark.parametrize(
    ("knob", "base", "move", "value"),
    [
        ("concurrency", 4, "more", 5.0),
        ("concurrency", 4, "fewer", 3.0),
        ("concurrency", 4, "double", 8.0),
        ("concurrency", 4, "halve", 2.0),
        ("concurrency", 1, "fewer", None),
        ("concurrency", 1, "halve", None),
        ("concurrency", 700, "double", 1_000.0),
        ("concurrency", 1_000, "more", None),
        ("concurrency", 1_000, "double", None),
        ("interval", 5.0, "longer", 10.0),
        ("interval", 5.0, "shorter", 2.0),
        ("interval", 0.0, "shorter", None),
        ("interval", 3_000.0, "longer", 3_600.0),
        ("interval", 3_000.0, "shorter", 1_800.0),
        ("interval", 86_400.0, "longer", None),
        ("max_tokens", 64, "longer", 128.0),
        ("max_tokens", 1, "shorter", None),
        ("max_tokens", 200_000, "longer", 400_000.0),
        ("max_tokens", 900_000, "longer", 1_000_000.0),
        ("max_tokens", 1_000_000, "longer", None),
    ],
)
def test_a_key_asks_for_the_next_value_and_for_nothing_at_an_end(
    knob: KnobName, base: float, move: Move, value: float | None
) -> None:
    expected = None if value is None else SetKnob(route="r", knob=knob, value=value)
    assert knobs.turned(wanted(**{knob: base}), "r", knob, move) == expected


def test_presses_add_up_whatever_the_board_shows() -> None:
    now, values = wanted(), []
    for _ in range(3):
        command = knobs.turned(now, "r", "concurrency", "more")
        assert command is not None
        now = now.after_command(command)
        values.append(command.value)
    assert values == [5.0, 6.0, 7.0]


def test_pause_goes_to_and_fro() -> None:
    first = knobs.paused(wanted(), "r")
    assert first == Pause(route="r", paused=True)
    assert knobs.paused(wanted().after_command(first), "r") == Pause(route="r", paused=False)


def test_panic_pauses_all_and_cancels_unless_all_are_paused() -> None:
    stop = knobs.panic(wanted())
    assert stop == Pause(paused=True, cancel=True)
    assert knobs.panic(wanted().after_command(stop)) == Pause(paused=False)
    assert knobs.panic(Wanted({}, {})) == Pause(paused=True, cancel=True)


def test_bursts_are_as_large_as_the_concurrency() -> None:
    assert knobs.burst(wanted(), "r") == Burst(route="r", count=4)


def test_a_fresh_connection_is_a_burst_of_one() -> None:
    assert knobs.fresh("r") == Burst(route="r", count=1)


def level(cause: Cause, **changes: object) -> IncidentView:
    """Return an open incident of one route `r`."""
    moved = Evidence(figure="ttft", now=2.6, usual=0.7, n_now=20, n_usual=200)
    return IncidentView(
        made.diagnosis(cause, **{"routes": ("r",), "evidence": (moved,), **changes}), "slow"
    )


@pytest.mark.parametrize("cause", ["provider_slow_decode", "prompt_growth", "dns", "unknown"])
@pytest.mark.parametrize("state", ["perhaps", "named"])
def test_a_new_level_may_become_the_usual_one(cause: Cause, state: str) -> None:
    other = level("outage", routes=("s",))
    incidents = [other, level(cause, state=state)]
    assert knobs.accepted(incidents, "r") == AcceptUsual(route="r")


def test_only_of_the_route_that_it_is_of() -> None:
    assert knobs.accepted([], "r") is None
    assert knobs.accepted([level("provider_queueing", routes=("s",))], "r") is None


@pytest.mark.parametrize("cause", ["outage", "provider_errors", "local_observer", "stream_stalls"])
def test_neither_what_fails_nor_our_own_machine_makes_a_usual(cause: Cause) -> None:
    assert knobs.accepted([level(cause)], "r") is None


def test_a_name_that_is_not_found_is_no_slower_name() -> None:
    fails = Evidence(figure="in_a_row", now=5, n_now=5, unit="count")
    assert knobs.accepted([level("dns", evidence=(fails,))], "r") is None


def test_a_rate_goes_by_round_steps_and_a_closed_pace_has_none() -> None:
    steps, now = [], wanted(rate=1.0)
    while (turn := knobs.turned(now, "r", "rate", "longer")) is not None and len(steps) < 6:
        steps.append(turn.value)
        now = now.after_command(turn)
    assert steps == [2.0, 3.0, 5.0, 7.0, 10.0, 15.0]
    assert knobs.turned(wanted(rate=7.5), "r", "rate", "shorter") == SetKnob(
        route="r", knob="rate", value=7.0
    )
    assert knobs.turned(wanted(), "r", "rate", "longer") is None
