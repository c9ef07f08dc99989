"""The same routes at several places."""

import pytest

from probes.config import Budget, Config, Route
from probes.config.errors import ConfigError
from probes.config.places import check_place, config_at
from probes.engine.introduction import route_info

CHAT = Route(name="chat", base_url="http://127.0.0.1:1/v1", model="m")


@pytest.mark.parametrize("name", ["eu", "eu-west-1", "a" * 32, "1"])
def test_a_name_of_a_place_is_taken_as_it_is(name: str) -> None:
    assert check_place(name) == name


@pytest.mark.parametrize("name", ["", "EU", "eu west", "eu.west", "a" * 33, "eu\n", "é", "*", ">"])
def test_what_is_no_name_of_a_place_is_refused_with_what_is_expected(name: str) -> None:
    with pytest.raises(ConfigError, match=r"--place: .* expected 1 to 32 of a-z, 0-9 and `-`"):
        check_place(name)


def test_every_route_is_probed_from_every_place_under_a_name_of_its_own() -> None:
    config = config_at(Config(routes=(CHAT,), budget=Budget(tokens_per_hour=5_000)), "eu", "us")
    assert [route.name for route in config.routes] == ["chat@eu", "chat@us"]
    assert [route.place for route in config.routes] == ["eu", "us"]
    assert config.budget.tokens_per_hour == 5_000


def test_a_route_keeps_the_name_that_all_places_share() -> None:
    for route in config_at(Config(routes=(CHAT,)), "eu").routes:
        assert route.shared_name == "chat"
        assert route_info(route).shared_name == "chat"
    assert CHAT.shared_name == "chat"


def test_a_name_that_looks_like_a_place_is_no_place() -> None:
    odd = Route(name="chat@eu", base_url="http://127.0.0.1:1/v1", model="m")
    assert odd.shared_name == "chat@eu"
    assert config_at(Config(routes=(odd,)), "us").routes[0].shared_name == "chat@eu"
