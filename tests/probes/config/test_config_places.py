"""The same routes at several places."""

import pytest

from probes.config import Budget, Config, Route
from probes.config.errors import ConfigError
from probes.config.places import (
    OWN_COMMAND,
    GivenPlace,
    check_place,
    check_ways,
    config_at,
    read_place,
)
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


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("eu", GivenPlace("eu")),
        ("here=local", GivenPlace("here", "local")),
        ("eu=ssh:box", GivenPlace("eu", "ssh", "box")),
        ("eu=ssh:me@box.example", GivenPlace("eu", "ssh", "me@box.example")),
        ("eu=ssh:192.0.2.7", GivenPlace("eu", "ssh", "192.0.2.7")),
        ("eu=ssh:me@2001:db8::1", GivenPlace("eu", "ssh", "me@2001:db8::1")),
        ("eu=ssh:box:/opt/v/llmtop", GivenPlace("eu", "ssh", "box", "/opt/v/llmtop")),
        ("eu=ssh:2001:db8::1:/opt/llmtop", GivenPlace("eu", "ssh", "2001:db8::1", "/opt/llmtop")),
        ("eu=ssh:box:~/venv/bin/llmtop", GivenPlace("eu", "ssh", "box", "~/venv/bin/llmtop")),
    ],
)
def test_a_place_is_read_with_the_way_to_it(text: str, place: GivenPlace) -> None:
    assert read_place(text) == place
    if place.way == "ssh":
        assert place.command in (OWN_COMMAND, text.rpartition(":")[2])


@pytest.mark.parametrize(
    "host",
    [
        "",
        "-oProxyCommand=touch x",
        "-v",
        "me@-oProxyCommand=x",
        "-l@box",
        "box name",
        "box\tname",
        "box\n",
        "box;id",
        "$(id)",
        "`id`",
        "me$(id)@box",
        "me'@box",
        "@box",
        "a@b@box",
        "box:22",
        "[2001:db8::1]",
        "fe80::1%eth0",
        "b\N{LATIN SMALL LETTER O WITH DIAERESIS}x",
        "h" * 254,
        "%h",
    ],
)
def test_no_host_is_an_option_or_a_word_for_a_shell(host: str) -> None:
    with pytest.raises(ConfigError, match=r"^--place eu: .* expected host or user@host; a port "):
        read_place(f"eu=ssh:{host}")


@pytest.mark.parametrize(
    "command", ["/", "/a b", "/a;id", "/$(id)", "/a/../b`id`", "/a'", "/a\n", "~/", "/a//b", "/ä"]
)
def test_a_command_there_is_a_plain_path(command: str) -> None:
    with pytest.raises(ConfigError, match=r"^--place eu: .* expected the path of llmtop there"):
        read_place(f"eu=ssh:box:{command}")


@pytest.mark.parametrize("where", ["", "there", "SSH:box", "ssh", "http://box", " local"])
def test_another_way_is_refused_with_those_that_there_are(where: str) -> None:
    with pytest.raises(ConfigError, match=r"^--place eu: .* NAME=ssh:HOST, .* or NAME=local"):
        read_place(f"eu={where}")


def test_places_of_a_run_have_each_a_name_and_a_way() -> None:
    check_ways([GivenPlace("eu", "ssh", "box"), GivenPlace("here", "local")])
    with pytest.raises(ConfigError) as error:
        check_ways([GivenPlace("eu", "local"), GivenPlace("eu", "local"), GivenPlace("us")])
    first, second = error.value.problems
    assert first == "--place eu: stands twice"
    assert second.startswith("--place us: does not say how it is reached, expected NAME=ssh:HOST")
