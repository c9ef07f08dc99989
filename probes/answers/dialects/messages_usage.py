"""Token counts of the Messages dialect, put together from the events that carry them."""

from collections.abc import Mapping
from typing import Any, Final

from probes.answers.dialects.base import Usage
from probes.answers.dialects.numbers import count, mapping, quantity
from probes.answers.dialects.usage import read_cost

_CACHED: Final = "cache_read_input_tokens"
_PARTS: Final = ("input_tokens", _CACHED, "cache_creation_input_tokens")
_BEDROCK_PARTS: Final = (
    "inputTokenCount",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
)
_BEDROCK_TIMES: Final = {
    "firstByteLatency": "bedrock_first_byte_ms",
    "invocationLatency": "bedrock_invocation_ms",
}


class InputCounts:
    """The parts of a prompt, of which each report may tell some: read from a cache, written, rest.

    Their sum is what other dialects call the input. A report of nothing but zeros is what servers
    write that do not know yet, or do not count.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[str, int] = {}

    def take(self, usage: Mapping[str, Any]) -> None:
        """Take a report; what it does not tell stays as it was."""
        told = {name: found for name in _PARTS if (found := count(usage.get(name))) is not None}
        if any(told.values()):
            self._parts |= told

    @property
    def total(self) -> int | None:
        """The whole prompt; None where nothing was told of it."""
        return sum(self._parts.values()) if self._parts else None

    @property
    def cached(self) -> int | None:
        """What of it was read from a cache."""
        return self._parts.get(_CACHED)


def read_message_usage(value: object, counts: InputCounts, *, begins: bool) -> Usage | None:
    """Return what a `usage` object and those before it say; None where it says nothing.

    What an answer that only begins says of its output is a placeholder, not a count.
    """
    usage = mapping(value)
    counts.take(usage)
    spent = Usage(
        input_tokens=counts.total,
        output_tokens=None if begins else count(usage.get("output_tokens")),
        reasoning_tokens=_reasoning(usage),
        cached_tokens=counts.cached,
        cost_usd=read_cost(usage),
    )
    return None if spent == Usage() else spent


def _reasoning(usage: Mapping[str, Any]) -> int | None:
    details = mapping(usage.get("output_tokens_details"))
    found = count(details.get("thinking_tokens"))
    return count(details.get("reasoning_tokens")) if found is None else found


def bedrock_usage(metrics: Mapping[str, Any]) -> Usage | None:
    """Return the counts that Bedrock adds to the last event; None where it does not."""
    output = count(metrics.get("outputTokenCount"))
    if output is None:
        return None
    parts = [found for name in _BEDROCK_PARTS if (found := count(metrics.get(name))) is not None]
    cached = count(metrics.get(_BEDROCK_PARTS[1]))
    return Usage(input_tokens=sum(parts) or None, output_tokens=output, cached_tokens=cached)


def bedrock_timing(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return Bedrock's own timings, in ms."""
    found = {ours: quantity(metrics.get(theirs)) for theirs, ours in _BEDROCK_TIMES.items()}
    return {name: value for name, value in found.items() if value is not None}
