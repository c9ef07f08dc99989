"""What servers ask us to wait, which requests they know by which id, and which headers we keep.

Header names are lower case throughout.
"""

import math
from collections.abc import Mapping
from typing import Final

from probes.answers.gateway import GATEWAY_HEADERS
from probes.answers.request_ids import REQUEST_ID_HEADERS
from probes.kit.clock import NS_PER_S
from probes.kit.durations import duration_s, moment_s_of, server_wall_ns, unix_time_s

_MOST_HEADERS: Final = 48
_LONGEST_VALUE: Final = 200
_LONGEST_WAIT_S: Final = 1e9
"""What a number too large to be one is read as: more than anybody waits."""
_ABSURD: Final = 1e19
"""No Unix time is that large, not even in ns."""

KEPT_HEADERS: Final = frozenset(
    {
        *REQUEST_ID_HEADERS,
        *GATEWAY_HEADERS,
        "cf-cache-status",
        "cf-mitigated",
        "content-encoding",
        "content-type",
        "date",
        "ngrok-aig-model",
        "openai-model",
        "openai-processing-ms",
        "openai-version",
        "ratelimit",
        "retry-after",
        "retry-after-ms",
        "server",
        "server-timing",
        "via",
        "x-amzn-errortype",
        "x-amzn-waf-action",
        "x-cache",
        "x-endpoint-monthly-call-limit",
        "x-envoy-upstream-service-time",
        "x-groq-region",
        "x-litellm-key-rpm-limit",
        "x-litellm-key-tpm-limit",
        "x-kong-proxy-latency",
        "x-kong-upstream-latency",
        "x-ms-region",
        "x-portkey-last-used-option-index",
        "x-portkey-provider",
        "x-ratelimit-over-limit",
        "x-robots-tag",
        "x-served-by",
        "x-vercel-mitigated",
        "x-should-retry",
    }
)
"""Response headers that are kept by name; besides them the rate limits and timings by prefix."""

_KEPT_PREFIXES: Final = (
    "anthropic-fast-",
    "anthropic-priority-ratelimit-",
    "anthropic-ratelimit-",
    "fireworks-",
    "llm_provider-anthropic-ratelimit-",
    "llm_provider-x-ratelimit-",
    "ratelimit-",
    "ratelimitbysize-",
    "x-ai-ratelimit-",
    "x-codex-",
    "x-litellm-attempted-",
    "x-litellm-model-",
    "x-litellm-overhead-",
    "x-litellm-response-",
    "x-rate-limit-",
    "x-ratelimit-",
    "x-ratelimitbysize-",
    "x-tokenlimit-",
    "x-trial-endpoint-call-",
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

    The order is that of the official clients: the first of the two that is a number decides, be it
    a fraction, negative or no wait at all. A number from 1e9 on is a moment, Unix time in s, ms or
    finer, as no wait is that long. `Retry-After` may have a unit (`30s`, `1m30s`, `2 minutes`) or
    be a date (RFC 9110, section 10.2.3, or RFC 3339). Moments are read by the server's own `Date`
    where our clock, `wall_ns`, disagrees with it. None where no wait is asked, or what is given is
    negative, past or garbage.
    """
    for name, units in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = _any_number(_unquoted(headers.get(name, "")))
        if value is None:
            continue
        moment_s = unix_time_s(value) if value < _ABSURD else None
        if moment_s is not None:
            return _until_s(moment_s, headers, wall_ns)
        asked_s = min(value / units, _LONGEST_WAIT_S)
        return asked_s if asked_s >= 0 else None
    text = _unquoted(headers.get("retry-after", ""))
    lasting_s = duration_s(text)
    if lasting_s is not None:
        return min(lasting_s, _LONGEST_WAIT_S)
    moment_s = moment_s_of(text)
    return None if moment_s is None else _until_s(moment_s, headers, wall_ns)


def _until_s(moment_s: float, headers: Mapping[str, str], wall_ns: int) -> float | None:
    """Return the seconds until a moment; None where it has passed."""
    wait_s = moment_s - server_wall_ns(headers, wall_ns) / NS_PER_S
    return min(wait_s, _LONGEST_WAIT_S) if wait_s >= 0 else None


def _unquoted(text: str) -> str:
    return text.strip().strip("\"'")


def _any_number(text: str) -> float | None:
    """Return what the official clients take for a number: all that Python does.

    A literal infinity, like `nan`, asks for nothing (-1); a number that overflows asks for more
    than anybody waits.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    if math.isnan(value) or text.strip().lower().lstrip("+-").startswith("inf"):
        return -1.0
    return value
