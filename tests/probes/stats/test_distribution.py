"""What is prepared in parts is read as one."""

import random

import pytest

from probes.stats.centroids import point
from probes.stats.digest import Digest, distribution, quantiles
from probes.stats.distribution import Distribution, read_quantiles

pytestmark = pytest.mark.usefixtures("package")

PROBABILITIES = (0.0, 0.1, 0.5, 0.9, 0.95, 0.99, 1.0)


def digests(seed: int, count: int, *, compacted: bool) -> list[Digest]:
    """Return digests of lognormal samples, some of them equal."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        digest = Digest()
        for _ in range(chance.choice((1, 40, 300))):
            digest.add(round(chance.lognormvariate(0.0, 1.0), chance.choice((1, 6))))
        if compacted:
            digest.compact()
        made.append(digest)
    return made


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("compacted", [False, True])
def test_two_parts_read_as_their_union(seed: int, compacted: bool) -> None:
    every = digests(seed, 9, compacted=compacted)
    whole = quantiles(every, PROBABILITIES)
    parts = (distribution(every[:5]), distribution(every[5:]), distribution([]))
    assert read_quantiles(parts, PROBABILITIES) == pytest.approx(whole)


def test_points_are_read_exactly() -> None:
    digest, other = Digest(), Digest()
    for value in (3.0, 1.0, 2.0):
        digest.add(value)
    other.add(2.5)
    parts = (distribution([digest]), distribution([other]))
    assert read_quantiles(parts, (0.25, 0.5, 0.75, 1.0)) == (1.0, 2.0, 2.5, 3.0)


def test_without_samples_there_is_no_quantile() -> None:
    assert read_quantiles([], (0.5, 0.9)) == (None, None)
    assert read_quantiles([distribution([Digest()])], (0.5,)) == (None,)


def test_n_and_maximum_are_exact() -> None:
    every = digests(1, 6, compacted=True)
    whole = distribution(every)
    assert whole.n == sum(digest.n for digest in every)
    assert whole.maximum == max(digest.maximum for digest in every)


def test_samples_that_are_all_there_read_as_their_points() -> None:
    chance = random.Random(3)
    for n in (1, 2, 40, 300):
        samples = [round(chance.lognormvariate(0.0, 1.0), 1) for _ in range(n)]
        exact = Distribution.of_samples(samples, max(samples))
        points = Distribution(map(point, samples), n, max(samples))
        assert (exact.n, exact.maximum) == (n, max(samples))
        assert read_quantiles([exact], PROBABILITIES) == read_quantiles([points], PROBABILITIES)
        assert exact.below(samples[0])[0] == points.below(samples[0])[0]
