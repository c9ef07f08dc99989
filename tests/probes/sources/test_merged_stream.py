"""Many engines speak as one."""

import pytest

from probes.events import (
    Arrival,
    Arrivals,
    AttemptFinished,
    Batch,
    BudgetState,
    Event,
    Gap,
    Health,
    Held,
    Hello,
    Knob,
    Limit,
    LimitReading,
    Mark,
    Notice,
    Preview,
    ProbeFinished,
    RouteCounts,
    RouteInfo,
    StampLadder,
    Tick,
)
from probes.kit.clock import NS_PER_S
from probes.sources.merged_stream import MergedStream

MS = 1_000_000
S = NS_PER_S


def stream(
    a: tuple[int, ...] = (2, 1), b: tuple[int, ...] = (0, 1), *, greeted: bool = True
) -> MergedStream:
    """Return the stream of engines with these streams of the routes a and b."""
    made = MergedStream(
        {"a": sum(a), "b": sum(b)}, len(a), lambda engine: {"a": a[engine], "b": b[engine]}
    )
    for engine in range(len(a)) if greeted else ():
        made.hear(engine, hello())
    return made


def hello(at_ns: int = 0, engine: str = "1", concurrency: int = 2) -> Hello:
    """Return an engine's first event."""
    info = RouteInfo(
        name="a",
        base_url="http://x",
        model="m",
        dialect="chat",
        concurrency=concurrency,
        interval=5.0,
        max_tokens=90,
        prompt_tokens=60,
        stall_after=1.0,
        goal_ttft_s=1.0,
    )
    return Hello(
        at_ns=at_ns, wall_ns=at_ns + 7, engine=engine, version="0", routes=(info,), schema=1
    )


def batch(at_ns: int, *counts: RouteCounts, health: Health | None = None) -> Batch:
    """Return what ends all that an engine writes at once."""
    return Batch(at_ns=at_ns, seq=1, health=health or Health(), routes=counts)


def died(at_ns: int = 0) -> Held:
    """Return what an engine's host says when it has died."""
    return Held(at_ns=at_ns, reason="restarting", detail="killed by signal 9; restart in 1 s")


def held(at_ns: int = 0, *, released: bool = False, route: str = "a") -> Held:
    """Return that a budget holds a route back on an engine, or no longer."""
    detail = "" if released else "5 of 5 tokens"
    return Held(at_ns=at_ns, reason="budget", route=route, released=released, detail=detail)


def cools(at_ns: int, until_ns: int, asked_s: float | None = 1.0) -> Held:
    """Return that a route cools down on an engine."""
    return Held(at_ns=at_ns, reason="cool_down", route="a", until_ns=until_ns, asked_s=asked_s)


def goes_on(at_ns: int) -> Held:
    """Return that a route has cooled down on an engine."""
    return Held(at_ns=at_ns, reason="cool_down", route="a", released=True)


def of_kind(events: list[Event], kind: type[Event]) -> list[Event]:
    """Return the events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def test_there_is_one_hello_with_the_work_of_all() -> None:
    made = stream(greeted=False)
    (told,) = made.hear(1, hello(5, engine="2", concurrency=1))
    assert isinstance(told, Hello)
    assert (told.engine, told.engines, told.routes[0].concurrency) == ("2", 2, 3)
    assert made.hear(0, hello(6)) == []
    made.hear(0, died())
    assert made.hear(0, hello(9)) == []


def test_what_was_turned_before_the_hello_follows_it() -> None:
    made = stream(greeted=False)
    assert made.tell(Knob(at_ns=3, route="a", knob="interval", before=5, after=1)) == []
    told = made.hear(0, hello(5))
    assert [type(event) for event in told] == [Hello, Knob]
    assert told[1].at_ns == 5


def test_what_was_measured_goes_on_as_it_is() -> None:
    event = ProbeFinished(
        at_ns=3, route="a", probe="1-1", outcome="ok", attempts=1, started_ns=1, scheduled_ns=1
    )
    (told,) = stream().hear(0, event)
    assert told is event


def test_an_engines_own_word_of_its_part_of_a_knob_is_left_out() -> None:
    knob = Knob(at_ns=3, route="a", knob="concurrency", before=2, after=3)
    mark = Mark(at_ns=4, text="x")
    assert stream().hear(0, knob) == []
    assert stream().tell(knob) == [knob]
    assert stream().hear(0, mark) == [mark]


def test_counts_and_health_are_summed_and_the_worst_lag_is_told() -> None:
    made = stream()
    busy = Health(
        loop_lag_p50_ns=1,
        loop_lag_p99_ns=5,
        loop_lag_max_ns=9,
        cpu_share=0.9,
        open_streams=3,
        open_sockets=4,
        drops=1,
        waiting=2,
        clock="kernel",
        reads_per_s=100.0,
        inexact_share=0.5,
        short_of="ports",
    )
    quiet = Health(loop_lag_p50_ns=2, loop_lag_p99_ns=3, cpu_share=0.2, open_streams=1, drops=1)
    counts = RouteCounts(route="a", in_flight=2, target=2, waiting=1, skipped=3)
    made.hear(0, batch(10, counts, health=busy))
    other = RouteCounts(route="a", in_flight=1, target=1)
    made.hear(1, batch(11, other, RouteCounts(route="b", in_flight=0, target=1), health=quiet))
    told = made.close_round()
    assert [type(event) for event in told] == [Tick, Batch]
    (tick,) = (event for event in told if isinstance(event, Tick))
    assert tick.routes == (
        RouteCounts(route="a", in_flight=3, target=3, waiting=1, skipped=3),
        RouteCounts(route="b", in_flight=0, target=1),
    )
    health = tick.health
    assert (health.loop_lag_p50_ns, health.loop_lag_p99_ns, health.loop_lag_max_ns) == (2, 5, 9)
    assert round(health.cpu_share, 6) == 1.1
    assert health.busiest_cpu_share == 0.9
    assert (health.open_streams, health.open_sockets, health.drops, health.waiting) == (4, 4, 2, 2)
    assert (health.clock, health.reads_per_s, health.inexact_share) == ("user", 100.0, 0.5)
    assert health.short_of == "ports"


def ticks(at_ns: int, route: str = "a", **oldest: object) -> Tick:
    """Return an engine's tick with the oldest open request of a route."""
    counts = RouteCounts(route=route, in_flight=1, target=1, **oldest)
    return Tick(at_ns=at_ns, wall_ns=at_ns, health=Health(), routes=(counts,), budgets=())


def ended(started_ns: int, at_ns: int) -> AttemptFinished:
    """Return the end of an attempt of route a."""
    return AttemptFinished(
        at_ns=at_ns,
        route="a",
        probe="1-1",
        attempt=0,
        outcome="ok",
        stamps_ns=StampLadder(started=started_ns, ended=at_ns),
    )


def oldest_of(told: list[Event], kind: type[Event] = Tick) -> list[tuple[int | None, str | None]]:
    """Return the oldest open request of each route, as a tick tells it."""
    (one,) = of_kind(told, kind)
    assert isinstance(one, Tick | Batch)
    return [(count.oldest_open_ns, count.oldest_phase) for count in one.routes]


def test_the_oldest_open_request_of_all_engines_is_told_at_its_age_of_the_tick() -> None:
    made = stream()
    made.hear(0, ticks(100 * MS, oldest_open_ns=40 * MS, oldest_phase="headers"))
    made.hear(1, ticks(300 * MS, oldest_open_ns=250 * MS, oldest_phase="sent"))
    made.hear(0, batch(400 * MS))
    made.hear(1, batch(400 * MS))
    told = made.close_round()
    assert oldest_of(told) == [(350 * MS, "sent"), (None, None)]
    assert oldest_of(told, Batch) == [(None, None), (None, None)]


def test_a_request_that_has_ended_since_its_engines_tick_is_not_told() -> None:
    made = stream()
    made.hear(0, ticks(100 * MS, oldest_open_ns=40 * MS, oldest_phase="headers"))
    made.hear(1, ticks(100 * MS, oldest_open_ns=90 * MS, oldest_phase="sent"))
    made.hear(0, ended(10 * MS, 150 * MS))  # of another engine, and by chance as old
    assert made.hear(1, ended(10 * MS, 150 * MS)) == [ended(10 * MS, 150 * MS)]
    made.hear(0, batch(200 * MS))
    assert oldest_of(made.close_round()) == [(140 * MS, "headers"), (None, None)]


def test_nothing_is_open_of_an_engine_that_died_or_has_not_ticked_for_seconds() -> None:
    made = stream()
    made.hear(0, ticks(0, oldest_open_ns=0, oldest_phase="sent"))
    made.hear(1, ticks(0, oldest_open_ns=0, oldest_phase="headers"))
    made.hear(0, died(1))
    made.hear(1, batch(2 * S))
    assert oldest_of(made.close_round())[0] == (2 * S, "headers")
    made.hear(1, batch(3 * S))
    assert oldest_of(made.close_round())[0] == (None, None)


def test_the_kernels_clock_is_told_where_every_engine_has_it() -> None:
    made = stream()
    for engine in range(2):
        made.hear(engine, batch(10, health=Health(clock="kernel")))
    tick = made.close_round()[0]
    assert isinstance(tick, Tick)
    assert tick.health.clock == "kernel"


def test_there_is_one_batch_a_round_and_one_tick_a_second() -> None:
    made = stream()
    told: list[Event] = []
    for number in range(31):
        at_ns = number * 103 * MS
        made.hear(0, batch(at_ns))
        made.hear(1, batch(at_ns + 50 * MS))
        made.hear(0, Tick(at_ns=at_ns, wall_ns=at_ns + 7, health=Health(), routes=(), budgets=()))
        told += made.close_round()
    ticks, batches = of_kind(told, Tick), of_kind(told, Batch)
    assert [one.seq for one in batches if isinstance(one, Batch)] == list(range(1, 32))
    assert len(ticks) == 4
    seconds = [(one.at_ns - ticks[0].at_ns) / S for one in ticks]
    assert all(0 <= second - round(second) < 0.103 for second in seconds)
    assert all(one.wall_ns == one.at_ns + 7 for one in ticks if isinstance(one, Tick))


def test_after_a_silence_the_ticks_go_on_from_the_moment_they_can() -> None:
    made = stream()
    stamps: list[int] = []
    for at_ns in (0, 5 * S, 5 * S + 900 * MS, 6 * S, 7 * S):
        made.hear(0, batch(at_ns))
        stamps += [event.at_ns for event in made.close_round() if isinstance(event, Tick)]
    assert stamps == [0, 5 * S, 6 * S, 7 * S]


def test_a_round_in_which_no_engine_was_heard_has_no_batch() -> None:
    assert stream().close_round() == []


def budgets(used: int, doubt: str = "") -> tuple[BudgetState, ...]:
    """Return what an engine tells of the overall budget."""
    return (BudgetState(route="", used_tokens=used, limit_tokens=9, doubt=doubt),)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (budgets(3), (), budgets(3)),
        (budgets(5), budgets(3), budgets(5)),  # the second asked the ledger earlier
        (budgets(3), budgets(5), budgets(5)),
        (budgets(5), budgets(3, "why"), budgets(3, "why")),
    ],
)
def test_a_budget_is_told_by_the_engine_that_knows_of_most_spending_or_of_a_doubt(
    first: tuple[BudgetState, ...],
    second: tuple[BudgetState, ...],
    told: tuple[BudgetState, ...],
) -> None:
    made = stream()
    for engine, states in enumerate((first, second)):
        made.hear(engine, Tick(at_ns=1, wall_ns=1, health=Health(), routes=(), budgets=states))
        made.hear(engine, batch(2))
    (tick, _) = made.close_round()
    assert isinstance(tick, Tick)
    assert tick.budgets == told


def test_what_an_engine_that_is_gone_knew_of_budgets_is_old() -> None:
    made = stream()
    for engine, used in ((0, 5), (1, 3)):
        states = budgets(used)
        made.hear(engine, Tick(at_ns=1, wall_ns=1, health=Health(), routes=(), budgets=states))
    made.hear(0, died(2))
    made.hear(1, batch(3))
    (tick, _) = made.close_round()
    assert isinstance(tick, Tick)
    assert tick.budgets == budgets(3)


def test_token_arrival_of_a_route_is_told_once_a_round() -> None:
    made = stream()
    for engine, at_ns in ((0, 5), (1, 7)):
        arrival = Arrival(f"{engine}-1", 0, 1, 4, 9)
        assert made.hear(engine, Arrivals(at_ns=at_ns, route="a", arrivals=(arrival,))) == []
    (told,) = made.close_round()
    assert isinstance(told, Arrivals)
    assert told.at_ns == 5
    assert [arrival.probe for arrival in told.arrivals] == ["0-1", "1-1"]
    assert made.close_round() == []


def test_an_engine_that_dies_is_named_and_the_others_go_on() -> None:
    made = stream()
    made.hear(0, batch(10, RouteCounts(route="a", in_flight=2, target=2, skipped=3)))
    made.hear(1, batch(10, RouteCounts(route="a", in_flight=1, target=1, skipped=1)))
    (notice,) = made.hear(0, died(20))
    assert isinstance(notice, Notice)
    assert notice.text == "engine 1 of 2: killed by signal 9; restart in 1 s"
    made.hear(1, batch(21, RouteCounts(route="a", in_flight=1, target=1, skipped=1)))
    (tick, _) = made.close_round()
    assert isinstance(tick, Tick)
    assert tick.routes[0] == RouteCounts(route="a", in_flight=1, target=3, skipped=4)
    assert made.living == {1}
    made.hear(0, hello(30, engine="3"))
    made.hear(0, batch(31, RouteCounts(route="a", in_flight=0, target=2)))
    (last,) = made.close_round()
    assert isinstance(last, Batch)
    assert last.routes[0] == RouteCounts(route="a", in_flight=1, target=3, skipped=4)


def test_nothing_is_probed_only_when_the_last_engine_has_died() -> None:
    made = stream()
    made.hear(0, died(1))
    first = made.hear(1, died(2))
    assert [event.released for event in first if isinstance(event, Held)] == [False]
    (again,) = made.hear(0, hello(3, engine="3"))
    assert again == Held(at_ns=3, reason="restarting", released=True)
    assert made.hear(1, hello(4, engine="4")) == []
    assert made.hear(1, Held(at_ns=4, reason="restarting", released=True)) == []


def test_a_budget_holds_a_route_when_every_engine_that_works_on_it_is_held() -> None:
    made = stream(a=(2, 1, 0), b=(0, 0, 1))
    assert made.hear(0, held(1)) == []
    assert made.hear(1, held(2)) == [held(2)]
    assert made.hear(0, held(3, released=True)) == [held(3, released=True)]
    assert made.hear(1, held(4, released=True)) == []


def test_an_engine_that_died_neither_holds_nor_keeps_from_holding() -> None:
    made = stream()
    made.hear(0, held(1))
    told = made.hear(1, died(2))
    assert [event for event in told if isinstance(event, Held)] == [held(2)]
    made = stream()
    made.hear(0, held(1))
    made.hear(1, held(2))
    made.hear(0, died(3))
    assert of_kind(made.hear(1, held(4, released=True)), Held) == [held(4, released=True)]


def test_a_reader_that_stalled_is_told_with_the_first_engine() -> None:
    made = stream()
    stalled = Held(at_ns=1, reason="reader_stalled", route="a")
    assert made.hear(0, stalled) == [stalled]
    assert made.hear(1, stalled) == []
    over = Held(at_ns=2, reason="reader_stalled", route="a", released=True)
    assert made.hear(0, over) == []
    assert made.hear(1, over) == [over]


def test_a_cool_down_is_told_once_and_ends_once() -> None:
    made = stream()
    asked = cools(1 * S, 3 * S)
    assert made.hear(0, asked) == [asked]
    assert made.hear(1, cools(1 * S + 9, 3 * S + 9, asked_s=None)) == []
    assert made.hear(1, cools(2 * S, 3 * S)) == []
    longer = cools(2 * S, 4 * S)
    assert made.hear(1, longer) == [longer]
    assert made.hear(0, goes_on(3 * S)) == []  # it had not heard of the longer one
    assert made.hear(1, goes_on(4 * S)) == [goes_on(4 * S)]
    assert made.hear(0, goes_on(4 * S + 1)) == []


def test_a_cool_down_that_the_user_ended_is_over_for_every_engine() -> None:
    made = stream()
    made.hear(0, cools(1 * S, 9 * S))
    assert made.tell(goes_on(2 * S)) == [goes_on(2 * S)]
    assert made.hear(0, goes_on(2 * S + 1)) == []
    assert made.hear(1, cools(5 * S, 8 * S)) == [cools(5 * S, 8 * S)]


def test_what_every_engine_says_alike_is_told_once() -> None:
    made = stream()
    notice = Notice(at_ns=1, route="a", text="a fallback was taken")
    assert [made.hear(engine, notice) for engine in (0, 1, 1, 0)] == [[notice], [], [notice], []]
    other = Notice(at_ns=1, route="b", text="a fallback was taken")
    assert made.hear(1, other) == [other]
    more = Notice(at_ns=1, route="b", text="a fallback was taken back")
    assert made.hear(0, more) == [more]


def test_a_gap_that_all_engines_saw_is_told_once() -> None:
    made = stream()
    gap = Gap(at_ns=10 * S, started_ns=5 * S)
    assert made.hear(0, gap) == [gap]
    assert made.hear(1, Gap(at_ns=10 * S + 20 * MS, started_ns=5 * S - 20 * MS)) == []
    longer = Gap(at_ns=11 * S, started_ns=5 * S)
    assert made.hear(1, longer) == [longer]


def reading(at_ns: int, remaining: float) -> LimitReading:
    """Return what is left of a limit."""
    return LimitReading(at_ns=at_ns, route="a", limits=(Limit(kind="tokens", remaining=remaining),))


def test_limits_are_told_when_they_change_at_most_once_a_second() -> None:
    made = stream()
    assert made.hear(0, reading(1, 9)) == [reading(1, 9)]
    assert made.hear(1, reading(2, 8)) == []
    assert made.hear(1, reading(S + 1, 9)) == []
    assert made.hear(0, reading(S + 2, 7)) == [reading(S + 2, 7)]


def test_the_limits_of_a_throttled_answer_are_told_at_once() -> None:
    made = stream()
    made.hear(0, reading(1, 9))
    throttled = AttemptFinished(
        at_ns=2,
        route="a",
        probe="2-1",
        attempt=0,
        outcome="throttled",
        stamps_ns=StampLadder(),
    )
    assert made.hear(1, throttled) == [throttled]
    assert made.hear(1, reading(2, 0)) == [reading(2, 0)]


def test_one_stream_is_on_preview_until_it_ends() -> None:
    made = stream()
    first = Preview(at_ns=1, route="a", probe="1-1", attempt=0, text="x")
    other = Preview(at_ns=1, route="a", probe="2-1", attempt=0, text="y")
    assert [made.hear(0, first), made.hear(1, other)] == [[first], []]
    made.hear(
        0,
        ProbeFinished(
            at_ns=2, route="a", probe="1-1", outcome="ok", attempts=1, started_ns=1, scheduled_ns=1
        ),
    )
    assert made.hear(1, other) == [other]
    made.watch()
    assert made.hear(0, first) == [first]
