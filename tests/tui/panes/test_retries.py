"""The retries pane: reason by retry number, and one line of totals."""

from collections.abc import Sequence

import pytest
from changed import replace
from hypothesis import given, settings
from hypothesis import strategies as st
from made import HOSTILE, detail, of_one, retries, route, snapshot

from probes.board.views import EMPTY_SNAPSHOT, RetryRow, RetryView, Snapshot, WindowName
from tui.draw.text import Line, line_text, line_width
from tui.panes.retries import retries_brief, retries_lines, retries_title, retries_wants
from tui.panes.view import DEFAULT_VIEW, ViewState


def lines_of(
    view: RetryView, width: int = 80, height: int = 10, window: WindowName = "5m"
) -> Sequence[Line]:
    return retries_lines(of_one(window, retries=view), DEFAULT_VIEW, width, height)


def of_all(*rates: float) -> Snapshot:
    """Return a frame in which the selected route, the first, has no retries."""
    rows = tuple(
        route(f"r{index}", retries_per_min=rate, amplification=1.5, failures_per_min=index)
        for index, rate in enumerate(rates)
    )
    return snapshot(routes=rows, details={"r0": detail("r0", retries=RetryView())})


def texts(view: RetryView, width: int = 80, height: int = 10) -> list[str]:
    return [line_text(line) for line in lines_of(view, width, height)]


@pytest.mark.parametrize(("window", "words"), [("5m", "in the last 5 m"), ("run", "since start")])
def test_nothing_retried_is_one_calm_line(window: WindowName, words: str):
    lines = lines_of(RetryView(), 60, 8, window)
    assert lines == (((f"nothing was retried {words}", "dim"),),)


def test_reasons_by_retry_number_with_what_came_of_them():
    head, first, second, totals = texts(retries())
    assert head.split() == ["REASON", "1st", "2nd", "RECOVERED", "EXHAUSTED", "ADDED", "WAIT"]
    assert first.split() == ["rate_limit", "31", "9", "28", "3", "1m12s"]
    assert second.split() == ["server_error", "4", "1", "4", "0", "3.1s"]
    assert totals == "×1.31 attempts a probe · 32 recovered · 3 exhausted · 1m15s waited"


def test_where_the_selected_route_has_none_those_of_all_routes_stand():
    shown = of_all(0.0, 4.0, 22.0, 0.0)
    head, *lines = [line_text(line) for line in retries_lines(shown, DEFAULT_VIEW, 80, 9)]
    assert head.split() == ["ROUTE", "RETRIES/m", "RETRY", "FAILED/m"]
    assert [line.split() for line in lines] == [
        ["r2", "22", "×1.50", "2"],
        ["r1", "4", "×1.50", "1"],
    ]
    assert retries_title(shown, DEFAULT_VIEW) == "retries · all routes · 5 m"
    low = [line_text(line) for line in retries_lines(shown, DEFAULT_VIEW, 80, 2)]
    assert low[-1] == "… 2 more routes"


def test_where_no_route_retries_the_pane_is_one_line():
    assert not retries_wants(of_all(0.0, 4.0), DEFAULT_VIEW).quiet
    assert line_text(retries_brief(of_all(0.0, 4.0, 22.0), DEFAULT_VIEW)) == "26/min on 2 routes"
    calm = of_all(0.0, 0.0)
    assert retries_wants(calm, DEFAULT_VIEW).quiet
    assert line_text(retries_brief(calm, DEFAULT_VIEW)) == "none"


def test_tries_behind_the_gateway_stand_with_our_own():
    assert texts(replace(retries(), hidden=3), width=120)[-1].endswith(
        "1m15s waited · 3 behind the gateway"
    )
    assert texts(RetryView(hidden=3)) == [
        "nothing was retried in the last 5 m",
        "3 behind the gateway",
    ]


def test_figures_end_under_their_heads():
    head, first, *_ = texts(retries())
    assert len(head) == len(first)
    assert first[head.index("2nd") + 2] == "9"


def test_late_retries_share_the_last_column():
    many = RetryView(rows=(RetryRow("x", (9, 8, 7, 6, 5, 4, 3, 2), 1, 1, 1.0),))
    head, row, _ = texts(many, width=100)
    assert "6th+" in head
    assert row.split()[1:7] == ["9", "8", "7", "6", "5", "9"]


def test_only_what_was_exhausted_is_bright():
    roles = [{role for _, role in line} for line in lines_of(retries())]
    assert "missed" in roles[1]
    assert "missed" not in roles[2]


def test_a_narrow_pane_drops_columns_from_the_right():
    assert texts(retries(), width=34)[0].split() == ["REASON", "1st", "2nd", "RECOVERED"]
    assert texts(retries(), width=22)[0].split() == ["REASON", "1st", "2nd"]


def test_a_low_pane_says_how_many_reasons_it_hides_and_keeps_the_totals():
    row = retries().rows[0]
    many = replace(retries(), rows=tuple(replace(row, reason=f"r{index}") for index in range(9)))
    lines = texts(many, height=5)
    assert len(lines) == 5
    assert lines[3] == "… 7 more reasons"
    assert lines[4].startswith("×1.31")
    assert texts(many, height=1)[0].startswith("×1.31")
    assert [line.split()[0] for line in texts(many, height=2)] == ["REASON", "×1.31"]
    assert texts(many, height=3)[1] == "… 9 more reasons"
    assert not any("more reasons" in line for line in texts(many, height=11))


def test_a_reason_is_neutralised():
    hostile = RetryView(rows=(RetryRow(HOSTILE, (1,), 0, 1, 0.0),))
    assert "\x1b" not in texts(hostile)[1]
    assert "\u202e" not in texts(hostile)[1]


views = st.builds(
    RetryView,
    rows=st.lists(
        st.builds(
            RetryRow,
            reason=st.text(max_size=40),
            by_number=st.lists(st.integers(0, 10**15), max_size=9).map(tuple),
            recovered=st.integers(0, 10**15),
            exhausted=st.integers(0, 10**15),
            added_wait_s=st.floats(0, 1e15),
        ),
        max_size=6,
    ).map(tuple),
    amplification=st.none() | st.floats(1, 1e300),
    recovered=st.integers(0, 10**15),
    exhausted=st.integers(0, 10**15),
    added_wait_s=st.floats(0, 1e15),
)


@settings(deadline=None)
@given(views, st.integers(0, 200), st.integers(0, 40))
def test_no_size_and_no_figure_breaks_out_of_the_pane(view, width, height):
    lines = lines_of(view, width, height, "1h")
    assert len(lines) <= height
    assert all(line_width(line) <= width for line in lines)


def test_the_pane_shows_the_selected_route_over_the_window():
    view = ViewState(selected="busy-llama")
    assert retries_title(snapshot(), view) == "retries · busy-llama · 5 m"
    assert line_text(retries_lines(snapshot(), view, 80, 8)[1]).startswith("rate_limit")
    assert retries_title(EMPTY_SNAPSHOT, DEFAULT_VIEW) == "retries"
    first = retries_lines(EMPTY_SNAPSHOT, DEFAULT_VIEW, 80, 8)[0]
    assert line_text(first).startswith("nothing")
