"""Does a warm start help, and does it mislead? `python tests/bench/warm_start.py [--runs 200]`.

A series of one sample a second learns for some minutes and hands on what is usual; the next run
begins with that. In some the level changes after 5 or 10 s; in others it is not that of yesterday
from the first sample on, which is no event of the run and must not be named as one. Printed is how
many are named within ten minutes, and after how many seconds; beside it the same without what was
handed on. Then a whole detector, over hours of calm starts on rough noise.
"""

import argparse
import random
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[n]) for n in (2, 1)]
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "probes")]

from diagnosis_streams import Yard, probed  # noqa: E402

from probes.diagnosis.level import LevelShift  # noqa: E402
from probes.kit.clock import NS_PER_S  # noqa: E402

CASES = (
    *((3.0, 5), (2.0, 5), (3.0, 10), (2.0, 10)),
    *((1.0, 0), (1.2, 0), (1.3, 0), (1.5, 0), (2.0, 0), (3.0, 0), (0.5, 0)),
)
SECONDS = 600
MOST_FALSE = 0.1
"""Of runs whose level is another from the start, at σ 0.3: more would be worse than no memory."""


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def named_after(factor: float, at_s: int, sigma: float, seed: int, *, warm: bool) -> int | None:
    """Return how many seconds after the change a series is named; None where it is not."""
    chance = random.Random(seed)
    before, shift = LevelShift(), LevelShift()
    if warm:
        for second in range(400):
            value = chance.lognormvariate(0, sigma)
            before.sample(second * NS_PER_S, value, second * NS_PER_S - NS_PER_S // 2)
        handed = before.reference()
        assert handed is not None
        shift.remember(*handed)
    for second in range(SECONDS):
        value = (factor if second >= at_s else 1.0) * chance.lognormvariate(0, sigma)
        shift.sample(second * NS_PER_S, value, second * NS_PER_S - NS_PER_S // 2)
        if shift.named_since_ns is not None:
            return second - at_s
    return None


def calm_starts(runs: int) -> int:
    """Return how many words were said in so many calm runs of ten minutes."""
    said = 0
    for seed in range(runs):
        chance = random.Random(seed)
        sigma, other = chance.choice((0.2, 0.4, 0.6)), chance.choice((0.85, 0.9, 1.0, 1.1, 1.15))
        before = Yard(probed())
        for _ in range(300):
            before.second({"alpha": {"wait_s": 0.4 * chance.lognormvariate(0, sigma)}})
        yard = Yard(probed())
        for reference in before.diagnostician.references():
            yard.fold(type(reference)(**{**_fields(reference), "at_ns": yard.events[0].at_ns}))
        for _ in range(SECONDS):
            yard.second({"alpha": {"wait_s": other * 0.4 * chance.lognormvariate(0, sigma)}})
        said += any(one.state == "named" for one in yard.told)
    return said


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__struct_fields__}  # type: ignore[attr-defined]


def main() -> int:
    """Print both; status 1 where another level is named too often, or a calm start is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    given = parser.parse_args()
    bad = False
    say("  σ    change     warm: named  median  p95 s    cold: named")
    for sigma in (0.1, 0.3, 0.6):
        for factor, at_s in CASES:
            found = [named_after(factor, at_s, sigma, n, warm=True) for n in range(given.runs)]
            cold = [named_after(factor, at_s, sigma, n, warm=False) for n in range(given.runs // 4)]
            after = sorted(one for one in found if one is not None)
            share = len(after) / len(found)
            cold_share = sum(one is not None for one in cold) / max(1, len(cold))
            middle = (
                f"{after[len(after) // 2]:>6}{after[int(0.95 * len(after))]:>7}"
                if after
                else " " * 13
            )
            is_bad = at_s == 0 and sigma <= 0.3 and share > MOST_FALSE
            bad = bad or is_bad
            when = f"×{factor:g} at {at_s} s"
            say(
                f"{sigma:>4} {when:>11} {share:>13.0%} {middle} {cold_share:>14.0%}"
                + " BEYOND" * is_bad
            )
    runs = max(1, given.runs // 10)
    said = calm_starts(runs)
    say(f"calm starts, whole detector, ten minutes each: {said} of {runs} named anything")
    return int(bad or said > 0)


if __name__ == "__main__":
    sys.exit(main())
