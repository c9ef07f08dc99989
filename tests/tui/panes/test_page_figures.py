"""The figures of a route's page: now, usual, T0, windows, and what is open, limited, turned."""

from datetime import UTC
from typing import Any

import made
import made_page
import pytest
from changed import replace
from hypothesis import given
from hypothesis import strategies as st

from probes.board.views import FeltFigure, RouteView, Snapshot
from tui.draw.text import line_text, line_width
from tui.panes.page.figures import Figures, felt_cell, figures_subtitle, figures_title
from tui.panes.view import PageView, ViewState

FIGURES = Figures(UTC)


def told(
    shown: Snapshot | None = None,
    view: ViewState = made_page.VIEW,
    width: int = 64,
    height: int = 60,
) -> list[str]:
    lines = FIGURES.lines(shown or made_page.snapshot(), view, width, height)
    return [line_text(line).rstrip() for line in lines]


def with_t0(**page: Any) -> ViewState:
    before = made_page.column("now", 0.73, 2.05, rtt_s=0.009)
    chosen = PageView(t0=before, t0_ns=made.NOW_NS, t0_route=made_page.NAME, **page)
    return replace(made_page.VIEW, page=chosen)


def row_of(lines: list[str], label: str) -> list[str]:
    (line,) = [line for line in lines if line.startswith(label)]
    return line[len(label) :].split()


def test_now_usual_and_windows_stand_side_by_side() -> None:
    lines = told()
    assert lines[0].split() == ["seconds", "now", "usual", "×", "1m", "5m", "15m", "1h", "run"]
    assert row_of(lines, "TTFT p50")[:4] == ["2.60▲", "0.730", "×3.6", "2.60▲"]
    assert row_of(lines, "  good %")[:3] == ["22.0", "–", "22.0"]
    assert row_of(lines, "  probes")[:3] == ["100", "–", "100"]
    assert row_of(lines, "    429s")[-2:] == ["1", "1"]


def test_a_figure_that_has_left_its_usual_says_how_many_times_it_is() -> None:
    lines = told(width=48)
    assert lines[0].split() == ["seconds", "now", "usual", "×", "1m", "5m"]
    assert row_of(lines, "TTFT p50")[2] == "×3.6"
    assert row_of(lines, "E2E  p50")[2] == "×1.9"
    assert not [word for word in row_of(lines, "   tok/s") if "×" in word], "it is as usual"
    assert not [word for word in row_of(lines, "  probes") if "×" in word]
    assert "×" not in told(width=24)[0], "what it is a multiple of has gone"


def test_a_percentile_among_what_failed_is_at_least_so_much() -> None:
    assert felt_cell(FeltFigure(4.1, True, 100, True, "sluggish")).text == "≥4.10"
    assert felt_cell(FeltFigure(4.1, False, 100, True, "sluggish")).text == "4.10"
    assert told()[3].split()[1] == "≥4.10▲"


def test_a_percentile_of_too_few_is_marked_and_not_graded() -> None:
    cell = felt_cell(FeltFigure(4.1, False, 3, False))
    assert (cell.role, cell.mark) == ("faint", "°")
    assert felt_cell(FeltFigure()).text == "–"


def test_the_window_of_the_home_screen_is_lit() -> None:
    (head, *_) = FIGURES.lines(made_page.snapshot(), made_page.VIEW, 64, 60)
    assert [text.strip() for text, role in head if role == "accent"] == ["5m"]


def test_t0_stands_beside_now() -> None:
    lines = told(view=with_t0())
    assert lines[0].split()[:4] == ["seconds", "now", "T0", "usual"]
    assert row_of(lines, "TTFT p50")[:3] == ["2.60▲", "0.730", "0.730"]
    assert figures_subtitle(made_page.snapshot(), with_t0()) == "0 now against T0"


def test_t0_that_was_just_taken_is_not_mistaken_for_now() -> None:
    now = made_page.columns()[0]
    shown = made_page.snapshot(columns=(now, *made_page.columns()[1:]))
    page = PageView(t0=now, t0_ns=made.NOW_NS, t0_route=made_page.NAME)
    assert told(shown, replace(made_page.VIEW, page=page))[0].split()[1:3] == ["now", "T0"]


def test_now_against_t0_says_how_much_more_and_how_many_times() -> None:
    view = with_t0(against_t0=True)
    said, *lines = told(view=view)
    assert said == "TTFT p50: too few to say what has changed, n 100/100"
    assert lines[0].split() == [
        "seconds",
        "now",
        "T0",
        "more",
        "times",
        "at",
        "least",
        "at",
        "most",
    ]
    assert row_of(lines, "TTFT p50") == ["2.60▲", "0.730", "+1.87", "×3.56"]
    assert row_of(lines, "  good %") == ["22.0", "100", "−78.0", "×0.220"]
    assert row_of(lines, "  failed") == ["2", "0"], "the spans are not equally long"
    assert row_of(lines, "   tok/s") == ["33.0", "33.0", "0", "×1.00"]
    assert figures_title(made_page.snapshot(), view) == "figures · now against T0"


def against(now: FeltFigure, t0: FeltFigure, width: int = 60) -> list[str]:
    columns = made_page.columns()
    others = columns[0].ttft[1:]
    shown = made_page.snapshot(
        columns=(replace(columns[0], ttft=(now, *others)), *columns[1:]),
    )
    view = with_t0(against_t0=True)
    before = replace(made_page.column("now"), ttft=(t0, *others))
    return told(shown, replace(view, page=replace(view.page, t0=before)), width)


def test_what_is_sure_of_a_difference_is_said() -> None:
    now = made_page.felt(2.6, n=103, low=2.5, high=2.75)
    lines = against(now, made_page.felt(0.7, n=240, low=0.65, high=0.8))
    assert lines[0] == "TTFT p50 +1.90 s (95 %: +1.70 to +2.10 s), n 103/240"
    assert row_of(lines[1:], "TTFT p50") == ["2.60▲", "0.700", "+1.90", "×3.71", "+1.70", "+2.10"]
    assert row_of(lines, "E2E  p50")[2:] == ["+1.85", "×1.90"], "nobody knows how sure that is"


def test_what_may_be_chance_is_not_told_apart() -> None:
    now = made_page.felt(0.75, n=103, low=0.7, high=0.82)
    lines = against(now, made_page.felt(0.7, n=98, low=0.65, high=0.8))
    assert " ".join(lines[:2]) == (
        "TTFT p50 not to be told apart (95 %: −0.100 to +0.170 s), n 103/98"
    )


def test_a_difference_of_what_is_at_least_so_much_is_at_least_so_much() -> None:
    now = made_page.felt(9.1, n=40, is_least=True, low=4.0)
    lines = against(now, made_page.felt(0.7, n=98, low=0.65, high=0.8))
    assert lines[0] == "TTFT p50 more (95 %: at least +3.20 s), n 40/98"
    assert row_of(lines[1:], "TTFT p50")[2:] == ["≥+8.40", "+3.20", "–"]
    both = against(now, made_page.felt(8.0, n=40, is_least=True, low=3.0))
    assert row_of(both[1:], "TTFT p50")[2] == "–"


def test_t0_of_another_route_is_not_compared() -> None:
    view = with_t0(against_t0=True)
    view = replace(view, page=replace(view.page, t0_route="another"))
    assert "T0" not in told(view=view)[0]
    assert figures_subtitle(made_page.snapshot(), view) == "T takes now as T0"


def below(route: RouteView | None = None, **changes: Any) -> str:
    return " ".join(" ".join(told(made_page.snapshot(route, **changes))[20:]).split())


def test_what_hangs_is_told_with_how_far_it_has_come() -> None:
    assert "open 6 of 6 at once · oldest 3.4s, waits for headers" in below()
    hangs = made_page.row(oldest_open_s=41.0, oldest_phase="headers", overdue=True)
    assert "oldest 41s!, waits for its first token" in below(hangs)


def test_limits_goals_and_knobs_stand_below() -> None:
    text = below()
    assert "goals TTFT p95 1.00 s · E2E p95 3.00 s" in text
    assert "limits requests/min 212/600, 11s · tokens/min 41k/60k, 29s" in text
    assert "knobs 22:20:11 you: CONC 3→6" in text
    assert "worse" in text
    scaled = below(made_page.row(goal_scaled=True, goal_e2e_s=6.0))
    assert "E2E p95 6.00 s, scaled with the cap" in scaled


def test_a_knob_of_another_route_is_not_told() -> None:
    shown = made_page.snapshot()
    other = replace(shown, happenings=(made_page.turned(routes=("another",)),))
    assert "CONC" not in " ".join(told(other))


def test_cohorts_stand_apart_where_there_are_several() -> None:
    text = below()
    assert "64/256 now 0.730 0.910 2.00 2.60" in text
    assert "128/256 0.740 0.930 4.00△ 4.60▲" in text
    assert "cohort" not in below(cohorts=made_page.page().cohorts[:1])


def test_what_is_not_streamed_has_no_figures_of_streams() -> None:
    lines = told(made_page.snapshot(made_page.row(streamed=False)))
    assert not [line for line in lines if line.startswith(("TTFT", "   tok/s", "gap", "stalls"))]
    assert row_of(lines, "E2E  p50")


def test_what_nobody_lets_us_know_has_no_row() -> None:
    bare = tuple(replace(one, cached_share=None, rtt_s=None) for one in made_page.columns())
    lines = told(made_page.snapshot(columns=bare))
    assert not [line for line in lines if line.startswith(("cached", "  RTT"))]
    assert [line for line in lines if line.startswith(" out tok")]


def test_what_has_no_room_is_counted_and_scrolled_to() -> None:
    whole = told(height=100)
    for height in range(3, len(whole)):
        lines = told(height=height)
        assert len(lines) == height
        assert lines[-1] == f"lines 1–{height - 2} of {len(whole) - 1} · PgDn"
    down = told(height=12, view=replace(made_page.VIEW, offsets={"figures": 7}))
    assert down[1:-1] == whole[8:18]
    assert down[-1] == f"lines 8–17 of {len(whole) - 1} · PgDn"
    end = told(height=12, view=replace(made_page.VIEW, offsets={"figures": 200}))
    assert end[-2] == whole[-1]


def test_where_there_is_little_width_now_stays_longest() -> None:
    assert told(width=18)[0].split() == ["seconds", "now"]
    assert told(width=30)[0].split()[:3] == ["seconds", "now", "usual"]


@given(st.integers(1, 300), st.integers(1, 60), st.integers(0, 40), st.sampled_from(range(4)))
def test_nothing_is_wider_or_more_than_there_is_room(
    width: int, height: int, offset: int, which: int
) -> None:
    hostile = replace(made_page.snapshot(), happenings=(made_page.turned(text=made.HOSTILE),))
    shown = (made_page.snapshot(), made_page.calm(), hostile, hostile)[which]
    view = with_t0(against_t0=which == 3)
    view = replace(view, offsets={"figures": offset})
    lines = FIGURES.lines(shown, view, width, height)
    assert len(lines) <= height
    assert all(line_width(line) <= width for line in lines)
    assert not {"\x1b", "\u202e", "\u200b"} & set("".join(map(line_text, lines)))


@pytest.mark.parametrize("height", [1, 2])
def test_the_heads_stay_where_there_is_room_for_nothing_else(height: int) -> None:
    assert told(height=height)[0].split()[0] == "seconds"
