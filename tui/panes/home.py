"""The panes of the home screen, all in one table: key, title and what draws them."""

from functools import partial

from tui.panes.arrival import arrival_brief, arrival_lines, arrival_title, arrival_wants
from tui.panes.axis import axis_pane
from tui.panes.footer import footer_pane
from tui.panes.happenings import (
    happenings_brief,
    happenings_count,
    happenings_cursor,
    happenings_lines,
    happenings_subtitle,
    happenings_title,
    happenings_wants,
)
from tui.panes.header import Strips
from tui.panes.pane import PaneSpec
from tui.panes.percentiles import (
    Charts,
    percentiles_brief,
    percentiles_lines,
    percentiles_title,
    percentiles_wants,
)
from tui.panes.retries import retries_brief, retries_lines, retries_title, retries_wants
from tui.panes.routes import (
    Trends,
    cursor_row,
    routes_count,
    routes_lines,
    routes_subtitle,
    routes_title,
)
from tui.panes.throttling import (
    throttling_brief,
    throttling_lines,
    throttling_title,
    throttling_wants,
)
from tui.panes.verdicts import verdicts_lines


def home_panes(strips: Strips) -> tuple[PaneSpec, ...]:
    """Return the panes from the top of the screen down; header and banner are drawn by `strips`."""
    return (
        PaneSpec("header", 0, strips.header, moves=True),
        axis_pane(),
        PaneSpec("banner", 0, strips.banner, moves=True),
        PaneSpec("verdicts", 0, verdicts_lines),
        PaneSpec(
            "routes",
            1,
            partial(routes_lines, draw_trend=Trends()),
            routes_title,
            routes_subtitle,
            cursor_row,
            count=routes_count,
        ),
        PaneSpec(
            "arrival",
            2,
            arrival_lines,
            arrival_title,
            moves=True,
            brief=arrival_brief,
            wants=arrival_wants,
        ),
        PaneSpec(
            "percentiles",
            3,
            partial(percentiles_lines, draw_chart=Charts()),
            percentiles_title,
            brief=percentiles_brief,
            wants=percentiles_wants,
        ),
        PaneSpec(
            "throttling",
            4,
            throttling_lines,
            throttling_title,
            brief=throttling_brief,
            wants=throttling_wants,
        ),
        PaneSpec(
            "retries", 5, retries_lines, retries_title, brief=retries_brief, wants=retries_wants
        ),
        PaneSpec(
            "happenings",
            6,
            happenings_lines,
            happenings_title,
            happenings_subtitle,
            cursor=happenings_cursor,
            count=happenings_count,
            brief=happenings_brief,
            wants=happenings_wants,
        ),
        footer_pane("home"),
    )
