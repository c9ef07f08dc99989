"""What server and gateway say of one attempt, as lines below its bars: pure functions."""

from typing import Final, NamedTuple

from probes.answers.comparison import Comparison, Span, comparisons, stages
from probes.answers.gateway import tries_reported
from probes.events import AttemptFinished, ServerClaim, ServerInterval
from probes.kit.clock import seconds
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import counted
from tui.draw.probe_figures import duration

_LONGEST: Final = 80
_MOST_METRICS: Final = 6
_SERVED_BY: Final = ("x-litellm-model-api-base", "x-portkey-provider", "ngrok-aig-model")
"""Headers in which a gateway names whom it asked in the end."""
_STAGES: Final[dict[ServerInterval, str]] = {
    "queue": "queue",
    "load": "model load",
    "prompt": "prompt",
    "decode": "writing",
}
_SPANS: Final[dict[Span, str]] = {
    "headers": "· headers",
    "first_token": "· 1st token",
    "total": "· the end",
}


def server_lines(attempt: AttemptFinished) -> list[tuple[str, str]]:
    """Return (label, words) of what is claimed, the spans that we measured too beside our figure.

    The measured figure of a span begins where the whole request was sent.
    """
    claims = attempt.server_claims
    lines = [("server says", _named(stages(claims)))] if stages(claims) else []
    for comparison in comparisons(attempt):
        reported = [claim for claim in claims if claim.interval == comparison.span]
        lines.append((_SPANS[comparison.span], _compared(comparison, reported)))
    overhead = [claim for claim in claims if claim.interval == "overhead"]
    if overhead:
        lines.append(("gateway", f"says that its own work took {_sourced(overhead)}"))
    others = [claim for claim in claims if claim.interval == "other"][:_MOST_METRICS]
    if others:
        lines.append(("· besides", _sourced(others)))
    return lines


class Beside(NamedTuple):
    """One interval by the server's word, and by ours where we saw both its ends."""

    name: str
    claimed_s: float
    measured_s: float | None = None
    rest_s: float | None = None
    """Network, gateways, and what the server does not count."""
    excess_s: float = 0.0
    """What is claimed above what we measured."""
    sources: tuple[str, ...] = ()
    """Where it was said: hostile."""


def claims_beside(attempt: AttemptFinished) -> list[Beside]:
    """Return what is claimed, in the order of time, each beside what we measured of the same.

    Ours of the writing is from the first to the last output that came; of the spans, from where the
    whole request was sent.
    """
    claims, stamps = attempt.server_claims, attempt.stamps_ns
    rows = []
    for claim in stages(claims):
        ours_s = None
        if claim.interval == "decode" and stamps.first_token and stamps.last_token:
            ours_s = seconds(stamps.last_token - stamps.first_token)
        rows.append(Beside(_STAGES[claim.interval], claim.seconds, ours_s, sources=(claim.source,)))
    for comparison in comparisons(attempt):
        sources = tuple(claim.source for claim in claims if claim.interval == comparison.span)
        excess_s = comparison.excess_s
        rows.append(
            Beside(
                _SPANS[comparison.span].removeprefix("· "),
                comparison.claimed_s,
                comparison.measured_s,
                None if excess_s else comparison.rest_s,
                excess_s,
                sources or ("its stages together",),
            )
        )
    for claim in claims:
        if claim.interval == "overhead":
            rows.append(Beside("gateway", claim.seconds, sources=(claim.source,)))
    others = [claim for claim in claims if claim.interval == "other"]
    rows += [Beside("besides", one.seconds, sources=(one.source,)) for one in others]
    return rows


def gateway_line(attempt: AttemptFinished) -> str:
    """Return how often a gateway tried again behind our back, and who says so; or nothing."""
    if not attempt.hidden_retries:
        return ""
    reported = [f"{name} {number}" for name, number in tries_reported(attempt.headers)]
    told = sum(number for _, number in tries_reported(attempt.headers))
    if attempt.hidden_retries > told:
        reported.append(f"the answer itself {attempt.hidden_retries - told}")
    tries = counted(attempt.hidden_retries, "further try", "further tries")
    words = f"{tries} that we did not see ({', '.join(reported)})"
    by = next((attempt.headers[name] for name in _SERVED_BY if attempt.headers.get(name)), "")
    return f"{words}, answered by {neutralise(by, _LONGEST)}" if by else words


def id_lines(attempt: AttemptFinished) -> list[str]:
    """Return every id of the request but the first, which stands with the tokens."""
    further = list(attempt.request_ids.items())[1:]
    ids = [f"{name} {neutralise(value, _LONGEST)}" for name, value in further]
    if attempt.response_id:
        ids.append(f"response {neutralise(attempt.response_id, _LONGEST)}")
    return [f"ids: {' · '.join(ids)}"] if ids else []


def model_line(attempt: AttemptFinished, asked: str) -> str:
    """Return which model answered, and which build of it; nothing where it is just what was asked
    for."""
    model, fingerprint = attempt.served_model, attempt.fingerprint
    if model in ("", asked) and not fingerprint:
        return ""
    named = [neutralise(name, _LONGEST) for name in (model or asked, fingerprint) if name]
    return f"served by {', '.join(named)}"


def _named(claims: tuple[ServerClaim, ...]) -> str:
    return " · ".join(f"{claim.interval} {duration(claim.seconds)}" for claim in claims)


def _sourced(claims: list[ServerClaim]) -> str:
    return ", ".join(
        f"{duration(claim.seconds)} ({neutralise(claim.source, _LONGEST)})" for claim in claims
    )


def _compared(comparison: Comparison, reported: list[ServerClaim]) -> str:
    claimed = _sourced(reported) if reported else duration(comparison.claimed_s)
    longest = max((claim.seconds for claim in reported), default=comparison.claimed_s)
    if reported and longest < comparison.claimed_s:
        claimed += f", {duration(comparison.claimed_s)} with all its stages"
    words = f"{claimed} of our {duration(comparison.measured_s)}"
    if comparison.excess_s:
        more = duration(comparison.excess_s)
        return f"{words}: {more} more than we measured, its clock or its definition differs"
    return f"{words}; {duration(comparison.rest_s)} network, gateway and what it does not count"
