"""One chunk of a Chat Completions stream, decoded typed, and tolerantly where that fails.

Every key may be absent, null or of another type than documented; a chunk is never refused for it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from probes.answers.dialects.numbers import count, mapping
from probes.answers.dialects.other_output import words_in
from probes.kit.tolerant_json import value_of


class ChunkDelta(msgspec.Struct, gc=False):
    """What a chunk adds to one choice; a whole answer's message has the same keys."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_text: str | None = None
    refusal: str | None = None
    reasoning_details: Any = None
    tool_calls: Any = None
    function_call: Any = None


class Choice(msgspec.Struct, gc=False):
    """One of the answers a request asked for, usually the only one."""

    index: int | None = 0
    delta: ChunkDelta | None = None
    message: ChunkDelta | None = None
    text: str | None = None
    finish_reason: str | None = None
    finish_camel: str | None = msgspec.field(default=None, name="finishReason")
    """What gateways write that pass Google's names through."""
    usage: Any = None
    meta_info: Any = None
    error: Any = None

    @property
    def finish(self) -> str:
        """Why it ended, under whichever name it came; empty where it goes on."""
        return self.finish_reason or self.finish_camel or ""


class Chunk(msgspec.Struct, gc=False):
    """A chunk, or a whole answer."""

    id: str | None = None
    choices: list[Choice] | None = None
    usage: Any = None
    x_groq: Any = None
    timings: Any = None
    metrics: Any = None
    perf_metrics: Any = None
    time_info: Any = None
    meta_info: Any = None
    inference_status: Any = None
    openrouter_metadata: Any = None
    cost: Any = None
    estimated_cost: Any = None
    error: Any = None
    object: str | None = None
    type: str | None = None


_Nothing: TypeAlias = Annotated[list[Any], Meta(max_length=0)] | None


class UsualDelta(msgspec.Struct, gc=False):
    """A delta of nothing but words."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_text: None = None
    refusal: None = None
    reasoning_details: _Nothing = None
    tool_calls: _Nothing = None
    function_call: None = None


class UsualChoice(msgspec.Struct, gc=False):
    """A choice that goes on."""

    delta: UsualDelta | None = None
    index: int = 0
    text: str | None = None
    finish_reason: None = None
    finish_camel: None = msgspec.field(default=None, name="finishReason")
    usage: None = None
    meta_info: None = None
    error: None = None


class UsualChunk(msgspec.Struct, gc=False):
    """A chunk that only adds words: the decoder itself refuses any other."""

    choices: Annotated[list[UsualChoice], Meta(min_length=1, max_length=1)]
    usage: None = None
    x_groq: None = None
    timings: None = None
    metrics: None = None
    perf_metrics: None = None
    time_info: None = None
    meta_info: None = None
    inference_status: None = None
    openrouter_metadata: None = None
    cost: None = None
    estimated_cost: None = None
    error: None = None
    type: None = None


_decoder: Final = msgspec.json.Decoder(Chunk)
_any_decoder: Final = msgspec.json.Decoder()
decode_usual: Final = msgspec.json.Decoder(UsualChunk).decode
"""Return a chunk that only adds words; raise `ValueError` or `RecursionError` for any other."""


def decode_chunk(data: str) -> Chunk | None:
    """Return a chunk; None for a JSON value that is no object and so carries nothing.

    Raises:
        ValueError: the data is not JSON.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raw = decode_value(data)
    return lenient_chunk(raw) if isinstance(raw, Mapping) else None


def decode_value(data: str) -> object:
    """Return any JSON value, also what msgspec refuses: lone surrogates, control characters.

    Of a list its first value is taken, as Google wraps errors.

    Raises:
        ValueError: the data is not JSON, or nested too deeply.
    """
    return first_of(value_of(data))


def decode_any(data: str) -> object:
    """Return any JSON value, as `decode_value` does, but for the lists; the fast way first.

    Raises:
        ValueError: the data is not JSON, or nested too deeply.
    """
    try:
        return _any_decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return decode_value(data)


def first_of(value: object) -> object:
    """Return the first of a list's values, and anything else as it is."""
    return value[0] if isinstance(value, list) and value else value


def lenient_chunk(raw: Mapping[str, Any]) -> Chunk:
    """Return the chunk of an object of which any part may be of another type."""
    choices = choices_of(raw)
    fields = {name: raw.get(name) for name in Chunk.__struct_fields__}
    fields["choices"] = None if choices is None else [_choice(item) for item in choices]
    for name in ("id", "object", "type"):
        fields[name] = _string(raw.get(name))
    return Chunk(**fields)


def choices_of(raw: Mapping[str, Any]) -> list[Any] | None:
    """Return the choices of an object as they came; None where it has none."""
    choices = raw.get("choices")
    if isinstance(choices, Mapping):
        return [choices]
    return choices if isinstance(choices, list) else None


def _choice(raw: object) -> Choice:
    choice = mapping(raw)
    reason = choice.get("finish_reason") or choice.get("finishReason")
    if isinstance(reason, Mapping):
        reason = reason.get("type")  # SGLang's own
    return Choice(
        index=count(choice.get("index")),
        delta=_delta(choice.get("delta")),
        message=_delta(choice.get("message")),
        text=_words(choice.get("text")),
        finish_reason=reason if isinstance(reason, str) or reason is None else str(reason)[:80],
        usage=choice.get("usage"),
        meta_info=choice.get("meta_info"),
        error=choice.get("error"),
    )


def _delta(raw: object) -> ChunkDelta | None:
    if isinstance(raw, str | list):
        raw = {"content": raw}
    if not isinstance(raw, Mapping):
        return None
    return ChunkDelta(
        content=_words(raw.get("content")),
        reasoning_content=_words(raw.get("reasoning_content")) or _thinking(raw.get("content")),
        reasoning=_words(raw.get("reasoning")),
        reasoning_text=_words(raw.get("reasoning_text")),
        refusal=_words(raw.get("refusal")),
        reasoning_details=raw.get("reasoning_details"),
        tool_calls=raw.get("tool_calls"),
        function_call=raw.get("function_call"),
    )


def _words(value: object) -> str | None:
    """Return the text of a string, of an object with a text, or of a list of such parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_words(part) or "" for part in value if not _is_thinking(part))
    if isinstance(value, Mapping):
        found = (_words(value.get(key)) for key in ("text", "content", "summary"))
        return next(filter(None, found), None)
    return None


def _is_thinking(part: object) -> bool:
    return str(mapping(part).get("type", "")) in ("thinking", "reasoning")


def _thinking(content: object) -> str | None:
    """Return the reasoning among content parts: Mistral's thinking, Databricks' summaries."""
    if not isinstance(content, list):
        return None
    return "".join(words_in(part) for part in content if _is_thinking(part))


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None
