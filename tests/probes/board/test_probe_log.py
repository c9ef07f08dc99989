"""The last probes of a route: whole, newest first, and in few bytes whatever comes."""

import random
import tracemalloc
from typing import Any

import msgspec
import pytest
from board_streams import ProbeScript, at, hello, throttled, tick
from hypothesis import given
from hypothesis import strategies as st

from probes.board import Board
from probes.board.probe_log import BYTES_KEPT, PROBES_KEPT, ProbeLog
from probes.board.views import ProbeView, RoutePage
from probes.events import AttemptFinished, Event, ProbeFinished, StampLadder
from probes.kit.clock import NS_PER_S

MS = NS_PER_S // 1_000


def folded(*events: Event) -> Board:
    board = Board()
    for event in events:
        board.fold(event)
    return board


def page_of(board: Board, route: str = "alpha") -> RoutePage:
    page = board.snapshot("5m", pages=(route,), anew=True).details[route].page
    assert page is not None
    return page


def views_of(*events: Event) -> list[ProbeView]:
    return list(page_of(folded(hello(), *events, tick(900.0))).probes)


def attempt(probe: str, number: int = 0, chunks: int = 100, **more: Any) -> AttemptFinished:
    """Return an attempt as a real server leaves it, with headers, ids and its chunks."""
    source = random.Random(f"{probe}{number}")
    offsets = sorted(source.randrange(200 * MS, 6_000 * MS) for _ in range(chunks))
    start = at(source.random() * 1_000)
    stamps = {name: start + 7 * n for n, name in enumerate(StampLadder.__struct_fields__)}
    values: dict[str, Any] = {
        "stamps_ns": StampLadder(**stamps),
        "outcome": "ok",
        "status": 200,
        "http_version": "HTTP/1.1",
        "cohort": "64/256",
        "dialect": "chat",
        "input_tokens": 12,
        "output_tokens": chunks,
        "token_source": "usage",
        "ttft_kind": "content",
        "finish_reason": "stop",
        "chunks": chunks,
        "chunk_offsets_ns": tuple(offsets),
        "longest_gap_ns": source.randrange(10**9),
        "request_id": f"req_{source.getrandbits(96):x}",
        "request_ids": {"x-request-id": f"req_{source.getrandbits(96):x}"},
        "response_id": f"chatcmpl-{source.getrandbits(96):x}",
        "headers": {
            "date": "Mon, 30 Nov 2026 01:32:42 GMT",
            "content-type": "text/event-stream; charset=utf-8",
            "x-ratelimit-remaining-requests": str(source.randrange(500)),
            "x-ratelimit-remaining-tokens": str(source.randrange(50_000)),
        },
        "server_timing": {"queue_ms": source.random() * 40},
        "text_sha256": f"{source.getrandbits(256):064x}",
        "served_model": "Qwen/Qwen3-235B-A22B-Instruct-2507",
    }
    return AttemptFinished(
        at_ns=start + 100, route="alpha", probe=probe, attempt=number, **(values | more)
    )


def ended(probe: str, **more: Any) -> ProbeFinished:
    values: dict[str, Any] = {"at_ns": at(9.0), "outcome": "ok", "attempts": 1, "started_ns": at(1)}
    return ProbeFinished(
        route="alpha", probe=probe, scheduled_ns=at(1), cohort="64/256", **(values | more)
    )


def test_a_probe_is_shown_with_all_that_its_strip_needs() -> None:
    script = ProbeScript(
        "e1-2",
        10.0,
        e2e_s=2.5,
        finished={
            "status": 200,
            "request_id": "req_7",
            "chunks": 4,
            "chunk_offsets_ns": (400 * MS, 450 * MS, 1_900 * MS, 2_500 * MS),
            "longest_gap_ns": 1_450 * MS,
            "stalls": 1,
        },
    )
    (view,) = views_of(*script.events())
    assert view == ProbeView(
        probe="e1-2",
        at_ns=at(12.5),
        started_ns=at(10.0),
        outcome="ok",
        status=200,
        ttft_s=0.4,
        e2e_s=2.5,
        lasted_s=2.5,
        tokens_per_s=pytest.approx(10 / 2.1),
        longest_gap_s=1.45,
        stalls=1,
        cells=(*[0] * 4, 2, *[0] * 14, 1, *[0] * 5, 1),
        request_id="req_7",
        cohort="64/256",
    )


def test_the_attempts_of_a_probe_are_one_strip_from_its_own_start() -> None:
    script = ProbeScript("e1-3", 10.0, ttft_s=3.2, e2e_s=4.0)
    late = script.attempt_finished(1, from_s=13.0)
    late = msgspec.structs.replace(late, chunk_offsets_ns=(200 * MS, 950 * MS), chunks=2)
    probe = msgspec.structs.replace(script.probe_finished(2), retry_wait_ns=2 * NS_PER_S)
    (view,) = views_of(
        script.started(), throttled(script, 10.5, 2.0), script.started(1, 13.0), late, probe
    )
    assert (view.attempts, view.throttled, view.wait_s) == (2, 1, 2.0)
    assert view.cells == (*[0] * 32, 1, *[0] * 6, 1)


def test_a_strip_is_at_most_a_minute_long() -> None:
    offsets = tuple(seconds * NS_PER_S for seconds in range(0, 400, 30))
    script = ProbeScript("e1-4", 10.0, e2e_s=400.0, finished={"chunk_offsets_ns": offsets})
    (view,) = views_of(*script.events())
    assert len(view.cells) <= 600
    assert sum(view.cells) == 2


@pytest.mark.parametrize(
    ("outcome", "is_good"), [("server_error", False), ("throttled", False), ("cancelled", False)]
)
def test_however_a_probe_ended_it_is_listed_as_what_it_is(outcome: str, is_good: bool) -> None:
    script = ProbeScript("e1-5", 10.0, ttft_s=None, outcome=outcome, reason="because")
    (view,) = views_of(*script.events())
    assert (view.outcome, view.reason, view.is_good) == (outcome, "because", is_good)
    assert (view.ttft_s, view.e2e_s, view.lasted_s) == (None, None, 2.0)


def test_a_slow_answer_is_not_good_by_the_goals_of_its_time() -> None:
    (view,) = views_of(*ProbeScript("e1-6", 10.0, ttft_s=1.5).events())
    assert view.outcome == "ok"
    assert not view.is_good


def test_the_newest_two_hundred_are_kept_newest_first_and_all_are_counted() -> None:
    board = folded(hello())
    for number in range(PROBES_KEPT + 50):
        for event in ProbeScript(f"e1-{number}", number * 0.5).events():
            board.fold(event)
    page = page_of(board)
    assert page.ended == PROBES_KEPT + 50
    assert [view.probe for view in page.probes] == [
        f"e1-{number}" for number in reversed(range(50, PROBES_KEPT + 50))
    ]
    assert [view.probe for view in page.probes[:2]] == ["e1-249", "e1-248"]
    assert page.probes[-1].probe == "e1-50"
    assert board.request("alpha", "e1-49") is None
    assert board.request("alpha", "e1-50") is not None


def test_a_list_stays_as_it_was_when_more_probes_end() -> None:
    board = folded(hello(), *ProbeScript("e1-0", 1.0).events())
    page = page_of(board)
    for number in range(1, PROBES_KEPT + 9):
        for event in ProbeScript(f"e1-{number}", number * 0.5).events():
            board.fold(event)
    page_of(board)
    assert [view.probe for view in page.probes] == ["e1-0"]
    assert board.request("alpha", "e1-0") is None


def test_a_request_is_given_back_as_it_was_told() -> None:
    script = ProbeScript("e1-7", 10.0, ttft_s=3.2, e2e_s=4.0)
    first, last = throttled(script, 10.5, 2.0), attempt("e1-7", 1, message="\x1b[31m", text="🙂")
    board = folded(
        hello(), script.started(), first, script.started(1, 13.0), last, script.probe_finished(2)
    )
    request = board.request("alpha", "e1-7")
    assert request is not None
    assert request.route == "alpha"
    assert request.probe == script.probe_finished(2)
    assert request.attempts == (first, last)


def test_what_is_not_known_has_no_request() -> None:
    board = folded(hello(), *ProbeScript("e1-8", 10.0).events())
    assert board.request("alpha", "e1-9") is None
    assert board.request("bravo", "e1-8") is None


def test_a_probe_that_its_host_had_given_up_is_listed_once_as_it_ended() -> None:
    script = ProbeScript("e1-7", 10.0)
    first = throttled(script, 10.5, 2.0)
    given_up = ended("e1-7", outcome="cancelled", attempts=1)
    board = folded(
        hello(), script.started(), first, given_up, attempt("e1-7", 1), script.probe_finished(2)
    )
    (view,) = page_of(board).probes
    assert (view.outcome, view.attempts) == ("ok", 2)
    request = board.request("alpha", "e1-7")
    assert request is not None
    assert [one.attempt for one in request.attempts] == [0, 1]


def test_a_probe_without_an_attempt_is_listed_too() -> None:
    (view,) = views_of(ProbeScript("e1-1", 10.0).probe_finished())
    assert (view.probe, view.status, view.cells) == ("e1-1", None, ())


def test_stamps_beyond_all_clocks_cost_their_probe_alone() -> None:
    absurd = {"stamps_ns": StampLadder(started=10**30, ended=at(12.0))}
    script = ProbeScript("e1-1", 10.0, finished=absurd)
    (other, view) = views_of(*script.events(), *ProbeScript("e1-2", 11.0).events())
    assert (other.probe, view.probe, view.status) == ("e1-2", "e1-1", None)


def test_the_probes_of_forty_one_routes_are_kept_in_twelve_megabytes() -> None:
    events = [(attempt(f"e1-{n}"), ended(f"e1-{n}")) for n in range(PROBES_KEPT)]
    tracemalloc.start()
    try:
        logs = [ProbeLog() for _ in range(41)]
        for log in logs:
            for one, probe in events:
                log.attempt_ended(one, BYTES_KEPT // 41)
                log.probe_ended(probe, BYTES_KEPT // 41, is_good=True)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 12_000_000
    assert [len(log.views()) for log in logs] == [PROBES_KEPT] * 41
    request = logs[40].request("alpha", "e1-0")
    assert request is not None
    assert request.attempts == (events[0][0],)


@given(
    sizes=st.lists(st.integers(0, 3_000), min_size=1, max_size=120),
    bytes_kept=st.sampled_from((5_000, 60_000, 400_000)),
    never_end=st.sets(st.integers(0, 119)),
)
def test_whatever_a_server_sends_the_bytes_stay_within_their_bound(
    sizes: list[int], bytes_kept: int, never_end: set[int]
) -> None:
    log, told = ProbeLog(), {}
    for number, size in enumerate(sizes):
        one = attempt(f"e1-{number}", chunks=0, message="x" * size)
        log.attempt_ended(one, bytes_kept)
        if number not in never_end:
            told[f"e1-{number}"] = one
            log.probe_ended(ended(f"e1-{number}"), bytes_kept, is_good=True)
            newest = one
    views = list(log.views())
    if len(sizes) - 1 not in never_end:  # the newest is kept, whatever its size
        assert views[0].probe == newest.probe
    assert [view.probe for view in views] == list(reversed(told))[: len(views)]
    for view in views:
        request = log.request("alpha", view.probe)
        assert request is not None
        assert request.attempts == (told[view.probe],)
    least = max(size + 2_000 for size in sizes)
    assert log._size <= max(bytes_kept, least)


def test_attempts_whose_probes_never_end_do_not_pile_up() -> None:
    log = ProbeLog()
    for number in range(5_000):
        log.attempt_ended(attempt(f"e1-{number}", chunks=3), BYTES_KEPT)
    assert len(log._unended) <= 512
    log.probe_ended(ended("e1-4999"), 20_000, is_good=True)
    assert log.request("alpha", "e1-4999") is not None
    assert log._size <= 20_000
