"""States of a route, their order, and since when."""

from typing import Any, get_args

import pytest
from board_streams import ProbeScript, at, diagnosis, hello, route_info, throttled, tick
from changed import replace

from probes.board import Board
from probes.board.figures import grade_of, is_enough, speed_grade
from probes.board.states import STATE_ORDER
from probes.board.views import RouteView
from probes.config import Route
from probes.events import (
    AttemptFinished,
    Cause,
    Event,
    Evidence,
    Held,
    Knob,
    RouteCounts,
    SeenBefore,
)
from probes.kit.clock import NS_PER_S


def folded(*events: Event, routes: tuple[Any, ...] = ()) -> Board:
    board = Board()
    board.fold(hello(*routes))
    for event in sorted(events, key=lambda event: event.at_ns):
        board.fold(event)
    return board


def view_of(*events: Event, **options: Any) -> RouteView:
    return folded(*events, **options).snapshot().routes[0]


def probes(count: int, begin_s: float = 0.0, **changes: Any) -> list[Event]:
    scripts = [
        ProbeScript(f"e1-{begin_s}-{number}", begin_s + number, **{"e2e_s": 1.0} | changes)
        for number in range(count)
    ]
    return [event for script in scripts for event in script.events()]


FAILED = {"outcome": "server_error", "ttft_s": None}


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([tick(5)], "starting"),
        ([*probes(3), tick(10)], "ok"),
        ([*probes(3, **FAILED), tick(10)], "starting"),
        ([*probes(20), *probes(8, 20, **FAILED), tick(30)], "ok"),
        ([*probes(20, ttft_s=0.9, e2e_s=1.0), tick(30)], "ok"),
        ([*probes(20, ttft_s=1.01, e2e_s=1.1), tick(30)], "slow"),
        ([*probes(20, e2e_s=4.6), tick(30)], "sluggish"),
        ([*probes(19, e2e_s=4.6), tick(30)], "ok"),
    ],
)
def test_without_an_incident_goals_alone_make_the_state(events: list[Event], state: str) -> None:
    assert view_of(*events).state == state


def test_what_gets_worse_has_gone_on_since_a_goal_began_to_be_missed() -> None:
    late = [*probes(20, ttft_s=1.01, e2e_s=1.1), tick(30)]
    first = view_of(*late)
    worse = view_of(*late, *probes(20, 31, ttft_s=2.0, e2e_s=2.5), tick(60))
    assert (first.state, worse.state) == ("slow", "sluggish")
    assert worse.since_ns == first.since_ns


def test_a_cooling_route_is_throttled_until_the_time_is_up() -> None:
    held = Held(at_ns=at(5), reason="cool_down", route="alpha", until_ns=at(90), asked_s=85)
    assert view_of(*probes(3), held, tick(80)).state == "throttled"
    assert view_of(*probes(3), held, tick(80)).cool_down_s == 10.0
    assert view_of(*probes(3), held, tick(91)).state == "ok"


@pytest.mark.parametrize("route", ["alpha", ""])
@pytest.mark.parametrize("reason", ["budget", "reader_stalled"])
def test_a_held_route_is_held_until_it_is_released(route: str, reason: Any) -> None:
    held = Held(at_ns=at(5), reason=reason, route=route)
    released = Held(at_ns=at(7), reason=reason, route=route, released=True)
    assert view_of(*probes(3), held, tick(6)).state == "held"
    assert view_of(*probes(3), held, released, tick(8)).state == "ok"


def test_a_paused_route_is_paused_whatever_it_did() -> None:
    knob = Knob(at_ns=at(6), route="alpha", knob="paused", before=0, after=1)
    resumed = Knob(at_ns=at(8), route="alpha", knob="paused", before=1, after=0)
    down = (*probes(3), diagnosis(5, "outage", 4.5))
    assert view_of(*down, knob, tick(7)).state == "paused"
    assert view_of(*down, knob, tick(7)).since_ns == at(6)
    view = view_of(*down, knob, resumed, tick(9))
    assert (view.state, view.since_ns) == ("down", at(4.5))
    assert view_of(tick(1), routes=(route_info(paused=True),)).state == "paused"


def test_a_pause_and_its_end_are_seen_at_once() -> None:
    pause = Knob(at_ns=at(6.1), route="alpha", knob="paused", before=0, after=1)
    resume = Knob(at_ns=at(6.2), route="alpha", knob="paused", before=1, after=0)
    before = (*probes(3), tick(6))
    assert view_of(*before, pause).state == "paused"
    assert view_of(*before, pause, resume).state != "paused"


def test_latency_is_judged_over_five_minutes_where_one_has_too_few_samples() -> None:
    events = [*probes(20, ttft_s=1.4, e2e_s=1.5), *probes(3, 200), tick(210)]
    assert view_of(*events).state == "slow"
    many = [*probes(20, ttft_s=1.4, e2e_s=1.5), *probes(25, 200), tick(226)]
    assert view_of(*many).state == "ok"


def test_failures_and_429s_alone_make_no_state() -> None:
    """What is wrong the diagnosis says: a stray failure is nobody's outage."""
    stray = [*spread(499, 0.1), *spread(1, 1.0, 52.0, **FAILED), tick(54)]
    assert view_of(*stray).state == "ok"
    assert view_of(*spread(20, 1.0, **FAILED), *spread(2, 1.0, 21.0), tick(25)).state == "ok"
    limited = ProbeScript("e1-x", 3.2)
    assert view_of(*probes(5), limited.started(), throttled(limited, 3.3, None), tick(9)).why == ""
    assert view_of(*probes(5), throttled(limited, 3.3, None), tick(9)).state == "ok"


SLOW: dict[str, Any] = {"ttft_s": 1.3, "e2e_s": 1.6}
LATE = Evidence(figure="ttft", now=1.8, usual=0.4, n_now=12)
WRONG = Evidence(figure="wrong_share", now=1.0, n_now=9, unit="share")
FAILS = Evidence(figure="failed_share", now=0.4, n_now=20, unit="share")


@pytest.mark.parametrize(
    ("cause", "changes", "state"),
    [
        ("no_answer", {}, "hanging"),
        *[(cause, {}, "down") for cause in ("outage", "dns", "tls", "quota_exhausted")],
        *[(cause, {}, "down") for cause in ("auth_failure", "model_missing", "bad_request")],
        ("provider_errors", {"size": 0.4}, "failing"),
        ("provider_errors", {"size": 1.0}, "down"),
        ("provider_overloaded", {"size": 0.9}, "failing"),
        ("stream_truncation", {"size": 0.2}, "failing"),
        ("wrong_answers", {"size": 0.2}, "failing"),
        ("wrong_answers", {"size": 1.0}, "failing"),
        ("model_changed", {"evidence": (WRONG,)}, "failing"),
        ("rate_limited_requests", {"size": 0.3}, "throttled"),
        ("rate_limited_tokens", {}, "throttled"),
        ("rate_limited_concurrency", {}, "throttled"),
        ("stream_stalls", {"size": 0.4}, "stalling"),
        ("stream_stalls", {"size": 1.0}, "down"),
        ("network_path", {"size": 4.0}, "slow"),
        ("network_path", {"evidence": (FAILS,)}, "down"),
        ("provider_queueing", {"size": 2.0}, "slow"),
        ("provider_queueing", {"size": 4.5, "evidence": (LATE,)}, "sluggish"),
        *[(cause, {}, "slow") for cause in ("provider_slow_decode", "cache_loss", "own_load")],
        ("cold_start", {}, "slow"),
        ("retry_masking", {"size": 0.12}, "masked"),
        *[(cause, {}, "changed") for cause in ("prompt_growth", "output_growth")],
        *[(cause, {}, "changed") for cause in ("model_changed", "connection_churn")],
        ("prompt_growth", {"evidence": (LATE,)}, "sluggish"),
        ("local_observer", {}, "ok"),
        ("unknown", {"size": 2.0}, "slow"),
        ("unknown", {"size": 0.4, "evidence": (FAILS,)}, "failing"),
    ],
)
def test_a_cause_makes_a_state(cause: Cause, changes: dict[str, Any], state: str) -> None:
    events = [*probes(5), diagnosis(20, cause, 12.5, **changes), tick(22)]
    view = view_of(*events)
    assert view.state == state
    if state != "ok":
        assert view.since_ns == at(12.5)


def wrong(count: int, begin_s: float, words: str = "The sea") -> list[Event]:
    told = {"outcome": "content_error", "reason": "wrong_answer", "ttft_s": 0.3}
    events = probes(count, begin_s, **told)
    return [
        replace(event, right=False, message=f'expected "harbour" in it; came "{words} {number}."')
        if isinstance(event, AttemptFinished)
        else event
        for number, event in enumerate(events)
    ]


def test_of_wrong_answers_what_was_expected_and_the_newest_two_are_said() -> None:
    told = diagnosis(40, "wrong_answers", 20.0, size=1.0)
    view = view_of(*probes(5), *wrong(12, 20), told, tick(41))
    assert (view.state, view.why) == ("failing", "answers wrongly")
    assert view.said.startswith('expected "harbour" in it; came "The sea ')
    assert view.said.count("The sea") == 2


def test_wrong_answers_are_served_and_end_an_outage() -> None:
    down = diagnosis(10, "outage", 8.0)
    over = replace(down, at_ns=at(26), state="cleared")
    events = [*probes(5), *probes(3, 8, **FAILED), down, *wrong(6, 20)]
    assert view_of(*events, over, tick(27)).state == "ok"
    assert view_of(*events, tick(27)).state == "failing"  # no longer down


@pytest.mark.parametrize("cause", get_args(Cause))
def test_what_may_be_chance_makes_no_state_worse_than_slow(cause: Cause) -> None:
    state = view_of(*probes(5), diagnosis(20, cause, state="perhaps"), tick(22)).state
    assert STATE_ORDER.index(state) >= STATE_ORDER.index("slow")


def test_the_goals_go_on_judging_beside_what_may_be_chance() -> None:
    chance = diagnosis(25, "provider_queueing", 21, state="perhaps")
    view = view_of(*probes(20), tick(21), *probes(25, 22, ttft_s=1.9, e2e_s=2.0), chance, tick(50))
    assert view.state == "sluggish"
    assert view.since_ns > at(22)
    well = view_of(*probes(25), diagnosis(26, "cache_loss", 5, state="perhaps"), tick(28))
    assert (well.state, well.since_ns) == ("slow", at(5))


def test_a_cooling_route_tells_which_limits_it_met() -> None:
    held = Held(at_ns=at(6), reason="cool_down", route="alpha", until_ns=at(90), asked_s=84)
    kinds = ("rate_limit.tokens", "rate_limit.requests", "rate_limit.tokens")
    limited = [
        throttled(ProbeScript(f"e1-x{number}", 3.2 + number), 3.4 + number, None, reason=kind)
        for number, kind in enumerate(kinds)
    ]
    assert view_of(*probes(3), *limited, held, tick(8)).why == "rate_limit.tokens 67%"
    assert view_of(*probes(3), limited[1], held, tick(8)).why == "rate_limit.requests"
    assert view_of(*probes(3), held, tick(8)).why == ""


def test_where_something_succeeds_beside_refusals_a_route_is_failing() -> None:
    refused = diagnosis(10, "auth_failure", 8)
    some = [*probes(5), refused, *probes(1, 12)]
    assert view_of(*some, tick(15)).state == "failing"
    early = ProbeScript("e1-x", 7.5, e2e_s=5.0)  # it had begun before the onset
    assert view_of(*probes(5), refused, *early.events(), tick(15)).state == "down"
    # One success at its beginning is no reason to call an outage anything else for hours.
    assert view_of(*some, *probes(9, 14, **FAILED), tick(25)).state == "failing"
    assert view_of(*some, *probes(10, 14, **FAILED), tick(25)).state == "down"


def test_a_share_that_fails_becomes_an_outage_when_nothing_succeeds_any_more() -> None:
    some = [*probes(5), diagnosis(10, "provider_errors", 8, size=0.5), *probes(1, 11)]
    assert view_of(*some, *probes(9, 13, **FAILED), tick(30)).state == "failing"
    assert view_of(*some, *probes(10, 13, **FAILED), tick(30)).state == "down"
    assert view_of(*some, *probes(10, 13, **FAILED), *probes(1, 24), tick(30)).state == "failing"


def test_a_change_of_the_cause_keeps_the_onset() -> None:
    events = [
        *probes(5),
        diagnosis(10, "provider_errors", 8, size=0.5),
        *probes(2, 10.5),
        diagnosis(30, "outage", 8),
    ]
    view = view_of(*events, tick(31))
    assert (view.state, view.since_ns) == ("down", at(8))
    assert view_of(*events[:-1], tick(29)).state == "failing"
    corrected = diagnosis(40, "outage", 7.25)
    assert view_of(*events, corrected, tick(41)).since_ns == at(7.25)


def test_a_state_is_seen_at_once_and_so_is_its_end() -> None:
    events = [*probes(5), tick(10), diagnosis(10.3, "auth_failure", 8.5)]
    assert view_of(*events).state == "down"
    well = ProbeScript("e1-x", 11.5, e2e_s=0.5)
    events += [*well.events(), diagnosis(12.1, "auth_failure", 8.5, state="cleared")]
    view = view_of(*events)
    assert (view.state, view.since_ns) == ("ok", at(12.1))


@pytest.mark.parametrize("cause", ["outage", "no_answer", "provider_errors"])
def test_a_state_gets_better_only_by_a_success(cause: Cause) -> None:
    ill = [*probes(5), diagnosis(10, cause, 8), diagnosis(20, cause, 8, state="cleared")]
    view = view_of(*ill, tick(30))
    assert view.state in ("down", "hanging")
    assert (view.since_ns, view.why) == (at(8), "no success since")
    milder = diagnosis(21, "provider_queueing", 8, id="e1-2")
    assert view_of(*ill, milder, tick(30)).state == view.state
    success = ProbeScript("e1-x", 31.0, e2e_s=0.75)
    after = view_of(*ill, tick(30), *success.events())
    assert (after.state, after.since_ns) == ("ok", at(31.75))
    assert view_of(*ill, *success.events(), tick(60)).since_ns == at(31.75)


def test_an_outage_that_becomes_a_hang_is_still_down_without_a_success() -> None:
    events = [*probes(5), diagnosis(10, "outage", 8), diagnosis(30, "no_answer", 8)]
    assert view_of(*events, tick(31)).state == "down"


def test_slowness_beyond_a_goal_is_sluggish_since_the_onset() -> None:
    events = [*probes(20), *probes(20, 20, **SLOW), diagnosis(30, "provider_queueing", 20.5)]
    assert view_of(*events, tick(41)).state == "slow"
    worse = probes(20, 45, ttft_s=1.9, e2e_s=2.0)
    view = view_of(*events, *worse, tick(66))
    assert (view.state, view.since_ns, view.why) == (
        "sluggish",
        at(20.5),
        "slow to the first token",
    )


SLOW_WORDS = Evidence(figure="time_per_token", now=0.1, usual=0.02)  # ten tokens a second


@pytest.mark.parametrize(
    ("evidence", "goals", "state"),
    [
        (LATE, {"goal_ttft_s": 2.0}, "slow"),
        (LATE, {"goal_ttft_s": 1.25}, "slow"),
        (LATE, {"goal_ttft_s": 1.1}, "sluggish"),
        (Evidence(figure="e2e", now=4.0), {"goal_e2e_s": 2.0}, "sluggish"),
        (Evidence(figure="e2e", now=4.0), {"goal_e2e_s": 8.0}, "slow"),
        (Evidence(figure="e2e", now=4.0), {"goal_e2e_s": None, "max_tokens": 900}, "slow"),
        (SLOW_WORDS, {"goal_tokens_per_s": 14.0}, "slow"),
        (SLOW_WORDS, {"goal_tokens_per_s": 16.0}, "sluggish"),
        (SLOW_WORDS, {}, "slow"),
        (Evidence(figure="rtt", now=9.0), {}, "slow"),
    ],
)
def test_where_probes_are_few_the_evidence_is_held_against_the_goals(
    evidence: Evidence, goals: dict[str, Any], state: str
) -> None:
    late = diagnosis(20, "provider_queueing", 12, evidence=(evidence,))
    info = route_info(**goals)
    cohort = f"{info.max_tokens}/256"
    events = [*probes(5, cohort=cohort), late, tick(22)]
    assert view_of(*events, routes=(info,)).state == state


def test_what_was_slow_before_an_incident_is_so_again_after_it() -> None:
    chronic = [*probes(25, **SLOW), tick(28)]
    before = view_of(*chronic)
    assert before.state == "slow"
    limited = diagnosis(30, "rate_limited_tokens", 29)
    assert view_of(*chronic, limited, tick(31)).state == "throttled"
    over = diagnosis(35, "rate_limited_tokens", 29, state="cleared")
    after = view_of(*chronic, limited, over, tick(36))
    assert (after.state, after.since_ns) == ("slow", before.since_ns)
    # From twenty samples after its end on, these are judged.
    assert view_of(*chronic, limited, over, *probes(25, 40), tick(68)).state == "ok"


def test_what_was_measured_amid_an_incident_is_not_held_against_the_route_afterwards() -> None:
    ill = [*probes(20), *probes(30, 20, **SLOW), diagnosis(48, "provider_queueing", 20)]
    assert view_of(*ill, tick(52)).state == "slow"
    over = diagnosis(60, "provider_queueing", 20, state="cleared")
    well = probes(6, 54)
    for seconds in (61, 75, 110, 250):
        view = view_of(*ill, *well, over, tick(seconds))
        assert (view.state, view.since_ns) == ("ok", at(60)), seconds
    # What comes after it counts.
    again = view_of(*ill, *well, over, *probes(22, 70, **SLOW), tick(95))
    assert again.state == "slow"


def test_a_level_that_has_settled_is_judged_by_the_goals() -> None:
    ill = [*probes(20), *probes(30, 20, **SLOW), diagnosis(48, "provider_queueing", 20)]
    settled = diagnosis(60, "provider_queueing", 20, state="settled")
    view = view_of(*ill, settled, tick(62))
    assert (view.state, view.why) == ("slow", "TTFT p95 1.3× goal")
    assert folded(*ill, settled, tick(62)).snapshot().recoveries == ()


def test_our_own_trouble_leaves_a_state_as_it_is_and_marks_it() -> None:
    busy = diagnosis(20, "local_observer", 18)
    events = [*probes(20), tick(21), busy, *probes(25, 22, ttft_s=3.0, e2e_s=3.5), tick(50)]
    view = view_of(*events)
    assert (view.state, view.observer_busy) == ("ok", True)
    over = diagnosis(51, "local_observer", 18, state="cleared")
    after = view_of(*events, over, tick(52))
    assert (after.state, after.since_ns, after.observer_busy) == ("ok", at(2.0), False)
    # A route that is really ill is ill beside it.
    down = diagnosis(48, "auth_failure", 47, id="e1-2")
    assert view_of(*events, down, tick(50)).state == "down"


def test_of_two_incidents_the_worse_one_makes_the_state() -> None:
    slow = diagnosis(10, "provider_queueing", 5, id="e1-1")
    limited = diagnosis(12, "rate_limited_requests", 11, id="e1-2")
    view = view_of(*probes(5), slow, limited, tick(15))
    assert (view.state, view.since_ns) == ("throttled", at(11))
    over = diagnosis(20, "rate_limited_requests", 11, id="e1-2", state="cleared")
    view = view_of(*probes(5), slow, limited, over, tick(21))
    assert (view.state, view.since_ns) == ("slow", at(5))


def test_an_incident_is_on_exactly_the_routes_it_names() -> None:
    infos = tuple(route_info(name) for name in ("alpha", "bravo", "carol"))
    each = [event for name in ("alpha", "bravo", "carol") for event in probes(3, route=name)]
    first = diagnosis(10, "dns", 9, routes=("alpha", "bravo"))
    then = diagnosis(12, "dns", 9, routes=("bravo", "carol", "unheard-of"))

    def states(*events: Event) -> dict[str, str]:
        rows = folded(*each, *events, routes=infos).snapshot().routes
        return {row.name: row.state for row in rows}

    assert states(first) == {"alpha": "down", "bravo": "down", "carol": "ok"}
    well = ProbeScript("e1-x", 10.5, e2e_s=0.5).events()
    assert states(first, *well, then) == {"alpha": "ok", "bravo": "down", "carol": "down"}


def test_a_route_that_is_dead_from_the_start_is_starting_until_that_is_named() -> None:
    dead = probes(3, **FAILED)
    assert view_of(*dead, tick(4)).state == "starting"
    named = diagnosis(4, "auth_failure", 1.0)
    assert view_of(*dead, named).state == "down"
    assert view_of(*dead, named).since_ns == at(1.0)


def test_another_boot_begins_without_incidents() -> None:
    board = folded(*probes(5), diagnosis(10, "outage", 9))
    assert board.snapshot().routes[0].state == "down"
    board.fold(hello(at_s=20, boot_id="another"))
    assert board.snapshot().routes[0].state == "starting"
    assert board.snapshot().incidents == ()
    again = folded(*probes(5), diagnosis(10, "outage", 9))
    again.fold(hello(at_s=20, engine="e2"))
    again.fold(tick(21))
    assert again.snapshot().routes[0].state == "down"


def test_a_state_tells_the_servers_own_words_since_its_onset() -> None:
    def refused(at_s: float, **changes: Any) -> list[Event]:
        words = {"status": 503, "message": "The engine is overloaded"} | changes
        return ProbeScript("e1-x", at_s, e2e_s=0.1, finished=words, **FAILED).events()

    down = diagnosis(10, "outage", 8)
    view = view_of(*probes(5), *refused(9), down)
    assert (view.why, view.said) == ("provider is down", '503 "The engine is overloaded"')
    assert view_of(*probes(5), *refused(7), down).said == ""
    bare = {"message": "", "status": None, "reason": "connect.refused"}
    assert view_of(*probes(5), *refused(9, **bare), down).said == "connect.refused"
    limited = ProbeScript("e1-y", 9)
    told = throttled(limited, 9.5, None, message="Slow down")
    view = view_of(*probes(5), *refused(9), told, diagnosis(10, "rate_limited_tokens", 8))
    assert view.said == '429 "Slow down"'
    assert view_of(*probes(5), *refused(9), diagnosis(10, "provider_queueing", 8)).said == ""

    def verdict(cause: Cause, **changes: Any) -> str:
        events = [*probes(5), *refused(9), told, diagnosis(10, cause, 8, **changes)]
        return folded(*events).snapshot().incidents[0].said

    failed = '503 "The engine is overloaded"'
    for cause in ("outage", "provider_errors", "retry_masking", "unknown", "network_path"):
        assert verdict(cause) == failed
    assert verdict("rate_limited_tokens") == '429 "Slow down"'
    for cause in ("provider_queueing", "model_changed", "stream_stalls", "no_answer"):
        assert verdict(cause) == ""


def test_verdicts_are_worst_first_with_the_state_they_make() -> None:
    infos = tuple(route_info(name) for name in ("alpha", "bravo", "carol"))
    each = [event for name in ("alpha", "bravo", "carol") for event in probes(3, route=name)]
    events = [
        diagnosis(10, "local_observer", 9, id="1", routes=("alpha", "bravo", "carol")),
        diagnosis(10, "provider_queueing", 9, id="2", routes=("alpha",)),
        diagnosis(11, "provider_queueing", 8, id="3", state="perhaps", routes=("bravo",)),
        diagnosis(12, "auth_failure", 10, id="4", routes=("carol",)),
        diagnosis(13, "cache_loss", 12, id="5", routes=("alpha", "bravo")),
    ]
    incidents = folded(*each, *events, routes=infos).snapshot().incidents
    assert [(view.diagnosis.id, view.state) for view in incidents] == [
        ("4", "down"),
        ("5", "slow"),
        ("2", "slow"),
        ("3", "slow"),
        ("1", None),
    ]


def test_an_incident_of_routes_that_are_paused_neither_stands_nor_clears() -> None:
    infos = tuple(route_info(name) for name in ("alpha", "bravo"))
    each = [event for name in ("alpha", "bravo") for event in probes(3, route=name)]
    both = diagnosis(10, "dns", 9, routes=("alpha", "bravo"))
    one, other = (
        Knob(at_ns=at(at_s), route=name, knob="paused", before=0, after=1)
        for at_s, name in ((12, "alpha"), (15, "bravo"))
    )

    def idle(*events: Event) -> int | None:
        (view,) = folded(*each, both, *events, tick(20), routes=infos).snapshot().incidents
        return view.idle_since_ns

    assert idle() is None
    assert idle(one) is None
    assert idle(one, other) == at(15)


def test_a_recovery_is_told_for_five_minutes_with_what_it_was() -> None:
    events = [
        *probes(5),
        diagnosis(10, "provider_errors", 8, size=1.0),
        tick(11),
        *probes(1, 12),
        diagnosis(20, "provider_errors", 8, state="cleared", size=0.4),
    ]
    (told,) = folded(*events, tick(30)).snapshot().recoveries
    assert (told.was, told.diagnosis.at_ns - told.diagnosis.since_ns) == ("down", 12 * NS_PER_S)
    assert len(folded(*events, tick(320)).snapshot().recoveries) == 1
    assert folded(*events, tick(320.1)).snapshot().recoveries == ()
    again = diagnosis(40, "outage", 39, id="e1-2")
    assert folded(*events, again, tick(41)).snapshot().recoveries == ()
    chance = [diagnosis(10, state="perhaps"), diagnosis(20, state="cleared")]
    assert folded(*probes(5), *chance, tick(30)).snapshot().recoveries == ()


def seen(at_s: float, times: int, **changes: Any) -> SeenBefore:
    values: dict[str, Any] = {"cause": "outage", "routes": ("alpha",)}
    values |= {"first_wall_ns": 1, "last_wall_ns": 2}
    return SeenBefore(at_ns=at(at_s), times=times, **(values | changes))


def test_what_was_seen_before_stands_with_what_is_wrong() -> None:
    (view,) = (
        folded(
            diagnosis(10.0, "outage", 5.0),
            seen(11, 3),
            seen(12, 2),  # an agent, which knows less
            seen(13, 9, cause="dns"),
            seen(13, 9, routes=("beta",)),
            tick(20),
        )
        .snapshot()
        .incidents
    )
    assert view.seen == seen(11, 3)


@pytest.mark.parametrize("changes", [{"cause": "dns"}, {"places": ("eu",)}])
def test_what_was_seen_of_another_kind_or_from_elsewhere_is_dropped(changes: Any) -> None:
    word = diagnosis(10.0, "outage", 5.0)
    (view,) = folded(word, seen(11, 3), replace(word, at_ns=at(12), **changes)).snapshot().incidents
    assert view.seen is None


def test_what_was_seen_of_something_that_is_over_is_of_no_matter() -> None:
    word = diagnosis(10.0, "outage", 5.0)
    over = replace(word, at_ns=at(11), state="cleared")
    assert folded(word, over, seen(12, 3)).snapshot().incidents == ()


def test_incidents_without_end_are_not_kept_for_ever() -> None:
    board = folded(*probes(3))
    for number in range(600):
        board.fold(diagnosis(10, "cache_loss", 9, id=f"e1-{number}"))
    assert len(board.snapshot().incidents) == 512
    for number in range(600):
        board.fold(diagnosis(11, "cache_loss", 9, id=f"e1-{number}", state="cleared"))
    assert board.snapshot().incidents == ()
    assert len(board.snapshot().recoveries) == 32


@pytest.mark.parametrize(
    ("speed", "grade"),
    [(100.0, "great"), (66.7, "great"), (50.0, "fine"), (40.0, "fine"), (30.0, "slow")],
)
def test_a_writing_speed_is_graded_by_the_mirrored_bands(speed: float, grade: str) -> None:
    assert speed_grade(speed, 40.0) == grade
    assert speed_grade(20.0, 40.0) == "sluggish"
    assert speed_grade(0.0, 40.0) == "sluggish"
    assert speed_grade(speed, None) == "none"
    assert speed_grade(None, 40.0) == "none"


def test_a_route_that_writes_slower_than_its_goal_is_slow() -> None:
    events = [*probes(20, ttft_s=0.4, e2e_s=1.4), tick(30)]  # 10 tokens a second
    fast = probes(9, 21, ttft_s=0.4, e2e_s=0.6)
    assert view_of(
        *events, *fast, tick(32), routes=(route_info(goal_tokens_per_s=13.0),)
    ).state == ("slow")
    assert view_of(*events, routes=(route_info(goal_tokens_per_s=10.0),)).state == "ok"
    slow = view_of(*events, routes=(route_info(goal_tokens_per_s=13.0),))
    assert (slow.state, slow.speed_grade, slow.why) == ("slow", "slow", "tok/s 1/1.3 of its goal")
    assert slow.goal_ratio == pytest.approx(1.3, rel=0.01)
    much = view_of(*events, routes=(route_info(goal_tokens_per_s=20.0),))
    assert (much.state, much.speed_grade) == ("sluggish", "sluggish")
    assert view_of(*events).speed_grade == "none"


def test_the_oldest_open_request_grows_older_between_ticks() -> None:
    began = ProbeScript("e1-x", 20.0).started()
    view = view_of(*probes(20), began, tick(24), tick(27.5))
    assert (view.oldest_open_s, view.overdue) == (7.5, False)
    assert view_of(*probes(20), began, tick(28.1)).overdue
    # Where first tokens take long, more patience is due: thrice the p95.
    late = [*probes(20, ttft_s=5.0, e2e_s=5.5), ProbeScript("e1-x", 30.0).started()]
    assert not view_of(*late, tick(44)).overdue
    assert view_of(*late, tick(45.5)).overdue


def test_a_stream_that_writes_has_the_patience_of_whole_answers() -> None:
    script = ProbeScript("e1-x", 40.0, e2e_s=60.0)
    events = [*probes(20, e2e_s=10.0), script.started(), script.first_token()]
    view = view_of(*events, tick(60))
    assert (view.oldest_phase, view.overdue) == ("streaming", False)
    assert view_of(*events, tick(71)).overdue


def test_a_tick_tells_the_phase_and_what_began_before_the_stream() -> None:
    count = RouteCounts(
        route="alpha",
        in_flight=1,
        target=4,
        oldest_open_ns=9 * NS_PER_S,
        oldest_phase="headers",
    )
    view = view_of(tick(10, count), tick(11))
    assert (view.oldest_open_s, view.oldest_phase, view.overdue) == (10.0, "headers", True)
    known = view_of(ProbeScript("e1-x", 1.0).started(), tick(10, count))
    assert (known.oldest_open_s, known.oldest_phase) == (9.0, "headers")
    # What has ended since is not open.
    assert view_of(tick(10, count), *probes(1, 10.5), tick(12)).oldest_open_s is None


def test_a_hang_grows_older_in_its_verdict_as_it_does_in_its_row() -> None:
    began = ProbeScript("e1-x", 20.0).started()
    age = Evidence(figure="open_age", now=8.5, usual=0.4, n_now=1)
    hang = diagnosis(28.5, "no_answer", 20.0, evidence=(age, LATE))
    snapshot = folded(*probes(5), began, hang, tick(50)).snapshot()
    (told,) = snapshot.incidents
    assert told.diagnosis.evidence == (replace(age, now=30.0), LATE)
    assert snapshot.routes[0].oldest_open_s == 30.0
    nothing = folded(*probes(5), hang, tick(50)).snapshot().incidents
    assert nothing[0].diagnosis.evidence == (age, LATE)


def test_figures_of_an_incident_stand_with_their_usual_in_the_detail() -> None:
    board = folded(*probes(3), diagnosis(10, "provider_queueing", 9, evidence=(LATE, FAILS)))
    detail = board.snapshot(detail_routes=("alpha",)).details["alpha"]
    assert detail.percentiles.usual == (LATE,)


def test_pain_is_the_worst_ratio_to_a_goal() -> None:
    slow = [*probes(20, ttft_s=0.5, e2e_s=2.7), tick(30)]
    assert view_of(*slow).goal_ratio == pytest.approx(0.9)
    assert view_of(tick(30)).goal_ratio == 0.0
    failing = [*probes(9), *probes(1, 9, **FAILED), tick(12)]
    assert view_of(*failing).goal_ratio == pytest.approx(10.0)
    dear = route_info(goal_cost_usd_per_probe=0.001)
    assert view_of(*probes(2, cost_usd=0.004), tick(5), routes=(dear,)).goal_ratio == pytest.approx(
        4.0
    )


@pytest.mark.parametrize(
    ("value", "grade"),
    [
        (0.6, "great"),
        (0.61, "fine"),
        (1.0, "fine"),
        (1.01, "slow"),
        (1.5, "slow"),
        (1.6, "sluggish"),
    ],
)
def test_grades_are_the_bands_of_the_goal(value: float, grade: str) -> None:
    assert grade_of(value, 1.0) == grade
    assert grade_of(value, None) == "none"


@pytest.mark.parametrize(("probability", "least"), [(0.5, 2), (0.9, 10), (0.95, 20), (0.99, 100)])
def test_enough_is_the_inverse_of_the_tail(probability: float, least: int) -> None:
    assert not is_enough(least - 1, probability)
    assert is_enough(least, probability)


def spread(count: int, every_s: float, begin_s: float = 0.0, **changes: Any) -> list[Event]:
    """Return the events of probes `every_s` apart, each half a second long."""
    scripts = [
        ProbeScript(f"e1-{begin_s}-{number}", begin_s + number * every_s, e2e_s=0.5, **changes)
        for number in range(count)
    ]
    return [event for script in scripts for event in script.events()]


@pytest.mark.parametrize(
    ("older", "newer", "state"),
    [
        (20, 0, "sluggish"),  # no samples in the last minute, enough in five
        (19, 0, "ok"),  # enough in neither
        (19, 1, "sluggish"),  # the last minute has one, five have 20
        (20, 19, "sluggish"),
        (20, 20, "ok"),  # enough in the last minute, and these are well
    ],
)
def test_a_p95_is_judged_from_twenty_samples_of_one_minute_or_of_five(
    older: int, newer: int, state: str
) -> None:
    slow = spread(older, 1.0, ttft_s=0.49)
    well = spread(newer, 0.5, 100.0, ttft_s=0.1)
    tight = route_info(goal_ttft_s=0.3)
    assert view_of(*slow, *well, tick(115), routes=(tight,)).state == state


@pytest.mark.parametrize(
    ("ttft_s", "state"), [(1.0, "ok"), (1.02, "slow"), (1.48, "slow"), (1.52, "sluggish")]
)
def test_latency_is_judged_by_the_goals_that_a_route_has_by_default(
    ttft_s: float, state: str
) -> None:
    default = Route(name="alpha", base_url="http://h", model="m")
    info = route_info(goal_ttft_s=default.goals.ttft_s, goal_e2e_s=default.e2e_goal_s)
    events = [*probes(20, ttft_s=ttft_s, e2e_s=1.6), tick(30)]
    assert view_of(*events, routes=(info,)).state == state
