"""When a limit is back, as servers put it in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.limits.resets import reset_in_words_s, reset_s_of

WALL_NS = 1_795_430_000 * 10**9  # 2026-11-23T10:33:20Z
HOUR = 3600.0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Your quota will reset after 8h44m7s.", 31_447.0),
        ("Please try again in 644ms.", 0.644),
        ("Please try again in 4h 13m.", 15_180.0),
        ("Try again in 2 days, 3 hours and 4 minutes.", 183_840.0),
        ("try again after 1 seconds", 1.0),
        ("Please retry after 86400 seconds.", 86_400.0),
        ("You have hit your usage limit. Try again in ~153 min.", 9180.0),
        ("limit resets in: 30 s", 30.0),
        ("请在 30 秒后重试", 30.0),
        ("resets at 2026-11-23T15:00:00Z (2056)", 16_000.0),
        ("Limit resets at: 2026-11-23 11:33:20 UTC", HOUR),
        ("It will reset at 2026-11-23 19:33:20 +0800 CST. Request id: 02", HOUR),
        ("You will regain access on 2026-12-01 at 00:00 UTC.", 653_200.0),
        ("Your limit will reset at 2026-11-23 11:33:20", HOUR),
        ("您的限额将在 2026-11-23 19:33:20 重置。", HOUR),
        ("Resets at 11:33 UTC.", 3580.0),
        ("It reset on 2020-01-01.", 0.0),
        ("Please try again later.", None),
        ("Limit 200, Used 200, Requested 1", None),
        ("released on 2026-12-01", None),
        ("", None),
    ],
)
def test_the_moment_is_found_in_the_words(words: str, expected: float | None) -> None:
    assert reset_s_of(words, WALL_NS) == (None if expected is None else pytest.approx(expected))


def test_a_moment_without_a_zone_is_read_by_the_clock_that_is_given() -> None:
    words = "Your limit will reset at 2026-11-23 19:33:20"
    assert reset_s_of(words, WALL_NS, 8 * HOUR) == pytest.approx(HOUR)
    assert reset_s_of(f"{words}Z", WALL_NS, 8 * HOUR) == pytest.approx(9 * HOUR)


@given(st.text(max_size=200) | st.text(st.sampled_from("reset in try again 0123456789hms:-TZ")))
def test_no_words_break_it(words: str) -> None:
    for found in (reset_in_words_s(words), reset_s_of(words, WALL_NS)):
        assert found is None or found >= 0
