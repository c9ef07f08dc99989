"""One frame, one moment: nothing that is read side by side contradicts itself, on any frame."""

import random
from collections.abc import Iterator
from itertools import islice

import pytest
from bench.agreement import CLAIMS, disagreements, header_disagreements
from bench.flat import Traffic
from board_streams import ProbeScript, at, hello, route_info, tick
from changed import replace
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.board import Board
from probes.board.views import HURT_STATES, Snapshot
from probes.events import Event, FirstToken, Knob
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WINDOWS

ROUTES = 3


def stream(seconds: int, rate: float) -> Iterator[Event]:
    """Give a run of three routes in trouble, as an engine tells it."""
    traffic = Traffic(ROUTES, rate, trouble=8.0)
    yield traffic.hello()
    for slot in islice(traffic.slots(), seconds * 10):
        yield from slot


def frames(events: Iterator[Event], seed: int, *, hz: float, restless: bool) -> Iterator[Snapshot]:
    """Yield frames at odd times, some amid a slot; a restless user looks elsewhere at times."""
    chance, board = random.Random(seed), Board()
    window, looked_at, due_ns = chance.choice(WINDOWS), ("route0",), 0
    for event in events:
        board.fold(event)
        if event.at_ns < due_ns:
            continue
        due_ns = event.at_ns + round(chance.expovariate(hz) * NS_PER_S)
        if restless and chance.random() < 0.1:
            window = chance.choice(WINDOWS)
            looked_at = tuple(chance.sample(board.routes, chance.randrange(ROUTES + 1)))
        yield board.snapshot(window, looked_at)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rate=st.sampled_from((0.2, 1.5, 6.0)),
    hz=st.sampled_from((0.4, 1.0, 10.0, 40.0)),
)
def test_no_figure_of_a_frame_contradicts_another_wherever_the_user_looks(
    seed: int, rate: float, hz: float
) -> None:
    for snapshot in frames(stream(150, rate), seed, hz=hz, restless=True):
        found = {
            *disagreements(snapshot, 0),
            *header_disagreements(snapshot.header, snapshot.routes),
        }
        assert not found - {CLAIMS[9]}, snapshot.now_ns
        calm = [row.name for row in snapshot.routes if row.state not in HURT_STATES]
        assert calm == sorted(calm)


@pytest.mark.parametrize("hz", [3.0, 10.0])
def test_a_state_is_judged_by_the_figures_that_stand_beside_it(hz: float) -> None:
    frames_seen = graded = 0
    for snapshot in frames(stream(120, 2.0), 7, hz=hz, restless=False):
        assert not list(disagreements(snapshot, 0)), snapshot.now_ns
        frames_seen += 1
        graded += snapshot.routes[0].goal_ratio > 0
    assert frames_seen > 100
    assert graded > frames_seen // 2


def test_a_longer_window_never_has_fewer_samples_when_slices_close_and_late_ones_come() -> None:
    chance = random.Random(3)
    board = Board()
    board.fold(hello())
    for number in range(900):
        begin_s = number * 5.0 + chance.random()
        late_s = chance.choice((0.0, 0.0, 0.0, 3.0, 70.0, 1_000.0))
        script = ProbeScript(f"e1-{number}", max(0.0, begin_s - late_s), e2e_s=1.0)
        for event in script.events():
            board.fold(event)
        board.fold(tick(begin_s + 2.0))
        snapshot = board.snapshot("1m", ("alpha",))
        assert not list(disagreements(snapshot, at(0))), number
    run = snapshot.details["alpha"].percentiles.columns[-1]
    assert (run.finished, run.ttft[0].n, run.e2e[0].n) == (900, 900, 900)


def test_between_its_turns_a_routes_figures_stand_and_its_open_streams_do_not() -> None:
    board = Board()
    probes = [ProbeScript(f"e1-{n}", n * 0.2, e2e_s=0.1) for n in range(10)]
    for event in (hello(), *(e for probe in probes for e in probe.events()), tick(2.0)):
        board.fold(event)
    first = board.snapshot("5m", ("alpha",))
    for event in (
        *ProbeScript("e1-x", 2.1, e2e_s=0.1).events(),
        ProbeScript("e1-y", 2.3).started(),
    ):
        board.fold(event)
    amid = board.snapshot("5m", ("alpha",))
    assert [view.routes[0].n for view in (first, amid)] == [10, 10]
    assert [view.header.in_flight for view in (first, amid)] == [0, 1]
    assert amid.details["alpha"].percentiles.columns is first.details["alpha"].percentiles.columns
    board.fold(tick(3.0))
    assert board.snapshot("5m", ("alpha",)).routes[0].n == 11


def test_each_route_has_a_turn_of_its_own() -> None:
    infos = tuple(route_info(name) for name in "abcd")
    board = Board()
    board.fold(hello(*infos))
    for second in range(10):
        for tenth in range(10):
            board.fold(tick(second + tenth / 10))
            board.snapshot()
    read: dict[str, list[int]] = {info.name: [] for info in infos}
    for tenth in range(10):
        now_s = 10 + tenth / 10
        for info in infos:
            script = ProbeScript(f"{info.name}-{tenth}", now_s, route=info.name, e2e_s=0.0)
            board.fold(replace(script.probe_finished(), at_ns=at(now_s)))
        board.fold(tick(now_s + 0.001))
        for row in board.snapshot().routes:
            read[row.name].append(row.n)
    turns = [next(i for i, n in enumerate(read[name]) if n) for name in "abcd"]
    assert turns == [0, 3, 5, 8]
    assert all(len(set(counts)) <= 3 for counts in read.values())


def test_a_knob_and_a_new_cohort_are_turns_too() -> None:
    board = Board()
    events = [e for n in range(25) for e in ProbeScript(f"e1-{n}", n * 0.1, e2e_s=0.1).events()]
    for event in (hello(), *events, tick(5.0)):
        board.fold(event)
    assert board.snapshot().routes[0].ttft_p95.n == 25
    cap = Knob(at_ns=at(5.1), route="alpha", knob="max_tokens", before=64, after=128)
    other = ProbeScript("e1-99", 5.2, cohort="128/256")
    for event in (cap, other.started()):
        board.fold(event)
    row = board.snapshot().routes[0]
    assert (row.cohort, row.ttft_p95.n, row.n) == ("128/256", 0, 25)


def test_a_last_frame_is_read_anew() -> None:
    board = Board()
    board.fold(hello())
    board.fold(tick(1.0))
    assert board.snapshot("run").routes[0].n == 0
    for event in ProbeScript("e1-1", 1.1, e2e_s=0.1).events():
        board.fold(event)
    assert board.snapshot("run").routes[0].n == 0
    assert board.snapshot("run", anew=True).routes[0].n == 1


def test_the_summary_says_what_the_table_of_the_run_says() -> None:
    board = Board()
    for event in stream(90, 3.0):
        board.fold(event)
    told, rows = board.summary(), board.snapshot("run", anew=True).routes
    for row in rows:
        found = told[row.name]
        assert found["n"] == row.n
        assert (found["success"], found["goodput"]) == (row.success, row.goodput)
        assert found["amplification"] == row.amplification
        assert found["ttft_n"] == row.ttft_p50.n
        assert found["ttft_p50_s"] == row.ttft_p50.value
        assert found["ttft_p95_s"] == row.ttft_p95.value
        assert found["e2e_p95_s"] == row.e2e_p95.value


def test_a_first_token_alone_is_a_sample_of_every_window() -> None:
    board = Board()
    first = ProbeScript("e1-1", 1.0).first_token()
    assert isinstance(first, FirstToken)
    for event in (hello(), first, tick(4.0)):
        board.fold(event)
    columns = board.snapshot("5m", ("alpha",)).details["alpha"].percentiles.columns
    assert [column.ttft[0].n for column in columns] == [1] * 5
