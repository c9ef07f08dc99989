"""The footer: the keys that matter most, as many as fit; each can be clicked.

Rule 1. Help, quit and both pauses are never left out: where there is no room for words, the keys
stand alone.
Rule 2. An entry is whole or not there. What the mouse finds in a cell is what is drawn there.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from probes.board.views import Snapshot
from tui.draw.text import Line, Span, cells
from tui.keys import ACT_IN_THE_PAST, ALWAYS_SHOWN, Hotkey, ScreenName, footer_keys, hotkey
from tui.panes.pane import PaneSpec
from tui.panes.view import ViewState

_OF_THE_PAST: Final = frozenset(("live", "slower", "back_1", "event_before"))
"""What there is to do where one has gone back: before that the entry of one step is enough."""


class FooterPart(NamedTuple):
    """A piece of the footer, and what a click on it does."""

    text: str
    is_key: bool
    id: str
    """Id of the key; empty where nothing is to be done."""


def footer_pane(screen: ScreenName) -> PaneSpec:
    """Return the footer of one screen."""
    return PaneSpec("footer", 0, partial(footer_lines, screen=screen))


def footer_lines(
    snapshot: Snapshot,  # noqa: ARG001 - as every pane is drawn
    view: ViewState,
    width: int,
    height: int,  # noqa: ARG001
    *,
    screen: ScreenName = "home",
) -> Sequence[Line]:
    """Return keys and what they do, most wanted first, without cutting one in two."""
    return [tuple(_span(part, view) for part in footer_parts(view, width, screen))]


def _span(part: FooterPart, view: ViewState) -> Span:
    if part.id and part.id == view.lit:
        return part.text, "title"
    return part.text, "accent" if part.is_key else "dim"


def footer_parts(view: ViewState, width: int, screen: ScreenName) -> Sequence[FooterPart]:
    """Return what stands in the footer, from the left."""
    keys = [key for key in footer_keys(screen, view.keys) if _applies(key, view)]
    if view.past is not None:
        keys.sort(key=_by_need_in_the_past)
    needed = [key for key in keys if key.footer <= ALWAYS_SHOWN]
    if _width(part for key in needed for part in _entry(key, view)) > width:
        # Each key has a blank before it, so that two are not read as one.
        return [FooterPart(f" {key.shown.partition(' ')[0]}", True, key.id) for key in needed]
    parts: list[FooterPart] = []
    for key in keys:
        entry = _entry(key, view)
        if _width((*parts, *entry)) > width:
            break
        parts += entry
    return parts


def key_at(view: ViewState, width: int, screen: ScreenName, x: int) -> Hotkey | None:
    """Return the key whose entry is at cell `x` of the footer; None where there is none."""
    at = 0
    for part in footer_parts(view, width, screen):
        at += cells(part.text)
        if x < at:
            return hotkey(part.id, view.keys) if part.id else None
    return None


def _applies(key: Hotkey, view: ViewState) -> bool:
    """Tell whether a key does anything now: without a T0 there is nothing to compare with, without
    several places no grid of them, and in the past no knob turns, nor does anything brake a
    recording; what is probed elsewhere is neither compared nor swept from here."""
    if key.id in view.idle:
        return False
    if key.id in _OF_THE_PAST:
        return view.past is not None
    if view.past is not None and key.group == "knobs":
        return view.past.has_present and key.id in ACT_IN_THE_PAST
    if key.id == "places":
        return view.places > 1
    return key.id != "against_t0" or view.page.t0 is not None


def _by_need_in_the_past(key: Hotkey) -> tuple[bool, bool, bool]:
    """Return what is less for what must be there, for the way back, and for what goes through
    time."""
    time = key.group == "time" or key.id == "freeze"
    return key.footer > ALWAYS_SHOWN, key.id != "live", not time


def _entry(key: Hotkey, view: ViewState) -> tuple[FooterPart, ...]:
    shown, label = key.strip or (key.shown, key.label)
    if key.id == "freeze" and view.past is not None:
        label = "pause" if view.past.is_playing else "play"
    elif key.id == "freeze" and view.frozen:
        label = "go on"
    first, _, second = shown.partition(" ")
    if not key.partner or not second:
        return FooterPart(f" {first} ", True, key.id), FooterPart(f"{label} ", False, key.id)
    # A click on the word between two keys would have to guess which of them is meant.
    return (
        FooterPart(f" {first}", True, key.id),
        FooterPart(f" {second} ", True, key.partner),
        FooterPart(f"{label} ", False, ""),
    )


def _width(parts: Iterable[FooterPart]) -> int:
    return sum(cells(part.text) for part in parts)
