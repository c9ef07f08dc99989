"""Turns of knobs: what is one turn, and what it is called."""

from typing import Any, get_args

import pytest

from probes.events import Knob, KnobKind
from probes.events.knob_turns import (
    KNOB_NAMES,
    ONE_TURN_NS,
    is_next_step,
    knob_words,
    who_turned,
)


def turn(before: float = 3, after: float = 4, at_ns: int = 0, **changes: Any) -> Knob:
    values: dict[str, Any] = {"route": "alpha", "knob": "concurrency"}
    return Knob(at_ns=at_ns, before=before, after=after, **(values | changes))


@pytest.mark.parametrize(
    ("knob", "before", "after", "words"),
    [
        ("concurrency", 3, 6, "CONC 3→6"),
        ("interval", 5.0, 0.5, "pace 5→0.5 s"),
        ("max_tokens", 64, 128, "cap 64→128"),
        ("paused", 0, 1, "paused"),
        ("paused", 1, 0, "resumed"),
        ("burst", 0, 20, "burst 20"),
        ("cool_down", 9.2, 0, "cool-down ended"),
        ("cool_down", 0, 9.25, "cools for 9.25 s"),
        ("usual", 0, 1, "usual accepted"),
    ],
)
def test_a_turn_in_words(knob: KnobKind, before: float, after: float, words: str) -> None:
    assert knob_words(knob, before, after) == words


@pytest.mark.parametrize("knob", get_args(KnobKind))
def test_every_knob_has_words_and_those_with_a_value_a_name(knob: KnobKind) -> None:
    words = knob_words(knob, 1, 2)
    assert words
    assert ("→" in words) == (knob in KNOB_NAMES)


def test_the_user_is_you_and_others_have_their_names() -> None:
    assert (who_turned("user"), who_turned("restart")) == ("you", "restart")


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (turn(4, 5, ONE_TURN_NS), True),
        (turn(4, 5, ONE_TURN_NS + 1), False),
        (turn(4, 3, 1), False),  # back
        (turn(5, 6, 1), False),  # of another value: something else turned it meanwhile
        (turn(4, 5, 1, knob="interval"), False),
    ],
)
def test_presses_that_follow_each_other_the_same_way_are_one_turn(
    later: Knob, expected: bool
) -> None:
    assert is_next_step(turn(3, 4), later) is expected
