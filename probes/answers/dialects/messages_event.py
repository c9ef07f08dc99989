"""The parts of a Messages answer, read tolerantly: any key may be absent or of another type."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from probes.answers.dialects.calls import given_to_call
from probes.answers.dialects.chat_chunk import decode_value
from probes.answers.dialects.numbers import mapping
from probes.answers.dialects.other_output import words_in

_decoder: Final = msgspec.json.Decoder()


class Piece(msgspec.Struct, frozen=True, gc=False):
    """What the start of a content block, or a delta to it, brings."""

    text: str = ""
    thinking: str = ""
    call_id: str = ""
    name: str = ""
    """Of the tool that is called."""
    arguments: str = ""
    """A piece of the call's JSON."""
    reasoned: bool = False
    """It belongs to reasoning, be that shown, summarized away or encrypted."""


class TextDelta(msgspec.Struct, tag_field="type", tag="text_delta", gc=False):
    """Words of the answer."""

    text: str


class ThinkingDelta(msgspec.Struct, tag_field="type", tag="thinking_delta", gc=False):
    """Words of its reasoning."""

    thinking: str


class UsualEvent(msgspec.Struct, tag_field="type", tag="content_block_delta", gc=False):
    """An event that only adds words: the decoder itself refuses any other."""

    delta: TextDelta | ThinkingDelta
    usage: None = None
    error: None = None


decode_usual: Final = msgspec.json.Decoder(UsualEvent).decode
"""Return an event that only adds words; raise `ValueError` or `RecursionError` for any other."""


def decode_event(data: str) -> Mapping[str, Any] | None:
    """Return an event's object; None for a JSON value that is none and so carries nothing.

    Raises:
        ValueError: the data is not JSON.
    """
    try:
        value = _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        value = decode_value(data)
    return value if isinstance(value, Mapping) else None


def kind_of(body: Mapping[str, Any], named: str) -> str:
    """Return the type of an event: what its JSON says, else the name that the stream gave it."""
    return string(body.get("type")) or named


def piece_of(value: object) -> Piece:
    """Return what a content block or a delta holds, by its keys: their types' names grow.

    A block may begin with words or with its whole input; an empty input says nothing yet.
    """
    part = mapping(value)
    kind = string(part.get("type"))
    is_call = kind.endswith("tool_use")
    return Piece(
        text=string(part.get("text")),
        thinking=_thinking(part) if "thinking" in kind else string(part.get("thinking")),
        call_id=string(part.get("id")) if is_call else "",
        name=string(part.get("name")) if is_call else "",
        arguments=string(part.get("partial_json")) or (_input(part) if is_call else ""),
        reasoned="thinking" in kind or kind == "signature_delta",
    )


def _thinking(part: Mapping[str, Any]) -> str:
    """Return the words of a block of thinking, which may stand in a list of summaries."""
    return words_in(part.get("thinking") or part.get("summary"))


def _input(part: Mapping[str, Any]) -> str:
    given = part.get("input")
    return given_to_call(given) if isinstance(given, Mapping) and given else ""


def string(value: object) -> str:
    """Return a string as it is, and anything else as an empty one."""
    return value if isinstance(value, str) else ""
