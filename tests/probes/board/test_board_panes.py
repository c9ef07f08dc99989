"""Lanes, the log of 429s and the retry table."""

from typing import Any

import pytest
from board_streams import ProbeScript, arrivals, at, hello, route_info, throttled, tick

from probes.board import Board
from probes.board.throttles import hit_limit, remaining_text, throttle_kind
from probes.board.views import LaneView, RetryRow, RetryView, ThrottleEntry
from probes.events import Arrival, Event, Limit, RetryPlan, StampLadder


def folded(*events: Event) -> Board:
    board = Board()
    board.fold(hello(route_info(stall_after=1.0, retries=2)))
    for event in events:
        board.fold(event)
    return board


def lanes(board: Board) -> tuple[LaneView, ...]:
    return board.snapshot("5m", ("alpha",)).details["alpha"].lanes


def test_an_open_lane_shows_what_arrived_and_estimates_its_tokens() -> None:
    probe = ProbeScript("e1-1", 1.0, ttft_s=0.5)
    board = folded(
        probe.started(),
        probe.first_token(),
        arrivals(1.5, Arrival("e1-1", 0, 2, 20, at(1.58))),
        arrivals(1.6, Arrival("e1-1", 0, 3, 44, at(1.68))),
        tick(2.0),
    )
    [lane] = lanes(board)
    assert lane.cells == ((at(1.5), 2), (at(1.6), 3))
    assert (lane.chunks, lane.tokens, lane.tokens_estimate) == (5, None, 16)
    assert lane.tokens_per_s == pytest.approx(15 / 0.5)
    assert (lane.ended_ns, lane.outcome, lane.stalled_s) == (None, None, None)
    board.fold(tick(3.0))
    assert lanes(board)[0].stalled_s == pytest.approx(1.32)


@pytest.mark.parametrize(
    ("chunks", "at_s", "is_stall"),
    [(1, 2.51, True), (1, 2.50, False), (2, 2.59, False), (2, 2.61, True)],
)
def test_a_gap_before_several_chunks_reaches_only_to_the_earliest_they_may_have_come(
    chunks: int, at_s: float, is_stall: bool
) -> None:
    """Of the output of a slot only the last chunk is dated; the first may be a slot older."""
    probe = ProbeScript("e1-1", 1.0, ttft_s=0.5)
    board = folded(
        probe.started(),
        probe.first_token(),
        arrivals(2.5, Arrival("e1-1", 0, chunks, 20, at(at_s))),
        tick(2.7),
    )
    earliest_s = at_s - (0.1 if chunks > 1 else 0.0)
    assert lanes(board)[0].stalls == (((at(1.5), at(earliest_s)),) if is_stall else ())


def test_an_ended_lane_has_each_stamp_in_its_own_place() -> None:
    stamps = {"started": 1.1, "first_token": 1.5, "last_token": 2.9, "ended": 3.3}
    ladder = StampLadder(**{name: at(at_s) for name, at_s in stamps.items()})
    probe = ProbeScript("e1-1", 1.0, finished={"stamps_ns": ladder, "outcome": "truncated"})
    [lane] = lanes(folded(probe.started(), probe.first_token(), probe.attempt_finished()))
    found = (lane.started_ns, lane.first_token_ns, lane.ended_ns)
    assert found == (at(1.1), at(1.5), at(3.3))
    assert lane.tokens_per_s == pytest.approx(10 / 1.4)  # from the first token to the last


def test_a_finished_lane_is_rebuilt_from_the_chunk_offsets() -> None:
    told = {
        "chunk_offsets_ns": (500_000_000, 550_000_000, 1_250_000_000),
        "chunks": 3,
        "longest_gap_ns": 1_400_000_000,
    }
    probe = ProbeScript("e1-1", 1.0, ttft_s=0.5, e2e_s=2.5, finished=told)
    board = folded(
        probe.started(),
        arrivals(1.5, Arrival("e1-1", 0, 9, 400, at(1.55))),
        probe.attempt_finished(),
    )
    [lane] = lanes(board)
    assert lane.cells == ((at(1.5), 2), (at(2.2), 1))
    assert (lane.chunks, lane.tokens, lane.outcome, lane.ended_ns) == (3, 11, "ok", at(3.5))
    assert lane.tokens_per_s == pytest.approx(10 / 2.0)
    assert lane.stalled_s == pytest.approx(1.4)


def test_a_lane_that_its_server_counts_is_exact_while_it_is_open() -> None:
    probe = ProbeScript("e1-1", 1.0, ttft_s=0.5)
    board = folded(
        probe.started(),
        probe.first_token(),
        arrivals(1.5, Arrival("e1-1", 0, 2, 20, at(1.5), 7)),
        arrivals(2.4, Arrival("e1-1", 0, 3, 44, at(2.5), 27)),
        tick(2.5),
    )
    [lane] = lanes(board)
    assert lane.tokens == 27
    assert lane.tokens_per_s == pytest.approx(20 / 1.0)
    board.fold(arrivals(2.6, Arrival("e1-1", 0, 1, 4, at(2.6))))
    assert lanes(board)[0].tokens is None


def test_an_uncounted_lane_is_estimated_by_the_characters_of_the_routes_own_tokens() -> None:
    counted = {"characters": 80, "chunks": 40}
    uncounted = {"characters": 50, "chunks": 9}
    before = ProbeScript("e1-1", 1.0, tokens=40, finished=counted)
    after = ProbeScript("e1-2", 4.0, tokens=None, finished=uncounted)
    told = lanes(folded(*before.events(), *after.events()))
    assert [(lane.tokens, lane.tokens_estimate) for lane in told] == [(None, 25), (40, 40)]


def test_a_lane_whose_tokens_were_hidden_has_no_speed_of_them() -> None:
    hidden = {"chunks": 11, "hidden_tokens": None}
    probe = ProbeScript("e1-1", 1.0, ttft_s=0.5, e2e_s=2.5, finished=hidden)
    [lane] = lanes(folded(*probe.events()))
    assert (lane.tokens, lane.tokens_per_s) == (11, None)


def test_lanes_are_open_ones_oldest_first_then_ended_ones_newest_first() -> None:
    scripts = [ProbeScript(f"e1-{n}", float(n), e2e_s=2.0) for n in range(4)]
    board = folded(
        scripts[3].started(),
        scripts[2].started(),
        *scripts[0].events(),
        *scripts[1].events(),
        tick(4.0),
    )
    assert [lane.probe for lane in lanes(board)] == ["e1-2", "e1-3", "e1-1", "e1-0"]
    board.fold(tick(12.5))
    assert [lane.probe for lane in lanes(board)] == ["e1-2", "e1-3", "e1-1"]


def test_at_most_24_ended_lanes_are_kept() -> None:
    scripts = [ProbeScript(f"e1-{n}", 1 + n / 100, e2e_s=1.0) for n in range(40)]
    board = folded(*(event for script in scripts for event in script.events()))
    assert len(lanes(board)) == 24
    assert lanes(board)[0].probe == "e1-39"


def test_a_failed_lane_tells_when_its_probe_is_tried_again() -> None:
    probe = ProbeScript("e1-1", 1.0)
    [lane] = lanes(folded(probe.started(), throttled(probe, 1.4, 2.0)))
    assert (lane.outcome, lane.status, lane.reason) == ("throttled", 429, "rate_limit")
    assert (lane.retry_wait_s, lane.retry_number, lane.retries) == (2.0, 1, 2)


def test_an_attempt_whose_start_was_not_seen_gets_a_lane_all_the_same() -> None:
    [lane] = lanes(folded(ProbeScript("e1-1", 1.0).attempt_finished()))
    assert (lane.started_ns, lane.ended_ns) == (at(1.0), at(3.0))


def test_a_throttled_attempt_is_logged_with_what_was_asked_and_what_was_waited() -> None:
    probe = ProbeScript("e1-1", 1.0)
    limit = Limit(kind="requests", limit=8, remaining=0, reset_s=12.0)
    event = throttled(
        probe, 1.4, 2.0, retry_after_s=1.9, limits=(limit,), request_id="req_1", message="slow"
    )
    board = folded(probe.started(), event)
    entry = ThrottleEntry(
        at_ns=at(1.4),
        route="alpha",
        probe="e1-1",
        attempt=0,
        kind="requests",
        asked_s=1.9,
        waited_s=None,
        retried=True,
        remaining="0/8",
        reset_s=12.0,
        request_id="req_1",
        message="slow",
    )
    assert board.snapshot().throttles == (entry,)
    board.fold(probe.started(1, at_s=3.5))
    assert board.snapshot().throttles[0].waited_s == pytest.approx(2.1)


def test_a_probe_given_up_while_waiting_was_not_retried() -> None:
    probe = ProbeScript("e1-1", 1.0, outcome="cancelled", ttft_s=None)
    board = folded(probe.started(), throttled(probe, 1.4, 9.0), probe.probe_finished())
    [entry] = board.snapshot().throttles
    assert (entry.retried, entry.waited_s) == (False, None)


def test_the_log_keeps_the_newest_200() -> None:
    scripts = [ProbeScript(f"e1-{n}", 1 + n / 10) for n in range(230)]
    board = folded(*(throttled(script, script.start_s + 0.05, None) for script in scripts))
    log = board.snapshot().throttles
    assert (len(log), log[0].probe, log[-1].probe) == (200, "e1-229", "e1-30")


@pytest.mark.parametrize(
    ("reason", "limits", "kind"),
    [
        ("rate_limit.tokens", (), "tokens"),
        ("concurrency", (), "concurrency"),
        ("rate_limit.input_tokens", (), "input_tokens"),
        ("rate_limit", (Limit(kind="requests", remaining=0), Limit(kind="tokens")), "requests"),
        ("rate_limit", (Limit(kind="requests", remaining=3),), "rate_limit"),
        ("", (), "unknown"),
    ],
)
def test_the_kind_of_limit_is_named(reason: str, limits: Any, kind: str) -> None:
    assert throttle_kind(reason, limits) == kind


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (Limit(kind="a", limit=60_000, remaining=212), "212/60k"),
        (Limit(kind="a", remaining=0), "0"),
        (Limit(kind="a", limit=2_500_000, remaining=1_500), "1.5k/2.5M"),
        (Limit(kind="a", limit=8), ""),
        (None, ""),
    ],
)
def test_what_is_left_is_short(limit: Limit | None, text: str) -> None:
    assert remaining_text(limit) == text


def test_the_limit_that_was_hit_is_the_tightest_of_its_kind() -> None:
    minute = Limit(kind="requests", limit=30, remaining=30, window="minute")
    day = Limit(kind="requests", limit=900, remaining=1, window="day")
    tokens = Limit(kind="input_tokens", limit=900, remaining=0)
    assert hit_limit("requests", (minute, day, tokens)) == day
    assert hit_limit("tokens", (minute, day, tokens)) == tokens
    assert hit_limit("concurrency", (minute, day, tokens)) is None


def retry_story() -> list[Event]:
    """One probe recovers after two retries for two reasons; one is exhausted after one."""
    good = ProbeScript("e1-1", 1.0, e2e_s=8.0)
    bad = ProbeScript("e1-2", 20.0, outcome="throttled", reason="rate_limit", ttft_s=None)
    overloaded = {
        "reason": "overloaded",
        "retry": RetryPlan(reason="overloaded", wait_s=1.0, number=2),
    }
    return [
        good.started(),
        throttled(good, 1.5, 2.0),
        good.started(1, at_s=3.75),
        throttled(good, 4.0, None, number=2, **overloaded),
        good.started(2, at_s=5.0),
        good.attempt_finished(2, from_s=5.0),
        good.probe_finished(attempts=3),
        bad.started(),
        throttled(bad, 20.5, 0.5),
        bad.started(1, at_s=21.0),
        throttled(bad, 22.0, None, number=2),
        bad.probe_finished(attempts=2),
        tick(23.0),
    ]


def test_the_retry_table_tells_what_retrying_rescued_and_cost() -> None:
    view = folded(*retry_story()).snapshot("5m", ("alpha",)).details["alpha"].retries
    assert view == RetryView(
        rows=(
            RetryRow("rate_limit", (2,), recovered=1, exhausted=1, added_wait_s=2.75),
            RetryRow("overloaded", (0, 1), recovered=1, exhausted=0, added_wait_s=1.0),
        ),
        amplification=2.5,
        recovered=1,
        exhausted=1,
        added_wait_s=3.75,
    )


def test_the_retry_table_is_that_of_the_window() -> None:
    board = folded(*retry_story(), tick(400.0))
    assert board.snapshot("5m", ("alpha",)).details["alpha"].retries == RetryView()
    assert board.snapshot("15m", ("alpha",)).details["alpha"].retries.recovered == 1


def test_output_that_nobody_looked_at_is_on_the_lanes_as_soon_as_somebody_does() -> None:
    """A stream of minutes and short ones beside it: one board is looked at all the time."""
    long = ProbeScript("e1-1", 1.0, ttft_s=0.5)
    events = [long.started(), long.first_token()]
    for slot in range(1500):
        begun_s, name = 2.0 + slot / 10, f"e1-{slot + 2}"
        short = ProbeScript(name, begun_s, ttft_s=0.02, e2e_s=0.09)
        output = Arrival("e1-1", 0, 2, 20, at(begun_s + 0.05))
        both = (output, Arrival(name, 0, 1, 4, at(begun_s + 0.03)))
        events += [short.started(), arrivals(begun_s, *both), short.attempt_finished()]
    events.append(tick(152.0))
    watched, unwatched = folded(), folded()
    for number, event in enumerate(events):
        watched.fold(event)
        unwatched.fold(event)
        if number % 3 == 0:
            watched.snapshot(detail_routes=("alpha",))
        assert len(unwatched._unseen) <= 1024, "what is put off is bounded"
    assert lanes(unwatched) == lanes(watched)
    assert lanes(unwatched)[0].chunks == 3000
    assert not unwatched._unseen


def test_an_engine_that_died_unseen_leaves_all_its_output_on_the_lane() -> None:
    probe = ProbeScript("e1-1", 1.0, ttft_s=0.5)
    board = folded(
        probe.started(), probe.first_token(), arrivals(1.5, Arrival("e1-1", 0, 2, 20, at(1.55)))
    )
    board.fold(hello(at_s=2.0, engine="e2"))
    [lane] = lanes(board)
    assert (lane.outcome, lane.chunks, lane.cells) == ("cancelled", 2, ((at(1.5), 2),))
