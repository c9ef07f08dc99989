"""What the words and glyphs on the screen mean: the right half of the help."""

from dataclasses import dataclass
from typing import Final

from probes.board.views import RouteState
from tui.draw.chart import FAILED, NO_SAMPLE, OFF_SCALE, RESCUED, STALLED, THROTTLED
from tui.draw.text import NO_FIGURE, NOT_STREAMED, Role
from tui.panes.routes import FEW_SAMPLES, MORE_PROBES, STATE_GLYPHS, STATE_ROLES


@dataclass(frozen=True, slots=True)
class Term:
    """A word or glyph as it stands on the screen, and what it means."""

    shown: str
    meaning: str
    role: Role = "title"


@dataclass(frozen=True, slots=True)
class Section:
    """Terms that belong together."""

    title: str
    terms: tuple[Term, ...]


STATE_MEANINGS: Final[dict[RouteState, str]] = {
    "down": "Nothing succeeds: it refuses all, or cannot be reached.",
    "hanging": "It takes requests and answers nothing.",
    "failing": "A share of what is asked fails, more than ever by chance.",
    "throttled": "It refuses us for our rate, or cools down.",
    "stalling": "Streams pause in mid-answer, more than usual.",
    "sluggish": "Beyond 1.5 × a goal: TTFT or E2E p95, or tok/s.",
    "slow": "Beyond a goal, or slower than usual within its goals.",
    "masked": "Retries hide errors: users only wait longer.",
    "changed": "Within its goals, and not as before.",
    "ok": "All goals are met, and nothing is wrong.",
    "held": "We stopped: a budget is spent, or nobody reads.",
    "paused": "You stopped it.",
    "starting": "No probe has succeeded yet.",
}

_FIGURES: Final = Section(
    "figures",
    (
        Term(
            "TTFT",
            "Time to first token: all that a user waits, connecting and failed attempts included.",
        ),
        Term("E2E", "From the start to the last byte of the answer."),
        Term("p50 p95", "Half, 95 of 100 probes were at least this fast."),
        Term("50 95 99", "The same, in the table of routes."),
        Term(
            "×",
            "Times its usual: p95 of TTFT, of E2E, tok/s. Blank where it is as usual; "
            "learn: not known yet.",
        ),
        Term("n", "Samples behind a percentile."),
        Term("SINCE", "How long ago that began which makes the state; seconds below ten minutes."),
        Term("CONC", "Probes in flight / the most at once."),
        Term("OPEN", "Age of the oldest open request; ! when nobody would wait for it any more."),
        Term("/min", "Finished probes a minute."),
        Term(
            "tok/s",
            "Tokens a second of one stream, the median; exact counts of streamed tokens only. "
            "△ ▲ below its goal, where it has one.",
        ),
        Term("OK%", "Probes that ended ok; those we cancelled do not count. ▼ below its goal."),
        Term("GOOD%", "Probes that were ok and within every goal: TTFT, E2E, cost."),
        Term("STALL", "Share of the answers that paused in mid-stream, in per cent."),
        Term("429/m", "Throttled attempts a minute."),
        Term("TOUT/m", "Timeouts a minute."),
        Term("RETRY ×", "Attempts a probe: ×1.00 is none retried."),
        Term("gateway", "Behind it: further tries it says it made itself, unseen by us."),
        Term("IN/OUT", "Tokens of an attempt, the mean of those that were counted."),
        Term("$/h", "What probing costs."),
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
        Term(MORE_PROBES, "Probed more often: something is suspected.", "dim"),
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
_STATES: Final = Section(
    "states, worst first",
    tuple(
        Term(f"{STATE_GLYPHS[state]} {state}", meaning, STATE_ROLES[state])
        for state, meaning in STATE_MEANINGS.items()
    ),
)

_OBSERVER: Final = Section(
    "observer, at the right of the header",
    (
        Term("◉ kernel", "The kernel stamps what arrives, when it arrives.", "good"),
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

GLOSSARY: Final = (_FIGURES, _MARKS, _STATES, _LANES, _CHARTS, _OBSERVER)
