"""The one table of keys."""

from typing import get_args

import pytest
from changed import replace
from textual.binding import Binding, BindingsMap

from probes.board.views import EMPTY_SNAPSHOT
from tui.draw.text import Line, line_text, line_width
from tui.keys import (
    EXPECTED_KEY,
    KEYS,
    KeymapError,
    ScreenName,
    bindings,
    footer_keys,
    hotkey,
    key_named,
    keys_of,
    remapped,
)
from tui.panes.footer import footer_lines, key_at
from tui.panes.view import Freeze, PastView, ViewState
from tui.screens.comparison import ComparisonScreen
from tui.screens.home import HomeScreen
from tui.screens.places import PlacesScreen
from tui.screens.request import RequestScreen
from tui.screens.route import RouteScreen


def footer_line(view: ViewState, width: int) -> Line:
    return footer_lines(EMPTY_SNAPSHOT, view, width, 1)[0]


def test_ids_and_keys_are_unique() -> None:
    ids = [key.id for key in KEYS]
    assert len(set(ids)) == len(ids)
    for screen in get_args(ScreenName):
        keys = [name for key in keys_of(screen) for name in key.keys.split(",") if name]
        assert len(set(keys)) == len(keys)


def test_every_key_tells_what_it_does() -> None:
    for key in KEYS:
        assert key.label
        assert key.tooltip.endswith(".")


def test_every_action_exists() -> None:
    for screen in (HomeScreen, RouteScreen, RequestScreen, ComparisonScreen, PlacesScreen):
        for key in keys_of(screen.NAME):
            name = key.action.partition("(")[0]
            assert name.startswith("app.") or hasattr(screen, f"action_{name}")


def test_bindings_carry_id_and_tooltip() -> None:
    made = [binding for binding in bindings("home") if isinstance(binding, Binding)]
    assert {binding.id for binding in made} == {key.id for key in keys_of("home") if key.keys}
    assert all(binding.tooltip for binding in made)
    assert BindingsMap(made).key_to_bindings


def test_the_footer_shows_whole_entries_only() -> None:
    everything = line_text(footer_line(ViewState(), 400))
    least = len(" ? help  q quit  p pause  P pause all ")
    for width in range(least, 160, 7):
        text = line_text(footer_line(ViewState(), width))
        assert len(text) <= width
        assert everything.startswith(text)
    # Of the past, and of several places, of which there are none here.
    of_the_past = {"live", "slower", "back_1", "event_before", "places"}
    entries = [key for key in footer_keys("home") if key.id not in of_the_past]
    assert len(entries) == everything.count("  ") + 1


def test_in_the_past_the_footer_begins_with_the_ways_back_and_offers_no_knob() -> None:
    past = PastView(at_ns=0, begin_ns=0, end_ns=1)
    told = line_text(footer_line(ViewState(past=past), 400))
    begin = " ? help  q quit  p pause  P pause all  F live  space play  ← → in time  [ ] event "
    assert told.startswith(begin)
    assert "conc" not in told
    assert "undo" not in told
    playing = replace(past, is_playing=True)
    assert "space pause" in line_text(footer_line(ViewState(past=playing), 400))


@pytest.mark.parametrize("screen", get_args(ScreenName))
@pytest.mark.parametrize("width", [8, 20, 37, 38, 60, 300])
def test_help_quit_and_both_pauses_are_in_the_footer_at_any_width(
    screen: ScreenName, width: int
) -> None:
    (line,) = footer_lines(EMPTY_SNAPSHOT, ViewState(), width, 1, screen=screen)
    assert line_width(line) <= width
    assert set("?qpP") <= {text.strip() for text, _ in line}


def test_the_footer_says_how_to_leave_a_freeze() -> None:
    assert "go on" in line_text(footer_line(ViewState(freeze=Freeze(1, 0)), 200))
    assert line_width(footer_line(ViewState(), 160)) <= 160


def test_what_the_mouse_finds_in_the_footer_is_what_stands_there() -> None:
    view = ViewState()
    text = line_text(footer_line(view, 300))
    for word, wanted in (("? help", "help"), ("q quit", "quit"), ("P pause all", "panic")):
        for cell in range(text.index(word), text.index(word) + len(word)):
            assert getattr(key_at(view, 300, "home", cell), "id", "") == wanted
    both = text.index(" + - ")
    assert key_at(view, 300, "home", both + 1) == hotkey("more")
    assert key_at(view, 300, "home", both + 3) == hotkey("fewer")
    assert key_at(view, 300, "home", both + 6) is None, "the word is of both"
    assert key_at(view, 300, "home", 299) is None


def test_the_entry_that_the_mouse_is_on_is_lit() -> None:
    plain, lit = footer_line(ViewState(), 80), footer_line(ViewState(lit="quit"), 80)
    assert line_text(plain) == line_text(lit)
    changed = {text.strip() for (text, role), old in zip(lit, plain, strict=True) if role != old[1]}
    assert changed == {"q", "quit"}


def test_keys_can_be_given_out_anew() -> None:
    keys = remapped({"more": ("i",), "undo": ("ctrl+u", "F2"), "burst": ()})
    by_id = {key.id: key for key in keys}
    assert [key.id for key in keys] == [key.id for key in KEYS]
    assert (by_id["more"].keys, by_id["more"].shown) == ("i", "i")
    assert (by_id["undo"].keys, by_id["undo"].shown) == ("ctrl+u,f2", "^u F2")
    assert (by_id["burst"].keys, by_id["burst"].shown) == ("", "")
    assert by_id["later"] == hotkey("later")
    footer = line_text(footer_line(ViewState(keys=keys), 400))
    assert " i - conc " in footer
    assert " ^u undo " in footer
    assert "burst" not in footer
    assert "burst" not in {getattr(binding, "id", "") for binding in bindings("home", keys)}


def test_two_actions_may_change_their_keys() -> None:
    by_id = {key.id: key for key in remapped({"more": ("-",), "fewer": ("+",)})}
    assert (by_id["more"].keys, by_id["fewer"].keys) == ("minus", "plus")


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("u", "u"),
        ("U", "U"),
        ("+", "plus"),
        ("plus", "plus"),
        (",", "comma"),
        ("ctrl+u", "ctrl+u"),
        ("Ctrl+U", "ctrl+u"),
        ("shift+ctrl+left", "ctrl+shift+left"),
        ("shift+u", "U"),
        ("alt+down", "alt+down"),
        ("F5", "f5"),
        ("PageUp", "pageup"),
        ("space", "space"),
        ("é", "é"),
        ("", None),
        ("plsu", None),
        ("hyper+u", None),
        ("ctrl+", None),
        ("\x1b", None),
        ("<any>", None),
    ],
)
def test_a_key_is_a_character_or_a_name(word: str, key: str | None) -> None:
    assert key_named(word) == key


def test_every_key_of_the_table_is_one_that_could_be_asked_for() -> None:
    for key in KEYS:
        names = [name for name in key.keys.split(",") if name]
        assert [key_named(name) for name in names] == names
        assert bool(key.shown) == bool(names)


@pytest.mark.parametrize(
    ("wanted", "problems"),
    [
        ({"mor": ("x",)}, [("mor", "unknown key, did you mean more?")]),
        (
            {"more": ("plsu",)},
            [("more", f"got plsu, expected {EXPECTED_KEY}; did you mean plus?")],
        ),
        ({"quit": ()}, [("quit", "has no key, expected one at least: it is the way out")]),
        (
            {"undo": ("q",)},
            [("undo", "got q, expected another key than that of quit on the same screen")],
        ),
        (
            {"undo": ("f9",), "more": ("f9",)},
            [("undo", "got f9, expected another key than that of more on the same screen")],
        ),
        (
            {"undo": ("ctrl+q",)},
            [("undo", "got ctrl+q, which always quits, expected another key")],
        ),
    ],
)
def test_what_cannot_be_is_told(
    wanted: dict[str, tuple[str, ...]], problems: list[tuple[str, str]]
) -> None:
    with pytest.raises(KeymapError) as caught:
        remapped(wanted)
    assert list(caught.value.problems) == problems


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(KeymapError) as caught:
        remapped({"mor": ("x",), "undo": ("nokey", "p"), "quit": ()})
    assert [name for name, _ in caught.value.problems] == ["mor", "undo", "quit", "undo"]
