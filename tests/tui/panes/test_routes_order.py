"""Sorting, filtering and moving are pure and keep the cursor on its route."""

import made
import pytest
from changed import replace

from probes.board.views import Snapshot
from probes.stats.windows import WINDOWS
from tui.panes.routes import (
    SORT_KEYS,
    following,
    matches,
    moved,
    moved_to_last,
    next_sort,
    next_window,
    scrolled,
    selected_route,
    table_rows,
    visible_routes,
)
from tui.panes.view import ViewState

SNAPSHOT = made.snapshot()


def names(view: ViewState) -> list[str]:
    return [route.name for route in visible_routes(SNAPSHOT, view)]


def test_worst_first_is_the_boards_own_order() -> None:
    assert names(ViewState()) == [route.name for route in SNAPSHOT.routes]


def test_numbers_are_sorted_from_the_largest_and_no_sample_is_last() -> None:
    order = names(ViewState(sort="ttft_p95"))
    assert order[:2] == ["busy-llama", "queue-eu"]
    assert set(order[-2:]) == {"eastus-gpt", "new-route"}


def test_text_is_sorted_from_a() -> None:
    assert names(ViewState(sort="name"))[0] == "busy-llama"
    assert names(ViewState(sort="model"))[0] == "deepseek-eu"


def test_reverse_turns_any_order_round() -> None:
    for key in SORT_KEYS:
        assert names(ViewState(sort=key, reversed=True)) == names(ViewState(sort=key))[::-1]


@pytest.mark.parametrize(
    ("words", "match"),
    [("", True), ("BUSY", True), ("llama eu", True), ("throttled", True), ("llama asia", False)],
)
def test_all_words_of_a_filter_must_occur(words: str, match: bool) -> None:
    assert matches(made.routes()[1], words) is match


def test_the_cursor_follows_its_route_when_the_order_changes() -> None:
    view = ViewState(selected="deepseek-eu")
    for key in SORT_KEYS:
        route = selected_route(SNAPSHOT, replace(view, sort=key))
        assert route is not None
        assert route.name == "deepseek-eu"


def test_a_filtered_out_route_gives_the_cursor_to_the_first() -> None:
    route = selected_route(SNAPSHOT, ViewState(selected="deepseek-eu", filter="busy"))
    assert route is not None
    assert route.name == "busy-llama"


def test_the_cursor_stops_at_the_edges() -> None:
    view = ViewState()
    assert moved(SNAPSHOT, view, -1).selected == "eastus-gpt"
    assert moved(SNAPSHOT, view, 1).selected == "busy-llama"
    assert moved_to_last(SNAPSHOT, view).selected == "new-route"


def test_nothing_moves_where_nothing_is() -> None:
    empty = made.snapshot(routes=())
    assert moved(empty, ViewState(), 1) == ViewState()
    assert scrolled(empty, ViewState(), 1, 10) == ViewState()
    assert selected_route(empty, ViewState()) is None


def selected(view: ViewState, shown: Snapshot = SNAPSHOT) -> str:
    route = selected_route(shown, view)
    assert route is not None
    return route.name


def test_the_cursor_follows_the_worst_until_the_user_moves_it() -> None:
    rows = made.routes()
    turned = made.snapshot(routes=(rows[2], rows[0], *rows[3:]))
    assert selected(ViewState()) == "eastus-gpt"
    assert selected(ViewState(), turned) == "queue-eu"
    mine = moved(SNAPSHOT, ViewState(), 0)
    assert selected(mine, turned) == "eastus-gpt"
    assert selected(following(mine), turned) == "queue-eu"


@pytest.mark.parametrize("key", SORT_KEYS)
@pytest.mark.parametrize("turned", [False, True])
def test_the_worst_is_followed_however_the_table_is_sorted(key: str, turned: bool) -> None:
    assert selected(ViewState(sort=key, reversed=turned)) == "eastus-gpt"
    assert selected(ViewState(sort=key, reversed=turned, filter="eu")) == "eastus-gpt"
    assert selected(ViewState(sort=key, reversed=turned, filter="queue")) == "queue-eu"


def test_only_what_hurts_leaves_out_the_rest() -> None:
    assert names(ViewState(only_hurt=True)) == ["eastus-gpt", "busy-llama", "queue-eu"]
    assert names(ViewState(only_hurt=True, filter="busy")) == ["busy-llama"]
    well = made.snapshot(routes=made.routes()[3:])
    assert visible_routes(well, ViewState(only_hurt=True)) == ()
    assert selected_route(well, ViewState(only_hurt=True)) is None


def many(hurt: int, well: int) -> Snapshot:
    rows = [made.route(f"ill-{index:02d}", "slow", 2.0) for index in range(hurt)]
    rows += [made.route(f"well-{index:02d}") for index in range(well)]
    return made.snapshot(routes=tuple(rows))


@pytest.mark.parametrize("place", range(41))
@pytest.mark.parametrize("height", [2, 3, 5, 8, 9, 12, 20, 42, 43, 50])
def test_the_worst_three_and_the_cursor_are_never_scrolled_away(height: int, place: int) -> None:
    shown = many(5, 36)
    name = shown.routes[place].name
    table = table_rows(shown, ViewState(selected=name), height)
    there = [row.name for row in table.rows]
    assert name in there
    assert there[: min(3, len(there) // 2)] == ["ill-00", "ill-01", "ill-02"][: len(there) // 2]
    assert len(there) + table.headed + table.totalled <= height
    assert len(there) + table.hidden == 41


def test_what_does_not_hurt_is_scrolled_away() -> None:
    view = ViewState(selected="well-39")
    assert "ill-00" in [row.name for row in table_rows(many(1, 40), view, 12).rows]
    assert table_rows(many(1, 40), view, 12).rows[1].name == "well-31"
    assert table_rows(many(0, 40), view, 12).rows[0].name == "well-30"


def test_the_worst_stay_in_sight_in_any_order() -> None:
    view = ViewState(sort="name", reversed=True, selected="well-35")
    there = [row.name for row in table_rows(many(5, 36), view, 12).rows]
    assert there[:3] == ["ill-02", "ill-01", "ill-00"]
    assert there[3:] == sorted(there[3:], reverse=True)


def test_a_wheel_scrolls_rows_and_leaves_the_cursor_where_it_is() -> None:
    shown, view = many(0, 40), ViewState(selected="well-00")
    down = scrolled(shown, view, 3, 12)
    assert table_rows(shown, down, 12).rows[0].name == "well-03"
    assert selected(down, shown) == "well-00"
    assert table_rows(shown, scrolled(shown, view, 99, 12), 12).rows[-1].name == "well-39"
    assert table_rows(shown, scrolled(shown, down, -99, 12), 12).rows[0].name == "well-00"
    assert table_rows(shown, moved(shown, down, 1), 12).rows[0].name == "well-00"
    assert scrolled(shown, view, 3, 60) == view, "all of them are in sight"


def test_sorting_and_windows_go_round() -> None:
    view = ViewState(window="1m")
    for _ in SORT_KEYS:
        view = next_sort(view)
    for _ in WINDOWS:
        view = next_window(view)
    assert view == ViewState(window="1m")
