"""What a server asks us to wait, and what of its headers is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.retry_after import kept_headers, retry_after_s

DAY_LATER = "Tue, 24 Nov 2026 10:33:20 GMT"
WALL_NS = 1_795_430_000 * 10**9  # 2026-11-23T10:33:20Z


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    asked = retry_after_s({"retry-after": text, "retry-after-ms": text}, wall_ns=WALL_NS)
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
    assert retry_after_s(headers, wall_ns=WALL_NS) == pytest.approx(expected)


def test_the_kept_headers_are_bounded() -> None:
    headers = {f"x-ratelimit-limit-kind{number}": "1" for number in range(1000)}
    assert len(kept_headers(headers)) == 48


def test_kept_headers_are_an_allow_list_and_cut() -> None:
    kept = kept_headers(
        {
            "cf-ray": "8c1-FRA",
            "set-cookie": "secret",
            "authorization": "Bearer x",
            "server": "s" * 500,
            "x-ratelimit-limit-requests": "5",
        }
    )
    assert kept == {"cf-ray": "8c1-FRA", "server": "s" * 200, "x-ratelimit-limit-requests": "5"}


@pytest.mark.parametrize(("length", "is_kept"), [(80, True), (81, False)])
def test_a_header_of_a_known_kind_is_kept_up_to_a_name_of_80(length: int, is_kept: bool) -> None:
    name = "x-ratelimit-".ljust(length, "a")
    assert (name in kept_headers({name: "1"})) is is_kept


def test_48_headers_are_kept_with_200_characters_of_each() -> None:
    kept = kept_headers({f"x-ratelimit-{number}": "v" * 201 for number in range(49)})
    assert list(kept.values()) == ["v" * 200] * 48
