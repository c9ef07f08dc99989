"""What a server asks us to wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.retry_after import read_retry_after_s

DAY_LATER = "Tue, 24 Nov 2026 10:33:20 GMT"
WALL_NS = 1_795_430_000 * 10**9  # 2026-11-23T10:33:20Z


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    asked = read_retry_after_s({"retry-after": text, "retry-after-ms": text}, None, wall_ns=WALL_NS)
    assert asked is None or 0 <= asked <= 1e9


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after-ms": "644", "retry-after": "1"}, 0.644),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": " 3 "}, 3.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:34:20 GMT"}, 60.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:16:40 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 24 Nov 2026 10:34:20 GMT", "date": DAY_LATER}, 60.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:34:20 GMT", "date": DAY_LATER}, None),
        ({"retry-after": "Mon, 23 Nov 2026 10:34:20 GMT", "date": "yesterday"}, 60.0),
        ({"retry-after": "30", "date": DAY_LATER}, 30.0),
        ({"retry-after-ms": "-5", "retry-after": "3"}, None),
        ({"retry-after-ms": "0", "retry-after": "3"}, 0.0),
        ({"retry-after-ms": "nan", "retry-after": "3"}, None),
        ({"retry-after-ms": "", "retry-after": "3"}, 3.0),
        ({"retry-after": "1e2"}, 100.0),
        ({"retry-after": "9" * 400}, 1e9),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-inf"}, None),
        ({"retry-after": "30s"}, 30.0),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "500ms"}, 0.5),
        ({"retry-after": "2 minutes"}, 120.0),
        ({"retry-after": "PT30S"}, 30.0),
        ({"retry-after": '"7"'}, 7.0),
        ({"retry-after": "1795430006"}, 6.0),
        ({"retry-after": "1795430006.5"}, 6.5),
        ({"retry-after": "1795430006000"}, 6.0),
        ({"retry-after-ms": "1795430006000", "retry-after": "9"}, 6.0),
        ({"retry-after": "1795429994"}, None),
        ({"retry-after": "2026-11-23T10:34:20Z"}, 60.0),
        ({"retry-after": "2026-11-23T10:32:20Z"}, None),
        ({"retry-after": "1795516460", "date": DAY_LATER}, 60.0),
        ({"retry-after": "999999999"}, 999_999_999.0),
        ({"retry-after": "1e30"}, 1e9),
        ({"retry-after": "30 beers"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert read_retry_after_s(headers, None, wall_ns=WALL_NS) == pytest.approx(expected)
