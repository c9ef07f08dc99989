"""The home screen: strips, the routes table and the panes beneath it.

It owns the view state. It pulls a snapshot at its own rate, hands it to the panes that are on the
screen, and turns keys into commands; nothing is pushed at it.
"""

from dataclasses import replace
from typing import Final

from textual.app import ComposeResult
from textual.containers import Grid
from textual.screen import Screen
from textual.widgets import Input

from probes.board.views import RouteView, WindowName
from probes.control.commands import Command, EndCoolDown, MarkTime, WatchText
from probes.control.knobs import KnobName, Move
from probes.control.status import HostStatus
from probes.kit.clock import Clock
from tui.keys import bindings
from tui.panes.header import Strips, banner_line
from tui.panes.home import home_panes
from tui.panes.observer import Cockpit
from tui.panes.pane import Pane
from tui.panes.routes import (
    moved,
    moved_to_edge,
    next_sort,
    next_window,
    selected_route,
    settled,
)
from tui.panes.verdicts import verdict_count
from tui.panes.view import PaneName, ViewState
from tui.screens import knobs
from tui.screens.canvas import Canvas
from tui.screens.frames import Frames
from tui.screens.help import HelpScreen
from tui.screens.layout import LOWER_PANES, Arrangement, arrange
from tui.session import CockpitSession
from tui.terminal.driver import Terminal
from tui.terminal.pace import CpuMeter, Pace

_FROZEN_BEAT_S: Final = 0.5
"""A frozen screen only tells how many seconds it has stood: waking up more often for that would be
half of what it costs."""
_SCROLL_STEP: Final = 5
_MOST_SCROLLED: Final = 200
"""Lines: more than any log keeps, so that a key held down for long is soon undone."""


class BoardScreen(Screen[None]):
    """Everything at a glance."""

    BINDINGS = bindings()
    AUTO_FOCUS = "#routes"

    def __init__(
        self,
        session: CockpitSession,
        clock: Clock,
        *,
        refresh_hz: float,
        window: WindowName,
        terminal: Terminal | None = None,
    ) -> None:
        super().__init__()
        self.view = ViewState(window=window)
        self._session = session
        self._clock = clock
        self._terminal = terminal
        self._interval = 1 / refresh_hz
        self._pace = Pace(refresh_hz, clock.monotonic_ns())
        self._cpu = CpuMeter(clock)
        self._frames = Frames(session.board, clock)
        self._arrangement: Arrangement | None = None
        self._current = 1
        self._watched = ""
        self._moment: tuple[object, ...] = ()
        self._strips = Strips()
        self._canvas: Canvas | None = None
        self._panes: dict[PaneName, Pane] = {
            spec.name: Pane(spec) for spec in home_panes(self._strips)
        }

    def compose(self) -> ComposeResult:
        """Return the strips and panes; `arrange` says which of them are displayed."""
        panes = self._panes
        yield from (panes["header"], panes["banner"], panes["verdicts"], panes["routes"])
        with Grid(id="lower"):
            yield from (self._pane(number) for number in LOWER_PANES)
        yield Input(placeholder="name, model, tag or state", id="filter", compact=True)
        yield panes["footer"]

    def on_mount(self) -> None:
        """Begin to pull."""
        self.query_one("#filter").display = False
        overlays = next(iter(self.query("#textual-toastrack")), None)
        self._canvas = Canvas(tuple(self._panes.values()), overlays, self._terminal, self._clock)
        self._beats = self.set_interval(self._interval, self._beat)
        self._frozen_beats = self.set_interval(_FROZEN_BEAT_S, self._beat, pause=True)
        self.pull()

    def on_resize(self) -> None:
        """Arrange the panes for the new size."""
        self.pull()

    def on_screen_resume(self) -> None:
        """Catch up after another screen was in front."""
        self.pull()

    def _beat(self) -> None:
        """Pull, where that is due and something may have changed."""
        terminal = self._terminal
        busy = terminal is not None and terminal.busy
        slowest_s = terminal.slowest_s() if terminal is not None else 0.0
        if not self._pace.due(self._clock.monotonic_ns(), busy=busy, slowest_s=slowest_s):
            return
        moment = (self._frames.moment(), _shown_of(self._session.status))
        owed = self._canvas is not None and self._canvas.owes_tables()
        if moment != self._moment or owed or self._frames.moving():
            self._moment = moment
            self.pull()
            if self.view.frozen:
                self._beats.pause()

    def pull(self) -> None:
        """Take a snapshot and repaint what changed; nothing where neither board nor view did."""
        if not self.is_current or not self.size.height:
            return
        snapshot = self._frames.take(self.view)
        self.view = settled(snapshot, self.view)
        self.view = replace(self.view, freeze=self._frames.frozen())
        self._watch_text()
        status = self._strips.status = self._session.status
        self._arrange()
        self._strips.cockpit = Cockpit(self._cpu.share(), self._pace.slowed_hz)
        standing = replace(self.view, freeze=None)
        look = (standing, self.view.frozen, self.size, self._arrangement)
        if self._canvas is not None:
            self._canvas.show(
                snapshot,
                self.view,
                look,
                (self.view.freeze, *_shown_of(status)),
                self.app.cursor_position,
                moving=self._frames.moving(),
                on_top=self.app.screen is self,
            )

    def _watch_text(self) -> None:
        """Have the text of the selected route sent along while the preview is on."""
        route = self._route() if self.view.preview else None
        wanted = route.name if route is not None else ""
        if wanted != self._watched:
            self._watched = wanted
            self._session.command(WatchText(route=wanted))

    def _arrange(self) -> None:
        banner = self._panes["banner"]
        banner.display = banner_line(self._frames.latest, self._strips.status) is not None
        arrangement = arrange(
            self.size.width,
            self.size.height,
            routes=len(self._frames.latest.routes),
            banner=banner.display,
            verdicts=verdict_count(self._frames.latest),
            current=self._current,
            maximised=self.view.maximised,
        )
        if arrangement != self._arrangement:
            self._arrangement = arrangement
            self._apply(arrangement)

    def _apply(self, arrangement: Arrangement) -> None:
        self.set_class(not arrangement.framed, "-bare")
        self._panes["header"].display = arrangement.header
        self._panes["footer"].display = arrangement.footer
        verdicts = self._panes["verdicts"]
        verdicts.display = arrangement.verdicts > 0
        verdicts.styles.height = max(1, arrangement.verdicts)
        routes = self._panes["routes"]
        routes.display = arrangement.routes_height > 0
        routes.styles.height = max(1, arrangement.routes_height)
        lower = self.query_one("#lower")
        lower.display = bool(arrangement.panes)
        lower.styles.grid_size_columns = arrangement.columns
        lower.set_class(arrangement.columns == 1, "-single")
        lower.set_class(len(arrangement.panes) == len(LOWER_PANES), "-whole")
        for number in LOWER_PANES:
            self._pane(number).display = number in arrangement.panes

    def _pane(self, number: int) -> Pane:
        return next(pane for pane in self._panes.values() if number == pane.spec.number)

    def _route(self) -> RouteView | None:
        return selected_route(self._frames.latest, self.view)

    def _look(self, view: ViewState) -> None:
        """Take a new view and show it at once; on a busy terminal with the next frame it takes."""
        self.view = view
        if self._terminal is not None and self._terminal.busy:
            self._moment = ()
            self._beats.resume()  # a frozen screen's own come too seldom to answer a key
        else:
            self.pull()

    def _send(self, command: Command | None) -> None:
        if command is not None:
            self._session.command(command)
            if self._canvas is not None:
                self._canvas.hurry()

    def on_descendant_focus(self) -> None:
        """Remember which pane the user is in: where there is room for few it is one of them."""
        if isinstance(self.focused, Pane):
            self._current = self.focused.spec.number

    def on_pane_row_clicked(self, event: Pane.RowClicked) -> None:
        """Select the row that was pointed at."""
        self.action_move(event.rows_down)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the user types."""
        self._look(replace(self.view, filter=event.value.strip().lower()))

    def on_input_submitted(self) -> None:
        """Keep the filter and go back to the table."""
        self._close_filter()

    def _close_filter(self) -> None:
        self.query_one("#filter").display = False
        self._panes["routes"].focus()

    def action_help(self) -> None:
        """Show the keys."""
        self.app.push_screen(HelpScreen())

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one("#filter").display = True
        self.query_one("#filter").focus()

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._look(moved(self._frames.latest, self.view, by))

    def action_edge(self, last: bool) -> None:
        """Move the cursor to the first or the last row."""
        self._look(moved_to_edge(self._frames.latest, self.view, last=last))

    def action_pane(self, number: int) -> None:
        """Go to a pane; where the user is there already, give it the whole screen, or its place."""
        again = self._current == number
        alone = number if self.view.maximised or again else None
        if again and self.view.maximised == number:
            alone = None
        self._current = number
        self._look(replace(self.view, maximised=alone))
        self._pane(number).focus()

    def action_maximise(self) -> None:
        """Give the current pane the whole screen, or its place back."""
        alone = None if self.view.maximised else self._current
        self._look(replace(self.view, maximised=alone))

    def action_back(self) -> None:
        """Undo the nearest of: filter, maximised pane, preview."""
        view = self.view
        if self.query_one("#filter").display or view.filter:
            self.query_one("#filter", Input).value = ""
            self._close_filter()
        elif view.maximised:
            self._look(replace(view, maximised=None))
        elif view.preview:
            self.action_preview()

    def action_scroll_pane(self, direction: int) -> None:
        """Scroll the current pane by some lines; the table moves its cursor."""
        if self._current == 1:
            self.action_move(direction * _SCROLL_STEP)
            return
        name = self._pane(self._current).spec.name
        moved_to = self.view.offset(name) + direction * _SCROLL_STEP
        offset = min(max(0, moved_to), _MOST_SCROLLED)
        self._look(replace(self.view, offsets={**self.view.offsets, name: offset}))

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._look(next_sort(self.view))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._look(replace(self.view, reversed=not self.view.reversed))

    def action_window(self) -> None:
        """Take the next window of time; a frozen screen has only its own."""
        if self.view.frozen:
            self.notify("The screen is frozen: space lets it go on.")
        else:
            self._look(next_window(self.view))

    def action_freeze(self) -> None:
        """Hold the screen still, or let it go on."""
        if self.view.frozen:
            self._frames.thaw()
            self._frozen_beats.pause()
            self._beats.resume()
        else:
            self._frames.freeze(self.view)
            self._beats.pause()
            self._frozen_beats.resume()
        self.pull()

    def action_preview(self) -> None:
        """Show the text of the selected route's oldest stream, or stop."""
        self._look(replace(self.view, preview=not self.view.preview))

    def action_concurrency(self, direction: Move) -> None:
        """Change how many probes run at once."""
        self._turn("concurrency", direction)

    def action_interval(self, longer: bool) -> None:
        """Change the interval."""
        self._turn("interval", "longer" if longer else "shorter")

    def action_cap(self, longer: bool) -> None:
        """Change the answer cap."""
        self._turn("max_tokens", "longer" if longer else "shorter")

    def _turn(self, knob: KnobName, move: Move) -> None:
        if route := self._route():
            self._send(knobs.turned(self._session.wanted, route.name, knob, move))

    def action_burst(self) -> None:
        """Send as many probes now as the route's concurrency."""
        if route := self._route():
            self._send(knobs.burst(self._session.wanted, route.name))

    def action_end_cool_down(self) -> None:
        """End the route's cool-down."""
        if route := self._route():
            self._send(EndCoolDown(route=route.name))

    def action_accept_usual(self) -> None:
        """Take the route's present level for its usual one, where a new one is open."""
        if route := self._route():
            command = knobs.accepted(self._frames.latest.incidents, route.name)
            self._send(command)
            if command is None:
                self.notify("No new level is open on this route; what fails is never the usual.")

    def action_pause(self) -> None:
        """Pause the route, or let it go on."""
        if route := self._route():
            self._send(knobs.paused(self._session.wanted, route.name))

    def action_panic(self) -> None:
        """Stop everything, or let it go on."""
        self._send(knobs.panic(self._session.wanted))

    def action_mark(self) -> None:
        """Put a mark on the timeline."""
        self._send(MarkTime(text="mark"))

    def action_lift(self) -> None:
        """Let the budgets count from what is known, where only the emergency part is left."""
        if self._frames.latest.header.budget_doubt:
            self._session.lift()

    def action_retry(self) -> None:
        """Start the engine again after it gave up."""
        if self._session.status.state == "gave_up":
            self._session.retry()


def _shown_of(status: HostStatus) -> tuple[object, ...]:
    """Return what the strips show of the engine's process; times in whole seconds.

    One that runs has no times to show: it may well be silent for a second, every second.
    """
    if status.state == "running" and not status.restarts:
        return status.state, status.detail
    times = int(status.silent_s), int(status.since_s)
    return status.state, status.detail, *times, status.restarts
