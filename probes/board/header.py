"""The header strip: all routes together, the budgets, and the observer's own health."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from probes.board.lanes import SlotTokens
from probes.board.throttles import short_number
from probes.board.views import HURT_STATES, HeaderView, RouteView
from probes.events import Batch, BudgetState, ClockSource, Health, Tick
from probes.kit.clock import NS_PER_S
from probes.stats.tally import Tally

_NOTICES_KEPT: Final = 20
"""What a person reads back at once."""
_DROPS_SHOWN_NS: Final = 60 * NS_PER_S
"""A lane keeps a minute of cells: for so long a gap in them may be seen."""
_ARRIVAL_NS: Final = 5 * NS_PER_S
"""Over how long the live tokens/s is taken: short enough to be seen move, and still readable."""
_SLOTS_KEPT: Final = 4096
"""80 routes' slots of 100 ms over that time."""


_NO_ROUTES: Final = RouteView(name="", state="starting")


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
    """What the header needs beside the routes."""

    __slots__ = (
        "_arrivals",
        "_batch_ns",
        "_budgets",
        "_dropped_ns",
        "_health",
        "_notices",
        "clock",
    )

    def __init__(self) -> None:
        self.clock: ClockSource = "user"
        self._health: Health | None = None
        self._batch_ns: int | None = None
        """When the last batch came; None in a replay, which has none."""
        self._dropped_ns: int | None = None
        """When the engine last said that it had dropped transient events."""
        self._budgets: tuple[BudgetState, ...] = ()
        self._notices: deque[str] = deque(maxlen=_NOTICES_KEPT)
        self._arrivals: deque[tuple[int, SlotTokens]] = deque(maxlen=_SLOTS_KEPT)
        """Output by the stamp of its 100 ms slot."""

    def ticked(self, event: Tick) -> None:
        """Take health and budgets."""
        self._note_health(event.health, event.at_ns)
        self._budgets = event.budgets

    def batched(self, event: Batch) -> bool:
        """Take the health of a batch; return whether more changed than its timings."""
        before = self._health
        self._note_health(event.health, event.at_ns)
        self._batch_ns = event.at_ns
        return before is None or _at_once(before) != _at_once(event.health)

    def arrived(self, at_ns: int, written: SlotTokens) -> None:
        """Count the output of one slot of one route for the live tokens/s."""
        self._arrivals.append((at_ns, written))
        while self._arrivals and self._arrivals[0][0] < at_ns - _ARRIVAL_NS:
            self._arrivals.popleft()

    def note(self, text: str) -> None:
        """Keep a notice; the newest 20 are shown."""
        self._notices.append(text)

    def view(
        self,
        rows: Sequence[RouteView],
        whole: RouteView | None,
        counts: Tally,
        counted: Sequence[tuple[Tally, float]],
        origin_ns: int,
        now_ns: int,
    ) -> HeaderView:
        """Return the strip over the routes of a frame.

        Its rates are those of the table's totals, `whole`, and so the sums of the rows, as are its
        `counts`; `counted` is what each route has counted, and in how many seconds.
        """
        elapsed_s = max(0, now_ns - origin_ns) / NS_PER_S
        tokens, estimated = self._tokens_per_s(counted, elapsed_s, now_ns)
        worst = max(self._budgets, key=budget_share, default=None)
        health, rates = self._health or Health(), whole or _NO_ROUTES
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
            budget_text="" if worst is None else budget_text(worst),
            budget_doubt=next((one.doubt for one in self._budgets if one.doubt), ""),
            loop_lag_p99_s=health.loop_lag_p99_ns / NS_PER_S,
            loop_lag_max_s=health.loop_lag_max_ns / NS_PER_S,
            engine_cpu=health.busiest_cpu_share or health.cpu_share,
            drops=health.drops,
            drops_shown=self._dropped_ns is not None
            and now_ns - self._dropped_ns < _DROPS_SHOWN_NS,
            inexact_share=health.inexact_share,
            reads_per_s=health.reads_per_s,
            short_of=health.short_of,
            clock=self.clock,
            last_batch_ns=self._batch_ns,
            notices=tuple(self._notices),
        )

    def _note_health(self, health: Health, at_ns: int) -> None:
        # A new engine counts from zero: what is fewer than before is all its own.
        before = self._health.drops if self._health is not None else 0
        if health.drops > (before if health.drops >= before else 0):
            self._dropped_ns = at_ns
        self._health = health
        self.clock = health.clock

    def _tokens_per_s(
        self, counted: Sequence[tuple[Tally, float]], elapsed_s: float, now_ns: int
    ) -> tuple[float, bool]:
        """Live from what arrived; in a replay, without batches, from what the attempts counted."""
        if self._batch_ns is None or self._batch_ns < now_ns - _ARRIVAL_NS:
            estimated = any(tally.token_estimates or tally.guessed_tokens for tally, _ in counted)
            rates = ((tally.output_tokens + tally.guessed_tokens) / s for tally, s in counted)
            return sum(rates), estimated
        since = now_ns - _ARRIVAL_NS
        recent = [written for at_ns, written in self._arrivals if at_ns >= since]
        lasted = min(_ARRIVAL_NS / NS_PER_S, max(1.0, elapsed_s))
        estimated = not recent or any(written.estimated for written in recent)
        return sum(written.tokens for written in recent) / lasted, estimated


def _well_since_ns(rows: Sequence[RouteView]) -> int | None:
    """Return since when all routes are well but those that are paused; None while one is not."""
    probed = [row for row in rows if row.state != "paused"]
    if any(row.state != "ok" for row in probed):
        return None
    return max((row.since_ns for row in probed if row.since_ns is not None), default=None)


def _at_once(health: Health) -> tuple[int, str]:
    """Return what of the health is shown at once, and not with the next second's figures."""
    return health.drops, health.short_of
