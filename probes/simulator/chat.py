"""The OpenAI Chat Completions wire form: requests in, chunks, answers and error bodies out.

Source: the OpenAI API reference, "Create chat completion", "The chat completion chunk object" and
"Error codes". Fields a simulated model has no use for are accepted and ignored.
"""

from collections.abc import Sequence as SequenceOf
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from probes.config import Price
from probes.kit.clock import seconds
from probes.simulator.prose import count_tokens
from probes.simulator.sequence import SentPrompt, Sequence

DONE: Final = b"data: [DONE]\n\n"

DEFAULT_CAP: Final = 1_024
LARGEST_CAP: Final = 16_384

_encode = msgspec.json.Encoder().encode

Cap = Annotated[int, Meta(ge=1, le=LARGEST_CAP)]


class ApiError(Exception):
    """An answer that is an error, with everything its body and headers say."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Keep the parts of an OpenAI error."""
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = headers


class ContentPart(msgspec.Struct, frozen=True):
    """One part of a message's content; only text counts."""

    type: str = "text"
    text: str = ""


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of the conversation."""

    role: str
    content: str | list[ContentPart] | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """Options of a stream."""

    include_usage: bool = False


class ChatRequest(msgspec.Struct, frozen=True):
    """What of a request body matters here."""

    model: str
    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Cap | None = None
    max_completion_tokens: Cap | None = None
    n: Annotated[int, Meta(ge=1, le=1)] | None = None

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with a usage chunk."""
        return self.stream_options is not None and self.stream_options.include_usage

    def prompt(self, factor: float = 1.0) -> SentPrompt:
        """Return the conversation as the model sees it, which counts it `factor` times."""
        cap = self.max_completion_tokens or self.max_tokens or DEFAULT_CAP
        return prompt_of(self.messages, cap, factor)


_decoder = msgspec.json.Decoder(ChatRequest)


def prompt_of(messages: SequenceOf[ChatMessage], cap: int, factor: float) -> SentPrompt:
    """Return a conversation as a model sees it that counts it `factor` times."""
    data = b"".join(_message_bytes(message) for message in messages)
    return SentPrompt(data=data, tokens=max(1, round(count_tokens(data) * factor)), cap=cap)


def _message_bytes(message: ChatMessage) -> bytes:
    if isinstance(message.content, list):
        text = "".join(part.text for part in message.content)
    else:
        text = message.content or ""
    return f"<|{message.role}|>{text}".encode()


RequestT = TypeVar("RequestT")


def decoded(decoder: msgspec.json.Decoder[RequestT], body: bytes) -> RequestT:
    """Return the request of a body.

    Raises:
        ApiError: 400, with what is wrong and where.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"Invalid request body: {error}") from error


def decode_request(body: bytes) -> ChatRequest:
    """Return the request of a body.

    Raises:
        ApiError: 400, with what is wrong and where.
    """
    request = decoded(_decoder, body)
    if request.stream_options is not None and not request.stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise ApiError(400, message, param="stream_options")
    return request


def not_found_model(model: str) -> ApiError:
    """Return the 404 for a model that is not hosted; the name is cut to 200 characters."""
    message = f"The model `{model[:200]}` does not exist or you do not have access to it."
    return ApiError(404, message, code="model_not_found", param="model")


def error_body(error: ApiError) -> bytes:
    """Return the OpenAI error body."""
    detail = {
        "message": str(error),
        "type": error.kind,
        "param": error.param,
        "code": error.code,
    }
    return _encode({"error": detail})


def models_body(names: tuple[str, ...], created: int) -> bytes:
    """Return the answer to `GET /v1/models`."""
    models = [
        {"id": name, "object": "model", "created": created, "owned_by": "simulator"}
        for name in names
    ]
    return _encode({"object": "list", "data": models})


class ChatReply:
    """The bodies of one answer."""

    content_type = "text/event-stream; charset=utf-8"

    def __init__(
        self,
        identity: str,
        created: int,
        request: ChatRequest,
        *,
        model: str,
        fingerprint: str = "",
        price: Price | None = None,
        reports_times: bool = False,
    ) -> None:
        """Keep what all bodies of the answer share.

        `model` is what it calls itself; `price` makes the usage carry a cost, `reports_times` how
        long its stages took.
        """
        self._request = request
        self._price = price
        self._reports_times = reports_times
        self._head = {"id": identity, "created": created, "model": model}
        if fingerprint:
            self._head["system_fingerprint"] = fingerprint

    def opening(self) -> tuple[bytes, ...]:
        """Return the event that comes before any output.

        The role comes before the first token is computed, as from servers that answer on admission:
        a client that takes it for output measures a TTFT that is too good.
        """
        return (self._chunk({"role": "assistant", "content": "", "refusal": None}),)

    def words(self, text: str) -> bytes:
        """Return the event of a piece of the answer."""
        return self._chunk({"content": text})

    def closing(self, sequence: Sequence) -> tuple[bytes, ...]:
        """Return what ends a stream: the finish reason, the usage where it was asked for, DONE."""
        finish = self._chunk({}, sequence.fate.finish_reason)
        if not self._request.include_usage:
            return finish, DONE
        body: dict[str, Any] = {"choices": [], **self._times(sequence)}
        return finish, self._event(body, usage=self.usage(sequence)), DONE

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._event({"choices": [choice]}, usage=None)

    def _times(self, sequence: Sequence) -> dict[str, Any]:
        """Return what vLLM tells beside the usage, with `--enable-per-request-metrics`."""
        if not self._reports_times:
            return {}
        times_ns = {
            "queue_time_ms": sequence.taken_ns - sequence.queued_ns,
            "time_to_first_token_ms": sequence.first_ns - sequence.taken_ns,
            "generation_time_ms": sequence.last_ns - sequence.first_ns,
        }
        return {"metrics": {name: seconds(ns) * 1000 for name, ns in times_ns.items()}}

    def _event(self, body: dict[str, Any], usage: dict[str, Any] | None) -> bytes:
        event = {**self._head, "object": "chat.completion.chunk", **body}
        if self._request.include_usage:
            event["usage"] = usage
        return b"data: " + _encode(event) + b"\n\n"

    def whole(self, text: str, sequence: Sequence) -> bytes:
        """Return the body of an answer that is not streamed."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": sequence.fate.finish_reason,
        }
        body = {**self._head, "object": "chat.completion", "choices": [choice]}
        return _encode({**body, "usage": self.usage(sequence), **self._times(sequence)})

    def usage(self, sequence: Sequence) -> dict[str, Any]:
        """Return what the answer used; `estimated_cost` is in USD, as DeepInfra sends it."""
        prompt, output = sequence.prompt.tokens, sequence.produced
        usage: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": sequence.cached_tokens},
        }
        if self._price is not None:
            cost = prompt * self._price.input + output * self._price.output
            usage["estimated_cost"] = cost / 1_000_000
        return usage
