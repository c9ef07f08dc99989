"""What somebody began that runs beside a cockpit: one of a kind at a time, whichever screen is in
front.

Rule 1. It runs beside everything else, and outlives the screen that it was begun on.
Rule 2. It is begun by whoever has been told what it may cost, and nothing is sent before.
Rule 3. That it began and how it ended are marks on the timeline: they are in the recording.
"""

import asyncio
import contextlib
from typing import Final, Generic, Protocol, TypeVar

from msgspec.structs import replace

from probes.control.commands import MarkTime
from tui.session import CockpitSession

_ENDS_WITHIN_S: Final = 2.0
"""How long the end of the cockpit waits for that of what runs: its engine is gone within one
second."""


class ShownView(Protocol):
    """How something that runs stands."""

    @property
    def is_over(self) -> bool:
        """Whether it asks nothing any more."""
        ...

    @property
    def sentence(self) -> str:
        """What is known."""
        ...


View = TypeVar("View", bound=ShownView)
ViewOut = TypeVar("ViewOut", bound=ShownView, covariant=True)


class Running(Protocol[ViewOut]):
    """What runs, and asks servers."""

    @property
    def view(self) -> ViewOut:
        """How it stands; a new frozen object after each change."""
        ...

    async def run(self) -> None:
        """Ask until it is over, or `stop`; then everything of it is gone."""
        ...

    def stop(self) -> None:
        """End `run` soon, with what is known; may be called twice."""
        ...


class RunBeside(Generic[View]):
    """One kind of what may run beside a cockpit."""

    KIND: str
    """What it is called on the timeline."""

    def __init__(self, session: CockpitSession) -> None:
        self._session = session
        self._latest: Running[View] | None = None
        self._task: asyncio.Task[None] | None = None
        self._broke = ""
        """Why the last one ended otherwise than it should."""
        self.was_seen = True
        """Somebody has looked at how the last one ended."""

    @property
    def view(self) -> View | None:
        """The one that runs or ended last; None before the first."""
        if self._latest is None:
            return None
        shown = self._latest.view
        if self._broke and not shown.is_over:
            return replace(shown, state="failed", sentence=self._broke)  # type: ignore[type-var]
        return shown

    @property
    def is_running(self) -> bool:
        """Whether one asks something."""
        return self._task is not None and not self._task.done()

    def untold(self) -> View | None:
        """Return the one that is to be told of wherever one is: it asks, or has ended and nobody
        has seen how."""
        return None if self.was_seen else self.view

    def _begin(self, latest: Running[View], what: str) -> None:
        """Let it ask. Must be called in an event loop, while no other one runs."""
        self._latest, self._broke, self.was_seen = latest, "", False
        self._mark(f"{self.KIND} begun: {what}")
        # A task of its own, no worker of Textual's: the end of the app would cancel one in the
        # middle of taking its leave.
        self._task = asyncio.get_running_loop().create_task(self._run(latest))

    async def _run(self, latest: Running[View]) -> None:
        try:
            await latest.run()
        except Exception as error:
            self._broke = f"It broke off: {type(error).__name__}: {error}"
        if not latest.view.is_over:
            self._broke = self._broke or "It broke off without a word."
        if (shown := self.view) is not None:
            self._ended(shown)
            self._mark(f"{self.KIND} over: {shown.sentence}")

    def _ended(self, shown: View) -> None:
        """Know that it has: for a kind that has more to do then than to say so."""

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
