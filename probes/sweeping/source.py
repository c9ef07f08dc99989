"""Who makes sweeps beside a run, as whoever shows the run sees it."""

from typing import Protocol

from probes.sweeping.views import SweepView


class RunningSweep(Protocol):
    """A sweep beside the run, with an engine of its own."""

    @property
    def view(self) -> SweepView:
        """How it stands, with what it may cost before it begins; a new frozen object after each
        change."""
        ...

    async def run(self) -> None:
        """Ask until it knows, its budget ends, or `stop`; then everything of it is gone."""
        ...

    def stop(self) -> None:
        """End `run` soon, with what is known; may be called twice."""
        ...


class SweepSource(Protocol):
    """Makes sweeps of a run's routes."""

    def propose_typed(self, route: str, words: str) -> RunningSweep:
        """Return a sweep that is not begun: its view says what it may cost.

        Args:
            route: its name.
            words: what was typed after it: `by=rate max=64 ttft_p95=1.0`; empty for the usual.

        Raises:
            GoalError: it cannot be swept so; the text is for a person.
        """
        ...
