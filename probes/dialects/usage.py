"""Token counts and timings, wherever a chat server puts them."""

from collections.abc import Mapping
from typing import Any, Final

from probes.dialects.base import Usage
from probes.dialects.numbers import amount, count, mapping, quantity
from probes.words import clean

__all__ = ["read_cost", "read_timing", "read_timings_usage", "read_usage"]

_MOST_FIGURES: Final = 16
_GROQ_TIMES: Final = {
    "queue_time": "queue_s",
    "prompt_time": "prompt_s",
    "completion_time": "completion_s",
}


def read_usage(value: object) -> Usage | None:
    """Return the usage of a `usage` object; None where it says nothing.

    Zero for both prompt and completion is what servers write that do not count: no usage.
    """
    usage = mapping(value)
    spent = Usage(
        input_tokens=_first(usage, "prompt_tokens", "input_tokens"),
        output_tokens=_first(usage, "completion_tokens", "output_tokens"),
        reasoning_tokens=_reasoning(usage),
        cached_tokens=_cached(usage),
        cost_usd=read_cost(usage),
    )
    if not spent.input_tokens and not spent.output_tokens:
        return Usage(cost_usd=spent.cost_usd) if spent.cost_usd else None
    return spent


def read_timings_usage(value: object) -> Usage | None:
    """Return the counts of llama.cpp's `timings`; what its cache held is part of the input."""
    timings = mapping(value)
    output = count(timings.get("predicted_n"))
    if output is None:
        return None
    prompt, cached = count(timings.get("prompt_n")), count(timings.get("cache_n"))
    known = None if prompt is None else prompt + (cached or 0)
    return Usage(input_tokens=known, output_tokens=output, cached_tokens=cached)


def read_timing(chunk_usage: object, timings: object, metrics: object) -> dict[str, float]:
    """Return the server's own timings: Groq's in s, llama.cpp's in ms, other figures as named."""
    found = {ours: mapping(chunk_usage).get(theirs) for theirs, ours in _GROQ_TIMES.items()}
    found |= {name: mapping(timings).get(name) for name in ("prompt_ms", "predicted_ms")}
    for name, value in list(mapping(metrics).items())[:_MOST_FIGURES]:
        found[clean(str(name)[:40])] = value
    numbers = {name: quantity(value) for name, value in found.items()}
    return {name: value for name, value in numbers.items() if value is not None}


def _first(usage: Mapping[str, Any], *names: str) -> int | None:
    return next((found for name in names if (found := count(usage.get(name))) is not None), None)


def _reasoning(usage: Mapping[str, Any]) -> int | None:
    for name in ("completion_tokens_details", "output_tokens_details"):
        found = count(mapping(usage.get(name)).get("reasoning_tokens"))
        if found is not None:
            return found
    return count(usage.get("reasoning_tokens"))


def _cached(usage: Mapping[str, Any]) -> int | None:
    for name in ("prompt_tokens_details", "input_tokens_details"):
        found = count(mapping(usage.get(name)).get("cached_tokens"))
        if found is not None:
            return found
    return _first(usage, "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")


def read_cost(usage: Mapping[str, Any]) -> float | None:
    """DeepInfra says `estimated_cost`, OpenRouter and LiteLLM `cost`; all in USD."""
    found = (amount(usage.get(name)) for name in ("cost", "estimated_cost", "total_cost"))
    return next((value for value in found if value is not None), None)
