"""What an answer used, wherever a server puts it: token counts, what they bill, costs, timings.

Which output a usage bills is the first rule of `probes.money.pricing`; it is read here, because
only who reads a usage sees its total.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from probes.answers.dialects.transcript import Usage
from probes.answers.lenient import amount, count, first_count, mapping, quantity
from probes.kit.words import clean

OTHER_TOKENISER: Final = 1.5
"""Two tokenisers count the same words so differently at most: 522 tokens of reasoning in an output
of 494 were met."""
_MOST_FIGURES: Final = 16
"""Of metrics, which a server names as it likes."""
_COSTS: Final = ("cost", "estimated_cost", "total_cost")
"""Names under which a usage tells its cost."""
_TOTALS: Final = ("total_cost", "total", "total_usd", "usd", "cost")
"""Names of the total where a cost is an object."""
_TICKS: Final = "cost_in_usd_ticks"
_TICKS_A_USD: Final = 10**10
"""xAI counts money in ticks."""
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
    given = first_count(usage.get("prompt_tokens"), usage.get("input_tokens"))
    output = first_count(usage.get("completion_tokens"), usage.get("output_tokens"))
    reasoning = first_count(
        mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"),
        mapping(usage.get("output_tokens_details")).get("reasoning_tokens"),
        usage.get("reasoning_tokens"),
    )
    cached = first_count(
        mapping(usage.get("prompt_tokens_details")).get("cached_tokens"),
        mapping(usage.get("input_tokens_details")).get("cached_tokens"),
        usage.get("cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),  # DeepSeek's
        usage.get("cache_read_input_tokens"),  # Anthropic's, which gateways pass on
    )
    total = count(usage.get("total_tokens"))
    billed = billed_output(given, output, reasoning, total, cached)
    spent = Usage(
        input_tokens=given,
        output_tokens=output,
        reasoning_tokens=reasoning,
        cached_tokens=cached,
        cost_usd=read_cost(usage),
        billed_tokens=billed if billed != output else None,
        reasoning_apart=counts_reasoning_apart(given, output, reasoning, total),
    )
    if not (spent.input_tokens or spent.output_tokens or spent.billed_tokens):
        return Usage(cost_usd=spent.cost_usd) if spent.cost_usd else None
    return spent


def counts_reasoning_apart(
    given: int | None, output: int | None, reasoning: int | None, total: int | None
) -> bool:
    """Return whether a usage counts its reasoning beside the output instead of in it.

    The total decides (xAI: "counted separately from completion_tokens, but in total_tokens"). Where
    it holds no reasoning beside the output, the reasoning may still exceed the output that holds
    it: OpenRouter counts the two by different tokenisers. But not by half.
    """
    if not reasoning or output is None:
        return False
    beside = (total or 0) - (given or 0) - output
    return beside >= reasoning or reasoning > output * (1 if total is None else OTHER_TOKENISER)


def billed_output(
    given: int | None,
    output: int | None,
    reasoning: int | None,
    total: int | None,
    cached: int | None = None,
) -> int | None:
    """Return the output that a usage bills (rule 1); None where it tells none.

    Gemini's OpenAI endpoint leaves its thoughts out of `completion_tokens` and of the details, and
    has them in the total alone. A cached part beyond the input is counted beside it, and is none of
    the output.
    """
    apart = counts_reasoning_apart(given, output, reasoning, total)
    billed = None if output is None else output + (reasoning or 0 if apart else 0)
    if total is None or given is None:
        return billed
    beside = cached if cached is not None and cached > given else 0
    rest = total - given - beside
    return max(billed or 0, rest) if rest > 0 or billed is not None else None


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
    """Return the server's own timings, named as `probes.answers.server_timing` knows them.

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


def read_cost(usage: Mapping[str, Any]) -> float | None:
    """Return what a usage says the answer cost, in USD, with what was billed elsewhere.

    DeepInfra says `estimated_cost`, OpenRouter and LiteLLM `cost`, Perplexity `cost` as an object,
    xAI `cost_in_usd_ticks`.
    """
    ticks = amount(usage.get(_TICKS))
    return cost_with_upstream(
        first_cost(
            *(_figure(usage.get(name)) for name in _COSTS),
            None if ticks is None else ticks / _TICKS_A_USD,
        ),
        amount(mapping(usage.get("cost_details")).get("upstream_inference_cost")),
        usage.get("is_byok"),
    )


def first_cost(*reported: float | None) -> float | None:
    """Return the first cost above 0; a 0 where one told it, for several may tell of one answer."""
    costs = [cost for cost in reported if cost is not None]
    return next((cost for cost in costs if cost > 0), 0.0 if costs else None)


def cost_with_upstream(
    cost: float | None, upstream: float | None, is_own_key: object
) -> float | None:
    """Return a gateway's own charge with what the upstream billed to the user's own key there.

    OpenRouter tells the upstream's cost of its own keys too, as a part of `cost`: what `is_byok`
    leaves open, the figures tell, for a part is never more than the whole.
    """
    if not upstream or is_own_key is False:
        return cost
    apart = is_own_key is True or upstream > (cost or 0.0)
    return (cost or 0.0) + upstream if apart else cost


def _figure(value: object) -> float | None:
    """Return a cost; of an object its total, or the sum of its parts where it has none."""
    parts = mapping(value)
    if not parts:
        return amount(value)
    total = first_cost(*(amount(parts.get(name)) for name in _TOTALS))
    if total is not None:
        return total
    costs = [amount(part) for name, part in parts.items() if str(name).endswith("cost")]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
