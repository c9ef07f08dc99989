"""The verdict of a route's page, whole: what, since when, what speaks for and against it, what to
do.

Rule 1. Nothing of it is cut: it is wrapped to the width. What has no room in height is counted.
Rule 2. What to do comes before what the server says and what speaks against: where there is little
room, those are what is only counted.
Rule 3. Of several incidents each is told, the worst first; and last what the newest turn of a knob
did.
Rule 4. The words are those of `probes.events.diagnosis_words`, which a report has too.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Final

from probes.board.views import (
    FeltColumn,
    FeltFigure,
    Figure,
    HeaderView,
    IncidentView,
    OpenLoad,
    RecoveryView,
    RouteView,
    Snapshot,
)
from probes.events import Diagnosis, Evidence, FigureName
from probes.events.diagnosis_words import (
    advice_words,
    as_usual_words,
    by_now_words,
    evidence_parts,
    others_words,
    past_words,
    recovery_words,
    scope_words,
    since_words,
    what_words,
    who_words,
)
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from tui.draw.text import (
    Line,
    Role,
    age,
    clip,
    count,
    counted,
    lasting,
    line_width,
    pad,
    share,
    three_digits,
    time_of_day,
)
from tui.keys import Hotkey, advice_keys, first_key, with_keys
from tui.panes.moment import now_word
from tui.panes.observer import LAG_HURTS_S
from tui.panes.pace import BEHIND, is_behind, lamp_words, late_words, remedy_words
from tui.panes.page.figures import told_of
from tui.panes.page.subject import Subject, incidents_of, recoveries_of, subject_of
from tui.panes.page.wrapping import wrapped
from tui.panes.routes import CALM, OURS, STATE_GLYPHS, STATE_ROLES
from tui.panes.verdicts import NO_CAUSE, RECOVERED
from tui.panes.view import ViewState

_NAME_LIMIT: Final = 60
_WORDS_LIMIT: Final = 240
"""Characters of what a server says: the page of a probe has all that it said."""
_BEFORE: Final = 3
"""Blank cells before a label: as wide as the glyph with its blanks."""
_BY_NOW: Final[Mapping[FigureName, Callable[[FeltColumn], FeltFigure | float | None]]] = {
    "ttft": lambda now: now.ttft[0],
    "e2e": lambda now: now.e2e[0],
    "time_per_token": lambda now: 1 / now.tokens_per_s if now.tokens_per_s else None,
    "rtt": lambda now: now.rtt_s,
    "stalled_share": lambda now: now.stalled_share,
    "cold_share": lambda now: now.cold_share,
    "cached_share": lambda now: now.cached_share,
    "input_tokens": lambda now: now.input_tokens,
    "output_tokens": lambda now: now.output_tokens,
}
"""Figures of the evidence that the page has too, in the unit of the evidence. What it has of
failures is of probes, not of attempts, and stands in the first line."""
_KNOB_IS_NEWS_NS: Final = 15 * 60 * NS_PER_S
"""How long what a knob did stands here: as long as the charts show it."""


class RouteVerdict:
    """Draws the verdict; holds nothing but the time zone of its wall times."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone

    def lines(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:
        """Return as many lines as there is room for; the last counts those that are not shown."""
        lines = self.whole(snapshot, view, width)
        if len(lines) <= height or height <= 0:
            return lines[: max(0, height)]
        note = f" +{counted(len(lines) - height, 'line')}"
        last = pad(clip(lines[height - 1], max(0, width - len(note))), max(0, width - len(note)))
        return [*lines[: height - 1], clip((*last, (note, "title")), width)]

    def whole(self, snapshot: Snapshot, view: ViewState, width: int) -> list[Line]:
        """Return all of it."""
        subject = subject_of(snapshot, view)
        if subject is None or width <= 0:
            return []
        lines: list[Line] = []
        incidents = incidents_of(snapshot, subject.route.name)
        for number, incident in enumerate(incidents):
            good = _good_part(subject) if not number else ()
            lines += self._incident(incident, good, snapshot, subject, view, width)
        over = recoveries_of(snapshot, subject.route.name)
        for one in over:
            lines += _wrapped_head(*self._recovery(one, snapshot), width)
        if not incidents and not (is_behind(subject.route) and subject.route.state == "ok"):
            lines = [*_without_incident(subject, snapshot, view, self._zone, width), *lines]
        if is_behind(subject.route):
            lines = [*self._pace(subject, snapshot, view, width), *lines]
        return [*lines, *self._knob(snapshot, subject, width)]

    def _incident(
        self,
        one: IncidentView,
        good: Line,
        snapshot: Snapshot,
        subject: Subject,
        view: ViewState,
        width: int,
    ) -> list[Line]:
        diagnosis, is_ours = one.diagnosis, one.diagnosis.cause == "local_observer"
        is_faint = diagnosis.state == "perhaps"
        state = one.state or "slow"
        role: Role = "dim" if is_faint else _loud(STATE_ROLES[state])
        glyph = OURS if is_ours else STATE_GLYPHS[state]
        since = since_words(
            time_of_day(diagnosis.since_ns, snapshot.wall_anchor_ns, self._zone),
            (snapshot.now_ns - diagnosis.since_ns) / NS_PER_S,
        )
        parts: list[Line] = [((what_words(diagnosis), role), (f" {since}", "text"))]
        if scope := scope_words(diagnosis):
            parts.append(((scope, "title"),))
        if len(diagnosis.routes) > 1:
            names = [neutralise(name, _NAME_LIMIT) for name in diagnosis.routes]
            parts.append(((f"with {who_words(_others(names, subject.route.name))}", "title"),))
        if one.idle_since_ns is not None:
            at = time_of_day(one.idle_since_ns, snapshot.wall_anchor_ns, self._zone)
            parts.append(((f"not probed since {at}", "slow"),))
        if good:
            parts.append(good)
        lines = _wrapped_head(glyph, role, parts, width)
        told = _speaking(diagnosis, subject, now_word(view))
        lines += wrapped("for", told, width, before=_BEFORE)
        if diagnosis.advice is not None:
            do = _advice(diagnosis, snapshot, subject, view.keys)
            lines += wrapped("do", _plain(do, "accent"), width, before=_BEFORE)
        said = neutralise(one.said, _WORDS_LIMIT)
        lines += wrapped("says", _plain([said], "text"), width, before=_BEFORE)
        if one.seen is not None:
            now_ns = snapshot.now_ns + snapshot.wall_anchor_ns
            told_before, _ = past_words(one.seen, now_ns, self._zone)
            key = first_key("history", view.keys)
            weeks = f"{key} shows its weeks" if key else ""
            lines += wrapped("before", _plain([told_before, weeks], "text"), width, before=_BEFORE)
        against = [
            as_usual_words(diagnosis.against),
            "" if is_ours else _of_us(snapshot.header),
            others_words(*_other_routes(snapshot, diagnosis.routes)),
        ]
        lines += wrapped("against", _plain(against, "dim"), width, before=_BEFORE)
        return lines

    def _pace(
        self, subject: Subject, snapshot: Snapshot, view: ViewState, width: int
    ) -> list[Line]:
        """Return that its rate cannot be kept, and what to do."""
        route, since = subject.route, ""
        if route.pace is not None and route.pace.late_since_ns is not None:
            since_ns = route.pace.late_since_ns
            at = time_of_day(since_ns, snapshot.wall_anchor_ns, self._zone)
            since = f" {since_words(at, (snapshot.now_ns - since_ns) / NS_PER_S)}"
        parts: list[Line] = [((lamp_words(route), "slow"), (since, "text"))]
        if route.state == "ok" and (good := _good_part(subject)):
            parts.append(good)
        lines = _wrapped_head(BEHIND, "slow", parts, width)
        lines += wrapped("for", _plain(late_words(route), "text"), width, before=_BEFORE)
        do = _plain([remedy_words(route, view.keys)], "accent")
        return [*lines, *wrapped("do", do, width, before=_BEFORE)]

    def _recovery(self, one: RecoveryView, snapshot: Snapshot) -> tuple[str, Role, list[Line]]:
        diagnosis = one.diagnosis
        ended = time_of_day(diagnosis.at_ns, snapshot.wall_anchor_ns, self._zone)
        lasted_s = (diagnosis.at_ns - diagnosis.since_ns) / NS_PER_S
        words = recovery_words(ended, lasted_s, one.was or "ill")
        begun = time_of_day(diagnosis.since_ns, snapshot.wall_anchor_ns, self._zone)
        parts: list[Line] = [
            ((words, "good"),),
            ((f"{what_words(diagnosis)}, from {begun}", "dim"),),
        ]
        return RECOVERED, "good", parts

    def _knob(self, snapshot: Snapshot, subject: Subject, width: int) -> list[Line]:
        """Return what the newest turn of a knob did to the route."""
        for one in snapshot.happenings:
            if one.kind != "knob" or one.effect is None or subject.route.name not in one.routes:
                continue
            if snapshot.now_ns - one.at_ns > _KNOB_IS_NEWS_NS:
                return []
            at = time_of_day(one.at_ns, snapshot.wall_anchor_ns, self._zone)
            head: Line = ((f"{at} ", "dim"), (neutralise(one.text, _NAME_LIMIT), "text"))
            return wrapped("knob", [head, *told_of(one.effect)], width, before=_BEFORE)
        return []


def _of_us(header: HeaderView) -> str:
    """Return that our own loop is in time, where it is: then it is not us."""
    if header.loop_lag_p99_s > LAG_HURTS_S:
        return ""
    return f"us: lag {header.loop_lag_p99_s * 1000:.1f} ms"


def _others(names: Sequence[str], own: str) -> list[str]:
    return [name for name in names if name != own]


def _loud(role: Role) -> Role:
    # White on red is for a glyph alone: a line of it would hide the others.
    return "missed" if role == "alert" else role


def _plain(texts: Sequence[str], role: Role) -> list[Line]:
    return [((text, role),) for text in texts if text]


def _wrapped_head(glyph: str, role: Role, parts: Sequence[Line], width: int) -> list[Line]:
    lines = wrapped("", parts, width, before=_BEFORE, indent=0)
    if not lines:
        return lines
    start: Line = ((f" {glyph} ", role),)
    first = lines[0][1:] if line_width(lines[0][:1]) == _BEFORE else lines[0]
    return [clip((*start, *first), width), *lines[1:]]


def _good_part(subject: Subject) -> Line:
    """Return how many of the probes of now were good, and why the others were not."""
    now, route = subject.now, subject.route
    if now is not None and not now.finished and route.oldest_open_s is not None:
        told = f", {count(route.in_flight)} open, the oldest {age(route.oldest_open_s)}"
        return (("no probe has ended", "title"), (told, "text"))
    if now is None or not now.finished:
        goodput = route.goodput
        return () if goodput is None else ((f"GOOD {share(goodput)} %", "title"),)
    # What hangs is not good, though it has not ended: the table counts it so, too.
    hanging = route.overdue_open
    asked, bad = now.finished + hanging, now.finished - now.good
    line: Line = ((f"GOOD {share(now.good / asked)} %", "title"),)
    if not bad and not hanging:
        return (*line, (f" of {counted(asked, 'probe', short=True)}", "dim"))
    failed = min(now.failed, bad)
    why = [
        counted(hanging, "hangs", "hang", short=True) if hanging else "",
        f"{count(failed)} failed" if failed else "",
    ]
    if bad > failed:
        why.append(f"{count(bad - failed)} beyond a goal{_goal_words(subject.route)}")
    reasons = [part for part in why if part]
    if len(reasons) == 1:
        many, _, how = reasons[0].partition(" ")
        of = f"{many} of {counted(asked, 'probe', short=True)}"
        return (*line, (f": {of} {how}", "text"))
    told = ", ".join(reasons)
    return (*line, (f": of {counted(asked, 'probe', short=True)} {told}", "text"))


def _goal_words(route: RouteView) -> str:
    goals = [
        f"TTFT {three_digits(route.goal_ttft_s)} s" if route.streamed and route.goal_ttft_s else "",
        "" if route.goal_e2e_s is None else f"E2E {three_digits(route.goal_e2e_s)} s",
    ]
    told = ", ".join(goal for goal in goals if goal)
    return f" ({told})" if told else ""


def _other_routes(snapshot: Snapshot, hit: Sequence[str]) -> tuple[int, list[str]]:
    """Return how many other routes are well, and which hurt too."""
    others = [row for row in snapshot.routes if row.name not in hit]
    hurt = [row for row in others if row.state not in CALM]
    well = sum(row.state == "ok" for row in others)
    return well, [f"{neutralise(row.name, _NAME_LIMIT)} {row.state}" for row in hurt]


def _speaking(diagnosis: Diagnosis, subject: Subject, moment: str) -> list[Line]:
    """Return what speaks for it as it was named, and beside it what that has become by
    the moment that is shown."""
    parts: list[Line] = []
    for evidence, words in zip(diagnosis.evidence, evidence_parts(diagnosis), strict=True):
        # Of several routes it is told of the one that shows it best, whichever that is.
        by_now = _by_now(evidence, subject, moment) if len(diagnosis.routes) == 1 else ""
        parts.append(((words, "text"), *(((f", {by_now}", "title"),) if by_now else ())))
    return parts


def _by_now(evidence: Evidence, subject: Subject, moment: str) -> str:
    """Return what a figure of the evidence is by the moment that is shown; empty where the page
    does not know it."""
    now = subject.now
    pick = _BY_NOW.get(evidence.figure)
    figure = pick(now) if now is not None and pick is not None else None
    if isinstance(figure, FeltFigure):
        if figure.value is None or not figure.enough:
            return ""
        return by_now_words(
            evidence, figure.value, figure.n, is_least=figure.is_least, moment=moment
        )
    if figure is None or now is None:
        return ""
    return by_now_words(evidence, figure, now.finished, moment=moment)


def _advice(
    diagnosis: Diagnosis, snapshot: Snapshot, subject: Subject, keys: Sequence[Hotkey]
) -> list[str]:
    """Return what to do; of a route to go to, how it fares; of fewer at once, how that was."""
    advice = diagnosis.advice
    if advice is None:
        return []
    row = next((row for row in snapshot.routes if advice.route and row.name == advice.route), None)
    took = ""
    if advice.knob == "concurrency":
        load = next((one for one in subject.page.loads if one.open == advice.value), None)
        took = "" if load is None else _load_words(load, diagnosis, subject.route)
    fares = "" if row is None else _how_it_fares(row)
    words = advice_words(advice, fares, took, advice_keys(keys))
    return [neutralise(words, _WORDS_LIMIT)]


def _load_words(load: OpenLoad, diagnosis: Diagnosis, route: RouteView) -> str:
    """Return how it was with fewer open: by what is wrong, 429s or times."""
    at = f"with at most {load.open} open"
    if diagnosis.cause == "rate_limited_concurrency":
        return f"{at} {count(load.throttled)} of {counted(load.n, 'probe', short=True)} got a 429"
    took_s = load.ttft_p50 if route.streamed else load.e2e_p50
    if took_s is None:
        return ""
    what = "the first token" if route.streamed else "the answer"
    return f"{at} {what} took {three_digits(took_s)} s (n {count(load.n)})"


def _how_it_fares(row: RouteView) -> str:
    first = row.ttft_p95 if row.streamed else row.e2e_p95
    name = "TTFT p95" if row.streamed else "E2E p95"
    parts = [
        "" if first.value is None else f"{name} {three_digits(first.value)} s",
        "" if row.goodput is None else f"{share(row.goodput)} % good",
    ]
    return ", ".join(part for part in parts if part)


def _without_incident(
    subject: Subject, snapshot: Snapshot, view: ViewState, zone: tzinfo | None, width: int
) -> list[Line]:
    """Return how a route is of which nothing wrong is known."""
    route = subject.route
    glyph, role = STATE_GLYPHS[route.state], STATE_ROLES[route.state]
    for_words = "" if route.since_s is None else f" for {lasting(route.since_s)}"
    parts: list[Line]
    if route.state == "ok":
        glyph, parts = RECOVERED, [((f"well{for_words}", "good"),)]
        if good := _good_part(subject):
            parts.append(good)
        parts += _goals_met(subject)
        if route.learning:
            parts.append((("what is usual is still being learnt", "dim"),))
        return _wrapped_head(glyph, role, parts, width)
    since = ""
    if route.since_ns is not None and route.since_s is not None:
        at = time_of_day(route.since_ns, snapshot.wall_anchor_ns, zone)
        since = f" {since_words(at, route.since_s)}"
    parts = [((route.state, _loud(role)), (since, "text"))]
    if route.why:
        parts.append(((neutralise(route.why, _NAME_LIMIT), "text"),))
    if route.held:
        parts.append(((f"held: {', '.join(route.held)}", "text"),))
    if route.state == "paused":
        parts.append(((with_keys("{pause} lets it go on", view.keys), "accent"),))
    if good := _good_part(subject):
        parts.append(good)
    if route.state not in CALM and route.state != "held":
        parts += _goals_met(subject) if not route.why else []
        parts.append(((NO_CAUSE, "dim"),))
    lines = _wrapped_head(glyph, role, parts, width)
    said = neutralise(route.said, _WORDS_LIMIT)
    return [*lines, *wrapped("says", _plain([said], "text"), width, before=_BEFORE)]


def _goals_met(subject: Subject) -> list[Line]:
    """Return each goal with how much of it is used now: `TTFT p95 0.31 s, 31 % of its goal`."""
    route, now = subject.route, subject.now
    ttft: Figure | FeltFigure = route.ttft_p95 if now is None else now.ttft[1]
    e2e: Figure | FeltFigure = route.e2e_p95 if now is None else now.e2e[1]
    pairs = [("E2E p95", e2e, route.goal_e2e_s)]
    if route.streamed:
        pairs.insert(0, ("TTFT p95", ttft, route.goal_ttft_s or None))
    parts: list[Line] = []
    for name, figure, goal_s in pairs:
        if figure.value is None or not goal_s or not figure.enough:
            continue
        used = f"{figure.value / goal_s * 100:.0f} %" if figure.value < 99 * goal_s else "≥99 times"
        role: Role = "text" if figure.value > goal_s else "dim"
        told = f"{name} {three_digits(figure.value)} s, {used} of its goal"
        parts.append(((told, role),))
    return parts
