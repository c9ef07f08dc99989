"""Figures that speak, figures that did not move, and advice that can be followed."""

import math
from typing import Any

import pytest
from diagnosis_streams import Yard, probed

from probes.diagnosis.causes import RouteCauses
from probes.diagnosis.evidence import advice_for, size_of
from probes.diagnosis.route_watch import RouteWatch
from probes.events import Advice, Cause, Diagnosis, Evidence, KnobKind, ServerClaim

SLOW: dict[str, Any] = {"wait_s": 0.9}
ERRORS: dict[str, Any] = {"outcome": "server_error", "reason": "internal"}


def told_of(
    does: dict[str, Any], usual: dict[str, Any] | None = None, seconds: int = 60
) -> Diagnosis:
    """Return what was named of a route that did so."""
    yard = Yard()
    yard.seconds(100, {"alpha": usual or {}})
    yard.seconds(seconds, {"alpha": does})
    (named,) = [one for one in yard.told if one.state == "named"]
    return named


@pytest.mark.parametrize(
    ("usual", "does", "figures"),
    [
        ({}, SLOW, ["ttft"]),
        ({}, {"token_s": 0.04}, ["time_per_token"]),
        ({"cached_tokens": 10}, {"cached_tokens": 0, "wait_s": 0.9}, ["cached_share", "ttft"]),
        ({}, {"input_tokens": 200}, ["input_tokens"]),
        ({}, {"output_tokens": 90}, ["output_tokens"]),
        ({"rtt_ns": 20_000_000}, {"rtt_ns": 90_000_000, "wait_s": 0.9}, ["rtt"]),
        ({"served_model": "m"}, {"served_model": "n"}, ["other_model_share"]),
        ({}, {"connect_s": 0.05}, ["cold_share"]),
        ({}, {"gaps_s": [0.02] * 4 + [0.8] + [0.02] * 4}, ["chunk_gap"]),
        ({}, ERRORS, ["failed_share"]),
        ({}, {"outcome": "throttled", "reason": "rate_limit"}, ["throttled_share"]),
        ({}, {"outcome": "protocol_error", "reason": "connect.dns"}, ["failed_share"]),
    ],
)
def test_what_moved_speaks_first_and_what_did_not_speaks_against(
    usual: dict[str, Any], does: dict[str, Any], figures: list[str]
) -> None:
    told = told_of(usual | does, usual)
    assert [one.figure for one in told.evidence][: len(figures)] == figures
    moved, unmoved = ({one.figure for one in some} for some in (told.evidence, told.against))
    assert not moved & unmoved
    assert len(told.evidence) <= 3
    assert len(told.against) <= 4
    assert told.size > 0
    assert all(one.now == one.usual and one.n_usual > 0 for one in told.against)
    assert all(math.isfinite(one.now) for one in told.evidence)
    assert all(one.n_now > 0 for one in told.evidence)


def test_figures_are_of_the_time_since_the_onset() -> None:
    (ttft, *_) = told_of(SLOW).evidence
    assert (ttft.now, ttft.unit) == (0.9, "s")
    assert ttft.usual == pytest.approx(0.315, rel=0.02)
    assert ttft.n_now <= 20
    assert ttft.n_usual >= 50


def loads(**does: Any) -> dict[str, Any]:
    claim = ServerClaim(interval="load", seconds=3.0, source="", raw=3.0, unit="s")
    return {"wait_s": 3.4, "server_claims": (claim,)} | does


def test_a_cold_start_shows_what_was_waited_for_it_against_warm_answers() -> None:
    yard = Yard()
    yard.seconds(100)
    yard.seconds(1, {"alpha": loads()})
    yard.seconds(5)
    named = next(one for one in yard.told if one.cause == "cold_start")
    (wait, *_) = named.evidence
    assert (wait.figure, wait.now, wait.unit, wait.n_now) == ("ttft", 3.4, "s", 1)
    assert wait.usual == pytest.approx(0.315, rel=0.02)
    assert wait.n_usual >= 50
    assert named.size == pytest.approx(10.8, rel=0.05)
    assert "ttft" not in {one.figure for one in named.against}


def test_of_a_cold_start_before_anything_is_usual_the_wait_stands_alone() -> None:
    yard = Yard()
    yard.seconds(1, {"alpha": loads()})
    yard.seconds(5)
    (wait,) = yard.told[0].evidence
    assert (wait.now, wait.usual, wait.n_now, wait.n_usual) == (3.4, None, 1, 0)


def test_each_cold_start_counts_its_own_requests() -> None:
    yard = Yard()
    yard.seconds(100)
    for _ in range(2):
        yard.seconds(1, {"alpha": loads()})
        yard.seconds(20)
    told = [one for one in yard.told if one.cause == "cold_start" and one.state == "named"]
    assert [one.evidence[0].n_now for one in told] == [1, 1]


def test_a_hang_shows_the_age_of_what_is_open() -> None:
    yard = Yard()
    yard.seconds(100)
    yard.open()
    yard.seconds(12, {"alpha": None})
    (age,) = yard.told[-1].evidence
    assert (age.figure, age.n_now, age.unit) == ("open_age", 1, "s")
    assert age.now == 12.0
    assert age.usual == pytest.approx(0.315, rel=0.02)


@pytest.mark.parametrize(
    ("evidence", "size"),
    [
        ((), 0.0),
        ((Evidence(figure="ttft", now=0.9, usual=0.3),), 3.0),
        ((Evidence(figure="ttft", now=0.9),), 0.0),
        ((Evidence(figure="ttft", now=0.9, usual=0.0),), 0.0),
        ((Evidence(figure="failed_share", now=0.25, usual=0.01, unit="share"),), 0.25),
        ((Evidence(figure="cached_share", now=0.1, usual=0.9, unit="share"),), 0.9),
    ],
)
def test_the_size_is_the_ratio_or_the_share(evidence: tuple[Evidence, ...], size: float) -> None:
    assert size_of(evidence) == pytest.approx(size)


# ------------------------------------------------------------------ advice


def of(yard: Yard, name: str = "alpha") -> RouteWatch:
    return yard.diagnostician._watches[name]


def advice(yard: Yard, cause: Cause, *hurt: str) -> Advice:
    routes: list[RouteCauses] = list(yard.diagnostician._routes.values())
    return advice_for(cause, [of(yard, name) for name in hurt or ("alpha",)], routes)


@pytest.mark.parametrize(
    ("cause", "act"),
    [
        ("auth_failure", "check_key"),
        ("quota_exhausted", "check_account"),
        ("model_missing", "check_model"),
        ("model_changed", "pin_model"),
        ("bad_request", "check_request"),
        ("network_path", "check_network"),
        ("dns", "check_dns"),
        ("tls", "check_certificate"),
        ("connection_churn", "keep_connections"),
        ("cold_start", "wait"),
        ("cache_loss", "tell_provider"),
        ("prompt_growth", "check_prompt"),
        ("output_growth", "check_answers"),
        ("retry_masking", "none"),
        ("local_observer", "check_this_machine"),
    ],
)
def test_each_cause_has_its_advice(cause: Cause, act: str) -> None:
    assert advice(Yard(), cause).act == act


@pytest.mark.parametrize("cause", ["rate_limited_requests", "rate_limited_tokens"])
def test_what_asks_too_often_is_to_ask_half_as_often(cause: Cause) -> None:
    wanted = Advice(act="set_knob", knob="interval", value=6.0)
    assert advice(Yard(probed(interval=3.0)), cause) == wanted
    at_least = Advice(act="set_knob", knob="interval", value=1.0)
    assert advice(Yard(probed(interval=0.0)), cause) == at_least


@pytest.mark.parametrize("cause", ["own_load", "rate_limited_concurrency"])
@pytest.mark.parametrize(
    ("turns", "wanted"),
    [
        ([], Advice(act="set_knob", knob="concurrency", value=3)),
        ([("concurrency", 4, 8)], Advice(act="undo_knob", knob="concurrency", value=4.0)),
        # Put back, it would be more than it is by now.
        (
            [("concurrency", 4, 8), ("concurrency", 8, 3)],
            Advice(act="set_knob", knob="concurrency", value=2),
        ),
        ([("concurrency", 4, 1)], Advice(act="set_knob", knob="interval", value=4.0)),
    ],
)
def test_what_asks_too_much_at_once_is_to_ask_for_less(
    cause: Cause, turns: list[tuple[KnobKind, float, float]], wanted: Advice
) -> None:
    yard = Yard(probed(concurrency=4, interval=2.0))
    for turn in turns:
        yard.turn(*turn)
    assert advice(yard, cause) == wanted


def test_an_interval_that_was_shortened_is_put_back() -> None:
    yard = Yard(probed(concurrency=4, interval=5.0))
    yard.turn("interval", 5.0, 0.5)
    assert advice(yard, "own_load") == Advice(act="undo_knob", knob="interval", value=5.0)


def test_an_open_pace_is_slowed_by_its_rate() -> None:
    yard = Yard(probed(concurrency=1, pace="poisson", rate=4.0))
    assert of(yard).pace_s == 0.25
    slower = Advice(act="set_knob", knob="rate", value=2.0)
    assert advice(yard, "rate_limited_requests") == slower
    yard.turn("rate", 4.0, 10.0)
    assert advice(yard, "own_load") == Advice(act="undo_knob", knob="rate", value=4.0)


def routes(*infos: Any, **does: Any) -> Yard:
    yard = Yard(*infos)
    yard.seconds(100, does)
    return yard


def test_users_move_to_the_fastest_well_route_of_the_same_tag() -> None:
    yard = routes(
        probed("alpha", tags=("chat", "eu")),
        probed("bravo", tags=("chat",)),
        probed("charlie", tags=("eu",)),
        probed("delta", tags=("batch",)),
        charlie={"wait_s": 0.2},
        delta={"wait_s": 0.1},
    )
    assert advice(yard, "outage") == Advice(act="move", route="charlie")
    assert advice(yard, "outage", "alpha", "charlie") == Advice(act="move", route="bravo")
    assert advice(yard, "outage", "delta") == Advice(act="move", route="")


def test_where_nothing_comes_back_a_fresh_connection_is_advised_too() -> None:
    yard = routes(probed("alpha"), probed("bravo"))
    told = Advice(act="move", route="bravo", detail="B sends one on a fresh connection")
    assert advice(yard, "no_answer") == told


def test_a_route_without_tags_moves_to_any() -> None:
    yard = routes(probed("alpha"), probed("bravo", tags=("x",)))
    assert advice(yard, "provider_queueing") == Advice(act="move", route="bravo")


def test_nobody_moves_to_what_is_ill_paused_or_unknown() -> None:
    ill = routes(probed("alpha"), probed("bravo"))
    ill.seconds(5, {"bravo": ERRORS | {"outcome": "client_error", "reason": "auth"}})
    assert advice(ill, "outage") == Advice(act="move", route="")
    paused = routes(probed("alpha"), probed("bravo"))
    paused.turn("paused", 0, 1, route="bravo")
    assert advice(paused, "outage") == Advice(act="move", route="")
    young = Yard(probed("alpha"), probed("bravo"))
    young.seconds(10)
    assert advice(young, "outage") == Advice(act="move", route="")
