"""The routes table: what fits, what each row says, where the cursor is."""

from typing import get_args

import made
import pytest
from changed import replace
from hypothesis import given
from hypothesis import strategies as st

from probes.board.views import Figure, RouteState, RouteView, UsualView
from tui.draw.chart import strip_cells
from tui.draw.text import Line, cells, line_text, line_width
from tui.panes.routes import (
    STATE_GLYPHS,
    STATE_ROLES,
    Trends,
    cursor_row,
    routes_count,
    routes_lines,
    routes_subtitle,
    routes_table,
    routes_title,
    row_at,
    shortened,
    sort_key_at,
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
    fitted = routes_table(snapshot.routes, width - 3)
    assert fitted.width("name") + 3 <= max(width, 8)
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
        (56, "STATE", "tok/s"),
        (78, "tok/s", "OK%"),
        (98, "RETRY", "OPEN"),
        (118, "OPEN", "IN/OUT"),
        (158, "STALL", "TOUT"),
        (198, "MODEL", "WHY"),
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
        "ROUTE STATE SINCE GOOD% OK% TTFT50 95 × E2E50 95 × tok/s × STALL 429/m RETRY IN/OUT CONC "
        "OPEN 6m by 20s, 0–4s"
    )


def test_a_small_terminal_has_what_is_asked_first() -> None:
    rows = (*made.routes()[:5], made.route("mistral-small"))
    head = texts(routes_lines(made.snapshot(routes=rows), VIEW, 78, 12))[0]
    assert " ".join(head.split()) == ("ROUTE STATE SINCE GOOD% TTFT95 × tok/s 429/m CONC 5m")


def test_a_wide_terminal_has_the_rest_and_a_longer_strip() -> None:
    head = texts(routes_lines(made.snapshot(), VIEW, 298, 40))[0].split()
    assert set(COLUMNS_OF_WIDE) <= set(head)
    assert "15m, a cell 20s: TTFT p95 0–4s, goal 1" in " ".join(head)


COLUMNS_OF_WIDE = ("MODEL", "99", "TOUT/m", "/min", "$/h", "WHY")


@pytest.mark.parametrize(
    ("name", "shown"), [("x" * 19, "x" * 19), ("a" * 15 + "b" * 15, "a" * 12 + "…" + "b" * 11)]
)
def test_a_long_name_stands_whole_where_there_is_room_and_costs_no_column(
    name: str, shown: str
) -> None:
    rows = (made.route(name), *made.routes())
    lines = texts(routes_lines(made.snapshot(routes=rows), VIEW, 158, 40))
    assert "IN/OUT" in lines[0]
    assert "OPEN" in lines[0]
    assert lines[1][3:].startswith(f"{shown} ")
    narrow = texts(routes_lines(made.snapshot(routes=rows), VIEW, 78, 40))
    assert narrow[1][3:].startswith(f"{name[:6]}…{name[-6:]} ")


@pytest.mark.parametrize("width", range(1, 30))
def test_a_name_is_cut_in_its_middle_for_the_ends_of_a_fleet_differ(width: int) -> None:
    for name in ("team-gateway-eu-west-1-prod-07", "漢字の経路漢字の経路-30", "short"):
        told = shortened(name, width)
        if width >= 8:
            assert cells(told) <= width
            assert told == name or (told[:2] == name[:2] and told[-3:] == name[-3:])
            assert ("…" in told) == (told != name)


def test_a_row_says_what_its_figures_are() -> None:
    row = line_text(row_of(made.routes()[1], 158))
    for text in ("▸⊘ busy-llama", "8/8", "2.91▲", "97.2▼", "61.0", " 14 ", "×1.31", "212/96"):
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
    assert line_text(row).count("–") >= 8


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
        assert row_at(snapshot, view, height, cursor) is rows[33]


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
        (
            ViewState(),
            "routes · most users hurt first · now = last 1 m · × = times its usual",
        ),
        (
            ViewState(sort="ttft_p95", reversed=True, window="1h"),
            "routes · by TTFT95, reversed · last 1 h · × = times its usual",
        ),
        (
            ViewState(sort="name", window="run"),
            "routes · by name · since start · × = times its usual",
        ),
        (
            ViewState(filter="eu deep", window="5m"),
            "routes · most users hurt first · filter eu deep: 1 of 6 · last 5 m · "
            "× = times its usual",
        ),
        (
            ViewState(only_hurt=True, window="5m"),
            "routes · most users hurt first · only what hurts, 3 hidden (x) · last 5 m · "
            "× = times its usual",
        ),
    ],
)
def test_the_title_tells_order_window_and_filter(view: ViewState, title: str) -> None:
    assert routes_title(made.snapshot(), view) == title


def test_the_subtitle_tells_what_to_do_whose_the_cursor_is_and_the_knobs() -> None:
    assert routes_subtitle(made.snapshot(), VIEW) == (
        "→ u undoes it (or - to 4) · g follows the worst · every 5 s · cap 64"
    )
    assert routes_subtitle(made.snapshot(), ViewState()) == (
        "→ send users elsewhere · cursor follows the worst until you move it · every 5 s · cap 64"
    )


def test_a_goal_that_follows_the_cap_says_so() -> None:
    row = made.route("r", goal_scaled=True, goal_e2e_s=6.0, max_tokens=400)
    told = routes_subtitle(made.snapshot(routes=(row,)), ViewState())
    assert "cap 400 · E2E goal 6 s, for this cap" in told
    assert "goal" not in routes_subtitle(made.snapshot(routes=(made.route("r"),)), ViewState())


def test_the_subtitle_tells_which_route_is_down_where_no_verdict_does() -> None:
    told = routes_subtitle(made.snapshot(incidents=()), VIEW)
    assert told.endswith(" · cap 64 · ✖ eastus-gpt down")
    rows = (made.route("calm"), made.route("mute", "hanging"))
    hung = made.snapshot(routes=rows, incidents=())
    told = routes_subtitle(hung, ViewState(selected="calm"))
    assert told.endswith("◷ mute hanging")


def test_the_newest_notice_is_in_the_subtitle_harmlessly() -> None:
    snapshot = made.snapshot(routes=(), header=made.header(notices=("old", "new\x1b[2J")))
    assert routes_subtitle(snapshot, ViewState()) == "new�"


def test_a_route_that_is_down_says_why_in_row_and_subtitle() -> None:
    down = made.route("gone", "down", 9.0, why="connect.\x1b[2Jrefused 90%")
    calm = made.route("calm")
    snapshot = made.snapshot(routes=(down, calm), incidents=())
    assert "connect.�refused 90%" in line_text(row_of(down, 240))
    own = routes_subtitle(snapshot, ViewState(selected="gone"))
    assert "connect.�refused 90% · " in own
    assert "✖ gone down: connect.�refused 90%" in routes_subtitle(
        snapshot, ViewState(selected="calm")
    )


def test_a_state_has_its_servers_own_words_in_row_and_subtitle() -> None:
    row = made.route("gone", "down", why="refuses our key", said='401 "no\x1b[2J such key"')
    assert '401 "no� such key"' in line_text(row_of(row, 240))
    snapshot = made.snapshot(routes=(row,))
    told = routes_subtitle(snapshot, ViewState())
    assert 'refuses our key · 401 "no� such key" · ' in told


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
    line = line_text(row_of(made.route("r", "throttled", observer_busy=True), 100))
    assert line.startswith("▸⊘◌r ")
    assert " throttled " in line


def test_a_route_that_is_probed_more_often_is_marked_beside_its_concurrency() -> None:
    row = made.route("r", evidence=True)
    assert "4/4⇡" in line_text(row_of(row))
    assert "⇡" not in line_text(row_of(made.route("r")))
    told = routes_subtitle(made.snapshot(routes=(row,)), ViewState())
    assert "probed more often" in told


USUAL = UsualView(ttft_p50=0.3, ttft_p95=0.5, e2e_p95=2.0, tokens_per_s=50.0, n=900)


def times_of(state: RouteState = "slow", **changes: object) -> list[tuple[str, str]]:
    """Return what stands under the three ×, each with its role."""
    row = made.route("r", state, **{"usual": USUAL, "e2e_p95": made.figure(2.0), **changes})
    line = row_of(row, 158)
    return [(text.strip(), role) for text, role in line if "×" in text and ".00" not in text]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ttft_p95": made.figure(0.59)}, []),
        ({"ttft_p95": made.figure(0.6)}, [("×1.2△", "slow")]),
        ({"ttft_p95": made.figure(0.99)}, [("×2.0△", "slow")]),
        ({"ttft_p95": made.figure(1.0)}, [("×2.0▲", "sluggish")]),
        ({"ttft_p95": made.figure(4.99)}, [("×10▲", "sluggish")]),
        ({"ttft_p95": made.figure(9e9)}, [("×999▲", "sluggish")]),
        ({"ttft_p95": made.figure(9.0, n=3)}, []),
        ({"e2e_p95": made.figure(3.0)}, [("×1.5△", "slow")]),
        ({"stream_tokens_per_s": 42.0}, []),
        ({"stream_tokens_per_s": 41.0}, [("×0.8△", "slow")]),
        ({"stream_tokens_per_s": 20.0}, [("×0.4▲", "sluggish")]),
        ({"stream_tokens_per_s": 500.0}, []),
        ({"ttft_p95": made.figure(9.0), "usual": UsualView()}, []),
    ],
)
def test_times_usual_stands_only_where_a_figure_has_left_it(
    changes: dict[str, object], told: list[tuple[str, str]]
) -> None:
    known = {"ttft_p95": made.figure(0.5), "stream_tokens_per_s": 50.0, **changes}
    assert times_of(**known) == told


def test_on_a_route_that_is_well_times_usual_is_dim_until_it_is_severe() -> None:
    assert times_of("ok", ttft_p95=made.figure(0.9)) == [("×1.8", "dim")]
    assert times_of("ok", ttft_p95=made.figure(1.2)) == [("×2.4△", "slow")]


def test_while_too_little_is_known_it_says_that_it_learns() -> None:
    line = row_of(made.route("r", learning=True), 158)
    assert role_of(line, "learn") == "faint"
    assert line_text(line).count("learn") == 1
    assert "learn" not in line_text(row_of(made.route("r"), 158))


@pytest.mark.parametrize(
    ("good", "hurt", "role"),
    [
        (0.99, 0.01, "dim"),
        (0.952, None, "dim"),
        (0.94, None, "slow"),
        (0.94, 0.06, "slow"),
        (0.85, 0.15, "sluggish"),
        (0.4, 0.6, "missed"),
        (1.0, 0.5, "missed"),  # half of them hang: none has finished
    ],
)
def test_good_is_as_loud_as_many_are_hurt(good: float, hurt: float | None, role: str) -> None:
    row = row_of(made.route("r", goodput=good, hurt_share=hurt, success=0.123))
    told = good if hurt is None else 1 - hurt
    assert role_of(row, f"{told * 100:.1f}") == role


@pytest.mark.parametrize(
    ("stalled", "text", "role"),
    [
        (None, "–", "faint"),
        (0.0, "0", "faint"),
        (0.0001, "0.1", "dim"),
        (0.04, "4.0", "dim"),
        (0.05, "5.0", "stall"),
        (0.18, "18", "stall"),
        (1.0, "100", "stall"),
    ],
)
def test_stalls_are_a_share_of_the_answers(stalled: float | None, text: str, role: str) -> None:
    head, row = routes_lines(
        made.snapshot(routes=(made.route("r", stalled_share=stalled),), totals=None),
        ViewState(),
        158,
        10,
    )
    end = line_text(head).index("STALL") + len("STALL")
    assert line_text(row)[:end].split()[-1] == text
    at = 0
    for span, its_role in row:
        at += len(span)
        if at == end:
            assert its_role == role


def rows_of(number: int) -> tuple[RouteView, ...]:
    return tuple(made.route(f"route-{index:02d}", "slow", 2.0) for index in range(number))


@pytest.mark.parametrize(
    ("number", "selected", "height", "told"),
    [
        (6, None, 12, "1–6 of 6"),
        (41, None, 12, "1–10 of 41"),
        (41, "route-40", 12, "1–3, 35–41 of 41"),
        (41, "route-12", 12, "1–3, 7–13 of 41"),
        (2, None, 2, "1 of 2"),
        (0, None, 9, ""),
    ],
)
def test_rows_that_are_hidden_are_counted(
    number: int, selected: str | None, height: int, told: str
) -> None:
    shown = made.snapshot(routes=rows_of(number))
    assert routes_count(shown, ViewState(selected=selected), height) == told


def test_a_bar_tells_which_part_of_the_rows_is_seen() -> None:
    def bar(selected: str) -> str:
        shown = made.snapshot(routes=rows_of(40))
        lines = routes_lines(shown, ViewState(selected=selected), 100, 22)
        assert all(line_width(line) == 100 for line in lines[1:21])
        return "".join(line_text(line)[-1] for line in lines[1:21])

    assert bar("route-00") == "┃" * 10 + "│" * 10
    assert bar("route-39") == "│" * 10 + "┃" * 10
    whole = routes_lines(made.snapshot(), VIEW, 100, 22)
    assert not any("┃" in line_text(line) or "│" in line_text(line) for line in whole)


def test_the_totals_stay_where_there_is_room() -> None:
    shown = made.snapshot(routes=rows_of(40))
    assert "all routes" in line_text(routes_lines(shown, ViewState(), 100, 8)[-1])
    assert "all routes" not in line_text(routes_lines(shown, ViewState(), 100, 7)[-1])


def test_where_none_hurts_it_says_how_many_are_hidden() -> None:
    well = made.snapshot(routes=made.routes()[3:])
    lines = texts(routes_lines(well, ViewState(only_hurt=True), 100, 10))
    assert lines[1] == "  none of 3 routes hurts · x shows all"


@pytest.mark.parametrize("width", [78, 158, 298])
def test_each_head_is_found_by_its_cells(width: int) -> None:
    shown = made.snapshot()
    head = texts(routes_lines(shown, VIEW, width, 12))[0]
    for text, key in (
        ("ROUTE", "name"),
        ("STATE", "state"),
        ("95", "ttft_p95"),
        ("×", "ttft_times"),
    ):
        at = head.index(text)
        assert sort_key_at(shown, VIEW, width, 12, at) == key
        assert sort_key_at(shown, VIEW, width, 12, at + len(text) - 1) == key
    assert sort_key_at(shown, VIEW, width, 12, len(head) - 1) is None, "nobody sorts by a strip"


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
    row = line_text(row_of(large, 198))
    for text in ("999/1000", "1.9k/131k", "~12.3"):
        assert text in row


def test_the_totals_row_has_no_percentiles() -> None:
    totals = texts(routes_lines(made.snapshot(), VIEW, 158, 40))[-1]
    assert "–" not in totals


def test_a_route_that_is_not_streamed_says_so_where_its_ttft_would_stand() -> None:
    none = Figure()
    whole = made.route("batch", streamed=False, ttft_p50=none, ttft_p95=none, ttft_p99=none)
    line = row_of(whole)
    assert role_of(line, "whole") == "faint"
    assert line_width(line) == line_width(row_of(made.route("other")))
    snapshot = made.snapshot(routes=(whole,), totals=None)
    assert "not streamed" in routes_subtitle(snapshot, ViewState())
    heads = routes_lines(snapshot, ViewState(), 200, 10)[0]
    assert "goal" not in line_text(heads)


@pytest.mark.parametrize(("goals", "told"), [((1.5, 1.5), "goal 1.5"), ((1.5, 2.0), "")])
def test_the_head_of_the_strip_tells_the_goal_that_all_streamed_routes_share(
    goals: tuple[float, float], told: str
) -> None:
    routes = [made.route(f"r{goal}-{at}", goal_ttft_s=goal) for at, goal in enumerate(goals)]
    whole = made.route("whole", goal_ttft_s=9.0, streamed=False)
    head = line_text(routes_lines(made.snapshot(routes=(*routes, whole)), ViewState(), 260, 10)[0])
    assert head.rstrip().endswith(told or "0–4s")
    assert ("goal" in head) == bool(told)


CELL_NS = 20 * 10**9


def test_the_same_points_are_drawn_once_and_other_ones_anew() -> None:
    trends, points = Trends(), made.trend(0.4)
    first = trends(points, 20, 4.0, 1.0, CELL_NS)
    assert first == strip_cells(points, 20, 4.0, 1.0, CELL_NS)
    assert trends(points, 20, 4.0, 1.0, CELL_NS) is first
    assert trends(points, 10, 4.0, 1.0, CELL_NS) != first
    changed = (*points[:-1], replace(points[-1], p95=3.9))
    assert trends(changed, 20, 4.0, 1.0, CELL_NS) != first


def test_what_is_kept_is_bounded() -> None:
    trends = Trends()
    drawn: list[Line] = [trends(list(made.trend(0.4)), 5, 4.0, 1.0, CELL_NS) for _ in range(600)]
    assert len(drawn) == 600
    assert len(trends) <= 256
