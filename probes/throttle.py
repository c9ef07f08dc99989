"""What servers say of their limits: Retry-After, rate-limit headers, resets; which headers we keep.

Header names are lower case throughout. Bodies are read for limits only where a provider copies its
headers into them (OpenRouter); waits named in a message ("try again in 644ms") are never obeyed, as
no official client does.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from probes.clock import NS_PER_S
from probes.events import Limit
from probes.gateway import GATEWAY_HEADERS
from probes.request_ids import REQUEST_ID_HEADERS

__all__ = [
    "KEPT_HEADERS",
    "kept_headers",
    "parse_reset",
    "read_limits",
    "retry_after_s",
]

_EPOCH_S: Final = 1e9
_EPOCH_MS: Final = 1e12
_MOST_LIMITS: Final = 16
_MOST_HEADERS: Final = 48
_LONGEST_VALUE: Final = 200
_NUMBER: Final = re.compile(r"\d{1,30}(\.\d{0,30})?|\.\d{1,30}")
_DURATION: Final = re.compile(
    r"(?=.)(?:(?P<d>\d{1,9}(?:\.\d{0,12})?)d)?(?:(?P<h>\d{1,9}(?:\.\d{0,12})?)h)?"
    r"(?:(?P<m>\d{1,9}(?:\.\d{0,12})?)m(?!s))?(?:(?P<s>\d{1,9}(?:\.\d{0,12})?)s)?"
    r"(?:(?P<ms>\d{1,15}(?:\.\d{0,12})?)ms)?(?:(?P<us>\d{1,15}(?:\.\d{0,12})?)(?:us|µs|μs))?"
)
_UNITS_S: Final = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_FIELD: Final = re.compile(
    r"(?:llm_provider-)?(?:x-)?(?P<family>ratelimit|rate-limit|tokenlimit)"
    r"-(?P<what>limit|remaining|reset)(?:-(?P<kind>[a-z0-9_-]{1,40}))?"
)
_ANTHROPIC_FIELD: Final = re.compile(
    r"(?:llm_provider-)?anthropic-(?:priority-)?ratelimit-(?P<kind>[a-z0-9_-]{1,40})"
    r"-(?P<what>limit|remaining|reset)"
)
_KINDS: Final = {"tokens_prompt": "input_tokens", "tokens_generated": "output_tokens"}
_WINDOWS: Final = ("second", "minute", "hour", "day", "month")
_GROQ_WINDOWS: Final = {"requests": "day", "tokens": "minute"}

KEPT_HEADERS: Final = frozenset(
    {
        *REQUEST_ID_HEADERS,
        *GATEWAY_HEADERS,
        "cf-cache-status",
        "content-encoding",
        "content-type",
        "date",
        "ngrok-aig-model",
        "openai-model",
        "openai-processing-ms",
        "openai-version",
        "retry-after",
        "retry-after-ms",
        "server",
        "server-timing",
        "via",
        "x-cache",
        "x-envoy-upstream-service-time",
        "x-groq-region",
        "x-kong-proxy-latency",
        "x-kong-upstream-latency",
        "x-ms-region",
        "x-portkey-last-used-option-index",
        "x-portkey-provider",
        "x-ratelimit-over-limit",
        "x-robots-tag",
        "x-served-by",
        "x-should-retry",
    }
)
"""Response headers that are kept by name; besides them the rate limits and timings by prefix."""

_KEPT_PREFIXES: Final = (
    "anthropic-priority-ratelimit-",
    "anthropic-ratelimit-",
    "fireworks-",
    "llm_provider-x-ratelimit-",
    "ratelimit-",
    "x-litellm-attempted-",
    "x-litellm-model-",
    "x-litellm-overhead-",
    "x-litellm-response-",
    "x-ratelimit-",
    "x-tokenlimit-",
)


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of the allow-list, values cut to 200 characters."""
    kept = {
        name: value[:_LONGEST_VALUE]
        for name, value in headers.items()
        if name in KEPT_HEADERS or (name.startswith(_KEPT_PREFIXES) and len(name) <= 80)
    }
    return dict(list(kept.items())[:_MOST_HEADERS])


def retry_after_s(headers: Mapping[str, str], *, wall_ns: int) -> float | None:
    """Return the seconds a server asks us to wait: `retry-after-ms`, else `Retry-After`.

    The latter is seconds (a fraction is allowed) or an HTTP-date (RFC 9110, section 10.2.3). None
    where neither is given, or what is given is negative, past or garbage.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    plain = _number(text)
    if plain is not None:
        return plain
    moment = _http_date(text)
    if moment is None:
        return None
    wait = moment - wall_ns / NS_PER_S
    return wait if wait >= 0 else None


def parse_reset(text: str, wall_ns: int) -> float | None:
    """Return the seconds until a limit is replenished; 0 where that moment has passed.

    Durations (`120ms`, `7.66s`, `6m0s`, `1h2m`), plain seconds, Unix time in s (from 1e9) or ms
    (from 1e12), RFC 3339 and HTTP-dates are understood; None for anything else.
    """
    text = text.strip()[:_LONGEST_VALUE]
    plain = _number(text)
    now = wall_ns / NS_PER_S
    if plain is not None:
        if plain >= _EPOCH_S:
            return max(0.0, (plain / 1000 if plain >= _EPOCH_MS else plain) - now)
        return plain
    parts = _DURATION.fullmatch(text)
    if parts is not None:
        given = {unit: value for unit, value in parts.groupdict().items() if value}
        return math.fsum(float(value) * _UNITS_S[unit] for unit, value in given.items())
    moment = _rfc_3339(text) or _http_date(text)
    return None if moment is None else max(0.0, moment - now)


def read_limits(
    headers: Mapping[str, str], body: object | None, *, wall_ns: int
) -> tuple[Limit, ...]:
    """Return every limit that an answer tells of, of any provider; headers win over the body."""
    told: dict[str, dict[str, str]] = {}
    for name, value in (*_copied_headers(body), *headers.items()):
        place = _place(name)
        if place is not None and (place[0] in told or len(told) < _MOST_LIMITS):
            told.setdefault(place[0], {})[place[1]] = value
    is_groq = any(name.startswith("x-groq") for name in headers)
    limits = (_limit(kind, fields, is_groq, wall_ns) for kind, fields in told.items())
    return tuple(limit for limit in limits if limit is not None)


def _place(name: str) -> tuple[str, str] | None:
    """Return the kind and the field (limit, remaining, reset) that a header tells."""
    name = name.lower()
    if "limit" not in name:
        return None
    found = _FIELD.fullmatch(name)
    if found is not None:
        default = "tokens" if found["family"] == "tokenlimit" else "requests"
        return (found["kind"] or default).replace("-", "_"), found["what"]
    found = _ANTHROPIC_FIELD.fullmatch(name)
    return (found["kind"].replace("-", "_"), found["what"]) if found else None


def _limit(kind: str, fields: Mapping[str, str], is_groq: bool, wall_ns: int) -> Limit | None:
    base, _, last = kind.rpartition("_")
    window = last if base and last in _WINDOWS else ""
    kind = base if window else kind
    kind = _KINDS.get(kind, kind)
    if is_groq and not window:
        window = _GROQ_WINDOWS.get(kind, "")
    limit, remaining = _leading(fields.get("limit")), _leading(fields.get("remaining"))
    reset = parse_reset(fields.get("reset", ""), wall_ns)
    if limit is None and remaining is None and reset is None:
        return None
    return Limit(kind=kind, limit=limit, remaining=remaining, reset_s=reset, window=window)


def _copied_headers(body: object) -> Iterator[tuple[str, str]]:
    """Yield the headers that OpenRouter copies into `error.metadata.headers`."""
    for key in ("error", "metadata", "headers"):
        body = body.get(key) if isinstance(body, Mapping) else None
    if isinstance(body, Mapping):
        items: list[tuple[Any, Any]] = list(body.items())[:_MOST_HEADERS]
        yield from ((str(name), str(value)) for name, value in items)


def _leading(text: str | None) -> float | None:
    """Return the number a value begins with: `100, 100;w=60` is 100; below zero is none left."""
    text = (text or "").strip()
    if text.startswith("-"):
        return None if _number(text[1:]) is None else 0.0
    found = _NUMBER.match(text)
    return float(found.group()) if found else None


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _rfc_3339(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _seconds_of(moment)


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text[:_LONGEST_VALUE])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _seconds_of(moment)


def _seconds_of(moment: datetime) -> float:
    """A moment without a zone is UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
