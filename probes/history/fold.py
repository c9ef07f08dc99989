"""From the events of a run to the slots of its history: a pure fold.

Rule 1. The same events give the same slots, live and from a recording: neither a clock nor what was
written before is asked. So a recording can be imported over what its own run has written.
Rule 2. What happened is counted in the slot of wall time in which it ended, by the clock of its
own engine, as the last `hello` or `tick` of its place told that.
Rule 3. A slot is open while its route has not gone two slots on: a place that sends late, or a
probe that ends out of order, still finds it. Its row is given whole each time, while it grows.
Rule 4. Percentiles are of what users felt: TTFT of every probe that had a first token, E2E of those
that ended ok; neither where the engine itself had not run.
Rule 5. An incident is kept once it was named, under an id of what it was, where and when: whoever
reads the same stream, now or later, gives it the same.
"""

import hashlib
from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from probes.events import (
    AttemptFinished,
    Diagnosis,
    Event,
    Gap,
    Hello,
    ProbeFinished,
    Reference,
    RouteInfo,
    Tick,
)
from probes.events.placing import SHARED_CLOCK
from probes.history.packed import pack
from probes.history.records import (
    COUNTS,
    SLOT_S,
    PastIncident,
    RouteIdentity,
    SlotKey,
    SlotRow,
    Told,
    identity_of,
)
from probes.kit.clock import NS_PER_S
from probes.stats.digest import Digest
from probes.stats.tokens import seconds_per_token

KINDS: Final = (Hello, Tick, Gap, AttemptFinished, ProbeFinished, Diagnosis)
"""Events that it has a need of."""
_OPEN_SLOTS: Final = 2
"""Of a route and cohort; see rule 3."""
_COHORTS_OPEN: Final = 8
"""Of a route at once: shapes of a mix, and a knob that turns the answer cap."""
_INCIDENTS_OPEN: Final = 1_000
_GAPS_KEPT: Final = 32
"""Of a place: more than lie within the longest probe."""
_LONGEST_TEXT: Final = 300
_PLACE: Final = {name: at for at, name in enumerate(COUNTS)}
_PROBES, _OK, _CANCELLED = _PLACE["probes"], _PLACE["probes_ok"], _PLACE["probes_cancelled"]
_ATTEMPTS, _RETRIES = _PLACE["attempts"], _PLACE["retries"]
_INPUT, _INPUT_COUNTED = _PLACE["input_tokens"], _PLACE["input_counted"]
_OUTPUT, _OUTPUT_COUNTED = _PLACE["output_tokens"], _PLACE["output_counted"]
_CACHED: Final = _PLACE["cached_tokens"]
_MOST: Final = 2**40
"""Tokens of an answer that are believed: sums of them fit into 64 bits for ever."""


class _Slot:
    """What one slot has come to so far."""

    __slots__ = ("counts", "e2e", "is_new", "number", "per_token", "ttft", "usd")

    def __init__(self, number: int) -> None:
        self.number = number
        self.counts = [0] * len(COUNTS)
        self.usd = 0.0
        self.ttft, self.e2e, self.per_token = Digest(), Digest(), Digest()
        self.is_new = True
        """It holds what its row does not."""

    def row(self) -> SlotRow:
        digests = (self.ttft, self.e2e, self.per_token)
        packed = tuple(pack(digest.centroids()) for digest in digests)
        return SlotRow(tuple(self.counts), self.usd, packed)


class _Route:
    """One route as the last `hello` of its place announced it."""

    __slots__ = ("cohorts", "identity", "info", "last_s", "life")

    def __init__(self, info: RouteInfo, life: str) -> None:
        self.info = info
        self.identity = identity_of(info)
        self.life = life
        self.last_s = 0.0
        """Unix time of what was heard of it last."""
        self.cohorts: dict[str, list[_Slot]] = {}
        """Open slots of each, the newest last."""


class HistoryFold:
    """Takes events one by one; `told` gives what of it is to be written down."""

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}
        self._places: dict[str, tuple[int, bool]] = {}
        """By place, what makes Unix time of its stamps, in ns, and whether that is settled."""
        self._gaps: dict[str, deque[Gap]] = {}
        """By place, the newest times that its engine did not run."""
        self._clock = ("", "")
        self._closed: dict[SlotKey, SlotRow] = {}
        self._incidents: dict[str, PastIncident] = {}
        self._changed: dict[str, PastIncident] = {}
        self._last_s = 0.0

    @property
    def last_s(self) -> float:
        """Unix time of the newest event; 0 before the first."""
        return self._last_s

    @property
    def waiting(self) -> int:
        """How many closed slots wait to be asked for."""
        return len(self._closed)

    def fold(self, event: Event) -> None:
        """Take one event, in the order of the stream; those of other kinds are passed over."""
        if isinstance(event, AttemptFinished):
            self._attempt(event)
        elif isinstance(event, ProbeFinished):
            self._probe(event)
        elif isinstance(event, Tick):
            self._anchor(event)
        elif isinstance(event, Hello):
            self._greet(event)
        elif isinstance(event, Diagnosis):
            self._diagnosed(event)
        elif isinstance(event, Gap):
            self._gaps.setdefault(event.place, deque(maxlen=_GAPS_KEPT)).append(event)

    def told(self) -> Told:
        """Return all that has changed since it was asked last; open slots as they stand."""
        slots, self._closed = self._closed, {}
        for route in self._routes.values():
            for cohort, kept in route.cohorts.items():
                for slot in kept:
                    if slot.is_new:
                        slot.is_new = False
                        slots[self._key(route, cohort, slot)] = slot.row()
        self._see_what_goes_on()
        changed, self._changed = self._changed, {}
        return Told(slots, tuple(changed.values()))

    def _see_what_goes_on(self) -> None:
        """Note of incidents that are open that they still are: this run may be killed."""
        for name, one in self._incidents.items():
            if one.ended_s is None:
                hit = (self._routes.get(route) for route in one.routes)
                seen_s = max((route.last_s for route in hit if route is not None), default=0.0)
                if seen_s > one.seen_s:
                    open_one = msgspec.structs.replace(one, seen_s=seen_s)
                    self._incidents[name] = self._changed[name] = open_one

    def identities(
        self, references: Iterable[Reference]
    ) -> tuple[tuple[RouteIdentity, Reference], ...]:
        """Return references with whose they are, but those of routes that nobody announced."""
        found = ((self._routes.get(one.route), one) for one in references)
        return tuple((route.identity, one) for route, one in found if route is not None)

    # What happens.

    def _greet(self, hello: Hello) -> None:
        life = _life_of(hello)
        if any(route.life == life for route in self._routes.values()):
            return  # the head of the next part of a recording repeats it
        is_shared = hello.clock_name == SHARED_CLOCK
        # On a line of several places a stamp is Unix time already.
        self._places[hello.place] = (0 if is_shared else hello.wall_ns - hello.at_ns, is_shared)
        if self._clock != (clock := (hello.clock_name, hello.boot_id)):
            # Who judges begins anew, too, and counts incidents from one.
            self._clock = clock
            self._see_what_goes_on()
            self._incidents.clear()
            self._gaps.clear()
        announced = {info.name: info for info in hello.routes}
        if hello.place and not hello.life:
            # Who came in the middle does not know which life it hears, nor what was kept of it
            # before: counted under another it would be there twice.
            announced = {}
        for name, route in list(self._routes.items()):
            if route.info.place == hello.place or not hello.place:
                self._close(route, 0)
                del self._routes[name]
        for name, info in announced.items():
            self._routes[name] = _Route(info, life)

    def _anchor(self, tick: Tick) -> None:
        _, is_settled = self._places.get(tick.place, (0, False))
        if not is_settled:
            self._places[tick.place] = (tick.wall_ns - tick.at_ns, False)

    def _attempt(self, event: AttemptFinished) -> None:
        slot = self._slot(event.route, event.cohort, event.at_ns)
        if slot is None:
            return
        counts = slot.counts
        counts[_ATTEMPTS] += 1
        counts[_PLACE[event.outcome]] += 1
        # As the run's own report counts them: those that were made, not those that were planned.
        counts[_RETRIES] += event.attempt > 0
        if event.input_tokens is not None:
            counts[_INPUT] += _believed(event.input_tokens)
            counts[_INPUT_COUNTED] += 1
        if event.output_tokens is not None:
            counts[_OUTPUT] += _believed(event.output_tokens)
            counts[_OUTPUT_COUNTED] += 1
        if event.cached_tokens is not None:
            counts[_CACHED] += _believed(event.cached_tokens)
        if event.cost_usd is not None:
            slot.usd += event.cost_usd
        if not event.flagged:
            per_token_s = seconds_per_token(event)
            if per_token_s is not None:
                slot.per_token.add(per_token_s)

    def _probe(self, event: ProbeFinished) -> None:
        slot = self._slot(event.route, event.cohort, event.at_ns)
        if slot is None:
            return
        if event.outcome == "cancelled":
            slot.counts[_CANCELLED] += 1
            return
        slot.counts[_PROBES] += 1
        is_ok = event.outcome == "ok"
        slot.counts[_OK] += is_ok
        info = self._routes[event.route].info
        if event.flagged or not self._engine_ran(info.place, event):
            return
        if event.first_token_ns is not None and info.streamed:
            slot.ttft.add(max(0, event.first_token_ns - event.started_ns) / NS_PER_S)
        if is_ok and event.done_ns is not None:
            slot.e2e.add(max(0, event.done_ns - event.started_ns) / NS_PER_S)

    def _engine_ran(self, place: str, event: ProbeFinished) -> bool:
        """Whether it did all the time that a probe took, its waits between attempts included."""
        # What names no place is said of all of them.
        return not any(
            gap.started_ns < event.at_ns and event.started_ns < gap.at_ns
            for name in {place, ""}
            for gap in self._gaps.get(name, ())
        )

    def incident_of(self, event: Diagnosis) -> PastIncident:
        """Return what is wrong by now as it would be remembered, with all that it ever hit."""
        known = self._incidents.get(event.id)
        anchor_ns = self._anchor_of(event.routes)
        hit = [self._routes[name] for name in event.routes if name in self._routes]
        routes = {*event.routes, *(known.routes if known else ())}
        names = {route.identity.name for route in hit} or set(event.routes)
        return PastIncident(
            id=known.id if known else _incident_id(event, anchor_ns),
            cause=event.cause,
            names=tuple(sorted(names | set(known.names if known else ()))),
            scope=self._scope(routes),
            routes=tuple(sorted(routes)),
            since_s=(event.since_ns + anchor_ns) / NS_PER_S,
            seen_s=(event.at_ns + anchor_ns) / NS_PER_S,
            size=event.size,
            text=event.text[:_LONGEST_TEXT],
        )

    def _diagnosed(self, event: Diagnosis) -> None:
        known = self._incidents.get(event.id)
        if known is None and event.state != "named":
            return  # what was only perhaps so is nothing to remember
        if event.state in ("named", "perhaps"):
            same = known is not None and event.cause == known.cause
            if known is not None and same and set(event.routes) < set(known.routes):
                return  # routes recover one by one: what is left says less than what it was
            incident = self.incident_of(event)
        elif known is not None:
            ended_s = (event.at_ns + self._anchor_of(event.routes)) / NS_PER_S
            incident = msgspec.structs.replace(known, ended_s=ended_s)
        else:
            return
        self._incidents[event.id] = self._changed[event.id] = incident
        if len(self._incidents) > _INCIDENTS_OPEN:
            del self._incidents[next(iter(self._incidents))]

    def _scope(self, routes: Iterable[str]) -> str:
        """Return from where an incident was seen, of the places where its routes are probed: of all
        that it ever hit, for they recover one by one."""
        hit = [self._routes[name] for name in routes if name in self._routes]
        names = {route.identity.name for route in hit}
        probed = {
            route.info.place for route in self._routes.values() if route.identity.name in names
        }
        if len(probed) < 2:
            return ""
        seen = {route.info.place for route in hit}
        return "from everywhere" if seen == probed else f"from {' '.join(sorted(seen))}"

    def _anchor_of(self, routes: Iterable[str]) -> int:
        places = [self._routes[name].info.place for name in routes if name in self._routes]
        return self._anchor_at(places[0] if places else "")

    def _anchor_at(self, place: str) -> int:
        known = self._places.get(place) or self._places.get("")
        return known[0] if known else next((ns for ns, _ in self._places.values()), 0)

    # Slots.

    def _slot(self, name: str, cohort: str, at_ns: int) -> _Slot | None:
        """Return the slot of a route in which something ended; None where nobody announced it, or
        its slot was given for good."""
        route = self._routes.get(name)
        if route is None:
            return None
        wall_ns = at_ns + self._anchor_at(route.info.place)
        self._last_s = route.last_s = wall_ns / NS_PER_S
        number = wall_ns // (SLOT_S * NS_PER_S)
        kept = route.cohorts.get(cohort)
        if kept is not None and kept[-1].number == number:  # nearly always
            kept[-1].is_new = True
            return kept[-1]
        if kept is None:
            if len(route.cohorts) >= _COHORTS_OPEN:
                self._close_cohort(route, next(iter(route.cohorts)), 0)
            kept = route.cohorts[cohort] = []
        for slot in kept:
            if slot.number == number:
                slot.is_new = True
                return slot
        if kept and number < kept[0].number:
            # A clock that was put back: what was given for good stays, and this begins anew. Of the
            # two the one that heard more is kept.
            self._close_cohort(route, cohort, 0)
            kept = route.cohorts[cohort] = []
        slot = _Slot(number)
        kept.append(slot)
        kept.sort(key=_number)
        self._close_cohort(route, cohort, _OPEN_SLOTS)
        return slot

    def _close(self, route: _Route, keep: int) -> None:
        for cohort in list(route.cohorts):
            self._close_cohort(route, cohort, keep)

    def _close_cohort(self, route: _Route, cohort: str, keep: int) -> None:
        """Give all but the newest `keep` slots for good."""
        kept = route.cohorts[cohort]
        while len(kept) > keep:
            slot = kept.pop(0)
            if slot.is_new:
                self._closed[self._key(route, cohort, slot)] = slot.row()
        if not kept:
            del route.cohorts[cohort]

    @staticmethod
    def _key(route: _Route, cohort: str, slot: _Slot) -> SlotKey:
        return SlotKey(route.life, route.identity, cohort[:64], slot.number)


def _believed(tokens: int) -> int:
    return min(max(0, tokens), _MOST)


def _number(slot: _Slot) -> int:
    return slot.number


def _incident_id(named: Diagnosis, anchor_ns: int) -> str:
    minute = (named.at_ns + anchor_ns) // (60 * NS_PER_S)
    return hashlib.sha256(repr((named.cause, named.routes, minute)).encode()).hexdigest()[:16]


def _life_of(hello: Hello) -> str:
    """Return what tells this life of an engine from all others."""
    if hello.life:
        return hello.life[:32]
    # Written by a version that did not say: the same file says the same each time.
    told = (hello.engine, hello.at_ns, hello.wall_ns, hello.pid, hello.boot_id, hello.place)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
