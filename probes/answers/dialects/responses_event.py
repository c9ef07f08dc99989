"""One event of an OpenAI Responses stream: its decoding, and the words that its objects carry.

Every key may be absent, null or of another type than documented; an event is never refused for it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from probes.answers.dialects.calls import given_to_call
from probes.answers.dialects.chat_chunk import decode_value
from probes.answers.dialects.numbers import count, mapping

Channel: TypeAlias = Literal["text", "reasoning", "refusal", "call"]
"""Where words belong: the answer, the thinking, a refusal, what a tool is called with."""
Place: TypeAlias = tuple[str, int | str, int | None]
"""A channel, the output item by index or id, and the part of it where it has parts."""

TELLS: Final[Mapping[str, Channel]] = {
    "response.output_text": "text",
    "response.content_part": "text",
    "response.text": "text",
    "response.audio.transcript": "text",
    "response.reasoning_text": "reasoning",
    "response.reasoning_summary_text": "reasoning",
    "response.reasoning": "reasoning",
    "response.reasoning_summary": "reasoning",
    "response.refusal": "refusal",
    "response.function_call_arguments": "call",
    "response.custom_tool_call_input": "call",
    "response.mcp_call_arguments": "call",
    "response.code_interpreter_call_code": "call",
    "response.shell_call_command": "call",
}
"""What the events tell whose type is one of these with `.delta` or `.done` behind it."""
CLOSING: Final = ("text", "refusal", "arguments", "input", "code", "command", "transcript")
"""The keys under which a `.done` repeats all of its words."""
ENDINGS: Final[Mapping[str, str]] = {
    "response.completed": "completed",
    "response.done": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
    "response.canceled": "cancelled",
}
"""The status of a response that each terminal event tells."""
_PARTS: Final[Mapping[str, Channel]] = {
    "output_text": "text",
    "text": "text",
    "reasoning_text": "reasoning",
    "summary_text": "reasoning",
    "refusal": "refusal",
}
_LONGEST_ID: Final = 200
_decoder: Final = msgspec.json.Decoder()


class UsualEvent(msgspec.Struct, gc=False):
    """An event that only adds words: the decoder itself refuses any other."""

    type: Literal[
        "response.output_text.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
    ]
    delta: Annotated[str, Meta(min_length=1)]
    output_index: int | None = None
    item_id: str | None = None
    content_index: int | None = None
    summary_index: int | None = None
    response: None = None
    usage: None = None
    timings: None = None
    error: None = None


decode_usual: Final = msgspec.json.Decoder(UsualEvent).decode
"""Return an event that only adds words; raise `ValueError` or `RecursionError` for any other."""


def decode_event(data: str) -> object:
    """Return the JSON value of an event.

    Raises:
        ValueError: the data is not JSON.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return decode_value(data)


def place_of(channel: str, event: Mapping[str, Any]) -> Place:
    """Return where an event's words belong; a call is one whole, whatever its parts."""
    index = count(event.get("output_index"))
    name = event.get("item_id") or mapping(event.get("item")).get("id")
    item = index if index is not None else str(name or "")[:_LONGEST_ID]
    if channel == "call":
        return channel, item, None
    part = count(event.get("content_index"))
    return channel, item, count(event.get("summary_index")) if part is None else part


def words_of(value: object) -> str:
    """Return the words of a string or of an object with a text; empty for anything else."""
    if isinstance(value, str):
        return value
    text = mapping(value).get("text")
    return text if isinstance(text, str) else ""


def piece_of(part: object) -> tuple[Channel, str] | None:
    """Return the words of a content or summary part, and where they belong; None without any."""
    found, channel = mapping(part), channel_of(part)
    if channel is None:
        return None
    words = found.get("refusal" if channel == "refusal" else "text")
    return (channel, words) if isinstance(words, str) and words else None


def channel_of(part: object) -> Channel | None:
    """Return where the words of a content or summary part belong; None of a type unknown."""
    return _PARTS.get(str(mapping(part).get("type")))


def parts_of(item: Mapping[str, Any]) -> list[Any]:
    """Return the parts of an output item.

    Of a reasoning item its own words, else their summary: never both, one repeats the other.
    """
    parts = item.get("content") or item.get("summary")
    if isinstance(parts, str):
        thinks = item.get("type") == "reasoning"
        return [{"type": "reasoning_text" if thinks else "output_text", "text": parts}]
    return parts if isinstance(parts, list) else []


def call_of(item: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the name and the arguments of an item that calls a tool; None of any other."""
    kind = str(item.get("type"))
    if not kind.endswith("_call") and kind != "mcp_approval_request":
        return None
    name = item.get("name")
    given = (given_to_call(item.get(key)) for key in ("arguments", "input", "code"))
    words = next(filter(None, given), "")
    if not isinstance(name, str) and not words:
        return None
    return (name if isinstance(name, str) else ""), words
