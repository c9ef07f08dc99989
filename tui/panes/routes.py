"""Pane 1: the routes table: its columns, which rows it has in what order, and the lines it makes.

Rule 1. What is fine is dim: × its usual stands only where a figure has left it.
Rule 2. Rows that are hidden are counted, and the worst three are never among them while they hurt.
Rule 3. The cursor is on the worst route until the user moves it; then it stays with its route. The
row under it is what the other panes show, so they ask here which one it is.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from probes.board.views import (
    WINDOWS,
    ChartPoint,
    Figure,
    Grade,
    RouteState,
    RouteView,
    Snapshot,
    WindowName,
)
from probes.events.diagnosis_words import advice_words
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from tui.draw.chart import strip_cells
from tui.draw.table import BLANK, Cell, Column, Table, fit
from tui.draw.text import (
    NO_FIGURE,
    NOT_STREAMED,
    Line,
    Role,
    age,
    cells,
    count,
    counted,
    lasting,
    left,
    pad,
    seconds,
    share,
    three_digits,
    usd,
)
from tui.keys import advice_keys, first_key, hints, key_or_label
from tui.panes.groups import (
    CALM as CALM,
)
from tui.panes.groups import (
    GroupRow,
    expanded,
    group_of,
    grouped,
    has_places,
    places_words,
)
from tui.panes.groups import (
    hurts as hurts,
)
from tui.panes.moment import now_word
from tui.panes.pace import (
    BEHIND,
    cause_words,
    is_behind,
    lamp_words,
    pace_of,
    skipped_words,
    waiting_words,
)
from tui.panes.view import ViewState

SortValue: TypeAlias = float | str | None
DrawTrend: TypeAlias = Callable[[Sequence[ChartPoint], int, float, float, int], Line]
"""Draws points in a width, against the top of the scale in s, a goal in s, in cells of some ns."""

STATE_GLYPHS: Final[dict[RouteState, str]] = {
    "down": "✖",
    "hanging": "◷",
    "failing": "▼",
    "throttled": "⊘",
    "stalling": "⋯",
    "sluggish": "▲",
    "slow": "△",
    "masked": "↻",
    "changed": "≠",
    "silent": "∅",
    "ok": "·",
    "held": "■",
    "paused": "‖",
    "starting": "○",
}
STATE_ROLES: Final[dict[RouteState, Role]] = {
    "down": "alert",
    "hanging": "alert",
    "failing": "missed",
    "throttled": "throttled",
    "stalling": "stall",
    "sluggish": "sluggish",
    "slow": "slow",
    "masked": "accent",
    "changed": "accent",
    "silent": "slow",
    "ok": "good",
    "held": "alert",
    "paused": "dim",
    "starting": "dim",
}

OURS: Final = "◌"
"""Beside what is our own machine's trouble: no latency is to be trusted."""
FEW_SAMPLES: Final = "°"
"""Beside a figure of too few samples: it is the largest of them, not yet a percentile."""
ADAPTIVE: Final = "a"
"""Beside the concurrency of a route that finds it itself, as `auto` in the settings."""
MORE_PROBES: Final = "⇡"
"""Beside the concurrency of a route that is probed more often while something is suspected."""
LEARNING: Final = "learn"
"""Where × its usual would stand, while too little is known to say what that is."""
STRIP_TOP_S: Final = 4.0
"""The strip's scale is fixed, 0 to this many seconds of TTFT, so that rows can be compared. The
default goal of 1 s stands at a quarter of it, and what is four times as slow is off the scale."""
NOTABLE_RATIO: Final = 1.2
"""Times its usual from which a figure has left it: a p95 of a minute scatters by less."""
SEVERE_RATIO: Final = 2.0
"""Twice as slow as usual is what users notice without being asked."""

_GRADE_MARKS: Final[dict[Grade, str]] = {"slow": "△", "sluggish": "▲"}
_SEVERE: Final = frozenset[RouteState](("down", "hanging"))
_HURT_SHARES: Final[tuple[tuple[float, Role], ...]] = (
    (0.5, "missed"),
    (0.1, "sluggish"),
    (0.05, "slow"),
)
"""Share of the users that are hurt from which that stands out so loudly; below the last nobody need
look."""
_STALLS_SHOW: Final = 0.05
"""Share of the answers that pause from which it stands out."""
_NOTICEABLE_AMPLIFICATION: Final = 1.005
"""From here on the two decimals of the factor are no longer 1.00."""
_SCHEDULED: Final = "sched_p95"
"""A column that is there only while the pace of a route is open."""
_MARKER_WIDTH: Final = 3  # the cursor, the state's glyph, a blank or our own trouble
_TAG_WIDTH: Final = 1  # a letter, only while routes are tagged
_LEAST_NAME: Final = 10  # "all routes"
_USUAL_NAME: Final = 13
"""What a name takes at least, where it is so long: the columns of a narrow terminal leave no more.
Where there is room it stands whole."""
_MOST_NAME: Final = 24
_LEAST_PLACES: Final = 8
_NAMED_PLACES: Final = 14
"""A number, and the name of one place."""
_WIDE: Final = 90
_USUAL_PLACES: Final = 22
"""A number of places, and the names of one or two that hurt."""
_OPENS, _CLOSES, _INDENT = "+ ", "− ", "  "
"""Before the name of a group whose places are not all shown, of one whose are, and before a place.
"""
_LEAST_BOTH_ENDS: Final = 8
"""Cells below which the beginning of a name says more than both of its ends."""
_LEAST_MODEL: Final = 6
_USUAL_MODEL: Final = 14
_MOST_MODEL: Final = 40
_STATE: Final = 9  # "throttled"
_LEAST_WHY: Final = 14
_MOST_WHY: Final = 28
_STRIP_MINUTES: Final = 5
_MOST_STRIP_MINUTES: Final = 15
"""What the board keeps."""
_CELLS_S: Final = (20, 30, 60)
"""Seconds that a cell of the strip may stand for: with the first whose cells reach back far enough
it is drawn."""
_LEAST_STRIP: Final = _STRIP_MINUTES * 60 // _CELLS_S[-1]
_USUAL_STRIP: Final = _STRIP_MINUTES * 60 // _CELLS_S[0]
_MOST_STRIP: Final = _MOST_STRIP_MINUTES * 60 // _CELLS_S[0]
_AFTER_STRIP: Final = 5 + _USUAL_STRIP - _LEAST_STRIP
"""Cells that must be free for a column which the strip's five minutes are needed before."""
_NAME_LIMIT: Final = 120
"""Characters of what others wrote that are looked at: no column is wider."""
_TEXT_LIMIT: Final = 80
_NOTICE_LIMIT: Final = 100
_WHY_LIMIT: Final = 40
_SAID_LIMIT: Final = 60
_LEAST_HEADED: Final = 2
_LEAST_TOTALLED: Final = 8
"""Lines from which the totals stand although rows are hidden: below it they would take the place of
too many."""
_PINNED: Final = 3
"""Rows that are never scrolled away while they hurt."""
_TRENDS_KEPT: Final = 256
"""More than the rows of any screen, less than a thousand routes' worth of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteColumn(Column[RouteView]):
    """A column that rows can be sorted by."""

    value: Callable[[RouteView], SortValue]
    """What they are sorted by, largest first; text sorts from A to Z, and None comes last."""
    totalled: bool = True
    """The foot has it for all routes together. Percentiles never mix routes."""


def figure_cell(figure: Figure) -> Cell:
    """Return a percentile: graded by colour and mark, faint where it has too few samples."""
    if figure.value is None:
        return Cell(NO_FIGURE, "faint")
    if not figure.enough:
        return Cell(seconds(figure.value), "faint", FEW_SAMPLES)
    role: Role = "dim" if figure.grade == "none" else figure.grade
    return Cell(seconds(figure.value), role, _GRADE_MARKS.get(figure.grade, " "))


def _percentile(
    group: str, head: str, priority: int, pick: Callable[[RouteView], Figure], *, room: int = 0
) -> RouteColumn:
    def cell(route: RouteView) -> Cell:
        if group == "TTFT" and head == "95" and not route.streamed:
            return Cell(NOT_STREAMED, "faint")
        return figure_cell(pick(route))

    return RouteColumn(
        head,
        5,
        cell,
        priority,
        key=f"{group}_p{head}".lower(),
        group=group,
        marked=True,
        value=lambda route: pick(route).value,
        totalled=False,
        room=room,
    )


def _times_usual(
    group: str, key: str, priority: int, ratio: Callable[[RouteView], float | None]
) -> RouteColumn:
    """Return a column of how many times its usual a figure is, the slower the larger."""

    def cell(route: RouteView) -> Cell:
        slower = ratio(route)
        if slower is None:
            return Cell(f"{LEARNING}", "faint") if route.learning and key == "ttft_times" else BLANK
        if slower < NOTABLE_RATIO:
            return BLANK
        shown = 1 / slower if key == "speed_times" else slower
        text = f"×{shown:.1f}" if shown < 9.95 else f"×{min(shown, 999):.0f}"
        # There is one judge: where it calls the route well, nothing is loud that is not severe.
        if slower < SEVERE_RATIO and route.state in CALM:
            return Cell(f"{text} ", "dim")
        if slower < SEVERE_RATIO or route.state in CALM:
            return Cell(text + _GRADE_MARKS["slow"], "slow")
        return Cell(text + _GRADE_MARKS["sluggish"], "sluggish")

    return RouteColumn("×", 5, cell, priority, key=key, group=group, value=ratio, totalled=False)


def _slower(now: Figure, usual: float | None) -> float | None:
    if now.value is None or not now.enough or not usual:
        return None
    return now.value / usual


def ttft_times(route: RouteView) -> float | None:
    """Return how many times its usual the TTFT p95 is; None where either is unknown."""
    return _slower(route.ttft_p95, route.usual.ttft_p95)


def e2e_times(route: RouteView) -> float | None:
    """Return the same of E2E."""
    return _slower(route.e2e_p95, route.usual.e2e_p95)


def speed_times(route: RouteView) -> float | None:
    """Return how many times slower than usual it writes; None where either speed is unknown."""
    now, usual = route.stream_tokens_per_s, route.usual.tokens_per_s
    return usual / now if now and usual else None


def _rate(
    key: str, head: str, priority: int, role: Role, pick: Callable[[RouteView], float]
) -> RouteColumn:
    def cell(route: RouteView) -> Cell:
        rate = pick(route)
        if rate <= 0:
            return Cell("0", "faint")
        return Cell(f"{rate:.1f}" if rate < 9.95 else count(rate), role)

    return RouteColumn(head, 5, cell, priority, key=key, value=pick)


def _model(route: RouteView) -> Cell:
    return Cell(neutralise(route.model, _TEXT_LIMIT), "dim")


def _state(route: RouteView) -> Cell:
    return Cell(route.state, "faint" if route.state == "ok" else STATE_ROLES[route.state])


def _reason(route: RouteView) -> Cell:
    # The server's own words say more than ours, and both would seldom fit.
    words = neutralise(route.said or route.why, _TEXT_LIMIT)
    if route.cool_down_s:
        words = f"cooling {age(route.cool_down_s)} {words}".rstrip()
        return Cell(words, "throttled")
    if not words and is_behind(route):
        return Cell(lamp_words(route), "slow")
    return Cell(words, "dim")


def _since(route: RouteView) -> Cell:
    if route.since_s is None:
        return Cell(NO_FIGURE, "faint")
    return Cell(lasting(route.since_s), "faint" if route.state in CALM else "text")


def _open(route: RouteView) -> Cell:
    if route.oldest_open_s is None:
        return Cell(NO_FIGURE, "faint")
    if route.overdue:
        return Cell(age(route.oldest_open_s), "missed", "!")
    return Cell(age(route.oldest_open_s), "dim")


def _concurrency(route: RouteView) -> Cell:
    # More in flight than the target: it was lowered, and what was open then is let end.
    role: Role = "dim" if route.in_flight <= route.target else "slow"
    if is_behind(route):
        return Cell(f"{route.in_flight}/{route.target}", "slow", BEHIND)
    more = MORE_PROBES if route.evidence else ADAPTIVE if route.adaptive else " "
    return Cell(f"{route.in_flight}/{route.target}", role, more)


def _stream_speed(route: RouteView) -> Cell:
    speed, grade = route.stream_tokens_per_s, route.speed_grade
    role: Role = "faint" if speed is None else "dim" if grade == "none" else grade
    return Cell(three_digits(speed), role, _GRADE_MARKS.get(grade, " "))


def _scheduled_p95(route: RouteView) -> Figure:
    """Return what users wait from when they come: to the first token, or to all of what comes
    whole."""
    if route.pace is None:
        return Figure()
    return (route.pace.scheduled_ttft if route.streamed else route.pace.scheduled_e2e)[1]


def _scheduled(route: RouteView) -> Cell:
    return BLANK if route.pace is None else figure_cell(_scheduled_p95(route))


def _success(route: RouteView) -> Cell:
    if route.success is None:
        return Cell(NO_FIGURE, "faint")
    if route.success_missed:
        return Cell(share(route.success), "missed", "▼")
    return Cell(share(route.success), "dim")


def _good_share(route: RouteView) -> float | None:
    """Return the share of the probes that were good. What hangs has not finished, so that it is in
    the share that is hurt and not yet in the goodput: it is not good."""
    return route.goodput if route.hurt_share is None else 1 - route.hurt_share


def _goodput(route: RouteView) -> Cell:
    good = _good_share(route)
    if good is None:
        return Cell(NO_FIGURE, "faint")
    return Cell(share(good), hurt_role(1 - good))


def hurt_role(hurt: float) -> Role:
    """Return how loud a share of users that are hurt is."""
    return next((role for least, role in _HURT_SHARES if hurt >= least), "dim")


def _stalls(route: RouteView) -> Cell:
    stalled = route.stalled_share
    if stalled is None:
        return Cell(NO_FIGURE, "faint")
    if stalled <= 0:
        return Cell("0", "faint")
    percent = stalled * 100
    text = f"{percent:.0f}" if percent >= 9.95 else f"{max(percent, 0.1):.1f}"
    return Cell(text, "stall" if stalled >= _STALLS_SHOW else "dim")


def _amplification(route: RouteView) -> Cell:
    factor = route.amplification
    if factor is None:
        return Cell(NO_FIGURE, "faint")
    return Cell(f"×{factor:.2f}", "slow" if factor >= _NOTICEABLE_AMPLIFICATION else "faint")


def _tokens(route: RouteView) -> Cell:
    if route.input_tokens is None and route.output_tokens is None:
        return Cell(NO_FIGURE, "faint")
    return Cell(f"{count(route.input_tokens)}/{count(route.output_tokens)}", "dim")


def _cost(route: RouteView) -> Cell:
    if route.usd_per_hour is None:
        return Cell(NO_FIGURE, "faint")
    return Cell(("~" if route.cost_estimated else "") + usd(route.usd_per_hour), "dim")


COLUMNS: Final = (
    RouteColumn(
        "MODEL",
        _LEAST_MODEL,
        _model,
        22,
        key="model",
        flush_left=True,
        room=_AFTER_STRIP + _USUAL_MODEL,
        value=lambda route: route.model.lower(),
        totalled=False,
    ),
    RouteColumn(
        "STATE",
        _STATE,
        _state,
        4,
        key="state",
        flush_left=True,
        value=lambda route: route.goal_ratio,
        totalled=False,
    ),
    RouteColumn(
        "SINCE",
        5,
        _since,
        2,
        key="since",
        value=lambda route: route.since_s,
        totalled=False,
    ),
    RouteColumn("GOOD%", 5, _goodput, 3, key="good", value=_good_share),
    RouteColumn("OK%", 4, _success, 10, key="ok", marked=True, value=lambda route: route.success),
    _percentile("TTFT", "50", 14, lambda route: route.ttft_p50),
    _percentile("TTFT", "95", 1, lambda route: route.ttft_p95),
    _percentile("TTFT", "99", 20, lambda route: route.ttft_p99, room=_AFTER_STRIP),
    RouteColumn(
        "SCHED",
        5,
        _scheduled,
        7,
        key=_SCHEDULED,
        marked=True,
        value=lambda route: _scheduled_p95(route).value,
        totalled=False,
    ),
    _times_usual("TTFT", "ttft_times", 8, ttft_times),
    _percentile("E2E", "50", 18, lambda route: route.e2e_p50),
    _percentile("E2E", "95", 12, lambda route: route.e2e_p95),
    _times_usual("E2E", "e2e_times", 15, e2e_times),
    RouteColumn(
        "",
        5,
        _stream_speed,
        9,
        key="speed",
        group="tok/s",
        marked=True,
        value=lambda route: route.stream_tokens_per_s,
        totalled=False,
    ),
    _times_usual("tok/s", "speed_times", 19, speed_times),
    RouteColumn("STALL", 5, _stalls, 16, key="stall", value=lambda route: route.stalled_share),
    _rate("throttled", "429/m", 6, "throttled", lambda route: route.throttled_per_min),
    _rate("timeouts", "TOUT/m", 24, "missed", lambda route: route.timeouts_per_min),
    RouteColumn(
        "RETRY", 5, _amplification, 11, key="retry", value=lambda route: route.amplification
    ),
    RouteColumn("IN/OUT", 9, _tokens, 17, key="tokens", value=lambda route: route.output_tokens),
    RouteColumn(
        "CONC", 5, _concurrency, 5, key="conc", marked=True, value=lambda route: route.target
    ),
    RouteColumn(
        "OPEN", 5, _open, 13, key="open", marked=True, value=lambda route: route.oldest_open_s
    ),
    _rate("per_min", "/min", 25, "dim", lambda route: route.probes_per_min),
    RouteColumn("$/h", 6, _cost, 23, key="usd", value=lambda route: route.usd_per_hour),
    RouteColumn(
        "WHY",
        _LEAST_WHY,
        _reason,
        26,
        key="why",
        flush_left=True,
        # Verdicts say it already: words come when all else has its usual width.
        room=_AFTER_STRIP + _USUAL_MODEL + _LEAST_WHY,
        value=lambda route: route.why,
        totalled=False,
    ),
)
"""All but the name, which comes first, and the strip, which comes last."""

SORT_KEYS: Final[tuple[str, ...]] = ("", "name", *(column.key for column in COLUMNS))
"""What `s` goes through; empty is worst first."""

_FOOT: Final = {column.key: BLANK for column in COLUMNS if not column.totalled}
_STRIP: Final[Column[RouteView]] = Column("", _LEAST_STRIP, None, 7, key="strip")


def column_named(key: str) -> RouteColumn | None:
    """Return the column of a sort key, None for no such column."""
    return next((column for column in COLUMNS if column.key == key), None)


def matches(route: RouteView, words: str) -> bool:
    """Tell whether a route's name, model, tags and state contain all of `words`."""
    text = " ".join((route.name, route.model, *route.tags, route.state)).lower()
    return all(word in text for word in words.lower().split())


def is_shown(route: RouteView, view: ViewState) -> bool:
    """Tell whether a route is a row of the table."""
    if view.rows is not None:
        return route.name in view.rows
    return (not view.filter or matches(route, view.filter)) and (not view.only_hurt or hurts(route))


def visible_routes(snapshot: Snapshot, view: ViewState) -> tuple[RouteView, ...]:
    """Return the rows of the table: filtered, in the order of the view, and in groups where there
    are several places."""
    if view.rows is not None:
        return _rows_named(snapshot.routes, view.rows)
    if not has_places(snapshot.routes):
        rows = [route for route in snapshot.routes if is_shown(route, view)]
        return tuple(_ordered(rows, view))
    return _grouped_rows(snapshot.routes, view)


def row_count(snapshot: Snapshot, view: ViewState) -> int:
    """Return how many rows there are, those that are filtered away too: a filter moves no pane."""
    if not has_places(snapshot.routes):
        return len(snapshot.routes)
    return len(visible_routes(snapshot, replace(view, filter="", only_hurt=False, rows=None)))


_Known: TypeAlias = tuple[tuple[RouteView, ...], tuple[object, ...], tuple[RouteView, ...]]

_KNOWN: Final[deque[_Known]] = deque(maxlen=4)
"""Rows of a frame, how they were asked for, and what was made of them: of one frame it is asked ten
times, and a cockpit of twenty places has four hundred rows."""


def _grouped_rows(routes: tuple[RouteView, ...], view: ViewState) -> tuple[RouteView, ...]:
    """Return lines of groups and their places."""
    how = (view.filter, view.only_hurt, view.sort, view.reversed, dict(view.groups))
    for known, its_how, made in _KNOWN:
        if known is routes and its_how == how:
            return made
    rows = [route for route in routes if is_shown(route, view)]
    units = _ordered(grouped(rows, view), view)
    made = tuple(expanded(units, lambda found: _ordered(found, view)))
    _KNOWN.appendleft((routes, how, made))
    return made


def _rows_named(routes: Sequence[RouteView], names: Sequence[str]) -> tuple[RouteView, ...]:
    by_name = {route.name: route for route in routes}
    found = (by_name.get(name) or group_of(name, routes, names) for name in names)
    return tuple(row for row in found if row is not None)


def _ordered(rows: Sequence[RouteView], view: ViewState) -> Sequence[RouteView]:
    """Return rows, which are worst first, in the order of the view."""
    rows = _sorted(rows, view.sort) if view.sort else rows
    return rows[::-1] if view.reversed else rows


def _sorted(rows: Sequence[RouteView], key: str) -> list[RouteView]:
    """Return rows by a column: numbers from the largest, text from A, no sample last."""
    column = column_named(key)
    if column is None:
        return sorted(rows, key=lambda route: route.name.lower())
    valued = [(column.value(route), route) for route in rows]
    if any(isinstance(value, str) for value, _ in valued):
        return [route for _, route in sorted(valued, key=lambda pair: str(pair[0]))]
    return [route for _, route in sorted(valued, key=lambda pair: _descending(pair[0]))]


def _descending(value: SortValue) -> tuple[bool, float]:
    number = value if isinstance(value, int | float) else None
    return number is None, -(number or 0.0)


def selected_route(snapshot: Snapshot, view: ViewState) -> RouteView | None:
    """Return the route under the cursor: the selected one while it is visible, else the worst. On
    the line of a group that is the worst of its places."""
    worst = in_group = None
    for route in snapshot.routes:  # worst first, however the table is sorted
        if is_shown(route, view):
            if view.selected in (None, route.name):
                return route
            worst = worst or route
            if view.selected == route.shared_name:
                in_group = in_group or route
    return in_group or worst


def selected_row(snapshot: Snapshot, view: ViewState) -> RouteView | None:
    """Return the row under the cursor, which may be the line of a group."""
    route = selected_route(snapshot, view)
    if route is None:
        return None
    names = (view.selected, route.name, route.shared_name)
    by_name = {row.name: row for row in visible_routes(snapshot, view)}
    return next((by_name[name] for name in names if name in by_name), None)


def toggled(snapshot: Snapshot, view: ViewState) -> ViewState | None:
    """Return the view with the group under the cursor opened, or closed where all of its places
    are shown; None where the cursor is on no group."""
    row = selected_row(snapshot, view)
    if not isinstance(row, GroupRow):
        return None
    return replace(view, selected=row.name, groups={**view.groups, row.name: not row.is_whole})


def moved(snapshot: Snapshot, view: ViewState, by: int) -> ViewState:
    """Return the view with the cursor `by` rows further down."""
    rows = visible_routes(snapshot, view)
    current = selected_row(snapshot, view)
    if current is None:
        return view
    index = min(max(_place(rows, current) + by, 0), len(rows) - 1)
    return replace(view, selected=rows[index].name, offsets={})


def moved_to_last(snapshot: Snapshot, view: ViewState) -> ViewState:
    """Return the view with the cursor on the last row."""
    return moved(snapshot, view, len(visible_routes(snapshot, view)))


def following(view: ViewState) -> ViewState:
    """Return the view with the cursor on the worst route, whichever that will be."""
    return replace(view, selected=None, offsets={})


def scrolled(snapshot: Snapshot, view: ViewState, by: int, height: int) -> ViewState:
    """Return the view with the rows scrolled by some lines; the cursor stays with its route."""
    shown = table_rows(snapshot, view, height)
    most = shown.among - len(shown.rows)
    first = min(max(0, shown.first + by), most)
    return replace(view, offsets={**view.offsets, "routes": first}) if most > 0 else view


def _place(rows: Sequence[RouteView], route: RouteView) -> int:
    return next(place for place, row in enumerate(rows) if row.name == route.name)


def next_trouble(snapshot: Snapshot, view: ViewState, step: int) -> ViewState | None:
    """Return the view with the cursor on the next row that hurts, or with `step` −1 on the one
    before; None where there is no other."""
    rows, current = visible_routes(snapshot, view), selected_row(snapshot, view)
    if current is None:
        return None
    at = _place(rows, current)
    others = (*rows[at + 1 :], *rows[:at])
    hurt = [row for row in others[::step] if hurts(row) and not _is_open(row)]
    return replace(view, selected=hurt[0].name, offsets={}) if hurt else None


def _is_open(row: RouteView) -> bool:
    """Tell whether it is the line of a group whose places that hurt stand beneath it."""
    return isinstance(row, GroupRow) and bool(row.shown)


def next_sort(view: ViewState) -> ViewState:
    """Return the view sorted by the next column."""
    following = (SORT_KEYS.index(view.sort) + 1) % len(SORT_KEYS)
    return replace(view, sort=SORT_KEYS[following], reversed=False)


def next_window(view: ViewState) -> ViewState:
    """Return the view with the next window of time."""
    following = (WINDOWS.index(view.window) + 1) % len(WINDOWS)
    return replace(view, window=WINDOWS[following])


def routes_table(
    rows: Sequence[RouteView],
    width: int,
    current: RouteView | None = None,
    beneath: Collection[str] = (),
) -> Table[RouteView]:
    """Return the table that fits into `width` cells, markers not counted, as `rows` need it.

    The strip comes last and is left to whoever draws it. `current` is the row under the cursor,
    `beneath` has the names of those that stand under the line of their group.
    """
    in_groups = has_places(rows)

    def name(route: RouteView, room: int = _MOST_NAME) -> Cell:
        stands_out = route is current or hurts(route)
        name = neutralise(route.name, _NAME_LIMIT)
        if isinstance(route, GroupRow):
            sign = _CLOSES if route.is_whole else _OPENS
            shown = sign + shortened(name, max(1, room - cells(sign)))
        elif route.name in beneath:
            shown = _INDENT + left(f"@{route.place}", room - cells(_INDENT)).rstrip()
        else:
            shown = shortened(name, room)
        return Cell(shown, "title" if stands_out else "text")

    if in_groups:
        names = {row.shared_name for row in rows}
        longest = max(cells(_OPENS + neutralise(name, _NAME_LIMIT)) for name in names)
        longest = max(longest, *(cells(f"{_INDENT}@{place}") for place in {r.place for r in rows}))
    else:
        longest = max((cells(neutralise(row.name, _NAME_LIMIT)) for row in rows), default=0)
    wide = min(max(longest, _LEAST_NAME), _MOST_NAME)
    least = min(wide, _USUAL_NAME + in_groups * cells(_OPENS), max(1, width))
    first: Column[RouteView] = Column("ROUTE", least, name, key="name", flush_left=True)
    places: list[Column[RouteView]] = []
    if in_groups:
        room = _NAMED_PLACES if width >= _WIDE else _LEAST_PLACES
        places = [Column("PLACES", room, _places, 2, key="places", flush_left=True)]
    # As wide as the sum of all targets needs, which is in the foot.
    digits = len(str(sum(row.target for row in rows)))
    columns = [
        dataclasses.replace(column, width=max(column.width, 2 * digits + 1))
        if column.key == "conc"
        else column
        for column in COLUMNS
        if column.key != _SCHEDULED or any(row.pace is not None for row in rows)
    ]
    table: Table[RouteView] = fit([first, *places, *columns, _STRIP], width, gap=1)
    model = max((cells(neutralise(row.model, _NAME_LIMIT)) for row in rows), default=0)
    table = table.grown(
        ("name", min(wide, max(1, width))),
        ("places", _USUAL_PLACES),
        ("strip", _USUAL_STRIP),
        ("model", min(model, _USUAL_MODEL)),
        ("why", _MOST_WHY),
        ("model", min(model, _MOST_MODEL)),
        ("strip", _MOST_STRIP),
    )
    fitted = {"name": partial(name, room=table.width("name"))}
    fitted["places"] = partial(_places, room=table.width("places"))
    columns_fitted = tuple(
        dataclasses.replace(column, cell=fitted[column.key]) if column.key in fitted else column
        for column in table.columns
    )
    return dataclasses.replace(table, columns=columns_fitted)


def _places(route: RouteView, room: int = 0) -> Cell:
    """Return how many places a route has, and which hurt; on its own line."""
    if not isinstance(route, GroupRow):
        return BLANK
    return Cell(places_words(route, room), "title" if hurts(route) else "dim")


def shortened(name: str, width: int) -> str:
    """Return a name in `width` cells, cut in its middle: those of a fleet differ at their ends."""
    if cells(name) <= width or width < _LEAST_BOTH_ENDS:
        return name
    tail = ""
    for character in reversed(name):
        if cells(character + tail) > (width - 1) // 2:
            break
        tail = character + tail
    return left(name, width - cells(tail)).rstrip() + tail


class Trends:
    """Draws each strip once for as long as the board hands on the same points: for a second."""

    def __init__(self) -> None:
        self._drawn: dict[int, tuple[Sequence[ChartPoint], tuple[float, ...], Line]] = {}

    def __len__(self) -> int:
        return len(self._drawn)

    def __call__(
        self, points: Sequence[ChartPoint], width: int, top_s: float, goal_s: float, cell_ns: int
    ) -> Line:
        how = (width, top_s, goal_s, cell_ns)
        known = self._drawn.get(id(points))
        # An id is given anew when its object is gone: the points themselves are kept with it.
        if known is not None and known[0] is points and known[1] == how:
            return known[2]
        if len(self._drawn) >= _TRENDS_KEPT:
            self._drawn.clear()
        line = strip_cells(points, width, top_s, goal_s, cell_ns)
        self._drawn[id(points)] = (points, how, line)
        return line


class TableRows(msgspec.Struct, frozen=True):
    """Which rows stand in a table of some height."""

    rows: tuple[RouteView, ...]
    """As they stand: the pinned ones, then those that are scrolled."""
    among: int
    """Rows that there are."""
    first: int
    """How far those that are scrolled are scrolled down."""
    places: tuple[int, ...]
    """Where each of `rows` stands among all, counted from 1."""
    headed: bool
    totalled: bool

    @property
    def hidden(self) -> int:
        """How many rows have no line."""
        return self.among - len(self.rows)


def table_rows(snapshot: Snapshot, view: ViewState, height: int) -> TableRows:
    """Return which rows stand in `height` lines: those around the cursor, or where the user has
    scrolled to; the worst three in any case, while they hurt."""
    rows = visible_routes(snapshot, view)
    headed = height >= _LEAST_HEADED
    body = max(1, height - headed)
    totalled = snapshot.totals is not None and (body > len(rows) or height >= _LEAST_TOTALLED)
    body = max(1, body - totalled)
    if len(rows) <= body:
        places = tuple(range(1, len(rows) + 1))
        return TableRows(rows, len(rows), 0, places, headed, totalled)
    if has_places(snapshot.routes):
        return _grouped_part(snapshot, view, rows, body, headed=headed, totalled=totalled)
    worst = [row.name for row in snapshot.routes if is_shown(row, view) and hurts(row)]
    pinned = frozenset(worst[: min(_PINNED, body // 2)])
    numbered = list(enumerate(rows, start=1))
    kept = [(place, row) for place, row in numbered if row.name in pinned]
    rest = [(place, row) for place, row in numbered if row.name not in pinned]
    room = body - len(kept)
    first = view.offsets.get("routes")
    if first is None:
        current = selected_row(snapshot, view)
        under = (at for at, (_, row) in enumerate(rest) if current and row.name == current.name)
        first = max(0, next(under, 0) - room + 1)
    first = min(first, len(rest) - room)
    shown = (*kept, *rest[first : first + room])
    return TableRows(
        tuple(row for _, row in shown),
        len(rows),
        first,
        tuple(place for place, _ in shown),
        headed,
        totalled,
    )


def _grouped_part(
    snapshot: Snapshot,
    view: ViewState,
    rows: tuple[RouteView, ...],
    body: int,
    *,
    headed: bool,
    totalled: bool,
) -> TableRows:
    """Return which of the rows stand in so many lines: places stay beneath their groups, and of the
    worst three what is scrolled away stands above."""
    units = [at for at, row in enumerate(rows) if hurts(row) and row.place == ""]
    if view.sort or view.reversed:
        rank = {row.shared_name: at for at, row in reversed(list(enumerate(snapshot.routes)))}
        units.sort(key=lambda at: rank.get(rows[at].name, 0))
    pinned = sorted(units[: min(_PINNED, body // 2)])
    first = view.offsets.get("routes")
    if first is None:
        current = selected_row(snapshot, view)
        under = 0 if current is None else _place(rows, current)
        first = 0 if under < body else under - (body - len(pinned)) + 1
    first = min(first, len(rows) - body)
    kept = [at for at in pinned if at < first]
    # Those take the place of as many lines above the ones that are scrolled to.
    places = [*kept, *range(first + len(kept), first + body)]
    return TableRows(
        tuple([rows[at] for at in places]),
        len(rows),
        first,
        tuple([at + 1 for at in places]),
        headed,
        totalled,
    )


def routes_lines(
    snapshot: Snapshot,
    view: ViewState,
    width: int,
    height: int,
    draw_trend: DrawTrend = strip_cells,
) -> list[Line]:
    """Return the table: heads, the rows around the cursor, and the totals in the last line."""
    shown = table_rows(snapshot, view, height)
    current = selected_row(snapshot, view)
    # The bar takes a cell for as long as it has something to tell.
    markers = _marker_width(view)
    room = width - markers - bool(shown.hidden)
    table = routes_table(snapshot.routes, room, current, _beneath(shown.rows))
    strip_width = table.width("strip")
    cell_s = strip_cell_s(strip_width)
    head = _head(table, snapshot, view)
    if not shown.rows:
        return [head, *_nothing(snapshot, view)][:height]
    lines: list[Line] = []
    for row in shown.rows:
        strip: Line = ()
        if strip_width:
            strip = draw_trend(
                row.trend, strip_width, STRIP_TOP_S, row.goal_ttft_s, cell_s * NS_PER_S
            )
        is_current = current is not None and row.name == current.name
        marker: Line = (
            ("▸" if is_current else " ", "accent"),
            *(((view.tag(row.name), "title"),) if view.tagged else ()),
            (STATE_GLYPHS[row.state], STATE_ROLES[row.state]),
            (OURS if row.observer_busy else " ", "dim"),
        )
        gap: Line = ((" ", "text"),) if strip else ()
        lines.append((*marker, *table.line(row), *gap, *strip))
    if shown.hidden and len(lines) > 1:
        lines = _barred(lines, shown, width)
    if shown.headed:
        lines.insert(0, head)
    if shown.totalled and snapshot.totals is not None:
        blank: list[Line] = [()] * max(0, min(1, height - len(lines) - 1))
        own = {"name": Cell("all routes", "head"), "places": BLANK}
        foot = table.line(snapshot.totals, {**_FOOT, **own})
        lines += [*blank, ((" " * markers, "text"), *foot)]
    return lines


def _beneath(rows: Sequence[RouteView]) -> frozenset[str]:
    """Return the names of rows that stand right under the line of their group: those alone are
    known by their place."""
    found, group = [], ""
    for row in rows:
        if isinstance(row, GroupRow):
            group = row.name
        elif group and row.shared_name == group:
            found.append(row.name)
        else:
            group = ""
    return frozenset(found)


def _marker_width(view: ViewState) -> int:
    """Return the cells before a name."""
    return _MARKER_WIDTH + (_TAG_WIDTH if view.tagged else 0)


def _barred(lines: Sequence[Line], shown: TableRows, width: int) -> list[Line]:
    """Return rows with a bar at their right that tells which part of all of them they are."""
    seen = len(lines)
    length = max(1, round(seen * seen / shown.among))
    begin = round((seen - length) * shown.first / shown.hidden)
    return [
        (*pad(line, width - 1), ("┃", "head") if begin <= at < begin + length else ("│", "border"))
        for at, line in enumerate(lines)
    ]


def strip_cell_s(width: int) -> int:
    """Return the seconds that a cell of a strip stands for: it reaches back five minutes or so."""
    return next((s for s in _CELLS_S if s * width >= _STRIP_MINUTES * 60), _CELLS_S[-1])


def _head(table: Table[RouteView], snapshot: Snapshot, view: ViewState) -> Line:
    heads: Line = (
        (" " * _marker_width(view), "head"),
        *table.head_line(view.sort, "↑" if view.reversed else "↓"),
    )
    strip_width = table.width("strip")
    if not strip_width:
        return heads
    cell_s = strip_cell_s(strip_width)
    span = f"{max(1, strip_width * cell_s // 60)}m"
    goals = {row.goal_ttft_s for row in snapshot.routes if row.streamed}
    goal = f", goal {goals.pop():g}" if len(goals) == 1 else ""
    scale = f"0–{STRIP_TOP_S:g}s"
    texts = (
        f"{span}, a cell {cell_s}s: TTFT p95 {scale}{goal}",
        f"{span}, a cell {cell_s}s: {scale}{goal}",
        f"{span}, a cell {cell_s}s: {scale}",
        f"{span} by {cell_s}s, {scale}",
        f"{span} {scale}",
    )
    text = next((text for text in texts if len(text) < strip_width), span)
    return (*heads, (" " + left(text, strip_width), "head"))


def _nothing(snapshot: Snapshot, view: ViewState) -> list[Line]:
    if snapshot.routes and view.filter:
        told = f"  no route matches {neutralise(view.filter, 40)}"
        return [((f"{told} · {key_or_label('back', view.keys)} shows all", "dim"),)]
    if snapshot.routes:
        told = f"  none of {counted(len(snapshot.routes), 'route')} hurts"
        return [((f"{told} · {key_or_label('only_hurt', view.keys)} shows all", "dim"),)]
    return [(("  waiting for the engine", "dim"),)]


def cursor_row(snapshot: Snapshot, view: ViewState, height: int) -> int | None:
    """Return the line of the selected route in `routes_lines`; None where it has none."""
    current = selected_row(snapshot, view)
    shown = table_rows(snapshot, view, height)
    lines = enumerate(shown.rows, start=shown.headed)
    return next((at for at, row in lines if current and row.name == current.name), None)


def row_at(snapshot: Snapshot, view: ViewState, height: int, line: int) -> RouteView | None:
    """Return the route of a line of `routes_lines`; None where it is none."""
    shown = table_rows(snapshot, view, height)
    place = line - shown.headed
    return shown.rows[place] if 0 <= place < len(shown.rows) else None


def sort_key_at(
    snapshot: Snapshot, view: ViewState, width: int, height: int, cell: int
) -> str | None:
    """Return the sort key of the head that stands over a cell; None where none does."""
    hidden = table_rows(snapshot, view, height).hidden
    end = _marker_width(view)
    table = routes_table(snapshot.routes, width - end - bool(hidden))
    for column, column_width, gap in zip(table.columns, table.widths, table.gaps, strict=True):
        end += len(gap) + column_width + column.marked
        if cell < end:
            return column.key if column.key in SORT_KEYS else None
    return None


def routes_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return the pane's title: the order, the window and the filter."""
    column = column_named(view.sort)
    head = f"{column.group}{column.head}" if column else view.sort
    order = f"by {head}" if view.sort else "most users hurt first"
    name = "routes"
    if has_places(snapshot.routes):
        several = len({route.place for route in snapshot.routes})
        shared = len({route.shared_name for route in snapshot.routes})
        name = f"{counted(shared, 'route')} × {counted(several, 'place')}"
    parts = [name, order + (", reversed" if view.reversed else "")]
    shown = sum(is_shown(route, view) for route in snapshot.routes)
    among = f"{shown} of {len(snapshot.routes)}"
    if view.filter:
        parts.append(f"filter {neutralise(view.filter, 30)}: {among}")
    if view.only_hurt:
        hidden = len(snapshot.routes) - shown
        key = first_key("only_hurt", view.keys)
        told = f"only what hurts, {hidden} hidden" + (f" ({key})" if key else "")
        parts.append(told if not view.filter else "only what hurts")
    if view.tagged:
        compare = hints(view.keys, ("compare", "compares")) if len(view.tagged) > 1 else ""
        parts.insert(1, f"{len(view.tagged)} tagged" + (f", {compare}" if compare else ""))
    parts.append(window_words(view.window, now_word(view)))
    parts.append("× = times its usual")
    return " · ".join(parts)


def window_words(window: WindowName, now: str) -> str:
    """Return what the figures of the table are of; the shortest window is what is called `now`, or
    by another word for the moment that is shown; without one it is called by its length alone."""
    if now and window == WINDOWS[0]:
        return f"{now} = last {spaced(window)}"
    return f"last {spaced(window)}" if window != "run" else "since start"


def spaced(window: WindowName) -> str:
    """Return a window as a quantity: `1 m`."""
    return f"{window[:-1]} {window[-1]}"


def routes_count(snapshot: Snapshot, view: ViewState, height: int) -> str:
    """Return which rows stand in `height` lines, and of how many: `1–3, 10–26 of 41`."""
    shown = table_rows(snapshot, view, height)
    if not shown.rows:
        return ""
    begins = [shown.places[0]]
    ends = []
    for before, place in pairwise(shown.places):
        if place != before + 1:
            ends.append(before)
            begins.append(place)
    ends.append(shown.places[-1])
    runs = zip(begins, ends, strict=True)
    told = ", ".join(f"{begin}–{end}" if begin < end else f"{begin}" for begin, end in runs)
    return f"{told} of {shown.among}"


def routes_subtitle(snapshot: Snapshot, view: ViewState) -> str:
    """Return what to do for the selected route, its knobs, and the newest notice.

    What a narrow verdict had no room for stands here: what is needed most comes first.
    """
    notices = snapshot.header.notices
    note = f"{neutralise(notices[-1], _NOTICE_LIMIT)}" if notices else ""
    route = selected_route(snapshot, view)
    if route is None:
        return note
    row = selected_row(snapshot, view)
    if isinstance(row, GroupRow):
        does = "closes" if row.is_whole else "shows all its places"
        # A line of several routes: whoever turns a knob there must know whose it is.
        acts = f"other keys act at {neutralise(route.place, _NOTICE_LIMIT)}"
        cursor = f"{hints(view.keys, ('open', does))}, {acts}"
    elif view.selected is None:
        cursor = "cursor follows the worst until you move it"
    else:
        cursor = hints(view.keys, ("first", "follows the worst"))
    # Of the server's words as much as there is room for; the hint that all know goes before them.
    advice, (why, *about) = _advice(route, snapshot, view), _about(route)
    parts = (advice, why, cursor, *about, _worse(route, snapshot), note)
    return " · ".join(part for part in parts if part)


def _advice(route: RouteView, snapshot: Snapshot, view: ViewState) -> str:
    """Return what to do for a route, by the worst of its incidents that has advice."""
    for incident in snapshot.incidents:
        advice = incident.diagnosis.advice
        if advice is not None and route.name in incident.diagnosis.routes:
            words = advice_words(advice, keys=advice_keys(view.keys))
            return f"→ {neutralise(words, _NOTICE_LIMIT)}"
    return ""


def _about(route: RouteView) -> list[str]:
    price = ""
    if route.price is not None:
        price = f"${route.price.input:g}/{route.price.output:g} per M"  # tokens, in and out
        price += " by its list" if route.price.source == "list" else ""
    goal = ""
    if route.goal_scaled and route.goal_e2e_s is not None:
        goal = f"E2E goal {route.goal_e2e_s:g} s, for this cap"
    return [
        _why(route) if hurts(route) else "",
        *_open_pace(route),
        pace_of(route),
        f"cap {route.max_tokens}",
        goal,
        "" if route.streamed else "not streamed",
        "probed more often: something is suspected" if route.evidence else "",
        f"{route.skipped} skipped" if route.skipped and route.pace is None else "",
        price,
    ]


def _open_pace(route: RouteView) -> list[str]:
    """Return whether its open pace is kept, and what waits and was skipped."""
    if route.pace is None:
        return []
    lamp = ", ".join(part for part in (lamp_words(route), cause_words(route)) if part)
    return [lamp, waiting_words(route.pace), skipped_words(route.pace)]


def _why(route: RouteView) -> str:
    """Return why a route is in its state: in our words, and then in its server's own."""
    parts = (neutralise(route.why, _WHY_LIMIT), neutralise(route.said, _SAID_LIMIT))
    return " · ".join(part for part in parts if part)


def _worse(selected: RouteView | None, snapshot: Snapshot) -> str:
    """Return which other route is down, and why: it must not go unseen where no verdict tells."""
    if snapshot.incidents:
        return ""
    rows = (row for row in snapshot.routes if row.state in _SEVERE and row is not selected)
    row = next(rows, None)
    if row is None:
        return ""
    why = _why(row)
    told = f"{STATE_GLYPHS[row.state]} {neutralise(row.name, _MOST_NAME)} {row.state}"
    return f"{told}: {why}" if why else told
