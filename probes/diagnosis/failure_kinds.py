"""What an attempt that ended unwell speaks of: the first of these that matches.

Rule 1. What our own machine did (`local.*`, a gap, a probe that we cancelled) speaks of no route.
Rule 2. A refusal that names a rate is no failure: it has a cause and a test of its own. A bill is
        none of them, whatever its status.
Rule 3. A *definite* answer says what is wrong by itself: three in a row are no chance. Of time-outs
        two are enough, for each has waited long. All others are counted as a share.
"""

from typing import Final, NamedTuple

from probes.events import WRONG_ANSWER, AttemptFinished, Cause, ProbeFinished


class FailureKind(NamedTuple):
    """What one failure speaks of."""

    cause: Cause
    in_a_row: int | None = None
    """So many of a kind, one after the other, need no statistics; None where they do."""


_AUTH: Final = FailureKind("auth_failure", 3)
_QUOTA: Final = FailureKind("quota_exhausted", 3)
_MODEL: Final = FailureKind("model_missing", 3)
_BAD_REQUEST: Final = FailureKind("bad_request", 3)
_DNS: Final = FailureKind("dns", 3)
_TLS: Final = FailureKind("tls", 3)
_REFUSED: Final = FailureKind("outage", 3)
_UNREACHABLE: Final = FailureKind("network_path", 3)
_NO_CONNECTION: Final = FailureKind("network_path", 2)
_NO_ANSWER: Final = FailureKind("no_answer", 2)
_STALL: Final = FailureKind("stream_stalls", 2)
_TRUNCATED: Final = FailureKind("stream_truncation")
_OVERLOADED: Final = FailureKind("provider_overloaded")
_ERRORS: Final = FailureKind("provider_errors")

_BY_REASON: Final = {
    "auth": _AUTH,
    "permission": _AUTH,
    "quota": _QUOTA,
    "model_not_found": _MODEL,
    "overloaded": _OVERLOADED,
    "connect.dns": _DNS,
    "connect.refused": _REFUSED,
    # Closed while it was set up: a port that is open with nothing behind it, as when a container
    # is there and its server is not.
    "connect.reset": _REFUSED,
    "connect.proxy": _UNREACHABLE,
    "connect.unreachable": _UNREACHABLE,
    "timeout.connect": _NO_CONNECTION,
    "timeout.first_token": _NO_ANSWER,
    "timeout.stall": _STALL,
    # The same request may well pass the next time: it is not what is asked.
    "conflict": _ERRORS,
    "client_closed": _ERRORS,
}
_NOT_THE_ROUTES: Final = frozenset(("refusal", "content_filter", WRONG_ANSWER.reason))
"""The model answered, and what it said is its answer to the prompt: nothing is out of order. What
is wrong by what was expected has a cause and a test of its own."""

RATE_LIMITS: Final[dict[str, Cause]] = {
    "requests": "rate_limited_requests",
    "tokens": "rate_limited_tokens",
    "input_tokens": "rate_limited_tokens",
    "output_tokens": "rate_limited_tokens",
    "concurrency": "rate_limited_concurrency",
}


def speaks_of_route(event: AttemptFinished) -> bool:
    """Return whether an end is evidence at all, for a route or against it."""
    return event.outcome != "cancelled" and not event.flagged


def is_whole(event: AttemptFinished | ProbeFinished) -> bool:
    """Return whether an answer came whole, be it of no use: it tells of tokens, times and builds
    what any other does."""
    return event.outcome == "ok" or event.reason == WRONG_ANSWER.reason


def rate_limit_of(event: AttemptFinished) -> Cause | None:
    """Return which rate a refusal names; None where it is no refusal for a rate."""
    if event.outcome != "throttled" or event.reason == "overloaded":
        return None
    return RATE_LIMITS.get(event.reason.rpartition(".")[2], "rate_limited_requests")


def failure_of(event: AttemptFinished) -> FailureKind | None:
    """Return what a failure speaks of; None for what is none: an answer, or a rate limit."""
    outcome, reason = event.outcome, event.reason
    if outcome == "ok" or rate_limit_of(event) is not None:
        return None
    if outcome == "content_error" and reason in _NOT_THE_ROUTES:
        return None
    if outcome == "truncated":
        return _TRUNCATED
    known = _BY_REASON.get(reason)
    if known is not None:
        return known
    if reason.startswith("connect.tls"):
        return _TLS
    if reason.startswith("connect"):
        return _UNREACHABLE
    if outcome == "client_error":
        # What is asked wrongly, moderated, too long, not found: the same request fails again.
        return _BAD_REQUEST
    if reason == "timeout.total":
        return _NO_ANSWER if event.stamps_ns.first_token is None else _ERRORS
    return _ERRORS
