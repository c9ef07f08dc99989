"""A diagnosis in words: each part by itself, and all of it in one line."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.diagnosis.evidence import advice_for
from probes.events import (
    Act,
    Advice,
    Cause,
    Diagnosis,
    Evidence,
    FigureName,
    KnobKind,
    Scope,
)
from probes.events.diagnosis_words import (
    advice_words,
    as_usual_words,
    by_now_words,
    cause_words,
    counts_failures,
    diagnosis_text,
    evidence_parts,
    evidence_words,
    hit_words,
    others_words,
    recovery_words,
    scope_words,
    server_words,
    since_words,
    what_words,
    who_words,
)


def diagnosis(cause: Cause = "provider_queueing", **changes: Any) -> Diagnosis:
    fields = {
        "at_ns": 9,
        "id": "e1-1",
        "state": "named",
        "routes": ("alpha",),
        "since_ns": 5,
    }
    return Diagnosis(cause=cause, **(fields | changes))


FAILS = Evidence(figure="failed_share", now=1.0, usual=0.0, n_now=41, unit="share")


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (
            Evidence(figure="ttft", now=2.6, usual=0.73, n_now=103, n_usual=240),
            "first token 2.60 s, usual 0.73 (n 103/240)",
        ),
        (Evidence(figure="ttft", now=2.6), "first token 2.60 s"),
        (
            Evidence(figure="time_per_token", now=1 / 12, usual=1 / 51, n_now=35, n_usual=49),
            "12 tok/s, usual 51 (n 35/49)",
        ),
        (Evidence(figure="time_per_token", now=0.0), "– tok/s"),
        (Evidence(figure="rtt", now=0.29, usual=0.04), "RTT 290 ms, usual 40"),
        (Evidence(figure="connect", now=1.5, usual=0.04), "connect 1.50 s, usual 0.040"),
        (Evidence(figure="loop_lag", now=0.048), "our loop late by 48 ms"),
        (FAILS, "41 of 41 attempts fail"),
        (
            Evidence(figure="failed_share", now=0.2, usual=0.002, n_now=60, unit="share"),
            "20 % of 60 attempts fail, usual 0.2 %",
        ),
        (
            Evidence(figure="stalled_share", now=0.4, usual=0.0, n_now=18, unit="share"),
            "7 of 18 answers pause, usual none",
        ),
        (Evidence(figure="throttled_share", now=0.999, unit="share"), "99 % of attempts throttled"),
        (
            Evidence(figure="cached_share", now=0.0, usual=0.92, unit="share"),
            "0 % of the prompt cached, usual 92 %",
        ),
        (
            Evidence(figure="input_tokens", now=480, usual=120, n_now=30, unit="tokens"),
            "prompt counted 480 tokens, usual 120 (n 30)",
        ),
        (Evidence(figure="retransmits", now=0.27, usual=0, unit="count"), None),
        (Evidence(figure="in_a_row", now=3, unit="count"), "3 in a row"),
        (Evidence(figure="open_requests", now=41.0, usual=6, unit="count"), "41 open, usual 6"),
    ],
)
def test_a_figure_is_told_against_its_usual(evidence: Evidence, words: str | None) -> None:
    assert evidence_words(evidence) == (words or "0.27 resent an attempt, usual 0")


@pytest.mark.parametrize("figure", get_args(FigureName))
@given(
    now=st.floats(0, allow_nan=False),
    usual=st.none() | st.floats(0, allow_nan=False),
    number=st.integers(0, 10**12),
)
def test_whatever_a_figure_is_it_has_words_of_few_cells(
    figure: FigureName, now: float, usual: float | None, number: int
) -> None:
    evidence = Evidence(figure=figure, now=now, usual=usual, n_now=number, n_usual=number)
    assert len(evidence_words(evidence)) <= 60
    assert as_usual_words([evidence]).endswith(" as usual")


@pytest.mark.parametrize(
    ("advice", "words"),
    [
        (Advice(act="move", route="bravo"), "move users to bravo"),
        (Advice(act="move"), "send users elsewhere"),
        (Advice(act="set_knob", knob="concurrency", value=4), "- to 4"),
        (Advice(act="set_knob", knob="interval", value=2.5), "> to 2.5 s"),
        (Advice(act="set_knob", knob="max_tokens", value=32), "{ to 32"),
        (Advice(act="undo_knob", knob="concurrency", value=3), "u undoes it (or - to 3)"),
        (Advice(act="set_knob", knob="usual", value=1), "U takes this level for the usual one"),
        (Advice(act="undo_knob"), "put back the knob that was turned last"),
        (Advice(act="wait", detail="resets in 12 s"), "wait; resets in 12 s"),
    ],
)
def test_advice_names_the_key_that_does_it(advice: Advice, words: str) -> None:
    assert advice_words(advice) == words


def test_every_act_and_knob_has_words() -> None:
    acts = [Advice(act=act) for act in get_args(Act)]
    knobs = [Advice(act="set_knob", knob=knob, value=2) for knob in get_args(KnobKind)]
    told = [advice_words(advice) for advice in (*acts, *knobs)]
    assert all(told)
    assert len(set(told)) == len(told)


def test_every_cause_has_words_of_its_own() -> None:
    one = [cause_words(cause) for cause in get_args(Cause)]
    several = [cause_words(cause, several=True) for cause in get_args(Cause)]
    assert len(set(one)) == len(set(several)) == len(get_args(Cause))


def test_what_did_not_move_is_told_together() -> None:
    speed, rtt = Evidence(figure="time_per_token", now=0.02), Evidence(figure="rtt", now=0.02)
    assert as_usual_words([speed, rtt, rtt]) == "writing speed, RTT as usual"
    assert as_usual_words([]) == ""


def test_what_has_grown_says_how_much() -> None:
    assert cause_words("prompt_growth", size=4.03) == "prompts 4 × longer"
    assert cause_words("output_growth", size=2.53) == "answers 2.5 × longer"
    assert cause_words("output_growth") == "answers are longer"


def test_a_way_on_which_attempts_fail_is_not_slow() -> None:
    assert what_words(diagnosis("network_path", evidence=(FAILS,))) == "unreachable"
    rtt = Evidence(figure="rtt", now=0.29, usual=0.04)
    assert what_words(diagnosis("network_path", evidence=(rtt,))) == "the way is slow"
    assert not counts_failures([rtt, Evidence(figure="failed_share", now=0.0)])


def test_several_routes_answer_and_one_answers() -> None:
    assert what_words(diagnosis("no_answer")) == "answers nothing"
    assert what_words(diagnosis("no_answer", routes=("alpha", "bravo"))) == "answer nothing"


def test_what_is_not_sure_says_so() -> None:
    assert what_words(diagnosis(state="perhaps")) == "perhaps slow to the first token"


def test_three_routes_are_named_and_the_rest_counted() -> None:
    assert who_words(("alpha", "bravo", "carol")) == "alpha bravo carol"
    assert who_words(("alpha", "bravo", "carol", "delta", "echo")) == "alpha bravo carol +2"


def test_times_are_told_with_what_they_lasted() -> None:
    assert since_words("14:31:04", 110) == "since 14:31:04 (1m50s)"
    assert recovery_words("14:18:26", 55, "down") == "recovered 14:18:26, was down 55s"


def test_a_servers_words_stand_with_the_figure_they_explain() -> None:
    words = server_words(503, "The engine is \n currently overloaded")
    assert words == '503 "The engine is currently overloaded"'
    parts = evidence_parts(diagnosis("outage", evidence=(FAILS,)), words)
    assert parts == (f"41 of 41 attempts fail: {words}",)
    assert evidence_parts(diagnosis("outage"), words) == (words,)
    assert server_words(None, "") == ""
    assert server_words(429, " ") == "429"
    assert len(server_words(None, "x" * 500)) == 82


def test_the_whole_is_who_what_evidence_and_what_to_do() -> None:
    slow = diagnosis(
        evidence=(Evidence(figure="ttft", now=2.6, usual=0.73, n_now=103, n_usual=240),),
        against=(Evidence(figure="time_per_token", now=0.02),),
        advice=Advice(act="move", route="bravo"),
    )
    assert diagnosis_text(slow) == (
        "alpha · slow to the first token · first token 2.60 s, usual 0.73 (n 103/240); "
        "writing speed as usual → move users to bravo"
    )
    assert diagnosis_text(diagnosis("auth_failure")) == "alpha · refuses our key"


def test_what_is_wrong_with_this_machine_blames_no_route() -> None:
    assert diagnosis_text(diagnosis("local_observer", routes=("alpha", "bravo"))) == (
        "our machine is busy"
    )


def test_how_a_route_fares_stands_beside_its_name() -> None:
    advice = Advice(act="move", route="eu", detail="B tries it")
    assert advice_words(advice, "100 % good") == "move users to eu (100 % good); B tries it"
    nowhere = Advice(act="move")
    assert advice_words(nowhere, "100 % good") == advice_words(nowhere)


@pytest.mark.parametrize(
    ("well", "hurt", "words"),
    [
        (0, [], ""),
        (1, [], "1 other fine"),
        (4, [], "4 others fine"),
        (2, ["a down", "b slow"], "also a down, b slow, 2 others fine"),
        (0, ["a down", "b slow", "c slow", "d slow"], "also a down, b slow, c slow +1"),
    ],
)
def test_how_the_other_routes_fare_is_told(well: int, hurt: list[str], words: str) -> None:
    assert others_words(well, hurt) == words


@pytest.mark.parametrize(
    ("named", "now", "n", "words"),
    [
        (Evidence(figure="ttft", now=2.6, usual=0.73), 3.4, 88, "by now 3.40 s (n 88)"),
        (Evidence(figure="ttft", now=2.6, usual=0.73), 2.601, 88, ""),
        (Evidence(figure="rtt", now=0.29, usual=0.04), 0.31, 0, "by now 310 ms"),
        (Evidence(figure="time_per_token", now=0.08), 0.05, 40, "by now 20 tok/s (n 40)"),
        (Evidence(figure="stalled_share", now=0.4, n_now=15), 0.33, 48, "by now 33 % (n 48)"),
        (Evidence(figure="cached_share", now=0.1), 0.92, 0, "by now 92 %"),
        (Evidence(figure="input_tokens", now=480.0), 1_200.0, 30, "by now 1.2k (n 30)"),
        (Evidence(figure="retransmits", now=3.0), 4.0, 0, "by now 4"),
    ],
)
def test_what_a_figure_is_by_now_is_told_in_the_unit_it_was_named_in(
    named: Evidence, now: float, n: int, words: str
) -> None:
    assert by_now_words(named, now, n) == words


def test_what_is_at_least_so_much_by_now_says_so_though_it_reads_the_same() -> None:
    named = Evidence(figure="ttft", now=2.6, usual=0.73)
    assert by_now_words(named, 2.6, 9, is_least=True) == "by now ≥2.60 s (n 9)"
    assert by_now_words(named, 2.6, 9, is_least=True, moment="then").startswith("by then ≥2.60 s")


def test_an_advice_says_how_it_was_with_the_knob_where_it_is_to_be_set() -> None:
    advice = Advice(act="set_knob", knob="concurrency", value=3.0)
    assert advice_words(advice, took="at 3 it took 0.9 s") == "- to 3; at 3 it took 0.9 s"
    undo = Advice(act="undo_knob", knob="concurrency", value=3.0)
    assert advice_words(undo, took="at 3 it took 0.9 s").endswith("(or - to 3); at 3 it took 0.9 s")
    assert advice_words(Advice(act="wait"), took="at 3 it took 0.9 s") == "wait"


# ------------------------------------------------------------------ what is advised, cause by cause

ADVISED = {
    "auth_failure": "check the key: was it rotated?",
    "quota_exhausted": "top up; waiting does not help",
    "model_missing": "check the model's name: renamed or retired?",
    "wrong_answers": "send users elsewhere; llmtop once --include-text shows one",
    "model_changed": "an alias, a fallback or a rollout? pin the version",
    "bad_request": "llmtop once says what it refuses",
    "network_path": "the host or the way to it: status page, VPN, proxy",
    "dns": "check the name, the resolver, the VPN",
    "tls": "check its certificate, our clock, a proxy in between",
    "connection_churn": "who closes them? a proxy, a balancer, its keep-alive",
    "cold_start": "wait; the next answers find the model loaded",
    "cache_loss": "tell the provider; its cache or its balancing changed",
    "prompt_growth": "template, tokenizer or a gateway adds to the prompt",
    "output_growth": "a new build, a lost stop word? a lower answer cap bounds them",
    "retry_masking": "nothing breaks yet",
    "local_observer": "trust no latency until it clears",
    "no_answer": "send users elsewhere; B sends one on a fresh connection",
    "unknown": "send users elsewhere",
}
"""What stands behind the name of each cause; what ends all of these alike is left out."""


@pytest.mark.parametrize("cause", get_args(Cause))
def test_what_is_advised_fits_its_cause(cause: Cause) -> None:
    told = advice_words(advice_for(cause, (), ()))
    eased = cause.startswith("rate_limited") or cause == "own_load"
    # Without a route there is no knob to ease it with.
    assert told == ADVISED.get(cause, "wait" if eased else ADVISED["unknown"])


def test_of_prompts_only_what_is_wrong_with_prompts_speaks() -> None:
    speaking = {cause for cause in get_args(Cause) if "prompt" in ADVISED.get(cause, "")}
    assert speaking == {"prompt_growth"}


# ------------------------------------------------------------------ several places


def seen(scope: Scope, *places: str, cause: Cause = "provider_queueing", **more: Any) -> Diagnosis:
    routes = tuple(f"{name}@{place}" for name in ("chat", "code") for place in places)
    given: dict[str, Any] = {"routes": routes, "places": places, "of_places": 3}
    return diagnosis(cause, scope=scope, **(given | more))


@pytest.mark.parametrize(
    ("word", "words"),
    [
        (diagnosis(), ""),
        (seen("everywhere", "ap", "eu", "us"), "from everywhere: the provider (3 of 3 places)"),
        (seen("way", "eu"), "from eu only: the way there (1 of 3 places)"),
        (seen("network", "eu"), "from eu only: all that it sees, its own network (1 of 3 places)"),
        (seen("only", "eu", "us"), "from eu, us only (2 of 3 places)"),
        (seen("machine", "eu", cause="local_observer"), ""),
        (seen("", "eu", of_places=0), "from eu, elsewhere not known yet"),
        (
            seen("way", "eu", unheard=("us",), of_places=2),
            "from eu only: the way there (1 of 2 places), us not heard",
        ),
        (
            seen("everywhere", *(f"p{number}" for number in range(20)), of_places=20),
            "from everywhere: the provider (20 of 20 places)",
        ),
        (
            seen("only", *(f"p{number}" for number in range(9)), of_places=20),
            "from p0, p1, p2 +6 only (9 of 20 places)",
        ),
        (
            seen("everywhere", "eu", "us", cause="rate_limited_tokens", of_places=2),
            "from everywhere: one limit for all (2 of 2 places)",
        ),
        (
            seen("only", "eu", cause="rate_limited_requests"),
            "from eu only: a limit of its own (1 of 3 places)",
        ),
        (
            seen("everywhere", "eu", "us", cause="auth_failure", of_places=2),
            "from everywhere: the key or its account (2 of 2 places)",
        ),
        (
            seen("only", "eu", cause="auth_failure"),
            "from eu only: its own key or account (1 of 3 places)",
        ),
        (
            seen("everywhere", "eu", "us", cause="model_missing", of_places=2),
            "from everywhere: what is asked for (2 of 2 places)",
        ),
    ],
)
def test_from_where_it_is_seen_is_said_with_how_many_places(word: Diagnosis, words: str) -> None:
    assert scope_words(word) == words


def test_what_several_places_see_is_called_what_it_is_called_at_all_of_them() -> None:
    assert hit_words(seen("everywhere", "eu", "us")) == "chat code"
    assert hit_words(seen("way", "eu")) == "chat@eu code@eu"
    assert hit_words(diagnosis()) == "alpha"


def test_a_machine_is_called_by_its_place() -> None:
    word = seen("machine", "eu", cause="local_observer")
    assert what_words(word) == "the machine at eu is busy"
    assert diagnosis_text(word) == "the machine at eu is busy"


def test_a_figure_of_another_place_says_whose_it_is() -> None:
    figure = Evidence(figure="ttft", now=0.31, usual=0.3, n_now=12, n_usual=300, place="us")
    assert evidence_words(figure) == "first token 0.31 s, usual 0.30 (n 12/300) from us"
    own = Evidence(figure="rtt", now=0.02, usual=0.02)
    assert as_usual_words((own, figure)) == (
        "RTT as usual; first token 0.31 s, usual 0.30 (n 12/300) from us"
    )


def test_the_line_says_from_where_before_its_figures() -> None:
    word = seen("way", "eu", cause="no_answer")
    assert diagnosis_text(word) == (
        "chat@eu code@eu · answer nothing · from eu only: the way there (1 of 3 places)"
    )
