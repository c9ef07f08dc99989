"""The percentiles pane: what is kept at which size, and what every glyph says."""

import re
from typing import get_args

import pytest
from changed import replace
from hypothesis import given, settings
from hypothesis import strategies as st
from made import HOSTILE, NOW_NS, detail, figure, of_one, percentiles, route, snapshot, trend
from reading import cells_under

from probes.board.views import (
    EMPTY_SNAPSHOT,
    ChartPoint,
    Figure,
    Marker,
    MarkerKind,
    PercentileTable,
    Snapshot,
    UsualView,
    WindowColumn,
    WindowName,
)
from probes.kit.clock import NS_PER_S
from tui.draw.text import Line, line_text, line_width
from tui.panes.percentiles import (
    Charts,
    cohort_words,
    percentiles_lines,
    percentiles_title,
)
from tui.panes.routes import FEW_SAMPLES
from tui.panes.timeline import MIN_HEIGHT, timeline_lines
from tui.panes.view import DEFAULT_VIEW, ViewState

NOTHING = PercentileTable(
    columns=tuple(
        WindowColumn(window, (Figure(),) * 5, (Figure(),) * 5, 0, 0, None)
        for window in ("1m", "5m", "15m", "1h", "run")
    ),
    timeline=(),
    e2e_timeline=(),
    markers=(),
    goal_ttft_s=1.0,
    goal_e2e_s=None,
    oldest_open_s=None,
    cohort="",
)


def lines_of(
    table: PercentileTable,
    width: int = 44,
    height: int = 15,
    window: WindowName = "5m",
    *,
    success_missed: bool = False,
) -> tuple[Line, ...]:
    row = route("a", streamed=table.streamed, success_missed=success_missed)
    shown = of_one(window, row, percentiles=table)
    return percentiles_lines(shown, DEFAULT_VIEW, width, height)


def texts(table: PercentileTable, width: int, height: int, window: WindowName = "5m") -> list[str]:
    return [line_text(line) for line in lines_of(table, width, height, window)]


def test_a_tall_chart_shows_e2e_beneath_ttft_with_its_own_goal() -> None:
    lines = [line_text(line) for line in timeline_lines(percentiles(0.3), 60, 20)]
    assert len(lines) == 20
    assert lines[0].startswith("TTFT s")
    assert lines[10].startswith("E2E s")
    assert any(line.strip().startswith("3.00┤") for line in lines[10:])
    assert not any("E2E" in line_text(line) for line in timeline_lines(percentiles(0.3), 60, 14))


def test_all_windows_stand_side_by_side_with_every_percentile_and_n():
    lines = texts(percentiles(), 51, 16)
    assert lines[0].split() == ["seconds", "now", "usual", "5m", "15m", "1h", "run"]
    labels = [line[:8].strip() for line in lines[1:15]]
    assert labels == [
        *("TTFT p50", "p90", "p95", "p99", "max", "n"),
        *("E2E p50", "p90", "p95", "p99", "max", "n", "tok/s", "failed %"),
    ]
    assert lines[15].startswith("oldest open   4.1s")


def known(**usual: float) -> Snapshot:
    row = route("a", usual=UsualView(**usual), stream_tokens_per_s=33.0)
    return of_one("1m", row)


def test_what_is_usual_stands_beside_now():
    shown = known(ttft_p50=0.41, ttft_p95=0.73, e2e_p50=1.5, e2e_p95=2.5, tokens_per_s=51, n=900)
    lines = [line_text(line) for line in percentiles_lines(shown, DEFAULT_VIEW, 51, 16)]
    heads = [("now", "r"), ("usual", "r")]
    told = {line[:8].strip(): cells_under(lines[0], line, heads) for line in lines[1:15]}
    assert told["TTFT p50"] == ["0.540", "0.410"]
    assert [cells_under(lines[0], line, heads)[1] for line in lines[1:15]] == [
        *("0.410", "", "0.730", "", "", "900", "1.50", "", "2.50", "", "", "", "51.0", ""),
    ]
    assert told["tok/s"] == ["33.0", "51.0"]
    unknown = [line_text(line) for line in percentiles_lines(known(), DEFAULT_VIEW, 51, 16)]
    assert {cells_under(unknown[0], line, heads)[1] for line in unknown[1:15]} == {""}


def test_a_chart_is_worth_more_than_a_window_between_others():
    wide, narrow = texts(percentiles(), 90, 15)[0], texts(percentiles(), 70, 15)[0]
    assert "15m" in wide
    assert narrow.split()[:6] == ["seconds", "now", "usual", "5m", "1h", "run"]
    assert "TTFT s" in narrow
    assert "15m" in texts(percentiles(), 70, 15, window="15m")[0]


def test_a_narrow_chart_stands_below_the_table_where_it_has_room_there():
    low, tall = texts(percentiles(), 70, 25), texts(percentiles(), 70, 26)
    assert "TTFT s" in low[0]
    assert "TTFT s" not in tall[0]
    assert "15m" in tall[0]
    assert tall[16].startswith("TTFT s")
    assert "TTFT s" in texts(percentiles(), 90, 40)[0]


def test_an_onset_is_marked_like_a_knob_and_once_whoever_tells_it():
    def chart(*markers: Marker) -> str:
        made = detail("queue-eu", percentiles=replace(percentiles(), markers=markers))
        shown = replace(snapshot(), details={"queue-eu": made})
        lines = percentiles_lines(shown, ViewState(selected="queue-eu"), 160, 20)
        return "\n".join(map(line_text, lines))

    marked = chart(Marker(NOW_NS - 344 * NS_PER_S, "sluggish", "onset"))
    assert marked.count("▾sluggish") == 1
    assert "┊" in marked
    assert "┊" not in chart()


def test_a_strip_beneath_the_chart_tells_how_many_probes_were_not_good():
    half = [replace(p, finished=10, good=5 if i >= 45 else 10) for i, p in enumerate(trend(0.5))]
    lines = timeline_lines(replace(NOTHING, timeline=tuple(half)), 96, 12)
    bad = line_text(lines[-2])
    assert bad.startswith("bad %│")
    assert bad[6:51].strip() == ""
    assert set(bad[52:]) == {"▅"}
    assert {role for text, role in lines[-2] if "▅" in text} == {"sluggish"}, "never reversed"
    assert len(lines) == 12
    unknown = timeline_lines(replace(NOTHING, timeline=trend(0.5)), 96, 12)
    assert not any("bad" in line_text(line) for line in unknown)


def test_columns_end_where_their_heads_end():
    lines = texts(percentiles(), 51, 16)
    ends = [len(part) for part in (lines[0][:15], lines[0][:29])]
    assert all(line[end - 1] not in " " for line in lines[:13] for end in ends)


def test_a_wide_pane_has_the_chart_at_the_right_and_a_tall_one_below():
    assert "−15m" in texts(percentiles(), 90, 15)[-1]
    tall = texts(percentiles(), 51, 24)
    assert tall[0].startswith(" seconds")
    assert tall[16].startswith("TTFT s")
    assert "now" in tall[-1]


def test_the_chart_is_left_out_before_the_table_is():
    assert not any("TTFT s" in line for line in texts(percentiles(), 51, 16 + MIN_HEIGHT - 1))
    assert any("TTFT s" in line for line in texts(percentiles(), 51, 16 + MIN_HEIGHT))


def test_a_low_pane_keeps_what_goals_are_set_on():
    lines = texts(percentiles(), 44, 4)
    assert [line[:8].strip() for line in lines[1:3]] == ["TTFT p95", "E2E p95"]
    assert len(lines) == 4


BY_NEED = (
    *("TTFT p95", "E2E p95", "TTFT p50", "E2E p50", "failed %", "tok/s", "TTFT p99", "TTFT n"),
    "E2E p99",
    *("TTFT max", "TTFT p90", "E2E max", "E2E p90", "E2E n"),
)
"""The rows of the table, the most needed first."""


@pytest.mark.parametrize("rows", range(1, len(BY_NEED) + 1))
def test_each_line_more_brings_the_next_row_by_need(rows: int) -> None:
    group, shown = "", set()
    for line in texts(percentiles(), 44, rows + 2)[1:-1]:
        *before, name = line[:8].split()
        group = before[0] if before else group
        shown.add(name if name == "tok/s" else f"{group} {name}")
    assert shown == set(BY_NEED[:rows])


def test_the_charts_are_drawn_anew_where_the_pane_has_another_size() -> None:
    shown = replace(snapshot(), routes=(route("a"),), details={"a": detail("a")})
    charts, view = Charts(), ViewState(selected="a")
    for size in ((100, 30), (80, 30), (80, 24), (100, 30)):
        kept = percentiles_lines(shown, view, *size, draw_chart=charts)
        assert kept == percentiles_lines(shown, view, *size)


def test_a_narrow_pane_keeps_the_window_of_the_home_screen():
    assert texts(percentiles(), 16, 15, window="1h")[0].split() == ["seconds", "1h"]
    assert texts(percentiles(), 23, 15, window="run")[0].split() == ["seconds", "usual", "run"]
    assert texts(percentiles(), 23, 15, window="1m")[0].split() == ["seconds", "now", "usual"]


def test_the_window_of_the_home_screen_is_lit():
    (head, *_) = lines_of(percentiles(), window="15m")
    assert [text.strip() for text, role in head if role == "accent"] == ["15m"]


@pytest.mark.parametrize(
    ("made", "text", "role"),
    [
        (figure(0.5), " 0.500 ", "great"),
        (figure(1.2), "  1.20△", "slow"),
        (figure(2.0), "  2.00▲", "sluggish"),
        (figure(2.0, n=5), f"  2.00{FEW_SAMPLES}", "faint"),
        (Figure(), "     – ", "faint"),
    ],
)
def test_grades_have_marks_beside_their_colours(made: Figure, text: str, role: str):
    first = replace(percentiles().columns[0], ttft=(made,) * 5)
    table = replace(percentiles(), columns=(first,))
    assert lines_of(table, window="1m")[1][1] == (text, role)


def test_failures_stand_out_only_where_the_goal_is_missed():
    calm = lines_of(percentiles())
    hurt = lines_of(percentiles(), success_missed=True)
    assert "missed" not in {role for _, role in calm[-2]}
    assert "missed" in {role for _, role in hurt[-2]}
    assert "0.8✕" in line_text(hurt[-2])


def test_a_hang_is_not_hidden_behind_old_figures():
    hung = replace(percentiles(), oldest_open_s=42.0, overdue=True)
    assert texts(hung, 44, 15)[-1].startswith("oldest open    42s!")
    fine = replace(percentiles(), oldest_open_s=0.4)
    assert "!" not in texts(fine, 44, 15)[-1]


def test_nothing_measured_yet_is_calm():
    assert any("no sample yet" in line for line in texts(NOTHING, 90, 15))
    lines = lines_of(NOTHING)
    assert "missed" not in {role for line in lines for _, role in line}


def test_one_sample_draws():
    one = replace(NOTHING, timeline=(ChartPoint(NOW_NS, 0.5, 0.5, 1, 0, 0),))
    plot = "".join(line_text(line)[6:] for line in timeline_lines(one, 60, 12)[1:-2])
    assert any("\u2801" <= letter <= "\u28ff" for letter in plot)


def test_the_goal_is_drawn_in_and_labelled():
    lines = [line_text(line) for line in timeline_lines(percentiles(0.3), 60, 14)]
    goal = next(line for line in lines if line.startswith(" 1.00┤"))
    assert "┄┄┄" in goal


def test_the_scale_is_labelled_and_does_not_follow_small_changes():
    calm = [line_text(line)[:6] for line in timeline_lines(percentiles(0.3), 60, 14)]
    other = [line_text(line)[:6] for line in timeline_lines(percentiles(0.4), 60, 14)]
    assert calm == other
    assert " 4.00┤" in calm


def test_knob_changes_are_marked_where_they_happened_with_their_words():
    table = replace(
        percentiles(0.2), markers=(Marker(NOW_NS - 450 * NS_PER_S, "concurrency 4 → 8"),)
    )
    lines = [line_text(line) for line in timeline_lines(table, 96, 14)]
    column = lines[1].index("▾")
    assert lines[1][column:].startswith("▾concurrency 4 → 8")
    assert abs(column - (6 + 45)) <= 1
    assert lines[2][column] == "┊"


def test_words_that_do_not_fit_right_of_a_mark_stand_left_of_it():
    table = replace(percentiles(), markers=(Marker(NOW_NS - 30 * NS_PER_S, "interval 5 → 1"),))
    row = line_text(timeline_lines(table, 60, 14)[1])
    assert "interval 5 → 1▾" in row


def marks(*placed: tuple[float, str, MarkerKind], width: int = 96, height: int = 14) -> list[str]:
    """Return the chart of a route with marks, so many seconds ago."""
    found = tuple(
        Marker(NOW_NS - round(ago_s * NS_PER_S), text, kind) for ago_s, text, kind in placed
    )
    lines = timeline_lines(replace(percentiles(0.2), markers=found), width, height)
    return [line_text(line) for line in lines]


def test_marks_that_lie_together_have_their_words_in_common():
    row = marks((450.0, "CONC 3→6", "knob"), (440.0, "throttled", "onset"))[1]
    assert "▾▾CONC 3→6, throttled" in row


def test_where_there_is_room_for_one_it_is_the_most_needed_and_the_others_are_counted():
    placed: list[tuple[float, str, MarkerKind]] = [
        (30.0, "cap 64→400, E2E goal 3 s", "knob"),
        (25.0, "down", "onset"),
        (20.0, "cohort 64/256→400/256", "cohort"),
    ]
    assert "down +2▾" in marks(*placed, width=40)[1]


def test_where_there_is_room_for_no_words_marks_are_counted_and_none_is_cut_to_nonsense():
    placed: list[tuple[float, str, MarkerKind]] = [
        (850.0 - 100.0 * number, "concurrency 4→8", "knob") for number in range(9)
    ]
    row = marks(*placed, width=36)[1]
    assert row.count("▾") == 9
    assert set(row) <= set("▾ ")  # eight cells apart begin the words of none
    crowd: list[tuple[float, str, MarkerKind]] = [
        (400.0 + number, "a mark of many words", "mark") for number in range(5)
    ]
    assert "×5" in marks(*crowd, (200.0, "next", "mark"), (520.0, "last", "mark"), width=24)[1]


def test_a_long_mark_alone_is_cut_with_a_mark_where_its_beginning_has_room():
    row = marks((200.0, "deploy of the gateway", "mark"), width=30)[1]
    assert re.search(r"deploy[a-z ]*…▾", row)


def test_where_there_is_room_for_the_words_of_one_mark_they_are_those_of_the_incident():
    only = []
    for width in range(24, 80):
        row = marks((320.0, "throttled", "onset"), (180.0, "turned up", "knob"), width=width)[1]
        shown = [words for words in ("thrott", "turned") if words in row]
        only += shown if len(shown) == 1 else []
    assert only
    assert set(only) == {"thrott"}


def test_marks_are_in_both_charts_and_their_words_above_the_first():
    lines = marks((450.0, "CONC 3→6", "knob"), height=24)
    assert sum("CONC" in line for line in lines) == 1
    upper, lower = lines[: len(lines) // 2], lines[len(lines) // 2 :]
    assert any("┊" in line for line in upper)
    assert any("┊" in line for line in lower)


@given(
    st.lists(
        st.tuples(
            st.floats(-20, 1000),
            st.sampled_from(["CONC 3→6", "漢字漢字", HOSTILE, "", "x" * 60]),
            st.sampled_from(get_args(MarkerKind)),
        ),
        max_size=30,
    ),
    st.integers(20, 120),
)
def test_whatever_is_marked_the_chart_keeps_its_width(placed, width):
    found = tuple(
        Marker(NOW_NS - round(ago_s * NS_PER_S), text, kind) for ago_s, text, kind in placed
    )
    for line in timeline_lines(replace(percentiles(0.2), markers=found), width, 14):
        assert line_width(line) <= width


def test_marks_that_are_out_of_sight_are_not_drawn():
    old = replace(percentiles(), markers=(Marker(NOW_NS - 3000 * NS_PER_S, "old"),))
    assert not any("┊" in line_text(line) for line in timeline_lines(old, 60, 14))


def test_slices_without_a_figure_say_why_on_the_axis():
    points = [replace(point, p50=None, p95=None, n=0) for point in trend(0.5)]
    points[30] = replace(points[30], failures=2)
    points[60] = replace(points[60], throttled=2)
    axis = line_text(timeline_lines(replace(NOTHING, timeline=tuple(points)), 96, 12)[-2])
    assert axis.count("✕") == 1
    assert axis.count("⊘") == 1
    assert axis.count("·") >= 80


def test_what_a_mark_says_is_neutralised():
    hostile = replace(percentiles(), markers=(Marker(NOW_NS - 300 * NS_PER_S, HOSTILE),))
    for line in timeline_lines(hostile, 90, 14):
        assert "\x1b" not in line_text(line)
        assert "\u202e" not in line_text(line)


figures = st.builds(
    Figure,
    value=st.none() | st.floats(0, 1e300),
    n=st.integers(0, 10**15),
    enough=st.booleans(),
    grade=st.sampled_from(["none", "great", "fine", "slow", "sluggish"]),
)
five = st.tuples(figures, figures, figures, figures, figures)
windows = st.builds(
    WindowColumn,
    window=st.sampled_from(["1m", "5m", "15m", "1h", "run"]),
    ttft=five,
    e2e=five,
    failures=st.integers(0, 10**12),
    finished=st.integers(0, 10**12),
    failure_share=st.none() | st.floats(0, 1),
)
slices = st.builds(
    ChartPoint,
    start_ns=st.integers(0, 10**13),
    p50=st.none() | st.floats(0, 1e300),
    p95=st.none() | st.floats(0, 1e300),
    n=st.integers(0, 10**9),
    failures=st.integers(0, 9),
    throttled=st.integers(0, 9),
)
tables = st.builds(
    PercentileTable,
    columns=st.lists(windows, max_size=5).map(tuple),
    timeline=st.lists(slices, max_size=6).map(tuple),
    e2e_timeline=st.lists(slices, max_size=6).map(tuple),
    markers=st.lists(
        st.builds(Marker, at_ns=st.integers(0, 10**13), text=st.text(max_size=40)), max_size=4
    ).map(tuple),
    goal_ttft_s=st.floats(0.001, 1e6),
    goal_e2e_s=st.none() | st.floats(0.001, 1e6),
    oldest_open_s=st.none() | st.floats(0, 1e9),
    overdue=st.booleans(),
    cohort=st.text(max_size=20),
)


@settings(deadline=None)
@given(tables, st.integers(1, 200), st.integers(0, 40))
def test_no_size_and_no_figure_breaks_out_of_the_pane(table, width, height):
    lines = lines_of(table, width, height)
    assert len(lines) <= height
    assert all(line_width(line) <= width for line in lines)


def test_the_title_names_route_and_cohort():
    title = percentiles_title(snapshot(), ViewState(selected="busy-llama"))
    assert title == "percentiles · busy-llama · cap 64, in ≤256"
    assert cohort_words("64/>64k") == "cap 64, in >64k"
    assert cohort_words("odd") == "odd"
    assert percentiles_title(EMPTY_SNAPSHOT, DEFAULT_VIEW) == "percentiles"
    lines = percentiles_lines(EMPTY_SNAPSHOT, DEFAULT_VIEW, 40, 5)
    assert line_text(lines[0]) == "no route selected"


def test_the_pane_draws_the_selected_route():
    routes = (route("a", ttft=0.5), route("b", ttft=0.5))
    shown = replace(
        snapshot(),
        routes=routes,
        details={"b": detail("b", percentiles=replace(percentiles(), oldest_open_s=33.0))},
    )
    lines = percentiles_lines(shown, ViewState(selected="b"), 44, 15)
    assert "33s" in line_text(lines[-1])


def test_a_route_that_is_not_streamed_has_e2e_alone() -> None:
    table = replace(percentiles(), streamed=False)
    lines = texts(table, 44, 15)
    labels = [line[:8].strip() for line in lines[1:9]]
    assert labels == ["E2E p50", "p90", "p95", "p99", "max", "n", "tok/s", "failed %"]
    assert lines[9].split()[-4:] == ["goals", "–", "/", "3.00"]
    for height in (10, 20):
        chart = [line_text(line) for line in timeline_lines(table, 60, height)]
        assert len(chart) == height
        assert chart[0].startswith("E2E s")
        assert not any("TTFT" in line for line in chart)


def test_a_goal_that_follows_the_cap_says_so():
    shown = of_one("5m", route("a", goal_scaled=True), percentiles=percentiles())
    assert line_text(percentiles_lines(shown, DEFAULT_VIEW, 60, 15)[-1]).endswith(
        "3.00 for this cap"
    )
