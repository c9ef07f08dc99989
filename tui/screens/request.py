"""The page of one probe: its waterfall, and all that its attempts left behind.

What it shows does not change any more: it is taken from the board once, and stays on the screen
even when the board keeps it no longer.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace
from textual.app import ComposeResult

from probes.board.views import PhaseRow, RequestView, RouteView, Snapshot
from probes.kit.sanitise import neutralise
from tui.draw.text import Line, fold
from tui.keys import bindings, hints
from tui.panes.axis import axis_pane
from tui.panes.footer import footer_pane
from tui.panes.page.probes import listed_probes, probe_name
from tui.panes.pane import PaneSpec
from tui.panes.request import NO_LONGER_KEPT, request_id, request_lines
from tui.panes.view import ViewState
from tui.screens.cockpit import CockpitState
from tui.screens.paged import PagedScreen

_NAME: Final = 32


class RequestScreen(PagedScreen):
    """One probe, whole."""

    NAME = "probe"
    PAGE = "request"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#request"

    def __init__(self, cockpit: CockpitState, route: str, probe: str) -> None:
        strips = cockpit.strips
        super().__init__(
            cockpit,
            (
                PaneSpec("crumbs", 0, self._crumbs, moves=True),
                axis_pane(),
                PaneSpec("banner", 0, strips.banner, moves=True),
                PaneSpec("request", 1, self._lines, self._title, self._subtitle),
                footer_pane("probe"),
            ),
        )
        self._route = route
        self._probe = probe
        self._request: RequestView | None = None
        self._is_owed = False
        """It was asked for while another moment was on its way."""
        self._drawn: tuple[object, ...] = ()
        self._take(probe)

    def compose(self) -> ComposeResult:
        """Return the panes from the top down."""
        yield from self.panes.values()

    def arrange_panes(self) -> object:
        """Show what has room; another probe is another page."""
        return self._probe, self.frame_page(), self.show_strips()

    def pages(self) -> tuple[str, ...]:
        """Return the route of the probe: its page has the other probes, and what is usual."""
        return (self._route,)

    def _take(self, probe: str) -> None:
        """Show another probe, from its first line."""
        self._probe = probe
        self._look_up()
        self._drawn = ()
        page = replace(self.view.page, probe=probe)
        self.view = replace(self.view, page=page, offsets={**self.view.offsets, "request": 0})

    def _look_up(self) -> None:
        """Take the probe from what is shown; later, where that is on its way."""
        frames = self.cockpit.frames
        self._is_owed = frames.is_on_its_way
        self._request = frames.request(self._route, self._probe)
        self._drawn = ()

    def arrived(self) -> None:
        """Take the probe that was asked for on the way."""
        if self._is_owed:
            self._look_up()
        super().arrived()

    # What is drawn.

    def _crumbs(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002 - as all are drawn
        """Return where one is: of which route which probe, and the way back."""
        parts: list[tuple[Line, float]] = [
            ((("   routes ▸", "dim"),), 0.5),
            (((f" {neutralise(self._shown_route(), _NAME)}", "title"),), 0.2),
            (((" ▸", "dim"), (f" probe {probe_name(self._probe)}", "title")), 0),
        ]
        return [self.cockpit.strips.of_screen(snapshot, view, width, parts)]

    def _lines(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:
        """Return the lines of the page that the view is scrolled to."""
        self._draw(snapshot, width)
        return self.shown_part(view, height)

    def _draw(self, snapshot: Snapshot, width: int) -> None:
        """Make the page for a width, where that is another one."""
        route, anchor_ns = self._row(snapshot), snapshot.wall_anchor_ns
        model, usual = (route.model if route is not None else ""), self._usual(snapshot, route)
        usual_s = [row.usual_s for row in usual]
        mask = self.mask()
        drawn = (self._probe, width, anchor_ns, model, usual_s, mask is None)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if self._request is None:
            self.page = fold(((NO_LONGER_KEPT, "title"),), width)
        else:
            shown = self._request if mask is None else mask.request(self._request)
            self.page = request_lines(shown, width, anchor_ns, model, usual)

    def _shown_route(self) -> str:
        """Return what the route is called on this screen."""
        mask = self.mask()
        return self._route if mask is None else mask.route(self._route)

    def _row(self, snapshot: Snapshot) -> RouteView | None:
        name = self._shown_route()
        return next((route for route in snapshot.routes if route.name == name), None)

    def _usual(self, snapshot: Snapshot, route: RouteView | None) -> Sequence[PhaseRow]:
        """Return what the phases usually take, where that is known of answers of this length."""
        detail = snapshot.details.get(route.name) if route is not None else None
        if route is None or detail is None or detail.page is None or self._request is None:
            return ()
        return detail.page.phase_rows if self._request.probe.cohort == route.cohort else ()

    def _title(self, snapshot: Snapshot, view: ViewState) -> str:
        self._draw(snapshot, self.pane(1).size.width)
        return f"probe {neutralise(self._probe, _NAME)}{self.part_words(view)}"

    def _subtitle(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        has_id = self._request is not None and request_id(self._request)[0]
        copy = (("copy_id", "copies the request id"),) if has_id else ()
        return hints(view.keys, *copy, ("leave", "back"))

    # Keys.

    def action_back(self) -> None:
        """Go back to the route."""
        self.app.pop_screen()

    def action_neighbour(self, step: int) -> None:
        """Show the next probe of the route page's list, or the one before."""
        detail = self.latest.details.get(self._route)
        page = detail.page if detail is not None else None
        listed = listed_probes(page.probes, self.view) if page is not None else ()
        probes = [probe.probe for probe in listed]
        if self._probe not in probes:
            self.notify("This probe is in the list no more." if probes else "Nothing is listed.")
            return
        place = probes.index(self._probe) + step
        if not 0 <= place < len(probes):
            self.notify("This is the last of the list." if step > 0 else "This is the first.")
            return
        self._take(probes[place])
        self.pull()

    def action_copy(self) -> None:
        """Copy the request id for those who ask the provider about it."""
        found, header = request_id(self._request) if self._request is not None else ("", "")
        if not found:
            self.notify("No server gave this request an id.")
            return
        self.app.copy_to_clipboard(found)
        named = f"{found} ({header})" if header else found
        told = named if self.mask() is None else "The request id is"
        # Nobody answers OSC 52, so nobody knows whether this terminal obeyed.
        self.notify(f"{told} copied, where the terminal takes OSC 52.")
