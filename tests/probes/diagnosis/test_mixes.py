"""A route that asks several shapes in turn: each is judged by itself, and none hides another."""

import pytest
from diagnosis_streams import GOLDEN, Yard, probed

from probes.board import Board
from probes.board.views import RouteView
from probes.events.diagnosis_words import what_words

SHORT, LONG = "64/256/short", "64/4k/long"
USUAL_S = {SHORT: 0.3, LONG: 1.2}
"""What each waits for: four times as long is usual of the long one."""


class Mix:
    """A route of two shapes, its judge and its board."""

    def __init__(self, goal_ttft_s: float = 10.0) -> None:
        self.yard = Yard(probed(shapes=("short", "long"), goal_ttft_s=goal_ttft_s, goal_e2e_s=None))
        self._number = 0

    def seconds(
        self, count: int, *, long_every: int = 4, times: dict[str, float] | None = None
    ) -> None:
        """Let seconds pass; of so many probes one is long. `times`: of what is usual."""
        for _ in range(count):
            self._number += 1
            cohort = LONG if self._number % long_every == 0 else SHORT
            noise = 1 + 0.1 * ((self._number * GOLDEN) % 1.0)
            wait_s = USUAL_S[cohort] * noise * (times or {}).get(cohort, 1.0)
            tokens = {SHORT: 20, LONG: 4_000}[cohort]
            self.yard.second(
                {"alpha": {"cohort": cohort, "wait_s": wait_s, "input_tokens": tokens}}
            )

    def row(self) -> RouteView:
        """Return the row of the route, after all that was told, verdicts among it."""
        said = [*self.yard.events, *self.yard.usual, *self.yard.told]
        said.sort(key=lambda event: event.at_ns)
        board = Board()
        for event in said:
            board.fold(event)
        return board.snapshot(window="1m", detail_routes=()).routes[0]


def test_two_shapes_of_which_one_waits_four_times_as_long_are_no_alarm() -> None:
    mix = Mix()
    mix.seconds(400)
    assert mix.yard.told == []


@pytest.mark.parametrize("later", [1, 2, 40])
def test_another_mix_is_no_alarm(later: int) -> None:
    mix = Mix()
    mix.seconds(300)
    mix.seconds(200, long_every=later)
    assert mix.yard.told == []


def test_a_shape_that_is_ill_is_named_though_it_comes_seldom() -> None:
    mix = Mix()
    mix.seconds(300)
    mix.seconds(120, times={LONG: 4.0})
    assert mix.yard.causes == ["provider_queueing"]
    told = mix.yard.told[-1]
    assert told.shape == "long"
    assert what_words(told).endswith(", asked long")
    assert told.evidence[0].usual == pytest.approx(1.25, rel=0.1)
    assert mix.row().cohort == LONG


def test_the_one_that_comes_most_is_shown_while_all_is_well_and_again_when_it_is() -> None:
    mix = Mix()
    mix.seconds(300)
    assert mix.row().cohort == SHORT
    mix.seconds(100, times={LONG: 4.0})
    assert mix.row().cohort == LONG
    mix.seconds(240)
    assert mix.yard.causes == []
    assert mix.row().cohort == SHORT


def test_both_are_ill_together_is_one_incident() -> None:
    mix = Mix()
    mix.seconds(300)
    mix.seconds(100, times={SHORT: 4.0, LONG: 4.0})
    assert mix.yard.causes == ["provider_queueing"]
    assert len({one.id for one in mix.yard.told}) == 1


def test_a_long_shape_that_is_waited_for_as_usual_hangs_no_more_than_it_does() -> None:
    mix = Mix()
    mix.seconds(300)
    mix.seconds(60, times={LONG: 1.1})
    mix.yard.open(cohort=LONG)
    for _ in range(6):
        mix.yard.second({"alpha": None})
    assert mix.yard.told == []


def test_percentiles_of_the_row_are_of_one_shape_alone() -> None:
    mix = Mix()
    mix.seconds(300)
    row = mix.row()
    assert row.cohort == SHORT
    assert row.ttft_p95.value == pytest.approx(0.33, abs=0.01)


def test_a_shape_beyond_the_goal_is_graded_though_another_is_shown() -> None:
    mix = Mix(goal_ttft_s=1.0)
    mix.seconds(200, long_every=2)
    row = mix.row()
    assert row.cohort == SHORT
    assert row.state == "slow"
    assert "of long" in row.why
