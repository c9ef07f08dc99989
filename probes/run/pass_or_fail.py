"""What a run ends with where it was asked to pass or fail: by its goals, by its incidents.

Rule: everything that is wrong is said, and the first of these is the status: a goal that was
missed, goals of which nothing is known, an incident that was named.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from probes.board.goals import goals_remarks, goals_status
from probes.events import Event
from probes.kit.exit_status import ExitStatus
from probes.run.incidents import RunIncidents, incident_remarks, incidents_status


class PassOrFail:
    """Judges a run at its end, with a screen and without one; a sink until then."""

    def __init__(self, *, on_goals: bool, on_incident: bool) -> None:
        """Judge by what was asked for: `--fail-on-goals`, `--fail-on-incident`."""
        self._on_goals = on_goals
        self._on_incident = on_incident
        self._log = RunIncidents()

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Take a batch."""
        if self._on_incident:
            self._log.receive(events, lines)

    def status(
        self,
        summary: Mapping[str, Mapping[str, Any]],
        report: Callable[[Iterable[str]], object],
    ) -> ExitStatus:
        """Return the status of a run of this summary; `report` takes why, a line each."""
        found = ExitStatus.OK
        if self._on_goals:
            report(goals_remarks(summary))
            found = goals_status(summary)
        if self._on_incident:
            report(incident_remarks(self._log))
            found = found or incidents_status(self._log)
        return found
