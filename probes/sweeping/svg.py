"""The chart of a sweep as an SVG that stands alone: it loads nothing and runs nothing.

Rule 1: what differs by colour differs by shape too: filled and hollow points, crosses, dashes.
Rule 2: it is light on a white ground wherever it is shown, for it is put into pages and papers.
Rule 3: every word in it is made harmless and escaped here.
"""

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from math import inf
from textwrap import wrap
from typing import Final

from probes.kit.sanitise import neutralise
from probes.kit.short_figures import three_digits
from probes.sweeping.picture import Axes, Dot, SweepCurve, picture_of
from probes.sweeping.views import SweepView
from probes.sweeping.words import load_number

WIDTH: Final = 760
_LEFT: Final = 64
_RIGHT: Final = 24
_PLOT: Final = 320
_LINE: Final = 18
_CHARACTERS: Final = 104
"""Of a line of words, at 13 units a letter's height."""
_SENTENCE: Final = 900
_NAME: Final = 60
_COLOURS: Final = ("#1d5fa8", "#9a9a9a")
_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#222}"
    ".small{font-size:11px;fill:#666}.head{font-weight:600;font-size:15px}"
    ".rule{stroke:#e4e4e4;fill:none}.axis{stroke:#888;fill:none}"
    ".goal{stroke:#b3261e;stroke-dasharray:6 4;fill:none}.goal-word{fill:#b3261e;font-size:11px}"
    ".knee{stroke:#7a4fb5;stroke-dasharray:2 3;fill:none}.knee-word{fill:#7a4fb5;font-size:11px}"
)


def svg_of(view: SweepView, former: SweepView | None = None) -> str:
    """Return the chart of a sweep, with a former one beside it where there is one."""
    views = [view] if former is None else [view, former]
    lines = wrap(neutralise(view.sentence, _SENTENCE), _CHARACTERS)
    top = 34 + _LINE * len(lines) + 14 + _LINE * (former is not None)
    height = top + _PLOT + 52
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="head" x="{_LEFT}" y="24">{escape(neutralise(view.route, _NAME))}</text>',
    ]
    for number, line in enumerate(lines):
        parts.append(f'<text x="{_LEFT}" y="{46 + _LINE * number}">{escape(line)}</text>')
    if former is not None:
        words = f"grey: {neutralise(former.route, _NAME)}, swept before"
        parts.append(f'<text class="small" x="{_LEFT}" y="{top - 22}">{escape(words)}</text>')
    picture = picture_of(views)
    if picture is None:
        parts.append(f'<text class="small" x="{_LEFT}" y="{top + 20}">nothing was measured</text>')
    else:
        parts.extend(_frame(picture.axes, top))
        # What is looked at is drawn last, over what it is compared with.
        for place in reversed(range(len(views))):
            parts.extend(_curve(picture.curves[place], picture.axes, views[place], top, place))
    return "".join([*parts, "</svg>\n"])


def _x(axes: Axes, value: float) -> float:
    return _LEFT + axes.x_share(value) * (WIDTH - _LEFT - _RIGHT)


def _y(axes: Axes, value: float, top: int) -> float:
    return top + (1 - axes.y_share(value)) * _PLOT


def _frame(axes: Axes, top: int) -> Iterator[str]:
    bottom, right = top + _PLOT, WIDTH - _RIGHT
    for tick in axes.y_ticks:
        y = _y(axes, tick, top)
        yield f'<path class="rule" d="M{_LEFT} {y:.1f}H{right}"/>'
        words = f'<text class="small" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
        yield f"{words}{tick:g} s</text>"
    for tick in axes.x_ticks:
        x = _x(axes, tick)
        yield f'<path class="axis" d="M{x:.1f} {bottom}v4"/>'
        words = f"{tick:,.4g}"
        yield (
            f'<text class="small" x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{words}</text>'
        )
    yield f'<path class="axis" d="M{_LEFT} {top}V{bottom}H{right}"/>'
    yield (
        f'<text class="small" x="{right}" y="{bottom + 36}" text-anchor="end">'
        f"{axes.x_name} →</text>"
    )
    yield f'<text class="small" x="{_LEFT}" y="{top - 4}">↑ {axes.y_name}, log scale</text>'


def _curve(curve: SweepCurve, axes: Axes, view: SweepView, top: int, place: int) -> Iterator[str]:
    colour, bottom, right = _COLOURS[place], top + _PLOT, WIDTH - _RIGHT
    if curve.goal_s is not None and not place:
        y = _y(axes, curve.goal_s, top)
        yield f'<path class="goal" d="M{_LEFT} {y:.1f}H{right}"/>'
        words = f"goal {three_digits(curve.goal_s)} s"
        yield f'<text class="goal-word" x="{_LEFT + 6}" y="{y - 5:.1f}">{words}</text>'
    if curve.knee is not None:
        x = _x(axes, curve.knee)
        yield f'<path class="knee" d="M{x:.1f} {top}V{bottom}"/>'
        if not place and view.knee is not None:
            words = f"knee at {load_number(view.knee, view.by)}"
            yield (
                f'<text class="knee-word" x="{x - 5:.1f}" y="{top + 12}" text-anchor="end">'
                f"{words}</text>"
            )
    dash = ' stroke-dasharray="5 4"' if place else ""
    for before, after in pairwise(curve.dots):
        ends = [
            f"{_x(axes, dot.x):.1f} {_y(axes, dot.y.value, top):.1f}" for dot in (before, after)
        ]
        yield f'<path d="M{ends[0]}L{ends[1]}" stroke="{colour}" fill="none"{dash}/>'
    for dot in curve.dots:
        yield from _dot(dot, axes, view, top, colour)


def _dot(dot: Dot, axes: Axes, view: SweepView, top: int, colour: str) -> Iterator[str]:
    x, y = _x(axes, dot.x), _y(axes, dot.y.value, top)
    if dot.y.value < inf:
        low, high = _y(axes, dot.y.low, top), _y(axes, dot.y.high, top)
        # Where it is open above, an arrow says so: a line to the top would be all that is seen.
        end = f"V{high:.1f}" if dot.y.high < inf else f"V{y - 14:.1f}m-3 4l3 -4l3 4"
        yield f'<path d="M{x:.1f} {low:.1f}{end}" fill="none" stroke="{colour}" opacity=".45"/>'
    match dot.look:
        case "within":
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
        case "beyond":
            yield (
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#fff" stroke="{colour}" '
                'stroke-width="1.5"/>'
            )
        case _:
            yield (
                f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="#b3261e" '
                'stroke-width="2" fill="none"/>'
            )
    words = load_number(dot.load, view.by)
    words += {"refused": " 429", "failing": " fails"}.get(dot.look, "")
    yield f'<text class="small" x="{x + 7:.1f}" y="{y + 13:.1f}">{words}</text>'
