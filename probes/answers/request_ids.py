"""Under which names the parties to a request know it: what support asks for."""

from collections.abc import Mapping
from typing import Final

_LONGEST: Final = 200
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


def request_ids(headers: Mapping[str, str], in_body: str | None) -> dict[str, str]:
    """Return every id of a request by its header, the most telling first, cut to 200 characters.

    What an error's body calls its `request_id` stands as `body`, unless a header says the same; it
    is the provider's own, and comes first where no header of a provider is there.
    """
    found = {name: headers[name][:_LONGEST] for name in REQUEST_ID_HEADERS if headers.get(name)}
    if not in_body or in_body in found.values():
        return found
    is_known = any(name in found for name in REQUEST_ID_HEADERS[:_OF_PROVIDERS])
    body = {"body": in_body[:_LONGEST]}
    return found | body if is_known else body | found
