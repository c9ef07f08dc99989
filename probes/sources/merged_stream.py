"""Streams of several engines as one, once they are in the order of time. Pure.

What was measured goes on as it is. Of what every engine says alike (a notice, a limit, a gap) one
is told; of what each knows only a part (counts, health, knobs) the whole is told.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from types import MappingProxyType
from typing import Final

import msgspec

from probes.events import (
    Arrival,
    Arrivals,
    AttemptFinished,
    Batch,
    BudgetState,
    Event,
    Gap,
    Held,
    HeldReason,
    Hello,
    Knob,
    LimitReading,
    Mark,
    Notice,
    Preview,
    ProbeFinished,
    Tick,
)
from probes.events.stream import BEAT_S
from probes.kit.clock import NS_PER_S
from probes.sources.health_roll_up import HealthRollUp

_LIMIT_EVERY_NS: Final = NS_PER_S
"""What is left of a limit changes with each answer of each engine; nobody reads it faster."""
_SAME_GAP_NS: Final = round(2 * BEAT_S * NS_PER_S)
"""Two engines see the same suspend begin and end within a beat of each other."""
_NOTICES_KEPT: Final = 1_000


class MergedStream:
    """Folds the merged stream of a group into the one that is told.

    Events are folded round by round; `close_round` gives what ends a round: token arrival, a tick
    where a second has passed, a batch.
    """

    def __init__(
        self,
        concurrency: Mapping[str, int],
        engines: int,
        shares: Callable[[int], dict[str, int]],
        rates: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Begin with no engine; `concurrency` is configured, and so are the `rates` of open paces;
        `shares` is each engine's concurrency now."""
        self._rates = dict(rates)
        self._concurrency = dict(concurrency)
        self._engines = engines
        self._shares = shares
        self._roll_up = HealthRollUp(tuple(concurrency), shares)
        self._held = _HeldRoutes(self._working)
        self._living: set[int] = set()
        self._early: list[Event] = []
        self._greeted = False
        self._all_gone = False
        self._arrivals: dict[str, Arrivals] = {}
        self._batch_ns: int | None = None
        self._sequence = 0
        self._due_ns: int | None = None
        self._wall_anchor_ns = 0
        self._budgets: dict[int, tuple[BudgetState, ...]] = {}
        """By engine: each asked the ledger at a time of its own."""
        self._preview = ""
        self._notices: dict[tuple[str, str], Counter[int]] = {}
        self._limits: dict[str, LimitReading] = {}
        self._throttled_ns: dict[str, int] = {}
        self._gap: Gap | None = None

    @property
    def living(self) -> Set[int]:
        """The engines that have introduced themselves and have not ended."""
        return frozenset(self._living)

    def in_flight(self, engine: int, route: str) -> int:
        """Return how many attempts of a route an engine had open when it last told so."""
        return self._roll_up.in_flight(engine, route)

    def watch(self) -> None:
        """Another stream is to be on preview: the next that has output."""
        self._preview = ""

    def tell(self, event: Event) -> list[Event]:
        """Take an event of the group itself; return what is told, now or after the hello."""
        if not self._greeted and isinstance(event, (Knob, Mark)):
            self._early.append(event)
            return []
        if isinstance(event, Held) and event.reason == "cool_down":
            self._held.end_cool_down(event.route)
        return [event]

    def hear(self, engine: int, event: Event) -> list[Event]:
        """Take an engine's event; return what is told: itself, something in its place, nothing."""
        match event:
            case Tick():
                self._budgets[engine] = event.budgets
                self._wall_anchor_ns = event.wall_ns - event.at_ns
                self._roll_up.hear(engine, event)
                return []
            case Batch():
                self._batch_ns = max(self._batch_ns or 0, event.at_ns)
                self._roll_up.hear(engine, event)
                return []
            case Arrivals():
                self._arrive(event)
                return []
            case Knob():
                return []  # of its part; the whole was told when it was turned
            case Hello():
                return self._greet(engine, event)
            case Held(reason="restarting"):
                return [] if event.released else self._bury(engine, event)
            case Held():
                return self._held.hear(engine, event)
            case AttemptFinished():
                self._roll_up.ended(engine, event)
                if event.outcome == "throttled":
                    self._throttled_ns[event.route] = event.at_ns
                return [event]
            case _:
                return [event] if self._is_news(engine, event) else []

    def close_round(self) -> list[Event]:
        """Return what ends a round; nothing where no engine's batch was heard in it."""
        events: list[Event] = list(self._arrivals.values())
        self._arrivals.clear()
        at_ns, self._batch_ns = self._batch_ns, None
        if at_ns is None:
            return events  # a batch is a sign of life: of none there must be none
        counts, health = self._roll_up.counts(), self._roll_up.health()
        if self._due_ns is None or at_ns >= self._due_ns:
            self._due_ns = _next_due_ns(self._due_ns, at_ns)
            tick = Tick(
                at_ns=at_ns,
                wall_ns=at_ns + self._wall_anchor_ns,
                health=health,
                routes=self._roll_up.counts_and_oldest(at_ns),
                budgets=_fullest(self._budgets.values()),
            )
            events.append(tick)
        self._sequence += 1
        events.append(Batch(at_ns=at_ns, seq=self._sequence, health=health, routes=counts))
        return events

    def _greet(self, engine: int, event: Hello) -> list[Event]:
        """The first hello is the group's; of a later one, that probing goes on is told."""
        self._living.add(engine)
        # A new engine is held by nothing, even where the last one's end was never told.
        told = self._held.left(engine, event.at_ns)
        if self._all_gone:
            self._all_gone = False
            told.append(Held(at_ns=event.at_ns, reason="restarting", released=True))
        if self._greeted:
            return told
        self._greeted = True
        self._wall_anchor_ns = event.wall_ns - event.at_ns
        routes = tuple(
            msgspec.structs.replace(
                info,
                concurrency=self._concurrency.get(info.name, 0),
                rate=self._rates.get(info.name, 0.0),
            )
            for info in event.routes
        )
        hello = msgspec.structs.replace(event, routes=routes, engines=self._engines)
        early, self._early = self._early, []
        return [hello, *told, *(_not_before(event.at_ns, one) for one in early)]

    def _bury(self, engine: int, event: Held) -> list[Event]:
        """An engine has died: say which, and that nothing is probed where it was the last."""
        self._living.discard(engine)
        self._roll_up.left(engine)
        self._budgets.pop(engine, None)
        told = self._held.left(engine, event.at_ns)
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
            case ProbeFinished() if event.probe == self._preview:
                self._preview = ""
            case _:
                pass
        return True

    def _is_new_notice(self, engine: int, event: Notice) -> bool:
        """Whether this engine has said it more often than any has."""
        key = (event.route, event.text)
        said = self._notices.pop(key, Counter())  # put back as the newest: the oldest is forgotten
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


def _fullest(told: Iterable[tuple[BudgetState, ...]]) -> tuple[BudgetState, ...]:
    """Return each budget as the engine told it that knows of most spending, or of a doubt."""
    budgets: dict[str, BudgetState] = {}
    for budget in (budget for budgets in told for budget in budgets):
        known = budgets.setdefault(budget.route, budget)
        budgets[budget.route] = max(known, budget, key=_fullness)
    return tuple(budgets.values())


def _fullness(budget: BudgetState) -> tuple[bool, int, float]:
    return bool(budget.doubt), budget.used_tokens, budget.used_usd


def _not_before(at_ns: int, event: Event) -> Event:
    return msgspec.structs.replace(event, at_ns=max(at_ns, event.at_ns))


class _HeldRoutes:
    """Folds each engine's holds, in the order of the merged stream, into those of the run.

    A cool-down is every engine's: its first word counts, and its first release when it is over.
    A budget holds a route when it holds every engine that works on it: until then the money is
    only being handed round. A reader that stalled holds it as soon as one engine says so.
    """

    def __init__(self, working: Callable[[str], Collection[int]]) -> None:
        """Begin with nothing held."""
        self._working = working
        self._cooling: dict[str, int] = {}
        self._holders: dict[tuple[str, HeldReason], set[int]] = {}
        self._details: dict[tuple[str, HeldReason], str] = {}
        self._shown: set[tuple[str, HeldReason]] = set()

    def end_cool_down(self, route: str) -> None:
        """Note that the user ended a cool-down, which is told already."""
        self._cooling.pop(route, None)

    def hear(self, source: int, event: Held) -> list[Event]:
        """Take an engine's word; return what is to be told of it."""
        if event.reason == "cool_down":
            return [event] if self._is_news(event) else []
        key = (event.route, event.reason)
        holders = self._holders.setdefault(key, set())
        if event.released:
            holders.discard(source)
        else:
            holders.add(source)
            self._details[key] = event.detail
        return self._changes(key, event.at_ns)

    def left(self, source: int, at_ns: int) -> list[Event]:
        """Note that an engine has ended or is a new one: it holds nothing any more."""
        events: list[Event] = []
        for key, holders in self._holders.items():
            holders.discard(source)
            events += self._changes(key, at_ns)
        return events

    def _is_news(self, event: Held) -> bool:
        until_ns = self._cooling.get(event.route)
        if event.released:
            over = until_ns is not None and event.at_ns >= until_ns
            if over:
                del self._cooling[event.route]
            return over
        if event.asked_s is None or event.until_ns is None or event.until_ns <= (until_ns or 0):
            return False
        self._cooling[event.route] = event.until_ns
        return True

    def _changes(self, key: tuple[str, HeldReason], at_ns: int) -> list[Event]:
        """Return what must be told that the route is held, or no longer, if it was not yet."""
        held, shown = self._is_held(key), key in self._shown
        if held == shown:
            return []
        route, reason = key
        if held:
            self._shown.add(key)
            detail = self._details[key]
            return [Held(at_ns=at_ns, reason=reason, route=route, detail=detail)]
        self._shown.discard(key)
        return [Held(at_ns=at_ns, reason=reason, route=route, released=True)]

    def _is_held(self, key: tuple[str, HeldReason]) -> bool:
        holders = self._holders[key]
        if key[1] != "budget":
            return bool(holders)
        return bool(holders) and holders.issuperset(self._working(key[0]))
