"""The footer: the keys that matter most, as many as fit."""

from collections.abc import Sequence

from probes.board.views import Snapshot
from tui.draw.text import Line, Span, line_width
from tui.keys import footer_keys
from tui.panes.pane import Pane
from tui.panes.view import ViewState


def footer_line(view: ViewState, width: int) -> Line:
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
    return line


class FooterStrip(Pane, can_focus=False):
    """One line of keys."""

    def draw(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002
        """Return the keys that fit."""
        return [footer_line(view, width)]

    def title_for(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        """Return nothing: a strip has no border."""
        return ""
