"""The smallest sample that is wrong in the same way."""

from collections.abc import Callable
from dataclasses import replace

from sample import Sample

MOST_TRIES = 3_000


def minimised(sample: Sample, is_wrong: Callable[[Sample], bool]) -> Sample:
    """Return the sample with all left out that it can do without, and still be wrong."""
    tries = _Tries(is_wrong)
    for cuts in range(3):
        if tries(simpler := replace(sample, cuts=cuts)):
            sample = simpler
            break
    if sample.framing != "raw" and tries(simpler := replace(sample, framing="close")):
        sample = simpler
    size = None
    while size != len(sample.wire()) and tries.left:
        size = len(sample.wire())
        sample = _without(sample, "body", tries)
        sample = _without(sample, "head", tries)
    return sample


class _Tries:
    def __init__(self, is_wrong: Callable[[Sample], bool]) -> None:
        self._is_wrong = is_wrong
        self.left = MOST_TRIES

    def __call__(self, sample: Sample) -> bool:
        if not self.left:
            return False
        self.left -= 1
        return self._is_wrong(sample)


def _without(sample: Sample, name: str, tries: _Tries) -> Sample:
    """Leave out ever smaller pieces of the head or the body."""
    step = len(getattr(sample, name)) // 2
    while step:
        at = 0
        while at < len(data := getattr(sample, name)):
            shorter = replace(sample, **{name: data[:at] + data[at + step :]})
            if tries(shorter):
                sample = shorter
            else:
                at += step
        step //= 2
    return sample
