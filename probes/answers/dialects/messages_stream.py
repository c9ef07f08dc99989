"""Messages answers: the events of a stream, or one whole message, into a transcript.

An answer is over with `message_stop`, and also with the stop reason of a `message_delta`: gateways
that translate to this dialect leave the last event out, and what a stop reason ends is as whole as
a chat answer with a finish reason and without `[DONE]`. Output that follows takes a stop reason
back. A block that stops ends nothing, nor does `[DONE]`, which some servers write here too, after
errors as well.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from probes.answers.dialects.base import NOTHING, Delta, Transcript, Usage, join_deltas
from probes.answers.dialects.messages_event import (
    Piece,
    TextDelta,
    decode_event,
    decode_usual,
    kind_of,
    piece_of,
    string,
)
from probes.answers.dialects.messages_usage import (
    InputCounts,
    bedrock_timing,
    bedrock_usage,
    read_message_usage,
)
from probes.answers.dialects.numbers import count, mapping
from probes.answers.dialects.other_output import OtherOutput, other_output, take_other
from probes.answers.error_body import LONGEST_MESSAGE, ErrorBody, error_in, error_of
from probes.answers.sse import ServerSentEvent
from probes.events import TtftKind

_LONGEST_ID: Final = 200
_LONGEST_REASON: Final = 80
_MOST_BLOCKS: Final = 1024
_USUAL_NAMES: Final = ("content_block_delta", "message")
_BEDROCK: Final = "amazon-bedrock-invocationMetrics"


class MessagesInterpreter:
    """Reads one answer."""

    __slots__ = ("_counts", "_flows", "_whole_call", "transcript")

    def __init__(self) -> None:
        self.transcript = Transcript()
        self._counts = InputCounts()
        self._flows = False
        """There is output, and nothing that ends it."""
        self._whole_call: int | None = None
        """Block of the call that began with its whole input: pieces after it only repeat it."""

    def event(self, event: ServerSentEvent) -> Delta:
        """Take one event. Nothing after `message_stop`, an error or broken JSON counts."""
        delta = self.usual(event.data) if event.event in _USUAL_NAMES else None
        if delta is None:
            delta = self._event(event)
            self._flows = self.transcript.flows
        return delta

    def _event(self, event: ServerSentEvent) -> Delta:
        told = self.transcript
        if told.done or told.error is not None:
            return NOTHING
        if told.malformed:
            told.ignored.add(event.data)
            return NOTHING
        is_error = event.event == "error"
        data = event.data
        if not data.startswith("{"):
            data = data.strip()
            if data == "[DONE]":
                return NOTHING
            if not (is_error and data) and told.pass_over(data):
                return NOTHING
        try:
            body = decode_event(data)
        except ValueError:
            self._broken(event)
            return NOTHING
        if body is None:
            told.error = error_of(data) if is_error else None
            return NOTHING
        return self._take(body, "" if event.event == "message" else event.event)

    def usual(self, payload: bytes | str) -> Delta | None:
        """Take an event that only adds words, once there is output; None for any other."""
        if not self._flows:
            return None
        try:
            delta = decode_usual(payload).delta
        except (ValueError, RecursionError):
            return None
        told = self.transcript
        if isinstance(delta, TextDelta):
            text = delta.text
            if not text:
                return None
            told.usage_is_last = False
            told.text.append(text)
            return Delta("content", True, len(text), text)
        thinking = delta.thinking
        if not thinking:
            return None
        told.usage_is_last = False
        told.reasoned = True
        told.reasoning.append(thinking)
        return Delta("reasoning", False, len(thinking), "", thinking)

    def whole(self, body: object) -> None:
        """Take an answer that came as one JSON value."""
        told, message = self.transcript, mapping(body)
        kind = kind_of(message, "")
        told.error = _error_in(message, kind)
        if kind == "message" or (message.get("role") and message.get("content") is not None):
            self._take_message(message, begins=False)
            self._take_stop(message)
        else:
            told.error = told.error or error_in(body)
            told.malformed = "" if told.error else "not_an_answer"
        told.done = True

    def _broken(self, event: ServerSentEvent) -> None:
        """Broken JSON ends the reading; after a finish that stands, or in an event unknown, not."""
        told = self.transcript
        if event.event == "error":
            told.error = ErrorBody(message=event.data.strip()[:LONGEST_MESSAGE])
        elif not told.closed and event.event in (*_TAKERS, "message"):
            told.break_off(event.data)
        else:
            told.ignored.add(event.data)

    def _take(self, body: Mapping[str, Any], named: str) -> Delta:
        kind = kind_of(body, named)
        self.transcript.error = error_of(body) if named == "error" else _error_in(body, kind)
        taker = _TAKERS.get(kind)
        if taker is None:
            return NOTHING
        self.transcript.began = True
        return taker(self, body)

    def _start(self, body: Mapping[str, Any]) -> Delta:
        return self._take_message(mapping(body.get("message")), begins=True)

    def _take_message(self, message: Mapping[str, Any], *, begins: bool) -> Delta:
        """Take a message: one that begins has no content yet, where servers keep to the rule."""
        told = self.transcript
        told.began = True
        told.response_id = told.response_id or string(message.get("id"))[:_LONGEST_ID] or None
        content = message.get("content")
        if isinstance(content, str):
            content = [{"text": content}]
        blocks = content if isinstance(content, list) else []
        deltas = [self._add(index, block) for index, block in enumerate(blocks[:_MOST_BLOCKS])]
        self._take_usage(message.get("usage"), begins=begins)
        return join_deltas([delta for delta in deltas if delta is not NOTHING])

    def _block(self, body: Mapping[str, Any]) -> Delta:
        return self._add(count(body.get("index")), body.get("content_block"))

    def _delta(self, body: Mapping[str, Any]) -> Delta:
        added = self._add(count(body.get("index")), body.get("delta"))
        self._take_usage(body.get("usage"), begins=False)
        return added

    def _add(self, index: int | None, part: object) -> Delta:
        """Return what a block or a delta adds; of a call its name is output too."""
        piece, told = piece_of(part), self.transcript
        told.reasoned = told.reasoned or piece.reasoned
        called = len(piece.name) + len(piece.arguments)
        if not (piece.text or piece.thinking or called):
            return self._add_other(part, piece)
        self._output()
        told.other_output = told.other_output or bool(called)
        if piece.text:
            told.text.append(piece.text)
        if piece.thinking:
            told.reasoning.append(piece.thinking)
        if called:
            self._call(index, piece)
        return Delta(
            kind=_output_kind(piece),
            answer=bool(piece.text or called),
            characters=len(piece.text) + len(piece.thinking) + called,
            text=piece.text,
            reasoning=piece.thinking,
        )

    def _add_other(self, part: object, piece: Piece) -> Delta:
        """Take what a block or a delta carries under names that are not known: images, results."""
        other = OtherOutput() if piece.reasoned else other_output(part)
        if other.found:
            self._output()
        else:
            self.transcript.carry([string(mapping(part).get("type")) or "a block"])
        return take_other(self.transcript, other)

    def _output(self) -> None:
        """Note that there is output: a stop reason before it did not end the answer."""
        told = self.transcript
        told.output, told.usage_is_last = True, False
        told.take_back()

    def _call(self, index: int | None, piece: Piece) -> None:
        if piece.name:
            self._whole_call = index if piece.arguments else None
        elif index is not None and index == self._whole_call:
            return
        self.transcript.tool_calls.add(index, piece.call_id, piece.name, piece.arguments)

    def _message_delta(self, body: Mapping[str, Any]) -> Delta:
        self._take_stop(mapping(body.get("delta")))
        self._take_usage(body.get("usage"), begins=False)
        return NOTHING

    def _take_stop(self, delta: Mapping[str, Any]) -> None:
        told, reason = self.transcript, delta.get("stop_reason") or delta.get("stopReason")
        if not reason:
            return
        told.finish_reason = str(reason)[:_LONGEST_REASON]
        told.finished = True
        explanation = string(mapping(delta.get("stop_details")).get("explanation"))
        if reason == "refusal" and explanation:
            told.refusal.append(explanation)
        if reason == "error" and told.error is None:
            told.error = error_of(delta)

    def _stop(self, body: Mapping[str, Any]) -> Delta:
        told = self.transcript
        self._take_usage(body.get("usage"), begins=False)
        metrics = mapping(body.get(_BEDROCK))
        told.timings = bedrock_usage(metrics)
        told.server_timing |= bedrock_timing(metrics)
        told.done = True
        return NOTHING

    def _take_usage(self, value: object, *, begins: bool) -> None:
        """Counts are totals so far: the last one counts, never their sum."""
        told = self.transcript
        spent = read_message_usage(value, self._counts, begins=begins) if value else None
        if spent is None:
            return
        told.usage = (told.usage or Usage()).updated(spent)
        told.usage_is_last = told.usage_is_last or spent.output_tokens is not None


_TAKERS: Final[dict[str, Callable[[MessagesInterpreter, Mapping[str, Any]], Delta]]] = {
    "message_start": MessagesInterpreter._start,
    "content_block_start": MessagesInterpreter._block,
    "content_block_delta": MessagesInterpreter._delta,
    "content_block_stop": lambda *_: NOTHING,
    "message_delta": MessagesInterpreter._message_delta,
    "message_stop": MessagesInterpreter._stop,
}


def _error_in(body: Mapping[str, Any], kind: str) -> ErrorBody | None:
    """Return the error of an event or a whole body; one may come bare, known by its type alone.

    What has another type is what it says, whatever else it tells; what has none is guessed at.
    """
    if kind == "error" or kind.endswith("_error") or kind == "request_too_large":
        return error_of(body)
    if kind:
        return error_of(body) if body.get("error") else None
    return error_in(body)


def _output_kind(piece: Piece) -> TtftKind:
    if piece.thinking:
        return "reasoning"
    return "content" if piece.text else "tool_call"
