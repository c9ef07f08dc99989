"""Charts as SVG text, for a page that may load nothing and run nothing.

Rule 1: colours are classes that the page's style fills, so that one picture serves light, dark and
paper. What differs by colour differs by shape too: dashes, heights, words.
Rule 2: a chart is 400 units wide, as wide as a phone has pixels: its 11-unit words can be read
there, and a desk shows two side by side.
Rule 3: all charts of a page have the same axis of time, with the same marks: the incident is a
band, its onset and end are lines, knobs and marks are triangles with a number that the page tells.
Rule 4: where nothing was measured there is a hole, never a line through it.
Rule 5: every word in a picture is escaped here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, inf, log10
from typing import Final, NamedTuple

from probes.board.views import HURT_STATES, RouteState
from probes.events import AttemptFinished
from probes.handover.facts import ChartSlice, ProbeStory, RouteFacts
from probes.handover.window import Stretch
from probes.handover.words import utc_time
from probes.kit.clock import NS_PER_S, seconds
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import three_digits

WIDTH: Final = 400
_LEFT: Final = 38
_RIGHT: Final = 8
_TOP: Final = 14
_PLOT: Final = 96
_AXIS: Final = 18
_NAME: Final = 20
"""Characters of a route's name in a chart."""
_TICKS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400)
_MOST_TICKS: Final = 5


class ChartMark(NamedTuple):
    """Something that happened, at its place on every axis."""

    at_ns: int
    number: int
    """By which the page tells it."""


@dataclass(frozen=True, slots=True)
class ChartAxis:
    """What all charts of a page have in common."""

    stretch: Stretch
    anchor_ns: int
    """What makes Unix time of a stamp."""
    band: tuple[int, int] | None = None
    """From the onset to the end of the incident, as far as it lies in the stretch."""
    is_open: bool = False
    """It was not over at the end."""
    marks: tuple[ChartMark, ...] = ()

    def x(self, at_ns: float) -> float:
        """Return where a stamp lies."""
        begin, end = self.stretch
        share = (at_ns - begin) / max(1, end - begin)
        return _LEFT + min(1.0, max(0.0, share)) * (WIDTH - _LEFT - _RIGHT)


class Curve(NamedTuple):
    """One line of a chart."""

    name: str
    look: str
    """Class of its stroke."""
    values: Sequence[float | None]


def curves_chart(
    title: str,
    unit: str,
    slices: Sequence[ChartSlice],
    curves: Sequence[Curve],
    axis: ChartAxis,
    *,
    goal: float | None = None,
    most: float | None = None,
) -> str:
    """Return lines over time; `goal` is a line of its own, `most` the fixed end of the scale."""
    known = [value for curve in curves for value in curve.values if value is not None]
    top = most if most is not None else _nice_top(max([*known, goal or 0.0], default=1.0))
    middle_ns = _middle_ns(slices)
    least = min((value for value in known if value > 0), default=top)
    if most is None and top > _LINEAR_UPTO * least:
        # One that took a minute would press all that is usual onto the axis.
        unit += ", log scale"
        low = 10.0 ** floor(log10(least))
        scale = _log_scale(low, top)
        decades = range(round(log10(low)), floor(log10(top)) + 1)
        places = [10.0**decade for decade in decades]
    else:
        scale = _scale(top)
        places = _steps(top)
    parts = [*_frame(axis, _PLOT), *_rules(places, scale)]
    goal_word = ""
    if goal is not None and goal <= top:
        y = scale(goal)
        below = y < _TOP + 12
        parts.append(f'<path class="goal" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        goal_word = (
            f'<text class="goal-word" x="{WIDTH - _RIGHT}" y="{y + (10 if below else -3):.1f}" '
            f'text-anchor="end">goal {goal:g}</text>'
        )
    for curve in curves:
        points = [
            (axis.x(one.start_ns + middle_ns), None if value is None else scale(min(value, top)))
            for one, value in zip(slices, curve.values, strict=True)
        ]
        parts.append(f'<path class="line {curve.look}" d="{_path(points)}"/>')
    parts.append(goal_word)  # after the lines, which would strike it through
    keys = [(curve.name, curve.look) for curve in curves]
    return _svg(title, unit, parts, _PLOT, keys if len(keys) > 1 else ())


def bars_chart(
    title: str,
    unit: str,
    slices: Sequence[ChartSlice],
    stacks: Sequence[Curve],
    axis: ChartAxis,
) -> str:
    """Return counts over time, what belongs together stacked."""
    totals = [sum(each) for each in zip(*(_zeros(one.values) for one in stacks), strict=True)]
    top = _nice_top(max(totals, default=1.0), whole=True)
    scale = _scale(top)
    width = max(0.8, (WIDTH - _LEFT - _RIGHT) / max(1, len(slices)) * 0.84)
    parts = [*_frame(axis, _PLOT), *_rules(_steps(top), scale)]
    below = [0.0] * len(slices)
    middle_ns = _middle_ns(slices)
    for stack in stacks:
        bars = []
        for index, (one, value) in enumerate(zip(slices, _zeros(stack.values), strict=True)):
            if not value:
                continue
            x = axis.x(one.start_ns + middle_ns) - width / 2
            high, low = scale(below[index] + value), scale(below[index])
            bars.append(f"M{x:.1f} {low:.1f}V{high:.1f}h{width:.1f}V{low:.1f}z")
            below[index] += value
        parts.append(f'<path class="bar {stack.look}" d="{"".join(bars)}"/>')
    if not any(totals):
        parts.append(_nothing("none in this time"))
    keys = [(stack.name, stack.look) for stack in stacks]
    return _svg(title, unit, parts, _PLOT, keys if len(keys) > 1 else ())


def states_chart(title: str, routes: Sequence[RouteFacts], axis: ChartAxis) -> str:
    """Return a band for each route: what hurts is high and carries its word, what is well is a
    thin line."""
    row = 30
    height = row * len(routes)
    parts = [*_frame(axis, height)]
    for index, route in enumerate(routes):
        y = _TOP + index * row
        name = neutralise(route.info.name, _NAME * 2)
        parts.append(f'<text class="name" x="{_LEFT}" y="{y + 10}">{escape(name)}</text>')
        for begin_ns, until_ns, state in _spans(route.states, axis.stretch.end_ns):
            left, right = axis.x(begin_ns), axis.x(until_ns)
            width = max(1.0, right - left)
            high = 12 if state in HURT_STATES else 3
            parts.append(
                f'<rect class="{_state_look(state)}" x="{left:.1f}" y="{y + 26 - high}" '
                f'width="{width:.1f}" height="{high}"/>'
            )
            if state in HURT_STATES and width >= 6.2 * len(state):
                parts.append(
                    f'<text class="in-band" x="{left + 4:.1f}" y="{y + 23}">{escape(state)}</text>'
                )
    return _svg(title, "", parts, height, ())


def arrivals_chart(
    title: str, story: ProbeStory, longest_s: float, stall_after_s: float = inf
) -> str:
    """Return one probe as a waterfall: connecting, waiting, writing with its chunks, pauses longer
    than `stall_after_s`, the waits between attempts, and how each attempt ended."""
    begin_ns = story.probe.started_ns
    room = WIDTH - _LEFT - _RIGHT
    longest_s = _nice_top(max(longest_s, 0.001))

    def place(stamp_ns: int) -> float:
        return _LEFT + min(1.0, max(0.0, seconds(stamp_ns - begin_ns) / longest_s)) * room

    parts: list[str] = []
    shown = story.attempts[:_MOST_ROWS]
    plot = _ROW * len(shown) + 4
    step_s = _nice_step(longest_s / 4)
    for number in range(floor(longest_s / step_s * 1.001) + 1):
        at = _LEFT + number * step_s / longest_s * room
        anchor = "middle" if at < WIDTH - 24 else "end"
        parts.append(f'<path class="rule" d="M{at:.1f} {_TOP}V{_TOP + plot}"/>')
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{_TOP + plot + 13}" '
            f'text-anchor="{anchor}">{number * step_s:g} s</text>'
        )
    for row, attempt in enumerate(shown):
        y = _TOP + _ROW * row
        if row:
            line = f"M{place(shown[row - 1].at_ns):.1f} {y + 7}H{place(_started_ns(attempt)):.1f}"
            parts.append(f'<path class="waits" d="{line}"/>')
        parts += _attempt_row(attempt, place, y, stall_after_s)
    return _svg(title, "", parts, plot, ())


_ROW: Final = 18
_MOST_ROWS: Final = 8


def _started_ns(attempt: AttemptFinished) -> int:
    return attempt.at_ns if attempt.stamps_ns.started is None else attempt.stamps_ns.started


def _attempt_row(
    attempt: AttemptFinished, place: Callable[[int], float], y: int, stall_after_s: float
) -> Iterator[str]:
    """Give one attempt: what it did when, its chunks and pauses, and how it ended."""
    stamps, started_ns, ended_ns = attempt.stamps_ns, _started_ns(attempt), attempt.at_ns
    sent_ns = stamps.sent or ended_ns
    first_ns = stamps.first_token or ended_ns
    headers_ns = stamps.headers or first_ns
    for look, from_ns, until_ns in (
        ("connects", started_ns, sent_ns),
        ("waits-head", sent_ns, headers_ns),
        ("waits-first", headers_ns, first_ns),
        ("writes", first_ns, ended_ns),
    ):
        left, right = place(from_ns), place(until_ns)
        if right - left > 0.05:
            yield _block(look, left, right, y)
    for before_ns, after_ns in pairwise(attempt.chunk_offsets_ns):
        gap_s = seconds(after_ns - before_ns)
        if gap_s <= stall_after_s:
            continue
        left, right = place(started_ns + before_ns), place(started_ns + after_ns)
        yield _block("pauses", left, right, y)
        if right - left > _WORD_ROOM:
            yield (
                f'<text class="pause-word" x="{(left + right) / 2:.1f}" y="{y + 10.5}" '
                f'text-anchor="middle">pause {three_digits(gap_s)} s</text>'
            )
    places = (place(started_ns + offset_ns) for offset_ns in attempt.chunk_offsets_ns)
    if chunks := "".join(f"M{at:.1f} {y + 2}v10" for at in _apart(places)):
        yield f'<path class="chunks" d="{chunks}"/>'
    yield _ending(attempt.outcome, place(ended_ns), y)
    yield (
        f'<text class="tick" x="{_LEFT - 4}" y="{y + 10}" text-anchor="end">'
        f"{attempt.attempt + 1}</text>"
    )


_WORD_ROOM: Final = 60


def _block(look: str, left: float, right: float, y: int) -> str:
    return (
        f'<rect class="{look}" x="{left:.1f}" y="{y + 2}" '
        f'width="{max(0.6, right - left):.1f}" height="10"/>'
    )


def _ending(outcome: str, x: float, y: int) -> str:
    if outcome == "ok":
        return f'<path class="ends" d="M{x:.1f} {y}v14"/>'
    word = "⊘" if outcome == "throttled" else "✕"
    anchor = "start" if x < WIDTH - 20 else "end"
    return f'<text class="fails" x="{x:.1f}" y="{y + 11}" text-anchor="{anchor}">{word}</text>'


def _apart(places: Iterator[float]) -> Iterator[float]:
    """Give places that can be told apart: a thousand chunks are no more than so many lines."""
    last = -1.0
    for place in places:
        if place - last >= 0.8:
            last = place
            yield place


# What charts have in common.


def _svg(
    title: str, unit: str, parts: Sequence[str], plot: int, keys: Sequence[tuple[str, str]]
) -> str:
    height = _TOP + plot + _AXIS
    words = escape(title)
    legend = ""
    x = float(WIDTH - _RIGHT)
    for name, look in reversed(keys):
        x -= 6.0 * len(name)
        legend += f'<text class="tick" x="{x:.1f}" y="9">{escape(name)}</text>'
        x -= 18
        legend += f'<path class="line key {look}" d="M{x:.1f} 5.5h14"/>'
        x -= 8
    corner = f'<text class="tick" x="{_LEFT}" y="9">{escape(unit)}</text>' if unit else ""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{words}">'
        f"<title>{words}</title>{corner}{legend}{''.join(parts)}</svg>"
    )


def _frame(axis: ChartAxis, plot: int) -> Iterator[str]:
    """Give the band of the incident, the axis of time and its marks."""
    bottom = _TOP + plot
    if axis.band is not None:
        left, right = axis.x(axis.band[0]), axis.x(axis.band[1])
        yield (
            f'<rect class="band" x="{left:.1f}" y="{_TOP}" '
            f'width="{max(1.0, right - left):.1f}" height="{plot}"/>'
        )
        yield f'<path class="onset" d="M{left:.1f} {_TOP}V{bottom}"/>'
        if not axis.is_open:
            yield f'<path class="end" d="M{right:.1f} {_TOP}V{bottom}"/>'
    yield f'<path class="axis" d="M{_LEFT} {bottom}H{WIDTH - _RIGHT}"/>'
    begin, end = axis.stretch
    lasts_s = seconds(end - begin)
    step_s = next((step for step in _TICKS_S if lasts_s / step <= _MOST_TICKS), _TICKS_S[-1])
    first = ceil((begin + axis.anchor_ns) / NS_PER_S / step_s) * step_s
    for wall_s in range(first, (end + axis.anchor_ns) // NS_PER_S + 1, step_s):
        x = axis.x(wall_s * NS_PER_S - axis.anchor_ns)
        told = utc_time(wall_s * NS_PER_S)
        shown = told if step_s < 60 else told[:5]
        anchor = "middle" if x > _LEFT + 14 and x < WIDTH - 24 else "start"
        anchor = "end" if x >= WIDTH - 24 else anchor
        yield f'<path class="axis" d="M{x:.1f} {bottom}v3"/>'
        yield (
            f'<text class="tick" x="{x:.1f}" y="{bottom + 13}" '
            f'text-anchor="{anchor}">{shown}</text>'
        )
    for mark in axis.marks:
        x = axis.x(mark.at_ns)
        yield f'<path class="mark" d="M{x:.1f} {_TOP}V{bottom}"/>'
        yield f'<path class="mark-head" d="M{x - 3:.1f} {_TOP}h6l-3 5z"/>'
        yield f'<text class="mark-word" x="{x + 3:.1f}" y="{_TOP + 8}">{mark.number}</text>'


def _steps(top: float) -> list[float]:
    """Return the places of a scale from zero that have a rule."""
    step = _nice_step(top / 2)
    return [number * step for number in range(floor(top / step * 1.001) + 1)]


def _rules(places: Sequence[float], scale: Callable[[float], float]) -> Iterator[str]:
    for number, place in enumerate(places):
        y = scale(place)
        if number:
            yield f'<path class="rule" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
        yield (
            f'<text class="tick" x="{_LEFT - 4}" y="{y + 3.5:.1f}" text-anchor="end">'
            f"{place:g}</text>"
        )


def _nothing(words: str) -> str:
    return (
        f'<text class="tick" x="{(WIDTH + _LEFT) / 2}" y="{_TOP + _PLOT / 2}" '
        f'text-anchor="middle">{escape(words)}</text>'
    )


def _scale(top: float) -> Callable[[float], float]:
    return lambda value: _TOP + _PLOT - value / top * (_PLOT - 4)


_LINEAR_UPTO: Final = 50
"""Times the least that is shown."""


def _log_scale(low: float, top: float) -> Callable[[float], float]:
    span = log10(top / low)
    return lambda value: _TOP + _PLOT - log10(max(value, low) / low) / span * (_PLOT - 4)


def _nice_step(value: float) -> float:
    """Return the largest of 1, 2, 5 × a power of ten that is no more than a value."""
    power = 10.0 ** floor(log10(max(value, 1e-9)))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= value * 1.001)


def _nice_top(value: float, *, whole: bool = False) -> float:
    """Return where a scale ends that a value fits into, with a quarter of it free at most."""
    value = max(value * 1.02, 2.0 if whole else 1e-6)
    power = 10.0 ** floor(log10(value))
    steps = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
    return next(step * power for step in steps if step * power >= value * 0.999)


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    """Return a line with holes; a point between two holes is a short dash."""
    parts, is_down = [], False
    for index, (x, y) in enumerate(points):
        if y is None:
            is_down = False
            continue
        parts.append(f"{'L' if is_down else 'M'}{x:.1f} {y:.1f}")
        after = points[index + 1][1] if index + 1 < len(points) else None
        if not is_down and after is None:
            parts.append("h1.5")
        is_down = True
    return "".join(parts)


def _zeros(values: Sequence[float | None]) -> list[float]:
    return [value or 0.0 for value in values]


def _middle_ns(slices: Sequence[ChartSlice]) -> int:
    return (slices[1].start_ns - slices[0].start_ns) // 2 if len(slices) > 1 else 0


def _spans(
    states: Sequence[tuple[int, RouteState]], end_ns: int
) -> Iterator[tuple[int, int, RouteState]]:
    for index, (begin_ns, state) in enumerate(states):
        until_ns = states[index + 1][0] if index + 1 < len(states) else end_ns
        yield begin_ns, until_ns, state


_LOOKS: Final[dict[str, tuple[RouteState, ...]]] = {
    "s-dead": ("down", "hanging", "failing"),
    "s-bad": ("throttled", "stalling", "sluggish"),
    "s-warn": ("slow", "masked", "changed"),
    "s-ok": ("ok",),
}


def _state_look(state: RouteState) -> str:
    return next((look for look, states in _LOOKS.items() if state in states), "s-none")
