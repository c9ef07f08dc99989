"""What every dialect of an LLM API has in common: the requests it writes, and how it is asked."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, TypeAlias

import msgspec

from probes.answers.dialects.interpreter import Interpreter
from probes.answers.framing import Framing
from probes.config import KeyHeader, Route
from probes.config.prompts import Message, Prompt, Tool

CapName: TypeAlias = Literal["max_tokens", "max_completion_tokens"]

_REFUSED_PARAMETER: Final = re.compile(
    r"not support|unsupported|unrecogni[sz]ed|unknown|not (allowed|permitted|accepted|valid)"
    r"|extra (inputs|fields)|unexpected|additional propert|only the default|deprecated"
    r"|invalid (parameter|argument|field)|only be set to|cannot both be",
    re.IGNORECASE,
)
_REFUSING_STATUSES: Final = (400, 422)
"""OpenAI's, and FastAPI's for a body that does not validate."""

encode: Final = msgspec.json.Encoder().encode
"""Return a request body as JSON."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What was learned about the parameters a server refuses."""

    cap_field: CapName = "max_tokens"
    drop_temperature: bool = False
    drop_stream_options: bool = False
    drop_store: bool = False
    drop_continuous_usage: bool = False
    cap_switched: bool = False
    """The cap's other name was already tried: it is never switched back."""

    def describe(self) -> str:
        """Return what differs from an ordinary request, for a notice; empty where nothing does."""
        changes = [f"the answer cap is sent as {self.cap_field}"] if self.cap_switched else []
        if self.drop_temperature:
            changes.append("temperature is not sent")
        if self.drop_stream_options:
            changes.append("stream_options is not sent, so token counts may be missing")
        elif self.drop_continuous_usage:
            changes.append("continuous_usage_stats is not sent, so tokens are counted at the end")
        if self.drop_store:
            changes.append("store is not sent, so the provider may keep the answers")
        return "; ".join(changes)


class Dialect(ABC):
    """One way to talk to an LLM server; it keeps no state and is shared."""

    name: ClassVar[str]
    """What the configuration calls it."""
    path: ClassVar[str]
    """What a probe is sent to, below the route's base URL."""
    framing: ClassVar[Framing] = "events"
    """How its streams are cut."""
    usual_event: ClassVar[str] = "message"
    """Name of the events that `Interpreter.usual` takes besides unnamed ones, or `message`."""
    headers: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Request headers that the dialect itself asks for, such as a version."""
    key_header: ClassVar[KeyHeader] = "authorization"
    """The header that takes the key where the route names none; lower case."""

    def url(self, route: Route) -> str:
        """Return where a probe of the route is sent."""
        return endpoint(route.base_url, self.path)

    @abstractmethod
    def request_body(
        self,
        route: Route,
        *,
        max_tokens: int,
        nonce: str | None,
        adaptation: Adaptation,
        prompt: Prompt | None = None,
    ) -> bytes:
        """Return the JSON body of one probe; `nonce` comes first where a cache is to be missed.

        What is asked is `prompt`, or what the route asks always.
        The route's `extra_body` is merged last and may replace a key.
        """

    def adapt(
        self, status: int, message: str, adaptation: Adaptation, route: Route
    ) -> Adaptation | None:
        """Return how to ask again where a parameter was refused, each change once; else None.

        New models of every provider refuse the temperature.
        """
        sent = route.temperature is not None and not adaptation.drop_temperature
        if sent and "temperature" in message and refuses_a_parameter(status, message):
            return replace(adaptation, drop_temperature=True)
        return None

    @abstractmethod
    def decoder(self) -> Interpreter:
        """Return the reader of one answer."""


def endpoint(base_url: str, path: str) -> str:
    """Return the URL of a dialect under a base URL, whose query, if any, stays at the end."""
    base, mark, query = base_url.partition("?")
    return base.rstrip("/") + path + mark + query


def refuses_a_parameter(status: int, message: str) -> bool:
    """Whether an answer says that it does not take something that it was asked with."""
    return status in _REFUSING_STATUSES and bool(_REFUSED_PARAMETER.search(message))


def messages_of(route: Route, nonce: str | None, prompt: Prompt | None = None) -> list[Message]:
    """Return what is said: a prompt's messages, or the route's own words.

    A nonce stands before everything: a prefix cache begins at the first message.
    """
    if prompt is not None:
        messages = list(prompt.messages)
    else:
        system = [Message(role="system", text=route.system)] if route.system is not None else []
        messages = [*system, Message(role="user", text=route.prompt)]
    if nonce is not None:
        first = messages[0]
        messages[0] = msgspec.structs.replace(first, text=f"{nonce}\n{first.text}")
    return messages


def chat_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Return tools as Chat Completions has them, and Ollama too."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            },
        }
        for tool in tools
    ]


def media_of(url: str) -> tuple[str, str]:
    """Return the media type and the base64 of a picture's data URL."""
    head, _, data = url.partition(",")
    return head.removeprefix("data:").removesuffix(";base64"), data
