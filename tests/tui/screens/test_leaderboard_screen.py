"""The leaderboard on the screen: its key, its order, its way back."""

import made
import pytest
from msgspec.structs import replace
from test_home_screen import Cockpit, cockpit

from probes.board.standings import LEADER_ORDERS
from probes.board.views import LeaderFigure, LeaderView, Snapshot
from tui.keys import first_key
from tui.panes.leaderboard import ORDER_WORDS
from tui.panes.pane import Pane
from tui.screens.leaderboard import LeaderboardScreen

pytestmark = pytest.mark.anyio


def ranked() -> Snapshot:
    frame = made.snapshot()
    rows = [
        LeaderView(
            route=route.name,
            cohort="1000/1k/aa-1k",
            ttft_s=LeaderFigure(1.0 + place, n=9),
            tokens_per_s=LeaderFigure(10.0 + place, n=9),
            e2e_s=LeaderFigure(9.0 - place, n=9),
        )
        for place, route in enumerate(frame.routes)
    ]
    return replace(frame, standings=tuple(rows))


def pane(it: Cockpit) -> Pane:
    return it.app.screen.query_one("#leaderboard", Pane)


def shown(it: Cockpit) -> list[str]:
    return [pane(it).render_line(y).text for y in range(pane(it).size.height)]


def first(it: Cockpit) -> str:
    return next(line for line in shown(it) if line.startswith("1 ")).split()[1]


@pytest.mark.parametrize("size", [(160, 50), (100, 30), (60, 20)])
async def test_the_key_shows_it_and_escape_leads_back(size: tuple[int, int]) -> None:
    async with cockpit(size) as it:
        it.session.board.whole = ranked()
        await it.press(first_key("leaderboard"))
        assert isinstance(it.app.screen, LeaderboardScreen)
        assert "aa-1k" in "".join(shown(it))
        await it.press("escape")
        assert not isinstance(it.app.screen, LeaderboardScreen)


async def test_sorting_goes_through_all_figures_and_round() -> None:
    async with cockpit((160, 50)) as it:
        it.session.board.whole = ranked()
        await it.press(first_key("leaderboard"))
        seen = []
        for _ in (*LEADER_ORDERS, 0):
            seen.append(str(pane(it).border_title))
            await it.press("s")
        pairs = zip(LEADER_ORDERS, seen, strict=False)
        assert [order for order, words in pairs if ORDER_WORDS[order] not in words] == []
        assert seen[-1] == seen[0]


async def test_reversed_the_best_stands_last() -> None:
    async with cockpit((160, 50)) as it:
        it.session.board.whole = ranked()
        await it.press(first_key("leaderboard"))
        best = first(it)
        await it.press("r")
        assert first(it) != best
        assert "best last" in str(pane(it).border_title)
