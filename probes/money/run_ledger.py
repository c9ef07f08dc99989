"""The ledger as the engines of one run have it: the shared one, and another while that fails.

1. A ledger that fails is no new budget. What is spent is carried until it can be settled, the
   ledger is tried again and again, and meanwhile the emergency part of each budget is all that the
   engines may spend together, unless somebody lifts that: then the budgets count from what this
   run knows.
2. What the ledger was told is never told again: a call that is under way is waited for, also by a
   run that is being ended.
3. Money that lies with one engine is another's that waits for it. Engines are served by turns, in
   the order in which they began to wait; who cannot be given enough in its turn is the last again.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import anyio
import msgspec
from anyio import to_thread

from probes.config import Budget, Route
from probes.events import DoubtKind
from probes.kit.clock import NS_PER_S, Clock
from probes.kit.short_figures import counted
from probes.money.lease_rules import OVERALL, Ask, Grant, emergency_part, route_key
from probes.money.ledger import Ledger, is_ours_alone, new_run
from probes.money.ledger_file import LedgerError
from probes.money.shared_ledger import STRIKES, LedgerAside, SharedLedger, in_a_thread

RETRY_S: Final = 5.0
"""Between two tries of a ledger that fails: each may wait for others in its thread for 2 s."""
TURN_S: Final = 1.0
"""So long the others give back for an engine: each must hear of it, obey, and say so."""
NO_GRANT: Final = Grant(tokens=0, usd=0.0, used_tokens=0, used_usd=0.0)
_Amount = TypeVar("_Amount", int, float)


class _Emergency(msgspec.Struct, frozen=True):
    """While the shared ledger fails: a ledger in memory, and what it may give."""

    ledger: Ledger
    budget: Budget
    why: str
    lifted: bool = False


class RunLedger:
    """One run's record in the ledger; each engine has leases of its own in it.

    An engine's lease takes its `turn` for a whole question: from what it tells to what it books.
    """

    def __init__(
        self,
        ledger: Ledger | SharedLedger,
        routes: Sequence[Route],
        budget: Budget,
        *,
        clock: Clock,
        engines: int = 1,
        recording: str = "",
        apart: Path | None = None,
    ) -> None:
        """Begin with nothing leased, for a run of `engines` engines.

        `recording` is the stem of the names of the files that tell what this run spends, `apart`
        the ledger that takes what is left unsettled at the end.
        """
        self.turn = anyio.Lock()
        self.engines = engines
        self._ledger = LedgerAside(ledger) if isinstance(ledger, Ledger) else ledger
        self._routes = tuple(routes)
        # A route that is probed from several places is one route of the budgets.
        self._keys = tuple(dict.fromkeys(map(route_key, routes)))
        self._budget = budget
        self._clock = clock
        self._apart = apart
        self._run = new_run()
        self._emergency: _Emergency | None = None
        self._strikes = 0
        self._retry_ns = 0
        self._lift_wanted = False
        self._known: dict[str, Grant] = {}
        """What the shared ledger last told of each route's use, and of that of all."""
        self._owed: dict[tuple[int, str], Ask] = {}
        """By engine and route: spent while the shared ledger failed, and not yet told to it."""
        self._waiting: dict[str, list[int]] = {}
        """By route key: engines that wait for money, the one to be served next first."""
        self._turn_ns: dict[str, int] = {}
        """Since when that one is the next."""
        self._wake: dict[int, Callable[[], None]] = {}
        self._failure: LedgerError | None = None
        self._news: list[str] = []
        ledger.introduce(routes)
        ledger.attribute(self._run, recording)

    @property
    def budget(self) -> Budget:
        """The budgets that bind now."""
        return self._budget if self._emergency is None else self._emergency.budget

    @property
    def fails(self) -> bool:
        """Whether the shared ledger fails now."""
        return self._emergency is not None

    @property
    def doubt(self) -> str:
        """Why only the emergency part may be spent; empty where that is not so."""
        if self._emergency is not None:
            return "" if self._emergency.lifted else self._emergency.why
        return self._ledger.doubt

    @property
    def doubt_kind(self) -> DoubtKind:
        """Of what kind that is; it says nothing where there is none."""
        return "unknown" if self._emergency is not None else self._ledger.doubt_kind

    def take_news(self) -> list[str]:
        """Return, once, what a person should know of the ledger."""
        news, self._news = [*self._ledger.take_news(), *self._news], []
        return news

    def join(self, engine: int, wake: Callable[[], None]) -> None:
        """Let an engine be woken when money it waits for may have come free."""
        self._wake[engine] = wake

    def wait(self, engine: int, key: str) -> None:
        """Note that an engine waits for money of a route."""
        waiting = self._waiting.setdefault(key, [])
        if not waiting:
            self._turn_ns[key] = self._clock.monotonic_ns()
        if engine not in waiting:
            waiting.append(engine)

    def go_on(self, engine: int, key: str) -> None:
        """Note that an engine waits for money of a route no longer: the next may have the rest."""
        waiting = self._waiting.get(key, [])
        if engine in waiting:
            if waiting[0] == engine:
                self._turn_ns[key] = self._clock.monotonic_ns()
            waiting.remove(engine)
            self.serve_next(key)

    def serve_next(self, key: str) -> None:
        """Wake the engine that is to be served next."""
        waiting = self._waiting.get(key)
        if waiting and waiting[0] in self._wake:
            self._wake[waiting[0]]()

    def end_turn(self, key: str) -> None:
        """Let another engine be served that waits, where the first one could not be for so long."""
        now_ns = self._clock.monotonic_ns()
        waiting = self._waiting.get(key)
        if waiting and now_ns - self._turn_ns[key] >= TURN_S * NS_PER_S:
            waiting.append(waiting.pop(0))
            self._turn_ns[key] = now_ns

    @property
    def somebody_waits(self) -> bool:
        """Whether any engine waits for money of any route."""
        return any(self._waiting.values())

    def is_wanted_elsewhere(self, engine: int, key: str) -> bool:
        """Tell whether another engine is to be served next with money of a route."""
        waiting = self._waiting.get(key, [])
        return bool(waiting) and waiting[0] != engine

    def lift(self) -> None:
        """Let the budgets count from what is known, from the next question on."""
        self._lift_wanted = True

    async def exchange(
        self, engine: int, asks: Sequence[Ask], *, patient: bool = True
    ) -> dict[str, Grant] | None:
        """Settle what an engine has spent, and return its leases by route key, as the ledger does.

        None where the ledger did not answer, and what was granted before holds. Not so without
        `patient`, which an engine that was granted nothing yet cannot be: it must not run without
        a limit.
        """
        if self._lift_wanted:
            await self._lift()
        if self._emergency is None or self._clock.monotonic_ns() >= self._retry_ns:
            grants = await self._ask_shared(engine, asks, patient=patient)
            if grants is not None:
                return grants
        emergency = self._emergency
        if emergency is None:
            return None
        grants = await to_thread.run_sync(
            lambda: emergency.ledger.exchange(self._run, asks, emergency.budget, engine=engine)
        )
        self._owe(engine, asks)
        return grants

    async def settle(self, engine: int, asks: Sequence[Ask]) -> None:
        """Settle an engine's last spending; `close` tells what became of it."""
        if self._failure is None:  # else each engine would wait for it as long as the first
            try:
                await self._tell_shared(engine, asks)
                return
            except LedgerError as error:
                self._failure = error
        self._owe(engine, asks)

    async def close(self) -> None:
        """Free the run's leases, once all its engines have settled.

        What could not be told to the ledger is told to the one apart, and settled from there later.

        Raises:
            LedgerError: the ledger cannot be used; its leases are spent, as a dead run's are.
        """
        if self._emergency is not None:
            self._emergency.ledger.close()
        if self._failure is None:
            try:
                await self._ledger.release(self._run)
                return
            except LedgerError as error:
                self._failure = error
        told = await in_a_thread(self._tell_apart)
        raise LedgerError(f"{self._failure}; {told}") from self._failure

    async def _ask_shared(
        self, engine: int, asks: Sequence[Ask], *, patient: bool
    ) -> dict[str, Grant] | None:
        try:
            grants = await self._tell_shared(engine, asks)
        except LedgerError as error:
            await self._failed(error, patient=patient)
            return None
        self._strikes = 0
        self._known |= grants
        if self._emergency is not None:
            # What each engine owes is told with its own next question.
            self._emergency.ledger.close()
            self._emergency = None
            self._news.append(
                "the spending ledger works again: what was spent meanwhile is settled"
            )
        return grants

    async def _tell_shared(self, engine: int, asks: Sequence[Ask]) -> dict[str, Grant]:
        """Settle with the shared ledger, what is owed to it included. Raises LedgerError."""
        told = [_sum(ask, self._owed.get((engine, ask.route))) for ask in asks]
        # Rule 2.
        with anyio.CancelScope(shield=True):
            grants = await self._ledger.exchange(self._run, told, self._budget, engine=engine)
        for ask in asks:
            self._owed.pop((engine, ask.route), None)
        return grants

    def _owe(self, engine: int, asks: Sequence[Ask]) -> None:
        for ask in asks:
            before = self._owed.get((engine, ask.route))
            self._owed[engine, ask.route] = _sum(
                Ask(ask.route, ask.spent_tokens, ask.spent_usd), before
            )

    async def _failed(self, error: LedgerError, *, patient: bool) -> None:
        self._strikes += 1
        self._retry_ns = self._clock.monotonic_ns() + round(RETRY_S * NS_PER_S)
        if self._emergency is not None or (patient and self._strikes < STRIKES):
            return
        why = f"the spending ledger cannot be used: {error.why}"
        self._emergency = await self._begin_emergency(why, lifted=False)
        part = emergency_part(self._budget)
        self._news.append(
            f"{error}; until it works again all routes may spend"
            f" {counted(part.tokens_per_hour, 'token')}, a route {part.route_tokens_per_hour:,}:"
            " the emergency part of the budget (L in the cockpit lifts that)"
        )

    async def _begin_emergency(self, why: str, *, lifted: bool) -> _Emergency:
        """Return a ledger in memory that knows what this run knows.

        It gives out what is left of the budgets as they were last known, in an emergency no more
        than that part of them.
        """
        ledger, whole = Ledger(None), self._budget
        budget = whole if lifted else emergency_part(whole)
        known: list[Ask] = []
        for key in self._keys:
            tokens, usd = self._used(key)
            known.append(
                Ask(
                    key,
                    _counted(tokens, whole.route_tokens_per_hour, budget.route_tokens_per_hour),
                    _counted(usd, whole.route_usd_per_hour, budget.route_usd_per_hour),
                )
            )
        used_tokens, used_usd = self._used(OVERALL)
        tokens = _counted(used_tokens, whole.tokens_per_hour, budget.tokens_per_hour)
        usd = _counted(used_usd, whole.usd_per_hour, budget.usd_per_hour)
        others = Ask(
            "others",
            max(0, tokens - sum(ask.spent_tokens for ask in known)),
            max(0.0, usd - sum(ask.spent_usd for ask in known)),
        )
        await to_thread.run_sync(ledger.exchange, new_run(), [*known, others], budget)
        return _Emergency(ledger, budget, why, lifted)

    def _used(self, key: str) -> tuple[int, float]:
        """Return what was used in the last hour as far as is known: told by the ledger, or owed."""
        owed = [ask for (_, route), ask in self._owed.items() if key in (route, OVERALL)]
        known = self._known.get(key, NO_GRANT)
        return (
            known.used_tokens + sum(ask.spent_tokens for ask in owed),
            known.used_usd + sum(ask.spent_usd for ask in owed),
        )

    async def _lift(self) -> None:
        self._lift_wanted = False
        emergency = self._emergency
        if emergency is not None and not emergency.lifted:
            emergency.ledger.close()
            self._emergency = await self._begin_emergency(emergency.why, lifted=True)
        elif emergency is None and self._ledger.doubt:
            try:
                await self._ledger.lift()
            except LedgerError as error:
                self._news.append(str(error))
                return
        else:
            return
        self._news.append("the emergency is lifted: the budgets count from what is known")

    def _tell_apart(self) -> str:
        """Leave what was spent where it is settled from later; return how that went."""
        owed = [(engine, ask) for (engine, _), ask in self._owed.items() if _tells(ask)]
        if self._apart is None or not owed:
            return "nothing is left to be settled"
        if not is_ours_alone(self._apart.parent, make=True):
            return f"what was spent meanwhile is lost: {self._apart.parent} is not ours alone"
        apart = Ledger(self._apart)
        try:
            apart.introduce(self._routes)
            for engine, ask in owed:
                apart.exchange(self._run, [ask], self._budget, engine=engine)
            apart.release(self._run)
        except LedgerError as error:
            return f"what was spent meanwhile is lost: {error}"
        finally:
            apart.close()
        return "what was spent meanwhile is counted apart and settled later"


def _tells(ask: Ask) -> bool:
    return bool(ask.spent_tokens or ask.spent_usd)


def _sum(ask: Ask, owed: Ask | None) -> Ask:
    """Return a question that tells of what is owed, too."""
    if owed is None:
        return ask
    return msgspec.structs.replace(
        ask,
        spent_tokens=ask.spent_tokens + owed.spent_tokens,
        spent_usd=ask.spent_usd + owed.spent_usd,
    )


def _counted(known: _Amount, whole: _Amount | None, part: _Amount | None) -> _Amount:
    """Return what must be counted of a part of a budget so that the whole is kept.

    Of the part no more may be left than of the whole; what is known counts against the whole.
    """
    if whole is None or part is None:
        return known
    return max(known - known, part - max(known - known, whole - known))
