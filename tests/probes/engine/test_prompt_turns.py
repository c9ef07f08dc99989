"""Prompts come by their weights, and those made anew are sized by what a server counted."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from clocks import ManualClock
from hypothesis import given
from hypothesis import strategies as st

from probes.config import Route
from probes.config.expect import Expect
from probes.config.prompts import Message, Prompt
from probes.engine.prompts import FreshPrompts, PromptRotation
from probes.engine.single import SingleProbe

FRESH = Prompt(name="aa", fresh_tokens=1_000)


def named(*weights: float) -> list[Prompt]:
    said = (Message(role="user", text="x"),)
    return [
        Prompt(name=str(place), messages=said, weight=weight)
        for place, weight in enumerate(weights)
    ]


def order(prompts: list[Prompt], count: int) -> list[str]:
    rotation = PromptRotation(prompts)
    return [prompt.name for _ in range(count) if (prompt := rotation.next()) is not None]


def test_without_prompts_there_is_none() -> None:
    assert PromptRotation([]).next() is None


def test_three_to_one_is_three_of_four_and_never_in_a_lump() -> None:
    assert order(named(3, 1), 8) == ["0", "0", "1", "0", "0", "0", "1", "0"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_each_has_its_weight_in_every_round_and_the_order_is_the_same_again(
    weights: list[int],
) -> None:
    prompts = named(*weights)
    names = order(prompts, 2 * sum(weights))
    assert Counter(names) == {str(place): 2 * weight for place, weight in enumerate(weights)}
    assert names == order(prompts, 2 * sum(weights))


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_any_stretch_has_nearly_the_same_mix(weights: list[int]) -> None:
    names, total = order(named(*weights), 3 * sum(weights)), sum(weights)
    for place, weight in enumerate(weights):
        places = [at for at, name in enumerate(names) if name == str(place)]
        longest = max(after - before for before, after in pairwise(places))
        assert longest <= 2 * total / weight + 1


@pytest.mark.parametrize("bytes_per_token", [0.7, 2.0, 4.0, 6.0])
def test_the_next_is_of_the_size_that_the_server_counts(bytes_per_token: float) -> None:
    fresh, counts = FreshPrompts(Random(1)), []
    for _ in range(4):
        prompt = fresh.make(FRESH, max_tokens=1_000)
        counts.append(round(len(prompt.messages[0].text) / bytes_per_token) + 20)
        fresh.learn(prompt, counts[-1])
    assert counts[1:] == pytest.approx([1_000] * 3, rel=0.1)


@pytest.mark.parametrize("count", [None, 0, 1, 10**12])
def test_a_count_that_no_tokenizer_comes_to_teaches_nothing(count: int | None) -> None:
    fresh = FreshPrompts(Random(1))
    before = fresh.make(FRESH, max_tokens=100)
    fresh.learn(before, count)
    after = fresh.make(FRESH, max_tokens=100)
    assert len(after.messages[0].text) == pytest.approx(len(before.messages[0].text), rel=0.01)


@pytest.mark.parametrize(("own", "held"), [(Expect(contains=("yes",)), ("yes",)), (None, ("ja",))])
def test_what_a_prompt_expects_comes_before_what_the_route_does(
    own: Expect | None, held: tuple[str, ...]
) -> None:
    said = (Message(role="user", text="x"),)
    route = Route(
        name="r",
        base_url="http://127.0.0.1",
        model="m",
        prompts=(Prompt(name="a", messages=said, expect=own),),
        expect=Expect(contains=("ja",)),
    )
    clock = ManualClock()
    probe = SingleProbe(route, {}, clock=clock, random=Random(1), transport=lambda *_: None)  # type: ignore[arg-type]
    assert probe._probe.expect.contains == held
