"""The home screen: strips, the routes table and the panes beneath it.

Rule 1. `tui.screens.layout` says what stands where; here it is only put there.
Rule 2. What panes have to say changes their heights every few seconds at most: nothing jumps.
Rule 3. The cursor follows the worst route until the user moves it or turns a knob: from then on
what is turned is what is looked at.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.containers import Container
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from probes.board.views import Happening
from probes.kit.clock import NS_PER_S
from tui.keys import bindings
from tui.panes.happenings import happening_at, route_of
from tui.panes.home import home_panes
from tui.panes.pane import Pane, Want
from tui.panes.routes import (
    following,
    moved,
    moved_to_last,
    next_sort,
    row_at,
    row_count,
    scrolled,
    sort_key_at,
    toggled,
)
from tui.panes.verdicts import verdict_count, verdict_route
from tui.panes.view import PaneName
from tui.screens.cockpit import CockpitState
from tui.screens.layout import LOWER_PANES, Arrangement, arrange
from tui.screens.live import SCROLL_STEP, LiveScreen
from tui.screens.sort_menu import SortMenu

_LOG: Final = 6
"""Number of the pane of what happened."""

_STANDS_NS: Final = 5 * NS_PER_S
"""How long panes keep their heights whatever they come to say: as long as the rows their order."""
_WHEEL_STEP: Final = 3
_DOUBLE: Final = 2


class Body(Container):
    """Where strips and panes stand: all that a line to type on leaves of the screen."""

    class Resized(Message):
        """There is more or less room."""

    def on_resize(self) -> None:
        """Have the panes arranged for it."""
        self.post_message(self.Resized())


class HomeScreen(LiveScreen):
    """Everything at a glance."""

    NAME = "home"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#routes"

    def __init__(self, cockpit: CockpitState) -> None:
        super().__init__(cockpit, home_panes(cockpit.strips))
        self._arrangement: Arrangement | None = None
        self._wants: Mapping[int, Want] = {}
        self._wanted_ns = 0
        """Since when they stand."""
        self._was_followed = ""
        """The route whose page was opened while the cursor followed the worst."""

    def compose(self) -> ComposeResult:
        """Return the strips and panes; `arrange_panes` says which of them are displayed."""
        with Body(id="body"):
            for pane in self.panes.values():
                pane.display = not pane.spec.number
                yield pane
            yield Input(placeholder="name, model, tag or state", id="filter", compact=True)

    def on_mount(self) -> None:
        """Hide the filter until it is asked for."""
        self.query_one("#filter").display = False

    def on_screen_resume(self) -> None:
        """Follow the worst again, where the page that was opened from it has been left."""
        if self._was_followed and self.view.selected == self._was_followed:
            self.view = following(self.view)
        self._was_followed = ""

    def arrange_panes(self) -> Arrangement:
        """Show the panes that have room."""
        latest, (width, height) = self.latest, self._room()
        arrangement = arrange(
            width,
            height,
            routes=row_count(latest, self.view),
            axis=self.view.past is not None,
            banner=self.has_banner(),
            verdicts=verdict_count(latest),
            current=self.current,
            maximised=self.view.maximised,
            wants=self._held_wants(),
            filtering=self.query_one("#filter").display,
        )
        if arrangement != self._arrangement:
            self._arrangement = arrangement
            self._apply(arrangement)
        return arrangement

    def _held_wants(self) -> Mapping[int, Want]:
        """Return what the lower panes want, as it has stood for a while."""
        now_ns = self.cockpit.clock.monotonic_ns()
        if not self._wants or now_ns - self._wanted_ns >= _STANDS_NS:
            wants = {
                pane.spec.number: pane.spec.wants(self.latest, self.view)
                for pane in self.panes.values()
                if pane.spec.number in LOWER_PANES
            }
            if wants != self._wants:
                # Before the first figures nobody has seen any pane at its height.
                self._wanted_ns = now_ns if self.latest.routes else 0
                self._wants = wants
        return self._wants

    def _room(self) -> Size:
        """Return what a line to type on leaves of the screen."""
        return self.query_one(Body).size or self.size

    def _apply(self, arrangement: Arrangement) -> None:
        width, height = self._room()
        self.set_class(not arrangement.framed, "-bare")
        y = 0
        strips: tuple[tuple[PaneName, int], ...] = (
            ("header", arrangement.header),
            ("axis", arrangement.axis),
            ("banner", arrangement.banner),
            ("verdicts", arrangement.verdicts),
        )
        for name, lines in strips:
            _put(self.panes[name], 0, y, width, lines)
            y += lines
        filtering = self.query_one("#filter")
        if filtering.display:
            _put(filtering, 0, height - 1 - arrangement.footer, width, 1)
        _put(self.panes["footer"], 0, height - 1, width, arrangement.footer)
        for pane in self.panes.values():
            if not pane.spec.number:
                continue
            place = arrangement.place(pane.spec.number)
            if place is None:
                pane.display = False
                continue
            pane.fold(place.folded)
            _put(pane, place.x, place.y, place.width, place.height)

    def on_body_resized(self) -> None:
        """Arrange the panes for the new room."""
        self.pull()

    def on_pane_pointed(self, event: Pane.Pointed) -> None:
        """Do what the user pointed at: a row, a head, a verdict, a folded pane."""
        pane, number = event.pane, event.pane.spec.number
        if event.turned:
            self._turn_wheel(pane, event.turned)
        elif pane.folded:
            self.action_pane(number)
        elif number == 1:
            self._point_at_table(pane, event)
        elif number == _LOG:
            self._point_at_log(event)
        elif pane.spec.name == "verdicts":
            route = verdict_route(self.latest, pane.size.height, event.y)
            if route is not None:
                self.look(replace(self.view, selected=route, offsets={}))

    def _point_at_log(self, event: Pane.Pointed) -> None:
        happening = happening_at(self.latest, self.view, event.y)
        if happening is not None and self._select(happening):
            self.look(self.view)
            if event.clicks == _DOUBLE:
                self._open_page()

    def _point_at_table(self, pane: Pane, event: Pane.Pointed) -> None:
        width, height = pane.size
        row = row_at(self.latest, self.view, height, event.y)
        if row is not None:
            self.look(replace(self.view, selected=row.name))
            if event.clicks == _DOUBLE:
                self.action_open()
        elif event.y == 0:
            key = sort_key_at(self.latest, self.view, width, height, event.x)
            again = key is not None and key == self.view.sort
            if again:
                self.action_reverse()
            elif key is not None:
                self.look(replace(self.view, sort=key, reversed=False))

    def _turn_wheel(self, pane: Pane, steps: int) -> None:
        by = steps * _WHEEL_STEP
        if pane.spec.number == 1:
            self.look(scrolled(self.latest, self.view, by, pane.size.height))
        elif pane.spec.number:
            self.scroll(pane, by)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the user types."""
        self.look(replace(self.view, filter=event.value.strip().lower()))

    def on_input_submitted(self) -> None:
        """Keep the filter and go back to the table."""
        self._close_filter()

    def _close_filter(self) -> None:
        self.query_one("#filter").display = False
        self.panes["routes"].focus()
        self.look(self.view)

    def action_open(self) -> None:
        """Open the page of the selected route; in what happened, that of the first line's."""
        if self.current == _LOG and not self._select(happening_at(self.latest, self.view)):
            return
        if self.current != _LOG and (view := toggled(self.latest, self.view)) is not None:
            self.look(view)
            return
        self._open_page()

    def _open_page(self) -> None:
        route = self.route()
        if route is not None:
            self._was_followed = route.name if self.view.selected is None else ""
            self.view = replace(self.view, maximised=None, selected=route.name)
            from tui.screens.route import RouteScreen  # which the first frame need not wait for

            self.app.push_screen(RouteScreen(self.cockpit))

    def _select(self, happening: Happening | None) -> bool:
        """Select the route that a line of what happened leads to; return whether there is one."""
        name = route_of(happening, self.latest)
        if name is None:
            self.notify("That is about no single route.")
            return False
        self.view = replace(self.view, selected=name)
        return True

    def go_to(self, name: str) -> None:
        """Select a route and open its page."""
        super().go_to(name)
        self._open_page()

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one("#filter").display = True
        self.set_focus(self.query_one("#filter"))  # at once: what is typed next belongs to it
        self.look(self.view)

    def action_move(self, by: int) -> None:
        """Move the cursor; what happened has its own, which is its first line."""
        if self.current == _LOG:
            self.scroll(self.panes["happenings"], by)
        else:
            self.look(moved(self.latest, self.view, by))

    def action_edge(self, last: bool) -> None:
        """Move the cursor to the last row, or give it back to the worst."""
        self.look(moved_to_last(self.latest, self.view) if last else following(self.view))

    def action_back(self) -> None:
        """Undo the nearest of: filter, maximised pane, preview, tags, a cursor of the user's."""
        view = self.view
        if self.query_one("#filter").display or view.filter:
            self.query_one("#filter", Input).value = ""
            self._close_filter()
        elif view.maximised:
            self.look(replace(view, maximised=None))
        elif view.preview:
            self.action_preview()
        elif view.tagged:
            self.action_untag()
        elif view.selected is not None:
            self.look(following(view))

    def action_scroll_pane(self, direction: int) -> None:
        """Scroll the current pane by some lines; the table moves its cursor."""
        if self.current == 1:
            self.action_move(direction * SCROLL_STEP)
        else:
            super().action_scroll_pane(direction)

    def action_sort(self) -> None:
        """Sort by the next column."""
        self.look(next_sort(self.view))

    def action_sort_menu(self) -> None:
        """Ask by which column to sort."""
        self.app.push_screen(SortMenu(self.view.sort), self._sort_by)

    def _sort_by(self, key: str | None) -> None:
        if key is not None:
            self.look(replace(self.view, sort=key, reversed=False))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.look(replace(self.view, reversed=not self.view.reversed))

    def action_preview(self) -> None:
        """Show the text of the selected route's oldest stream, or stop."""
        if "preview" not in self.view.idle:
            self.look(replace(self.view, preview=not self.view.preview))
        elif self.cockpit.session.replayed is not None:
            self.notify("A recording has no text of open streams.")
        else:
            self.notify("The text of a stream stays where it is probed.")


def _put(widget: Widget, x: int, y: int, width: int, height: int) -> None:
    """Put a widget where it belongs; one without lines is not shown."""
    widget.display = height > 0
    styles = widget.styles
    styles.offset = (x, y)
    styles.width, styles.height = width, max(1, height)
