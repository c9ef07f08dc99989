"""Timings that servers and gateways put into their response headers."""

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["timings_of_headers"]

_MOST_FIGURES: Final = 16
_NUMBER: Final = re.compile(r"\d{1,15}(\.\d{1,15})?")
_HEADERS: Final = {
    "openai-processing-ms": "openai_processing_ms",
    "x-envoy-upstream-service-time": "envoy_upstream_ms",
    "x-litellm-overhead-duration-ms": "litellm_overhead_ms",
    "x-litellm-response-duration-ms": "litellm_response_ms",
}
_FIREWORKS: Final = re.compile(r"fireworks-[a-z0-9-]{1,60}(time|duration|latency)[a-z0-9-]{0,40}")
_METRIC: Final = re.compile(
    r"([A-Za-z0-9_.-]{1,40})\s*(?:;[^,]{0,80}?)?;\s*dur=(\d{1,12}(?:\.\d+)?)"
)


def timings_of_headers(headers: Mapping[str, str]) -> dict[str, float]:
    """Return the timings of an answer's headers: `…_ms` in ms, Fireworks' as Fireworks names them.

    `Server-Timing` (W3C) gives `server_timing.NAME` in ms.
    """
    found: dict[str, float] = {}
    for name, value in headers.items():
        ours = _HEADERS.get(name) or (name if _FIREWORKS.fullmatch(name) else None)
        if ours is not None and _NUMBER.fullmatch(value.strip()):
            found[ours] = float(value)
    for metric, duration in _METRIC.findall(headers.get("server-timing", "")[:1000]):
        found[f"server_timing.{metric}"] = float(duration)
    return dict(list(found.items())[:_MOST_FIGURES])
