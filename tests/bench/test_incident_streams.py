"""What the made-up streams are made of, and that their judge is just."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from bench.incident_streams import healthy, scenarios
from bench.incident_streams.stream import Stream
from bench.incident_streams.trouble import Outline

from probes.board import Board
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    Hello,
    ProbeFinished,
    RouteCounts,
    Tick,
    decode_event,
    encode_event,
)
from probes.kit.clock import NS_PER_S

LADDER = (
    *("scheduled", "admitted", "started", "dns", "tcp", "tls", "sent", "headers", "first_event"),
    *("first_token", "last_token", "done", "ended"),
)


def told(outline: Outline, seed: int = 1) -> list[Event]:
    return list(Stream(outline, seed).events())


def every_outline() -> Iterator[tuple[str, Outline]]:
    for case in scenarios.CASES:
        briefly = replace(case, acts=tuple(replace(act, lasts_s=40.0) for act in case.acts))
        yield case.name, scenarios.outline(briefly, scenarios.Setting(health_s=100.0), Random(1))
    for kind in healthy.KINDS:
        yield kind, healthy.run_of(kind, 1, 200.0)


OUTLINES = dict(every_outline())


@pytest.fixture(scope="module")
def events(request: pytest.FixtureRequest) -> list[Event]:
    """Of one outline, made once for all tests of it."""
    return told(OUTLINES[request.param])


of_all = pytest.mark.parametrize("events", OUTLINES, indirect=True)


@of_all
def test_a_stream_is_in_the_order_of_its_stamps(events: list[Event]) -> None:
    assert isinstance(events[0], Hello)
    assert all(a.at_ns <= b.at_ns for a, b in pairwise(events))


@of_all
def test_every_event_is_read_again_as_it_was_written(events: list[Event]) -> None:
    for event in events:
        assert decode_event(encode_event(event)) == event


@of_all
def test_the_steps_of_an_attempt_follow_each_other(events: list[Event]) -> None:
    for event in events:
        if isinstance(event, AttemptFinished):
            stamps = [getattr(event.stamps_ns, step) for step in LADDER]
            happened = [stamp for stamp in stamps if stamp is not None]
            assert happened == sorted(happened), event
            assert event.stamps_ns.ended == event.at_ns
            started_ns, first_ns = event.stamps_ns.started, event.stamps_ns.first_token
            assert started_ns is not None
            if first_ns is not None:
                assert event.chunk_offsets_ns[0] == first_ns - started_ns
                assert len(event.chunk_offsets_ns) == event.chunks
                gaps = [b - a for a, b in pairwise(event.chunk_offsets_ns)]
                assert event.longest_gap_ns == max(gaps, default=0)
                assert event.stalls == sum(gap > NS_PER_S for gap in gaps)


@of_all
def test_whatever_begins_ends_once_and_in_its_place(events: list[Event]) -> None:
    open_attempts: dict[tuple[str, int], str] = {}
    open_probes: set[str] = set()
    ended: set[str] = set()
    for event in events:
        match event:
            case AttemptStarted():
                assert event.probe not in ended
                assert (event.probe, event.attempt) not in open_attempts
                open_attempts[event.probe, event.attempt] = event.route
                open_probes.add(event.probe)
            case FirstToken():
                assert (event.probe, event.attempt) in open_attempts
            case AttemptFinished():
                assert open_attempts.pop((event.probe, event.attempt)) == event.route
            case ProbeFinished():
                open_probes.remove(event.probe)
                ended.add(event.probe)
            case Tick():
                flying = Counter(open_attempts.values())
                assert all(flying[one.route] == one.in_flight for one in event.routes)
            case _:
                pass
    assert len(ended) > 10


@pytest.mark.parametrize("name", ["outage.503", "rate_limited_requests.wait", "engine_dies.within"])
def test_a_board_takes_it(name: str) -> None:
    board = Board()
    for event in told(OUTLINES[name]):
        board.fold(event)
    assert set(board.summary()) >= {"alpha", "beta", "gamma"}


def test_the_same_seed_gives_the_same_stream_and_another_another() -> None:
    outline = scenarios.run_of("provider_queueing.x3", 1)
    assert told(outline, 3) == told(outline, 3)
    assert told(outline, 3) != told(outline, 4)


def test_a_route_is_probed_at_its_pace() -> None:
    outline = healthy.run_of("sigma0.3", 1, 600.0)
    began = Counter(one.route for one in told(outline) if isinstance(one, AttemptStarted))
    assert began["alpha"] == pytest.approx(600, rel=0.03)


def test_what_a_trouble_does_is_in_it_from_its_onset_to_its_end() -> None:
    outline = scenarios.run_of("provider_errors.50", 1)
    (trouble,) = outline.troubles
    failed: Counter[tuple[str, bool]] = Counter()
    for event in told(outline):
        if isinstance(event, AttemptFinished) and event.outcome == "server_error":
            at_s = (event.at_ns - 1000 * NS_PER_S) / NS_PER_S
            failed[event.route, trouble.onset_s <= at_s < trouble.end_s + 2.0] += 1
    assert set(failed) == {("alpha", True)}
    assert failed["alpha", True] > 20


def test_a_hanging_route_gets_older_and_older_in_the_ticks() -> None:
    outline = scenarios.run_of("no_answer.hang", 1)
    (trouble,) = outline.troubles
    ages: list[RouteCounts] = []
    for event in told(outline):
        at_s = (event.at_ns - 1000 * NS_PER_S) / NS_PER_S
        if isinstance(event, Tick) and trouble.onset_s + 5 < at_s < trouble.onset_s + 50:
            ages += [one for one in event.routes if one.route == "alpha"]
    assert {one.oldest_phase for one in ages} <= {"sent", "headers"}
    assert all((b.oldest_open_ns or 0) > (a.oldest_open_ns or 0) for a, b in pairwise(ages))


def test_a_suspected_route_is_looked_at_each_second_for_a_while_and_marked_so() -> None:
    outline = scenarios.run_of("provider_queueing.x3@every30s", 1)
    stream = Stream(outline, 1)
    marked = []
    for event in stream.events():
        stream.suspects = frozenset({"alpha"}) if event.at_ns > 1100 * NS_PER_S else frozenset()
        if isinstance(event, AttemptStarted) and event.evidence:
            marked.append(event)
        if event.at_ns > 1160 * NS_PER_S:
            break
    assert {one.route for one in marked} == {"alpha"}
    assert 20 <= len(marked) <= 42


def test_a_route_that_wants_none_is_not_looked_at() -> None:
    outline = scenarios.run_of("provider_queueing.x3@every5s.no_evidence", 1)
    stream = Stream(replace(outline, length_s=200.0), 1)
    stream.suspects = frozenset({"alpha"})
    assert not any(isinstance(one, AttemptStarted) and one.evidence for one in stream.events())


def test_what_a_late_engine_tells_is_the_same_in_another_order() -> None:
    outline = healthy.run_of("sigma0.3", 1, 100.0)
    in_order = told(outline)
    late = told(replace(outline, late_s=0.2))
    assert late != in_order
    assert sorted(map(encode_event, late)) == sorted(map(encode_event, in_order))
    newest_ns = 0
    for event in late:
        assert event.at_ns > newest_ns - 0.5 * NS_PER_S
        newest_ns = max(newest_ns, event.at_ns)


def test_a_burst_is_sent_beside_the_pace() -> None:
    outline = healthy.run_of("turned", 1, 9100.0)
    began = [one for one in told(outline) if isinstance(one, AttemptStarted)]
    at_once = Counter(one.at_ns for one in began)
    assert max(at_once.values()) == 10
