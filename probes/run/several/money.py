"""What one run may spend, divided among its engines: pure.

The run's allowance is never multiplied: for each route, what living engines may have spent and
reserved, and what dead ones were charged, never exceeds it. Money can be taken back from an engine
that does not need it: it is told a lower allowance, and what that frees is given away only when
the engine has said that it obeys, and what it had spent by then.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from probes.config import Route
from probes.config.prompts import estimate_tokens
from probes.control.commands import Allow, Allowance
from probes.events import AttemptFinished, AttemptStarted, Event, MoneyReport, Notice
from probes.money.pricing import LearnedUse, dearest_usd_per_token, price_of, usd_charged

OVERALL: Final = ""
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Sum:
    """Tokens and USD."""

    tokens: float = 0
    usd: float = 0.0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: "Sum") -> "Sum":
        return Sum(self.tokens - other.tokens, self.usd - other.usd)

    def times(self, factor: float) -> "Sum":
        """Return so much of it."""
        return Sum(self.tokens * factor, self.usd * factor)

    def most(self, other: "Sum") -> "Sum":
        """Return the greater of each."""
        return Sum(max(self.tokens, other.tokens), max(self.usd, other.usd))

    def least(self, other: "Sum") -> "Sum":
        """Return the lesser of each."""
        return Sum(min(self.tokens, other.tokens), min(self.usd, other.usd))

    def covers(self, other: "Sum") -> bool:
        """Return whether there is enough of both."""
        return self.tokens >= other.tokens - _TINY and self.usd >= other.usd - _TINY


@dataclass(slots=True)
class _Purse:
    """One engine's money of one route."""

    committed: Sum = field(default_factory=Sum)
    """Spent and reserved, as it last told."""
    told_usd: float = 0.0
    """The same in USD, limited or not."""
    charged: Sum = field(default_factory=Sum)
    """Spent, as its events told."""
    allowed: Sum = field(default_factory=Sum)
    """Told last."""
    sent: deque[tuple[int, Sum]] = field(default_factory=deque)
    """(number, allowance) from the last one obeyed on; of equal ones in a row the last."""
    burst: int = 0
    """Probes asked for beside the pace and not begun yet."""

    @property
    def most(self) -> Sum:
        """What it may have spent and reserved at most by now."""
        most = self.committed
        for _, allowed in self.sent:
            most = most.most(allowed)
        return most

    @property
    def left(self) -> Sum:
        return self.allowed - self.committed

    def tell(self, number: int) -> None:
        """Note that the allowance is sent; one that is repeated takes no more room."""
        if self.sent and self.sent[-1][1] == self.allowed:
            self.sent.pop()
        self.sent.append((number, self.allowed))


@dataclass(slots=True)
class _Route:
    """One route's money in this run."""

    prompt_tokens: int
    max_tokens: int
    usd_per_token: float
    allowance: Allowance | None = None
    """Of all engines together."""
    learned: LearnedUse = field(default_factory=LearnedUse)
    lost: Sum = field(default_factory=Sum)
    """Charged by engines that are dead."""
    purses: dict[int, _Purse] = field(default_factory=dict)
    """Of the living engines."""

    @property
    def probe(self) -> Sum:
        """What one probe may cost at most."""
        tokens = max(self.prompt_tokens + self.max_tokens, self.learned.tokens)
        return self.sum(tokens, tokens * self.usd_per_token)

    @property
    def total(self) -> Sum:
        if self.allowance is None:
            return Sum()
        return self.sum(self.allowance.tokens, self.allowance.usd or 0.0)

    def sum(self, tokens: float, usd: float) -> Sum:
        """Return both, or the tokens alone where USD have no limit."""
        bounded = self.allowance is not None and self.allowance.usd is not None
        return Sum(tokens, usd if bounded else 0.0)


class Money:
    """The run's allowances and each engine's part of them."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Begin with nothing allowed and no engine."""
        self._routes = {route.name: _route(route) for route in routes}
        self._overall: Allowance | None = None
        self._number = 0

    def allow(self, command: Allow) -> None:
        """Take over what all engines together may spend, counted since the run began."""
        for allowance in command.allowances:
            if allowance.route == OVERALL:
                self._overall = allowance
            elif allowance.route in self._routes:
                self._routes[allowance.route].allowance = allowance

    def expect_prompt(self, route: str, tokens: int) -> None:
        """Note how many tokens a probe's prompt takes."""
        if route in self._routes:
            self._routes[route].prompt_tokens = tokens

    def expect_answer(self, route: str, tokens: int) -> None:
        """Note how many tokens a probe's answer may take."""
        if route in self._routes:
            self._routes[route].max_tokens = tokens

    def begin(self, engine: int) -> None:
        """Note that an engine starts, with nothing spent."""
        for route in self._routes.values():
            route.purses[engine] = _Purse()

    def end(self, engine: int, *, in_order: bool) -> dict[str, Sum]:
        """Note that an engine has ended; return by route what it took beyond what it was charged.

        One that ended in order has told all it spent. What one that was killed may have spent and
        reserved by then is spent: of its last tenth of a second nothing was heard.
        """
        taken: dict[str, Sum] = {}
        for name, route in self._routes.items():
            purse = route.purses.pop(engine, None)
            if purse is None:
                continue
            spent = purse.charged if in_order else purse.charged.most(purse.most)
            route.lost += spent
            if spent != purse.charged:
                taken[name] = spent - purse.charged
        return taken

    def expect_burst(self, engine: int, route: str, probes: int) -> None:
        """Give an engine money for probes beside its pace."""
        known = self._routes.get(route)
        if known is not None and engine in known.purses:
            known.purses[engine].burst += probes

    def fold(self, engine: int, event: Event) -> None:
        """Take one event of an engine."""
        if isinstance(event, Notice) and event.price is not None and event.route in self._routes:
            price = price_of(event.price)
            self._routes[event.route].usd_per_token = dearest_usd_per_token(price)
        if not isinstance(event, (AttemptStarted, AttemptFinished)):
            return
        route = self._routes.get(event.route)
        purse = None if route is None else route.purses.get(engine)
        if route is None or purse is None:
            return
        if isinstance(event, AttemptStarted):
            purse.burst = max(0, purse.burst - 1)
            return
        route.learned.learn(event.charged_tokens)
        purse.charged += route.sum(event.charged_tokens, usd_charged(event))

    def report(self, engine: int, report: MoneyReport) -> None:
        """Take an engine's word of what it has spent and reserved, and of what it obeys."""
        told = {one.route: one for one in report.committed}
        for name, route in self._routes.items():
            purse = route.purses.get(engine)
            if purse is None:
                continue
            if name in told:
                purse.committed = route.sum(told[name].tokens, told[name].usd)
                purse.told_usd = told[name].usd
            while purse.sent and purse.sent[0][0] < report.allow:
                purse.sent.popleft()

    def divide(
        self, working: dict[int, dict[str, int]], *, everybody: bool = False
    ) -> dict[int, Allow]:
        """Return what engines must be told now.

        `working` is the concurrency of each route on each engine that is or will be there: money
        is kept for those that are still to begin. With `everybody` all engines are told, else
        only those whose allowance changes.
        """
        changed: set[int] = set()
        for name, route in self._routes.items():
            if route.allowance is not None:
                weights = {engine: shares.get(name, 0) for engine, shares in working.items()}
                changed |= _divide(route, weights, generous=everybody)
        engines = {engine for route in self._routes.values() for engine in route.purses}
        return {
            engine: self._tell(engine)
            for engine in sorted(engines if everybody else changed & engines)
        }

    def _tell(self, engine: int) -> Allow:
        """Return an engine's allowances, and note that it is told them.

        The run's overall allowance is the sum of its routes', so an engine's is the sum of its.
        """
        self._number += 1
        parts = [
            (route.allowance, route.purses[engine])
            for route in self._routes.values()
            if route.allowance is not None
        ]
        total = Sum()
        told: list[Allowance] = []
        for allowance, purse in parts:
            purse.tell(self._number)
            unlimited = purse.told_usd if allowance.usd is None else 0.0
            total += purse.allowed + Sum(0, unlimited)
            told.append(_part(allowance, purse.allowed))
        if self._overall is not None:
            told.insert(0, _part(self._overall, total))
        return Allow(allowances=tuple(told), number=self._number)


def portions(units: int, weights: Sequence[int], prefer: Sequence[float]) -> list[int]:
    """Return whole units divided by weight, none lost; ties go to who is preferred more."""
    total = sum(weights)
    if total == 0:
        return [0] * len(weights)
    parts = [units * weight // total for weight in weights]
    rest = sorted(
        range(len(weights)),
        key=lambda place: (units * weights[place] % total, prefer[place]),
        reverse=True,
    )
    for place in rest[: units - sum(parts)]:
        parts[place] += 1
    return parts


def _divide(route: _Route, concurrency: dict[int, int], *, generous: bool) -> set[int]:
    """Change what a route's engines are allowed; return those whose allowance changes.

    An engine that has used up half of its part gets more, all do when we are `generous`. Where
    there is not enough for that, who has more than its part is told to give the rest back.
    """
    targets = _targets(route, concurrency)
    spent = route.lost
    for purse in route.purses.values():
        spent += purse.most
    free = (route.total - spent).most(Sum())
    changed: set[int] = set()
    poor = False
    for engine, purse in route.purses.items():
        target = targets.get(engine, Sum())
        enough = target.times(0.5).most(target.least(route.probe))
        hungry = not purse.left.covers(enough)
        if not (hungry or generous) or purse.left.covers(target):
            continue
        wanted = (purse.committed + target).most(purse.allowed)
        given = wanted.least(purse.most + free)
        free = (free - (given - purse.most).most(Sum())).most(Sum())
        poor = poor or (hungry and given != wanted)
        if given != purse.allowed:
            purse.allowed = given
            changed.add(engine)
    return changed | _take_back(route, targets) if poor else changed


def _take_back(route: _Route, targets: dict[int, Sum]) -> set[int]:
    changed: set[int] = set()
    for engine, purse in route.purses.items():
        fair = purse.committed + targets.get(engine, Sum())
        if purse.allowed != purse.allowed.least(fair):
            purse.allowed = purse.allowed.least(fair)
            changed.add(engine)
    return changed


def _targets(route: _Route, concurrency: dict[int, int]) -> dict[int, Sum]:
    """Return what each engine should have left: whole probes, by its streams and bursts."""
    engines = sorted(concurrency)
    purses = [route.purses.get(engine, _Purse()) for engine in engines]
    weights = [
        concurrency[engine] + purse.burst for engine, purse in zip(engines, purses, strict=True)
    ]
    committed = route.lost
    for purse in route.purses.values():
        committed += purse.committed
    available = route.total - committed
    probe = route.probe
    parts = portions(_whole(available, probe), weights, [purse.left.tokens for purse in purses])
    return {engine: probe.times(part) for engine, part in zip(engines, parts, strict=True)}


def _whole(available: Sum, probe: Sum) -> int:
    """Return for how many whole probes there is enough."""
    by_tokens = available.tokens / max(probe.tokens, 1)
    by_usd = available.usd / probe.usd if probe.usd > 0 else float("inf")
    return max(0, int(min(by_tokens, by_usd) + _TINY))


def _part(allowance: Allowance, part: Sum) -> Allowance:
    return Allowance(
        route=allowance.route,
        tokens=int(part.tokens),
        usd=None if allowance.usd is None else part.usd,
        used_tokens=allowance.used_tokens,
        used_usd=allowance.used_usd,
        limit_tokens=allowance.limit_tokens,
        limit_usd=allowance.limit_usd,
        more=allowance.more,
        doubt=allowance.doubt,
    )


def _route(route: Route) -> _Route:
    return _Route(
        prompt_tokens=estimate_tokens((route.system or "") + route.prompt),
        max_tokens=route.max_tokens,
        usd_per_token=dearest_usd_per_token(route.price),
    )
