"""Keys on the page of a probe: scrolling, other probes, copying its id."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import made
import made_request
import pytest
from changed import replace
from fakes import FakeBoard, FakeClock, FakeSession, config
from textual.pilot import Pilot

from probes.board.views import ProbeView, RequestView, RoutePage
from tui.app import LlmtopApp
from tui.panes.pane import Pane
from tui.screens.home import HomeScreen
from tui.screens.request import RequestScreen
from tui.screens.route import RouteScreen

pytestmark = pytest.mark.anyio

ROUTE = made_request.ROUTE


def listed(*names: str) -> RoutePage:
    """Return a page that lists probes, newest first."""
    probes = tuple(
        ProbeView(probe=name, at_ns=made.NOW_NS, started_ns=made.NOW_NS, outcome="ok")
        for name in names
    )
    return RoutePage(probes=probes, ended=len(probes))


class Shown:
    """The page on a running cockpit, and what a test wants of it."""

    def __init__(self, app: LlmtopApp, screen: RequestScreen, pilot: Pilot[None]) -> None:
        self.app = app
        self.screen = screen
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    @property
    def pane(self) -> Pane:
        return self.screen.query_one("#request", Pane)

    @property
    def text(self) -> str:
        return "\n".join(self.pane.render_line(y).text for y in range(self.pane.size.height))

    @property
    def title(self) -> str:
        return str(self.pane.border_title)

    @property
    def notes(self) -> list[str]:
        return [note.message for note in self.app._notifications]


@asynccontextmanager
async def shown(
    request: RequestView | None = made_request.RETRIED,
    size: tuple[int, int] = (80, 24),
    others: tuple[str, ...] = ("1-1691", "1-1690", "1-1689"),
) -> AsyncIterator[Shown]:
    board = FakeBoard()
    details = {**board.whole.details}
    details[ROUTE] = replace(made.detail(ROUTE), page=listed(*others))
    board.whole = replace(board.whole, details=details)
    for name in others:
        if request is not None:
            probe = replace(request.probe, probe=name)
            board.requests[(ROUTE, name)] = replace(request, probe=probe)
    app = LlmtopApp(FakeSession(board=board), config(), FakeClock())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        home = app.screen
        assert isinstance(home, HomeScreen)
        home.look(replace(home.view, selected=ROUTE))
        screen = RequestScreen(home.cockpit, ROUTE, "1-1690")
        app.push_screen(screen)
        await pilot.pause()
        yield Shown(app, screen, pilot)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (160, 50), (300, 100)])
async def test_the_page_begins_with_what_it_came_to_and_says_how_much_there_is(
    size: tuple[int, int],
) -> None:
    async with shown(size=size) as page:
        assert page.text.startswith("ok after 3 attempts · TTFT 4.20 s")
        assert "probe 1-1690" in page.title
        crumbs = page.screen.query_one("#crumbs", Pane).render_line(0).text
        assert f"{ROUTE} ▸ probe #1690" in crumbs
        height, every = page.pane.size.height, len(page.screen.page)
        assert height == size[1] - 4
        place = f" · lines 1–{height} of {every}"
        assert page.title.endswith(place) is (every > height)
        assert ("lines" in page.title) is (every > height)


async def test_keys_scroll_to_the_end_and_no_further() -> None:
    async with shown() as page:
        height, every = page.pane.size.height, len(page.screen.page)
        await page.press("j", "down")
        assert page.title.endswith(f"lines 3–{2 + height} of {every}")
        await page.press("k", "up", "up")
        assert page.title.endswith(f"lines 1–{height} of {every}")
        await page.press("pagedown")
        assert page.title.endswith(f"lines {height}–{2 * height - 1} of {every}")
        await page.press("G", "j", "pagedown")
        assert page.title.endswith(f"lines {every - height + 1}–{every} of {every}")
        assert "retry-after: 0.4" in page.text
        await page.press("pageup", "g")
        assert page.text.startswith("ok after 3 attempts")


async def test_another_width_is_another_page_and_keeps_within_it() -> None:
    async with shown(size=(60, 20)) as page:
        await page.press("G")
        await page.pilot.resize_terminal(160, 50)
        await page.pilot.pause()
        assert page.title.endswith(f"lines {len(page.screen.page) - 45}–{len(page.screen.page)}"
                                   f" of {len(page.screen.page)}")  # fmt: skip


async def test_the_next_probe_is_the_older_one_and_begins_at_its_top() -> None:
    async with shown() as page:
        await page.press("G", "J")
        assert "probe 1-1689 " in page.title
        assert page.text.startswith("ok after 3 attempts")
        assert page.screen.view.page.probe == "1-1689", "there the list's cursor stands too"
        await page.press("J")
        assert page.notes == ["This is the last of the list."]
        await page.press("K", "K", "K")
        assert "probe 1-1691 " in page.title
        assert page.notes[-1] == "This is the first."


async def test_the_next_probe_is_that_of_the_list_as_it_stands() -> None:
    async with shown() as page:
        view = page.screen.view
        page.screen.view = replace(view, page=replace(view.page, only_failed=True))
        await page.press("J")
        assert page.notes == ["Nothing is listed."], "all of them are good"


async def test_a_probe_that_is_not_kept_any_more_says_so() -> None:
    async with shown(None, others=()) as page:
        assert page.text.startswith("This probe is not kept any more: of each route the last 200")
        await page.press("y", "J")
        assert page.notes == [
            "No server gave this request an id.",
            "Nothing is listed.",
        ]


async def test_what_is_on_the_screen_stays_when_the_board_forgets_it() -> None:
    async with shown() as page:
        page.screen.cockpit.session.board.requests.clear()  # type: ignore[attr-defined]
        await page.press("j", "k")
        page.screen.pull()
        assert page.text.startswith("ok after 3 attempts")


async def test_the_id_is_copied_and_what_was_copied_is_said() -> None:
    async with shown() as page:
        await page.press("y")
        assert page.app.clipboard == "req_cd100bbad896cec01fa32f6b"
        assert page.notes == [
            "req_cd100bbad896cec01fa32f6b (x-request-id) copied, where the terminal takes OSC 52."
        ]


async def test_a_hostile_id_is_copied_harmless_and_is_no_markup() -> None:
    async with shown(made_request.HOSTILE) as page:
        await page.press("y")
        assert page.app.clipboard.isprintable()
        assert "[red]a" in page.notes[0]


async def test_while_somebody_looks_on_it_says_no_names_and_no_words() -> None:
    async with shown(size=(120, 60)) as page:
        await page.press("M")
        told = page.text + page.title + page.screen.query_one("#crumbs", Pane).render_line(0).text
        for secret in (ROUTE, "req_", "chatcmpl", "cloudflare", "Rate limit", "Qwen", "fp_447"):
            assert secret not in told, secret
        assert "ok after 3 attempts" in page.text
        await page.press("y")
        assert page.app.clipboard.startswith("req_"), "who copies it wants the true one"
        assert page.notes == ["The request id is copied, where the terminal takes OSC 52."]
        await page.press("M")
        assert "req_" in page.text


async def test_screens_that_nobody_sees_neither_ask_the_board_nor_take_a_frame_s_turn() -> None:
    async with shown() as page:
        home, board = page.app.screen_stack[1], page.screen.cockpit.session.board
        assert isinstance(home, HomeScreen)
        assert isinstance(board, FakeBoard)
        board.asked.clear()
        board.whole = replace(board.whole, version=board.whole.version + 1)
        home._beat()
        home.pull()
        assert board.asked == []
        assert not home.is_current
        page.screen._beat()
        assert len(board.asked) == 1


async def test_a_screen_under_the_help_goes_on() -> None:
    async with shown() as page:
        await page.press("question_mark")
        assert page.app.screen is not page.screen
        assert page.screen.is_current


async def test_enter_opens_the_selected_route_and_there_the_selected_probe() -> None:
    async with shown() as page:
        await page.press("escape", "enter")
        assert isinstance(page.app.screen, RouteScreen)
        await page.press("4", "j", "enter")
        opened = page.app.screen
        assert isinstance(opened, RequestScreen)
        assert "1-1690" in str(opened.query_one("#request", Pane).border_title)
        await page.press("escape", "escape")
        assert isinstance(page.app.screen, HomeScreen)


async def test_back_goes_back() -> None:
    async with shown() as page:
        await page.press("escape")
        assert isinstance(page.app.screen, HomeScreen)
