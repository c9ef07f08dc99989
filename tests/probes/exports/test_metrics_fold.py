"""The figures that are served are those of the run, with labels that nobody else can multiply."""

import re
from typing import Any

import pytest
from board_streams import ProbeScript, at, diagnosis, hello, route_info, tick
from changed import replace
from exported import several_probes
from pages import Page

from probes.board import Board
from probes.board.good_probe import e2e_goal_of
from probes.events import (
    Alert,
    AttemptFinished,
    BudgetState,
    Event,
    Fault,
    Gap,
    Harm,
    Held,
    Limit,
    LimitReading,
    PlaceReport,
    ProbeFinished,
    RouteCounts,
)
from probes.exports.metrics import (
    LIMIT_KINDS,
    METRIC,
    METRICS,
    OTHER,
    OUTCOMES,
    REASONS,
    MetricFamily,
)
from probes.exports.metrics_fold import MetricsFold
from probes.exports.open_probes import OPEN_KEPT

ALPHA = ("alpha", "m", "")


def folded(*events: Event) -> MetricsFold:
    fold = MetricsFold()
    fold.fold(events)
    return fold


def values(fold: MetricsFold, name: str) -> dict[tuple[str, ...], float]:
    return fold.read()[0][f"llmtop_{name}"]


def spread(fold: MetricsFold, name: str, *labels: str) -> tuple[int, float]:
    found = fold.read()[1][f"llmtop_{name}"][labels]
    return sum(found.counts), found.sum


def test_counts_are_those_of_the_summary() -> None:
    events = several_probes()
    board, fold = Board(), folded(*events)
    for event in events:
        board.fold(event)
    told = board.summary()["alpha"]
    probes = values(fold, "probes_total")
    by_outcome = {labels[3]: count for labels, count in probes.items() if count}
    assert by_outcome == {"ok": 4, "server_error": 1, "cancelled": 1}
    assert sum(by_outcome.values()) - 1 == told["probes"]
    assert values(fold, "good_probes_total")[ALPHA] == told["good"] == 2
    attempts: dict[str, float] = {}
    for labels, count in values(fold, "attempts_total").items():
        attempts[labels[3]] = attempts.get(labels[3], 0) + count
    assert attempts == told["outcomes"] | {"cancelled": told["outcomes"]["cancelled"]}
    assert values(fold, "retries_total") == {(*ALPHA, "rate_limit"): 1}
    assert values(fold, "throttled_attempts_total") == {(*ALPHA, "unknown"): 1}
    assert values(fold, "input_tokens_total")[ALPHA] == told["input_tokens"]
    assert values(fold, "output_tokens_total")[ALPHA] == told["output_tokens"]
    assert values(fold, "cached_input_tokens_total")[ALPHA] == 8
    assert values(fold, "cost_usd_total")[ALPHA] == told["cost_usd"] == 0.25


def test_probes_of_two_places_with_one_number_are_two() -> None:
    routes = [route_info(f"chat@{place}", place=place) for place in ("eu", "us")]
    eu, us = (
        ProbeScript("1-1", 1.0, route=f"chat@{place}", ttft_s=ttft_s)
        for place, ttft_s in (("eu", 0.25), ("us", 1.5))
    )
    fold = folded(
        hello(*routes),
        *(eu.started(), us.started(), eu.first_token(), us.first_token()),
        *(eu.attempt_finished(), eu.probe_finished(), us.attempt_finished(), us.probe_finished()),
    )
    for place, ttft_s in (("eu", 0.25), ("us", 1.5)):
        found = spread(fold, "time_to_first_token_seconds", "chat", "m", place, "ok")
        assert found == (1, ttft_s)


def test_whoever_makes_up_routes_makes_no_more_series() -> None:
    fold = MetricsFold()
    for number in range(30):
        names = [f"r{number}-{one}@eu" for one in range(100)]
        routes = [route_info(name, place="eu", model=name * 100) for name in names]
        fold.fold([replace(hello(*routes, place="eu"), version=str(number))])
    assert len(values(fold, "attempts_total")) == 2_001
    assert len(values(fold, "input_tokens_total")) == 2_001
    assert len(values(fold, "route_info")) <= 100
    assert (
        max(len(label) for labels in values(fold, "input_tokens_total") for label in labels) == 200
    )


def test_a_route_that_moved_to_another_server_is_at_that_one_alone() -> None:
    moved = route_info(base_url="http://elsewhere:2/v1")
    fold = folded(hello(), hello(moved, at_s=5.0))
    (labels,) = values(fold, "route_info")
    assert labels[-1] == "elsewhere:2"


def test_durations_are_what_users_felt_of_probes_that_were_measured() -> None:
    fold = folded(*several_probes())
    # Not the cancelled one, nor that which the engine slept through.
    assert spread(fold, "time_to_first_token_seconds", *ALPHA, "ok") == (
        3,
        pytest.approx(0.4 + 1.4 + 5.4),
    )
    assert spread(fold, "probe_duration_seconds", *ALPHA, "ok") == (3, pytest.approx(11.0))
    assert spread(fold, "probe_duration_seconds", *ALPHA, "server_error") == (1, 1.0)
    durations = fold.read()[1]["llmtop_probe_duration_seconds"]
    assert {labels[3] for labels in durations} == {"ok", "server_error"}
    per_token = fold.read()[1]["llmtop_time_per_output_token_seconds"][*ALPHA, "ok"]
    assert sum(per_token.counts) == 3
    assert per_token.sum == pytest.approx((1.6 + 0.6 + 1.6) / 10)


def test_a_value_falls_into_the_bucket_that_it_is_at_most() -> None:
    script = ProbeScript("e1-1", 1.0, ttft_s=0.6)
    found = folded(hello(), *script.events()).read()[1]["llmtop_time_to_first_token_seconds"]
    buckets = METRIC["llmtop_time_to_first_token_seconds"].buckets
    assert found[*ALPHA, "ok"].counts[buckets.index(0.6)] == 1


def test_an_answer_that_came_whole_has_no_ttft() -> None:
    script = ProbeScript("e1-1", 1.0)
    whole = replace(script.first_token(), kind="not_streamed")
    fold = folded(hello(), script.started(), whole, script.attempt_finished())
    fold.fold([script.probe_finished()])
    assert spread(fold, "time_to_first_token_seconds", *ALPHA, "ok") == (0, 0)
    assert spread(fold, "probe_duration_seconds", *ALPHA, "ok")[0] == 1


def test_what_the_engine_slept_through_is_not_measured_and_is_counted() -> None:
    gap = Gap(at_ns=at(9.0), started_ns=at(1.5))
    fold = folded(hello(), gap, *ProbeScript("e1-1", 1.0, e2e_s=9.0).events())
    assert spread(fold, "probe_duration_seconds", *ALPHA, "ok") == (0, 0)
    assert values(fold, "good_probes_total")[ALPHA] == 1  # as on the board: nobody knows better
    assert values(fold, "engine_gaps_total") == {("",): 1}
    assert values(fold, "engine_gap_seconds_total") == {("",): 7.5}


def test_what_others_wrote_makes_no_series() -> None:
    hostile = [f"reason {number}" for number in range(500)]
    events: list[Event] = [hello()]
    for number, words in enumerate(hostile):
        script = ProbeScript(f"e1-{number}", number, None, 0.5, outcome="throttled", reason=words)
        script.tokens = None
        limited = replace(script.attempt_finished(), reason=f"rate_limit.{words}")
        limits = (Limit(kind=words, limit=9.0, remaining=1.0, window=words, scope=words),)
        reading = LimitReading(at_ns=at(number), route="alpha", limits=limits)
        events += [script.started(), limited, reading, script.probe_finished()]
        events += [diagnosis(number, id=words, cause=words, routes=("alpha",))]  # type: ignore[arg-type]
    fold = folded(*events)
    told, spreads = fold.read()
    attempts = {labels: n for labels, n in told["llmtop_attempts_total"].items() if n}
    assert attempts == {(*ALPHA, "throttled", OTHER): 500}
    assert told["llmtop_throttled_attempts_total"] == {(*ALPHA, OTHER): 500}
    assert told["llmtop_limit_remaining"] == {(*ALPHA, OTHER, OTHER): 1.0}
    assert told["llmtop_incidents_open"] == {(*ALPHA, OTHER): 500}
    assert sum(map(len, (*told.values(), *spreads.values()))) < 100


def test_a_route_that_no_hello_named_has_no_series() -> None:
    fold = folded(hello(), *ProbeScript("e1-1", 1.0, route="who").events())
    fold.fold([Fault(at_ns=1, route="who", error="", traceback="", restart_in_s=1)])
    fold.fold([LimitReading(at_ns=1, route="who", limits=(Limit(kind="requests", limit=1.0),))])
    fold.fold([tick(2.0, RouteCounts(route="who", in_flight=1, target=1))])
    told, spreads = fold.read()
    assert not any("who" in labels for series in told.values() for labels in series)
    assert not any("who" in labels for series in spreads.values() for labels in series)


def test_an_open_probe_that_never_ends_is_forgotten() -> None:
    scripts = (ProbeScript(f"e1-{number}", 1.0) for number in range(10_000))
    fold = folded(hello(), *(script.started() for script in scripts))
    assert len(fold._open) == OPEN_KEPT


def test_gauges_are_those_of_the_last_tick() -> None:
    counts = RouteCounts(
        route="alpha", in_flight=3, target=4, oldest_open_ns=2_500_000_000, skipped_for={"late": 7}
    )
    budgets = (
        BudgetState(route="", used_tokens=5, limit_tokens=50, used_usd=0.5, limit_usd=2.0),
        BudgetState(route="alpha", used_tokens=4, limit_tokens=40),
    )
    fold = folded(hello(), tick(1.0, counts, budgets=budgets))
    assert values(fold, "requests_in_flight") == {ALPHA: 3}
    assert values(fold, "concurrency_target") == {ALPHA: 4}
    assert values(fold, "oldest_request_age_seconds") == {ALPHA: 2.5}
    assert values(fold, "skipped_probes_total") == {(*ALPHA, "late"): 7}
    assert values(fold, "budget_used_tokens") == {("", ""): 5, ("alpha", ""): 4}
    assert values(fold, "budget_limit_usd") == {("", ""): 2.0}
    assert values(fold, "engine_lag_p99_seconds") == {("",): 0.0003}
    assert values(fold, "engine_dropped_events_total") == {("",): 2}
    assert values(fold, "engine_last_tick_timestamp_seconds") == {("",): (at(1.0) + 7) / 1e9}
    # None is open any more, and the engine has skipped three since.
    later = replace(counts, oldest_open_ns=None, skipped_for={"late": 10})
    fold.fold([tick(2.0, later)])
    assert values(fold, "oldest_request_age_seconds") == {ALPHA: 0}
    assert values(fold, "skipped_probes_total") == {(*ALPHA, "late"): 10}


def test_counts_of_an_engine_begin_anew_with_it_and_ours_go_on() -> None:
    counts = RouteCounts(route="alpha", in_flight=0, target=1, skipped_for={"late": 7})
    fold = folded(hello(), tick(1.0, counts), hello(at_s=2.0, engine="e2"))
    fold.fold([tick(3.0, replace(counts, skipped_for={"late": 2}))])
    assert values(fold, "skipped_probes_total") == {(*ALPHA, "late"): 9}
    assert values(fold, "engine_dropped_events_total") == {("",): 4}
    assert values(fold, "engine_starts_total") == {("",): 2}


def test_a_limit_that_is_told_no_longer_has_no_series() -> None:
    def reading(*limits: Limit) -> LimitReading:
        return LimitReading(at_ns=at(1.0), route="alpha", limits=limits)

    a_minute = Limit(kind="requests", limit=60.0, remaining=9.0, window="minute")
    fold = folded(hello(), reading(a_minute, Limit(kind="tokens", remaining=1.0)))
    assert values(fold, "limit_remaining") == {
        (*ALPHA, "requests", "minute"): 9,
        (*ALPHA, "tokens", ""): 1,
    }
    assert values(fold, "limit_capacity") == {(*ALPHA, "requests", "minute"): 60}
    fold.fold([reading(replace(a_minute, remaining=8.0))])
    assert values(fold, "limit_remaining") == {(*ALPHA, "requests", "minute"): 8}


def test_a_route_is_held_until_it_is_let_go_or_its_engine_is_another() -> None:
    held = Held(at_ns=at(1.0), reason="cool_down", route="alpha")
    fold = folded(hello(), held, Held(at_ns=at(1.0), reason="budget"))
    assert {labels[3] for labels, is_on in values(fold, "route_held").items() if is_on} == {
        "cool_down",
        "budget",
    }
    fold.fold([replace(held, released=True)])
    assert values(fold, "route_held")[*ALPHA, "cool_down"] == 0
    fold.fold([hello(at_s=2.0, engine="e2")])
    assert not any(values(fold, "route_held").values())


def test_an_incident_counts_while_it_stands_under_what_it_is_taken_for_now() -> None:
    beta = route_info("beta")
    fold = folded(hello(route_info(), beta), diagnosis(1.0, "outage", state="perhaps"))
    assert values(fold, "incidents_open") == {}
    fold.fold([diagnosis(2.0, "outage"), diagnosis(3.0, "no_answer", routes=("alpha", "beta"))])
    open_ones = {labels for labels, n in values(fold, "incidents_open").items() if n}
    assert open_ones == {(*ALPHA, "no_answer"), ("beta", "m", "", "no_answer")}
    assert values(fold, "incidents_total") == {(*ALPHA, "outage"): 1}
    fold.fold([diagnosis(4.0, "no_answer", state="cleared", routes=("alpha", "beta"))])
    assert {*values(fold, "incidents_open").values()} == {0}


def test_incidents_of_a_clock_that_is_gone_do_not_stand_for_ever() -> None:
    fold = folded(hello(), diagnosis(1.0, "outage"), hello(at_s=2.0, engine="e2"))
    assert values(fold, "incidents_open") == {(*ALPHA, "outage"): 1}
    fold.fold([hello(at_s=3.0, engine="e3", boot_id="another")])
    assert values(fold, "incidents_open") == {(*ALPHA, "outage"): 0}


def test_an_alert_fires_until_it_is_over() -> None:
    alert = Alert(
        at_ns=at(1.0),
        id="e1-a1",
        state="firing",
        kind="incident",
        routes=("alpha",),
        since_ns=at(0.5),
        harm=Harm("probes_fail", "alpha"),
        incident="e1-1",
        cause="outage",
    )
    fold = folded(hello(), alert)
    assert values(fold, "alerts_firing") == {(*ALPHA, "incident", "outage"): 1}
    fold.fold([replace(alert, state="over")])
    assert values(fold, "alerts_firing") == {(*ALPHA, "incident", "outage"): 0}


def test_what_is_of_no_route_stands_under_none() -> None:
    fold = folded(hello(), diagnosis(1.0, "local_observer", routes=()))
    assert values(fold, "incidents_open") == {("", "", "", "local_observer"): 1}


def test_places_are_told_apart_by_their_label() -> None:
    eu = route_info("alpha@eu", place="eu")
    us = route_info("alpha@us", place="us")
    fold = folded(hello(eu, place="eu"), hello(us, place="us"))
    fold.fold(ProbeScript("eu1-1", 1.0, route="alpha@eu").events())
    fold.fold([Held(at_ns=1, reason="budget", place="us"), tick(3.0, place="us")])
    ended = {labels for labels, n in values(fold, "probes_total").items() if n}
    assert ended == {("alpha", "m", "eu", "ok")}
    held = {labels for labels, n in values(fold, "route_held").items() if n}
    assert held == {("alpha", "m", "us", "budget")}
    assert {*values(fold, "engine_cpu_ratio")} == {("us",)}
    report = PlaceReport(at_ns=at(9.0), place="eu", state="silent", since_ns=at(3.0))
    fold.fold([report])
    assert values(fold, "place_heard") == {("eu",): 0}
    fold.fold([replace(report, state="heard")])
    assert values(fold, "place_heard") == {("eu",): 1}


@pytest.mark.parametrize("state", ["silent", "gone", "unknown"])
def test_of_a_place_that_is_not_heard_nothing_stands_still_and_looks_well(state: Any) -> None:
    eu, us = route_info("alpha@eu", place="eu"), route_info("alpha@us", place="us")
    fold = folded(hello(eu, place="eu"), hello(us, place="us"))
    budget = BudgetState(route="", used_tokens=1, limit_tokens=2, used_usd=1.0, limit_usd=2.0)
    for name in ("eu", "us"):
        counts = RouteCounts(route=f"alpha@{name}", in_flight=2, target=4, oldest_open_ns=1)
        fold.fold([replace(tick(2.0, counts, budgets=(budget,)), place=name)])
    of_all = {name for name, series in fold.read()[0].items() if series}
    fold.fold([PlaceReport(at_ns=at(3.0), place="eu", state=state, since_ns=at(2.0))])
    told = fold.read()[0]
    assert {name for name, series in told.items() if series} == of_all | {"llmtop_place_heard"}
    stands = {
        name
        for name, series in told.items()
        if METRIC[name].kind == "gauge" and any("eu" in labels for labels in series)
    }
    assert stands == {
        *("llmtop_place_heard", "llmtop_route_info", "llmtop_route_held"),
        *("llmtop_goal_time_to_first_token_seconds", "llmtop_goal_probe_duration_seconds"),
        *("llmtop_goal_success_ratio", "llmtop_goal_good_ratio"),
        "llmtop_engine_last_tick_timestamp_seconds",
    }
    fold.fold([replace(tick(4.0, counts), place="eu")])
    assert ("eu",) in values(fold, "engine_lag_p99_seconds")


def test_what_an_agent_says_of_itself_is_said_of_its_place() -> None:
    """Its stream names no place; its routes do."""
    route = route_info("alpha@eu", place="eu")
    slept = Gap(at_ns=at(9.0), started_ns=at(1.5))
    fold = folded(hello(route), Held(at_ns=1, reason="budget"), slept)
    budget = BudgetState(route="", used_tokens=1, limit_tokens=2)
    fold.fold(ProbeScript("e1-1", 1.0, route="alpha@eu", e2e_s=9.0).events())
    fold.fold([tick(12.0, budgets=(budget,))])
    held = {labels for labels, n in values(fold, "route_held").items() if n}
    assert held == {("alpha", "m", "eu", "budget")}
    assert spread(fold, "probe_duration_seconds", "alpha", "m", "eu", "ok") == (0, 0)
    for name in ("engine_cpu_ratio", "engine_gaps_total", "engine_starts_total"):
        assert {*values(fold, name)} == {("eu",)}, name
    assert {*values(fold, "budget_used_tokens")} == {("", "eu")}
    fold.fold([hello(route, at_s=20.0, engine="e2")])
    assert not any(values(fold, "route_held").values())


def test_a_route_that_is_probed_no_longer_has_no_gauges_and_keeps_its_counts() -> None:
    fold = folded(hello(route_info(), route_info("beta")))
    fold.fold(ProbeScript("e1-1", 1.0).events())
    skipped = RouteCounts(route="beta", in_flight=0, target=1, skipped_for={"late": 5})
    fold.fold([tick(8.0, skipped), hello(route_info("beta"), at_s=9.0, engine="e2")])
    fold.fold(ProbeScript("e2-1", 10.0).events())
    fold.fold([tick(11.0, replace(skipped, skipped_for={"late": 1}))])
    assert values(fold, "skipped_probes_total") == {("beta", "m", "", "late"): 6}
    assert {labels[0] for labels in values(fold, "goal_success_ratio")} == {"beta"}
    assert {labels[0] for labels in values(fold, "route_held")} == {"beta"}
    assert values(fold, "probes_total")[*ALPHA, "ok"] == 1


def test_another_model_under_a_name_takes_the_gauges_with_it() -> None:
    fold = folded(hello(), tick(1.0, RouteCounts(route="alpha", in_flight=3, target=4)))
    fold.fold([hello(route_info(model="n"), at_s=2.0, engine="e2")])
    told = fold.read()[0]
    for metric in METRICS:
        if metric.kind == "gauge" and "model" in metric.labels:
            assert not any(labels[:3] == ALPHA for labels in told[metric.name]), metric.name


def test_counters_are_there_from_the_hello_on() -> None:
    fold = folded(hello())
    assert values(fold, "good_probes_total") == {ALPHA: 0}
    assert {*values(fold, "probes_total")} == {(*ALPHA, outcome) for outcome in OUTCOMES}
    assert values(fold, "attempts_total") == {(*ALPHA, "ok", ""): 0}
    assert spread(fold, "time_to_first_token_seconds", *ALPHA, "ok") == (0, 0)
    assert spread(fold, "probe_duration_seconds", *ALPHA, "ok") == (0, 0)
    assert values(fold, "engine_gaps_total") == {("",): 0}
    assert values(fold, "engine_gap_seconds_total") == {("",): 0}


def test_a_route_that_answers_whole_has_no_ttft_from_the_hello_on() -> None:
    fold = folded(hello(route_info(streamed=False)))
    assert fold.read()[1]["llmtop_time_to_first_token_seconds"] == {}
    assert spread(fold, "probe_duration_seconds", *ALPHA, "ok") == (0, 0)


def test_no_counter_goes_back_whatever_an_event_says() -> None:
    """Another place's events, or an edited recording's: Prometheus would take it for a restart."""
    fold = folded(*several_probes())
    before = fold.read()
    wild = (
        replace(
            event, input_tokens=-5, output_tokens=-5, cached_tokens=-1, cost_usd=-1.0, stalls=-1
        )
        if isinstance(event, AttemptFinished)
        else replace(event, done_ns=event.started_ns - 5)
        if isinstance(event, ProbeFinished)
        else event
        for event in ProbeScript("e1-99", 90.0).events()
    )
    fold.fold(wild)
    after = fold.read()
    for metric in METRICS:
        if metric.kind == "counter":
            for labels, value in before[0][metric.name].items():
                assert after[0][metric.name][labels] >= value, metric.name
    for name, series in before[1].items():
        for labels, held in series.items():
            assert after[1][name][labels].sum >= held.sum, name


def test_what_runs_is_told_by_version_and_digests() -> None:
    fold = folded(hello(digests="fastdigest"), hello(at_s=1.0, engine="e2"))
    assert values(fold, "build_info") == {("0", "fastdigest"): 1, ("0", "tdigest"): 1}
    long = replace(hello(), version="9" * 99, digests="d" * 99)
    assert values(folded(long), "build_info") == {("9" * 40, "d" * 40): 1}


def test_a_route_is_told_with_where_it_leads() -> None:
    fold = folded(hello(route_info(base_url="https://api.example.com/v1?key=***")))
    assert values(fold, "route_info") == {(*ALPHA, "chat", "api.example.com"): 1}
    edited = folded(hello(route_info(base_url="nowhere")))
    assert values(edited, "route_info") == {(*ALPHA, "chat", OTHER): 1}


def test_defects_of_ours_are_counted() -> None:
    fault = Fault(at_ns=1, route="alpha", error="", traceback="", restart_in_s=1)
    assert values(folded(hello(), fault, fault), "route_faults_total") == {ALPHA: 2}


def test_stalls_and_reasoning_are_counted() -> None:
    told = {"stalls": 2, "reasoning_tokens": 7}
    fold = folded(hello(), *ProbeScript("e1-1", 1.0, finished=told).events())
    assert values(fold, "stalls_total") == {ALPHA: 2}
    assert values(fold, "reasoning_tokens_total") == {ALPHA: 7}


def test_the_goals_are_told() -> None:
    fold = folded(hello(route_info(goal_e2e_s=None)))
    assert values(fold, "goal_time_to_first_token_seconds") == {ALPHA: 1.0}
    assert values(fold, "goal_probe_duration_seconds") == {}
    assert values(fold, "goal_success_ratio") == {ALPHA: 0.99}
    assert e2e_goal_of(route_info(), "") == 3.0


def test_what_never_came_here_is_told() -> None:
    fold = MetricsFold(dropped=lambda: 5)
    assert values(fold, "export_dropped_events_total") == {(): 5}


def test_what_is_read_does_not_change() -> None:
    fold = folded(hello(), *ProbeScript("e1-1", 1.0).events())
    told, spreads = fold.read()
    before = told["llmtop_probes_total"][*ALPHA, "ok"], spreads["llmtop_probe_duration_seconds"]
    counts = list(before[1][*ALPHA, "ok"].counts)
    fold.fold(ProbeScript("e1-2", 5.0).events())
    assert told["llmtop_probes_total"][*ALPHA, "ok"] == before[0]
    assert spreads["llmtop_probe_duration_seconds"][*ALPHA, "ok"].counts == counts


# The table itself.


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_and_units_follow_the_conventions(metric: MetricFamily) -> None:
    assert re.fullmatch(r"llmtop_[a-z0-9_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert not re.search(
        r"_(ms|ns|millis\w*|minutes|percent|count|sum|bucket)(_total)?$", metric.name
    )
    assert metric.help.endswith(".")
    if metric.kind == "histogram":
        assert metric.name.endswith("_seconds")


def test_the_bands_of_the_default_goals_are_buckets() -> None:
    for name, goal in (("time_to_first_token", 1.0), ("probe_duration", 3.0)):
        buckets = METRIC[f"llmtop_{name}_seconds"].buckets
        assert {round(goal * share, 3) for share in (0.6, 1.0, 1.5)} <= {*buckets}


@pytest.mark.parametrize("ttft_s", [0.005, 0.008, 0.4, 5.0, 59.0, 119.0])
def test_a_ttft_lies_between_two_buckets_that_are_near(ttft_s: float) -> None:
    """A quantile is read between the ends of its bucket: below the first and above the last there
    is nothing to read between."""
    buckets = METRIC["llmtop_time_to_first_token_seconds"].buckets
    above = next(end for end in buckets if end >= ttft_s)
    below = max((end for end in buckets if end < ttft_s), default=0.0)
    assert above <= max(0.005, 2.0 * below)


def test_every_reason_that_answers_have_is_on_the_list() -> None:
    section = Page("probes/answers/README.md").section("Reasons")
    named: set[str] = set()
    for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE):
        named |= {*re.findall(r"`([a-z_.0-9]+)`", row)}
    named -= {*OUTCOMES} - {"cancelled"}
    assert named - REASONS == set()
    assert {f"rate_limit.{kind}" for kind in ("requests", "tokens", "concurrency")} <= REASONS
    assert {*LIMIT_KINDS} >= {"requests", "tokens", "concurrency"}


def test_every_metric_is_fed_by_some_event() -> None:
    counts = RouteCounts(route="alpha", in_flight=1, target=1, skipped_for={"late": 1})
    budget = BudgetState(route="", used_tokens=1, limit_tokens=2, used_usd=1.0, limit_usd=2.0)
    limits = (Limit(kind="tokens", limit=2.0, remaining=1.0),)
    alert: Any = Alert(
        at_ns=1, id="a", state="firing", kind="burn", routes=(), since_ns=0, harm=Harm("burns")
    )
    fold = folded(
        *several_probes(),
        tick(50.0, counts, budgets=(budget,)),
        LimitReading(at_ns=1, route="alpha", limits=limits),
        Gap(at_ns=2, started_ns=1),
        diagnosis(1.0, "outage"),
        alert,
        PlaceReport(at_ns=1, place="eu", state="heard", since_ns=1),
    )
    told, spreads = fold.read()
    assert [name for name, series in (told | spreads).items() if not series] == []
