"""What a server says of an interval beside what we measured of the same one.

Only intervals with the same two ends are compared: from the moment the whole request was sent to
the response headers, to the first output token, to the end of the answer. A server cannot know of
anything before that, nor we of what it calls by the same name and counts otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from probes.events import AttemptFinished, ServerClaim, ServerInterval
from probes.kit.clock import seconds

Span: TypeAlias = Literal["headers", "first_token", "total"]

STAGES: Final[tuple[ServerInterval, ...]] = ("queue", "load", "prompt", "decode")
"""Stages of an answer at the model: they follow one another and do not overlap."""
_SPANS: Final[tuple[Span, ...]] = ("headers", "first_token", "total")
_NEEDED: Final[dict[Span, tuple[ServerInterval, ...]]] = {
    "headers": (),
    "first_token": ("prompt",),
    "total": ("prompt", "decode"),
}
"""Stages without which the others do not reach to the end of a span."""
_ROUNDING_S: Final = 0.001
"""Servers tell whole milliseconds: so much more than we measured is no contradiction."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One span: what is claimed of it, and what it took from here, both in seconds."""

    span: Span
    claimed_s: float
    measured_s: float

    @property
    def rest_s(self) -> float:
        """What is left for the network, gateways, and what the server does not count."""
        return max(0.0, self.measured_s - self.claimed_s)

    @property
    def excess_s(self) -> float:
        """What is claimed above what we measured: another clock, or another definition."""
        excess = round(self.claimed_s - self.measured_s, 9)
        return excess if excess > _ROUNDING_S else 0.0


def comparisons(attempt: AttemptFinished) -> tuple[Comparison, ...]:
    """Return a comparison for each span that was claimed and measured.

    Of several claims on one span the longest counts: the others are of servers further in. Stages
    are added up where they reach from its beginning to its end.
    """
    found = []
    for span in _SPANS:
        claimed_s = _claimed_s(attempt.server_claims, span)
        measured_s = _measured_s(attempt, span)
        if claimed_s is not None and measured_s is not None:
            found.append(Comparison(span, claimed_s, measured_s))
    return tuple(found)


def stages(claims: Sequence[ServerClaim]) -> tuple[ServerClaim, ...]:
    """Return the stages that are claimed, in their order; of several the longest."""
    found = []
    for stage in STAGES:
        claimed = [claim for claim in claims if claim.interval == stage]
        if claimed:
            found.append(max(claimed, key=lambda claim: claim.seconds))
    return tuple(found)


def _claimed_s(claims: Sequence[ServerClaim], span: Span) -> float | None:
    claimed_s = [claim.seconds for claim in claims if claim.interval == span]
    steps = stages(claims)
    if span == "first_token":
        steps = tuple(claim for claim in steps if claim.interval != "decode")
    needed = _NEEDED[span]
    if needed and {claim.interval for claim in steps}.issuperset(needed):
        claimed_s.append(sum(claim.seconds for claim in steps))
    return max(claimed_s, default=None)


def _measured_s(attempt: AttemptFinished, span: Span) -> float | None:
    stamps = attempt.stamps_ns
    since = stamps.sent if stamps.sent is not None else stamps.started
    until = stamps.done if span == "total" else getattr(stamps, span)
    return None if since is None or until is None or until < since else seconds(until - since)
