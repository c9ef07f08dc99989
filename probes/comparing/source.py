"""Who makes comparisons beside a run, as whoever shows the run sees it."""

from collections.abc import Sequence
from typing import Protocol

from probes.comparing.arms import ArmChange
from probes.comparing.views import ComparisonView


class RunningComparison(Protocol):
    """A controlled comparison beside the run, with an engine of its own."""

    @property
    def view(self) -> ComparisonView:
        """How it stands, with what it may cost before it begins; a new frozen object after each
        change."""
        ...

    async def run(self) -> None:
        """Ask until it knows, its budget ends, or `stop`; then everything of it is gone."""
        ...

    def stop(self) -> None:
        """End `run` soon, with what is known; may be called twice."""
        ...


class ComparisonSource(Protocol):
    """Makes comparisons of a run's routes."""

    def propose(self, routes: Sequence[str], change: ArmChange | None = None) -> RunningComparison:
        """Return a comparison that is not begun: its view says what it may cost.

        Args:
            routes: two to four names, the first is what the others are compared with; one name
                with a `change`.
            change: the one thing that differs between two arms of one route.

        Raises:
            ArmError: they cannot be compared so; the text is for a person.
        """
        ...
