"""The grid of places: what a cell says, what a column and a row say, at every size."""

import made_places
import pytest
from msgspec.structs import replace

from probes.board.views import Snapshot, UsualView
from tui.draw.text import line_text, line_width
from tui.panes.places import (
    NOTHING,
    cell_at,
    cell_figure,
    grid_lines,
    grid_of,
    grid_subtitle,
    grid_title,
    moved_cell,
    part_of,
)
from tui.panes.view import ViewState

VIEW = ViewState()
FAR = made_places.snapshot(far="eu-west")
DOWN = made_places.snapshot(down="search-70b", silent="ap-south")
MANY = made_places.snapshot(
    made_places.NAMES,
    made_places.MANY,
    far=made_places.MANY[2],
    down="chat",
    silent=made_places.MANY[5],
)


def told(shown: Snapshot, width: int = 120, height: int = 12, view: ViewState = VIEW) -> list[str]:
    return [line_text(line).rstrip() for line in grid_lines(shown, view, width, height)]


def test_what_hurts_from_one_place_alone_is_a_column() -> None:
    lines = told(FAR)
    assert lines[0].split() == ["ROUTE", "ap-south", "eu-west", "us-east", "HURT"]
    assert all("▲ ×3.1" in line and line.endswith("1/3") for line in lines[1:5])
    assert lines[5].split() == ["hurt", "0/4", "4/4!", "0/4", "4"]
    heads = {text.strip(): role for text, role in grid_lines(FAR, VIEW, 120, 12)[0]}
    assert (heads["eu-west"], heads["us-east"]) == ("missed", "head")


def test_what_hurts_from_everywhere_is_a_row() -> None:
    shown = made_places.snapshot(down="search-70b")
    lines = told(shown)
    assert lines[1].startswith("▸search-70b")
    assert lines[1].count("✖ 100%") == 3
    assert lines[1].endswith("3/3!")
    assert lines[2].endswith("0/3")


def test_of_a_silent_place_nobody_says_that_it_hurts_nor_that_it_is_well() -> None:
    lines = told(DOWN)
    assert all("∅ 40s" in line for line in lines[1:5])
    assert lines[1].endswith("2/2!")
    assert lines[-1].split() == ["hurt", "–", "1/4", "1/4", "2"]


@pytest.mark.parametrize(
    ("changes", "figure"),
    [
        ({"state": "sluggish", "times": 3.1}, "×3.1"),
        ({"state": "slow", "times": 12.0}, "×12"),
        ({"state": "ok", "times": 1.1}, ""),
        ({"state": "ok", "times": 1.4}, "×1.4"),
        ({"state": "failing", "success": 0.4, "success_missed": True}, "60.0%"),
        ({"state": "down", "success": 0.0, "success_missed": True}, "100%"),
        ({"state": "down", "success": None}, "100%"),
        ({"state": "silent", "since_s": 75.0}, "1m15s"),
        ({"state": "paused", "times": 3.0}, ""),
        ({"state": "slow", "usual": UsualView()}, ""),
    ],
)
def test_a_cell_has_the_figure_that_says_how_bad_it_is(changes: dict, figure: str) -> None:  # type: ignore[type-arg]
    assert cell_figure(made_places.row("chat", "eu", **changes)) == figure


@pytest.mark.parametrize("width", [20, 44, 58, 78, 98, 158, 298])
@pytest.mark.parametrize("height", [1, 2, 4, 8, 16, 46, 98])
def test_nothing_is_too_wide_and_what_has_no_room_is_counted(width: int, height: int) -> None:
    for shown in (FAR, DOWN, MANY):
        lines = grid_lines(shown, VIEW, width, height)
        assert 0 < len(lines) <= height
        assert all(line_width(line) <= width for line in lines)
        grid = grid_of(shown, VIEW)
        assert grid is not None
        foot = grid_subtitle(shown, VIEW, width, height)
        if width == 58 and shown is MANY:
            assert "of 20 places" in foot
            if height > 4:
                assert " +" in "".join(told(shown, width, height)[:2])
        if height == 8 and shown is MANY:
            assert "routes 1–" in foot


def test_twenty_by_twenty_fit_160_by_50() -> None:
    lines = told(MANY, 158, 45)
    assert len(lines) == 23
    assert "of 20" not in grid_subtitle(MANY, VIEW, 158, 45).replace("1 of 20", "")
    assert lines[1].count("east-1") == 4
    assert lines[2].count("✖ 100%") == 19


def test_where_columns_go_those_stand_that_hurt() -> None:
    narrow = told(MANY, 40, 12)
    assert any("×3.1" in line for line in narrow)


def test_the_cursor_goes_by_cells_and_stays_within() -> None:
    first = FAR.routes[0].name
    assert moved_cell(FAR, VIEW, 0, 0) == first == "chat@eu-west"
    assert moved_cell(FAR, VIEW, 0, 1) == "chat@us-east"
    assert moved_cell(FAR, VIEW, 1, 0) == "code-review@eu-west"
    end = replace(VIEW, selected="chat@us-east")
    assert moved_cell(FAR, end, 0, 1) == "chat@us-east"
    assert moved_cell(FAR, end, -1, 0) == "chat@us-east"
    # One route is not probed from everywhere: the cursor passes over the hole.
    rows = tuple(one for one in FAR.routes if one.name != "chat@eu-west")
    holed = replace(FAR, routes=rows)
    assert moved_cell(holed, replace(VIEW, selected="chat@ap-south"), 0, 1) == "chat@us-east"


def test_what_is_pointed_at_is_what_is_drawn_there() -> None:
    for width, height in ((158, 45), (78, 20), (58, 16)):
        lines = told(MANY, width, height)
        y = next(at for at, line in enumerate(lines) if "×3.1" in line)
        name = cell_at(MANY, VIEW, width, height, lines[y].index("×3.1"), y)
        assert name is not None
        assert name.endswith(made_places.MANY[2])
        assert cell_at(MANY, VIEW, width, height, 0, 0) is None


def test_the_foot_tells_of_the_cell_under_the_cursor_and_the_title_of_all() -> None:
    assert grid_title(DOWN, VIEW).startswith("4 routes × 3 places")
    foot = grid_subtitle(DOWN, VIEW, 120, 12)
    assert foot.startswith('search-70b@eu-west down 1m44s: 503 "overloaded"')


def test_a_filter_goes_for_the_grid_too() -> None:
    view = ViewState(filter="chat")
    grid = grid_of(FAR, view)
    assert grid is not None
    assert (grid.names, len(grid.places)) == (("chat",), 3)


def test_of_one_place_there_is_no_grid() -> None:
    one = made_places.snapshot(places=("eu-west",))
    assert grid_of(one, VIEW) is None
    assert told(one)[0] == NOTHING


def test_a_column_of_which_nothing_is_heard_stays_where_columns_must_go() -> None:
    """One route that is down everywhere makes all columns hurt a little; silence is of one."""
    part = part_of(grid_of(MANY, VIEW), VIEW, 80, 24)  # type: ignore[arg-type]
    assert made_places.MANY[2] in part.places  # hurts as a whole
    assert made_places.MANY[5] in part.places  # is silent
    assert len(part.places) < len(made_places.MANY)


def test_a_row_is_whole_whatever_is_filtered_by() -> None:
    for view in (ViewState(filter="sluggish"), ViewState(only_hurt=True)):
        assert grid_of(FAR, view) == grid_of(FAR, VIEW)
    grid = grid_of(FAR, ViewState(filter="code"))
    assert grid is not None
    assert grid.names == ("code-review",)
    assert len(grid.by_cell) == 3


def test_the_foot_says_what_the_knobs_of_the_cell_stand_at() -> None:
    assert "CONC 1 · every 5 s" in grid_subtitle(FAR, VIEW, 120, 12)
