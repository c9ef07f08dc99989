"""What OpenTelemetry's semantic conventions for generative AI call what we measure.

Rule 1: names, units, attributes and bucket boundaries are the conventions'; what they have no word
for is `llmtop.…`. Nothing is ever reported as `gen_ai.server.…`: we are a client.
Rule 2: there are two sets of names. Those of semantic-conventions 1.41, the last release of the
main repository, are what receivers and dashboards know. Those of semantic-conventions-genai 0.1.0,
the first of its own repository, are sent in their place where the environment asks for them as the
conventions have it: `OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental`.
Rule 3: an operation is what a user asks for: a probe, its retries included. The first chunk is the
first that carries output: what a server sends to keep a connection alive is no answer.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from probes.config.urls import UrlError, read_url
from probes.events import Outcome, RouteInfo
from probes.exports.metrics import REASONS

OPT_IN_VARIABLE: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
OPT_IN: Final = "gen_ai_latest_experimental"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.41.0"
"""Says of which release the known names are, so that a receiver may translate them."""

SECONDS_BUCKETS: Final = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
TOKEN_BUCKETS: Final = (
    *(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864),
)

DURATION: Final = "gen_ai.client.operation.duration"
FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
TOKENS: Final = "gen_ai.client.token.usage"

LATEST_DURATION: Final = "gen_ai.client.inference.duration"
LATEST_FIRST_CHUNK: Final = "gen_ai.client.inference.time_to_first_chunk"
LATEST_INPUT: Final = "gen_ai.client.inference.operation.input_tokens"
LATEST_OUTPUT: Final = "gen_ai.client.inference.operation.output_tokens"
LATEST_USAGE: Final[Mapping[str, str]] = {
    "input": "gen_ai.client.inference.usage.input_tokens",
    "output": "gen_ai.client.inference.usage.output_tokens",
    "cached": "gen_ai.client.inference.usage.cache_read.input_tokens",
    "reasoning": "gen_ai.client.inference.usage.reasoning.output_tokens",
}
"""Counters; the last two are parts of the first two."""

_MODELS_KEPT: Final = 8
"""Models that one route's answers may name: a gateway has a few behind an alias."""
_LONGEST_MODEL: Final = 200

_PROVIDERS: Final = (
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.deepseek.com", "deepseek"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".amazonaws.com", "aws.bedrock"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
)
"""Ends of hosts of which the conventions name the provider."""
_BY_DIALECT: Final = {"messages": "anthropic", "azure": "azure.ai.openai", "ollama": "ollama"}
"""For any other host the name says which flavour of API it speaks, as the conventions ask for."""


def wants_latest(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for the newest names in the place of the known ones."""
    return OPT_IN in (one.strip() for one in environ.get(OPT_IN_VARIABLE, "").split(","))


def provider_name(host: str, dialect: str) -> str:
    """Return the provider of a route.

    >>> provider_name("api.openai.com", "responses"), provider_name("localhost", "messages")
    ('openai', 'anthropic')
    """
    for end, name in _PROVIDERS:
        if host == end or (end.startswith(".") and host.endswith(end)) or host.endswith(f"-{end}"):
            return name
    return _BY_DIALECT.get(dialect, "openai")


def operation_name(dialect: str) -> str:
    """Return what is asked for, in the conventions' word."""
    return "text_completion" if dialect == "completions" else "chat"


def error_type(outcome: Outcome, reason: str) -> str | None:
    """Return why an operation failed; None where it did not.

    The reason where it is one of ours, such as `timeout.first_token`, else the outcome.
    """
    if outcome in ("ok", "cancelled"):
        return None
    return reason if reason in REASONS else outcome


class Attributes(NamedTuple):
    """The attributes of one route's operations."""

    route: dict[str, str | int]
    """Of all of them."""
    models: list[str]
    """That its answers named so far."""


def attributes_of(info: RouteInfo) -> Attributes:
    """Return the attributes of a route, from its settings alone."""
    found: dict[str, str | int] = {
        "gen_ai.operation.name": operation_name(info.dialect),
        "gen_ai.provider.name": provider_name("", info.dialect),
        "gen_ai.request.model": info.model,
        "llmtop.route": info.shared_name,
    }
    try:
        url = read_url(info.base_url)
    except UrlError:
        pass  # a recording that was edited: nobody knows where it lies
    else:
        found["gen_ai.provider.name"] = provider_name(url.host, info.dialect)
        found["server.address"], found["server.port"] = url.host, url.port
    if info.place:
        found["llmtop.place"] = info.place
    return Attributes(found, [])


def with_model(attributes: Attributes, served: str) -> dict[str, str | int]:
    """Return a route's attributes with the model that answered, which is its server's word: of each
    route the first few, cut, and of any more none."""
    served = served[:_LONGEST_MODEL]
    if not served:
        return attributes.route
    if served not in attributes.models:
        if len(attributes.models) >= _MODELS_KEPT:
            return attributes.route
        attributes.models.append(served)
    return attributes.route | {"gen_ai.response.model": served}
