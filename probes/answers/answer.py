"""One HTTP answer: bytes in, an `Answer` out. No sockets and no clock; times are passed in."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from probes.answers.body import (
    BodyForm,
    Inflater,
    JsonEnd,
    UnknownEncodingError,
    error_outside,
    form_of,
    form_of_lines,
    form_of_lines_at_end,
    json_of,
    refusal_of,
    words_outside,
)
from probes.answers.bot_check import BOT_CHECK, is_bot_check
from probes.answers.dialects.base import Dialect
from probes.answers.dialects.search import dialect_of, is_read_as
from probes.answers.dialects.transcript import Transcript
from probes.answers.dialects.usage import first_cost
from probes.answers.ending_verdict import (
    Ending,
    hidden_tokens_of,
    hint_of,
    judge,
    of_ending,
    tokens_of,
)
from probes.answers.error_body import LONGEST_MESSAGE, ErrorBody, html_error, with_amazon_type
from probes.answers.flow import Flow, learned
from probes.answers.framing import (
    BYTES_AT_ONCE,
    EventReader,
    ServerSentEvent,
    StreamDecoder,
)
from probes.answers.gateway import hidden_retries
from probes.answers.lenient import amount
from probes.answers.limits.reading import read_limits
from probes.answers.ndjson import LineDecoder
from probes.answers.outcome import BLOCKED, of_status, says_no_endpoint
from probes.answers.progress import IDLE, NOTHING, OVER, Progress, in_a_row, joined
from probes.answers.refusal import limits_by_reason, reason_by_limits
from probes.answers.retry_after import read_retry_after_s, would_retry
from probes.answers.server_timing import claims_of, stages_of, timings_of_headers
from probes.answers.sse import Decoder
from probes.events import Limit, Outcome, ServerClaim, TokenSource, TtftKind, Verdict
from probes.kit.charset import as_utf8
from probes.kit.tolerant_json import begins_json
from probes.kit.words import clean

MAX_STREAM_BYTES: Final = 64 * 1024 * 1024
"""Of a stream, unpacked: no answer cap of ours lets so much come, so it is one without end."""
MAX_WHOLE_BYTES: Final = 16 * 1024 * 1024
"""Of one JSON value, which is held whole until its end."""
MAX_ERROR_BYTES: Final = 64 * 1024
"""Of an error or a page: what is said of it stands in its first lines."""
_EVENTS_A_LESSON: Final = 16
"""Learning what an event looks like costs as much as decoding three: so many events must have come
for each lesson, so that a stream whose events all differ does not pay for it."""
_OF_THE_NETWORK: Final = ("reset", "protocol")
"""Reasons of an answer that broke off, which what the network said explains."""
_COST_HEADER: Final = "x-litellm-response-cost"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one exchange said, judged. Texts are a server's own: hostile, unscrubbed.

    What `AttemptFinished` tells of it is called the same here, and goes there by its name.
    """

    outcome: Outcome
    reason: str = ""
    message: str = ""
    """The server's words, at most 500 characters; for a redirect, its target."""
    status: int | None = None
    """None where no HTTP answer came."""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """All of them, names in lower case."""
    error_code: str | None = None
    retryable: bool = False
    """Whether the same request would be tried again; always False once a 200 has begun."""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    token_source: TokenSource = "none"  # noqa: S105 - tokens of text, not a credential
    first_chunk_tokens: int | None = None
    """Counted; where nobody counts, the output events that came in one read, if several did."""
    hidden_tokens: int | None = 0
    """Output tokens that were never streamed; None where it is not known how many."""
    billed_tokens: int | None = None
    """Output that is billed, where that is told and may be more than `output_tokens`."""
    cost_usd: float | None = None
    """The provider's own figure, with what it says was billed elsewhere."""
    pieces: int = 0
    """Events of its stream; 0 of a whole answer."""
    kept_characters: int = 0
    """Of all that was kept of it: text, reasoning, refusals and calls."""
    ttft_kind: TtftKind = "none"
    text: str = ""
    """Empty unless kept."""
    reasoning_text: str = ""
    """Empty unless kept."""
    text_chars: int = 0
    text_sha256: str = ""
    """Of the text in UTF-8, hexadecimal; empty where there is no text."""
    refusal: str = ""
    """Empty unless kept."""
    tool_calls: tuple[tuple[str, str], ...] = ()
    """(name, arguments) of each call."""
    response_id: str | None = None
    served_model: str = ""
    fingerprint: str = ""
    dialect: str = ""
    """In which it is, where that is another one than was asked in."""
    body_request_id: str | None = None
    """What the body calls the request's id."""
    hidden_retries: int = 0
    """Tries behind a gateway after its first, by headers and body."""
    server_timing: dict[str, float] = msgspec.field(default_factory=dict)
    server_claims: tuple[ServerClaim, ...] = ()
    limits: tuple[Limit, ...] = ()
    retry_after_s: float | None = None
    """What the server asked us to wait; may be more than we will."""
    right: bool | None = None
    """Whether it is what was expected; None where nothing was, or it could not be told."""


class AnswerReader:
    """Reads one answer, whatever form it takes. `wall_ns` dates what headers say of moments.

    Feed it the body as it arrives, without the transfer coding and with any content coding. Of an
    answer that was not asked to be `streamed` no output is told before its end, not even where the
    server streams it all the same: whoever asks so waits for the whole of it.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        dialect: Dialect,
        *,
        keep_text: bool,
        wall_ns: int,
        streamed: bool = True,
    ) -> None:
        self._status = status
        self._headers = headers
        self._keep_text = keep_text
        self._wall_ns = wall_ns
        self._asked = dialect.name
        self._other_dialect = ""
        self._interpreter = dialect.decoder()
        self._framing = dialect.framing
        self._decoder: StreamDecoder = (
            LineDecoder() if self._framing == "lines" else Decoder(usual_event=dialect.usual_event)
        )
        self._gap = b"\n" if self._framing == "lines" else b"\n\n"
        """What ends an event of the usual spelling."""
        self._stream = EventReader(self._decoder)
        self._streamed = streamed
        self._live = False
        """It is a stream whose output is told as it comes: the usual read."""
        self._flow: Flow | None = None
        """What the next read may go on with: all that was fed is told, and words flow."""
        self._lessons = 0
        self._form: BodyForm | None = None
        self._body = bytearray()
        self._json_end = JsonEnd()
        self._is_json = False
        self._size = 0
        self._broken = ""
        self._events = 0
        self._first_kind: TtftKind = "none"
        self._burst_events: int | None = None
        self._first_tokens = 0
        self._inflater: Inflater | None = None
        self._is_success = 200 <= status < 300
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity"):  # `identity` was asked for, but not every server cares
            try:
                self._inflater = Inflater(encoding, MAX_STREAM_BYTES)
            except UnknownEncodingError:
                self._broken = "encoding"

    @property
    def events(self) -> int:
        """Events of its stream so far."""
        return self._events

    def feed(self, data: bytes, trailed: bool = False, cuts: Sequence[int] = ()) -> Progress:
        """Take what was read; what one read completed is told together.

        `trailed` says that more than body came with it, after it; `cuts` are the places in it where
        the server began to send apart from what was before.
        """
        self._flow = None
        if self._broken:
            return OVER
        if cuts and self._first_kind == "none":
            return self._feed_apart(data, trailed, (*cuts, len(data)))
        try:
            if self._inflater is not None:
                data = self._inflater.feed(data)
            self._size += len(data)
            if self._size > MAX_STREAM_BYTES:
                raise OverflowError("the answer is too large")
            read = self._read_events if self._live else self._read
            progress = read(data, trailed)
        except OverflowError:
            self._broken = "too_large"
            return OVER
        encoding = "encoding" if self._inflater is not None and self._inflater.failed else ""
        self._broken = self._broken or self._stream.broken or encoding
        if self._broken:
            return msgspec.structs.replace(progress, terminal=True)
        if self._decoder.fresh and self._inflater is None:
            self._flow = self._interpreter.flow
        return progress

    def more(self, data: bytes) -> int:
        """Take a read that only adds words to those of the one before; return their characters.

        0 of any other, which was not taken and is to be fed. What it would say of this one is known
        then: one event and nothing after it, with output of the same kind as the last.
        """
        flow, size = self._flow, self._size + len(data)
        if flow is None or len(data) > BYTES_AT_ONCE or size > MAX_STREAM_BYTES:
            return 0
        template = flow.template
        words = template.words(data) if template is not None else ""
        if not words:
            words = self._decoded(flow, data)
            if not words:
                return 0
        flow.pieces.append(words)
        self._events += 1
        self._size = size
        return len(words)

    def _decoded(self, flow: Flow, data: bytes) -> str:
        """Return the words that a read adds to a flow; learn it where it was not known."""
        words = self._words(flow, data)
        if words and self._lessons * _EVENTS_A_LESSON <= self._events:
            self._lessons += 1
            flow.template = learned(data, words, lambda other: self._words(flow, other))
        return words

    def _words(self, flow: Flow, data: bytes) -> str:
        payload = self._decoder.plain(data)
        found = None if payload is None else self._interpreter.words(payload)
        return found[1] if found is not None and found[0] == flow.is_reasoning else ""

    def _feed_apart(self, data: bytes, trailed: bool, ends: Sequence[int]) -> Progress:
        """Take parts that were sent one by one, though they came together: nothing held them."""
        progress, start, outputs = IDLE, 0, 0
        for end in ends:
            part = self.feed(data[start:end], trailed or end < len(data))
            progress, start = in_a_row(progress, part), end
            outputs += part.output
        if outputs > 1:
            counted = self._interpreter.transcript.counted
            self._first_tokens = counted or max(1, self._first_tokens) + outputs - 1
        return progress

    def _read(self, data: bytes, trailed: bool) -> Progress:
        """Take what came before it is known that this is a stream, or what is not told."""
        if not self._is_success:
            self._body += data[: MAX_ERROR_BYTES - len(self._body)]
            return OVER if self._is_whole_json() or len(self._body) >= MAX_ERROR_BYTES else IDLE
        self._body += data
        if self._form is None:
            self._form = self._recognised(len(self._body) - len(data))
        return self._read_held(trailed) if self._form == "stream" else self._read_whole()

    def _read_held(self, trailed: bool) -> Progress:
        """Take what was held back; nothing more is, unless the output is not to be told."""
        self._live = self._streamed
        held = bytes(self._body)
        self._body.clear()
        progress = self._read_events(held, trailed)
        if self._live:
            return progress
        # Output that is not told cannot take a finish back: only what is the end for sure is one.
        return OVER if self._interpreter.transcript.over or self._other_dialect else IDLE

    def _recognised(self, newest: int) -> BodyForm | None:
        """Return the form of the body so far; the bytes of the last read begin at `newest`."""
        if self._framing == "lines":
            return form_of_lines(self._body, newest)
        return form_of(self._body, self._headers.get("content-type", "").lower())

    def _read_whole(self) -> Progress:
        """A whole answer is judged at its end; anything else needs no more than its beginning."""
        limit = MAX_WHOLE_BYTES if self._form in ("json", None) else MAX_ERROR_BYTES
        if len(self._body) <= limit:
            return OVER if self._form == "json" and self._is_whole_json() else IDLE
        if self._form == "json":
            raise OverflowError("the answer is too large")
        del self._body[limit:]
        return OVER

    def _is_whole_json(self) -> bool:
        """Whether all of a JSON body is there; a large one is left to its framing."""
        if len(self._body) <= MAX_ERROR_BYTES and not self._json_end.reached:
            self._is_json = self._json_end.seek(self._body) and json_of(self._whole()) is not None
        return self._is_json

    def _whole(self) -> bytes:
        """Return a body that is no stream, in UTF-8."""
        return as_utf8(bytes(self._body), self._headers.get("content-type", ""))

    def _read_events(self, data: bytes, trailed: bool) -> Progress:
        payload = self._decoder.plain(data) if len(data) <= BYTES_AT_ONCE else None
        if payload is None:
            return self._several(data, trailed) or self._read_together(
                self._stream.events(data), trailed
            )
        progress = self._interpreter.usual(payload)
        if progress is None:
            return self._read_together(self._stream.event_of(payload), trailed)
        self._events += 1
        return _not_newest(progress) if trailed else progress

    def _several(self, data: bytes, trailed: bool) -> Progress | None:
        """Return what several events like the last brought: what a busy engine reads."""
        flow = self._interpreter.flow
        if flow is None or not self._decoder.fresh or len(data) > BYTES_AT_ONCE:
            return None
        if flow.template is None:  # the first of them may be learned
            self._decoded(flow, b"".join(data.partition(self._gap)[:2]))
        found = flow.template.several(data) if flow.template is not None else []
        if len(found) < 2:
            return None
        flow.pieces += found
        self._events += len(found)
        words = "".join(found)
        return Progress(
            kind="reasoning" if flow.is_reasoning else "content",
            answer=not flow.is_reasoning,
            characters=len(words),
            text="" if flow.is_reasoning else words,
            reasoning=words if flow.is_reasoning else "",
            alone=False,
            first_is_newest=False,
            last_is_newest=not trailed,
        )

    def _read_together(self, events: Iterable[ServerSentEvent], trailed: bool) -> Progress:
        """Return what one read's events brought together."""
        transcript = self._interpreter.transcript
        parts: list[Progress] = []
        followed = False
        first = last = number = 0
        for number, event in enumerate(events, 1):
            followed = bool(parts)
            part = self._interpreter.event(event)
            if part is not NOTHING:
                parts.append(part)
                first, last = first or number, number
            elif not transcript.began and self._is_foreign(event):
                break
        if not number:
            return OVER if transcript.terminal else IDLE
        added = joined(parts)
        self._events += number
        kind = added.kind
        if added.output and self._first_kind == "none":
            self._first_tokens = transcript.counted or (len(parts) if parts[1:] else 0)
            kind = self._first_output(kind, followed=followed)
        newest = number if self._decoder.idle and not trailed else -1
        return msgspec.structs.replace(
            added,
            kind=kind,
            alone=newest == 1,
            first_is_newest=first == newest,
            last_is_newest=last == newest,
            terminal=transcript.terminal or bool(self._other_dialect),
            tokens=transcript.counted,
        )

    def _is_foreign(self, event: ServerSentEvent) -> bool:
        """Whether an event that began nothing is in another dialect than was asked in."""
        data = event.data.removeprefix("data:").encode("utf-8", "replace")
        self._listen(json_of(data))
        return bool(self._other_dialect)

    def _listen(self, value: object) -> None:
        """Notice an answer in another dialect than was asked in: it is not read any further."""
        spoken = dialect_of(value)
        if spoken is not None and not is_read_as(spoken, self._asked):
            self._other_dialect = spoken
            self._broken = "other_dialect"

    def _first_output(self, kind: TtftKind, *, followed: bool) -> TtftKind:
        """Note the first output; one that came together with the answer's end was held back."""
        transcript = self._interpreter.transcript
        self._first_kind = kind
        if followed and (transcript.finished or transcript.done):
            self._burst_events = self._events
        return "buffered" if transcript.done and followed else kind

    def finish(self, ending: Ending, failure: str = "") -> Answer:
        """Return the answer, judged; call it once, after the last read.

        `failure` is what the network's failure says that ended it, if one did.
        """
        if not self._is_success:
            return self._refused()
        if ending == "complete" or not self._streamed:
            self._close()
        transcript = self._interpreter.transcript
        verdict = self._judge(transcript, ending)
        error = transcript.error or ErrorBody(message=self._hint(verdict, failure))
        text = clean("".join(transcript.text))
        usage, source = tokens_of(transcript)
        first_tokens = self._first_tokens or transcript.first_chunk_tokens
        timing = timings_of_headers(self._headers) | transcript.server_timing
        calls = transcript.tool_calls.whole()
        limits = self._limits(error.source)
        reason = reason_by_limits(verdict.reason, limits)
        kept = (transcript.text, transcript.reasoning, transcript.refusal, *calls)
        return Answer(
            outcome=verdict.outcome,
            reason=reason,
            message=clean(_words_of(error, verdict)),
            status=self._status,
            headers=self._headers,
            error_code=clean(error.code) or None,
            limits=limits_by_reason(limits, reason),
            # Some gateways put the header on every answer: beside one that is ok it asks nothing.
            retry_after_s=None if verdict.outcome == "ok" else self._retry_after_s(error.source),
            finish_reason=_clean_or_none(transcript.finish_reason),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cached_tokens=usage.cached_tokens,
            token_source=source,
            first_chunk_tokens=first_tokens if self._form == "stream" else None,
            hidden_tokens=hidden_tokens_of(transcript, usage),
            billed_tokens=usage.billed_tokens,
            cost_usd=first_cost(usage.cost_usd, amount(self._headers.get(_COST_HEADER))),
            pieces=self._events,
            kept_characters=sum(len(piece) for pieces in kept for piece in pieces),
            ttft_kind=self._ttft_kind(transcript),
            text=text if self._keep_text else "",
            reasoning_text=clean("".join(transcript.reasoning)) if self._keep_text else "",
            text_chars=len(text),
            text_sha256=sha256(text.encode()).hexdigest() if text else "",
            refusal=clean("".join(transcript.refusal)) if self._keep_text else "",
            tool_calls=tuple((clean(name), clean(given)) for name, given in calls),
            response_id=_clean_or_none(transcript.response_id),
            served_model=clean(transcript.served_model),
            fingerprint=clean(transcript.fingerprint),
            dialect=self._other_dialect,
            body_request_id=clean(error.request_id or transcript.request_id or "") or None,
            hidden_retries=hidden_retries(self._headers, transcript.further_tries),
            server_timing=stages_of(timing),
            server_claims=claims_of(timing),
        )

    def _close(self) -> None:
        """Take what nothing but the end of the body completes: a last line without its end."""
        if self._form is None and self._framing == "lines" and not self._broken:
            self._form = form_of_lines_at_end(self._body)
            if self._form == "stream":
                self._read_held(trailed=True)
        if self._form == "stream" and not self._broken:
            for event in self._stream.close():
                self._interpreter.event(event)
            self._broken = self._stream.broken

    def _refused(self) -> Answer:
        """Return the answer of one that is no 2xx."""
        body, error = refusal_of(self._whole())
        error = with_amazon_type(error, self._headers)
        verdict = of_status(self._status, error)
        if is_bot_check(self._headers, self._whole()):
            verdict, error = BLOCKED, ErrorBody(message=error.message)
        limits = self._limits(body)
        reason = reason_by_limits(verdict.reason, limits)
        retry_after_s = self._retry_after_s(body)
        target = self._headers.get("location", "") if verdict.reason == "redirect" else ""
        timing = timings_of_headers(self._headers)
        return Answer(
            outcome=verdict.outcome,
            reason=reason,
            message=clean(target[:LONGEST_MESSAGE] or _words_of(error, verdict)),
            status=self._status,
            headers=self._headers,
            error_code=clean(error.code) or None,
            retryable=would_retry(verdict, self._headers, retry_after_s),
            body_request_id=clean(error.request_id) or None,
            hidden_retries=hidden_retries(self._headers),
            server_timing=timing,
            server_claims=claims_of(timing),
            limits=limits_by_reason(limits, reason),
            retry_after_s=retry_after_s,
        )

    def _retry_after_s(self, body: object | None) -> float | None:
        return read_retry_after_s(self._headers, body, wall_ns=self._wall_ns)

    def _judge(self, transcript: Transcript, ending: Ending) -> Verdict:
        if self._form == "json" and not self._broken:
            value = json_of(self._whole())
            if value is None:
                return self._of_broken_json(ending)
            self._listen(value)
            if not self._other_dialect:
                self._interpreter.whole(value)
        elif self._form in ("html", "other") and not self._broken:
            transcript.error = error_outside(self._whole().decode("utf-8", "replace"))
            if transcript.error is None:
                return self._of_strange_words()
        elif transcript.error is None and not (transcript.closed or self._broken):
            transcript.error = error_outside(self._outside())
        began = transcript.began or self._decoder.unfinished
        return judge(transcript, ending, self._broken, began=began)

    def _outside(self) -> str:
        """Return what came with a stream and is none of its answer, as much as an error needs."""
        kept = (self._interpreter.transcript.ignored, self._decoder.ignored)
        return "\n".join(filter(None, (*(one.text for one in kept), self._decoder.rest)))

    def _first_outside(self) -> str:
        """Return the first of the same; of a line that was cut only what cannot be its JSON."""
        rest = self._decoder.rest
        kept = (self._interpreter.transcript.ignored, self._decoder.ignored)
        firsts = (*(one.first for one in kept), "" if begins_json(rest) else rest)
        return words_outside(next(filter(None, firsts), ""))

    def _of_broken_json(self, ending: Ending) -> Verdict:
        """JSON that stops with the connection was cut; JSON that ends wrongly was never any."""
        began = not self._body.isspace()
        if began and ending in ("complete", "closed_by_us"):
            return Verdict("protocol_error", "bad_json")
        return of_ending(ending, began=began)

    def _of_strange_words(self) -> Verdict:
        """A page or a text in the place of an answer: of something before the API, or of none."""
        if is_bot_check(self._headers, self._whole()):
            return BLOCKED
        if self._form == "html":
            return Verdict("protocol_error", "html")
        text = self._whole()[:LONGEST_MESSAGE].decode("utf-8", "replace").strip()
        if says_no_endpoint(text):
            return Verdict("client_error", "not_found")
        return Verdict("protocol_error", "not_an_answer")

    def _hint(self, verdict: Verdict, failure: str) -> str:
        """Return words of our own, or else what was passed over, or what the network said."""
        other = self._other_dialect
        if other:
            return f'the answer is in the {other} dialect: set dialect = "{other}"'
        if verdict.outcome in ("protocol_error", "client_error") and self._body:
            return html_error(self._whole()[:2000].decode("utf-8", "replace")).message
        if verdict.outcome in ("ok", "cancelled") or self._broken:
            return ""
        hint = hint_of(self._interpreter.transcript, verdict) or self._first_outside()
        return hint or (failure[:LONGEST_MESSAGE] if verdict.reason in _OF_THE_NETWORK else "")

    def _ttft_kind(self, transcript: Transcript) -> TtftKind:
        if not self._streamed or self._first_kind == "none":
            return "not_streamed" if transcript.output else "none"
        return "buffered" if self._burst_events == self._events else self._first_kind

    def _limits(self, body: object | None) -> tuple[Limit, ...]:
        return read_limits(self._headers, body, wall_ns=self._wall_ns)


def _not_newest(progress: Progress) -> Progress:
    """Return what a read brought that had more after it than body, so that it may lie back."""
    return msgspec.structs.replace(
        progress, alone=False, first_is_newest=False, last_is_newest=False
    )


def _clean_or_none(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _words_of(error: ErrorBody, verdict: Verdict) -> str:
    """Return a server's words; those of a bot check say nothing to whoever never met one."""
    if verdict.reason != BLOCKED.reason:
        return error.message
    return f"{BOT_CHECK}: {error.message}"[:LONGEST_MESSAGE]
