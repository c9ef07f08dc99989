"""The page of one probe: its waterfall, and all that its attempts left behind.

What it shows does not change any more: it is taken from the board once, and stays on the screen
even when the board keeps it no longer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from textual.app import ComposeResult

from probes.board.views import RequestView, RouteView, Snapshot
from probes.kit.sanitise import neutralise
from tui.draw.text import Line, fold
from tui.keys import bindings
from tui.panes.footer import footer_pane
from tui.panes.pane import PaneSpec
from tui.panes.request import NO_LONGER_KEPT, request_id, request_lines
from tui.panes.view import ViewState
from tui.screens.cockpit import CockpitState
from tui.screens.live import LiveScreen

_NAME: Final = 40


class RequestScreen(LiveScreen):
    """One probe, whole."""

    NAME = "probe"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#request"

    def __init__(self, cockpit: CockpitState, route: str, probe: str) -> None:
        super().__init__(
            cockpit,
            (
                PaneSpec("crumbs", 0, cockpit.strips.header, moves=True),
                PaneSpec("request", 1, self._lines, self._title, self._subtitle),
                footer_pane("probe"),
            ),
        )
        self._route = route
        self._probe = probe
        self._request: RequestView | None = None
        self._drawn: tuple[object, ...] = ()
        self._all: Sequence[Line] = ()
        """The page, as it was last drawn for a width."""
        self._take(probe)

    def compose(self) -> ComposeResult:
        """Return the panes from the top down."""
        yield from self.panes.values()

    def arrange_panes(self) -> object:
        """Show everything there is; another probe is another page."""
        return self._probe

    def pages(self) -> tuple[str, ...]:
        """Return the route of the probe: its other probes are the next and the one before."""
        return (self._route,)

    def _take(self, probe: str) -> None:
        """Show another probe, from its first line."""
        self._probe = probe
        self._request = self.cockpit.session.board.request(self._route, probe)
        self._drawn = ()
        page = replace(self.view.page, probe=probe)
        self.view = replace(self.view, page=page, offsets={**self.view.offsets, "request": 0})

    # What is drawn.

    def _lines(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:
        """Return the lines of the page that the view is scrolled to."""
        self._draw(snapshot, width)
        return list(self._all[self._first(view, height) :][:height])

    def _draw(self, snapshot: Snapshot, width: int) -> None:
        """Make the page for a width, where that is another one."""
        asked, anchor_ns = self._asked(snapshot), snapshot.wall_anchor_ns
        mask, request = self.mask(), self._request
        drawn = (self._probe, width, anchor_ns, asked, mask is None)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if request is None:
            self._all = fold(((NO_LONGER_KEPT, "title"),), width)
        else:
            request = request if mask is None else mask.request(request)
            self._all = request_lines(request, width, anchor_ns, asked)

    def _asked(self, snapshot: Snapshot) -> str:
        """Return the model that the route asks for."""
        routes: dict[str, RouteView] = {route.name: route for route in snapshot.routes}
        return routes[self._route].model if self._route in routes else ""

    def _first(self, view: ViewState, height: int) -> int:
        """Return the first line that is shown: the page's end is as far as it goes."""
        return max(0, min(view.offset("request"), len(self._all) - height))

    def _title(self, snapshot: Snapshot, view: ViewState) -> str:
        self._draw(snapshot, self.pane(1).size.width)
        mask = self.mask()
        route = self._route if mask is None else mask.route(self._route)
        name, probe = neutralise(route, _NAME), neutralise(self._probe, _NAME)
        return f"probe {probe} of {name}{self._place(view)}"

    def _place(self, view: ViewState) -> str:
        """Return which lines are shown, where that is not all of them."""
        height, lines = self.pane(1).size.height, len(self._all)
        if not lines or lines <= height:
            return ""
        first = self._first(view, height)
        return f" · lines {first + 1}–{first + height} of {lines}"

    def _subtitle(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        return "y copies the request id · Esc back"

    # Keys.

    def action_back(self) -> None:
        """Go back to the route."""
        self.app.pop_screen()

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        height = self.pane(1).size.height
        last = max(0, len(self._all) - height)
        offset = min(max(0, self._first(self.view, height) + lines), last)
        self.look(replace(self.view, offsets={**self.view.offsets, "request": offset}))

    def action_scroll_pane(self, direction: int) -> None:
        """Scroll by a screenful, but for a line that both have."""
        self.action_scroll(direction * max(1, self.pane(1).size.height - 1))

    def action_edge(self, last: bool) -> None:
        """Go to the first or the last line."""
        self.action_scroll(len(self._all) if last else -len(self._all))

    def action_neighbour(self, step: int) -> None:
        """Show the next older probe of the route, or the next newer one."""
        detail = self.latest.details.get(self._route)
        page = detail.page if detail is not None else None
        probes = [probe.probe for probe in page.probes] if page is not None else []
        if self._probe not in probes:
            self.notify(NO_LONGER_KEPT if probes else "No other probe is known yet.")
            return
        place = probes.index(self._probe) + step
        if not 0 <= place < len(probes):
            self.notify("This is the oldest that is kept." if step > 0 else "This is the newest.")
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
        named = f" ({header})" if header else ""
        found = "The id was" if self.view.private else found
        # Nobody answers OSC 52, so nobody knows whether this terminal obeyed.
        self.notify(f"{found}{named} copied, where the terminal takes OSC 52.", markup=False)
