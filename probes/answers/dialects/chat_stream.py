"""Chat Completions answers: the chunks of a stream, or one whole answer, into a transcript.

A finish reason counts for the output that came before it or beside it: what comes after takes it
back. Beside reasoning alone it counts only where it explains that no answer follows, such as the
cap: gateways write `stop` on every chunk of reasoning.
"""

from typing import Final

from probes.answers.dialects.chat_chunk import (
    Choice,
    Chunk,
    ChunkDelta,
    UsualDelta,
    decode_chunk,
    decode_usual,
)
from probes.answers.dialects.interpreter import Interpreter
from probes.answers.dialects.other_output import add_other, other_output, words_in
from probes.answers.dialects.transcript import LONGEST_ID, LONGEST_REASON, Usage
from probes.answers.dialects.usage import read_cost, read_timing, read_timings_usage, read_usage
from probes.answers.error_body import error_in, error_of
from probes.answers.finish_reason import explains_silence
from probes.answers.gateway import router_attempts
from probes.answers.lenient import (
    decode_any,
    first_of,
    given_to_call,
    lenient,
    listed,
    mapping,
    string,
)
from probes.answers.progress import NOTHING, Progress, joined
from probes.kit.tolerant_json import value_or_none

_MOST_CHOICES: Final = 128
"""As many as OpenAI lets a request ask for."""
_MOST_DETAILS: Final = 1024
"""Of a list of reasoning details, which a server could make as long as it likes."""
_MOST_TIMINGS: Final = 32
"""Names of timings that are kept: metrics bring names of the server's own choice."""
_UNSAID: Final = ("null", "NULL", "none", "None")
"""How some servers spell that there is no finish reason yet."""
_NO_WORDS: Final = UsualDelta()


class ChatInterpreter(Interpreter):
    """Reads one answer. Of several choices all are output, the first one's words are kept."""

    __slots__ = ("_ended", "_has_deltas", "_main", "_seen", "_strange", "_texts", "_thoughts")

    def __init__(self) -> None:
        super().__init__()
        self._has_deltas = False
        self._strange = False
        """An object came that is neither a chunk nor an error."""
        self._texts = Growth()
        self._thoughts = Growth()
        self._main: int | None = None
        self._seen: set[int] = set()
        self._ended: set[int] = set()

    def words(self, payload: bytes | str) -> tuple[bool, str] | None:
        """Return what a chunk adds that only adds words to the first choice."""
        try:
            choice = decode_usual(payload).choices[0]
        except (ValueError, RecursionError):
            return None
        delta = choice.delta or _NO_WORDS
        text = delta.content or choice.text
        reasoning = delta.reasoning_content or delta.reasoning
        if choice.index != self._main:
            return None
        if text:
            return None if reasoning else (False, text)
        return (True, reasoning) if reasoning else None

    def whole(self, body: object) -> None:
        """Take an answer that came as one JSON value."""
        chunk, transcript = lenient(Chunk, body), self.transcript
        _, failed = self._add_chunk(chunk, body)
        self._find_error(chunk, body, certain=failed)
        if transcript.error is None and (chunk.choices is None or _is_piece(chunk)):
            transcript.malformed = "not_an_answer"
        transcript.done = True

    def _read(self, data: str, name: str) -> Progress:
        chunk, is_error = decode_chunk(data), name == "error"
        if chunk is None:
            self.transcript.error = error_of(data) if is_error else None
            return NOTHING
        added, failed = self._add_chunk(chunk, data)
        certain = is_error or failed
        if certain or _is_unusual(chunk):
            self._find_error(chunk, first_of(value_or_none(data)), certain=certain)
        if chunk.choices is None and chunk.usage is None:
            self._strange = True
        return added

    def _marks_end(self, data: str) -> bool:
        """Take the end marker, however it is spelled.

        It ends no answer where only strange objects came before it.
        """
        if data.strip('"').upper() != "[DONE]":
            return False
        self.transcript.done = True
        if self._strange and not self.transcript.began:
            self.transcript.malformed = "not_an_answer"
        return True

    def _broken(self, data: str, name: str) -> None:
        """Broken JSON after a finish that stands, or of an event unknown, says nothing."""
        if name == "error" or (name == "message" and not self.transcript.closed):
            super()._broken(data, name)

    def _add_chunk(self, chunk: Chunk, body: object) -> tuple[Progress, bool]:
        """Return what a chunk adds, and whether its finish reason is an error.

        `body` is what it was read from: its JSON, or its value.
        """
        transcript = self.transcript
        transcript.began = transcript.began or chunk.choices is not None
        transcript.identify(chunk.id)
        transcript.serve(chunk.model, chunk.system_fingerprint)
        had_output = transcript.output
        parts: list[Progress] = []
        failed = False
        inner_usage: object = None
        raw = _RawChoices(body)
        for number, choice in enumerate((chunk.choices or ())[:_MOST_CHOICES]):
            parts.append(self._add_choice(choice, number, raw))
            failed = failed or choice.finish.lower() == "error"
            inner_usage = choice.usage or inner_usage
            chunk.error = chunk.error or choice.error
        added = joined(parts)
        first = added is not NOTHING and not had_output
        self._take_usage(chunk, inner_usage, first=first)
        if chunk.timings is not None:
            self._take_timings(chunk, first=first)
        return added, failed

    def _add_choice(self, choice: Choice, number: int, raw: "_RawChoices") -> Progress:
        index = choice.index or 0
        if index not in self._seen:
            if len(self._seen) >= _MOST_CHOICES:
                return NOTHING
            self._seen.add(index)
            if self._main is None:
                self._main = index
        main = index == self._main
        added = NOTHING
        source = choice.delta
        # Some stream whole messages, each longer than the last; after deltas one repeats them all.
        if source is None and choice.message is not None and not self._has_deltas:
            source = self._of_message(choice.message, main=main)
        if source is not None or choice.text:
            added = self._add_delta(source or ChunkDelta(), choice.text, main=main)
        if added is NOTHING:  # maybe an image, or whatever else has no name here
            whole = choice.delta is None
            if source is not None and not (whole and self.transcript.output):
                part = raw.part(number, "message" if whole else "delta")
                added = add_other(self.transcript, other_output(part), kept=main)
        if added is not NOTHING and choice.delta is not None:
            self._has_deltas = True
        self._take_finish(index, choice.finish, added, main=main)
        return added

    def _take_finish(self, index: int, reason: str, added: Progress, *, main: bool) -> None:
        """Take the finish of a choice, and take back what output followed."""
        transcript = self.transcript
        if added is not NOTHING:
            self._ended.discard(index)
            if main:
                transcript.take_back()
        if reason and reason not in _UNSAID:
            # Gateways write `stop` on every chunk of reasoning: beside it that is no end.
            if added is NOTHING or added.answer or explains_silence(reason):
                self._ended.add(index)
            if main:
                transcript.finish_reason = reason[:LONGEST_REASON]
        transcript.finished = bool(self._ended) and len(self._seen) == len(self._ended)

    def _of_message(self, message: ChunkDelta, *, main: bool) -> ChunkDelta:
        """Return what a message adds; after deltas it would only repeat them."""
        rest = ChunkDelta() if self.transcript.output else message
        if not main:
            return rest
        return ChunkDelta(
            content=self._texts.added(message.content or ""),
            reasoning=self._thoughts.added(message.reasoning_content or message.reasoning or ""),
            refusal=rest.refusal,
            reasoning_details=rest.reasoning_details,
            tool_calls=rest.tool_calls,
            function_call=rest.function_call,
        )

    def _add_delta(self, delta: ChunkDelta, legacy: str | None, *, main: bool) -> Progress:
        reasoning = delta.reasoning_content or delta.reasoning or delta.reasoning_text or ""
        if not reasoning and delta.reasoning_details:
            reasoning = _detailed_reasoning(delta.reasoning_details)
        called = 0
        if delta.tool_calls or delta.function_call:
            called = self._add_calls(delta, main=main)
        text = delta.content or legacy or ""
        return self.transcript.add(text, reasoning, delta.refusal or "", called, kept=main)

    def _add_calls(self, delta: ChunkDelta, *, main: bool) -> int:
        """Return how many characters the calls' pieces have; an empty piece is no output."""
        pieces = delta.tool_calls if isinstance(delta.tool_calls, list) else [delta.tool_calls]
        if not delta.tool_calls:  # the way before there were several calls
            pieces = [{"index": 0, "function": delta.function_call}]
        size = 0
        for piece in map(mapping, pieces):
            function = mapping(piece.get("function"))
            name = string(function.get("name"))
            arguments = given_to_call(function.get("arguments"))
            index = piece.get("index")
            if main and (name or arguments):
                slot = index if isinstance(index, int) else None
                self.transcript.tool_calls.add(slot, string(piece.get("id")), name, arguments)
            size += len(name) + len(arguments)
        return size

    def _take_usage(self, chunk: Chunk, inner: object, *, first: bool) -> None:
        """Take counts, costs, timings and ids, wherever a server puts them; `inner` is a choice's.

        `first` says that the chunk brought the first output.
        """
        if not (chunk.usage or chunk.x_groq or inner or _has_figures(chunk)):
            return
        transcript, groq = self.transcript, mapping(chunk.x_groq)
        groq_usage = mapping(groq.get("usage"))
        objects = {
            "time_info": chunk.time_info,
            "meta_info": _meta_info(chunk),
            "inference_status": chunk.inference_status,
        }
        metrics = chunk.perf_metrics or chunk.metrics
        self._time(read_timing(groq_usage or chunk.usage, None, metrics, objects))
        request_id = string(groq.get("id"))
        if request_id:  # Groq's support asks for this one, not for the chunk's `id`
            transcript.request_id = request_id[:LONGEST_ID]
        if chunk.openrouter_metadata is not None:
            transcript.further_tries = router_attempts(mapping(chunk.openrouter_metadata))
        for value in (chunk.usage, groq_usage, inner):
            usage = read_usage(value)
            if usage is not None:
                transcript.add_usage(usage)
                transcript.usage_source = "x_groq.usage" if value is groq_usage else "usage"
                transcript.usage_is_last = True
                transcript.counted = usage.output_tokens or 0
                if first:
                    transcript.first_chunk_tokens = usage.output_tokens or None
                break
        cost = read_cost({"cost": chunk.cost, "estimated_cost": chunk.estimated_cost})
        if cost is not None:
            transcript.add_usage(Usage(cost_usd=cost))

    def _take_timings(self, chunk: Chunk, *, first: bool) -> None:
        """Read llama.cpp's timings; with `timings_per_token` they count while streaming."""
        transcript = self.transcript
        self._time(read_timing(None, chunk.timings, None))
        timings = read_timings_usage(chunk.timings)
        if timings is None:
            return
        transcript.timings = timings
        transcript.counted = transcript.counted or timings.output_tokens or 0
        if first and transcript.first_chunk_tokens is None:
            transcript.first_chunk_tokens = timings.output_tokens or None

    def _time(self, found: dict[str, float]) -> None:
        """Note a server's own timings; their names are its own too, so they are bounded."""
        known = self.transcript.server_timing
        room = len(known) < _MOST_TIMINGS
        known |= {name: value for name, value in found.items() if name in known or room}

    def _find_error(self, chunk: Chunk, body: object, *, certain: bool) -> None:
        groq = mapping(chunk.x_groq).get("error")
        error = error_in(body) or (error_of(groq) if groq else None)
        if error is None:  # a choice's own: OpenRouter's, of the provider behind it
            error = error_in({"error": chunk.error})
        self.transcript.error = error_of(body) if error is None and certain else error
        if self.transcript.error is not None and chunk.usage is None:
            self.transcript.usage_is_last = False


class Growth:
    """Tells what each text adds: all of it, or only its end where it begins with the one before.

    A text that does not begin so shows that these are pieces, and pieces they stay. The work is
    linear in the texts.
    """

    __slots__ = ("_before", "_grows")

    def __init__(self) -> None:
        self._before = ""
        self._grows = True

    def added(self, text: str) -> str:
        """Return what is new in `text`; an empty one adds nothing and is no sign of pieces."""
        if not text or not self._grows:
            return text
        self._grows = text.startswith(self._before)
        known = len(self._before) if self._grows else 0
        self._before = text
        return text[known:]


class _RawChoices:
    """The choices of a chunk as they came, decoded only where they are looked into."""

    __slots__ = ("_body", "_choices")

    def __init__(self, body: object) -> None:
        self._body = body
        self._choices: list[object] | None = None

    def part(self, number: int, name: str) -> object:
        """Return a part of a choice by its name."""
        if self._choices is None:
            value = decode_any(self._body) if isinstance(self._body, str) else self._body
            self._choices = listed(mapping(first_of(value)).get("choices")) or []
        choice = self._choices[number] if number < len(self._choices) else None
        return mapping(choice).get(name)


def _has_figures(chunk: Chunk) -> bool:
    given = (
        chunk.perf_metrics,
        chunk.metrics,
        chunk.time_info,
        _meta_info(chunk),
        chunk.inference_status,
        chunk.openrouter_metadata,
        chunk.cost,
        chunk.estimated_cost,
    )
    return any(value is not None for value in given)


def _meta_info(chunk: Chunk) -> object:
    if chunk.meta_info is not None or not chunk.choices:
        return chunk.meta_info
    return chunk.choices[0].meta_info  # where SGLang puts it


def _is_unusual(chunk: Chunk) -> bool:
    """Whether a chunk may carry an error; decided without decoding it a second time."""
    if chunk.error or chunk.object == "error" or chunk.type == "error":
        return True
    if chunk.x_groq is not None and mapping(chunk.x_groq).get("error"):
        return True
    return not chunk.choices and chunk.usage is None


def _is_piece(chunk: Chunk) -> bool:
    """Whether a body that should hold a whole answer holds a chunk of a stream."""
    choices = chunk.choices or ()
    return any(
        choice.delta is not None and choice.message is None and not choice.finish
        for choice in choices
    )


def _detailed_reasoning(details: object) -> str:
    """Return the text or summary of OpenRouter's `reasoning_details`; encrypted ones have none."""
    if not isinstance(details, list):
        return ""
    parts = [mapping(detail) for detail in details[:_MOST_DETAILS]]
    return "".join(words_in(part.get("text") or part.get("summary")) for part in parts)
