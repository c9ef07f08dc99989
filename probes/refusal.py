"""Why a server refuses a request that is well asked: money, or a rate, and then which.

Providers word both alike, and some answer 429 for both. Codes are trusted before messages. A
message is taken for a bill only where its words leave no doubt: messages about a rate advise to
"add a payment method", to "check your plan and billing details" or to "add credits" too.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from probes.error_body import ErrorBody
from probes.events import Limit

__all__ = ["BUSY", "is_billing", "throttle_reason", "told_by_limits"]

BUSY: Final = re.compile(
    r"overload|busy|capacity|autoscal|high (traffic|demand|load)|queue_?exceeded|访问量过大",
    re.IGNORECASE,
)

_BILLING: Final = re.compile(
    r"insufficient(user|token|account)?(quota|balance|credit|fund)|notenough(balance|credit|fund)"
    r"|credit(balance|s?exhausted|s?required|limit)|spend(ing)?limit|budget(limit)?(has)?(been)?exceeded"
    r"|(organization|project|account|monthly|key)usagelimit|usagelimit(reached|exceeded)"
    r"|billing|paymentrequired|exceededcurrentquota|outofcredits?|accountsuspended"
    r"|tokenquotafailed|arrear|overdue|^setlimitexceeded|allocationquotafreetieronly|notpurchased|unpurchased"
)
_BILLING_NUMBERS: Final = frozenset({"1113", "1309", "30001", "30011"})
"""Zhipu: no balance, plan expired; SiliconFlow: no balance."""
_BILLING_MESSAGE: Final = re.compile(
    r"spend(ing)? limit|credit (balance|limit)|insufficient[ _](credits?|balance|funds|quota)"
    r"|not enough (credits?|balance|funds)|balance is (insufficient|too low|not enough)"
    r"|out of (credits|call volume)|used all (available|your) credits"
    r"|requires? (more credits|a valid credit card)"
    r"|reached your (hourly|session|daily|weekly|monthly) usage limit"
    r"|billing (hard )?limit|account[^.]{0,80} is suspended|budget has been exceeded"
    r"|key limit exceeded|specified (workspace )?api usage limits|inactive subscription"
    r"|exceeded (your|the) monthly (included |usage )?(credits?|quota|budget)|overdue balance"
    r"|quota is not enough"
    r"|exhausted (its|your|the) free|free (trial|tier)[^.]{0,80}(been exhausted|used up)"
    r"|limited to \d{1,9} api calls ?/ ?month|余额不足|额度不足|欠费",
    re.IGNORECASE,
)
_RATE_MESSAGE: Final = re.compile(
    r"allocated quota exceeded|error-code#(token|rate)-limit", re.IGNORECASE
)
"""DashScope says `insufficient_quota` of its tokens per minute."""

_CONCURRENCY: Final = re.compile(
    r"concurren|simultaneous|in-?flight|parallel[ _]requests?|并发", re.IGNORECASE
)
_TOKENS: Final = re.compile(
    r"(?<![a-z])[io]?tp[smhd](?![a-z])|tokens?[ -](per|rate|limit|quota)|limit type: tokens"
    r"|too many tokens|number of (\w{1,20} ){0,2}tokens"
    r"|allocated quota exceeded|error-code#token-limit",
    re.IGNORECASE,
)
_REQUESTS: Final = re.compile(
    r"(?<![a-z])rp[smhd](?![a-z])|(requests?|calls?)[ -](per|rate)|limit type: requests"
    r"|number of requests|api calls ?/|requests? limit"
    r"|userby(model)?by|free-models-per-",
    re.IGNORECASE,
)
_ANY_OF_THEM: Final = "tpm / rpm"
"""LiteLLM's older limiter names all three whichever was hit."""
_CODES: Final = (
    ("concurrency", re.compile(r"concurren|inflight|parallelrequest")),
    ("tokens", re.compile(r"^tokens$|tp[mdh](rate)?limit|tp[mdh]exceeded|tokenquota|tokenlimit")),
    ("requests", re.compile(r"^requests$|rp[smdh](rate)?limit|rp[smdh]exceeded|requestquota")),
    ("requests", re.compile(r"limitrequests|ratequota|requestbursttoofast|burstrate")),
    ("tokens", re.compile(r"^throttlingallocationquota$")),
)
_FAMILIES: Final = ("concurrency", "tokens", "requests")


def is_billing(error: ErrorBody) -> bool:
    """Whether an error is about money: by its codes, or in words that leave no doubt.

    "Exceeded your current quota" does leave one: Google says it of a rate limit too.
    """
    if _RATE_MESSAGE.search(error.message):
        return False
    return (
        any(_BILLING.search(word) for word in error.words)
        or not _BILLING_NUMBERS.isdisjoint(error.numbers)
        or bool(_BILLING_MESSAGE.search(error.message))
    )


def throttle_reason(error: ErrorBody) -> str:
    """Return which limit was hit, as far as the body tells."""
    for family, pattern in _CODES:
        if any(pattern.search(word) for word in error.words):
            return f"rate_limit.{family}"
    family = _family_in(error.message)
    if family:
        return f"rate_limit.{family}"
    busy = any(BUSY.search(said) for said in (*error.words, error.message))
    return "overloaded" if busy else "rate_limit"


def told_by_limits(reason: str, limits: Sequence[Limit]) -> str:
    """Return a reason that only says `rate_limit` with the one family that has nothing left."""
    if reason != "rate_limit":
        return reason
    used_up = set(_families(limit.kind for limit in limits if limit.remaining == 0))
    return f"rate_limit.{used_up.pop()}" if len(used_up) == 1 else reason


def _family_in(message: str) -> str:
    if _ANY_OF_THEM in message.lower():
        return ""
    if _CONCURRENCY.search(message):
        return "concurrency"
    tokens, requests = _TOKENS.search(message), _REQUESTS.search(message)
    if tokens and requests:
        return "tokens" if tokens.start() < requests.start() else "requests"
    return "tokens" if tokens else "requests" if requests else ""


def _families(kinds: Iterable[str]) -> Iterable[str]:
    for kind in kinds:
        yield from (family for family in _FAMILIES if family in kind)
