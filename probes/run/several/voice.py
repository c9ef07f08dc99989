"""Many engines speak as one: their merged events become the stream of one run. Pure.

What was measured goes on as it is. Of what every engine says alike (a notice, a limit, a gap) one
is told; of what each knows only a part (counts, health, knobs) the whole is told.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Set
from typing import Final

import msgspec

from probes.engine.health import BEAT_S
from probes.events import (
    Arrival,
    Arrivals,
    AttemptFinished,
    Batch,
    BudgetState,
    Event,
    Gap,
    Held,
    Hello,
    Knob,
    LimitReading,
    Mark,
    Notice,
    Preview,
    ProbeFinished,
    Tick,
)
from probes.kit.clock import NS_PER_S
from probes.run.several.holds import Holds
from probes.run.several.roll import Roll

_LIMIT_EVERY_NS: Final = NS_PER_S
_SAME_GAP_NS: Final = round(2 * BEAT_S * NS_PER_S)
"""Two engines see the same suspend begin and end within a beat of each other."""
_NOTICES_KEPT: Final = 1_000


class Voice:
    """Folds the merged stream of a group into the one that is told.

    Events are folded round by round; `close_round` gives what ends a round: token arrival, a tick
    where a second has passed, a batch.
    """

    def __init__(
        self, concurrency: Mapping[str, int], engines: int, shares: Callable[[int], dict[str, int]]
    ) -> None:
        """Speak for `engines` engines; `concurrency` is configured, `shares` each engine's now."""
        self._concurrency = dict(concurrency)
        self._engines = engines
        self._shares = shares
        self._roll = Roll(tuple(concurrency), shares)
        self._holds = Holds(self._working)
        self._living: set[int] = set()
        self._early: list[Event] = []
        self._greeted = False
        self._all_gone = False
        self._arrivals: dict[str, Arrivals] = {}
        self._batch_ns: int | None = None
        self._sequence = 0
        self._due_ns: int | None = None
        self._wall_anchor_ns = 0
        self._budgets: tuple[BudgetState, ...] = ()
        self._preview = ""
        self._notices: dict[tuple[str, str], Counter[int]] = {}
        self._limits: dict[str, LimitReading] = {}
        self._throttled_ns: dict[str, int] = {}
        self._gap: Gap | None = None

    @property
    def living(self) -> Set[int]:
        """The engines that have introduced themselves and have not ended."""
        return frozenset(self._living)

    def watch(self) -> None:
        """Another stream is to be on preview: the next that has output."""
        self._preview = ""

    def tell(self, event: Event) -> list[Event]:
        """Take an event of the group itself; return what is told, now or after the hello."""
        if not self._greeted and isinstance(event, (Knob, Mark)):
            self._early.append(event)
            return []
        if isinstance(event, Held) and event.reason == "cool_down":
            self._holds.told(event)
        return [event]

    def hear(self, engine: int, event: Event) -> list[Event]:
        """Take an engine's event; return what is told: itself, something in its place, nothing."""
        match event:
            case Tick():
                self._budgets = event.budgets or self._budgets
                self._wall_anchor_ns = event.wall_ns - event.at_ns
                self._roll.hear(engine, event)
                return []
            case Batch():
                self._batch_ns = max(self._batch_ns or 0, event.at_ns)
                self._roll.hear(engine, event)
                return []
            case Arrivals():
                self._arrive(event)
                return []
            case Knob():
                return []
            case Hello():
                return self._greet(engine, event)
            case Held(reason="restarting"):
                return [] if event.released else self._lose(engine, event)
            case Held():
                return self._holds.hear(engine, event)
            case _:
                return [event] if self._is_news(engine, event) else []

    def close_round(self) -> list[Event]:
        """Return what ends a round; nothing where no engine's batch was heard in it."""
        events: list[Event] = list(self._arrivals.values())
        self._arrivals.clear()
        at_ns, self._batch_ns = self._batch_ns, None
        if at_ns is None:
            return events
        counts, health = self._roll.counts(), self._roll.health()
        if self._due_ns is None or at_ns >= self._due_ns:
            self._due_ns = _next_due_ns(self._due_ns, at_ns)
            tick = Tick(
                at_ns=at_ns,
                wall_ns=at_ns + self._wall_anchor_ns,
                health=health,
                routes=counts,
                budgets=self._budgets,
            )
            events.append(tick)
        self._sequence += 1
        events.append(Batch(at_ns=at_ns, seq=self._sequence, health=health, routes=counts))
        return events

    def _greet(self, engine: int, event: Hello) -> list[Event]:
        """The first hello is the group's; of a later one, that probing goes on is told."""
        self._living.add(engine)
        told = self._holds.left(engine, event.at_ns)
        if self._all_gone:
            self._all_gone = False
            told.append(Held(at_ns=event.at_ns, reason="restarting", released=True))
        if self._greeted:
            return told
        self._greeted = True
        self._wall_anchor_ns = event.wall_ns - event.at_ns
        routes = tuple(
            msgspec.structs.replace(info, concurrency=self._concurrency.get(info.name, 0))
            for info in event.routes
        )
        hello = msgspec.structs.replace(event, routes=routes, engines=self._engines)
        early, self._early = self._early, []
        return [hello, *told, *(_not_before(event.at_ns, one) for one in early)]

    def _lose(self, engine: int, event: Held) -> list[Event]:
        """An engine has died: say which, and that nothing is probed where it was the last."""
        self._living.discard(engine)
        self._roll.left(engine)
        told = self._holds.left(engine, event.at_ns)
        text = f"engine {engine + 1} of {self._engines}: {event.detail}"
        told.append(Notice(at_ns=event.at_ns, route="", text=text))
        if not self._living and not self._all_gone:
            self._all_gone = True
            told.append(event)
        return told

    def _is_news(self, engine: int, event: Event) -> bool:
        match event:
            case Notice():
                return self._is_new_notice(engine, event)
            case LimitReading():
                return self._is_new_limit(event)
            case Gap():
                return self._is_new_gap(event)
            case Preview():
                self._preview = self._preview or event.probe
                return self._preview == event.probe
            case AttemptFinished(outcome="throttled"):
                self._throttled_ns[event.route] = event.at_ns
            case ProbeFinished() if event.probe == self._preview:
                self._preview = ""
            case _:
                pass
        return True

    def _is_new_notice(self, engine: int, event: Notice) -> bool:
        """Whether this engine has said it more often than any has."""
        key = (event.route, event.text)
        said = self._notices.pop(key, Counter())
        most = max(said.values(), default=0)
        said[engine] += 1
        self._notices[key] = said
        if len(self._notices) > _NOTICES_KEPT:
            del self._notices[next(iter(self._notices))]
        return said[engine] > most

    def _is_new_limit(self, event: LimitReading) -> bool:
        """Whether it differs from the last; at most once a second, but for a throttled answer's."""
        last = self._limits.get(event.route)
        if last is not None:
            fresh = event.at_ns - last.at_ns < _LIMIT_EVERY_NS
            if event.limits == last.limits or (
                fresh and event.at_ns != self._throttled_ns.get(event.route)
            ):
                return False
        self._limits[event.route] = event
        return True

    def _is_new_gap(self, event: Gap) -> bool:
        last = self._gap
        known = (
            last is not None
            and event.started_ns >= last.started_ns - _SAME_GAP_NS
            and event.at_ns <= last.at_ns + _SAME_GAP_NS
        )
        if not known:
            self._gap = event
        return not known

    def _arrive(self, event: Arrivals) -> None:
        """Put output of one route and one round together."""
        before = self._arrivals.get(event.route)
        arrivals: tuple[Arrival, ...] = event.arrivals
        at_ns = event.at_ns
        if before is not None:
            arrivals, at_ns = (*before.arrivals, *arrivals), min(before.at_ns, at_ns)
        self._arrivals[event.route] = Arrivals(at_ns=at_ns, route=event.route, arrivals=arrivals)

    def _working(self, route: str) -> Set[int]:
        return {engine for engine in self._living if self._shares(engine).get(route, 0) > 0}


def _next_due_ns(due_ns: int | None, at_ns: int) -> int:
    """Return when the tick after one at `at_ns` is due: on the beat, unless seconds were missed."""
    if due_ns is None or at_ns >= due_ns + NS_PER_S:
        return at_ns + NS_PER_S
    return due_ns + NS_PER_S


def _not_before(at_ns: int, event: Event) -> Event:
    return msgspec.structs.replace(event, at_ns=max(at_ns, event.at_ns))
