"""Silence, restarts, lines and endings: the host's pure parts."""

import math
from itertools import pairwise

import msgspec
import pytest
from board_streams import ProbeScript
from hypothesis import given
from hypothesis import strategies as st

from probes.events import (
    AttemptFinished,
    AttemptStarted,
    FirstToken,
    ProbeFinished,
    RetryPlan,
    StampLadder,
)
from probes.sources.rules import HostLimits, ReadRate, RestartPolicy, SilenceMeter
from probes.sources.supervised import OPEN_KEPT, LineSplitter, OpenWork

S = 1_000_000_000
LIMITS = HostLimits()


def test_silence_adds_up_until_something_is_heard() -> None:
    meter = SilenceMeter(0.5)
    for tick in range(21):
        meter.check(tick * S // 2, listening=True)
    assert meter.silent_s == 10.0
    meter.heard()
    assert meter.silent_s == 0.0


def test_a_host_that_was_stopped_itself_holds_no_silence_against_the_engine() -> None:
    meter = SilenceMeter(0.5)
    meter.check(0, listening=True)
    assert meter.check(3_600 * S, listening=True) == 1.0


def test_time_in_which_we_do_not_listen_is_no_silence() -> None:
    meter = SilenceMeter(0.5)
    meter.check(0, listening=True)
    meter.check(S // 2, listening=False)
    assert meter.check(S, listening=True) == 0.5


def test_the_back_off_doubles_to_its_bound_while_engines_die_slowly() -> None:
    policy = RestartPolicy(LIMITS)
    waits = [policy.died(number * 40 * S, lived_s=38.0) for number in range(1, 8)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_an_engine_that_lived_long_starts_again_at_once() -> None:
    policy = RestartPolicy(LIMITS)
    assert policy.died(10 * S, lived_s=10.0) == 1.0
    assert policy.died(100 * S, lived_s=89.0) == 1.0


def test_a_stream_is_read_as_fast_as_may_be_and_lines_of_nothing_are_not_free() -> None:
    assert ReadRate(math.inf).rest_s(10**9, 10**9, 0) == 0.0
    rate = ReadRate(1e6)
    assert rate.rest_s(3_000_000, 0, 5 * S) == 0.0  # what was saved
    assert rate.rest_s(1_500_000, 0, 5 * S) == 0.5
    assert rate.rest_s(500_000, 0, 6 * S) == 0.0
    assert rate.rest_s(0, 1_000, 6 * S) == pytest.approx(0.512)
    assert rate.rest_s(5_000_000, 0, 600 * S) == 1.0  # no more is saved than for some seconds


def test_what_is_begun_anew_on_purpose_waits_only_where_that_does_not_last() -> None:
    policy = RestartPolicy(LIMITS)
    assert [policy.renewed(lived_s=2.0) for _ in range(6)] == [0.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert policy.renewed(lived_s=61.0) == 0.0
    assert policy.renewed(lived_s=2.0) == 2.0


def test_three_deaths_in_a_minute_are_given_up_until_forgotten() -> None:
    policy = RestartPolicy(LIMITS)
    assert [policy.died(at * S, lived_s=1.0) for at in (1, 30, 59)] == [1.0, 2.0, None]
    policy.forget()
    assert policy.died(60 * S, lived_s=1.0) == 1.0


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_any_split_of_the_bytes_gives_the_same_lines(data: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    splitter = LineSplitter(1_000)
    lines = [line for start, end in pairwise(bounds) for line in splitter.feed(data[start:end])]
    assert lines == data.split(b"\n")[:-1]


@pytest.mark.parametrize("pieces", [[b"x" * 30 + b"\nok\n"], [b"x" * 9, b"x" * 9, b"y\nok\n"]])
def test_a_line_above_the_bound_is_thrown_away_and_the_next_one_is_not(
    pieces: list[bytes],
) -> None:
    splitter = LineSplitter(16)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    assert lines == [b"ok"]
    assert splitter.oversized == 1


def _started(probe: str, attempt: int, at_ns: int) -> AttemptStarted:
    return AttemptStarted(
        at_ns=at_ns,
        route="r",
        probe=probe,
        attempt=attempt,
        scheduled_ns=at_ns - 2,
        admitted_ns=at_ns - 1,
        cohort="64/256",
        reserved_tokens=80,
    )


@pytest.mark.parametrize("evidence", [False, True])
def test_what_went_beside_the_pace_is_ended_as_such(evidence: bool) -> None:
    work = OpenWork()
    work.fold(msgspec.structs.replace(_started("1-1", 0, 10), evidence=evidence))
    assert [event.evidence for event in work.end_all("engine_died")] == [evidence] * 2


def test_open_attempts_and_probes_are_ended_as_they_were_left() -> None:
    work = OpenWork()
    first_token = FirstToken(at_ns=15, route="r", probe="1-1", attempt=0, felt_ns=5, kind="content")
    retried = AttemptFinished(
        at_ns=22,
        route="r",
        probe="1-2",
        attempt=0,
        outcome="server_error",
        stamps_ns=StampLadder(started=20, ended=22),
        retry=RetryPlan(reason="server_error", wait_s=9.0, number=1),
    )
    over = ProbeFinished(
        at_ns=25, route="r", probe="1-3", outcome="ok", attempts=1, started_ns=1, scheduled_ns=1
    )
    for event in (
        _started("1-1", 0, 10),
        first_token,
        _started("1-2", 0, 20),
        retried,
        _started("1-3", 0, 24),
        over,
    ):
        work.fold(event)
    endings = work.end_all("engine_died")
    assert [(type(event), event.at_ns) for event in endings] == [
        (AttemptFinished, 25),
        (ProbeFinished, 25),
        (ProbeFinished, 25),
    ]
    attempt, probe, waiting = endings
    assert isinstance(attempt, AttemptFinished)
    assert attempt.stamps_ns == StampLadder(
        scheduled=8, admitted=9, started=10, first_token=15, ended=25
    )
    assert attempt.charged_tokens == 80
    assert isinstance(probe, ProbeFinished)
    assert probe.first_token_ns == 15
    assert isinstance(waiting, ProbeFinished)
    assert (waiting.probe, waiting.attempts, waiting.outcome) == ("1-2", 1, "cancelled")
    assert work.end_all("engine_died") == []


def test_no_more_is_kept_open_than_an_engine_can_have() -> None:
    work = OpenWork()
    for number in range(OPEN_KEPT + 10):
        work.fold(ProbeScript(f"e1-{number}", 1.0).started())
    assert len(work.end_all("engine_died")) == 2 * OPEN_KEPT
