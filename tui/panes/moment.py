"""What the moment that is shown is called.

Rule 1. `now` is the present alone; a screen that stands still is told so by its header.
Rule 2. Of the past, and of a recording, which has no present, charts end at a time of day: that of
the header. What has too little room for that, and what stands over figures, says `then`.
"""

from datetime import tzinfo
from typing import Final

from probes.board.views import Snapshot
from probes.kit.short_figures import local_moment
from tui.draw.text import NO_FIGURE
from tui.panes.view import PastView, ViewState

NOW: Final = "now"
THEN: Final = "then"


def now_word(view: ViewState) -> str:
    """Return what the moment that is shown is called over figures, and in a sentence."""
    return NOW if view.past is None else THEN


def end_names(snapshot: Snapshot, view: ViewState, zone: tzinfo | None = None) -> tuple[str, ...]:
    """Return what charts may call the moment that they end at, the longest first."""
    past = view.past
    if past is None:
        return (NOW,)
    at = moment_words(past.at_ns, past, snapshot.wall_anchor_ns, zone)
    return (THEN,) if at == NO_FIGURE else (at, THEN)


def moment_words(at_ns: int, past: PastView, anchor_ns: int, zone: tzinfo | None = None) -> str:
    """Return the wall time of a moment, with its day where that is not the day of the end."""
    moment = local_moment(at_ns + anchor_ns, zone)
    end = local_moment(past.end_ns + anchor_ns, zone)
    if moment is None or end is None:
        return NO_FIGURE
    return moment.strftime("%H:%M:%S" if moment.date() == end.date() else "%d %b %H:%M:%S")
