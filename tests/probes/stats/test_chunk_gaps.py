"""A stall is one thing: for the attempt that counts it, the lane that shows it, and the summary."""

import pytest
from board_streams import ProbeScript, arrivals, at, hello, route_info, tick
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.progress import Progress
from probes.board import Board
from probes.board.views import LaneView
from probes.engine.stamp_recorder import StampRecorder
from probes.events import Arrival
from probes.stats.chunk_gaps import longest_gap_ns, stalls_between

MS = 1_000_000
CHUNK = Progress("content")


def lane_of(board: Board) -> LaneView:
    return board.snapshot("5m", ("alpha",)).details["alpha"].lanes[0]


@given(
    gaps_ms=st.lists(st.integers(0, 3_000), min_size=0, max_size=40),
    stall_after_ms=st.integers(1, 2_500),
)
def test_who_counts_stalls_and_who_draws_them_agree(
    gaps_ms: list[int], stall_after_ms: int
) -> None:
    stall_after_s = stall_after_ms / 1_000
    recorder, now_ns = StampRecorder(longest_gap_ns(stall_after_s)), at(1.4)
    recorder.stamp("started", at(1.0))
    recorder.output(CHUNK, now_ns)
    for gap in gaps_ms:
        now_ns += gap * MS
        recorder.output(CHUNK, now_ns)
    e2e_s = (now_ns - at(1.0)) / 1e9
    told = {
        "chunk_offsets_ns": tuple(recorder.chunk_offsets_ns),
        "chunks": recorder.chunks,
        "longest_gap_ns": recorder.longest_gap_ns,
        "stalls": recorder.stalls,
    }
    probe = ProbeScript("e1-1", 1.0, e2e_s=e2e_s, finished=told)
    board = Board()
    for event in (hello(route_info(stall_after=stall_after_s)), *probe.events()):
        board.fold(event)
    lane = lane_of(board)
    assert len(lane.stalls) == recorder.stalls == board.summary()["alpha"]["stalls"]
    assert recorder.stalls == sum(gap > stall_after_ms for gap in gaps_ms)
    longest = max((last - first for first, last in lane.stalls), default=None)
    assert lane.stalled_s == (None if longest is None else pytest.approx(longest / 1e9))


@pytest.mark.parametrize(
    ("stall_after", "stalls"),
    [(0.2, [(1.5, 1.75), (1.75, 3.15)]), (1.0, [(1.75, 3.15)]), (5.0, [])],
)
def test_an_ended_lane_keeps_the_routes_own_measure(
    stall_after: float, stalls: list[tuple[float, float]]
) -> None:
    offsets = tuple(round(second * 1_000) * MS for second in (0.5, 0.75, 2.15, 2.3))
    told = {"chunk_offsets_ns": offsets, "chunks": 4, "longest_gap_ns": 1_400 * MS}
    probe = ProbeScript("e1-1", 1.0, ttft_s=0.5, e2e_s=4.5, finished=told)
    board = Board()
    for event in (hello(route_info(stall_after=stall_after)), *probe.events()):
        board.fold(event)
    lane = lane_of(board)
    assert lane.stalls == tuple((at(first), at(last)) for first, last in stalls)
    assert lane.stalled_s == (1.4 if stalls else None)


@pytest.mark.parametrize(
    ("stall_after", "stalls"),
    [
        (0.5, [(1.58, 3.18), (3.18, 3.8), (3.9, 5.0)]),
        (1.2, [(1.58, 3.18)]),
        (5.0, []),
    ],
)
def test_an_open_lane_keeps_the_routes_own_measure_and_may_be_in_a_stall(
    stall_after: float, stalls: list[tuple[float, float]]
) -> None:
    probe = ProbeScript("e1-1", 1.0, ttft_s=0.5)
    board = Board()
    for event in (
        hello(route_info(stall_after=stall_after)),
        probe.started(),
        probe.first_token(),
        arrivals(1.5, Arrival("e1-1", 0, 2, 20, at(1.58))),
        arrivals(3.1, Arrival("e1-1", 0, 1, 20, at(3.18))),
        arrivals(3.8, Arrival("e1-1", 0, 3, 44, at(3.9))),
        tick(5.0),
    ):
        board.fold(event)
    lane = lane_of(board)
    found = [(round((a - at(0)) / 1e9, 2), round((b - at(0)) / 1e9, 2)) for a, b in lane.stalls]
    assert found == stalls
    assert lane.stalled_s == (pytest.approx(1.1) if stall_after < 1.1 else None)


@pytest.mark.parametrize(
    ("gap_ns", "stall_after", "stalls"),
    [(10**9, 1.0, False), (10**9 + 1, 1.0, True), (0, 0.001, False), (250 * MS, 0.25, False)],
)
def test_a_gap_as_long_as_the_measure_is_none(
    gap_ns: int, stall_after: float, stalls: bool
) -> None:
    assert bool(stalls_between((0, gap_ns), longest_gap_ns(stall_after))) == stalls
