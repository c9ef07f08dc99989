"""What the keys of alerts do on a live screen.

Rule 1. Alerts are those of now, whatever moment is shown.
Rule 2. Who acknowledges one puts that on record, once. Muting one acknowledges it.
"""

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from probes.board.views import Snapshot
from probes.control.commands import MarkTime
from probes.events import Alert
from probes.events.diagnosis_words import who_words
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import time_of_day
from tui.keys import key_or_label
from tui.screens.alert_list import AlertList

if TYPE_CHECKING:
    from tui.screens.live import LiveScreen

_LINE_LIMIT: Final = 200
"""Characters of an alert's text in a notice."""


def list_alerts(screen: "LiveScreen") -> None:
    """Show the list; who chooses one goes to the page of its route, at the moment it began."""

    def listed() -> Snapshot:
        mask = screen.mask()
        now = screen.cockpit.frames.present()
        return now if mask is None else mask.snapshot(now)

    def acknowledge(found: str) -> Alert | None:
        alert = _alert(screen, found)
        if alert is not None:
            _acknowledge(screen, alert)
        return alert

    screen.app.push_screen(
        AlertList(listed, screen.cockpit.desk, acknowledge, lambda found: _mute(screen, found)),
        lambda found: _go_to(screen, found),
    )


def acknowledge_newest(screen: "LiveScreen") -> None:
    """Acknowledge the newest alert that fires; where none is left, mute the last one."""
    desk = screen.cockpit.desk
    alert = desk.newest(screen.cockpit.frames.present().alerts)
    if alert is not None:
        _acknowledge(screen, alert)
        key = key_or_label("acknowledge", screen.view.keys)
        names = who_words([screen.called(name) for name in alert.routes]) or "it"
        text = neutralise(alert.text, _LINE_LIMIT)
        screen.notify(f"Acknowledged; {key} again mutes {names} for an hour. {text}")
    elif (muted := desk.mute_last()) is not None:
        _tell_mute(screen, muted)
    else:
        screen.notify("No alert is left to acknowledge.")


def _acknowledge(screen: "LiveScreen", alert: Alert) -> None:
    desk = screen.cockpit.desk
    if alert.id not in desk.acknowledged:
        screen.send(MarkTime(text=f"acknowledged: {alert.text}"))
    desk.take(alert)
    screen.look(replace(screen.view, acknowledged=desk.acknowledged))


def _mute(screen: "LiveScreen", found: str) -> None:
    alert, desk = _alert(screen, found), screen.cockpit.desk
    if alert is None:
        return
    if desk.muted_until_ns(alert) is not None:
        desk.unmute(alert)
        return
    _acknowledge(screen, alert)
    desk.mute(alert)
    _tell_mute(screen, alert)


def _tell_mute(screen: "LiveScreen", alert: Alert) -> None:
    until_ns = screen.cockpit.desk.muted_until_ns(alert)
    if until_ns is not None:
        names = who_words([screen.called(name) for name in alert.routes])
        screen.notify(f"{names}: muted until {time_of_day(until_ns, 0)[:5]}.")


def _alert(screen: "LiveScreen", found: str) -> Alert | None:
    alerts = screen.cockpit.frames.present().alerts
    return next((one.alert for one in alerts if one.alert.id == found), None)


def _go_to(screen: "LiveScreen", found: str | None) -> None:
    alert = None if found is None else _alert(screen, found)
    if alert is None:
        return
    travel = screen.cockpit.travel
    if travel.can_go_back:
        screen.go_where(travel.want(alert.since_ns))
    name = alert.harm.route or next(iter(alert.routes), "")
    if name:
        screen.go_to(name)
