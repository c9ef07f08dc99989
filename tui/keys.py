"""The one table of keys: bindings, footer, help and palette are all made from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from textual.binding import Binding, BindingType

ScreenName: TypeAlias = Literal["home", "route", "probe"]
"""Screens that are live: all routes, one route, one probe of it."""

HOME: Final[frozenset[ScreenName]] = frozenset(("home",))
ROUTE: Final[frozenset[ScreenName]] = frozenset(("route",))
BOTH: Final[frozenset[ScreenName]] = HOME | ROUTE
EVERYWHERE: Final[frozenset[ScreenName]] = frozenset(("home", "route", "probe"))


@dataclass(frozen=True, slots=True)
class Hotkey:
    """One thing the user can do, and the keys that do it."""

    id: str
    """Stable name, for remapping."""
    keys: str
    """As Textual wants them: names or characters with commas between."""
    shown: str
    """As people read them."""
    label: str
    """A word or two for the footer and the palette."""
    tooltip: str
    """One sentence for the help."""
    group: str
    action: str
    footer: int = 0
    """Order in the footer, 1 first; 0 is not in it."""
    strip: tuple[str, str] | None = None
    """Keys and label in the footer, where one entry stands for several keys."""
    where: frozenset[ScreenName] = BOTH
    """Screens on which it does that. Of one key on one screen there is one."""


KEYS: Final[tuple[Hotkey, ...]] = (
    Hotkey("help", "question_mark", "?", "help", "Show all keys and what the words mean.",
        "program", "help", 1, where=EVERYWHERE),
    Hotkey("quit", "q,ctrl+c", "q", "quit", "Leave; a summary is printed to the terminal.",
        "program", "app.quit", 2, where=EVERYWHERE),
    Hotkey("palette", "ctrl+p", "^p", "palette", "Find any command by its name.",
        "program", "app.command_palette", where=EVERYWHERE),
    Hotkey("suspend", "ctrl+z", "^z", "suspend",
        "Go to the shell; probing pauses while nobody reads.",
        "program", "app.suspend_process", where=EVERYWHERE),
    Hotkey("filter", "slash", "/", "filter", "Show only routes whose name, model, tags or state "
        "contain all the words.", "look", "filter", 11, where=HOME),
    Hotkey("only_hurt", "x", "x", "only what hurts", "Show only routes that hurt; again: all.",
        "look", "only_hurt", where=HOME),
    Hotkey("down", "j,down", "j ↓", "down", "Select the next row.", "move", "move(1)"),
    Hotkey("up", "k,up", "k ↑", "up", "Select the row before.", "move", "move(-1)"),
    Hotkey("first", "g,home", "g", "follow worst", "Give the cursor back to the worst row.",
        "move", "edge(False)"),
    Hotkey("last", "G", "G", "last", "Select the last row.", "move", "edge(True)"),
    Hotkey("trouble", "n", "n", "next trouble", "Go to the next route that hurts.",
        "move", "trouble(1)", 6),
    Hotkey("trouble_before", "N", "N", "trouble before", "Go to the route before that hurts.",
        "move", "trouble(-1)"),
    Hotkey("pane_1", "1", "1", "first pane", "Go to the first pane; again: the whole screen.",
        "move", "pane(1)"),
    Hotkey("pane_2", "2", "2", "second pane", "Go to the second pane; again: the whole screen.",
        "move", "pane(2)"),
    Hotkey("pane_3", "3", "3", "third pane", "Go to the third pane; again: the whole screen.",
        "move", "pane(3)"),
    Hotkey("pane_4", "4", "4", "fourth pane", "Go to the fourth pane; again: the whole screen.",
        "move", "pane(4)"),
    Hotkey("pane_5", "5", "5", "fifth pane", "Go to the fifth pane; again: the whole screen.",
        "move", "pane(5)", where=HOME),
    Hotkey("pane_6", "6", "6", "what happened", "Go to what happened; again: the whole screen.",
        "move", "pane(6)", where=HOME),
    Hotkey("open", "enter", "⏎", "route", "Open the page of the selected route; there, that of the "
        "selected probe.", "move", "open", 5),
    Hotkey("maximise", "z", "z", "maximise",
        "Give the pane the whole screen, or its place back.", "move", "maximise"),
    Hotkey("back", "escape", "Esc", "back", "Leave the filter, the whole screen, the preview, the "
        "page.", "move", "back", where=EVERYWHERE),
    Hotkey("scroll_down", "pagedown", "PgDn", "scroll down", "Scroll the pane down.",
        "move", "scroll_pane(1)", where=EVERYWHERE),
    Hotkey("scroll_up", "pageup", "PgUp", "scroll up", "Scroll the pane up.",
        "move", "scroll_pane(-1)", where=EVERYWHERE),
    Hotkey("sort", "s", "s", "sort", "Sort by the next column; after the last: most users hurt "
        "first.", "look", "sort", 12, where=HOME),
    Hotkey("reverse", "r", "r", "reverse", "Turn the order round.", "look", "reverse", where=HOME),
    Hotkey("window", "w", "w", "window", "Take the next window: 1m, 5m, 15m, 1h, run.",
        "look", "window", 13),
    Hotkey("freeze", "space", "space", "freeze", "Hold the screen still; collection goes on.",
        "look", "freeze", 10, where=EVERYWHERE),
    Hotkey("preview", "v", "v", "text", "Show the text of the oldest open stream as it comes.",
        "look", "preview", 14, where=HOME),
    Hotkey("more", "plus,equals_sign", "+", "concurrency up", "One more probe at once on the "
        "route.", "knobs", "concurrency('more')", 8, ("+ -", "conc")),
    Hotkey("fewer", "minus", "-", "concurrency down", "One probe fewer at once on the route.",
        "knobs", "concurrency('fewer')"),
    Hotkey("double", "asterisk", "*", "concurrency ×2", "Twice as many probes at once.",
        "knobs", "concurrency('double')"),
    Hotkey("halve", "underscore", "_", "concurrency ÷2", "Half as many probes at once.",
        "knobs", "concurrency('halve')"),
    Hotkey("sooner", "less_than_sign", "<", "interval shorter", "Send more often: a shorter "
        "interval.", "knobs", "interval(False)", 9, ("< >", "pace")),
    Hotkey("later", "greater_than_sign", ">", "interval longer", "Send less often: a longer "
        "interval.", "knobs", "interval(True)"),
    Hotkey("shorter", "left_curly_bracket,alt+down", "{", "answers shorter", "Halve the answer "
        "cap; a new cohort begins.", "knobs", "cap(False)"),
    Hotkey("longer", "right_curly_bracket,alt+up", "}", "answers longer", "Double the answer cap; "
        "a new cohort begins.", "knobs", "cap(True)"),
    Hotkey("undo", "u", "u", "undo", "Turn the last knob back to where it was.",
        "knobs", "undo", 7),
    Hotkey("burst", "b", "b", "burst", "Send as many probes as the concurrency now, beside the "
        "pace.", "knobs", "burst", 15),
    Hotkey("end_cool_down", "c", "c", "end cool-down", "Probe at once although the server asked us "
        "to wait.", "knobs", "end_cool_down"),
    Hotkey("accept_usual", "U", "U", "take as usual", "The route's present level is its usual one "
        "from now on; what fails is never.", "knobs", "accept_usual", 18, ("U", "usual")),
    Hotkey("pause", "p", "p", "pause", "Start no new attempts on the route; again: go on.",
        "knobs", "pause", 3),
    Hotkey("panic", "P", "P", "pause all", "Pause all routes and cancel what is in flight; again: "
        "go on.", "knobs", "panic", 4),
    Hotkey("mark", "m", "m", "mark", "Put a mark on the timeline.", "knobs", "mark", 16),
    Hotkey("lift", "L", "L", "lift emergency", "Let the budgets count from what is known, while "
        "the spending ledger fails or was lost.", "program", "lift"),
    Hotkey("retry", "R", "R", "retry engine", "Start the engine again after it gave up.",
        "program", "retry"),
)  # fmt: skip
"""Groups: `program`, `move`, `look`, `knobs`."""


def keys_of(screen: ScreenName) -> tuple[Hotkey, ...]:
    """Return the keys of one screen, in the order of the table."""
    return tuple(key for key in KEYS if screen in key.where)


def bindings(screen: ScreenName) -> list[BindingType]:
    """Return the keys of one screen as Textual bindings."""
    return [
        Binding(
            key.keys,
            key.action,
            key.label,
            show=key.footer > 0,
            key_display=key.shown,
            tooltip=key.tooltip,
            id=key.id,
            priority=key.id == "palette",
        )
        for key in keys_of(screen)
    ]


def footer_keys(screen: ScreenName) -> Sequence[Hotkey]:
    """Return the keys of a screen's footer, most wanted first."""
    return sorted((key for key in keys_of(screen) if key.footer), key=lambda key: key.footer)
