"""The header of a route's page: where one is, and what goes first where there is little room."""

import made
import made_page
from changed import replace
from fakes import FakeStatus

from probes.board.views import Snapshot
from tui.draw.text import Line, line_text, line_width
from tui.panes.header import Strips
from tui.panes.page.crumbs import crumbs_pane

CRUMBS = crumbs_pane(Strips(FakeStatus()))


def crumbs(width: int, shown: Snapshot | None = None) -> Line:
    (line,) = CRUMBS(shown or made_page.snapshot(), made_page.VIEW, width, 1)
    return line


def test_it_says_which_route_and_what_is_asked_of_it() -> None:
    text = line_text(crumbs(220))
    assert "routes ▸ queue-eu" in text
    assert (
        "Qwen/Qwen3-235B-A22B-Instruct-2507 · api.example.com · chat · CONC 6/6 · every 0.5 s · "
        "cap 64"
    ) in text


def test_the_name_never_goes() -> None:
    for width in range(60, 220):
        assert "queue-eu" in line_text(crumbs(width)), width
    assert "CONC 6/6" in line_text(crumbs(80))


def test_what_is_not_streamed_or_has_no_pace_says_so() -> None:
    shown = made_page.snapshot(made_page.row(streamed=False, interval=0.0))
    assert "back to back · cap 64 · not streamed" in line_text(crumbs(220, shown))


def test_nothing_is_wider_than_the_terminal_whatever_a_route_is_called() -> None:
    for name in ("漢字" * 30, made.HOSTILE, "a" * 200):
        route = made_page.row(model=name, base_url=f"https://{name}/v1")
        shown = made_page.snapshot(route)
        rows = tuple(
            replace(row, name=name) if row.name == made_page.NAME else row for row in shown.routes
        )
        hostile = replace(shown, routes=rows)
        view = replace(made_page.VIEW, selected=name)
        for width in range(1, 301, 7):
            (line,) = CRUMBS(hostile, view, width, 1)
            assert line_width(line) <= width
            assert not {"\x1b", "\u202e", "\u200b"} & set(line_text(line))


def test_a_url_that_nobody_can_parse_is_shown_as_it_is() -> None:
    shown = made_page.snapshot(made_page.row(base_url="https://[broken"))
    assert "https://[broken" in line_text(crumbs(220, shown))
