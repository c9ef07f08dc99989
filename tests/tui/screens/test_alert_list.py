"""The list of alerts, and what keys do about them, on the list and without it."""

from typing import Any

import made
import pytest
from changed import replace
from clocks import ManualClock
from fakes import FakeBoard, FakeSession
from test_home_screen import cockpit
from textual.containers import VerticalScroll

from probes.board.views import AlertView, Snapshot
from probes.control.commands import MarkTime
from probes.events import Alert, Harm
from probes.kit.clock import NS_PER_S
from tui.draw.text import line_text, line_width
from tui.screens.alert_desk import AlertDesk
from tui.screens.alert_list import NOBODY, AlertList, alert_lines
from tui.screens.route import RouteScreen

pytestmark = pytest.mark.anyio

NOW_NS = made.snapshot().now_ns


def alert(number: int = 1, route: str = "eastus-gpt", **changes: Any) -> Alert:
    given: dict[str, Any] = {
        "at_ns": NOW_NS - 60 * NS_PER_S,
        "since_ns": NOW_NS - 90 * NS_PER_S,
        "state": "firing",
        "kind": "incident",
        "routes": (route,),
        "harm": Harm("nothing_answered", route),
        "text": f"{route}: provider is down · nothing is answered",
    }
    return Alert(id=f"e1-a{number}", **(given | changes))


def over(number: int = 2, **changes: Any) -> AlertView:
    one = alert(number, **changes)
    ended_ns = one.since_ns + 55 * NS_PER_S
    return AlertView(one, replace(one, state="over", ended_ns=ended_ns, at_ns=NOW_NS))


def shown(*alerts: AlertView) -> Snapshot:
    return made.snapshot(alerts=alerts)


def session(*alerts: AlertView) -> FakeSession:
    return FakeSession(board=FakeBoard(shown(*alerts)))


def texts(snapshot: Snapshot, desk: AlertDesk, width: int = 120, at: int = 0) -> list[str]:
    return [line_text(line) for line in alert_lines(snapshot, desk, width, at)]


def test_each_state_is_told_without_colour() -> None:
    desk = AlertDesk(ManualClock())
    frame = shown(AlertView(alert(3)), AlertView(alert(1)), over())
    desk.take(alert(1))
    desk.mute(alert(1, route="other"))
    told = texts(frame, desk)
    assert told[0].startswith("▸⚑ firing")
    assert told[2].startswith(" ⚐ firing")
    assert told[2].endswith("acknowledged")
    assert told[4].startswith(" ✓ over")
    assert "1m30s" in told[0]
    assert "55s" in told[4]
    desk.mute(alert(1))
    assert "muted until " in texts(frame, desk)[0]


@pytest.mark.parametrize("width", [10, 40, 60, 116])
def test_nothing_is_wider_than_the_list_and_a_cut_is_marked(width: int) -> None:
    desk = AlertDesk(ManualClock())
    hostile = alert(route="漢" * 40, text="漢字\x1b]52;" + "y" * 300)
    frame = shown(AlertView(hostile), over())
    lines = alert_lines(frame, desk, width, 0)
    assert all(line_width(line) <= width for line in lines)
    for line, whole in zip(lines, alert_lines(frame, desk, 600, 0), strict=True):
        assert line_text(line) == line_text(whole) or line_text(line).endswith("…")
        assert "\x1b" not in line_text(line)
    assert texts(shown(), desk, 80) == [NOBODY]


async def test_the_header_tells_what_nobody_has_seen_until_somebody_has() -> None:
    async with cockpit(session=session(AlertView(alert()), AlertView(alert(3)), over())) as it:
        assert "⚑ 2 alerts" in it.text("#header")
        await it.press("A")
        assert "⚑ 1 alert " in it.text("#header")
        marks = [one for one in it.session.commands if isinstance(one, MarkTime)]
        assert [one.text for one in marks] == [f"acknowledged: {alert().text}"]
        await it.press("A")
        assert "⚑" not in it.text("#header")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 50), (300, 100)])
async def test_it_is_told_at_every_size(size: tuple[int, int]) -> None:
    async with cockpit(size, session(AlertView(alert()))) as it:
        assert "⚑ 1 alert" in it.text("#header")


async def test_once_more_mutes_and_then_nothing_is_left() -> None:
    async with cockpit(session=session(AlertView(alert()))) as it:
        desk = it.board.cockpit.desk
        await it.press("A")
        assert desk.muted_until_ns(alert()) is None
        await it.press("A")
        assert desk.muted_until_ns(alert()) is not None
        await it.press("A")
        assert len([one for one in it.session.commands if isinstance(one, MarkTime)]) == 1


async def test_the_list_acknowledges_and_mutes_what_the_cursor_is_on() -> None:
    async with cockpit(session=session(AlertView(alert()), AlertView(alert(3)))) as it:
        desk = it.board.cockpit.desk
        await it.press("a")
        assert isinstance(it.app.screen, AlertList)
        await it.press("j", "A")
        assert desk.acknowledged == {"e1-a3"}
        await it.press("k", "m")
        assert desk.acknowledged == {"e1-a1", "e1-a3"}
        assert desk.muted_until_ns(alert()) is not None
        await it.press("m")
        assert desk.muted_until_ns(alert()) is None
        await it.press("G", "g", "end", "home", "escape")
        assert not isinstance(it.app.screen, AlertList)


async def test_space_acknowledges_and_does_not_choose() -> None:
    async with cockpit(session=session(AlertView(alert()))) as it:
        await it.press("a", "space")
        assert isinstance(it.app.screen, AlertList)
        assert it.board.cockpit.desk.acknowledged == {"e1-a1"}


async def test_the_cursor_stays_on_its_alert_while_others_come_and_is_seen() -> None:
    many = [AlertView(alert(number)) for number in range(40, 0, -1)]
    run = session(*many)
    async with cockpit((80, 24), run) as it:
        await it.press("a", *["j"] * 20)
        screen = it.app.screen
        assert isinstance(screen, AlertList)
        assert screen.chosen(screen.lines.at) == "e1-a20"
        run.board.whole = shown(AlertView(alert(41)), *many)
        await it.press("A")
        assert it.board.cockpit.desk.acknowledged == {"e1-a20"}
        assert screen.lines.at == 21
        box = screen.query_one(VerticalScroll)
        assert box.border_title == "alerts · 41 of 41 firing"
        first = screen.lines.at * 2
        assert box.scroll_y <= first < box.scroll_y + box.scrollable_content_region.height - 1
        await it.press("g")
        assert box.scroll_y == 0


@pytest.mark.parametrize("line", [2, 3])
async def test_a_click_on_either_line_of_an_alert_goes_there(line: int) -> None:
    alerts = AlertView(alert()), AlertView(alert(3, route="busy-llama"))
    async with cockpit(session=session(*alerts)) as it:
        await it.press("a")
        region = it.app.screen.query_one("AlertPage").region
        await it.pilot.click(offset=(region.x + 5, region.y + line))
        await it.pilot.pause()
        assert isinstance(it.app.screen, RouteScreen)
        assert it.board.view.selected == "busy-llama"


async def test_enter_goes_to_the_page_of_the_route() -> None:
    async with cockpit(session=session(AlertView(alert(route="busy-llama")))) as it:
        await it.press("a", "enter")
        assert isinstance(it.app.screen, RouteScreen)
        assert it.board.view.selected == "busy-llama"


async def test_an_empty_list_is_left_as_it_came() -> None:
    async with cockpit(session=session()) as it:
        await it.press("a", "j", "A", "m", "enter")
        assert it.app.screen is it.board
        await it.press("A")


async def test_names_are_masked_on_the_list_too() -> None:
    async with cockpit(session=session(AlertView(alert()))) as it:
        await it.press("M", "a")
        page = it.app.screen.query_one("AlertPage")
        told = "\n".join(page.render_line(y).text for y in range(page.size.height))
        assert "eastus" not in told
        assert "provider is down" in told
        await it.press("A")
        assert it.board.cockpit.desk.acknowledged == {"e1-a1"}
        assert "eastus" not in it.board.cockpit.worded(alert().text)
