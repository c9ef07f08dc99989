"""The comparison that somebody began in a cockpit: one at a time, whichever screen is in front.

Rule 1. It runs beside everything else, and outlives the screen that it was begun on.
Rule 2. It is begun by whoever has been told what it may cost, and nothing is sent before.
Rule 3. That it began and how it ended are marks on the timeline: they are in the recording.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from probes.comparing.arms import ArmChange
from probes.comparing.views import ComparisonView
from probes.control.commands import MarkTime
from tui.session import CockpitSession, RunningComparison

_ENDS_WITHIN_S: Final = 2.0
"""How long the end of the cockpit waits for that of a comparison: its engine is gone within one
second."""


class ComparisonDesk:
    """The comparison of one cockpit. What is asked and counted is its session's to do."""

    def __init__(self, session: CockpitSession) -> None:
        self._session = session
        self._latest: RunningComparison | None = None
        self._task: asyncio.Task[None] | None = None
        self._broke = ""
        """Why the last one ended otherwise than a comparison does."""
        self.was_seen = True
        """Somebody has looked at how the last one ended."""

    @property
    def can_compare(self) -> bool:
        """Whether anything can be asked: nothing can of a recording."""
        return self._session.comparisons is not None

    @property
    def view(self) -> ComparisonView | None:
        """The comparison that runs or ended last; None before the first."""
        if self._latest is None:
            return None
        shown = self._latest.view
        if self._broke and not shown.is_over:
            return replace(shown, state="failed", sentence=self._broke)
        return shown

    @property
    def is_running(self) -> bool:
        """Whether one asks something."""
        return self._task is not None and not self._task.done()

    def untold(self) -> ComparisonView | None:
        """Return the comparison that is to be told of wherever one is: it asks, or has ended and
        nobody has seen how."""
        return None if self.was_seen else self.view

    def propose(self, routes: Sequence[str], change: ArmChange | None) -> RunningComparison:
        """Return a comparison that is not begun; its view says what it may cost.

        Raises:
            ArmError: these cannot be compared.
        """
        source = self._session.comparisons
        if source is None:
            raise AssertionError("asked of a recording")
        return source.propose(routes, change)

    def begin(self, comparison: RunningComparison) -> None:
        """Let it ask. Must be called in an event loop, while no other one runs."""
        self._latest, self._broke, self.was_seen = comparison, "", False
        names = " against ".join(arm.name for arm in comparison.view.arms)
        self._mark(f"comparison begun: {names}")
        # A task of its own, no worker of Textual's: the end of the app would cancel one in the
        # middle of taking its leave.
        self._task = asyncio.get_running_loop().create_task(self._run(comparison))

    async def _run(self, comparison: RunningComparison) -> None:
        try:
            await comparison.run()
        except Exception as error:
            self._broke = f"It broke off: {type(error).__name__}: {error}"
        if not comparison.view.is_over:
            self._broke = self._broke or "It broke off without a word."
        if (shown := self.view) is not None:
            self._mark(f"comparison over: {shown.sentence}")

    def _mark(self, text: str) -> None:
        self._session.command(MarkTime(text=text))

    def stop(self) -> None:
        """Have it ask nothing more; what is known by then stands."""
        if self._latest is not None and self.is_running:
            self._latest.stop()

    async def close(self) -> None:
        """End it, and return when it has gone."""
        task = self._task
        if task is None or task.done():
            return
        self.stop()
        await asyncio.wait((task,), timeout=_ENDS_WITHIN_S)
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
