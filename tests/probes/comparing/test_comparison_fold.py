"""What a comparison takes of its blocks, when it knows, and what it never claims."""

from collections import Counter
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

from probes.comparing.arms import ArmChange
from probes.comparing.comparison import PairedComparison
from probes.comparing.plan import ComparisonPlan
from probes.comparing.results import ArmResult
from probes.comparing.views import ArmView, ComparedFigure, ComparisonFigure


def told(arm: ArmView, figure: ComparisonFigure) -> ComparedFigure:
    return next(one for one in arm.figures if one.figure == figure)


def two() -> PairedComparison:
    return comparison_of(plan_of("alpha", "bravo"))


def take(comparison: PairedComparison, first: ArmResult, second: ArmResult, times: int = 1) -> None:
    for _ in range(times):
        comparison.take({"alpha": first, "bravo": second})


def test_what_takes_twice_as_long_is_slower_and_that_ends_it() -> None:
    made = two()
    feed(made, 300, bravo=2.0)
    assert made.is_known
    assert made.pairs < 40
    alpha, bravo = made.view().arms
    assert alpha.figures == ()
    ttft = told(bravo, "ttft")
    assert (ttft.verdict, ttft.pairs, ttft.decides) == ("worse", made.pairs, True)
    assert ttft.low is not None
    assert ttft.high is not None
    assert ttft.estimate is not None
    assert 1 < ttft.low < ttft.estimate < ttft.high
    assert ttft.estimate == pytest.approx(2.0, rel=0.3)
    assert bravo.settled


def test_what_takes_half_as_long_is_faster() -> None:
    made = two()
    feed(made, 300, bravo=0.5)
    bravo = made.view().arms[1]
    assert told(bravo, "ttft").verdict == "better"
    assert told(bravo, "e2e").verdict == "unknown"


def test_more_tokens_a_second_are_better() -> None:
    made = two()
    random = Random(1)
    for _ in range(40):
        take(made, answer(random.uniform(0.2, 0.4), 50), answer(random.uniform(0.2, 0.4), 80))
    assert told(made.view().arms[1], "tokens_per_s").verdict == "better"


def test_what_does_not_differ_is_not_told_apart() -> None:
    made = two()
    feed(made, 150)
    assert not made.is_known
    bravo = made.view().arms[1]
    assert not {one.verdict for one in bravo.figures} & {"better", "worse"}


def test_quiet_times_that_do_not_differ_are_known_not_to() -> None:
    made, random = two(), Random(2)
    while not made.is_known:
        take(made, answer(random.gauss(0.3, 0.005)), answer(random.gauss(0.3, 0.005)))
        assert made.pairs < 100
    ttft = told(made.view().arms[1], "ttft")
    assert ttft.verdict == "same"
    assert ttft.low is not None
    assert ttft.high is not None
    assert 1 / 1.05 < ttft.low < 1 < ttft.high < 1.05


def test_a_pair_with_a_failure_is_no_pair_of_times_and_one_of_the_shares() -> None:
    made = two()
    take(made, answer(0.3), answer(0.3), 2)
    take(made, FAILED, answer(0.1), 3)
    take(made, answer(0.3), FAILED, 4)
    alpha, bravo = made.view().arms
    assert (told(bravo, "ttft").pairs, told(bravo, "good").pairs) == (2, 9)
    assert (alpha.probes, alpha.failed, alpha.good) == (9, 3, 6)
    assert (bravo.probes, bravo.failed, bravo.good) == (9, 4, 5)
    assert told(bravo, "good").estimate == pytest.approx(-1 / 9)


def test_what_always_fails_is_settled_though_no_times_are_known() -> None:
    made = two()
    while not made.is_known:
        take(made, answer(0.3), FAILED)
        assert made.pairs < 20
    bravo = made.view().arms[1]
    assert told(bravo, "good").verdict == "worse"
    assert told(bravo, "ttft").verdict == "unknown"


def test_what_fails_now_and_then_is_not_settled_by_that() -> None:
    made, random = two(), Random(6)
    for _ in range(60):
        take(made, answer(random.uniform(0.1, 1)), answer(random.uniform(0.1, 1)))
        take(made, answer(random.uniform(0.1, 1)), FAILED)
        if told(made.view().arms[1], "good").verdict == "worse":
            break
    assert told(made.view().arms[1], "good").verdict == "worse"
    assert not made.is_known


def test_who_is_throttled_more_is_told() -> None:
    made = two()
    take(made, answer(0.3), THROTTLED, 16)
    bravo = made.view().arms[1]
    assert bravo.throttled == 16
    assert told(bravo, "throttled").verdict == "worse"


def test_nothing_that_answers_is_hopeless_after_ten_blocks() -> None:
    made = two()
    take(made, FAILED, FAILED, 9)
    assert not made.is_hopeless
    take(made, FAILED, FAILED)
    assert made.is_hopeless
    assert made.last_failure == "server_error / 500"
    take(made, FAILED, answer(0.3))
    assert not made.is_hopeless


def test_a_probe_without_times_counts_for_success_alone() -> None:
    made = two()
    take(made, answer(0.3), ArmResult())
    bravo = made.view().arms[1]
    assert (bravo.good, told(bravo, "ttft").pairs, told(bravo, "good").pairs) == (1, 0, 1)


def test_a_time_of_nothing_is_no_time() -> None:
    made = two()
    take(made, answer(0.0), answer(0.3))
    assert told(made.view().arms[1], "ttft").pairs == 0


# Several arms.


def test_each_arm_is_compared_with_the_first_and_left_alone_when_it_is_known() -> None:
    made = comparison_of(plan_of("alpha", "bravo", "charlie"))
    feed(made, 60, bravo=3.0)
    alpha, bravo, charlie = made.view().arms
    assert bravo.settled
    assert not charlie.settled
    assert bravo.probes < charlie.probes == alpha.probes == 60
    assert {arm.name for arm in made.next_block(Random(1))} == {"alpha", "charlie"}


def test_more_arms_need_more_evidence_each() -> None:
    pairs = []
    for names in (("alpha", "bravo"), ("alpha", "bravo", "c", "d")):
        made = comparison_of(plan_of(*names))
        random = Random(7)
        while told(made.view().arms[1], "ttft").verdict == "unknown":
            slow, quick = random.uniform(0.6, 0.7), random.uniform(0.3, 0.4)
            results = {name: answer(quick) for name in names}
            made.take({**results, "bravo": answer(slow)})
        pairs.append(made.pairs)
    assert pairs[0] < pairs[1]


def test_every_order_of_the_arms_comes_equally_often() -> None:
    made = comparison_of(plan_of("alpha", "bravo", "charlie"))
    random = Random(11)
    orders = Counter(tuple(arm.name for arm in made.next_block(random)) for _ in range(6 * 200))
    assert len(orders) == 6
    assert all(140 < often < 260 for often in orders.values())


# What decides, and what it costs.


@pytest.mark.parametrize(
    ("plan", "figures"),
    [
        (plan_of("alpha", "bravo"), ["ttft", "e2e", "tokens_per_s", "good", "throttled"]),
        (plan_of_change(ArmChange("stream")), ["e2e", "good", "throttled"]),
    ],
)
def test_ttft_decides_and_e2e_where_an_arm_is_not_streamed(
    plan: ComparisonPlan, figures: list[str]
) -> None:
    (_, arm) = comparison_of(plan).view().arms
    assert [one.figure for one in arm.figures] == figures
    assert [one.decides for one in arm.figures] == [True] + [False] * (len(figures) - 1)


def test_what_is_spent_is_the_sum_of_the_arms_the_warm_up_too() -> None:
    made = two()
    made.spend("alpha", 30, 0.25)
    made.spend("bravo", 20, 0.5)
    made.spend("alpha", 10, 0.0)
    view = made.view()
    assert (view.spent_tokens, view.spent_usd, view.pairs) == (60, 0.75, 0)
    assert [(arm.tokens, arm.usd) for arm in view.arms] == [(40, 0.25), (20, 0.5)]


def test_the_trail_has_what_was_seen_and_stays_short() -> None:
    made, random = two(), Random(5)
    for _ in range(260):
        take(made, answer(random.uniform(0.2, 0.4)), answer(random.uniform(0.2, 0.4)))
        view = made.view()
    trail = view.arms[1].trail
    pairs = [point.pairs for point in trail]
    assert pairs == sorted(set(pairs))
    assert 60 <= len(trail) <= 120
    assert pairs[-1] > 250
    assert trail[-1].low is not None


def test_while_it_is_short_the_trail_is_each_look_as_it_was_told() -> None:
    made, random, seen = two(), Random(5), list[tuple[object, ...]]()
    for _ in range(9):
        take(made, answer(random.uniform(0.2, 0.4)), answer(random.uniform(0.2, 0.4)))
        ttft = told(made.view().arms[1], "ttft")
        if ttft.estimate is not None:
            seen.append((ttft.pairs, ttft.estimate, ttft.low, ttft.high))
    trail = made.view().arms[1].trail
    assert len(seen) > 5
    assert [(one.pairs, one.estimate, one.low, one.high) for one in trail] == seen


def test_medians_are_of_what_was_ok() -> None:
    made = two()
    for ttft_s in (0.1, 0.2, 0.9):
        take(made, answer(ttft_s), FAILED)
    alpha, bravo = made.view().arms
    assert (alpha.ttft_s, alpha.e2e_s) == (0.2, 1.2)
    assert (bravo.ttft_s, bravo.e2e_s, bravo.tokens_per_s) == (None, None, None)


def test_what_was_known_once_stays_known_and_its_interval_on_its_side() -> None:
    made = two()
    random = Random(3)
    while told(made.view().arms[1], "tokens_per_s").verdict == "unknown":
        take(made, answer(random.uniform(0.2, 0.4), 50), answer(random.uniform(0.2, 0.4), 90))
    for _ in range(made.pairs):
        take(made, answer(0.3, 90), answer(0.3, 60))
    figure = told(made.view().arms[1], "tokens_per_s")
    assert figure.verdict == "better"
    assert figure.low is not None
    assert figure.low >= 1
