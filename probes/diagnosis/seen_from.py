"""From which places a fault is seen, and what that says of where it lies.

Rule 1. A place that does not see it must show that: by as many answers since the onset, by its own
        stamps, as tell its figure from the one where it is seen. While one place is in doubt
        nothing is said of any, for a minute; then what is known has to do.
        A place of which the rest may be ill, too, is in doubt itself.
Rule 2. Seen from everywhere it lies where all of them meet: at the provider. Seen from some and not
        from others it lies on the way of those, where its symptom is one of the way, or at one
        place's own, where all is ill that this one sees, whoever provides it.
Rule 3. A place that is not heard, is not probing, or does not know what is usual there, is counted
        nowhere. That one is not heard is said.
Rule 4. What is said stays while the places that see it merely become fewer: they recover one by
        one. Other words are believed when they have held for some seconds.
Rule 5. What is told of a backlog is compared with what others saw then, not with how they are by
        now: who saw the same then is counted, however long it is over there; who had nothing near
        the onset, and is a minute past it, was well.
Rule 6. A machine of ours that is late is that of its place, and needs no comparison.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, Literal, NamedTuple, TypeAlias

from probes.diagnosis.causes import Alarm, RouteCauses
from probes.diagnosis.hosts import provider_of
from probes.diagnosis.route_watch import End, RouteWatch
from probes.diagnosis.series import JudgedSeries, Shares, short
from probes.events import Cause, Evidence, FigureName, Scope
from probes.kit.clock import NS_PER_S

OF_THE_WAY: Final[frozenset[Cause]] = frozenset(
    ("network_path", "dns", "tls", "connection_churn", "no_answer")
)
"""Symptoms that the way there has, silence among them."""
_OF_NOBODYS_WAY: Final[frozenset[Cause]] = frozenset(
    (
        *("rate_limited_requests", "rate_limited_tokens", "rate_limited_concurrency"),
        *("auth_failure", "quota_exhausted", "bad_request", "model_missing", "own_load"),
    )
)
"""What a server says in so many words, or what we do ourselves: no network does that, however many
providers it is of."""
_SURE: Final = 4.6
"""Log-likelihood ratio of a hundred to one; it takes five values that speak clearly."""
_SIDES: Final = math.log(3.0)
"""What one value weighs that lies on the one or the other side of the middle between usual and ill:
three of four do, where answers scatter so much that they are hard to tell apart."""
_LEAST: Final = 3
"""Attempts below which nothing is told from them, however clear each is."""
_ARRIVES_NS: Final = 2 * NS_PER_S
"""What a place says may come so much later than what another says of the same moment."""
_NEAR_NS: Final = 40 * NS_PER_S
"""Onsets so near to one another may be of one fault."""
_DOUBTS_NS: Final = 60 * NS_PER_S
"""After so long a place in doubt is left aside."""
_HOLDS_NS: Final = 5 * NS_PER_S
_ASKED: Final = 4
"""Routes of one place that are asked how they are: they are well or ill together."""
_TOLD: Final = 3
"""Places whose figures are told: the rest are counted."""
_WORST_SHARE: Final = 0.9
"""An outage, too, lets one through now and then."""

OWN: Final[frozenset[Scope]] = frozenset(("network", "machine"))
"""What is of one place and of no route: nothing at another place is of it."""

_Word: TypeAlias = Literal["well", "saw", "doubt", "mute"]
"""It sees nothing of it; it saw it, and that is over there; it may see it; it tells nothing."""


class SeenFrom(NamedTuple):
    """From where a fault is seen."""

    scope: Scope = ""
    places: tuple[str, ...] = ()
    of_places: int = 0
    unheard: tuple[str, ...] = ()


class PastFault(NamedTuple):
    """What is over of what was named."""

    cause: Cause
    since_ns: int
    routes: frozenset[str]


class _Moment(NamedTuple):
    """What is looked at, and when."""

    cause: Cause
    since_ns: int
    """Its onset."""
    now_ns: int
    """The time of the place that is looked at."""
    figure: Evidence
    past: Sequence[PastFault]


class Elsewhere(NamedTuple):
    """How the same is at a place that is not hit."""

    place: str
    word: _Word
    figure: Evidence | None = None


class Counterparts:
    """Which routes are the same, seen from another place."""

    def __init__(self, routes: Iterable[RouteCauses] = ()) -> None:
        self._routes = tuple(routes)
        self.places = tuple(sorted({route.watch.place for route in self._routes} - {""}))
        self._by_name: dict[tuple[str, str], RouteCauses] = {}
        self._by_host: dict[tuple[str, str], list[RouteCauses]] = {}
        for route in self._routes:
            watch = route.watch
            self._by_name[watch.info.shared_name, watch.place] = route
            self._by_host.setdefault((watch.host, watch.place), []).append(route)

    def at(self, place: str, hit: Sequence[RouteWatch]) -> list[RouteCauses]:
        """Return some of the routes at a place that are the same as those that are hit, else those
        of the same hosts."""
        names = dict.fromkeys(watch.info.shared_name for watch in hit)
        same = [self._by_name[name, place] for name in names if (name, place) in self._by_name]
        if not same:
            hosts = dict.fromkeys(watch.host for watch in hit)
            same = [route for host in hosts for route in self._by_host.get((host, place), ())]
        return same[:_ASKED]

    def is_all(self, place: str, hit: Sequence[RouteWatch]) -> bool:
        """Return whether these routes are all that a place sees, and of several providers."""
        names = {watch.name for watch in hit}
        seen = [
            route for route in self._routes if route.watch.place == place and route.watch.is_probed
        ]
        providers = {provider_of(watch.host) for watch in hit if watch.place == place}
        return len(providers) > 1 and all(
            route.watch.name in names or bool(route.alarms) for route in seen
        )

    def is_spreading(self, place: str, hit: Sequence[RouteWatch], since_ns: int) -> bool:
        """Return whether another route of a place may be ill since an onset, of another provider:
        then it may be the place's own network."""
        names = {watch.name for watch in hit}
        providers = {provider_of(watch.host) for watch in hit}
        for route in self._routes:
            watch = route.watch
            if watch.place != place or watch.name in names or not watch.is_probed:
                continue
            if provider_of(watch.host) in providers:
                continue
            onsets = [alarm.since_ns for alarm in route.alarms.values()]
            onsets += [test.since_ns or 0 for test in watch.tests if test.rank]
            if any(abs(onset_ns - since_ns) <= _NEAR_NS for onset_ns in onsets):
                return True
        return False


class Sightings:
    """What was said of one fault so far, and what may be said instead."""

    def __init__(self) -> None:
        self.now = SeenFrom()
        self.elsewhere: tuple[Elsewhere, ...] = ()
        self._cause: Cause | None = None
        self._other: SeenFrom | None = None
        self._other_ns = 0

    def look(
        self,
        now_ns: int,
        cause: Cause,
        since_ns: int,
        named_ns: int | None,
        hit: Sequence[tuple[RouteCauses, Alarm]],
        figure: Evidence | None,
        among: Counterparts,
        past: Sequence[PastFault] = (),
    ) -> SeenFrom:
        """Return from where a fault is seen now.

        Args:
            now_ns: the time of the place that is looked at.
            cause: of the fault.
            since_ns: its onset.
            named_ns: when it was named; None where it is not sure: then nothing is said.
            hit: the routes that it hits.
            figure: the one that speaks for it first, as it was told last.
            among: all routes of the stream.
            past: what is over.
        """
        if len(among.places) < 2:
            return self.now
        if cause != self._cause:
            # What was said was said of another symptom.
            self._cause, self.now, self._other = cause, SeenFrom(), None
        watches = [route.watch for route, _ in hit]
        places = tuple(sorted({watch.place for watch in watches}))
        away = {watch.place for watch in watches if not watch.is_heard}
        if cause == "local_observer":
            self.now = SeenFrom("machine", places, 0, tuple(sorted(away)))
            return self.now
        self.elsewhere = ()
        others = [place for place in among.places if place not in places]
        same = {place: among.at(place, watches) for place in others}
        away |= {place for place, routes in same.items() if routes and not routes[0].watch.is_heard}
        found = SeenFrom("", places, 0, tuple(sorted(away)))
        if named_ns is not None and figure is not None:
            moment = _Moment(cause, since_ns, now_ns, figure, past)
            self.elsewhere = tuple(
                _word_of(place, routes, moment)
                for place, routes in same.items()
                if routes and place not in away
            )
            is_old = now_ns - named_ns > _DOUBTS_NS
            if is_old or not self._is_spreading(cause, places, watches, since_ns, among):
                found = _conclude(found, self.elsewhere, cause, watches, among, is_old=is_old)
        self.now = self._believed(found, now_ns)
        return self.now

    @staticmethod
    def _is_spreading(
        cause: Cause,
        places: Sequence[str],
        hit: Sequence[RouteWatch],
        since_ns: int,
        among: Counterparts,
    ) -> bool:
        may_be_its_own = cause not in _OF_NOBODYS_WAY and len(places) == 1
        return may_be_its_own and among.is_spreading(places[0], hit, since_ns)

    def _believed(self, found: SeenFrom, now_ns: int) -> SeenFrom:
        before = self.now
        if found.scope == before.scope or not before.scope:
            self._other = None
            return found
        if set(found.places) < set(before.places) or (
            not found.scope and found.places == before.places
        ):
            self._other = None
            return before._replace(unheard=found.unheard)
        if self._other is None or self._other.scope != found.scope:
            self._other, self._other_ns = found, now_ns
        if found.places == before.places and now_ns - self._other_ns < _HOLDS_NS:
            return before._replace(unheard=found.unheard)
        self._other = None
        return found


def figures_elsewhere(elsewhere: Iterable[Elsewhere]) -> tuple[Evidence, ...]:
    """Return the figures of places that see nothing of it."""
    told = [one.figure for one in elsewhere if one.word == "well" and one.figure is not None]
    return tuple(told[:_TOLD])


def _conclude(
    found: SeenFrom,
    elsewhere: Sequence[Elsewhere],
    cause: Cause,
    hit: Sequence[RouteWatch],
    among: Counterparts,
    *,
    is_old: bool,
) -> SeenFrom:
    saw = [one.place for one in elsewhere if one.word == "saw"]
    found = found._replace(places=tuple(sorted({*found.places, *saw})))
    words = [one.word for one in elsewhere if one.word in ("well", "doubt")]
    well, unsure = words.count("well"), words.count("doubt")
    if (unsure and not is_old) or (not well and (len(found.places) < 2 or unsure)):
        return found
    found = found._replace(of_places=len(found.places) + len(words))
    if not well:
        return found._replace(scope="everywhere")
    may_be_its_own = cause not in _OF_NOBODYS_WAY and len(found.places) == 1
    if may_be_its_own and among.is_all(found.places[0], hit):
        return found._replace(scope="network")
    return found._replace(scope="way" if cause in OF_THE_WAY else "only")


def _word_of(place: str, routes: Sequence[RouteCauses], moment: _Moment) -> Elsewhere:
    """Return how routes at a place that is not hit are: in doubt as soon as one of them is."""
    words = [_word(route, moment) for route in routes]
    for first in ("doubt", "saw", "well"):
        for word, told in words:
            if word == first:
                return Elsewhere(place, word, told)
    return Elsewhere(place, "mute")


def _word(route: RouteCauses, moment: _Moment) -> tuple[_Word, Evidence | None]:
    watch, since_ns = route.watch, moment.since_ns
    if not watch.is_probed or not watch.is_heard:
        return "mute", None
    if any(
        one.cause == moment.cause
        and watch.name in one.routes
        and abs(one.since_ns - since_ns) <= _NEAR_NS
        for one in moment.past
    ):
        return "saw", None
    alarms = [alarm for alarm in route.alarms.values() if alarm.explained_by is None]
    same = next((alarm for alarm in alarms if alarm.cause == moment.cause), None)
    if same is not None:
        # By then it is of an incident: of another one, which says nothing of this.
        is_placed = watch.now_ns - same.begun_ns > _ARRIVES_NS
        return "mute" if is_placed else "doubt", None
    if any(abs(alarm.since_ns - since_ns) <= _NEAR_NS for alarm in alarms):
        return "doubt", None  # it has something at the same time
    if watch.now_ns < since_ns + _ARRIVES_NS:
        return "doubt", None
    if watch.now_ns - max(moment.now_ns, since_ns) > _DOUBTS_NS:
        return "well", None  # what it was then was judged then
    weighed = _weigh(watch, moment)
    if weighed is None:
        return "mute", None
    ratio, told = weighed
    if ratio >= _SURE and told.n_now >= _LEAST:
        return "well", told
    return "doubt", told


def _weigh(watch: RouteWatch, moment: _Moment) -> tuple[float, Evidence] | None:
    """Return how much likelier what a route did since an onset is for one that is well than for one
    that is hit, as the logarithm of the ratio, with its figure; None where that cannot be told."""
    figure, since_ns = moment.figure, moment.since_ns
    until_ns = moment.now_ns + _ARRIVES_NS
    test = _tests(watch).get(figure.figure)
    if isinstance(test, JudgedSeries):
        usual = test.usual(0.5)
        if usual is None or not figure.usual:
            return None
        floor, values = test.kind.floor, test.between(since_ns, until_ns)
        grown = math.sqrt(max(1.0, (figure.now + floor) / (figure.usual + floor)))
        # As many times as much, or as much more: what is added at the far end is a smaller part of
        # a longer way.
        middle = min(
            (usual + floor) * grown - floor, usual + max(0.0, figure.now - figure.usual) / 2
        )
        above = sum(value > middle for value in values)
        told = Evidence(
            figure=figure.figure,
            now=short(median(values)) if values else 0.0,
            usual=short(usual),
            n_now=len(values),
            n_usual=test.level.n_usual,
            unit=test.kind.unit,
            place=watch.place,
        )
        return (len(values) - 2 * above) * _SIDES, told
    ends = [end for end in watch.ends if since_ns <= end.began_ns <= until_ns]
    share = 1.0 - figure.now if figure.figure == "cached_share" else figure.now
    name: FigureName = figure.figure
    if isinstance(test, Shares):
        usual_share = test.test.usual_share
        n, hit = len(ends), _hit_in(test, since_ns)
    elif name == "throttled_share":
        usual_share = watch.throttled.test.usual_share
        n, hit = len(ends), sum(end.rate is not None for end in ends)
    else:
        if name == "open_age":
            share = _WORST_SHARE
        name, usual_share = "failed_share", watch.failed.test.usual_share
        counted: list[End] = [end for end in ends if end.rate is None]
        n, hit = len(counted), sum(end.failure is not None for end in counted)
    well = max(0.01, usual_share)
    ill = min(max(share, 3 * well), _WORST_SHARE)
    if ill <= well:
        return None
    hit = min(hit, n)
    ratio = (n - hit) * math.log((1 - well) / (1 - ill)) + hit * math.log(well / ill)
    now = hit / n if n else 0.0
    is_inverse = name == "cached_share"
    told = Evidence(
        figure=name,
        now=short(1.0 - now if is_inverse else now),
        usual=short(1.0 - usual_share if is_inverse else usual_share),
        n_now=n,
        unit="share",
        place=watch.place,
    )
    return ratio, told


def _hit_in(shares: Shares, since_ns: int) -> int:
    """Return how many attempts since an onset were of those that a share counts, as far as its test
    remembers."""
    test = shares.test
    if test.since_ns is None or test.since_ns < since_ns - _NEAR_NS:
        return 0
    return test.n_failed


def _tests(watch: RouteWatch) -> dict[FigureName, JudgedSeries | Shares]:
    """Return what a figure is judged by; what fails and what is refused is told from the ends."""
    tests: dict[FigureName, JudgedSeries | Shares] = {}
    for test in watch.tests:
        if isinstance(test, JudgedSeries):
            tests[test.kind.figure] = test
        elif test.figure not in ("failed_share", "throttled_share"):
            tests[test.figure] = test
    return tests
