"""Ollama's answers: the lines of a stream, or one whole answer, into a transcript.

A whole answer has the keys of a line. Lines of `/api/generate`, which have `response` in the place
of `message`, are read too.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from probes.answers.dialects.interpreter import Interpreter
from probes.answers.dialects.other_output import add_other, other_output
from probes.answers.dialects.transcript import LONGEST_REASON, Usage
from probes.answers.error_body import error_in
from probes.answers.lenient import (
    Nothing,
    count,
    decoder_of,
    given_to_call,
    lenient,
    mapping,
    quantity,
    read_by,
    string,
)
from probes.answers.progress import NOTHING, Progress
from probes.kit.tolerant_json import value_or_none

_MEDIA: Final = ("image", "images", "audio", "video")
"""What `/api/generate` tells beside the message that it has not."""


def _words(value: object) -> str | None:
    """Return a text, or the texts of a list of parts."""
    if isinstance(value, list):
        return "".join(string(mapping(part).get("text")) for part in value)
    return value if isinstance(value, str) else None


def _reason(value: object) -> str | None:
    return None if value is None else str(value)


class LineMessage(msgspec.Struct, gc=False):
    """What a line adds to the answer."""

    content: Annotated[str | None, read_by(_words)] = None
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

    model: str | None = None
    message: LineMessage | None = None
    response: str | None = None
    thinking: str | None = None
    """Beside `response`; else it is the message's."""
    done: bool | None = None
    done_reason: Annotated[str | None, read_by(_reason)] = None
    prompt_eval_count: Any = None
    """Absent where the whole prompt was in the cache."""
    eval_count: Any = None
    load_duration: Any = None
    """In ns, as all durations."""
    prompt_eval_duration: Any = None
    eval_duration: Any = None
    error: Any = None


class UsualMessage(msgspec.Struct, gc=False):
    """A message of nothing but words."""

    content: str | None = None
    thinking: str | None = None
    reasoning_content: None = None
    reasoning: None = None
    tool_calls: Nothing = None


class UsualLine(msgspec.Struct, gc=False):
    """A line that only adds words, if it is not `done`: the decoder refuses most others."""

    message: UsualMessage
    done: bool = False
    response: None = None
    thinking: None = None
    prompt_eval_count: None = None
    eval_count: None = None
    error: None = None


decode_usual: Final = msgspec.json.Decoder(UsualLine).decode
"""Return a line that only adds words; raise `ValueError` or `RecursionError` for any other."""
decode_line: Final = decoder_of(Line)
"""Return a line; None for a JSON value that is no object; raise `ValueError` for no JSON."""


class OllamaInterpreter(Interpreter):
    """Reads one answer, which is over with the line that says `done`."""

    __slots__ = ()

    def words(self, payload: bytes | str) -> tuple[bool, str] | None:
        """Return what a line adds that only adds words."""
        try:
            line = decode_usual(payload)
        except (ValueError, RecursionError):
            return None
        text, reasoning = line.message.content, line.message.thinking
        if line.done:
            return None
        if text:
            return None if reasoning else (False, text)
        return (True, reasoning) if reasoning else None

    def whole(self, body: object) -> None:
        """Take an answer that came as one JSON value; only `done: false` says it is not whole."""
        line, transcript = lenient(Line, body), self.transcript
        self._add_line(line, body)
        if transcript.error is None and not transcript.began:
            transcript.malformed = "not_an_answer"
        if line.done is not False:
            transcript.done = transcript.finished = True

    def _read(self, data: str, name: str) -> Progress:  # noqa: ARG002 - lines have none
        line = decode_line(data)
        if line is None:
            return NOTHING
        is_odd = line.error or not _has_words(line)
        return self._add_line(line, value_or_none(data) if is_odd else None)

    def _marks_end(self, data: str) -> bool:  # noqa: ARG002 - no words do
        """A line does it, not OpenAI's marker, which is as strange here as any other word."""
        return False

    def _add_line(self, line: Line, body: object) -> Progress:
        """Take a line; `body` is its value where it has no words or may be an error."""
        transcript = self.transcript
        transcript.error = error_in(body) if line.error or not _is_answer(line) else None
        transcript.began = transcript.began or _is_answer(line)
        transcript.serve(line.model)
        had_output = transcript.output
        message = line.message or LineMessage()
        called = self._add_calls(message.tool_calls) if message.tool_calls else 0
        added = transcript.add(
            message.content or line.response or "",
            message.thought or line.thinking or "",
            called=called,
        )
        if added is NOTHING and body is not None:
            added = self._add_other(mapping(body))
        self._count(line)
        if line.done:
            transcript.done = transcript.finished = True
            transcript.finish_reason = (line.done_reason or "")[:LONGEST_REASON] or None
        # A line that begins and ends the output is a whole answer: nothing of it came early.
        return NOTHING if line.done and not had_output else added

    def _add_other(self, body: Mapping[str, Any]) -> Progress:
        """Take what a line carries under names that are not known: images, audio."""
        media = other_output({key: body[key] for key in _MEDIA if key in body})
        return add_other(
            self.transcript, media if media.found else other_output(body.get("message"))
        )

    def _add_calls(self, calls: object) -> int:
        """Return how many characters the calls have, each of which comes whole."""
        size = 0
        for call in calls if isinstance(calls, list) else [calls]:
            function = mapping(mapping(call).get("function"))
            name, arguments = function.get("name"), given_to_call(function.get("arguments"))
            if isinstance(name, str) and name:
                self.transcript.tool_calls.add(None, "", name, arguments)
                size += len(name) + len(arguments)
        return size

    def _count(self, line: Line) -> None:
        """Read counts and durations, which come with the last line.

        Ollama leaves out what is zero: a zero is written by what does not measure.
        """
        transcript = self.transcript
        usage = Usage(
            input_tokens=count(line.prompt_eval_count), output_tokens=count(line.eval_count)
        )
        if usage.input_tokens or usage.output_tokens:
            transcript.add_usage(usage)
            transcript.usage_is_last = True
        times = {
            "load_ns": quantity(line.load_duration),
            "prompt_ns": quantity(line.prompt_eval_duration),
            "eval_ns": quantity(line.eval_duration),
        }
        transcript.server_timing |= {name: ns for name, ns in times.items() if ns}


def _has_words(line: Line) -> bool:
    message = line.message
    if message is not None and (message.content or message.thought):
        return True
    return bool(line.response or line.thinking)


def _is_answer(line: Line) -> bool:
    return line.message is not None or line.response is not None or line.done is not None
