"""The page of one probe: what it came to, the waterfall of its attempts, and all that each of them
left behind.

Rule 1. The first lines answer what happened and in whose words; then comes where the time went;
then each attempt, the last one first, for that is the one that is asked about.
Rule 2. What somebody else measured stands beside what we measured, never in its place.
Rule 3. Nothing is cut but hostile text of no end; what does not fit a line goes on below it.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

from probes.board.views import PHASES, PhaseRow, RequestView
from probes.events import AttemptFinished, Limit
from probes.kit.clock import seconds
from probes.kit.sanitise import neutralise
from tui.draw.probe_figures import (
    cost_text,
    duration,
    e2e_s,
    look_again,
    path_words,
    phases_s,
    tokens_per_s,
    tokens_text,
    ttfa_s,
    ttft_s,
)
from tui.draw.server_lines import Beside, claims_beside, gateway_line
from tui.draw.text import (
    Line,
    Role,
    Span,
    age,
    cells,
    clip,
    count,
    counted,
    fold,
    pad,
    right,
    three_digits,
    time_of_day,
)
from tui.draw.waterfall import (
    LABEL,
    WaterfallAxis,
    arrivals,
    density,
    outcome_role,
    waterfall_lines,
)
from tui.panes.page.phases import GROWN_MUCH, PHASE_NAMES
from tui.panes.percentiles import cohort_words

NO_LONGER_KEPT: Final = "This probe is not kept any more: of each route the last 200 are."

_WORDS: Final = 500
"""Characters of a server's own words: as many as an event keeps of them."""
_VALUE: Final = 300
"""Characters of a header or an id; what is longer is no id that a provider could look up."""
_NAME: Final = 80
_FIGURE: Final = 10
"""Cells of a column of figures."""
_FELT_S: Final = 0.05
"""What nobody feels never stands out."""
_MOST_NAMED_GAPS: Final = 3
_LONG_GAP: Final = 3.0
"""Times the median from which a gap is named: below that it is how that server writes."""
_MOST_BAR_ROWS: Final = 6
"""Rows of bars, one a chunk: at 80 cells they hold an answer of 400 chunks."""
_FULL_CELL: Final = 4
"""Chunks at which a cell of the strip is full: a single one is to look like one."""
_BARS: Final = "▁▂▃▄▅▆▇█"
_BAR_FROM: Final = (0.0, 1.25, 1.75, 2.5, 4.0, 6.0, 10.0, 20.0)
"""Times the median wait from which a bar is that high: one step is what an eye tells apart, and the
last is what a reader takes for a halt."""


def request_lines(
    request: RequestView,
    width: int,
    wall_anchor_ns: int,
    asked: str = "",
    usual: Sequence[PhaseRow] = (),
    zone: tzinfo | None = None,
) -> list[Line]:
    """Return the whole page in lines of at most `width` cells.

    Args:
        request: the probe.
        width: cells of a line.
        wall_anchor_ns: what makes wall time of its stamps.
        asked: the model that was asked for.
        usual: what each phase takes while the route is well; empty where that is not known of
            answers of this length.
        zone: time zone of the wall time; None is the machine's own.
    """
    width = max(1, width)
    attempts = request.attempts
    lines = [*_head(request, width, wall_anchor_ns, zone), ()]
    drawn = waterfall_lines(attempts, request.probe, width)
    for line in drawn:
        lines.extend(fold(line, width, 2))
    if request.probe.attempts and not attempts:  # they were before a recording begins
        lines.extend(fold((("its attempts are not known", "dim"),), width))
    lines.extend(_phases(request, usual, width))
    for attempt in reversed(attempts):
        lines.append(())
        lines.extend(_attempt_section(attempt, len(attempts), width, asked))
    return lines


def request_id(request: RequestView) -> tuple[str, str]:
    """Return the id that a provider can look up, fit to be pasted, and the header it stood in.

    That of the newest attempt that has any; empty where no server gave one.
    """
    for attempt in reversed(request.attempts):
        if attempt.request_id:
            named = attempt.request_ids.items()
            header = next((name for name, value in named if value == attempt.request_id), "")
            return neutralise(attempt.request_id, _VALUE), neutralise(header, _NAME)
    return "", ""


# What it came to.


def _head(
    request: RequestView, width: int, wall_anchor_ns: int, zone: tzinfo | None
) -> Iterator[Line]:
    probe, attempts = request.probe, request.attempts
    last = attempts[-1] if attempts else None
    outcome = probe.outcome.replace("_", " ")
    reason = f" ({neutralise(probe.reason, _NAME)})" if probe.reason else ""
    tries = f" after {counted(len(attempts), 'attempt')}" if len(attempts) > 1 else ""
    line: list[Span] = [(f"{outcome}{reason}{tries}", outcome_role(probe.outcome))]
    named = (("TTFT", ttft_s(probe)), ("TTFA", ttfa_s(probe)), ("E2E", e2e_s(probe)))
    figures = [
        f"{name} {duration(value)}"
        for name, value in named
        if value is not None and (name != "TTFA" or value != ttft_s(probe))
    ]
    if e2e_s(probe) is None:
        figures.append(f"over after {duration(seconds(probe.at_ns - probe.started_ns))}")
    if last is not None and last.ttft_kind == "not_streamed":
        figures.insert(0, "not streamed: no TTFT")
    if last is not None and (speed := tokens_per_s(last)):
        figures.append(f"{speed:.3g} tokens/s")
    if probe.retry_wait_ns:
        figures.append(f"{duration(seconds(probe.retry_wait_ns))} of it between attempts")
    line.extend((f" · {figure}", "text") for figure in figures)
    yield from fold(tuple(line), width, 2)
    when = _when_words(request, wall_anchor_ns, zone)
    yield from fold(((when, "dim"),), width, 2)
    if last is not None and last.message:
        role: Role = "text" if probe.outcome == "ok" else "title"
        words: Line = (("detail: ", "dim"), (neutralise(last.message, _WORDS), role))
        yield from fold(words, width, 2)
    if last is not None and (again := look_again(last)):
        yield from fold(((again, "title"),), width, 2)
    if probe.flagged:
        flagged = f"stamps not to be trusted: {neutralise(probe.flagged, _NAME)}"
        yield from fold(((flagged, "missed"),), width, 2)


def _when_words(request: RequestView, wall_anchor_ns: int, zone: tzinfo | None) -> str:
    probe = request.probe
    begun = time_of_day(probe.started_ns, wall_anchor_ns, zone)
    ended = time_of_day(probe.at_ns, wall_anchor_ns, zone)
    when = [f"{begun} to {ended}" if begun != ended else begun]
    if probe.cohort:
        when.append(neutralise(cohort_words(probe.cohort), _NAME))
    named, _ = request_id(request)
    if named:
        when.append(f"request {named}")
    if probe.evidence:
        when.append("sent beside the pace, because something was suspected")
    return " · ".join(when)


# Where its time went, against usual.


def _phases(request: RequestView, usual: Sequence[PhaseRow], width: int) -> Iterator[Line]:
    took = phases_s(request.attempts, request.probe)
    known = [row for row in usual if row.usual_s is not None]
    if not took or not known:
        return
    by_phase = dict(zip(PHASES, took, strict=True))
    yield ()
    heads = "".join(right(head, _FIGURE) for head in ("it took", "usual", "×"))
    probes = f"  median of {counted(known[0].n_usual, 'probe', short=True)} while well"
    yield from fold(((f"{'phase':{LABEL}} {heads}", "head"), (probes, "faint")), width, 2)
    for row in known:
        if not by_phase[row.phase] and not row.usual_s:
            continue
        ratio = by_phase[row.phase] / row.usual_s if row.usual_s else math.inf
        # What takes no time on either side is no trouble, however many times as long.
        slower_s = by_phase[row.phase] - (row.usual_s or 0.0)
        is_long = ratio >= GROWN_MUCH and slower_s >= _FELT_S
        times = "" if math.isinf(ratio) else three_digits(ratio)
        yield from fold(
            (
                (f"{PHASE_NAMES[row.phase]:{LABEL}} ", "dim"),
                (right(duration(by_phase[row.phase]), _FIGURE), "title" if is_long else "text"),
                (right(duration(row.usual_s or 0.0), _FIGURE), "dim"),
                (right(times, _FIGURE), "sluggish" if is_long else "dim"),
                ("▲" if is_long else "", "sluggish"),
            ),
            width,
            2,
        )


# One attempt.


def _attempt_section(attempt: AttemptFinished, of: int, width: int, asked: str) -> Iterator[Line]:
    if of > 1:
        named = f"attempt {attempt.attempt + 1} of {of}"
        outcome = attempt.outcome.replace("_", " ")
        title: Line = (
            (f"{named} ", "head"),
            (outcome, outcome_role(attempt.outcome)),
            (" ", "head"),
        )
        rule = "─" * max(0, width - sum(cells(text) for text, _ in title))
        yield clip((*title, (rule, "border")), width)
    yield from _tokens(attempt, width)
    yield ()
    if claimed := [*_server_times(attempt, width)]:
        yield from (*claimed, ())
    before = ""
    for label, words, role in _entries(attempt, of, asked):
        yield from _entry("" if label == before else label, words, width, role)
        before = label


def _entry(label: str, words: str, width: int, role: Role) -> Iterator[Line]:
    """Yield a name and what it is, wrapped into a column of its own where there is room for one."""
    indent = LABEL + 1 if width >= 3 * LABEL else 2
    head = pad(((label, "dim"),), indent) if cells(label) < indent else ((f"{label} ", "dim"),)
    yield from fold((*head, (words, role)), width, indent)


def _entries(attempt: AttemptFinished, of: int, asked: str) -> Iterator[tuple[str, str, Role]]:
    """Yield (name, words, role) of what is known of an attempt, the most asked for first."""
    is_last = attempt.attempt + 1 == of
    if attempt.message and not is_last:  # that of the last stands at the head of the page
        yield "detail", neutralise(attempt.message, _WORDS), "text"
    if attempt.retry is not None:
        reason = neutralise(attempt.retry.reason, _NAME)
        yield "tried again", f"after {duration(attempt.retry.wait_s)}, for {reason}", "text"
    elif attempt.retryable and attempt.outcome != "ok":
        yield "tried again", "no: no retry was left", "text"
    if served := _served(attempt, asked):
        yield "model", served, "text"
    for name, value in _ids(attempt):
        yield "id", f"{neutralise(name, _NAME)}  {neutralise(value, _VALUE)}", "text"
    for limit in attempt.limits:
        yield "limit", _limit_words(limit), "missed" if limit.remaining == 0 else "text"
    yield from _wire_entries(attempt)


def _ids(attempt: AttemptFinished) -> Iterator[tuple[str, str]]:
    yield from attempt.request_ids.items()
    if attempt.request_id and attempt.request_id not in attempt.request_ids.values():
        yield "request", attempt.request_id
    if attempt.response_id:
        yield "response", attempt.response_id


def _wire_entries(attempt: AttemptFinished) -> Iterator[tuple[str, str, Role]]:
    if path := path_words(attempt):
        is_lossy = bool(attempt.retransmits or attempt.reordered)
        yield "path", path, "slow" if is_lossy else "text"
    if behind := gateway_line(attempt):
        yield "gateway", behind, "slow"
    yield "exactness", _exactness(attempt), "dim"
    if attempt.right:
        yield "answer", "as expected", "dim"
    if attempt.text_chars:
        digest = neutralise(attempt.text_sha256, _NAME)
        yield "text", f"{counted(attempt.text_chars, 'character')}, sha256 {digest}", "dim"
    ids = set(attempt.request_ids.values())
    for name, value in attempt.headers.items():
        if value not in ids:
            yield "header", f"{neutralise(name, _NAME)}: {neutralise(value, _VALUE)}", "dim"


def _served(attempt: AttemptFinished, asked: str) -> str:
    """Return which model answered, and that another one was asked for where it was."""
    words = []
    if attempt.served_model:
        words.append(f"{neutralise(attempt.served_model, _NAME)} by its own word")
        if asked and attempt.served_model != asked:
            words.append(f"asked for was {neutralise(asked, _NAME)}")
    elif asked:
        words.append(f"{neutralise(asked, _NAME)} was asked for; the answer names none")
    if attempt.fingerprint:
        words.append(f"build {neutralise(attempt.fingerprint, _NAME)}")
    if attempt.dialect:
        words.append(f"dialect {neutralise(attempt.dialect, _NAME)}")
    return " · ".join(words)


def _limit_words(limit: Limit) -> str:
    of = f" of {count(limit.limit)}" if limit.limit is not None else ""
    left = f"{count(limit.remaining)}{of} left" if limit.remaining is not None else of.lstrip()
    window = f" a {neutralise(limit.window, _NAME)}" if limit.window else ""
    parts = [f"{neutralise(limit.kind, _NAME)}{window}", left]
    if limit.reset_s is not None:
        parts.append(f"full again in {age(limit.reset_s)}")
    if limit.scope:
        parts.append(f"counts for {neutralise(limit.scope, _NAME)}")
    return " · ".join(part for part in parts if part)


def _exactness(attempt: AttemptFinished) -> str:
    by = "the kernel" if attempt.clock == "kernel" else "us when we woke"
    parts = [f"stamps by {by}"]
    if attempt.inexact_chunks:
        bounds = "is an upper bound" if attempt.inexact_chunks == 1 else "are upper bounds"
        parts.append(f"{attempt.inexact_chunks} of {counted(attempt.chunks, 'chunk')} {bounds}")
    if attempt.inexact:
        parts.append(f"so are {', '.join(name.replace('_', ' ') for name in attempt.inexact)}")
    if attempt.flagged:
        parts.append(f"not to be trusted: {neutralise(attempt.flagged, _NAME)}")
    return " · ".join(parts)


# What the server says of its own time, beside ours.


def _server_times(attempt: AttemptFinished, width: int) -> Iterator[Line]:
    rows = claims_beside(attempt)
    if not rows:
        return
    label = max(LABEL, *(cells(row.name) + 1 for row in rows))
    heads = "".join(right(head, _FIGURE) for head in ("it says", "we saw", "rest"))
    yield from fold(((f"{'the server':{label}} {heads}", "head"),), width, 2)
    for row in rows:
        numbers = (row.claimed_s, row.measured_s, row.rest_s)
        texts = [right("" if one is None else duration(one), _FIGURE) for one in numbers]
        line: list[Span] = [(f"{row.name:{label}} ", "dim"), (texts[0], "text")]
        line += [(texts[1], "text"), (texts[2], "dim")]
        note = _beside_words(row)
        if note:
            line.append((f"  {note}", "slow" if row.excess_s else "dim"))
        yield from fold(tuple(line), width, label + 1 if width > 3 * label else 2)


def _beside_words(row: Beside) -> str:
    sources = ", ".join(neutralise(source, _NAME) for source in row.sources)
    if row.excess_s:
        more = f"{duration(row.excess_s)} more than we measured: another clock or definition"
        return f"{more} ({sources})" if sources else more
    return sources


# Each token.


class _Gap(NamedTuple):
    """A wait between two output chunks."""

    number: int
    """Of the chunk that ended it, 1 for the first."""
    start_ns: int
    end_ns: int

    @property
    def lasted_ns(self) -> int:
        return self.end_ns - self.start_ns


def _tokens(attempt: AttemptFinished, width: int) -> Iterator[Line]:
    """Yield counts and cost, then where each chunk lies in time and how long it was waited for."""
    words = [tokens_text(attempt).removeprefix("tokens ")]
    if attempt.finish_reason:
        words.append(f"finish {neutralise(attempt.finish_reason, _NAME)}")
    if "~" in words[0]:
        words.append("~ is an estimate")
    yield from _entry("tokens", " · ".join(words), width, "text")
    if cost := cost_text(attempt):
        yield from _entry("cost", cost, width, "text")
    arrived = arrivals(attempt)
    if len(arrived) < 2:
        return
    gaps = [
        _Gap(number, start, end) for number, (start, end) in enumerate(pairwise(arrived), start=2)
    ]
    usual_ns = median(gap.lasted_ns for gap in gaps)
    longest = sorted(gaps, key=lambda gap: gap.lasted_ns, reverse=True)
    stalls = longest[: attempt.stalls]
    named = stalls[:_MOST_NAMED_GAPS] or [
        gap for gap in longest[:_MOST_NAMED_GAPS] if gap.lasted_ns > _LONG_GAP * usual_ns
    ]
    room = max(1, width - LABEL - 1)
    axis = WaterfallAxis(arrived[0], arrived[-1], room)
    yield from _strip(arrived, axis, stalls, width)
    yield from _named_gaps(named, axis, width)
    yield from _entry("", _gap_words(attempt, gaps, named or longest[:1], usual_ns), width, "dim")
    yield from _bars(gaps, stalls, usual_ns, width)


def _strip(
    arrived: Sequence[int], axis: WaterfallAxis, stalls: Sequence[_Gap], width: int
) -> Iterator[Line]:
    drawn = density(arrived, 0, axis.width, axis, _FULL_CELL)
    stalled = [(int(axis.cell(gap.start_ns)), int(axis.cell(gap.end_ns))) for gap in stalls]
    spans: list[Span] = [(f"{'in time':{LABEL}} ", "dim")]
    for place, character in enumerate(drawn):
        halts = character == "·" and any(start <= place <= end for start, end in stalled)
        spans.append(("⋯" if halts else character, "stall" if halts else "graph"))
    yield clip(tuple(spans), width)


def _named_gaps(named: Sequence[_Gap], axis: WaterfallAxis, width: int) -> Iterator[Line]:
    """Yield how long the named gaps are, each below its place; one that has no room there is in the
    words below."""
    line: list[Span] = []
    used = 0
    for gap in sorted(named, key=lambda one: one.start_ns):
        place = LABEL + 1 + int(axis.cell(gap.start_ns)) + 1
        text = f"╰ {duration(seconds(gap.lasted_ns))}"
        if place >= used + bool(used) and place + cells(text) <= width:
            line.append((" " * (place - used) + text, "stall"))
            used = place + cells(text)
    if line:
        yield tuple(line)


def _gap_words(
    attempt: AttemptFinished, gaps: Sequence[_Gap], named: Sequence[_Gap], usual_ns: float
) -> str:
    started = attempt.stamps_ns.started or attempt.at_ns
    parts = [f"{counted(len(gaps) + 1, 'chunk')}, {duration(usual_ns / 1e9)} apart (median)"]
    for place, gap in enumerate(named):
        times = f", × {gap.lasted_ns / usual_ns:.3g}" if usual_ns else ""
        text = (
            f"{duration(seconds(gap.lasted_ns))}{times}, before chunk {gap.number}"
            f" at {duration(seconds(gap.end_ns - started))}"
        )
        parts.append(f"longest {text}" if not place else text)
    if attempt.stalls > len(named):
        parts.append(f"{counted(attempt.stalls, 'stall')} in all")
    return " · ".join(parts)


def _bars(
    gaps: Sequence[_Gap], stalls: Sequence[_Gap], usual_ns: float, width: int
) -> Iterator[Line]:
    """Yield a bar a chunk, as high as the wait before it was long against the usual one."""
    room = max(1, width - LABEL - 1)
    halts = {gap.number for gap in stalls}
    shown = gaps[: room * _MOST_BAR_ROWS]
    for start in range(0, len(shown), room):
        label = "each wait" if not start else ""
        spans: list[Span] = [(f"{label:{LABEL}} ", "dim")]
        for gap in shown[start : start + room]:
            times = gap.lasted_ns / usual_ns if usual_ns else 0.0
            height = sum(times >= step for step in _BAR_FROM) - 1
            spans.append((_BARS[height], "stall" if gap.number in halts else "graph"))
        yield clip(tuple(spans), width)
    legend = f"a bar a chunk: ▁ the median wait or less, ▄ {_BAR_FROM[3]:g} ×, █ {_BAR_FROM[7]:g} ×"
    if len(shown) < len(gaps):
        legend += f" · the last {len(gaps) - len(shown):,} are not drawn"
    yield from _entry("", legend, width, "faint")
