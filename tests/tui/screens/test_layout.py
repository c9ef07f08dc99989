"""What stands where on which terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.panes.pane import Want
from tui.screens.layout import LOWER_PANES, Arrangement, PanePlace, arrange

SPEAKING = {number: Want(3, 1000) for number in LOWER_PANES}
QUIET = Want(3, 8, quiet=True)


def at(width: int, height: int, **changes: object) -> Arrangement:
    asked = {
        "routes": 6,
        "banner": False,
        "verdicts": 0,
        "current": 1,
        "maximised": None,
        "wants": SPEAKING,
        **changes,
    }
    return arrange(width, height, **asked)  # type: ignore[arg-type]


def opened(arrangement: Arrangement) -> tuple[int, ...]:
    return tuple(p.number for p in arrangement.places if p.number > 1 and not p.folded)


def folded(arrangement: Arrangement) -> tuple[int, ...]:
    return tuple(p.number for p in arrangement.places if p.folded)


@pytest.mark.parametrize(
    ("size", "panes", "lines"),
    [
        ((80, 24), (2, 6), (3, 4, 5)),
        ((80, 30), (2, 3, 6), (4, 5)),
        ((80, 50), (2, 3, 4, 5, 6), ()),
        ((120, 24), (2, 3, 6), (4, 5)),
        ((120, 40), (2, 3, 4, 5, 6), ()),
        ((160, 50), (2, 3, 4, 5, 6), ()),
        ((300, 100), (2, 3, 4, 5, 6), ()),
        ((60, 20), (2,), (4, 5)),
        ((80, 13), (), ()),
        ((20, 5), (), ()),
    ],
)
def test_panes_by_size(
    size: tuple[int, int], panes: tuple[int, ...], lines: tuple[int, ...]
) -> None:
    arrangement = at(*size)
    assert opened(arrangement) == panes
    assert folded(arrangement) == lines


def test_the_table_is_as_high_as_its_rows_and_leaves_half() -> None:
    def table(**changes: object) -> int:
        place = at(160, 50, **changes).place(1)
        assert place is not None
        return place.height

    assert table(routes=6) == 11
    assert table(routes=60) == 24
    assert table(routes=60, verdicts=3) == 23
    assert table(routes=0) == 6


def test_a_pane_with_nothing_to_say_is_one_line_and_its_room_goes_to_the_others() -> None:
    whole, calm = at(160, 50), at(160, 50, wants={**SPEAKING, 4: QUIET, 5: QUIET})
    assert folded(calm) == (4, 5)
    for number in (2, 3, 6):
        before, after = whole.place(number), calm.place(number)
        assert before is not None
        assert after is not None
        assert after.height > before.height
    assert {p.height for p in calm.places if p.folded} == {1}


def test_a_pane_that_speaks_alone_has_the_whole_width() -> None:
    place = at(160, 50, wants={**SPEAKING, 4: QUIET}).place(5)
    assert place is not None
    assert (place.x, place.width) == (0, 160)


def test_no_pane_is_higher_than_it_wants_but_the_charts() -> None:
    wants = {2: Want(3, 10), 3: Want(6, 12), 4: Want(3, 4), 5: Want(3, 6), 6: Want(2, 9)}
    arrangement = at(160, 100, wants=wants)
    heights = {p.number: p.height for p in arrangement.places}
    assert heights[4] == heights[5] == 8
    assert heights[6] == 11
    assert heights[2] == 12
    assert heights[3] == 98 - 11 - 8 - 11 - 12


def test_lanes_and_charts_are_as_wide_as_the_screen_where_neither_wants_half_of_the_lines() -> None:
    wants = {2: Want(3, 10), 3: Want(6, 12), 4: QUIET, 5: QUIET, 6: QUIET}
    # Header and footer, the table with its frame, a line of folded panes, and both as they want.
    enough = 2 + 11 + 1 + 12 + 14
    apart, together = at(160, enough, wants=wants), at(160, enough - 1, wants=wants)
    assert [(p.width, p.height) for p in apart.places[1:3]] == [(160, 12), (160, 14)]
    assert [(p.width, p.height) for p in together.places[1:3]] == [(88, 25), (72, 25)]
    low = at(160, 40, wants=wants)
    assert all(p.height <= wants[p.number].most + 2 for p in low.places if p.number > 4)


def test_the_current_pane_is_always_open() -> None:
    for pane in LOWER_PANES:
        assert pane in opened(at(80, 24, current=pane))
        quiet = {**SPEAKING, pane: QUIET}
        assert pane in opened(at(80, 24, current=pane, wants=quiet))
        assert opened(at(80, 12, current=pane)) == (pane,)


def test_panes_that_are_not_there_take_no_room() -> None:
    some = {number: Want() for number in (2, 3)}
    assert {p.number for p in at(160, 50, wants=some).places} == {1, 2, 3}
    assert {p.number for p in at(160, 50, wants={}).places} == {1}


def test_a_maximised_pane_is_alone() -> None:
    assert at(160, 50, maximised=4) == Arrangement(
        True, False, False, True, 0, True, (PanePlace(4, 0, 1, 160, 48),)
    )
    assert at(160, 50, maximised=1, banner=True).places == (PanePlace(1, 0, 2, 160, 47),)
    assert at(160, 50, maximised=1, verdicts=3).places == (PanePlace(1, 0, 4, 160, 45),)
    assert at(160, 50, maximised=1, filtering=True).places == (PanePlace(1, 0, 1, 160, 47),)


@pytest.mark.parametrize(
    ("height", "lines"), [(7, 0), (8, 1), (19, 1), (24, 2), (31, 2), (32, 3), (50, 3)]
)
def test_there_are_as_many_verdicts_as_leave_room_for_the_table(height: int, lines: int) -> None:
    assert at(120, height, verdicts=3).verdicts == lines
    assert at(120, height, verdicts=1).verdicts == min(1, lines)
    assert at(120, height).verdicts == 0


@given(
    st.integers(1, 320),
    st.integers(1, 120),
    st.integers(0, 200),
    st.booleans(),
    st.booleans(),
    st.integers(0, 3),
    st.integers(1, 6),
    st.dictionaries(
        st.sampled_from(LOWER_PANES),
        st.builds(Want, st.integers(1, 9), st.integers(9, 60), st.booleans()),
    ),
)
def test_panes_stand_on_the_screen_and_never_on_one_another(
    width: int,
    height: int,
    routes: int,
    banner: bool,
    filtering: bool,
    verdicts: int,
    current: int,
    wants: dict[int, Want],
) -> None:
    current = current if current in wants else 1
    arrangement = at(
        width,
        height,
        routes=routes,
        banner=banner,
        filtering=filtering,
        verdicts=verdicts,
        current=current,
        wants=wants,
    )
    top = arrangement.header + banner + arrangement.verdicts
    bottom = max(top + 1, height - arrangement.footer - filtering)
    cells: set[tuple[int, int]] = set()
    for place in arrangement.places:
        assert place.height >= 1
        assert place.width >= 1
        assert place.x >= 0
        assert place.x + place.width <= width
        assert top <= place.y
        assert place.y + place.height <= bottom
        own = {
            (x, y)
            for x in range(place.x, place.x + place.width)
            for y in range(place.y, place.y + place.height)
        }
        assert not own & cells
        cells |= own
    assert arrangement.place(current) is not None
    if any(not place.folded for place in arrangement.places[1:]):
        assert len(cells) == width * (bottom - top), "no line is left empty"
