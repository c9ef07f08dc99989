"""The footer: the keys that matter most, as many as fit."""

from collections.abc import Sequence
from functools import partial

from probes.board.views import Snapshot
from tui.draw.text import Line, Span, line_width
from tui.keys import ScreenName, footer_keys
from tui.panes.pane import PaneSpec
from tui.panes.view import ViewState


def footer_pane(screen: ScreenName) -> PaneSpec:
    """Return the footer of one screen."""
    return PaneSpec("footer", 0, partial(footer_lines, screen=screen))


def footer_lines(
    snapshot: Snapshot,  # noqa: ARG001 - as every pane is drawn
    view: ViewState,
    width: int,
    height: int,  # noqa: ARG001
    *,
    screen: ScreenName = "home",
) -> Sequence[Line]:
    """Return keys and what they do, most wanted first, without cutting one in two."""
    line: Line = ()
    for key in footer_keys(screen):
        shown, label = key.strip or (key.shown, key.label)
        if key.id == "freeze" and view.frozen:
            label = "go on"
        pair: tuple[Span, Span] = ((f" {shown} ", "accent"), (f"{label} ", "dim"))
        if line_width((*line, *pair)) > width:
            break
        line = (*line, *pair)
    return [line]
