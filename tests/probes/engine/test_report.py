"""Results as events: nothing secret, nothing too long."""

from dataclasses import fields

import msgspec
import pytest

from probes.answers.answer import Answer
from probes.config import Goals, Route, Timeouts
from probes.config.scrubbing import MASK, Scrubber
from probes.engine.introduction import route_info
from probes.engine.report import (
    LONGEST_TEXT,
    SHARED,
    AttemptIdentity,
    attempt_finished,
    charge_for,
    cohort_of,
)
from probes.engine.stamp_recorder import StampRecorder
from probes.events import AttemptFinished, Limit, ServerClaim, decode_event, encode_event
from probes.money.pricing import Asked
from probes.transport import PathReading
from probes.transport.path import UNTOLD

SECRET = "sk-very-secret-value-that-is-quite-long"
ASKED = Asked(reserved_tokens=84)


def event_of(
    answer: Answer,
    headers: dict[str, str],
    *,
    text: bool = False,
    path: PathReading = UNTOLD,
    **more: int,
) -> AttemptFinished:
    answer = msgspec.structs.replace(answer, status=200, headers=headers)
    recorder = StampRecorder(0, stamps={"started": 1, "sent": 2, "ended": 3, **more})
    return attempt_finished(
        AttemptIdentity("r", "1-1", 0, "64/256", ASKED, scheduled_ns=0, admitted_ns=0),
        answer,
        recorder,
        charge=charge_for(ASKED, answer, recorder, None),
        retry=None,
        clock="user",
        path=path,
        scrub=Scrubber(frozenset({SECRET})),
        include_text=text,
    )


@pytest.mark.parametrize(
    ("counted", "charged"),
    [
        ({"input_tokens": 20, "output_tokens": 5}, 25),
        ({"output_tokens": 5}, 5),
        ({}, 84),
        ({"input_tokens": 20}, 84),
        ({"input_tokens": 90}, 90),
    ],
)
def test_an_output_that_nobody_counted_is_charged_as_reserved(
    counted: dict[str, int], charged: int
) -> None:
    assert event_of(Answer(outcome="truncated", **counted), {}).charged_tokens == charged


def test_no_place_of_an_answer_carries_a_secret_into_an_event() -> None:
    answer = Answer(
        outcome="ok",
        message=f"bad key {SECRET}",
        finish_reason=SECRET,
        response_id=f"id-{SECRET}",
        served_model=SECRET,
        fingerprint=f"fp-{SECRET}",
        text=f"you sent {SECRET}",
        reasoning_text=SECRET,
        server_timing={SECRET: 1.0},
        limits=(Limit(kind=SECRET, limit=1.0), Limit(kind="tokens", scope=SECRET)),
        server_claims=(ServerClaim(interval="queue", seconds=1, source=SECRET, raw=1, unit="s"),),
        body_request_id=SECRET,
    )
    headers = {"x-request-id": SECRET, f"x-ratelimit-limit-{SECRET}": SECRET, "server": SECRET}
    line = encode_event(event_of(answer, headers, text=True)).decode()
    assert SECRET not in line
    assert MASK in line


def test_a_route_is_told_with_what_it_is_judged_by() -> None:
    usual = route_info(Route(name="r", base_url="https://h", model="m"))
    assert (usual.goal_tokens_per_s, usual.evidence, usual.first_token_timeout_s) == (
        None,
        True,
        60.0,
    )
    own = Route(
        name="r",
        base_url="https://h",
        model="m",
        evidence=False,
        goals=Goals(tokens_per_s=20.0),
        timeouts=Timeouts(first_token=7.0),
    )
    told = route_info(own)
    assert (told.goal_tokens_per_s, told.evidence, told.first_token_timeout_s) == (20.0, False, 7.0)


def test_a_cut_leaves_no_beginning_of_a_secret() -> None:
    cut = SECRET[:20]
    answer = Answer(
        outcome="ok",
        message="x" * 480 + cut,
        finish_reason="y" * 60 + cut,
        response_id=cut,
        served_model="m" * 180 + cut,
        fingerprint="f" * 180 + cut,
        text="z" * (LONGEST_TEXT - 20) + SECRET,
        server_timing={cut: 1.0},
    )
    line = encode_event(event_of(answer, {"x-request-id": "z" * 180 + SECRET}, text=True)).decode()
    assert SECRET[:8] not in line


def test_a_long_text_still_fits_a_line_of_the_pipe() -> None:
    answer = Answer(outcome="ok", text="\x01" * 1_000_000, reasoning_text="\x01" * 1_000_000)
    assert len(encode_event(event_of(answer, {}, text=True))) < 4 << 20


@pytest.mark.parametrize(
    ("tokens", "band"),
    [
        *((1, "256"), (256, "256"), (257, "1k"), (1_024, "1k"), (1_025, "4k"), (4_096, "4k")),
        *((4_097, "16k"), (16_384, "16k"), (16_385, "64k"), (65_536, "64k"), (65_537, ">64k")),
    ],
)
def test_a_cohort_is_the_cap_and_the_band_of_the_input(tokens: int, band: str) -> None:
    assert cohort_of(64, tokens) == f"64/{band}"


def test_what_goes_into_the_event_by_its_name_is_of_the_type_the_event_has() -> None:
    wanted = AttemptFinished.__annotations__
    made = {"chunk_offsets_ns", "inexact", "headers", "text", "reasoning_text"}
    for record, names in SHARED.items():
        own = {name: record.__annotations__[name] for name in set(names) - made}
        assert own == {name: wanted[name] for name in own}


def test_an_attempt_is_cold_where_a_connection_was_made_for_it() -> None:
    assert event_of(Answer(outcome="ok"), {}, tcp=2).cold
    assert not event_of(Answer(outcome="ok"), {}).cold


def test_what_was_counted_of_the_path_is_told_and_what_was_not_is_absent() -> None:
    counted = event_of(Answer(outcome="ok"), {}, path=PathReading(9, 8, 0, 0, "proxy"))
    told = (counted.rtt_ns, counted.rtt_min_ns, counted.retransmits, counted.reordered)
    assert (told, counted.rtt_to) == ((9, 8, 0, 0), "proxy")
    line = encode_event(counted)
    assert b'"retransmits":0,"reordered":0,"rtt_to":"proxy"' in line
    assert decode_event(line) == counted
    unknown = encode_event(event_of(Answer(outcome="ok"), {}))
    assert not any(field.name.encode() in unknown for field in fields(PathReading))
