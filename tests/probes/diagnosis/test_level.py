"""What the detector of level shifts says of series that are well, ill, odd or hostile."""

import math
import random
import sys

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


def test_the_interval_is_that_of_the_order_statistics() -> None:
    # Of twelve samples the third and the tenth hold the median with 96 %.
    detector = LevelShift()
    at = feed(detector, [1.0] * 400)
    feed(detector, [2.0 + each / 10 for each in range(12)], at=at)
    shift = detector.shift()
    assert shift is not None
    assert (shift.n_now, shift.now, shift.usual) == (12, pytest.approx(2.55), 1.0)
    assert (shift.low, shift.high) == (pytest.approx(2.2), pytest.approx(2.9))


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


def test_a_young_reference_that_lies_low_by_chance_goes_on_learning() -> None:
    detector = LevelShift()
    at = feed(detector, [0.5] * 60)
    feed(detector, [0.7, 0.5, 0.7, 0.5, 0.7] * 60, at=at)
    assert detector.level in ("well", "suspected")
    assert detector.n_usual > 150


def test_an_open_request_lends_once_and_grows_with_its_age() -> None:
    detector, at = learned()
    detector.lend([(at * S, 0.4)])
    assert detector.score == 0.0
    scores = []
    for age in (0.8, 1.0, 2.0, 50.0, 500.0):
        detector.lend([(at * S, age)])
        scores.append(detector.score)
    assert scores == sorted(scores)
    assert scores[-1] == scores[-2] == 3.0
    assert (detector.level, detector.since_ns) == ("suspected", at * S)
    detector.lend([])
    assert (detector.level, detector.score, detector.since_ns) == ("well", 0.0, None)


def test_open_requests_of_one_second_count_as_one() -> None:
    detector, at = learned()
    detector.lend([(at * S + worker, 50.0) for worker in range(8)])
    assert detector.score == 3.0


def test_a_request_that_others_overtake_is_no_older_than_their_last_answer() -> None:
    detector, at = learned()
    began_ns = at * S
    at = feed(detector, noise(50), at=at)
    newest_ns = (at - 1) * S
    detector.lend([(began_ns, 50.0)], newest_ns)
    assert detector.score == 0.0
    detector.lend([(began_ns, 50.4)], newest_ns + 4 * S // 10)
    assert detector.score == 0.0
    detector.lend([(began_ns, 55.0)], newest_ns + 5 * S)
    assert detector.score == 3.0


def test_those_that_wait_since_the_last_answer_wait_together() -> None:
    detector, at = learned()
    began = [(at + each) * S for each in range(8)]
    at = feed(detector, [0.5] * 9, at=at)
    detector.lend([(each, 50.0) for each in began], (at + 60) * S)
    assert detector.score == 3.0


def test_an_open_request_names_nothing_that_its_sample_would_not_name() -> None:
    detector, at = learned()
    at = feed(detector, [5.0] * 9, at=at)
    before = detector.score
    detector.lend([(at * S, 50.0)], at * S + 50 * S)
    assert detector.score == before + 3.0
    detector.lend([(at * S, 50.0), ((at + 1) * S, 49.0)], at * S + 50 * S)
    assert (detector.level, before) == ("perhaps", 11.25)


def test_what_is_open_is_forgotten_with_its_engine() -> None:
    detector, at = learned()
    detector.lend([((at + each) * S, 50.0) for each in range(20)])
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


def test_what_is_only_suspected_when_a_level_is_accepted_goes_along() -> None:
    """It moved with what was accepted, and would be named next, as if it were another fault."""
    detector, at = learned()
    at = feed(detector, noise(5, median=2.0, seed=2), at=at)
    assert detector.level == "suspected"
    detector.settle()
    at = feed(detector, noise(12, median=2.0, seed=3), at=at)
    assert detector.level == "well"
    assert detector.usual(0.5) == pytest.approx(2.0, rel=0.25)
    assert until(detector, noise(300, median=2.0, seed=4), "perhaps", at=at) is None


def test_of_what_is_well_nothing_is_accepted() -> None:
    detector, _ = learned()
    usual = detector.usual(0.5)
    assert detector.level == "well"
    detector.settle()
    assert (detector.level, detector.usual(0.5)) == ("well", usual)


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


def test_a_hang_that_is_named_on_loan_has_an_onset_and_is_cleared_by_good_samples() -> None:
    detector, at = learned()
    began_ns = at * S
    detector.lend([(began_ns + each * S, 50.0) for each in range(20)])
    assert detector.level == "named"
    detector.lend([])
    assert (detector.level, detector.since_ns) == ("named", began_ns)
    at = feed(detector, noise(30, seed=4), at=at + 20)
    assert (detector.level, detector.since_ns) == ("well", None)


def test_a_level_settled_on_loan_is_no_alarm_any_more() -> None:
    detector, at = learned()
    usual = detector.usual(0.5)
    detector.lend([((at + each) * S, 50.0) for each in range(20)])
    detector.settle()
    detector.lend([])
    assert (detector.level, detector.usual(0.5)) == ("well", usual)


def test_the_end_of_an_alarm_asks_for_more_probes() -> None:
    detector, at = learned()
    at = feed(detector, noise(60, median=1.5, seed=2), at=at)
    assert not detector.clearing
    feed(detector, noise(4, seed=3), at=at)
    assert detector.clearing
    feed(detector, noise(60, seed=3), at=at + 4)
    assert not detector.clearing


def test_gross_illness_is_named_although_outliers_have_stretched_the_reference() -> None:
    detector = LevelShift()
    usual = noise(400)
    usual[::40] = [4.0] * 10
    at = feed(detector, usual)
    took = until(detector, noise(12, median=4.0, sigma=0.1, seed=2), "named", at=at, step=4)
    assert took is not None
    assert took <= 7  # by the score alone it takes sixteen


def test_seconds_that_resemble_each_other_raise_the_bar() -> None:
    def alike(likeness: float) -> LevelShift:
        rng, level, detector = random.Random(5), 0.0, LevelShift()
        for second in range(2000):
            level = likeness * level + rng.gauss(0.0, math.sqrt(1.0 - likeness**2))
            detector.sample(second * S, 0.5 * math.exp(0.5 * level), second * S)
        return detector

    took = [until(alike(each), [1.5] * 60, "named", at=2000) for each in (0.0, 0.8)]
    assert took[0] is not None
    assert took[1] is not None
    assert took[1] > 1.3 * took[0]


def test_coming_back_to_where_the_hour_was_is_no_shift() -> None:
    detector, at = learned(sigma=0.1, n=1500)
    at = feed(detector, noise(600, median=0.38, sigma=0.1, seed=2), at=at)
    assert until(detector, noise(300, sigma=0.1, seed=3), "perhaps", at=at) is None


def test_what_creeps_is_held_against_the_run_and_settled_by_hand() -> None:
    detector, at = learned(n=3600)
    ramp = [value * math.exp(second / 7200) for second, value in enumerate(noise(7200, seed=2))]
    named_at = None
    for value in ramp:
        detector.sample(at * S, value, at * S)
        at += 1
        if detector.ramp_since_ns is not None and named_at is None:
            named_at = at
    assert named_at is not None
    shift = detector.ramp()
    assert shift is not None
    assert shift.low > 1.5
    assert detector.ramp_since_ns is not None
    assert abs(detector.ramp_since_ns / S - 3600) < 900
    assert detector.level in ("well", "suspected")
    detector.settle()
    assert (detector.ramp(), detector.ramp_since_ns) == (None, None)


def test_a_ramp_ends_when_the_level_is_back() -> None:
    detector, at = learned(n=3600)
    ramp = [value * math.exp(second / 7200) for second, value in enumerate(noise(6600, seed=2))]
    at = feed(detector, ramp, at=at)
    assert detector.ramp() is not None
    feed(detector, noise(900, seed=3), at=at)
    assert detector.ramp() is None


def test_a_day_is_no_ramp() -> None:
    detector = LevelShift()
    for second in range(0, 86_400, 2):
        value = 0.5 * math.exp(-0.2 * math.cos(2 * math.pi * second / 86_400))
        detector.sample(second * S, value, second * S)
        assert detector.ramp_since_ns is None


@pytest.mark.parametrize(
    ("sigma", "low", "high"), [(0.1, 1.2, 1.3), (0.3, 1.25, 1.5), (0.9, 1.5, 2)]
)
def test_the_more_restless_a_series_the_larger_what_can_be_told(
    sigma: float, low: float, high: float
) -> None:
    detector, at = learned(sigma=sigma)
    restless = detector.restless
    assert restless is not None
    assert low <= restless <= high
    worse = noise(300, median=0.5 * restless * 1.1, sigma=sigma, seed=2)
    assert until(detector, worse, "named", at=at) is not None


def test_memory_is_bounded() -> None:
    detector, at = learned(n=20_000)
    feed(detector, [50.0] * 2000, at=at)
    held = sys.getsizeof(detector) + sum(
        sys.getsizeof(getattr(detector, name)) for name in LevelShift.__slots__
    )
    assert held < 8_500
