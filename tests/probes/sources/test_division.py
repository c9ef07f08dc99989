"""How the work of one run is spread over its engines."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.sources.division import Division

WORK = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 40), max_size=8)
ENGINES = st.integers(1, 9)


def loads(division: Division, engines: int) -> list[int]:
    """Return how many streams each engine has."""
    return [sum(division.of(engine).values()) for engine in range(engines)]


def test_streams_are_spread_evenly_and_single_ones_round_robin() -> None:
    division = Division({"a": 5, "b": 1, "c": 1, "d": 1}, 2)
    assert division.shares("a") == (3, 2)
    assert division.shares("b") == (0, 1)
    assert (division.shares("c"), division.shares("d")) == ((1, 0), (0, 1))
    assert division.of(0) == {"a": 3, "b": 0, "c": 1, "d": 0}


@given(WORK, ENGINES)
def test_at_the_start_no_engine_has_two_streams_more_than_another(
    work: dict[str, int], engines: int
) -> None:
    division = Division(work, engines)
    assert max(loads(division, engines)) - min(loads(division, engines)) <= 1
    assert sum(loads(division, engines)) == sum(work.values())


@settings(max_examples=50, deadline=None)
@given(WORK, ENGINES, st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 40))))
def test_shares_add_up_to_what_was_asked_for_and_stay_even(
    work: dict[str, int], engines: int, turns: list[tuple[str, int]]
) -> None:
    division = Division(work, engines)
    for route, wanted in turns:
        if route not in division.routes:
            continue
        before = division.shares(route)
        division.resize(route, wanted)
        after = division.shares(route)
        assert sum(after) == wanted
        assert max(after) - min(after) <= 1
        moves = [now - then for then, now in zip(before, after, strict=True)]
        assert all(move >= 0 for move in moves) or all(move <= 0 for move in moves)


def test_a_raise_goes_to_the_engine_with_the_least_to_do() -> None:
    division = Division({"a": 1, "b": 2, "c": 0}, 2)  # engine 0 has two streams
    division.resize("c", 1)
    assert division.shares("c") == (0, 1)


def test_what_is_lowered_is_taken_where_there_is_most() -> None:
    division = Division({"a": 3, "b": 0}, 2)
    division.resize("a", 2)
    assert division.shares("a") == (1, 1)


def test_an_unknown_route_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Division({"a": 1}, 2).resize("b", 1)


@given(st.integers(0, 99), st.integers(0, 6))
def test_a_burst_is_split_whole(number: int, engines: int) -> None:
    parts = Division({"a": 1}, 7).split(number, range(engines))
    assert sum(parts.values()) == (number if engines else 0)
    assert all(part > 0 for part in parts.values())
    whole = [parts.get(engine, 0) for engine in range(engines)]
    assert not whole or max(whole) - min(whole) <= 1


def test_a_single_probe_beside_the_pace_goes_to_the_idlest() -> None:
    assert Division({"a": 1}, 3).split(1, [0, 1, 2]) == {1: 1}
    assert Division({"a": 1}, 3).split(1, [0, 2]) == {2: 1}
