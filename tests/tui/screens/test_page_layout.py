"""Which panes of a route's page fit, and how large they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.screens.page_layout import PAGE_PANES, PageArrangement, arrange_page


def arranged(width: int, height: int, *, verdict: int = 4, banner: bool = False,
             current: int = 1, maximised: int | None = None) -> PageArrangement:  # fmt: skip
    return arrange_page(
        width, height, banner=banner, verdict=verdict, current=current, maximised=maximised
    )


def test_on_a_wide_terminal_all_four_stand_two_by_two() -> None:
    for size in ((160, 50), (120, 40), (200, 60), (300, 100)):
        it = arranged(*size)
        assert (it.above, it.below, it.columns) == ((1, 2), (3, 4), 2)
        assert it.verdict == 4
        assert it.above_height >= 8


def test_the_probes_get_more_than_the_charts() -> None:
    it = arranged(300, 100)
    assert it.above_height == 26
    assert it.figures_width == 62


@pytest.mark.parametrize("current", PAGE_PANES)
def test_on_a_small_terminal_the_pane_that_one_is_in_is_shown(current: int) -> None:
    for size in ((80, 24, 8), (60, 20, 6), (20, 6, 0)):
        width, height, verdict = size
        assert arranged(width, height, verdict=verdict, current=current).above == (current,)


@pytest.mark.parametrize("current", PAGE_PANES)
def test_in_one_column_as_many_stand_as_there_is_room_for(current: int) -> None:
    assert current in arranged(100, 34, current=current).above
    assert len(arranged(100, 34, current=current).above) == 3
    assert arranged(100, 60).above == PAGE_PANES


def test_a_maximised_pane_is_alone() -> None:
    assert arranged(160, 50, maximised=3).above == (3,)
    assert arranged(160, 50, maximised=3).below == ()


def test_a_verdict_takes_at_most_every_third_line() -> None:
    assert arranged(80, 24, verdict=20).verdict == 8
    assert arranged(160, 50, verdict=20).verdict == 16
    assert arranged(80, 7, verdict=20).verdict == 0


def test_the_smallest_terminals_have_no_borders() -> None:
    assert not arranged(29, 50).framed
    assert not arranged(80, 7).framed
    assert arranged(30, 8).framed


@given(
    width=st.integers(1, 400),
    height=st.integers(1, 200),
    verdict=st.integers(0, 60),
    banner=st.booleans(),
    current=st.sampled_from(PAGE_PANES),
    maximised=st.sampled_from((None, *PAGE_PANES)),
)
def test_everything_fits_and_the_current_pane_is_there(
    width: int, height: int, verdict: int, banner: bool, current: int, maximised: int | None
) -> None:
    it = arranged(width, height, verdict=verdict, banner=banner, current=current,
                  maximised=maximised)  # fmt: skip
    shown = (*it.above, *it.below)
    assert (maximised or current) in shown
    assert len(set(shown)) == len(shown)
    strips = it.header + it.footer + it.verdict + banner
    least = (it.above_height if it.columns == 2 else len(shown)) + (it.columns == 2) * 8
    if height > 4:
        assert strips + least <= height
