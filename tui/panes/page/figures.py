"""Pane 3 of a route's page: the figures of now beside the usual ones, T0 and windows of time; then
what is open, the limits, what knobs did, and the cohorts.

Rule 1. Percentiles are over all that was asked: where one lies among what failed or is still open,
it is at least so much, which `≥` says.
Rule 2. What has no room is counted in the last line, and scrolled to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, TypeAlias

import msgspec

from probes.board.views import (
    CohortView,
    FeltColumn,
    FeltFigure,
    Figure,
    KnobEffect,
    RouteView,
    Snapshot,
)
from probes.events import OpenPhase
from probes.kit.sanitise import neutralise
from tui.draw.table import BLANK, Cell, Column, Table, fit
from tui.draw.text import (
    NO_FIGURE,
    Line,
    Role,
    Span,
    age,
    cells,
    clip,
    count,
    counted,
    share,
    three_digits,
    time_of_day,
    usd,
)
from tui.keys import first_key, hints
from tui.panes.happenings import effect_parts
from tui.panes.moment import now_word
from tui.panes.pace import BEHIND, cause_words, lamp_words, skipped_words, waiting_words
from tui.panes.page.axis import t0_is_of
from tui.panes.page.subject import Subject, of_subject, subject_of
from tui.panes.page.wrapping import wrapped
from tui.panes.routes import FEW_SAMPLES, NOTABLE_RATIO, figure_cell
from tui.panes.throttling import headroom_words, limit_words
from tui.panes.view import ViewState

_LABEL: Final = 8
_FIGURE: Final = 6
_TIMES: Final = 5
_TIMES_PRIORITY: Final = 2
"""It goes before `usual`, without which it says nothing, and after the windows."""
_T0: Final = "T0"
_LEAST_BODY: Final = 4
"""Rows below which a sentence above the heads would take the figures' place."""
_NAMED: Final = 24
"""Characters of a cohort's name."""
_GRADE_MARKS: Final = {"slow": "△", "sluggish": "▲"}
_PHASES: Final[dict[OpenPhase, str]] = {
    "connecting": "is connecting",
    "sent": "waits for headers",
    "headers": "waits for its first token",
    "streaming": "streams",
}


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: what it is of a column, and how that is written."""

    label: str
    value: Callable[[FeltColumn], FeltFigure | float | None]
    form: Callable[[float], str] = three_digits
    hurts: Role | None = None
    """Of a count: what it looks like where it is above 0."""
    of_streams: bool = False
    """There is none where answers come whole."""
    is_optional: bool = False
    """Not every server lets it be known: where no column has it there is no row."""
    is_count: bool = False
    """A difference of it says nothing: the spans are not equally long."""


def _scheduled(column: FeltColumn, place: int) -> FeltFigure | None:
    """Return a figure of an open pace; None where it is closed."""
    if column.scheduled_ttft is None or column.scheduled_e2e is None:
        return None
    return (*column.scheduled_ttft, *column.scheduled_e2e)[place]


_ROWS: Final = (
    _Row("TTFT p50", lambda column: column.ttft[0], of_streams=True),
    _Row("     p95", lambda column: column.ttft[1], of_streams=True),
    _Row("     p99", lambda column: column.ttft[2], of_streams=True),
    _Row("E2E  p50", lambda column: column.e2e[0]),
    _Row("     p95", lambda column: column.e2e[1]),
    _Row("     p99", lambda column: column.e2e[2]),
    _Row("sched TTFT p50", lambda column: _scheduled(column, 0), of_streams=True, is_optional=True),
    _Row("           p95", lambda column: _scheduled(column, 1), of_streams=True, is_optional=True),
    _Row("           p99", lambda column: _scheduled(column, 2), of_streams=True, is_optional=True),
    _Row("sched E2E  p50", lambda column: _scheduled(column, 3), is_optional=True),
    _Row("           p95", lambda column: _scheduled(column, 4), is_optional=True),
    _Row("           p99", lambda column: _scheduled(column, 5), is_optional=True),
    _Row("tok/s", lambda column: column.tokens_per_s, of_streams=True),
    _Row("stalls %", lambda column: column.stalled_share, share, of_streams=True, is_optional=True),
    _Row("gap  p99", lambda column: column.gap_p99_s, of_streams=True),
    _Row("     max", lambda column: column.gap_max_s, of_streams=True),
    _Row(
        "good %", lambda column: column.good / column.finished if column.finished else None, share
    ),
    _Row("probes", lambda column: float(column.finished), count, is_count=True),
    _Row("failed", lambda column: float(column.failed), count, "missed", is_count=True),
    _Row("429s", lambda column: float(column.throttled), count, "throttled", is_count=True),
    _Row("in tok", lambda column: column.input_tokens, is_optional=True),
    _Row("out tok", lambda column: column.output_tokens, is_optional=True),
    _Row(
        "RTT ms",
        lambda column: None if column.rtt_s is None else column.rtt_s * 1000,
        is_optional=True,
    ),
    _Row("lost seg", lambda column: column.lost_segments, is_optional=True),
    _Row("cold %", lambda column: column.cold_share, share, is_optional=True),
    _Row("cached %", lambda column: column.cached_share, share, is_optional=True),
    _Row("$/h", lambda column: column.usd_per_hour, usd, is_optional=True),
)


class Figures:
    """Draws the pane; holds nothing but the time zone of its wall times."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone

    @of_subject
    def lines(
        self, subject: Subject, snapshot: Snapshot, view: ViewState, width: int, height: int
    ) -> Sequence[Line]:
        """Return as many lines as fit, from the one that is scrolled to."""
        head, body = _table(subject, snapshot, view, width)
        moment = now_word(view)
        body += [clip(line, width) for line in _below(subject, snapshot, moment, width, self._zone)]
        if height < len(head) + _LEAST_BODY:
            head = head[-1:]
        room = height - len(head)
        if len(body) <= room:
            return [*head, *body]
        room -= 1
        if room <= 0:
            return head[:height]
        first = min(view.offset("figures"), len(body) - room)
        key = first_key("scroll_down", view.keys)
        told = f"lines {first + 1}–{first + room} of {len(body)}" + (f" · {key}" if key else "")
        foot: Line = ((told, "faint"),)
        return [*head, *body[first : first + room], clip(foot, width)]


def _table(
    subject: Subject, snapshot: Snapshot, view: ViewState, width: int
) -> tuple[list[Line], list[Line]]:
    """Return the heads and the figures, a column a span of time; those that matter most go last."""
    shown = list(subject.page.columns)
    t0 = view.page.t0 if t0_is_of(view, subject) else None
    rows = [
        row
        for row in _ROWS
        if (subject.route.streamed or not row.of_streams)
        and (not row.is_optional or any(row.value(one) is not None for one in shown))
    ]
    first: Column[_Row] = Column(
        "seconds",
        max(_LABEL, *(cells(row.label) for row in rows)),
        lambda row: Cell(row.label, "head"),
        marked=True,
    )
    lit, moment = snapshot.window, now_word(view)
    said: list[Line] = []
    if t0 is not None and view.page.against_t0 and subject.now is not None:
        columns = _against(subject.now, t0, moment)
        said = wrapped("", [_difference(subject, subject.now, t0)], width, indent=0)
    else:
        if t0 is not None:
            shown.insert(1, msgspec.structs.replace(t0, name=_T0))
        columns = [_column(place, one, lit, moment) for place, one in enumerate(shown)]
        usual = next((one for one in shown if one.name == "usual"), None)
        if subject.now is not None and usual is not None:
            columns.insert(shown.index(usual) + 1, _times_usual(subject.now, usual))
    table: Table[_Row] = fit([first, *columns], width)
    head = [clip(line, width) for line in (*said, table.head_line(lit))]
    return head, [clip(table.line(row), width) for row in rows]


def _column(place: int, of: FeltColumn, lit: str, moment: str) -> Column[_Row]:
    """Return a column; `now`, which is headed by what the moment that is shown is called, and the
    window that the home screen is on are the last to go."""
    name = of.name
    priority = 0 if name == "now" else 1 if name in ("usual", lit, _T0) else place + 1
    return Column(
        moment if name == "now" else name,
        _FIGURE,
        lambda row: _cell(row, of, loud=name == "now"),
        priority,
        key=name,
        marked=True,
    )


def _times_usual(now: FeltColumn, usual: FeltColumn) -> Column[_Row]:
    """Return the column of how many times its usual each figure is, where it has left that."""

    def times(row: _Row) -> Cell:
        new, old = _number(row, now), _number(row, usual)
        # Of what is 0 no multiple says anything, nor of how many there were.
        if not new or not old or row.is_count or not _is_enough(row, now):
            return BLANK
        if 1 / NOTABLE_RATIO < new / old < NOTABLE_RATIO:
            return BLANK
        bound = "≥" if _is_least(row, now) else "×"
        text = f"{new / old:.1f}" if new < 9.95 * old else count(new / old)
        return Cell(bound + text, "text")

    return Column("×", _TIMES, times, _TIMES_PRIORITY, marked=True)


def _number(row: _Row, of: FeltColumn) -> float | None:
    value = row.value(of)
    return value.value if isinstance(value, FeltFigure) else value


def _is_enough(row: _Row, of: FeltColumn) -> bool:
    value = row.value(of)
    return not isinstance(value, FeltFigure) or value.enough


def _against(now: FeltColumn, t0: FeltColumn, moment: str) -> list[Column[_Row]]:
    """Return the columns of now against T0: both, how much more it is, how sure that is, and how
    many times."""

    def more(row: _Row) -> Cell:
        new, old = _number(row, now), _number(row, t0)
        if new is None or old is None or row.is_count:
            return BLANK
        new_is_least, old_is_least = _is_least(row, now), _is_least(row, t0)
        if new_is_least and old_is_least:
            return Cell(NO_FIGURE, "faint")
        bound = "≥" if new_is_least else "≤" if old_is_least else ""
        text = bound + _signed(new - old, row.form)
        span = _span(row, now, t0)
        return Cell(text, "text" if span is None or _is_told_apart(span) else "faint")

    def times(row: _Row) -> Cell:
        new, old = _number(row, now), _number(row, t0)
        if not new or not old or row.is_count or _is_least(row, now) or _is_least(row, t0):
            return BLANK
        return Cell(f"×{three_digits(new / old)}", "text")

    def end(which: int) -> Callable[[_Row], Cell]:
        def cell(row: _Row) -> Cell:
            span = _span(row, now, t0)
            if span is None:
                return BLANK
            bound = span[which]
            text = NO_FIGURE if bound is None else _signed(bound, row.form)
            return Cell(text, "dim" if _is_told_apart(span) else "faint")

        return cell

    return [
        _column(0, now, "", moment),
        _column(1, msgspec.structs.replace(t0, name=_T0), "", moment),
        Column("more", _FIGURE + 1, more, 2, marked=True),
        Column("times", _FIGURE, times, 4),
        Column("at least", _FIGURE, end(0), 3, gap=1),
        Column("at most", _FIGURE, end(1), 3, gap=1),
    ]


_Span: TypeAlias = tuple[float | None, float | None]


def _span(row: _Row, now: FeltColumn, t0: FeltColumn) -> _Span | None:
    """Return between what the difference of a percentile lies; None where nobody knows."""
    new, old = row.value(now), row.value(t0)
    if not isinstance(new, FeltFigure) or not isinstance(old, FeltFigure):
        return None
    span = new.more_than(old)
    return None if span == (None, None) else span


def _is_told_apart(span: _Span) -> bool:
    least, most = span
    return (least is not None and least > 0) or (most is not None and most < 0)


def _is_least(row: _Row, of: FeltColumn) -> bool:
    value = row.value(of)
    return isinstance(value, FeltFigure) and value.is_least


def _signed(value: float, form: Callable[[float], str] = three_digits) -> str:
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return sign + form(abs(value))


def _difference(subject: Subject, now: FeltColumn, t0: FeltColumn) -> Line:
    """Return what now is against T0 in a sentence: of the median of what users wait for first."""
    row = next(row for row in _ROWS if subject.route.streamed or not row.of_streams)
    new, old = row.value(now), row.value(t0)
    if not isinstance(new, FeltFigure) or not isinstance(old, FeltFigure):
        return ()
    name = " ".join(row.label.split())
    samples: Span = (f", n {count(new.n)}/{count(old.n)}", "dim")
    span = _span(row, now, t0)
    if span is None:
        return ((f"{name}: too few to say what has changed", "dim"), samples)
    least, most = span
    if least is None or most is None:
        words = (
            f"at most {_signed(most)}" if most is not None else f"at least {_signed(least or 0)}"
        )
    else:
        words = f"{_signed(least)} to {_signed(most)}"
    sure: Span = (f" (95 %: {words} s)", "text")
    if not _is_told_apart(span):
        return ((f"{name} not to be told apart", "dim"), (sure[0], "dim"), samples)
    if new.value is None or old.value is None or new.is_least or old.is_least:
        return ((f"{name} {'more' if (least or 0) > 0 else 'less'}", "title"), sure, samples)
    return ((f"{name} {_signed(new.value - old.value)} s", "title"), sure, samples)


def _cell(row: _Row, of: FeltColumn, *, loud: bool) -> Cell:
    value = row.value(of)
    if isinstance(value, FeltFigure):
        return felt_cell(value)
    if value is None:
        return Cell(NO_FIGURE, "faint")
    if row.is_count and of.name == "usual":
        return Cell(NO_FIGURE, "faint")  # it is of no span of time
    if row.is_count:
        role: Role = row.hurts if row.hurts and value > 0 else "faint"
        return Cell(row.form(value), role)
    return Cell(row.form(value), "text" if loud else "dim")


def felt_cell(figure: FeltFigure) -> Cell:
    """Return a percentile over all that was asked; `≥` where it never came."""
    if figure.value is None:
        return Cell(NO_FIGURE, "faint")
    text = ("≥" if figure.is_least else "") + three_digits(figure.value)
    if not figure.enough:
        return Cell(text, "faint", FEW_SAMPLES)
    role: Role = "dim" if figure.grade == "none" else figure.grade
    return Cell(text, role, _GRADE_MARKS.get(figure.grade, " "))


def _below(
    subject: Subject, snapshot: Snapshot, moment: str, width: int, zone: tzinfo | None
) -> list[Line]:
    """Return what is open, the goals, the limits, what knobs did, and the cohorts."""
    route = subject.route
    lines: list[Line] = [(), *wrapped("open", _open(route), width), *_goals(route, width)]
    for limits in snapshot.limits:
        if limits.route == route.name and (limits.limits or limits.cool_down_s):
            words = limit_words(limits, snapshot.now_ns)
            lines += wrapped("limits", [((text, role),) for text, role in words], width)
            room = headroom_words(limits)
            lines += wrapped("headroom", [((text, role),) for text, role in room], width)
    turned = [
        one
        for one in snapshot.happenings
        if one.kind == "knob" and (not one.routes or route.name in one.routes)
    ]
    for number, one in enumerate(turned):
        at = time_of_day(one.at_ns, snapshot.wall_anchor_ns, zone)
        head: Line = ((f"{at} ", "dim"), (neutralise(one.text, 60), "text"))
        lines += wrapped("knobs" if not number else "", [head, *told_of(one.effect)], width)
    if len(subject.page.cohorts) > 1:
        lines += [(), *_cohorts(subject.page.cohorts, moment, width)]
    return lines


def _open(route: RouteView) -> list[Line]:
    parts: list[Line] = [
        ((f"{route.in_flight} of {route.target} at once{', auto' * route.adaptive}", "dim"),)
    ]
    if route.oldest_open_s is not None:
        phase = "" if route.oldest_phase is None else f", {_PHASES[route.oldest_phase]}"
        mark = "!" if route.overdue else ""
        role: Role = "missed" if route.overdue else "dim"
        parts.append(((f"oldest {age(route.oldest_open_s)}{mark}{phase}", role),))
    pace = route.pace
    if pace is not None:
        if lamp := lamp_words(route):
            told = f"{BEHIND} {lamp}, {cause_words(route)}"
            parts.append(((told, "slow"),))
        parts += [
            ((words, "dim"),) for words in (waiting_words(pace), skipped_words(pace)) if words
        ]
    elif route.skipped:
        skipped = counted(route.skipped, "send", short=True)
        parts.append(((f"{skipped} skipped: no slot was free", "dim"),))
    return parts


def _goals(route: RouteView, width: int) -> list[Line]:
    parts: list[Line] = []
    if route.streamed and route.goal_ttft_s:
        parts.append(((f"TTFT p95 {three_digits(route.goal_ttft_s)} s", "dim"),))
    if route.goal_e2e_s is not None:
        scaled = ", scaled with the cap" if route.goal_scaled else ""
        parts.append(((f"E2E p95 {three_digits(route.goal_e2e_s)} s{scaled}", "dim"),))
    return wrapped("goals", parts, width) if parts else []


def told_of(effect: KnobEffect | None) -> list[Line]:
    """Return what a turn of a knob did, a part each: figures before and after, how sure that is."""
    if effect is None:
        return []
    return [((part.text, part.role),) for part in effect_parts(effect)]


def _cohorts(cohorts: Sequence[CohortView], moment: str, width: int) -> list[Line]:
    """Return the cohorts of the run: they never mix."""
    widest = min(max(cells(neutralise(one.name, _NAMED)) for one in cohorts), _NAMED)

    def name(one: CohortView) -> Cell:
        role: Role = "text" if one.is_current else "dim"
        return Cell(neutralise(one.name, _NAMED), role)

    def figure(pick: Callable[[CohortView], Figure]) -> Callable[[CohortView], Cell]:
        return lambda one: figure_cell(pick(one))

    columns: list[Column[CohortView]] = [
        Column("cohort", max(widest, 6), name, flush_left=True),
        Column("", len(moment), lambda one: Cell(moment if one.is_current else "", "accent"), 5),
        Column("p50", 5, figure(lambda one: one.ttft[0]), 2, group="TTFT", marked=True),
        Column("p95", 5, figure(lambda one: one.ttft[1]), 1, group="TTFT", marked=True),
        Column("p50", 5, figure(lambda one: one.e2e[0]), 4, group="E2E", marked=True),
        Column("p95", 5, figure(lambda one: one.e2e[1]), 3, group="E2E", marked=True),
    ]
    table = fit(columns, width, gap=1)
    return [table.head_line(), *(table.line(one) for one in cohorts)]


def figures_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return what stands side by side."""
    subject = subject_of(snapshot, view)
    if subject is None or not t0_is_of(view, subject):
        return "figures"
    return f"figures · {now_word(view)} against T0" if view.page.against_t0 else "figures"


def figures_subtitle(snapshot: Snapshot, view: ViewState) -> str:
    """Return how to compare with a moment that the user chooses."""
    subject = subject_of(snapshot, view)
    if subject is None or not t0_is_of(view, subject):
        return hints(view.keys, ("take_t0", f"takes {now_word(view)} as T0"))
    words = "all columns" if view.page.against_t0 else f"{now_word(view)} against T0"
    return hints(view.keys, ("against_t0", words))
