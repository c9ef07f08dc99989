"""Chat Completions answers: the chunks of a stream, or one whole answer, into a transcript.

A finish reason counts for the output that came before it or beside it: what comes after takes it
back. Beside reasoning alone it counts only where it explains that no answer follows, such as the
cap: gateways write `stop` on every chunk of reasoning.
"""

from typing import Final

from probes.answers.dialects.base import NOTHING, Delta, Transcript, Usage, join_deltas
from probes.answers.dialects.calls import given_to_call
from probes.answers.dialects.chat_chunk import (
    Choice,
    Chunk,
    ChunkDelta,
    UsualDelta,
    choices_of,
    decode_any,
    decode_chunk,
    decode_usual,
    first_of,
    lenient_chunk,
)
from probes.answers.dialects.growth import Growth
from probes.answers.dialects.numbers import mapping
from probes.answers.dialects.other_output import other_output, take_other, words_in
from probes.answers.dialects.usage import read_cost, read_timing, read_timings_usage, read_usage
from probes.answers.error_body import LONGEST_MESSAGE, ErrorBody, error_in, error_of
from probes.answers.finish import explains_silence
from probes.answers.gateway import router_attempts
from probes.answers.sse import ServerSentEvent
from probes.events import TtftKind
from probes.kit.tolerant_json import value_or_none

_LONGEST_ID: Final = 200
_LONGEST_FINISH: Final = 80
_MOST_CHOICES: Final = 128
_MOST_DETAILS: Final = 1024
_UNSAID: Final = ("null", "NULL", "none", "None")
"""How some servers spell that there is no finish reason yet."""
_NO_WORDS: Final = UsualDelta()


class ChatInterpreter:
    """Reads one answer. Of several choices all are output, the first one's words are kept."""

    __slots__ = (
        *("_ended", "_flows", "_has_deltas", "_main", "_seen", "_strange", "_texts", "_thoughts"),
        "transcript",
    )

    def __init__(self) -> None:
        self.transcript = Transcript()
        self._flows = False
        """There is output, and nothing that ends it."""
        self._has_deltas = False
        self._strange = False
        """An object came that is neither a chunk nor an error."""
        self._texts = Growth()
        self._thoughts = Growth()
        self._main: int | None = None
        self._seen: set[int] = set()
        self._ended: set[int] = set()

    def event(self, event: ServerSentEvent) -> Delta:
        """Take one event. Nothing after `[DONE]`, an error or broken JSON counts."""
        delta = self.usual(event.data) if event.event == "message" else None
        if delta is None:
            delta = self._event(event)
            self._flows = self.transcript.flows
        return delta

    def _event(self, event: ServerSentEvent) -> Delta:
        told = self.transcript
        data = event.data
        if told.done or told.error is not None:
            return NOTHING
        if told.malformed:
            told.ignored.add(data)
            return NOTHING
        if not data.startswith("{"):
            data = data.strip()
            if data.strip('"').upper() == "[DONE]":
                self._end()
                return NOTHING
            if (event.event != "error" or not data) and told.pass_over(data):
                return NOTHING
        try:
            return self._chunk(data, is_error=event.event == "error")
        except ValueError:
            self._broken(event)
            return NOTHING

    def _chunk(self, data: str, *, is_error: bool) -> Delta:
        """Take the JSON of one event.

        Raises:
            ValueError: it is not JSON.
        """
        chunk = decode_chunk(data)
        if chunk is None:
            self.transcript.error = error_of(data) if is_error else None
            return NOTHING
        added, failed = self._take(chunk, data)
        certain = is_error or failed
        if certain or _is_unusual(chunk):
            self._take_error(chunk, first_of(value_or_none(data)), certain=certain)
        if chunk.choices is None and chunk.usage is None:
            self._strange = True
        return added

    def _end(self) -> None:
        """Take the end marker; it ends no answer where only strange objects came before it."""
        told = self.transcript
        told.done = True
        if self._strange and not told.began:
            told.malformed = "not_an_answer"

    def usual(self, payload: bytes | str) -> Delta | None:
        """Take an event that only adds words to the first choice, once there is output.

        Nine of ten are so, and most of an engine's time goes to them. None where it is anything
        else: it was not taken, and goes to `event`, which tells the same of any it could take.
        """
        if not self._flows:
            return None
        try:
            choice = decode_usual(payload).choices[0]
        except (ValueError, RecursionError):
            return None
        delta = choice.delta or _NO_WORDS
        text = delta.content or choice.text
        reasoning = delta.reasoning_content or delta.reasoning
        if choice.index != self._main or bool(text) == bool(reasoning):
            return None
        told = self.transcript
        told.usage_is_last = False
        told.counted = 0
        if text:
            told.text.append(text)
            return Delta("content", True, len(text), text)
        told.reasoning.append(reasoning or "")
        return Delta("reasoning", False, len(reasoning or ""), "", reasoning or "")

    def whole(self, body: object) -> None:
        """Take an answer that came as one JSON value."""
        chunk = lenient_chunk(mapping(body))
        _, failed = self._take(chunk, body)
        self._take_error(chunk, body, certain=failed)
        if self.transcript.error is None and (chunk.choices is None or _is_piece(chunk)):
            self.transcript.malformed = "not_an_answer"
        self.transcript.done = True

    def _broken(self, event: ServerSentEvent) -> None:
        """Broken JSON ends the reading; after a finish that stands it no longer matters."""
        told = self.transcript
        if event.event == "error":
            told.error = ErrorBody(message=event.data.strip()[:LONGEST_MESSAGE])
        elif event.event == "message" and not told.closed:
            told.break_off(event.data)

    def _take(self, chunk: Chunk, body: object) -> tuple[Delta, bool]:
        """Return what a chunk adds, and whether its finish reason is an error.

        `body` is what it was read from: its JSON, or its value.
        """
        told = self.transcript
        told.began = told.began or chunk.choices is not None
        if told.response_id is None and chunk.id:
            told.response_id = chunk.id[:_LONGEST_ID]
        had_output = told.output
        deltas: list[Delta] = []
        failed = False
        inner_usage: object = None
        raw = _RawChoices(body)
        for number, choice in enumerate((chunk.choices or ())[:_MOST_CHOICES]):
            delta = self._take_choice(choice, number, raw)
            failed = failed or choice.finish.lower() == "error"
            inner_usage = choice.usage or inner_usage
            chunk.error = chunk.error or choice.error
            if delta is not NOTHING:
                deltas.append(delta)
        added = join_deltas(deltas)
        first = added is not NOTHING and not had_output
        if added is not NOTHING:
            told.usage_is_last = False
            told.counted = 0
        self._take_usage(chunk, inner_usage, first=first)
        if chunk.timings is not None:
            self._take_timings(chunk, first=first)
        return added, failed

    def _take_choice(self, choice: Choice, number: int, raw: "_RawChoices") -> Delta:
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
        if source is None and choice.message is not None and not self._has_deltas:
            source = self._of_message(choice.message, main=main)
        if source is not None or choice.text:
            added = self._take_delta(source or ChunkDelta(), choice.text, main=main)
        if added is NOTHING:
            whole = choice.delta is None
            if source is not None and not (whole and self.transcript.output):
                part = raw.part(number, "message" if whole else "delta")
                added = take_other(self.transcript, other_output(part), main=main)
        if added is not NOTHING and choice.delta is not None:
            self._has_deltas = True
        self._take_finish(index, choice.finish, added, main=main)
        return added

    def _take_finish(self, index: int, reason: str, added: Delta, *, main: bool) -> None:
        """Take the finish of a choice, and take back what output followed."""
        told = self.transcript
        if added is not NOTHING:
            self._ended.discard(index)
            if main:
                told.take_back()
        if reason and reason not in _UNSAID:
            if added is NOTHING or added.answer or explains_silence(reason):
                self._ended.add(index)
            if main:
                told.finish_reason = reason[:_LONGEST_FINISH]
        told.finished = bool(self._ended) and len(self._seen) == len(self._ended)

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

    def _take_delta(self, delta: ChunkDelta, legacy: str | None, *, main: bool) -> Delta:
        text = delta.content or legacy or ""
        reasoning = delta.reasoning_content or delta.reasoning or delta.reasoning_text or ""
        if not reasoning and delta.reasoning_details:
            reasoning = _detailed_reasoning(delta.reasoning_details)
        refusal = delta.refusal or ""
        tools = 0
        if delta.tool_calls or delta.function_call:
            tools = self._take_tools(delta, main=main)
        if not (text or reasoning or refusal or tools):
            return NOTHING
        self._keep(text, reasoning, refusal, main=main)
        return Delta(
            kind=_kind(reasoning, text, refusal),
            answer=bool(text or refusal or tools),
            characters=len(text) + len(reasoning) + len(refusal) + tools,
            text=text if main else "",
            reasoning=reasoning if main else "",
        )

    def _keep(self, text: str, reasoning: str, refusal: str, *, main: bool) -> None:
        told = self.transcript
        told.output = True
        if not main:
            told.other_output = told.other_output or bool(text or refusal)
            return
        if text:
            told.text.append(text)
        if reasoning:
            told.reasoning.append(reasoning)
        if refusal:
            told.refusal.append(refusal)

    def _take_tools(self, delta: ChunkDelta, *, main: bool) -> int:
        """Return how many characters the calls' pieces have; an empty piece is no output."""
        pieces = delta.tool_calls if isinstance(delta.tool_calls, list) else [delta.tool_calls]
        if not delta.tool_calls:
            pieces = [{"index": 0, "function": delta.function_call}]
        size = 0
        for piece in map(mapping, pieces):
            function = mapping(piece.get("function"))
            name = _string(function.get("name"))
            arguments = given_to_call(function.get("arguments"))
            index = piece.get("index")
            if main and (name or arguments):
                slot = index if isinstance(index, int) else None
                self.transcript.tool_calls.add(slot, _string(piece.get("id")), name, arguments)
            size += len(name) + len(arguments)
        self.transcript.other_output = self.transcript.other_output or bool(size)
        return size

    def _take_usage(self, chunk: Chunk, inner: object, *, first: bool) -> None:
        """Counts are totals so far: the last one counts, never their sum."""
        if not (chunk.usage or chunk.x_groq or inner or _has_figures(chunk)):
            return
        groq = mapping(mapping(chunk.x_groq).get("usage"))
        self._time(_timing_of(chunk, groq or chunk.usage))
        self._take_identity(chunk)
        for value in (chunk.usage, groq, inner):
            usage = read_usage(value)
            if usage is not None:
                self._count(usage, from_groq=value is groq, first=first)
                break
        cost = read_cost({"cost": chunk.cost, "estimated_cost": chunk.estimated_cost})
        if cost is not None:
            self._update_usage(Usage(cost_usd=cost))

    def _take_identity(self, chunk: Chunk) -> None:
        """Note Groq's own request id, and the providers that OpenRouter says it has tried."""
        told = self.transcript
        request_id = _string(mapping(chunk.x_groq).get("id"))
        if request_id:
            told.request_id = request_id[:_LONGEST_ID]
        if chunk.openrouter_metadata is not None:
            told.further_tries = router_attempts(mapping(chunk.openrouter_metadata))

    def _count(self, usage: Usage, *, from_groq: bool, first: bool) -> None:
        told = self.transcript
        self._update_usage(usage)
        told.usage_source = "x_groq.usage" if from_groq else "usage"
        told.usage_is_last = True
        told.counted = usage.output_tokens or 0
        if first:
            told.first_chunk_tokens = usage.output_tokens or None

    def _update_usage(self, usage: Usage) -> None:
        earlier = self.transcript.usage
        self.transcript.usage = earlier.updated(usage) if earlier else usage

    def _take_timings(self, chunk: Chunk, *, first: bool) -> None:
        """Read llama.cpp's timings; with `timings_per_token` they count while streaming."""
        told = self.transcript
        self._time(read_timing(None, chunk.timings, None))
        timings = read_timings_usage(chunk.timings)
        if timings is None:
            return
        told.timings = timings
        told.counted = told.counted or timings.output_tokens or 0
        if first and told.first_chunk_tokens is None:
            told.first_chunk_tokens = timings.output_tokens or None

    def _time(self, found: dict[str, float]) -> None:
        """Note a server's own timings; their names are its own too."""
        known = self.transcript.server_timing
        known |= {name: value for name, value in found.items() if name in known or len(known) < 32}

    def _take_error(self, chunk: Chunk, body: object, *, certain: bool) -> None:
        groq = mapping(chunk.x_groq).get("error")
        error = error_in(body) or (error_of(groq) if groq else None)
        if error is None:  # a choice's own
            error = error_in({"error": chunk.error})
        self.transcript.error = error_of(body) if error is None and certain else error
        if self.transcript.error is not None and chunk.usage is None:
            self.transcript.usage_is_last = False


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
            self._choices = choices_of(mapping(first_of(value))) or []
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
    """SGLang puts it into the choice."""
    if chunk.meta_info is not None or not chunk.choices:
        return chunk.meta_info
    return chunk.choices[0].meta_info


def _timing_of(chunk: Chunk, usage: object) -> dict[str, float]:
    objects = {
        "time_info": chunk.time_info,
        "meta_info": _meta_info(chunk),
        "inference_status": chunk.inference_status,
    }
    return read_timing(usage, None, chunk.perf_metrics or chunk.metrics, objects)


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


def _kind(reasoning: str, text: str, refusal: str) -> TtftKind:
    if reasoning:
        return "reasoning"
    if text:
        return "content"
    return "refusal" if refusal else "tool_call"


def _detailed_reasoning(details: object) -> str:
    """Return the text or summary of OpenRouter's `reasoning_details`; encrypted ones have none."""
    if not isinstance(details, list):
        return ""
    parts = [mapping(detail) for detail in details[:_MOST_DETAILS]]
    return "".join(words_in(part.get("text") or part.get("summary")) for part in parts)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
