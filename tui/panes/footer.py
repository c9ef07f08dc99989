"""The footer: the keys that matter most, as many as fit."""

from collections.abc import Sequence

from probes.board.views import Snapshot
from tui.draw.text import Line, Span, line_width
from tui.keys import footer_keys
from tui.panes.view import ViewState


def footer_lines(
    snapshot: Snapshot,  # noqa: ARG001 - as every pane is drawn
    view: ViewState,
    width: int,
    height: int,  # noqa: ARG001
) -> Sequence[Line]:
    """Return keys and what they do, most wanted first, without cutting one in two."""
    line: Line = ()
    for key in footer_keys():
        shown, label = key.strip or (key.shown, key.label)
        if key.id == "freeze" and view.frozen:
            label = "go on"
        pair: tuple[Span, Span] = ((f" {shown} ", "accent"), (f"{label} ", "dim"))
        if line_width((*line, *pair)) > width:
            break
        line = (*line, *pair)
    return [line]
