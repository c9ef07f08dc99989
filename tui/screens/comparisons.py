"""The comparison that somebody began in a cockpit; it runs beside that: `tui.screens.beside`."""

from collections.abc import Sequence

from probes.comparing.arms import ArmChange
from probes.comparing.source import RunningComparison
from probes.comparing.views import ComparisonView
from tui.screens.beside import RunBeside


class ComparisonDesk(RunBeside[ComparisonView]):
    """The comparison of one cockpit. What is asked and counted is its session's to do."""

    KIND = "comparison"

    @property
    def can_compare(self) -> bool:
        """Whether anything can be asked: nothing can of a recording."""
        return self._session.comparisons is not None

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
        self._begin(comparison, " against ".join(arm.name for arm in comparison.view.arms))
