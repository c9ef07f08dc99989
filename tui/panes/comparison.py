"""What the page of a comparison shows: the answer, the arms, and each difference with its interval.

Rule 1. The answer comes first: the sentence that says what may be concluded, and how far it is.
Rule 2. A ratio stands on a logarithmic axis around ×1, a difference of shares on a straight one
around 0: what lies within the interval may be so, and what crosses the middle is not known.
Rule 3. Scales have few steps and fit what they show: an interval that narrows does so in place.
Rule 4. What differs is told by words and signs; colours only repeat it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from probes.comparing.views import (
    ArmView,
    ComparedFigure,
    ComparisonFigure,
    ComparisonState,
    ComparisonVerdict,
    ComparisonView,
    TrailPoint,
)
from probes.comparing.words import estimate_words, interval_words, verdict_words
from probes.kit.sanitise import neutralise
from tui.draw.table import Cell, Column, Table, fit
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
    lasting,
    left,
    line_width,
    pad,
    right,
    seconds,
    share,
    three_digits,
    usd,
)
from tui.panes.view import ARM_LETTERS

FIGURE_NAMES: Final[dict[ComparisonFigure, str]] = {
    "ttft": "TTFT",
    "e2e": "E2E",
    "tokens_per_s": "tok/s",
    "good": "GOOD%",
    "throttled": "429%",
}
SHARES: Final = frozenset[ComparisonFigure](("good", "throttled"))
"""Figures whose difference is told, in points; of the others the ratio is."""
STATE_WORDS: Final[dict[ComparisonState, str]] = {
    "waiting": "○ not begun",
    "running": "● running",
    "decided": "✓ decided",
    "budget": "■ budget spent",
    "stopped": "‖ stopped",
    "failed": "✖ failed",
}
_STATE_ROLES: Final[dict[ComparisonState, Role]] = {
    "waiting": "dim",
    "running": "good",
    "decided": "good",
    "budget": "slow",
    "stopped": "dim",
    "failed": "missed",
}
_VERDICT_ROLES: Final[dict[ComparisonVerdict, Role]] = {
    "unknown": "dim",
    "better": "good",
    "worse": "sluggish",
    "same": "text",
}
_NAME_LIMIT: Final = 120
_SENTENCE_LIMIT: Final = 600
_LEAST_NAME: Final = 12
_RATIO_TOPS: Final = (1.25, 2.0, 4.0, 16.0, 100.0)
"""How far an axis may reach, in times: coarse, so that it is another one seldom."""
_POINT_TOPS: Final = (0.05, 0.2, 0.5, 1.0)
"""The same of differences of shares."""
_LABEL: Final = 6  # "GOOD%", and a mark before the one that decides
_ESTIMATE: Final = 7  # "×1.35", "+12.3"
_RANGE: Final = 19  # "×0.853 to ×1.004", "-100 to +100 points"
_PAIRS: Final = 6  # "n 1.2k"
_MEANS: Final = 15  # "within 5 points"
_LEAST_AXIS: Final = 15
"""Below this an interval says nothing that its figures do not."""
_AXIS_FIRST: Final = 31
"""Cells that an axis has before its intervals are told in figures too: the picture shows them, and
the sentence has the one that decides."""
_MOST_AXIS: Final = 121
_BAR: Final = 20
_LEAST_TRAIL_LINES: Final = 5
"""Lines that tell how an interval narrowed, where a page has to be scrolled for them."""
_LEAST_TRAIL: Final = 2
_NEARLY: Final = 1.0001
"""A step that is met but for the last digit of a float."""

_TICKS: Final = (-1, -0.5, 0, 0.5, 1)
_MIDDLE: Final = "│"
_CROSSED: Final = "┿"
"""The middle where an interval crosses it."""
_HALF_CELL: Final = 0.5
_ESTIMATE_MARK: Final = "●"
_BEYOND: Final = ("←", "→")
"""An interval that goes on beyond the scale."""


class RatioAxis(msgspec.Struct, frozen=True):
    """Where values stand in some cells: of one shape for all that are read under each other."""

    width: int
    """An odd number of cells, so that there is a middle."""
    top: float
    is_ratio: bool

    def place(self, value: float) -> float:
        """Return the cell of a value; below 0 or beyond the last where it has none."""
        if self.is_ratio:
            value = max(value, 1e-9)
            share_of = math.log(value) / math.log(self.top)
        else:
            share_of = value / self.top
        return (share_of + 1) / 2 * (self.width - 1)

    def ticks(self) -> list[float]:
        """Return what is labelled: both ends, the middle, and what is half-way to it."""
        return [self.top**step if self.is_ratio else self.top * step for step in _TICKS]


def axis_of(figures: Iterable[ComparedFigure], width: int, *, is_ratio: bool) -> RatioAxis:
    """Return the narrowest axis that holds the intervals, in so many cells or one fewer."""
    ends = [
        end
        for one in figures
        for end in (one.low, one.high, one.estimate)
        if end is not None and math.isfinite(end)
    ]
    tops: Sequence[float] = _RATIO_TOPS if is_ratio else _POINT_TOPS
    if is_ratio:
        sizes = [max(end, 1 / end) for end in ends if end > 0]
    else:
        sizes = [abs(end) for end in ends]
    widest = max(sizes, default=tops[0])
    top = next((top for top in tops if widest <= top), tops[-1])
    return RatioAxis(width - 1 + width % 2, top, is_ratio)


def interval_line(figure: ComparedFigure | TrailPoint, axis: RatioAxis, role: Role) -> Line:
    """Return an interval on its axis: `├━━━●━━┤`, with the middle of the axis as `│`.

    Where an end is open yet it goes on beyond the scale; where both are, it is drawn as a guess.
    """
    low, high, estimate = figure.low, figure.high, figure.estimate
    marks: list[Span] = [(" ", "text")] * axis.width
    middle, last = axis.width // 2, axis.width - 1
    if low is not None or high is not None or estimate is not None:
        begin = -1.0 if low is None else axis.place(low)
        end = last + 1.0 if high is None else axis.place(high)
        first, final = (min(max(0, round(place)), last) for place in (begin, end))
        drawn, its_role = ("━", role) if low is not None or high is not None else ("╌", "faint")
        marks[first : final + 1] = [(drawn, its_role)] * (final - first + 1)
        marks[first] = (_BEYOND[0] if begin < -_HALF_CELL else "├", its_role)
        marks[final] = (_BEYOND[1] if end > last + _HALF_CELL else "┤", its_role)
    crosses = marks[middle][0] == "━"
    if crosses or marks[middle][0] in " ╌":
        marks[middle] = (_CROSSED, role) if crosses else (_MIDDLE, "head")
    if estimate is not None:
        at = min(max(0, round(axis.place(estimate))), last)
        marks[at] = (_ESTIMATE_MARK, role)
    return _merged(marks)


def axis_line(axis: RatioAxis) -> Line:
    """Return the labels of an axis over its cells: `×0.5   ×0.71   ×1   ×1.41   ×2`."""
    text = [" "] * axis.width
    taken = -1
    ticks = axis.ticks()
    # The middle and the ends are what an eye needs; what is half-way comes where it has room.
    wanted = [ticks[0], ticks[2], ticks[4]]
    spelled = {tick: _tick(tick, axis.is_ratio) for tick in ticks}
    if axis.width >= sum(len(words) + 3 for words in spelled.values()):
        wanted = ticks
    for tick in wanted:
        words = spelled[tick]
        at = min(max(0, round(axis.place(tick)) - len(words) // 2), axis.width - len(words))
        if at > taken:
            text[at : at + len(words)] = words
            taken = at + len(words)
    return (("".join(text), "head"),)


def _tick(value: float, is_ratio: bool) -> str:
    if is_ratio:
        return f"×{value:.2g}" if value >= 0.1 else f"×{value:.1g}"
    points = value * 100
    return "0" if not points else f"{points:+.3g}"


def meaning(figure: ComparedFigure, shown: ComparisonView) -> str:
    """Return in words what is known of an arm by a figure: `slower`, `less often`, `within 5 %`."""
    if figure.verdict == "same":
        unit = "points" if figure.figure in SHARES else "%"
        return f"within {shown.margin * 100:.3g} {unit}"
    told = verdict_words(figure, shown.margin, is_over=shown.is_over)
    # What is good or throttled stands at the begin of the row.
    return told.removeprefix("good ").removeprefix("throttled ")


# The whole page.


def comparison_lines(
    shown: ComparisonView, width: int, height: int = 0, *, is_live: bool = True
) -> list[Line]:
    """Return the page in lines of at most `width` cells; whoever shows it scrolls.

    Names and the sentence are made harmless here. How the intervals narrowed takes what is left of
    `height`, a few lines at least. Where the screen stands in the past, it is not `is_live`, and
    the page says that the comparison does not.
    """
    inner = max(1, width - 2)
    lines = [*_answer(shown, inner), (), *_progress(shown, inner, is_live=is_live)]
    lines += [(), *_arms(shown, inner)]
    columns = _Columns(inner)
    others = list(zip(ARM_LETTERS, shown.arms, strict=False))[1:]
    figures = [figure for _, arm in others for figure in arm.figures]
    ratios = columns.axis_for((one for one in figures if one.figure not in SHARES), is_ratio=True)
    points = columns.axis_for((one for one in figures if one.figure in SHARES), is_ratio=False)
    for letter, arm in others:
        lines += [(), *_differences(shown, letter, arm, columns, ratios, points)]
    # At the end the sentence says it.
    foot = [] if shown.is_over else fold(((_sure_words(shown.alpha), "faint"),), inner)
    left_lines = (height - len(lines) - len(foot) - 1) // max(1, len(others)) - 2
    for letter, arm in others:
        if trail := _trail(letter, arm, columns, ratios, max(_LEAST_TRAIL_LINES, left_lines)):
            lines += [(), *trail]
    if foot:
        lines += [(), *foot]
    return [clip(((" ", "text"), *line) if line else line, width) for line in lines]


def _sure_words(alpha: float) -> str:
    share_wrong = f"{alpha * 100:.3g} % of comparisons at most"
    return f"all that is claimed together is wrong in {share_wrong}, however often one looks"


def _answer(shown: ComparisonView, width: int) -> Iterator[Line]:
    words = neutralise(shown.sentence, _SENTENCE_LIMIT) or "Nothing can be said yet."
    known = shown.state in ("decided", "budget", "stopped")
    role: Role = "missed" if shown.state == "failed" else "title" if known else "text"
    yield from fold(((words, role),), width)


def _progress(shown: ComparisonView, width: int, *, is_live: bool) -> Iterator[Line]:
    """Give how far it is: state, pairs, what is spent and left."""
    cost = shown.cost
    most_tokens = shown.most_tokens or cost.tokens
    most_usd = cost.usd if shown.most_usd is None else shown.most_usd
    parts: list[Line] = [
        ((STATE_WORDS[shown.state], _STATE_ROLES[shown.state]),),
        ((lasting(shown.seconds), "text"),),
        ((f"{shown.pairs:,} of at most {counted(cost.pairs, 'pair')}", "text"),),
    ]
    if not shown.is_over:
        spent = shown.pairs / cost.pairs if cost.pairs else 0.0
        filled = round(min(1.0, spent) * _BAR)
        parts[2] = (*parts[2], (" ", "text"), ("━" * filled, "accent"))
        parts[2] = (*parts[2], ("─" * (_BAR - filled), "faint"))
    parts.append(
        ((f"{count(shown.spent_tokens)} of {counted(most_tokens, 'token', short=True)}", "text"),)
    )
    if most_usd is not None:
        parts.append(((f"${usd(shown.spent_usd)} of ${usd(most_usd)}", "text"),))
        left_usd = most_usd - shown.spent_usd
        if not shown.is_over:
            parts.append(((f"${usd(max(0.0, left_usd))} left", "dim"),))
    if cost.unpriced:
        parts.append(((f"no price known of {', '.join(map(_name, cost.unpriced))}", "slow"),))
    if shown.waits:
        parts.append(((f"waits: {neutralise(shown.waits, _NAME_LIMIT)}", "slow"),))
    if not is_live:
        parts.append((("it compares now, not in the past that is shown", "slow"),))
    yield from _flowed(parts, width)


def _flowed(parts: Sequence[Line], width: int) -> Iterator[Line]:
    """Give parts with a dot between them, each whole on a line where one can hold it."""
    line: Line = ()
    for part in parts:
        joined = (*line, (" · ", "faint"), *part) if line else part
        if line_width(joined) <= width:
            line = joined
            continue
        if line:
            yield line
        *full, line = fold(part, width)
        yield from full
    if line:
        yield line


def _name(name: str) -> str:
    return neutralise(name, _NAME_LIMIT)


class _Row(msgspec.Struct, frozen=True):
    letter: str
    arm: ArmView
    is_asked: bool


def _arms(shown: ComparisonView, width: int) -> Iterator[Line]:
    """Give the arms side by side."""
    rows = [
        _Row(letter, arm, arm.name == shown.asking and not shown.is_over)
        for letter, arm in zip(ARM_LETTERS, shown.arms, strict=False)
    ]
    longest = max((cells(_name(row.arm.name)) for row in rows), default=0)
    columns: list[Column[_Row]] = [
        Column("", 1, lambda row: Cell(row.letter, "title")),
        Column(
            "ARM",
            min(max(longest, _LEAST_NAME // 2), _LEAST_NAME),
            lambda row: Cell(_name(row.arm.name), "title"),
            key="name",
            flush_left=True,
        ),
        Column("PROBES", 6, lambda row: Cell(f"{row.arm.probes:,}", "text"), 1),
        Column("50", 5, lambda row: Cell(seconds(row.arm.ttft_s)), 2, group="TTFT"),
        Column("50", 5, lambda row: Cell(seconds(row.arm.e2e_s)), 3, group="E2E"),
        Column("tok/s", 5, lambda row: Cell(three_digits(row.arm.tokens_per_s)), 4),
        Column("GOOD%", 5, _good, 5),
        Column("FAILED", 6, lambda row: _trouble(row.arm.failed, "missed"), 6),
        Column("429", 4, lambda row: _trouble(row.arm.throttled, "throttled"), 7),
        Column("TOKENS", 6, lambda row: Cell(count(row.arm.tokens), "dim"), 8),
        Column("$", 5, lambda row: Cell(usd(row.arm.usd), "dim"), 9),
        Column("", 7, lambda row: Cell(_doing(row), "dim"), 10, flush_left=True),
    ]
    table: Table[_Row] = fit(columns, width, gap=2).grown(("name", longest))
    yield table.head_line()
    for row in rows:
        yield table.line(row)


def _good(row: _Row) -> Cell:
    if not row.arm.probes:
        return Cell(NO_FIGURE, "faint")
    return Cell(share(row.arm.good / row.arm.probes))


def _trouble(number: int, role: Role) -> Cell:
    return Cell(count(number), role) if number else Cell("0", "faint")


def _doing(row: _Row) -> str:
    if row.arm.settled:
        return "settled"
    return "asked" if row.is_asked else ""


class _Columns:
    """What stands before and after the axis of a figure, in a width."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.before = 1 + _LABEL + _ESTIMATE + 2
        after = _PAIRS + _MEANS + 4
        self.ranged = width >= self.before + _AXIS_FIRST + _RANGE + 2 + after
        room = width - self.before - after - (_RANGE + 2 if self.ranged else 0)
        self.axis = min(_MOST_AXIS, room if room >= _LEAST_AXIS else 0)

    def axis_for(self, figures: Iterable[ComparedFigure], *, is_ratio: bool) -> RatioAxis | None:
        """Return the axis on which figures of one kind stand; None where it has no room."""
        return axis_of(figures, self.axis, is_ratio=is_ratio) if self.axis else None

    def heads(self, unit: str, axis: RatioAxis) -> Line:
        """Return the labels of an axis where it stands."""
        return (*pad(((f" {unit}", "head"),), self.before), *axis_line(axis))

    def line(self, figure: ComparedFigure, axis: RatioAxis | None, shown: ComparisonView) -> Line:
        """Return a figure: its name, the difference, its interval, its pairs, what it means."""
        role = _VERDICT_ROLES[figure.verdict]
        spelled = estimate_words(figure)
        start: Line = (
            ("▸" if figure.decides else " ", "accent"),
            (left(FIGURE_NAMES[figure.figure], _LABEL), "text"),
            (right(spelled, _ESTIMATE) + "  ", role),
        )
        middle = interval_line(figure, axis, role) if axis is not None else ()
        ranged: Line = (
            ((f"  {left(interval_words(figure), _RANGE)}", "text"),) if self.ranged else ()
        )
        end: Line = ((f"  {_pairs(figure.pairs)}", "dim"), (f"  {meaning(figure, shown)}", role))
        return clip((*start, *middle, *ranged, *end), self.width)

    def trail_line(self, point: TrailPoint, axis: RatioAxis) -> Line:
        """Return an interval as it was at fewer pairs, where it now stands."""
        blank = " " * (_RANGE + 2 if self.ranged else 0)
        end = f"  {blank}{_pairs(point.pairs)}"
        return (*pad((), self.before), *interval_line(point, axis, "dim"), (end, "dim"))


def _pairs(pairs: int) -> str:
    return right(f"n {count(pairs)}", _PAIRS)


def _differences(
    shown: ComparisonView,
    letter: str,
    arm: ArmView,
    columns: _Columns,
    ratios: RatioAxis | None,
    points: RatioAxis | None,
) -> Iterator[Line]:
    """Give what is known of an arm against the first, a line a figure, ratios before shares."""
    first = _name(shown.arms[0].name)
    head = f"{letter} {_name(arm.name)} against {ARM_LETTERS[0]} {first}"
    yield from fold(((head, "accent"),), columns.width)
    for unit, axis in (("ratio", ratios), ("points", points)):
        figures = [one for one in arm.figures if (one.figure in SHARES) == (unit == "points")]
        if figures and axis is not None:
            yield columns.heads(unit, axis)
        for figure in figures:
            yield columns.line(figure, axis, shown)


def _trail(
    letter: str, arm: ArmView, columns: _Columns, axis: RatioAxis | None, most: int
) -> list[Line]:
    """Return how the interval of the figure that decides narrowed, the newest first, in at most so
    many lines."""
    decides = next((one for one in arm.figures if one.decides), None)
    known = [one for one in arm.trail if one.low is not None or one.high is not None]
    if decides is None or axis is None or decides.figure in SHARES or len(known) < _LEAST_TRAIL:
        return []
    # From one to the next so many times the pairs: an interval narrows with their square root.
    step = (known[-1].pairs / max(1, known[0].pairs)) ** (1 / max(1, most - 1))
    chosen = [known[-1]]
    for point in reversed(known[:-1]):
        if point.pairs * step <= chosen[-1].pairs * _NEARLY:
            chosen.append(point)
    head = f"how {FIGURE_NAMES[decides.figure]} of {letter} narrowed, newest first"
    lines = [columns.trail_line(point, axis) for point in chosen[:most]]
    return [clip(((head, "accent"),), columns.width), *lines]


def _merged(marks: Sequence[Span]) -> Line:
    """Return cells with neighbours of one role as one span."""
    line: list[Span] = []
    for text, role in marks:
        if line and line[-1][1] == role:
            line[-1] = (line[-1][0] + text, role)
        else:
            line.append((text, role))
    return tuple(line)
