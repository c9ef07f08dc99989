"""Which panes fit on which terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.screens.layout import LOWER_PANES, Arrangement, arrange


def at(width: int, height: int, **changes: object) -> Arrangement:
    asked = {
        "routes": 6,
        "banner": False,
        "verdicts": 0,
        "current": 1,
        "maximised": None,
        **changes,
    }
    return arrange(width, height, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "panes", "columns"),
    [
        ((80, 24), (2,), 1),
        ((80, 50), (2, 3, 4, 5), 1),
        ((120, 24), (2, 3), 2),
        ((120, 40), (2, 3, 4, 5, 6), 2),
        ((160, 50), (2, 3, 4, 5, 6), 2),
        ((300, 100), (2, 3, 4, 5, 6), 2),
        ((80, 13), (), 1),
        ((20, 5), (), 1),
    ],
)
def test_panes_by_size(size: tuple[int, int], panes: tuple[int, ...], columns: int) -> None:
    arrangement = at(*size)
    assert arrangement.panes == panes
    assert arrangement.columns == columns


def test_the_table_is_as_high_as_its_rows_and_leaves_half() -> None:
    assert at(160, 50, routes=6).routes_height == 11
    assert at(160, 50, routes=60).routes_height == 24


def test_the_current_pane_is_always_shown() -> None:
    for pane in LOWER_PANES:
        assert pane in at(80, 24, current=pane).panes
        assert at(80, 12, current=pane).panes == (pane,)


def test_a_maximised_pane_is_alone() -> None:
    assert at(160, 50, maximised=4) == Arrangement(True, True, 0, True, 0, (4,), 1)
    assert at(160, 50, maximised=1).routes_height == 48
    assert at(160, 50, maximised=1, banner=True).routes_height == 47
    assert at(160, 50, maximised=1, verdicts=3).routes_height == 45


@pytest.mark.parametrize(
    ("height", "lines"), [(7, 0), (8, 1), (19, 1), (24, 2), (31, 2), (32, 3), (50, 3)]
)
def test_there_are_as_many_verdicts_as_leave_room_for_the_table(height: int, lines: int) -> None:
    assert at(120, height, verdicts=3).verdicts == lines
    assert at(120, height, verdicts=1).verdicts == min(1, lines)
    assert at(120, height).verdicts == 0


def test_verdicts_take_their_lines_from_the_panes() -> None:
    assert at(160, 50, routes=60, verdicts=3).routes_height == 23
    assert at(80, 24, verdicts=2).panes == (2,)


@given(
    st.integers(1, 320),
    st.integers(1, 120),
    st.integers(0, 60),
    st.booleans(),
    st.integers(0, 3),
)
def test_the_parts_never_need_more_than_there_is(
    width: int, height: int, routes: int, banner: bool, verdicts: int
) -> None:
    arrangement = at(width, height, routes=routes, banner=banner, verdicts=verdicts)
    strips = arrangement.header + arrangement.footer + arrangement.verdicts + banner
    rows = -(-len(arrangement.panes) // arrangement.columns)
    assert arrangement.routes_height + rows <= max(1, height - strips)
    assert arrangement.routes_height or arrangement.panes
