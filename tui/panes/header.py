"""The header strip, and the banner beneath it for what must not be overlooked.

What it counts is of the window of the table: it is the sum of the rows below it. Its light has the
colour of the worst of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final, get_args

import msgspec

from probes.board.views import HeaderView, RouteState, RouteView, Snapshot
from probes.comparing.views import ComparisonView
from probes.control.status import HostState, HostStatus
from probes.events import HeldReason
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import lasting
from probes.sweeping.views import SweepView
from probes.sweeping.words import load_number
from tui.draw.text import (
    Line,
    Role,
    Span,
    age,
    clip,
    count,
    counted,
    join,
    line_width,
    time_of_day,
    usd,
)
from tui.keys import KEYS, Hotkey, first_key, key_or_label, with_keys
from tui.panes.moment import NOW, moment_words
from tui.panes.observer import CALM, Cockpit, Remark, observer_remarks
from tui.panes.pace import BEHIND, is_behind, lamp_words
from tui.panes.routes import STATE_GLYPHS, STATE_ROLES, hurts, window_words
from tui.panes.view import PastView, ReplayView, ViewState

_WORDS_LIMIT: Final = 160
"""Characters of an engine's last words: a line of a wide terminal."""
_NEWS_S: Final = 30.0
"""How long a restart is news: longer than anybody looks away from an incident."""
_BUDGET_NEAR: Final = 0.8
"""Share of the hour's budget from which it stands out: at an even pace twelve minutes are left."""
_MOST_NAMED: Final = 3
"""Routes that are named in the banner; of the rest it has the number."""

FIRES: Final[Span] = ("⚑", "missed")
"""An alert that nobody has acknowledged."""

_UNKNOWN: Final[tuple[RouteState, ...]] = ("silent", "held")
"""Nothing is heard of them, or we hold them back: nobody knows whether they hurt."""
_RESTING: Final = frozenset[RouteState](("paused", "starting"))
"""Neither well nor hurt: nobody asks them, or they have not answered yet."""

_ENGINE_BANNERS: Final[dict[HostState, tuple[str, str]]] = {
    "silent": ("ENGINE SILENT", "what you see is old"),
    "restarting": ("ENGINE DEAD", ""),
    "gave_up": ("ENGINE DEAD", "{retry} starts it again"),
    "lost": ("BUS LOST", "what you see is old"),
}
_LAMPS: Final[dict[HostState, Span]] = {
    "starting": ("○ STARTING", "dim"),
    "running": ("● LIVE", "good"),
    "silent": ("✖ SILENT", "alert"),
    "restarting": ("✖ DEAD", "alert"),
    "gave_up": ("✖ DEAD", "alert"),
    "stopped": ("○ STOPPED", "dim"),
    "lost": ("✖ LOST", "alert"),
}


@dataclass(slots=True)
class Strips:
    """Draws header and banner, which alone show how the engine and this process are."""

    status: HostStatus = field(default_factory=lambda: HostStatus("starting"))
    cockpit: Cockpit = CALM
    present: Snapshot | None = None
    """How it is now, while something else is shown; None where that is the same."""
    replay: ReplayView | None = None
    """None where it is a run that is shown."""
    zone: tzinfo | None = None
    """That of the times shown; None is this machine's."""
    comparison: ComparisonView | None = None
    """One that asks, or of which nobody has seen the end; None beside its page, which says more."""

    sweep: SweepView | None = None
    """The same of a sweep."""

    def header(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002
        """Return the strip: where in time one stands, what is going on, and at the right how far it
        can be trusted.

        Where there is no room figures go by priority, then the words of remarks. What cannot be
        trusted is said at any width that holds it.
        """
        figures = [*self._lead(snapshot, view), *_figures(snapshot)]
        return [_strip(figures, snapshot.header, self.cockpit, width)]

    def banner(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002
        """Return the banner, over the whole width: of now, whatever is shown."""
        line = clip(self.banner_text(self.present or snapshot, view.keys) or (), width)
        role: Role = line[-1][1] if line else "alert"
        return [(*line, (" " * max(0, width - line_width(line)), role))]

    def of_screen(
        self, snapshot: Snapshot, view: ViewState, width: int, parts: Sequence[tuple[Line, float]]
    ) -> Line:
        """Return the strip of another screen: the lamp, its own parts, how far it can be trusted.

        Each of `parts` has a priority: where there is no room the highest goes first, 0 never does.
        """
        figures = [
            *self._lead(snapshot, view),
            *(_Part(line, priority) for line, priority in parts),
        ]
        return _strip(figures, snapshot.header, self.cockpit, width)

    def banner_text(self, snapshot: Snapshot, keys: Sequence[Hotkey]) -> Line | None:
        """Return what stands on the banner; None where nothing does."""
        if self.replay is None:
            return banner_line(snapshot, self.status, keys)
        failure = neutralise(self.replay.failure, _WORDS_LIMIT)
        return ((f" THE REST CANNOT BE READ · {failure} ", "alert"),) if failure else None

    def _lead(self, snapshot: Snapshot, view: ViewState) -> "list[_Part]":
        """Return what every strip begins with."""
        called = _called(self.present or snapshot, view)
        return [
            *self._lamp(snapshot, view),
            *called,
            *_comparison(self.comparison, view),
            *_sweep(self.sweep, view),
        ]

    def _lamp(self, snapshot: Snapshot, view: ViewState) -> "list[_Part]":
        if self.replay is None:
            return _where(snapshot, view, self.status, self.zone)
        return _replay_lamp(self.replay, snapshot, view, self.zone)


class _Part(msgspec.Struct, frozen=True):
    """A piece of the strip; the highest priority goes first where there is no room."""

    line: Line
    priority: float

    @property
    def width(self) -> int:
        return line_width(self.line)


_COMPARES: Final = 0.85
"""Priority of what a comparison says: it spends money, and no other line tells it; verdicts tell
who hurts where there is no room to count them."""
_EXPLAINED_BEFORE: Final = 2.5
"""Figures of a higher priority make room for the words of a remark; those below never do."""


def _strip(figures: list[_Part], header: HeaderView, cockpit: Cockpit, width: int) -> Line:
    """Return figures at the left and the badge at the right, as far as they have room."""
    badge = _worded(figures, observer_remarks(header, cockpit), width)
    figures, badge = _fitting(figures, badge, width)
    line, health = join(part.line for part in figures), join(part.line for part in badge)
    space = width - line_width(line) - line_width(health) - 1
    return clip((*line, (" " * max(0, space), "text"), *health, (" ", "text")), width)


def _worded(figures: list[_Part], remarks: list[Remark], width: int) -> list[_Part]:
    """Return the badge with as many words as fit beside what never makes room for words."""
    for worded_below in (math.inf, 1, 0):
        badge = [
            _Part(r.line if r.priority < worded_below else r.short, r.priority) for r in remarks
        ]
        least = (part for part in (*figures, *badge) if part.priority < _EXPLAINED_BEFORE)
        if sum(part.width for part in least) < width:
            break
    return badge


def _fitting(
    figures: list[_Part], badge: list[_Part], width: int
) -> tuple[list[_Part], list[_Part]]:
    """Return what is left of both after those of the highest priority have made room."""
    parts = sorted((*figures, *badge), key=lambda part: part.priority)
    needed = sum(part.width for part in parts)
    while needed >= width and parts[-1].priority > 0:
        needed -= parts.pop().width
    untrusted = [part for part in badge if part.priority <= 0]
    if untrusted and needed >= width:
        return [], untrusted
    return [part for part in figures if part in parts], [part for part in badge if part in parts]


def banner_line(
    snapshot: Snapshot, status: HostStatus, keys: Sequence[Hotkey] = KEYS
) -> Line | None:
    """Return what must not be overlooked, on red, or what is held for a moment and is no alarm;
    None where there is nothing of the kind."""
    engine = _ENGINE_BANNERS.get(status.state)
    if engine is not None:
        text = _engine_text((engine[0], with_keys(engine[1], keys)), status)
    else:
        text = _money_text(snapshot, keys) or _held_text(snapshot, keys) or _restarted_text(status)
    if text:
        return ((f" {text} ", "alert"),)
    waiting = _new_budget_text(snapshot, keys)
    return ((f" {waiting} ", "past"),) if waiting else None


def _places_of(status: HostStatus) -> str:
    """Return the names of the places whose engines this is about; empty where that is the one of a
    run that has no places."""
    for begins in ("place ", "places "):
        if status.engine.startswith(begins):
            return status.engine.removeprefix(begins)
    return ""


def _is_partly_live(snapshot: Snapshot, status: HostStatus) -> bool:
    """Tell whether some place is heard, though the one is not that is told of."""
    heard = any(place.state == "heard" for place in snapshot.header.places)
    is_away = status.state in _ENGINE_BANNERS or status.state == "starting"
    return heard and bool(_places_of(status)) and is_away


def _engine_text(engine: tuple[str, str], status: HostStatus) -> str:
    name, advice = engine
    of, who = _places_of(status), status.engine
    if of:
        what = "GIVEN UP" if status.state == "gave_up" else "NOT HEARD"
        name, who = f"{'PLACES' if ',' in of else 'PLACE'} {neutralise(of, 60)} {what}", ""
    elif who == "all places":
        name, who = "NO PLACE HEARD", ""
    for_s = f" {age(status.silent_s)}" if status.silent_s >= 1 else ""
    # A silent engine has not ended: what is told of an end is that of the one before it.
    ended = status.state != "silent"
    detail = neutralise(status.detail, _WORDS_LIMIT) if ended else ""
    last_words = _last_words(status) if ended else ""
    parts = (name + for_s, who, advice, detail, last_words)
    return " · ".join(part for part in parts if part)


def _restarted_text(status: HostStatus) -> str:
    """Return that the engine is a new one, for as long as somebody may not have seen it."""
    if status.state != "running" or not status.restarts or status.since_s > _NEWS_S:
        return ""
    detail = neutralise(status.detail, _WORDS_LIMIT)
    since = f"ENGINE RESTARTED {age(status.since_s)} ago"
    parts = (since, status.engine, detail, _last_words(status))
    return " · ".join(part for part in parts if part)


def _last_words(status: HostStatus) -> str:
    words = neutralise(status.last_words.strip(), _WORDS_LIMIT)
    return f"last words: {words}" if words else ""


def _money_text(snapshot: Snapshot, keys: Sequence[Hotkey]) -> str:
    """Return that nobody knows what was spent, and what is held back meanwhile."""
    header = snapshot.header
    doubt = neutralise(header.budget_doubt, _WORDS_LIMIT)
    if not doubt or header.budget_doubt_kind == "new":
        return ""
    told = "BUDGET UNKNOWN"
    if header.budget_doubt_kind == "unknown":
        told += with_keys(" · emergency part only · {lift} counts on", keys)
    parts = (told, _held_text(snapshot, keys), doubt)
    return " · ".join(part for part in parts if part)


def _held_text(snapshot: Snapshot, keys: Sequence[Hotkey]) -> str:
    """Return which routes are held back by us, and why, as far as a view knows."""
    routes, header = snapshot.routes, snapshot.header
    held = [
        route for route in routes if route.state == "held" and not _is_new_budget(route, header)
    ]
    if held:
        reasons = frozenset(reason for route in held for reason in route.held)
        return f"HELD {_named(held)} · {_held_why(reasons, header)}"
    if routes and all(route.state == "paused" for route in routes):
        return with_keys("ALL ROUTES PAUSED · {panic} goes on", keys)
    return ""


def _new_budget_text(snapshot: Snapshot, keys: Sequence[Hotkey]) -> str:
    """Return which routes wait until the budgets of a new bus may be spent whole."""
    header = snapshot.header
    waiting = [route for route in snapshot.routes if _is_new_budget(route, header)]
    if not waiting:
        return ""
    doubt = neutralise(header.budget_doubt, _WORDS_LIMIT)
    lifts = with_keys("{lift} lifts that now", keys)
    return f"held {_named(waiting)} · {doubt} · {lifts}"


def _is_new_budget(route: RouteView, header: HeaderView) -> bool:
    """Return whether a route is held back because its budget is new: it is not for long, and
    nothing is wrong."""
    is_new = bool(header.budget_doubt) and header.budget_doubt_kind == "new"
    return is_new and route.state == "held" and set(route.held) == {"budget"}


def _named(routes: Sequence[RouteView]) -> str:
    names = ", ".join(neutralise(route.name, 30) for route in routes[:_MOST_NAMED])
    more = len(routes) - _MOST_NAMED
    return f"{names} and {more} more" if more > 0 else names


def _held_why(reasons: frozenset[HeldReason], header: HeaderView) -> str:
    if "budget" in reasons and header.budget_doubt and header.budget_doubt_kind == "away":
        return "what may be spent is spent"  # how much that is, the doubt says
    if "budget" in reasons:
        return f"budget spent: {neutralise(header.budget_text, 60)}"
    if "reader_stalled" in reasons:
        return "nobody read the engine's events"
    return "the engine starts again"


def _lamp(snapshot: Snapshot, view: ViewState, status: HostStatus, zone: tzinfo | None) -> Line:
    """Return whether this is live, and for how long; its light is as red as the worst route. While
    the past is read it says which moment of it is shown: it may look ill, and be long over."""
    clock: Span = (f" {_elapsed(snapshot.header.elapsed_s)}", "title")
    start: Span = (" llmtop ", "title")
    masked: Line = ((" masked", "accent"),) if view.private else ()
    if view.freeze is not None:
        stood = age(view.freeze.for_s).replace(".0s", "s")
        since = f"‖ FROZEN {stood} · {counted(view.freeze.versions, 'event', short=True)} since"
        return (start, (since, "alert"), clock, *masked)
    text, role = _LAMPS["running" if _is_partly_live(snapshot, status) else status.state]
    if status.read_percent is not None:
        text = f"○ READING {status.read_percent} %"
        if snapshot.routes:
            then = time_of_day(snapshot.now_ns, snapshot.wall_anchor_ns, zone)
            clock = (f" at {then}", "title")
    worst = worst_state(snapshot)
    is_live = status.state == "running" or _is_partly_live(snapshot, status)
    if is_live and worst is not None:
        return (start, (text[:1], _loud(worst)), (text[1:], "title"), clock, *masked)
    return (start, (text, role), clock, *masked)


def _where(
    snapshot: Snapshot, view: ViewState, status: HostStatus, zone: tzinfo | None
) -> list[_Part]:
    """Return the lamp; where what is shown is not now, that moment, and what goes on meanwhile."""
    past = view.past
    if past is None:
        lamp = [_Part(_lamp(snapshot, view, status, zone), 0)]
        if status.state == "starting" and status.detail and not _is_partly_live(snapshot, status):
            # Whoever looks at an empty screen wants to know what it waits for.
            words = neutralise(status.detail, _WORDS_LIMIT)
            lamp.append(_Part(((f"  {words}", "title"),), 0.05))
        return lamp
    at = moment_words(past.at_ns, past, snapshot.wall_anchor_ns)
    ago = f", {age(past.ago_s).replace('.0s', 's')} ago" if past.has_present else ""
    glyph = f"▶ {speed_words(past.speed)}" if past.is_playing else "◀"
    masked: Line = ((" masked", "accent"),) if view.private else ()
    parts = [_Part(((" llmtop ", "title"), (f" {glyph} {at}{ago} ", "past"), *masked), 0)]
    if past.going_to_ns is not None:
        there = moment_words(past.going_to_ns, past, snapshot.wall_anchor_ns)
        parts.append(_Part(((f" → {there} …", "accent"),), 0.05))
    if past.has_present:
        parts.append(_Part(_meanwhile(past), 0.1))
        if key := first_key("live", view.keys):
            parts.append(_Part(((f"  {key}", "accent"), (f" {NOW}", "dim")), 0.2))
    return parts


def _meanwhile(past: PastView) -> Line:
    """Return how it is now, while another moment is shown."""
    if past.worst_now is None:
        return (("  live: none hurt", "dim"),)
    glyph = STATE_GLYPHS[past.worst_now]
    return (("  live: ", "dim"), (f"{glyph} {count(past.hurt_now)} hurt", _loud(past.worst_now)))


def speed_words(speed: float) -> str:
    """Return how fast the past is played: `10×`, `max`."""
    return "max" if speed == math.inf else f"{speed:g}×"


def _replay_lamp(
    replay: ReplayView, snapshot: Snapshot, view: ViewState, zone: tzinfo | None
) -> list[_Part]:
    """Return where in a recording one stands, and how fast that moves."""

    def clock(at_ns: int) -> str:
        return time_of_day(at_ns, snapshot.wall_anchor_ns, zone)

    masked: Line = ((" masked", "accent"),) if view.private else ()
    if not snapshot.routes:
        return [_Part(((" llmtop ", "title"), ("▶ REPLAY", "dim"), *masked), 0)]
    speed = speed_words(replay.speed)
    glyph, word = ("■", "END") if replay.is_over else ("▶" if replay.is_playing else "‖", speed)
    worst = worst_state(snapshot)
    light: Role = "good" if worst is None else _loud(worst)
    where: Line = (
        (" llmtop ", "title"),
        (glyph, light),
        (" REPLAY ", "title"),
        (word, "title" if replay.is_playing or replay.is_over else "alert"),
        (f" {clock(replay.at_ns)}", "title"),
        *masked,
    )
    if not (replay.is_playing or replay.is_over):
        where = (*where[:3], ("PAUSED", "alert"), (f" {speed}", "dim"), *where[4:])
    passed, whole = (
        lasting(max(0, upto_ns - replay.begin_ns) / NS_PER_S)
        for upto_ns in (replay.at_ns, replay.end_ns)
    )
    parts = [_Part(where, 0), _Part(((f" · {passed} of {whole}", "dim"),), 0.5)]
    if replay.awaited_ns is not None:
        waits = f" → {clock(replay.awaited_ns)}, read {replay.read_percent} %"
        parts.append(_Part(((waits, "accent"),), 0.1))
    elif replay.read_percent < 100:
        parts.append(_Part(((f" · read {replay.read_percent} %", "dim"),), 0.8))
    return parts


def _called(snapshot: Snapshot, view: ViewState) -> list[_Part]:
    """Return how many alerts nobody has acknowledged; in nothing else it is told at any width."""
    number = sum(
        one.over is None and one.alert.id not in view.acknowledged for one in snapshot.alerts
    )
    if not number:
        return []
    words = counted(number, "alert", short=True)
    return [_Part(((" ", "text"), (f"{FIRES[0]} {words}", FIRES[1])), 0.1)]


def _elapsed(seconds: float) -> str:
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes:02d}:{whole % 60:02d}"


def worst_state(snapshot: Snapshot, but: Sequence[RouteState] = ()) -> RouteState | None:
    """Return the worst state of a route that hurts, but some; None where none does.

    What waits for a new budget does not hurt: it goes on by itself.
    """
    order, header = get_args(RouteState), snapshot.header
    states = [
        route.state
        for route in snapshot.routes
        if hurts(route) and route.state not in but and not _is_new_budget(route, header)
    ]
    return min(states, key=order.index, default=None)


def terminal_title(snapshot: Snapshot, status: HostStatus) -> str:
    """Return what the terminal's window or tab is called: `✖ 2 down · llmtop`.

    It is made of our own words alone: a terminal believes what stands there.
    """
    if status.state in _ENGINE_BANNERS and not _is_partly_live(snapshot, status):
        return f"✖ {_ENGINE_BANNERS[status.state][0].lower()} · llmtop"
    worst = worst_state(snapshot)
    if worst is None:
        return "llmtop"
    number = sum(route.state == worst for route in snapshot.routes)
    return f"{STATE_GLYPHS[worst]} {number} {worst} · llmtop"


def _loud(state: RouteState) -> Role:
    # White on red is for a glyph on a row: the strip has one red line of its own.
    role = STATE_ROLES[state]
    return "missed" if role == "alert" else role


def _figures(snapshot: Snapshot) -> list[_Part]:
    header = snapshot.header
    bar: Line = ((" │", "border"),)
    window = window_words(snapshot.window, "")
    tokens = ("~" if header.tokens_estimated else "") + count(header.tokens_per_s)
    probes = _unit(header.finished, "probe", "probes")
    return [
        _Part(_routes(snapshot), 0.9),
        *_places(header),
        *_behind(snapshot),
        _Part((*bar, (f" {window}", "dim")), 4.2),
        _Part(_figure(count(header.finished), 4, probes, "title"), 4),
        _Part(_trouble(header.failed, "failed", "failed", "missed"), 2),
        _Part(_trouble(header.throttled, "429", "429s", "throttled"), 1),
        _Part(_trouble(header.retries, "retry", "retries", "slow"), 3),
        *([_Part((*bar, *money), 6.4)] if (money := _money(header)) else []),
        *_new_budgets(header),
        _Part(_figure(count(header.in_flight), 3, "open", "dim"), 8),
        _Part(_figure(tokens, 5, "tok/s", "dim"), 9),
    ]


def _comparison(shown: ComparisonView | None, view: ViewState) -> list[_Part]:
    """Return that a comparison asks, and how far it is; or that it is over, and what shows it."""
    if shown is None:
        return []
    if shown.is_over:
        words = f"comparison over: {key_or_label('compare', view.keys)}"
        return [_Part(((f"  {words}", "title"),), _COMPARES)]
    told = f"comparing {shown.pairs}/{shown.cost.pairs}"
    return [_Part(((f"  {told}", "accent"),), _COMPARES)]


def _sweep(shown: SweepView | None, view: ViewState) -> list[_Part]:
    """Return that a sweep asks, and for what; or that it is over, and what shows it."""
    if shown is None:
        return []
    if shown.is_over:
        words = f"sweep over: {key_or_label('sweep', view.keys)}"
        return [_Part(((f"  {words}", "title"),), _COMPARES)]
    # Its load is in every figure beside it, so that it is told how much that is.
    at = "" if shown.load is None else f" at {load_number(shown.load, shown.by)}"
    return [_Part(((f"  sweeping{at}", "accent"),), _COMPARES)]


def _routes(snapshot: Snapshot) -> Line:
    """Return how many routes there are, and how many of them hurt, or nobody knows how they are."""
    header, worst = snapshot.header, worst_state(snapshot, but=_UNKNOWN)
    routes = f"  {counted(header.routes, 'route', short=True)}"
    unknown = {state: sum(row.state == state for row in snapshot.routes) for state in _UNKNOWN}
    if worst is None and not any(unknown.values()):
        return ((f"{routes}", "dim"),)
    loud: list[Span] = []
    if worst is not None:
        loud.append((f"{STATE_GLYPHS[worst]} {count(header.hurt)} hurt", _loud(worst)))
    waits = all(_is_new_budget(row, header) for row in snapshot.routes if row.state == "held")
    for state, number in unknown.items():
        if number:
            told = f"{STATE_GLYPHS[state]} {count(number)} {state}"
            role: Role = "accent" if state == "held" and waits else _loud(state)
            loud.append(((", " if loud else "") + told, role))
    resting = sum(route.state in _RESTING for route in snapshot.routes)
    well = header.routes - header.hurt - resting - sum(unknown.values())
    rest = [f"{count(well)} ok"] if well > 0 else []
    rest += [f"{count(resting)} idle"] if resting > 0 else []
    return (
        (f"{routes}: ", "dim"),
        *loud,
        (", " + ", ".join(rest) if rest else "", "dim"),
    )


def _places(header: HeaderView) -> list[_Part]:
    """Return from how many places there is something, and from which there is not: what is old must
    not be taken for what is."""
    if len(header.places) < 2:
        return []
    silent = [place for place in header.places if place.state != "heard"]
    if len(silent) == 1:
        (one,) = silent
        told = f"  {STATE_GLYPHS['silent']} {one.name} silent {lasting(one.since_s)}"
        return [_Part(((told, "slow"),), 0.12)]
    if silent:
        many = f"{len(silent)} of {counted(len(header.places), 'place')} silent"
        return [_Part(((f"  {STATE_GLYPHS['silent']} {many}", "slow"),), 0.12)]
    behind = max(header.places, key=lambda place: place.behind_s)
    if behind.behind_s:
        return [_Part(((f"  {behind.name} {lasting(behind.behind_s)} behind", "accent"),), 0.95)]
    return [_Part(((f" × {counted(len(header.places), 'place')}", "dim"),), 4.1)]


def _behind(snapshot: Snapshot) -> list[_Part]:
    """Return that an open pace is not kept: a loop that only looks open must not go unseen."""
    behind = [route for route in snapshot.routes if is_behind(route)]
    if not behind:
        return []
    words = f"{count(len(behind))} cannot keep the rate"
    if len(behind) == 1 and len(snapshot.routes) == 1:
        words = lamp_words(behind[0])
    elif len(behind) == 1:
        words = f"1 {lamp_words(behind[0])}"
    return [_Part((("  ", "dim"), (f"{BEHIND} {words}", "slow")), 1.2)]


def _figure(text: str, width: int, unit: str, role: Role) -> Line:
    return ((f"  {text:>{width}}", role), (f" {unit}", "dim"))


def _unit(number: int, one: str, several: str) -> str:
    """Return what is counted, as wide for one of them as for many: the strip must not jump."""
    return f"{one if number == 1 else several:{len(several)}}"


def _trouble(number: int, one: str, several: str, role: Role) -> Line:
    name = _unit(number, one, several)
    if number <= 0:
        return ((f"  {0:>4} {name}", "faint"),)
    text = count(number)
    # The blanks before it are not its own: without colours it may be reversed.
    return ((" " * (6 - len(text)), "dim"), (text, role), (f" {name}", "dim"))


def _new_budgets(header: HeaderView) -> list[_Part]:
    """Return that places have just begun to share their budgets; the log says until when."""
    if not header.budget_doubt or header.budget_doubt_kind != "new":
        return []
    return [_Part((("  new budgets", "dim"),), 6.45)]


def _money(header: HeaderView) -> Line:
    """Return what probing costs, where a price is known, and how near the budget is."""
    spent: Line = ()
    if header.usd_per_hour is not None:
        spent = ((f" ${usd(header.usd_per_hour)}", "title"), ("/h", "dim"))
    if header.budget_share is None:
        return spent
    role: Role = "missed" if header.budget_share >= _BUDGET_NEAR else "dim"
    return (*spent, (f" {header.budget_share * 100:.0f}% of cap", role))
