"""What the detector of level shifts says of series that are well, ill, odd or hostile."""

import math
import random

import pytest

from probes.diagnosis.level import Level, LevelShift

S = 1_000_000_000


def feed(
    detector: LevelShift, values: list[float], *, at: int = 0, step: int = 1, evidence: bool = False
) -> int:
    """Feed a value every `step` seconds from second `at` on; return the second after the last."""
    for value in values:
        detector.sample(at * S, value, at * S, evidence=evidence)
        at += step
    return at


def until(
    detector: LevelShift, values: list[float], level: Level, *, at: int = 0, step: int = 1
) -> int | None:
    """Feed until the level is reached; return how many samples that took."""
    for count, value in enumerate(values, 1):
        detector.sample(at * S, value, at * S)
        if detector.level == level:
            return count
        at += step
    return None


def noise(n: int, *, median: float = 0.5, sigma: float = 0.3, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [median * math.exp(rng.gauss(0.0, sigma)) for _ in range(n)]


def learned(*, sigma: float = 0.3, n: int = 400, step: int = 1) -> tuple[LevelShift, int]:
    detector = LevelShift()
    return detector, feed(detector, noise(n, sigma=sigma), step=step)


def test_nothing_is_said_before_there_is_a_usual() -> None:
    detector = LevelShift()
    feed(detector, [0.5] * 59)
    assert (detector.level, detector.usual(0.5), detector.shift()) == ("learning", None, None)
    feed(detector, [0.5], at=59)
    assert (detector.level, detector.n_usual) == ("well", 30)


def test_slow_probes_keep_fewer_samples_on_guard() -> None:
    detector = LevelShift()
    feed(detector, [0.5] * 42, step=5)
    assert detector.n_usual == 30


def test_a_doubled_level_is_named_with_its_onset_and_size() -> None:
    detector, at = learned()
    took = until(detector, noise(110, median=1.0, seed=2), "named", at=at)
    assert took is not None
    assert took <= 40
    assert detector.since_ns is not None
    assert abs(detector.since_ns / S - at) <= 5
    shift = detector.shift()
    assert shift is not None
    assert shift.low < 2.0 < shift.high
    assert shift.ratio == pytest.approx(2.0, rel=0.25)
    assert shift.n_usual == 300


def test_the_levels_come_in_their_order() -> None:
    detector, at = learned()
    said: list[Level] = []
    for value in noise(60, median=1.5, seed=2):
        detector.sample(at * S, value, at * S)
        at += 1
        if not said or said[-1] != detector.level:
            said.append(detector.level)
    assert said == ["well", "suspected", "perhaps", "named"]


@pytest.mark.parametrize("seed", range(5))
def test_an_alarm_clears_within_a_minute_and_leaves_no_trace(seed: int) -> None:
    detector, at = learned()
    usual = detector.usual(0.5)
    at = feed(detector, noise(300, median=1.5, seed=seed), at=at)
    assert detector.level == "named"
    took = until(detector, noise(60, seed=seed + 50), "well", at=at)
    assert took is not None
    assert (detector.since_ns, detector.score, detector.usual(0.5)) == (None, 0.0, usual)


def test_a_constant_series_may_grow_by_a_tenth_and_not_by_half() -> None:
    detector = LevelShift()
    at = feed(detector, [500.0] * 400)
    at = feed(detector, [550.0] * 400, at=at)
    assert detector.level == "well"
    assert until(detector, [825.0] * 20, "named", at=at) is not None


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, 1e300])
def test_no_value_breaks_it(value: float) -> None:
    detector, at = learned()
    at = feed(detector, [value] * 100, at=at)
    shift = detector.shift()
    assert shift is None or math.isfinite(shift.ratio)
    at = feed(detector, noise(600, seed=3), at=at)
    assert detector.level in ("well", "suspected")


def test_evidence_is_judged_and_never_enters_the_reference() -> None:
    detector, at = learned()
    before = [detector.usual(q) for q in (0.0, 0.5, 1.0)]
    at = feed(detector, noise(200, median=0.2), at=at, evidence=True)
    assert [detector.usual(q) for q in (0.0, 0.5, 1.0)] == before
    feed(detector, noise(40, median=1.5), at=at, evidence=True)
    assert detector.level == "named"


def test_what_was_in_doubt_enters_when_the_doubt_has_gone() -> None:
    # Without its upper end the reference would sink, and each gust would count for more.
    detector = LevelShift()
    feed(detector, noise(5000, sigma=0.6))
    assert detector.usual(0.9) == pytest.approx(0.5 * math.exp(0.6 * 1.2816), rel=0.12)


def test_an_open_request_lends_once_and_grows_with_its_age() -> None:
    detector, at = learned()
    detector.lend([(at * S, 0.4)])
    assert detector.score == 0.0
    scores = []
    for age in (0.8, 1.0, 5.0, 50.0, 500.0):
        detector.lend([(at * S, age)])
        scores.append(detector.score)
    assert scores == sorted(scores)
    assert scores[-1] == scores[-2] == 2.25
    assert (detector.level, detector.since_ns) == ("suspected", at * S)
    detector.lend([])
    assert (detector.level, detector.score, detector.since_ns) == ("well", 0.0, None)


def test_open_requests_of_one_second_count_as_one() -> None:
    detector, at = learned()
    detector.lend([(at * S + worker, 50.0) for worker in range(8)])
    assert detector.score == 2.25


def test_a_request_that_was_overtaken_lends_nothing() -> None:
    detector, at = learned()
    began_ns = at * S
    feed(detector, [0.3], at=at + 1)
    detector.lend([(began_ns, 50.0)])
    assert detector.score == 0.0


def test_what_is_open_is_forgotten_with_its_engine() -> None:
    detector, at = learned()
    detector.lend([((at + each) * S, 50.0) for each in range(12)])
    assert detector.level == "named"
    detector.forget_open()
    assert (detector.level, detector.since_ns) == ("well", None)


def test_gross_illness_of_slow_samples_is_named_by_five_of_them() -> None:
    detector, at = learned()
    took = until(detector, [5.0] * 10, "named", at=at, step=5)
    assert took == 5


def test_five_gross_samples_of_a_gust_are_not_named() -> None:
    detector, at = learned()
    assert until(detector, [5.0] * 6, "named", at=at) is None


def test_a_settled_level_is_the_usual() -> None:
    detector, at = learned()
    at = feed(detector, noise(200, median=1.0, seed=2), at=at)
    detector.settle()
    assert detector.level == "well"
    assert detector.usual(0.5) == pytest.approx(1.0, rel=0.1)
    feed(detector, noise(400, median=1.0, seed=3), at=at)
    assert detector.level in ("well", "suspected")


def test_a_level_settled_early_keeps_the_shape_of_the_noise() -> None:
    detector, at = learned()
    feed(detector, noise(25, median=1.5, seed=2), at=at)
    detector.settle()
    assert detector.usual(0.5) == pytest.approx(1.5, rel=0.3)
    assert detector.n_usual == 300


def test_an_heir_judges_by_the_old_reference_at_its_own_level() -> None:
    former, at = learned()
    heir = LevelShift.heir(former)
    at = feed(heir, noise(12, median=2.0, seed=2), at=at)
    assert heir.level == "well"
    assert heir.usual(0.5) == pytest.approx(2.0, rel=0.25)
    assert until(heir, noise(60, median=6.0, seed=3), "named", at=at) is not None


def test_an_heir_of_a_series_that_is_ill_is_ill() -> None:
    former, at = learned()
    at = feed(former, noise(60, median=1.5, seed=2), at=at)
    heir = LevelShift.heir(former)
    at = feed(heir, noise(12, median=3.0, seed=3), at=at)
    assert heir.usual(0.5) == pytest.approx(1.0, rel=0.3)
    assert until(heir, noise(60, median=3.0, seed=4), "named", at=at) is not None


def test_an_heir_of_nothing_learns_afresh() -> None:
    heir = LevelShift.heir(LevelShift())
    feed(heir, [0.5] * 59)
    assert heir.level == "learning"
