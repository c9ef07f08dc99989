"""Figures of one probe, derived from its stamps; None where one is not defined."""

from collections.abc import Sequence
from typing import Final

from probes.answers.limits.resets import reset_in_words_s
from probes.events import AttemptFinished, ProbeFinished
from probes.kit.clock import seconds
from probes.stats.ladders import SliceLadders
from probes.stats.tokens import (
    EXACT_SOURCES,
    CharactersPerToken,
    seconds_per_token,
    tokens_per_chunk,
)
from tui.draw.text import age, counted

_LEAST_OFF: Final = 0.05
"""Tokens a chunk that differ less from one are not worth a word."""
_WORTH_A_WORD_S: Final = 60.0
"""Whoever reads of a shorter wait has waited it."""
SHORTEST_SHOWN_NS: Final = 50_000
"""Less prints as 0.0 ms."""
_MILLI: Final = 1e-3
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0


def _since_start(probe: ProbeFinished, stamp_ns: int | None) -> float | None:
    return None if stamp_ns is None else seconds(stamp_ns - probe.started_ns)


def ttft_s(probe: ProbeFinished) -> float | None:
    """Return the felt time to first token in seconds, earlier failed attempts included."""
    return _since_start(probe, probe.first_token_ns)


def ttfa_s(probe: ProbeFinished) -> float | None:
    """Return the felt time to the first token that is not reasoning, in seconds."""
    return _since_start(probe, probe.first_answer_ns)


def e2e_s(probe: ProbeFinished) -> float | None:
    """Return the felt time to the last byte of the answer, in seconds."""
    return _since_start(probe, probe.done_ns)


def look_again(attempt: AttemptFinished) -> str:
    """Return when a refused attempt may be tried again, by the server's word; empty for no word.

    The latest of what it asks to wait, what its words say, and of the resets of what has nothing
    left.
    """
    if attempt.outcome == "ok":
        return ""
    spent = [limit.reset_s for limit in attempt.limits if limit.remaining == 0]
    in_words_s = reset_in_words_s(attempt.message)
    latest_s = max(wait_s or 0.0 for wait_s in (attempt.retry_after_s, in_words_s, *spent))
    return f"look again in {age(latest_s)}" if latest_s >= _WORTH_A_WORD_S else ""


def duration(value: float) -> str:
    """Return seconds as a person reads them: `0.4 ms`, `312 ms`, `1.84 s`, `2 m 05 s`."""
    if value < 0.01:
        return f"{value / _MILLI:.1f} ms"
    if value < 0.9995:
        return f"{value / _MILLI:.0f} ms"
    if value < _MINUTE:
        return f"{value:.2f} s"
    if value < _HOUR:
        whole = round(value)
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{value / _HOUR:.1f} h"


def tokens_text(attempt: AttemptFinished) -> str:
    """Return the token counts with their source; `~` stands before estimates."""
    mark = "" if attempt.token_source in EXACT_SOURCES else "~"
    counts = (
        (attempt.input_tokens, "in"),
        (attempt.output_tokens, "out"),
        (attempt.reasoning_tokens, "reasoning"),
        (attempt.cached_tokens, "cached"),
    )
    texts = [f"{mark}{number} {word}" for number, word in counts if number is not None]
    if not texts:
        guess = CharactersPerToken().tokens_of(attempt.characters)
        return f"no token counts, ~{guess} out" if guess else "no token counts"
    return f"tokens {', '.join(texts)} [{attempt.token_source}]{_chunks_text(attempt)}"


def phases_s(attempts: Sequence[AttemptFinished], probe: ProbeFinished) -> tuple[float, ...]:
    """Return where the probe's time went in seconds: earlier attempts and their waits; connection
    and sending; the wait for headers; on to the first token; on to the end. Empty without one.

    They add up to its whole time.
    """
    if not attempts:
        return ()
    end_ns = probe.at_ns if probe.done_ns is None else probe.done_ns
    ladders = SliceLadders()
    ladders.add(probe.started_ns, attempts[-1].stamps_ns, end_ns)
    return tuple(seconds(column[0]) for column in ladders.spans() if column)


def tokens_per_s(attempt: AttemptFinished) -> float | None:
    """Return how fast the stream was written, from exact counts only."""
    per_token = seconds_per_token(attempt)
    return 1 / per_token if per_token else None


def cost_text(attempt: AttemptFinished) -> str:
    """Return what the attempt cost, by whose word, and what the budget was charged where that is
    another sum; empty where nobody knows."""
    texts = []
    if attempt.cost_usd is not None:
        texts.append(f"{_dollars(attempt.cost_usd)} ({attempt.cost_source})")
    if attempt.charged_usd is not None and attempt.charged_usd != attempt.cost_usd:
        texts.append(f"{_dollars(attempt.charged_usd)} charged to the budget")
    if attempt.charged_tokens:
        texts.append(f"{counted(attempt.charged_tokens, 'token')} charged")
    return " · ".join(texts)


def _dollars(value: float) -> str:
    """Return dollars; of a small sum two digits, for one answer costs a hundredth of a cent."""
    if value >= 1:
        return f"${value:.2f}"
    return f"${float(f'{value:.2g}'):.8f}".rstrip("0").rstrip(".")


def _chunks_text(attempt: AttemptFinished) -> str:
    """Tell of chunks that are not tokens, as far as exact counts allow."""
    mean = tokens_per_chunk(attempt)
    if mean is None or abs(mean - 1) < _LEAST_OFF:
        return ""
    return f" · {f'{mean:.2g}' if mean < 10 else f'{mean:,.0f}'} a chunk"


def path_words(attempt: AttemptFinished) -> str:
    """Return what is known of the way to the other end; nothing where nobody measured it."""
    if attempt.rtt_to is None:
        return ""
    times = (("RTT", attempt.rtt_ns), ("min", attempt.rtt_min_ns))
    counts = (("resent", attempt.retransmits), ("out of order", attempt.reordered))
    words = [f"{name} {_round_trip(ns)}" for name, ns in times if ns is not None]
    words += [f"{name} {number}" for name, number in counts if number is not None]
    return f"{', '.join(words)} (to the {attempt.rtt_to})" if words else ""


def _round_trip(ns: int) -> str:
    """Return a round trip, which within a machine takes hundredths of a millisecond."""
    return duration(seconds(ns)) if ns >= SHORTEST_SHOWN_NS else f"{ns / 1e6:.2f} ms"
