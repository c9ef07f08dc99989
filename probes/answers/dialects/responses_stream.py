"""OpenAI Responses answers: the events of a stream, or one whole response, into a transcript.

Closing events repeat what deltas said before. What they tell counts only where no delta told it,
as it is with gateways that hold everything back.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from probes.answers.dialects.interpreter import Interpreter
from probes.answers.dialects.other_output import add_other, other_output
from probes.answers.dialects.transcript import LONGEST_ID, LONGEST_REASON
from probes.answers.dialects.usage import read_timing, read_timings_usage, read_usage
from probes.answers.error_body import ErrorBody, error_in, error_of
from probes.answers.lenient import count, decode_any, given_to_call, mapping, string
from probes.answers.progress import NOTHING, Progress, joined

Channel: TypeAlias = Literal["text", "reasoning", "refusal", "call"]
"""Where words belong: the answer, the thinking, a refusal, what a tool is called with."""
Place: TypeAlias = tuple[str, int | str, int | None]
"""A channel, the output item by index or id, and the part of it where it has parts."""

_TELLS: Final[Mapping[str, Channel]] = {
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
_CLOSING: Final = ("text", "refusal", "arguments", "input", "code", "command", "transcript")
"""The keys under which a `.done` repeats all of its words."""
_ENDINGS: Final[Mapping[str, str]] = {
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
_MOST_PLACES: Final = 4096
"""Places that are remembered: a hostile stream could name a new one in each event."""
_MOST_ITEMS: Final = 64
_SPOKEN: Final[tuple[Channel, ...]] = ("reasoning", "text", "refusal")
"""The channels in the order in which they are spoken."""
_RUNNING: Final = ("queued", "in_progress")
"""Statuses of a response that goes on in the background."""
_GROWING: Final = ("delta", "partial")
"""How the last parts of the types begin of events that add something: `partial_image`."""
_SAYS_NOTHING: Final = ("message", "reasoning", "mcp_list_tools", "compaction")
"""Items that are read by their parts, or have no output in them."""


Usual: TypeAlias = Literal[
    "response.output_text.delta",
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
]


class UsualResponsesEvent(msgspec.Struct, gc=False):
    """An event that only adds words: the decoder itself refuses any other."""

    type: Usual
    delta: Annotated[str, Meta(min_length=1)]
    output_index: int | None = None
    item_id: str | None = None
    content_index: int | None = None
    summary_index: int | None = None
    response: None = None
    usage: None = None
    timings: None = None
    error: None = None


decode_usual: Final = msgspec.json.Decoder(UsualResponsesEvent).decode
"""Return an event that only adds words; raise `ValueError` or `RecursionError` for any other."""


class ResponsesInterpreter(Interpreter):
    """Reads one answer. All its messages are its text, in the order in which they came."""

    __slots__ = ("_heard", "_last", "_thinking")
    names = ("message", *get_args(Usual))

    def __init__(self) -> None:
        super().__init__()
        self._heard: set[Place] = set()
        """Where deltas, or a closing event in their stead, have told words."""
        self._last: tuple[object, ...] | None = None
        """What the last delta of words says of itself; None while there is none."""
        self._thinking = ""
        """Which of the two kinds of reasoning is kept: the first that came."""

    def words(self, payload: bytes | str) -> tuple[bool, str] | None:
        """Return what an event adds that only adds words to those that the last one added to.

        Nearly all are so.
        """
        try:
            event = decode_usual(payload)
        except (ValueError, RecursionError):
            return None
        here = (event.type, event.output_index, event.item_id)
        if (*here, event.content_index, event.summary_index) != self._last:
            return None
        return event.type != "response.output_text.delta", event.delta

    def whole(self, body: object) -> None:
        """Take a response that came as one JSON value; one that still runs is not over."""
        found = mapping(body)
        response = mapping(found.get("response")) or found
        transcript = self.transcript
        if response.get("object") != "response" and not isinstance(response.get("output"), list):
            transcript.error = error_in(body)
            transcript.malformed = "not_an_answer" if transcript.error is None else ""
            return
        transcript.began = True
        transcript.identify(response.get("id"))
        transcript.serve(response.get("model"))
        if response.get("status") in _RUNNING:
            self._rest(response)
            self._take_usage(response)
        else:
            self._end("completed", response, found)

    def _read(self, data: str, name: str) -> Progress:
        value = decode_any(data)
        event = mapping(value)
        kind = str(event.get("type") or name)
        if name == "error" or kind in ("error", "response.error"):
            self._fail(error_of(value))
            return NOTHING
        if not kind.startswith("response."):
            error = error_in(event)
            if error is not None:
                self._fail(error)
            return NOTHING
        return self._add_event(kind, event)

    def _is_ours(self, name: str) -> bool:
        return name == "message" or name.startswith("response.")

    def _fail(self, error: ErrorBody, *, counted: bool = False) -> None:
        """End the answer with an error; `counted` says that its usage came with it."""
        self.transcript.error = error
        self.transcript.usage_is_last = counted

    def _add_event(self, kind: str, event: Mapping[str, Any]) -> Progress:
        transcript = self.transcript
        transcript.began = True
        response = mapping(event.get("response"))
        if not response and event.get("object") == "response":
            response = event
        transcript.identify(response.get("id"))
        transcript.serve(response.get("model"))
        if kind in _ENDINGS:
            return self._end(_ENDINGS[kind], response, event)
        self._take_usage(response)
        stem, _, step = kind.rpartition(".")
        if stem.endswith("_part") and step != "delta":  # OpenRouter tells text as deltas of a part
            return self._add_part(event.get("part"), step, event)
        channel = _TELLS.get(stem)
        if channel is not None:
            return self._add_words(channel, stem, step, event)
        if stem == "response.output_item":
            return self._add_item(event, step)
        return self._add_other(kind, event) if step.startswith(_GROWING) else NOTHING

    def _add_other(self, name: str, part: object) -> Progress:
        """Take what an event or an item carries that is not known: audio, images, results."""
        other = other_output(part)
        if not other.found:
            self.transcript.carry([name[:LONGEST_REASON]])
        return add_other(self.transcript, other)

    def _add_words(
        self, channel: Channel, stem: str, step: str, event: Mapping[str, Any]
    ) -> Progress:
        place = place_of(channel, event)
        read = given_to_call if channel == "call" else words_of
        if step == "done":
            words = next(filter(None, (read(event.get(key)) for key in _CLOSING)), "")
            return self._close(channel, place, words)
        words = read(event.get("delta")) if step == "delta" else ""
        if not words or (channel == "reasoning" and not self._is_kept(stem)):
            return NOTHING
        self._mark(place)
        if channel in ("text", "reasoning"):
            names = ("type", "output_index", "item_id", "content_index", "summary_index")
            self._last = tuple(map(event.get, names))
        return self._add(channel, place, words)

    def _is_kept(self, stem: str) -> bool:
        """Whether this kind of reasoning is kept: its own words and their summary never both."""
        self._thinking = self._thinking or stem
        return stem == self._thinking

    def _add_part(self, part: object, step: str, event: Mapping[str, Any]) -> Progress:
        """Take a part of an item: what it begins with is said, what it ends with is repeated."""
        piece = piece_of(part)
        if piece is None:
            known = channel_of(part) is not None
            return NOTHING if known else self._add_other(str(mapping(part).get("type")), part)
        channel, words = piece
        place = place_of(channel, event)
        if step == "done":
            return self._close(channel, place, words)
        self._mark(place)
        return self._add(channel, place, words)

    def _add_item(self, event: Mapping[str, Any], step: str) -> Progress:
        """Take an output item; of one that begins only the name of a call is told already."""
        item = mapping(event.get("item"))
        _, index, _ = place_of("", event)
        call = call_of(item)
        if call is not None:
            name, words = call
            return self._add_call(index, name, words if step == "done" else "")
        if step != "done":
            return NOTHING
        added = self._add_parts(index, item)
        kind = str(item.get("type"))
        if added is NOTHING and kind not in _SAYS_NOTHING:
            return self._add_other(kind, item)
        return added

    def _add_parts(self, index: int | str, item: Mapping[str, Any]) -> Progress:
        added: list[Progress] = []
        for number, piece in enumerate(map(piece_of, parts_of(item))):
            if piece is not None:
                channel, words = piece
                added.append(self._close(channel, (channel, index, number), words))
        return joined(added)

    def _add_call(self, index: int | str, name: str, words: str) -> Progress:
        added: list[Progress] = []
        called: Place = ("name", index, None)
        if name and called not in self._heard:
            self._mark(called)
            added.append(self._add("call", called, name))
        added.append(self._close("call", ("call", index, None), words))
        return joined(added)

    def _mark(self, place: Place) -> None:
        """Remember where words came, of absurdly many places the first ones."""
        if len(self._heard) < _MOST_PLACES:
            self._heard.add(place)

    def _close(self, channel: Channel, place: Place, words: str) -> Progress:
        """Take words that may repeat deltas, be it under another index or id than theirs."""
        if not words or place in self._heard:
            return NOTHING
        if channel != "call" and _ends_with(self._kept(channel), words):
            return NOTHING
        self._mark(place)
        return self._add(channel, place, words)

    def _kept(self, channel: Channel) -> list[str]:
        transcript = self.transcript
        if channel == "text":
            return transcript.text
        return transcript.reasoning if channel == "reasoning" else transcript.refusal

    def _add(self, channel: Channel, place: Place, words: str) -> Progress:
        transcript = self.transcript
        if channel == "text":
            return transcript.add(text=words)
        if channel == "reasoning":
            return transcript.add(reasoning=words)
        if channel == "refusal":
            return transcript.add(refusal=words)
        named, index, _ = place
        slot, identity = (index, "") if isinstance(index, int) else (None, index)
        name, given = (words, "") if named == "name" else ("", words)
        transcript.tool_calls.add(slot, identity, name, given)
        return transcript.add(called=len(words))

    def _end(self, status: str, response: Mapping[str, Any], event: Mapping[str, Any]) -> Progress:
        """Take the end of a response; what it says of itself outweighs an event's `completed`."""
        transcript = self.transcript
        had_output = transcript.output
        rest = self._rest(response)
        counted = self._take_usage(response, first=transcript.output and not had_output)
        self._time(event, response)
        own = response.get("status")
        if status == "completed" and own in _ENDINGS.values():
            status = str(own)
        error = response.get("error") or event.get("error")
        if status == "failed" or error:
            self._fail(error_of({"error": error}), counted=counted)
            return rest
        reason = _reason(response) if status == "incomplete" else status
        transcript.finish_reason = reason[:LONGEST_REASON]
        transcript.finished = transcript.done = True
        return rest

    def _rest(self, response: Mapping[str, Any]) -> Progress:
        """Take what a response repeats and nothing told before; that was held back to its end."""
        output = response.get("output")
        items = [mapping(item) for item in output] if isinstance(output, list) else []
        pieces = [piece for item in items for part in parts_of(item) if (piece := piece_of(part))]
        added: list[Progress] = []
        for channel in _SPOKEN:
            whole = "".join(words for its, words in pieces if its == channel)
            known = "".join(self._kept(channel))
            if len(whole) > len(known) and whole.startswith(known):
                added.append(self._add(channel, (channel, "", None), whole[len(known) :]))
        if not self.transcript.tool_calls.whole():
            for number, call in enumerate(map(call_of, items)):
                if call is not None:
                    added.append(self._add_call(number, *call))
        if not self.transcript.output:
            added += [self._add_other_parts(item) for item in items[:_MOST_ITEMS]]
        rest = joined(added)
        # A gateway held it back to the end: when its first token came is not known.
        return rest if rest is NOTHING else msgspec.structs.replace(rest, kind="buffered")

    def _add_other_parts(self, item: Mapping[str, Any]) -> Progress:
        """Take what is no words in an item of a response without any."""
        kind = str(item.get("type"))
        if kind not in _SAYS_NOTHING:
            return self._add_other(kind, item)
        parts = parts_of(item)[:_MOST_ITEMS] if kind == "message" else []
        unknown = [part for part in parts if channel_of(part) is None]
        taken = [self._add_other(str(mapping(part).get("type")), part) for part in unknown]
        self.transcript.carry([kind])
        return joined(taken)

    def _take_usage(self, response: Mapping[str, Any], *, first: bool = False) -> bool:
        """Return whether there was one. Counts are totals: the last one counts."""
        given = response.get("usage")
        usage = read_usage(given) if given else None
        if usage is None:
            return False
        transcript = self.transcript
        transcript.add_usage(usage)
        transcript.usage_is_last = True
        if first:
            transcript.first_chunk_tokens = usage.output_tokens or None
        return True

    def _time(self, *places: Mapping[str, Any]) -> None:
        """Note llama.cpp's own timings, which stand beside the response."""
        transcript = self.transcript
        for place in places:
            timings = place.get("timings")
            transcript.timings = read_timings_usage(timings) or transcript.timings
            transcript.server_timing |= read_timing(None, timings, None)


def _reason(response: Mapping[str, Any]) -> str:
    """Return why a response is incomplete."""
    details = response.get("incomplete_details")
    reason = details if isinstance(details, str) else mapping(details).get("reason")
    return string(reason) or "incomplete"


def _ends_with(pieces: Sequence[str], words: str) -> bool:
    """Whether words are the last of those said; costs no more than they are long."""
    left = words
    for piece in reversed(pieces):
        tail = piece[-len(left) :]
        if not left.endswith(tail):
            return False
        left = left[: len(left) - len(tail)]
        if not left:
            return True
    return False


def place_of(channel: str, event: Mapping[str, Any]) -> Place:
    """Return where an event's words belong; a call is one whole, whatever its parts."""
    index = count(event.get("output_index"))
    name = event.get("item_id") or mapping(event.get("item")).get("id")
    item = index if index is not None else str(name or "")[:LONGEST_ID]
    if channel == "call":
        return channel, item, None
    part = count(event.get("content_index"))
    return channel, item, count(event.get("summary_index")) if part is None else part


def words_of(value: object) -> str:
    """Return the words of a string or of an object with a text; empty for anything else."""
    return value if isinstance(value, str) else string(mapping(value).get("text"))


def piece_of(part: object) -> tuple[Channel, str] | None:
    """Return the words of a content or summary part, and where they belong; None without any."""
    found, channel = mapping(part), channel_of(part)
    if channel is None:
        return None
    words = string(found.get("refusal" if channel == "refusal" else "text"))
    return (channel, words) if words else None


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
    given = (given_to_call(item.get(key)) for key in ("arguments", "input", "code"))
    words = next(filter(None, given), "")
    if not isinstance(item.get("name"), str) and not words:
        return None
    return string(item.get("name")), words
