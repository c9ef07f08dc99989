"""Which panes fit on which terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.screens.layout import LOWER_PANES, Arrangement, arrange


def at(width: int, height: int, **changes: object) -> Arrangement:
    asked = {"routes": 6, "banner": False, "current": 1, "maximised": None, **changes}
    return arrange(width, height, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "panes", "columns"),
    [
        ((80, 24), (2,), 1),
        ((80, 50), (2, 3, 4, 5), 1),
        ((120, 24), (2, 3), 2),
        ((120, 40), (2, 3, 4, 5), 2),
        ((160, 50), (2, 3, 4, 5), 2),
        ((300, 100), (2, 3, 4, 5), 2),
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
    assert at(160, 50, maximised=4) == Arrangement(True, True, True, 0, (4,), 1)
    assert at(160, 50, maximised=1).routes_height == 48
    assert at(160, 50, maximised=1, banner=True).routes_height == 47


@given(st.integers(1, 320), st.integers(1, 120), st.integers(0, 60), st.booleans())
def test_the_parts_never_need_more_than_there_is(
    width: int, height: int, routes: int, banner: bool
) -> None:
    arrangement = at(width, height, routes=routes, banner=banner)
    strips = arrangement.header + arrangement.footer + banner
    rows = -(-len(arrangement.panes) // arrangement.columns)
    assert arrangement.routes_height + rows <= max(1, height - strips)
    assert arrangement.routes_height or arrangement.panes
