"""What is prepared in parts is read as one."""

import math
import random

import pytest

from probes.stats.digest import BUFFER, Digest
from probes.stats.quantiles import Distribution, Quantiles

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


def quantiles(*parts: list[Digest]) -> tuple[float | None, ...]:
    """Return the quantiles of some digests, prepared in parts."""
    return Quantiles([*map(Distribution, parts)]).at(*PROBABILITIES)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("compacted", [False, True])
def test_two_parts_read_as_their_union(seed: int, compacted: bool) -> None:
    every = digests(seed, 9, compacted=compacted)
    assert quantiles(every[:5], every[5:], []) == pytest.approx(quantiles(every))


@pytest.mark.parametrize("n", [1, 2, 40, BUFFER // 2, BUFFER - 1, BUFFER, 2 * BUFFER])
@pytest.mark.parametrize("compacted", [0, 1, 2])
def test_samples_that_are_known_are_read_exactly(n: int, compacted: int) -> None:
    chance = random.Random(n)
    samples = [round(chance.lognormvariate(0.0, 1.0), 2) for _ in range(n)]
    parts = []
    for number in range(0, n, 50):
        digest = Digest()
        for value in samples[number : number + 50]:
            digest.add(value)
        if compacted and number % compacted == 0:
            digest.compact()
        parts.append(digest)
    samples.sort()
    exact = tuple(samples[max(0, math.ceil(p * n - 1e-6) - 1)] for p in PROBABILITIES)
    assert quantiles(parts) == exact
    assert quantiles(*([digest] for digest in parts)) == exact


def test_what_a_sketch_has_rounded_stands_beside_what_is_known() -> None:
    rounded, known = Digest(), Digest()
    for number in range(3 * BUFFER):
        rounded.add(1.0 + number / BUFFER)
    for value in (0.5, 9.0, 9.0):
        known.add(value)
    low, *_, high = quantiles([rounded], [known])
    assert (low, high) == (0.5, 9.0)
    assert Quantiles([Distribution([rounded]), Distribution([known])]).at(0.5)[0] == pytest.approx(
        2.5, rel=0.01
    )


def test_without_samples_there_is_no_quantile() -> None:
    none = (None,) * len(PROBABILITIES)
    assert quantiles() == quantiles([Digest()]) == none


def test_n_and_maximum_are_exact() -> None:
    every = digests(1, 6, compacted=True)
    whole = Quantiles([Distribution(every[:2]), Distribution(every[2:])])
    assert whole.n == sum(digest.n for digest in every)
    assert whole.maximum == max(digest.maximum for digest in every)
