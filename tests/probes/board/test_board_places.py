"""A stream of several places: what is told of one is that one's alone."""

from itertools import chain
from typing import Any

import msgspec
from board_streams import ProbeScript, at, diagnosis, hello, route_info, tick

from probes.board import Board
from probes.board.views import RouteView
from probes.events import (
    Batch,
    BudgetState,
    DoubtKind,
    Event,
    Gap,
    Health,
    Held,
    Hello,
    PlaceReport,
    RouteCounts,
    RouteInfo,
    Tick,
)
from probes.events.placing import SHARED_CLOCK, at_place

EU, US = "chat@eu", "chat@us"


def info(place: str, name: str = "chat", **changes: Any) -> RouteInfo:
    return route_info(f"{name}@{place}", place=place, **changes)


def place_hello(place: str, at_s: float = 0.0, **changes: Any) -> Hello:
    clock = {"clock_name": SHARED_CLOCK, "place": place, "engine": f"{place}-1"}
    return hello(info(place), at_s=at_s, **(clock | changes))


def board_of(*events: Event) -> Board:
    """Fold in this order: it is that in which they came."""
    board = Board()
    for event in events:
        board.fold(event)
    return board


def row(board: Board, name: str) -> RouteView:
    return next(row for row in board.snapshot(anew=True).routes if row.name == name)


def report(at_s: float, state: Any, since_s: float, place: str = "us") -> PlaceReport:
    return PlaceReport(at_ns=at(at_s), place=place, state=state, since_ns=at(since_s))


def probes(place: str, count: int, every_s: float = 2.0, **changes: Any) -> list[Event]:
    """Probes of a place one after the other, in the order of their stamps, with its ticks."""
    scripts = [
        ProbeScript(f"{place}-{n}", n * every_s, e2e_s=1.5, route=f"chat@{place}", **changes)
        for n in range(count)
    ]
    ticks = [
        tick(s, RouteCounts(route=f"chat@{place}", in_flight=1, target=4), place=place)
        for s in range(1, int(count * every_s))
    ]
    events = [*chain.from_iterable(script.events() for script in scripts), *ticks]
    return sorted(events, key=lambda event: event.at_ns)


def test_a_hello_ends_what_was_open_at_its_own_place_alone() -> None:
    eu, us = (ProbeScript(f"{p}-1", 1.0, route=f"chat@{p}") for p in ("eu", "us"))
    board = board_of(place_hello("eu"), place_hello("us"), eu.started(), us.started())
    assert [row(board, name).in_flight for name in (EU, US)] == [1, 1]
    board.fold(place_hello("us", 5.0, engine="us-2"))
    assert [row(board, name).in_flight for name in (EU, US)] == [1, 0]
    assert board.routes == (EU, US)
    told = [line.text for line in board.happenings]
    assert told == ["us: another engine took over: us-2"]


def test_the_first_hello_of_a_place_takes_over_from_nobody() -> None:
    board = board_of(place_hello("eu"), place_hello("us", 3.0))
    assert board.happenings == ()


def test_a_place_begins_where_its_hello_of_another_clock_would_begin_all_anew() -> None:
    board = board_of(place_hello("eu"), *probes("eu", 3))
    board.fold(place_hello("us", 10.0))
    assert row(board, EU).n == 3


def test_routes_that_are_expected_of_other_places_stay_until_those_say_hello() -> None:
    board = Board()
    board.expect((info("eu"), info("us")))
    board.fold(place_hello("eu"))
    assert board.routes == (US, EU) or board.routes == (EU, US)
    assert row(board, US).state == "starting"
    # A recording of this run has nothing of a place that never spoke.
    assert list(board.summary()) == [EU]
    board.fold(place_hello("us", 2.0))
    assert sorted(board.summary()) == [EU, US]


def test_a_gap_spoils_the_samples_of_its_place_alone() -> None:
    gap = Gap(at_ns=at(3.0), started_ns=at(1.0), place="us")
    board = board_of(place_hello("eu"), place_hello("us"))
    for event in sorted([*probes("eu", 1), *probes("us", 1), gap], key=lambda one: one.at_ns):
        board.fold(event)
    for place in ("eu", "us"):
        script = ProbeScript(f"{place}-9", 0.5, ttft_s=3.0, e2e_s=4.0, route=f"chat@{place}")
        for event in script.events():
            board.fold(event)
    assert [row(board, name).e2e_p50.n for name in (EU, US)] == [2, 1]
    assert "us: we did not run for 2s" in [line.text for line in board.happenings]


def test_what_a_place_holds_back_holds_its_rows_alone() -> None:
    held = Held(at_ns=at(20.0), reason="budget", place="us")
    board = board_of(
        place_hello("eu"), place_hello("us"), *probes("eu", 8), *probes("us", 8), held,
        tick(21.0, place="us"), tick(21.0, place="eu"),
    )  # fmt: skip
    assert [(row(board, name).state, row(board, name).held) for name in (EU, US)] == [
        ("ok", ()),
        ("held", ("budget",)),
    ]
    assert board.happenings[0].text == "us: held, nothing is left to spend"
    board.fold(place_hello("eu", 22.0, engine="eu-2"))  # it says nothing of what us holds
    board.fold(tick(23.0, place="us"))
    assert row(board, US).state == "held"
    board.fold(msgspec.structs.replace(held, at_ns=at(24.0), released=True))
    board.fold(tick(25.0, place="us"))
    assert row(board, US).state == "ok"
    assert "us: goes on, was held 4s" in [line.text for line in board.happenings]


def test_an_open_request_ages_by_the_time_of_its_own_place() -> None:
    us = ProbeScript("us-1", 10.0, route=US)
    board = board_of(place_hello("eu"), place_hello("us"), us.started(), tick(12.0, place="us"))
    # Another place is ahead by what a batch waits, and by what clocks differ.
    board.fold(tick(14.5, place="eu"))
    assert row(board, US).oldest_open_s == 2.0
    detail = board.snapshot(detail_routes=(US,)).details[US]
    assert (detail.now_ns, detail.percentiles.oldest_open_s) == (at(12.0), 2.0)


def test_a_place_that_sends_a_minute_late_has_the_figures_that_it_would_have_had() -> None:
    eu, us = probes("eu", 90), probes("us", 90, ttft_s=0.9)
    alone = board_of(place_hello("us"), *us)
    away = [event for event in us if at(60.0) <= event.at_ns < at(120.0)]
    before = [event for event in us if event.at_ns < at(60.0)]
    after = [event for event in us if event.at_ns >= at(120.0)]
    met = sorted([*eu, *before, *after], key=lambda event: event.at_ns)
    place = next(i for i, event in enumerate(met) if event.at_ns >= at(120.0))
    together = board_of(place_hello("eu"), place_hello("us"), *met[:place], *away, *met[place:])
    assert together.summary()[US] == alone.summary()[US]
    mine, own = row(together, US), row(alone, US)
    since = {"since_s": None, "last_event_s": None}  # how long ago is told by the stream's time
    assert msgspec.structs.replace(mine, **since) == msgspec.structs.replace(own, **since)


def test_a_stream_of_several_places_and_its_replay_give_the_same() -> None:
    stream = sorted(
        [place_hello("eu"), place_hello("us"), *probes("eu", 60), *probes("us", 40),
         report(90.0, "silent", 79.0), report(100.0, "heard", 99.0)],
        key=lambda event: event.at_ns,
    )  # fmt: skip
    live = Board()
    for number, event in enumerate(stream):
        live.fold(event)
        if number % 7 == 0:  # a screen looks, a replay does not
            live.snapshot(detail_routes=(EU,), pages=(US,))
    replayed = board_of(*stream)
    assert live.summary() == replayed.summary()
    assert live.snapshot(anew=True) == msgspec.structs.replace(
        replayed.snapshot(anew=True), version=live.version
    )


def test_the_header_tells_of_the_place_that_can_be_trusted_least() -> None:
    def ticked(place: str, at_s: float, health: Health, *budgets: BudgetState) -> Tick:
        values = {"place": place, "budgets": budgets}
        return Tick(at_ns=at(at_s), wall_ns=at(at_s), health=health, routes=(), **values)

    near = BudgetState(route="", used_tokens=90, limit_tokens=100)
    far = BudgetState(route="", used_tokens=10, limit_tokens=100, doubt="the ledger fails")
    board = board_of(
        place_hello("eu"),
        place_hello("us"),
        ticked("eu", 1.0, Health(loop_lag_p99_ns=30_000_000, drops=2, clock="kernel"), far),
        ticked("us", 1.0, Health(loop_lag_p99_ns=1_000_000, drops=3, cpu_share=0.8), near),
    )
    header = board.snapshot().header
    assert (header.observer_place, header.loop_lag_p99_s, header.clock) == ("eu", 0.03, "kernel")
    assert (header.engine_cpu, header.drops) == (0.0, 5)
    assert header.budget_text == "us: 90 of 100 tok/h"
    assert header.budget_doubt == "eu: the ledger fails"
    # What cannot be sent at all is worse than what is late.
    board.fold(ticked("us", 2.0, Health(short_of="ports")))
    assert board.snapshot().header.observer_place == "us"


def test_of_doubts_at_several_places_the_one_that_nobody_can_end_is_told() -> None:
    def doubted(place: str, doubt: str, **kind: DoubtKind) -> Tick:
        budget = BudgetState(route="", used_tokens=1, limit_tokens=9, doubt=doubt, **kind)
        at_ns = at(1.0)
        values = {"place": place, "budgets": (budget,)}
        return Tick(at_ns=at_ns, wall_ns=at_ns, health=Health(), routes=(), **values)

    def told(*ticks: Tick) -> tuple[str, str]:
        hellos = [place_hello(place) for place in ("ap", "eu", "us")]
        header = board_of(*hellos, *ticks).snapshot().header
        return header.budget_doubt, header.budget_doubt_kind

    new: dict[str, DoubtKind] = {"doubt_kind": "new"}
    away: dict[str, DoubtKind] = {"doubt_kind": "away"}
    assert told(doubted("ap", ""), doubted("eu", "")) == ("", "unknown")
    assert told(*(doubted(at, "just begun", **new) for at in ("ap", "eu"))) == ("just begun", "new")
    assert told(doubted("ap", "just begun", **new), doubted("eu", "an old one")) == (
        "eu: an old one",
        "unknown",
    )
    assert told(
        doubted("ap", "an old one"),
        doubted("eu", "lost", **away),
        doubted("us", "no answer", **away),
    ) == ("eu and 1 more: lost", "away")


def test_a_batch_tells_of_the_health_of_its_place() -> None:
    lag = Health(loop_lag_p99_ns=50_000_000)
    board = board_of(place_hello("eu"), place_hello("us"), tick(1.0, place="eu"))
    board.fold(Batch(at_ns=at(1.1), seq=1, health=lag, place="us"))
    header = board.snapshot().header
    assert (header.observer_place, header.loop_lag_p99_s) == ("us", 0.05)


def test_rows_of_a_place_that_is_not_heard_say_so_and_keep_their_figures() -> None:
    board = board_of(place_hello("eu"), place_hello("us"), *probes("eu", 40), *probes("us", 20))
    before = row(board, US)
    assert before.state == "ok"
    board.fold(report(79.0, "silent", 39.5))
    silent = row(board, US)
    assert (silent.state, silent.why) == ("silent", "nothing comes from there")
    assert (silent.since_ns, silent.since_s) == (at(39.5), 40.0)
    assert (silent.n, silent.ttft_p50, silent.oldest_open_s) == (
        *(before.n, before.ttft_p50, before.oldest_open_s),
    )
    assert [one.name for one in board.snapshot().routes] == [US, EU]
    view = board.snapshot().header
    assert [(one.name, one.state, one.since_s) for one in view.places] == [
        ("eu", "heard", 0.0),
        ("us", "silent", 40.0),
    ]
    assert (view.hurt, view.well_since_ns) == (0, None)
    board.fold(tick(100.0, place="eu"))
    assert row(board, US).since_s == 60.5
    board.fold(report(101.0, "gone", 39.5))
    assert row(board, US).why == "nobody probes there"
    assert board.happenings[0].text == "us: silent, nobody probes there"
    assert board.happenings[0].place == "us"


def test_a_place_that_is_heard_again_is_what_it_is_by_its_own_stamps() -> None:
    us = probes("us", 60)
    first = [event for event in us if event.at_ns < at(40.0)]
    late = [event for event in us if event.at_ns >= at(40.0)]
    board = board_of(place_hello("eu"), place_hello("us"), *first, tick(100.0, place="eu"))
    board.fold(report(100.0, "silent", 39.5))
    board.fold(report(110.0, "heard", 40.0))
    (view,) = (one for one in board.snapshot().header.places if one.name == "us")
    assert view.behind_s == 70.5
    for event in late:
        board.fold(event)
    (view,) = (one for one in board.snapshot().header.places if one.name == "us")
    assert (view.state, view.behind_s) == ("heard", 0.0) or view.behind_s < 10
    assert row(board, US).state == "ok"
    told = [line.text for line in board.happenings]
    assert told == [
        "us: heard again, was silent 1m10s",
        "us: silent, nothing comes from there",
    ]


def test_what_was_wrong_before_a_place_fell_silent_is_not_forgotten() -> None:
    failing = probes("us", 20, outcome="server_error")
    board = board_of(place_hello("eu"), place_hello("us"), *failing)
    board.fold(diagnosis(30.0, "outage", 10.0, routes=(US,)))
    assert row(board, US).state == "down"
    board.fold(report(60.0, "unknown", 50.0))
    assert (row(board, US).state, row(board, US).why) == (
        "silent",
        "the way there is lost from here, was down",
    )
    board.fold(report(70.0, "heard", 69.0))
    assert row(board, US).state == "down"


def test_the_stream_of_an_agent_itself_is_of_one_place_whatever_its_routes_are_called() -> None:
    board = board_of(
        hello(info("eu")),
        *ProbeScript("1", 1.0, route=EU).events(),
        Held(at_ns=at(11.0), reason="paused"),
    )
    board.fold(tick(12.0))
    seen = row(board, EU)
    assert (seen.state, seen.place, seen.shared_name) == ("paused", "eu", "chat")
    assert board.snapshot().header.places == ()


def test_events_of_an_engine_are_the_same_rows_when_they_are_moved_to_a_place() -> None:
    own = [hello(info("eu")), *[event for event in probes("eu", 30) if not isinstance(event, Tick)]]
    moved = [at_place(event, "eu", 5_000) for event in own]
    alone, placed = board_of(*own), board_of(*moved)
    assert alone.summary() == placed.summary()
