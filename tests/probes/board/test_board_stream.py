"""What holds for every stream: same durable events, same figures; restarts; bounded memory."""

import json
import random
from bisect import bisect_right
from typing import Any, get_args

import pytest
from board_streams import (
    ProbeScript,
    arrivals,
    at,
    batch,
    diagnosis,
    hello,
    route_info,
    throttled,
    tick,
)
from changed import replace
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.board import Board
from probes.board.board import _OF_A_ROUTE, _OF_THE_RUN
from probes.board.views import RouteView
from probes.events import Arrival, AttemptFinished, Batch, Event, Gap, Knob, Preview, RouteCounts
from probes.stats.windows import WindowName

ROUTES = (route_info("alpha"), route_info("beta", goal_ttft_s=0.5))


def folded(events: list[Event]) -> Board:
    board = Board()
    for event in events:
        board.fold(event)
    return board


def stream(seed: int, probes: int) -> list[Event]:
    """Return durable events of a random run, in the order of their stamps."""
    source = random.Random(seed)
    events: list[Event] = []
    for number in range(probes):
        script = ProbeScript(
            f"e1-{number}",
            number * 0.7,
            ttft_s=source.choice((0.2, 0.4, source.lognormvariate(-1, 0.5))),
            e2e_s=source.uniform(3.0, 5.0),
            outcome=source.choice(("ok", "ok", "ok", "server_error", "cancelled")),
            route=source.choice(("alpha", "beta")),
            cohort="64/256" if number < probes / 2 else "128/256",
            flagged=source.choice(("", "", "", "local_gap")),
        )
        events += script.events()
    events += [tick(float(second)) for second in range(round(probes * 0.7))]
    events.append(Gap(at_ns=at(4.0), started_ns=at(1.0)))
    ends_s = probes * 0.7
    events += [
        Knob(at_ns=at(ends_s * part), route="alpha", knob="concurrency", before=4, after=after)
        for part, after in ((0.3, 8), (0.6, 2))
    ]
    events += [
        diagnosis(ends_s * part, since_s=ends_s / 9, state=state)
        for part, state in ((0.2, "named"), (0.7, "cleared"))
    ]
    return [hello(*ROUTES), *sorted(events, key=lambda event: event.at_ns)]


def transients(durable: list[Event], source: random.Random) -> list[Event]:
    """Return the stream with batches, arrivals and previews strewn in, some after its end."""
    mixed: list[Event] = []
    for event in durable:
        mixed.append(event)
        for _ in range(source.randrange(3)):
            stamp = (event.at_ns - at(0)) / 1e9 + source.random() / 3
            probe = f"e1-{source.randrange(60)}"
            mixed.append(
                source.choice(
                    (
                        batch(stamp, seq=source.randrange(9)),
                        arrivals(stamp, Arrival(probe, 0, 2, 9, at(stamp)), route="beta"),
                        Preview(at_ns=at(stamp), route="alpha", probe=probe, attempt=0, text="x"),
                    )
                )
            )
    return mixed


def durable_row(view: RouteView) -> RouteView:
    """Leave out the ages, which are told at the time of any event."""
    told = replace(view, oldest_open_s=None, last_event_s=None, cool_down_s=None)
    return replace(told, since_s=None, overdue=False)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), probes=st.integers(1, 60), look=st.booleans())
def test_transient_events_and_looking_change_no_durable_figure(
    seed: int, probes: int, look: bool
) -> None:
    durable = stream(seed, probes)
    plain, live = folded(durable), Board()
    for number, event in enumerate(transients(durable, random.Random(seed))):
        live.fold(event)
        if look and number % 7 == 0 and event.at_ns < durable[-1].at_ns - 2 * 10**9:
            live.snapshot("1m", ("alpha",))
    assert live.summary() == plain.summary()
    for window in ("1m", "5m", "run"):
        one, other = plain.snapshot(window, ("beta",)), live.snapshot(window, ("beta",))
        assert [durable_row(view) for view in one.routes] == [
            durable_row(view) for view in other.routes
        ]
        assert one.throttles == other.throttles
        assert one.happenings == other.happenings
        assert one.details["beta"].retries == other.details["beta"].retries


def test_the_summary_is_json_and_holds_the_run() -> None:
    good = [
        event
        for number in range(20)
        for event in ProbeScript(
            f"e1-{number}",
            float(number),
            ttft_s=0.4,
            e2e_s=1.0,
            cost_usd=0.001,
            finished={
                "chunk_offsets_ns": (400_000_000, 420_000_000, 440_000_000),
                "hidden_retries": 1,
            },
        ).events()
    ]
    summary = folded([hello(), *sorted(good, key=lambda event: event.at_ns)]).summary()
    told = json.loads(json.dumps(summary))["alpha"]
    assert (told["probes"], told["ok"], told["n"], told["ttft_n"]) == (20, 20, 20, 20)
    assert (told["success"], told["goodput"], told["amplification"]) == (1.0, 1.0, 1.0)
    assert (told["retries"], told["hidden_retries"]) == (0, 20)
    assert (told["ttft_p50_s"], told["ttft_p95_s"], told["ttft_p99_s"]) == (0.4, 0.4, 0.4)
    assert told["e2e_p95_s"] == 1.0
    assert (told["input_tokens"], told["output_tokens"]) == (400, 220)
    assert told["cost_usd"] == pytest.approx(0.02)
    assert told["chunk_gap_p50_s"] == pytest.approx(0.02, rel=0.05)
    assert (told["goals_met"], told["goals_missed"]) == (True, [])


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"ttft_s": 1.2, "e2e_s": 2.0}, ["ttft"]),
        ({"e2e_s": 3.5}, ["e2e"]),
        ({"ttft_s": None, "outcome": "client_error"}, ["success"]),
        ({"cost_usd": 0.5}, ["cost"]),
    ],
)
def test_the_summary_names_the_goals_that_were_missed(
    changes: dict[str, Any], missed: list[str]
) -> None:
    info = route_info(goal_cost_usd_per_probe=0.1)
    scripts = [ProbeScript(f"e1-{n}", float(n), **changes) for n in range(20)]
    events = sorted((e for s in scripts for e in s.events()), key=lambda event: event.at_ns)
    told = folded([hello(info), *events]).summary()["alpha"]
    assert (told["goals_met"], told["goals_missed"]) == (False, missed)


@pytest.mark.parametrize("window", ["1m", "15m", "run"])
def test_percentiles_agree_with_the_exact_ones_of_the_same_samples(window: WindowName) -> None:
    source = random.Random(11)
    scripts = [
        ProbeScript(f"e1-{n}", n * 0.05, ttft_s=source.lognormvariate(-1.0, 0.6), e2e_s=90.0)
        for n in range(6_000)
    ]
    events = sorted((script.first_token() for script in scripts), key=lambda event: event.at_ns)
    view = folded([hello(), *events, tick(305.0)]).snapshot(window).routes[0]
    since = at(240.0) if window == "1m" else 0
    samples = sorted(event.felt_ns / 1e9 for event in events if event.at_ns >= since)
    for figure, probability, tolerance in (
        (view.ttft_p50, 0.5, 0.01),
        (view.ttft_p95, 0.95, 0.005),
        (view.ttft_p99, 0.99, 0.002),
    ):
        assert figure.n == len(samples)
        assert figure.value is not None
        rank = bisect_right(samples, figure.value) / len(samples)
        assert rank == pytest.approx(probability, abs=tolerance)


def died(script: ProbeScript, at_s: float) -> AttemptFinished:
    changes = {"at_ns": at(at_s), "reason": "engine_died"}
    ours = replace(script, outcome="cancelled", ttft_s=None, tokens=None, finished=changes)
    return ours.attempt_finished()


@pytest.mark.parametrize("hello_first", [True, False])
def test_a_restarted_engine_forgets_nothing_and_counts_nothing_twice(hello_first: bool) -> None:
    done = ProbeScript("e1-1", 1.0)
    lost = ProbeScript("e1-2", 4.0)
    new = hello(at_s=6.0, engine="e2")
    last_words = died(lost, 5.9)
    after = ProbeScript("e2-1", 7.0)
    ending = [new, last_words] if hello_first else [last_words, new]
    board = folded([hello(), *done.events(), lost.started(), *ending, *after.events(), tick(10)])
    snapshot = board.snapshot("5m", ("alpha",))
    view = snapshot.routes[0]
    assert (view.n, view.in_flight, view.success, view.amplification) == (2, 0, 1.0, 1.0)
    assert view.ttft_p50.n == 2
    assert snapshot.header.elapsed_s == 10.0
    lanes = {lane.probe: lane for lane in snapshot.details["alpha"].lanes}
    assert (lanes["e1-2"].outcome, lanes["e1-2"].reason) == ("cancelled", "engine_died")
    assert len(lanes) == 3
    assert board.summary()["alpha"]["attempts"] == 2


def test_a_restart_adds_the_skipped_ticks_of_both_engines() -> None:
    counts = RouteCounts(route="alpha", in_flight=0, target=4, skipped=5)
    events = [hello(), tick(1, counts), hello(at_s=2, engine="e2"), tick(3, counts)]
    assert folded(events).snapshot().routes[0].skipped == 10


@pytest.mark.parametrize("changes", [{"boot_id": "b"}, {"clock_name": "CLOCK_BOOTTIME"}])
def test_an_engine_with_another_clock_starts_a_new_run(changes: dict[str, str]) -> None:
    events = [hello(), *ProbeScript("e1-1", 1.0).events()]
    board = folded([*events, hello(at_s=-500.0, engine="e2", **changes)])
    snapshot = board.snapshot()
    assert (snapshot.routes[0].n, snapshot.now_ns) == (0, at(-500.0))
    assert snapshot.header.elapsed_s == 0.0


def test_an_attempt_told_twice_is_counted_once() -> None:
    probe = ProbeScript("e1-1", 1.0)
    finished = probe.attempt_finished()
    board = folded([hello(), probe.started(), finished, finished, probe.probe_finished()])
    assert board.summary()["alpha"]["output_tokens"] == 11


def test_memory_is_bounded_over_two_hundred_thousand_events() -> None:
    board = folded([hello()])
    for number in range(60_000):
        script = ProbeScript(f"e1-{number}", number * 0.2, 0.1 + number % 97 / 100, e2e_s=1.0)
        board.fold(script.started())
        board.fold(script.first_token())
        if number % 5 == 0:
            board.fold(throttled(script, script.start_s + 1.0, 1.0))
        elif number % 5 < 4:
            board.fold(script.attempt_finished())
        if number % 5 < 3:
            board.fold(script.probe_finished())
        if number % 50 == 0:
            cap = float(number % 400)
            board.fold(
                Knob(at_ns=at(number / 5), route="alpha", knob="max_tokens", before=0, after=cap)
            )
    snapshot = board.snapshot("run", ("alpha",))
    detail = snapshot.details["alpha"]
    assert len(detail.lanes) <= 4_096 + 24
    assert len(snapshot.throttles) == 200
    assert len(detail.percentiles.markers) == 50
    assert len(snapshot.routes[0].trend) == 91
    assert snapshot.routes[0].n == 36_000
    [route] = board._order.routes
    assert len(route.accounts._open) <= 4_096
    assert len(route.tallies.slices) <= 91
    centroids = sum(
        len(digest.centroids())
        for samples in route.cohorts.values()
        for windows in (samples.ttft, samples.e2e, samples.speed)
        for digest in (
            *windows.slices.between(0, 10**6),
            *windows.minutes.between(0, 10**5),
            windows.run,
        )
    )
    assert centroids <= 3 * ((91 + 61) * 64 + 3 * 768)


def test_cohorts_are_bounded_and_the_least_recently_used_goes_first() -> None:
    scripts = [ProbeScript(f"e1-{n}", n * 3.0, cohort=f"{n}/256") for n in range(20)]
    board = folded([hello(), *(event for script in scripts for event in script.events())])
    [route] = board._order.routes
    assert list(route.cohorts) == [f"{n}/256" for n in range(12, 20)]
    assert board.snapshot().routes[0].ttft_p50.n == 1


def test_every_type_of_event_has_its_place_in_the_fold() -> None:
    assert {*_OF_A_ROUTE, *_OF_THE_RUN, Batch} == set(get_args(Event))
    assert not {*_OF_A_ROUTE} & {*_OF_THE_RUN}
