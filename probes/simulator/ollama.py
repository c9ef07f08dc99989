"""Ollama's own wire form, `POST /api/chat`: requests in, lines of JSON and error bodies out.

Source: Ollama's API reference, "Generate a chat completion". It is the form in which a server says
how long it loaded a model.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from probes.simulator.chat import DEFAULT_CAP, ApiError, Cap, ChatMessage, decoded, prompt_of
from probes.simulator.sequence import SentPrompt, Sequence

_WARM_LOAD_NS: Final = 15_000_000
"""What it reports of a model that is in memory already: it makes sure of that each time."""

_encode = msgspec.json.Encoder().encode


class Options(msgspec.Struct, frozen=True):
    """Options of a request that matter here."""

    num_predict: Cap | None = None


class OllamaRequest(msgspec.Struct, frozen=True):
    """What of a request body matters here."""

    model: str
    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    stream: bool = True
    options: Options = Options()

    def prompt(self, factor: float = 1.0) -> SentPrompt:
        """Return the conversation as the model sees it, which counts it `factor` times."""
        return prompt_of(self.messages, self.options.num_predict or DEFAULT_CAP, factor)


_decoder = msgspec.json.Decoder(OllamaRequest)


def decode_ollama_request(body: bytes) -> OllamaRequest:
    """Return the request of a body.

    Raises:
        ApiError: 400, with what is wrong and where.
    """
    return decoded(_decoder, body)


def ollama_error_body(error: ApiError) -> bytes:
    """Return an error as Ollama writes it: its words, and nothing else."""
    return _encode({"error": str(error)})


class OllamaReply:
    """The lines of one answer."""

    content_type = "application/x-ndjson"

    def __init__(self, created_s: int, read_ns: int, model: str) -> None:
        """Keep what all lines share; `read_ns` is when the request had been read."""
        created = datetime.fromtimestamp(created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._head = {"model": model, "created_at": created}
        self._read_ns = read_ns

    def opening(self) -> tuple[bytes, ...]:
        """Return what comes before any output: nothing."""
        return ()

    def words(self, text: str) -> bytes:
        """Return the line of a piece of the answer."""
        return self._line(text, {"done": False}) + b"\n"

    def closing(self, sequence: Sequence) -> tuple[bytes, ...]:
        """Return the line that ends a stream."""
        return (self._line("", self._end(sequence)) + b"\n",)

    def whole(self, text: str, sequence: Sequence) -> bytes:
        """Return the body of an answer that is not streamed."""
        return self._line(text, self._end(sequence))

    def _line(self, text: str, rest: dict[str, Any]) -> bytes:
        return _encode({**self._head, "message": {"role": "assistant", "content": text}, **rest})

    def _end(self, sequence: Sequence) -> dict[str, Any]:
        return {
            "done": True,
            "done_reason": sequence.fate.finish_reason,
            "total_duration": sequence.last_ns - self._read_ns,
            "load_duration": sequence.load_ns or _WARM_LOAD_NS,
            "prompt_eval_count": sequence.prompt.tokens,
            "prompt_eval_duration": sequence.first_ns - sequence.taken_ns,
            "eval_count": sequence.produced,
            "eval_duration": sequence.last_ns - sequence.first_ns,
        }
