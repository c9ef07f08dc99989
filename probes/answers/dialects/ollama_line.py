"""One line of an Ollama stream, decoded typed, and tolerantly where that fails.

A whole answer has the same keys. Lines of `/api/generate`, which have `response` in the place of
`message`, are read too. Any key may be absent, null or of another type than documented.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from probes.answers.dialects.chat_chunk import decode_value
from probes.answers.dialects.numbers import mapping


class Message(msgspec.Struct, gc=False):
    """What a line adds to the answer."""

    content: str | None = None
    thinking: str | None = None
    reasoning_content: str | None = None
    """What some that stand in for Ollama call the thinking; so `reasoning`."""
    reasoning: str | None = None
    tool_calls: Any = None

    @property
    def thought(self) -> str:
        """The thinking, under whichever name it came: never twice."""
        return self.thinking or self.reasoning_content or self.reasoning or ""


class Line(msgspec.Struct, gc=False):
    """A line, or a whole answer."""

    message: Message | None = None
    response: str | None = None
    thinking: str | None = None
    """Beside `response`; else it is the message's."""
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: Any = None
    """Absent where the whole prompt was in the cache."""
    eval_count: Any = None
    load_duration: Any = None
    """In ns, as all durations."""
    prompt_eval_duration: Any = None
    eval_duration: Any = None
    error: Any = None


_Nothing: TypeAlias = Annotated[list[Any], Meta(max_length=0)] | None


class UsualMessage(msgspec.Struct, gc=False):
    """A message of nothing but words."""

    content: str | None = None
    thinking: str | None = None
    reasoning_content: None = None
    reasoning: None = None
    tool_calls: _Nothing = None


class UsualLine(msgspec.Struct, gc=False):
    """A line that only adds words, if it is not `done`: the decoder refuses most others."""

    message: UsualMessage
    done: bool = False
    response: None = None
    thinking: None = None
    prompt_eval_count: None = None
    eval_count: None = None
    error: None = None


_decoder: Final = msgspec.json.Decoder(Line)
decode_usual: Final = msgspec.json.Decoder(UsualLine).decode
"""Return a line that only adds words; raise `ValueError` or `RecursionError` for any other."""


def decode_line(data: str) -> Line | None:
    """Return a line; None for a JSON value that is no object and so carries nothing.

    Raises:
        ValueError: the data is not JSON.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raw = decode_value(data)
    return lenient_line(raw) if isinstance(raw, Mapping) else None


def lenient_line(raw: Mapping[str, Any]) -> Line:
    """Return the line of an object of which any part may be of another type."""
    message = raw.get("message")
    reason = raw.get("done_reason")
    fields = {name: raw.get(name) for name in Line.__struct_fields__}
    fields["message"] = _message(message) if isinstance(message, Mapping) else None
    fields["response"] = _string(raw.get("response"))
    fields["thinking"] = _string(raw.get("thinking"))
    fields["done"] = raw.get("done") if isinstance(raw.get("done"), bool) else None
    fields["done_reason"] = reason if isinstance(reason, str) or reason is None else str(reason)
    return Line(**fields)


def _message(raw: Mapping[str, Any]) -> Message:
    return Message(
        content=_words(raw.get("content")),
        thinking=_string(raw.get("thinking")),
        reasoning_content=_string(raw.get("reasoning_content")),
        reasoning=_string(raw.get("reasoning")),
        tool_calls=raw.get("tool_calls"),
    )


def _words(value: object) -> str | None:
    """Return a text, or the texts of a list of parts."""
    if isinstance(value, list):
        return "".join(_string(mapping(part).get("text")) or "" for part in value)
    return _string(value)


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None
