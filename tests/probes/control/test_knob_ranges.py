"""The one truth of a knob: its range, its steps, and who keeps to it."""

import math
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.config import Route
from probes.config.fields import fields_of
from probes.control.commands import Burst, SetKnob, Thicken, decode_command, encode_command
from probes.control.evidence import LONGEST_EVIDENCE_S
from probes.control.knobs import KNOBS, MAX_BURST, KnobName, Move
from probes.control.wanted import knob_changes, wanted_of

NAMES = st.sampled_from(get_args(KnobName))
MOVES = st.sampled_from(get_args(Move))
UP = {"more", "double", "longer"}


@pytest.mark.parametrize(
    ("knob", "base", "move", "expected"),
    [
        ("max_tokens", 200_000, "longer", 400_000),
        ("max_tokens", 600_000, "longer", 1_000_000),
        ("max_tokens", 1_000_000, "longer", None),
        ("max_tokens", 5_000_000, "longer", None),
        ("max_tokens", 5_000_000, "shorter", 1_000_000),
        ("max_tokens", 3, "shorter", 1),
        ("max_tokens", 1, "shorter", None),
        ("concurrency", 1_000, "more", None),
        ("concurrency", 999, "more", 1_000),
        ("concurrency", 600, "double", 1_000),
        ("concurrency", 1_000, "double", None),
        ("concurrency", 1, "fewer", None),
        ("concurrency", 1, "halve", None),
        ("concurrency", 3, "halve", 1),
        ("concurrency", 0, "fewer", None),
        ("concurrency", 0, "halve", None),
        ("concurrency", 0, "more", 1),
        ("concurrency", 0, "double", 1),
        ("interval", 0.0, "shorter", None),
        ("interval", 0.0, "longer", 0.1),
        ("interval", 0.1, "shorter", 0.0),
        ("interval", 0.05, "shorter", 0.0),
        ("interval", 0.05, "longer", 0.1),
        ("interval", 7.0, "longer", 10.0),
        ("interval", 7.0, "shorter", 5.0),
        ("interval", 700.0, "longer", 1_800.0),
        ("interval", 700.0, "shorter", 600.0),
        ("interval", 50_000.0, "longer", 86_400.0),
        ("interval", 86_400.0, "longer", None),
        ("interval", 100_000.0, "longer", None),
        ("interval", 100_000.0, "shorter", 86_400.0),
    ],
)
def test_a_key_takes_a_knob_from_any_value_the_right_way(
    knob: str, base: float, move: Move, expected: float | None
) -> None:
    assert KNOBS[knob].moved(base, move) == expected


@given(name=NAMES, base=st.floats(0, 10**7), move=MOVES)
def test_more_is_never_less_and_nothing_leaves_the_range(
    name: str, base: float, move: Move
) -> None:
    knob = KNOBS[name]
    base = base if not knob.whole else float(round(base))
    found = knob.moved(base, move)
    if found is None:
        return
    assert (found > base) == (move in UP)
    assert knob.least <= found <= knob.most
    assert found == knob.nearest(found)


@pytest.mark.parametrize("name", get_args(KnobName))
def test_every_value_of_the_range_can_be_left_by_a_key_but_at_its_end(name: str) -> None:
    knob = KNOBS[name]
    moves: tuple[Move, Move] = ("longer", "shorter") if name != "concurrency" else ("more", "fewer")
    assert [knob.moved(knob.most, moves[0]), knob.moved(knob.least, moves[1])] == [None, None]
    assert knob.moved(knob.most, moves[1]) is not None
    assert knob.moved(knob.least, moves[0]) is not None


@pytest.mark.parametrize("name", get_args(KnobName))
def test_the_file_takes_what_the_knob_takes_and_nothing_else(name: str) -> None:
    knob, setting = KNOBS[name], fields_of(Route)[name]
    kind: Any = int if knob.whole else float
    for value in (knob.least, knob.most):
        assert setting.read(kind(value)) == value
    for value in (knob.least - 1, knob.most + 1):
        with pytest.raises(ValueError, match=f"from {knob.least:,} to {knob.most:,}"):
            setting.read(kind(value))


@pytest.mark.parametrize(
    ("knob", "asked", "kept"),
    [
        ("concurrency", 10**9, 1_000),
        ("concurrency", 0, 1),
        ("concurrency", 2.6, 3),
        ("interval", -3, 0),
        ("interval", 1e12, 86_400),
        ("interval", 0.25, 0.25),
        ("max_tokens", 0, 1),
        ("max_tokens", math.inf, 1_000_000),
        ("no such knob", 7, 7),
    ],
)
def test_a_command_asks_for_nothing_that_is_out_of_range(
    knob: str, asked: float, kept: float
) -> None:
    command = SetKnob(route="a", knob=knob, value=asked)
    assert command.value == kept
    assert decode_command(encode_command(command)) == command
    wire = b'{"type":"set_knob","route":"a","knob":"%s","value":%s}'
    if math.isfinite(asked):
        told = decode_command(wire % (knob.encode(), str(asked).encode()))
        assert told == command


def test_everybody_who_notes_what_is_wanted_notes_the_same() -> None:
    routes = (Route(name="a", base_url="http://x", model="m"),)
    for knob, asked in (("concurrency", 5_000), ("interval", -1), ("max_tokens", 2_000_000)):
        command = SetKnob(route="a", knob=knob, value=asked)
        before = wanted_of(routes)
        after = before.after_command(command)
        [change] = knob_changes(before.routes, after.routes)
        wanted = getattr(after.routes["a"], knob)
        assert (change.after, wanted) == (command.value, command.value)


def test_one_of_several_engines_may_have_no_part_of_a_concurrency() -> None:
    assert SetKnob(route="a", knob="concurrency", value=0, part=True).value == 0
    assert SetKnob(route="a", knob="concurrency", value=-2, part=True).value == 0
    assert SetKnob(route="a", knob="concurrency", value=5_000, part=True).value == 1_000


def test_what_is_no_number_is_no_command() -> None:
    with pytest.raises(ValueError, match="interval is not a number"):
        SetKnob(route="a", knob="interval", value=math.nan)
    with pytest.raises(msgspec.DecodeError):
        decode_command(b'{"type":"set_knob","route":"a","knob":"interval","value":null}')


@pytest.mark.parametrize(("asked", "sent"), [(7_000, MAX_BURST), (0, 1), (-4, 1), (12, 12)])
def test_a_burst_is_bounded(asked: int, sent: int) -> None:
    command = Burst(route="a", count=asked)
    assert command.count == sent
    assert decode_command(encode_command(command)) == command


@pytest.mark.parametrize(
    ("asked_s", "kept_s"),
    [
        (5.0, 5.0),
        (0.0, 0.0),
        (-3.0, 0.0),
        (21.0, LONGEST_EVIDENCE_S),
        (math.inf, LONGEST_EVIDENCE_S),
        (math.nan, 0.0),
    ],
)
def test_a_route_is_thickened_within_bounds(asked_s: float, kept_s: float) -> None:
    command = Thicken(route="a", for_s=asked_s)
    assert command.for_s == kept_s
    assert decode_command(encode_command(command)) == command
    if math.isfinite(asked_s):
        wire = b'{"type":"thicken","route":"a","for_s":%s}' % str(asked_s).encode()
        assert decode_command(wire) == command
