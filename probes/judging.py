"""What an answer that began as a 200 came to, from what was read of it and how it ended."""

from typing import Final, Literal, TypeAlias

from probes.dialects.base import Transcript, Usage
from probes.events import TokenSource
from probes.outcome import Verdict, of_stream_error

__all__ = ["Ending", "hidden_tokens_of", "judge", "tokens_of"]

Ending: TypeAlias = Literal[
    "complete",
    "cut",
    "reset",
    "protocol",
    "closed_by_us",
    "timeout.connect",
    "timeout.first_token",
    "timeout.stall",
    "timeout.total",
    "cancelled",
    "local_gap",
    "cap_ignored",
]
"""How the exchange ended: `complete` as its framing says, `cut` by a close before that, `reset` by
a reset, `closed_by_us` some time after the terminal signal, `cap_ignored` by us because it passed
what it was allowed."""

CAP_HINT: Final = "hidden reasoning used up the answer cap: raise max_tokens"
_LENGTH: Final = ("length", "max_tokens", "max_output_tokens", "MAX_TOKENS")
_FILTERED: Final = (
    *("content_filter", "content-filter", "content_filtered", "guardrail_intervened"),
    *("safety", "prohibited_content", "blocklist", "spii", "recitation"),  # Google
    *("sensitive", "error_toxic"),  # Zhipu, Cohere
)
_ABORTED: Final = ("abort", "aborted", "cancelled", "canceled")
_REFUSED: Final = ("refusal",)
_THINKING: Final = ("<think", "[THINK]", "<|channel|>analysis")
_BEGINNING: Final = 16
"""Pieces of a text in which such a tag must have come."""
_FAILED: Final = {
    "insufficient_system_resource": "overloaded",  # DeepSeek
    "network_error": "upstream",  # Zhipu
    "timeout": "gateway_timeout",  # Cohere
}
"""Finish reasons that tell of a server's failure, in small letters."""


def judge(told: Transcript, ending: Ending, broken: str, *, began: bool) -> Verdict:
    """Return the verdict on a 200.

    `broken` says why its bytes could not be read on; `began` whether any of an answer was read.
    Errors come first, for servers write `[DONE]` after them; a finish outweighs what came later.
    """
    if told.error is not None:
        return of_stream_error(told.error)
    if ending == "cap_ignored":
        return Verdict("protocol_error", ending)
    if told.malformed or (broken and not (told.finished or told.done)):
        return Verdict("protocol_error", told.malformed or broken)
    if told.finished or told.done:
        return _of_whole_answer(told)
    return of_ending(ending, began=began)


def of_ending(ending: Ending, *, began: bool) -> Verdict:
    """Return the verdict on a 200 that ended before its answer did."""
    if ending in ("cancelled", "local_gap"):
        return Verdict("cancelled", ending)
    if ending.startswith("timeout."):
        return Verdict("timeout", ending)
    if ending == "protocol":
        return Verdict("protocol_error", "protocol")
    if ending in ("cut", "reset"):
        return Verdict("truncated", ending)
    return Verdict("truncated", "no_finish") if began else Verdict("protocol_error", "empty")


def _of_whole_answer(told: Transcript) -> Verdict:
    reason = (told.finish_reason or "").lower()
    if reason in _FILTERED:
        return Verdict("content_error", "content_filter")
    if reason in _ABORTED:
        return Verdict("server_error", "aborted")
    if reason in _FAILED:
        return Verdict("server_error", _FAILED[reason])
    if told.refusal or reason in _REFUSED:
        return Verdict("content_error", "refusal")
    if told.output:
        return Verdict("ok")
    counted = told.usage is not None and bool(told.usage.reasoning_tokens)
    capped = told.finish_reason in _LENGTH and (counted or told.reasoned)
    return Verdict("content_error", "cap_exhausted" if capped else "empty")


def tokens_of(told: Transcript) -> tuple[Usage, TokenSource]:
    """Return the token counts, and where that of the output is from, or `none`.

    A usage that output followed, or that an answer without its end left behind, is a running
    total. No output tokens beside output is what servers write that do not count. Timings speak
    where a usage has no output tokens that can be believed.
    """
    usage = _credible(told.usage, told)
    if usage is not None and usage.output_tokens is not None:
        ended = told.finished or told.done or told.error is not None
        is_total = ended and told.usage_is_last
        return usage, told.usage_source if is_total else "continuous_usage"
    timings = _credible(told.timings, told)
    if timings is not None and timings.output_tokens is not None:
        return (usage or Usage()).updated(timings), "timings"
    return usage or Usage(), "none"


def hidden_tokens_of(told: Transcript, usage: Usage) -> int | None:
    """Return how many output tokens were never streamed; None where it is not known how many.

    Reasoning that is counted as output and of which nothing came was hidden, all of it. Where less
    came than a character a token it was a summary: what of the count was streamed is not known.
    """
    reasoning = usage.reasoning_tokens or 0
    if not reasoning or usage.reasoning_apart:
        return 0
    came = sum(map(len, told.reasoning)) + _thought_aloud(told)
    if not came:
        return reasoning
    return 0 if came >= reasoning else None


def _thought_aloud(told: Transcript) -> int:
    """Return the characters of a text that begins with its reasoning, in the tags of its model."""
    begun = "".join(told.text[:_BEGINNING]).lstrip()
    return sum(map(len, told.text)) if begun.startswith(_THINKING) else 0


def _credible(usage: Usage | None, told: Transcript) -> Usage | None:
    if usage is None or not told.output or usage.output_tokens != 0:
        return usage
    return Usage(
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        cost_usd=usage.cost_usd,
        billed_tokens=usage.billed_tokens or None,
    )
