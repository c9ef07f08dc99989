"""States of a route, their order, and since when."""

from typing import Any

import pytest
from board_streams import ProbeScript, at, hello, route_info, throttled, tick

from probes.board import Board
from probes.board.figures import grade_of, is_enough
from probes.events import Event, Held, Knob
from probes.views import RouteView


def folded(*events: Event, routes: tuple[Any, ...] = ()) -> Board:
    board = Board()
    board.fold(hello(*routes))
    for event in sorted(events, key=lambda event: event.at_ns):
        board.fold(event)
    return board


def view_of(*events: Event, **options: Any) -> RouteView:
    return folded(*events, **options).snapshot().routes[0]


def probes(count: int, begin_s: float = 0.0, **changes: Any) -> list[Event]:
    scripts = [
        ProbeScript(f"e1-{begin_s}-{number}", begin_s + number, **{"e2e_s": 1.0} | changes)
        for number in range(count)
    ]
    return [event for script in scripts for event in script.events()]


FAILED = {"outcome": "server_error", "ttft_s": None}


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([tick(5)], "starting"),
        ([*probes(3), tick(10)], "ok"),
        ([*probes(3, **FAILED), tick(10)], "down"),
        ([*probes(20), *probes(1, 20, **FAILED), tick(30)], "failing"),
        ([*probes(20, ttft_s=0.9, e2e_s=1.0), tick(30)], "ok"),
        ([*probes(20, ttft_s=1.01, e2e_s=1.1), tick(30)], "slow"),
        ([*probes(20, e2e_s=4.6), tick(30)], "sluggish"),
        ([*probes(19, e2e_s=4.6), tick(30)], "ok"),
    ],
)
def test_a_route_is_in_the_worst_state_that_applies(events: list[Event], state: str) -> None:
    assert view_of(*events).state == state


def test_an_outage_is_down_within_seconds_though_the_last_minute_was_well() -> None:
    well = probes(20)
    assert view_of(*well, *probes(2, 22, **FAILED), tick(24.5)).state == "failing"
    assert view_of(*well, *probes(20, 22, **FAILED), tick(43)).state == "down"


def test_a_route_that_answers_again_is_no_longer_down() -> None:
    events = [*probes(20), *probes(20, 22, **FAILED), *probes(1, 43)]
    assert view_of(*events, tick(45)).state == "failing"


def test_one_throttled_attempt_in_a_minute_makes_a_route_throttled() -> None:
    limited = ProbeScript("e1-x", 3.2)
    events = [*probes(5), limited.started(), throttled(limited, 3.3, None)]
    assert view_of(*events, tick(10)).state == "throttled"
    assert view_of(*events, tick(10)).pain == 0.0
    assert view_of(*events, tick(75)).state == "ok"


def test_a_cooling_route_is_throttled_until_the_time_is_up() -> None:
    held = Held(at_ns=at(5), reason="cool_down", route="alpha", until_ns=at(90), asked_s=85)
    assert view_of(*probes(3), held, tick(80)).state == "throttled"
    assert view_of(*probes(3), held, tick(80)).cool_down_s == 10.0
    assert view_of(*probes(3), held, tick(91)).state == "ok"


@pytest.mark.parametrize("route", ["alpha", ""])
@pytest.mark.parametrize("reason", ["budget", "reader_stalled"])
def test_a_held_route_is_held_until_it_is_released(route: str, reason: Any) -> None:
    held = Held(at_ns=at(5), reason=reason, route=route)
    released = Held(at_ns=at(7), reason=reason, route=route, released=True)
    assert view_of(*probes(3), held, tick(6)).state == "held"
    assert view_of(*probes(3), held, released, tick(8)).state == "ok"


def test_a_paused_route_is_paused_whatever_it_did() -> None:
    knob = Knob(at_ns=at(6), route="alpha", knob="paused", before=0, after=1)
    resumed = Knob(at_ns=at(8), route="alpha", knob="paused", before=1, after=0)
    assert view_of(*probes(3, **FAILED), knob, tick(7)).state == "paused"
    assert view_of(*probes(3, **FAILED), knob, resumed, tick(9)).state == "down"
    assert view_of(tick(1), routes=(route_info(paused=True),)).state == "paused"


def test_a_pause_and_its_end_are_seen_at_once() -> None:
    pause = Knob(at_ns=at(6.1), route="alpha", knob="paused", before=0, after=1)
    resume = Knob(at_ns=at(6.2), route="alpha", knob="paused", before=1, after=0)
    before = (*probes(3), tick(6))
    assert view_of(*before, pause).state == "paused"
    assert view_of(*before, pause, resume).state != "paused"


def test_a_state_tells_since_when_it_was_judged_so() -> None:
    events = [*probes(3), tick(10), *probes(2, 70, **FAILED), tick(75), tick(80)]
    board = folded(*events)
    view = board.snapshot().routes[0]
    assert (view.state, view.since_ns) == ("down", at(72))
    for event in (*probes(1, 90), tick(95)):
        board.fold(event)
    view = board.snapshot().routes[0]
    assert (view.state, view.since_ns) == ("failing", at(95))


def test_latency_is_judged_over_five_minutes_where_one_has_too_few_samples() -> None:
    events = [*probes(20, ttft_s=1.4, e2e_s=1.5), *probes(3, 200), tick(210)]
    assert view_of(*events).state == "slow"
    many = [*probes(20, ttft_s=1.4, e2e_s=1.5), *probes(25, 200), tick(226)]
    assert view_of(*many).state == "ok"


def test_pain_is_the_worst_ratio_to_a_goal() -> None:
    slow = [*probes(20, ttft_s=0.5, e2e_s=2.7), tick(30)]
    assert view_of(*slow).pain == pytest.approx(0.9)
    failing = [*probes(9), *probes(1, 9, **FAILED), tick(12)]
    assert view_of(*failing).pain == pytest.approx(10.0)
    dear = route_info(goal_cost_usd_per_probe=0.001)
    assert view_of(*probes(2, cost_usd=0.004), tick(5), routes=(dear,)).pain == pytest.approx(4.0)


def test_rows_are_worst_first_and_keep_their_order_within_a_second() -> None:
    infos = tuple(route_info(name) for name in ("calm", "down", "slow", "slower"))
    board = folded(
        *probes(20, route="calm"),
        *probes(20, route="slow", ttft_s=0.95, e2e_s=3.6),
        *probes(20, route="slower", e2e_s=4.2),
        tick(30.0),
        routes=infos,
    )

    def order() -> list[str]:
        return [view.name for view in board.snapshot().routes]

    assert order() == ["slower", "slow", "calm", "down"]
    for event in ProbeScript("e1-x", 30.1, route="down", e2e_s=0.2, **FAILED).events():
        board.fold(event)
    assert order() == ["slower", "slow", "calm", "down"]
    board.fold(tick(31.25))  # the moment of the second of four routes
    assert order() == ["down", "slower", "slow", "calm"]


@pytest.mark.parametrize(
    ("value", "grade"),
    [
        (0.6, "great"),
        (0.61, "fine"),
        (1.0, "fine"),
        (1.01, "slow"),
        (1.5, "slow"),
        (1.6, "sluggish"),
    ],
)
def test_grades_are_the_bands_of_the_goal(value: float, grade: str) -> None:
    assert grade_of(value, 1.0) == grade
    assert grade_of(value, None) == "none"


@pytest.mark.parametrize(("probability", "least"), [(0.5, 2), (0.9, 10), (0.95, 20), (0.99, 100)])
def test_enough_is_the_inverse_of_the_tail(probability: float, least: int) -> None:
    assert not is_enough(least - 1, probability)
    assert is_enough(least, probability)


REFUSED = {"outcome": "protocol_error", "reason": "connect.refused", "ttft_s": None}


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([tick(5)], ""),
        ([*probes(3), tick(10)], ""),
        ([*probes(3, **REFUSED), tick(10)], "connect.refused"),
        ([*probes(3, **FAILED), tick(10)], "server_error"),
        ([*probes(3, **REFUSED), *probes(1, 4, **FAILED), tick(10)], "connect.refused 75%"),
        ([*probes(20), *probes(1, 20, **REFUSED), tick(30)], "connect.refused"),
        ([*probes(20, ttft_s=1.2, e2e_s=1.3), tick(30)], "TTFT p95 1.2× goal"),
        ([*probes(20, e2e_s=6.0), tick(30)], "E2E p95 2.0× goal"),
    ],
)
def test_a_state_tells_why(events: list[Event], why: str) -> None:
    assert view_of(*events).why == why


def test_a_throttled_route_tells_the_most_frequent_limit_of_the_last_minute() -> None:
    limited = ProbeScript("e1-x", 3.2)
    events = [*probes(5), limited.started(), throttled(limited, 3.3, None)]
    assert view_of(*events, tick(10)).why == throttled(limited, 3.3, None).reason
    assert view_of(*events, tick(75)).why == ""
