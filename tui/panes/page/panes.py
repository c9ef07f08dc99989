"""The panes of a route's page, all in one table: key, title and what draws them."""

from tui.panes.axis import axis_pane
from tui.panes.footer import footer_pane
from tui.panes.header import Strips
from tui.panes.page.crumbs import crumbs_pane
from tui.panes.page.figures import Figures, figures_subtitle, figures_title
from tui.panes.page.heat import HeatMaps, heat_subtitle, heat_title
from tui.panes.page.phases import Phases, phases_subtitle, phases_title
from tui.panes.page.probes import Probes, probes_cursor, probes_subtitle, probes_title
from tui.panes.page.verdict import RouteVerdict
from tui.panes.pane import PaneSpec


def page_panes(strips: Strips) -> tuple[PaneSpec, ...]:
    """Return the panes from the top of the page down; `strips` knows how the engine is."""
    return (
        PaneSpec("crumbs", 0, crumbs_pane(strips), moves=True),
        axis_pane(),
        PaneSpec("banner", 0, strips.banner, moves=True),
        PaneSpec("verdict", 0, RouteVerdict().lines),
        PaneSpec("phases", 1, Phases().lines, phases_title, phases_subtitle),
        PaneSpec("heat", 2, HeatMaps().lines, heat_title, heat_subtitle),
        PaneSpec("figures", 3, Figures().lines, figures_title, figures_subtitle),
        PaneSpec("probes", 4, Probes().lines, probes_title, probes_subtitle, probes_cursor),
        footer_pane("route"),
    )
