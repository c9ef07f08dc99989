"""Results as events: pure functions from what was said and measured to what is told.

Rule 1. An attempt's event is made here and once: of what is known of the request, the answer, the
        stamp recorder, the path and the charge. What is called the same in them and in
        `AttemptFinished` goes there by its name; all else stands in `attempt_finished`.
Rule 2. Here a key is scrubbed: before this an answer is as its server wrote it, behind this no text
        that a server chose holds a secret of ours. (Only the text of a stream on preview goes
        another way, `engine.preview`, and a traceback, `RouteRunner.fault`.)
Rule 3. Texts are cut before they are scrubbed: what a cut leaves of a secret, the scrubber sees.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from probes.answers.answer import Answer
from probes.answers.response_headers import KEPT_HEADERS, kept_headers, request_ids
from probes.config import Price
from probes.config.scrubbing import Scrubber
from probes.engine.stamp_recorder import StampRecorder
from probes.events import (
    AttemptFinished,
    ClockSource,
    Limit,
    RetryPlan,
    ServerClaim,
    StampLadder,
)
from probes.money.pricing import Asked, Charge, PriceSource, Reported, Seen, charge_of
from probes.transport import PathReading

BANDS: Final = ((256, "256"), (1_024, "1k"), (4_096, "4k"), (16_384, "16k"), (65_536, "64k"))
"""Upper ends of the bands of input tokens that a cohort names."""
LONGEST_TEXT: Final = 300_000
"""Characters of an answer in an event: its line must fit the host's, escaped."""
FROM_THE_SERVER: Final = (
    *("message", "finish_reason", "request_id", "request_ids", "response_id", "headers"),
    *("served_model", "fingerprint"),
    *("limits", "server_timing", "server_claims", "text", "reasoning_text"),
)
"""Fields of the event in which a server chose the words; the rest are words of our own."""
UNCOUNTED: Final[dict[str, Any]] = {
    "input_tokens": None,
    "output_tokens": None,
    "billed_tokens": None,
    "reasoning_tokens": None,
    "cached_tokens": None,
    "first_chunk_tokens": None,
    "hidden_tokens": None,
    "token_source": "none",
}
"""What is told instead of the counts of a server that were not believed."""


@dataclass(frozen=True, slots=True)
class AttemptIdentity:
    """Which attempt of which probe, when it was let go, and what it asked for."""

    route: str
    probe: str
    attempt: int
    cohort: str
    asked: Asked
    scheduled_ns: int
    admitted_ns: int
    dialect: str = ""
    """That was asked in."""
    evidence: bool = False
    """It goes beside the pace."""


SHARED: Final = {
    record: tuple(
        name for name in AttemptFinished.__struct_fields__ if name in record.__annotations__
    )
    for record in (Answer, StampRecorder, AttemptIdentity, Charge, PathReading)
}
"""The fields of each record that the event has by the same name; of two of them the later counts
(a cost is what was charged, not what was said)."""


def cohort_of(max_tokens: int, input_tokens: int, shape: str = "") -> str:
    """Return the cohort: exact answer cap / upper end of the band of input tokens, and / the shape
    where the route asks one that has a name."""
    band = next((name for limit, name in BANDS if input_tokens <= limit), ">64k")
    return f"{max_tokens}/{band}/{shape}" if shape else f"{max_tokens}/{band}"


def charge_for(
    asked: Asked,
    answer: Answer,
    recorder: StampRecorder,
    price: Price | None,
    source: PriceSource = "price",
) -> Charge:
    """Return what an exchange is charged and what it cost."""
    refused = answer.status is not None and answer.status >= 300
    reported = Reported(
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        billed_tokens=answer.billed_tokens,
        cached_tokens=answer.cached_tokens,
        cost_usd=answer.cost_usd,
    )
    seen = Seen(
        pieces=answer.pieces,
        characters=max(recorder.characters, answer.kept_characters),
        worked="sent" in recorder.stamps and not refused,
        passed=recorder.passed,
    )
    return charge_of(asked, reported, seen, price, source)


def attempt_finished(
    identity: AttemptIdentity,
    answer: Answer,
    recorder: StampRecorder,
    *,
    charge: Charge,
    retry: RetryPlan | None,
    clock: ClockSource,
    path: PathReading,
    scrub: Scrubber,
    include_text: bool,
) -> AttemptFinished:
    """Return the event of an ended attempt; everything a server said is scrubbed of secrets."""
    stamps = recorder.stamps
    ids = request_ids(answer.headers, answer.body_request_id)
    merged: dict[str, Any] = {
        name: getattr(record, name)
        for record in (answer, recorder, identity, charge, path)
        for name in SHARED[type(record)]
    }
    merged |= {
        "at_ns": stamps["ended"],
        "dialect": answer.dialect or identity.dialect,
        "stamps_ns": StampLadder(
            scheduled=identity.scheduled_ns, admitted=identity.admitted_ns, **stamps
        ),
        "cold": "tcp" in stamps,
        "chunk_offsets_ns": tuple(recorder.chunk_offsets_ns),
        "inexact": tuple(sorted(recorder.inexact)),
        "clock": clock,
        "retry": retry,
        "reserved_tokens": identity.asked.reserved_tokens,
        "charged_tokens": charge.tokens,
        "charged_usd": charge.usd,
        "request_id": next(iter(ids.values()), None),
        "request_ids": ids,
        "headers": kept_headers(answer.headers),
        "text": answer.text[:LONGEST_TEXT] if include_text else None,
        "reasoning_text": answer.reasoning_text[:LONGEST_TEXT] if include_text else None,
    }
    if not charge.counted:
        merged |= UNCOUNTED
    for name in FROM_THE_SERVER:
        merged[name] = _scrubbed(merged[name], scrub)
    return AttemptFinished(**merged)


def _scrubbed(value: Any, scrub: Scrubber) -> Any:
    """Return what a server said without secrets, wherever in it the server chose the words.

    Of one that a cut has left no more than seven characters stand.
    """
    match value:
        case str():
            return scrub.scrub(value)
        case dict():  # of headers and timings it chooses names too, but those we know by heart
            return {
                name if name in KEPT_HEADERS else scrub.scrub(name): _scrubbed(one, scrub)
                for name, one in value.items()
            }
        case tuple():
            return tuple(_scrubbed(one, scrub) for one in value)
        case Limit():
            kind, scope = scrub.scrub(value.kind), scrub.scrub(value.scope)
            return msgspec.structs.replace(value, kind=kind, scope=scope)
        case ServerClaim():
            return msgspec.structs.replace(value, source=scrub.scrub(value.source))
        case _:
            return value
