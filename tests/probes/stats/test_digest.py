"""Percentiles are held to the exact ones of the same samples, by rank."""

import math
import pickle
import random
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from probes.stats import digest as digest_module
from probes.stats.centroids import POINT_WIDTH, Centroid
from probes.stats.digest import BUFFER, CENTROIDS, Digest
from probes.stats.quantiles import Distribution, Quantiles
from probes.stats.sketch import (
    BACKEND,
    FAST_LIMIT,
    SKETCHES,
    TREE_LIMIT,
    FastSketch,
    TreeSketch,
    new_sketch,
)

pytestmark = pytest.mark.usefixtures("package")

Draw = Callable[[random.Random], float]

DISTRIBUTIONS: dict[str, Draw] = {
    "lognormal": lambda r: r.lognormvariate(-1.0, 0.6),
    "bimodal": lambda r: r.gauss(0.2, 0.02) if r.random() < 0.5 else r.gauss(2.0, 0.3),
    "pareto": lambda r: 0.1 * r.paretovariate(1.1),
    "constant": lambda r: 0.3,
    "duplicates": lambda r: r.choice((0.2,) * 10 + (0.5, 0.7, r.random())),
    "milliseconds": lambda r: round(r.lognormvariate(-1.0, 0.6), 2),
}
TOLERANCES = {0.5: 0.01, 0.95: 0.005, 0.99: 0.002}
ROUNDING = 1e-9


def quantiles(digests: list[Digest], probabilities: tuple[float, ...]) -> tuple[float | None, ...]:
    return Quantiles([Distribution(digests)]).at(*probabilities)


def rank_error(ordered: list[float], value: float, probability: float) -> float:
    width = POINT_WIDTH * abs(value)
    low = bisect_left(ordered, value - width) / len(ordered)
    high = bisect_right(ordered, value + width) / len(ordered)
    return max(0.0, low - probability, probability - high)


def union(draw: Draw, slices: int, each: int, seed: int) -> tuple[list[Digest], list[float]]:
    source = random.Random(seed)
    digests, samples = [], []
    for _ in range(slices):
        digest = Digest()
        for _ in range(each):
            samples.append(draw(source))
            digest.add(samples[-1])
        digest.compact()
        digests.append(digest)
    return digests, sorted(samples)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize(
    ("slices", "each"), [(1, 300), (1, 2_000), (1, 8_000), (7, 150), (30, 90), (90, 70)]
)
def test_ranks_are_within_tolerance_of_the_exact_percentiles(
    name: str, slices: int, each: int
) -> None:
    digests, samples = union(DISTRIBUTIONS[name], slices, each, seed=slices + each)
    for (probability, tolerance), value in zip(
        TOLERANCES.items(), quantiles(digests, tuple(TOLERANCES)), strict=True
    ):
        assert value is not None
        assert rank_error(samples, value, probability) <= tolerance + ROUNDING


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_n_minimum_and_maximum_stay_exact(name: str) -> None:
    [digest], samples = union(DISTRIBUTIONS[name], 1, 1_000, seed=5)
    assert (digest.n, digest.maximum) == (1_000, samples[-1])
    assert quantiles([digest], (0.0, 1.0)) == (samples[0], samples[-1])


@pytest.mark.parametrize("each", [100, BUFFER, 3_000])
def test_a_compacted_digest_keeps_few_sorted_centroids_and_all_the_weight(each: int) -> None:
    [digest], _ = union(DISTRIBUTIONS["lognormal"], 1, each, seed=6)
    centroids = digest.centroids()
    assert len(centroids) <= CENTROIDS
    assert centroids == sorted(centroids)
    assert math.isclose(sum(weight for _, weight, *_ in centroids), each)
    assert all(low <= mean <= high for mean, _, low, high, _ in centroids)


@pytest.mark.parametrize("compacted", [False, True])
def test_nothing_is_interpolated_between_heavy_duplicates(compacted: bool) -> None:
    digest = Digest()
    for value in [0.2] * 900 + [0.5] * 90:
        digest.add(value)
    if compacted:
        digest.compact()
    # A package may round the mean of equal samples.
    assert quantiles([digest], (0.5, 0.9, 0.95)) == pytest.approx((0.2, 0.2, 0.5), rel=POINT_WIDTH)


def test_duplicates_survive_among_many_different_values() -> None:
    source = random.Random(8)
    digest = Digest()
    for _ in range(3_000):
        digest.add(0.25 if source.random() < 0.6 else source.uniform(0.3, 4.0))
    digest.compact()
    assert quantiles([digest], (0.1, 0.5)) == (0.25, 0.25)


def test_few_samples_are_read_exactly() -> None:
    one, other = Digest(), Digest()
    for value in (3.0, 1.0):
        one.add(value)
    other.add(2.0)
    one.compact()
    assert quantiles([one, other], (0.0, 0.5, 0.67, 1.0)) == (1.0, 2.0, 3.0, 3.0)


def test_without_samples_there_is_no_quantile() -> None:
    assert quantiles([Digest()], (0.5, 0.99)) == (None, None)
    assert quantiles([], (0.5,)) == (None,)


def test_few_different_samples_cost_little_once_they_are_compacted() -> None:
    chance = random.Random(5)
    values = [chance.random() for _ in range(CENTROIDS)]
    digest = Digest()
    for value in values:
        digest.add(value)
    before = sorted(digest.centroids())
    digest.compact()
    kept = sum(map(sys.getsizeof, (digest._samples, digest._packed, *digest._packed)))
    assert kept < 16 * CENTROIDS, "five numbers each would be 40"
    assert digest.centroids() == before
    assert list(digest.samples() or ()) == sorted(values)
    wider = Digest()
    wider.absorb(digest)
    assert sorted(wider.centroids()) == before


def test_samples_after_compacting_are_counted_too() -> None:
    digest = Digest()
    for value in range(100):
        digest.add(float(value))
    digest.compact()
    for _ in range(300):
        digest.add(1_000.0)
    digest.compact()
    assert digest.n == 400
    assert len(digest.centroids()) <= CENTROIDS
    assert quantiles([digest], (0.2, 0.5))[1] == 1_000.0


def test_the_same_samples_give_the_same_centroids_whatever_the_global_random_state() -> None:
    def centroids(state: int) -> list[Centroid]:
        random.seed(state)
        [digest], _ = union(DISTRIBUTIONS["bimodal"], 1, 3_000, seed=3)
        return digest.centroids()

    assert centroids(1) == centroids(2)


def test_memory_of_an_open_digest_is_bounded() -> None:
    digest = Digest()
    source = random.Random(4)
    for _ in range(30_000):
        digest.add(source.lognormvariate(0.0, 1.0))
    assert digest.n == 30_000
    assert len(digest.centroids()) <= max(FAST_LIMIT, TREE_LIMIT) + BUFFER


def test_values_closer_than_a_nanosecond_in_a_second_make_a_point() -> None:
    digest = Digest()
    for step in range(200):
        digest.add(0.3 + step * 1e-16)
    digest.compact()
    assert all(low == high for _, _, low, high, _ in digest.centroids())
    assert quantiles([digest], (0.5,))[0] == pytest.approx(0.3)


@pytest.mark.skipif(BACKEND != "fastdigest", reason="fastdigest is not installed")
@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("each", [700, 8_000])
def test_the_packages_agree_within_a_hundredth_in_rank(
    name: str, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for make in SKETCHES.values():
        monkeypatch.setattr(digest_module, "new_sketch", make)
        digests, samples = union(DISTRIBUTIONS[name], 1, each, seed=each)
        found.append(quantiles(digests, tuple(TOLERANCES)))
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        low, high = (bisect_right(samples, value) / each for value in sorted((one, other)))
        assert high - low <= 0.01 or one == pytest.approx(other, rel=POINT_WIDTH)


def test_the_package_that_is_used_is_the_one_that_is_installed() -> None:
    installed = find_spec("fastdigest") is not None
    assert ("fastdigest" if installed else "tdigest") == BACKEND
    assert isinstance(new_sketch(), FastSketch if installed else TreeSketch)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.stats.sketch._FAST", None)
    with pytest.raises(RuntimeError, match=r"llmtop-tui\[fast\]"):
        FastSketch()


def test_a_heavy_point_is_still_one_after_a_long_time() -> None:
    source, digest = random.Random(9), Digest()
    for _ in range(20_000):
        digest.add(0.25 if source.random() < 0.3 else source.uniform(0.0, 0.5))
    low, high = quantiles([digest], (0.36, 0.64))
    assert low == pytest.approx(0.25, rel=POINT_WIDTH)
    assert high == pytest.approx(0.25, rel=POINT_WIDTH)


def test_a_digest_absorbs_another_with_all_its_weight() -> None:
    whole, digests = Digest(), []
    for seed in range(40):
        [digest], _ = union(DISTRIBUTIONS["lognormal"], 1, 90, seed=seed)
        digests.append(digest)
        whole.absorb(digest)
    assert whole.n == 40 * 90
    assert whole.maximum == max(digest.maximum for digest in digests)
    assert math.isclose(sum(weight for _, weight, *_ in whole.centroids()), 40 * 90)
    assert quantiles([whole], (0.5, 0.95)) == pytest.approx(
        quantiles(digests, (0.5, 0.95)), rel=0.05
    )


def test_a_copy_has_what_is_frozen_in_common_and_goes_on_to_the_same_digits() -> None:
    chance = random.Random(7)
    run = Digest()

    def minutes(count: int) -> Iterator[Digest]:
        for _ in range(count):
            minute = Digest()
            for _ in range(200):
                minute.add(chance.lognormvariate(0, 1))
            minute.compact()
            yield minute

    def state_of(digest: Digest) -> dict[str, Any]:
        return digest.__getstate__()[1]

    for minute in minutes(20):
        run.absorb(minute)
    first = state_of(run)
    last = next(minutes(1))
    run.absorb(last)
    second = state_of(run)
    assert first["_shared_sketch"] is second["_shared_sketch"] is not None
    assert second["_packed"][:-1] == first["_packed"], "the arrays of before"
    assert second["_packed"][-1] is last._packed[0], "and the minute's own"
    copy: Digest = pickle.loads(pickle.dumps(run))  # noqa: S301 - our own
    for minute in minutes(10):
        run.absorb(minute)
        copy.absorb(minute)
        assert copy.centroids() == run.centroids()
    assert state_of(run)["_shared_sketch"] is not first["_shared_sketch"], "it has eaten since"
