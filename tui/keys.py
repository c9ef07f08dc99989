"""The one table of keys: bindings, footer, help and palette are all made from it."""

from dataclasses import dataclass
from typing import Final

from textual.binding import Binding, BindingType


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


KEYS: Final[tuple[Hotkey, ...]] = (
    Hotkey("help", "question_mark", "?", "help", "Show all keys and what the words mean.",
        "program", "help", 1),
    Hotkey("quit", "q,ctrl+c", "q", "quit", "Leave; a summary is printed to the terminal.",
        "program", "app.quit", 14),
    Hotkey("palette", "ctrl+p", "^p", "palette", "Find any command by its name.",
        "program", "app.command_palette"),
    Hotkey("suspend", "ctrl+z", "^z", "suspend",
        "Go to the shell; probing pauses while nobody reads.",
        "program", "app.suspend_process"),
    Hotkey("filter", "slash", "/", "filter", "Show only routes whose name, model, tags or state "
        "contain all the words.", "look", "filter", 6),
    Hotkey("down", "j,down", "j ↓", "down", "Select the next route.", "move", "move(1)"),
    Hotkey("up", "k,up", "k ↑", "up", "Select the route before.", "move", "move(-1)"),
    Hotkey("first", "g,home", "g", "first", "Select the first route.", "move", "edge(False)"),
    Hotkey("last", "G,end", "G", "last", "Select the last route.", "move", "edge(True)"),
    Hotkey("pane_1", "1", "1", "routes", "Go to the routes; again: the whole screen.",
        "move", "pane(1)"),
    Hotkey("pane_2", "2", "2", "token arrival", "Go to the token arrival; again: the whole screen.",
        "move", "pane(2)"),
    Hotkey("pane_3", "3", "3", "percentiles", "Go to the percentiles; again: the whole screen.",
        "move", "pane(3)"),
    Hotkey("pane_4", "4", "4", "throttling", "Go to the throttling; again: the whole screen.",
        "move", "pane(4)"),
    Hotkey("pane_5", "5", "5", "retries", "Go to the retries; again: the whole screen.",
        "move", "pane(5)"),
    Hotkey("maximise", "enter", "Enter", "maximise",
        "Give the pane the whole screen, or its place back.", "move", "maximise", 5),
    Hotkey("minimise", "escape", "Esc", "back", "Leave the filter, the whole screen, the preview.",
        "move", "back"),
    Hotkey("scroll_down", "pagedown", "PgDn", "scroll down", "Scroll the pane down.",
        "move", "scroll_pane(1)"),
    Hotkey("scroll_up", "pageup", "PgUp", "scroll up", "Scroll the pane up.",
        "move", "scroll_pane(-1)"),
    Hotkey("sort", "s", "s", "sort", "Sort by the next column; after the last: worst first.",
        "look", "sort", 7),
    Hotkey("reverse", "r", "r", "reverse", "Turn the order round.", "look", "reverse"),
    Hotkey("window", "w", "w", "window", "Take the next window: 1m, 5m, 15m, 1h, run.",
        "look", "window", 8),
    Hotkey("freeze", "space", "space", "freeze", "Hold the screen still; collection goes on.",
        "look", "freeze", 4),
    Hotkey("preview", "v", "v", "text", "Show the text of the oldest open stream as it comes.",
        "look", "preview", 9),
    Hotkey("more", "plus,equals_sign", "+", "concurrency up", "One more probe at once on the "
        "route.", "knobs", "concurrency('more')", 2, ("+ -", "concurrency")),
    Hotkey("fewer", "minus", "-", "concurrency down", "One probe fewer at once on the route.",
        "knobs", "concurrency('fewer')"),
    Hotkey("double", "asterisk", "*", "concurrency ×2", "Twice as many probes at once.",
        "knobs", "concurrency('double')"),
    Hotkey("halve", "underscore", "_", "concurrency ÷2", "Half as many probes at once.",
        "knobs", "concurrency('halve')"),
    Hotkey("sooner", "less_than_sign", "<", "interval shorter", "Send more often: a shorter "
        "interval.", "knobs", "interval(False)", 3, ("< >", "interval")),
    Hotkey("later", "greater_than_sign", ">", "interval longer", "Send less often: a longer "
        "interval.", "knobs", "interval(True)"),
    Hotkey("shorter", "left_curly_bracket", "{", "answers shorter", "Halve the answer cap; a new "
        "cohort begins.", "knobs", "cap(False)"),
    Hotkey("longer", "right_curly_bracket", "}", "answers longer", "Double the answer cap; a new "
        "cohort begins.", "knobs", "cap(True)"),
    Hotkey("burst", "b", "b", "burst", "Send as many probes as the concurrency now, beside the "
        "pace.", "knobs", "burst", 10),
    Hotkey("end_cool_down", "c", "c", "end cool-down", "Probe at once although the server asked us "
        "to wait.", "knobs", "end_cool_down"),
    Hotkey("accept_usual", "U", "U", "take as usual", "The route's present level is its usual one "
        "from now on; what fails is never.", "knobs", "accept_usual", 15, ("U", "usual")),
    Hotkey("pause", "p", "p", "pause", "Start no new attempts on the route; again: go on.",
        "knobs", "pause", 11),
    Hotkey("panic", "P", "P", "panic", "Pause all routes and cancel what is in flight; again: go "
        "on.", "knobs", "panic", 12),
    Hotkey("mark", "m", "m", "mark", "Put a mark on the timeline.", "knobs", "mark", 13),
    Hotkey("lift", "L", "L", "lift emergency", "Let the budgets count from what is known, while "
        "the spending ledger fails or was lost.", "program", "lift"),
    Hotkey("retry", "R", "R", "retry engine", "Start the engine again after it gave up.",
        "program", "retry"),
)  # fmt: skip
"""Groups: `program`, `move`, `look`, `knobs`."""


def bindings() -> list[BindingType]:
    """Return the table as Textual bindings."""
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
        for key in KEYS
    ]


def footer_keys() -> tuple[Hotkey, ...]:
    """Return the keys of the footer, most wanted first."""
    return tuple(sorted((key for key in KEYS if key.footer), key=lambda key: key.footer))
