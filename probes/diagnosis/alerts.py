"""Who must know is told once: alerts of incidents and of missed goals. A pure fold.

Rule 1: an incident alerts when somebody would be paged for it (`paging.py`), and once, by its id:
whatever cause it turns out to have, whichever routes it spreads to.
Rule 2: what hits only routes of which an alert fires already belongs to that one, unless it is
worse: who knows that a route is slow need not be told that it is slow in another way, and must be
told when it answers nothing.
Rule 3: a goal that is missed without an incident alerts by its burn rate (`burn.py`), one alert a
route. While a named incident stands on the route it is that one which alerts, and where one fires
nothing more is said; nor is what it did counted afterwards.
Rule 4: an alert is over, once, when its incidents have been cleared, or have settled, for
`QUIET_S`: what comes and goes is one alert. That of a budget is over by its burn rate.
Rule 5: of several places each is judged by its own time (`places.py`), and while one is behind
nothing begins there: nobody is called late for what is over. What fires goes on firing while its
place is not heard.
Rule 6: an engine with another clock ends them all: what stood by the old one is not followed.
Rule 7: memory is bounded, whatever comes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from probes.diagnosis.burn import Burning, BurnRates
from probes.diagnosis.paging import Pager, harm_words
from probes.diagnosis.places import PlaceTime, PlaceTimes
from probes.events import (
    Alert,
    AlertKind,
    AttemptStarted,
    Burn,
    Diagnosis,
    Event,
    FirstToken,
    Harm,
    HarmReason,
    Hello,
    LimitReading,
    ProbeFinished,
    Tick,
)
from probes.events.diagnosis_words import hit_words, scope_words, what_words, who_words
from probes.kit.clock import NS_PER_S, seconds
from probes.kit.short_figures import lasting

QUIET_S: Final = 60.0
"""A fault that comes and goes is away for half a minute; who reads that all is over must not be
called again a moment later."""
_QUIET_NS: Final = round(QUIET_S * NS_PER_S)
_KEPT: Final = 1_000
"""More than any run has at once: an end that never comes must not be kept for."""
_SEVERITY: Final[dict[HarmReason, int]] = {
    "stands": 0,
    "goal_missed": 1,
    "burns": 1,
    "probes_fail": 2,
    "nothing_answered": 3,
}
_GOAL_WORDS: Final = {
    "success": "misses its success goal",
    "goodput": "misses its goals",
}


_PASSED_OVER: Final = frozenset((AttemptStarted, FirstToken, LimitReading))
"""Half of a run's events, which neither page nor burn."""


@dataclass(slots=True)
class _Standing:
    """An alert that fires."""

    alert: Alert
    routes: set[str]
    """All that it has hit."""
    incidents: set[str] = field(default_factory=set)
    """Ids of those of its that are not over."""
    last: Diagnosis | None = None
    """What was told of one of them last."""
    ended_ns: int | None = None
    """When the last of them was over; None while one is not."""
    burning: Burning | None = None

    @property
    def severity(self) -> int:
        return severity_of(self.alert.harm)


def severity_of(harm: Harm) -> int:
    """Return how bad it is what users have of an alert that fires: worse is more."""
    return 2 if harm.goal == "success" else _SEVERITY[harm.reason]


class Alerts:
    """Takes a stream with its verdicts, each event right before what was decided of it."""

    def __init__(self) -> None:
        self._places = PlaceTimes()
        self._pager = Pager(self._places)
        self._rates = BurnRates(self._places)
        self._clock: tuple[str, str] | None = None
        self._engine = ""
        self._count = 0
        self._named: dict[str, Diagnosis] = {}
        """Incidents that stand, by id."""
        self._standing: list[_Standing] = []
        """Oldest first."""

    def fold(self, event: Event) -> tuple[Alert, ...]:
        """Take one event; return the alerts that it decides, mostly none."""
        place = self._places.fold(event)
        if type(event) in _PASSED_OVER:
            return ()
        told: list[Alert] = []
        if isinstance(event, Hello):
            told += self._greet(event)
        is_time = isinstance(event, (ProbeFinished, Tick, Hello)) and self._rates.fold(event)
        pages = self._pager.fold(event)
        if isinstance(event, Diagnosis):
            self._hear(event)
        for page in pages:
            told += self._fire(page.at_ns, page.incident, page.harm, None)
        if isinstance(event, Tick) and self._standing:
            told += self._end(event.at_ns, event.place)
        if is_time and place is not None and not place.is_behind:
            told += self._look(event.at_ns, place)
        return tuple(told)

    def _greet(self, hello: Hello) -> Iterator[Alert]:
        clock = (hello.boot_id, hello.clock_name)
        if self._clock == clock:
            return
        standing, self._standing = self._standing, []
        self._named.clear()
        self._clock, self._engine = clock, hello.engine
        for one in standing:
            # Stamps of the clock before it compare with none of this one.
            yield msgspec.structs.replace(
                one.alert,
                at_ns=hello.at_ns,
                since_ns=hello.at_ns,
                state="over",
                text=f"{who_words(one.alert.routes)}: not followed any more: the clock is another",
            )

    def _hear(self, word: Diagnosis) -> None:
        self._named.pop(word.id, None)
        if word.state == "named" and len(self._named) < _KEPT:
            self._named[word.id] = word
        for one in self._standing:
            if word.id not in one.incidents:
                continue
            one.last = word
            one.routes.update(word.routes)
            if word.state in ("cleared", "settled"):
                one.incidents.discard(word.id)
                for name in one.routes:
                    self._rates.strike(name, word.since_ns)
                if not one.incidents:
                    one.ended_ns = word.at_ns

    def _fire(self, at_ns: int, word: Diagnosis, harm: Harm, burn: Burn | None) -> Iterator[Alert]:
        severity = _SEVERITY[harm.reason]
        for one in self._standing:
            if one.routes.issuperset(word.routes) and severity <= one.severity:
                one.incidents.add(word.id)
                one.last, one.ended_ns = word, None
                return
        stood_s = seconds(at_ns - word.since_ns)
        what = f"{_who(word)}: {what_words(word)}"
        alert = self._alert(
            at_ns,
            "incident",
            word.routes,
            word.since_ns,
            harm,
            burn,
            " · ".join(filter(None, (what, scope_words(word), harm_words(harm, stood_s)))),
        )
        alert = msgspec.structs.replace(
            alert, incident=word.id, cause=word.cause, scope=word.scope, places=word.places
        )
        self._stand(_Standing(alert, set(word.routes), {word.id}, word))
        yield alert

    def _end(self, at_ns: int, place: str) -> Iterator[Alert]:
        """Tell what has been over for long enough, by the time of a place that it was seen from."""
        for one in tuple(self._standing):
            ended_ns, word = one.ended_ns, one.last
            if one.burning or ended_ns is None or word is None or at_ns - ended_ns < _QUIET_NS:
                continue
            if place and all(not self._is_at(name, place) for name in one.routes):
                continue
            self._standing.remove(one)
            since_ns = min(one.alert.since_ns, word.since_ns)
            lasted = lasting(seconds(ended_ns - since_ns))
            end = f"over after {lasted}" if word.state == "cleared" else f"the usual after {lasted}"
            yield msgspec.structs.replace(
                one.alert,
                at_ns=at_ns,
                state="over",
                routes=tuple(sorted(one.routes)),
                since_ns=since_ns,
                ended_ns=ended_ns,
                text=f"{_who(word)}: {end}: {what_words(word)}",
            )

    def _is_at(self, route: str, place: str) -> bool:
        """Return whether a route is seen from a place; one that is gone is from any."""
        home = self._places.of(route)
        return home is None or home.name == place

    def _look(self, at_ns: int, place: PlaceTime) -> Iterator[Alert]:
        """Look at the budgets of a place's routes."""
        for one in tuple(self._standing):
            burning = one.burning
            if burning is None or one.incidents or not self._rates.has_eased(burning):
                continue
            if not self._is_at(burning.harm.route, place.name):
                continue
            self._standing.remove(one)
            name = burning.harm.route
            self._rates.strike(name, 0)
            lasted = lasting(seconds(at_ns - one.alert.at_ns))
            yield msgspec.structs.replace(
                one.alert,
                at_ns=at_ns,
                state="over",
                ended_ns=at_ns,
                text=f"{name}: {_GOAL_WORDS[burning.harm.goal]} no more, after {lasted}",
            )
        told = {name for one in self._standing for name in one.routes}
        for name in self._rates.routes:
            is_here = name not in told and self._is_at(name, place.name)
            found = self._rates.burning(name) if is_here else None
            if found is None:
                continue
            word = next((word for word in self._named.values() if name in word.routes), None)
            if word is not None:
                self._pager.page_for(word.id)
                yield from self._fire(at_ns, word, found.harm, found.burn)
                continue
            text = _burn_text(name, found)
            alert = self._alert(
                at_ns, "burn", (name,), found.since_ns, found.harm, found.burn, text
            )
            self._stand(_Standing(alert, {name}, burning=found))
            yield alert

    def _alert(
        self,
        at_ns: int,
        kind: AlertKind,
        routes: tuple[str, ...],
        since_ns: int,
        harm: Harm,
        burn: Burn | None,
        text: str,
    ) -> Alert:
        self._count += 1
        return Alert(
            at_ns=at_ns,
            id=f"{self._engine}-a{self._count}",
            state="firing",
            kind=kind,
            routes=routes,
            since_ns=since_ns,
            harm=harm,
            burn=burn,
            text=text,
        )

    def _stand(self, one: _Standing) -> None:
        self._standing.append(one)
        if len(self._standing) > _KEPT:
            del self._standing[0]


def _who(word: Diagnosis) -> str:
    if not word.routes or word.cause == "local_observer":
        at = f" at {who_words(word.places, ', ')}" if word.places else ""
        return f"all routes{at}"
    return hit_words(word)


def _burn_text(name: str, burning: Burning) -> str:
    harm, burn = burning.harm, burning.burn
    return (
        f"{name}: {_GOAL_WORDS[harm.goal]} ({harm.limit * 100:.3g} %) · {harm_words(harm)} in "
        f"{lasting(burn.long_s)}: {burn.long_rate:.1f} times what it allows, "
        f"{burn.short_rate:.1f} times in the last {lasting(burn.short_s)}"
    )
