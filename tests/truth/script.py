"""The bodies of a stream, encoded before they are due.

All that differs between two streams of one model is the id, which always has the same length. So
a body is three pieces that are joined when it is sent.
"""

from functools import lru_cache
from random import Random
from typing import Any, Final

import msgspec

from probes.simulator.chat import DONE
from probes.simulator.prose import Prose

_PLACE: Final = "chatcmpl-" + 24 * "0"
"""Stands for the id of a stream, and is as long."""
_TEXTS: Final = 256
_MOST_SCRIPTS: Final = 64

_encode = msgspec.json.Encoder().encode


def stream_head(request_id: str) -> bytes:
    """Return status and headers of an event stream."""
    return (
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
        "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n"
        f"x-request-id: {request_id}\r\n\r\n"
    ).encode("ascii")


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode("ascii") + data + b"\r\n"


class Script:
    """All bodies that streams of one model may need, each split around the id."""

    def __init__(self, model: str, texts: tuple[str, ...], created: int, *, usage: bool) -> None:
        """Encode everything; `usage` is whether the client asked for it."""
        self._model, self._created, self._usage = model, created, usage
        role = {"role": "assistant", "content": "", "refusal": None}
        self.role = self._chunk([self._choice(role)])
        self._tokens = tuple(self._chunk([self._choice({"content": text})]) for text in texts)
        self.finish = {
            reason: self._chunk([self._choice({}, reason)]) for reason in ("length", "stop")
        }
        self.end = _framed(DONE) + b"0\r\n\r\n"
        """The end of the events and of the body, in one send."""

    @property
    def has_usage(self) -> bool:
        """Whether a usage chunk is sent."""
        return self._usage

    def token(self, at: int) -> tuple[bytes, bytes]:
        """Return what stands before and after the id in the body of one token."""
        return self._tokens[at % len(self._tokens)]

    def usage(self, prompt_tokens: int, output_tokens: int) -> tuple[bytes, bytes]:
        """Return the same of the usage chunk."""
        usage: dict[str, Any] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": prompt_tokens + output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        }
        return self._chunk([], usage)

    @staticmethod
    def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}

    def _chunk(
        self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None
    ) -> tuple[bytes, bytes]:
        event: dict[str, Any] = {
            "id": _PLACE,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }
        if self._usage:
            event["usage"] = usage
        before, place, after = _framed(b"data: " + _encode(event) + b"\n\n").partition(
            _PLACE.encode("ascii")
        )
        assert place
        return before, after


class Scripts:
    """The scripts of the models asked for last."""

    def __init__(self, random: Random, created: int) -> None:
        """Draw the text that all streams repeat; `created` is in Unix seconds."""
        prose = Prose(random)
        texts = tuple(prose.tokens(1) for _ in range(_TEXTS))
        self._script = lru_cache(maxsize=_MOST_SCRIPTS)(
            lambda model, usage: Script(model, texts, created, usage=usage)
        )

    def script(self, model: str, *, usage: bool) -> Script:
        """Return the bodies for a model."""
        return self._script(model, usage)
