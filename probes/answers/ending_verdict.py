"""What an answer that began as a 200 came to, from what was read of it and how it ended.

Rule 1  An error that was told in it outweighs all else: servers write `[DONE]` after one too.
Rule 2  What cannot be read on is a protocol error, but not after a finish that stands: that
        outweighs whatever came later.
Rule 3  A finish that does not stand by itself, as one beside reasoning alone, is made to by the end
        of the whole body, and by nothing else.
Rule 4  A whole answer is judged by the family of its finish reason, then by whether it has output.
Rule 5  Any other is judged by how the exchange ended.
"""

from typing import Final, Literal, TypeAlias

from probes.answers.dialects.transcript import Transcript, Usage
from probes.answers.error_body import ErrorBody
from probes.answers.finish_reason import family_of, squashed
from probes.answers.outcome import of_stream_error
from probes.events import TokenSource, Verdict
from probes.kit.short_figures import counted

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

_CAP_HINT: Final = "hidden reasoning used up the answer cap: raise max_tokens"
_CAP_HINT_UNCOUNTED: Final = (
    "the answer cap was used up before anything was shown, as by hidden reasoning: raise max_tokens"
)
_THINKING: Final = ("<think", "[THINK]", "<|channel|>analysis")
"""How models write their reasoning into the text: that of Qwen, Mistral and gpt-oss begins so."""
_BEGINNING: Final = 16
"""Pieces of a text in which such a tag must have come."""
_NO_ROOM: Final = "insufficientsystemresource"
"""DeepSeek's finish reason where it is overloaded."""


def judge(transcript: Transcript, ending: Ending, broken: str, *, began: bool) -> Verdict:
    """Return the verdict on a 200.

    `broken` says why its bytes could not be read on; `began` whether any of an answer was read.
    """
    if transcript.error is not None:
        return of_stream_error(transcript.error)
    if ending == "cap_ignored":
        return Verdict("protocol_error", ending)
    over = transcript.done or transcript.closed
    if transcript.malformed or (broken and not over):
        return Verdict("protocol_error", transcript.malformed or broken)
    if over or (transcript.finished and ending == "complete"):
        return _of_whole_answer(transcript)
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


def _of_whole_answer(transcript: Transcript) -> Verdict:
    family = family_of(transcript.finish_reason)
    if family == "filtered":
        return Verdict("content_error", "content_filter")
    if family == "aborted":
        return Verdict("server_error", "aborted")
    if family == "failed":
        return _of_failed(transcript.finish_reason or "")
    if transcript.refusal or family == "refused":
        return Verdict("content_error", "refusal")
    if transcript.output:
        return Verdict("ok")
    return Verdict("content_error", "cap_exhausted" if family == "length" else "empty")


def _of_failed(reason: str) -> Verdict:
    """Return the verdict on a finish reason that is an error: what the same code would get."""
    code = squashed(reason)
    if code == _NO_ROOM:
        return Verdict("server_error", "overloaded")
    return of_stream_error(ErrorBody(code=reason, words=(code,)))


def hint_of(transcript: Transcript, verdict: Verdict) -> str:
    """Return what a verdict on an answer without output means; empty where that is plain."""
    if verdict.reason == "cap_exhausted":
        is_counted = transcript.usage is not None and bool(transcript.usage.reasoning_tokens)
        return _CAP_HINT if is_counted or transcript.reasoned else _CAP_HINT_UNCOUNTED
    if verdict != Verdict("content_error", "empty"):
        return ""
    tokens = transcript.usage.output_tokens if transcript.usage is not None else None
    carried = f" but {', '.join(transcript.carried)}" if transcript.carried else ""
    if not tokens:
        return ""
    counts = counted(tokens, "output token is", "output tokens are")
    return f"{counts} counted, yet nothing came{carried}"


def tokens_of(transcript: Transcript) -> tuple[Usage, TokenSource]:
    """Return the token counts, and where that of the output is from, or `none`.

    A usage that output followed, or that an answer without its end left behind, is a running
    total. No output tokens beside output is what servers write that do not count. Timings speak
    where a usage has no output tokens that can be believed.
    """
    usage = _credible(transcript.usage, transcript)
    if usage is not None and usage.output_tokens is not None:
        ended = transcript.finished or transcript.done or transcript.error is not None
        is_total = ended and transcript.usage_is_last
        return usage, transcript.usage_source if is_total else "continuous_usage"
    timings = _credible(transcript.timings, transcript)
    if timings is not None and timings.output_tokens is not None:
        return (usage or Usage()).updated(timings), "timings"
    return usage or Usage(), "none"


def hidden_tokens_of(transcript: Transcript, usage: Usage) -> int | None:
    """Return how many output tokens were never streamed; None where it is not known how many.

    Reasoning that is counted as output and of which nothing came was hidden, all of it. Where less
    came than a character a token it was a summary: what of the count was streamed is not known.
    """
    reasoning = usage.reasoning_tokens or 0
    if not reasoning or usage.reasoning_apart:
        return 0
    came = sum(map(len, transcript.reasoning)) + _thought_aloud(transcript)
    if not came:
        return reasoning
    return 0 if came >= reasoning else None


def _thought_aloud(transcript: Transcript) -> int:
    """Return the characters of a text that begins with its reasoning, in the tags of its model."""
    begun = "".join(transcript.text[:_BEGINNING]).lstrip()
    return sum(map(len, transcript.text)) if begun.startswith(_THINKING) else 0


def _credible(usage: Usage | None, transcript: Transcript) -> Usage | None:
    if usage is None or not transcript.output or usage.output_tokens != 0:
        return usage
    return Usage(
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        cost_usd=usage.cost_usd,
        billed_tokens=usage.billed_tokens or None,
    )
