"""The one table of keys."""

from typing import get_args

from textual.binding import Binding, BindingsMap

from probes.board.views import EMPTY_SNAPSHOT
from tui.draw.text import Line, line_text, line_width
from tui.keys import KEYS, ScreenName, bindings, footer_keys, keys_of
from tui.panes.footer import footer_lines
from tui.panes.view import Freeze, ViewState
from tui.screens.home import HomeScreen
from tui.screens.request import RequestScreen
from tui.screens.route import RouteScreen


def footer_line(view: ViewState, width: int) -> Line:
    return footer_lines(EMPTY_SNAPSHOT, view, width, 1)[0]


def test_ids_and_keys_are_unique() -> None:
    ids = [key.id for key in KEYS]
    assert len(set(ids)) == len(ids)
    for screen in get_args(ScreenName):
        keys = [name for key in keys_of(screen) for name in key.keys.split(",")]
        assert len(set(keys)) == len(keys)


def test_every_key_tells_what_it_does() -> None:
    for key in KEYS:
        assert key.label
        assert key.tooltip.endswith(".")


def test_every_action_exists() -> None:
    for screen in (HomeScreen, RouteScreen, RequestScreen):
        for key in keys_of(screen.NAME):
            name = key.action.partition("(")[0]
            assert name.startswith("app.") or hasattr(screen, f"action_{name}")


def test_bindings_carry_id_and_tooltip() -> None:
    made = [binding for binding in bindings("home") if isinstance(binding, Binding)]
    assert {binding.id for binding in made} == {key.id for key in keys_of("home")}
    assert all(binding.tooltip for binding in made)
    assert BindingsMap(made).key_to_bindings


def test_the_footer_shows_whole_entries_only() -> None:
    everything = line_text(footer_line(ViewState(), 400))
    for width in range(0, 160, 7):
        text = line_text(footer_line(ViewState(), width))
        assert len(text) <= width
        assert everything.startswith(text)
    assert len(footer_keys("home")) == everything.count("  ") + 1


def test_the_footer_says_how_to_leave_a_freeze() -> None:
    assert "go on" in line_text(footer_line(ViewState(freeze=Freeze(1, 0)), 200))
    assert line_width(footer_line(ViewState(), 160)) <= 160
