"""The log of what happened: one line for each thing that a person would tell another.

Rule 1: a line stands where the thing began: an incident at its onset, however late it was known. It
is made again where more is known of it, and moves where its beginning does.
Rule 2: what comes in crowds is one line with a count: 429s of one route and burst, and whatever has
the same words at about the same time.
Rule 3: it is a fold of durable events alone, so a replay tells the same.
Rule 4: the newest 500 lines are kept, whatever comes: of two the one that was told last.
Rule 5: names and a server's words are passed on as they are: hostile.
"""

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

import msgspec

from probes.board.incident_log import KnownIncident
from probes.board.place import unheard_words
from probes.board.throttles import hit_limit, remaining_text, throttle_kind
from probes.board.views import (
    Happening,
    HappeningKind,
    KnobEffect,
    Marker,
    MarkerKind,
    RouteState,
)
from probes.events import (
    Alert,
    AttemptFinished,
    Diagnosis,
    Fault,
    Gap,
    Held,
    HeldReason,
    Knob,
    Mark,
    Notice,
    PlaceReport,
)
from probes.events.diagnosis_words import (
    evidence_parts,
    recovery_words,
    scope_words,
    what_words,
)
from probes.events.knob_turns import (
    BY_ITSELF,
    ONE_TURN_NS,
    is_next_step,
    knob_words,
    who_turned,
)
from probes.kit.clock import NS_PER_S
from probes.kit.short_figures import counted, lasting, three_digits

HAPPENINGS_KEPT: Final = 500
"""An incident of hours with all that was done about it; more than anybody scrolls through."""
BURST_NS: Final = 30 * NS_PER_S
"""A 429 that comes later than this after the last one of its route begins another burst. Where the
server asked for a longer wait, twice that wait."""
_ALIKE_NS: Final = 10 * NS_PER_S
"""What has the same words so soon after is the same thing: all routes paused with one key, a
fallback that each of them takes."""
_ALIKE_KEPT: Final = 32
"""Words that are said at about the same time: more than there are kinds of notices."""
_HELD_AGAIN_NS: Final = 60 * NS_PER_S
"""A budget at its end is free for a probe now and then: what is held again so soon was never
really let go."""
HELD_WORDS: Final[Mapping[HeldReason, str]] = {
    "budget": "nothing is left to spend",
    "cool_down": "it cools down",
    "paused": "it is paused",
    "reader_stalled": "nobody read our events",
    "restarting": "the engine starts again",
}
"""Why new attempts are held back, of a route."""
_MARKER_KINDS: Final[dict[HappeningKind, MarkerKind]] = {
    "knob": "knob",
    "onset": "onset",
    "recovered": "recovered",
    "mark": "mark",
}
"""What is marked on the charts of its routes; a mark, which has no route, on those of all."""
_TOLD_OTHERWISE: Final[frozenset[HeldReason]] = frozenset(("cool_down", "paused"))
"""A cool-down is part of its 429s, and a pause is a knob."""


@dataclass(slots=True, eq=False)
class _Line:
    """A happening as far as it is known."""

    at_ns: int
    number: int
    """In the order in which they became known."""
    shown: Happening
    brief: str = ""
    """In a word or two, for a chart."""
    turn: Knob | None = None
    """The last step of the turn of a knob that it is about."""
    is_kept: bool = True


def _takes_back(last: Knob, event: Knob) -> bool:
    """Tell whether a concurrency that finds itself goes back down from where it has just been."""
    return (
        event.who == last.who == BY_ITSELF
        and last.before < last.after == event.before > event.after
        and event.at_ns - last.at_ns <= ONE_TURN_NS
    )


_ORDER: Final = attrgetter("at_ns", "number")
_NUMBER: Final = attrgetter("number")


@dataclass(slots=True)
class _Burst:
    """429s of one route that are one line."""

    line: _Line
    least_s: float | None = None
    """Of the waits asked for."""
    most_s: float | None = None

    def goes_on(self, at_ns: int) -> bool:
        """Return whether a 429 at a stamp is one of them."""
        last_ns = self.line.shown.until_ns or self.line.at_ns
        wait_ns = round(2 * (self.most_s or 0.0) * NS_PER_S)
        return at_ns - last_ns <= max(BURST_NS, wait_ns)


@dataclass(slots=True)
class _Hold:
    """Times in which new attempts were held back, one after the other for one reason."""

    line: _Line
    from_ns: int
    released: _Line | None = None
    """That it is over, as far as is known; None while it lasts."""


@dataclass(slots=True)
class HappeningLog:
    """What happened in one run, newest first."""

    _lines: list[_Line] = field(default_factory=list)
    """Oldest first."""
    _number: int = 0
    _incidents: dict[str, list[_Line]] = field(default_factory=dict)
    """Id of one that is open → the line of its onset, and those of its later causes."""
    _bursts: dict[str, _Burst] = field(default_factory=dict)
    """By route."""
    _turns: dict[str, _Line] = field(default_factory=dict)
    """Route → the last turn of a knob that has an effect."""
    _holds: dict[tuple[str, str, HeldReason], _Hold] = field(default_factory=dict)
    """By place, route and reason."""
    _unheard: dict[str, _Line] = field(default_factory=dict)
    """Place of which nothing is heard → the line that says so."""
    _alike: dict[tuple[HappeningKind, str], _Line] = field(default_factory=dict)
    """The newest line of some words, the least recently used first."""
    _view: tuple[Happening, ...] | None = ()
    _markers: dict[str, tuple[Marker, ...]] = field(default_factory=dict)

    # What is shown.

    def view(self) -> tuple[Happening, ...]:
        """Return what happened, newest first."""
        if self._view is None:
            self._view = tuple([line.shown for line in reversed(self._lines)])
        return self._view

    def markers(self, route: str) -> tuple[Marker, ...]:
        """Return what is to be marked on the charts of a route, oldest first: the same object until
        something happens, so that no chart is drawn again for nothing."""
        known = self._markers.get(route)
        if known is None:
            known = self._markers[route] = tuple(
                [
                    Marker(line.at_ns, line.brief or line.shown.text, _MARKER_KINDS[kind])
                    for line in self._lines
                    if (kind := line.shown.kind) in _MARKER_KINDS
                    and (route in line.shown.routes or (kind == "mark" and not line.shown.routes))
                ]
            )
        return known

    # Events.

    def diagnosed(
        self, event: Diagnosis, incident: KnownIncident, state: RouteState | None, said: str
    ) -> None:
        """Take what is known of an incident by now.

        Args:
            event: what the diagnosis says.
            incident: what it is about, with this event: of what it was when most was hit the line
                tells, however few of its routes are left.
            state: the worst that it has made of its routes.
            said: the server's own last words on it.
        """
        if not incident.was_named:
            return  # it may yet turn out to be chance
        if event.state in ("cleared", "settled"):
            self._ended(incident.event, incident, state)
            return
        word = incident.word
        lines = self._incidents.setdefault(event.id, [])
        text = _incident_text(word, said)
        if not lines:
            lines.append(self._add("onset", word.since_ns, text))
        elif incident.told_cause != word.cause:
            lines.append(self._add("cause", word.at_ns, text))
        incident.told_cause = word.cause
        newest = lines[-1]
        self._change(newest, text=f"now seen as: {text}" if newest is not lines[0] else text)
        is_ours = word.cause == "local_observer"
        for line in lines:
            line.brief = "our machine" if is_ours else state or "incident"
            self._change(
                line,
                at_ns=word.since_ns if line.shown.kind == "onset" else line.at_ns,
                routes=() if is_ours else incident.routes,
                state=state,
                incident=event.id,
            )
        self._link(event)

    def worsened(self, incident: str, state: RouteState | None) -> None:
        """Note the worst that an incident has made of its routes by now."""
        for line in self._incidents.get(incident, ()):
            if line.shown.state != state:
                line.brief = state or line.brief
                self._change(line, state=state)

    def _ended(self, event: Diagnosis, incident: KnownIncident, state: RouteState | None) -> None:
        for line in self._incidents.pop(event.id, ()):
            self._change(line, until_ns=event.at_ns, state=state)
        is_ours = event.cause == "local_observer"
        about: dict[str, Any] = {"routes": () if is_ours else event.routes, "incident": event.id}
        if event.state == "settled":
            text = f"{what_words(event)}: the usual from now on"
            self._add("settled", event.at_ns, text, state=state, **about)
            return
        lasted_s = (event.at_ns - event.since_ns) / NS_PER_S
        was = "busy" if is_ours else state or "ill"
        text = ("our machine " if is_ours else "") + recovery_words("", lasted_s, was)
        if incident.lost:
            text += f", {counted(incident.lost, 'probe')} lost"
        self._add("recovered", event.at_ns, text, "recovered", state=state, **about)

    def _link(self, event: Diagnosis) -> None:
        """Make the turn of a knob part of the incident where the diagnosis says that it is."""
        advice = event.advice
        if advice is None or advice.act != "undo_knob":
            return
        for line in reversed(self._lines):
            turn = line.turn
            if turn is not None and turn.knob == advice.knob and turn.route in event.routes:
                self._change(line, incident=event.id)
                return

    def throttled(self, event: AttemptFinished) -> None:
        """Take a 429."""
        at_ns = event.stamps_ns.ended or event.at_ns
        burst = self._bursts.get(event.route)
        if burst is None or not burst.line.is_kept or not burst.goes_on(at_ns):
            line = self._add("throttled", at_ns, "", routes=(event.route,), count=0, until_ns=at_ns)
            burst = self._bursts[event.route] = _Burst(line)
        if event.retry_after_s is not None:
            burst.least_s = min(event.retry_after_s, burst.least_s or event.retry_after_s)
            burst.most_s = max(event.retry_after_s, burst.most_s or 0.0)
        line, many = burst.line, burst.line.shown.count + 1
        until_ns = max(at_ns, line.shown.until_ns or at_ns)
        text = _burst_text(event, burst, many, (until_ns - line.at_ns) / NS_PER_S)
        self._change(line, count=many, until_ns=until_ns, text=text)

    def turned(self, event: Knob, text: str) -> None:
        """Take the turn of a knob; several steps of one turn are one line.

        Args:
            event: the turn.
            text: what else it changes, to follow its own words.
        """
        last = self._turns.get(event.route)
        step = None if last is None or not last.is_kept else last.turn
        if last is not None and step is not None and is_next_step(step, event):
            event = msgspec.structs.replace(event, before=step.before)
            words = knob_words(event.knob, event.before, event.after) + text
            last.turn, last.brief = event, words
            told = f"{who_turned(event.who)}: {words}" + (f", {event.reason}" * bool(event.reason))
            self._change(last, text=told, until_ns=event.at_ns)
            return
        words = knob_words(event.knob, event.before, event.after) + text
        told = f"{who_turned(event.who)}: {words}" + (f", {event.reason}" if event.reason else "")
        if last is not None and step is not None and _takes_back(step, event):
            # A limit that was tried and stepped back from is one line, and the next time one more
            # of the same.
            self._drop(last)
            there_and_back = f"{knob_words(step.knob, step.before, step.after)}→{event.after:g}"
            told = f"{who_turned(event.who)}: {there_and_back}, {event.reason}"
            line = self._join("knob", event.at_ns, told, event.route)
        elif event.knob == "paused":
            line = self._join("knob", event.at_ns, told, event.route)
        else:
            line = self._add("knob", event.at_ns, told, routes=(event.route,))
        line.brief, line.turn = words, event
        if event.knob != "usual":
            self._turns[event.route] = line

    def effect_known(self, route: str, effect: KnobEffect) -> None:
        """Note what the last turn of a knob of a route did, as far as it is known."""
        line = self._turns.get(route)
        if line is not None and line.shown.effect != effect:
            self._change(line, effect=effect)

    def marked(self, event: Mark) -> None:
        """Take a note of the user's: it stands at the moment that it is about. One that was put
        afterwards says so, for whoever reads it may take it for what was known then."""
        about_ns = event.at_ns if event.about_ns is None else event.about_ns
        if about_ns >= event.at_ns:
            self._add("mark", event.at_ns, event.text)
            return
        later = lasting((event.at_ns - about_ns) / NS_PER_S)
        text = f"{event.text} · put {later} later"
        more = {"put_ns": event.at_ns, "note": event.text}
        self._add("mark", about_ns, text, event.text, **more)

    def noticed(self, event: Notice) -> None:
        """Take something to be read once."""
        place = "" if event.route else event.place
        self._join("notice", event.at_ns, _at(place, event.text), event.route, place)

    def burnt(self, event: Alert) -> None:
        """Take a goal that is missed without an incident, or is missed no more."""
        name = event.harm.route
        # The line has the route in a column of its own.
        self._join("notice", event.at_ns, event.text.removeprefix(f"{name}: "), name)

    def failed(self, event: Fault) -> None:
        """Take a defect of ours in one route."""
        text = f"{event.error}; restarts in {event.restart_in_s:g} s"
        self._join("fault", event.at_ns, text, event.route)

    def slept(self, event: Gap) -> None:
        """Take a time in which we ourselves did not run."""
        lasted_s = (event.at_ns - event.started_ns) / NS_PER_S
        text = _at(event.place, f"we did not run for {lasting(lasted_s)}")
        self._add("gap", event.started_ns, text, until_ns=event.at_ns, place=event.place)

    def heard_of(self, event: PlaceReport) -> None:
        """Take that nothing is heard of a place, or that it is again."""
        line = self._unheard.get(event.place)
        if event.state != "heard":
            detail = f": {event.detail}" if event.detail else ""
            text = _at(event.place, f"silent, {unheard_words(event)}{detail}")
            if line is None or not line.is_kept:
                self._unheard[event.place] = self._add(
                    "gap", event.since_ns, text, place=event.place
                )
            else:
                self._change(line, text=text)
        elif line is not None:
            del self._unheard[event.place]
            lasted_s = max(0, event.at_ns - line.at_ns) / NS_PER_S
            self._change(line, until_ns=event.at_ns)
            text = _at(event.place, f"heard again, was silent {lasting(lasted_s)}")
            self._add("gap", event.at_ns, text, until_ns=event.at_ns, place=event.place)

    def greeted(self, at_ns: int, engine: str, place: str = "") -> None:
        """Take an engine that begins where another one was: it says anew what it holds back."""
        ended = self._holds.pop((place, "", "restarting"), None)
        for key in [key for key in self._holds if key[0] == place]:
            hold = self._holds.pop(key)
            if hold.released is None:
                self._change(hold.line, until_ns=at_ns)
        if ended is None:
            text = _at(place, f"another engine took over: {engine}")
            self._add("engine", at_ns, text, place=place)
            return
        took = lasting((at_ns - ended.from_ns) / NS_PER_S)
        text = f"{ended.line.shown.text}; {engine} took over after {took}"
        self._change(ended.line, text=text, until_ns=at_ns)

    def holding(self, event: Held) -> None:
        """Note that new attempts are held back, or let go again."""
        if event.reason in _TOLD_OTHERWISE or (event.place and event.reason == "restarting"):
            return  # of a place it is told whether it is heard
        key, at_ns = (event.place, event.route, event.reason), event.at_ns
        where = "" if event.route else event.place
        hold = self._holds.get(key)
        if event.released:
            if hold is not None and hold.released is None and event.reason != "restarting":
                self._let_go(hold, at_ns, where)
            return
        if hold is not None and hold.released is None:
            return  # it goes on
        if event.reason == "restarting":
            text = _at(where, event.detail or "the engine ended")
            line = self._add("engine", at_ns, text, place=where)
        elif (
            hold is not None
            and hold.released is not None
            and hold.line.is_kept
            and at_ns - hold.released.at_ns <= _HELD_AGAIN_NS
        ):
            self._drop(hold.released)
            line = hold.line
            self._change(line, count=line.shown.count + 1, until_ns=None)
        else:
            detail = f": {event.detail}" if event.detail else ""
            text = _at(where, f"held, {HELD_WORDS[event.reason]}{detail}")
            routes = (event.route,) if event.route else ()
            line = self._add("held", at_ns, text, routes=routes, place=where)
        self._holds[key] = _Hold(line, at_ns)

    def _let_go(self, hold: _Hold, at_ns: int, where: str) -> None:
        lasted_s = (at_ns - hold.line.at_ns) / NS_PER_S
        self._change(hold.line, until_ns=at_ns)
        text = _at(where, f"goes on, was held {lasting(lasted_s)}")
        routes = hold.line.shown.routes
        hold.released = self._add("held", at_ns, text, routes=routes, place=where)

    # Lines.

    def _join(
        self, kind: HappeningKind, at_ns: int, text: str, route: str, place: str = ""
    ) -> _Line:
        """Add a line, or one more to that which has just said the same."""
        line = self._alike.pop((kind, text), None)
        routes = (route,) if route else ()
        last_ns = 0 if line is None else line.shown.until_ns or line.at_ns
        if line is None or not line.is_kept or at_ns - last_ns > _ALIKE_NS:
            line = self._add(kind, at_ns, text, routes=routes, place=place)
        else:
            together = tuple(sorted({*line.shown.routes, *routes}))
            self._change(line, count=line.shown.count + 1, until_ns=at_ns, routes=together)
        self._alike[kind, text] = line
        if len(self._alike) > _ALIKE_KEPT:
            del self._alike[next(iter(self._alike))]
        return line

    def _add(
        self, kind: HappeningKind, at_ns: int, text: str, brief: str = "", **more: Any
    ) -> _Line:
        self._number += 1
        shown = Happening(at_ns=at_ns, kind=kind, text=text, **more)
        line = _Line(at_ns, self._number, shown, brief)
        insort(self._lines, line, key=_ORDER)
        if len(self._lines) > HAPPENINGS_KEPT:
            # Not what happened first: a mark may be about a moment before all others.
            self._drop(min(self._lines, key=_NUMBER))
        self._changed()
        return line

    def _change(self, line: _Line, **changes: Any) -> None:
        line.shown = msgspec.structs.replace(line.shown, **changes)
        if line.is_kept and line.shown.at_ns != line.at_ns:
            self._lines.remove(line)
            line.at_ns = line.shown.at_ns
            insort(self._lines, line, key=_ORDER)
        self._changed()

    def _drop(self, line: _Line) -> None:
        if line.is_kept:
            line.is_kept = False
            self._lines.remove(line)
            about = self._incidents.get(line.shown.incident, [])
            if line in about:
                about.remove(line)
            if not about:
                self._incidents.pop(line.shown.incident, None)
            self._changed()

    def _changed(self) -> None:
        self._view = None
        self._markers.clear()


def _at(place: str, text: str) -> str:
    """Return what is told of a whole place: not every line has a column for whose it is."""
    return f"{place}: {text}" if place else text


def _incident_text(event: Diagnosis, said: str) -> str:
    """Return what is wrong and what speaks for it, with the server's own words."""
    evidence = "; ".join(evidence_parts(event, said))
    return " · ".join(part for part in (what_words(event), scope_words(event), evidence) if part)


def _burst_text(event: AttemptFinished, burst: _Burst, many: int, lasted_s: float) -> str:
    """Return how many 429s in what time, of which limit, and what the server asked us to wait."""
    kind = throttle_kind(event.reason, event.limits)
    limit = hit_limit(kind, event.limits)
    window = f" a {limit.window}" if limit is not None and limit.window else ""
    left = remaining_text(limit)
    parts = [f"429 ×{many:,} in {lasting(lasted_s)}" if many > 1 else "429", f"{kind}{window}"]
    if left:
        parts.append(f"left {left}")
    if burst.least_s is not None and burst.most_s is not None:
        waits = dict.fromkeys(three_digits(wait_s) for wait_s in (burst.least_s, burst.most_s))
        parts.append(f"asked {'–'.join(waits)} s")
    return " · ".join(parts)
