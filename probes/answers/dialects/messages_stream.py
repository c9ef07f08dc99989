"""Messages answers: the events of a stream, or one whole message, into a transcript.

An answer is over with `message_stop`, and also with the stop reason of a `message_delta`: gateways
that translate to this dialect leave the last event out, and what a stop reason ends is as whole as
a chat answer with a finish reason and without `[DONE]`. Output that follows takes a stop reason
back. A block that stops ends nothing, nor does `[DONE]`, which some servers write here too, after
errors as well.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from probes.answers.dialects.interpreter import Interpreter
from probes.answers.dialects.other_output import OtherOutput, add_other, other_output, words_in
from probes.answers.dialects.transcript import LONGEST_REASON, Usage
from probes.answers.dialects.usage import read_cost
from probes.answers.error_body import ErrorBody, error_in, error_of
from probes.answers.lenient import (
    count,
    decode_any,
    first_count,
    given_to_call,
    lenient,
    mapping,
    quantity,
    string,
)
from probes.answers.progress import NOTHING, Progress, joined

_MOST_BLOCKS: Final = 1024
"""Of a whole message: some thousand calls are no answer to a probe."""
_BEDROCK: Final = "amazon-bedrock-invocationMetrics"
_CACHED: Final = "cache_read_input_tokens"
_PARTS: Final = ("input_tokens", _CACHED, "cache_creation_input_tokens")
"""They do not overlap: what was read from a cache or written to it is not in `input_tokens`."""
_BEDROCK_PARTS: Final = (
    "inputTokenCount",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
)
_BEDROCK_TIMES: Final = {
    "firstByteLatency": "bedrock_first_byte_ms",
    "invocationLatency": "bedrock_invocation_ms",
}


class TextDelta(msgspec.Struct, tag_field="type", tag="text_delta", gc=False):
    """Words of the answer."""

    text: str


class ThinkingDelta(msgspec.Struct, tag_field="type", tag="thinking_delta", gc=False):
    """Words of its reasoning."""

    thinking: str


class UsualMessagesEvent(msgspec.Struct, tag_field="type", tag="content_block_delta", gc=False):
    """An event that only adds words: the decoder itself refuses any other."""

    delta: TextDelta | ThinkingDelta
    usage: None = None
    error: None = None


decode_usual: Final = msgspec.json.Decoder(UsualMessagesEvent).decode
"""Return an event that only adds words; raise `ValueError` or `RecursionError` for any other."""


class Part(msgspec.Struct, gc=False):
    """A content block, or a delta to one, read by its keys: their types' names grow."""

    type: str = ""
    text: str = ""
    thinking: Any = None
    summary: Any = None
    """The words of a block of thinking may stand in a list of summaries."""
    id: str = ""
    name: str = ""
    partial_json: str = ""
    input: Any = None
    """A block may begin with its whole input; an empty one says nothing yet."""

    @property
    def reasoned(self) -> bool:
        """Whether it belongs to reasoning, be that shown, summarized away or encrypted."""
        return "thinking" in self.type or self.type == "signature_delta"

    @property
    def thought(self) -> str:
        """The words of reasoning."""
        if "thinking" in self.type:
            return words_in(self.thinking or self.summary)
        return string(self.thinking)


class MessagesInterpreter(Interpreter):
    """Reads one answer."""

    __slots__ = ("_counts", "_whole_call")
    names = ("content_block_delta", "message")

    def __init__(self) -> None:
        super().__init__()
        self._counts = InputCounts()
        self._whole_call: int | None = None
        """Block of the call that began with its whole input: pieces after it only repeat it."""

    def words(self, payload: bytes | str) -> tuple[bool, str] | None:
        """Return what an event adds that only adds words."""
        try:
            delta = decode_usual(payload).delta
        except (ValueError, RecursionError):
            return None
        if isinstance(delta, TextDelta):
            return (False, delta.text) if delta.text else None
        # The long way notes that there is reasoning: it has the first of it.
        return (True, delta.thinking) if delta.thinking and self.transcript.reasoned else None

    def whole(self, body: object) -> None:
        """Take an answer that came as one JSON value."""
        transcript, message = self.transcript, mapping(body)
        kind = string(message.get("type"))
        transcript.error = _error_in(message, kind)
        if kind == "message" or (message.get("role") and message.get("content") is not None):
            self._add_message(message, begins=False)
            self._take_stop(message)
        else:
            transcript.error = transcript.error or error_in(body)
            transcript.malformed = "" if transcript.error else "not_an_answer"
        transcript.done = True

    def _read(self, data: str, name: str) -> Progress:
        body, is_error = decode_any(data), name == "error"
        if not isinstance(body, Mapping):
            self.transcript.error = error_of(data) if is_error else None
            return NOTHING
        kind = string(body.get("type")) or ("" if name == "message" else name)
        self.transcript.error = error_of(body) if is_error else _error_in(body, kind)
        reader = READERS.get(kind)
        if reader is None:
            return NOTHING
        self.transcript.began = True
        return reader(self, body)

    def _is_ours(self, name: str) -> bool:
        return name in READERS or name == "message"

    def _start(self, body: Mapping[str, Any]) -> Progress:
        return self._add_message(mapping(body.get("message")), begins=True)

    def _add_message(self, message: Mapping[str, Any], *, begins: bool) -> Progress:
        """Take a message: one that begins has no content yet, where servers keep to the rule."""
        transcript = self.transcript
        transcript.began = True
        transcript.identify(message.get("id"))
        transcript.serve(message.get("model"))
        content = message.get("content")
        if isinstance(content, str):
            content = [{"text": content}]
        blocks = content if isinstance(content, list) else []
        parts = [self._add(index, block) for index, block in enumerate(blocks[:_MOST_BLOCKS])]
        self._take_usage(message.get("usage"), begins=begins)
        return joined(parts)

    def _block(self, body: Mapping[str, Any]) -> Progress:
        return self._add(count(body.get("index")), body.get("content_block"))

    def _delta(self, body: Mapping[str, Any]) -> Progress:
        added = self._add(count(body.get("index")), body.get("delta"))
        self._take_usage(body.get("usage"), begins=False)
        return added

    def _add(self, index: int | None, raw: object) -> Progress:
        """Return what a block or a delta adds; of a call its name is output too."""
        part, transcript = lenient(Part, raw), self.transcript
        name, call_id, whole = "", "", ""
        if part.type.endswith("tool_use"):
            name, call_id = part.name, part.id
            whole = given_to_call(part.input) if mapping(part.input) else ""
        arguments = part.partial_json or whole
        transcript.reasoned = transcript.reasoned or part.reasoned
        added = transcript.add(part.text, part.thought, called=len(name) + len(arguments))
        if added is NOTHING:  # images, results, or whatever else is not known by name
            other = OtherOutput() if part.reasoned else other_output(raw)
            if not other.found:
                transcript.carry([part.type or "a block"])
            added = add_other(transcript, other)
        elif name or arguments:
            self._add_call(index, call_id, name, arguments)
        if added is not NOTHING:
            transcript.take_back()  # a stop reason before output did not end the answer
        return added

    def _add_call(self, index: int | None, call_id: str, name: str, arguments: str) -> None:
        if name:
            self._whole_call = index if arguments else None
        elif index is not None and index == self._whole_call:
            return
        self.transcript.tool_calls.add(index, call_id, name, arguments)

    def _message_delta(self, body: Mapping[str, Any]) -> Progress:
        self._take_stop(mapping(body.get("delta")))
        self._take_usage(body.get("usage"), begins=False)
        return NOTHING

    def _take_stop(self, delta: Mapping[str, Any]) -> None:
        transcript, reason = self.transcript, delta.get("stop_reason") or delta.get("stopReason")
        if not reason:
            return
        transcript.finish_reason = str(reason)[:LONGEST_REASON]
        transcript.finished = True
        explanation = string(mapping(delta.get("stop_details")).get("explanation"))
        if reason == "refusal" and explanation:
            transcript.refusal.append(explanation)
        if reason == "error" and transcript.error is None:
            transcript.error = error_of(delta)

    def _stop(self, body: Mapping[str, Any]) -> Progress:
        transcript = self.transcript
        self._take_usage(body.get("usage"), begins=False)
        metrics = mapping(body.get(_BEDROCK))
        transcript.timings = bedrock_usage(metrics)
        transcript.server_timing |= bedrock_timing(metrics)
        transcript.done = True
        return NOTHING

    def _take_usage(self, value: object, *, begins: bool) -> None:
        transcript = self.transcript
        spent = read_message_usage(value, self._counts, begins=begins) if value else None
        if spent is None:
            return
        transcript.add_usage(spent)
        transcript.usage_is_last = transcript.usage_is_last or spent.output_tokens is not None


READERS: Final[dict[str, Callable[[MessagesInterpreter, Mapping[str, Any]], Progress]]] = {
    "message_start": MessagesInterpreter._start,
    "content_block_start": MessagesInterpreter._block,
    "content_block_delta": MessagesInterpreter._delta,
    "content_block_stop": lambda *_: NOTHING,
    "message_delta": MessagesInterpreter._message_delta,
    "message_stop": MessagesInterpreter._stop,
}
"""What reads each event of an answer. Others, such as `ping`, are none of it."""


def _error_in(body: Mapping[str, Any], kind: str) -> ErrorBody | None:
    """Return the error of an event or a whole body; one may come bare, known by its type alone.

    What has another type is what it says, whatever else it tells; what has none is guessed at.
    """
    if kind == "error" or kind.endswith("_error") or kind == "request_too_large":
        return error_of(body)
    if kind:
        return error_of(body) if body.get("error") else None
    return error_in(body)


class InputCounts:
    """The parts of a prompt, of which each report may tell some: read from a cache, written, rest.

    Their sum is what other dialects call the input. A report of nothing but zeros is what servers
    write that do not know yet, or do not count.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[str, int] = {}

    def update(self, usage: Mapping[str, Any]) -> None:
        """Take a report; what it does not tell stays as it was."""
        parts = {name: found for name in _PARTS if (found := count(usage.get(name))) is not None}
        if any(parts.values()):
            self._parts |= parts

    @property
    def total(self) -> int | None:
        """The whole prompt; None where nothing was told of it."""
        return sum(self._parts.values()) if self._parts else None

    @property
    def cached(self) -> int | None:
        """What of it was read from a cache."""
        return self._parts.get(_CACHED)


def read_message_usage(value: object, counts: InputCounts, *, begins: bool) -> Usage | None:
    """Return what a `usage` object and those before it say; None where it says nothing.

    What an answer that only begins says of its output is a placeholder, not a count.
    """
    usage = mapping(value)
    details = mapping(usage.get("output_tokens_details"))
    counts.update(usage)
    spent = Usage(
        input_tokens=counts.total,
        output_tokens=None if begins else count(usage.get("output_tokens")),
        reasoning_tokens=first_count(
            details.get("thinking_tokens"), details.get("reasoning_tokens")
        ),
        cached_tokens=counts.cached,
        cost_usd=read_cost(usage),
    )
    return None if spent == Usage() else spent


def bedrock_usage(metrics: Mapping[str, Any]) -> Usage | None:
    """Return the counts that Bedrock adds to the last event; None where it does not."""
    output = count(metrics.get("outputTokenCount"))
    if output is None:
        return None
    parts = [found for name in _BEDROCK_PARTS if (found := count(metrics.get(name))) is not None]
    cached = count(metrics.get(_BEDROCK_PARTS[1]))
    return Usage(input_tokens=sum(parts) or None, output_tokens=output, cached_tokens=cached)


def bedrock_timing(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return Bedrock's own timings, in ms."""
    found = {ours: quantity(metrics.get(theirs)) for theirs, ours in _BEDROCK_TIMES.items()}
    return {name: value for name, value in found.items() if value is not None}
