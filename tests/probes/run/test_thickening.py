"""Engines are asked for more probes of what is suspected: for a while, then not for as long."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from probes.control.commands import Thicken
from probes.control.evidence import LONGEST_EVIDENCE_S
from probes.kit.clock import NS_PER_S
from probes.run.thickening import Thickening

A, B = frozenset({"a"}), frozenset({"a", "b"})
NONE = frozenset[str]()
Seen = list[tuple[float, str, float, bool]]


def asked(
    *spans: tuple[float, float, frozenset[str], frozenset[str]],
    until_s: float = 120.0,
    routes: frozenset[str] = B,
) -> Seen:
    """Return what is asked, looked at ten times a second: when, of which route, how.

    Spans say from when until when which routes are suspected, and which of them hang.
    """
    thickening, seen = Thickening(routes), Seen()
    for tenth in range(round(until_s * 10)):
        now_s = tenth / 10
        suspects, hanging = NONE, NONE
        for since_s, ended_s, names, hang in spans:
            if since_s <= now_s < ended_s:
                suspects, hanging = suspects | names, hanging | hang
        for command in thickening.commands(round(now_s * NS_PER_S), suspects, hanging):
            seen.append((now_s, command.route, command.for_s, command.fresh))
    return seen


def test_nothing_is_asked_where_nothing_is_suspected() -> None:
    assert asked() == []


def test_it_is_asked_once_and_then_rests_for_as_long() -> None:
    assert asked((1, 100, A, NONE)) == [
        (1.0, "a", 20.0, False),
        (41.0, "a", 20.0, False),
        (81.0, "a", 20.0, False),
        (100.0, "a", 0.0, False),  # a second before its time was over
    ]


def test_what_is_suspected_no_more_is_ended_at_once_and_rests_for_as_long_as_it_went_on() -> None:
    assert asked((1, 6, A, NONE), (7, 12, A, NONE)) == [
        (1.0, "a", 20.0, False),
        (6.0, "a", 0.0, False),
        (11.0, "a", 20.0, False),
        (12.0, "a", 0.0, False),
    ]


def test_what_ended_by_itself_is_not_ended_again() -> None:
    assert asked((1, 30, A, NONE)) == [(1.0, "a", 20.0, False)]


def test_each_route_is_asked_for_by_itself() -> None:
    assert asked((1, 30, A, NONE), (5, 30, frozenset({"b"}), NONE)) == [
        (1.0, "a", 20.0, False),
        (5.0, "b", 20.0, False),
    ]


def test_a_route_whose_settings_forbid_it_is_never_asked_for() -> None:
    assert asked((1, 30, B, B), routes=frozenset({"b"})) == [(1.0, "b", 20.0, True)]


def test_a_hang_is_asked_for_at_once_although_more_of_the_pace_had_been() -> None:
    assert asked((1, 60, A, NONE), (9, 60, A, A)) == [
        (1.0, "a", 20.0, False),
        (9.0, "a", 20.0, True),
        (49.0, "a", 20.0, True),
        (60.0, "a", 0.0, False),
    ]


def test_a_hang_does_not_wait_for_the_rest_of_a_plain_asking() -> None:
    assert asked((1, 60, A, NONE), (25, 40, A, A))[:2] == [
        (1.0, "a", 20.0, False),
        (25.0, "a", 20.0, True),
    ]


def test_after_a_hang_a_plain_asking_rests() -> None:
    assert asked((1, 80, A, NONE), (1, 10, A, A))[:2] == [
        (1.0, "a", 20.0, True),
        (41.0, "a", 20.0, False),
    ]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_whatever_is_suspected_it_is_never_more_than_half_of_the_time(seed: int) -> None:
    chance = random.Random(seed)
    spans = []
    now_s = 0.0
    while now_s < 400:
        length_s = chance.expovariate(1 / chance.choice((0.3, 3, 30)))
        spans.append((now_s, now_s + length_s, A, NONE))
        now_s += length_s + chance.expovariate(1 / chance.choice((0.3, 3, 30)))
    seen = asked(*spans, until_s=500)
    thick_s, since_s = 0.0, None
    for at_s, _, for_s, fresh in seen:
        assert not fresh
        if for_s:
            assert for_s == LONGEST_EVIDENCE_S
            thick_s += 0 if since_s is None else LONGEST_EVIDENCE_S
            since_s = at_s
        else:
            assert since_s is not None
            assert at_s - since_s <= LONGEST_EVIDENCE_S
            thick_s += at_s - since_s
            since_s = None
    thick_s += 0 if since_s is None else LONGEST_EVIDENCE_S
    assert thick_s <= 0.5 * 500 + LONGEST_EVIDENCE_S


def test_a_command_says_how_long_by_itself() -> None:
    (command,) = Thickening(A).commands(0, A, NONE)
    assert command == Thicken(route="a", for_s=20.0)
