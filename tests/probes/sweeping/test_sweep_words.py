"""Sentences of sweeps, and that nothing a server says obeys a terminal."""

from math import inf

import pytest
from sweeping.swept import kept, missed, plan, point

from probes.sweeping.goals import SweepGoal
from probes.sweeping.views import SweepEdge, SweepLimit, SweepState
from probes.sweeping.words import Findings, goal_words, limit_words, load_words, sentence

PLAN = plan()


def test_a_load_has_the_unit_of_its_pace() -> None:
    assert load_words(1_024.0, "concurrency") == "1,024 at once"
    assert load_words(7.25, "rate") == "7.25 a second"


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (SweepGoal("ttft_p95", 1.0), "TTFT p95 ≤ 1.00 s"),
        (SweepGoal("success", 0.99), "success ≥ 99 %"),
        (SweepGoal("tokens_per_s", 20.0), "tok/s a stream ≥ 20 tok/s"),
    ],
)
def test_a_goal_has_its_sign_and_unit(goal: SweepGoal, words: str) -> None:
    assert goal_words(goal) == words


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (SweepLimit("concurrency", 20.0), "concurrency limit 20"),
        (SweepLimit("concurrency", 20.0, 21.0), "concurrency limit 21, as the server says"),
        (SweepLimit("concurrency", 20.0, 50.0), "concurrency limit 20"),
        (SweepLimit("tokens", 60_175.0), "limit of about 60,200 tokens a minute"),
        (SweepLimit("tokens", 60_175.0, 60_000.0), "limit of 60,000 tokens a minute, as the"
         " server says"),
        (SweepLimit("unknown", 241.0), "about 241 requests a minute let in"),
        (SweepLimit("unknown", inf), "of which limit nobody says"),
    ],
)  # fmt: skip
def test_a_limit_is_told_with_whose_word_it_is(limit: SweepLimit, words: str) -> None:
    assert limit_words(limit) == words


def test_all_that_is_found_is_one_sentence() -> None:
    points = (kept(point(8.0)), kept(point(12.0, ttft=0.72)), missed(point(20.0)))
    found = Findings(
        plan=PLAN,
        points=points,
        edges=(SweepEdge("goal", 12.0, 20.0, closed=True), SweepEdge("refused", 12.0, 20.0, True)),
        limit=SweepLimit("concurrency", 20.0, 20.0),
        limit_load=20.0,
        best=points[1],
        per_usd=8.0,
    )
    assert sentence(found, "done") == (
        "Within goals up to 12 at once: TTFT p95 0.936 s, 480 tok/s, 720 requests/min; at 20 TTFT"
        " p95 1.70 s; best per USD at 8; 429 from 20 on (concurrency limit 20, as the server says)."
    )


def test_a_knee_that_was_not_closed_in_on_is_about() -> None:
    found = Findings(
        plan=PLAN,
        points=(point(16.0), point(32.0)),
        edges=(SweepEdge("saturated", 16.0, 32.0, closed=False),),
        knee=17.0,
        best=point(16.0),
    )
    assert "knee at about 17 at once" in sentence(found, "stopped")


@pytest.mark.parametrize(
    ("state", "why", "words"),
    [
        ("waiting", "", "Nothing is asked yet."),
        ("running", "", "Nothing is known yet."),
        ("failed", "its engine died", "It cannot be swept: its engine died."),
        ("budget", "", "Its budget is spent."),
        ("stopped", "", "Stopped after 0 steps."),
    ],
)
def test_without_a_point_only_its_end_is_told(state: SweepState, why: str, words: str) -> None:
    assert sentence(Findings(PLAN, ()), state, why) == words


def test_what_is_known_by_then_is_told() -> None:
    found = Findings(PLAN, (kept(point(4.0)),), best=kept(point(4.0)))
    assert sentence(found, "stopped").startswith(
        "Stopped after 1 step. By then: within goals up to 4 at once"
    )


def test_where_most_get_no_answer_that_is_said() -> None:
    bad = missed(point(4.0, n=100, ok=70), inf)
    found = Findings(PLAN, (bad,), edges=(SweepEdge("goal", None, 4.0, closed=True),))
    assert sentence(found, "done") == "Not within goals even at 4 at once: 30 % get no answer."


def test_words_of_a_server_are_made_harmless() -> None:
    bad = point(4.0, failed=50, failure="\x1b[2Jserver_error")
    found = Findings(
        PLAN, (bad,), edges=(SweepEdge("failing", None, 4.0, closed=True),), best=kept(point(1.0))
    )
    assert "\x1b" not in sentence(found, "done")
    assert "\x1b" not in sentence(found, "failed", "\x1b[2J gone")
