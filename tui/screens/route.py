"""The page of one route: what proves the verdict, and the last probes one by one."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.containers import Container

from probes.kit.clock import NS_PER_S
from tui.keys import bindings, hotkey, with_keys
from tui.panes.page.heat import is_of_gaps
from tui.panes.page.panes import page_panes
from tui.panes.page.probes import moved_probe, selected_probe
from tui.panes.page.subject import subject_of
from tui.panes.page.verdict import RouteVerdict
from tui.panes.pane import Pane
from tui.screens.cockpit import CockpitState
from tui.screens.live import SCROLL_STEP, LiveScreen
from tui.screens.page_layout import PAGE_PANES, PageArrangement, arrange_page
from tui.screens.request import RequestScreen

_PROBES: Final = 4
_ALL_PROBES: Final = 1_000_000
"""More rows than any list has: to its end."""


class RouteScreen(LiveScreen):
    """One route, whole; the route that is selected, whichever that is."""

    NAME = "route"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#phases"

    def __init__(self, cockpit: CockpitState) -> None:
        super().__init__(cockpit, page_panes(cockpit.strips))
        self._select_newest()
        self._arrangement: PageArrangement | None = None
        self._verdict = RouteVerdict()
        self._told: tuple[object, ...] = ()
        self._told_second = 0
        self._told_lines = 0

    def compose(self) -> ComposeResult:
        """Return the strips and panes; `arrange_panes` says which of them are displayed."""
        panes = self.panes
        yield from (panes["crumbs"], panes["axis"], panes["banner"], panes["verdict"])
        with Container(id="above"):
            yield from (self.pane(number) for number in PAGE_PANES[:2])
        with Container(id="below"):
            yield from (self.pane(number) for number in PAGE_PANES[2:])
        yield panes["footer"]

    def arrange_panes(self) -> PageArrangement:
        """Show the panes that have room."""
        banner = self.panes["banner"]
        banner.display = self.has_banner()
        arrangement = arrange_page(
            self.size.width,
            self.size.height,
            banner=banner.display,
            verdict=self._verdict_lines(),
            current=self.current,
            maximised=self.view.maximised,
            axis=self.view.past is not None,
        )
        if arrangement != self._arrangement:
            self._arrangement = arrangement
            self._apply(arrangement)
        self._count_hidden((*arrangement.above, *arrangement.below))
        return arrangement

    def _count_hidden(self, shown: Sequence[int]) -> None:
        """Let the last pane say how many have no room, and the key that goes to them."""
        hidden = len(PAGE_PANES) - len(shown) if self.view.maximised is None else 0
        told = f"+{hidden} pane{'s' if hidden > 1 else ''} · {hotkey('ring', self.view.keys).shown}"
        for number in shown:
            self.pane(number).note = told if hidden and number == shown[-1] else ""

    def _verdict_lines(self) -> int:
        """Return how many lines the verdict takes: of one route and width never fewer than it had,
        as long as the same is wrong, so that nothing jumps when a figure has a digit less."""
        subject = subject_of(self.latest, self.view)
        name = subject.route.name if subject is not None else ""
        wrong = tuple(one.diagnosis.id for one in self.latest.incidents)
        told, second = (name, self.size.width, wrong), self.latest.now_ns // NS_PER_S
        if (told, second) == (self._told, self._told_second):
            return self._told_lines
        lines = len(self._verdict.whole(self.latest, self.view, self.size.width))
        self._told_lines = max(self._told_lines, lines) if told == self._told else lines
        self._told, self._told_second = told, second
        return self._told_lines

    def _apply(self, arrangement: PageArrangement) -> None:
        self.set_class(not arrangement.framed, "-bare")
        self.panes["crumbs"].display = arrangement.header
        self.panes["axis"].display = arrangement.axis
        self.panes["footer"].display = arrangement.footer
        verdict = self.panes["verdict"]
        verdict.display = arrangement.verdict > 0
        verdict.styles.height = max(1, arrangement.verdict)
        above, below = self.query_one("#above"), self.query_one("#below")
        shown = (*arrangement.above, *arrangement.below)
        self.set_class(arrangement.columns == 1, "-single")
        for number in PAGE_PANES:
            self.pane(number).display = number in shown
        upper = sum(number in shown for number in PAGE_PANES[:2])
        lower = len(shown) - upper
        above.display, below.display = upper > 0, lower > 0
        if arrangement.columns == 1:
            above.styles.height = f"{max(1, upper)}fr"
            below.styles.height = f"{max(1, lower)}fr"
        else:
            above.styles.height = arrangement.above_height
            below.styles.height = "1fr"
        width = arrangement.figures_width
        self.panes["figures"].styles.width = "1fr" if width is None else width

    def pages(self) -> tuple[str, ...]:
        """Return the route of the page."""
        route = self.route()
        return (route.name,) if route is not None else ()

    def on_pane_row_clicked(self, event: Pane.RowClicked) -> None:
        """Select the probe that was pointed at."""
        self.action_move(event.rows_down)

    def action_back(self) -> None:
        """Give the pane its place back, or go back to all routes."""
        if self.view.maximised:
            self.look(replace(self.view, maximised=None))
        else:
            self.app.pop_screen()

    def action_trouble(self, step: int) -> None:
        """Go to the page of the next route that hurts, or of the one before; its newest probe is
        selected."""
        self._select_newest()
        super().action_trouble(step)

    def go_to(self, name: str) -> None:
        """Go to the page of a route; its newest probe is selected."""
        self._select_newest()
        super().go_to(name)

    def _select_newest(self) -> None:
        """Let the cursor go from a probe: it is of the route that was looked at."""
        self.view = replace(self.view, page=replace(self.view.page, probe=""))

    def action_scroll_pane(self, direction: int) -> None:
        """Scroll the current pane by some lines; the probes move their cursor."""
        if self.current == _PROBES:
            self.action_move(direction * SCROLL_STEP)
        else:
            super().action_scroll_pane(direction)

    def action_move(self, by: int) -> None:
        """Select another probe; the list is shown where it is not."""
        self._show_probes()
        self.look(moved_probe(self.latest, self.view, by))

    def action_edge(self, last: bool) -> None:
        """Select the first or the last probe of the list."""
        self._show_probes()
        self.look(moved_probe(self.latest, self.view, _ALL_PROBES if last else -_ALL_PROBES))

    def _show_probes(self) -> None:
        pane = self.pane(_PROBES)
        if self.current != _PROBES:
            self.current = _PROBES
            if self.view.maximised:
                self.view = replace(self.view, maximised=_PROBES)
            pane.focus()

    def action_open(self) -> None:
        """Open the page of the selected probe."""
        probe, route = selected_probe(self.latest, self.view), self.route()
        if probe is None or route is None:
            self.notify("No probe has ended yet.")
        else:
            self.app.push_screen(RequestScreen(self.cockpit, route.name, probe.probe))

    def action_gaps(self) -> None:
        """Show the map of the gaps between chunks, or that of TTFT again."""
        subject = subject_of(self.latest, self.view)
        if subject is not None:
            gaps = not is_of_gaps(self.view, subject.route)
            self.look(replace(self.view, page=replace(self.view.page, gaps=gaps)))

    def action_slowest(self) -> None:
        """List the slowest probes first, or the newest again."""
        page = self.view.page
        self.look(replace(self.view, page=replace(page, slowest=not page.slowest, probe="")))

    def action_only_failed(self) -> None:
        """List only probes that were not good, or all again."""
        page = self.view.page
        page = replace(page, only_failed=not page.only_failed, probe="")
        self.look(replace(self.view, page=page))

    def action_take_t0(self) -> None:
        """Keep the figures that are shown, for others to be compared with."""
        subject = subject_of(self.latest, self.view)
        now = subject.now if subject is not None else None
        if subject is None or now is None:
            self.notify("There are no figures of this route yet.")
            return
        page = replace(
            self.view.page,
            t0=now,
            t0_ns=self.latest.now_ns,
            t0_route=subject.route.name,
        )
        self.look(replace(self.view, page=page))

    def action_against_t0(self) -> None:
        """Show the figures against T0, or all columns again."""
        page = self.view.page
        subject = subject_of(self.latest, self.view)
        if page.t0 is None or subject is None or page.t0_route != subject.route.name:
            self.notify(
                with_keys(
                    "No T0 of this route yet: {take_t0} takes the figures shown.", self.view.keys
                )
            )
            return
        self.look(replace(self.view, page=replace(page, against_t0=not page.against_t0)))
