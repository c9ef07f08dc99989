"""What every dialect of an LLM API has in common: the request it writes, the facts it reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from probes.answers.error_body import ErrorBody
from probes.answers.finish import explains_silence
from probes.answers.ignored import Ignored
from probes.answers.sse import ServerSentEvent
from probes.config import KeyHeader, Route
from probes.events import TtftKind
from probes.kit.tolerant_json import begins_json, begins_page

CapName: TypeAlias = Literal["max_tokens", "max_completion_tokens"]
Framing: TypeAlias = Literal["events", "lines"]
"""How a stream is cut: server-sent events, or one JSON value a line (NDJSON)."""

_MOST_CALLS: Final = 128
_LONGEST_NAME: Final = 256
_MOST_CARRIED: Final = 12
_Figure = TypeVar("_Figure", int, float)


def _known(later: _Figure | None, earlier: _Figure | None) -> _Figure | None:
    return earlier if later is None else later


def _counted(later: int | None, earlier: int | None) -> int | None:
    return later or (later if earlier is None else earlier)


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What an answer used, as far as the server said; None is unknown, never zero.

    Whatever a dialect counts apart is part of the whole here: `input_tokens` is the whole prompt
    with what a cache held of it, `output_tokens` the whole answer with its reasoning.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    billed_tokens: int | None = None
    """Output that is billed, where that is told and may be more than `output_tokens`."""
    reasoning_apart: bool = False
    """The reasoning tokens are not among the output tokens."""

    def updated(self, later: "Usage") -> "Usage":
        """Return the later figures, and of these the ones the later report lacks.

        A count of zero lacks it too: what was counted once was not taken back.
        """
        return Usage(
            input_tokens=_counted(later.input_tokens, self.input_tokens),
            output_tokens=_counted(later.output_tokens, self.output_tokens),
            reasoning_tokens=_known(later.reasoning_tokens, self.reasoning_tokens),
            cached_tokens=_known(later.cached_tokens, self.cached_tokens),
            cost_usd=_known(later.cost_usd, self.cost_usd),
            billed_tokens=_counted(later.billed_tokens, self.billed_tokens),
            reasoning_apart=(self if later.reasoning_tokens is None else later).reasoning_apart,
        )


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What was learned about the parameters a server refuses."""

    cap_field: CapName = "max_tokens"
    drop_temperature: bool = False
    drop_stream_options: bool = False
    drop_store: bool = False
    drop_continuous_usage: bool = False
    cap_switched: bool = False
    """The cap's other name was already tried: it is never switched back."""

    def describe(self) -> str:
        """Return what differs from an ordinary request, for a notice; empty where nothing does."""
        said = [f"the answer cap is sent as {self.cap_field}"] if self.cap_switched else []
        if self.drop_temperature:
            said.append("temperature is not sent")
        if self.drop_stream_options:
            said.append("stream_options is not sent, so token counts may be missing")
        elif self.drop_continuous_usage:
            said.append("continuous_usage_stats is not sent, so tokens are counted at the end")
        if self.drop_store:
            said.append("store is not sent, so the provider may keep the answers")
        return "; ".join(said)


def endpoint(base_url: str, path: str) -> str:
    """Return the URL of a dialect under a base URL, whose query, if any, stays at the end."""
    base, mark, query = base_url.partition("?")
    return base.rstrip("/") + path + mark + query


class Delta(msgspec.Struct, frozen=True, gc=False):
    """What one event added to the answer."""

    kind: TtftKind = "none"
    """What came first in it; `none` where it carried no output."""
    answer: bool = False
    """It carried output other than reasoning."""
    characters: int = 0
    text: str = ""
    reasoning: str = ""


NOTHING: Final = Delta()


def join_deltas(deltas: Sequence[Delta]) -> Delta:
    """Return several as one, whose kind is that of the first; `NOTHING` where there is none."""
    if len(deltas) <= 1:
        return deltas[0] if deltas else NOTHING
    return Delta(
        kind=deltas[0].kind,
        answer=any(delta.answer for delta in deltas),
        characters=sum(delta.characters for delta in deltas),
        text="".join(delta.text for delta in deltas),
        reasoning="".join(delta.reasoning for delta in deltas),
    )


class ToolCalls:
    """Tool calls, put together from their pieces; of absurdly many the first ones."""

    __slots__ = ("_calls", "_ids", "_last")

    def __init__(self) -> None:
        self._calls: dict[int, tuple[list[str], list[str]]] = {}
        self._ids: dict[str, int] = {}
        self._last = -1

    def add(self, index: int | None, call_id: str, name: str, arguments: str) -> None:
        """Add a piece; without an index a new id or name begins a call, else the last goes on."""
        slot = self._slot(index, call_id, name)
        if slot not in self._calls and len(self._calls) >= _MOST_CALLS:
            return
        names, pieces = self._calls.setdefault(slot, ([], []))
        known = "".join(names)
        if known != name and len(known) < _LONGEST_NAME:
            names.append(name[:_LONGEST_NAME])
        if arguments:
            pieces.append(arguments)
        self._last = slot

    def _slot(self, index: int | None, call_id: str, name: str) -> int:
        if index is not None:
            return index
        if call_id:
            slot = self._ids.get(call_id, self._next())
            if len(self._ids) < _MOST_CALLS:
                self._ids[call_id] = slot
            return slot
        return self._next() if name or self._last < 0 else self._last

    def _next(self) -> int:
        return max(self._calls, default=-1) + 1

    def whole(self) -> tuple[tuple[str, str], ...]:
        """Return (name, arguments) of every call, in their order."""
        ordered = (self._calls[slot] for slot in sorted(self._calls))
        return tuple(("".join(names), "".join(pieces)) for names, pieces in ordered)


@dataclass(slots=True)
class Transcript:
    """The facts of one answer so far. Its interpreter alone writes it."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    tool_calls: ToolCalls = field(default_factory=ToolCalls)
    usage: Usage | None = None
    usage_source: Literal["usage", "x_groq.usage"] = "usage"
    usage_is_last: bool = False
    """No output came after the usage."""
    timings: Usage | None = None
    """Token counts of the server's own timings."""
    counted: int = 0
    """Output tokens so far by the newest count that came beside output; 0 without one."""
    first_chunk_tokens: int | None = None
    """Where the server counts as it streams."""
    finish_reason: str | None = None
    """The last one that was said and that no output took back."""
    finished: bool = False
    """Every choice that began has its finish reason, and no output came after it."""
    done: bool = False
    """The end marker of the stream was read; nothing after it counts."""
    began: bool = False
    """Something of an answer was read, be it without any output."""
    output: bool = False
    """Some output was read."""
    other_output: bool = False
    """There was some that is neither reasoning nor words kept here: a call, an image, another
    choice's."""
    carried: dict[str, None] = field(default_factory=dict)
    """Names of what came without any output, of absurdly many the first ones."""
    keep_alives: int = 0
    """Events whose data cannot be any of an answer."""
    ignored: Ignored = field(default_factory=Ignored)
    """Data that was passed over, or could not be read."""
    reasoned: bool = False
    """There was reasoning, be that shown or not."""
    error: ErrorBody | None = None
    malformed: str = ""
    """Why the stream cannot be read on; empty while it can."""
    response_id: str | None = None
    request_id: str | None = None
    """The id under which support knows the request, where the body tells one."""
    further_tries: int = 0
    """Tries that the answer itself says a gateway made after its first."""
    server_timing: dict[str, float] = field(default_factory=dict)
    """The server's own timings, named as `probes.answers.server_timing` knows them."""

    @property
    def answered(self) -> bool:
        """Whether there was output that is not reasoning."""
        return bool(self.text or self.other_output or self.refusal)

    @property
    def closed(self) -> bool:
        """Whether a finish stands, however the body ends.

        Gateways put `stop` on a first chunk that is empty and on those of reasoning, and answer
        seconds later: before any answer a finish stands only where its reason explains that.
        """
        return self.finished and (self.answered or explains_silence(self.finish_reason))

    @property
    def terminal(self) -> bool:
        """Whether the answer is over, one way or another, and nothing needs to be waited for long.

        Before any output no finish says so.
        """
        return self.over or (self.output and self.closed)

    @property
    def over(self) -> bool:
        """Whether nothing that comes can count any more."""
        return self.done or self.error is not None or bool(self.malformed)

    @property
    def flows(self) -> bool:
        """Whether there is output, and nothing that ends it or that more of it takes back."""
        return self.output and not self.finished and not self.terminal

    def take_back(self) -> None:
        """Forget the finish: output came after it."""
        self.finish_reason = None
        self.finished = False

    def carry(self, keys: Iterable[str]) -> None:
        """Note what came in a delta without output."""
        for key in keys:
            if len(self.carried) < _MOST_CARRIED:
                self.carried[key] = None

    def pass_over(self, data: str) -> bool:
        """Whether stripped data can be none of an answer, and was passed over.

        Keep-alives come in every shape: empty, an empty string of JSON, a word, a comment of the
        upstream's. A proxy's page is none: the stream ends with it.
        """
        if data not in ("", '""') and begins_json(data):
            return False
        if begins_page(data) and not self.closed:
            self.break_off(data, "html")
            return True
        self.keep_alives += 1
        if data:
            self.ignored.add(data)
        return True

    def break_off(self, data: str, why: str = "bad_json") -> None:
        """Take data after which nothing can be read."""
        self.malformed = why
        self.ignored.add(data)


class Interpreter(Protocol):
    """Reads one answer."""

    @property
    def transcript(self) -> Transcript:
        """What was read so far."""
        ...

    def event(self, event: ServerSentEvent) -> Delta:
        """Take one event of a stream."""
        ...

    def usual(self, payload: bytes) -> Delta | None:
        """Take the data of an unnamed event, or of one that is named as the dialect's usual one.

        None where it was not taken, for `event` to do.
        """
        ...

    def whole(self, body: object) -> None:
        """Take an answer that came as one JSON value instead of a stream."""
        ...


class Dialect(Protocol):
    """One way to talk to an LLM server."""

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        ...

    @property
    def framing(self) -> Framing:
        """How its streams are cut."""
        ...

    @property
    def usual_event(self) -> str:
        """Name of the events that `Interpreter.usual` takes besides unnamed ones, or `message`."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Request headers that the dialect itself asks for, such as a version."""
        ...

    @property
    def key_header(self) -> KeyHeader:
        """The header that takes the key where the route names none; lower case."""
        ...

    def url(self, route: Route) -> str:
        """Return where a probe of the route is sent."""
        ...

    def request_body(
        self, route: Route, *, max_tokens: int, nonce: str | None, adaptation: Adaptation
    ) -> bytes:
        """Return the JSON body of one probe; `nonce` comes first where a cache is to be missed."""
        ...

    def adapt(
        self, status: int, message: str, adaptation: Adaptation, route: Route
    ) -> Adaptation | None:
        """Return how to ask again where a parameter was refused; None where that is not it."""
        ...

    def decoder(self) -> Interpreter:
        """Return the reader of one answer."""
        ...
