"""Snapshots for the screen, live or held still."""

from collections.abc import Collection
from typing import Final

from probes.board.views import EMPTY_SNAPSHOT, Snapshot
from probes.kit.clock import Clock, seconds
from tui.panes.routes import selected_route
from tui.panes.view import Freeze, ViewState
from tui.screens.travel import Travel
from tui.session import BoardSource

_SECONDS_TOLD: Final = 10
"""So long each second is told that a frozen screen has stood."""
_THEN_EVERY_S: Final = 5
"""From then on it is told in steps: nobody times it, and each step draws a frame."""


class Frames:
    """The board's snapshots as the view wants them; it holds the one that is frozen."""

    def __init__(self, board: BoardSource, clock: Clock, travel: Travel | None = None) -> None:
        """Take them of the live board, or of the one that `travel` has arrived with."""
        self._live_board = board
        self._travel = travel or Travel(None, clock)
        self._clock = clock
        self._latest: Snapshot = EMPTY_SNAPSHOT
        self._held: Snapshot | None = None
        self._held_ns = 0
        self._freeze: Freeze | None = None

    @property
    def latest(self) -> Snapshot:
        """What the screen shows: the frozen snapshot, or the last one taken."""
        return self._held or self._latest

    def take(self, view: ViewState, pages: Collection[str] = ()) -> Snapshot:
        """Return what to show now, with the details of the selected route and of those in `pages`
        all that their page shows."""
        if self._held is not None:
            return self._held
        board = self._board
        if board is not None:
            self._latest = _taken(board, self._latest, view, pages)
        return self._latest

    @property
    def _board(self) -> BoardSource | None:
        """The board that is shown; None while it is on its way."""
        return self._live_board if self._travel.is_live else self._travel.board

    def freeze(self, view: ViewState) -> None:
        """Hold this moment, with the details of every route."""
        names = tuple(route.name for route in self._latest.routes)
        if (board := self._board) is not None:
            self._held = board.snapshot(window=view.window, detail_routes=names, pages=names)
            self._held_ns = self._clock.monotonic_ns()

    def thaw(self) -> None:
        """Show live snapshots again."""
        self._held = self._freeze = None

    def frozen(self) -> Freeze | None:
        """Return how long the screen has stood still and what it has not shown since.

        It is a new one once a second, and after ten every five.
        """
        if self._held is None:
            return None
        stood = int(seconds(self._clock.monotonic_ns() - self._held_ns))
        if stood > _SECONDS_TOLD:
            stood -= stood % _THEN_EVERY_S
        if self._freeze is None or stood != self._freeze.for_s:
            missed = self._live_board.version - self._held.version
            self._freeze = Freeze(for_s=stood, versions=missed)
        return self._freeze

    def moment(self) -> object:
        """Return what stays equal for as long as a pull would show what the last one showed."""
        if not self._travel.is_live:
            return self.frozen() or self._travel.place()
        return self.frozen() or self._live_board.version

    def moving(self) -> bool:
        """Tell whether the last frame looks different a moment later although nothing happens."""
        shown = self._latest
        return (
            self._held is None
            and self._travel.is_live
            and (
                shown.header.in_flight > 0
                or any(detail.lanes for detail in shown.details.values())
                or any(route.cool_down_s for route in shown.routes)
            )
        )


def _taken(
    board: BoardSource, latest: Snapshot, view: ViewState, pages: Collection[str]
) -> Snapshot:
    """Return a snapshot with the details of what is selected on it, as the last one lets guess."""
    guess = selected_route(latest, view)
    names = (guess.name,) if guess is not None else ()
    snapshot = board.snapshot(window=view.window, detail_routes=names, pages=pages)
    route = selected_route(snapshot, view)
    if route is None or route.name in snapshot.details:
        return snapshot
    return board.snapshot(window=view.window, detail_routes=(route.name,), pages=pages)
