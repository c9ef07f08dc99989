"""What the page of a sweep shows: the answer, how far it is, the chart, and every step.

Rule 1. The answer comes first: the sentence that says what was found, and how far it is.
Rule 2. The chart takes what is left of the height, and its scales have few steps: a point that
comes seldom moves the others.
Rule 3. Every step is a row, the newest last, with all that became of its probes; what is fine is
dim, and what hurts is told by words and signs that colours only repeat.
"""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Final

from probes.kit.sanitise import neutralise
from probes.sweeping.estimates import Estimate
from probes.sweeping.picture import look_of, picture_of
from probes.sweeping.views import StepEnd, StepPurpose, SweepPoint, SweepState, SweepView
from probes.sweeping.words import goal_words, load_number
from tui.draw.load_chart import LEAST_HEIGHT, load_chart, sign_of
from tui.draw.table import Cell, Column, Table, fit
from tui.draw.text import (
    NO_FIGURE,
    Line,
    Role,
    age,
    clip,
    count,
    counted,
    fold,
    lasting,
    line_width,
    seconds,
    three_digits,
    usd,
)

STATE_WORDS: Final[dict[SweepState, str]] = {
    "waiting": "○ not begun",
    "running": "● running",
    "done": "✓ done",
    "ill": "✖ provider changed",
    "budget": "■ budget spent",
    "stopped": "‖ stopped",
    "failed": "✖ failed",
}
_STATE_ROLES: Final[dict[SweepState, Role]] = {
    "waiting": "dim",
    "running": "good",
    "done": "good",
    "ill": "missed",
    "budget": "slow",
    "stopped": "dim",
    "failed": "missed",
}
PURPOSES: Final[dict[StepPurpose, str]] = {"check": "checked, ", "confirm": "again, "}
_NAME_LIMIT: Final = 120
_SENTENCE_LIMIT: Final = 900
_BAR: Final = 20
_MOST_CHART: Final = 28
_MOST_CHART_WIDTH: Final = 150
_ENDS: Final[dict[StepEnd, str]] = {
    "tight": "tight",
    "time": "time over",
    "probes": "probes used",
    "stopped": "stopped",
}


def sweep_lines(
    shown: SweepView, width: int, height: int = 0, *, is_live: bool = True
) -> list[Line]:
    """Return the page in lines of at most `width` cells; whoever shows it scrolls.

    Names and the sentence are made harmless here. The chart takes what is left of `height`. Where
    the screen stands in the past, it is not `is_live`, and the page says that the sweep does not.
    """
    inner = max(1, width - 2)
    lines = [*_answer(shown, inner), (), *_progress(shown, inner, is_live=is_live)]
    steps = list(_steps(shown, inner))
    room = height - len(lines) - len(steps) - 2
    lines += _chart(shown, inner, room)
    if steps:
        lines += [(), *steps]
    return [clip(((" ", "text"), *line) if line else line, width) for line in lines]


def _answer(shown: SweepView, width: int) -> Iterator[Line]:
    words = neutralise(shown.sentence, _SENTENCE_LIMIT) or "Nothing can be said yet."
    role: Role = "title" if shown.is_over else "text"
    yield from fold(((words, "missed" if shown.state in ("ill", "failed") else role),), width)


def _progress(shown: SweepView, width: int, *, is_live: bool) -> Iterator[Line]:
    """Give how far it is: state, what is asked for, what is spent and left."""
    cost = shown.cost
    parts: list[Line] = [
        ((STATE_WORDS[shown.state], _STATE_ROLES[shown.state]),),
        ((lasting(shown.seconds), "text"),),
    ]
    if shown.waits:
        parts.append(((neutralise(shown.waits, _NAME_LIMIT), "slow"),))
    elif not shown.is_over and shown.doing:
        doing: Line = ((neutralise(shown.doing, _NAME_LIMIT), "text"),)
        if shown.load is not None and shown.step_share > 0:
            filled = round(shown.step_share * _BAR)
            doing = (*doing, (" " + "━" * filled, "accent"), ("─" * (_BAR - filled), "faint"))
            if shown.running is not None:
                doing = (*doing, (f" n {count(shown.running.n)}", "dim"))
        parts.append(doing)
    if shown.left_s is not None and not shown.is_over:
        parts.append(((f"about {age(shown.left_s)} left", "text"),))
    most_tokens = shown.most_tokens or cost.tokens
    parts.append(
        ((f"{count(shown.spent_probes)} of {counted(cost.probes, 'probe', short=True)}", "text"),)
    )
    parts.append(
        ((f"{count(shown.spent_tokens)} of {counted(most_tokens, 'token', short=True)}", "text"),)
    )
    most_usd = cost.usd if shown.most_usd is None else shown.most_usd
    if most_usd is not None:
        parts.append(((f"${usd(shown.spent_usd)} of ${usd(most_usd)}", "text"),))
    elif not shown.is_over:
        parts.append((("no price is known", "dim"),))
    goals = ", ".join(goal_words(goal) for goal in shown.goals) or "none"
    parts.append(((f"goals: {goals}", "dim"),))
    if not is_live:
        parts.append((("it sweeps now, not in the past that is shown", "slow"),))
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


def _chart(shown: SweepView, width: int, room: int) -> list[Line]:
    picture = picture_of([shown])
    if picture is None:
        return []
    lines = load_chart(
        picture, shown, min(width, _MOST_CHART_WIDTH), min(_MOST_CHART, max(LEAST_HEIGHT + 4, room))
    )
    return [(), *lines] if lines else []


def _steps(shown: SweepView, width: int) -> Iterator[Line]:
    points = [*shown.points, *([shown.running] if shown.running is not None else [])]
    if not points:
        return
    by = shown.by
    columns: list[Column[SweepPoint]] = [
        Column("", 1, lambda one: Cell(*sign_of(look_of(one)))),
        Column("AT", 5, lambda one: Cell(load_number(one.load, by), "title")),
        Column("N", 5, lambda one: Cell(count(one.n), "text"), 1),
        Column("429", 4, lambda one: _trouble(one.throttled, "throttled"), 2),
        Column("FAILED", 6, lambda one: _trouble(one.failed + one.hung, "missed"), 3),
        Column("50", 5, lambda one: Cell(_time(one.ttft_p50), "dim"), 8, group="TTFT"),
        Column("95", 5, lambda one: _latency(one, "ttft_p95"), group="TTFT"),
        Column("surely", 14, lambda one: Cell(_range(one.ttft_p95), "dim"), 7, flush_left=True),
        Column("95", 5, lambda one: _latency(one, "e2e_p95"), 4, group="E2E"),
        Column("tok/s", 5, lambda one: Cell(_figure(one.tokens_per_s)), 5),
        Column("req/min", 7, lambda one: Cell(_figure(one.requests_per_s, 60)), 6),
        Column("off%", 4, lambda one: Cell(_width(one.requests_per_s), "dim"), 9),
        Column("SKIPPED", 7, lambda one: _trouble(one.skipped, "slow"), 10),
        Column("OPEN", 5, lambda one: Cell(three_digits(one.in_flight), "dim"), 12),
        Column("took", 5, lambda one: Cell(age(one.seconds), "dim"), 13),
        Column(
            "",
            22,
            lambda one: Cell("by now" if one is shown.running else _why(one), "dim"),
            11,
            flush_left=True,
        ),
    ]
    table: Table[SweepPoint] = fit(columns, width, gap=2)
    yield table.head_line()
    for point in points:
        row = table.line(point)
        # What is not over yet is no point of the chart, and may become another one.
        yield row if point is not shown.running else tuple((text, "dim") for text, _ in row)


def _trouble(number: int, role: Role) -> Cell:
    return Cell(count(number), role) if number else Cell("0", "faint")


def _latency(point: SweepPoint, name: str) -> Cell:
    found: Estimate | None = point.ttft_p95 if name == "ttft_p95" else point.e2e_p95
    state = next((one.state for one in point.goals if one.goal.name == name), "unknown")
    roles: dict[str, Role] = {"missed": "missed", "beyond": "sluggish", "met": "good"}
    return Cell(_time(found), roles.get(state, "text"))


def _time(found: Estimate | None) -> str:
    if found is None:
        return NO_FIGURE
    return "never" if found.value == inf else seconds(found.value)


def _range(found: Estimate | None) -> str:
    if found is None or found.value == inf:
        return NO_FIGURE
    high = "…" if found.high == inf else seconds(found.high)
    return f"{seconds(found.low)}–{high}"


def _figure(found: Estimate | None, factor: float = 1.0) -> str:
    return three_digits(None if found is None else found.value * factor)


def _width(found: Estimate | None) -> str:
    if found is None or found.half_width == inf:
        return NO_FIGURE
    return f"{found.half_width * 100:.0f}"


def _why(point: SweepPoint) -> str:
    """Return what a row was for, and why it ended."""
    return PURPOSES.get(point.purpose, "") + _ENDS[point.end]
