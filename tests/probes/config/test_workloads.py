"""A workload is a prompt and a cap by name; what says otherwise beside it is refused."""

from pathlib import Path

import pytest

from probes.config import Route
from probes.config.errors import ConfigError
from probes.config.file import parse_config

BASE = 'base_url = "http://127.0.0.1/v1"\nmodel = "m"\n'


def route_of(own: str, defaults: str = "") -> Route:
    text = f"[defaults]\n{defaults}\n[routes.r]\n{BASE}{own}\n"
    return parse_config(text, Path("routes.toml"), {}).routes[0]


def problems_of(own: str, defaults: str = "") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        route_of(own, defaults)
    return caught.value.problems


def test_without_any_of_them_a_route_asks_as_ever() -> None:
    route = route_of("")
    assert (route.prompts, route.workload, route.max_tokens) == ((), None, 64)


def test_short_is_what_a_route_asks_without_any_setting() -> None:
    short, none = route_of('workload = "short"'), route_of("")
    assert (short.prompt, short.prompts, short.max_tokens) == (none.prompt, (), none.max_tokens)


def test_a_workload_brings_its_prompt_and_its_cap() -> None:
    route = route_of('workload = "aa-1k"')
    assert [prompt.name for prompt in route.prompts] == ["aa-1k"]
    assert route.max_tokens == 1_000
    assert route.input_tokens == pytest.approx(1_000, rel=0.02)


@pytest.mark.parametrize(
    ("own", "defaults", "cap"),
    [
        ('workload = "aa-1k"', "max_tokens = 50", 1_000),
        ('workload = "aa-1k"\nmax_tokens = 70', "max_tokens = 50", 70),
        ("", 'workload = "aa-1k"', 1_000),
        ("", 'workload = "aa-1k"\nmax_tokens = 50', 50),
        ("max_tokens = 70", 'workload = "aa-1k"', 70),
        ('prompt = "hello"', 'workload = "aa-1k"', 64),
    ],
)
def test_the_cap_is_the_one_of_the_table_that_names_the_workload(
    own: str, defaults: str, cap: int
) -> None:
    assert route_of(own, defaults).max_tokens == cap


def test_a_prompt_of_the_route_sets_the_workload_of_the_defaults_aside() -> None:
    route = route_of('prompt = "hello"', 'workload = "aa-1k"')
    assert (route.workload, route.prompts, route.prompt) == (None, (), "hello")


def test_what_the_defaults_say_of_prompts_is_set_aside_by_a_workload() -> None:
    route = route_of(
        'workload = "aa-100"', 'system = "be brief"\ncache = "warm"\nprompt_tokens = 9'
    )
    assert route.system is None
    assert [prompt.name for prompt in route.prompts] == ["aa-100"]


@pytest.mark.parametrize("key", ['prompt = "x"', "prompt_tokens = 9", 'prompts_file = "x.jsonl"'])
def test_it_stands_alone(key: str) -> None:
    problems = problems_of(f'{key}\nworkload = "aa-1k"')
    assert any("stands beside" in line and "expected one of them" in line for line in problems)


def test_a_system_message_beside_it_is_refused() -> None:
    words = "routes.toml: routes.r.system: stands beside workload, which has its own"
    assert problems_of('workload = "chat"\nsystem = "be brief"') == (words,)
    assert problems_of('system = "be brief"', 'workload = "chat"') == (words,)


def test_a_warm_cache_cannot_be_asked_of_prompts_that_are_never_alike() -> None:
    (problem,) = problems_of('workload = "aa-1k"\ncache = "warm"')
    assert problem == (
        'routes.toml: routes.r.cache: got "warm", but no two prompts of workload "aa-1k" are alike,'
        ' expected "bust" or nothing'
    )
    assert route_of('workload = "long"\ncache = "warm"').cache == "warm"


def test_an_unknown_one_is_told_with_all_that_there_are() -> None:
    (problem,) = problems_of('workload = "aa-2k"')
    assert problem.startswith('routes.toml: routes.r.workload: got "aa-2k", expected "short" or')
