"""A few of the made comparisons that the benchmark plays by the hundred."""

import pytest
from bench.comparisons import NATURES, compared

BY_NAME = {nature.name: nature for nature in NATURES}


@pytest.mark.parametrize("name", ["lognormal, σ 0.5", "σ 0.5, 10 % fail"])
def test_two_that_are_the_same_are_hardly_ever_told_apart(name: str) -> None:
    ended = [compared(BY_NAME[name], 1.0, 120, f"same {number}") for number in range(60)]
    assert sum(one.claims > 0 for one in ended) <= 2


def test_one_that_takes_30_per_cent_longer_is_found_within_the_pairs_that_were_told() -> None:
    nature = BY_NAME["lognormal, σ 0.5"]
    ended = [compared(nature, 1.3, 300, f"slower {number}") for number in range(40)]
    assert sum(one.verdict == "worse" for one in ended) >= 38
    assert sum(one.verdict == "better" for one in ended) == 0


def test_what_fails_now_and_then_hides_no_difference() -> None:
    nature = BY_NAME["σ 0.5, 10 % fail"]
    ended = [compared(nature, 2.0, 300, f"failing {number}") for number in range(20)]
    assert {one.verdict for one in ended} == {"worse"}
