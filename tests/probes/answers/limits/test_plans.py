"""The allowances of subscriptions, told as the share that is used."""

import pytest

from probes.answers.limits.reading import read_limits

WALL_NS = 1_795_430_000 * 10**9
PREFIX = "anthropic-ratelimit-unified-"
Told = dict[str, tuple[float | None, float | None, float | None]]


def told_by(headers: dict[str, str]) -> Told:
    return {
        f"{limit.kind}/{limit.window}" + (f":{limit.scope}" if limit.scope else ""): (
            limit.limit,
            limit.remaining,
            limit.reset_s,
        )
        for limit in read_limits(headers, None, wall_ns=WALL_NS)
    }


def unified(**fields: str) -> dict[str, str]:
    return {PREFIX + name.replace("_", "-"): value for name, value in fields.items()}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {f"{PREFIX}5h-utilization": "0.42", f"{PREFIX}5h-reset": "1795437200"},
            {"usage/5h": (100.0, 58.0, 7200.0)},
        ),
        ({f"{PREFIX}7d-utilization": "1.04"}, {"usage/7d": (100.0, 0.0, None)}),
        (
            {f"{PREFIX}7d_opus-utilization": "0.9", f"{PREFIX}7d_opus-status": "allowed_warning"},
            {"usage/7d:opus": (100.0, 10.0, None)},
        ),
        (
            {f"{PREFIX}5h-status": "rejected", f"{PREFIX}5h-reset": "2026-11-23T11:33:20Z"},
            {"usage/5h": (100.0, 0.0, 3600.0)},
        ),
        ({f"{PREFIX}5h-status": "allowed"}, {}),
        (
            unified(status="rejected", representative_claim="seven_day", reset="1795430060"),
            {"usage/7d": (100.0, 0.0, 60.0)},
        ),
        (
            unified(status="rejected", representative_claim="overage", reset="1795430060"),
            {"usage/:overage": (100.0, 0.0, 60.0)},
        ),
        (unified(status="allowed", representative_claim="five_hour", reset="1795430060"), {}),
        ({f"{PREFIX}5h-utilization": "most"}, {}),
        (
            {
                "x-codex-primary-used-percent": "12.5",
                "x-codex-primary-window-minutes": "300",
                "x-codex-primary-reset-after-seconds": "60",
                "x-codex-secondary-used-percent": "100",
                "x-codex-secondary-window-minutes": "10080",
                "x-codex-secondary-reset-at": "1795430060",
            },
            {"usage/5h": (100.0, 87.5, 60.0), "usage/7d": (100.0, 0.0, 60.0)},
        ),
    ],
    ids=str,
)
def test_the_share_that_is_used_is_told_as_what_is_left_of_100(
    headers: dict[str, str], expected: Told
) -> None:
    assert told_by(headers) == expected
