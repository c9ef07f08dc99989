"""How fast a route uses up what its goals allow to go wrong: its error budget, by burn rate.

The method is that of chapter 5 of Google's SRE workbook, "Alerting on SLOs", its sixth way:
multi-window, multi-burn-rate. A goal of 99 % leaves 1 % of the probes to fail: a burn rate of 1
uses up just that. Somebody is told where both a long window, which says that it matters, and a
short one, which says that it goes on, burn fast.

Rule 1: two goals of each route: `success`, and `goodput`, the share of probes that are ok and
within the goals of TTFT, E2E and cost.
Rule 2: the pairs are those of the workbook that page: 1 h and 5 min at 14.4, 6 h and 30 min at 6.
Its third, three days, opens a ticket: no run of ours is watched for so long.
Rule 3: what is older than the run is taken as well. So the 14.4 of one that is half an hour old
are as many bad probes as in a whole hour, and no pair speaks of a run that is younger than that
takes. What goes wrong in its first minutes is an incident's to tell.
Rule 4: fewer than `LEAST_SHORT` probes in the short window or `LEAST_LONG` in the long one say
nothing: a route that is probed each ten minutes is never judged by this.
Rule 5: a goal that leaves much cannot burn 14 times as fast: of no window more is asked for than
half of the way from what the goal allows to all.
Rule 6: it is over when the short window burns at less than half of what it had to reach, or when
nothing has been measured for a whole long window.
Rule 7: what was told is not counted again (`strike`). What our own machine did never is.
Rule 8: time is that of the events, in slots of half a minute, each route's by the time of its place
(`places.py`); memory is bounded.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from probes.config.goals import goodput_goal
from probes.diagnosis.paging import JudgedProbe, judged_probe
from probes.diagnosis.places import PlaceTimes
from probes.events import Burn, Event, Harm, HarmGoal, Hello, ProbeFinished, RouteInfo, Tick
from probes.kit.clock import NS_PER_S

_SLOT_S: Final = 30
_SLOT_NS: Final = _SLOT_S * NS_PER_S
LEAST_SHORT: Final = 10
LEAST_LONG: Final = 30
_LEAST_BUDGET: Final = 0.001
"""Of a goal of 100 %: one in a thousand may always be a mishap."""


class _Pair(NamedTuple):
    long_s: int
    short_s: int
    factor: float


PAIRS: Final = (_Pair(3600, 300, 14.4), _Pair(6 * 3600, 1800, 6.0))
_WINDOWS: Final = tuple(sorted({s // _SLOT_S for pair in PAIRS for s in pair[:2]}))
"""In slots."""
_KEPT: Final = _WINDOWS[-1]

_Slot: TypeAlias = tuple[int, int, int]
"""Probes, those that failed, and those that were not good."""
_NONE: Final[_Slot] = (0, 0, 0)
_GOALS: Final[tuple[tuple[HarmGoal, int], ...]] = (("success", 1), ("goodput", 2))
"""With the place of what misses it in a slot. Failures first: they are the plainer word."""


class Burning(NamedTuple):
    """A goal whose budget is being used up."""

    since_ns: int
    """When its long window began, or the run."""
    harm: Harm
    burn: Burn
    pair: _Pair


@dataclass(slots=True)
class _Route:
    info: RouteInfo
    open: list[int] = field(default_factory=lambda: [0, 0, 0])
    slots: deque[_Slot] = field(default_factory=lambda: deque(maxlen=_KEPT))
    """Closed ones since its first probe, oldest first."""
    sums: dict[int, list[int]] = field(default_factory=dict)
    """Of the newest so many slots."""

    def __post_init__(self) -> None:
        self.sums = {window: [0, 0, 0] for window in _WINDOWS}

    def add(self, probe: JudgedProbe) -> None:
        self.open[0] += 1
        self.open[1] += probe.failed
        self.open[2] += not probe.is_good(self.info)

    def close(self, times: int) -> None:
        """Close the open slot, and empty ones behind it."""
        for _ in range(min(times, _KEPT + 1)):
            if not self.slots and not self.open[0]:
                return  # its time begins with its first probe
            self._push((self.open[0], self.open[1], self.open[2]))
            self.open = [0, 0, 0]

    def _push(self, slot: _Slot) -> None:
        for window, totals in self.sums.items():
            left = self.slots[-window] if len(self.slots) >= window else _NONE
            for at in range(3):
                totals[at] += slot[at] - left[at]
        self.slots.append(slot)

    def strike(self, slots: int) -> None:
        """Forget what is in the newest so many slots, and in the open one."""
        self.open = [0, 0, 0]
        kept = list(self.slots)
        from_ = max(0, len(kept) - slots)
        self.slots.clear()
        self.sums = {window: [0, 0, 0] for window in _WINDOWS}
        for slot in (*kept[:from_], *[_NONE] * (len(kept) - from_)):
            self._push(slot)

    def share(self, window_s: int, at: int) -> float:
        """Return the share that missed a goal, as if all before the run had been well."""
        window = window_s // _SLOT_S
        total = self.sums[window]
        age = min(1.0, len(self.slots) / window)
        return age * total[at] / total[0] if total[0] else 0.0

    def n(self, window_s: int) -> int:
        return self.sums[window_s // _SLOT_S][0]


class BurnRates:
    """The budgets of all routes of a stream."""

    def __init__(self, places: PlaceTimes | None = None) -> None:
        """Begin; `places` is folded by whoever gives it, before each event comes here."""
        self._is_own = places is None
        self._places = PlaceTimes() if places is None else places
        self._routes: dict[str, _Route] = {}
        self._clock: tuple[str, str] | None = None
        self._open_slots: dict[str, int] = {}
        """The open one of each place, by name: a number since the clock began."""

    def fold(self, event: Event) -> bool:
        """Take one event, in the order of the stream; return whether it is time to look again at
        the routes of its place."""
        if self._is_own:
            self._places.fold(event)
        match event:
            case ProbeFinished():
                is_new = self._advance(self._place_of(event.route), event.at_ns)
                if not event.flagged:
                    route = self._routes.get(event.route)
                    probe = None if route is None else judged_probe(event, route.info)
                    if route is not None and probe is not None:
                        route.add(probe)
                return is_new
            case Tick():
                return self._advance(event.place, event.at_ns)
            case Hello():
                self._greet(event)
                return False
            case _:
                return False

    def _place_of(self, route: str) -> str:
        place = self._places.of(route)
        return "" if place is None else place.name

    def _advance(self, place: str, at_ns: int) -> bool:
        slot, before = at_ns // _SLOT_NS, self._open_slots.get(place)
        self._open_slots[place] = slot if before is None else max(slot, before)
        if before is None or slot <= before:
            return False
        for name, route in self._routes.items():
            if self._place_of(name) == place:
                route.close(slot - before)
        return True

    def _greet(self, hello: Hello) -> None:
        """Take the goals; forget routes that are gone, and all of another clock."""
        clock = (hello.boot_id, hello.clock_name)
        if self._clock not in (None, clock):
            self._routes.clear()
            self._open_slots.clear()
        self._clock = clock
        if hello.place and hello.at_ns // _SLOT_NS < self._open_slots.get(hello.place, 0):
            self._open_slots.pop(hello.place, None)  # its time has gone back
        known, self._routes = self._routes, {}
        for name, info in self._places.infos.items():
            route = known.get(name) or _Route(info)
            route.info = info
            self._routes[name] = route

    @property
    def routes(self) -> tuple[str, ...]:
        """All that are probed."""
        return tuple(self._routes)

    def burning(self, name: str) -> Burning | None:
        """Return which goal of a route uses up its budget; None where none does."""
        route = self._routes[name]
        for goal, at in _GOALS:
            limit = _limit(goal, route.info)
            budget = max(_LEAST_BUDGET, 1 - limit)
            for pair in PAIRS:
                least = _least_share(pair, budget)
                short, long = route.share(pair.short_s, at), route.share(pair.long_s, at)
                n = route.n(pair.long_s)
                if short < least or long < least:
                    continue
                if route.n(pair.short_s) < LEAST_SHORT or n < LEAST_LONG:
                    continue
                covered_ns = min(len(route.slots), pair.long_s // _SLOT_S) * _SLOT_NS
                return Burning(
                    since_ns=self._open_slots.get(self._place_of(name), 0) * _SLOT_NS - covered_ns,
                    harm=Harm(
                        "burns", name, goal, limit, route.sums[pair.long_s // _SLOT_S][at], n
                    ),
                    burn=Burn(
                        long_s=pair.long_s,
                        short_s=pair.short_s,
                        long_rate=long / budget,
                        short_rate=short / budget,
                        threshold=least / budget,
                        budget=budget,
                        n=n,
                    ),
                    pair=pair,
                )
        return None

    def has_eased(self, burning: Burning) -> bool:
        """Return whether what was told of a route is over."""
        route = self._routes.get(burning.harm.route)
        if route is None:
            return True
        at = dict(_GOALS)[burning.harm.goal]
        pair = burning.pair
        if not route.n(pair.short_s):
            return not route.n(pair.long_s)
        return route.share(pair.short_s, at) < _least_share(pair, burning.burn.budget) / 2

    def strike(self, name: str, since_ns: int) -> None:
        """Count nothing of a route since a stamp: it was told otherwise."""
        route = self._routes.get(name)
        slot = self._open_slots.get(self._place_of(name))
        if route is not None and slot is not None:
            route.strike(max(0, slot - since_ns // _SLOT_NS))


def _limit(goal: HarmGoal, info: RouteInfo) -> float:
    return info.goal_success if goal == "success" else goodput_goal(info.goal_success)


def _least_share(pair: _Pair, budget: float) -> float:
    """Return the share that both windows must reach."""
    return min(pair.factor * budget, (1 + budget) / 2)
