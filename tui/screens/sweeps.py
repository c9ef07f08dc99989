"""The sweep that somebody began in a cockpit; how it runs beside that: `tui.screens.beside`.

Rule 1. A sweep loads a provider that the run itself probes: its marks say from when to when, so
that whoever reads a verdict of that time knows who else was asking.
Rule 2. The run sends its own probes of that route no more until it is over: they would be load
that no step counts. What was paused before stays so.
Rule 3. What the route suffers of that load calls nobody: it is ours, and on purpose.
"""

from typing import Final

from probes.control.attention import Attention
from probes.control.commands import Pause
from probes.sweeping.source import RunningSweep
from probes.sweeping.views import SweepView
from probes.sweeping.words import load_words
from tui.screens.beside import RunBeside
from tui.session import CockpitSession

_WHO: Final = "sweep"
"""Who the log says has paused the route."""


class SweepDesk(RunBeside[SweepView]):
    """The sweep of one cockpit. What is asked and counted is its session's to do."""

    KIND = "sweep"

    def __init__(self, session: CockpitSession, attention: Attention) -> None:
        """`attention` is whom the run's alerts are held back by."""
        super().__init__(session)
        self._attention = attention
        self._paused = ""
        """The route that is paused until the sweep is over."""

    @property
    def can_sweep(self) -> bool:
        """Whether anything can be asked: nothing can of a recording."""
        return self._session.sweeps is not None

    def propose(self, route: str, words: str = "") -> RunningSweep:
        """Return a sweep that is not begun; its view says what it may cost.

        Args:
            route: the one that is swept.
            words: as they are typed: `by=rate max=64 ttft_p95=1.0`.

        Raises:
            GoalError: it cannot be swept so; the text is for a person.
        """
        source = self._session.sweeps
        if source is None:
            raise AssertionError("asked of a recording")
        return source.propose_typed(route, words)

    def begin(self, sweep: RunningSweep) -> None:
        """Let it ask. Must be called in an event loop, while no other one runs."""
        shown = sweep.view
        most = load_words(shown.most, shown.by)
        self._attention.load(shown.route, shown.cost.seconds)
        wanted = self._session.wanted.routes.get(shown.route)
        if wanted is not None and not wanted.paused:
            self._paused = shown.route
            self._session.command(Pause(paused=True, route=shown.route, who=_WHO))
        self._begin(sweep, f"{shown.route}, up to {most}: its load is ours")

    def _ended(self, shown: SweepView) -> None:
        self._attention.load(shown.route, 0)
        paused, self._paused = self._paused, ""
        wanted = self._session.wanted.routes.get(paused)
        if wanted is not None and wanted.paused:
            self._session.command(Pause(paused=False, route=paused, who=_WHO))
