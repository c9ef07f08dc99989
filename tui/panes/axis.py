"""The line that says where in the run one stands; it is there only while that is not now.

Rule 1. It is the whole run from its first moment that can be shown to the last, and what happened
in it as it is known now: also what had not happened yet, or was not known, at the moment that is
shown.
Rule 2. Of what falls into one cell the worst is shown; the number of what one stands at tells how
many there are.
Rule 3. What there is no room for goes whole: first the words at the right, then the times.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import tzinfo
from operator import attrgetter
from typing import Final, get_args

from probes.board.views import Happening, HappeningKind, RouteState, Snapshot
from probes.kit.sanitise import neutralise
from tui.draw.chart import join_cells
from tui.draw.text import Line, Span, cells, clip, line_width, pad
from tui.panes.happenings import happening_look, whose, words_of
from tui.panes.moment import NOW, moment_words
from tui.panes.pane import PaneSpec
from tui.panes.view import PastView, ViewState

_HERE: Final = "◆"
_THERE: Final = "◇"
"""Where one is on a long way to."""
_LEAST_BAR: Final = 24
"""Cells in which an axis still shows where things lie."""
_LEAST_WORDS: Final = 30
_WORDS_SHARE: Final = 3
"""What happened last has at most every third cell: the axis is what the line is for."""
_MOST_WORDS: Final = 64
_ROUTE: Final = 14
_TEXT_LIMIT: Final = 80
"""Characters of what happened that are looked at."""
_LOUDEST: Final[tuple[HappeningKind, ...]] = ("onset", "cause", "mark", "knob", "gap", "engine")
"""Of one cell the first of these is shown; a recovery is the last."""
_STATES: Final = get_args(RouteState)
_AT_NS: Final = attrgetter("at_ns")


def axis_pane() -> PaneSpec:
    """Return the strip."""
    return PaneSpec("axis", 0, axis_lines, moves=True)


def axis_lines(
    snapshot: Snapshot,
    view: ViewState,
    width: int,
    height: int,  # noqa: ARG001 - as every pane is drawn
    zone: tzinfo | None = None,
) -> Sequence[Line]:
    """Return the axis; live it is empty."""
    past = view.past
    if past is None or width <= 0:
        return [()]
    anchor_ns = snapshot.wall_anchor_ns
    words: Line = ()
    room = min(width // _WORDS_SHARE, _MOST_WORDS)
    if room >= _LEAST_WORDS:
        told = (("  ", "text"), *_last_words(past, snapshot, room - 2, zone))
        words = pad(clip(told, room), room)
    left_end, right_end = _ends(past, anchor_ns, width - line_width(words), zone)
    bar = width - line_width(left_end) - line_width(right_end) - line_width(words)
    return [clip((*left_end, *_bar(past, max(1, bar)), *right_end, *words), width)]


def _ends(past: PastView, anchor_ns: int, width: int, zone: tzinfo | None) -> tuple[Line, Line]:
    """Return what stands at both ends of the axis, as many words as leave it room."""
    begin = moment_words(past.begin_ns, past, anchor_ns, zone)
    end = NOW if past.has_present else moment_words(past.end_ns, past, anchor_ns, zone)
    share = f" {_share(past)}%"
    edge: Span = ("┊", "stall") if past.is_cut else ("├", "border")
    cut = ["retention cut the rest ", "cut before "] if past.is_cut else [""]
    tries: list[tuple[Line, Line]] = [
        (((f" {why}", "stall"), (f"{begin} ", "dim"), edge), (("┤", "border"), (tail, "dim")))
        for why, tail in [(cut[0], f" {end}{share}"), (cut[-1], f" {end}{share}"), ("", f" {end}")]
    ]
    for left_end, right_end in tries:
        if line_width(left_end) + line_width(right_end) + _LEAST_BAR <= width:
            return left_end, right_end
    return (edge,), (("┤", "border"),)


def _share(past: PastView) -> int:
    """Return how far one is, in whole per cent; 100 is the end alone."""
    lasts_ns = past.end_ns - past.begin_ns
    if lasts_ns <= 0:
        return 100
    return min(max(0, (past.at_ns - past.begin_ns) * 100 // lasts_ns), 100)


def _bar(past: PastView, width: int) -> Line:
    lasts_ns = max(1, past.end_ns - past.begin_ns)

    def column(at_ns: int) -> int:
        place = (at_ns - past.begin_ns) * (width - 1) // lasts_ns
        return min(max(place, 0), width - 1)

    here = column(past.at_ns)
    gone: Span = ("━", "graph")
    to_come: Span = ("─", "border")
    row = [gone] * here + [to_come] * (width - here)
    if past.read_ns is not None:
        unread: Span = ("┄", "faint")
        first = max(here, column(past.read_ns))
        row[first:] = [unread] * (width - first)
    # The quietest first, over which the others are drawn.
    stops = sorted(past.stops, key=_loudness, reverse=True)
    for stop in stops:
        if stop.kind == "onset":
            ill: Span = ("═", happening_look(stop)[1])
            first = column(stop.at_ns)
            last = column(past.end_ns if stop.until_ns is None else stop.until_ns)
            row[first : last + 1] = [ill] * (last + 1 - first)
    for stop in stops:
        row[column(stop.at_ns)] = happening_look(stop)
    if past.going_to_ns is not None:
        row[column(past.going_to_ns)] = (_THERE, "past")
    row[here] = (_HERE, "past")
    return join_cells(row)


def _loudness(stop: Happening) -> tuple[int, int]:
    """Return what is less for what must rather be seen."""
    kind = _LOUDEST.index(stop.kind) if stop.kind in _LOUDEST else len(_LOUDEST)
    return kind, len(_STATES) if stop.state is None else _STATES.index(stop.state)


def _last_words(past: PastView, snapshot: Snapshot, width: int, zone: tzinfo | None) -> Line:
    """Return what had happened last by the moment that is shown: the how many-th of all it is, its
    time, and as many words as there is room for."""
    number = bisect_right(past.stops, past.at_ns, key=_AT_NS)
    counted: Span = (f"{number}/{len(past.stops)} ", "dim")
    if not number:
        return (counted, ("nothing had happened yet" if past.stops else "nothing happened", "dim"))
    stop = past.stops[number - 1]
    glyph, role = happening_look(stop)
    at = moment_words(stop.at_ns, past, snapshot.wall_anchor_ns, zone)
    text = f"{whose(stop, snapshot, _ROUTE)} {neutralise(words_of(stop), _TEXT_LIMIT)}"
    if cells(counted[0] + at) + 4 > width:
        return (counted, (glyph, role))
    is_here = past.at_ns == stop.at_ns
    return (counted, (glyph, role), (f" {at} {text}", "title" if is_here else "dim"))
