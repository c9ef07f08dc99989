"""Pane 6: what happened, newest first, and what each turn of a knob did.

Rule 1. One line each: when, whose, what; of a knob also what it did.
Rule 2. From the right goes first what is least needed, and what is cut ends in a mark. Of an effect
its judgement goes last, before it the figures that are sure, and before these how many samples
there are.
Rule 3. What goes on is bright, what is over is dim.
Rule 4. The first line that is shown is the one that Enter goes to the route of.
"""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from probes.board.views import (
    Happening,
    HappeningKind,
    Judged,
    KnobComparison,
    KnobEffect,
    Snapshot,
)
from probes.kit.sanitise import neutralise
from tui.draw.text import (
    MARK,
    NO_FIGURE,
    Line,
    Role,
    Span,
    cells,
    clip,
    count,
    left,
    line_width,
    three_digits,
    time_of_day,
)
from tui.keys import hints
from tui.panes.pane import Want
from tui.panes.routes import OURS, STATE_GLYPHS, STATE_ROLES, selected_route
from tui.panes.view import LogFilter, ViewState

_NUMBER: Final = 6
LOG_FILTERS: Final[tuple[LogFilter, ...]] = get_args(LogFilter)
_GLYPHS: Final[dict[HappeningKind, tuple[str, Role]]] = {
    "onset": (OURS, "dim"),  # where it is no route's; else that of the state
    "cause": (OURS, "dim"),
    "recovered": ("✓", "good"),
    "settled": ("✓", "dim"),
    "throttled": (STATE_GLYPHS["throttled"], "throttled"),
    "knob": ("⚙", "accent"),
    "mark": ("▾", "accent"),
    "notice": ("i", "dim"),
    "fault": ("✕", "missed"),
    "gap": (OURS, "stall"),
    "held": (STATE_GLYPHS["held"], "throttled"),
    "engine": (OURS, "stall"),
}
_CHOSEN: Final[frozenset[HappeningKind]] = frozenset(
    ("onset", "cause", "recovered", "settled", "knob")
)
"""Of `incidents`: what went wrong, and what was done about it."""
_BRIGHT: Final[frozenset[HappeningKind]] = frozenset(("knob", "mark", "fault"))
_ALL: Final = "all routes"
_ROUTE: Final = 14
_WIDE_ROUTE: Final = 24
_WIDE_FROM: Final = 150
_LEAST_FOR_ROUTE: Final = 36
"""Cells below which the words alone stand behind the time."""
_WORDS: Final = 400
"""Characters of hostile text that are looked at."""
_NOTHING: Final[Span] = ("nothing has happened yet", "dim")
_LEAST_LINES: Final = 2
_MOST_LINES: Final = 40
"""What one glance can hold; who wants more gives it the whole screen."""
_STEP: Final = 4
"""Lines that it grows by: one more for each thing that happens would be restless."""
_TURN: Final = 18
"""Cells of `you: pace 0.5→0.2 s`, so that effects stand in line where there is room."""
_ARROW: Final = "→ "
_JUDGED: Final[dict[Judged, tuple[str, Role]]] = {
    "better": ("better", "good"),
    "worse": ("worse", "missed"),
    "unclear": ("not to be told apart", "dim"),
    "waiting": ("waits for more", "dim"),
}
_SURE: Final[Mapping[Judged, Role]] = {"better": "good", "worse": "slow"}
"""Of figures: the judgement alone is as loud as what hurts now, for what a turn did stays here."""
_TOO_FEW: Final = "too few to compare"
_OTHER_COHORT: Final = "times of another cap not compared"

_Need: TypeAlias = Literal[0, 1, 2, 3, 4]
"""What goes last has the least."""


class EffectPart(NamedTuple):
    """One thing that is told of an effect."""

    text: str
    role: Role
    need: _Need


def shown_happenings(snapshot: Snapshot, view: ViewState) -> Sequence[Happening]:
    """Return what happened as it is filtered, newest first."""
    if view.log_filter == "incidents":
        return [one for one in snapshot.happenings if one.kind in _CHOSEN]
    if view.log_filter == "route":
        route = selected_route(snapshot, view)
        name = "" if route is None else route.name
        return [one for one in snapshot.happenings if not one.routes or name in one.routes]
    return snapshot.happenings


def next_filter(of: LogFilter) -> LogFilter:
    """Return the filter after one."""
    return LOG_FILTERS[(LOG_FILTERS.index(of) + 1) % len(LOG_FILTERS)]


def happenings_lines(
    snapshot: Snapshot, view: ViewState, width: int, height: int, zone: tzinfo | None = None
) -> Sequence[Line]:
    """Return a line for each thing that happened, newest first, as far as it is scrolled.

    `zone` is the time zone of its wall times; None is the machine's own.
    """
    if width <= 0 or height <= 0:
        return ()
    shown = shown_happenings(snapshot, view)
    if not shown:
        return (clip((_NOTHING,), width),)
    first = _first(len(shown), view)
    return [_line(one, snapshot, width, zone) for one in shown[first : first + height]]


def happenings_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return the pane's name, and what it is filtered by."""
    route = selected_route(snapshot, view)
    match view.log_filter:
        case "incidents":
            chosen = "incidents and knobs"
        case "route":
            chosen = "no route" if route is None else neutralise(route.name, _WIDE_ROUTE)
        case "all":
            chosen = _ALL
    return f"what happened · {chosen} · newest first"


def happenings_subtitle(snapshot: Snapshot, view: ViewState) -> str:
    """Return what can be done with it; it is a line's route that opens only while it is read."""
    if not snapshot.happenings:
        return ""
    less = {"all": "only its own", "route": "only incidents", "incidents": "all"}[view.log_filter]
    each = [("log_filter", less)]
    if happenings_cursor(snapshot, view, 1) is not None:
        each.append(("open", "its route"))
    return hints(view.keys, *each)


def happenings_wants(snapshot: Snapshot, view: ViewState) -> Want:  # noqa: ARG001 - a pane's own
    """Return lines for all that happened; one before anything has."""
    number = -(-len(snapshot.happenings) // _STEP) * _STEP
    most = min(max(number, _LEAST_LINES), _MOST_LINES)
    return Want(_LEAST_LINES, most, quiet=not snapshot.happenings)


def happenings_brief(snapshot: Snapshot, view: ViewState) -> Line:  # noqa: ARG001 - a pane's own
    """Return the newest of what happened."""
    if not snapshot.happenings:
        return (("nothing", "dim"),)
    newest = snapshot.happenings[0]
    glyph = happening_look(newest)
    words = f" {whose(newest, snapshot, _ROUTE)} {neutralise(words_of(newest), _WORDS)}"
    return (glyph, (words, "dim"))


def happenings_count(snapshot: Snapshot, view: ViewState, height: int) -> str:
    """Return which lines stand in a height, and of how many: `1–11 of 240`."""
    number = len(shown_happenings(snapshot, view))
    if not number or height <= 0:
        return ""
    first = _first(number, view)
    return f"{first + 1}–{min(first + height, number)} of {number}"


def happenings_cursor(snapshot: Snapshot, view: ViewState, height: int) -> int | None:  # noqa: ARG001
    """Return the row that Enter goes to the route of, where somebody reads the log."""
    is_read = view.maximised == _NUMBER or view.offset("happenings") > 0
    return 0 if is_read and shown_happenings(snapshot, view) else None


def happening_at(snapshot: Snapshot, view: ViewState, row: int = 0) -> Happening | None:
    """Return what stands in a row; None where nothing does."""
    shown = shown_happenings(snapshot, view)
    place = _first(len(shown), view) + row
    return shown[place] if 0 <= place < len(shown) else None


def route_of(happening: Happening | None, snapshot: Snapshot) -> str | None:
    """Return the route that a line leads to, of several the worst; None where there is none."""
    if happening is None:
        return None
    return next((one.name for one in snapshot.routes if one.name in happening.routes), None)


def effect_words(effect: KnobEffect, width: int) -> Line:
    """Return what a turn of a knob did, in at most `width` cells: `429 0→31 %  TTFT p95 0.35→1.31 s
    GOOD 100→91 %  n 112/117  worse`. Empty where not even the judgement has room."""
    parts = effect_parts(effect)
    kept: list[EffectPart] = []
    for part in sorted(parts, key=lambda part: part.need):
        size = cells(part.text) + (2 if kept else 0)
        if size > width and not part.need:
            return ()
        if size <= width:
            kept.append(part)
            width -= size
    line: list[Span] = []
    for part in parts:
        if part in kept:
            line.append((f"{'  ' if line else ''}{part.text}", part.role))
    return tuple(line)


def effect_parts(effect: KnobEffect) -> list[EffectPart]:
    """Return what there is to tell of an effect, in the order in which it is read."""
    parts = [_figure(one) for one in effect.comparisons if _has_sample(one)]
    words, role = _JUDGED[effect.judged]
    if effect.judged == "waiting" and effect.until_ns is not None:
        words = _TOO_FEW
    most = max(effect.comparisons, key=lambda one: one.n_after, default=None)
    if most is not None:
        n = f"n {count(most.n_before)}/{count(most.n_after)}"
        parts.append(EffectPart(n, "dim", 2))
    parts.append(EffectPart(words, role, 0))
    if all(one.figure != "ttft_p95" for one in effect.comparisons):
        parts.append(EffectPart(_OTHER_COHORT, "faint", 4))
    return parts


def _has_sample(one: KnobComparison) -> bool:
    return one.before is not None and one.after is not None


def _figure(one: KnobComparison) -> EffectPart:
    """Return one figure before and after: `TTFT p95 0.35→1.31 s`."""
    match one.figure:
        case "throttled_share":
            text = f"429 {_percent(one.before)}→{_percent(one.after)} %"
        case "good_share":
            text = f"GOOD {_percent(one.before)}→{_percent(one.after)} %"
        case "ttft_p95":
            text = f"TTFT p95 {_short(one.before)}→{_short(one.after)} s"
        case "tokens_per_s":
            text = f"tok/s {_short(one.before)}→{_short(one.after)}"
    role = _SURE.get(one.judged, "dim")
    return EffectPart(text, role, 1 if one.judged in _SURE else 3)


def _short(value: float | None) -> str:
    """Return a figure in two or three digits: `0.35`, `1.31`, `41`."""
    if value is None or value >= 9.995:
        return three_digits(value) if value is None else count(value)
    return f"{value:.2f}"


def _percent(share: float | None) -> str:
    """Return a share in per cent; only a whole one is 100, and none that is one is 0."""
    if share is None:
        return NO_FIGURE
    if share <= 0 or share >= 1:
        return f"{share * 100:.0f}"
    percent = min(max(share * 100, 0.1), 99.9)
    return f"{percent:.0f}" if 9.95 <= percent < 99 else f"{percent:.1f}"


def _first(number: int, view: ViewState) -> int:
    return max(0, min(view.offset("happenings"), number - 1))


def _line(one: Happening, snapshot: Snapshot, width: int, zone: tzinfo | None) -> Line:
    glyph, glyph_role = happening_look(one)
    is_open = one.kind in ("onset", "cause") and one.until_ns is None
    role: Role = "text" if is_open or one.kind in _BRIGHT else "dim"
    at = time_of_day(one.at_ns, snapshot.wall_anchor_ns, zone)
    head: Line = ((f"{at} ", role), (f"{glyph} ", glyph_role))
    if width >= _LEAST_FOR_ROUTE:
        room = _WIDE_ROUTE if width >= _WIDE_FROM else _ROUTE
        head = (
            *head,
            (left(whose(one, snapshot, room), room) + "  ", "title" if is_open else role),
        )
    words = neutralise(words_of(one), _WORDS)
    if one.count > max(1, len(one.routes)) and one.kind != "throttled":  # those count themselves
        words += f" ×{one.count}"
    room = width - line_width(head)
    if one.effect is None:
        return clip((*head, (words, role)), width)
    for turn in (left(words, max(_TURN, cells(words))), words):
        effect = effect_words(one.effect, room - cells(turn) - 2 - len(_ARROW))
        if len(effect) > 1 or (effect and turn is words):
            return (*head, (f"{turn}  ", role), (_ARROW, "dim"), *effect)
    return clip((*head, (f"{words}  {_ARROW}{MARK}", role)), width)


def happening_look(one: Happening) -> tuple[str, Role]:
    """Return the glyph of what happened, and how loud it is."""
    if one.kind not in ("onset", "cause") or one.state is None:
        return _GLYPHS[one.kind]
    role = STATE_ROLES[one.state]
    return STATE_GLYPHS[one.state], "missed" if role == "alert" else role


def whose(one: Happening, snapshot: Snapshot, room: int) -> str:
    """Return whose it is: `alpha`, `alpha +5`, `all routes`; of a whole place `@eu`, and of several
    places the names that routes have at all of them."""
    routes: Sequence[str] = one.routes
    if not routes or 1 < len(snapshot.routes) <= len(routes):
        return f"@{neutralise(one.place, room)}" if one.place else _ALL
    hit = [row for row in snapshot.routes if row.name in routes] if len(routes) > 1 else []
    if len({row.place for row in hit}) > 1:
        routes = tuple(dict.fromkeys(row.shared_name for row in hit))
    more = f" +{len(routes) - 1}" if len(routes) > 1 else ""
    name = neutralise(routes[0], _WIDE_ROUTE)
    return left(name, min(cells(name), room - cells(more))) + more


def words_of(one: Happening) -> str:
    """Return what happened, beside whose it is."""
    return one.text.removeprefix(f"{one.place}: ") if one.place and not one.routes else one.text
