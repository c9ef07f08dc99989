"""Which headers of a response are kept, and under which ids the parties to a request know it.

Only what is on the list reaches an event: a header may hold a cookie or a secret. Names are lower
case throughout.
"""

from collections.abc import Mapping
from typing import Final

from probes.answers.gateway import GATEWAY_HEADERS

_MOST_HEADERS: Final = 48
"""An event is kept and shown whole, however many headers a server sends."""
_LONGEST_NAME: Final = 80
_LONGEST_VALUE: Final = 200

REQUEST_ID_HEADERS: Final = (
    # of the provider itself
    "x-request-id",
    "request-id",
    "llm_provider-x-request-id",
    "llm_provider-request-id",
    "llm_provider-apim-request-id",
    "apim-request-id",
    "x-ms-request-id",
    "x-ms-client-request-id",
    "x-generation-id",
    "x-amzn-requestid",
    "x-amz-request-id",
    "nvcf-reqid",
    "x-baseten-request-id",
    # of a gateway before it
    "x-litellm-call-id",
    "x-portkey-trace-id",
    "helicone-id",
    "cf-aig-log-id",
    "cf-aig-request-id",
    "ngrok-aig-request-id",
    "x-kong-request-id",
    # of the network's edge, or of a trace
    "x-correlation-id",
    "x-trace-id",
    "x-vercel-id",
    "cf-ray",
    "llm_provider-cf-ray",
    "x-amz-cf-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "traceparent",
)
"""The most telling first: the provider's own, then a gateway's, then those of the way there."""
_OF_PROVIDERS: Final = REQUEST_ID_HEADERS.index("x-litellm-call-id")
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
        if name in KEPT_HEADERS or (name.startswith(_KEPT_PREFIXES) and len(name) <= _LONGEST_NAME)
    }
    return dict(list(kept.items())[:_MOST_HEADERS])


def request_ids(headers: Mapping[str, str], in_body: str | None) -> dict[str, str]:
    """Return every id of a request by its header, the most telling first, cut to 200 characters.

    What an error's body calls its `request_id` stands as `body`, unless a header says the same; it
    is the provider's own, and comes first where no header of a provider is there.
    """
    found = {
        name: headers[name][:_LONGEST_VALUE] for name in REQUEST_ID_HEADERS if headers.get(name)
    }
    if not in_body or in_body in found.values():
        return found
    is_known = any(name in found for name in REQUEST_ID_HEADERS[:_OF_PROVIDERS])
    body = {"body": in_body[:_LONGEST_VALUE]}
    return found | body if is_known else body | found
