"""The alerts of a run, as they are told by the stream.

Rule 1: an alert is its `firing` and its `over` event, by one id. Nothing is judged here, and who
has seen an alert is no part of the run: that is the cockpit's to know.
"""

from typing import Final

import msgspec

from probes.board.views import AlertView
from probes.events import Alert

_KEPT: Final = 200
"""The newest. What has been over for so many others is found in the report."""


class AlertLog:
    """The alerts of one run, newest first."""

    __slots__ = ("_alerts", "_view")

    def __init__(self) -> None:
        self._alerts: dict[str, AlertView] = {}
        """By id, oldest first."""
        self._view: tuple[AlertView, ...] | None = ()

    def view(self) -> tuple[AlertView, ...]:
        """Return them all: the same object until one changes."""
        if self._view is None:
            self._view = tuple(reversed(self._alerts.values()))
        return self._view

    def alerted(self, event: Alert) -> bool:
        """Take an event; return whether it is news."""
        known = self._alerts.get(event.id)
        if event.state == "firing" and known is None:
            if len(self._alerts) >= _KEPT:
                del self._alerts[next(iter(self._alerts))]
            self._alerts[event.id] = AlertView(event)
        elif event.state == "over" and known is not None and known.over is None:
            self._alerts[event.id] = msgspec.structs.replace(known, over=event)
        else:
            return False
        self._view = None
        return True
