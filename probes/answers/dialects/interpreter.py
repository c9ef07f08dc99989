"""How the events of a stream are read, in whatever dialect.

Rule 1  Most events only add words to those before them. They go the short way, `usual`, which takes
        what it knows whole and nothing else; the long way would read the same of each. While they
        do, the words flow (`probes.answers.flow`).
Rule 2  Nothing after the end of an answer counts: after its end marker, an error, or what cannot be
        read. After the last it is kept for its words, for it may tell why.
Rule 3  What cannot be any of an answer, such as a keep-alive, is passed over.
Rule 4  Broken JSON ends the reading where it may have been a part of the answer, and nowhere else.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from probes.answers.dialects.transcript import Transcript
from probes.answers.error_body import LONGEST_MESSAGE, ErrorBody
from probes.answers.flow import Flow
from probes.answers.framing import ServerSentEvent
from probes.answers.progress import NOTHING, Progress


class Interpreter(ABC):
    """Reads one answer into its transcript, event by event or as a whole."""

    __slots__ = ("_flows", "flow", "transcript")
    names: ClassVar[tuple[str, ...]] = ("message",)
    """Under which the events come that `usual` takes; unnamed ones are `message`."""

    def __init__(self) -> None:
        self.transcript = Transcript()
        self._flows = False
        """There is output, and nothing that ends it: the short way may be tried."""
        self.flow: Flow | None = None
        """Where words went last; None where the last event was not a usual one."""

    def event(self, event: ServerSentEvent) -> Progress:
        """Take one event of a stream."""
        progress = self.usual(event.data) if event.event in self.names else None
        if progress is None:
            self.flow = None
            progress = self._event(event)
            self._flows = self.transcript.flows
        return progress

    def _event(self, event: ServerSentEvent) -> Progress:
        transcript, data, name = self.transcript, event.data, event.event
        if transcript.over:
            if transcript.malformed and not transcript.done:
                transcript.ignored.add(data)
            return NOTHING
        if not data.startswith("{"):
            data = data.strip()
            if self._marks_end(data) or (
                not (name == "error" and data) and transcript.pass_over(data)
            ):
                return NOTHING
        try:
            return self._read(data, name)
        except ValueError:
            self._broken(data, name)
            return NOTHING

    def usual(self, payload: bytes | str) -> Progress | None:
        """Take the data of an unnamed event, or of one that is named as the dialect's usual one.

        None where it was not taken, for `event` to do.
        """
        found = self.words(payload) if self._flows else None
        if found is None:
            return None
        is_reasoning, words = found
        transcript, flow = self.transcript, self.flow
        transcript.usage_is_last = False
        transcript.counted = 0
        if flow is None or flow.is_reasoning != is_reasoning:
            pieces = transcript.reasoning if is_reasoning else transcript.text
            flow = self.flow = Flow(pieces, is_reasoning=is_reasoning)
        flow.pieces.append(words)
        if is_reasoning:
            return Progress("reasoning", False, len(words), "", words)
        return Progress("content", True, len(words), words)

    @abstractmethod
    def words(self, payload: bytes | str) -> tuple[bool, str] | None:
        """Return what an event adds that adds only words, once there is output: whether they are
        reasoning, and the words, which are not empty. None of any other event. Changes nothing."""

    @abstractmethod
    def whole(self, body: object) -> None:
        """Take an answer that came as one JSON value instead of a stream."""

    @abstractmethod
    def _read(self, data: str, name: str) -> Progress:
        """Take the JSON of an event of that name.

        Raises:
            ValueError: it is not JSON.
        """

    def _marks_end(self, data: str) -> bool:
        """Whether data is the end marker of OpenAI's streams; where it is not the dialect's own it
        comes from a gateway and ends nothing."""
        return data == "[DONE]"

    def _broken(self, data: str, name: str) -> None:
        """Take what is no JSON, though it began as some."""
        if name == "error":
            self.transcript.error = ErrorBody(message=data.strip()[:LONGEST_MESSAGE])
        elif self._is_ours(name) and not self.transcript.closed:
            self.transcript.break_off(data)
        else:
            self.transcript.ignored.add(data)

    def _is_ours(self, name: str) -> bool:
        """Whether events of that name are a part of the answer; of others nobody knows."""
        return name in self.names
