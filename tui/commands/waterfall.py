"""The stamp ladder of one probe as a waterfall: pure functions from events to lines.

Everything a server sent passes through `neutralise` here.
"""

from dataclasses import dataclass
from itertools import pairwise
from textwrap import wrap
from typing import Final

from probes.config import Route
from probes.config.urls import mask_url
from probes.events import AttemptFinished, ProbeFinished, StampLadder
from probes.kit.clock import seconds
from probes.kit.sanitise import neutralise
from probes.stats.tokens import seconds_per_token
from tui.commands.figures import duration, e2e_s, look_again, tokens_text, ttfa_s, ttft_s
from tui.commands.server_lines import gateway_line, id_lines, model_line, server_lines
from tui.draw.glyphs import EIGHTHS, LEFT_EIGHTHS

_GAP: Final = "·"
_LABEL: Final = 13
_FIGURE: Final = 10
_NARROWEST: Final = 10
_SERVER_WORDS: Final = 300
_SHORTEST_SHOWN_NS: Final = 50_000
"""Steps that print as 0.0 ms are left out."""

_STEPS: Final = {
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


@dataclass(frozen=True, slots=True)
class _Axis:
    """Time of the whole probe on `width` cells."""

    start_ns: int
    end_ns: int
    width: int

    def cell(self, at_ns: int) -> float:
        span = max(1, self.end_ns - self.start_ns)
        return (at_ns - self.start_ns) / span * self.width


def waterfall(
    route: Route, attempts: tuple[AttemptFinished, ...], probe: ProbeFinished, width: int
) -> list[str]:
    """Return the lines that show one probe on a terminal `width` cells wide.

    Each step of each attempt is a bar on one time axis, with what it took and when it ended, both
    from the start of the probe; then what the user felt, tokens, cost and ids.
    """
    room = max(_NARROWEST, width - _LABEL - 2 * _FIGURE - 3)
    axis = _Axis(_first_stamp(attempts, probe), probe.at_ns, room)
    lines = [_title(route), _head(room)]
    for previous, attempt in zip((None, *attempts), attempts, strict=False):
        if previous is not None:
            lines.append(_wait(previous, attempt, axis))
        lines.extend(_attempt_lines(attempt, axis))
    return [*lines, "", *_summary(route, attempts, probe)]


def _first_stamp(attempts: tuple[AttemptFinished, ...], probe: ProbeFinished) -> int:
    stamps = [stamp for attempt in attempts for _, stamp in _stamps(attempt.stamps_ns)]
    return min(stamps, default=probe.started_ns)


def _stamps(ladder: StampLadder) -> list[tuple[str, int]]:
    """Return the stamps that happened, in the order they did; out of order is legal."""
    found = [(name, getattr(ladder, name)) for name in _STEPS]
    return sorted(
        [(name, stamp) for name, stamp in found if stamp is not None], key=lambda pair: pair[1]
    )


def _title(route: Route) -> str:
    url = neutralise(mask_url(route.base_url), 200)
    return f"{neutralise(route.name)} · {neutralise(route.model)} · {url}"


def _head(room: int) -> str:
    return f"{'':{_LABEL}} {'':{room}} {'took':>{_FIGURE}} {'at':>{_FIGURE}}"


def _row(label: str, drawn: str, start_ns: int, end_ns: int, axis: _Axis) -> str:
    took = duration(seconds(end_ns - start_ns))
    at = duration(seconds(end_ns - axis.start_ns))
    return f"{label:{_LABEL}} {drawn:{axis.width}} {took:>{_FIGURE}} {at:>{_FIGURE}}"


def _attempt_lines(attempt: AttemptFinished, axis: _Axis) -> list[str]:
    lines = [_attempt_title(attempt)]
    for (_, start), (name, end) in pairwise(_shown_stamps(attempt)):
        if end - start < _SHORTEST_SHOWN_NS:
            continue
        label = f"  {_STEPS[name]}"
        if name == "last_token":
            drawn = density(_arrivals(attempt), axis.cell(start), axis.cell(end), axis)
        else:
            drawn = bar(axis.cell(start), axis.cell(end), axis.width)
        lines.append(_row(label, drawn, start, end, axis))
    path = path_words(attempt)
    below = [("path", path)] if path else []
    below += server_lines(attempt)
    behind = gateway_line(attempt)
    if behind:
        below.append(("gateway", behind))
    return lines + [line for label, words in below for line in _wrapped(label, words, axis)]


def path_words(attempt: AttemptFinished) -> str:
    """Return what is known of the way to the other end; nothing where nobody measured it."""
    if attempt.rtt_to is None:
        return ""
    times = (("rtt", attempt.rtt_ns), ("min", attempt.rtt_min_ns))
    counts = (("resent", attempt.retransmits), ("out of order", attempt.reordered))
    words = [f"{name} {_round_trip(ns)}" for name, ns in times if ns is not None]
    words += [f"{name} {number}" for name, number in counts if number is not None]
    return f"{', '.join(words)} (to the {attempt.rtt_to})" if words else ""


def _round_trip(ns: int) -> str:
    """Return a round trip, which within a machine takes hundredths of a millisecond."""
    return duration(seconds(ns)) if ns >= _SHORTEST_SHOWN_NS else f"{ns / 1e6:.2f} ms"


def _wrapped(label: str, words: str, axis: _Axis) -> list[str]:
    """Return words under the bars, no wider than these and their figures."""
    width = axis.width + 2 * _FIGURE + 2
    first, *rest = wrap(words, max(_NARROWEST, width)) or [""]
    return [f"  {label:{_LABEL - 2}} {first}", *(f"{'':{_LABEL}} {line}" for line in rest)]


def _shown_stamps(attempt: AttemptFinished) -> list[tuple[str, int]]:
    """Return the stamps to draw: those of a retry begin where its wait ended."""
    stamps = _stamps(attempt.stamps_ns)
    own = ("scheduled", "admitted") if attempt.attempt else ()
    return [(name, stamp) for name, stamp in stamps if name not in own]


def _attempt_title(attempt: AttemptFinished) -> str:
    words = [f"#{attempt.attempt + 1}"]
    if attempt.status is not None:
        words.append(f"HTTP {attempt.status}")
    words.append(attempt.outcome.replace("_", " "))
    if attempt.reason:
        words.append(f"({neutralise(attempt.reason, 60)})")
    if attempt.stamps_ns.sent is not None:
        words.append("· new connection" if attempt.cold else "· warm connection")
    if attempt.http_version not in ("", "HTTP/1.1"):
        words.append(f"· {neutralise(attempt.http_version, 20)}")
    if attempt.retry_after_s is not None:
        words.append(f"· asked to wait {duration(attempt.retry_after_s)}")
    if attempt.stalls:
        words.append(f"· {attempt.stalls} stalls, longest {_longest(attempt)}")
    return " ".join(words)


def _longest(attempt: AttemptFinished) -> str:
    return duration(seconds(attempt.longest_gap_ns))


def _wait(before: AttemptFinished, after: AttemptFinished, axis: _Axis) -> str:
    start = before.stamps_ns.ended or before.at_ns
    end = after.stamps_ns.started or after.at_ns
    drawn = bar(axis.cell(start), axis.cell(end), axis.width).replace("█", "┄")
    return _row("retry wait", drawn, start, end, axis)


def bar(start: float, end: float, width: int) -> str:
    """Return a bar from cell `start` to cell `end`, in eighth blocks, at least one eighth long."""
    first = min(width - 1, max(0, int(start)))
    eighths = max(1, round((min(end, width) - first) * 8)) if end > start else 1
    full, rest = divmod(eighths, 8)
    return (" " * first + "█" * full + (LEFT_EIGHTHS[rest - 1] if rest else ""))[:width]


def density(arrivals: list[int], start: float, end: float, axis: _Axis) -> str:
    """Return how many output chunks arrived in each cell from `start` to `end`; gaps are dots."""
    first = min(axis.width - 1, max(0, int(start)))
    last = min(axis.width - 1, max(first, int(end)))
    counts = [0] * (last - first + 1)
    for at_ns in arrivals:
        place = int(axis.cell(at_ns)) - first
        counts[min(len(counts) - 1, max(0, place))] += 1
    most = max(counts, default=0) or 1
    return " " * first + "".join(_level(count, most) for count in counts)


def _level(count: int, most: int) -> str:
    return EIGHTHS[max(0, -(-count * len(EIGHTHS) // most) - 1)] if count else _GAP


def _arrivals(attempt: AttemptFinished) -> list[int]:
    started = attempt.stamps_ns.started or attempt.at_ns
    return [started + offset for offset in attempt.chunk_offsets_ns]


def _summary(
    route: Route, attempts: tuple[AttemptFinished, ...], probe: ProbeFinished
) -> list[str]:
    outcome = probe.outcome.replace("_", " ")
    reason = f" ({neutralise(probe.reason, 60)})" if probe.reason else ""
    lines = [f"{outcome}{reason}" + "".join(f" · {text}" for text in _felt(attempts, probe))]
    if attempts:
        lines.append(_tokens_and_cost(attempts[-1], probe))
        if served := model_line(attempts[-1], route.model):
            lines.append(served)
        lines.extend(id_lines(attempts[-1]))
        lines.extend(_server_words(attempts[-1]))
    return lines


def _felt(attempts: tuple[AttemptFinished, ...], probe: ProbeFinished) -> list[str]:
    named = (("TTFT", ttft_s(probe)), ("TTFA", ttfa_s(probe)), ("E2E", e2e_s(probe)))
    texts = [f"{name} {duration(value)}" for name, value in named if value is not None]
    if attempts and attempts[-1].ttft_kind == "not_streamed":
        texts.insert(0, "not streamed: no TTFT")
    per_token = seconds_per_token(attempts[-1]) if attempts else None
    if per_token:
        texts.append(f"{1 / per_token:.3g} tokens/s")
    if len(attempts) > 1:
        texts.append(f"{len(attempts)} attempts")
    return texts


def _tokens_and_cost(last: AttemptFinished, probe: ProbeFinished) -> str:
    texts = [tokens_text(last)]
    if last.finish_reason:
        texts.append(f"finish {neutralise(last.finish_reason, 40)}")
    if probe.cost_usd is not None:
        texts.append(f"${probe.cost_usd:.3g} ({last.cost_source})")
    if last.request_id:
        texts.append(f"request {neutralise(last.request_id, 80)}")
    if "~" in texts[0]:
        texts.append("~ is an estimate")
    return " · ".join(texts)


def _server_words(last: AttemptFinished) -> list[str]:
    words = []
    if last.message:
        words.append(f"detail: {neutralise(last.message, _SERVER_WORDS)}")
    if again := look_again(last):
        words.append(again)
    if last.flagged:
        words.append(f"stamps not to be trusted: {neutralise(last.flagged, 40)}")
    return words
