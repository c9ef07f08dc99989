"""Verdicts stand in the stream right after the event that decided, and only the judge's own."""

import random
from functools import reduce
from operator import or_

import msgspec
import pytest
from bench.incident_streams import healthy
from bench.incident_streams.alerting import run_of
from bench.incident_streams.stream import Stream
from board_streams import ProbeScript, arrivals, at, batch, hello, tick
from changed import replace
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import FickleDiagnostician

from probes.diagnosis import Diagnostician
from probes.events import (
    DURABLE_TYPES,
    Alert,
    Diagnosis,
    Event,
    Knob,
    Mark,
    Tick,
    Usual,
    decode_event,
    durable_lines,
    encode_event,
)
from probes.run.verdicts import Fold, Judge, with_verdicts

STALE = Diagnosis(
    at_ns=at(1), id="old.1", state="named", cause="outage", routes=("alpha",), since_ns=at(0)
)


def stream() -> list[Event]:
    """Return a run in which durable and transient events take turns."""
    events: list[Event] = []
    for number in range(20):
        events += ProbeScript(f"1-{number}", number * 0.7, ttft_s=0.2, e2e_s=0.6).events()
        events += [arrivals(number * 0.7), batch(number * 0.7), tick(number * 0.7)]
    events.append(Knob(at_ns=at(9), route="alpha", knob="concurrency", before=1, after=2))
    return [hello(), *sorted(events, key=lambda event: event.at_ns)]


def told(
    judge: Fold, batches: list[list[Event]], lines: list[bytes] | None = None
) -> tuple[list[Event], bytes]:
    """Return a stream with its verdicts, and its lines, given batch by batch."""
    events, written = list[Event](), b""
    for number, given_events in enumerate(batches):
        given_lines = durable_lines(given_events) if lines is None else lines[number]
        more, more_lines = with_verdicts(judge, given_events, given_lines)
        events += more
        written += more_lines
    return events, written


def test_a_verdict_stands_right_after_the_event_that_decided() -> None:
    events, lines = told(FickleDiagnostician(every=2), [stream()])
    places = [place for place, event in enumerate(events) if isinstance(event, Diagnosis)]
    assert len(places) > 10
    for place in places:
        before = next(e for e in reversed(events[:place]) if not isinstance(e, Diagnosis))
        assert events[place].at_ns == before.at_ns
    assert [decode_event(line) for line in lines.splitlines()] == [
        event for event in events if isinstance(event, DURABLE_TYPES)
    ]


def test_two_verdicts_of_one_event_keep_their_order() -> None:
    events, _ = told(FickleDiagnostician(every=10**6), [stream()])
    knob = next(place for place, event in enumerate(events) if isinstance(event, Knob))
    assert [event.id for event in events[knob + 1 : knob + 3] if isinstance(event, Diagnosis)] == [
        "e1.a0",
        "e1.b0",
    ]


def test_transient_events_are_not_judged_and_go_on() -> None:
    judge = FickleDiagnostician()
    events, _ = told(judge, [stream()])
    assert all(isinstance(event, DURABLE_TYPES) for event in judge.folded)
    assert [e for e in events if not isinstance(e, Diagnosis)] == stream()


def test_what_decides_nothing_is_handed_on_as_it_is() -> None:
    events = stream()
    lines = durable_lines(events)
    same_events, same_lines = with_verdicts(Diagnostician(), events, lines)
    assert same_events is events
    assert same_lines is lines


def test_the_lines_of_other_events_keep_their_bytes() -> None:
    odd = b'{"type":"mark", "at_ns":7,\r"text":"a","novel":{"type":"diagnosis"}}\r\n'
    knob = Knob(at_ns=8, route="alpha", knob="concurrency", before=1, after=2)
    _, lines = with_verdicts(
        FickleDiagnostician(), [Mark(at_ns=7, text="a"), knob], odd + encode_event(knob)
    )
    assert lines.startswith(odd + encode_event(knob) + b'{"type":"diagnosis"')
    assert lines.endswith(b"}\n")
    assert lines.count(b"\n") == 4


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_verdicts_of_others_and_bounds_of_batches_change_nothing(seed: int) -> None:
    chance = random.Random(seed)
    expected = told(FickleDiagnostician(), [stream()])
    littered: list[Event] = []
    for number, event in enumerate(stream()):
        littered.append(event)
        if chance.random() < 0.2:
            littered.append(replace(STALE, id=f"old.{chance.random()}", at_ns=event.at_ns))
            littered.append(Usual(at_ns=event.at_ns, route="alpha", cohort="", n=number))
    batches: list[list[Event]] = [[]]
    for event in littered:
        if chance.random() < 0.2:
            batches.append([])
        batches[-1].append(event)
    assert told(FickleDiagnostician(), batches) == expected
    again, _ = told(FickleDiagnostician(), [expected[0]])
    assert again == expected[0]


def test_what_is_usual_is_told_again_by_a_replay_in_the_same_places() -> None:
    events = list(Stream(healthy.run_of("stray", 3, 400.0), 3).events())
    live, lines = told(Diagnostician(), [events])
    usual = [event for event in live if isinstance(event, Usual)]
    assert len(usual) > 4
    recorded = [decode_event(line) for line in lines.splitlines()]
    batches = [recorded[at : at + 97] for at in range(0, len(recorded), 97)]
    again, again_lines = told(Diagnostician(), batches)
    assert again_lines == lines
    assert again == recorded


def test_alerts_stand_behind_what_they_come_of_and_a_replay_has_the_same() -> None:
    outline = run_of("outage.503", 2)
    events = list(Stream(outline, 2).events())
    live, lines = told(Judge(Diagnostician()), [events])
    alerts = [place for place, event in enumerate(live) if isinstance(event, Alert)]
    assert [event.state for event in live if isinstance(event, Alert)] == ["firing", "over"]
    named = live[alerts[0] - 1]
    assert isinstance(named, Diagnosis)
    assert named.state == "named"
    assert isinstance(live[alerts[1] - 1], Tick)
    recorded = [decode_event(line) for line in lines.splitlines()]
    batches = [recorded[at : at + 97] for at in range(0, len(recorded), 97)]
    again, again_lines = told(Judge(Diagnostician()), batches)
    assert again_lines == lines
    assert again == recorded


def test_a_reader_that_does_not_know_what_is_usual_passes_it_over() -> None:
    line = encode_event(Usual(at_ns=5, route="alpha", cohort="64/256", ttft_p50_s=0.3, n=30))
    known = reduce(or_, [kind for kind in DURABLE_TYPES if kind is not Usual])
    older = msgspec.json.Decoder(known)
    with pytest.raises(msgspec.ValidationError, match="usual"):  # not what is torn or damaged
        older.decode(line)
