"""From symptoms to causes: what explains what, and what is told apart."""

from typing import Any

import pytest
from board_streams import at
from changed import replace
from diagnosis_streams import Yard, attempt, life, probed

from probes.diagnosis.causes import _EXPLAINS, SLOTS, Alarm, RouteCauses, Slot, Surroundings
from probes.diagnosis.route_watch import RouteWatch
from probes.events import Cause
from probes.kit.clock import NS_PER_S

S = NS_PER_S


def well(*infos: Any, seconds: int = 100, **does: Any) -> Yard:
    yard = Yard(*infos)
    yard.seconds(seconds, {"alpha": does})
    assert yard.told == []
    return yard


def failing(reason: str, outcome: str = "server_error", **more: Any) -> dict[str, Any]:
    return {"alpha": {"outcome": outcome, "reason": reason} | more}


# ------------------------------------------------------------------ what explains what


def alarm(slot: Slot, since_s: float, begun_s: float = 0.0, cause: Cause = "unknown") -> Alarm:
    return Alarm(slot, cause, since_s * S, begun_s * S)  # type: ignore[arg-type]


def causes(**info: Any) -> RouteCauses:
    return RouteCauses(RouteWatch(probed(**info)))


PAIRS = [(by, slot) for by, slots in _EXPLAINS.items() for slot in sorted(slots)]


@pytest.mark.parametrize(("by", "slot"), PAIRS)
def test_what_began_together_is_explained_and_what_did_not_is_not(by: Slot, slot: Slot) -> None:
    route = causes()
    cause: Cause = "outage" if by == "fails" else "unknown"
    first = alarm(by, 1000, 1010, cause)
    for since_s, begun_s, near in (
        *((1030, 1200, True), (970, 1200, True), (900, 1020, True)),
        *((900, 1200, False), (969, 1026, False)),
    ):
        assert route._explains(first, alarm(slot, since_s, begun_s)) == near
    late = route._explains(first, alarm(slot, 1500, 1510))
    assert late == (by in ("observer", "path", "build"))  # these last, and act all the while


@pytest.mark.parametrize(
    ("by", "slot"), [(a, b) for a in SLOTS for b in SLOTS if b not in _EXPLAINS[a]]
)
def test_nothing_else_explains(by: Slot, slot: Slot) -> None:
    assert not causes()._explains(alarm(by, 1000, 1010), alarm(slot, 1000, 1010))


def test_what_is_itself_explained_explains_nothing() -> None:
    first, second = alarm("input", 1000), alarm("cache", 1000)
    second.explained_by = first
    assert not causes()._explains(second, alarm("wait", 1000))


@pytest.mark.parametrize(
    ("cause", "slows"),
    [("outage", True), ("no_answer", True), ("provider_errors", False), ("auth_failure", False)],
)
def test_only_failures_that_slow_explain_what_is_slow(cause: Cause, slows: bool) -> None:
    first = alarm("fails", 1000, 1000, cause)
    assert causes()._explains(first, alarm("wait", 1000, 1000)) == slows


def test_of_wait_and_writing_the_first_explains_the_other() -> None:
    route = causes()
    wait, write = alarm("wait", 1000, 1010), alarm("write", 1000, 1020)
    assert route._explains(wait, write)
    assert not route._explains(write, wait)


def test_what_outlives_its_explanation_is_a_fault_of_its_own() -> None:
    route = causes()
    by, slow = alarm("cache", 1000), alarm("wait", 1000)
    slow.explained_by = by
    by.is_over, by.over_ns = True, 2000 * S
    route._explain(slow, Surroundings(now_ns=2120 * S))
    assert slow.explained_by is by
    route._explain(slow, Surroundings(now_ns=2121 * S))
    assert slow.explained_by is None


def test_a_cache_that_is_lost_explains_the_wait_until_that_is_over() -> None:
    yard = well(cached_tokens=10)
    yard.seconds(40, {"alpha": {"cached_tokens": 0, "wait_s": 0.9}})
    assert yard.causes == ["cache_loss"]
    yard.seconds(90, {"alpha": {"cached_tokens": 10, "wait_s": 0.9}})  # long after its end
    assert "provider_queueing" not in {one.cause for one in yard.told}


def test_two_faults_at_different_times_have_two_causes() -> None:
    yard = well(cached_tokens=10)
    yard.seconds(60, {"alpha": {"cached_tokens": 0}})
    yard.seconds(60, {"alpha": {"cached_tokens": 0, "wait_s": 0.9}})
    assert sorted(yard.causes) == ["cache_loss", "provider_queueing"]


# ------------------------------------------------------------------ how a cause changes


def test_a_cause_that_is_not_named_changes_at_once_and_a_named_one_late() -> None:
    one = alarm("fails", 0, cause="outage")
    one.becomes("provider_errors", 5)
    assert (one.cause, one.cause_ns) == ("provider_errors", 5)
    one.is_named = True
    for now_s, cause in ((6.0, "outage"), (7.9, "outage"), (8.0, "dns"), (9.9, "outage")):
        one.becomes(cause, round(now_s * S))  # type: ignore[arg-type]
        assert one.cause == "provider_errors"
    one.becomes("outage", round(11.9 * S))
    assert (one.cause, one.cause_ns) == ("outage", round(11.9 * S))


def test_what_was_the_cause_all_along_stays_it() -> None:
    one = alarm("fails", 0, cause="outage")
    one.is_named = True
    one.becomes("dns", S)
    one.becomes("outage", 2 * S)
    one.becomes("dns", 3 * S)
    assert one.cause == "outage"


def test_an_alarm_waits_only_so_long_however_often_it_is_asked() -> None:
    one = alarm("wait", 0)
    assert all(one.waits(round(now_s * S)) for now_s in (5.0, 5.1, 5.2, 5.3, 6.0, 8.9))
    assert not one.waits(9 * S)


def test_a_recovery_does_not_change_the_cause() -> None:
    yard = well()
    yard.seconds(30, failing("internal"))
    assert yard.causes == ["outage"]
    yard.seconds(60)
    assert {one.cause for one in yard.told if one.state != "perhaps"} == {"outage"}
    assert yard.causes == []


# ------------------------------------------------------------------ failures


@pytest.mark.parametrize(
    ("reason", "outcome", "cause", "after"),
    [
        ("auth", "client_error", "auth_failure", 3),
        ("quota", "client_error", "quota_exhausted", 3),
        ("model_not_found", "client_error", "model_missing", 3),
        ("bad_request", "client_error", "bad_request", 3),
        ("connect.dns", "protocol_error", "dns", 3),
        ("connect.tls.expired", "protocol_error", "tls", 3),
        ("connect.refused", "protocol_error", "outage", 3),
        ("timeout.first_token", "timeout", "no_answer", 2),
        ("timeout.stall", "timeout", "stream_stalls", 2),
        ("timeout.connect", "timeout", "network_path", 2),
    ],
)
def test_definite_answers_are_named_by_so_many_in_a_row(
    reason: str, outcome: str, cause: Cause, after: int
) -> None:
    yard = well()
    yard.seconds(after - 1, failing(reason, outcome))
    assert [one for one in yard.told if one.state == "named"] == []
    yard.seconds(1, failing(reason, outcome))
    assert yard.causes == [cause]
    assert yard.told[-1].since_ns == at(100)


def test_one_failure_is_no_state() -> None:
    yard = well()
    for reason in ("auth", "internal", "timeout.total", "rate_limit"):
        outcome = "throttled" if reason == "rate_limit" else "server_error"
        yard.seconds(1, failing(reason, outcome))
        yard.seconds(60)
    assert yard.told == []


def test_an_outage_is_where_nothing_succeeds() -> None:
    yard = well()
    yard.seconds(20, failing("internal"))
    assert yard.causes == ["outage"]
    mixed = well()
    for _ in range(15):
        mixed.seconds(1, failing("internal"))
        mixed.seconds(1)
    assert mixed.causes == ["provider_errors"]


def test_half_of_the_failures_that_say_so_are_an_overload() -> None:
    yard = well()
    for _ in range(15):
        yard.seconds(1, failing("overloaded"))
        yard.seconds(1, failing("internal"))
        yard.seconds(1)
    assert yard.causes == ["provider_overloaded"]


def test_refused_connections_among_successes_are_errors_and_no_outage() -> None:
    yard = well()
    for _ in range(20):
        yard.seconds(1, failing("connect.refused", "protocol_error"))
        yard.seconds(1)
    assert yard.causes == ["provider_errors"]


def probes(yard: Yard, seconds: int, *, rescued: bool) -> None:
    """Let every fourth attempt fail, with a retry that succeeds or does not."""
    for second in range(seconds):
        if second % 4:
            yard.second()
            continue
        name = f"retried-{yard.now_s}"
        first = attempt(
            yard.now_s, probe=name, outcome="server_error", reason="internal", takes_s=0.1
        )
        begin, ended = life(first)[0], life(first)[-2]
        yard.fold(begin, ended)
        more: dict[str, Any] = {} if rescued else {"outcome": "server_error", "reason": "internal"}
        second_try = attempt(yard.now_s + 0.2, probe=name, number=1, **more)
        yard.fold(*life(second_try, attempts=2))
        yard.second({"alpha": None})


def test_errors_that_retries_save_are_masked_and_others_are_errors() -> None:
    masked = well()
    probes(masked, 80, rescued=True)
    assert masked.causes == ["retry_masking"]
    lost = well()
    probes(lost, 80, rescued=False)
    assert lost.causes == ["provider_errors"]


@pytest.mark.parametrize("successes", [4, 5])
def test_what_nothing_succeeded_in_is_well_after_five_successes(successes: int) -> None:
    yard = well()
    yard.seconds(20, failing("auth", "client_error"))
    yard.seconds(successes)
    assert (yard.causes == []) == (successes == 5)


def test_a_hang_is_told_by_what_it_hangs_in() -> None:
    silent = well()
    silent.open()
    silent.seconds(12, {"alpha": None}, phase="sent")
    assert silent.causes == ["no_answer"]
    assert silent.told[-1].since_ns == at(100)
    connecting = well()
    connecting.open()
    connecting.seconds(12, {"alpha": None}, phase="connecting")
    assert connecting.causes == ["network_path"]
    writing = well()
    one = attempt(writing.now_s, probe="x")
    writing.fold(*life(one)[:2])
    writing.seconds(20, {"alpha": None}, phase="streaming")
    assert writing.causes == ["stream_stalls"]


def writing_and_waiting(apart_s: int) -> Yard:
    """Return a route that takes 2 s to its first token, and stops: in the middle of one answer, and
    before the next, which was asked for some seconds later."""
    yard = well(wait_s=2.0)
    yard.seconds(10, {"alpha": None})
    yard.fold(*life(attempt(yard.now_s, probe="x", wait_s=0.5))[:2])
    yard.seconds(apart_s, {"alpha": None}, phase="streaming")
    yard.open()
    return yard


def test_a_stream_that_stops_before_one_that_is_never_begun_is_no_pause() -> None:
    yard = writing_and_waiting(apart_s=5)
    yard.seconds(35, {"alpha": None}, phase="streaming")
    assert [one.cause for one in yard.told if one.state == "named"] == ["no_answer"]


def test_a_stream_that_stops_beside_one_that_begins_is_a_pause() -> None:
    yard = writing_and_waiting(apart_s=5)
    yard.seconds(1, {"alpha": None}, phase="streaming")
    yard.fold(*life(attempt(yard.now_s - 1.0, probe=f"e1-{yard.prober.probes}", wait_s=0.9))[1:2])
    yard.seconds(35, {"alpha": None}, phase="streaming")
    assert yard.causes == ["stream_stalls"]


# ------------------------------------------------------------------ 429s


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("rate_limit", "rate_limited_requests"),
        ("rate_limit.tokens", "rate_limited_tokens"),
        ("rate_limit.concurrency", "rate_limited_concurrency"),
    ],
)
def test_429s_are_told_by_their_kind(reason: str, cause: Cause) -> None:
    yard = well()
    for _ in range(10):
        yard.seconds(1, failing(reason, "throttled"))
        yard.seconds(1)
    assert yard.causes == [cause]
    assert yard.told[-1].evidence[0].figure == "throttled_share"
    yard.seconds(120)
    assert yard.causes == []


def test_four_429s_in_a_row_need_no_statistics_and_three_successes_end_them() -> None:
    yard = well(probed(interval=30.0))
    yard.seconds(3, failing("rate_limit", "throttled"))
    assert yard.causes == []
    yard.seconds(1, failing("rate_limit", "throttled"))
    assert yard.causes == ["rate_limited_requests"]
    assert yard.told[-1].since_ns == at(100)


# ------------------------------------------------------------------ what is ours


def test_what_slows_after_we_asked_for_more_is_our_own_load() -> None:
    ours = well()
    ours.turn("concurrency", 1, 8)
    ours.seconds(40, {"alpha": {"wait_s": 0.9}})
    assert ours.causes == ["own_load"]
    later = well()
    later.turn("concurrency", 1, 8)
    later.seconds(70)
    later.seconds(40, {"alpha": {"wait_s": 0.9}})
    assert later.causes == ["provider_queueing"]
    less = well()
    less.turn("concurrency", 8, 1)
    less.seconds(40, {"alpha": {"wait_s": 0.9}})
    assert less.causes == ["provider_queueing"]


def test_what_slows_while_our_loop_is_late_is_our_machine() -> None:
    slow = {"alpha": {"wait_s": 0.9}, "bravo": {"wait_s": 0.9}}
    yard = well(probed(), probed("bravo"))
    yard.seconds(40, slow, lag_ns=100_000_000)
    assert list(yard.named.values()) == [("local_observer", ("alpha", "bravo"))]
    alone = well(probed(), probed("bravo"), probed("charlie"))
    alone.seconds(40, {"alpha": {"wait_s": 0.9}}, lag_ns=100_000_000)
    assert alone.causes == ["provider_queueing"]
    late = well(probed(), probed("bravo"))
    late.seconds(60, lag_ns=100_000_000)
    assert late.told == []


# ------------------------------------------------------------------ wrong answers

WRONG: dict[str, Any] = {"outcome": "content_error", "reason": "wrong_answer"}


def wrong_one(at_s: float, came: str = "The sea.", **changes: Any) -> Any:
    """Return a whole answer that is wrong."""
    message = f'expected "harbour" in it; came "{came}"'
    return replace(attempt(at_s), **WRONG, right=False, message=message, **changes)


def test_wrong_answers_are_told_with_two_of_them() -> None:
    yard = well(right=True)
    for number in range(9):
        yard.fold(*life(wrong_one(100.0 + number, f"sea {number}")))
    yard.seconds(1, {"alpha": {"right": True}})
    (told,) = [one for one in yard.told if one.state == "named"]
    assert told.cause == "wrong_answers"
    assert told.evidence[0].figure == "wrong_share"
    assert (told.evidence[0].now, told.size) == (1.0, 1.0)
    assert 'answers wrong: expected "harbour" in it; came "sea 5", "sea 4"' in told.text
    assert told.text.endswith("; llmtop once --include-text shows one")


def test_a_wrong_answer_is_no_failure_of_its_server() -> None:
    watch = RouteWatch(probed())
    for number in range(30):
        watch.attempt_finished(wrong_one(float(number)))
    assert watch.failed.test.share == 0.0
    assert (watch.row, watch.ok_in_a_row) == (None, 30)
    assert watch.wrong.test.share == 1.0
    assert len(watch.wrong_answers) == 2


@pytest.mark.parametrize("reason", ["refusal", "content_filter", "cap_exhausted", "empty"])
def test_what_is_no_whole_answer_is_no_wrong_one(reason: str) -> None:
    yard = well(right=True)
    yard.seconds(60, {"alpha": {"outcome": "content_error", "reason": reason}})
    assert "wrong_answers" not in {one.cause for one in yard.told}


def test_another_model_that_answers_wrongly_is_another_model() -> None:
    yard = well(right=True, served_model="m")
    for number in range(20):
        yard.fold(*life(wrong_one(100.0 + number, served_model="n")))
    assert {one.cause for one in yard.told if one.state == "named"} == {"model_changed"}
    shown = {one.figure for told in yard.told for one in told.evidence}
    assert shown >= {"other_model_share", "wrong_share"}


# ------------------------------------------------------------------ levels


@pytest.mark.parametrize(
    ("usual", "now", "cause"),
    [
        ({}, {"wait_s": 0.9}, "provider_queueing"),
        ({}, {"token_s": 0.04}, "provider_slow_decode"),
        ({"rtt_ns": 20_000_000}, {"rtt_ns": 90_000_000, "wait_s": 0.6}, "network_path"),
        ({"retransmits": 0}, {"retransmits": 1}, "network_path"),
        ({"reordered": 0}, {"reordered": 2, "wait_s": 0.5}, "network_path"),
        ({"connect_s": 0.1}, {"connect_s": 0.8}, "network_path"),
        ({}, {"input_tokens": 200}, "prompt_growth"),
        ({}, {"output_tokens": 90}, "output_growth"),
        ({"cached_tokens": 10}, {"cached_tokens": 0}, "cache_loss"),
        ({"served_model": "m"}, {"served_model": "n"}, "model_changed"),
        ({"right": True}, {"right": False, **WRONG}, "wrong_answers"),
        ({"right": True}, {"right": False, **WRONG, "output_tokens": 90}, "wrong_answers"),
        ({}, {"connect_s": 0.05}, "connection_churn"),
        ({}, {"gaps_s": [0.02] * 4 + [0.8] + [0.02] * 4}, "stream_stalls"),
    ],
)
def test_what_moves_alone_has_its_cause_and_ends_with_it(
    usual: dict[str, Any], now: dict[str, Any], cause: Cause
) -> None:
    yard = well(**usual)
    yard.seconds(60, {"alpha": usual | now})
    assert yard.causes == [cause]
    assert abs(yard.told[-1].since_ns - at(100)) <= 5 * S
    yard.seconds(120, {"alpha": usual})
    assert yard.causes == []
    assert [one.state for one in yard.told if one.state != "perhaps"][-1] == "cleared"


def test_wait_and_writing_that_slow_alike_are_two_faults_and_otherwise_one() -> None:
    both = well()
    both.seconds(60, {"alpha": {"wait_s": 1.2, "token_s": 0.04}})
    assert sorted(both.causes) == ["provider_queueing", "provider_slow_decode"]
    crowded = well()
    crowded.seconds(60, {"alpha": {"wait_s": 1.5, "token_s": 0.0145}})
    assert crowded.causes == ["provider_queueing"]


def test_routes_of_a_host_that_connect_and_wait_longer_together_have_a_bad_path() -> None:
    """Without a word from the kernel."""
    yard = Yard(probed(), probed("bravo"))
    usual = {"connect_s": 0.1}
    yard.seconds(100, {"alpha": usual, "bravo": usual})
    slow = {"connect_s": 0.5, "wait_s": 0.9}
    yard.seconds(60, {"alpha": slow, "bravo": slow})
    assert list(yard.named.values()) == [("network_path", ("alpha", "bravo"))]
