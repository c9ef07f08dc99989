"""What the words and glyphs on the screen mean, and what to do about each state: the help's words.

Rule 1. A meaning stands here and nowhere else in the program: help and menus take it from here,
and a test holds the tables of the room's README to the same words.
Rule 2. Between backticks stands what is on the screen, on the keyboard or in the settings. `{id}`
is the key of that id, whichever the user has.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from probes.board.views import RouteState
from tui.draw.chart import FAILED, NO_SAMPLE, OFF_SCALE, RESCUED, STALLED, THROTTLED
from tui.draw.text import MARK, NO_FIGURE, NOT_STREAMED, Role
from tui.keys import (
    COMPARISON,
    HISTORY,
    HOME,
    KEYS,
    LEADERBOARD,
    PLACES,
    PROBE,
    ROUTE,
    SWEEP,
    Hotkey,
    ScreenName,
    first_key,
)
from tui.panes.comparison import STATE_WORDS
from tui.panes.header import FIRES
from tui.panes.moment import THEN
from tui.panes.pace import BEHIND
from tui.panes.routes import (
    ADAPTIVE,
    COLUMNS,
    FEW_SAMPLES,
    MORE_PROBES,
    STATE_GLYPHS,
    STATE_ROLES,
)
from tui.panes.sweep import STATE_WORDS as SWEEP_STATES
from tui.panes.view import ARM_LETTERS, PaneName
from tui.screens.alert_list import OVER, SEEN


class Term(msgspec.Struct, frozen=True):
    """A word or glyph as it stands on the screen, and what it means."""

    shown: str
    meaning: str
    role: Role = "title"
    said: Role = "dim"
    """Role of the meaning."""


class Section(msgspec.Struct, frozen=True):
    """Terms that belong together."""

    title: str
    terms: tuple[Term, ...]


class StateHelp(msgspec.Struct, frozen=True):
    """What a route's state means, and what somebody on call does about it.

    The same words stand in the room's README. `{id}` is the key of that id, whichever the user has
    for it; what stands between backticks is lit.
    """

    meaning: str
    look: str
    """What to look at."""
    do: str
    """What to do, with which key."""


STATES: Final[dict[RouteState, StateHelp]] = {
    "down": StateHelp(
        "nothing succeeds: an outage, DNS, TLS, the way there, or a refusal of all we ask (key, "
        "account, model, request); or all of it fails otherwise, such as with 5xx",
        "the verdict names the cause and has the server's own words; `llmtop once ROUTE` shows one "
        "request of it",
        "send users elsewhere; a knob does not help",
    ),
    "hanging": StateHelp(
        "it takes requests and answers nothing",
        "`OPEN`, and the waiting dots in the lanes",
        "send users elsewhere",
    ),
    "failing": StateHelp(
        "a share fails, or is answered wrongly: more than ever by chance",
        "the outcomes in the lanes, the reasons in the retries pane",
        "timeouts and 5xx that grow with the concurrency: {fewer}; else send users elsewhere",
    ),
    "throttled": StateHelp(
        "it refuses us for our rate, or cools down",
        "the throttling pane: which limit, what is left of it",
        "`concurrency`: {fewer} to below the limit. `requests` or `tokens` a minute: {later}, or a "
        "smaller cap with {shorter}. A long cool-down that is over by your own knowledge: "
        "{end_cool_down}",
    ),
    "stalling": StateHelp(
        "streams pause in mid-answer, more than usual",
        "`⋯` in the lanes",
        "tell the provider; users who read along notice it first",
    ),
    "sluggish": StateHelp(
        "TTFT or E2E p95 is above 1.5 × its goal, or tok/s is as far below its own",
        "waiting dots before `▶`: a queue. Thin cells after it: slow decoding",
        "a queue: try {fewer}. Slow decoding: move users, or shorter answers with {shorter}",
    ),
    "slow": StateHelp(
        "a goal is missed by less; or slower than usual, though within the goals; or an incident "
        "of which it is not sure",
        "the same, earlier",
        "nothing yet; if the level is here to stay: {accept_usual}",
    ),
    "masked": StateHelp(
        "retries hide errors: users only wait longer",
        "the retries pane",
        "nothing breaks yet",
    ),
    "changed": StateHelp(
        "within its goals, and not as before: longer prompts or answers, another model, "
        "connections that are not kept",
        "the verdict says what. Cost may follow",
        "if it is meant to be so: {accept_usual}",
    ),
    "silent": StateHelp(
        "nothing is heard of the place it is probed from: nobody knows how it is, and its figures "
        "are those of then",
        "SINCE: when it was heard last. The log: what is known of why",
        "look after the agent there, or the way to it; it sends what it measured meanwhile",
    ),
    "ok": StateHelp("all goals are met, and nothing is wrong", "–", "–"),
    "held": StateHelp(
        "we stopped: a budget is spent, nobody read our events, or the engine starts again",
        "the line on top says which. The route itself may be well",
        "wait, or raise the budget",
    ),
    "paused": StateHelp("you stopped it", "–", "{pause}, or {panic} for all"),
    "starting": StateHelp(
        "no probe has succeeded yet, and nothing is known to be wrong",
        "the lanes",
        "wait one interval",
    ),
}
"""Worst first."""

COLUMN_MEANINGS: Final[dict[str, str]] = {
    "model": "its model",
    "state": "the state in words",
    "since": "how long ago that began which makes the state; seconds below ten minutes",
    "good": "ok and within every goal; what is open and hangs is not. The louder the more users "
    "are hurt: from 5, 10 and 50 % on",
    "ok": "success; `▼` below its goal",
    "ttft_p50": "median TTFT, graded by its goal as the percentiles below",
    "ttft_p95": "p95; `whole` where the route is not streamed",
    "ttft_p99": "p99",
    "sched_p95": "where a pace is open: TTFT p95 (E2E where answers come whole) from when the "
    "probe was due, its wait for a place included",
    "ttft_times": "p95 against the usual one, from ×1.2 on: blank where it is as usual, `learn` "
    "where too little is known. `△`, and from ×2 on `▲`; dim where the state is `ok`",
    "e2e_p50": "median E2E",
    "e2e_p95": "p95",
    "e2e_times": "as `TTFT×`",
    "speed": "of a stream, the median; graded by `goals.tokens_per_s`, where that is set: `△` "
    "below it, `▲` below 1/1.5 of it",
    "speed_times": "against the usual speed, from ×0.8 down",
    "stall": "share of the answers that paused in mid-stream, in per cent",
    "throttled": "throttled attempts a minute",
    "timeouts": "timeouts a minute",
    "retry": "attempts a probe",
    "tokens": "tokens of an attempt, the mean",
    "conc": "attempts in flight / the most at once; `a` where that finds itself; `⇡` while it is "
    "probed more often because something is suspected; `«` where its rate cannot be kept",
    "open": "age of the oldest open request; `!` when it has been open for longer than three "
    "times the p95 (its goal where too few are known) and 8 s: for whole answers once"
    " it writes, for first tokens before",
    "per_min": "probes finished a minute",
    "usd": "what probing costs; `~` where that is an estimate",
    "why": "why it is in that state, in the server's own words where there are any; how long"
    " it still cools",
}
"""By the key of the column of the routes table; the same words stand in the room's README."""

_FIGURES: Final = Section(
    "figures",
    (
        Term(
            "TTFT",
            "Time to first token: all that a user waits, connecting and failed attempts included.",
        ),
        Term("E2E", "From the start to the last byte of the answer."),
        Term("sched", "Of an open pace: from when the probe was due, its wait included."),
        Term("p50 p95", "Half, 95 of 100 probes were at least this fast."),
        Term("n", "Samples behind a percentile."),
        Term("now", "The last minute, or since the onset where that is shorter."),
        Term("usual", "What a figure was while the route was well; × is how many times that."),
        Term("gateway", "Behind it: further tries it says it made itself, unseen by us."),
        Term("failed %", "Probes that did not end ok."),
    ),
)
_MARKS: Final = Section(
    "marks on figures",
    (
        Term("△ ▲", "Above its goal; above 1.5 × its goal.", "slow"),
        Term(
            f"dim {FEW_SAMPLES}",
            "Too few samples for this percentile: the largest of n, not graded.",
            "faint",
        ),
        Term(
            "~",
            "An estimate. Tokens: characters by the route's own characters a token, at first 4; "
            "cost: by your price, or the one in the provider's list.",
            "dim",
        ),
        Term(NO_FIGURE, "No sample.", "faint"),
        Term(ADAPTIVE, "The concurrency finds itself: {adapt}.", "dim"),
        Term(MORE_PROBES, "Probed more often: something is suspected.", "dim"),
        Term(BEHIND, "The rate of an open pace cannot be kept: fewer probes begin.", "slow"),
        Term(NOT_STREAMED, "The route is not streamed: its answers have no TTFT.", "faint"),
    ),
)
_LANES: Final = Section(
    "token arrival",
    (
        Term("▶", "First token.", "good"),
        Term("▁▄█", "Output chunks that arrived in the cell.", "graph"),
        Term("·", "Waiting.", "faint"),
        Term("⋯", "Stall: open, and nothing comes.", "stall"),
        Term("┤", "End of the answer.", "dim"),
        Term(THROTTLED, "429, and the wait before the retry.", "throttled"),
        Term(f"{FAILED} ╱", "Failed; cut off. The reason is beside it.", "missed"),
        Term("◷ ○", "Timeout; cancelled by us.", "missed"),
    ),
)
_CHARTS: Final = Section(
    "trends and charts",
    (
        Term("▁▄█ ⠒⠒", "TTFT p95 on the labelled scale, its colour by the goal.", "fine"),
        Term("⣶⣶", "TTFT p50.", "graph_dim"),
        Term("┄┄", "The goal.", "goal"),
        Term("▾ ┊", "A knob was turned, or you set a mark.", "accent"),
        Term(OFF_SCALE, "Above the scale of the strip.", "sluggish"),
        Term(FAILED, "Failures; in a strip most of what ended.", "missed"),
        Term(THROTTLED, "429s; in a strip a quarter of the attempts.", "throttled"),
        Term(f"{STALLED} {RESCUED}", "A tenth paused; a tenth was rescued by retries.", "stall"),
        Term(NO_SAMPLE, "No sample.", "faint"),
    ),
)
_PAGE: Final = Section(
    "page of a route",
    (
        Term("░", "Writing: from the first token to the end.", "graph"),
        Term("▚", "1st token: from the response headers to it.", "accent"),
        Term("▓", "Headers: from the request sent to them; a queue is here.", "graph"),
        Term("▒", "Connect: name, TCP, TLS, and our own sending.", "faint"),
        Term("↻", "Retries: attempts that failed before, and the waits after them.", "slow"),
        Term("░▒▓█", "In the map: how many took so long in 10 s; the legend has the numbers.",
             "graph"),
        Term("▲ ✓", "On an axis: an onset, an end; ✕ ⊘ · as in trends.", "slow"),
        Term("≥", "It lies among what failed or is still open: at least so much.", "sluggish"),
        Term("T0", "What `T` kept of the figures, to compare with.", "title"),
        Term(MARK, "A strip goes on beyond the scale.", "title"),
    ),
)  # fmt: skip
_COMPARISON: Final = Section(
    "comparison",
    (
        Term(
            f"{ARM_LETTERS[0]} {ARM_LETTERS[1]} …",
            "The arms, in the order in which they were tagged; the others stand against the first.",
        ),
        Term("pair", "One probe of each arm, sent by turns in a random order.", "title"),
        Term(
            "×1.35",
            "The figure of an arm as so many times the first one's, the middle of the pairs.",
        ),
        Term(
            "points",
            "Of a share: the difference, in per cent of all pairs; below 0 the arm has fewer.",
        ),
        Term(
            "├━●━┤",
            "Where the true one lies, however often one looks; the longer it asks the narrower.",
            "text",
        ),
        Term("← →", "The interval goes on beyond the scale, or is open yet.", "text"),
        Term("│", "×1, or no difference: an interval that crosses it leaves open which is better."),
        Term("▸", "The figure that ends the comparison once it is known.", "accent"),
        Term("the same", "All of the interval is so near to it that nobody would feel more."),
        Term("n", "Pairs that a figure rests on."),
        Term("settled", "What was to be known of the arm is known: it is asked no more.", "dim"),
        Term(STATE_WORDS["decided"], "It knows, and has stopped by itself.", "good"),
        Term(STATE_WORDS["budget"], "Its pairs, tokens or USD ran out before it knew.", "slow"),
    ),
)
_SWEEP: Final = Section(
    "sweep",
    (
        Term("AT", "The load: requests at once, or begun each second.", "title"),
        Term("●", "All goals are kept, as far as one knows.", "good"),
        Term("○", "A goal is missed, or looks so.", "sluggish"),
        Term("⊘", "429s came that belong to the load.", "throttled"),
        Term("✕", "Surely more than a twentieth fail otherwise.", "missed"),
        Term("surely", "Between which two the p95 lies, in 49 of 50 such steps."),
        Term("off%", "How far throughput may be off its figure."),
        Term("never", "So many fail that the p95 is of those that get no answer.", "missed"),
        Term("knee", "The load beyond which more requests only wait for each other.", "accent"),
        Term("tight", "The step ended because more of the same would tell nothing more.", "dim"),
        Term(
            "time over", "It ended because its 30 s were; the intervals say what is known.", "dim"
        ),
        Term("checked", "The first load once more: is the provider still what it was?", "dim"),
        Term("again", "The load that met an edge, once more: was it only a moment's?", "dim"),
        Term(SWEEP_STATES["ill"], "It is not: no knee and no limit is claimed.", "missed"),
        Term(SWEEP_STATES["budget"], "Another step might have spent more than was told.", "slow"),
    ),
)
_ALERTS: Final = Section(
    "alerts, in the header and their list",
    (
        Term(FIRES[0], "Fires, and nobody has acknowledged it; the header counts these.", FIRES[1]),
        Term(SEEN[0], "Fires, and is acknowledged: the header is calm.", SEEN[1]),
        Term(OVER[0], "Over.", OVER[1]),
        Term(
            "muted",
            "Its routes call nobody for an hour: no bell, notification, `on_alert` or webhook. "
            "What still fires then calls then, where nobody has acknowledged it.",
        ),
    ),
)
_LEADERBOARD: Final = Section(
    "leaderboard",
    (
        Term("TTFT tok/s", "Medians of the last probes of a route and what it was asked; "
             "tok/s from the first output on."),
        Term("E2E500", "TTFT + 500 / tok/s of each probe: what an answer of 500 tokens takes."),
        Term("*", "Reasoning was streamed: it begins with the first token of the answer."),
        Term("0.2 to 0.3", "Where the true median lies, with 95 %; `too few` to tell it.", "dim"),
        Term("$/M", "USD a million tokens, three of input to one of output; – where unknown."),
        Term("IN OUT", "Tokens of a prompt and an answer, as the server counted them.", "dim"),
    ),
)  # fmt: skip
_HISTORY: Final = Section(
    "history",
    (
        Term("p95 p50", "Of a day or an hour of the day: of all samples of the cohort that most "
             "probes were of.", "graph"),
        Term("IN OUT $", "Tokens and USD of all probes; at the right what the highest bar is."),
        Term("prompts", "The weekly check: days from which on they are counted longer or shorter.",
             "sluggish"),
        Term("seen 3 times", "Incidents of the same cause, route and place, how long they took."),
    ),
)  # fmt: skip
_OBSERVER: Final = Section(
    "observer, at the right of the header",
    (
        Term("◉ exact", "The kernel stamps what arrives, and nearly each chunk by itself.", "good"),
        Term("◉ kernel", "It does, and some chunks came together.", "good"),
        Term("○ user", "The engine stamps it when it wakes: lag makes TTFT read high.", "dim"),
        Term("lag", "How late the engine's loop wakes, p99 of the last second.", "dim"),
        Term("cpu 7/9%", "Share of a core: the engine's, the screen's.", "dim"),
        Term("drops", "Drawing data thrown away: token arrival has holes, nothing else.", "dim"),
        Term(
            "inexact",
            "Share of chunks whose arrival is only known to lie between two reads.",
            "dim",
        ),
        Term("5 Hz", "Frames a second, halved because the terminal is slow.", "slow"),
        Term("✖", "A figure on the screen is not to be trusted: which, and how.", "missed"),
    ),
)

_COLUMNS: Final = Section(
    "columns of the routes table",
    tuple(
        Term(f"{column.group}{column.head}", COLUMN_MEANINGS.get(column.key, ""))
        for column in COLUMNS
    ),
)

PANE_COLUMNS: Final[dict[PaneName, tuple[Term, ...]]] = {
    "arrival": (
        Term("id", "the probe's number"),
        Term(
            "age, tok, tok/s",
            "since its start; output tokens so far; their speed. `~` is an estimate",
        ),
    ),
    "percentiles": (
        Term("p50 … p99, max, n", "of TTFT and E2E, and of how many samples; a column a window"),
        Term("now, usual", "the shortest window; what a figure was while the route was well"),
        Term("tok/s", "of a stream, over the window of the table"),
        Term(
            "failed %, oldest open",
            "what did not end ok; how long the oldest open stream has been waited for",
        ),
    ),
    "throttling": (
        Term("TIME, ROUTE", "of each 429, newest first; above them a line for each limit"),
        Term(
            "LIMIT, ASKED s, WAITED s",
            "which limit was hit; the wait it asked for; the wait it got",
        ),
        Term("LEFT, RESETS", "what was left of it; until when"),
        Term("REQUEST, MESSAGE", "the id that support asks for; the server's words"),
    ),
    "retries": (
        Term("REASON, 1st, 2nd", "why; how many first, second, … retries"),
        Term("RECOVERED, EXHAUSTED", "probes that were rescued; that failed all the same"),
        Term("ADDED WAIT", "the time they spent waiting"),
    ),
    "figures": (
        Term(
            "now, usual, T0",
            "the last minute or since the onset; while it was well; when you set it",
        ),
        Term("×", "`now` as so many times `usual`, where it has left that; `≥` at least so many"),
        Term(
            "more, at least, at most",
            "what `now` is against `T0`, and where that surely lies",
        ),
        Term("gap", "time between two chunks"),
        Term("cold %", "of the attempts, those on a connection that was made for them"),
        Term("lost seg", "segments an attempt that were sent again, or came out of order"),
        Term("cached %", "of the input tokens, those that the provider had in its cache"),
        Term("RTT ms", "round trip of the connection, the median"),
    ),
    "probes": (
        Term("ENDED", "how it ended, or that it is open"),
        Term("TRIES", "attempts, and the time that failed ones and their waits took"),
        Term("GAP", "the longest time between two chunks"),
        Term("WHY", "the precise reason, where it did not end ok"),
    ),
}
"""What the columns of a pane are; the same words stand in the room's README."""

_PLACES: Final = Section(
    "routes × places",
    (
        Term("✖ 100%", "Of the probes from there so many fail.", "missed"),
        Term("▲ ×3.1", "The median TTFT from there is so many times its usual.", "sluggish"),
        Term("∅ 40s", "Nothing has been heard from there for so long.", "slow"),
        Term("·", "Well from there; with a × beside it slower than usual, and within its goals."),
        Term("▁▁▃▆", "In wide cells: TTFT p95 of the last minutes, as in the table's strip."),
        Term("HURT 3/4", "From how many places the route hurts, of those that tell; below: how "
             "many routes hurt from the place."),
        Term("a column", "What hurts from one place alone is the way there.", "missed"),
        Term("a row", "What hurts from everywhere is the provider.", "missed"),
        Term("+6", "So many columns have no room; those stand that hurt."),
    ),
)  # fmt: skip

_OF_PANES: Final[dict[PaneName, tuple[Section, ...]]] = {
    "routes": (_COLUMNS, _MARKS),
    "arrival": (_LANES,),
    "percentiles": (_CHARTS, _MARKS),
    "phases": (_PAGE, _CHARTS),
    "heat": (_PAGE, _CHARTS),
    "figures": (_FIGURES, _MARKS, _PAGE),
    "probes": (_LANES, _PAGE),
    "request": (_LANES,),
    "comparison": (_COMPARISON,),
    "sweep": (_SWEEP,),
    "leaderboard": (_LEADERBOARD,),
    "places": (_PLACES,),
    "history": (_HISTORY,),
}

_TIME: Final = Section(
    "the axis of the run, while what is shown is not now",
    (
        Term("◆", "where one stands; the header has the time", "past"),
        Term("◇", "where one is on a long way to", "past"),
        Term("├ ┊", "the first moment that can be shown; retention deleted the rest", "stall"),
        Term("═", "an incident, from its onset to its end", "missed"),
        Term("✓", "it was over", "good"),
        Term("⚙ ▾", "a knob was turned; somebody put a mark", "accent"),
        Term("◌", "we ourselves did not run, or another engine took over", "stall"),
        Term("3/12", "of twelve things that happened the third is the last before here"),
        Term(
            THEN,
            "what is `now` of the present: the last minute before the moment that is shown; charts "
            "and lanes end at its time",
        ),
        Term("live: ▲ 2 hurt", "how it is now; collection goes on whatever is looked at"),
    ),
)

_PAGE_OF: Final[dict[PaneName, frozenset[ScreenName]]] = {
    **dict.fromkeys(("phases", "heat", "figures", "probes"), ROUTE),
    "request": PROBE,
    "comparison": COMPARISON,
    "sweep": SWEEP,
    "leaderboard": LEADERBOARD,
    "places": PLACES,
    "history": HISTORY,
}
"""The screens whose panes those are that have no place on the home screen."""

GLOSSARY: Final = (
    *(_FIGURES, _COLUMNS, _MARKS, _LANES, _CHARTS, _ALERTS, _PAGE, _COMPARISON),
    *(_SWEEP, _LEADERBOARD, _HISTORY, _PLACES, _OBSERVER, _TIME),
)
"""All but the states."""

HelpPage: TypeAlias = Literal[
    "here", "keys", "states", "figures", "marks", "observer", "pages", "compare", "time"
]
HELP_PAGES: Final[tuple[HelpPage, ...]] = get_args(HelpPage)


def state_words(state: RouteState, keys: Sequence[Hotkey] = KEYS) -> StateHelp:
    """Return what a state means and what to do, with the keys that the user has."""
    help_ = STATES[state]
    named = {key.id: f"`{first_key(key.id, keys)}`" if key.shown else key.label for key in keys}
    return StateHelp(*(words.format_map(named) for words in (help_.meaning, help_.look, help_.do)))


def states_section(keys: Sequence[Hotkey], only: RouteState | None = None) -> Section:
    """Return the states, worst first, or one of them, and what to do about each."""
    terms: list[Term] = []
    for state in STATES if only is None else (only,):
        words = state_words(state, keys)
        terms.append(
            Term(f"{STATE_GLYPHS[state]} {state}", _sentence(words.meaning), STATE_ROLES[state])
        )
        if words.look != "–":
            terms.append(Term("  look at", _sentence(words.look), "dim", "text"))
        if words.do != "–":
            terms.append(Term("  do", _sentence(words.do), "dim", "text"))
    return Section("states, worst first" if only is None else "the state of {route}", tuple(terms))


def _sentence(words: str) -> str:
    first = words[:1].upper() + words[1:]
    return first if first.endswith(".") else f"{first}."


_GROUPS: Final = {
    "knobs": "knobs of the route",
    "look": "look",
    "move": "move",
    "program": "program",
    "time": "where in time",
}


def keys_sections(keys: Sequence[Hotkey]) -> tuple[Section, ...]:
    """Return the keys in their groups; what has none is in the palette and behind `:`.

    Those that the home screen does not have stand with their pages.
    """
    keys = [key for key in keys if key.where >= HOME]
    groups = dict.fromkeys([*_GROUPS, *(key.group for key in keys)])
    return tuple(
        Section(
            _GROUPS.get(group, group),
            tuple(_key_terms(members)),
        )
        for group in groups
        if (members := [key for key in keys if key.group == group])
    )


def _key_terms(keys: Sequence[Hotkey]) -> Iterator[Term]:
    """Give a term a key; those that go to a pane are one, for they do the same."""
    panes = [key for key in keys if key.id.startswith("pane_")]
    for key in keys:
        if key not in panes[1:]:
            yield _panes_term(panes) if key in panes else _key_term(key)


def _panes_term(panes: Sequence[Hotkey]) -> Term:
    shown = [key.shown for key in panes if key.shown]
    in_turn = [str(digit) for digit in range(1, len(panes) + 1)]
    told = f"{shown[0]} … {shown[-1]}" if shown == in_turn else " ".join(shown) or "–"
    return Term(told, "Go to a pane; again: the whole screen.", "accent", "text")


def _key_term(key: Hotkey) -> Term:
    return Term(key.shown or "–", key.tooltip, "accent", "text")


def _keys_of(screen: frozenset[ScreenName], title: str, keys: Sequence[Hotkey]) -> Section:
    """Return the keys of a page that the home screen does not have."""
    its = [key for key in keys if screen <= key.where and not key.where >= HOME]
    return Section(title, tuple(map(_key_term, its)))


_WORDS_ALONE: Final[Mapping[str, tuple[Section, ...]]] = {
    "figures": (_FIGURES, _COLUMNS),
    "marks": (_MARKS, _LANES, _CHARTS, _ALERTS),
}


def sections_of(
    page: HelpPage,
    keys: Sequence[Hotkey] = KEYS,
    *,
    pane: PaneName = "routes",
    state: RouteState | None = None,
) -> tuple[Section, ...]:
    """Return one page of the help; the first one is of a pane, and of a route in some state."""
    match page:
        case "here":
            return _of_here(keys, pane, state)
        case "keys":
            return keys_sections([key for key in keys if key.group != "time"])
        case "time":
            of_time = keys_sections([key for key in keys if key.group == "time"])
            return (*of_time, _TIME, _HISTORY)
        case "states":
            return (states_section(keys),)
        case "figures" | "marks":
            return _WORDS_ALONE[page]
        case "observer":  # how well it sees, and from where
            return (_OBSERVER, _PLACES, _keys_of(PLACES, "keys of the grid of places", keys))
        case "pages":
            of_route = _keys_of(ROUTE, "keys of the page of a route", keys)
            of_probe = _keys_of(PROBE, "keys of the page of a probe", keys)
            # Those that scroll it are the same as above.
            own = tuple(_key_term(key) for key in keys if key.where == HISTORY)
            of_weeks = Section("keys of the history", own)
            return (_PAGE, of_route, of_probe, of_weeks)
        case "compare":
            of_comparison = _keys_of(COMPARISON, "keys of the page of a comparison", keys)
            of_sweep = _keys_of(SWEEP, "keys of the page of a sweep", keys)
            of_board = _keys_of(LEADERBOARD, "keys of the leaderboard", keys)
            return (_COMPARISON, of_comparison, _SWEEP, of_sweep, _LEADERBOARD, of_board)


def _of_here(
    keys: Sequence[Hotkey], pane: PaneName, state: RouteState | None
) -> tuple[Section, ...]:
    own = Section(f"columns of {pane}", PANE_COLUMNS.get(pane, ()))
    of_state = (states_section(keys, state),) if state is not None else ()
    columns = (own,) if own.terms else ()
    if pane in _PAGE_OF:
        columns = (*columns, _keys_of(_PAGE_OF[pane], "keys of this page", keys))
    return (*of_state, *columns, *_OF_PANES.get(pane, ()))


def states_table() -> str:
    """Return the table of states for the room's README, in Markdown."""
    lines = [
        "| state | what it means | what to look at | what to do |",
        "|---|---|---|---|",
    ]
    for state in STATES:
        words = state_words(state)
        cells = (f"`{STATE_GLYPHS[state]} {state}`", words.meaning, words.look, words.do)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(states_table())
