"""What a run needs of the ledger that it shares with others, and what every such ledger promises.

1. What was handed out counts as spent until its run says otherwise, whatever becomes of the run.
2. An answer is all or nothing: where a ledger raises, nothing of the question was taken.
3. What is told is counted once, also where an answer was lost on its way.
4. Nothing new is handed out before all is told that was spent.

There are two: the file of this machine (`Ledger`, whose calls block: `LedgerAside` makes them in a
thread), and the one on a bus, for several places (`BusLedger`).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

import anyio
from anyio import to_thread

from probes.config import Budget, Route
from probes.events import DoubtKind
from probes.money.lease_rules import Ask, Grant
from probes.money.ledger import Ledger
from probes.money.ledger_file import LedgerError

ANSWER_S: Final = 10.0
"""A call that takes longer, on a disk that hangs, is given up."""
STRIKES: Final = 2
"""So many failures in a row before the emergency is declared: one may be others that write."""
_Result = TypeVar("_Result")


class SharedLedger(Protocol):
    """A ledger that several runs share. What may take long raises LedgerError where it fails."""

    @property
    def doubt(self) -> str:
        """Why less than the budgets may be spent; empty where that is not so."""
        ...

    @property
    def doubt_kind(self) -> DoubtKind:
        """Of what kind that is; it says nothing where there is none."""
        ...

    def take_news(self) -> list[str]:
        """Return, once, what a person should know of it."""
        ...

    def introduce(self, routes: Iterable[Route]) -> None:
        """Learn what people call routes."""
        ...

    def attribute(self, run: str, recording: str) -> None:
        """Learn which recording tells what a run of this process spends."""
        ...

    async def exchange(
        self, run: str, asks: Sequence[Ask], budget: Budget, *, engine: int = 0
    ) -> dict[str, Grant]:
        """Settle what an engine of a run has spent, top its leases up, return them by route key.

        Under `OVERALL` stand the sums of all routes: of its leases, and of all runs' use.
        """
        ...

    async def release(self, run: str) -> None:
        """Free what a run that ends in order has not spent."""
        ...

    async def lift(self) -> None:
        """End a doubt for all who share it: from now on what is known counts as all there is."""
        ...


class LedgerAside:
    """A ledger whose calls block: each is made in a thread, with a bound."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the ledger; whoever made it closes it."""
        self._ledger = ledger
        self.take_news = ledger.take_news
        self.introduce = ledger.introduce
        self.attribute = ledger.attribute

    @property
    def doubt(self) -> str:
        """Why, when it was last asked, the emergency part alone could be spent; else empty."""
        return self._ledger.doubt

    @property
    def doubt_kind(self) -> DoubtKind:
        """The one that a file can have: what it knew is lost."""
        return "unknown"

    async def exchange(
        self, run: str, asks: Sequence[Ask], budget: Budget, *, engine: int = 0
    ) -> dict[str, Grant]:
        """Settle and top up, as the ledger does."""
        return await in_a_thread(lambda: self._ledger.exchange(run, asks, budget, engine=engine))

    async def release(self, run: str) -> None:
        """Free what a run that ends in order has not spent."""
        await in_a_thread(lambda: self._ledger.release(run))

    async def lift(self) -> None:
        """End a doubt."""
        await in_a_thread(self._ledger.lift)


async def in_a_thread(work: Callable[[], _Result]) -> _Result:
    """Do what blocks in a thread, with a bound: a disk may hang. Raises LedgerError."""
    with anyio.move_on_after(ANSWER_S, shield=True):
        return await to_thread.run_sync(work, abandon_on_cancel=True)
    raise LedgerError(f"the spending ledger has not answered for {ANSWER_S:g} s")
