"""How often a comparison claims what is not so, and how soon it knows what is.

Made data through the very fold that a run uses, with all its figures. `python
tests/bench/comparisons.py` prints a table for two routes that are the same (A/A), and for one that
takes a factor longer (A/B).

    --runs N       of each row (default: 200)
    --pairs N      after which a run ends though it does not know (default: the program's own)
    --nature TEXT  only natures with this in their name
    --same         rows of A/A alone
    --rivals       also: intervals of signs alone, of sums of ranks, of sums of the values
    --assert       end with status 1 where a bound does not hold: `MOST_FALSE`, `DECIDED`
"""

import argparse
import math
import sys
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final, NamedTuple

from probes.comparing.arms import arms_of_routes
from probes.comparing.comparison import PairedComparison
from probes.comparing.plan import ALPHA, MOST_PAIRS, ComparisonPlan
from probes.comparing.results import ArmResult
from probes.comparing.views import ComparisonCost, ComparisonVerdict
from probes.config import Route
from probes.stats.confidence_sequence import Centre

MOST_FALSE: Final = 0.02
"""Of A/A runs that claim any difference in any figure."""
DECIDED: Final = 0.95
"""Of A/B runs at ×1.3 with σ 0.5 that know by the pairs whose cost was told."""

Latency = Callable[[Random], float]


def lognormal(sigma: float) -> Latency:
    """Times of one hump."""
    return lambda random: math.exp(random.gauss(0, sigma))


def two_humped(random: Random) -> float:
    """A fifth takes three times as long: a queue, or a cold worker."""
    return math.exp(random.gauss(0, 0.3)) * (3 if random.random() < 0.2 else 1)


def heavy_tailed(random: Random) -> float:
    """A tenth has a tail without a mean to speak of."""
    tail = random.paretovariate(1.1) if random.random() < 0.1 else 1.0
    return math.exp(random.gauss(0, 0.25)) * tail


class Nature(NamedTuple):
    """What a made provider does."""

    name: str
    latency: Latency
    failing: float = 0.0
    gusts: float = 0.0
    """Sigma of a walk that both arms share: what went before shows in what comes."""


NATURES: Final = (
    Nature("lognormal, σ 0.3", lognormal(0.3)),
    Nature("lognormal, σ 0.5", lognormal(0.5)),
    Nature("lognormal, σ 0.9", lognormal(0.9)),
    Nature("two humps", two_humped),
    Nature("heavy tail", heavy_tailed),
    Nature("σ 0.5, 10 % fail", lognormal(0.5), failing=0.1),
    Nature("σ 0.5, gusts", lognormal(0.5), gusts=0.3),
)


class Outcome(NamedTuple):
    """How one made comparison ended."""

    pairs: int
    verdict: ComparisonVerdict
    """Of the deciding figure."""
    claims: int
    """Figures of which a difference was claimed."""


def results(nature: Nature, ratio: float, random: Random) -> Iterator[dict[str, ArmResult]]:
    """Yield blocks of two arms without end; the second takes `ratio` times as long."""
    gust = 0.0
    while True:
        block = {}
        for name, factor in (("one", 1.0), ("two", ratio)):
            gust = 0.95 * gust + random.gauss(0, nature.gusts)
            if random.random() < nature.failing:
                block[name] = ArmResult(ok=False, good=False, throttled=random.random() < 0.5)
                continue
            ttft_s = nature.latency(random) * factor * math.exp(gust)
            speed = 50 * math.exp(random.gauss(0, 0.15))
            e2e_s = ttft_s + 64 / speed
            block[name] = ArmResult(
                good=ttft_s <= 2.5, ttft_s=ttft_s, e2e_s=e2e_s, tokens_per_s=speed
            )
        yield block


def plan(pairs: int) -> ComparisonPlan:
    """Return the plan of two routes."""
    routes = [
        Route(name=name, base_url="http://127.0.0.1/v1", model="m") for name in ("one", "two")
    ]
    return ComparisonPlan(arms_of_routes(routes), most_pairs=pairs)


def compared(nature: Nature, ratio: float, pairs: int, seed: str) -> Outcome:
    """Run one comparison to its end, as a run does."""
    random = Random(seed)
    comparison = PairedComparison(plan(pairs), ComparisonCost(pairs, 2 * pairs + 2, 0, None))
    blocks = results(nature, ratio, random)
    while not comparison.is_known and comparison.pairs < pairs:
        # The order in which they are asked: where nothing differs but the order, nothing does.
        first, second = comparison.next_block(random)
        block = next(blocks)
        comparison.take({first.name: block[first.name], second.name: block[second.name]})
    (told,) = comparison.verdicts()
    claims = sum(verdict in ("better", "worse") for verdict in told.values())
    return Outcome(comparison.pairs, told["ttft"], claims)


def quantile(values: Sequence[int], share: float) -> int:
    """Return a quantile of whole numbers."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def rows(
    runs: int, pairs: int, nature_named: str, *, same: bool
) -> Iterator[tuple[str, float, float, str]]:
    """Yield nature, ratio, share that claims a difference, and the row in words."""
    for nature in (one for one in NATURES if nature_named in one.name):
        for ratio in (1.0,) if same else (1.0, 1.3, 2.0):
            ended = [
                compared(nature, ratio, pairs, f"{nature.name} {ratio} {number}")
                for number in range(runs)
            ]
            right = "worse" if ratio > 1 else None
            claimed = sum(one.claims > 0 for one in ended) / runs
            known = sum(one.verdict == right for one in ended) / runs
            wrong = sum(one.verdict == "better" for one in ended) / runs
            took = [one.pairs for one in ended]
            words = (
                f"{nature.name:<18} ×{ratio:<4} any claim {claimed:6.1%}  slower {known:6.1%}"
                f"  faster {wrong:6.1%}  pairs p50 {quantile(took, 0.5):>4}"
                f"  p95 {quantile(took, 0.95):>4}"
            )
            yield nature.name, ratio, claimed if ratio == 1 else known, words


# Rivals of the interval that is used, on the deciding figure alone.


class Signs:
    """Whether a difference is above 0 or below: the beta-binomial mixture."""

    def __init__(self) -> None:
        self.up = self.n = 0

    def add(self, value: float) -> float:
        """Take a difference; return the logarithm of the evidence."""
        self.up += value > 0
        self.n += 1
        whole = _log_beta(self.up + 0.5, self.n - self.up + 0.5) - _log_beta(0.5, 0.5)
        return whole + self.n * math.log(2)


class Sums:
    """Sums of signed scores against the sum of their squares: a normal mixture (de la Peña)."""

    def __init__(self, variance: float, score: Callable[[float, float], float]) -> None:
        self._sizes: list[float] = []
        self._sum = self._squares = 0.0
        self._variance, self._score = variance, score

    def add(self, value: float) -> float:
        """Take a difference; return the logarithm of the evidence."""
        rank = (bisect_left(self._sizes, abs(value)) + 1) / (len(self._sizes) + 2)
        insort(self._sizes, abs(value))
        score = self._score(value, rank)
        self._sum += score
        self._squares += score * score
        spread = self._squares + self._variance
        return self._sum**2 / (2 * spread) + math.log(self._variance / spread) / 2


class Ours:
    """The one that is used: bets on signed ranks."""

    def __init__(self) -> None:
        self._centre = Centre(0.0)

    def add(self, value: float) -> float:
        """Take a difference; return the logarithm of the evidence."""
        self._centre.add(value)
        return self._centre.against


RIVALS: Final[dict[str, Callable[[], Signs | Sums | Ours]]] = {
    "bets on signed ranks": Ours,
    "signs, beta mixture": Signs,
    "signed ranks, normal": lambda: Sums(5.0, lambda value, rank: math.copysign(rank, value)),
    "values, normal": lambda: Sums(3.0, lambda value, _rank: value),
}


def rivals(runs: int) -> Iterator[str]:
    """Yield how many pairs each needs, and how often it claims what is not so."""
    needed = math.log(2 / ALPHA)  # half of alpha, as the deciding figure has
    for nature in NATURES[:5]:
        for ratio, most in ((1.0, 400), (1.3, 800), (2.0, 300)):
            took: dict[str, list[int]] = {name: [] for name in RIVALS}
            for number in range(runs):
                random = Random(f"{nature.name} {ratio} {number}")
                live = {name: make() for name, make in RIVALS.items()}
                for n in range(1, most + 1):
                    one, two = nature.latency(random), nature.latency(random) * ratio
                    value = math.log(two / one)
                    for name in list(live):
                        if live[name].add(value) >= needed:
                            took[name].append(n)
                            del live[name]
                    if not live:
                        break
            told = []
            for name, found in took.items():
                whole = found + [most] * (runs - len(found))
                middle, late = quantile(whole, 0.5), quantile(whole, 0.95)
                told.append(
                    f"{name} {len(found) / runs:.1%}" if ratio == 1 else f"{name} {middle}/{late}"
                )
            yield f"{nature.name:<18} ×{ratio:<4} {'  '.join(told)}"


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=MOST_PAIRS)
    parser.add_argument("--nature", default="")
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--rivals", action="store_true")
    parser.add_argument("--assert", action="store_true", dest="asserts")
    asked = parser.parse_args(arguments)
    false: list[float] = []
    failed = []
    for name, ratio, share, words in rows(asked.runs, asked.pairs, asked.nature, same=asked.same):
        write(words)
        if ratio == 1.0:
            false.append(share)
        elif ratio == 1.3 and name == "lognormal, σ 0.5" and share < DECIDED:
            failed.append(f"{name}: only {share:.1%} of A/B runs at ×1.3 are decided")
    # Over all of them: of 200 runs of one nature one more or less is half a per cent.
    whole = sum(false) / len(false)
    write(f"of all {len(false) * asked.runs:,} A/A runs {whole:.2%} claim any difference")
    if whole > MOST_FALSE:
        failed.append(f"{whole:.2%} of A/A runs claim a difference")
    if asked.rivals:
        for words in rivals(asked.runs):
            write(words)
    for problem in failed:
        write(problem)
    return int(bool(failed and asked.asserts))


def write(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
