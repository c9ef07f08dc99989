"""The one table of keys: bindings, footer, help, palette and mouse are all made from it.

A user may give its rows other keys (`[keys]` in routes.toml): `remapped` makes a table of those,
and whoever shows a key asks the table that the view carries. `python -m tui.keys` prints the table
of the settings' page.
"""

import re
import string
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, get_args

import msgspec
from textual.binding import Binding, BindingType
from textual.keys import Keys, _character_to_key, format_key

from probes.config.errors import nearest
from probes.events.diagnosis_words import ADVICE_KEYS

ScreenName: TypeAlias = Literal[
    "home", "route", "probe", "comparison", "sweep", "leaderboard", "places", "history"
]
"""Screens that are live: all routes, one route, one probe of it, routes compared, one swept, routes
ranked, routes by places, weeks of one."""

HOME: Final[frozenset[ScreenName]] = frozenset(("home",))
ROUTE: Final[frozenset[ScreenName]] = frozenset(("route",))
PROBE: Final[frozenset[ScreenName]] = frozenset(("probe",))
COMPARISON: Final[frozenset[ScreenName]] = frozenset(("comparison",))
SWEEP: Final[frozenset[ScreenName]] = frozenset(("sweep",))
LEADERBOARD: Final[frozenset[ScreenName]] = frozenset(("leaderboard",))
PLACES: Final[frozenset[ScreenName]] = frozenset(("places",))
HISTORY: Final[frozenset[ScreenName]] = frozenset(("history",))
BOTH: Final[frozenset[ScreenName]] = HOME | ROUTE
ROUTES: Final[frozenset[ScreenName]] = BOTH | PLACES
"""Where a cursor stands on a route that is probed, or its page is open."""
SCROLLED: Final[frozenset[ScreenName]] = PROBE | COMPARISON | SWEEP | LEADERBOARD | HISTORY
"""Pages of lines."""
EVERYWHERE: Final[frozenset[ScreenName]] = frozenset(get_args(ScreenName))


ACT_IN_THE_PAST: Final = frozenset(("pause", "panic", "mark"))
"""Knobs that act although what is shown is not now. A brake must work whatever one looks at, and a
mark stands at what it is about; the others are turned by figures, and those are old."""


class Hotkey(msgspec.Struct, frozen=True):
    """One thing the user can do, and the keys that do it."""

    id: str
    """Stable name, for remapping."""
    keys: str
    """As Textual wants them: names or characters with commas between; empty where only the palette
    and the command line have it."""
    shown: str
    """As people read them; empty where there is none."""
    label: str
    """A word or two for the footer and the palette."""
    tooltip: str
    """One sentence for the help."""
    group: str
    action: str
    footer: int = 0
    """Order in the footer, 1 first; 0 is not in it."""
    strip: tuple[str, str] | None = None
    """Keys and label in the footer, where they are others than `shown` and `label`."""
    partner: str = ""
    """Id of the second key of that entry, where it stands for two."""
    where: frozenset[ScreenName] = BOTH
    """Screens on which it does that. Of one key on one screen there is one."""


STEP_S: Final = 10
"""One step in the run, back or forth: as a player of films has it."""
SMALL_STEP_S: Final = 1

KEYS: Final[tuple[Hotkey, ...]] = (
    Hotkey("help", "question_mark", "?", "help", "Show all keys and what the words mean.",
        "program", "help", 1, where=EVERYWHERE),
    Hotkey("quit", "q,ctrl+c", "q", "quit", "Leave; a summary is printed to the terminal.",
        "program", "app.quit", 2, where=EVERYWHERE),
    Hotkey("command", "colon", ":", "command", "Type a command, such as :conc 4 or :theme "
        "llmtop-light; Tab completes.", "program", "command", 17, where=EVERYWHERE),
    Hotkey("manual", "", "", "manual", "Read what states, figures and settings mean, at length.",
        "program", "manual", where=EVERYWHERE),
    Hotkey("write", "", "", "save settings", "Write the knobs, the theme and the window as they "
        "are now to the settings file, with its comments.", "program", "write", where=EVERYWHERE),
    Hotkey("palette", "ctrl+p", "^p", "palette", "Find any command by its name.",
        "program", "app.command_palette", where=EVERYWHERE),
    Hotkey("suspend", "ctrl+z", "^z", "suspend",
        "Go to the shell; probing pauses while nobody reads.",
        "program", "app.suspend_process", where=EVERYWHERE),
    Hotkey("filter", "slash", "/", "filter", "Show only routes whose name, model, tags or state "
        "contain all the words.", "look", "filter", 11, where=HOME | PLACES),
    Hotkey("only_hurt", "x", "x", "only what hurts", "Show only routes that hurt; again: all.",
        "look", "only_hurt", where=HOME | PLACES),
    Hotkey("down", "j,down", "j ↓", "down", "Select the next row.", "move", "move(1)"),
    Hotkey("up", "k,up", "k ↑", "up", "Select the row before.", "move", "move(-1)"),
    Hotkey("first", "g,home", "g", "follow worst", "Give the cursor back to the worst row.",
        "move", "edge(False)", where=ROUTES),
    Hotkey("last", "G", "G", "last", "Select the last row.", "move", "edge(True)", where=ROUTES),
    Hotkey("trouble", "n", "n", "next trouble", "Go to the next route that hurts.",
        "move", "trouble(1)", 6, where=ROUTES),
    Hotkey("trouble_before", "N", "N", "trouble before", "Go to the route before that hurts.",
        "move", "trouble(-1)", where=ROUTES),
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
        "move", "pane(6)", where=HOME | PLACES),
    Hotkey("open", "enter", "⏎", "route", "Open the page of the selected route.", "move", "open", 5,
        where=HOME),
    Hotkey("open_probe", "enter", "⏎", "probe", "Open the page of the selected probe.", "move",
        "open", 5, where=ROUTE),
    Hotkey("ring", "tab", "Tab", "next pane", "Go to the next pane.", "move", "ring(1)"),
    Hotkey("ring_back", "shift+tab", "S-Tab", "pane before", "Go to the pane before.",
        "move", "ring(-1)"),
    Hotkey("maximise", "z", "z", "maximise",
        "Give the pane the whole screen, or its place back.", "move", "maximise"),
    Hotkey("back", "escape", "Esc", "back", "Leave the filter, the whole screen, the preview, "
        "tags.", "move", "back", where=HOME),
    Hotkey("leave", "escape", "Esc", "back", "Leave the whole screen, the page.", "move", "back", 5,
        where=EVERYWHERE - HOME),
    Hotkey("scroll_down", "pagedown", "PgDn", "scroll down", "Scroll the pane down.",
        "move", "scroll_pane(1)", where=EVERYWHERE),
    Hotkey("scroll_up", "pageup", "PgUp", "scroll up", "Scroll the pane up.",
        "move", "scroll_pane(-1)", where=EVERYWHERE),
    Hotkey("sort", "s", "s", "sort", "Sort by the next column; after the last: most users hurt "
        "first.", "look", "sort", 12, where=HOME),
    Hotkey("leaderboard", "O", "O", "leaderboard", "Rank the routes that were asked alike: TTFT, "
        "output speed, E2E for 500 tokens, price.", "look", "leaderboard", 24, where=ROUTES),
    Hotkey("places", "W", "W", "places", "Show from where each route hurts: routes × places.",
        "look", "places", 14),
    Hotkey("open_cell", "enter", "⏎", "route", "Open the page of the route from that place.",
        "move", "open_cell", 5, where=PLACES),
    Hotkey("cell_down", "j,down", "j ↓", "down", "Go to the next route.", "move", "cell(1, 0)",
        where=PLACES),
    Hotkey("cell_up", "k,up", "k ↑", "up", "Go to the route before.", "move", "cell(-1, 0)",
        where=PLACES),
    Hotkey("cell_on", "l,tab", "l Tab", "next place", "Go to the next place.", "move",
        "cell(0, 1)", 6, ("h l", "place"), "cell_before", where=PLACES),
    Hotkey("cell_before", "h,shift+tab", "h S-Tab", "place before", "Go to the place before.",
        "move", "cell(0, -1)", where=PLACES),
    Hotkey("leader_sort", "s", "s", "sort", "Sort by the next figure.", "look", "leader_sort", 6,
        where=LEADERBOARD),
    Hotkey("leader_reverse", "r", "r", "reverse", "Turn the order round.", "look",
        "leader_reverse", 7, where=LEADERBOARD),
    Hotkey("history", "H", "H", "history", "Show weeks of the route: TTFT and E2E by day and hour, "
        "tokens, cost, prompts that grew, incidents seen before.", "look", "history", 25,
        where=ROUTES),
    Hotkey("history_span", "s", "s", "span", "Look back further: 30, 90, 400 days, then 7.",
        "look", "history_span", 6, where=HISTORY),
    Hotkey("sort_menu", "S", "S", "sort menu", "Choose the column to sort by; what each means.",
        "look", "sort_menu", where=HOME),
    Hotkey("reverse", "r", "r", "reverse", "Turn the order round.", "look", "reverse", where=HOME),
    Hotkey("window", "w", "w", "window", "Take the next window: 1m, 5m, 15m, 1h, run.",
        "look", "window", 13, where=ROUTES),
    Hotkey("log_filter", "f", "f", "log filter", "Show in what happened the selected "
        "route alone, then only incidents and knobs, then everything.", "look", "log_filter",
        where=HOME | PLACES),
    Hotkey("alerts", "a", "a", "alerts", "List what somebody had to know: what fires, what is "
        "over, who has seen it.", "look", "alerts", 18, where=EVERYWHERE),
    Hotkey("acknowledge", "A", "A", "acknowledge", "Acknowledge the newest alert; again: mute its "
        "routes for an hour.", "look", "acknowledge", where=EVERYWHERE),
    Hotkey("freeze", "space", "space", "freeze", "Hold the screen still; collection goes on. In "
        "the past: play on from there, or stand still.", "look", "freeze", 10, where=EVERYWHERE),
    Hotkey("back_10", "left", "←", f"{STEP_S} s back", f"Go back {STEP_S} s in the run.", "time",
        f"travel(-{STEP_S})", 15, ("← →", "in time"), "on_10", where=EVERYWHERE),
    Hotkey("on_10", "right", "→", f"{STEP_S} s on", f"Go on by {STEP_S} s in the run.", "time",
        f"travel({STEP_S})", where=EVERYWHERE),
    Hotkey("back_1", "comma", ",", f"{SMALL_STEP_S} s back", f"Go back {SMALL_STEP_S} s in the "
        "run.", "time", f"travel(-{SMALL_STEP_S})", 20, (", .", f"{SMALL_STEP_S} s"), "on_1",
        where=EVERYWHERE),
    Hotkey("on_1", "full_stop", ".", f"{SMALL_STEP_S} s on", f"Go on by {SMALL_STEP_S} s in the "
        "run.", "time", f"travel({SMALL_STEP_S})", where=EVERYWHERE),
    Hotkey("event_before", "left_square_bracket,alt+left", "[", "event before", "Go to the last "
        "thing that happened before: an onset, a recovery, a turn of a knob, a mark.", "time",
        "event(-1)", 18, ("[ ]", "event"), "event_after", where=EVERYWHERE),
    Hotkey("event_after", "right_square_bracket,alt+right", "]", "event after", "Go to the next "
        "thing that happened.", "time", "event(1)", where=EVERYWHERE),
    Hotkey("slower", "left_parenthesis", "(", "play slower", "Play the past more slowly.", "time",
        "speed(False)", 19, ("( )", "speed"), "faster", where=EVERYWHERE),
    Hotkey("faster", "right_parenthesis", ")", "play faster", "Play the past faster: 1×, 10×, 60×, "
        "as fast as it can be read.", "time", "speed(True)", where=EVERYWHERE),
    Hotkey("live", "F,end", "F", "live", "Show the present again; of a recording its end.", "time",
        "follow", 16, where=EVERYWHERE),
    Hotkey("preview", "v", "v", "text", "Show the text of the oldest open stream as it comes.",
        "look", "preview", 14, where=HOME),
    Hotkey("gaps", "h", "h", "gaps", "Show the map of gaps between chunks; again: of TTFT.",
        "look", "gaps", 19, where=ROUTE),
    Hotkey("slowest", "o", "o", "slowest first", "List the slowest probes first; again: the "
        "newest.", "look", "slowest", 20, where=ROUTE),
    Hotkey("only_failed", "x", "x", "only not good", "List only probes that were not good; again: "
        "all.", "look", "only_failed", 21, where=ROUTE),
    Hotkey("take_t0", "T", "T", "set T0", "Keep the figures shown as T0.", "look", "take_t0", 11,
        where=ROUTE),
    Hotkey("against_t0", "0", "0", "against T0", "Show the figures against T0; again: all columns.",
        "look", "against_t0", 12, where=ROUTE),
    Hotkey("private", "M", "M", "mask", "Mask names of routes, models and hosts, and what servers "
        "say; again: show them.", "look", "private", 19, where=EVERYWHERE),
    Hotkey("tag", "t", "t", "tag", "Tag the route to compare it; again: take the tag away.",
        "look", "tag", 17, ("t C", "tag, compare"), "compare", where=ROUTES),
    Hotkey("compare", "C", "C", "compare", "Compare tagged routes, or one with one thing changed.",
        "look", "compare", where=EVERYWHERE - COMPARISON),
    Hotkey("compare_again", "C", "C", "another", "Compare something else, when this one is over.",
        "look", "compare", 8, where=COMPARISON),
    Hotkey("copy_comparison", "y", "y", "copy", "Copy the page as text; terminals that know OSC 52 "
        "take it.", "look", "copy_comparison", 6, where=COMPARISON),
    Hotkey("stop_comparing", "x,s", "x s", "stop", "Send no more; what is known by then stands.",
        "knobs", "stop_comparing", 5, ("x", "stop"), where=COMPARISON),
    Hotkey("sweep", "K", "K", "sweep", "Ask the route for more and more, to find its knee: what it "
        "carries within its goals.", "look", "sweep", 13, where=ROUTES),
    Hotkey("sweep_again", "K", "K", "again", "Sweep the route once more, when this one is over.",
        "look", "sweep", 8, where=SWEEP),
    Hotkey("copy_sweep", "y", "y", "copy", "Copy the page as text; terminals that know OSC 52 take "
        "it.", "look", "copy_sweep", 6, where=SWEEP),
    Hotkey("stop_sweeping", "x,s", "x s", "stop", "Send no more; what is known by then stands.",
        "knobs", "stop_sweeping", 5, ("x", "stop"), where=SWEEP),
    Hotkey("more", "plus,equals_sign", "+", "concurrency up", "One more probe at once on the "
        "route.", "knobs", "concurrency('more')", 8, ("+ -", "conc"), "fewer", where=ROUTES),
    Hotkey("fewer", "minus", "-", "concurrency down", "One probe fewer at once on the route.",
        "knobs", "concurrency('fewer')", where=ROUTES),
    Hotkey("double", "asterisk", "*", "concurrency ×2", "Twice as many probes at once.",
        "knobs", "concurrency('double')", where=ROUTES),
    Hotkey("halve", "underscore", "_", "concurrency ÷2", "Half as many probes at once.",
        "knobs", "concurrency('halve')", where=ROUTES),
    Hotkey("adapt", "l", "l", "limit by itself", "Let the concurrency find itself: as many at once "
        "as server and goals bear; again, or + and -: set it by hand.", "knobs", "adapt", 10,
        ("l", "auto")),
    Hotkey("sooner", "less_than_sign", "<", "more often", "Send more often: a shorter "
        "interval, or where the pace is open a higher rate.", "knobs", "interval(False)", 9,
        ("< >", "pace"), "later", where=ROUTES),
    Hotkey("later", "greater_than_sign", ">", "less often", "Send less often: a longer "
        "interval, or where the pace is open a lower rate.", "knobs", "interval(True)",
        where=ROUTES),
    Hotkey("shorter", "left_curly_bracket,alt+down", "{", "answers shorter", "Halve the answer "
        "cap; a new cohort begins.", "knobs", "cap(False)", where=ROUTES),
    Hotkey("longer", "right_curly_bracket,alt+up", "}", "answers longer", "Double the answer cap; "
        "a new cohort begins.", "knobs", "cap(True)", where=ROUTES),
    Hotkey("undo", "u", "u", "undo", "Turn the last knob back to where it was.",
        "knobs", "undo", 7, where=ROUTES),
    Hotkey("burst", "b", "b", "burst", "Send as many probes as the concurrency now, beside the "
        "pace.", "knobs", "burst", 15, where=ROUTES),
    Hotkey("fresh", "B", "B", "fresh connection", "Send one probe now, on a connection of its own: "
        "it tells a server that hangs from a connection that does.", "knobs", "fresh", 19,
        where=ROUTES),
    Hotkey("end_cool_down", "c", "c", "end cool-down", "Probe at once although the server asked us "
        "to wait.", "knobs", "end_cool_down", where=ROUTES),
    Hotkey("accept_usual", "U", "U", "take as usual", "The route's present level is its usual one "
        "from now on; what fails is never.", "knobs", "accept_usual", 18, ("U", "usual"),
        where=ROUTES),
    Hotkey("pause", "p", "p", "pause", "Start no new attempts on the route; again: go on.",
        "knobs", "pause", 3, where=EVERYWHERE),
    Hotkey("panic", "P", "P", "pause all", "Pause all routes and cancel what is in flight; again: "
        "go on.", "knobs", "panic", 4, where=EVERYWHERE),
    Hotkey("mark", "m", "m", "mark", "Put a mark on the timeline, with a text of yours: at the "
        "moment that is shown.", "knobs", "mark", 16, where=ROUTES),
    Hotkey("lift", "L", "L", "lift emergency", "Let the budgets count from what is known, while "
        "the spending ledger fails, was lost or is new on a bus.", "program", "lift",
        where=EVERYWHERE),
    Hotkey("retry", "R", "R", "retry engine", "Start the engine again after it gave up.",
        "program", "retry", where=EVERYWHERE),
    Hotkey("line_down", "j,down", "j ↓", "line down", "Scroll the page by a line.",
        "move", "scroll(1)", where=SCROLLED),
    Hotkey("line_up", "k,up", "k ↑", "line up", "Scroll the page back by a line.",
        "move", "scroll(-1)", where=SCROLLED),
    Hotkey("page_top", "g,home", "g", "top", "Go to the top of the page.",
        "move", "edge(False)", where=SCROLLED),
    Hotkey("page_end", "G", "G", "end", "Go to the end of the page.",
        "move", "edge(True)", where=SCROLLED),
    Hotkey("older", "J", "J", "next probe", "Show the next probe of the list: an older one.",
        "move", "neighbour(1)", 5, ("J K", "next, previous"), "newer", where=PROBE),
    Hotkey("newer", "K", "K", "previous probe", "Show the probe before it in the list.",
        "move", "neighbour(-1)", where=PROBE),
    Hotkey("bundle", "e", "e", "bundle", "Write a folder for whoever was not there: the incident "
        "of the route, or the last 15 minutes, as pages, tables and a recording.", "look", "bundle",
        22, where=EVERYWHERE),
    Hotkey("copy", "y", "y", "copy", "Copy in a paragraph what happened, for a chat or a ticket; "
        "terminals that know OSC 52 take it.", "look", "copy", 23, where=ROUTES),
    Hotkey("copy_id", "y", "y", "copy the id", "Copy the id that the provider can look "
        "up; terminals that know OSC 52 take it.", "look", "copy", 6, where=PROBE),
)  # fmt: skip
"""Groups: `program`, `move`, `look`, `time`, `knobs`."""


ALWAYS_SHOWN: Final = 4
"""Order in the footer up to which an entry is never left out: help, quit, and both pauses."""
_ALWAYS_QUITS: Final = "ctrl+q"
"""Textual's own, and the way out that no table can take away."""


EXPECTED_KEY: Final = 'a character such as "x", or a name such as "f2", "ctrl+u" or "pageup"'


_MODIFIERS: Final = frozenset(("ctrl", "alt", "shift"))
_NAMES: Final = frozenset(
    key.value
    for key in Keys
    if "+" not in key.value and key.value[0] not in "<" and "-" not in key.value
) | {_character_to_key(character) for character in string.punctuation}
"""Keys that have a name, and characters by Textual's names of them."""


_SHORT: Final = {"ctrl": "^", "alt": "Alt", "shift": "S"}
_SHOWN: Final = {
    "enter": "⏎",
    "escape": "Esc",
    "space": "space",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "delete": "Del",
    "insert": "Ins",
    "backspace": "Bksp",
}


class KeymapError(ValueError):
    """Keys cannot be given out as asked; `problems` has the id and what is wrong with it, each."""

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__("\n".join(f"{name}: {text}" for name, text in problems))
        self.problems = problems


def keys_of(screen: ScreenName, keys: Sequence[Hotkey] = KEYS) -> tuple[Hotkey, ...]:
    """Return the keys of one screen, in the order of the table."""
    return tuple(key for key in keys if screen in key.where)


def bindings(screen: ScreenName, keys: Sequence[Hotkey] = KEYS) -> list[BindingType]:
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
        for key in keys_of(screen, keys)
        if key.keys
    ]


def footer_keys(screen: ScreenName, keys: Sequence[Hotkey] = KEYS) -> Sequence[Hotkey]:
    """Return the keys of a screen's footer, most wanted first."""
    shown = (key for key in keys_of(screen, keys) if key.footer and key.keys)
    return sorted(shown, key=lambda key: key.footer)


def hotkey(name: str, keys: Sequence[Hotkey] = KEYS) -> Hotkey:
    """Return the row of an id."""
    return next(key for key in keys if key.id == name)


_NAMED: Final = re.compile(r"\{(\w+)\}")


def first_key(name: str, keys: Sequence[Hotkey] = KEYS) -> str:
    """Return the first key of an id as people read it; empty where the user took all away."""
    return hotkey(name, keys).shown.partition(" ")[0]


def key_or_label(name: str, keys: Sequence[Hotkey] = KEYS) -> str:
    """Return what an id is called in a sentence: its first key, or what the palette calls it."""
    return first_key(name, keys) or hotkey(name, keys).label


def with_keys(words: str, keys: Sequence[Hotkey] = KEYS) -> str:
    """Return our own words with `{id}` replaced by the key that the user has for it."""
    return _NAMED.sub(lambda found: key_or_label(found[1], keys), words)


def hints(keys: Sequence[Hotkey], *each: tuple[str, str]) -> str:
    """Return what can be done here, as the border of a pane says it: `o slowest first · x all`.

    Args:
        keys: those that the user has.
        each: an id, and what its key does here; without a key it is left out.
    """
    pairs = ((first_key(name, keys), words) for name, words in each)
    return " · ".join(f"{key} {words}" for key, words in pairs if key)


def advice_keys(keys: Sequence[Hotkey] = KEYS) -> dict[str, str]:
    """Return the keys that the advice of a diagnosis names, by their ids."""
    return {name: key_or_label(name, keys) for name in ADVICE_KEYS}


def remapped(wanted: Mapping[str, Sequence[str]]) -> tuple[Hotkey, ...]:
    """Return the table with the keys that are `wanted` by id; none takes an id's keys away.

    Raises:
        KeymapError: an id or a key is not known, two have one key on a screen, or nothing quits.
    """
    problems: list[tuple[str, str]] = []
    given: dict[str, tuple[str, ...]] = {}
    known = {key.id for key in KEYS}
    for name, words in wanted.items():
        if name not in known:
            problems.append((name, f"unknown key{_meant(name, known)}"))
            continue
        found = {word: key_named(word) for word in words}
        for word, key in found.items():
            if key is None:
                problems.append((name, f"got {word}, expected {EXPECTED_KEY}{_meant_key(word)}"))
            elif key == _ALWAYS_QUITS and name != "quit":
                problems.append((name, f"got {word}, which always quits, expected another key"))
        given[name] = tuple(dict.fromkeys(key for key in found.values() if key is not None))
    made = {key.id: _with_keys(key, given[key.id]) if key.id in given else key for key in KEYS}
    if not made["quit"].keys and not any(name == "quit" for name, _ in problems):
        problems.append(("quit", "has no key, expected one at least: it is the way out"))
    problems.extend(_shared(tuple(made.values()), given))
    if problems:
        raise KeymapError(tuple(problems))
    return tuple(_with_strip(key, made) for key in made.values())


def key_named(word: str) -> str | None:
    """Return Textual's name of a key that a user names; None where it is none."""
    if len(word) == 1:
        return _character_to_key(word) if word.isprintable() else None
    *modifiers, last = word.lower().split("+")
    if len(set(modifiers)) != len(modifiers) or not set(modifiers) <= _MODIFIERS:
        return None
    if last not in _NAMES and not (modifiers and len(last) == 1 and last.isalnum()):
        return None
    if modifiers == ["shift"] and len(last) == 1:
        return last.upper()  # what a terminal sends of it
    return "+".join((*sorted(modifiers), last))  # in which order Textual names them


def _with_keys(key: Hotkey, names: Sequence[str]) -> Hotkey:
    return msgspec.structs.replace(key, keys=",".join(names), shown=" ".join(map(shown_key, names)))


def shown_key(name: str) -> str:
    """Return a key as people read it: `+`, `^u`, `PgDn`."""
    if name in _SHOWN:
        return _SHOWN[name]
    *modifiers, last = name.split("+")
    plain = _SHOWN.get(last) or (last.upper() if last[1:].isdigit() else format_key(last))
    if modifiers == ["ctrl"] and len(plain) == 1:
        return f"^{plain}"
    return "-".join((*(_SHORT.get(modifier, modifier) for modifier in modifiers), plain))


def _with_strip(key: Hotkey, made: Mapping[str, Hotkey]) -> Hotkey:
    """Return a row whose entry in the footer shows the keys that it has by now."""
    if key.strip is None:
        return key
    both = (key, made[key.partner]) if key.partner else (key,)
    firsts = (one.shown.partition(" ")[0] for one in both)
    return msgspec.structs.replace(key, strip=(" ".join(filter(None, firsts)), key.strip[1]))


def _shared(
    table: Sequence[Hotkey], given: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Give what is wrong where two ids have one key on one screen: once for each two of them."""
    told: set[tuple[str, str]] = set()
    for screen in get_args(ScreenName):
        owners: dict[str, str] = {}
        for row in keys_of(screen, table):
            for name in filter(None, row.keys.split(",")):
                other = owners.setdefault(name, row.id)
                # The one that was remapped is at fault; of two, the later one.
                at_fault, rightful = (row.id, other) if row.id in given else (other, row.id)
                if other != row.id and (at_fault, rightful) not in told:
                    told.add((at_fault, rightful))
                    words = f"expected another key than that of {rightful} on the same screen"
                    yield at_fault, f"got {name}, {words}"


def _meant(word: str, known: Iterable[str]) -> str:
    meant = nearest(word, known)
    return f", did you mean {meant}?" if meant else f", expected one of {', '.join(sorted(known))}"


def _meant_key(word: str) -> str:
    meant = nearest(word, _NAMES)
    return f"; did you mean {meant}?" if meant else ""


def page_table() -> str:
    """Return the table of ids for the page of the settings, in Markdown."""
    lines = ["| `[keys]` | default | what it does |", "|---|---|---|"]
    for key in KEYS:
        names = ", ".join(f'`"{name}"`' for name in filter(None, key.keys.split(","))) or "–"
        lines.append(f"| `{key.id}` | {names} | {key.tooltip} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page_table())
