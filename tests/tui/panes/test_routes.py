"""The routes table: what fits, what each row says, where the cursor is."""

from datetime import UTC
from typing import get_args

import made
import pytest
from changed import replace
from hypothesis import given
from hypothesis import strategies as st

from probes.board.views import Figure, RouteState, RouteView
from tui.draw.chart import trend_cells
from tui.draw.text import Line, line_text, line_width
from tui.panes.routes import (
    STATE_GLYPHS,
    STATE_ROLES,
    Trends,
    cursor_row,
    routes_lines,
    routes_subtitle,
    routes_table,
    routes_title,
)
from tui.panes.view import ViewState

VIEW = ViewState(selected="busy-llama")


def texts(lines: list[Line]) -> list[str]:
    return [line_text(line) for line in lines]


def row_of(route: RouteView, width: int = 200) -> Line:
    snapshot = made.snapshot(routes=(route,), totals=None)
    return routes_lines(snapshot, ViewState(), width, 10)[1]


def role_of(line: Line, text: str) -> str:
    return next(role for span, role in line if span.strip() == text)


@given(st.integers(min_value=1, max_value=320), st.integers(min_value=1, max_value=40))
def test_no_line_is_wider_or_more_than_there_is_room(width: int, height: int) -> None:
    snapshot = made.snapshot()
    lines = routes_lines(snapshot, VIEW, width, height)
    assert len(lines) <= height
    fitted = routes_table(snapshot.routes, width - 4)
    assert fitted.width("name") + 4 <= max(width, 5)
    if width >= 20:
        assert all(line_width(line) <= width for line in lines)


@pytest.mark.parametrize("width", [78, 118, 158, 198, 298])
def test_all_rows_are_as_wide_as_their_heads(width: int) -> None:
    heads, *rows = routes_lines(made.snapshot(), VIEW, width, 40)
    assert {line_width(row) for row in rows[:6]} == {line_width(heads)}


def test_columns_do_not_move_when_figures_grow() -> None:
    small = texts(routes_lines(made.snapshot(), VIEW, 158, 40))[0]
    rows = tuple(replace(row, probes_per_min=123_456.0) for row in made.routes())
    large = texts(routes_lines(made.snapshot(routes=rows), VIEW, 158, 40))[0]
    assert small == large


@pytest.mark.parametrize(
    ("width", "shown", "dropped"),
    [
        (56, "SINCE", "STATE"),
        (80, "STATE", "OPEN"),
        (98, "OPEN", "tok/s"),
        (118, "RETRY", "IN/OUT"),
        (160, "IN/OUT", "TOUT"),
        (298, "WHY", "nothing"),
    ],
)
def test_columns_are_dropped_by_priority(width: int, shown: str, dropped: str) -> None:
    head = texts(routes_lines(made.snapshot(), VIEW, width, 40))[0]
    assert "ROUTE" in head
    assert shown in head
    assert dropped not in head


def test_the_home_screen_has_every_column_that_a_judge_of_llms_asks_for() -> None:
    head = texts(routes_lines(made.snapshot(), VIEW, 158, 40))[0]
    assert " ".join(head.split()) == (
        "ROUTE MODEL STATE SINCE CONC OPEN /min TTFT p50 p95 p99 E2E p50 p95 tok/s OK% GOOD% 429/m "
        "RETRY IN/OUT $/h 15m 0–4s"
    )


def test_a_row_says_what_its_figures_are() -> None:
    row = line_text(row_of(made.routes()[1], 158))
    for text in ("⊘ busy-llama", "8/8", "2.91▲", "97.2▼", "61.0", " 14 ", "×1.31", "212/96"):
        assert text in row


def test_what_hurts_is_marked_beside_its_colour() -> None:
    row = row_of(made.route("r", "sluggish", 2.0, success=0.9, success_missed=True))
    assert role_of(row, "2.00▲") == "sluggish"
    assert role_of(row, "90.0▼") == "missed"


def test_a_percentile_of_too_few_samples_is_faint() -> None:
    row = row_of(made.route("r", ttft_p95=Figure(2.34, 4, enough=False)))
    assert role_of(row, "2.34°") == "faint"
    assert "2.34°" in line_text(row)


def test_no_sample_is_a_dash() -> None:
    row = row_of(made.routes()[-1])
    assert line_text(row).count("–") >= 9


def test_the_totals_come_last() -> None:
    lines = texts(routes_lines(made.snapshot(), VIEW, 158, 40))
    assert lines[-1].strip().startswith("all routes")
    assert lines[-2] == ""


def test_the_cursor_is_always_among_the_rows() -> None:
    rows = tuple(made.route(f"route-{index:02d}") for index in range(40))
    snapshot = made.snapshot(routes=rows)
    for height in range(1, 20):
        view = ViewState(selected="route-33")
        cursor = cursor_row(snapshot, view, height)
        assert cursor is not None
        line = line_text(routes_lines(snapshot, view, 100, height)[cursor])
        assert line.startswith("▸")
        assert "route-33" in line


def test_a_hostile_name_is_harmless_and_keeps_its_column() -> None:
    rows = (made.route(made.HOSTILE, model=made.HOSTILE), *made.routes())
    lines = routes_lines(made.snapshot(routes=rows), VIEW, 158, 40)
    assert {line_width(line) for line in lines[:8]} == {line_width(lines[0])}
    assert "\x1b" not in "".join(texts(lines))
    assert "\u202e" not in "".join(texts(lines))


def test_a_filter_without_match_says_so() -> None:
    lines = texts(routes_lines(made.snapshot(), ViewState(filter="nothing"), 100, 10))
    assert "no route matches nothing" in lines[1]
    assert cursor_row(made.snapshot(), ViewState(filter="nothing"), 10) is None


def test_before_the_first_event_it_waits() -> None:
    lines = texts(routes_lines(made.snapshot(routes=(), totals=None), ViewState(), 100, 10))
    assert "waiting for the engine" in lines[1]


@pytest.mark.parametrize(
    ("view", "title"),
    [
        (ViewState(), "routes · worst first · window 5m"),
        (
            ViewState(sort="ttft_p95", reversed=True, window="1h"),
            "routes · by TTFT p95, reversed · window 1h",
        ),
        (ViewState(filter="eu deep"), "routes · worst first · window 5m · filter eu deep: 1 of 6"),
    ],
)
def test_the_title_tells_order_window_and_filter(view: ViewState, title: str) -> None:
    assert routes_title(made.snapshot(), view) == title


def test_the_subtitle_tells_since_when_and_the_knobs() -> None:
    assert routes_subtitle(made.snapshot(), VIEW, UTC) == (
        "busy-llama · throttled since 22:24:31 (1m) · every 5 s · cap 64 · cooling 2 s"
    )


def test_the_subtitle_tells_which_route_is_down_where_no_verdict_does() -> None:
    told = routes_subtitle(made.snapshot(incidents=()), VIEW, UTC)
    assert told.endswith(" · cooling 2 s · ✖ eastus-gpt down")
    rows = (made.route("calm"), made.route("mute", "hanging"))
    hung = made.snapshot(routes=rows, incidents=())
    told = routes_subtitle(hung, ViewState(selected="calm"), UTC)
    assert told.endswith("◷ mute hanging")


def test_the_newest_notice_is_in_the_subtitle_harmlessly() -> None:
    snapshot = made.snapshot(routes=(), header=made.header(notices=("old", "new\x1b[2J")))
    assert routes_subtitle(snapshot, ViewState()) == "new�"


def test_a_route_that_is_down_says_why_in_row_and_subtitle() -> None:
    down = made.route("gone", "down", 9.0, why="connect.\x1b[2Jrefused 90%")
    calm = made.route("calm")
    snapshot = made.snapshot(routes=(down, calm), incidents=())
    assert "connect.�refused 90%" in line_text(row_of(down, 220))
    assert "down since" in (own := routes_subtitle(snapshot, ViewState(selected="gone"), UTC))
    assert "): connect.�refused 90%" in own
    assert "✖ gone down: connect.�refused 90%" in routes_subtitle(
        snapshot, ViewState(selected="calm"), UTC
    )


def test_a_state_has_its_servers_own_words_in_row_and_subtitle() -> None:
    row = made.route("gone", "down", why="refuses our key", said='401 "no\x1b[2J such key"')
    assert '401 "no� such key"' in line_text(row_of(row, 240))
    snapshot = made.snapshot(routes=(row,))
    told = routes_subtitle(snapshot, ViewState(), UTC)
    assert '(1m): refuses our key · 401 "no� such key" · ' in told


def test_every_state_has_a_glyph_of_its_own_and_stands_in_words() -> None:
    assert list(STATE_GLYPHS) == list(STATE_ROLES) == list(get_args(RouteState))
    assert len(set(STATE_GLYPHS.values())) == len(STATE_GLYPHS)
    for state, glyph in STATE_GLYPHS.items():
        assert f"{glyph} r" in (text := line_text(row_of(made.route("r", state), 120)))
        assert f" {state} " in text


@pytest.mark.parametrize(
    ("since_s", "text"),
    [(None, "–"), (0.0, "0s"), (41.0, "41s"), (599.0, "9m59s"), (600.0, "10m"), (4320.0, "1h12m")],
)
def test_since_tells_seconds_below_ten_minutes(since_s: float | None, text: str) -> None:
    line = row_of(made.route("r", "down", since_s=since_s))
    assert role_of(line, text) == ("faint" if since_s is None else "text")
    assert role_of(row_of(made.route("r", since_s=41.0)), "41s") == "faint"


def test_a_request_that_is_open_for_too_long_is_marked() -> None:
    assert role_of(row_of(made.route("r", oldest_open_s=9.1, overdue=True)), "9.1s!") == "missed"
    assert role_of(row_of(made.route("r", oldest_open_s=9.1)), "9.1s") == "dim"
    assert "!" not in line_text(row_of(made.route("r", oldest_open_s=None)))


def test_a_writing_speed_below_its_goal_is_marked() -> None:
    row = row_of(made.route("r", stream_tokens_per_s=12.0, speed_grade="sluggish"))
    assert role_of(row, "12.0▲") == "sluggish"
    assert role_of(row_of(made.route("r", stream_tokens_per_s=12.0)), "12.0") == "dim"


def test_a_busy_machine_of_ours_is_marked_beside_the_state() -> None:
    line = line_text(row_of(made.route("r", "ok", observer_busy=True), 100))
    assert " ok ◌ " in line


def test_no_figure_of_a_large_route_is_cut() -> None:
    large = made.route(
        "large",
        target=1000,
        in_flight=999,
        input_tokens=1_900.0,
        output_tokens=131_072.0,
        usd_per_hour=12.34,
        cost_estimated=True,
    )
    row = line_text(row_of(large, 158))
    for text in ("999/1000", "1.9k/131k", "~12.3"):
        assert text in row


def test_the_totals_row_has_no_percentiles() -> None:
    totals = texts(routes_lines(made.snapshot(), VIEW, 158, 40))[-1]
    assert "–" not in totals


def test_a_route_that_is_not_streamed_says_so_where_its_ttft_would_stand() -> None:
    none = Figure()
    whole = made.route(
        "batch", streamed=False, ttft_p50=none, ttft_p95=none, ttft_p99=none, trend=()
    )
    line = row_of(whole)
    assert role_of(line, "whole") == "faint"
    assert line_text(line).rstrip().endswith("not streamed")
    assert line_width(line) == line_width(row_of(made.route("other")))
    snapshot = made.snapshot(routes=(whole,), totals=None)
    assert "not streamed" in routes_subtitle(snapshot, ViewState(), UTC)
    heads = routes_lines(snapshot, ViewState(), 200, 10)[0]
    assert "goal" not in line_text(heads)


@pytest.mark.parametrize(("goals", "told"), [((1.5, 1.5), "goal 1.5"), ((1.5, 2.0), "")])
def test_the_head_of_the_trend_tells_the_goal_that_all_streamed_routes_share(
    goals: tuple[float, float], told: str
) -> None:
    routes = [made.route(f"r{goal}-{at}", goal_ttft_s=goal) for at, goal in enumerate(goals)]
    whole = made.route("whole", goal_ttft_s=9.0, streamed=False)
    head = line_text(routes_lines(made.snapshot(routes=(*routes, whole)), ViewState(), 200, 10)[0])
    assert head.rstrip().endswith(told or "0–4s")
    assert ("goal" in head) == bool(told)


def test_the_same_points_are_drawn_once_and_other_ones_anew() -> None:
    trends, points = Trends(), made.trend(0.4)
    first = trends(points, 20, 4.0, 1.0, 900 * 10**9)
    assert first == trend_cells(points, 20, 4.0, 1.0, 900 * 10**9)
    assert trends(points, 20, 4.0, 1.0, 900 * 10**9) is first
    assert trends(points, 10, 4.0, 1.0, 900 * 10**9) != first
    changed = (*points[:-1], replace(points[-1], p95=3.9))
    assert trends(changed, 20, 4.0, 1.0, 900 * 10**9) != first


def test_what_is_kept_is_bounded() -> None:
    trends = Trends()
    drawn: list[Line] = [
        trends(list(made.trend(0.4)), 5, 4.0, 1.0, 900 * 10**9) for _ in range(600)
    ]
    assert len(drawn) == 600
    assert len(trends) <= 256
