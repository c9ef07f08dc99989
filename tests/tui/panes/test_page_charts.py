"""The charts of a route's page: phases stacked over time, and the map of all durations."""

from datetime import UTC

import made
import made_page
import pytest
from changed import replace
from hypothesis import given
from hypothesis import strategies as st
from made import NOW_NS

from probes.board.views import (
    ChartPoint,
    HeatSlice,
    Marker,
    PhaseRow,
    PhaseSlice,
    RoutePage,
    Snapshot,
    heat_row,
)
from probes.kit.clock import NS_PER_S
from tui.draw.chart import SLICE_NS
from tui.draw.text import Line, line_text, line_width
from tui.panes.page.axis import PageMark, TimeAxis, axis_lines, axis_until, marks_of, scale_top
from tui.panes.page.heat import HeatMaps, heat_lines, heat_title
from tui.panes.page.phases import Phases, phases_subtitle, stack_lines
from tui.panes.page.subject import subject_of
from tui.panes.view import PageView, ViewState

GAPS = replace(made_page.VIEW, page=PageView(gaps=True))


def texts(lines: object) -> list[str]:
    assert isinstance(lines, tuple | list)
    return [line_text(line) for line in lines]


def roles_of(lines: object, glyph: str) -> set[str]:
    assert isinstance(lines, tuple | list)
    return {role for line in lines for text, role in line if glyph in text}


# The axis.


@given(st.integers(1, 400), st.integers(0, 10**15), st.integers(0, 100))
def test_each_slice_is_shared_out_whole_where_it_is_in_sight(
    columns: int, now_ns: int, back: int
) -> None:
    axis = axis_until(now_ns, [now_ns - 890 * NS_PER_S], columns)
    start_ns = (now_ns // SLICE_NS - back) * SLICE_NS
    shares = list(axis.shares(start_ns))
    total = sum(share for _, share in shares)
    first_ns = axis.first * axis.column_ns
    end_ns = (axis.first + columns) * axis.column_ns
    if first_ns <= start_ns and start_ns + SLICE_NS <= end_ns:
        assert total == pytest.approx(1.0)
    else:
        assert total <= 1 + 1e-9
    assert all(0 <= column < columns for column, _ in shares)


def test_the_axis_ends_at_now_though_nothing_came_for_long() -> None:
    axis = axis_until(NOW_NS, [NOW_NS - 600 * NS_PER_S], 90)
    assert axis.column_of(NOW_NS) == 89
    assert axis.column_of(NOW_NS - 600 * NS_PER_S) is not None


def test_a_young_run_is_not_drawn_into_a_corner() -> None:
    young = axis_until(NOW_NS, [NOW_NS - 60 * NS_PER_S], 60)
    old = axis_until(NOW_NS, [NOW_NS - 700 * NS_PER_S], 60)
    assert (young.span_ns, old.span_ns) == (120 * NS_PER_S, 900 * NS_PER_S)
    assert axis_until(NOW_NS, [], 60).span_ns == 120 * NS_PER_S


def test_marks_scroll_by_whole_columns() -> None:
    at_ns = NOW_NS - 300 * NS_PER_S
    columns = [
        axis_until(NOW_NS + step * NS_PER_S, [NOW_NS - 700 * NS_PER_S], 60).column_of(at_ns)
        for step in range(60)
    ]
    assert columns == sorted(columns, key=lambda column: -(column or 0))
    assert len(set(columns)) <= 5


def test_words_of_a_mark_stand_right_of_it_or_left_or_not_at_all() -> None:
    axis = TimeAxis(40, NS_PER_S, 0, 120 * NS_PER_S)

    def rule(*marks: PageMark) -> str:
        return line_text(axis_lines(axis, marks, 2)[0])[2:].replace("─", " ").strip()

    one = PageMark(5 * NS_PER_S, "▲", "slow", "onset")
    assert rule(one) == "▲onset"
    late = PageMark(38 * NS_PER_S, "▾", "accent", "CONC 3→6")
    assert rule(late) == "CONC 3→6▾"
    near = PageMark(7 * NS_PER_S, "▾", "accent", "CONC 3→6")
    assert rule(one, near).startswith("onset▲ ▾CONC 3→6") or "▾CONC 3→6" in rule(one, near)
    squeezed = [PageMark(at * NS_PER_S, "▾", "accent", "CONC 3→6") for at in range(10, 16)]
    assert rule(*squeezed).count("▾") == 6


@given(
    st.lists(st.tuples(st.integers(0, 39), st.text("abc", max_size=12)), max_size=12),
    st.integers(12, 40),
)
def test_no_word_of_a_mark_is_cut_and_no_mark_is_hidden(
    marks: list[tuple[int, str]], columns: int
) -> None:
    axis = TimeAxis(columns, NS_PER_S, 0, 120 * NS_PER_S)
    placed = sorted(
        (PageMark(at * NS_PER_S, "▲", "slow", words) for at, words in marks if at < columns),
        key=lambda mark: mark.at_ns,
    )
    rule, times = axis_lines(axis, placed, 6)
    assert line_width(rule) == line_width(times) == columns + 6
    text = line_text(rule)[6:]
    assert [at for at, cell in enumerate(text) if cell == "▲"] == sorted(
        {mark.at_ns // NS_PER_S for mark in placed}
    )
    whole = {mark.words for mark in placed} | {""}
    assert set(text.replace("▲", "─").split("─")) <= whole | {
        one + other for one in whole for other in whole
    }


def test_onsets_ends_knobs_and_t0_are_marked() -> None:
    now = made_page.column("now")
    page = PageView(t0=now, t0_ns=NOW_NS - 30 * NS_PER_S, t0_route=made_page.NAME)
    view = ViewState(selected=made_page.NAME, page=page)
    markers = (
        Marker(NOW_NS - 700 * NS_PER_S, "down", "onset"),
        Marker(NOW_NS - 600 * NS_PER_S, "down", "recovered"),
        Marker(NOW_NS - made_page.ONSET_S * NS_PER_S, "sluggish", "onset"),
        Marker(NOW_NS - 300 * NS_PER_S, "CONC 3→6", "knob"),
    )
    shown = made_page.snapshot()
    detail = shown.details[made_page.NAME]
    detail = replace(detail, percentiles=replace(detail.percentiles, markers=markers))
    shown = replace(shown, details={made_page.NAME: detail})
    subject = subject_of(shown, view)
    assert subject is not None
    marks = marks_of(shown, view, subject, UTC)
    assert [(mark.glyph, mark.role, mark.words) for mark in marks] == [
        ("▲", "dim", "22:14:21"),
        ("✓", "good", "22:16:01"),
        ("▲", "sluggish", "22:20:17"),
        ("▾", "accent", "CONC 3→6"),
        ("T", "title", "0"),
    ]
    elsewhere = replace(view, page=replace(page, t0_route="another"))
    assert "T" not in [mark.glyph for mark in marks_of(shown, elsewhere, subject, UTC)]


def test_a_scale_holds_what_it_must_and_is_not_half_empty() -> None:
    assert [scale_top(value) for value in (0.9, 1.0, 1.3, 1.6, 2.9, 3.1, 4.3)] == [
        1.0, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0
    ]  # fmt: skip


# Phases.


def phases(width: int = 78, height: int = 16, **changes: object) -> list[Line]:
    shown = made_page.snapshot(**changes)
    return Phases(UTC).lines(shown, made_page.VIEW, width, height)


def test_the_table_says_where_the_wait_grew() -> None:
    told = [text[-31:] for text in texts(phases())]
    assert told[0].split() == ["seconds", "now", "usual", "×"]
    assert told[3].split() == ["▓", "headers", "2.38▲", "0.510", "×4.7"]
    assert told[1].split() == ["░", "writing", "1.31", "1.30"]
    assert told[6].split() == ["in", "all", "3.93", "2.05"]
    assert phases_subtitle(made_page.snapshot(), made_page.VIEW) == "most in headers: +1.87 s"


def test_a_tiny_phase_that_is_many_times_its_usual_has_not_grown() -> None:
    rows = tuple(
        replace(row, now_s=0.06) if row.phase == "connect" else row
        for row in made_page.phase_rows()
    )
    (line,) = [text for text in texts(phases(phase_rows=rows)) if "connect" in text]
    assert "×" not in line
    assert "▲" not in line.split("connect")[1]


def test_the_part_of_the_stack_that_grew_is_bright_from_the_onset_on() -> None:
    chart = phases(width=118, height=24)[10:]  # below the table
    assert "sluggish" in roles_of(chart, "▓")
    assert "graph" in roles_of(chart, "▓")
    assert "sluggish" not in roles_of(chart, "░")


def test_each_phase_has_a_glyph_of_its_own() -> None:
    start_ns = NOW_NS // SLICE_NS * SLICE_NS
    axis = axis_until(NOW_NS, [start_ns], 24)
    even = PhaseSlice(start_ns, 4, (0.2, 0.2, 0.2, 0.2, 0.2))
    lines = stack_lines((even,), axis, (), 12)
    column = [text[6:][axis.column_of(NOW_NS) or 0] for text in texts(lines)[:10]]
    assert column == ["░", "░", "▚", "▚", "▓", "▓", "▒", "▒", "↻", "↻"]


def test_a_column_in_which_something_failed_says_so_on_the_axis() -> None:
    newest = NOW_NS // SLICE_NS * SLICE_NS
    ok = (0.0, 0.0, 0.3, 0.1, 0.9)
    slices = tuple(
        PhaseSlice(newest - back * SLICE_NS, 4 if p50_s else 0, p50_s)
        for back, p50_s in ((4, ok), (3, ()), (2, ok), (1, ()), (0, ()))
    )
    bad = {"p50": None, "p95": None, "n": 4}
    points = (
        ChartPoint(newest - 3 * SLICE_NS, failures=4, throttled=1, **bad),
        ChartPoint(newest - 2 * SLICE_NS, failures=0, throttled=2, **bad),
    )
    axis = axis_until(NOW_NS, [one.start_ns for one in slices], 12)
    rule = texts(stack_lines(slices, axis, (), 8, (), points))[-2][6:]
    columns = [axis.column_of(one.start_ns) or 0 for one in slices]
    assert [rule[column] for column in columns] == ["─", "✕", "⊘", "·", "─"]
    assert rule[-1] == "─", "what has begun in the open slice may end in it yet"


def test_a_young_route_has_no_phases_yet() -> None:
    shown = made_page.calm()
    told = " ".join(texts(Phases(UTC).lines(shown, made_page.VIEW, 78, 16)))
    assert "no probe has ended yet" in told


def test_the_stack_is_drawn_once_for_each_slice_mark_and_size() -> None:
    pane = Phases(UTC)
    shown = made_page.snapshot()
    pane.lines(shown, made_page.VIEW, 78, 16)
    drawn = pane._lines
    later = replace(shown, now_ns=shown.now_ns + NS_PER_S, version=9)
    pane.lines(later, made_page.VIEW, 78, 16)
    assert pane._lines is drawn
    pane.lines(later, made_page.VIEW, 80, 16)
    assert pane._lines is not drawn
    drawn = pane._lines
    next_slice = replace(shown, now_ns=shown.now_ns + SLICE_NS)
    pane.lines(next_slice, made_page.VIEW, 80, 16)
    assert pane._lines is not drawn


# The map.


def heat(view: ViewState = made_page.VIEW, width: int = 78, height: int = 16,
         shown: Snapshot | None = None) -> list[str]:  # fmt: skip
    return texts(HeatMaps(UTC).lines(shown or made_page.snapshot(), view, width, height))


def test_where_streams_pause_the_map_is_of_gaps_until_somebody_chooses() -> None:
    stalling = made_page.snapshot(made_page.row(state="stalling"))
    ttft = replace(made_page.VIEW, page=PageView(gaps=False))
    assert heat_title(stalling, made_page.VIEW).startswith("gaps between chunks")
    assert heat_title(stalling, ttft).startswith("TTFT")
    assert heat(shown=stalling) == heat(GAPS, shown=stalling) != heat(ttft, shown=stalling)


def test_two_humps_stand_apart_and_the_goal_between_them() -> None:
    told = heat()
    goal = next(at for at, text in enumerate(told) if text.startswith("   1s┤"))
    assert "┄" in told[goal]
    onset = told[-3].index("▲")
    above = "".join(text[onset + 2 :] for text in told[:goal])
    below = "".join(text[6 : onset - 2] for text in told[goal + 1 : -3])
    assert "█" in above
    assert "▓" in below
    assert not set("".join(text[6 : onset - 2] for text in told[:goal])) & set("▓█")


def test_what_is_slower_than_the_goal_is_bright() -> None:
    lines = HeatMaps(UTC).lines(made_page.snapshot(), made_page.VIEW, 78, 16)
    assert roles_of(lines[:-3], "█") == {"sluggish", "graph"}


def test_the_map_of_gaps_has_no_goal() -> None:
    told = heat(GAPS)
    assert "goal" not in " ".join(told)
    assert any("20ms" in text for text in told)
    assert "gaps" in heat_title(made_page.snapshot(), GAPS)


def test_shades_are_a_fixed_number_in_10_s_at_any_width() -> None:
    start_ns = NOW_NS // SLICE_NS * SLICE_NS - 30 * SLICE_NS
    slices = tuple(HeatSlice(start_ns + at * SLICE_NS, ((heat_row(0.7), 17),)) for at in range(31))
    for columns in (45, 90, 133, 200):
        axis = axis_until(NOW_NS, [NOW_NS - 890 * NS_PER_S], columns)
        told = texts(heat_lines(slices, axis, (), 12, None))
        full = [cell for text in told[:-3] for cell in text[6:-6] if cell in "░▒▓█"]
        assert set(full[3:-3]) == {"▓"}, columns
        assert "░ 1  ▒ 5  ▓ 10  █ 20" in told[-1]


def test_a_single_probe_is_seen() -> None:
    start_ns = NOW_NS // SLICE_NS * SLICE_NS - 5 * SLICE_NS
    slices = (HeatSlice(start_ns, ((heat_row(9.0), 1),)),)
    axis = axis_until(NOW_NS, [NOW_NS - 890 * NS_PER_S], 60)
    assert "░" in "".join(texts(heat_lines(slices, axis, (), 12, 1.0))[:-3])


def test_more_than_the_usual_counts_change_the_shades_and_the_legend() -> None:
    start_ns = NOW_NS // SLICE_NS * SLICE_NS
    axis = axis_until(NOW_NS, [start_ns], 60)
    for number, legend in ((2, "█ 4"), (9, "█ 8"), (30, "█ 20"), (300, "█ 200")):
        slices = (HeatSlice(start_ns - SLICE_NS, ((20, number),)),)
        assert legend in texts(heat_lines(slices, axis, (), 8, None))[-1], number


def test_rows_are_those_that_have_data_where_there_is_little_room() -> None:
    told = heat(height=9)
    assert len(told) == 9
    shown = "".join(text[6:] for text in told[:-3])
    assert set("▓█") & set(shown)
    assert any("┄" in text for text in told)


def test_before_the_first_answer_the_map_says_so() -> None:
    assert "no answer has come yet" in " ".join(heat(shown=made_page.calm()))


def test_what_is_not_streamed_has_no_map_of_gaps() -> None:
    shown = made_page.snapshot(replace(made_page.row(), streamed=False))
    assert heat_title(shown, GAPS) == "not streamed: no TTFT"


def test_a_map_is_drawn_once_for_each_slice_mark_and_size() -> None:
    pane, shown = HeatMaps(UTC), made_page.snapshot()
    drawn = pane.lines(shown, made_page.VIEW, 78, 16)
    later = replace(shown, now_ns=shown.now_ns + NS_PER_S, version=9)
    assert pane.lines(later, made_page.VIEW, 78, 16) is drawn
    assert pane.lines(later, GAPS, 78, 16) is not drawn


def test_a_mark_of_a_user_is_harmless() -> None:
    shown = made_page.snapshot()
    detail = shown.details[made_page.NAME]
    table = replace(detail.percentiles, markers=(Marker(NOW_NS - NS_PER_S * 60, made.HOSTILE),))
    hostile = replace(shown, details={made_page.NAME: replace(detail, percentiles=table)})
    told = heat(shown=hostile)
    assert not {"\x1b", "\u202e", "\u200b"} & set("".join(told))
    assert {len(text) for text in told[:-1]} == {78}


@given(st.integers(1, 300), st.integers(1, 60), st.booleans(), st.sampled_from(range(4)))
def test_nothing_is_wider_or_more_than_there_is_room(
    width: int, height: int, gaps: bool, which: int
) -> None:
    shown = (
        made_page.snapshot(),
        made_page.calm(),
        made_page.snapshot(phase_rows=(PhaseRow("headers", None, None, 0, 0),)),
        replace(made_page.snapshot(), details={}),
    )[which]
    view = GAPS if gaps else made_page.VIEW
    for lines in (
        Phases(UTC).lines(shown, view, width, height),
        HeatMaps(UTC).lines(shown, view, width, height),
    ):
        assert len(lines) <= height
        assert all(line_width(line) <= width for line in lines)


def test_an_empty_page_is_drawn_too() -> None:
    shown = made_page.snapshot()
    detail = replace(shown.details[made_page.NAME], page=RoutePage())
    empty = replace(shown, details={made_page.NAME: detail})
    assert Phases(UTC).lines(empty, made_page.VIEW, 78, 16)
    assert HeatMaps(UTC).lines(empty, made_page.VIEW, 78, 16)
