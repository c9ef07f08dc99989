"""Figures of one probe, derived from its stamps; None where one is not defined."""

from typing import Final

from probes.clock import seconds
from probes.events import AttemptFinished, ProbeFinished

__all__ = [
    "EXACT_SOURCES",
    "duration",
    "e2e_s",
    "inter_token_s",
    "tokens_text",
    "ttfa_s",
    "ttft_s",
]

EXACT_SOURCES: Final = frozenset({"usage", "x_groq.usage", "continuous_usage", "timings"})
"""Token counts that a server made; all others are estimates."""

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


def inter_token_s(attempt: AttemptFinished) -> float | None:
    """Return TPOT in seconds, from exact counts only.

    (last_token − first_token) / (output_tokens − tokens in the first chunk). Where the server does
    not count as it streams, the first chunk is taken to hold one token, as NVIDIA's aiperf does.
    """
    ladder = attempt.stamps_ns
    if ladder.first_token is None or ladder.last_token is None:
        return None
    if attempt.token_source not in EXACT_SOURCES or attempt.output_tokens is None:
        return None
    after_first = attempt.output_tokens - (attempt.first_chunk_tokens or 1)
    span_ns = ladder.last_token - ladder.first_token
    return seconds(span_ns) / after_first if after_first > 0 and span_ns > 0 else None


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
    return f"tokens {', '.join(texts)} [{attempt.token_source}]" if texts else "no token counts"
