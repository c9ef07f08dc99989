"""The names under which limits are told: which limit, of what period and holder, and what of it."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from probes.events.limit_periods import seconds_of, window_of


class LimitKey(NamedTuple):
    """One limit among all that an answer tells of."""

    kind: str
    """`requests`, `tokens`, `input_tokens`, `concurrency`, …, or the server's own word."""
    window: str = ""
    """The period it counts: `second`, `minute`, `hour`, `day`, `month`, `10s`; empty if untold."""
    scope: str = ""
    """Whom it counts for, where one server tells several: `model_per_key`, `upstream`, …"""


_FIELD: Final = re.compile(
    r"(?P<passed>llm_provider-)?(?:x-)?(?P<family>ai-ratelimit|ratelimitbysize|tokenlimit|ratelimit"
    r"|rate-limit)(?:-(?P<before>[a-z0-9_-]{1,40}?))?"
    r"-(?P<what>limit|remaining|reset|renewalperiod)(?:-(?P<after>[a-z0-9_-]{1,40}))?"
)
_ANTHROPIC: Final = re.compile(
    r"(?P<passed>llm_provider-)?anthropic-(?:(?P<tier>priority|fast)-)?(?:ratelimit-)?"
    r"(?P<kind>(?!unified|ratelimit)[a-z0-9_-]{1,40})-(?P<what>limit|remaining|reset)"
)
_RESET_FORMS: Final = ("after", "at", "in", "time", "ms")
"""Words behind `reset` that say how it is told, not of what."""
_LITELLM_KEY: Final = re.compile(r"x-litellm-key-(?P<kind>rpm|tpm)-limit")
_OTHERS: Final = {
    "x-trial-endpoint-call-limit": (LimitKey("requests", "minute"), "limit"),
    "x-trial-endpoint-call-remaining": (LimitKey("requests", "minute"), "remaining"),
    "x-endpoint-monthly-call-limit": (LimitKey("requests", "month"), "limit"),
}
"""Cohere's."""
_LONGEST_NAME: Final = 120
_HINT: Final = re.compile("limit|anthropic-|-call-")
"""One of them is in every such name: other headers cost no more than this."""
_TOKEN_FAMILIES: Final = ("ai-ratelimit", "ratelimitbysize", "tokenlimit")
"""They count tokens where they do not say what they count; the others count requests."""
_WINDOWS: Final = {
    "second": "second",
    "sec": "second",
    "minute": "minute",
    "min": "minute",
    "hour": "hour",
    "day": "day",
    "daily": "day",
    "month": "month",
    "monthly": "month",
}
_RATES: Final = {
    f"{prefix}{letter}": (kind, window)
    for prefix, kind in (("rp", "requests"), ("tp", "tokens"))
    for letter, window in (("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"))
}
_KINDS: Final = {
    "req": "requests",
    "request": "requests",
    "requests": "requests",
    "call": "requests",
    "calls": "requests",
    "token": "tokens",
    "tokens": "tokens",
    "tokens_prompt": "input_tokens",
    "prompt_tokens": "input_tokens",
    "input_tokens": "input_tokens",
    "tokens_generated": "output_tokens",
    "generated_tokens": "output_tokens",
    "completion_tokens": "output_tokens",
    "output_tokens": "output_tokens",
    "tokens_cache_adjusted_prompt": "uncached_tokens",
    "concurrency": "concurrency",
    "concurrent": "concurrency",
    "concurrent_requests": "concurrency",
    "parallel_requests": "concurrency",
    "max_parallel_requests": "concurrency",
}


def place_of(name: str) -> tuple[LimitKey, str] | None:
    """Return the limit and the part of it (limit, remaining, reset, renewalperiod) of a header.

    None where it tells none. Servers put the kind behind the part (`x-ratelimit-limit-tokens`) or
    before it (`anthropic-ratelimit-tokens-limit`); with words on both sides the first ones say
    for whom (LiteLLM's `x-ratelimit-model_per_key-limit-tokens`).
    """
    name = name.lower()
    if len(name) > _LONGEST_NAME or not _HINT.search(name):
        return None
    return _place_of(name)


@lru_cache(maxsize=512)
def _place_of(name: str) -> tuple[LimitKey, str] | None:
    """The same few names come with every answer."""
    if name in _OTHERS:
        return _OTHERS[name]
    found = _FIELD.fullmatch(name)
    if found is not None:
        default = "tokens" if found["family"] in _TOKEN_FAMILIES else "requests"
        before, after = found["before"] or "", found["after"] or ""
        after = "" if after in _RESET_FORMS else after
        key = _key(after or before, default)
        if before and after:
            key = key._replace(scope=before)
        return _passed_on(key, found["passed"]), found["what"]
    found = _ANTHROPIC.fullmatch(name)
    if found is not None:
        key = _key(found["kind"], "requests")._replace(scope=found["tier"] or "")
        return _passed_on(key, found["passed"]), found["what"]
    found = _LITELLM_KEY.fullmatch(name)
    return None if found is None else (_key(found["kind"], "")._replace(scope="key"), "limit")


def words_of_type(name: str) -> LimitKey:
    """Return the limit that a type in camel case names, such as `UserByModelByDay`.

    Also Google's quota ids, `GenerateRequestsPerMinutePerProjectPerModel-FreeTier`.
    """
    words = re.findall(r"[a-z]+", re.sub(r"([A-Z])", r" \1", name[:200]).lower())
    window = next((_WINDOWS[word] for word in words if word in _WINDOWS), "")
    if "concurrent" in words:
        return LimitKey("concurrency")
    if {"token", "tokens"} & set(words):
        sided = next((word for word in words if word in ("input", "output")), "")
        return LimitKey(f"{sided}_tokens" if sided else "tokens", window)
    return LimitKey("requests", window)


def _passed_on(key: LimitKey, prefix: str | None) -> LimitKey:
    """A gateway hands the limits of the provider behind it on beside its own."""
    return key._replace(scope=f"upstream {key.scope}".strip()) if prefix else key


def _key(name: str, default: str) -> LimitKey:
    words = [word for word in re.split(r"[-_]+", name) if word and word != "per"]
    if "_".join(words) in _RATES:
        return LimitKey(*_RATES["_".join(words)])
    words, window = _without_window(words)
    whole = "_".join(words)
    if not whole:
        return LimitKey(default, window)
    if whole in _KINDS:
        return LimitKey(_KINDS[whole], window)
    for size in range(1, len(words)):
        front, back = "_".join(words[:size]), "_".join(words[size:])
        if back in _KINDS:
            return LimitKey(_KINDS[back], window, front)
        if front in _KINDS:
            return LimitKey(_KINDS[front], window, back)
    if window or whole == "dynamic":
        return LimitKey(default, window, whole)
    return LimitKey(whole, window)


def _without_window(words: list[str]) -> tuple[list[str], str]:
    """Take the period off the end of a name, or off its beginning (Kong's `300-model`)."""
    if words and words[-1] in _WINDOWS:
        if len(words) > 1 and words[-2].isdigit():
            several = int(words[-2][:6]) * (seconds_of(_WINDOWS[words[-1]]) or 0.0)
            return words[:-2], window_of(several)
        return words[:-1], _WINDOWS[words[-1]]
    if words and words[0] in _WINDOWS:
        return words[1:], _WINDOWS[words[0]]
    if words and words[0].isdigit():
        return words[1:], window_of(float(words[0][:9]))
    return words, ""
