"""The stamp ladder of one probe as a waterfall: each step of each attempt a bar on one time axis.

Rule 1. `once` and the page of a probe draw the same one.
Rule 2. Every line is as wide as it was asked for at most; what is hurt stands out by its role, and
by its glyph or word too.
Everything a server sent passes through `neutralise` here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import wrap
from typing import Final, TypeAlias

from probes.events import AttemptFinished, ProbeFinished, StampLadder
from probes.kit.clock import seconds
from probes.kit.sanitise import neutralise
from tui.draw.glyphs import EIGHTHS, LEFT_EIGHTHS
from tui.draw.probe_figures import SHORTEST_SHOWN_NS, duration
from tui.draw.text import Line, Role, Span, counted

NARROWEST: Final = 10
"""Cells in which a bar still says something."""
LABEL: Final = 13
"""Cells before the bars."""

_GAP: Final = "·"
_FIGURE: Final = 10

STEPS: Final = {
    "scheduled": "scheduled",
    "admitted": "own queue",
    "started": "prepare",
    "dns": "name",
    "tcp": "connect",
    "tls": "TLS",
    "sent": "send",
    "headers": "headers",
    "first_event": "first event",
    "first_token": "first token",
    "first_answer": "first answer",
    "last_token": "tokens",
    "done": "end of body",
    "ended": "given up",
}
"""What the time up to each stamp was spent on."""

Below: TypeAlias = Callable[[AttemptFinished], Sequence[tuple[str, str]]]
"""(label, words) for below the bars of an attempt."""


@dataclass(frozen=True, slots=True)
class WaterfallAxis:
    """A span of time on `width` cells."""

    start_ns: int
    end_ns: int
    width: int

    def cell(self, at_ns: int) -> float:
        """Return where a moment lies, in cells."""
        span = max(1, self.end_ns - self.start_ns)
        return (at_ns - self.start_ns) / span * self.width


def nothing_below(_: AttemptFinished) -> Sequence[tuple[str, str]]:
    """Return nothing to stand below the bars."""
    return ()


def waterfall_lines(
    attempts: Sequence[AttemptFinished],
    probe: ProbeFinished,
    width: int,
    below: Below = nothing_below,
) -> list[Line]:
    """Return heads and bars of all attempts, and the waits between them, in `width` cells.

    At each bar stands what it took and when it ended, both from the start of the probe.
    """
    room = max(NARROWEST, width - LABEL - 2 * _FIGURE - 3)
    axis = WaterfallAxis(_first_stamp(attempts, probe), probe.at_ns, room)
    longest_ns = _longest_step(attempts)
    lines: list[Line] = [
        ((f"{'':{LABEL}} {'':{room}} {'took':>{_FIGURE}} {'at':>{_FIGURE}}", "head"),)
    ]
    for previous, attempt in zip((None, *attempts), attempts, strict=False):
        if previous is not None:
            lines.append(_wait(previous, attempt, axis))
        lines.extend(_attempt_lines(attempt, axis, longest_ns))
        for label, words in below(attempt):
            lines.extend(_wrapped(label, words, axis))
    return lines


def _first_stamp(attempts: Sequence[AttemptFinished], probe: ProbeFinished) -> int:
    stamps = [stamp for attempt in attempts for _, stamp in _stamps(attempt.stamps_ns)]
    return min(stamps, default=probe.started_ns)


def _longest_step(attempts: Sequence[AttemptFinished]) -> int:
    """Return how long the longest step of all attempts took, in ns."""
    stamps = [_shown_stamps(attempt) for attempt in attempts]
    return max((end - start for one in stamps for (_, start), (_, end) in pairwise(one)), default=0)


def _stamps(ladder: StampLadder) -> list[tuple[str, int]]:
    """Return the stamps that happened, in the order they did; out of order is legal."""
    found = [(name, getattr(ladder, name)) for name in STEPS]
    return sorted(
        [(name, stamp) for name, stamp in found if stamp is not None], key=lambda pair: pair[1]
    )


def _row(
    label: str, drawn: Span, start_ns: int, end_ns: int, axis: WaterfallAxis, role: Role
) -> Line:
    took = duration(seconds(end_ns - start_ns))
    at = duration(seconds(end_ns - axis.start_ns))
    blank = axis.width - len(drawn[0])
    return (
        (f"{label:{LABEL}} ", "dim"),
        drawn,
        (f"{'':{blank}} {took:>{_FIGURE}}", role),
        (f" {at:>{_FIGURE}}", "dim"),
    )


def _attempt_lines(attempt: AttemptFinished, axis: WaterfallAxis, longest_ns: int) -> list[Line]:
    """Return the bars of an attempt; the figure of the longest step of all stands out."""
    lines: list[Line] = [_attempt_title(attempt)]
    for (_, start), (name, end) in pairwise(_shown_stamps(attempt)):
        if end - start < SHORTEST_SHOWN_NS:
            continue  # it would print as 0.0 ms
        if name == "last_token":
            drawn = density(arrivals(attempt), axis.cell(start), axis.cell(end), axis)
        else:
            drawn = bar(axis.cell(start), axis.cell(end), axis.width)
        role: Role = "missed" if name == "ended" else "graph"
        weight: Role = "title" if end - start == longest_ns else "text"
        lines.append(_row(f"  {STEPS[name]}", (drawn, role), start, end, axis, weight))
    return lines


def _wrapped(label: str, words: str, axis: WaterfallAxis) -> list[Line]:
    """Return words under the bars, no wider than these and their figures."""
    width = axis.width + 2 * _FIGURE + 2
    first, *rest = wrap(words, max(NARROWEST, width)) or [""]
    return [
        ((f"  {label:{LABEL - 2}} {first}", "dim"),),
        *(((f"{'':{LABEL}} {line}", "dim"),) for line in rest),
    ]


def _shown_stamps(attempt: AttemptFinished) -> list[tuple[str, int]]:
    """Return the stamps to draw: those of a retry begin where its wait ended."""
    stamps = _stamps(attempt.stamps_ns)
    own = ("scheduled", "admitted") if attempt.attempt else ()
    return [(name, stamp) for name, stamp in stamps if name not in own]


def _attempt_title(attempt: AttemptFinished) -> Line:
    words = [f"#{attempt.attempt + 1}"]
    if attempt.status is not None:
        words.append(f"HTTP {attempt.status}")
    words.append(attempt.outcome.replace("_", " "))
    if attempt.reason:
        words.append(f"({neutralise(attempt.reason, 60)})")
    how = []
    if attempt.stamps_ns.sent is not None:
        how.append(" · new connection" if attempt.cold else " · warm connection")
    if attempt.http_version not in ("", "HTTP/1.1"):
        how.append(f" · {neutralise(attempt.http_version, 20)}")
    if attempt.retry_after_s is not None:
        how.append(f" · asked to wait {duration(attempt.retry_after_s)}")
    title: list[Span] = [(" ".join(words), outcome_role(attempt.outcome)), ("".join(how), "dim")]
    if attempt.stalls:
        longest = duration(seconds(attempt.longest_gap_ns))
        title.append((f" · {counted(attempt.stalls, 'stall')}, longest {longest}", "stall"))
    return tuple(title)


def outcome_role(outcome: str) -> Role:
    """Return how loud an outcome is."""
    if outcome in ("ok", "cancelled"):
        return "title"
    return "throttled" if outcome == "throttled" else "missed"


def _wait(before: AttemptFinished, after: AttemptFinished, axis: WaterfallAxis) -> Line:
    start = before.stamps_ns.ended or before.at_ns
    end = after.stamps_ns.started or after.at_ns
    drawn = bar(axis.cell(start), axis.cell(end), axis.width).replace("█", "┄")
    return _row("retry wait", (drawn, "throttled"), start, end, axis, "text")


def bar(start: float, end: float, width: int) -> str:
    """Return a bar from cell `start` to cell `end`, in eighth blocks, at least one eighth long."""
    first = min(width - 1, max(0, int(start)))
    eighths = max(1, round((min(end, width) - first) * 8)) if end > start else 1
    full, rest = divmod(eighths, 8)
    return (" " * first + "█" * full + (LEFT_EIGHTHS[rest - 1] if rest else ""))[:width]


def density(
    arrived: Sequence[int], start: float, end: float, axis: WaterfallAxis, fullest: int = 1
) -> str:
    """Return how many output chunks arrived in each cell from `start` to `end`; gaps are dots.

    A cell is full with the most that one has, but with no fewer than `fullest`.
    """
    first = min(axis.width - 1, max(0, int(start)))
    last = min(axis.width - 1, max(first, int(end)))
    counts = [0] * (last - first + 1)
    for at_ns in arrived:
        place = int(axis.cell(at_ns)) - first
        counts[min(len(counts) - 1, max(0, place))] += 1
    most = max(fullest, *counts)
    return " " * first + "".join(_level(count, most) for count in counts)


def _level(count: int, most: int) -> str:
    return EIGHTHS[max(0, -(-count * len(EIGHTHS) // most) - 1)] if count else _GAP


def arrivals(attempt: AttemptFinished) -> list[int]:
    """Return when each output chunk arrived, in monotonic ns."""
    started = attempt.stamps_ns.started or attempt.at_ns
    return [started + offset for offset in attempt.chunk_offsets_ns]
