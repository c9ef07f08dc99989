"""What the requests of several dialects share: messages, JSON, and refused parameters."""

import re
from dataclasses import replace
from typing import Final

import msgspec

from probes.answers.dialects.base import Adaptation
from probes.config import Route

_REFUSED_PARAMETER: Final = re.compile(
    r"not support|unsupported|unrecogni[sz]ed|unknown|not (allowed|permitted|accepted|valid)"
    r"|extra (inputs|fields)|unexpected|additional propert|only the default|deprecated"
    r"|invalid (parameter|argument|field)|only be set to|cannot both be",
    re.IGNORECASE,
)
_REFUSING_STATUSES: Final = (400, 422)

encode: Final = msgspec.json.Encoder().encode
"""Return a request body as JSON."""


def refuses_a_parameter(status: int, message: str) -> bool:
    """Whether an answer says that it does not take something that it was asked with."""
    return status in _REFUSING_STATUSES and bool(_REFUSED_PARAMETER.search(message))


def without_temperature(
    status: int, message: str, adaptation: Adaptation, route: Route
) -> Adaptation | None:
    """Return how to ask again where the temperature was sent and refused; None where that is not
    it."""
    sent = route.temperature is not None and not adaptation.drop_temperature
    if sent and "temperature" in message and refuses_a_parameter(status, message):
        return replace(adaptation, drop_temperature=True)
    return None


def messages_of(route: Route, nonce: str | None) -> list[dict[str, str]]:
    """Return the route's words as messages of a role and a content.

    A nonce stands before everything: a prefix cache begins at the first message.
    """
    said = [("system", route.system)] if route.system is not None else []
    said.append(("user", route.prompt))
    if nonce is not None:
        role, words = said[0]
        said[0] = (role, f"{nonce}\n{words}")
    return [{"role": role, "content": words or ""} for role, words in said]
