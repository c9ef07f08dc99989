"""Incidents: one for each fault, whichever routes it hits, from its first doubt to its end.

Rule 1. One fault has one id. An alarm belongs to an open incident of the same cause whose onset is
        near and which its route shares a host with; or a provider, a tag or everything, as long as
        no route that shares it is well.
Rule 2. Two faults have two ids: an alarm that nothing explains and that joins nothing begins one.
Rule 3. An event is told when the cause, the routes or the state of an incident change, never each
        second. It has the stamp of the event that decided.
Rule 4. An alarm that an earlier one explains brings its incident along: what was told of it goes on
        under the same id.
Rule 5. Routes of one place share a host, a provider, a tag or everything at that place. A fault is
        seen from several places where it hits the same route there, or routes of one host of which
        neither is well at the other's place; but not where all that one of these places sees is
        ill, whoever provides it, and the same is well from elsewhere: that is the place's own.
Rule 6. What is of a place is looked at by the time of that place, when its second is over.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from probes.diagnosis.causes import Alarm, RouteCauses
from probes.diagnosis.evidence import advice_for, evidence_of, size_of
from probes.diagnosis.hosts import provider_of
from probes.diagnosis.route_watch import RouteWatch
from probes.diagnosis.seen_from import (
    OWN,
    Counterparts,
    PastFault,
    SeenFrom,
    Sightings,
    figures_elsewhere,
)
from probes.diagnosis.series import OF_A_SHAPE
from probes.events import NEW_LEVELS, Cause, Diagnosis, DiagnosisState, Evidence, Scope
from probes.events.diagnosis_words import diagnosis_text, server_words
from probes.kit.clock import NS_PER_S

_SAME_ONSET_NS: Final = 20 * NS_PER_S
_OF_ONE_HOST_NS: Final = 40 * NS_PER_S
"""Of routes of one host the onsets may lie further apart: each is known from its own samples."""
_PAST_KEPT: Final = 100
"""More than happens while a place is away and what it kept is still of interest."""
SETTLES_NS: Final = 3600 * NS_PER_S
"""What has stood for so long within the goals is the usual from then on."""


@dataclass(slots=True)
class Incident:
    """One fault."""

    id: str
    cause: Cause
    since_ns: int
    members: list[tuple[RouteCauses, Alarm]] = field(default_factory=list)
    told: "_Told | None" = None
    named_ns: int | None = None
    cause_ns: int = 0
    """When it took its cause."""
    last: Diagnosis | None = None
    """What was told of it last."""
    sightings: Sightings = field(default_factory=Sightings)
    """From which places it is seen."""
    named_routes: set[str] = field(default_factory=set)
    """Of several places, all that it was ever named of."""

    def takes_cause(self, standing: Sequence[tuple[RouteCauses, Alarm]], now_ns: int) -> None:
        """Take the cause that most of what stands has, of what is named where something is."""
        causes = [alarm.cause for _, alarm in standing if alarm.is_named]
        causes = causes or [alarm.cause for _, alarm in standing]
        most = max(causes, key=lambda cause: (causes.count(cause), cause == self.cause))
        if most != self.cause:
            self.cause, self.cause_ns = most, now_ns

    def hit(self) -> list[tuple[RouteCauses, Alarm]]:
        """Return the alarms that are told of: those of its cause, and of an incident that is named
        those that are named. What has another cause by now is no part of what is said."""
        of_it = [one for one in self.members if one[1].cause == self.cause]
        return [one for one in of_it if one[1].is_named] or of_it

    def is_at(self, here: Collection[str], routes: Collection[str]) -> bool:
        """Return whether it hits any of the routes `here`; what hits none that there is (`routes`)
        is everywhere, to be ended."""
        return not self.members or any(
            route.watch.name in here or route.watch.name not in routes for route, _ in self.members
        )

    def routes(self) -> tuple[str, ...]:
        """Return the routes that are hit, sorted."""
        return tuple(sorted({route.watch.name for route, _ in self.hit()}))


class _Told(NamedTuple):
    state: DiagnosisState
    cause: Cause
    routes: tuple[str, ...]
    scope: Scope = ""
    unheard: tuple[str, ...] = ()


class Incidents:
    """All open incidents of a run."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._count = 0
        self.open: list[Incident] = []
        """In the order in which they began."""
        self._placed: set[int] = set()
        """Identities of the alarms that are of an open incident, while these are brought in
        line."""
        self._among = Counterparts()
        self._past: deque[PastFault] = deque(maxlen=_PAST_KEPT)
        """What is over, for a place that tells late that it saw the same."""

    def probe(self, routes: Iterable[RouteCauses]) -> None:
        """Know which routes there are, at which places."""
        self._among = Counterparts(routes)

    def look_again(
        self, at_ns: int, here: Mapping[str, RouteCauses], routes: Mapping[str, RouteCauses]
    ) -> list[Diagnosis]:
        """Return what is to be told of the incidents of a place that is not heard any more, or
        again: its own seconds do not come, and nothing of them begins or ends."""
        told: list[Diagnosis] = []
        for incident in self.open:
            now = incident.told
            if now is not None and incident.members and incident.is_at(here, routes):
                seen = self._seen(incident, at_ns, incident.last)
                if seen.unheard != now.unheard:
                    told.append(self._event(incident, now.state, at_ns, tuple(routes.values())))
        return told

    def update(
        self,
        now_ns: int,
        here: Mapping[str, RouteCauses],
        routes: Mapping[str, RouteCauses],
    ) -> list[Diagnosis]:
        """Bring the incidents of a place in line with its alarms; return what is to be told.

        Args:
            now_ns: the time of the place.
            here: the routes of the place, by name.
            routes: those of all places.
        """
        if not self.open and not any(route.alarms for route in here.values()):
            return []
        told: list[Diagnosis] = []
        every = tuple(routes.values())
        self._placed = {id(alarm) for incident in self.open for _, alarm in incident.members}
        for incident in self.open:
            if incident.is_at(here, routes):
                self._hand_over(incident, every)
                self._part(incident, now_ns)
        for route in here.values():
            for alarm in route.alarms.values():
                if alarm.explained_by is None and not self._has(alarm):
                    self._place(route, alarm, every)
        self._merge(here, routes)
        for incident in tuple(self.open):
            if incident.is_at(here, routes):
                told += self._tell(incident, now_ns, every)
        return told

    def _has(self, alarm: Alarm) -> bool:
        return id(alarm) in self._placed

    def _hand_over(self, incident: Incident, routes: Sequence[RouteCauses]) -> None:
        """Give the place of an alarm that was explained since to the one that explains it: in the
        incident that this one is of already, else in the same."""
        members: list[tuple[RouteCauses, Alarm]] = []
        for route, alarm in incident.members:
            by = alarm.explained_by
            if by is None or alarm.is_over:
                members.append((route, alarm))
            elif not by.is_over and not self._has(by):
                home = next(
                    (
                        other
                        for other in self.open
                        if other is not incident
                        and incident.named_ns is None
                        and self._is_of(other, route, by, routes)
                    ),
                    None,
                )
                (members if home is None else home.members).append((route, by))
                self._placed.add(id(by))
        incident.members = members

    def _part(self, incident: Incident, now_ns: int) -> None:
        """Tell the cause of an incident, and let go what has had another one for long: routes that
        fell ill together may have two faults. Not at once, for one fault may change its cause on
        one route after the other."""
        standing = [one for one in incident.members if not one[1].is_over]
        if not standing:
            return
        named = [one for one in standing if one[1].is_named]
        incident.takes_cause(standing, now_ns)
        parted = [
            (route, alarm)
            for route, alarm in named
            if alarm.cause != incident.cause
            and now_ns - max(alarm.cause_ns, incident.cause_ns) > _SAME_ONSET_NS
        ]
        if parted:
            incident.members = [one for one in incident.members if one not in parted]
            self._placed -= {id(alarm) for _, alarm in parted}

    def _merge(self, here: Collection[str], routes: Mapping[str, RouteCauses]) -> None:
        """Make one of incidents that turn out to be: the first keeps its id, the other ends."""
        every = tuple(routes.values())
        is_here = {id(one): one.is_at(here, routes) for one in self.open}
        for place, later in reversed(tuple(enumerate(self.open))):
            for earlier in self.open[:place]:
                if not later.members or earlier.cause != later.cause:
                    continue
                if not (is_here[id(later)] or is_here[id(earlier)]):
                    continue  # nothing is new of either
                joins = [
                    (route, alarm)
                    for route, alarm in later.members
                    if not alarm.is_over and self._is_of(earlier, route, alarm, every)
                ]
                if len(joins) < len(later.members):
                    # Two faults, then; but of one route the same is never said twice.
                    hit = [route for route, _ in earlier.hit()]
                    joins = [one for one in joins if one[0] in hit]
                earlier.members += joins
                later.members = [one for one in later.members if one not in joins]

    def _place(self, route: RouteCauses, alarm: Alarm, routes: Sequence[RouteCauses]) -> None:
        for incident in self.open:
            if self._is_of(incident, route, alarm, routes):
                incident.members.append((route, alarm))
                return
        self._count += 1
        self.open.append(
            Incident(f"{self._engine}-{self._count}", alarm.cause, alarm.since_ns, [(route, alarm)])
        )

    def _is_of(
        self,
        incident: Incident,
        route: RouteCauses,
        alarm: Alarm,
        routes: Sequence[RouteCauses],
    ) -> bool:
        """Return whether an alarm belongs to an incident."""
        if not incident.members or alarm.cause != incident.cause:
            return False
        place = route.watch.place
        if alarm.cause == "local_observer":
            # One machine of ours at each place.
            return any(member.watch.place == place for member, _ in incident.members)
        seen = incident.sightings.now
        if seen.scope in OWN and place not in seen.places:
            return False
        apart_ns = abs(alarm.since_ns - incident.since_ns)
        hit = [member.watch for member, _ in incident.hit()]
        if route.watch in hit:
            return True  # whichever of its symptoms shows it
        if any(watch.host == route.watch.host for watch in hit if watch.place == place):
            return apart_ns <= _OF_ONE_HOST_NS
        if any(_are_one(watch, route.watch, routes) for watch in hit if watch.place != place):
            return apart_ns <= _OF_ONE_HOST_NS
        if apart_ns > _SAME_ONSET_NS:
            return False
        together = [*hit, route.watch]
        since_ns = min(alarm.since_ns, incident.since_ns)
        return any(
            all(
                _is_ill(one) or not _is_well_since(one.watch, since_ns)
                for one in routes
                if shares(one.watch)
            )
            for shares in _scopes(together)
        )

    def _tell(
        self, incident: Incident, now_ns: int, routes: Sequence[RouteCauses]
    ) -> list[Diagnosis]:
        """Say what has changed of an incident; end it where all of it is over."""
        standing = [one for one in incident.members if not one[1].is_over]
        named = [one for one in standing if one[1].is_named]
        over = [alarm for _, alarm in incident.members if alarm.is_over]
        if not standing or (not named and any(alarm.is_named for alarm in over)):
            # What is left and was never named is an incident of its own, if it is one.
            self.open.remove(incident)
            if incident.told is None:
                return []
            is_accepted = incident.told.state == "named" and any(one.is_accepted for one in over)
            return [self._event(incident, "settled" if is_accepted else "cleared", now_ns, routes)]
        incident.members = standing
        incident.takes_cause(standing, now_ns)
        incident.since_ns = min(alarm.since_ns for _, alarm in incident.hit())
        if named and incident.named_ns is None:
            incident.named_ns = now_ns
        state: DiagnosisState = "named" if incident.named_ns is not None else "perhaps"
        if self._has_settled(incident, now_ns):
            for route, _ in standing:
                route.watch.settle()
            self.open.remove(incident)
            return [self._event(incident, "settled", now_ns, routes)]
        seen = self._seen(incident, now_ns, incident.last)
        now = _Told(state, incident.cause, incident.routes(), seen.scope, seen.unheard)
        if seen.places and state == "named":
            incident.named_routes |= set(now.routes)
        if now == incident.told:
            return []
        return [self._event(incident, state, now_ns, routes)]

    def _seen(
        self,
        incident: Incident,
        now_ns: int,
        by: Diagnosis | None,
        evidence: Evidence | None = None,
    ) -> SeenFrom:
        """Return from where an incident is seen, by the figure that speaks for it first."""
        figure = by.evidence[0] if evidence is None and by is not None and by.evidence else evidence
        named_ns = incident.named_ns
        return incident.sightings.look(
            now_ns,
            incident.cause,
            incident.since_ns,
            named_ns,
            incident.hit(),
            figure,
            self._among,
            self._past,
        )

    def _has_settled(self, incident: Incident, now_ns: int) -> bool:
        return (
            incident.named_ns is not None
            and now_ns - incident.named_ns >= SETTLES_NS
            and incident.cause in NEW_LEVELS
            and all(_is_within_goals(route.watch) for route, _ in incident.members)
        )

    def _event(
        self, incident: Incident, state: DiagnosisState, now_ns: int, routes: Sequence[RouteCauses]
    ) -> Diagnosis:
        names = incident.routes() or (() if incident.told is None else incident.told.routes)
        if incident.last is not None and state in ("cleared", "settled"):
            if incident.named_ns is not None and incident.sightings.now.places:
                routes_hit = frozenset(incident.named_routes)
                self._past.append(PastFault(incident.cause, incident.since_ns, routes_hit))
            # What it was, not what is left of it.
            incident.last = msgspec.structs.replace(
                incident.last, at_ns=now_ns, state=state, since_ns=incident.since_ns, advice=None
            )
            return incident.last
        ill = [(route.watch, alarm) for route, alarm in incident.hit()]
        evidence, against = evidence_of(incident.cause, ill)
        figure = evidence[0] if evidence else None
        seen = self._seen(incident, now_ns, incident.last, figure)
        incident.told = _Told(state, incident.cause, names, seen.scope, seen.unheard)
        words = next(
            (alarm for _, alarm in ill if alarm.detail and alarm.slot in ("fails", "answers")), None
        )
        event = Diagnosis(
            at_ns=now_ns,
            id=incident.id,
            state=state,
            cause=incident.cause,
            routes=names,
            since_ns=incident.since_ns,
            size=size_of(evidence),
            evidence=evidence,
            against=(*against, *figures_elsewhere(incident.sightings.elsewhere)),
            advice=advice_for(incident.cause, [watch for watch, _ in ill], routes, seen),
            scope=seen.scope,
            places=seen.places,
            of_places=seen.of_places,
            unheard=seen.unheard,
            shape=_shape_of(evidence, [watch for watch, _ in ill]),
        )
        said = ""
        if words is not None:
            is_said = words.slot == "fails"
            said = server_words(words.status, words.detail) if is_said else words.detail
        told = diagnosis_text(event, said)
        incident.last = msgspec.structs.replace(event, text=told)
        return incident.last


def _shape_of(evidence: Sequence[Evidence], watches: Sequence[RouteWatch]) -> str:
    """Return the shape that an incident is about: that of the only route, of whose own series the
    first figure is; empty for all."""
    if len(watches) != 1 or not evidence or evidence[0].figure not in OF_A_SHAPE:
        return ""
    return watches[0].shape


def _are_one(one: RouteWatch, other: RouteWatch, routes: Sequence[RouteCauses]) -> bool:
    """Return whether the same symptom of two routes at different places is one fault, as far as
    the rest of what both places see tells."""
    name, other_name = one.info.shared_name, other.info.shared_name
    if name != other_name:
        if one.host != other.host:
            return False
        # One host, and neither of the two is well where the other is ill.
        crossed = {(name, other.place), (other_name, one.place)}
        known = (
            route
            for route in routes
            if (route.watch.info.shared_name, route.watch.place) in crossed
        )
        if not all(map(_is_ill, known)):
            return False
    if not (_is_all_ill(one.place, routes) or _is_all_ill(other.place, routes)):
        return True
    return all(
        _is_ill(route) for route in routes if route.watch.info.shared_name in (name, other_name)
    )


def _is_all_ill(place: str, routes: Sequence[RouteCauses]) -> bool:
    """Return whether all that a place sees is ill, whoever provides it."""
    seen = [route for route in routes if route.watch.place == place and route.watch.is_probed]
    providers = {provider_of(route.watch.host) for route in seen}
    return len(providers) > 1 and all(map(_is_ill, seen))


def _scopes(watches: Sequence[RouteWatch]) -> Iterable[Callable[[RouteWatch], bool]]:
    """Give what these routes have in common, as tests of whether another route has it too: at their
    place, where it is one."""
    places = {watch.place for watch in watches}
    providers = {provider_of(watch.host) for watch in watches}

    def is_there(watch: RouteWatch) -> bool:
        return len(places) > 1 or watch.place in places

    if len(providers) == 1:
        provider = providers.pop()
        yield lambda watch: is_there(watch) and provider_of(watch.host) == provider
    for tag in sorted(set.intersection(*(set(watch.info.tags) for watch in watches))):
        yield lambda watch, tag=tag: is_there(watch) and tag in watch.info.tags  # type: ignore[misc]
    yield is_there


def _is_ill(route: RouteCauses) -> bool:
    """Return whether a route may be hit by a shared cause: anything but known to be well."""
    watch = route.watch
    if not watch.is_probed or not watch.is_heard:
        return True
    return bool(route.alarms) or any(
        test.rank for test in (watch.wait_series, watch.band.per_token, watch.rtt, watch.failed)
    )


def _is_well_since(watch: RouteWatch, since_ns: int) -> bool:
    """Return whether something has succeeded since an onset. Asked of several places alone, where a
    place's own network is told from hosts: its routes fail within seconds of each other."""
    if not watch.place:
        return True
    return watch.last_ok_began_ns is not None and watch.last_ok_began_ns >= since_ns


def _is_within_goals(watch: RouteWatch) -> bool:
    info = watch.info
    wait, per_token = watch.wait_series.shift(), watch.band.per_token.shift()
    goal_s = info.goal_ttft_s if info.streamed else info.goal_e2e_s
    if wait is not None and goal_s and wait.now > goal_s:
        return False
    goal = info.goal_tokens_per_s
    return per_token is None or not goal or per_token.now * goal <= 1.0
