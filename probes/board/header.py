"""The header strip: all routes together, the budgets, and the observer's own health.

Of several places what is shown of budgets and health is that of the worst, with its name.
"""

from collections import deque
from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from probes.board.place import ARRIVAL_NS, PlaceBoard
from probes.board.throttles import short_number
from probes.board.views import HURT_STATES, HeaderView, RouteView
from probes.events import BudgetState, DoubtKind, Health
from probes.kit.clock import NS_PER_S
from probes.stats.tally import Tally

_NOTICES_KEPT: Final = 20
"""What a person reads back at once."""

_DOUBTS: Final[tuple[DoubtKind, ...]] = ("away", "unknown", "new")
"""The worst first: nobody can end that one."""
_NO_ROUTES: Final = RouteView(name="", state="starting")
_NO_HEALTH: Final = Health()
_NAME: Final = attrgetter("name")


class Counted(NamedTuple):
    """What one route has counted in a window."""

    place: PlaceBoard
    tally: Tally
    window_s: float
    """Seconds that the window truly covered."""


def budget_share(budget: BudgetState) -> float:
    """Return the share used of a budget: of tokens or of money, whichever is nearer its end."""
    return max(_shares(budget))


def budget_text(budget: BudgetState) -> str:
    """Return what is used of a budget, such as `412k of 2M tok/h`."""
    tokens, usd = _shares(budget)
    used = f"{short_number(budget.used_tokens)} of {short_number(budget.limit_tokens)} tok/h"
    if usd > tokens:
        used = f"${budget.used_usd:.2f} of ${budget.limit_usd:.2f}/h"
    return f"{budget.route}: {used}" if budget.route else used


def _shares(budget: BudgetState) -> tuple[float, float]:
    """Return the shares used of the tokens and of the USD; 0 of what has no limit."""
    return (
        budget.used_tokens / budget.limit_tokens if budget.limit_tokens else 0.0,
        budget.used_usd / budget.limit_usd if budget.limit_usd else 0.0,
    )


class Header:
    """What the header needs beside routes and places."""

    __slots__ = ("_notices",)

    def __init__(self) -> None:
        self._notices: deque[str] = deque(maxlen=_NOTICES_KEPT)

    def note(self, text: str) -> None:
        """Keep a notice; the newest 20 are shown."""
        self._notices.append(text)

    def view(
        self,
        rows: Sequence[RouteView],
        whole: RouteView | None,
        counts: Tally,
        counted: Sequence[Counted],
        places: Collection[PlaceBoard],
        origin_ns: int,
        now_ns: int,
    ) -> HeaderView:
        """Return the strip over the routes of a frame.

        Its rates are those of the table's totals, `whole`, and so the sums of the rows, as are its
        `counts`; `counted` is what each route has counted, and in how many seconds.
        """
        elapsed_s = max(0, now_ns - origin_ns) / NS_PER_S
        named = sorted((place for place in places if place.name), key=_NAME)
        tokens, estimated = _tokens_per_s(counted, places, elapsed_s)
        # What a place said last that is not heard, nobody knows of by now.
        heard = [place for place in places if place.is_heard] or list(places)
        budgets = [(budget, place.name) for place in heard for budget in place.budgets]
        worst, worst_at = max(budgets, key=lambda one: budget_share(one[0]), default=(None, ""))
        doubt, doubt_kind = _doubt([one for one in budgets if one[0].doubt])
        badly = max(heard, key=_trouble)
        health, rates = badly.health or _NO_HEALTH, whole or _NO_ROUTES
        batches = [place.batch_ns for place in places if place.batch_ns is not None]
        return HeaderView(
            elapsed_s=elapsed_s,
            routes=len(rows),
            in_flight=rates.in_flight,
            probes_per_min=rates.probes_per_min,
            tokens_per_s=tokens,
            tokens_estimated=estimated,
            finished=counts.finished,
            failed=counts.failures,
            throttled=counts.throttled,
            retries=counts.retries,
            good_share=rates.goodput,
            hurt=sum(row.state in HURT_STATES for row in rows),
            well_since_ns=_well_since_ns(rows),
            throttled_per_min=rates.throttled_per_min,
            retries_per_min=rates.retries_per_min,
            failures_per_min=rates.failures_per_min,
            usd_per_hour=rates.usd_per_hour,
            budget_share=None if worst is None else budget_share(worst),
            budget_text="" if worst is None else _of_place(budget_text(worst), worst_at),
            budget_doubt=doubt,
            budget_doubt_kind=doubt_kind,
            loop_lag_p99_s=health.loop_lag_p99_ns / NS_PER_S,
            loop_lag_max_s=health.loop_lag_max_ns / NS_PER_S,
            engine_cpu=_cpu_share(health),
            drops=sum(place.health.drops for place in places if place.health is not None),
            drops_shown=any(place.drops_shown for place in places),
            inexact_share=health.inexact_share,
            reads_per_s=health.reads_per_s,
            short_of=health.short_of,
            clock=badly.clock,
            observer_place=badly.name,
            places=tuple([place.view(now_ns) for place in named]),
            last_batch_ns=max(batches, default=None),
            notices=tuple(self._notices),
        )


def _doubt(doubted: Sequence[tuple[BudgetState, str]]) -> tuple[str, DoubtKind]:
    """Return what is in doubt of the budgets, and of what kind: of several the one that is worst,
    and at how many places it is so."""
    if not doubted:
        return "", "unknown"
    worst = min((budget.doubt_kind for budget, _ in doubted), key=_DOUBTS.index)
    (first, at), *others = [one for one in doubted if one[0].doubt_kind == worst]
    if worst == "new":
        return first.doubt, worst  # it is one book that all share
    more = f" and {len(others)} more" if others else ""
    return _of_place(first.doubt, at + more), worst


def _of_place(text: str, place: str) -> str:
    return f"{place}: {text}" if place and text else text


def _cpu_share(health: Health) -> float:
    return health.busiest_cpu_share or health.cpu_share


def _trouble(place: PlaceBoard) -> tuple[bool, float, float, float]:
    """Return how little the figures of a place can be trusted, in the order in which it matters:
    what is not sent is no reading at all, and all else makes one wrong by about so much."""
    health = place.health
    if health is None:
        return (False, -1.0, 0.0, 0.0)  # it has said nothing yet
    is_short = bool(health.short_of)
    return (is_short, health.loop_lag_p99_ns, health.inexact_share, _cpu_share(health))


def _tokens_per_s(
    counted: Sequence[Counted], places: Collection[PlaceBoard], elapsed_s: float
) -> tuple[float, bool]:
    """Live from what arrived; of a place without batches, as in a replay, from what the attempts
    counted."""
    live = [place for place in places if place.is_live]
    rates: list[float] = []
    estimated = False
    lasted = min(ARRIVAL_NS / NS_PER_S, max(1.0, elapsed_s))
    for place in live:
        recent = place.recent_output()
        estimated = estimated or not recent or any(written.estimated for written in recent)
        rates.append(sum(written.tokens for written in recent) / lasted)
    for place, tally, window_s in counted:
        if place not in live:
            estimated = estimated or bool(tally.token_estimates or tally.guessed_tokens)
            rates.append((tally.output_tokens + tally.guessed_tokens) / window_s)
    return sum(rates), estimated


def _well_since_ns(rows: Sequence[RouteView]) -> int | None:
    """Return since when all routes are well but those that are paused; None while one is not."""
    probed = [row for row in rows if row.state != "paused"]
    if any(row.state != "ok" for row in probed):
        return None
    return max((row.since_ns for row in probed if row.since_ns is not None), default=None)
