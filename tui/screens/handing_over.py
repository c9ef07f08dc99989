"""What the keys do that tell an incident to whoever was not there.

Rule 1: while it is made one note says what is being done and how far it is; what came of it takes
the place of that note.
"""

from typing import TYPE_CHECKING, Final

from textual.notifications import Notification, Notify
from textual.timer import Timer

from probes.board.views import Snapshot
from probes.kit.sanitise import neutralise

if TYPE_CHECKING:
    from tui.screens.live import LiveScreen

_LINE_LIMIT: Final = 200
"""Characters of a line about a hand-over."""
_PATH_SHOWN_S: Final = 20.0
"""Long enough to write a path down."""
_TOLD_EVERY_S: Final = 0.5
"""How far it is; also how long nothing is said where a key asked for a line to copy alone."""
_LONGEST_S: Final = 3600.0
"""Nobody waits longer for a note to end that nothing has ended."""


def hand_over(screen: "LiveScreen", *, writes: bool) -> None:
    """Begin to write a folder of what is shown, or else to copy the paragraph at its head."""
    if screen.cockpit.is_handing_over:
        screen.notify("A hand-over is being made already.")
        return
    route = screen.route()
    name = route.name if route is not None else ""
    # Not a worker of the screen: whoever leaves that meanwhile wants to know what came of it.
    told = _tell(screen, screen.latest, name, writes=writes)
    screen.app.run_worker(told, group="hand-over")


async def _tell(screen: "LiveScreen", snapshot: Snapshot, name: str, *, writes: bool) -> None:
    whose = f" of {name}" if name else ""
    note = _ProgressNote(screen, f"{'Writing a bundle' if writes else 'Summing up'}{whose}: ")
    if writes:
        note.show()
    try:
        told = await screen.cockpit.hand_over(snapshot, name, writes=writes, progress=note.take)
    finally:
        note.end()
    if told.failure:
        screen.notify(neutralise(told.failure, _LINE_LIMIT), severity="error")
    elif writes:
        folder = neutralise(told.folder, _LINE_LIMIT)
        screen.notify(f"Bundle written: {folder}", timeout=_PATH_SHOWN_S)
    else:
        screen.app.copy_to_clipboard(told.summary)
        # Nobody answers OSC 52, so nobody knows whether this terminal obeyed.
        shown = neutralise(told.summary, _LINE_LIMIT) if screen.mask() is None else "The summary"
        screen.notify(f"{shown} copied, where the terminal takes OSC 52.")


class _ProgressNote:
    """A note that says how far it is, for as long as that lasts."""

    def __init__(self, screen: "LiveScreen", begins: str) -> None:
        self._screen = screen
        self._begins = begins
        self._done = "reading the recording"
        self._note: Notification | None = None
        self._timer: Timer = screen.app.set_interval(_TOLD_EVERY_S, self.show)

    def take(self, words: str, share: float | None) -> None:
        """Take how far it is, in whatever thread."""
        self._done = words if share is None else f"{words}, {int(share * 100)} %"

    def show(self) -> None:
        """Say it."""
        screen = self._screen
        told, mask = neutralise(f"{self._begins}{self._done} …", _LINE_LIMIT), screen.mask()
        told = told if mask is None else mask.words(told)
        if self._note is None:
            self._note = Notification(told, timeout=_LONGEST_S)
            screen.app.post_message(Notify(self._note))
        elif told != self._note.message:
            # A note of the same name is not shown anew: it is the one there that says it.
            self._note.message = told
            for toast in screen.app.screen.query("Toast"):
                toast.refresh(layout=True)

    def end(self) -> None:
        """Make room for what came of it, which is said next."""
        self._timer.stop()
        if self._note is not None:
            # The next one that comes takes it away with all that have expired.
            self._note.timeout = 0.0
