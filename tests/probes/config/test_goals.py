"""Which E2E goal holds at which answer cap, and that everybody says the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.board import Board
from probes.config import Goals, Route
from probes.config.goals import e2e_goal_s
from probes.engine.introduction import route_info
from probes.events import Hello, Knob


def route(cap: int, own_s: float | None = None) -> Route:
    return Route(name="a", base_url="http://x", model="m", max_tokens=cap, goals=Goals(e2e_s=own_s))


@pytest.mark.parametrize(
    ("configured", "own_s", "cap", "goal_s"),
    [
        (64, None, 64, 3.0),
        (200, None, 200, 3.0),
        (201, None, 201, None),
        (64, None, 200, 3.0),
        (64, None, 201, 3.015),
        (64, None, 256, 3.84),
        (64, None, 2_000, 30.0),
        (64, None, 1, 3.0),
        (300, None, 150, 3.0),
        (300, None, 600, None),
        (300, 8.0, 150, 8.0),
        (64, 8.0, 100_000, 8.0),
    ],
)
def test_config_engine_and_board_know_one_goal(
    configured: int, own_s: float | None, cap: int, goal_s: float | None
) -> None:
    info = route_info(route(configured, own_s))
    board = Board()
    board.fold(Hello(at_ns=0, wall_ns=0, engine="1", version="", schema=1, routes=(info,)))
    if cap != configured:
        board.fold(Knob(at_ns=1, route="a", knob="max_tokens", before=configured, after=cap))
    else:
        assert info.goal_e2e_s == route(configured, own_s).e2e_goal_s == goal_s
    snapshot = board.snapshot("5m", ("a",))
    assert snapshot.routes[0].goal_e2e_s == goal_s
    assert snapshot.details["a"].percentiles.goal_e2e_s == goal_s
    assert board.summary()["a"]["goals"]["e2e_s"] == goal_s


@given(configured=st.integers(1, 10**6), cap=st.integers(1, 10**6), own=st.none() | st.just(8.0))
def test_no_knob_takes_a_goal_away(configured: int, cap: int, own: float | None) -> None:
    goal_s = route(configured, own).e2e_goal_s
    found = e2e_goal_s(goal_s, cap, is_own=own is not None, configured_cap=configured)
    assert (found is not None) or (goal_s is None)
    assert found is None or found >= (own or 3.0)
