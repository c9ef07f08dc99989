"""The routes pane draws a trend anew only where it has changed."""

import made
from changed import replace

from tui.draw.chart import trend_cells
from tui.draw.text import Line
from tui.panes.routes import Trends


def test_the_same_points_are_drawn_once_and_other_ones_anew() -> None:
    trends, points = Trends(), made.trend(0.4)
    first = trends(points, 20, 4.0, 1.0, 900 * 10**9)
    assert first == trend_cells(points, 20, 4.0, 1.0, 900 * 10**9)
    assert trends(points, 20, 4.0, 1.0, 900 * 10**9) is first
    assert trends(points, 10, 4.0, 1.0, 900 * 10**9) != first
    changed = (*points[:-1], replace(points[-1], p95=3.9))
    assert trends(changed, 20, 4.0, 1.0, 900 * 10**9) != first


def test_what_is_kept_is_bounded() -> None:
    trends = Trends()
    drawn: list[Line] = [
        trends(list(made.trend(0.4)), 5, 4.0, 1.0, 900 * 10**9) for _ in range(600)
    ]
    assert len(drawn) == 600
    assert len(trends) <= 256
