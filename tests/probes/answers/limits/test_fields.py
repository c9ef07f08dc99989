"""Periods in seconds as people name them."""

import pytest

from probes.events.limit_periods import window_of

DAY_S = 86_400


@pytest.mark.parametrize(
    ("seconds", "named"),
    [
        *((1, "second"), (60, "minute"), (3_600, "hour"), (DAY_S, "day")),
        *((27 * DAY_S, "27d"), (28 * DAY_S, "month"), (31 * DAY_S, "month"), (32 * DAY_S, "32d")),
        *((7 * DAY_S, "7d"), (18_000, "5h"), (300, "5min"), (90, "90s")),
    ],
)
def test_a_period_has_the_name_that_people_give_it(seconds: float, named: str) -> None:
    assert window_of(seconds) == named
