"""One frame onto the panes: which are drawn, and which way it goes to the terminal.

The header moves at each frame, the tables do not. What the header says of all routes together is
that of the rows that stand below it, so that it is their sum on every frame.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from textual.geometry import Offset
from textual.widget import Widget

from probes.board.views import EMPTY_SNAPSHOT, HeaderView, Snapshot
from probes.kit.clock import NS_PER_S, Clock
from tui.draw.ink import Brush
from tui.panes.pane import Pane
from tui.panes.view import ViewState
from tui.terminal.driver import Terminal
from tui.terminal.pace import TABLES_NS

_EARLY_NS: Final = TABLES_NS // 10
"""By so much a frame may come before its tables are due: of frames twice a second each second one
would else come a millisecond too early, and the tables once a second."""
_STILL_NS: Final = 3 * NS_PER_S
"""The same while nothing moves: what then changes is rates that fade."""
_HASTE_NS: Final = NS_PER_S
"""How long after a command the tables follow at the full rate: a knob's answer is waited for."""


_OF_ROUTES: Final = (
    "routes",
    "in_flight",
    "probes_per_min",
    "throttled_per_min",
    "retries_per_min",
    "failures_per_min",
    "finished",
    "failed",
    "throttled",
    "retries",
    "good_share",
    "hurt",
    "well_since_ns",
    "usd_per_hour",
)
"""Fields of the header that are sums over the rows of the table."""


class Canvas:
    """Draws panes that move at each frame, and tables of figures twice a second.

    What the user does is drawn at once, all of it.
    """

    def __init__(
        self,
        panes: Sequence[Pane],
        overlays: Widget | None,
        terminal: Terminal | None,
        clock: Clock,
    ) -> None:
        """Prepare; while `overlays` has children, they lie over the panes and Textual composes.

        Without a terminal it always does.
        """
        self._panes = tuple(panes)
        self._overlays = overlays
        self._terminal = terminal
        self._clock = clock
        self._brush = Brush()
        self._tables: Snapshot = EMPTY_SNAPSHOT
        """What the tables show."""
        self._look: tuple[object, ...] = ()
        self._strips: tuple[object, ...] = ()
        self._latest: tuple[object, ...] = ()
        """Which frame came last, and below which one the tables show."""
        self._tabled: tuple[object, ...] = ()
        self._tabled_ns = 0
        self._stands_ns = TABLES_NS
        self._hasty_until_ns = 0

    def hurry(self) -> None:
        """Draw everything at each frame for a while: a command has been given."""
        self._hasty_until_ns = self._clock.monotonic_ns() + _HASTE_NS

    def owes_tables(self) -> bool:
        """Tell whether the tables show less than the last frame had, and it is time to draw them.

        Whoever holds the canvas draws then, though nothing new may have come.
        """
        now_ns = self._clock.monotonic_ns()
        stood_ns = now_ns - self._tabled_ns + _EARLY_NS
        due = stood_ns >= self._stands_ns or now_ns < self._hasty_until_ns
        return due and self._latest != self._tabled

    def show(
        self,
        snapshot: Snapshot,
        view: ViewState,
        look: tuple[object, ...],
        strips: tuple[object, ...],
        cursor: Offset,
        *,
        moving: bool,
        on_top: bool,
    ) -> None:
        """Draw a frame: all of it where `look`, what the user chose to see, is new.

        `strips` is what the strips alone show beside it: of a frame that is drawn already, such as
        a frozen one, they are drawn by themselves where that is new. `moving` tells whether streams
        are open or have just ended, `on_top` whether no other screen lies over this one; `cursor`
        is where the terminal's cursor belongs.
        """
        self._stands_ns = TABLES_NS if moving else _STILL_NS
        latest = (snapshot.version, snapshot.now_ns, snapshot.window)
        fresh, self._latest = latest != self._latest, latest
        restated, self._strips = strips != self._strips, strips
        whole = look != self._look or self.owes_tables()
        if whole:
            self._look, self._tabled = look, latest
            self._tabled_ns = self._clock.monotonic_ns()
            self._tables = snapshot
        elif not fresh and not restated:
            return
        else:
            header = _over(self._tables.header, snapshot.header)
            snapshot = msgspec.structs.replace(snapshot, header=header)
        toasts = self._overlays is not None and bool(self._overlays.children)
        brush = self._brush if self._terminal and on_top and not toasts else None
        for pane in self._panes:
            moves = pane.spec.moves and (fresh or not pane.spec.number)
            if pane.display and (whole or moves):
                pane.show(snapshot, view, brush)
        if self._terminal and (frame := self._brush.take()):
            self._terminal.write(f"{frame}\x1b[{cursor.y + 1};{cursor.x + 1}H")


def _over(rows: HeaderView, now: HeaderView) -> HeaderView:
    """Return the header of now over the rows of an earlier frame."""
    return msgspec.structs.replace(now, **{name: getattr(rows, name) for name in _OF_ROUTES})
