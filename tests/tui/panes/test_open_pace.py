"""What the screen says of an open pace: scheduled latency, and whether its rate is kept."""

import made
import made_page
import pytest
from changed import replace
from fakes import FakeStatus

from probes.board.views import FeltFigure, Figure, PaceView, RouteView, Snapshot
from tui.draw.text import Line, line_text, line_width
from tui.keys import KEYS
from tui.panes.header import Strips
from tui.panes.pace import (
    BEHIND,
    cause_words,
    lamp_words,
    late_words,
    pace_of,
    remedy_words,
    skipped_words,
)
from tui.panes.page.crumbs import crumbs_pane
from tui.panes.page.figures import Figures
from tui.panes.page.verdict import RouteVerdict
from tui.panes.percentiles import percentiles_brief, percentiles_lines
from tui.panes.routes import routes_lines, routes_subtitle, routes_table
from tui.panes.verdicts import verdict_count, verdict_route, verdicts_lines, well_words
from tui.panes.view import ViewState

FIGURES = (made.figure(3.1), made.figure(17.4), made.figure(19.2))
LATE = PaceView(
    kind="poisson",
    rate=10.0,
    scheduled_ttft=FIGURES,
    scheduled_e2e=(made.figure(5.0), made.figure(21.5), made.figure(23.0)),
    begun_per_s=7.2,
    is_late=True,
    waiting=236,
    skipped_for=(("late", 12), ("paused", 3)),
    late_since_ns=made.NOW_NS - 90 * 10**9,
)
KEPT = replace(LATE, begun_per_s=9.9, is_late=False, waiting=0, skipped_for=())
VIEW = ViewState(selected="alpha")


def alpha(pace: PaceView | None = LATE, **changes: object) -> RouteView:
    return made.route("alpha", pace=pace, target=4, in_flight=4, **changes)


def shown(route: RouteView) -> Snapshot:
    windows = tuple(
        replace(
            one,
            scheduled_ttft=(made.figure(3.1),) * 4 + (made.figure(25.0),) if route.pace else None,
            scheduled_e2e=(made.figure(5.0),) * 4 + (made.figure(28.0),) if route.pace else None,
        )
        for one in made.percentiles().columns
    )
    detail = made.detail("alpha", percentiles=replace(made.percentiles(), columns=windows))
    header = made.header(well_since_ns=made.NOW_NS - 10**9)
    return made.snapshot(
        routes=(route,), details={"alpha": detail}, incidents=(), recoveries=(), header=header
    )


def text(lines: "list[Line] | tuple[Line, ...]") -> str:
    return "\n".join(line_text(line) for line in lines)


def test_the_words_of_a_pace() -> None:
    assert pace_of(alpha(None, interval=5.0)) == "every 5 s"
    assert pace_of(alpha(None, interval=0.0)) == "back to back"
    assert pace_of(alpha()) == "poisson 10/s"
    assert lamp_words(alpha()) == "cannot keep the rate: 7.20 of 10/s"
    assert lamp_words(alpha(KEPT)) == lamp_words(alpha(None)) == ""
    assert cause_words(alpha()) == "all 4 places are taken"
    assert cause_words(alpha(replace(LATE, why="cool_down"))) == "cooling down"
    assert skipped_words(LATE) == "skipped: 12 waited too long for a place, 3 paused"
    assert late_words(alpha())[1] == "scheduled TTFT p95 17.4 s"
    assert late_words(alpha(streamed=False))[1] == "scheduled E2E p95 21.5 s"
    assert remedy_words(alpha(), KEYS) == "+ more at once · > a lower rate"
    assert remedy_words(alpha(replace(LATE, why="budget")), KEYS) == ""


def test_a_row_has_its_scheduled_latency_and_a_mark_where_the_rate_is_not_kept() -> None:
    head, row = routes_lines(shown(alpha()), VIEW, 200, 10)[:2]
    assert "SCHED" in line_text(head)
    assert "17.4▲" in line_text(row)
    assert f"4/4{BEHIND}" in line_text(row)
    head, row = routes_lines(shown(alpha(KEPT)), VIEW, 200, 10)[:2]
    assert "SCHED" in line_text(head)
    assert BEHIND not in line_text(row)


def test_a_closed_pace_has_no_column_and_no_mark() -> None:
    lines = routes_lines(shown(alpha(None)), VIEW, 300, 10)
    assert "SCHED" not in line_text(lines[0])
    assert BEHIND not in text(lines)
    assert "sched" not in text(percentiles_lines(shown(alpha(None)), VIEW, 200, 40))
    assert "sched" not in line_text(percentiles_brief(shown(alpha(None)), VIEW))


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200, 300])
def test_the_scheduled_latency_goes_late_where_it_is_narrow(width: int) -> None:
    columns = [column.key for column in routes_table([alpha()], width - 3).columns]
    assert ("sched_p95" in columns) == (width >= 80)


def test_the_foot_of_the_table_says_why() -> None:
    told = routes_subtitle(shown(alpha()), VIEW)
    assert "cannot keep the rate: 7.20 of 10/s, all 4 places are taken · 236 due wait" in told
    assert "poisson 10/s" in told


def test_the_header_says_it_for_one_and_for_many() -> None:
    strips = Strips(FakeStatus())
    assert "« cannot keep the rate: 7.20 of 10/s" in text(
        strips.header(shown(alpha()), VIEW, 160, 1)
    )
    two = made.snapshot(routes=(alpha(), replace(alpha(), name="bravo")), incidents=())
    assert "« 2 cannot keep the rate" in text(strips.header(two, VIEW, 160, 1))
    assert BEHIND not in text(strips.header(shown(alpha(KEPT)), VIEW, 160, 1))


def test_a_verdict_says_since_when_why_and_what_to_do() -> None:
    snapshot = shown(alpha())
    assert verdict_count(snapshot) == 1
    (line,) = verdicts_lines(snapshot, VIEW, 220, 3)
    assert line_text(line).startswith(" « alpha cannot keep the rate: 7.20 of 10/s since ")
    assert "all 4 places are taken; scheduled TTFT p95 17.4 s" in line_text(line)
    assert "→ + more at once · > a lower rate" in line_text(line)
    assert verdict_route(snapshot, 3, 0) == "alpha"


def test_nothing_is_called_well_while_users_wait_for_a_place() -> None:
    assert well_words(shown(alpha())) == ""
    assert well_words(shown(alpha(KEPT))) != ""


@pytest.mark.parametrize("width", range(20, 240, 7))
def test_no_line_is_too_wide_and_no_cut_is_without_a_mark(width: int) -> None:
    snapshot = shown(alpha())
    lines = [
        *verdicts_lines(snapshot, VIEW, width, 3),
        *routes_lines(snapshot, VIEW, width, 12),
        *percentiles_lines(snapshot, VIEW, width, 24),
        *Strips(FakeStatus()).header(snapshot, VIEW, width, 1),
    ]
    assert all(line_width(line) <= width for line in lines)


def test_the_percentiles_have_rows_of_it_that_stay_as_long_as_those_beside_them() -> None:
    snapshot = shown(alpha())
    told = text(percentiles_lines(snapshot, VIEW, 120, 30))
    assert "sched TTFT p50" in told
    assert "sched E2E p50" in told
    few = text(percentiles_lines(snapshot, VIEW, 60, 6))
    assert "TTFT p95" in few
    assert "sched TTFT p95" in few
    assert "sched 17.4" in line_text(percentiles_brief(snapshot, VIEW))


def page(pace: PaceView | None) -> Snapshot:
    figures = (FeltFigure(3.1, n=90, enough=True),) * 3 if pace else None
    columns = tuple(
        replace(one, scheduled_ttft=figures, scheduled_e2e=figures) for one in made_page.columns()
    )
    row = made_page.row(pace=pace, state="ok")
    return replace(
        made_page.snapshot(row),
        incidents=(),
        details={row.name: made_page.detail(columns=columns)},
    )


def test_the_page_of_a_route_says_it_in_header_verdict_and_figures() -> None:
    snapshot, view = page(LATE), made_page.VIEW
    crumbs = text(crumbs_pane(Strips(FakeStatus()))(snapshot, view, 200, 1))
    assert "poisson 10/s · « cannot keep the rate: 7.20 of 10/s" in crumbs
    verdict = text(RouteVerdict().lines(snapshot, view, 160, 8))
    assert verdict.startswith(" « cannot keep the rate: 7.20 of 10/s since ")
    assert "well" not in verdict
    assert "scheduled TTFT p95 17.4 s" in verdict
    assert "+ more at once" in verdict
    figures = text(Figures().lines(snapshot, view, 90, 60))
    assert "sched TTFT p50" in figures
    assert "sched E2E  p50" in figures
    assert "12 waited too long for a place" in " ".join(figures.split())


def test_the_page_of_a_closed_route_says_nothing_of_it() -> None:
    snapshot, view = page(None), made_page.VIEW
    told = text(Figures().lines(snapshot, view, 90, 60))
    told += text(RouteVerdict().lines(snapshot, view, 160, 8))
    assert "sched" not in told
    assert BEHIND not in told


def test_a_figure_of_too_few_is_not_graded() -> None:
    few = replace(LATE, scheduled_ttft=(Figure(3.1, 3),) * 3)
    assert "3.10°" in text(routes_lines(shown(alpha(few)), VIEW, 200, 10))
