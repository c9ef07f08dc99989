"""From bytes to outcome, and what must be true of it whatever the bytes are.

HTTP bytes → parser → reader → answer → event → JSON → event, by the code that runs in the engine,
without its sockets and clocks.
"""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, get_args

import httpx
import msgspec
from sample import Sample

from probes.answers.answer import Answer, AnswerReader, Ending, Progress
from probes.answers.dialects import dialect_for
from probes.answers.retry_after import LONGEST_WAIT_S
from probes.config import Dialect
from probes.config.scrubbing import Scrubber
from probes.engine.attempt import failed_before_answer
from probes.engine.report import AttemptIdentity, attempt_finished, charge_for
from probes.engine.retry import RetryPolicy, cool_down_s
from probes.engine.stamp_recorder import StampRecorder
from probes.events import AttemptFinished, decode_event, encode_event
from probes.money.pricing import Asked
from probes.transport.arrivals import READ_BYTES
from probes.transport.failures import end_of_body
from probes.transport.http1 import MAX_SILENT, ResponseParser
from probes.transport.path import UNTOLD
from probes.transport.stamping import _joined

DIALECTS: tuple[str, ...] = tuple(
    name for name in get_args(Dialect) if name != "auto"
)  # `auto` becomes one of the others before anything is read
ASKED = Asked(reserved_tokens=73, prompt_tokens=9, max_tokens=64, sent_bytes=200)
SCRUB = Scrubber(["sk-0123456789abcdef"])
WALL_NS = 1_795_430_000 * 10**9
MOST_TOKENS = 1_000_000_000
ONE_BY_ONE = 600
"""Answers up to this size are read byte by byte too."""
FREE_CPU_S = 0.5
CPU_S_PER_BYTE = 40e-6
"""Ten times what the dearest bytes cost: what is above grows faster than its input."""
INFLATED_MOST = 64 << 20
SIGNALS = {
    "chat": (b"finish_reason", b"finishReason", b"[DONE]"),
    "azure": (b"finish_reason", b"finishReason", b"[DONE]"),
    "completions": (b"finish_reason", b"finishReason", b"[DONE]"),
    "messages": (b"message_stop", b"stop_reason", b"stopReason"),
    "responses": (b"response.completed", b"response.incomplete", b"response.done"),
    "ollama": (b"done",),
}
"""Of what one must stand in a stream that is a whole answer."""


class Broken(AssertionError):  # noqa: N818 - it is what the code under test is
    """Something that must be true is not."""


@dataclass(frozen=True)
class Reading:
    """What was read of one sample."""

    answer: Answer
    event: AttemptFinished
    status: int | None
    headers: dict[str, str]
    body: bytes
    progresses: tuple[Progress, ...]
    ending: Ending
    silent: bool
    """It was ended for bringing too much that is no body."""


def read(sample: Sample, pieces: Iterable[bytes]) -> Reading:
    """Read an answer as an attempt does."""
    parser = ResponseParser()
    reader: AnswerReader | None = None
    body: list[bytes] = []
    progresses: list[Progress] = []
    for piece in pieces:
        got = parser.feed(piece)
        if parser.has_head and reader is None:
            reader = _reader(sample, parser)
        if got:
            assert reader is not None
            body.append(got)
            progresses.append(reader.feed(got, parser.complete and parser.chunked, parser.cuts))
        if parser.failure is not None:
            break
    ending, failure = _ended(sample, parser)
    if reader is not None:
        answer = reader.finish(ending)
    else:
        answer = failed_before_answer(failure if failure is not None else ending)
    headers = _joined(parser.headers) if parser.has_head else {}
    status = parser.status if parser.has_head else None
    event = _event(answer)
    silent = str(parser.failure).endswith("without a body")
    whole = b"".join(body)
    return Reading(answer, event, status, headers, whole, tuple(progresses), ending, silent)


def _reader(sample: Sample, parser: ResponseParser) -> AnswerReader:
    dialect = dialect_for(sample.dialect)  # type: ignore[arg-type]
    headers = _joined(parser.headers)
    return AnswerReader(parser.status, headers, dialect, keep_text=True, wall_ns=WALL_NS)


def _ended(sample: Sample, parser: ResponseParser) -> tuple[Ending, Exception | None]:
    if parser.failure is not None:
        return "protocol", parser.failure
    if parser.complete:
        return "complete", None
    if sample.end != "close":
        lost = httpx.ReadError("reset") if sample.end == "reset" else None
        return sample.end, lost
    try:
        parser.end()
    except httpx.RemoteProtocolError as error:
        return end_of_body(error), error
    return "complete", None


def _event(answer: Answer) -> AttemptFinished:
    recorder = StampRecorder(0, stamps={"started": 1, "tcp": 1, "sent": 2, "ended": 3})
    return attempt_finished(
        AttemptIdentity("r", "1-1", 0, "64/256", ASKED, scheduled_ns=0, admitted_ns=0),
        answer,
        recorder,
        charge=charge_for(ASKED, answer, recorder, None, "price"),
        retry=RetryPolicy(2, Random(1)).plan(answer, 1),
        clock="user",
        path=UNTOLD,
        scrub=SCRUB,
        include_text=True,
    )


def check(sample: Sample) -> Reading:
    """Read a sample in several cuts; return what was read.

    Raises:
        Broken: something that must be true is not.
        Exception: whatever the code under test raises, and must not.
    """
    reading = _timed(sample, sample.pieces())
    _check_answer(reading.answer, reading)
    _check_event(reading.event)
    _check_success(sample, reading)
    _check_end(reading)
    _check_progress(reading)
    wire = sample.wire()
    at_once = [wire[at : at + READ_BYTES] for at in range(0, len(wire), READ_BYTES)]
    _check_same(reading, _timed(sample, at_once))
    if len(wire) <= ONE_BY_ONE:
        _check_same(reading, _timed(sample, (wire[at : at + 1] for at in range(len(wire)))))
    return reading


def _timed(sample: Sample, pieces: Iterable[bytes]) -> Reading:
    given = list(pieces)
    started_s = time.process_time()
    reading = read(sample, given)
    spent_s = time.process_time() - started_s
    size = sum(map(len, given))
    if b"content-encoding" in sample.wire()[:MAX_SILENT].lower():
        size = INFLATED_MOST // 100
    if spent_s > FREE_CPU_S + CPU_S_PER_BYTE * size:
        raise Broken(f"slow: {spent_s:.2f} s of CPU for {size} bytes in {len(given)} reads")
    return reading


def _require(true: bool, what: str) -> None:
    if not true:
        raise Broken(what)


def _check_answer(answer: Answer, reading: Reading) -> None:
    for name in ("input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens"):
        value = getattr(answer, name)
        _require(value is None or 0 <= value <= MOST_TOKENS, f"{name} is {value}")
    for figure in (answer.cost_usd, answer.retry_after_s, *answer.server_timing.values()):
        _require(figure is None or (math.isfinite(figure) and figure >= 0), f"figure {figure}")
    _require(len(answer.limits) <= 64, "limits without end")
    _require(len(answer.server_timing) <= 64, "timings without end")
    _require(len(answer.message) <= 500, "a message too long")
    _require(len(answer.tool_calls) <= 128, "tool calls without end")
    began = reading.status is not None and 200 <= reading.status < 300
    _require(not (began and answer.retryable), "a retry once a 200 began")
    _require(answer.text_chars == len(answer.text), "text_chars is not that of the text")
    _require(bool(answer.reason) or answer.outcome == "ok", "a failure without a reason")
    for text in _texts(msgspec.structs.asdict(answer)):
        _require(_is_whole(text), f"half a character in {text[:40]!r}")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for item in value.items() for text in _texts(item))
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in _texts(item))
    elif isinstance(value, msgspec.Struct):
        yield from _texts(msgspec.structs.asdict(value))


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_event(event: AttemptFinished) -> None:
    line = encode_event(event)
    _require(line.count(b"\n") == 1, "an event of several lines")
    _require(decode_event(line) == event, "the event is another after its JSON")
    wait_s = event.retry.wait_s if event.retry is not None else 0.0
    _require(0 <= wait_s <= LONGEST_WAIT_S, f"a wait of {wait_s} s")
    cool_s = cool_down_s(event.outcome, event.retry_after_s)
    _require(cool_s is None or 0 < cool_s <= 3600, f"a cool-down of {cool_s} s")


def _check_success(sample: Sample, reading: Reading) -> None:
    """Nothing is ok but a 2xx with some output, no error, and the end that its dialect asks for."""
    answer = reading.answer
    if answer.outcome != "ok":
        return
    _require(reading.status is not None and 200 <= reading.status < 300, "ok without a 2xx")
    _require(answer.error_code is None and not answer.message, "ok with an error")
    has_output = answer.text or answer.reasoning_text or answer.tool_calls
    _require(bool(has_output) or answer.ttft_kind != "none", "ok without output")
    signals = SIGNALS.get(sample.dialect, ())
    if answer.ttft_kind == "not_streamed":
        return  # one whole value is its own end
    plain = "content-encoding" not in reading.headers and b"\0" not in reading.body
    if plain and signals and b"\\u00" not in reading.body:
        body = reading.body.lower()  # some servers spell the marker [done]
        _require(any(one.lower() in body for one in signals), "ok without a terminal signal")


def _check_end(reading: Reading) -> None:
    """A body that did not end as it should is ok only where nothing but the end came last.

    And where there is said to be no output there is none.
    """
    answer = reading.answer
    if answer.reason in ("empty", "cap_exhausted") and answer.outcome == "content_error":
        came = answer.text or answer.reasoning_text or answer.tool_calls
        _require(not came and answer.ttft_kind == "none", "output in an answer without any")
    if answer.outcome != "ok" or answer.ttft_kind == "not_streamed":
        return
    over = False
    for progress in reading.progresses:
        over = progress.terminal or (over and not progress.output)
    _require(over or reading.ending == "complete", "ok, but output came after the end")


def _check_progress(reading: Reading) -> None:
    outputs = [progress for progress in reading.progresses if progress.output]
    for progress in outputs:
        _require(progress.kind != "none" and progress.event, "output of no kind")
    streamed = reading.answer.ttft_kind not in ("none", "not_streamed")
    _require(streamed == bool(outputs), "a first token that was not told, or told of none")


def _check_same(one: Reading, other: Reading) -> None:
    """Only what depends on the reads themselves may differ."""
    if "too_large" in (one.answer.reason, other.answer.reason) or one.silent or other.silent:
        return  # what one read may inflate to, or not bring, are limits of that read
    if one.status is None and other.status is None:
        _require(one.answer.outcome == other.answer.outcome, "another failure")
        return  # what is shown of what is no HTTP is what was read of it by then
    a, b = _untimed(one.answer), _untimed(other.answer)
    differing = [n for n in a.__struct_fields__ if getattr(a, n) != getattr(b, n)]
    if differing:
        values = [(getattr(one.answer, n), getattr(other.answer, n)) for n in differing[:2]]
        raise Broken(f"another cut, another {', '.join(differing)}: {str(values)[:200]}")
    _require((one.status, one.headers) == (other.status, other.headers), "another head")
    _require(one.body == other.body or one.status is None, "another body")


def _untimed(answer: Answer) -> Answer:
    """Return an answer without what depends on its reads."""
    streamed = answer.ttft_kind not in ("none", "not_streamed")
    kind = "buffered" if streamed else answer.ttft_kind
    return msgspec.structs.replace(answer, ttft_kind=kind, first_chunk_tokens=None)
