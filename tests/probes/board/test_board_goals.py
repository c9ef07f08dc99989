"""Met, missed and unknown: what a run may say of its goals."""

from typing import Any, get_args

import pytest
from board_streams import ProbeScript, at, hello, route_info

from probes.board import Board
from probes.board.goals import goals_remarks, goals_status, run_verdict
from probes.events import Event, Held, HeldReason, Knob, RouteInfo


def summary(info: RouteInfo, *events: Event) -> dict[str, Any]:
    board = Board()
    for event in (hello(info), *sorted(events, key=lambda event: event.at_ns)):
        board.fold(event)
    return board.summary()


def probes(n: int, **changes: Any) -> list[Event]:
    return [e for i in range(n) for e in ProbeScript(f"e1-{i}", float(i), **changes).events()]


def held(reason: Any, route: str = "alpha") -> Held:
    return Held(at_ns=at(0.5), reason=reason, route=route)


PAUSED = Knob(at_ns=at(0.5), route="alpha", knob="paused", before=0, after=1, who="me")
TOO_FEW = "{}: too few samples for a p95: {}, not all of them within the goal"


@pytest.mark.parametrize(
    ("info", "events", "why"),
    [
        ({}, [], "no probe was started"),
        ({"paused": True}, [], "no probe was started (it is paused)"),
        ({}, [PAUSED], "no probe was started (it is paused)"),
        ({}, [held("budget")], "no probe was started (nothing is left to spend)"),
        ({}, [held("budget", route="")], "no probe was started (nothing is left to spend)"),
        ({}, [held("cool_down")], "no probe was started (it cools down)"),
        ({}, [held("restarting", route="")], "no probe was started (the engine starts again)"),
        ({}, [ProbeScript("e1-1", 1.0).started()], "no probe finished"),
        (
            {},
            probes(2, outcome="cancelled", ttft_s=None),
            "no probe finished (2 cancelled at the end of the run)",
        ),
        ({}, probes(1, ttft_s=1.2), TOO_FEW.format("ttft", 1)),
        ({}, probes(19, e2e_s=3.5), TOO_FEW.format("e2e", 19)),
        ({}, probes(30, flagged="local_gap"), "e2e: no sample that counts"),
        (
            {"goal_tokens_per_s": 5.0},
            probes(19, ttft_s=0.4, e2e_s=1.4),  # 10 tokens a second
            "tokens_per_s: too few samples for a median: 19",
        ),
        (
            {"goal_tokens_per_s": 5.0},
            probes(30, ttft_s=0.4, e2e_s=1.4, tokens=None),
            "tokens_per_s: too few samples for a median: 0",
        ),
    ],
)
def test_what_measured_nothing_or_too_little_is_unknown(
    info: dict[str, Any], events: list[Event], why: str
) -> None:
    told = summary(route_info(**info), *events)
    (row,) = told.values()
    assert (row["goals_met"], row["goals_missed"], row["goals_unknown"]) == (None, [], [why])
    assert (run_verdict(told), goals_status(told)) == ("unknown", 3)
    assert list(goals_remarks(told)) == [f"alpha: goals unknown: {why}"]


@pytest.mark.parametrize("reason", get_args(HeldReason))
def test_every_reason_to_hold_has_its_words(reason: Any) -> None:
    (row,) = summary(route_info(), held(reason)).values()
    (why,) = row["goals_unknown"]
    assert why.startswith("no probe was started (")
    assert f"({reason})" not in why


@pytest.mark.parametrize(
    ("info", "events"),
    [
        ({}, probes(20)),
        # Even the slowest of three was within its goal.
        ({}, probes(3)),
        ({}, probes(1)),
        ({"streamed": False}, probes(1, ttft_s=None)),
        ({"goal_e2e_s": None}, probes(3, e2e_s=90.0)),
    ],
)
def test_goals_are_met_by_what_was_measured(info: dict[str, Any], events: list[Event]) -> None:
    told = summary(route_info(**info), *events)
    (row,) = told.values()
    assert (row["goals_met"], row["goals_missed"], row["goals_unknown"]) == (True, [], [])
    assert (run_verdict(told), goals_status(told)) == ("met", 0)
    assert list(goals_remarks(told)) == []


@pytest.mark.parametrize(
    ("changes", "n", "missed"),
    [
        ({"ttft_s": 1.2}, 20, ["ttft"]),
        ({"e2e_s": 3.5}, 20, ["e2e"]),
        # Success and cost are judged from the first probe on, and outweigh what is unknown.
        ({"ttft_s": None, "outcome": "client_error"}, 1, ["success"]),
        ({"cost_usd": 0.5, "ttft_s": 1.2}, 1, ["cost"]),
    ],
)
def test_a_goal_that_was_missed_is_named(
    changes: dict[str, Any], n: int, missed: list[str]
) -> None:
    told = summary(route_info(goal_cost_usd_per_probe=0.1), *probes(n, **changes))
    (row,) = told.values()
    assert (row["goals_met"], row["goals_missed"]) == (False, missed)
    assert (run_verdict(told), goals_status(told)) == ("missed", 1)
    assert list(goals_remarks(told)) == [f"alpha: goals missed: {', '.join(missed)}"]


@pytest.mark.parametrize(
    ("verdicts", "run"),
    [
        ((True, True), "met"),
        ((True, None), "unknown"),
        ((None, False), "missed"),
        ((True, False), "missed"),
        ((), "unknown"),
    ],
)
def test_the_worst_route_decides(verdicts: tuple[bool | None, ...], run: str) -> None:
    routes = {str(number): {"goals_met": met} for number, met in enumerate(verdicts)}
    assert run_verdict(routes) == run


@pytest.mark.parametrize(("goal", "missed"), [(9.9, []), (10.5, ["tokens_per_s"]), (None, [])])
def test_a_speed_is_judged_by_its_median(goal: float | None, missed: list[str]) -> None:
    told = summary(route_info(goal_tokens_per_s=goal), *probes(20, ttft_s=0.4, e2e_s=1.4))
    assert told["alpha"]["goals_missed"] == missed
    assert told["alpha"]["goals_unknown"] == []
    assert told["alpha"]["goals"]["tokens_per_s"] == goal
