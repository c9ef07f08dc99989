"""States of a route, their order, and since when."""

from typing import Any

import pytest
from board_streams import ProbeScript, at, hello, route_info, throttled, tick

from probes.board import Board
from probes.board.figures import grade_of, is_enough
from probes.board.views import RouteView
from probes.config import Route
from probes.events import Event, Held, Knob


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
    assert view_of(*events, tick(10)).goal_ratio == 0.0
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
    assert view_of(*slow).goal_ratio == pytest.approx(0.9)
    failing = [*probes(9), *probes(1, 9, **FAILED), tick(12)]
    assert view_of(*failing).goal_ratio == pytest.approx(10.0)
    dear = route_info(goal_cost_usd_per_probe=0.001)
    assert view_of(*probes(2, cost_usd=0.004), tick(5), routes=(dear,)).goal_ratio == pytest.approx(
        4.0
    )


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
    board.fold(tick(31.25))  # the turn of the second of four routes
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


def spread(count: int, every_s: float, begin_s: float = 0.0, **changes: Any) -> list[Event]:
    """Return the events of probes `every_s` apart, each half a second long."""
    scripts = [
        ProbeScript(f"e1-{begin_s}-{number}", begin_s + number * every_s, e2e_s=0.5, **changes)
        for number in range(count)
    ]
    return [event for script in scripts for event in script.events()]


@pytest.mark.parametrize(
    ("well", "limited", "state"), [(99, 1, "throttled"), (100, 1, "ok"), (100, 2, "throttled")]
)
def test_a_route_is_throttled_from_one_attempt_in_a_hundred(
    well: int, limited: int, state: str
) -> None:
    events = spread(well, 0.5)
    for number in range(limited):
        script = ProbeScript(f"e1-x{number}", 50.2 + number)
        events += [script.started(), throttled(script, 50.3 + number, None)]
    assert view_of(*events, tick(55)).state == state


@pytest.mark.parametrize(("failed", "state"), [(2, "failing"), (3, "down")])
def test_a_route_is_down_from_three_probes_without_one_that_is_ok(failed: int, state: str) -> None:
    events = [*spread(10, 1.0), *spread(failed, 1.0, 20.5, **FAILED), tick(24)]
    assert view_of(*events).state == state


@pytest.mark.parametrize(("at_s", "state"), [(29.9, "failing"), (30, "down"), (39.9, "down")])
def test_an_outage_is_judged_by_the_last_ten_to_twenty_seconds(at_s: float, state: str) -> None:
    """Of these one was ok at 19.5 s, and three failed from 20.5 s on."""
    events = [*spread(20, 1.0), *spread(3, 1.0, 20.5, **FAILED), tick(at_s)]
    assert view_of(*events).state == state


@pytest.mark.parametrize(("well", "state"), [(99, "ok"), (98, "failing")])
def test_a_success_rate_at_its_default_goal_is_met(well: int, state: str) -> None:
    goal = Route(name="alpha", base_url="http://h", model="m").goals.success
    info = route_info(goal_success=goal)
    events = [*spread(well, 0.5), *spread(1, 1.0, 50.2, **FAILED), tick(55)]
    assert view_of(*events, routes=(info,)).state == state


@pytest.mark.parametrize(
    ("at_s", "state"),
    [
        (69.9, "failing"),  # the last minute, which reaches back 60 to 70 s
        (70, "failing"),  # nothing in it: the last five
        (309.9, "failing"),
        (310, "ok"),  # nothing in these either: there is no pain that could be told
    ],
)
def test_success_is_judged_over_five_minutes_where_nothing_finished_in_one(
    at_s: float, state: str
) -> None:
    assert view_of(*spread(8, 1.0), *spread(1, 1.0, 8.0, **FAILED), tick(at_s)).state == state


def test_success_of_the_last_minute_outweighs_that_of_five() -> None:
    failed = spread(8, 1.0, **FAILED)
    assert view_of(*failed, tick(69)).state == "down"
    assert view_of(*failed, *spread(1, 1.0, 70.5), tick(72)).state == "ok"


@pytest.mark.parametrize(
    ("older", "newer", "state"),
    [
        (20, 0, "sluggish"),  # no samples in the last minute, enough in five
        (19, 0, "ok"),  # enough in neither
        (19, 1, "sluggish"),  # the last minute has one, five have 20
        (20, 19, "sluggish"),
        (20, 20, "ok"),  # enough in the last minute, and these are well
    ],
)
def test_a_p95_is_judged_from_twenty_samples_of_one_minute_or_of_five(
    older: int, newer: int, state: str
) -> None:
    slow = spread(older, 1.0, ttft_s=0.49)
    well = spread(newer, 0.5, 100.0, ttft_s=0.1)
    tight = route_info(goal_ttft_s=0.3)
    assert view_of(*slow, *well, tick(115), routes=(tight,)).state == state


@pytest.mark.parametrize(
    ("ttft_s", "state"), [(1.0, "ok"), (1.02, "slow"), (1.48, "slow"), (1.52, "sluggish")]
)
def test_latency_is_judged_by_the_goals_that_a_route_has_by_default(
    ttft_s: float, state: str
) -> None:
    default = Route(name="alpha", base_url="http://h", model="m")
    info = route_info(goal_ttft_s=default.goals.ttft_s, goal_e2e_s=default.e2e_goal_s)
    events = [*probes(20, ttft_s=ttft_s, e2e_s=1.6), tick(30)]
    assert view_of(*events, routes=(info,)).state == state
