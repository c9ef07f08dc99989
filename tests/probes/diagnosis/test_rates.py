"""What the detector of shares says of failures that are usual, many, few and over."""

import random

import pytest

from probes.diagnosis.rates import ShareShift

S = 1_000_000_000


def feed(shares: ShareShift, failed: list[bool], *, at: int = 0) -> int:
    for each in failed:
        shares.second(at * S, each, at * S)
        at += 1
    return at


def until_named(shares: ShareShift, failed: list[bool], *, at: int) -> int | None:
    for count, each in enumerate(failed, 1):
        shares.second(at * S, each, at * S)
        if shares.level == "named":
            return count
        at += 1
    return None


def chance(n: int, share: float, seed: int = 1) -> list[bool]:
    rng = random.Random(seed)
    return [rng.random() < share for _ in range(n)]


def test_one_failure_says_nothing() -> None:
    shares = ShareShift()
    at = feed(shares, [False] * 100 + [True])
    assert (shares.level, shares.since_ns) == ("well", (at - 1) * S)
    feed(shares, [False] * 30, at=at)
    assert (shares.level, shares.score, shares.since_ns) == ("well", 0.0, None)


def test_six_in_a_row_are_named_with_their_share_and_onset() -> None:
    shares = ShareShift()
    at = feed(shares, [False] * 300)
    assert until_named(shares, [True] * 10, at=at) == 6
    assert (shares.share, shares.n, shares.since_ns) == (1.0, 6, at * S)


@pytest.mark.parametrize(("share", "within"), [(0.1, 250), (0.2, 100), (0.5, 30)])
def test_a_share_is_named_in_time(share: float, within: int) -> None:
    shares = ShareShift()
    at = feed(shares, chance(600, 0.002))
    took = until_named(shares, chance(600, share, seed=2), at=at)
    assert took is not None
    assert took <= within


def test_a_steady_share_is_the_usual_one() -> None:
    shares = ShareShift()
    feed(shares, chance(4000, 0.02))
    assert shares.level in ("well", "suspected")
    assert shares.usual_share == pytest.approx(0.02, abs=0.008)


@pytest.mark.parametrize("seed", [121, 139, 171, 188])
def test_a_share_that_was_there_from_the_start_is_the_usual_one(seed: int) -> None:
    # Of 300 runs these are falsely named where weak doubt never enters what is usual.
    shares = ShareShift()
    assert until_named(shares, chance(1200, 0.03, seed=seed), at=0) is None


def test_an_early_onset_is_named_all_the_same() -> None:
    shares = ShareShift()
    at = feed(shares, [False] * 120)
    took = until_named(shares, chance(300, 0.1, seed=2), at=at)
    assert took is not None
    assert took <= 250


def test_an_alarm_clears_within_a_minute_of_successes() -> None:
    shares = ShareShift()
    at = feed(shares, [False] * 300)
    at = feed(shares, chance(200, 0.3), at=at)
    assert shares.level == "named"
    before = shares.usual_share
    feed(shares, [False] * 60, at=at)
    assert (shares.level, shares.n, shares.usual_share) == ("well", 0, before)


def test_attempts_of_one_second_weigh_as_one() -> None:
    eight, one = ShareShift(), ShareShift()
    for second in range(20):
        failed = second >= 16
        one.second(second * S, failed, second * S)
        for worker in range(8):
            eight.second(second * S + worker * S // 8, failed, second * S)
    assert eight.score == pytest.approx(one.score, rel=0.02)
    assert (eight.n, one.n) == (32, 4)


def test_two_attempts_within_a_second_of_the_clock_weigh_one_each() -> None:
    # A probe a second ends at 0.0, 1.1, 1.9, 3.1, 3.9 ...
    paired, even = ShareShift(), ShareShift()
    for second in range(6):
        even.second(second * S, True, second * S)
        paired.second(second * S + (second % 2) * S // 10, True, second * S)
    # Ends that are not quite a second apart are worth not quite one each.
    assert paired.score == pytest.approx(even.score, rel=0.02)


def test_a_second_counts_by_the_share_of_its_attempts() -> None:
    shares = ShareShift()
    for second in range(300):
        for worker in range(8):
            shares.second(second * S + worker, worker == second % 80, second * S)
    assert shares.level in ("well", "suspected")


def test_what_may_be_usual_is_learned_first() -> None:
    cold = ShareShift(learned=30)
    at = feed(cold, [True] * 29)
    assert cold.level == "learning"
    feed(cold, [True] * 600, at=at)
    assert (cold.level, cold.usual_share) == ("well", 1.0)
    kept = ShareShift(learned=30)
    at = feed(kept, [False] * 100)
    assert until_named(kept, [True] * 30, at=at) is not None


def test_evidence_never_enters_what_is_usual() -> None:
    shares = ShareShift()
    for second in range(200):
        shares.second(second * S, False, second * S, evidence=True)
    assert shares.n_usual == 0


def test_a_settled_share_is_the_usual_one() -> None:
    shares = ShareShift()
    at = feed(shares, [False] * 300)
    at = feed(shares, chance(400, 0.3), at=at)
    assert shares.level == "named"
    shares.settle()
    assert shares.usual_share == pytest.approx(0.3, abs=0.06)
    feed(shares, chance(600, 0.3, seed=3), at=at)
    assert shares.level != "named"


def test_an_alarm_of_thickened_probes_clears_as_soon() -> None:
    took = []
    for evidence in (False, True):
        shares, at = ShareShift(), 300
        feed(shares, [False] * at)
        for failed in chance(100, 0.3):
            shares.second(at * S, failed, at * S, evidence=evidence)
            at += 1
        assert shares.level == "named"
        begin = at
        while shares.level == "named":
            shares.second(at * S, False, at * S, evidence=evidence)
            at += 1
        took.append(at - begin)
    assert took[1] == took[0] <= 60
