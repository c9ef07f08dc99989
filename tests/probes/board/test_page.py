"""The page of a route: of one moment, and what the events say by the definitions alone."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice, pairwise
from statistics import median_low
from typing import Any

import pytest
from bench.flat import Traffic
from board_oracle import Oracle
from board_streams import ProbeScript, at, diagnosis, hello, route_info, tick
from changed import replace
from hypothesis import given, settings
from hypothesis import strategies as st
from test_felt import by_the_book

from probes.board import Board
from probes.board.views import PHASES, FeltColumn, FeltFigure, PhaseRow, RoutePage, heat_row
from probes.events import (
    DURABLE_TYPES,
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    ProbeFinished,
    StampLadder,
    Usual,
)
from probes.kit.clock import NS_PER_S

WINDOWS = ("5m", "1h", "run")


def folded(events: Iterable[Event]) -> Board:
    board = Board()
    for event in events:
        board.fold(event)
    return board


def page_of(board: Board, route: str = "alpha") -> RoutePage:
    page = board.snapshot("5m", pages=(route,), anew=True).details[route].page
    assert page is not None
    return page


def column(page: RoutePage, name: str) -> FeltColumn:
    return next(one for one in page.columns if one.name == name)


def traffic(seconds: int, rate: float = 1.5, trouble: float = 6.0) -> list[Event]:
    """Return the events of two routes in trouble, as an engine tells them."""
    made = Traffic(2, rate, trouble=trouble)
    return [made.hello(), *chain.from_iterable(islice(made.slots(), seconds * 10))]


def open_ages(events: Sequence[Event], route: str, now_ns: int) -> tuple[list[float], list[float]]:
    """Return the ages of the probes that have not answered, and of those that have not ended."""
    started: dict[str, int] = {}
    answered, over = set(), set()
    for event in events:
        if getattr(event, "route", "") == route:
            if isinstance(event, AttemptStarted):
                started.setdefault(event.probe, event.at_ns)
            elif isinstance(event, FirstToken):
                answered.add(event.probe)
            elif isinstance(event, ProbeFinished):
                over.add(event.probe)
    unended = {name: (now_ns - at_ns) / 1e9 for name, at_ns in started.items() if name not in over}
    return [age for name, age in unended.items() if name not in answered], list(unended.values())


@settings(max_examples=8, deadline=None)
@given(seconds=st.integers(20, 420), trouble=st.sampled_from((0.5, 6.0, 15.0)))
def test_percentiles_are_of_all_that_was_asked(seconds: int, trouble: float) -> None:
    events = traffic(seconds, trouble=trouble)
    page = page_of(folded(events), "route1")
    now_ns = max(event.at_ns for event in events if isinstance(event, DURABLE_TYPES))
    waiting, unended = open_ages(events, "route1", now_ns)
    for name in WINDOWS:
        oracle, told = Oracle(events, "route1", name), column(page, name)
        failed = [probe for probe in oracle.probes() if probe.outcome != "ok"]
        silent = [probe for probe in failed if probe.first_token_ns is None]
        e2es = [
            (probe.done_ns - probe.started_ns) / 1e9
            for probe in oracle.probes()
            if probe.outcome == "ok" and probe.done_ns
        ]
        for figures, came, lost, ages in (
            (told.ttft, oracle.ttfts(), len(silent), waiting),
            (told.e2e, e2es, len(failed), unended),
        ):
            assert {figure.n for figure in figures} == {len(came) + lost + len(ages)}
            for figure, probability in zip(figures, (0.5, 0.95, 0.99), strict=True):
                value = by_the_book(came, lost, ages, probability)
                if figure.enough and len(came) < 300:  # of so few each is known
                    assert figure.is_least == (value is None)
                    least = max([*came, *ages], default=None)
                    assert figure.value == (least if value is None else value)
        counted = oracle.counted()
        assert (told.finished, told.failed) == (counted["n"], len(failed))
        assert told.good == sum(oracle.is_good(probe) for probe in oracle.probes())
        assert told.throttled == sum(one.outcome == "throttled" for one in oracle.attempts())
        assert told.usd_per_hour == pytest.approx(counted["usd_per_hour"])


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 999), rate=st.sampled_from((0.2, 2.0)))
def test_n_never_falls_from_a_shorter_span_to_a_longer_one(seed: int, rate: float) -> None:
    chance, board = random.Random(seed), Board()
    made = Traffic(2, rate, trouble=8.0)
    board.fold(made.hello())
    for slot in islice(made.slots(), 1_500):
        for event in slot:
            board.fold(event)
        if chance.random() < 0.1:
            snapshot = board.snapshot("5m", pages=("route0",))
            page = snapshot.details["route0"].page
            assert page is not None
            spans = [one for one in page.columns if one.name != "usual"]
            assert [one.name for one in spans] == ["now", *WINDOWS]
            for ns in (
                [one.ttft[0].n for one in spans],
                [one.e2e[2].n for one in spans],
                [one.finished for one in spans],
                [one.failed for one in spans],
                [one.gap_max_s or 0.0 for one in spans],
            ):
                assert ns == sorted(ns)


def test_what_stands_on_the_page_is_of_the_moment_of_its_row() -> None:
    board, made = Board(), Traffic(2, 3.0, trouble=4.0)
    board.fold(made.hello())
    for slot in islice(made.slots(), 900):
        for event in slot:
            board.fold(event)
        snapshot = board.snapshot("5m", pages=("route0",))
        page = snapshot.details["route0"].page
        assert page is not None
        row = next(route for route in snapshot.routes if route.name == "route0")
        five = column(page, "5m")
        assert (five.finished, five.tokens_per_s) == (row.n, row.stream_tokens_per_s)
        assert snapshot.details["route0"].percentiles.columns[1].finished == five.finished
        assert len(page.probes) == min(200, page.ended)


def test_nobody_looks_and_nothing_is_read() -> None:
    board = folded(traffic(30))
    snapshot = board.snapshot("5m", ("route0",))
    assert snapshot.details["route0"].page is None
    assert board.snapshot("5m", pages=("route1", "unknown")).details.keys() == {"route1"}
    assert board.snapshot("5m", ("route0",), ("route1",)).details.keys() == {"route0", "route1"}


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 9_999), after=st.integers(0, 400))
def test_pages_of_many_routes_are_of_the_moment_of_their_frame(seed: int, after: int) -> None:
    chance, events = random.Random(seed), traffic(60)
    upto = chance.randrange(400, len(events) - after)
    wrong = diagnosis(0.0, "provider_queueing", routes=("route0",))
    wrong = replace(wrong, at_ns=events[upto - 1].at_ns, since_ns=events[upto - 300].at_ns)
    later: list[Event] = [*events[upto : upto + after]]
    later.insert(chance.randrange(after + 1), wrong)
    board, other = folded(events[:upto]), folded(events[:upto])
    for one in (board, other):
        one.snapshot("5m", ("route0",))  # somebody looks: turns read what is looked at
    frame = board.snapshot("5m", pages=board.routes, anew=True)
    looked_at = chance.choice(((), board.routes[:1]))
    at_once = [frame.details[route].page for route in looked_at]
    for event in later:
        board.fold(event)
    for route in board.routes:
        wanted = other.snapshot("5m", pages=(route,), anew=True).details[route].page
        assert frame.details[route].page == wanted
        assert frame.details[route].page is frame.details[route].page
    assert at_once == [frame.details[route].page for route in looked_at]


def test_pages_of_a_frame_that_nobody_has_any_more_are_not_read() -> None:
    events = traffic(30)
    board = folded(events[:-200])
    frame = board.snapshot("5m", pages=board.routes)
    assert len(frame.details) == len(board._owed) == 2
    assert "route0" in frame.details
    del frame
    for event in events[-200:]:
        board.fold(event)
    assert not board._owed


def test_a_replay_gives_the_same_page_as_the_run() -> None:
    events = traffic(400)
    live, chance = Board(), random.Random(4)
    for event in events:
        live.fold(event)
        if chance.random() < 0.02:
            live.snapshot("5m", pages=chance.sample(("route0", "route1"), 1))
    replayed = folded(event for event in events if isinstance(event, DURABLE_TYPES))
    for route in ("route0", "route1"):
        assert page_of(live, route) == page_of(replayed, route)


def test_heat_maps_count_each_first_token_and_each_gap_where_it_belongs() -> None:
    events = traffic(200)
    page = page_of(folded(events), "route0")
    ttft, gaps = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    for event in events:
        if getattr(event, "route", "") != "route0":
            continue
        start = event.at_ns // (10 * NS_PER_S) * 10 * NS_PER_S
        if isinstance(event, FirstToken):
            ttft[start, heat_row(event.felt_ns / NS_PER_S)] += 1
        elif isinstance(event, AttemptFinished):
            offsets = event.chunk_offsets_ns
            for before, after in pairwise(offsets):
                gaps[start, heat_row((after - before) / NS_PER_S)] += 1
    for heat, wanted in ((page.ttft_heat, ttft), (page.gap_heat, gaps)):
        told = {(one.start_ns, row): n for one in heat for row, n in one.counts}
        assert told == wanted
        assert all(one.counts == tuple(sorted(one.counts)) for one in heat)
        assert [one.start_ns for one in heat] == [n * 10 * NS_PER_S for n in range(21)]


def test_a_heat_map_reaches_back_a_quarter_of_an_hour() -> None:
    board = folded([hello()])
    for number in range(200):
        for event in ProbeScript(f"e1-{number}", number * 10.0, e2e_s=1.0).events():
            board.fold(event)
    board.fold(tick(1_995.0))
    page = page_of(board)
    assert len(page.ttft_heat) == len(page.gap_heat) == len(page.phases) == 91
    assert page.ttft_heat[0].start_ns == at(1_090.0)
    assert sum(n for one in page.ttft_heat for _, n in one.counts) == 91


def laddered(name: str, start_s: float, *spans_s: float, **changes: Any) -> list[Event]:
    """Return a probe that spent so long on each phase: one attempt, or a first one that failed."""
    retries, connect, headers, first, writing = spans_s
    marks = [start_s + retries]
    for span in (connect, headers, first, writing):
        marks.append(marks[-1] + span)
    began, sent, head, token, end = (at(mark) for mark in marks)
    stamps = StampLadder(
        started=began,
        sent=sent,
        headers=head,
        first_token=token,
        last_token=end,
        done=end,
        ended=end,
    )
    script = ProbeScript(
        name,
        start_s,
        ttft_s=marks[3] - start_s,
        e2e_s=marks[4] - start_s,
        finished={"stamps_ns": stamps},
        **changes,
    )
    return script.events()


def rows_of(page: RoutePage) -> dict[str, PhaseRow]:
    return {row.phase: row for row in page.phase_rows}


def test_the_phases_of_a_slice_are_medians_of_its_probes() -> None:
    chance = random.Random(3)
    spans = [[chance.randrange(1, 900) / 1_000 for _ in PHASES] for _ in range(9)]
    events = [laddered(f"e1-{n}", 10.0 + n / 10, *one) for n, one in enumerate(spans)]
    page = page_of(folded([hello(), *chain(*events), tick(25.0)]))
    told = page.phases[1]
    assert (told.start_ns, told.n) == (at(10.0), 9)
    assert told.p50_s == pytest.approx([median_low(column) for column in zip(*spans, strict=True)])
    assert (page.phases[0].n, page.phases[0].p50_s) == (0, ())


def test_probes_that_failed_or_do_not_hold_have_no_phases() -> None:
    spans = (0.0, 0.1, 0.2, 0.3, 0.4)
    events = [
        laddered("e1-1", 10.0, *spans, outcome="truncated"),
        laddered("e1-2", 11.0, *spans, flagged="local_gap"),
        laddered("e1-3", 12.0, *spans, outcome="cancelled"),
        [ProbeScript("e1-4", 13.0).probe_finished()],
    ]
    page = page_of(folded([hello(), *chain(*events), tick(25.0)]))
    assert sum(one.n for one in page.phases) == 0
    assert {row.n_now for row in page.phase_rows} == {0}


def test_phases_now_stand_against_what_they_were_while_the_route_was_well() -> None:
    well, ill = (0.0, 0.1, 0.5, 0.2, 1.0), (0.0, 0.1, 2.5, 0.2, 1.0)
    events = [laddered(f"e1-{n}", n * 1.0, *(well if n < 300 else ill)) for n in range(360)]
    board = folded([hello(), *chain(*events)])
    board.fold(diagnosis(361.0, "provider_queueing", since_s=301.0))
    board.fold(tick(363.0))
    row = rows_of(page_of(board))["headers"]
    assert (row.now_s, row.usual_s) == pytest.approx((2.5, 0.5))
    assert row.n_now == 53  # those that ended in the slices from 310 s on
    assert row.n_usual == 299  # those that ended in the slices up to 300 s
    assert rows_of(page_of(board))["writing"].now_s == pytest.approx(1.0)


def test_what_was_measured_amid_an_incident_is_no_usual_once_that_is_over() -> None:
    well, ill = (0.0, 0.1, 0.5, 0.2, 1.0), (0.0, 0.1, 2.5, 0.2, 1.0)
    events = [laddered(f"e1-{n}", n * 1.0, *(ill if 100 <= n < 300 else well)) for n in range(360)]
    board = folded([hello(), *chain(*events[:300])])
    board.fold(diagnosis(300.5, "provider_queueing", since_s=100.5))
    board.fold(diagnosis(310.0, "provider_queueing", since_s=100.5, state="cleared"))
    for event in chain(*events[300:]):
        board.fold(event)
    board.fold(tick(363.0))
    row = rows_of(page_of(board))["headers"]
    assert (row.now_s, row.usual_s) == pytest.approx((0.5, 0.5))
    assert row.n_usual < 160


def test_answers_that_come_whole_have_no_wait_for_a_first_token() -> None:
    info = route_info(streamed=False)
    page = page_of(folded([hello(info), *laddered("e1-1", 1.0, 0, 0.1, 0.9, 0, 0.1), tick(12.0)]))
    assert rows_of(page)["first_token"] == PhaseRow("first_token", None, None, 0, 0)
    assert rows_of(page)["headers"].n_now == 1
    assert {figure.n for one in page.columns for figure in one.ttft} == {0}


def test_phases_of_other_answer_caps_never_mix() -> None:
    events = [
        *chain(*[laddered(f"e1-{n}", n * 0.1, 0, 0.1, 0.1, 0.1, 1.0) for n in range(20)]),
        *chain(
            *[
                laddered(f"e1-{n}", 3 + n * 0.1, 0, 0.1, 0.1, 0.1, 3.2, cohort="256/256")
                for n in range(20, 30)
            ]
        ),
    ]
    page = page_of(folded([hello(), *events, tick(12.0)]))
    row = rows_of(page)["writing"]
    assert (row.now_s, row.n_now) == (pytest.approx(3.2), 10)
    assert [(one.name, one.is_current, one.e2e[0].n) for one in page.cohorts] == [
        ("64/256", False, 20),
        ("256/256", True, 10),
    ]
    assert page.cohorts[0].e2e[0].value == pytest.approx(1.3)
    assert page.cohorts[1].e2e[0].value == pytest.approx(3.5)
    assert page.cohorts[1].e2e[0].grade == "fine"  # by the goal of its own cap


def test_failures_of_another_answer_cap_are_not_of_this_one() -> None:
    board = folded([hello()])
    for n in range(30):
        for event in ProbeScript(f"e1-{n}", n * 1.0, ttft_s=None, outcome="timeout").events():
            board.fold(event)
    for n in range(30, 60):
        for event in ProbeScript(f"e1-{n}", n * 1.0, cohort="128/256").events():
            board.fold(event)
    board.fold(tick(65.0))
    five = column(page_of(board), "5m")
    assert (five.finished, five.failed) == (60, 30)
    assert (five.ttft[1].n, five.ttft[1].is_least, five.e2e[1].n) == (30, False, 30)


def test_now_begins_after_the_slice_of_the_onset_as_in_the_row() -> None:
    board = folded([hello(route_info(goal_e2e_s=None))])
    for n in range(120):
        script = ProbeScript(f"e1-{n}", n * 1.0, ttft_s=0.4 if n < 90 else 0.9, e2e_s=5.0)
        for event in script.events():
            board.fold(event)
    board.fold(tick(126.0))
    assert column(page_of(board), "now").finished == 65
    board.fold(diagnosis(127.0, "provider_queueing", since_s=94.5))
    snapshot = board.snapshot("1m", pages=("alpha",), anew=True)
    page, row = snapshot.details["alpha"].page, snapshot.routes[0]
    assert page is not None
    now = column(page, "now")
    assert (now.finished, now.ttft[0].value) == (25, 0.9)
    assert (row.n, row.ttft_p50.value) == (25, 0.9)


def test_usual_is_what_the_diagnosis_knows_of_the_route() -> None:
    board = folded([hello(), *ProbeScript("e1-1", 1.0).events()])
    assert column(page_of(board), "usual") == FeltColumn(
        name="usual", ttft=(FeltFigure(),) * 3, e2e=(FeltFigure(),) * 3
    )
    known: dict[str, Any] = {"ttft_p50_s": 0.4, "ttft_p95_s": 0.6, "tokens_per_s": 33.0, "n": 77}
    board.fold(Usual(at_ns=at(4.0), route="alpha", cohort="64/256", **known))
    usual = column(page_of(board), "usual")
    assert [figure.value for figure in usual.ttft] == [0.4, 0.6, None]
    assert {(figure.n, figure.enough) for figure in usual.ttft[:2]} == {(77, True)}
    assert usual.tokens_per_s == 33.0


def test_a_hang_shows_how_old_it_is() -> None:
    board = folded(
        [hello(), ProbeScript("e1-1", 1.0).started(), ProbeScript("e1-2", 2.0).started()]
    )
    board.fold(tick(42.0))
    now = column(page_of(board), "now")
    assert (now.ttft[0].value, now.ttft[0].is_least, now.ttft[0].grade) == (41.0, True, "sluggish")
    assert now.e2e[0] == now.ttft[0]


def test_what_the_connection_and_the_cache_did_is_of_each_span() -> None:
    board = folded([hello()])
    for n in range(40):
        told = {
            "rtt_ns": 20_000_000 if n % 2 else 40_000_000,
            "input_tokens": 100,
            "cached_tokens": None if n < 10 else 50,
            "output_tokens": 20 if n % 2 else 40,
            "token_source": "usage",
            "cold": n % 4 == 0,
            "retransmits": n % 2,
            "reordered": None,
            "stalls": n % 5 == 0,
            "chunks": 2,
            "chunk_offsets_ns": (10**9, 10**9 + (n + 1) * 10**6),
        }
        for event in ProbeScript(f"e1-{n}", n * 1.0, finished=told).events():
            board.fold(event)
    board.fold(tick(43.0))
    run = column(page_of(board), "run")
    assert run.cached_share == 0.5
    assert (run.cold_share, run.stalled_share, run.lost_segments) == (0.25, 0.2, 0.5)
    assert (run.input_tokens, run.output_tokens) == (100.0, 30.0)
    assert run.rtt_s == pytest.approx(0.02, rel=0.037)
    assert run.gap_max_s == pytest.approx(0.04)
    assert run.gap_p99_s == pytest.approx(0.04, rel=0.037)


def test_late_and_flagged_samples_are_where_they_belong() -> None:
    board = folded([hello(), tick(100.0)])
    for event in laddered("e1-1", 20.0, 0, 0.1, 0.2, 0.3, 0.4):
        board.fold(event)
    for event in ProbeScript("e1-2", 30.0, ttft_s=None, outcome="timeout", flagged="gap").events():
        board.fold(event)
    page = page_of(board)
    assert [one.start_ns for one in page.phases if one.n] == [at(20.0)]
    assert [one.start_ns for one in page.ttft_heat if one.counts] == [at(20.0)]
    assert column(page, "run").ttft[0].n == 1
    assert column(page, "run").failed == 1
