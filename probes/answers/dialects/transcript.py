"""What is read of one answer: what every dialect's interpreter writes down as it comes.

Rule 1  What came once is not taken back by what came later, but for one thing: output that follows
        a finish shows that it was none.
Rule 2  Of anything that could come without end the first is kept: calls, names, lines.
Rule 3  What is unknown is None, never zero: zero is what servers write that do not count.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

import msgspec

from probes.answers.error_body import ErrorBody
from probes.answers.finish_reason import explains_silence
from probes.answers.framing import Ignored
from probes.answers.lenient import string
from probes.answers.progress import NOTHING, Progress
from probes.events import TtftKind
from probes.kit.tolerant_json import begins_json, begins_page

LONGEST_ID: Final = 200
LONGEST_REASON: Final = 80
"""Of ids and models, and of finish reasons, which stand in the event: longer ones are cut."""
_MOST_CALLS: Final = 128
"""Tool calls that are kept; a probe asks for none."""
_LONGEST_NAME: Final = 256
_MOST_CARRIED: Final = 12
"""Names that one line has room for."""
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
    """What was read of one answer so far. Its interpreter alone writes it."""

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
    ignored: Ignored = field(default_factory=Ignored)
    """Data that was passed over, or could not be read."""
    reasoned: bool = False
    """There was reasoning, be that shown or not."""
    error: ErrorBody | None = None
    malformed: str = ""
    """Why the stream cannot be read on; empty while it can."""
    response_id: str | None = None
    served_model: str = ""
    """The model that answered, by the server's word; empty where it named none."""
    fingerprint: str = ""
    """Of the build that answered; empty where none was told."""
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

    def add(
        self,
        text: str = "",
        reasoning: str = "",
        refusal: str = "",
        called: int = 0,
        *,
        other: bool = False,
        kept: bool = True,
    ) -> Progress:
        """Note output and return it; `NOTHING` where all of it is empty.

        `called` are the characters of calls, `other` says that there is some of no other kind, and
        `kept` whether it is of the choice whose words are kept: of another one they only count.
        """
        kind: TtftKind
        if reasoning:  # the first of what came together: no server answers before it reasons
            kind = "reasoning"
        elif text:
            kind = "content"
        elif refusal:
            kind = "refusal"
        elif called or other:
            kind = "tool_call" if called else "other"
        else:
            return NOTHING
        self.output = True
        self.usage_is_last = False
        self.counted = 0
        if called or other or not kept:
            self.other_output |= bool(text or refusal or called or other)
        if kept:
            if text:
                self.text.append(text)
            if reasoning:
                self.reasoning.append(reasoning)
            if refusal:
                self.refusal.append(refusal)
        return Progress(
            kind,
            answer=bool(text or refusal or called or other),
            characters=len(text) + len(reasoning) + len(refusal) + called,
            text=text if kept else "",
            reasoning=reasoning if kept else "",
        )

    def identify(self, name: object) -> None:
        """Keep the first id that the answer gives itself."""
        self.response_id = self.response_id or string(name)[:LONGEST_ID] or None

    def serve(self, model: object, fingerprint: object = None) -> None:
        """Keep the first name and the first fingerprint that are not empty.

        The first, for one answer is compared with the next: the last would be another one where a
        stream breaks off before a gateway's own last chunk, which calls the model by another name.
        Azure leaves the name of its first chunk empty.
        """
        self.served_model = self.served_model or string(model)[:LONGEST_ID]
        self.fingerprint = self.fingerprint or string(fingerprint)[:LONGEST_ID]

    def add_usage(self, usage: Usage) -> None:
        """Take a report of counts, which are totals so far: the newest counts, never their sum."""
        self.usage = self.usage.updated(usage) if self.usage else usage

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
        if data:
            self.ignored.add(data)
        return True

    def break_off(self, data: str, why: str = "bad_json") -> None:
        """Take data after which nothing can be read."""
        self.malformed = why
        self.ignored.add(data)
