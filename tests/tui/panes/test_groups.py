"""Rows of several places: a line for each route, its places beneath it."""

import made_places
import pytest
from msgspec.structs import replace

from probes.board.views import Figure, Snapshot
from tui.draw.text import cells, line_text, line_width
from tui.panes.groups import GroupRow, places_words
from tui.panes.routes import (
    cursor_row,
    moved,
    next_trouble,
    routes_count,
    routes_lines,
    routes_subtitle,
    routes_title,
    row_at,
    row_count,
    scrolled,
    selected_route,
    selected_row,
    table_rows,
    toggled,
    visible_routes,
)
from tui.panes.view import ViewState

VIEW = ViewState()
WELL = made_places.snapshot()
FAR = made_places.snapshot(far="eu-west")
MANY = made_places.snapshot(made_places.NAMES, made_places.MANY, far=made_places.MANY[2])


def names(shown: Snapshot, view: ViewState = VIEW) -> list[str]:
    return [row.name for row in visible_routes(shown, view)]


def group(shown: Snapshot, name: str, view: ViewState = VIEW) -> GroupRow:
    row = next(row for row in visible_routes(shown, view) if row.name == name)
    assert isinstance(row, GroupRow)
    return row


def test_groups_that_are_well_are_a_line_each() -> None:
    assert names(WELL) == ["chat", "code-review", "search-70b", "漢字-summaries"]
    assert row_count(WELL, VIEW) == 4
    told = [line_text(line) for line in routes_lines(WELL, VIEW, 120, 9)]
    assert told[1].startswith("▸· + chat           3 places")
    assert "4 routes × 3 places" in routes_title(WELL, VIEW)


def test_a_group_that_hurts_is_open_and_stands_first() -> None:
    shown = made_places.snapshot(down="search-70b")
    assert names(shown)[:5] == [
        "search-70b",
        *("search-70b@ap-south", "search-70b@eu-west", "search-70b@us-east"),
        "chat",
    ]
    told = [line_text(line) for line in routes_lines(shown, VIEW, 120, 12)]
    assert told[1].split()[:7] == ["✖", "−", "search-70b", "all", "3", "hurt", "down"]
    assert told[2].startswith("▸✖   @ap-south")
    assert row_count(shown, VIEW) == 7


def test_a_line_of_a_group_has_the_worst_figures_and_the_sum_of_counts() -> None:
    chat = group(FAR, "chat")
    assert (chat.state, chat.ttft_p95.value, chat.hurt_share) == ("sluggish", 0.4 * 3.1, 0.8)
    assert (chat.target, chat.n, chat.probes_per_min) == (3, 180, 144.0)
    assert (chat.since_s, chat.goodput) == (104.0, 0.2)
    assert group(WELL, "chat").since_s == 300.0


def test_no_percentile_of_a_line_is_below_a_lower_one_where_the_worst_place_has_few_samples() -> (
    None
):
    few = Figure(value=0.91, n=12)
    rows = tuple(
        replace(row, ttft_p50=Figure(value=0.84, n=12, enough=True), ttft_p95=few)
        if row.name == "chat@eu-west"
        else row
        for row in FAR.routes
    )
    chat = group(replace(FAR, routes=rows), "chat")
    assert (chat.ttft_p50.value, chat.ttft_p95) == (0.84, few)
    assert chat.e2e_p95.enough


def test_what_a_silent_place_measured_is_not_its_worst_figure() -> None:
    shown = made_places.snapshot(silent="us-east")
    rows = tuple(
        replace(row, ttft_p95=replace(row.ttft_p95, value=9.0)) if row.state == "silent" else row
        for row in shown.routes
    )
    chat = group(replace(shown, routes=rows), "chat")
    assert (chat.state, chat.ttft_p95.value) == ("silent", 0.4)
    assert chat.shown == ()  # a place that is silent opens none


def test_of_many_places_those_stand_that_hurt_and_none_where_the_line_says_it() -> None:
    assert group(MANY, "chat").shown == ()
    assert len(names(MANY)) == 20
    rows = tuple(
        replace(row, state="down") if row.place in made_places.MANY[3:5] else row
        for row in MANY.routes
    )
    two = replace(MANY, routes=rows)
    assert {one.place for one in group(two, "chat").shown} == set(made_places.MANY[2:5])
    down = made_places.snapshot(made_places.NAMES, made_places.MANY, down="chat")
    assert len(names(down)) == 20  # twenty lines that say the same say less than one


def test_enter_opens_a_group_and_closes_it_again() -> None:
    view = moved(WELL, VIEW, 1)
    assert view.selected == "code-review"
    opened = toggled(WELL, view)
    assert opened is not None
    assert names(WELL, opened)[1:5] == [
        "code-review",
        *(f"code-review@{place}" for place in ("ap-south", "eu-west", "us-east")),
    ]
    closed = toggled(WELL, opened)
    assert closed is not None
    assert names(WELL, closed) == names(WELL)
    # One that hurts stays closed where the user has closed it.
    chat = replace(VIEW, selected="chat")
    assert toggled(FAR, chat) == replace(chat, groups={"chat": False})
    assert group(FAR, "chat", replace(VIEW, groups={"chat": False})).shown == ()
    assert toggled(FAR, replace(VIEW, selected="chat@eu-west")) is None
    assert "⏎ closes" in routes_subtitle(FAR, chat)
    assert "⏎ shows all its places" in routes_subtitle(WELL, VIEW)


def test_on_a_groups_line_it_stands_at_which_place_knobs_act() -> None:
    chat = replace(VIEW, selected="chat")
    assert "other keys act at eu-west" in routes_subtitle(FAR, chat)
    assert "other keys" not in routes_subtitle(FAR, replace(VIEW, selected="chat@eu-west"))


def test_the_cursor_on_a_group_shows_the_worst_of_its_places() -> None:
    view = replace(VIEW, selected="code-review")
    route, row = selected_route(FAR, view), selected_row(FAR, view)
    assert route is not None
    assert row is not None
    assert (route.name, row.name) == ("code-review@eu-west", "code-review")
    # The worst of all, whose group is closed, is known by the line of the group.
    closed = replace(VIEW, groups={"chat": False})
    under = selected_row(FAR, closed)
    assert under is not None
    assert under.name == "chat"


def test_the_next_trouble_is_a_place_or_a_group_that_is_closed() -> None:
    assert next_trouble(FAR, VIEW, 1) == replace(VIEW, selected="code-review@eu-west")
    closed = replace(VIEW, groups={"code-review": False})
    assert next_trouble(FAR, closed, 1) == replace(closed, selected="code-review")


def test_filter_and_order_go_for_groups() -> None:
    assert names(FAR, ViewState(filter="us-east review")) == ["code-review@us-east"]
    assert names(FAR, ViewState(filter="chat"))[0] == "chat"
    only = names(FAR, ViewState(only_hurt=True))
    assert only == [
        f"{name}@eu-west" for name in ("chat", "code-review", "search-70b", "漢字-summaries")
    ]
    by_name = names(FAR, ViewState(sort="name", reversed=True, groups={"chat": True}))
    assert by_name[-4:] == ["chat", "chat@us-east", "chat@eu-west", "chat@ap-south"]
    slowest = names(made_places.snapshot(down="chat", far="eu-west"), ViewState(sort="ttft_p95"))
    assert slowest[0] == "code-review"


@pytest.mark.parametrize("width", [40, 58, 78, 98, 118, 158, 298])
@pytest.mark.parametrize("height", [3, 8, 20, 60])
def test_no_line_is_too_wide_and_no_row_hidden_without_a_count(width: int, height: int) -> None:
    for shown in (WELL, FAR, MANY, made_places.snapshot(down="chat", silent="us-east")):
        for view in (VIEW, replace(VIEW, selected=shown.routes[-1].name, sort="name")):
            lines = routes_lines(shown, view, width, height)
            assert len(lines) <= height
            assert all(line_width(line) <= width for line in lines)
            part = table_rows(shown, view, height)
            if part.hidden:
                assert f"of {part.among}" in routes_count(shown, view, height)
            cursor = cursor_row(shown, view, height)
            assert cursor is not None
            current = selected_row(shown, view)
            assert current is not None
            under = row_at(shown, view, height, cursor)
            assert under is not None
            assert under.name == current.name


def test_what_is_scrolled_away_and_hurts_most_stands_above() -> None:
    height = 10
    view = replace(VIEW, selected=MANY.routes[-1].name)
    part = table_rows(MANY, view, height)
    assert [row.name for row in part.rows[:3]] == ["agents", "batch", "chat"]
    assert part.rows[-1].name == MANY.routes[-1].shared_name
    down = scrolled(MANY, VIEW, 3, height)
    assert table_rows(MANY, down, height).first == 3


@pytest.mark.parametrize(
    ("width", "told"),
    [(30, "1 of 3 hurts: eu-west"), (16, "1 of 3: eu-west"), (12, "1/3 eu-west"), (8, "1/3")],
)
def test_which_places_hurt_is_said_in_as_many_words_as_fit(width: int, told: str) -> None:
    assert places_words(group(FAR, "chat"), width) == told
    assert cells(told) <= width


def test_places_that_are_silent_are_said_where_none_hurts() -> None:
    silent = made_places.snapshot(silent="us-east")
    assert places_words(group(silent, "chat"), 40) == "1 of 3 silent: us-east"
    both = made_places.snapshot(silent="us-east", far="eu-west")
    assert places_words(group(both, "chat"), 40) == "1 of 3 hurts: eu-west"


def test_places_that_we_hold_back_are_said_where_none_hurts() -> None:
    shown = made_places.snapshot(far="eu-west")
    held = tuple(
        replace(row, state="held") if row.place in ("us-east", "ap") else row
        for row in shown.routes
    )
    assert places_words(group(replace(shown, routes=held), "chat"), 40) == "1 of 3 hurts: eu-west"
    all_held = tuple(replace(row, state="held") for row in shown.routes)
    assert places_words(group(replace(shown, routes=all_held), "chat"), 40) == "all 3 held"
