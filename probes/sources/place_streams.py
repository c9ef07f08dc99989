"""What several places publish, made one stream: pure.

Rule 1: a place numbers its events within each life of its agent. What is known by its number is
dropped, what is missing is counted and told, however long the place was away.
Rule 2: every event is moved to the shared line of time by its message's own offset. Nothing can
have happened after the bus took the message: stamps that say so are moved back, and that is told.
Rule 3: nothing is put off so that it can be sorted. Messages of one place come in its order; those
of two as the bus took them, and who folds them keeps a time for each place: a backlog that comes
minutes late is folded at its own stamps and touches no other place.
Rule 4: of a place nothing comes before its `hello`. Who comes in the middle is given one that was
kept, dated at the first event that follows.
Rule 5: whether a place is heard is told once each time that changes, at the present of the bus: a
place whose own stamps have not come so far yet is catching up. By when the bus took its messages
that is known of the past as well, so that who comes late has it as those who were there.
Rule 6: no place says more than one can that measures: what is above is left out, counted and told.
Rule 7: whatever a place sends is somebody else's: an event of a route of another place, a line that
is no event and a schema of the future cost themselves alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, get_args

import msgspec

from probes.bus.names import BATCH_S
from probes.events import (
    DURABLE_TYPES,
    SCHEMA_VERSION,
    Derived,
    Event,
    Hello,
    Notice,
    PlaceReport,
    PlaceState,
    SeenBefore,
    Tick,
    encode_event,
)
from probes.events.foreign import decode_foreign
from probes.events.placing import at_place
from probes.kit.clock import NS_PER_S
from probes.kit.short_figures import counted
from probes.sources.rules import LINE_COST, PLACE_SILENT_S

SILENT_AFTER_NS: Final = round((PLACE_SILENT_S + BATCH_S) * NS_PER_S)
"""A batch is put together before it is sent."""
_AHEAD_NS: Final = NS_PER_S
"""So much after the bus took it an event may seem to have happened: how far the two clocks are
apart is measured once in a life, and they drift."""
_RUNS_KEPT: Final = 8
"""Lives of a place whose numbers are known: what an earlier one kept is sent by the next."""
_TOLD_APART_NS: Final = 10 * NS_PER_S
"""Between two notices of one place on what is missing: a way that loses much loses it often."""
_LINE_BYTES: Final = 1 << 20
"""A longer line is no event: the longest has a quarter of it, and a message of the bus no more."""
_MOST_LINES: Final = 10_000
"""Of a message: the shortest event has some 50 bytes, and a batch 256 KB. Each line that is none
costs the loop a microsecond."""

MOST_PER_S: Final = 8e6
"""Bytes of a place that are taken for each second of the bus's, a line counted as `LINE_COST` more:
one that has as much to do as a core can writes 4,000 events a second of 1 KB."""
_MOST_SAVED: Final = float(1 << 30)
"""What it did not say is kept for it up to so much, and as much is given to begin with: what comes
at once after hours without a bus, or of the hours that who comes late reads, is no flood."""

MOST_ROUTES: Final = 1_000
"""Of all places, more than twice what a cockpit is measured with. Each has a row, and a place that
makes up names would stop the screen: others are left out, which is told."""

_HELLO_PREFIX: Final = b'{"type":"hello"'
_DERIVED_PREFIXES: Final = tuple(
    f'{{"type":"{kind.__struct_config__.tag}"'.encode() for kind in get_args(Derived)
)
"""Whoever encodes an event writes its type first. What is derived is made anew by who reads."""
_NOT_OF_A_PLACE: Final = frozenset(
    (*(kind for kind in get_args(Event) if kind not in DURABLE_TYPES), PlaceReport)
)
"""What no place publishes: transient events, and what only its reader knows."""


class PlaceMessage(NamedTuple):
    """One message of a place, as it came."""

    place: str
    run: str
    """Of which life of its agent."""
    first: int
    """Number of its first event in that life."""
    offset_ns: int
    """Added to its stamps it gives Unix time."""
    lines: bytes
    taken_ns: int
    """When the bus took it, in Unix ns of the bus's clock."""


@dataclass(slots=True)
class _Place:
    """What is known of one place."""

    name: str
    suffix: str
    """What the names of its routes end with."""
    next_of: dict[str, int] = field(default_factory=dict)
    """Life of its agent → number of the event that is expected next; the newest last."""
    greeted: str | None = None
    """The life whose routes are known."""
    refused: str | None = None
    """The life of which nothing is taken: its schema is of the future."""
    newest_ns: int = 0
    """Stamp of the newest event that was heard; 0 where none was."""
    report: PlaceReport | None = None
    """What was told last of whether it is heard."""
    taken_ns: int = 0
    """When the bus took the last of its messages."""
    silent_ns: int = 0
    """For how long nothing has come of it while we listened."""
    routes: int = 0
    """How many its last greeting named, of those that are let in."""
    moved: tuple[int, int] = (0, 0)
    """An offset of its, and what is added to it because it leads beyond the present."""
    missing: int = 0
    """Events that were not told yet to be missing."""
    unreadable: int = 0
    """The same of lines that are no events of this place."""
    flooded: int = 0
    """The same of events that are too many."""
    room: float = _MOST_SAVED
    """Bytes that are taken of it by now."""
    quiet_until_ns: int = 0
    """Nothing of these three is told before, by the bus's clock."""

    @property
    def state(self) -> PlaceState | None:
        return None if self.report is None else self.report.state


class PlaceStreams:
    """Takes messages of places, and gives one stream."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._events: list[Event] = []
        self._lines: list[bytes] = []
        self.newest_ns = 0
        """Newest stamp of what was given."""

    @property
    def names(self) -> tuple[str, ...]:
        """The places that are known, in the order in which they were heard of."""
        return tuple(self._places)

    @property
    def reports(self) -> tuple[PlaceReport, ...]:
        """What was told last of each place."""
        return tuple(one.report for one in self._places.values() if one.report is not None)

    def needs_hello(self, message: PlaceMessage) -> bool:
        """Return whether the routes of a message's life are not known, and it does not say them."""
        known = self._places.get(message.place)
        if known is not None and known.greeted == message.run:
            return False
        return not message.lines.startswith(_HELLO_PREFIX)

    def take(self, message: PlaceMessage, kept: Hello | None = None) -> None:
        """Take a message. `kept` is the greeting of the place's newest engine, with that engine's
        stamps, where it is needed and to be had."""
        place = self._place(message.place)
        lines = message.lines.split(b"\n")
        if not lines[-1]:
            lines.pop()
        expected = place.next_of.get(message.run)
        if expected is None and place.next_of and message.run < max(place.next_of):
            # In the stream lives only grow: somebody else has sent once more what he once read.
            place.unreadable += len(lines)
            self._tell_trouble(place, message.taken_ns)
            return
        if expected is None:
            # Of the first life that is heard of, who comes late has missed nothing.
            expected = 1 if place.next_of else message.first
            while len(place.next_of) >= _RUNS_KEPT:
                del place.next_of[next(iter(place.next_of))]
        known = max(0, expected - message.first)
        if known >= len(lines):
            return  # no sign of life: after a loss what was read last is read again
        self._pass_time(message.taken_ns)
        if place.taken_ns:
            gained = MOST_PER_S * max(0, message.taken_ns - place.taken_ns) / NS_PER_S
            place.room = min(_MOST_SAVED, place.room + gained)
        place.silent_ns, place.taken_ns = 0, message.taken_ns
        place.missing += max(0, message.first - expected)
        place.next_of[message.run] = message.first + len(lines)
        cost = len(message.lines) + LINE_COST * (len(lines) - known)
        if cost > place.room:
            # It is heard, and by the numbers nothing is missing: more is said than anybody reads.
            place.flooded += len(lines) - known
            self._tell_trouble(place, message.taken_ns)
            return
        place.room -= cost
        events = self._decoded(place, lines[known : known + _MOST_LINES])
        place.unreadable += max(0, len(lines) - known - _MOST_LINES)
        if events:
            self._give(place, message, events, kept)
        if place.state != "heard" and place.greeted is not None:
            at_ns = max(message.taken_ns, self.newest_ns)
            self._report(place, at_ns, "heard", place.newest_ns or at_ns)
        self._tell_trouble(place, message.taken_ns)

    def _pass_time(self, now_ns: int) -> None:
        """Tell of which places nothing had come by a moment at which the bus took something."""
        for place in self._places.values():
            if place.state == "heard" and now_ns - place.taken_ns > SILENT_AFTER_NS:
                self._report(place, max(now_ns, self.newest_ns), "silent", place.newest_ns)

    def caught_up(self, now_ns: int) -> None:
        """Know that the past has been read: what nothing has come of for long is silent already."""
        for place in self._places.values():
            if place.taken_ns:
                place.silent_ns = max(place.silent_ns, now_ns - place.taken_ns)

    def unreadable(self, name: str, taken_ns: int) -> None:
        """Count a message that no agent of ours wrote."""
        place = self._place(name)
        place.unreadable += 1
        if place.greeted is not None:
            self._tell_trouble(place, taken_ns)

    def expect(self, name: str, now_ns: int, kept: Hello | None = None) -> None:
        """Know of a place that may never be heard: `look` tells so."""
        place = self._place(name)
        if place.report is None and not place.next_of:
            place.silent_ns = SILENT_AFTER_NS
            if kept is not None and self._is_of(kept, place):
                place.greeted = ""  # not the life of any message: that is greeted again
                known = self._let_in(place, kept, now_ns)
                self._emit(at_place(known, name, now_ns - kept.at_ns))

    def listened(self, for_ns: int) -> None:
        """Know that all that had come was read, and for so long nothing else did."""
        for place in self._places.values():
            place.silent_ns += for_ns

    @property
    def silent_ns(self) -> int:
        """For how long no place has been heard while all that came was read."""
        return min((place.silent_ns for place in self._places.values()), default=0)

    def heard_again(self) -> None:
        """Know that the way to the places is there again: each has its time to be heard."""
        for place in self._places.values():
            place.silent_ns = 0

    def look(self, now_ns: int, is_there: Callable[[str], bool]) -> None:
        """Tell which places are silent. `now_ns` is the present of the bus's clock, `is_there` says
        whether a place still says itself that it probes."""
        for place in self._places.values():
            if place.silent_ns < SILENT_AFTER_NS:
                continue
            state: PlaceState = "silent" if is_there(place.name) else "gone"
            if place.state != state:
                at_ns = max(now_ns, self.newest_ns)
                never = "" if place.newest_ns else "not heard since this was begun to be watched"
                self._report(place, at_ns, state, place.newest_ns or at_ns, never)

    def lost(self, now_ns: int, since_ns: int, why: str) -> None:
        """Tell that the way to all places is lost."""
        for place in self._places.values():
            if place.state != "unknown":
                self._report(place, max(now_ns, self.newest_ns), "unknown", since_ns, why)

    def tell(self, event: Event) -> None:
        """Put an event of our own into the stream."""
        self._emit(event)

    def drain(self) -> tuple[list[Event], bytes]:
        """Return what there is since the last time, and the JSON lines of it."""
        events, self._events = self._events, []
        lines, self._lines = self._lines, []
        return events, b"".join(lines)

    def _place(self, name: str) -> _Place:
        known = self._places.get(name)
        if known is None:
            known = self._places[name] = _Place(name, f"@{name}")
        return known

    def _decoded(self, place: _Place, lines: Sequence[bytes]) -> list[Event]:
        """Return the events of lines that are some, of this place."""
        events: list[Event] = []
        for line in lines:
            if line.startswith(_DERIVED_PREFIXES):
                continue
            try:
                event = decode_foreign(line) if len(line) <= _LINE_BYTES else None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                event = None
            if event is not None and self._is_of(event, place):
                events.append(event)
            else:
                place.unreadable += 1
        return events

    def _is_of(self, event: Event, place: _Place) -> bool:
        """Return whether an event is one that this place may publish."""
        route = getattr(event, "route", "")
        if route:
            return str(route).endswith(place.suffix) and type(event) not in _NOT_OF_A_PLACE
        suffix = place.suffix
        if isinstance(event, SeenBefore):
            return all(name.endswith(suffix) for name in event.routes)
        if isinstance(event, Tick):
            return all(counts.route.endswith(suffix) for counts in event.routes)
        if isinstance(event, Hello):
            # A name goes on into labels, commands and files: no settings have one with controls.
            return all(
                info.place == place.name
                and info.name.endswith(suffix)
                and info.name != suffix
                and info.name.isprintable()
                for info in event.routes
            )
        return type(event) not in _NOT_OF_A_PLACE

    def _give(
        self, place: _Place, message: PlaceMessage, events: list[Event], kept: Hello | None
    ) -> None:
        """Put a message's events into the stream, behind the greeting that they need."""
        newest_ns = max(event.at_ns for event in events)
        by_ns = self._offset(place, message, newest_ns)
        name = place.name
        if (
            not isinstance(events[0], Hello)
            and place.greeted != message.run
            and kept is not None
            and self._is_of(kept, place)
        ):
            # Of a life that ended before it was heard of, the next one's routes are the best guess.
            events.insert(0, msgspec.structs.replace(kept, at_ns=events[0].at_ns))
        for event in events:
            if isinstance(event, Hello):
                place.greeted = message.run
                place.refused = message.run if event.schema > SCHEMA_VERSION else None
                if place.refused:
                    told = f"it speaks schema {event.schema}, and {SCHEMA_VERSION} is known here"
                    self._notice(place, message.taken_ns, f"{told}: install a newer llmtop")
                event = self._let_in(place, event, message.taken_ns)
            if place.greeted == message.run != place.refused:
                self._emit(at_place(event, name, by_ns))
        place.newest_ns = max(place.newest_ns, newest_ns + by_ns)

    def _let_in(self, place: _Place, hello: Hello, taken_ns: int) -> Hello:
        """Return a greeting with as many of its routes as there is room for."""
        room = MOST_ROUTES - sum(one.routes for one in self._places.values() if one is not place)
        named, place.routes = len(hello.routes), min(len(hello.routes), max(0, room))
        if place.routes < named:
            told = f"{counted(named - place.routes, 'route')} left out"
            self._notice(place, taken_ns, f"{told}: {MOST_ROUTES:,} of all places are shown")
        return msgspec.structs.replace(hello, routes=hello.routes[: place.routes])

    def _offset(self, place: _Place, message: PlaceMessage, newest_ns: int) -> int:
        """Return what moves a message's stamps to the shared line of time."""
        offset_ns = message.offset_ns
        known_ns, moved_ns = place.moved
        if known_ns != offset_ns:
            moved_ns = 0
        ahead_ns = newest_ns + offset_ns + moved_ns - message.taken_ns
        if ahead_ns > _AHEAD_NS:
            if not moved_ns:
                told = f"its clock is {ahead_ns / NS_PER_S:.1f} s ahead of the bus's"
                self._notice(place, message.taken_ns, f"{told}: its stamps are moved back")
            moved_ns -= ahead_ns
        place.moved = (offset_ns, moved_ns)
        return offset_ns + moved_ns

    def _report(
        self, place: _Place, at_ns: int, state: PlaceState, since_ns: int, detail: str = ""
    ) -> None:
        place.report = PlaceReport(
            at_ns=at_ns, place=place.name, state=state, since_ns=since_ns, detail=detail
        )
        self._emit(place.report)

    def _tell_trouble(self, place: _Place, taken_ns: int) -> None:
        """Say what is missing, and what is no event, for people; each once, and not too often."""
        if (
            not (place.missing or place.unreadable or place.flooded)
            or taken_ns < place.quiet_until_ns
        ):
            return
        told = []
        if place.missing:
            told.append(f"{counted(place.missing, 'event')} lost on the way here")
        if place.unreadable:
            told.append(f"{counted(place.unreadable, 'line')} left out: no event of this place")
        if place.flooded:
            most = f"it says more than {MOST_PER_S / 1e6:g} MB a second"
            told.append(f"{counted(place.flooded, 'event')} left out: {most}")
        place.missing = place.unreadable = place.flooded = 0
        place.quiet_until_ns = taken_ns + _TOLD_APART_NS
        self._notice(place, taken_ns, ", ".join(told))

    def _notice(self, place: _Place, at_ns: int, text: str) -> None:
        # At the place's own time: it is one of its events, and comes in their order.
        told_ns = place.newest_ns or at_ns
        self._emit(Notice(at_ns=told_ns, route="", place=place.name, text=text))

    def _emit(self, event: Event) -> None:
        """Give an event; all that is given is durable."""
        if event.at_ns > self.newest_ns:
            self.newest_ns = event.at_ns
        self._events.append(event)
        self._lines.append(encode_event(event))
