"""Who must know is told once: alerts of incidents and of missed goals. A pure fold.

Rule 1: an incident alerts when somebody would be paged for it (`paging.py`), and once, by its id:
whatever cause it turns out to have, whichever routes it spreads to.
Rule 2: a goal that is missed without an incident alerts by its burn rate (`burn.py`), one alert a
route. While a named incident stands on the route it is that one which alerts, and where it has
alerted already nothing is said; nor is what it did counted afterwards.
Rule 3: each alert is told to be over, once: an incident's when that is cleared or has settled.
Rule 4: an engine with another clock ends them all: what stood by the old one is not followed.
Rule 5: memory is bounded, whatever comes.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from probes.diagnosis.burn import Burning, BurnRates
from probes.diagnosis.paging import PagedIncident, Pager, harm_words
from probes.events import Alert, Burn, Diagnosis, Event, Harm, Hello
from probes.events.diagnosis_words import what_words, who_words
from probes.kit.clock import seconds
from probes.kit.short_figures import lasting

_KEPT: Final = 1_000
"""More than any run has at once: an end that never comes must not be kept for."""
_GOAL_WORDS: Final = {
    "success": "misses its success goal",
    "goodput": "misses its goals",
}


class _Burns(NamedTuple):
    alert: Alert
    burning: Burning


class Alerts:
    """Takes a stream with its verdicts, each event right before what was decided of it."""

    def __init__(self) -> None:
        self._pager = Pager()
        self._rates = BurnRates()
        self._clock: tuple[str, str] | None = None
        self._engine = ""
        self._count = 0
        self._named: dict[str, Diagnosis] = {}
        """Incidents that stand, by id."""
        self._firing: dict[str, Alert] = {}
        """By the id of their incident."""
        self._burns: dict[str, _Burns] = {}
        """By route."""

    def fold(self, event: Event) -> tuple[Alert, ...]:
        """Take one event; return the alerts that it decides, mostly none."""
        told: list[Alert] = []
        if isinstance(event, Hello):
            told += self._greet(event)
        is_time = self._rates.fold(event)
        pages = self._pager.fold(event)
        if isinstance(event, Diagnosis):
            self._hear(event)
        for page in pages:
            told.append(self._page(page))
        if isinstance(event, Diagnosis) and event.state in ("cleared", "settled"):
            told += self._end(event)
        if is_time:
            told += self._look(event.at_ns)
        return tuple(told)

    def _greet(self, hello: Hello) -> Iterator[Alert]:
        clock = (hello.boot_id, hello.clock_name)
        if self._clock != clock:
            firing = [*self._firing.values(), *(one.alert for one in self._burns.values())]
            self._named.clear()
            self._firing.clear()
            self._burns.clear()
            for alert in firing:
                # Stamps of the clock before it compare with none of this one.
                text = (
                    f"{who_words(alert.routes)}: not followed any more: the engine's clock is new"
                )
                yield msgspec.structs.replace(
                    alert, at_ns=hello.at_ns, since_ns=hello.at_ns, state="over", text=text
                )
            self._clock, self._engine = clock, hello.engine

    def _hear(self, word: Diagnosis) -> None:
        self._named.pop(word.id, None)
        if word.state == "named" and len(self._named) < _KEPT:
            self._named[word.id] = word

    def _page(self, page: PagedIncident) -> Alert:
        return self._fire(page.at_ns, page.incident, page.harm, None)

    def _fire(self, at_ns: int, word: Diagnosis, harm: Harm, burn: Burn | None) -> Alert:
        stood_s = seconds(at_ns - word.since_ns)
        alert = Alert(
            at_ns=at_ns,
            id=self._new_id(),
            state="firing",
            kind="incident",
            routes=word.routes,
            since_ns=word.since_ns,
            incident=word.id,
            cause=word.cause,
            harm=harm,
            burn=burn,
            text=f"{_who(word)}: {what_words(word)} · {harm_words(harm, stood_s)}",
        )
        self._firing[word.id] = alert
        if len(self._firing) > _KEPT:
            del self._firing[next(iter(self._firing))]
        return alert

    def _end(self, word: Diagnosis) -> Iterator[Alert]:
        alert = self._firing.pop(word.id, None)
        if alert is None:
            return
        for name in {*alert.routes, *word.routes}:
            self._rates.strike(name, word.since_ns)
        lasted = lasting(seconds(word.at_ns - word.since_ns))
        end = f"over after {lasted}" if word.state == "cleared" else f"the usual after {lasted}"
        yield msgspec.structs.replace(
            alert,
            at_ns=word.at_ns,
            state="over",
            routes=word.routes,
            since_ns=word.since_ns,
            cause=word.cause,
            text=f"{_who(word)}: {end}: {what_words(word)}",
        )

    def _look(self, at_ns: int) -> Iterator[Alert]:
        """Look at all budgets."""
        for name, (alert, burning) in tuple(self._burns.items()):
            if self._rates.has_eased(burning):
                del self._burns[name]
                self._rates.strike(name, 0)
                lasted = lasting(seconds(at_ns - alert.at_ns))
                text = f"{name}: {_GOAL_WORDS[burning.harm.goal]} no more, after {lasted}"
                yield msgspec.structs.replace(alert, at_ns=at_ns, state="over", text=text)
        for name in self._rates.routes:
            found = None if name in self._burns else self._rates.burning(name)
            if found is None:
                continue
            words = [word for word in self._named.values() if name in word.routes]
            if any(word.id in self._firing for word in words):
                continue
            if words:
                self._pager.page_for(words[0].id)
                yield self._fire(at_ns, words[0], found.harm, found.burn)
                continue
            alert = Alert(
                at_ns=at_ns,
                id=self._new_id(),
                state="firing",
                kind="burn",
                routes=(name,),
                since_ns=found.since_ns,
                harm=found.harm,
                burn=found.burn,
                text=_burn_text(name, found),
            )
            self._burns[name] = _Burns(alert, found)
            yield alert

    def _new_id(self) -> str:
        self._count += 1
        return f"{self._engine}-a{self._count}"


def _who(word: Diagnosis) -> str:
    if not word.routes or word.cause == "local_observer":
        return "all routes"
    return who_words(word.routes)


def _burn_text(name: str, burning: Burning) -> str:
    harm, burn = burning.harm, burning.burn
    return (
        f"{name}: {_GOAL_WORDS[harm.goal]} ({harm.limit * 100:.3g} %) · {harm_words(harm)} in "
        f"{lasting(burn.long_s)}: {burn.long_rate:.1f} times what it allows, "
        f"{burn.short_rate:.1f} times in the last {lasting(burn.short_s)}"
    )
