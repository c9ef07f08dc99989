"""Routes by the figures of public leaderboards: TTFT, output speed, E2E for 500 tokens, price.

Rule 1. Figures are those of Artificial Analysis (its page "Performance Benchmarking Methodology"):
        medians; output speed is tokens a second after the first ones came; a price is blended,
        three input tokens to one of output. What is not known is None, a price above all.
Rule 2. E2E for 500 tokens is made of each probe's own figures, TTFT + 500 / speed, for answers are
        of other lengths. Where reasoning was streamed it begins with the first token of the answer:
        whoever waits for 500 tokens of an answer waits for the reasoning before it.
Rule 3. Each figure has its n, and the interval that holds the true median with 95 %, whatever the
        distribution; None where there are too few to tell.
Rule 4. Like with like: what is asked is part of a row's name, its cohort, and rows of two cohorts
        never stand in one table. Of a route's own prompt or a file of prompts nobody knows whether
        another route asks the same.
Rule 5. All is of the last probes of a cohort, `KEPT` of them; failed ones are counted beside.
"""

from array import array
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, Literal, TypeAlias

import msgspec

from probes.board.views import LeaderFigure, LeaderGroup, LeaderView
from probes.config.goals import cap_of, shape_of
from probes.events import AttemptFinished, PriceInfo, ProbeFinished, RouteInfo
from probes.kit.clock import NS_PER_S
from probes.stats.order_statistics import ranks_around

KEPT: Final = 200
"""Ended probes of a cohort: at one each 5 s the last quarter of an hour."""
ANSWER_TOKENS: Final = 500
"""Of an answer whose E2E is told, as the leaderboard has it."""
SURE: Final = 0.95
_COHORTS: Final = 24
"""Of one route; the one that was measured longest ago goes first."""
_OPEN: Final = 4_096
"""Probes that have not ended, of which an attempt is known."""
_INPUT_SHARE: Final = 0.75
"""Of a blended price: three input tokens to one of output."""

LeaderOrder: TypeAlias = Literal["e2e", "ttft", "speed", "price", "name"]
LEADER_ORDERS: Final[tuple[LeaderOrder, ...]] = ("e2e", "ttft", "speed", "price", "name")
"""What a table can be sorted by, the best first."""


class _Measured(msgspec.Struct, frozen=True):
    """What the last attempt of a probe told."""

    tokens_per_s: float
    """0 where that is not known."""
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    """-1 where the server does not say."""


class CohortStandings:
    """The last probes of one cohort."""

    __slots__ = (
        *("asked", "cached", "e2e", "failed", "inputs", "newest_ns", "outputs", "reasoned"),
        *("speed", "ttft"),
    )

    def __init__(self) -> None:
        self.asked = self.failed = self.reasoned = 0
        self.newest_ns = 0
        self.ttft, self.speed, self.e2e = array("f"), array("f"), array("f")
        """In seconds, tokens a second and seconds; oldest first."""
        self.inputs, self.outputs, self.cached = array("q"), array("q"), array("q")

    def add(self, event: ProbeFinished, last: _Measured | None) -> None:
        """Take a probe that ended."""
        self.asked += 1
        self.newest_ns = max(self.newest_ns, event.at_ns)
        if event.outcome != "ok":
            self.failed += 1
            return
        if event.first_token_ns is not None:
            ttft_s = max(0, event.first_token_ns - event.started_ns) / NS_PER_S
            self._keep(self.ttft, ttft_s)
            answer_ns = event.first_answer_ns or event.first_token_ns
            if answer_ns > event.first_token_ns:
                self.reasoned += 1
            if last is not None and last.tokens_per_s > 0:
                self._keep(self.speed, last.tokens_per_s)
                begins_s = max(0, answer_ns - event.started_ns) / NS_PER_S
                self._keep(self.e2e, begins_s + ANSWER_TOKENS / last.tokens_per_s)
        if last is not None:
            if last.input_tokens:
                self._keep(self.inputs, last.input_tokens)
            if last.output_tokens:
                self._keep(self.outputs, last.output_tokens)
            if last.cached_tokens >= 0:
                self._keep(self.cached, last.cached_tokens)

    @staticmethod
    def _keep(kept: "array[float] | array[int]", value: float) -> None:
        kept.append(value)  # type: ignore[arg-type]  # an array of whole numbers is given such
        del kept[:-KEPT]


class Standings:
    """The cohorts of one route."""

    __slots__ = ("_cohorts", "_last", "_views")

    def __init__(self) -> None:
        self._cohorts: dict[str, CohortStandings] = {}
        self._last: dict[str, _Measured] = {}
        """Probe → what its newest attempt told."""
        self._views: tuple[RouteInfo, tuple[LeaderView, ...]] | None = None
        """Those of the route as it was, until another probe ends."""

    def attempt_ended(self, event: AttemptFinished, per_token_s: float | None) -> None:
        """Note what an attempt told, until its probe ends."""
        if event.outcome != "ok" or event.flagged or len(self._last) >= _OPEN:
            self._last.pop(event.probe, None)
            return
        self._last[event.probe] = _Measured(
            tokens_per_s=1 / per_token_s if per_token_s else 0.0,
            input_tokens=event.input_tokens or 0,
            output_tokens=event.output_tokens or 0,
            cached_tokens=-1 if event.cached_tokens is None else event.cached_tokens,
        )

    def probe_ended(self, event: ProbeFinished, *, is_measured: bool) -> None:
        """Take a probe that ended; what we cancelled, or slept through, says nothing."""
        last = self._last.pop(event.probe, None)
        if event.outcome == "cancelled" or not is_measured or not event.cohort:
            return
        found = self._cohorts.pop(event.cohort, None) or CohortStandings()
        if len(self._cohorts) >= _COHORTS:
            del self._cohorts[next(iter(self._cohorts))]
        self._cohorts[event.cohort] = found
        found.add(event, last)
        self._views = None

    def engine_died(self) -> None:
        """Forget what only the former engine could have finished."""
        self._last.clear()

    def views(self, info: RouteInfo) -> tuple[LeaderView, ...]:
        """Return a row for each cohort; the same object until there is something new."""
        if self._views is None or self._views[0] is not info:
            rows = [_view(info, name, found) for name, found in self._cohorts.items()]
            self._views = (info, tuple(rows))
        return self._views[1]


def _view(info: RouteInfo, cohort: str, found: CohortStandings) -> LeaderView:
    return LeaderView(
        route=info.name,
        cohort=cohort,
        ttft_s=figure_of(found.ttft),
        tokens_per_s=figure_of(found.speed),
        e2e_s=figure_of(found.e2e),
        price=blended_price(info.price),
        probes=found.asked,
        failed=found.failed,
        reasoned=found.reasoned > 0,
        input_tokens=_middle(found.inputs),
        output_tokens=_middle(found.outputs),
        cached_tokens=_middle(found.cached),
        newest_ns=found.newest_ns,
    )


def figure_of(samples: Sequence[float]) -> LeaderFigure:
    """Return the median of samples with its interval."""
    if not samples:
        return LeaderFigure()
    ordered = sorted(samples)
    low, high = ranks_around(len(ordered), 0.5, SURE)
    return LeaderFigure(
        value=median(ordered),
        low=None if low is None else ordered[low - 1],
        high=None if high is None else ordered[high - 1],
        n=len(ordered),
    )


def blended_price(price: PriceInfo | None) -> float | None:
    """Return USD per million tokens, three of input to one of output; None where not known."""
    if price is None:
        return None
    return _INPUT_SHARE * price.input + (1 - _INPUT_SHARE) * price.output


def _middle(counts: Sequence[int]) -> int | None:
    return sorted(counts)[len(counts) // 2] if counts else None


def leader_groups(
    rows: Iterable[LeaderView], order: LeaderOrder = "e2e", *, reverse: bool = False
) -> tuple[LeaderGroup, ...]:
    """Return rows in tables of like with like, the table with most routes first.

    In each the best stands first; what is not known stands last, whichever way round.
    """
    by_cohort: dict[str, list[LeaderView]] = {}
    for row in rows:
        by_cohort.setdefault(row.cohort, []).append(row)
    groups = [
        LeaderGroup(cohort=cohort, shape=shape_of(cohort), rows=_sorted(found, order, reverse))
        for cohort, found in by_cohort.items()
    ]
    return tuple(sorted(groups, key=_rank_of_group))


def _rank_of_group(group: LeaderGroup) -> tuple[object, ...]:
    # A named shape can be compared with other people's; a route's own prompt with nobody's.
    return (not group.shape, -len(group.rows), cap_of(group.cohort) or 0, group.cohort)


def _sorted(
    rows: Sequence[LeaderView], order: LeaderOrder, reverse: bool
) -> tuple[LeaderView, ...]:
    by_name = sorted(rows, key=lambda row: row.route, reverse=reverse and order == "name")
    if order == "name":
        return tuple(by_name)
    known = [row for row in by_name if _key(row, order) is not None]
    known.sort(key=lambda row: _key(row, order) or 0.0, reverse=reverse)
    return (*known, *(row for row in by_name if _key(row, order) is None))


def _key(row: LeaderView, order: LeaderOrder) -> float | None:
    match order:
        case "ttft":
            return row.ttft_s.value
        case "speed":
            return None if row.tokens_per_s.value is None else -row.tokens_per_s.value
        case "price":
            return row.price
        case _:
            return row.e2e_s.value
