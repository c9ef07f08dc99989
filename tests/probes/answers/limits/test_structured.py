"""The IETF's fields in all their drafts: which policy belongs to which limit, and what names it."""

import pytest

from probes.answers.limits.structured import period_of, structured_limits

ONE = '"a";q=8;w=60'
TWO = '"a";q=8;w=60, "b";q=9;w=3600'


@pytest.mark.parametrize(
    ("told", "policy", "expected"),
    [
        ("", ONE, [(8, None, "minute", "")]),
        ("", TWO, [(8, None, "minute", "a"), (9, None, "hour", "b")]),
        ("", "8;w=60", []),  # before draft 08 a policy alone tells nothing that is left
        ('"a";r=3', "", [(None, 3, "", "")]),
        ('"a";r=3', ONE, [(8, 3, "minute", "")]),
        ('"x";r=3', ONE, [(8, 3, "minute", "")]),  # the only policy is the one that is meant
        ('"x";r=3', TWO, [(None, 3, "", "")]),  # of two nobody knows which
        ('"b";r=3', TWO, [(9, 3, "hour", "")]),
        ('"a";r=3, "b";r=4', TWO, [(8, 3, "minute", "a"), (9, 4, "hour", "b")]),
    ],
)
def test_each_limit_has_its_policy_and_its_name_where_there_are_others(
    told: str, policy: str, expected: list[tuple[float | None, float | None, str, str]]
) -> None:
    found = structured_limits({"ratelimit": told, "ratelimit-policy": policy}, 0)
    assert [(one.limit, one.remaining, one.window, one.scope) for one in found] == expected


@pytest.mark.parametrize(
    ("limit", "policy", "period"),
    [
        ("100", "", ""),
        ("100, 100;w=60, 5000;w=3600", "", "minute"),
        ("5000, 100;w=60, 5000;w=3600", "", "hour"),
        ("100", "100;w=60", "minute"),
        ("100", "7;w=60", "minute"),  # the only one, though its figure is another
        ("100", "7;w=60, 8;w=3600", ""),
        ("100", "100;w=60, 8;w=3600", "minute"),
    ],
)
def test_a_plain_limit_has_the_period_of_the_policy_with_its_figure(
    limit: str, policy: str, period: str
) -> None:
    assert period_of(limit, policy) == period
