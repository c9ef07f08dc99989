"""The list of alerts: what fires and what is over, newest first; who has seen it, what is muted."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Click
from textual.screen import ModalScreen

from probes.board.views import AlertView, Snapshot
from probes.events import Alert
from probes.kit.clock import seconds
from probes.kit.sanitise import neutralise
from tui.draw.text import Line, Role, Span, clip, lasting, time_of_day
from tui.panes.header import FIRES
from tui.screens.alert_desk import AlertDesk
from tui.screens.page import Page

_AGAIN_S: Final = 1.0
"""Alerts come, and get older, while the list is open."""
_TEXT_LIMIT: Final = 400
_ENTRY: Final = 2
"""Lines of an alert: how it stands, and what it says."""
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


class AlertPage(Page):
    """The list's text."""

    def __init__(self, pull: Callable[[], Snapshot], desk: AlertDesk) -> None:
        super().__init__()
        self._pull = pull
        self._desk = desk
        self.snapshot = pull()
        self.at = 0
        self._alert = ""

    @property
    def alerts(self) -> Sequence[AlertView]:
        """What is listed."""
        return self.snapshot.alerts

    def move(self, to: int) -> None:
        """Put the cursor on an alert."""
        self.at = min(max(0, to), max(0, len(self.alerts) - 1))
        self._alert = self.alerts[self.at].alert.id if self.alerts else ""

    def refresh_list(self) -> None:
        """Take what there is by now; the cursor stays on its alert."""
        self.snapshot = self._pull()
        ids = [view.alert.id for view in self.alerts]
        self.move(ids.index(self._alert) if self._alert in ids else self.at)
        self.redraw()

    def draw(self, width: int) -> Sequence[Line]:
        """Return the list."""
        return alert_lines(self.snapshot, self._desk, width, self.at)


class AlertList(ModalScreen[str | None]):
    """Shows the alerts; is left with the id of the one to go to, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,a", "dismiss", show=False),
        Binding("j,down", "move(1)", show=False, priority=True),
        Binding("k,up", "move(-1)", show=False, priority=True),
        Binding("g,home", "edge(0)", show=False, priority=True),
        Binding("G,end", "edge(-1)", show=False, priority=True),
        Binding("A,space", "acknowledge", show=False),
        Binding("m", "mute", show=False),
        Binding("enter", "take", show=False),
    ]
    AUTO_FOCUS = "VerticalScroll"
    DEFAULT_CSS = """
    AlertList { align: center middle; background: $background 60%; }
    AlertList VerticalScroll {
        width: 100%; max-width: 120; height: auto; max-height: 100%;
        background: $background; border: round $border;
        border-title-color: $foreground; border-title-style: bold;
        border-subtitle-color: $foreground 50%; border-subtitle-align: right;
        padding: 0 1; scrollbar-size-vertical: 1;
    }
    """

    def __init__(
        self,
        pull: Callable[[], Snapshot],
        desk: AlertDesk,
        acknowledge: Callable[[str], Alert | None],
        mute: Callable[[str], object],
    ) -> None:
        """Begin with the newest; `acknowledge` and `mute` take the id of an alert."""
        super().__init__()
        self._list = AlertPage(pull, desk)
        self._acknowledge = acknowledge
        self._mute = mute

    def compose(self) -> ComposeResult:
        """Return the list in a box that scrolls."""
        yield VerticalScroll(self._list)

    def on_mount(self) -> None:
        """Show the newest."""
        self._list.move(0)
        self.call_after_refresh(self._show)
        self.set_interval(_AGAIN_S, self._show)

    def _show(self) -> None:
        page = self._list
        page.refresh_list()
        box = self.query_one(VerticalScroll)
        firing = sum(view.over is None for view in page.alerts)
        number = len(page.alerts)
        box.border_title = f"alerts · {firing} of {number} firing" if number else "alerts"
        box.border_subtitle = "⏎ go there · A acknowledge · m mute for an hour · Esc"
        top, height = box.scroll_y, box.scrollable_content_region.height
        at = page.at * _ENTRY
        if at < top:
            box.scroll_to(y=at, animate=False)
        elif height and at + _ENTRY > top + height:
            box.scroll_to(y=at + _ENTRY - height, animate=False)

    def _under_cursor(self) -> str | None:
        alerts = self._list.alerts
        return alerts[self._list.at].alert.id if alerts else None

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._list.move(self._list.at + by)
        self._show()

    def action_edge(self, to: int) -> None:
        """Move the cursor to the first or the last."""
        self._list.move(to % max(1, len(self._list.alerts)))
        self._show()

    def action_acknowledge(self) -> None:
        """Acknowledge what the cursor is on."""
        if (found := self._under_cursor()) is not None:
            self._acknowledge(found)
            self._show()

    def action_mute(self) -> None:
        """Mute its routes for an hour, or let them call again."""
        if (found := self._under_cursor()) is not None:
            self._mute(found)
            self._show()

    def action_take(self) -> None:
        """Go to what the cursor is on."""
        self.dismiss(self._under_cursor())

    def on_click(self, event: Click) -> None:
        """Go to what was clicked; beside the list, leave."""
        region = self._list.region
        if region.contains(event.screen_x, event.screen_y):
            self._list.move((event.screen_y - region.y) // _ENTRY)
            self.action_take()
        else:
            self.dismiss(None)
