"""Weeks of a route on the screen: its key, what it reads and when, how far it looks back."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import made
import pytest
from history_streams import DAY_S, NOON_S
from made_history import ENDS_S, filled
from test_home_screen import Cockpit, cockpit

from probes.history.database import HistoryFile
from probes.history.reading import read_history
from probes.history.views import HistoryView
from tui.draw.text import cells
from tui.keys import first_key
from tui.panes.pane import Pane
from tui.screens.history import SPANS, HistoryScreen

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> HistoryView:
    path = tmp_path_factory.mktemp("history") / "history.sqlite3"
    filled(path)
    with HistoryFile(path, writes=False) as file:
        return read_history(file, since_s=NOON_S - 1, until_s=ENDS_S, route="chat")


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """Be in a zone that is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


class Kept:
    """What reads the history, and how it was asked."""

    def __init__(self, found: HistoryView | str) -> None:
        self.found = found
        self.asked: list[tuple[str, float]] = []
        self.threads: list[threading.Thread] = []

    def __call__(self, route: str, ago_s: float) -> HistoryView | str:
        self.asked.append((route, ago_s))
        self.threads.append(threading.current_thread())
        return self.found


def pane(it: Cockpit) -> Pane:
    return it.app.screen.query_one("#history", Pane)


def shown(it: Cockpit) -> str:
    return "\n".join(pane(it).render_line(y).text for y in range(pane(it).size.height))


async def opened(it: Cockpit, kept: Kept) -> str:
    """Open the screen of the route under the cursor; return which that is."""
    assert it.app._cockpit is not None
    it.app._cockpit.weeks = kept
    await it.press(first_key("history"))
    assert isinstance(it.app.screen, HistoryScreen)
    await it.app.workers.wait_for_complete()
    await it.pilot.pause()
    return it.app.screen._name_of_route


@pytest.mark.parametrize("size", [(160, 50), (100, 30), (60, 20), (300, 100)])
async def test_the_key_shows_weeks_and_escape_leads_back(
    view: HistoryView, size: tuple[int, int]
) -> None:
    kept = Kept(view)
    async with cockpit(size) as it:
        name = await opened(it, kept)
        assert kept.asked == [(name, SPANS[0] * DAY_S)]
        assert "TTFT, s, by day" in shown(it)
        assert all(cells(line) <= size[0] for line in shown(it).splitlines())
        await it.press("escape")
        assert not isinstance(it.app.screen, HistoryScreen)


async def test_it_is_read_in_a_thread_of_its_own(view: HistoryView) -> None:
    kept = Kept(view)
    async with cockpit((160, 50)) as it:
        await opened(it, kept)
        assert threading.current_thread() not in kept.threads


async def test_the_key_looks_back_further_and_round(view: HistoryView) -> None:
    kept = Kept(view)
    async with cockpit((160, 50)) as it:
        await opened(it, kept)
        for _ in SPANS:
            await it.press("s")
            await it.app.workers.wait_for_complete()
        assert [ago_s / DAY_S for _, ago_s in kept.asked] == [*SPANS, SPANS[0]]
        await it.pilot.pause()
        assert f"the last {SPANS[0]} days" in str(pane(it).border_title)


async def test_the_page_scrolls_and_says_where_it_is(view: HistoryView) -> None:
    async with cockpit((100, 30)) as it:
        await opened(it, Kept(view))
        before = shown(it)
        assert "lines 1–" in str(pane(it).border_title)
        await it.press("pagedown")
        assert shown(it) != before
        await it.press("G")
        assert "2026-09-21" in shown(it), "the first day is the last row"


@pytest.mark.parametrize(
    "why", ["Nothing of it is kept yet: a run is written down every three minutes.", "disk\x1b[2J"]
)
async def test_where_there_is_none_that_is_said(why: str) -> None:
    async with cockpit((100, 30)) as it:
        await opened(it, Kept(why))
        text = shown(it).strip()
        assert text.startswith(why.partition("\x1b")[0])
        assert "\x1b" not in text


async def test_a_span_in_which_nothing_was_probed_is_said(view: HistoryView) -> None:
    empty = HistoryView(
        begins_s=view.begins_s, ends_s=view.ends_s, zone="UTC", by_week=False, routes=()
    )
    async with cockpit((100, 30)) as it:
        await opened(it, Kept(empty))
        assert shown(it).strip() == "Nothing of it was probed in 30 days."


async def test_a_masked_screen_names_nobody(view: HistoryView) -> None:
    async with cockpit((160, 50)) as it:
        await opened(it, Kept(view))
        assert "chat" in shown(it)
        await it.press(first_key("private"))
        await it.pilot.pause()
        text = shown(it)
        assert "chat" not in text
        assert "localhost" not in text


async def test_without_a_route_there_is_nothing_to_show() -> None:
    async with cockpit((100, 30)) as it:
        it.session.board.whole = made.snapshot(routes=())
        it.board.pull()
        await it.press(first_key("history"))
        await it.pilot.pause()
        assert not isinstance(it.app.screen, HistoryScreen)


async def test_the_app_reads_the_file_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(tmp_path))
    monkeypatch.setattr("time.time", lambda: float(ENDS_S))
    async with cockpit((100, 30)) as it:
        read = it.app._weeks
        assert isinstance(read("chat", 1e6), str)
        filled(tmp_path / "history.sqlite3", 20)
        found = read("chat", 30 * DAY_S)
        assert isinstance(found, HistoryView)
        assert [one.route for one in found.routes] == ["chat"]
        assert isinstance(read("unknown", 1e6), str)
        (tmp_path / "history.sqlite3").write_bytes(b"junk" * 5000)
        broken = read("chat", 1e6)
        assert isinstance(broken, str)
        assert "cannot be used" in broken or "broken" in broken
