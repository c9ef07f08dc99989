"""What a finish reason says: servers spell the same in many ways, and put details behind it.

Rule 1  A reason is compared by its parts: it is split at all that is no letter and between the
        words of camelCase, without regard to case. `content_filter: PROHIBITED_CONTENT`,
        `contentFilter` and `SAFETY` are one family.
Rule 2  The families are asked in the order of `_FAMILIES`: what was filtered may also be an error.
Rule 3  A reason of no family says that the answer ended, and no more: `stop`, `end_turn`, `eos`,
        `tool_calls`, and whatever a server will invent next.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal, TypeAlias

FinishFamily: TypeAlias = Literal["filtered", "aborted", "failed", "refused", "length", ""]

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_FILTERED: Final = frozenset(
    {
        *("filter", "filtered", "contentfilter", "guardrail", "guardrails", "moderation"),
        *("moderated", "policy", "blocked", "unsafe", "harmful", "flagged"),
        # Google's, Zhipu's, Cohere's
        *("safety", "prohibited", "blocklist", "spii", "recitation", "jailbreak", "armor"),
        *("sensitive", "toxic"),
    }
)
_ABORTED: Final = frozenset({"abort", "aborted", "cancel", "cancelled", "canceled"})
_REFUSED: Final = frozenset({"refusal", "refused"})
_FAILED: Final = frozenset(
    {
        *("error", "errors", "errored", "fail", "failed", "failure", "exception"),
        *("timeout", "timedout", "overloaded", "throttled", "throttling", "ratelimited"),
        "insufficient",  # DeepSeek's `insufficient_system_resource`
    }
)
_TOKENS: Final = frozenset({"token", "tokens"})
_OF_A_CAP: Final = frozenset({"max", "maximum", "limit"})
_CAPPED: Final = frozenset({"length", "maxlength", "maxtokens", "incomplete"})
_OF_THE_MODEL: Final = frozenset({"context", "model"})
"""Mistral's `model_length`, Anthropic's `model_context_window_exceeded`: no cap of ours."""


def _is_failed(parts: frozenset[str]) -> bool:
    failed = bool(parts & _FAILED) or any(part.endswith("error") for part in parts)
    limited = "rate" in parts and not parts.isdisjoint({"limit", "limited"})
    return (failed and parts != {"error", "limit"}) or limited  # Cohere's for its longest context


def _is_capped(parts: frozenset[str]) -> bool:
    if parts & _OF_THE_MODEL:
        return False
    return bool(parts & _CAPPED) or bool(parts & _TOKENS and parts & _OF_A_CAP)


_FAMILIES: Final[tuple[tuple[FinishFamily, Callable[[frozenset[str]], bool]], ...]] = (
    ("filtered", lambda parts: bool(parts & _FILTERED)),
    ("aborted", lambda parts: bool(parts & _ABORTED)),
    ("failed", _is_failed),
    ("refused", lambda parts: bool(parts & _REFUSED)),
    ("length", _is_capped),
)


@lru_cache(maxsize=256)
def family_of(reason: str | None) -> FinishFamily:
    """Return the family of a finish reason; empty for one that only says that the answer ended."""
    parts = frozenset(part.lower() for part in _WORD.findall(reason or ""))
    return next((family for family, holds in _FAMILIES if holds(parts)), "")


def explains_silence(reason: str | None) -> bool:
    """Whether nothing more can be expected after this reason, be it before any output.

    Gateways put `stop` on chunks that end nothing; none puts a filter, an error or the cap there.
    """
    return family_of(reason) != ""


def squashed(reason: str) -> str:
    """Return a reason or a code as they are compared: small letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", reason.lower())
