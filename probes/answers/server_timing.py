"""Timings that servers and gateways tell of themselves: found in headers, and what they mean.

A figure is a number under a name, as it was sent. A claim is a figure of which it is known which
interval it is about, and in which unit.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from probes.events import ServerClaim, ServerInterval, TimeUnit

_MOST_FIGURES: Final = 16
"""A header may name a metric for each of its microservices."""
_LONGEST_HEADER: Final = 4_000
_LONGEST_NAME: Final = 80
_NUMBER: Final = re.compile(r"\d{1,15}(?:\.\d{0,15})?")
_SERVER_TIMING: Final = "server_timing."
_PASSED_ON: Final = "llm_provider-"
"""What LiteLLM puts before the headers of the provider behind it."""
_SECONDS: Final[Mapping[TimeUnit, float]] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_HEADERS: Final = {
    "cmp-upstream-response-duration": "azure_upstream_ms",
    "ms-azureml-model-time": "azure_model_ms",
    "openai-processing-ms": "openai_processing_ms",
    "x-envoy-upstream-service-time": "envoy_upstream_ms",
    "x-kong-proxy-latency": "kong_proxy_ms",
    "x-kong-upstream-latency": "kong_upstream_ms",
    "x-litellm-overhead-duration-ms": "litellm_overhead_ms",
    "x-litellm-response-duration-ms": "litellm_response_ms",
}
_FIREWORKS: Final = re.compile(r"fireworks-[a-z0-9-]{1,60}(time|duration|latency)[a-z0-9-]{0,40}")

_Meaning: TypeAlias = tuple[ServerInterval, TimeUnit, str]
_OF_HEADERS: Final[Mapping[str, _Meaning]] = {
    "azure_upstream_ms": ("headers", "ms", "cmp-upstream-response-duration"),
    "azure_model_ms": ("headers", "ms", "ms-azureml-model-time"),
    "openai_processing_ms": ("headers", "ms", "openai-processing-ms"),
    "envoy_upstream_ms": ("headers", "ms", "x-envoy-upstream-service-time"),
    "kong_upstream_ms": ("headers", "ms", "x-kong-upstream-latency"),
    "kong_proxy_ms": ("overhead", "ms", "x-kong-proxy-latency"),
    "litellm_response_ms": ("headers", "ms", "x-litellm-response-duration-ms"),
    "litellm_overhead_ms": ("overhead", "ms", "x-litellm-overhead-duration-ms"),
}
_OF_BODIES: Final[Mapping[str, _Meaning]] = {
    # Groq, whose total is prompt and completion, without the queue
    "queue_s": ("queue", "s", "usage.queue_time"),
    "prompt_s": ("prompt", "s", "usage.prompt_time"),
    "completion_s": ("decode", "s", "usage.completion_time"),
    "total_s": ("total", "s", "usage.total_time"),
    # llama.cpp
    "prompt_ms": ("prompt", "ms", "timings.prompt_ms"),
    "predicted_ms": ("decode", "ms", "timings.predicted_ms"),
    # Ollama
    "load_ns": ("load", "ns", "load_duration"),
    "prompt_ns": ("prompt", "ns", "prompt_eval_duration"),
    "eval_ns": ("decode", "ns", "eval_duration"),
    "total_ns": ("total", "ns", "total_duration"),
    # vLLM, which counts its first token from the moment it took the request up: that is the prompt
    "queue_time_ms": ("queue", "ms", "metrics.queue_time_ms"),
    "time_to_first_token_ms": ("prompt", "ms", "metrics.time_to_first_token_ms"),
    "generation_time_ms": ("decode", "ms", "metrics.generation_time_ms"),
    # vLLM before version 1
    "time_in_queue": ("queue", "s", "metrics.time_in_queue"),
    # Fireworks, in seconds, with and without its prefix
    "fireworks-server-time-to-first-token": (
        "first_token",
        "s",
        "fireworks-server-time-to-first-token",
    ),
    "fireworks-server-processing-time": ("total", "s", "fireworks-server-processing-time"),
    "server-time-to-first-token": ("first_token", "s", "perf_metrics.server-time-to-first-token"),
    "server-processing-time": ("total", "s", "perf_metrics.server-processing-time"),
    # Cerebras
    "time_info.queue_time": ("queue", "s", "time_info.queue_time"),
    "time_info.prompt_time": ("prompt", "s", "time_info.prompt_time"),
    "time_info.completion_time": ("decode", "s", "time_info.completion_time"),
    "time_info.total_time": ("total", "s", "time_info.total_time"),
    # SambaNova
    "usage.time_to_first_token": ("first_token", "s", "usage.time_to_first_token"),
    "usage.total_latency": ("total", "s", "usage.total_latency"),
    # SGLang
    "meta_info.queue_time": ("queue", "s", "meta_info.queue_time"),
    "meta_info.e2e_latency": ("total", "s", "meta_info.e2e_latency"),
    # DeepInfra
    "inference_status.runtime_ms": ("total", "ms", "inference_status.runtime_ms"),
}
_MEANINGS: Final[Mapping[str, _Meaning]] = {**_OF_HEADERS, **_OF_BODIES}
_REPEATED: Final = {"total_s": "completion_s", "total_ns": "eval_ns"}
"""Totals, and the stage beside which they tell nothing that their stages do not."""

_METRIC: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_PARAMETER: Final = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+')
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def timings_of_headers(headers: Mapping[str, str]) -> dict[str, float]:
    """Return the timings of an answer's headers: `…_ms` in ms, Fireworks' as Fireworks names them.

    `Server-Timing` (W3C) gives `server_timing.NAME` in ms; metrics without a duration tell none.
    """
    found: dict[str, float] = {}
    for name, value in headers.items():
        plain = name.removeprefix(_PASSED_ON)
        ours = _HEADERS.get(plain) or (plain if _FIREWORKS.fullmatch(plain) else None)
        number = value.strip()  # of more characters than `float` takes for white space
        if ours is not None and _NUMBER.fullmatch(number):
            found[ours if plain == name else _PASSED_ON + ours] = float(number)
    for metric, duration in _metrics(headers.get("server-timing", "")[:_LONGEST_HEADER]):
        found.setdefault(_SERVER_TIMING + metric, duration)
    return dict(list(found.items())[:_MOST_FIGURES])


def stages_of(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures without the totals that only add up the stages beside them."""
    return {
        name: value for name, value in figures.items() if _REPEATED.get(name, "") not in figures
    }


def claims_of(figures: Mapping[str, float]) -> tuple[ServerClaim, ...]:
    """Return what these figures say in one vocabulary, each thing once; unknown names say nothing.

    A metric of `Server-Timing` means what its server likes it to: its interval is `other`.
    """
    claims: dict[tuple[ServerInterval, float], ServerClaim] = {}
    for name, value in figures.items():
        meaning = _meaning(name)
        if meaning is not None:
            interval, unit, source = meaning
            seconds = value * _SECONDS[unit]
            key = (interval, seconds) if interval != "other" else (interval, len(claims))
            claim = ServerClaim(
                interval=interval, seconds=seconds, source=source, raw=value, unit=unit
            )
            claims.setdefault(key, claim)
    return tuple(claims.values())


def _meaning(name: str) -> _Meaning | None:
    if name.startswith(_SERVER_TIMING):
        return "other", "ms", f"server-timing {name.removeprefix(_SERVER_TIMING)}"
    meaning = _MEANINGS.get(name.removeprefix(_PASSED_ON))
    if meaning is None or not name.startswith(_PASSED_ON):
        return meaning
    interval, unit, source = meaning
    return interval, unit, _PASSED_ON + source


def _metrics(text: str) -> Iterator[tuple[str, float]]:
    """Yield (name, duration) of the metrics of a `Server-Timing` header that have a duration.

    Parameters come in any order, values may be quoted, the first `dur` counts; what breaks the
    grammar is passed over.
    """
    for metric in _METRIC.findall(text):
        name, *parameters = [part.strip() for part in _PARAMETER.findall(metric)] or [""]
        if not _TOKEN.fullmatch(name) or len(name) > _LONGEST_NAME:
            continue
        durations = (_duration(parameter) for parameter in parameters)
        duration = next((found for found in durations if found is not None), None)
        if duration is not None:
            yield name, duration


def _duration(parameter: str) -> float | None:
    key, _, value = parameter.partition("=")
    number = value.strip().strip('"').strip()
    if key.strip().lower() != "dur" or not _NUMBER.fullmatch(number):
        return None
    return float(number)
