"""The sentence says what may be concluded, and nothing else."""

from random import Random

import pytest
from comparing.compared import (
    FAILED,
    THROTTLED,
    answer,
    comparison_of,
    feed,
    plan_of,
    plan_of_change,
)

from probes.comparing.arms import ArmChange, ChangeKind
from probes.comparing.comparison import PairedComparison
from probes.comparing.views import ComparedFigure, ComparisonState
from probes.comparing.words import estimate_words, interval_words, ratio_words, verdict_words

SURE = "Of such comparisons 1 % at most claim what is not so."
TURNS = (
    "All were asked in turns from this machine, so what differs is the routes or the way to them."
)


def said(comparison: PairedComparison, state: ComparisonState, why: str = "") -> str:
    comparison.end(state, why)
    return comparison.view().sentence


def test_nothing_is_said_of_nothing() -> None:
    made = comparison_of(plan_of("alpha", "bravo"))
    assert said(made, "waiting") == "Nothing is asked yet."
    assert said(made, "running") == "Nothing is known yet."
    assert said(made, "stopped") == "Stopped after 0 pairs. Nothing is known."
    assert said(made, "failed", "bravo: no key") == "It cannot be compared: bravo: no key."


def test_a_difference_is_said_with_its_interval_and_pairs() -> None:
    made = comparison_of(plan_of("alpha", "bravo"))
    feed(made, 300, bravo=2.0)
    told = said(made, "decided")
    assert told.startswith("bravo is slower to the first token than alpha, ×")
    assert f", {made.pairs} pairs)" in told
    assert told.endswith(f"{TURNS} {SURE}")


def test_what_is_not_known_is_said_with_what_it_can_be_at_most() -> None:
    made = comparison_of(plan_of("alpha", "bravo"))
    feed(made, 60)
    told = said(made, "budget")
    assert told.startswith(
        "All 60 pairs are asked. It is not known whether bravo or alpha is faster"
    )
    assert "if one is, by " in told
    assert TURNS not in told
    (_, bravo) = made.view().arms
    low, high = bravo.figures[0].low, bravo.figures[0].high
    assert low is not None
    assert high is not None
    most = max(high, 1 / low) - 1
    assert f"by {most * 100:.0f} % at most" in told


def test_too_few_pairs_are_said_to_be_too_few() -> None:
    made = comparison_of(plan_of("alpha", "bravo"))
    feed(made, 1)
    assert "1 pair is too few" in said(made, "stopped")
    feed(made, 2)
    assert "3 pairs are too few" in said(made, "running")


def test_failures_are_counted_for_whoever_reads() -> None:
    made = comparison_of(plan_of("alpha", "bravo"))
    for _ in range(16):
        made.take({"alpha": answer(0.3), "bravo": THROTTLED})
    told = said(made, "decided")
    assert "never both answered, so nothing is known of the time to the first token" in told
    assert "it is good less often: 0 of 16, alpha 16 of 16" in told
    assert "it is throttled more often: 16 of 16, alpha 0 of 16" in told
    assert TURNS not in told


def test_each_arm_has_its_clause() -> None:
    made = comparison_of(plan_of("alpha", "bravo", "charlie"))
    feed(made, 300, bravo=3.0, charlie=0.3)
    told = said(made, "decided")
    assert "bravo is slower to the first token than alpha" in told
    assert "; charlie is faster to the first token than alpha" in told


@pytest.mark.parametrize(
    ("kind", "value", "cause"),
    [
        ("fresh", "", "whether connections are kept."),
        ("stream", "", "whether answers are streamed."),
        ("prompt", "100", "the length of the prompt."),
        ("base-url", "https://api.example.com/v2", "the base URL"),
    ],
)
def test_of_one_changed_thing_it_is_that_thing_or_it_is_not(
    kind: ChangeKind, value: str, cause: str
) -> None:
    plan = plan_of_change(ArmChange(kind, value))
    other = plan.arms[1].name
    differs = comparison_of(plan)
    feed(differs, 300, **{other: 20.0})
    assert f"It is {cause}" in said(differs, "decided")
    same, random = comparison_of(plan), Random(1)
    while not same.is_known:
        same.take({name: answer(random.gauss(1, 0.01)) for name in ("alpha", other)})
    assert f"It is not {cause}"[:-1] in said(same, "decided")
    unknown = comparison_of(plan)
    feed(unknown, 20)
    assert "It is " not in said(unknown, "budget").replace("It is not known", "")


def test_a_name_that_is_hostile_is_made_harmless() -> None:
    made = comparison_of(plan_of("alpha", "b\x1b[31m\u202eo"))
    made.take({"alpha": answer(0.3), "b\x1b[31m\u202eo": FAILED})
    told = said(made, "running")
    assert "\x1b" not in told
    assert "\u202e" not in told


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (None, "–"),
        (1.0, "×1.00"),
        (1.004, "×1.004"),
        (0.996, "×0.996"),
        (1.27, "×1.27"),
        (12.345, "×12.35"),
        (250.0, "×250"),
        (4.2e6, "×4.2M"),
    ],
)
def test_a_ratio_in_words(ratio: float | None, words: str) -> None:
    assert ratio_words(ratio) == words


def test_an_interval_in_words() -> None:
    assert interval_words(ComparedFigure("ttft", 3)) == "–"
    assert interval_words(ComparedFigure("ttft", 9, 1.2, 1.1, 1.48)) == "×1.10 to ×1.48"
    assert interval_words(ComparedFigure("ttft", 9, 1.2, None, 1.48)) == "at most ×1.48"
    assert interval_words(ComparedFigure("ttft", 9, 1.2, 1.1)) == "at least ×1.10"
    assert interval_words(ComparedFigure("good", 9, -0.1, -0.35, 0.02)) == "-35 to +2 points"


def test_a_middle_in_words() -> None:
    assert estimate_words(ComparedFigure("ttft", 0)) == "–"
    assert estimate_words(ComparedFigure("ttft", 9, 1.24)) == "×1.24"
    assert estimate_words(ComparedFigure("good", 0)) == "–"
    assert estimate_words(ComparedFigure("good", 9, -0.111)) == "-11"


def test_a_verdict_in_words() -> None:
    assert verdict_words(ComparedFigure("ttft", 9), 0.05) == "not known yet"
    assert verdict_words(ComparedFigure("ttft", 9), 0.05, is_over=True) == "not known"
    same = ComparedFigure("good", 9, verdict="same")
    assert verdict_words(same, 0.05) == "no difference larger than 5 points"
    same = ComparedFigure("e2e", 9, verdict="same")
    assert verdict_words(same, 0.1) == "no difference larger than 10 %"
    assert verdict_words(ComparedFigure("good", 9, verdict="worse"), 0.05) == "good less often"
