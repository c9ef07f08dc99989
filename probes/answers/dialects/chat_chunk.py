"""One chunk of a Chat Completions stream; a whole answer has the same keys.

Two shapes are decoded typed: `UsualChunk`, which is nothing but words, and `Chunk`, which is any.
What is neither is read leniently, as the types and the readings of `Chunk` say.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from probes.answers.dialects.other_output import words_in
from probes.answers.dialects.transcript import LONGEST_REASON
from probes.answers.lenient import Nothing, decoder_of, mapping, read_by


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


def _reason(value: object) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("type")  # SGLang's own
    if not value:
        return None
    return value if isinstance(value, str) else str(value)[:LONGEST_REASON]


Words: TypeAlias = Annotated[str | None, read_by(_words)]
Reason: TypeAlias = Annotated[str | None, read_by(_reason)]


class ChunkDelta(msgspec.Struct, gc=False):
    """What a chunk adds to one choice; a whole answer's message has the same keys."""

    content: Words = None
    reasoning_content: Words = None
    reasoning: Words = None
    reasoning_text: Words = None
    refusal: Words = None
    reasoning_details: Any = None
    tool_calls: Any = None
    function_call: Any = None

    @staticmethod
    def spelled(raw: object) -> object:
        """Return the object of a delta that is nothing but its content, or has thinking in it.

        Mistral's thinking and Databricks' summaries are parts of the content.
        """
        if isinstance(raw, str | list):
            raw = {"content": raw}
        delta = mapping(raw)
        content = delta.get("content")
        if not isinstance(content, list) or _words(delta.get("reasoning_content")):
            return raw
        thinking = "".join(words_in(part) for part in content if _is_thinking(part))
        return {**delta, "reasoning_content": thinking}


class Choice(msgspec.Struct, gc=False):
    """One of the answers a request asked for, usually the only one."""

    index: int | None = 0
    delta: ChunkDelta | None = None
    message: ChunkDelta | None = None
    text: Words = None
    finish_reason: Reason = None
    finish_camel: Reason = msgspec.field(default=None, name="finishReason")
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
    model: str | None = None
    system_fingerprint: str | None = None
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


class UsualDelta(msgspec.Struct, gc=False):
    """A delta of nothing but words."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_text: None = None
    refusal: None = None
    reasoning_details: Nothing = None
    tool_calls: Nothing = None
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


decode_usual: Final = msgspec.json.Decoder(UsualChunk).decode
"""Return a chunk that only adds words; raise `ValueError` or `RecursionError` for any other."""
decode_chunk: Final = decoder_of(Chunk)
"""Return a chunk; None for a JSON value that is no object; raise `ValueError` for no JSON."""
