"""Who must know, in one cockpit: what has been told, who has seen it, and what is muted.

Rule 1: an alert calls once, when it begins to fire: the bell, and a notification; that it is over
is a notification alone.
Rule 2: an acknowledged alert calms the header; what is muted calls nobody (`AlertCalls`).
Rule 3: nothing of this is part of the run: what somebody acknowledges is put on record as a mark.
Rule 4: only what happens now calls. A recording that is looked at tells nobody anything.
"""

from collections.abc import Callable, Sequence
from typing import Final

from probes.board.views import AlertView
from probes.control.attention import AlertCalls, Attention
from probes.events import Alert, Event
from probes.kit.clock import Clock
from probes.kit.short_figures import counted
from tui.terminal.capabilities import NotifiesBy
from tui.terminal.driver import Terminal
from tui.terminal.notifications import BELL, notification

_AT_ONCE: Final = 3
"""Notifications of one moment; of more the first is told, and how many there are."""


class AlertDesk:
    """Takes the alerts of a run, and what somebody does about them."""

    def __init__(
        self,
        clock: Clock,
        *,
        bell: bool = True,
        notifies_by: NotifiesBy = "",
        in_tmux: bool = False,
        attention: Attention | None = None,
    ) -> None:
        """`attention` is the run's own, where others are told its alerts, too."""
        self._attention = attention or Attention(clock)
        self._calls = AlertCalls(self._attention)
        self._bell = bell
        self._by = notifies_by
        self._in_tmux = in_tmux
        self._terminal: Terminal | None = None
        self._worded: Callable[[str], str] = str
        self._last: Alert | None = None
        """The one that was acknowledged last."""

    @property
    def attention(self) -> Attention:
        """What is acknowledged and muted, for whoever loads a route on purpose."""
        return self._attention

    def attach(self, terminal: Terminal | None, worded: Callable[[str], str]) -> None:
        """Take the terminal that calls, if there is one, and what masks names while they are."""
        self._terminal, self._worded = terminal, worded

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Take a batch of the run as it happens."""
        self._call(self._calls.due(event for event in events if isinstance(event, Alert)))

    def _call(self, alerts: list[Alert]) -> None:
        if self._terminal is None or not alerts:
            return
        texts = [alert.text for alert in alerts]
        if len(texts) > _AT_ONCE:
            texts = [f"{counted(len(texts), 'alert')}: {texts[0]}"]
        told = "".join(
            notification(self._worded(text), self._by, in_tmux=self._in_tmux) for text in texts
        )
        rings = self._bell and any(alert.state == "firing" for alert in alerts)
        if out := told + (BELL if rings else ""):
            self._terminal.write(out)

    # What somebody does.

    @property
    def acknowledged(self) -> frozenset[str]:
        """Ids of the alerts that somebody has seen."""
        return self._attention.acknowledged

    def newest(self, alerts: Sequence[AlertView]) -> Alert | None:
        """Return the first of `alerts`, newest first, that fires and nobody has acknowledged; None
        where there is none."""
        return next(
            (
                view.alert
                for view in alerts
                if view.over is None and view.alert.id not in self.acknowledged
            ),
            None,
        )

    def take(self, alert: Alert) -> None:
        """Acknowledge an alert."""
        self._attention.acknowledge(alert)
        self._last = alert

    def mute_last(self) -> Alert | None:
        """Mute the routes of the alert that was acknowledged last; return that, None where there is
        none or they are muted already."""
        alert, self._last = self._last, None
        if alert is not None:
            self.mute(alert)
        return alert

    def mute(self, alert: Alert) -> None:
        """Let the routes of an alert call nobody for an hour."""
        self._attention.mute(alert.routes)

    def unmute(self, alert: Alert) -> None:
        """Let them call again."""
        self._attention.unmute(alert.routes)

    def muted_until_ns(self, alert: Alert) -> int | None:
        """Return until when all routes of an alert are muted, as Unix ns; None where one is not."""
        return self._attention.muted_until_ns(alert)
