"""Sorting, filtering and moving are pure and keep the cursor on its route."""

import made
import pytest
from changed import replace

from probes.stats.windows import WINDOWS
from tui.panes.routes import (
    SORT_KEYS,
    matches,
    moved,
    moved_to_edge,
    next_sort,
    next_window,
    selected_route,
    settled,
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
    assert moved_to_edge(SNAPSHOT, view, last=True).selected == "new-route"
    assert moved_to_edge(SNAPSHOT, moved(SNAPSHOT, view, 3), last=False).selected == "eastus-gpt"


def test_nothing_moves_where_nothing_is() -> None:
    empty = made.snapshot(routes=())
    assert moved(empty, ViewState(), 1) == ViewState()
    assert settled(empty, ViewState()) == ViewState()


def test_the_cursor_settles_once_the_first_figures_are_in() -> None:
    early = made.snapshot(header=made.header(elapsed_s=3.0))
    assert settled(early, ViewState()).selected is None
    assert settled(SNAPSHOT, ViewState()).selected == "eastus-gpt"
    assert settled(SNAPSHOT, ViewState(selected="queue-eu")).selected == "queue-eu"


def test_sorting_and_windows_go_round() -> None:
    view = ViewState()
    for _ in SORT_KEYS:
        view = next_sort(view)
    for _ in WINDOWS:
        view = next_window(view)
    assert view == ViewState()
