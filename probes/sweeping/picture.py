"""What a chart of a sweep shows, whoever draws it: throughput against latency.

Rule 1: throughput goes to the right, latency up, and a line joins the points by their load. Where
it turns upwards is the knee: from there on more load buys nothing but waiting.
Rule 2: both axes are labelled with round figures and begin at fixed ones: two sweeps that are drawn
in one picture are drawn by the same axes.
Rule 3: a latency without end stands at the top, with a mark of its own.
"""

from collections.abc import Iterable, Sequence
from math import ceil, floor, inf, log10
from typing import Final, Literal, NamedTuple, TypeAlias

from probes.sweeping.edges import is_failing, is_refused
from probes.sweeping.estimates import Estimate
from probes.sweeping.views import SweepPoint, SweepView

Look: TypeAlias = Literal["within", "beyond", "refused", "failing"]
"""Of a point: all goals kept, one missed, 429s, other failures."""
_DECADE: Final = (1.0, 2.0, 5.0)
_LEAST_SPAN: Final = 4.0
"""Of the axis of latency, from its foot to its top, in times."""
_TICKS: Final = 5


class Dot(NamedTuple):
    """A point in a picture."""

    x: float
    """Output tokens a second; requests a minute where tokens are not known."""
    y: Estimate
    """Seconds."""
    load: float
    look: Look


class SweepCurve(NamedTuple):
    """One sweep in a picture."""

    dots: tuple[Dot, ...]
    """By their load."""
    goal_s: float | None
    """Of the latency that is drawn."""
    knee: float | None
    """Its throughput at the knee."""


class Axes(NamedTuple):
    """The scales that all curves of a picture share."""

    x_name: str
    y_name: str
    x_top: float
    x_ticks: tuple[float, ...]
    y_low: float
    y_top: float
    y_ticks: tuple[float, ...]

    def x_share(self, value: float) -> float:
        """Return where a throughput lies, from 0 to 1."""
        return min(1.0, max(0.0, value / self.x_top))

    def y_share(self, value: float) -> float:
        """Return where a latency lies, from 0 to 1, by its logarithm."""
        if value >= self.y_top:
            return 1.0
        if value <= self.y_low:
            return 0.0
        return log10(value / self.y_low) / log10(self.y_top / self.y_low)


class SweepPicture(NamedTuple):
    """All that is drawn."""

    axes: Axes
    curves: tuple[SweepCurve, ...]
    """The sweep first, then what it is compared with."""


def picture_of(views: Sequence[SweepView]) -> SweepPicture | None:
    """Return what there is to draw of sweeps; None where none has a point with both figures."""
    streamed = all(one.ttft_p95 is not None for view in views for one in view.points)
    in_tokens = all(
        one.tokens_per_s is not None and one.tokens_per_s.value > 0
        for view in views
        for one in view.points
        if one.ok
    )
    curves = tuple(_curve(view, streamed=streamed, in_tokens=in_tokens) for view in views)
    dots = [dot for curve in curves for dot in curve.dots]
    if not dots:
        return None
    x_top, x_ticks = _straight(max(dot.x for dot in dots))
    goals = [curve.goal_s for curve in curves if curve.goal_s is not None]
    seen = [dot.y.value for dot in dots if 0 < dot.y.value < inf]
    y_low, y_top, y_ticks = _logarithmic([*seen, *goals] or [1.0])
    return SweepPicture(
        Axes(
            "output tokens a second" if in_tokens else "requests a minute",
            "TTFT p95" if streamed else "E2E p95",
            x_top,
            x_ticks,
            y_low,
            y_top,
            y_ticks,
        ),
        curves,
    )


def look_of(point: SweepPoint) -> Look:
    """Return what a point is drawn as."""
    if is_refused(point):
        return "refused"
    if is_failing(point):
        return "failing"
    return "within" if point.within else "beyond"


def _curve(view: SweepView, *, streamed: bool, in_tokens: bool) -> SweepCurve:
    by_load = {one.load: one for one in view.points if one.purpose != "check"}
    dots = []
    for load in sorted(by_load):
        point = by_load[load]
        y = point.ttft_p95 if streamed else point.e2e_p95
        x = throughput(point, in_tokens=in_tokens)
        if x is not None and y is not None:
            dots.append(Dot(x, y, load, look_of(point)))
    name = "ttft_p95" if streamed else "e2e_p95"
    goal_s = next((goal.value for goal in view.goals if goal.name == name), None)
    return SweepCurve(tuple(dots), goal_s, _at_knee(view.knee, dots))


def throughput(point: SweepPoint, *, in_tokens: bool) -> float | None:
    """Return what a point carries, in output tokens a second or requests a minute."""
    if in_tokens:
        return None if point.tokens_per_s is None else point.tokens_per_s.value
    return None if point.requests_per_s is None else point.requests_per_s.value * 60


def _at_knee(knee: float | None, dots: Iterable[Dot]) -> float | None:
    """Return the throughput at the knee, between the points on both sides of it."""
    if knee is None:
        return None
    below: Dot | None = None
    for dot in dots:
        if dot.load >= knee:
            if below is None or dot.load == knee:
                return dot.x
            part = (knee - below.load) / (dot.load - below.load)
            return below.x + part * (dot.x - below.x)
        below = dot
    return None if below is None else below.x


def _straight(largest: float) -> tuple[float, tuple[float, ...]]:
    """Return the top of an axis from 0, and its ticks."""
    largest = max(largest, 1e-9)
    unit = 10 ** floor(log10(largest / _TICKS))
    step = next(unit * one for one in (1, 2, 2.5, 5, 10) if unit * one * _TICKS >= largest * 0.999)
    count = ceil(largest / step * 0.999)
    return count * step, tuple(step * number for number in range(count + 1))


def _logarithmic(values: Sequence[float]) -> tuple[float, float, tuple[float, ...]]:
    """Return the foot and the top of a logarithmic axis, and its ticks: 1, 2 and 5 of decades."""
    steps = [
        10.0**decade * one
        for decade in range(floor(log10(min(values))) - 1, ceil(log10(max(values))) + 2)
        for one in _DECADE
    ]
    low = max(step for step in steps if step <= min(values) * 1.001)
    # Room above the largest, for what is without end.
    top = min(step for step in steps if step > max(values) * 1.05 and step >= low * _LEAST_SPAN)
    return low, top, tuple(step for step in steps if low <= step <= top)
