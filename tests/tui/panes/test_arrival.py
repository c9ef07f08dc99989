"""Lanes of token arrival: what happened when, in cells."""

import made
import pytest
from changed import replace
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.clock import NS_PER_S
from tui.draw.text import line_text, line_width
from tui.panes.arrival import (
    SLOT_NS,
    arrival_lines,
    arrival_title,
    axis_for,
    lane_cells,
    lane_note,
)
from tui.panes.view import ViewState

VIEW = ViewState(selected="busy-llama")
NOW = made.NOW_NS
AXIS = axis_for(NOW, 100)


def drawn(lane: made.LaneView) -> str:
    return line_text(tuple(lane_cells(lane, AXIS, NOW)))


def lane_row(width: int, **changes: object) -> str:
    """Return the drawn row of one lane."""
    detail = made.detail(lanes=(made.lane(**changes),))
    snapshot = made.snapshot(details={"busy-llama": detail})
    return line_text(arrival_lines(snapshot, VIEW, width, 12)[1])


@given(st.integers(min_value=1, max_value=320), st.integers(min_value=1, max_value=100))
def test_lines_fill_the_pane_and_never_more(width: int, height: int) -> None:
    for preview in (False, True):
        view = replace(VIEW, preview=preview)
        lines = arrival_lines(made.snapshot(), view, width, height)
        assert len(lines) <= height
        if width >= 30:
            assert all(line_width(line) <= width for line in lines)


@pytest.mark.parametrize(("cells", "slots"), [(10, 10), (30, 2), (60, 1), (200, 1), (1, 50)])
def test_an_axis_has_round_slots(cells: int, slots: int) -> None:
    assert axis_for(NOW, cells).slot_ns == slots * SLOT_NS


def test_a_moment_keeps_its_cell_until_the_axis_moves_by_a_whole_one() -> None:
    later = axis_for(NOW + AXIS.slot_ns, AXIS.cells)
    at = NOW - 3 * NS_PER_S
    assert AXIS.column(NOW) == AXIS.cells - 1
    assert later.column(at) == AXIS.column(at) - 1


def test_a_cell_is_as_high_as_its_chunks() -> None:
    started = NOW - 2 * NS_PER_S
    cells = tuple((NOW - (4 - n) * SLOT_NS, chunks) for n, chunks in enumerate((1, 4, 8, 30)))
    lane = made.lane(started_ns=started, first_token_ns=None, cells=cells)
    assert drawn(lane).endswith("▁▄██·")


def test_coarse_slots_keep_the_scale_of_the_legend() -> None:
    axis = axis_for(NOW, 30)
    cells = ((NOW - 2 * SLOT_NS, 4), (NOW - SLOT_NS, 4))
    lane = made.lane(first_token_ns=None, cells=cells)
    assert "▄" in line_text(tuple(lane_cells(lane, axis, NOW)))


def test_waiting_is_dots_and_the_first_token_has_its_glyph() -> None:
    waiting = made.lane(started_s=1.0, first_token_ns=None, cells=())
    assert drawn(waiting).strip() == "·" * 11
    streaming = made.lane(started_s=1.0, first_token_ns=NOW - 5 * SLOT_NS, cells=())
    assert drawn(streaming).strip() == "·····▶·····"


def test_a_stall_is_drawn_until_now() -> None:
    cells = ((NOW - 25 * SLOT_NS, 3),)
    where = ((NOW - 25 * SLOT_NS, NOW),)
    stalled = made.lane(
        started_s=3.0, first_token_ns=None, cells=cells, stalled_s=2.5, stalls=where
    )
    assert "▃" + "⋯" * 24 in drawn(stalled)
    assert lane_note(stalled) == ("stall 2.5s", "stall")


@pytest.mark.parametrize("gap", [3, 30])
def test_a_gap_is_drawn_as_a_stall_where_the_board_says_so_however_long_it_is(gap: int) -> None:
    cells = ((NOW - (gap + 5) * SLOT_NS, 3), (NOW - 5 * SLOT_NS, 3))
    where = ((cells[0][0], cells[1][0]),)
    unmarked = made.lane(started_s=4.0, first_token_ns=None, cells=cells, stalled_s=9.0)
    marked = made.lane(started_s=4.0, first_token_ns=None, cells=cells, stalls=where)
    assert drawn(unmarked).count("⋯") == 0
    assert drawn(marked).count("⋯") == gap - 1


def test_a_short_gap_is_no_stall() -> None:
    cells = ((NOW - 5 * SLOT_NS, 3), (NOW, 3))
    assert "⋯" not in drawn(made.lane(started_s=3.0, first_token_ns=None, cells=cells))


@pytest.mark.parametrize(
    ("outcome", "glyph"),
    [("ok", "┤"), ("throttled", "⊘"), ("truncated", "╱"), ("timeout", "◷"), ("server_error", "✕"),
     ("cancelled", "○")],
)  # fmt: skip
def test_every_end_has_its_glyph(outcome: str, glyph: str) -> None:
    ended = made.lane(started_s=5.0, outcome=outcome, ended_ns=NOW - NS_PER_S, cells=())
    assert drawn(ended).rstrip().endswith(glyph)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, ""),
        ({"first_token_ns": None}, "waiting"),
        ({"ended_ns": NOW, "outcome": "ok"}, ""),
        ({"ended_ns": NOW, "outcome": "ok", "stalled_s": 1.2}, "gap 1.2s"),
        (
            {"ended_ns": NOW, "outcome": "throttled", "status": 429, "retry_wait_s": 2.0,
             "retry_number": 1},
            "429 retry 2.0s (1/2)",
        ),
        ({"ended_ns": NOW, "outcome": "timeout", "reason": "timeout.stall"}, "timeout.stall"),
        ({"ended_ns": NOW, "outcome": "truncated"}, "truncated"),
    ],
)  # fmt: skip
def test_a_note_says_it_in_words(changes: dict[str, object], note: str) -> None:
    assert lane_note(made.lane(**changes))[0] == note


def test_facts_stand_beside_the_lane() -> None:
    text = "\n".join(map(line_text, arrival_lines(made.snapshot(), VIEW, 100, 20)))
    assert "#8812" in text
    assert "~71" in text  # an estimate says so
    assert "\n#8811     5.0s    64" in text  # an exact count does not
    assert "~71   ~41 " in text  # nor is its speed anything else


def test_lanes_that_ended_before_the_axis_are_gone() -> None:
    old = made.lane("1-1", 100.0, outcome="ok", ended_ns=NOW - 60 * NS_PER_S)
    detail = made.detail(lanes=(old,))
    lines = arrival_lines(made.snapshot(details={"busy-llama": detail}), VIEW, 100, 10)
    assert "no open stream" in line_text(lines[1])


def test_the_axis_is_labelled() -> None:
    lines = [line_text(line) for line in arrival_lines(made.snapshot(), VIEW, 100, 20)]
    assert "s ─" in lines[-2]
    assert lines[-2].endswith("now")
    assert "chunks/0.1s" in lines[-1]


def test_the_preview_is_neutral_and_its_end_is_kept() -> None:
    detail = made.detail(preview="start " + "\x1b[2J" + "x" * 500 + " the end")
    snapshot = made.snapshot(details={"busy-llama": detail})
    lines = arrival_lines(snapshot, replace(VIEW, preview=True), 60, 12)
    text = "".join(map(line_text, lines))
    assert "text of #8812" in text
    assert "the end" in text
    assert "\x1b" not in text


def test_a_probe_of_another_engine_than_the_first_is_told_apart() -> None:
    names = [lane_row(100, probe=probe).split()[0] for probe in ("1-7", "2-7", "8812")]
    assert names == ["#7", "#2-7", "#8812"]


def test_without_details_it_says_so() -> None:
    assert "no stream yet" in line_text(arrival_lines(made.snapshot(details={}), VIEW, 80, 9)[0])


def test_the_title_names_the_route_harmlessly() -> None:
    rows = (made.route(made.HOSTILE),)
    assert arrival_title(made.snapshot(), VIEW) == "token arrival · busy-llama"
    assert "\x1b" not in arrival_title(made.snapshot(routes=rows), ViewState())
    assert arrival_title(made.snapshot(routes=()), ViewState()) == "token arrival"


def test_scrolling_ends_at_the_last_lane() -> None:
    lines = arrival_lines(made.snapshot(), replace(VIEW, offsets={"arrival": 200}), 100, 6)
    assert "#8809" in line_text(lines[-2])


def test_what_is_said_of_an_ended_lane_stands_right_behind_its_end() -> None:
    row = lane_row(
        100, ended_ns=NOW - 2 * NS_PER_S, outcome="server_error", reason="overloaded", cells=()
    )
    assert row.endswith("✕ overloaded")


def test_words_that_do_not_fit_behind_now_are_cut_with_a_mark() -> None:
    row = lane_row(100, ended_ns=NOW, outcome="timeout", reason="a.reason.longer.than.the.room")
    assert row.endswith("…")
    assert line_width(((row, "text"),)) == 100


def test_a_narrow_legend_leaves_out_whole_entries() -> None:
    wide, narrow = (
        line_text(arrival_lines(made.snapshot(), VIEW, width, 20)[-1]) for width in (120, 60)
    )
    assert "○ cancelled" in wide
    assert "✕ failed" not in narrow
    assert narrow.endswith("⊘ 429  ")


def test_words_without_room_leave_the_lane_whole() -> None:
    row = lane_row(64, first_token_ns=None, cells=())
    assert row.endswith("··")
    assert "…" not in row
