"""What is known of a route's limits, put together from its answers."""

import pytest
from clocks import NS

from probes.answers.limits.state import LimitState, share_left, tightest
from probes.events import AttemptFinished, Limit, StampLadder
from probes.events.limit_periods import as_of, is_in_force


def requests(remaining: float | None = None, **more: object) -> Limit:
    return Limit(kind="requests", remaining=remaining, **more)


def told(state: LimitState) -> dict[str, Limit]:
    return {limit.kind: limit for limit in state.parts}


def attempt(
    at_s: int, *limits: Limit, outcome: str = "ok", started_s: int | None = None
) -> AttemptFinished:
    started_s = at_s - 1 if started_s is None else started_s
    return AttemptFinished(
        at_ns=at_s * NS,
        route="r",
        probe="1-1",
        attempt=0,
        outcome=outcome,
        limits=limits,
        stamps_ns=StampLadder(started=started_s * NS),
    )


def test_a_limit_that_is_not_mentioned_stays_as_it_was_told() -> None:
    state = LimitState()
    state.add([requests(7, limit=10)], 1 * NS)
    state.add([Limit(kind="tokens", remaining=5)], 3 * NS)
    assert told(state)["requests"] == requests(7, limit=10, told_ns=1 * NS)
    assert told(state)["tokens"].told_ns == 3 * NS


def test_the_newest_telling_wins_whatever_comes_first() -> None:
    state = LimitState()
    state.add([requests(3)], 5 * NS)
    state.add([requests(9)], 4 * NS)
    assert told(state)["requests"].remaining == 3
    state.add([requests(2)], 6 * NS)
    assert told(state)["requests"].remaining == 2


def test_a_capacity_stays_and_a_countdown_goes_on_where_they_are_not_told_again() -> None:
    state = LimitState()
    state.add([requests(9, limit=10, reset_s=20.0)], 1 * NS)
    state.add([requests(8)], 6 * NS)
    assert told(state)["requests"] == requests(8, limit=10, reset_s=15.0, told_ns=6 * NS)
    state.add([requests(7)], 60 * NS)
    assert told(state)["requests"].reset_s is None


def test_periods_and_holders_are_limits_of_their_own() -> None:
    state = LimitState()
    state.add([requests(1, window="minute"), requests(2, window="day"), requests(3)], NS)
    state.add([requests(4, scope="key")], 2 * NS)
    assert sorted(limit.remaining or 0 for limit in state.parts) == [1, 2, 3, 4]


def test_a_part_may_carry_the_moment_it_was_told() -> None:
    state = LimitState()
    state.add([requests(5, told_ns=2 * NS)], 9 * NS)
    state.add([requests(6, told_ns=1 * NS)], 9 * NS)
    assert told(state)["requests"] == requests(5, told_ns=2 * NS)


def test_nothing_left_is_no_longer_known_once_a_later_request_was_let_through() -> None:
    state = LimitState()
    state.hear(attempt(5, requests(0, limit=9, reset_s=99.0), outcome="throttled"))
    state.hear(attempt(8, started_s=4))
    assert told(state)["requests"].remaining == 0
    state.hear(attempt(9, started_s=6))
    assert told(state)["requests"] == requests(None, limit=9, told_ns=5 * NS)


def test_the_last_request_of_a_limit_leaves_nothing() -> None:
    state = LimitState()
    state.hear(attempt(5, requests(0, limit=9)))
    assert told(state)["requests"].remaining == 0


def test_what_is_long_over_is_forgotten_and_the_parts_are_bounded() -> None:
    state = LimitState()
    state.add([requests(1, reset_s=10.0)], NS)
    state.add([Limit(kind="tokens", remaining=1)], 3_600 * NS)
    assert set(told(state)) == {"requests", "tokens"}
    state.add([Limit(kind="tokens", remaining=1)], 3_700 * NS)
    assert set(told(state)) == {"tokens"}
    for number in range(100):
        state.add([Limit(kind=f"kind{number}", remaining=1)], (3_701 + number) * NS)
    assert len(state.parts) == 16
    assert "kind99" in told(state)


@pytest.mark.parametrize(
    ("limit", "age_s", "expected"),
    [
        (requests(1, reset_s=10.0), 9.0, True),
        (requests(1, reset_s=10.0), 11.0, False),
        (requests(1, window="minute"), 59.0, True),
        (requests(1, window="second"), 2.0, False),
        (requests(1, window="day"), 80_000.0, True),
        (requests(1, window="5h"), 17_000.0, True),
        (requests(1), 60.0, True),
        (requests(1), 61.0, False),
    ],
)
def test_what_was_told_holds_until_its_reset(limit: Limit, age_s: float, expected: bool) -> None:
    assert is_in_force(limit, age_s) is expected


def test_a_countdown_stops_at_zero() -> None:
    assert as_of(requests(1, reset_s=10.0), 4.0).reset_s == 6.0
    assert as_of(requests(1, reset_s=10.0), 40.0).reset_s == 0.0
    assert as_of(requests(1), 40.0).reset_s is None


def test_of_several_holders_the_tightest_is_shown() -> None:
    key = requests(10, limit=100, scope="key")
    model = requests(9, limit=10, scope="model_per_key")
    team = requests(None, limit=4, scope="team")
    assert tightest([team, model, key]) == (key,)
    assert tightest([Limit(kind="tokens", reset_s=4.0)]) == ()


@pytest.mark.parametrize(
    ("limit", "share"),
    [
        (requests(None), 2.0),
        (requests(0), 0.0),
        (requests(1), 1.0),  # some, of nobody knows how many
        (requests(0, limit=0), 0.0),
        (requests(1, limit=0), 1.0),
        (requests(1, limit=4), 0.25),
    ],
)
def test_the_share_that_is_left_orders_the_holders(limit: Limit, share: float) -> None:
    assert share_left(limit) == share


def test_an_hour_after_its_reset_a_limit_is_forgotten() -> None:
    state = LimitState()
    state.add([requests(1, reset_s=10.0)], 0)
    state.add([Limit(kind="tokens", remaining=1)], 3_610 * NS)
    assert set(told(state)) == {"requests", "tokens"}
    state.add([Limit(kind="tokens", remaining=1)], 3_610 * NS + 1)
    assert set(told(state)) == {"tokens"}
