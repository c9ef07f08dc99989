"""What stands between us and the model: tries that a gateway made behind our back.

A gateway that retries or falls back to another provider turns failures into long waits. What it
says of that is all that can be known of it from here.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

_FURTHER: Final = {
    "x-litellm-attempted-retries": "retries",
    "x-litellm-attempted-fallbacks": "fallbacks",
    "x-portkey-retry-attempt-count": "retries",
    "helicone-fallback-index": "fallbacks",
    "cf-aig-step": "fallbacks",
}
"""Headers that count the tries after the first."""
_ALL: Final = {
    "x-envoy-attempt-count": "retries",
    "ngrok-aig-attempts": "tries",
}
"""Headers that count every try, the first one too."""
GATEWAY_HEADERS: Final = frozenset({*_FURTHER, *_ALL})
_COUNT: Final = re.compile(r"\d{1,4}")


def hidden_retries(headers: Mapping[str, str], body: int = 0) -> int:
    """Return how many further tries gateways say they made; `body` is what the answer itself says.

    Gateways that stand one behind the other each count their own: these are added up.
    """
    if GATEWAY_HEADERS.isdisjoint(headers):
        return body
    return body + sum(number for _, number in tries_reported(headers))


def tries_reported(headers: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return (header, further tries) of each header that tells of some."""
    tries = [(name, _count(headers, name)) for name in _FURTHER]
    tries += [(name, _count(headers, name) - 1) for name in _ALL]
    return [(name, number) for name, number in tries if number > 0]


def router_attempts(metadata: Mapping[str, Any]) -> int:
    """Return the further tries that OpenRouter's `openrouter_metadata` tells of."""
    attempts = metadata.get("attempts")
    return max(0, len(attempts) - 1) if isinstance(attempts, list) else 0


def _count(headers: Mapping[str, str], name: str) -> int:
    value = headers.get(name, "").strip()
    return int(value) if _COUNT.fullmatch(value) else 0
