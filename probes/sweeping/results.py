"""What one probe of a sweep came to.

Rule 1: latencies are of probes that ended ok, and whose stamps are to be trusted. A probe that a
gap of ours spoilt counts as what it came to, and has no latency.
Rule 2: moments are seconds of the engine's clock; only they are subtracted from each other.
"""

from typing import Final

import msgspec

from probes.events import AttemptFinished, Limit, ProbeFinished
from probes.kit.clock import seconds
from probes.stats.tokens import seconds_per_token

_KINDS: Final = ("concurrency", "requests", "tokens", "input_tokens", "output_tokens")


class SweepProbe(msgspec.Struct, frozen=True):
    """One probe that ended."""

    started_s: float
    ended_s: float
    ok: bool = True
    throttled: bool = False
    ttft_s: float | None = None
    e2e_s: float | None = None
    tokens_per_s: float | None = None
    """Of its stream."""
    output_tokens: int = 0
    tokens: int = 0
    """Charged."""
    reserved_tokens: int = 0
    """Prompt and answer cap: what limits of tokens mostly count."""
    usd: float = 0.0
    refused_for: str = ""
    """The limit that a 429 names: `concurrency`, `requests`, `tokens`, …; empty where none."""
    limits: tuple[Limit, ...] = ()
    """What the server told of its limits with it."""
    failure: str = ""
    """How it failed and why, such as `server_error / overloaded`; empty of one that is ok."""


def probe_of(
    attempt: AttemptFinished, probe: ProbeFinished, *, cap: int, usd: float, is_open: bool
) -> SweepProbe:
    """Return what a probe of one attempt came to.

    Args:
        attempt: its only one.
        probe: as its user felt it.
        cap: of its answer, in tokens.
        usd: that was charged for it.
        is_open: the pace is an open loop: latencies are those since it was due.
    """
    begun_ns = probe.scheduled_ns if is_open else probe.started_ns
    made = SweepProbe(
        started_s=seconds(probe.started_ns),
        ended_s=seconds(probe.at_ns),
        output_tokens=(attempt.output_tokens or 0) if probe.outcome == "ok" else 0,
        tokens=attempt.charged_tokens,
        reserved_tokens=(
            attempt.reserved_tokens if attempt.input_tokens is None else attempt.input_tokens + cap
        ),
        usd=usd,
        limits=attempt.limits,
    )
    if probe.outcome != "ok":
        throttled = probe.outcome == "throttled"
        named = attempt.reason.rpartition(".")[2]
        return msgspec.structs.replace(
            made,
            ok=False,
            throttled=throttled,
            refused_for=named if throttled and named in _KINDS else "",
            failure=f"{probe.outcome} / {probe.reason}" if probe.reason else probe.outcome,
        )
    if probe.flagged:
        return made
    came_in_parts = attempt.ttft_kind not in ("not_streamed", "none")
    first_ns = probe.first_token_ns if came_in_parts else None
    token_s = seconds_per_token(attempt)
    return msgspec.structs.replace(
        made,
        ttft_s=None if first_ns is None else seconds(first_ns - begun_ns),
        e2e_s=None if probe.done_ns is None else seconds(probe.done_ns - begun_ns),
        tokens_per_s=None if token_s is None else 1 / token_s,
    )
