"""Weeks of a route in characters: charts by day and by hour of the day, the weekly check, what was
seen before.

Rule 1. Days keep their places: one on which nothing was probed is a gap, and the axis says which is
which. What does not fit is told by number, and never left out without a word.
Rule 2. The printed page and the screen say the same words.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from probes.events import Cause
from probes.events.diagnosis_words import cause_words, day_words, often_words
from probes.history.views import (
    HistoryView,
    JumpView,
    RouteHistoryView,
    SeenView,
    StretchView,
)
from probes.kit.sanitise import neutralise
from tui.draw.chart import Series, braille_cells, join_cells, level_glyph, nice_top, row_of
from tui.draw.table import Cell, Column, fit
from tui.draw.text import (
    NO_FIGURE,
    Line,
    Role,
    Span,
    cells,
    clip,
    count,
    counted,
    fold,
    join,
    pad,
    seconds,
    share,
    three_digits,
    usd,
)

Amount = Callable[[StretchView], float | None]

_LABEL: Final = 6
"""Cells before a plot: its scale."""
_GAP: Final = 3
_HOURS: Final = 24
_TWO_FROM: Final = 84
"""Columns from which the hours of the day stand beside the days."""
_WIDE_FROM: Final = (140, 220)
"""Those from which an hour has a cell more."""
_MOST: Final = 17
"""Cells behind the bars: what the highest stands for."""
_LOUD: Final = 0.1
"""Share of 429s or failures whose bar fills its cell, where none is larger."""
_QUIET: Final = 0.01
"""A share below it is what goals allow for: there, and not loud."""
_MANY: Final = 4.0
"""Incidents of a day whose bar fills its cell, where there were no more."""
_CHART_ROWS: Final = 6
_MOST_A_DAY: Final = 8
"""Columns of one day: a single one need not fill the page."""
_FIGURE: Final = 5
_NAME: Final = 60
_URL: Final = 80
_INDENT: Final = 2
_SEEN: Final = 6
"""Fingerprints that are told; of the rest there is the number."""
_JUMPS: Final = 4


class Days:
    """Days as people say them, of this machine's time zone; the year only where it is another than
    that in which the view ends."""

    def __init__(self, ends_s: float) -> None:
        self._year = self.of(ends_s).year

    @staticmethod
    def of(at_s: float) -> date:
        """Return the day of a moment in Unix time."""
        return datetime.fromtimestamp(at_s).astimezone().date()

    def iso(self, at_s: float) -> str:
        """Return the day of a moment as views have it."""
        return self.of(at_s).isoformat()

    def say(self, iso: str) -> str:
        """Return a day of a view in words: `14 Oct`."""
        day = date.fromisoformat(iso)
        return day_words(day, self._year)


def page_lines(view: HistoryView, width: int, *, rows: int = _CHART_ROWS) -> list[Line]:
    """Return the history of one route, at each of its places and by each of its addresses."""
    days = Days(view.ends_s)
    lines: list[Line] = []
    for route in view.routes:
        if lines:
            lines += [(), ()]
        zone: Line = ((f" · days and hours are {view.zone}", "dim"),)
        told = (head_line(route), (*cohort_line(route), *zone))
        # First what is to be known, in words: on a small screen charts leave no room for it.
        words = (*check_lines(route, days.say), *seen_lines(route, days.say, days.iso))
        lines += [line for one in (*told, *words) for line in fold(one, width, _INDENT)]
        lines.append(())
        begins = max(days.of(view.begins_s), date.fromisoformat(route.days[0].label))
        lines += chart_lines(route, begins, days.of(view.ends_s), width, rows)
        lines.append(())
        # From the newest day back: who looks for last night need not scroll.
        table = fit(day_columns("WEEK OF" if view.by_week else "DAY"), width, gap=2)
        lines += [table.head_line(), *(table.line(day) for day in reversed(route.days))]
    return [clip(line, width) for line in lines]


def head_line(view: RouteHistoryView) -> Line:
    """Return whose history it is, and what all of it comes to."""
    whole = view.whole
    ok = share(whole.ok / whole.probes) if whole.probes else NO_FIGURE
    return (
        (neutralise(view.route, _NAME), "title"),
        (f"  {counted(whole.probes, 'probe')}, {ok} % ok", "text"),
        (f" · 429 ×{count(whole.throttled)}" if whole.throttled else "", "throttled"),
        (f" · tokens: {count(whole.input_tokens)} in, {count(whole.output_tokens)} out", "text"),
        (f" · ${usd(whole.usd)}" if whole.usd else "", "text"),
        (f"  {neutralise(view.model, _NAME)} · {neutralise(view.base_url, _URL)}", "dim"),
    )


def cohort_line(view: RouteHistoryView) -> Line:
    """Return which probes percentiles are of."""
    percent = view.cohort_share * 100
    of = "all probes" if percent >= 100 else f"{min(percent, 99.9):.3g} % of the probes"
    text = f"percentiles are of cohort {neutralise(view.cohort, 40)}, {of}; all else is of all"
    return ((text, "dim"),)


def chart_lines(
    view: RouteHistoryView, begins: date, ends: date, width: int, rows: int = _CHART_ROWS
) -> list[Line]:
    """Return the charts from one day to another: TTFT and E2E, and what was asked and paid."""
    plan = _Plan(view, begins, ends, width)
    lines: list[Line] = []
    for name, spread in (("TTFT", "ttft_s"), ("E2E", "e2e_s")):
        if not getattr(view.whole, spread).n:
            continue
        lines += plan.percentiles(name, spread, rows)
        lines.append(())
    lines += plan.amounts()
    return [clip(line, width) for line in lines]


class _Bars(NamedTuple):
    """A row of bars."""

    name: str
    of: Amount
    told: Callable[[float], str]
    role: Role = "graph"
    least: float = 0.0
    """What fills a cell, where nothing is larger."""
    quiet: float = 0.0
    """Below it a bar is dim."""


class _Plan:
    """Where days and hours stand in a width."""

    def __init__(self, view: RouteHistoryView, begins: date, ends: date, width: int) -> None:
        self.view, self.width = view, width
        self.step = timedelta(days=7 if _is_weekly(view) else 1)
        days: list[date] = []
        day = begins - timedelta(days=begins.weekday()) if self.step.days > 1 else begins
        while day <= ends:
            days.append(day)
            day += self.step
        self.hour_cells = 0
        if view.hours and width >= _TWO_FROM:
            self.hour_cells = 1 + sum(width >= wide for wide in _WIDE_FROM)
        room = width - _LABEL
        if self.hour_cells:
            room -= _GAP + _LABEL + _HOURS * self.hour_cells
        room -= _MOST
        # Two days share a cell where there are many; then the oldest go, and that is said.
        self.days = days[-2 * max(1, room) :]
        self.left_out = len(days) - len(self.days)
        self.day_dots = max(1, min(2 * _MOST_A_DAY, 2 * room // max(1, len(self.days))))
        self.columns = -(-len(self.days) * self.day_dots // 2)
        self._by_day = {stretch.label: stretch for stretch in view.days}
        self._by_hour = {int(stretch.label): stretch for stretch in view.hours}

    def percentiles(self, name: str, spread: str, rows: int) -> Iterator[Line]:
        """Give a chart of p50 and p95 by day, and beside it by hour of the day."""

        def both(stretch: StretchView | None) -> tuple[float | None, float | None]:
            found = getattr(stretch, spread) if stretch is not None else None
            return (found.p50, found.p95) if found is not None else (None, None)

        days = [both(self._by_day.get(day.isoformat())) for day in self.days]
        hours = [both(self._by_hour.get(hour)) for hour in range(_HOURS)]
        shown = [value for pair in (*days, *(hours if self.hour_cells else ())) for value in pair]
        top = nice_top(shown, 0.0)
        by = "week" if self.step.days > 1 else "day"
        left: Line = (
            (f"{name}, s, by {by}", "head"),
            ("  ⠒⠒", "graph"),
            (" p95 ", "dim"),
            ("⣶⣶", "graph_dim"),
            (" p50", "dim"),
            *(((f"  · {self.left_out} before them not shown", "dim"),) if self.left_out else ()),
        )
        parts = [(left, self._plot(days, self.columns, self.day_dots, rows, top), self._day_axis())]
        if self.hour_cells:
            dots = 2 * self.hour_cells
            head: Line = ((f"{name} by hour of the day", "head"),)
            columns = _HOURS * self.hour_cells
            parts.append((head, self._plot(hours, columns, dots, rows, top), self._hour_axis()))
        return self._beside(parts)

    def _plot(
        self,
        values: Sequence[tuple[float | None, float | None]],
        columns: int,
        dots: int,
        rows: int,
        top: float,
    ) -> list[Line]:
        p50 = tuple(low for low, _ in values for _ in range(dots))
        p95 = tuple(high for _, high in values for _ in range(dots))
        series = (Series(p50, "graph_dim", filled=True), Series(p95, "graph"))
        drawn = braille_cells(series, columns, rows, top)
        scale = {row_of(value, rows, top): value for value in (top / 2, top)}
        lines: list[Line] = []
        for number, row in enumerate(drawn):
            value = scale.get(number)
            words = three_digits(value) if value is not None else ""
            lines.append(
                ((f"{words:>{_LABEL - 1}}{'┤' if words else '│'}", "dim"), *join_cells(row))
            )
        return lines

    def _beside(self, parts: Sequence[tuple[Line, list[Line], Line]]) -> Iterator[Line]:
        at = _LABEL + self.columns + _GAP
        columns = [[head, *plot, axis] for head, plot, axis in parts]
        for number, line in enumerate(columns[0]):
            if len(columns) == 1:
                yield line
            else:
                yield join((pad(clip(line, at - 1), at), columns[1][number]))

    def _day_axis(self) -> Line:
        text = ""
        for number, day in enumerate(self.days):
            at = number * self.day_dots // 2
            # The year once, where the page begins in another: there is little room.
            label = day_words(day, day.year if number else self.days[-1].year)
            is_due = number == 0 or not text or at >= cells(text) + 3
            if is_due and (day.weekday() == 0 or number == 0 or len(self.days) < 8):
                longer = text.ljust(at) + label
                if len(longer) <= self.columns:
                    text = longer
        return ((" " * _LABEL + text, "dim"),)

    def _hour_axis(self) -> Line:
        text = ""
        for hour in range(0, _HOURS, 6):
            text = text.ljust(hour * self.hour_cells) + f"{hour:02}"
        return ((" " * _LABEL + text, "dim"),)

    def amounts(self) -> Iterator[Line]:
        """Give tokens, cost, and the shares of 429s and failures, a row of bars each."""
        rows = [
            _Bars("IN", lambda one: one.input_tokens, count),
            _Bars("OUT", lambda one: one.output_tokens, count),
        ]
        if self.view.whole.usd:
            rows.append(_Bars("$", lambda one: one.usd, usd))
        # Shares: of a busy day more fail than of a quiet one, and it is no worse for that. A share
        # that hurts nobody must not fill its cells.
        if self.view.whole.throttled:
            shares = _Bars("429", _throttled_share, _per_cent, "throttled", _LOUD, _QUIET)
            rows.append(shares)
        if self.view.whole.probes > self.view.whole.ok:
            rows.append(_Bars("fail", _failed_share, _per_cent, "missed", _LOUD, _QUIET))
        if self.view.whole.incidents:
            rows.append(_Bars("ill", lambda one: one.incidents, _incidents, "missed", _MANY))
        for name, amount, told, role, least, quiet in rows:
            days = [self._amount(self._by_day.get(day.isoformat()), amount) for day in self.days]
            top = max([least, *(value for value in days if value is not None)])
            day_line = self._bars(days, self.day_dots / 2, self.columns, role, top, quiet)
            line: Line = ((f"{name:>{_LABEL - 1}} ", "head"), *day_line)
            if self.hour_cells:
                hours = [self._amount(self._by_hour.get(hour), amount) for hour in range(_HOURS)]
                top_hour = max([least, *(value for value in hours if value is not None)])
                columns = _HOURS * self.hour_cells
                hour_line = self._bars(hours, self.hour_cells, columns, role, top_hour, quiet)
                at = _LABEL + self.columns + _GAP
                line = join((pad(line, at), ((" " * _LABEL, "dim"), *hour_line)))
            most = max((value for value in days if value is not None), default=0.0)
            yield (*line, (f"  ≤ {told(most)} a {'week' if self.step.days > 1 else 'day'}", "dim"))

    @staticmethod
    def _amount(stretch: StretchView | None, amount: Amount) -> float | None:
        return None if stretch is None else amount(stretch)

    @staticmethod
    def _bars(
        values: Sequence[float | None],
        wide: float,
        columns: int,
        role: Role,
        top: float,
        quiet: float,
    ) -> Line:
        drawn: list[Span] = []
        for column in range(columns):
            # Where two days share a cell it shows the larger one.
            first, last = int(column / wide), int((column + 1) / wide - 1e-9)
            there = [value for value in values[first : last + 1] if value is not None]
            if not there:
                drawn.append((" ", "faint"))
            elif not max(there):
                drawn.append(("·", "faint"))
            else:
                shown: Role = "dim" if max(there) < quiet else role
                drawn.append((level_glyph(max(there), top), shown))
        return join_cells(drawn)


def _incidents(value: float) -> str:
    return f"{value:.0f}×"


def _throttled_share(one: StretchView) -> float:
    return one.throttled / one.attempts if one.attempts else 0.0


def _failed_share(one: StretchView) -> float:
    return 1 - one.ok / one.probes if one.probes else 0.0


def _per_cent(value: float) -> str:
    return f"{share(value)} %"


def check_lines(view: RouteHistoryView, say_day: Callable[[str], str]) -> list[Line]:
    """Return the weekly check: whether what is asked is as long as it was."""
    if view.whole.mean_input is None:
        return [(("prompts  nobody counted their tokens", "dim"),)]
    if not view.jumps:
        mean = counted(round(view.whole.mean_input), "token")
        return [((f"prompts  as long as they were: {mean} on average", "dim"),)]
    shown = view.jumps[-_JUMPS:]
    lines: list[Line] = [jump_line(jump, say_day) for jump in shown]
    if len(view.jumps) > len(shown):
        lines.append(((f"         and {len(view.jumps) - len(shown)} before them", "dim"),))
    return lines


def jump_line(jump: JumpView, say_day: Callable[[str], str]) -> Line:
    """Return `prompts  812 → 1,940 tokens since 14 Oct, ×2.4`."""
    role: Role = "sluggish" if jump.ratio > 1 else "text"
    size = f"{jump.before:,.0f} → {jump.after:,.0f} tokens since {say_day(jump.day)}"
    before, after = (counted(days, "day") for days in (jump.days_before, jump.days_after))
    days = f"medians of {before} and of {after}"
    return (
        ("prompts  ", "head"),
        (f"{size}, ×{jump.ratio:.2g}", role),
        (f"  ({days})", "dim"),
    )


def seen_lines(
    view: RouteHistoryView, say_day: Callable[[str], str], day_of: Callable[[float], str]
) -> list[Line]:
    """Return what was wrong with it before, those that came most often first."""
    if not view.seen:
        return [(("incidents  none was named", "dim"),)]
    lines = [
        (("incidents  " if not number else " " * 11, "head"), *seen_line(one, say_day, day_of))
        for number, one in enumerate(view.seen[:_SEEN])
    ]
    if len(view.seen) > _SEEN:
        more = counted(len(view.seen) - _SEEN, "other kind")
        lines.append(((f"{' ' * 11}and {more}", "dim"),))
    return lines


def seen_line(one: SeenView, say_day: Callable[[str], str], day_of: Callable[[float], str]) -> Line:
    """Return `slow to the first token  seen 3 times since 12 Oct, median 40m, last on 29 Nov`."""
    scope = f" {neutralise(one.scope, 40)}" if one.scope else ""
    first, last = say_day(day_of(one.first_s)), say_day(day_of(one.last_s))
    told = often_words(one.times, first, one.typical_s, f"on {last}")
    return ((f"{known_cause_words(one.cause)}{scope}", "text"), (f"  {told}", "dim"))


def known_cause_words(cause: str) -> str:
    """Return a cause in words; one that this version does not know as it is."""
    try:
        known: Cause = cause  # type: ignore[assignment]  # of another version, perhaps
        return cause_words(known)
    except KeyError:
        return neutralise(cause, 40)


def day_columns(label: str) -> tuple[Column[StretchView], ...]:
    """Return the columns of the table by day; `label` is the head of the first."""

    def figure(
        head: str, text: Callable[[StretchView], str], priority: int = 0
    ) -> Column[StretchView]:
        return Column(head, max(_FIGURE, len(head)), lambda one: Cell(text(one)), priority)

    return (
        Column(label, 10, lambda one: Cell(one.label), flush_left=True),
        Column("PROBES", 9, lambda one: Cell(f"{one.probes:,}")),
        figure("OK%", lambda one: share(one.ok / one.probes) if one.probes else NO_FIGURE),
        figure("TTFT50", lambda one: seconds(one.ttft_s.p50)),
        figure("95", lambda one: seconds(one.ttft_s.p95)),
        figure("E2E50", lambda one: seconds(one.e2e_s.p50), 2),
        figure("95", lambda one: seconds(one.e2e_s.p95), 2),
        figure("TOK/S", lambda one: three_digits(one.tokens_per_s), 3),
        figure("429", lambda one: count(one.throttled)),
        figure("RETRY", lambda one: count(one.retries), 4),
        figure("IN/PROMPT", lambda one: _whole(one.mean_input), 5),
        figure("IN", lambda one: count(one.input_tokens), 1),
        figure("OUT", lambda one: count(one.output_tokens), 1),
        figure("CACHED%", _cached, 6),
        figure("USD", lambda one: usd(one.usd), 1),
    )


def _whole(value: float | None) -> str:
    return NO_FIGURE if value is None else f"{value:,.0f}"


def _cached(one: StretchView) -> str:
    return share(one.cached_tokens / one.input_tokens) if one.cached_tokens else NO_FIGURE


def _is_weekly(view: RouteHistoryView) -> bool:
    labels = [date.fromisoformat(one.label) for one in view.days]
    return len(labels) > 1 and all(day.weekday() == 0 for day in labels)
