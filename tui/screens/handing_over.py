"""What the keys do that tell an incident to whoever was not there."""

from typing import TYPE_CHECKING, Final

from probes.board.views import Snapshot
from probes.kit.sanitise import neutralise

if TYPE_CHECKING:
    from tui.screens.live import LiveScreen

_LINE_LIMIT: Final = 200
"""Characters of a line about a hand-over."""
_PATH_SHOWN_S: Final = 20.0
"""Long enough to write a path down."""


def hand_over(screen: "LiveScreen", *, writes: bool) -> None:
    """Begin to write a folder of what is shown, or else to copy the paragraph at its head."""
    if screen.cockpit.is_handing_over:
        screen.notify("A hand-over is being made already.")
        return
    route = screen.route()
    if writes:
        whose = f" of {screen.called(route.name)}" if route is not None else ""
        screen.notify(f"Writing a bundle{whose}: reading the recording …")
    name = route.name if route is not None else ""
    screen.run_worker(_tell(screen, screen.latest, name, writes=writes), group="hand-over")


async def _tell(screen: "LiveScreen", snapshot: Snapshot, name: str, *, writes: bool) -> None:
    told = await screen.cockpit.hand_over(snapshot, name, writes=writes)
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
