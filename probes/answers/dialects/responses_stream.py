"""OpenAI Responses answers: the events of a stream, or one whole response, into a transcript.

Closing events repeat what deltas said before. What they tell counts only where no delta told it,
as it is with gateways that hold everything back.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from probes.answers.dialects.base import NOTHING, Delta, Transcript, join_deltas
from probes.answers.dialects.calls import given_to_call
from probes.answers.dialects.numbers import mapping
from probes.answers.dialects.other_output import other_output, take_other
from probes.answers.dialects.responses_event import (
    CLOSING,
    ENDINGS,
    TELLS,
    Channel,
    Place,
    call_of,
    channel_of,
    decode_event,
    decode_usual,
    parts_of,
    piece_of,
    place_of,
    words_of,
)
from probes.answers.dialects.usage import read_timing, read_timings_usage, read_usage
from probes.answers.error_body import LONGEST_MESSAGE, ErrorBody, error_in, error_of
from probes.answers.sse import ServerSentEvent
from probes.events import TtftKind

_LONGEST_ID: Final = 200
_LONGEST_FINISH: Final = 80
_MOST_PLACES: Final = 4096
_MOST_ITEMS: Final = 64
_KINDS: Final[Mapping[Channel, TtftKind]] = {
    "text": "content",
    "reasoning": "reasoning",
    "refusal": "refusal",
    "call": "tool_call",
}
_SPOKEN: Final[tuple[Channel, ...]] = ("reasoning", "text", "refusal")
_RUNNING: Final = ("queued", "in_progress")
_GROWING: Final = ("delta", "partial")
"""How the last parts of the types begin of events that add something: `partial_image`."""
_SAYS_NOTHING: Final = ("message", "reasoning", "mcp_list_tools", "compaction")
"""Items that are read by their parts, or have no output in them."""


class ResponsesInterpreter:
    """Reads one answer. All its messages are its text, in the order in which they came."""

    __slots__ = ("_heard", "_last", "_thinking", "transcript")

    def __init__(self) -> None:
        self.transcript = Transcript()
        self._heard: set[Place] = set()
        """Where deltas, or a closing event in their stead, have told words."""
        self._last: tuple[object, ...] | None = None
        """What the last delta of words says of itself; None while there is none."""
        self._thinking = ""
        """Which of the two kinds of reasoning is kept: the first that came."""

    def event(self, event: ServerSentEvent) -> Delta:
        """Take one event. Nothing after the response's end, an error or broken JSON counts."""
        told = self.transcript
        if told.terminal:
            if told.malformed:
                told.ignored.add(event.data)
            return NOTHING
        added = self.usual(event.data)
        if added is not None:
            return added
        data = event.data.strip()
        if not data.startswith("{"):
            if data == "[DONE]":  # a gateway's: it ends no response
                return NOTHING
            if (event.event != "error" or not data) and told.pass_over(data):
                return NOTHING
        try:
            value = decode_event(data)
        except ValueError:
            self._broken(event.event, data)
            return NOTHING
        body = mapping(value)
        kind = body.get("type") or event.event
        if event.event == "error" or kind in ("error", "response.error"):
            self._fail(error_of(value))
            return NOTHING
        return self._take(str(kind), body)

    def usual(self, payload: bytes | str) -> Delta | None:
        """Take an event that only adds words to those that the last one added to.

        Nearly all are so. None where it is anything else: it was not taken, and goes to `event`,
        which tells the same of any it could take.
        """
        if self._last is None:
            return None
        try:
            event = decode_usual(payload)
        except (ValueError, RecursionError):
            return None
        here = (event.type, event.output_index, event.item_id)
        if (*here, event.content_index, event.summary_index) != self._last:
            return None
        told, words = self.transcript, event.delta
        told.usage_is_last = False
        if event.type == "response.output_text.delta":
            told.text.append(words)
            return Delta("content", True, len(words), words)
        told.reasoning.append(words)
        return Delta("reasoning", False, len(words), "", words)

    def whole(self, body: object) -> None:
        """Take a response that came as one JSON value; one that still runs is not over."""
        found = mapping(body)
        response = mapping(found.get("response")) or found
        told = self.transcript
        if response.get("object") != "response" and not isinstance(response.get("output"), list):
            told.error = error_in(body)
            told.malformed = "not_an_answer" if told.error is None else ""
            return
        told.began = True
        self._identify(response)
        if response.get("status") in _RUNNING:
            self._rest(response)
            self._take_usage(response)
        else:
            self._end("completed", response, found)

    def _broken(self, name: str, data: str) -> None:
        """Broken JSON ends the reading, but for events that are none of a response's."""
        if name == "error":
            self._fail(ErrorBody(message=data[:LONGEST_MESSAGE]))
        elif name == "message" or name.startswith("response."):
            self.transcript.break_off(data)
            self._last = None
        else:
            self.transcript.ignored.add(data)

    def _fail(self, error: ErrorBody, *, counted: bool = False) -> None:
        """End the answer with an error; `counted` says that its usage came with it."""
        told = self.transcript
        told.error = error
        told.usage_is_last = counted
        self._last = None

    def _take(self, kind: str, event: Mapping[str, Any]) -> Delta:
        told = self.transcript
        if not kind.startswith("response."):
            error = error_in(event)
            if error is not None:
                self._fail(error)
            return NOTHING
        told.began = True
        response = mapping(event.get("response"))
        if not response and event.get("object") == "response":
            response = event
        self._identify(response)
        if kind in ENDINGS:
            return self._end(ENDINGS[kind], response, event)
        self._take_usage(response)
        stem, _, step = kind.rpartition(".")
        if stem.endswith("_part") and step != "delta":  # OpenRouter tells text as deltas of a part
            return self._take_part(event.get("part"), step, event)
        channel = TELLS.get(stem)
        if channel is not None:
            return self._take_words(channel, stem, step, event)
        if stem == "response.output_item":
            return self._take_item(event, step)
        return self._take_other(kind, event) if step.startswith(_GROWING) else NOTHING

    def _take_other(self, name: str, part: object) -> Delta:
        """Take what an event or an item carries that is not known: audio, images, results."""
        told, other = self.transcript, other_output(part)
        if other.found:
            told.usage_is_last = False
        else:
            told.carry([name[:_LONGEST_FINISH]])
        return take_other(told, other)

    def _identify(self, response: Mapping[str, Any]) -> None:
        name = response.get("id")
        if self.transcript.response_id is None and isinstance(name, str) and name:
            self.transcript.response_id = name[:_LONGEST_ID]

    def _take_words(
        self, channel: Channel, stem: str, step: str, event: Mapping[str, Any]
    ) -> Delta:
        place = place_of(channel, event)
        read = given_to_call if channel == "call" else words_of
        if step == "done":
            words = next(filter(None, (read(event.get(key)) for key in CLOSING)), "")
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

    def _take_part(self, part: object, step: str, event: Mapping[str, Any]) -> Delta:
        """Take a part of an item: what it begins with is said, what it ends with is repeated."""
        piece = piece_of(part)
        if piece is None:
            known = channel_of(part) is not None
            return NOTHING if known else self._take_other(str(mapping(part).get("type")), part)
        channel, words = piece
        place = place_of(channel, event)
        if step == "done":
            return self._close(channel, place, words)
        self._mark(place)
        return self._add(channel, place, words)

    def _take_item(self, event: Mapping[str, Any], step: str) -> Delta:
        """Take an output item; of one that begins only the name of a call is told already."""
        item = mapping(event.get("item"))
        _, index, _ = place_of("", event)
        call = call_of(item)
        if call is not None:
            name, words = call
            return self._take_call(index, name, words if step == "done" else "")
        if step != "done":
            return NOTHING
        added = self._take_parts(index, item)
        kind = str(item.get("type"))
        if added is NOTHING and kind not in _SAYS_NOTHING:
            return self._take_other(kind, item)
        return added

    def _take_parts(self, index: int | str, item: Mapping[str, Any]) -> Delta:
        added: list[Delta] = []
        for number, piece in enumerate(map(piece_of, parts_of(item))):
            if piece is not None:
                channel, words = piece
                added.append(self._close(channel, (channel, index, number), words))
        return join_deltas([delta for delta in added if delta is not NOTHING])

    def _take_call(self, index: int | str, name: str, words: str) -> Delta:
        added: list[Delta] = []
        called: Place = ("name", index, None)
        if name and called not in self._heard:
            self._mark(called)
            added.append(self._add("call", called, name))
        added.append(self._close("call", ("call", index, None), words))
        return join_deltas([delta for delta in added if delta is not NOTHING])

    def _mark(self, place: Place) -> None:
        """Remember where words were told, of absurdly many places the first ones."""
        if len(self._heard) < _MOST_PLACES:
            self._heard.add(place)

    def _close(self, channel: Channel, place: Place, words: str) -> Delta:
        """Take words that may repeat deltas, be it under another index or id than theirs."""
        if not words or place in self._heard:
            return NOTHING
        if channel != "call" and _ends_with(self._kept(channel), words):
            return NOTHING
        self._mark(place)
        return self._add(channel, place, words)

    def _kept(self, channel: Channel) -> list[str]:
        told = self.transcript
        if channel == "text":
            return told.text
        return told.reasoning if channel == "reasoning" else told.refusal

    def _add(self, channel: Channel, place: Place, words: str) -> Delta:
        told = self.transcript
        told.output = True
        told.usage_is_last = False
        if channel == "call":
            named, index, _ = place
            slot, identity = (index, "") if isinstance(index, int) else (None, index)
            name, given = (words, "") if named == "name" else ("", words)
            told.tool_calls.add(slot, identity, name, given)
        else:
            self._kept(channel).append(words)
        told.other_output = told.other_output or channel == "call"
        return Delta(
            kind=_KINDS[channel],
            answer=channel != "reasoning",
            characters=len(words),
            text=words if channel == "text" else "",
            reasoning=words if channel == "reasoning" else "",
        )

    def _end(self, status: str, response: Mapping[str, Any], event: Mapping[str, Any]) -> Delta:
        """Take the end of a response; what it says of itself outweighs an event's `completed`."""
        told = self.transcript
        had_output = told.output
        rest = self._rest(response)
        counted = self._take_usage(response, first=told.output and not had_output)
        self._time(event, response)
        said = response.get("status")
        if status == "completed" and said in ENDINGS.values():
            status = str(said)
        error = response.get("error") or event.get("error")
        if status == "failed" or error:
            self._fail(error_of({"error": error}), counted=counted)
            return rest
        reason = _reason(response) if status == "incomplete" else status
        told.finish_reason = reason[:_LONGEST_FINISH]
        told.finished = told.done = True
        self._last = None
        return rest

    def _rest(self, response: Mapping[str, Any]) -> Delta:
        """Take what a response repeats and nothing told before; that was held back to its end."""
        output = response.get("output")
        items = [mapping(item) for item in output] if isinstance(output, list) else []
        pieces = [piece for item in items for part in parts_of(item) if (piece := piece_of(part))]
        added: list[Delta] = []
        for channel in _SPOKEN:
            whole = "".join(words for its, words in pieces if its == channel)
            known = "".join(self._kept(channel))
            if len(whole) > len(known) and whole.startswith(known):
                added.append(self._add(channel, (channel, "", None), whole[len(known) :]))
        if not self.transcript.tool_calls.whole():
            for number, call in enumerate(map(call_of, items)):
                if call is not None:
                    added.append(self._take_call(number, *call))
        if not self.transcript.output:
            added += [self._take_other_parts(item) for item in items[:_MOST_ITEMS]]
        joined = join_deltas([delta for delta in added if delta is not NOTHING])
        return NOTHING if joined is NOTHING else _held_back(joined)

    def _take_other_parts(self, item: Mapping[str, Any]) -> Delta:
        """Take what is no words in an item of a response without any."""
        kind = str(item.get("type"))
        if kind not in _SAYS_NOTHING:
            return self._take_other(kind, item)
        parts = parts_of(item)[:_MOST_ITEMS] if kind == "message" else []
        unknown = [part for part in parts if channel_of(part) is None]
        taken = [self._take_other(str(mapping(part).get("type")), part) for part in unknown]
        self.transcript.carry([kind])
        return join_deltas([delta for delta in taken if delta is not NOTHING])

    def _take_usage(self, response: Mapping[str, Any], *, first: bool = False) -> bool:
        """Return whether there was one. Counts are totals: the last one counts."""
        given = response.get("usage")
        usage = read_usage(given) if given else None
        if usage is None:
            return False
        told = self.transcript
        told.usage = told.usage.updated(usage) if told.usage else usage
        told.usage_is_last = True
        if first:
            told.first_chunk_tokens = usage.output_tokens or None
        return True

    def _time(self, *places: Mapping[str, Any]) -> None:
        """Note llama.cpp's own timings, which stand beside the response."""
        told = self.transcript
        for place in places:
            timings = place.get("timings")
            told.timings = read_timings_usage(timings) or told.timings
            told.server_timing |= read_timing(None, timings, None)


def _reason(response: Mapping[str, Any]) -> str:
    """Return why a response is incomplete."""
    details = response.get("incomplete_details")
    reason = details if isinstance(details, str) else mapping(details).get("reason")
    return reason if isinstance(reason, str) and reason else "incomplete"


def _held_back(delta: Delta) -> Delta:
    return Delta("buffered", delta.answer, delta.characters, delta.text, delta.reasoning)


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
