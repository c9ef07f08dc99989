"""Each figure of a row, from event sequences whose figures are computed by hand."""

from typing import Any

import msgspec
import pytest
from board_streams import (
    START_NS,
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

from probes.board import Board
from probes.board.views import Figure, RouteView
from probes.events import (
    Arrival,
    Batch,
    BudgetState,
    Event,
    Fault,
    Gap,
    Health,
    Held,
    Knob,
    Limit,
    LimitReading,
    Mark,
    Notice,
    Preview,
    PriceInfo,
    RouteCounts,
    Tick,
)
from probes.kit.clock import NS_PER_S


def board_of(*events: Event, routes: tuple[Any, ...] = ()) -> Board:
    board = Board()
    board.fold(hello(*routes))
    for event in sorted(events, key=lambda event: event.at_ns):
        board.fold(event)
    return board


def test_routes_are_shown_before_their_engine_has_introduced_them() -> None:
    board = Board()
    empty = board.version
    board.expect((route_info("alpha", concurrency=3), route_info("bravo")))
    assert board.version > empty
    alpha, bravo = board.snapshot(detail_routes=("alpha",)).routes
    assert (alpha.name, alpha.target, alpha.state) == ("alpha", 3, "starting")
    assert (bravo.name, bravo.ttft_p50) == ("bravo", Figure())
    # The engine that comes has the last word of what there is.
    board.fold(hello(route_info("carol")))
    assert board.routes == ("carol",)


def mixed_minute() -> list[Event]:
    """Five probes by 60 s: three ok (one after a 429), one timed out, one cancelled by us."""
    retried = ProbeScript("e1-3", 30.0, ttft_s=2.5, e2e_s=5.0, cost_usd=0.002)
    late = ProbeScript("e1-4", 40.0, ttft_s=None, e2e_s=10.0, outcome="timeout", tokens=None)
    ours = ProbeScript("e1-5", 41.0, ttft_s=0.3, e2e_s=2.0, outcome="cancelled", tokens=None)
    return [
        *ProbeScript("e1-1", 1.0, ttft_s=0.4, e2e_s=2.4, cost_usd=0.001).events(),
        *ProbeScript("e1-2", 10.0, ttft_s=0.8, e2e_s=4.8, cost_usd=0.003, tokens=21).events(),
        retried.started(),
        throttled(retried, 30.5, 1.0, retry_after_s=1.0),
        retried.started(1, at_s=31.5),
        retried.first_token(1),
        retried.attempt_finished(1, from_s=31.5),
        retried.probe_finished(attempts=2),
        *late.events(),
        *ours.events(),
        ProbeScript("e1-6", 55.0).started(),
        tick(60.0, RouteCounts(route="alpha", in_flight=1, target=6, skipped=3)),
    ]


def row(board: Board, name: str = "alpha") -> RouteView:
    return next(view for view in board.snapshot().routes if view.name == name)


ROW_FIGURES: dict[str, Any] = {
    "n": 4,
    "probes_per_min": 4.0,
    "success": 0.75,
    "success_missed": True,
    "goodput": 0.25,
    "good_per_min": 1.0,
    "throttled_per_min": 1.0,
    "timeouts_per_min": 1.0,
    "failures_per_min": 1.0,
    "retries_per_min": 1.0,
    "amplification": 1.25,
    "input_tokens": 20.0,
    "output_tokens": 43 / 3,
    "usd_per_hour": 0.006 * 60,
    "cost_estimated": False,
    "oldest_open_s": 5.0,
    "last_event_s": 5.0,
    "in_flight": 1,
    "target": 6,
    "skipped": 3,
    "interval": 5.0,
    "max_tokens": 64,
    "cohort": "64/256",
    "stream_tokens_per_s": 5.0,
    "cool_down_s": None,
    "goal_ttft_s": 1.0,
    "goal_e2e_s": 3.0,
    "state": "ok",
}


@pytest.mark.parametrize("name", ROW_FIGURES)
def test_a_row_holds_the_figure_computed_by_hand(name: str) -> None:
    value = getattr(row(board_of(*mixed_minute())), name)
    expected = ROW_FIGURES[name]
    assert value == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_a_row_says_of_its_route_what_the_hello_said() -> None:
    told: dict[str, Any] = {
        "model": "mod-1",
        "base_url": "https://h.example/v1",
        "tags": ("tag-2",),
        "interval": 7.0,
        "max_tokens": 65,
        "goal_ttft_s": 0.8,
        "goal_e2e_s": 2.9,
        "streamed": False,
    }
    board = Board()
    board.fold(hello(route_info("beta", concurrency=9, **told)))
    view = board.snapshot().routes[0]
    assert (view.name, view.target) == ("beta", 9)
    assert {name: getattr(view, name) for name in told} == told


def test_a_row_has_the_price_that_the_hello_or_a_notice_told() -> None:
    told = PriceInfo(input=1.0, output=2.0)
    found = PriceInfo(input=3.0, output=4.0, source="list")
    set_price = route_info(price_known=True, price=told)
    board = Board()
    board.fold(hello(set_price))
    assert board.snapshot().routes[0].price == told
    board = board_of(Notice(at_ns=at(1.0), route="alpha", text="a price", price=found), tick(2.0))
    assert board.snapshot().routes[0].price == found


def test_percentiles_are_of_felt_times_and_say_how_much_they_are_worth() -> None:
    view = row(board_of(*mixed_minute()))
    assert view.ttft_p50 == Figure(value=0.4, n=4, enough=True, grade="great")
    assert view.ttft_p95 == Figure(value=2.5, n=4)
    assert view.ttft_p99 == Figure(value=2.5, n=4)
    assert view.e2e_p50.value == pytest.approx(4.8)
    assert view.e2e_p50.grade == "sluggish"
    assert (view.e2e_p95.value, view.e2e_p95.n, view.e2e_p95.enough) == (5.0, 3, False)


def test_a_p95_is_graded_from_twenty_samples_on() -> None:
    probes = [ProbeScript(f"e1-{i}", float(i), ttft_s=1.2, e2e_s=1.5) for i in range(20)]
    events = [event for probe in probes for event in probe.events()]
    nineteen = row(board_of(*events[:-4], tick(30.0)))
    twenty = row(board_of(*events, tick(30.0)))
    assert nineteen.ttft_p95 == Figure(value=1.2, n=19)
    assert twenty.ttft_p95 == Figure(value=1.2, n=20, enough=True, grade="slow")
    assert (nineteen.state, twenty.state) == ("ok", "slow")
    assert twenty.goal_ratio == pytest.approx(1.2)


def test_flagged_probes_are_counted_but_not_sampled() -> None:
    probe = ProbeScript("e1-1", 1.0, ttft_s=5.0, e2e_s=9.0, flagged="local_gap")
    gap = Gap(at_ns=at(5.5), started_ns=at(2.0))
    view = row(board_of(gap, *probe.events(), tick(20.0)))
    assert (view.n, view.success, view.goodput) == (1, 1.0, 1.0)
    assert (view.ttft_p50.n, view.e2e_p50.n, view.stream_tokens_per_s) == (0, 0, None)


def test_a_probe_is_felt_once_though_two_of_its_attempts_spoke() -> None:
    probe = ProbeScript("e1-1", 1.0, ttft_s=0.5)
    again = ProbeScript("e1-1", 1.0, ttft_s=1.8)
    view = row(board_of(probe.started(), probe.first_token(), again.first_token(1), tick(4.0)))
    assert view.ttft_p50 == Figure(value=0.5, n=1)


@pytest.mark.parametrize(("kind", "n"), [("not_streamed", 0), ("buffered", 1)])
def test_an_answer_that_is_no_stream_has_no_ttft(kind: Any, n: int) -> None:
    first = msgspec.structs.replace(ProbeScript("e1-1", 1.0).first_token(), kind=kind)
    assert row(board_of(first, tick(4.0))).ttft_p50.n == n


def test_estimated_tokens_give_no_speed_and_no_first_token_no_ttft() -> None:
    guess = ProbeScript("e1-1", 1.0, finished={"token_source": "estimate"})
    view = row(board_of(*guess.events(), tick(4.0)))
    assert view.stream_tokens_per_s is None
    whole = ProbeScript("e1-2", 5.0, ttft_s=None)
    assert row(board_of(*whole.events(), tick(9.0))).ttft_p50.n == 0
    assert row(board_of(*whole.events(), tick(9.0))).goodput == 1.0


@pytest.mark.parametrize(("cost", "goodput"), [(0.001, 1.0), (0.01, 0.0), (None, 1.0)])
def test_a_good_probe_is_within_its_cost_goal(cost: float | None, goodput: float) -> None:
    info = route_info(goal_cost_usd_per_probe=0.005)
    probe = ProbeScript("e1-1", 1.0, cost_usd=cost)
    assert row(board_of(*probe.events(), tick(5.0), routes=(info,))).goodput == goodput


def test_a_new_cohort_starts_its_own_percentiles_and_is_marked() -> None:
    before = ProbeScript("e1-1", 1.0, ttft_s=0.2)
    after = ProbeScript("e1-2", 11.0, ttft_s=0.9, cohort="128/256")
    knob = Knob(at_ns=at(10), route="alpha", knob="max_tokens", before=64, after=128)
    board = board_of(*before.events(), knob, *after.events(), tick(14.0))
    snapshot = board.snapshot("5m", ("alpha",))
    view, table = snapshot.routes[0], snapshot.details["alpha"].percentiles
    assert (view.cohort, view.max_tokens) == ("128/256", 128)
    assert view.ttft_p50 == Figure(value=0.9, n=1)
    assert view.n == 2
    assert [(marker.at_ns, marker.text) for marker in table.markers] == [
        (at(10), "cap 64→128"),
        (at(11), "cohort 64/256→128/256"),
    ]
    assert [point.p50 for point in view.trend] == [0.2, 0.9]


def test_a_knob_takes_no_goal_away_and_its_mark_tells_what_becomes_of_it() -> None:
    knob = Knob(at_ns=at(10), route="alpha", knob="max_tokens", before=64, after=400)
    back = Knob(at_ns=at(12), route="alpha", knob="max_tokens", before=400, after=100)
    assert row(board_of(knob)).goal_e2e_s == 6.0
    assert row(board_of(knob, back)).goal_e2e_s == 3.0
    own = route_info(goal_e2e_s=8.0, goal_e2e_set=True)
    assert row(board_of(knob, routes=(own,))).goal_e2e_s == 8.0
    table = board_of(knob, back).snapshot("5m", ("alpha",)).details["alpha"].percentiles
    assert [marker.text for marker in table.markers] == [
        "cap 64→400, E2E goal 3 s→6 s",
        "cap 400→100, E2E goal 6 s→3 s",
    ]


@pytest.mark.parametrize(
    ("knob", "before", "after", "text"),
    [
        ("interval", 5.0, 0.5, "pace 5→0.5 s"),
        ("paused", 0.0, 1.0, "paused"),
        ("paused", 1.0, 0.0, "resumed"),
        ("burst", 0.0, 20.0, "burst 20"),
        ("usual", 0.0, 1.0, "usual accepted"),
    ],
)
def test_a_knob_is_marked_in_words(knob: str, before: float, after: float, text: str) -> None:
    turned = Knob(at_ns=at(10), route="alpha", knob=knob, before=before, after=after)
    table = board_of(turned, tick(11.0)).snapshot("5m", ("alpha",)).details["alpha"].percentiles
    assert [marker.text for marker in table.markers] == [text]


def slow_ones(cap: int, e2e_s: float, begin_s: float) -> list[Event]:
    scripts = (
        ProbeScript(f"{cap}-{n}", begin_s + n, e2e_s=e2e_s, cohort=f"{cap}/256") for n in range(20)
    )
    return [event for script in scripts for event in script.events()]


def test_raising_the_cap_does_not_silence_the_alarm() -> None:
    knob = Knob(at_ns=at(30), route="alpha", knob="max_tokens", before=64, after=256)
    slow = board_of(knob, *slow_ones(256, 9.0, 30.5), tick(60.0))
    well = board_of(knob, *slow_ones(256, 3.5, 30.5), tick(60.0))
    assert (row(slow).state, row(well).state) == ("sluggish", "ok")
    assert (row(slow).e2e_p95.grade, row(well).e2e_p95.grade) == ("sluggish", "fine")
    assert (row(slow).goodput, row(well).goodput) == (0.0, 1.0)
    assert slow.summary()["alpha"]["goals_missed"] == ["e2e"]
    assert well.summary()["alpha"]["goals_missed"] == []


def test_a_knob_does_not_judge_what_was_measured_before_it() -> None:
    raised = Knob(at_ns=at(0.1), route="alpha", knob="max_tokens", before=64, after=400)
    lowered = Knob(at_ns=at(50), route="alpha", knob="max_tokens", before=400, after=64)
    board = board_of(raised, *slow_ones(400, 5.0, 1.0), tick(45.0), lowered, tick(55.0))
    assert (row(board).state, row(board).goal_e2e_s) == ("ok", 6.0)
    assert row(board).e2e_p95.grade == "fine"
    board.fold(ProbeScript("e1-x", 56.0).started())
    assert (row(board).cohort, row(board).goal_e2e_s) == ("64/256", 3.0)


def test_a_probe_is_good_by_the_goal_of_its_own_cap() -> None:
    knob = Knob(at_ns=at(2), route="alpha", knob="max_tokens", before=64, after=400)
    before = ProbeScript("e1-1", 1.0, e2e_s=5.0)
    after = ProbeScript("e1-2", 3.0, e2e_s=5.0, cohort="400/256")
    assert row(board_of(knob, *before.events(), tick(9.0))).goodput == 0.0
    assert row(board_of(knob, *after.events(), tick(9.0))).goodput == 1.0


def test_trend_points_sit_on_slices_since_the_start() -> None:
    events = [
        *ProbeScript("e1-1", 1.0, ttft_s=0.5).events(),
        *ProbeScript("e1-2", 25.0, ttft_s=0.7, e2e_s=2, outcome="server_error").events(),
        tick(31.0),
    ]
    trend = row(board_of(*events)).trend
    assert [(p.start_ns - START_NS) // NS_PER_S for p in trend] == [0, 10, 20, 30]
    assert [p.p50 for p in trend] == [0.5, None, 0.7, None]
    assert [(p.n, p.failures) for p in trend] == [(1, 0), (0, 0), (1, 1), (0, 0)]


def test_a_late_event_amends_a_closed_slice_of_the_chart() -> None:
    board = board_of(tick(25.0))
    assert [point.n for point in row(board).trend] == [0, 0, 0]
    board.fold(ProbeScript("e1-1", 15.0).first_token())
    board.fold(tick(26.0))
    assert [point.n for point in row(board).trend] == [0, 1, 0]


def test_the_totals_add_the_routes_up_and_mix_no_percentiles() -> None:
    infos = (route_info("alpha"), route_info("beta", goal_ttft_s=0.5))
    other = ProbeScript("e1-9", 3.0, route="beta")
    failing = diagnosis(50.5, "provider_errors", 40.0, size=0.25)
    board = board_of(*mixed_minute(), *other.events(), failing, routes=infos)
    total = board.snapshot().totals
    assert total is not None
    assert total.since_ns == at(40.0)
    assert (total.n, total.in_flight, total.target, total.skipped) == (5, 1, 10, 3)
    assert total.success == pytest.approx(0.8)
    assert (total.state, total.goal_ttft_s, total.success_missed) == ("failing", 0.5, True)
    assert total.ttft_p50 == Figure()
    assert total.since_ns == row(board).since_ns


def test_the_header_counts_the_last_minute_and_shows_the_worst_budget() -> None:
    budgets = (
        BudgetState(route="", used_tokens=412_000, limit_tokens=2_000_000),
        BudgetState(route="alpha", used_tokens=100, limit_tokens=500, used_usd=0.9, limit_usd=1.0),
    )
    health = Health(drops=2, cpu_share=0.25, loop_lag_p99_ns=300_000, loop_lag_max_ns=10**6)
    last = Tick(at_ns=at(61), wall_ns=0, health=health, routes=(), budgets=budgets)
    header = board_of(*mixed_minute(), last).snapshot().header
    assert (header.elapsed_s, header.routes, header.in_flight) == (61.0, 1, 1)
    assert header.probes_per_min == pytest.approx(4 * 60 / 61)
    assert header.throttled_per_min == header.retries_per_min == pytest.approx(60 / 61)
    assert header.failures_per_min == pytest.approx(60 / 61)
    assert (header.budget_share, header.budget_text) == (0.9, "alpha: $0.90 of $1.00/h")
    assert (header.drops, header.engine_cpu, header.loop_lag_max_s) == (2, 0.25, 0.001)
    assert (header.tokens_per_s, header.tokens_estimated) == (pytest.approx(43 / 61), False)


def test_of_several_engines_the_busiest_ones_core_is_shown_not_the_sum() -> None:
    health = Health(cpu_share=1.0, busiest_cpu_share=0.55)
    last = Tick(at_ns=at(1), wall_ns=0, health=health, routes=())
    assert board_of(last).snapshot().header.engine_cpu == 0.55


def test_the_token_budget_is_shown_in_tokens() -> None:
    budget = BudgetState(route="", used_tokens=412_000, limit_tokens=2_000_000)
    header = board_of(tick(1.0, budgets=(budget,))).snapshot().header
    assert (header.budget_share, header.budget_text) == (0.206, "412k of 2M tok/h")


def test_live_tokens_come_from_what_arrived_in_the_last_seconds() -> None:
    probe = ProbeScript("e1-1", 1.0)
    events = [arrivals(10 + s, Arrival("e1-1", 0, 4, 40, at(10 + s))) for s in range(10)]
    header = board_of(probe.started(), *events, tick(19.1), batch(19.2)).snapshot().header
    assert (header.tokens_per_s, header.tokens_estimated) == (10.0, True)
    assert header.last_batch_ns == at(19.2)


def live_header(*tokens: int) -> tuple[float, bool]:
    """Return the header's tokens/s after a slot a second of 40 characters with these counts."""
    probe = ProbeScript("e1-1", 9.0)
    events = [
        arrivals(10 + s, Arrival("e1-1", 0, 4, 40, at(10 + s), count))
        for s, count in enumerate(tokens)
    ]
    last = at(10 + len(tokens) - 0.5)
    board = board_of(probe.started(), *events, Batch(at_ns=last, seq=1, health=Health()))
    header = board.snapshot().header
    return header.tokens_per_s, header.tokens_estimated


def test_live_tokens_that_the_server_counts_are_no_estimate() -> None:
    assert live_header(8, 16, 24, 32, 40) == (8.0, False)


def test_hidden_reasoning_is_no_burst_of_live_tokens() -> None:
    tokens_per_s, estimated = live_header(5_000, 5_008, 5_016, 5_024, 5_032)
    assert (tokens_per_s, estimated) == ((10 + 4 * 8) / 5, True)


def test_a_replay_estimates_what_was_not_counted_and_says_so() -> None:
    probe = ProbeScript("e1-1", 1.0, tokens=None, finished={"characters": 244})
    header = board_of(*probe.events(), tick(61.0)).snapshot().header
    assert (header.tokens_per_s, header.tokens_estimated) == (pytest.approx(1.0), True)


def test_tries_behind_a_gateway_are_counted_beside_our_own() -> None:
    hidden = ProbeScript("e1-1", 1.0, finished={"hidden_retries": 2})
    ours = ProbeScript("e1-2", 5.0, outcome="cancelled", finished={"hidden_retries": 9})
    board = board_of(*hidden.events(), *ours.events(), tick(9.0))
    view = board.snapshot("5m", ["alpha"]).details["alpha"].retries
    assert (view.hidden, view.amplification, view.rows) == (2, 1.0, ())


def test_notices_name_their_route_and_the_newest_twenty_are_kept() -> None:
    notes = [Notice(at_ns=at(n), route="alpha", text=f"n{n}") for n in range(25)]
    fault = Fault(at_ns=at(30), route="alpha", error="KeyError", traceback="", restart_in_s=2)
    notices = board_of(*notes, fault).snapshot().header.notices
    assert len(notices) == 20
    assert notices[0] == "alpha: n6"
    assert notices[-1] == "alpha: KeyError; restarts in 2 s"


def test_limits_show_what_is_left_and_the_countdown_of_a_cool_down() -> None:
    limit = Limit(kind="requests", limit=8, remaining=0, reset_s=12)
    reading = LimitReading(at_ns=at(3), route="alpha", limits=(limit,))
    held = Held(at_ns=at(3), reason="cool_down", route="alpha", until_ns=at(13), asked_s=40)
    board = board_of(reading, held, tick(5.0))
    [view] = board.snapshot().limits
    assert view.limits == (msgspec.structs.replace(limit, told_ns=at(3)),)
    assert (view.cool_down_s, view.cool_down_asked_s) == (8.0, 40)
    board.fold(Held(at_ns=at(6), reason="cool_down", route="alpha", released=True))
    assert board.snapshot().limits[0].cool_down_s is None


def test_limits_are_known_from_good_answers_before_any_is_throttled() -> None:
    first, second = ProbeScript("e1-1", 1.0), ProbeScript("e1-2", 5.0)
    requests = Limit(kind="requests", limit=8, remaining=7)
    tokens = Limit(kind="tokens", limit=900, remaining=800)
    board = board_of(
        first.started(),
        msgspec.structs.replace(first.attempt_finished(), limits=(requests, tokens)),
        second.started(),
        msgspec.structs.replace(
            second.attempt_finished(), limits=(Limit(kind="tokens", remaining=700),)
        ),
    )
    [view] = board.snapshot().limits
    assert [(limit.kind, limit.limit, limit.remaining) for limit in view.limits] == [
        ("requests", 8, 7),
        ("tokens", 900, 700),
    ]


def test_a_user_mark_is_on_the_chart() -> None:
    board = board_of(Mark(at_ns=at(2), text="deploy"), tick(3.0))
    table = board.snapshot("1m", ("alpha",)).details["alpha"].percentiles
    assert [(marker.at_ns, marker.text) for marker in table.markers] == [(at(2), "deploy")]


def test_preview_text_is_that_of_one_stream_and_bounded() -> None:
    board = board_of()
    for probe, text in (("a", "x"), ("b", "he"), ("b", "llo")):
        board.fold(Preview(at_ns=at(1), route="alpha", probe=probe, attempt=0, text=text))
    detail = board.snapshot("5m", ("alpha",)).details["alpha"]
    assert (detail.preview, detail.preview_probe) == ("hello", "b")
    board.fold(Preview(at_ns=at(1), route="alpha", probe="b", attempt=0, text="y" * 9_000))
    assert len(board.snapshot("5m", ("alpha",)).details["alpha"].preview) == 4_000


def test_the_percentile_table_has_every_window_side_by_side() -> None:
    old = ProbeScript("e1-1", 1.0, ttft_s=0.2, e2e_s=1.0)
    new = ProbeScript("e1-2", 200.0, ttft_s=0.6, e2e_s=2.0)
    bad = ProbeScript("e1-3", 201.0, ttft_s=None, e2e_s=1.0, outcome="timeout")
    board = board_of(*old.events(), *new.events(), *bad.events(), tick(205.0))
    table = board.snapshot("5m", ("alpha",)).details["alpha"].percentiles
    minute, five, *_, run = table.columns
    assert [column.window for column in table.columns] == ["1m", "5m", "15m", "1h", "run"]
    assert [figure.value for figure in minute.ttft] == [0.6] * 5
    assert [figure.value for figure in five.ttft] == [0.2, 0.6, 0.6, 0.6, 0.6]
    assert five.e2e[4] == Figure(value=2.0, n=2, enough=True)
    assert (minute.finished, minute.failures, minute.failure_share) == (2, 1, 0.5)
    assert (run.finished, run.failures, run.failure_share) == (3, 1, pytest.approx(1 / 3))


def test_versions_tell_whether_more_than_the_time_changed() -> None:
    board = board_of(tick(1.0), batch(1.05))
    before = board.snapshot()
    board.fold(batch(1.1, seq=1))
    same = board.snapshot()
    board.fold(ProbeScript("e1-1", 1.2).started())
    assert (same.version, same.now_ns) == (before.version, at(1.1))
    assert board.snapshot().version > before.version
    assert same.wall_anchor_ns == 7


def test_events_of_unknown_routes_and_details_of_unknown_names_are_left_out() -> None:
    board = board_of(*ProbeScript("e1-1", 1.0, route="nobody").events())
    assert board.routes == ("alpha",)
    assert row(board).n == 0
    assert board.snapshot("5m", ("nobody",)).details == {}


def test_a_board_without_events_is_empty() -> None:
    snapshot = Board().snapshot()
    assert (snapshot.routes, snapshot.totals, snapshot.now_ns) == ((), None, 0)
    assert Board().summary() == {}


def test_a_summary_judges_a_run_that_was_too_short_to_be_judged_live() -> None:
    board = board_of(*ProbeScript("e1-1", 0.1).events())
    assert board.summary()["alpha"]["state"] == "ok"
