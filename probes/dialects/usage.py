"""Token counts and timings, wherever a chat server puts them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from probes.dialects.base import Usage
from probes.dialects.numbers import amount, count, mapping, quantity
from probes.words import clean

__all__ = ["read_cost", "read_timing", "read_timings_usage", "read_usage"]

_MOST_FIGURES: Final = 16
_NONE: Final[Mapping[str, object]] = MappingProxyType({})
_USAGE_TIMES: Final = {
    "queue_time": "queue_s",
    "prompt_time": "prompt_s",
    "completion_time": "completion_s",
    "total_time": "total_s",
    "time_to_first_token": "usage.time_to_first_token",
    "total_latency": "usage.total_latency",
}
"""Durations that Groq and SambaNova put into their usage, in s."""
_OF_OBJECTS: Final = {
    "time_info": ("queue_time", "prompt_time", "completion_time", "total_time"),
    "meta_info": ("queue_time", "e2e_latency"),
    "inference_status": ("runtime_ms",),
}
"""Objects of an answer, and the durations in them: of Cerebras, SGLang and DeepInfra."""


def read_usage(value: object) -> Usage | None:
    """Return the usage of a `usage` object; None where it says nothing.

    Zero for both prompt and completion is what servers write that do not count: no usage.
    """
    usage = mapping(value)
    given = _first(usage, "prompt_tokens", "input_tokens")
    output = _first(usage, "completion_tokens", "output_tokens")
    reasoning = _reasoning(usage)
    spent = Usage(
        input_tokens=given,
        output_tokens=output,
        reasoning_tokens=reasoning,
        cached_tokens=_cached(usage),
        cost_usd=read_cost(usage),
        reasoning_apart=_is_apart(given, output, reasoning, count(usage.get("total_tokens"))),
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


def read_timing(
    usage: object, timings: object, metrics: object, objects: Mapping[str, object] = _NONE
) -> dict[str, float]:
    """Return the server's own timings, named as `probes.server_timing` knows them.

    Of a usage (Groq, SambaNova) and of llama.cpp's `timings` those that are durations; of metrics
    (vLLM, Fireworks) every number under its own name; `objects` are others, by their own names.
    """
    found = {ours: mapping(usage).get(theirs) for theirs, ours in _USAGE_TIMES.items()}
    found |= {name: mapping(timings).get(name) for name in ("prompt_ms", "predicted_ms")}
    for name, value in list(mapping(metrics).items())[:_MOST_FIGURES]:
        found[clean(str(name)[:40])] = value
    for name, value in objects.items():
        if value is not None:
            inside = mapping(value)
            found |= {f"{name}.{key}": inside.get(key) for key in _OF_OBJECTS.get(name, ())}
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


def _is_apart(
    given: int | None, output: int | None, reasoning: int | None, total: int | None
) -> bool:
    """Whether reasoning is counted beside the output, as xAI does, instead of in it."""
    if not reasoning or output is None:
        return False
    return reasoning > output or total == (given or 0) + output + reasoning


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
