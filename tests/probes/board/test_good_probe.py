"""What a good probe is: ok, and within every goal that judges a single probe."""

import pytest
from board_streams import ProbeScript, route_info

from probes.board.good_probe import e2e_goal_at, e2e_goal_of, is_good_probe
from probes.events import RouteInfo


def good(info: RouteInfo, *, is_measured: bool = True, **script: float | str | None) -> bool:
    given = {"ttft_s": 0.5, "e2e_s": 2.0, "cost_usd": 0.1} | script
    event = ProbeScript("e1-1", 1.0, **given).probe_finished()  # type: ignore[arg-type]
    return is_good_probe(event, info, e2e_goal_of(info, event.cohort), is_measured=is_measured)


@pytest.mark.parametrize(
    ("script", "is_good"),
    [
        ({}, True),
        ({"ttft_s": 1.0, "e2e_s": 3.0}, True),
        ({"ttft_s": 1.01}, False),
        ({"e2e_s": 3.01}, False),
        ({"ttft_s": None}, True),
        ({"outcome": "truncated"}, False),
        ({"outcome": "cancelled"}, False),
        ({"cost_usd": 0.3}, False),
        ({"cost_usd": None}, True),
    ],
)
def test_every_goal_counts(script: dict[str, float | str | None], is_good: bool) -> None:
    assert good(route_info(goal_cost_usd_per_probe=0.2), **script) is is_good


def test_what_was_not_measured_was_in_time_but_not_cheap() -> None:
    info = route_info(goal_cost_usd_per_probe=0.2)
    assert good(info, is_measured=False, ttft_s=9.0, e2e_s=9.5)
    assert not good(info, is_measured=False, cost_usd=0.3)


def test_the_goal_is_that_of_the_probes_own_cap() -> None:
    info = route_info()
    assert e2e_goal_of(info, "400/256") == e2e_goal_at(info, 400) == 6.0
    assert e2e_goal_of(info, "") == 3.0
    assert good(info, cohort="400/256", e2e_s=5.0)
