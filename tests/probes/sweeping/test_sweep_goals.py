"""Goals as a sweep reads and judges them."""

from math import inf

import msgspec
import pytest
from sweeping.swept import ROUTE

from probes.config.goals import Goals
from probes.sweeping.estimates import Estimate
from probes.sweeping.goals import GoalError, GoalName, GoalState, SweepGoal, goals_of, read_goals


def test_they_are_the_routes_own_where_none_are_asked_for() -> None:
    assert [(one.name, one.value) for one in read_goals([], ROUTE)] == [
        ("ttft_p95", 1.0),
        ("e2e_p95", 3.0),
        ("success", 0.99),
    ]


def test_a_route_that_is_not_streamed_has_no_goal_of_ttft() -> None:
    whole = msgspec.structs.replace(ROUTE, stream=False, goals=Goals(tokens_per_s=20.0))
    assert [one.name for one in goals_of(whole)] == ["e2e_p95", "success"]
    with pytest.raises(GoalError, match="not streamed"):
        read_goals(["ttft_p95=1"], whole)


def test_the_speed_of_a_stream_is_one_where_the_route_has_it() -> None:
    fast = msgspec.structs.replace(ROUTE, goals=Goals(tokens_per_s=20.0))
    assert goals_of(fast)[-1] == SweepGoal("tokens_per_s", 20.0)


def test_what_is_asked_for_stands_instead() -> None:
    assert read_goals(["ttft_p95=0.8", "success=0.999"], ROUTE) == (
        SweepGoal("ttft_p95", 0.8),
        SweepGoal("success", 0.999),
    )


@pytest.mark.parametrize(
    "word",
    ["ttft=1", "ttft_p95", "ttft_p95=", "ttft_p95=-1", "ttft_p95=nan", "success=2", "e2e_p95=inf"],
)
def test_what_is_no_goal_is_told(word: str) -> None:
    with pytest.raises(GoalError, match="expected"):
        read_goals([word], ROUTE)


def test_a_mistake_is_made_harmless() -> None:
    with pytest.raises(GoalError) as told:
        read_goals(["\x1b[31m=1"], ROUTE)
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "figure", "state"),
    [
        ("ttft_p95", Estimate(0.8, 0.7, 0.9), "met"),
        ("ttft_p95", Estimate(0.8, 0.7, 1.1), "within"),
        ("ttft_p95", Estimate(1.2, 0.9, 1.5), "beyond"),
        ("ttft_p95", Estimate(1.2, 1.1, inf), "missed"),
        ("ttft_p95", Estimate(inf, inf, inf), "missed"),
        ("success", Estimate(0.999, 0.995, 1.0), "met"),
        ("success", Estimate(1.0, 0.95, 1.0), "within"),
        ("success", Estimate(0.98, 0.95, 0.995), "beyond"),
        ("success", Estimate(0.9, 0.85, 0.95), "missed"),
        ("ttft_p95", None, "unknown"),
    ],
)
def test_it_is_sure_only_where_the_whole_interval_is(
    name: GoalName, figure: Estimate | None, state: GoalState
) -> None:
    goal = SweepGoal(name, 0.99 if name == "success" else 1.0)
    assert goal.state(figure) == state
