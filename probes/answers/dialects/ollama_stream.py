"""Ollama's answers: the lines of a stream, or one whole answer, into a transcript."""

from collections.abc import Mapping
from typing import Any, Final

from probes.answers.dialects.base import NOTHING, Delta, Transcript, Usage
from probes.answers.dialects.calls import given_to_call
from probes.answers.dialects.numbers import count, mapping, quantity
from probes.answers.dialects.ollama_line import Line, decode_line, decode_usual, lenient_line
from probes.answers.dialects.other_output import other_output, take_other
from probes.answers.error_body import error_in
from probes.answers.sse import ServerSentEvent
from probes.events import TtftKind
from probes.kit.tolerant_json import value_or_none

_LONGEST_FINISH: Final = 80
_MEDIA: Final = ("image", "images", "audio", "video")
"""What `/api/generate` tells beside the message that it has not."""


class OllamaInterpreter:
    """Reads one answer, which is over with the line that says `done`."""

    __slots__ = ("_flows", "transcript")

    def __init__(self) -> None:
        self.transcript = Transcript()
        self._flows = False
        """There is output, and nothing that ends it."""

    def event(self, event: ServerSentEvent) -> Delta:
        """Take one line. Nothing after `done`, an error or broken JSON counts."""
        delta = self.usual(event.data)
        if delta is None:
            delta = self._line(event.data)
            self._flows = self.transcript.flows
        return delta

    def usual(self, payload: bytes | str) -> Delta | None:
        """Take a line that only adds words, once there is output; None where it is any other."""
        if not self._flows:
            return None
        try:
            line = decode_usual(payload)
        except (ValueError, RecursionError):
            return None
        text, reasoning = line.message.content, line.message.thinking
        if line.done or bool(text) == bool(reasoning):
            return None
        told = self.transcript
        told.usage_is_last = False
        if text:
            told.text.append(text)
            return Delta("content", True, len(text), text)
        told.reasoning.append(reasoning or "")
        return Delta("reasoning", False, len(reasoning or ""), "", reasoning or "")

    def whole(self, body: object) -> None:
        """Take an answer that came as one JSON value; only `done: false` says it is not whole."""
        line = lenient_line(mapping(body))
        self._take(line, body)
        told = self.transcript
        if told.error is None and not told.began:
            told.malformed = "not_an_answer"
        if line.done is not False:
            told.done = told.finished = True

    def _line(self, data: str) -> Delta:
        told = self.transcript
        if told.terminal:
            if told.malformed:
                told.ignored.add(data)
            return NOTHING
        if not data.startswith("{") and told.pass_over(data):
            return NOTHING
        try:
            line = decode_line(data)
        except ValueError:
            told.break_off(data)
            return NOTHING
        if line is None:
            return NOTHING
        is_odd = line.error or not _has_words(line)
        return self._take(line, value_or_none(data) if is_odd else None)

    def _take(self, line: Line, body: object) -> Delta:
        """Take a line; `body` is its value where it has no words or may be an error."""
        told = self.transcript
        told.error = error_in(body) if line.error or not _is_answer(line) else None
        told.began = told.began or _is_answer(line)
        had_output = told.output
        added = self._add(line)
        if added is NOTHING and body is not None:
            added = self._add_other(mapping(body))
        self._count(line)
        if line.done:
            told.done = told.finished = True
            told.finish_reason = (line.done_reason or "")[:_LONGEST_FINISH] or None
        # A line that begins and ends the output is a whole answer: nothing of it came early.
        return NOTHING if line.done and not had_output else added

    def _add(self, line: Line) -> Delta:
        told, message = self.transcript, line.message
        text = (message and message.content) or line.response or ""
        reasoning = (message and message.thought) or line.thinking or ""
        tools = self._add_calls(message.tool_calls) if message and message.tool_calls else 0
        if not (text or reasoning or tools):
            return NOTHING
        told.output = True
        told.usage_is_last = False
        if text:
            told.text.append(text)
        if reasoning:
            told.reasoning.append(reasoning)
        size = len(text) + len(reasoning) + tools
        return Delta(_kind(reasoning, text), bool(text or tools), size, text, reasoning)

    def _add_other(self, body: Mapping[str, Any]) -> Delta:
        """Take what a line carries under names that are not known: images, audio."""
        told, message = self.transcript, other_output(body.get("message"))
        media = other_output({key: body[key] for key in _MEDIA if key in body})
        if message.found or media.found:
            told.usage_is_last = False
        return take_other(told, media if media.found else message)

    def _add_calls(self, calls: object) -> int:
        """Return how many characters the calls have, each of which comes whole."""
        size = 0
        for call in calls if isinstance(calls, list) else [calls]:
            function = mapping(mapping(call).get("function"))
            name, arguments = function.get("name"), given_to_call(function.get("arguments"))
            if isinstance(name, str) and name:
                self.transcript.tool_calls.add(None, "", name, arguments)
                size += len(name) + len(arguments)
        self.transcript.other_output = self.transcript.other_output or bool(size)
        return size

    def _count(self, line: Line) -> None:
        """Read counts and durations, which come with the last line; counts are totals so far.

        Ollama leaves out what is zero: a zero is written by what does not measure.
        """
        told = self.transcript
        usage = Usage(
            input_tokens=count(line.prompt_eval_count), output_tokens=count(line.eval_count)
        )
        if usage.input_tokens or usage.output_tokens:
            told.usage = told.usage.updated(usage) if told.usage else usage
            told.usage_is_last = True
        times = {
            "load_ns": quantity(line.load_duration),
            "prompt_ns": quantity(line.prompt_eval_duration),
            "eval_ns": quantity(line.eval_duration),
        }
        told.server_timing |= {name: ns for name, ns in times.items() if ns}


def _has_words(line: Line) -> bool:
    message = line.message
    if message is not None and (message.content or message.thought):
        return True
    return bool(line.response or line.thinking)


def _is_answer(line: Line) -> bool:
    return line.message is not None or line.response is not None or line.done is not None


def _kind(reasoning: str, text: str) -> TtftKind:
    if reasoning:
        return "reasoning"
    return "content" if text else "tool_call"
