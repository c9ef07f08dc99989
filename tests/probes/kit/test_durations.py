"""Moments and waits as the providers spell them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.durations import server_wall_ns, unix_time_s, wait_until_s

WALL_NS = 1_795_430_000 * 10**9  # 2026-11-23T10:33:20Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120ms", 0.12),
        ("1s", 1.0),
        ("7.66s", 7.66),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("9m38.016s", 578.016),
        ("1h2m", 3720.0),
        ("23h59m59s", 86_399.0),
        ("1d", 86_400.0),
        ("1m500ms", 60.5),
        ("1.5µs", 1.5e-6),
        ("250ns", 2.5e-7),
        ("30 seconds", 30.0),
        ("2 minutes", 120.0),
        ("1 hour, 5 minutes and 2 secs", 3902.0),
        ("4h 13m", 15_180.0),
        ("500 milliseconds", 0.5),
        ("2 小时", 7200.0),
        ("PT30S", 30.0),
        ("PT1M30S", 90.0),
        ("P1DT2H", 93_600.0),
        ('"45"', 45.0),
        ("2026-11-23 18:34:20 +0800 CST", 60.0),
        ("59", 59.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("1795430060", 60.0),
        ("1795430060000", 60.0),
        ("1795430060000000", 60.0),
        ("1795430060000000000", 60.0),
        ("1795430060.5", 60.5),
        ("2026-11-23T10:34:20Z", 60.0),
        ("2026-11-23T10:34:20.123456789Z", 60.123456),
        ("2026-11-23T11:34:20+01:00", 60.0),
        ("2026-11-23 10:34:20 UTC", 60.0),
        ("Mon, 23 Nov 2026 10:34:20 GMT", 60.0),
        ("2020-01-01T00:00:00Z", 0.0),
        ("1600000000", 0.0),
        ("1w", 604_800.0),
    ],
)
def test_a_reset_is_understood(text: str, expected: float) -> None:
    assert wait_until_s(text, WALL_NS) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("value", "moment_s"),
    [
        (1e9 - 1, None),  # a wait, of more than thirty years
        *((1e9, 1e9), (1e12 - 1, 1e12 - 1)),
        *((1e12, 1e9), (1e15 - 1, 1e12 - 0.001)),
        *((1e15, 1e9), (1e18 - 1e3, 1e12 - 0.001)),
        (1e18, 1e9),
    ],
)
def test_a_number_is_a_moment_from_1e9_on_and_its_size_tells_its_unit(
    value: float, moment_s: float | None
) -> None:
    assert unix_time_s(value) == (None if moment_s is None else pytest.approx(moment_s))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-5",
        "-1s",
        "1x",
        "P",
        "PT",
        "5 moons",
        "1h soon",
        "s",
        "ms",
        "nan",
        "inf",
        "1 000",
        "١s",
        "0001-13-01",
    ],
)
def test_garbage_is_no_reset(text: str) -> None:
    assert wait_until_s(text, WALL_NS) is None


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    wait_s = wait_until_s(text, WALL_NS)
    assert wait_s is None or wait_s >= 0


@pytest.mark.parametrize(
    ("date", "differs_s"),
    [
        ("Mon, 23 Nov 2026 11:33:20 GMT", 3600),
        ("Mon, 23 Nov 2026 10:33:18 GMT", 0),
        ("Mon, 23 Nov 2026 10:33:17 GMT", -3),
        ("some day", 0),
        ("", 0),
    ],
)
def test_a_server_whose_clock_differs_is_read_by_its_own(date: str, differs_s: int) -> None:
    assert server_wall_ns({"date": date}, WALL_NS) == WALL_NS + differs_s * 10**9
