"""The list of alerts: what fires and what is over, newest first; who has seen it, what is muted."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from probes.board.views import Snapshot
from probes.events import Alert
from probes.kit.clock import seconds
from probes.kit.sanitise import neutralise
from tui.draw.text import Line, Role, Span, clip, lasting, time_of_day
from tui.panes.header import FIRES
from tui.screens.alert_desk import AlertDesk
from tui.screens.list_menu import ListMenu, ListPage

_AGAIN_S: Final = 1.0
"""Alerts come, and get older, while the list is open."""
_TEXT_LIMIT: Final = 400
NOBODY: Final = "Nothing in this run was for anybody to know at once."

SEEN: Final[Span] = ("⚐", "slow")
OVER: Final[Span] = ("✓", "good")


def alert_lines(snapshot: Snapshot, desk: AlertDesk, width: int, at: int) -> list[Line]:
    """Return two lines for each alert of a frame; `at` is the cursor's.

    Names may be masked in the frame: the desk knows alerts by their ids.
    """
    if not snapshot.alerts:
        return [clip(((NOBODY, "dim"),), width)]
    lines: list[Line] = []
    for number, view in enumerate(snapshot.alerts):
        alert, over, is_here = view.alert, view.over, number == at
        seen = alert.id in desk.acknowledged
        glyph = OVER if over is not None else SEEN if seen else FIRES
        word = "over" if over is not None else "firing"
        since_ns = (over or alert).since_ns
        ended_ns = snapshot.now_ns if over is None else over.ended_ns or over.at_ns
        since = time_of_day(since_ns, snapshot.wall_anchor_ns)
        notes = "  acknowledged" if seen else ""
        until_ns = desk.muted_until_ns(alert)
        if until_ns is not None:
            notes += f"  muted until {time_of_day(until_ns, 0)[:5]}"
        lasted = lasting(seconds(max(0, ended_ns - since_ns)))
        head: Line = (
            ("▸" if is_here else " ", "accent"),
            glyph,
            (f" {word:6}  {since}  {lasted:>6}", "title" if is_here else "text"),
            (f"  {alert.kind}", "dim"),
            (notes, "dim"),
        )
        said = neutralise((over or alert).text, _TEXT_LIMIT)
        role: Role = "dim" if over is not None or seen else "text"
        lines += [clip(head, width), clip(((f"   {said}", role),), width)]
    return lines


class AlertPage(ListPage):
    """The list's text."""

    ENTRY = 2  # how it stands, and what it says

    def __init__(self, pull: Callable[[], Snapshot], desk: AlertDesk) -> None:
        self.snapshot = pull()
        super().__init__(len(self.snapshot.alerts))
        self._pull = pull
        self._desk = desk

    def alert(self, at: int) -> str | None:
        """Return the id of one; None where there is none."""
        alerts = self.snapshot.alerts
        return alerts[at].alert.id if at < len(alerts) else None

    def refresh_list(self) -> int:
        """Take what there is by now; return where the alert is that the cursor was on."""
        under = self.alert(self.at)
        self.snapshot = self._pull()
        ids = [view.alert.id for view in self.snapshot.alerts]
        self.length = len(ids)
        return ids.index(under) if under in ids else self.at

    def draw(self, width: int) -> Sequence[Line]:
        """Return the list."""
        return alert_lines(self.snapshot, self._desk, width, self.at)


class AlertList(ListMenu[str]):
    """Shows the alerts; is left with the id of the one to go to, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "dismiss", show=False),
        Binding("g", "edge(0)", show=False, priority=True),
        Binding("G", "edge(-1)", show=False, priority=True),
        Binding("A,space", "acknowledge", show=False),
        Binding("m", "mute", show=False),
    ]
    DEFAULT_CSS = """
    AlertList VerticalScroll { max-width: 120; }
    """

    def __init__(
        self,
        pull: Callable[[], Snapshot],
        desk: AlertDesk,
        acknowledge: Callable[[str], Alert | None],
        mute: Callable[[str], object],
    ) -> None:
        """Begin with the newest; `acknowledge` and `mute` take the id of an alert."""
        page = AlertPage(pull, desk)
        super().__init__(page, "alerts", "⏎ go there · A acknowledge · m mute for an hour · Esc")
        self._list = page
        self._acknowledge = acknowledge
        self._mute = mute

    def chosen(self, at: int) -> str | None:
        """Return the id of an alert."""
        return self._list.alert(at)

    def on_mount(self) -> None:
        """Keep the list as it is by now."""
        self.call_after_refresh(self._again)
        self.set_interval(_AGAIN_S, self._again)

    def _again(self) -> None:
        self.go_to(self._list.refresh_list())
        alerts = self._list.snapshot.alerts
        firing = sum(view.over is None for view in alerts)
        title = f"alerts · {firing} of {len(alerts)} firing" if alerts else "alerts"
        self.query_one(VerticalScroll).border_title = title

    def action_acknowledge(self) -> None:
        """Acknowledge what the cursor is on."""
        self._do(self._acknowledge)

    def action_mute(self) -> None:
        """Mute its routes for an hour, or let them call again."""
        self._do(self._mute)

    def _do(self, what: Callable[[str], object]) -> None:
        if (found := self.chosen(self.lines.at)) is not None:
            what(found)
            self._again()
