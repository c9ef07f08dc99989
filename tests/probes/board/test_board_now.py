"""The shortest window says how a route is now: nothing in it is older than what is wrong."""

import random
from collections.abc import Iterator
from itertools import islice

import pytest
from bench.agreement import CLAIMS, disagreements, header_disagreements
from bench.flat import Traffic
from board_oracle import Oracle
from board_streams import ProbeScript, at, diagnosis, hello, route_info, throttled, tick
from changed import replace
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.board import Board
from probes.board.views import RouteView, UsualView
from probes.events import AttemptStarted, Cause, Event, Held, Knob, Usual
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WINDOWS, WindowName

CAUSES: tuple[Cause, ...] = (
    *("outage", "provider_errors", "provider_queueing", "retry_masking", "stream_stalls"),
    *("rate_limited_requests", "local_observer", "no_answer"),
)


def ill(onset_s: int, until_s: int, *, known_s: int) -> list[Event]:
    """Return a route whose probes fail from an onset on, of which a verdict comes later."""
    events: list[Event] = [hello()]
    for second in range(until_s):
        fails = second >= onset_s
        script = ProbeScript(
            f"e1-{second}",
            float(second),
            ttft_s=None if fails else 0.2,
            e2e_s=0.4,
            outcome="server_error" if fails else "ok",
            finished={"chunks": 0 if fails else 9, "stalls": int(second % 7 == 0 and not fails)},
        )
        events += script.events()
        events.append(tick(second + 0.9))
        if second == known_s:
            events.append(diagnosis(second + 0.9, "outage", float(onset_s)))
    return events


def row_of(events: list[Event], window: WindowName = "1m") -> RouteView:
    """Return the row of the only route."""
    board = Board()
    for event in events:
        board.fold(event)
    return board.snapshot(window).routes[0]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("onset_s", "until_s"), [(100, 110), (103, 108), (100, 140), (100, 300)])
def test_now_begins_with_the_slice_of_the_onset_and_other_windows_do_not(
    window: WindowName, onset_s: int, until_s: int
) -> None:
    events = ill(onset_s, until_s, known_s=onset_s + 4)
    row, oracle = row_of(events, window), Oracle(events, "alpha", window, at(onset_s))
    assert row.state == "down"
    for name, value in oracle.counted().items():
        assert getattr(row, name) == (value if value is None else pytest.approx(value)), name
    assert row.ttft_p50.n == len(oracle.ttfts())
    assert row.window_s == pytest.approx(oracle.seconds)


def test_now_is_never_empty_and_says_nothing_of_before() -> None:
    events = ill(100, 104, known_s=103)
    assert (row_of(events).n, row_of(events, "5m").n) == (4, 104)
    assert row_of(events).success == 0.0


def test_what_was_before_in_the_slice_of_the_onset_goes_once_there_is_more() -> None:
    at_first, later = row_of(ill(103, 109, known_s=106)), row_of(ill(103, 112, known_s=106))
    assert (at_first.n, at_first.success) == (9, pytest.approx(3 / 9))
    assert (later.n, later.success) == (2, 0.0)


def test_now_is_the_last_minute_again_once_it_is_over() -> None:
    events = [*ill(100, 110, known_s=103), diagnosis(110.0, "outage", 100.0, state="cleared")]
    events += [*ProbeScript("e1-x", 110.1, e2e_s=0.4).events(), tick(111.0)]
    assert (row_of(events).state, row_of(events).n) == ("ok", 110 - 50 + 1)


@pytest.mark.parametrize(("state", "cause"), [("perhaps", "outage"), ("named", "local_observer")])
def test_only_what_surely_makes_the_state_cuts_now(state: str, cause: Cause) -> None:
    events = [*ill(200, 110, known_s=-1), diagnosis(110.0, cause, 104.0, state=state)]
    assert row_of(events).n == 60


def test_a_pause_in_an_incident_does_not_bring_back_what_was_before_it() -> None:
    paused = Knob(at_ns=at(110), route="alpha", knob="paused", before=0, after=1)
    row = row_of([*ill(100, 110, known_s=103), paused, tick(111.0)])
    assert (row.state, row.n) == ("paused", 10)


def troubled(seed: int, seconds: int) -> Iterator[Event]:
    """Give a run of three routes in trouble, with verdicts that come, change and go at random."""
    chance, traffic = random.Random(seed), Traffic(3, 1.5, trouble=8.0)
    open_: dict[str, tuple[Cause, str]] = {}
    yield traffic.hello()
    number = 0
    for slot in islice(traffic.slots(), seconds * 10):
        yield from slot
        now_ns = slot[-1].at_ns
        if chance.random() < 0.02:
            number += 1
            open_[f"e1-{number}"] = (chance.choice(CAUSES), f"route{chance.randrange(3)}")
        for name, (cause, route) in tuple(open_.items()):
            if chance.random() > 0.02:
                continue
            state = chance.choice(("perhaps", "named", "named", "cleared"))
            since_ns = max(0, now_ns - round(chance.uniform(0, 90) * NS_PER_S))
            said = diagnosis(0.0, cause, id=name, routes=(route,), state=state)
            yield replace(said, at_ns=now_ns, since_ns=since_ns)
            if state == "cleared":
                del open_[name]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), hz=st.sampled_from((0.7, 3.0, 10.0)))
def test_no_figure_of_a_frame_contradicts_another_amid_incidents(seed: int, hz: float) -> None:
    chance, board, due_ns, window = random.Random(seed), Board(), 0, "1m"
    for event in troubled(seed, 150):
        board.fold(event)
        if event.at_ns < due_ns:
            continue
        due_ns = event.at_ns + round(chance.expovariate(hz) * NS_PER_S)
        if chance.random() < 0.1:
            window = chance.choice(WINDOWS)
        snapshot = board.snapshot(window, board.routes)
        found = {
            *disagreements(snapshot, 0),
            *header_disagreements(snapshot.header, snapshot.routes),
        }
        assert not found - {CLAIMS[9]}, snapshot.now_ns
        totals = snapshot.totals
        assert totals is not None
        assert totals.n == sum(row.n for row in snapshot.routes) == snapshot.header.finished
        assert totals.goodput == snapshot.header.good_share
        for row in snapshot.routes:
            columns = snapshot.details[row.name].percentiles.columns
            assert [c.finished for c in columns] == sorted(c.finished for c in columns)
            slices = snapshot.details[row.name].percentiles.timeline
            assert sum(point.finished for point in slices) == columns[2].finished


# ------------------------------------------------------------------ what stands beside now


def usual(**changes: object) -> Usual:
    made = Usual(
        at_ns=at(50),
        route="alpha",
        cohort="64/256",
        ttft_p50_s=0.3,
        ttft_p95_s=0.5,
        e2e_p50_s=0.9,
        e2e_p95_s=1.4,
        tokens_per_s=40.0,
        n=120,
    )
    return replace(made, **changes)


def test_what_is_usual_stands_on_the_row_once_it_is_told() -> None:
    events = ill(200, 60, known_s=-1)
    assert (row_of(events).usual, row_of(events).learning) == (UsualView(), True)
    row = row_of([*events, usual()])
    assert row.usual == UsualView(0.3, 0.5, 0.9, 1.4, 40.0, 120)
    assert not row.learning
    assert row.last_event_s == row_of(events).last_event_s  # it is no event of the route's own


@pytest.mark.parametrize(
    ("cohort", "told"),
    [
        ("400/256", UsualView(0.3, 0.5, None, None, 40.0, 120)),
        ("64/1k", UsualView()),
    ],
)
def test_what_is_usual_holds_for_what_it_was_measured_of(cohort: str, told: UsualView) -> None:
    other = ProbeScript("e1-y", 61.0, cohort=cohort).started()
    assert row_of([*ill(200, 60, known_s=-1), usual(), other, tick(62.0)]).usual == told


def test_an_e2e_goal_that_grew_with_the_cap_is_marked() -> None:
    infos = {"default": route_info(), "own": route_info(goal_e2e_set=True)}
    for name, info in infos.items():
        board = Board()
        for event in (
            hello(info),
            Knob(at_ns=at(1), route="alpha", knob="max_tokens", before=64, after=400),
            ProbeScript("e1-1", 2.0, cohort="400/256").started(),
            tick(3.0),
        ):
            board.fold(event)
        row = board.snapshot().routes[0]
        assert (row.goal_e2e_s, row.goal_scaled) == ((3.0, False) if name == "own" else (6.0, True))


def test_a_route_that_is_probed_beside_its_pace_says_so_for_a_while() -> None:
    extra = replace(ProbeScript("e1-x", 60.0).started(), evidence=True)
    assert isinstance(extra, AttemptStarted)
    events = ill(200, 60, known_s=-1)
    assert [row_of([*events, extra, tick(now_s)]).evidence for now_s in (61.0, 79.9, 80.1)] == [
        True,
        True,
        False,
    ]
    assert not row_of(events).evidence


def test_the_strip_has_what_became_of_each_slice() -> None:
    retried = ProbeScript("e1-r", 37.0, e2e_s=2.0, finished={"chunks": 3})
    rescued = [
        retried.started(),
        throttled(retried, 37.1, wait_s=1.0),
        retried.started(1, 38.1),
        retried.attempt_finished(1, 38.1),
        retried.probe_finished(2),
    ]
    events = [*ill(20, 40, known_s=25), *rescued]
    trend = row_of(events).trend
    assert [(point.finished, point.good, point.failures) for point in trend] == [
        (10, 10, 0),
        (10, 10, 0),
        (10, 0, 10),
        (11, 1, 10),
    ]
    assert [(point.stalled, point.throttled, point.recovered) for point in trend] == [
        (2, 0, 0),
        (1, 0, 0),
        (0, 0, 0),
        (0, 1, 1),
    ]


def test_all_routes_are_well_since_the_last_of_them_became_so() -> None:
    board = Board()
    board.fold(hello(route_info("alpha"), route_info("bravo"), route_info("carol", paused=True)))
    header = board.snapshot().header
    assert (header.hurt, header.well_since_ns) == (0, None)
    board.fold(tick(1.0))
    for name, start_s in (("alpha", 1.5), ("bravo", 5.0)):
        for event in ProbeScript(f"{name}-1", start_s, route=name, e2e_s=0.4).events():
            board.fold(event)
        board.fold(tick(start_s + 2.0))
        board.fold(tick(start_s + 3.0))
    since_ns = board.snapshot().header.well_since_ns
    assert since_ns is not None
    assert at(5.4) <= since_ns <= at(8.0)
    board.fold(diagnosis(9.0, "outage", 8.5, routes=("bravo",)))
    header = board.snapshot().header
    assert (header.hurt, header.well_since_ns) == (1, None)
    board.fold(Held(at_ns=at(9.5), route="alpha", reason="budget"))
    board.fold(diagnosis(10.0, "outage", 8.5, routes=("bravo",), state="cleared"))
    for event in ProbeScript("bravo-2", 10.1, route="bravo", e2e_s=0.4).events():
        board.fold(event)
    board.fold(tick(11.0))
    board.fold(tick(12.0))
    header = board.snapshot().header
    assert (header.hurt, header.well_since_ns) == (0, None)  # of what is held nobody knows


def test_a_goal_that_was_missed_before_the_onset_does_not_keep_now_from_it() -> None:
    events: list[Event] = [hello()]
    for second in range(120):
        script = ProbeScript(f"e1-{second}", float(second), ttft_s=1.9 if second < 90 else 6.0)
        events += replace(script, e2e_s=6.5).events()
    events.sort(key=lambda event: event.at_ns)
    events += [tick(126.9), diagnosis(127.0, "provider_queueing", since_s=94.5)]
    row = row_of(events)
    assert row.state == "sluggish"
    assert row.since_ns is not None
    assert row.since_ns < at(90)
    assert row.n == len([e for n in range(120) if (e := n + 6.5) >= 100])
