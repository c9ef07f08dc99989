"""What routes need of the machine that probes them, where their settings are another's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from probes.config import Route, Tls
from probes.config.errors import ConfigError
from probes.config.file import parse_config, single_route_config
from probes.config.own_machine import headers_here
from probes.config.places import routes_at


def routes(**settings: Any) -> tuple[Route, ...]:
    made = Route(name="chat", base_url="https://api.example.com/v1", model="m", **settings)
    return routes_at((made,), "eu")


def no_command(argv: Sequence[str]) -> str:
    raise AssertionError(argv)


def problems_of(*made: Route, environ: dict[str, str], commands: bool = True) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        headers_here(made, environ, commands=commands, run=no_command)
    return error.value.problems


def test_keys_are_of_this_environment() -> None:
    made = routes(api_key_env="KEY", headers={"X-Team": "env:TEAM", "X-Title": "plain"})
    headers = headers_here(made, {"KEY": " sk-1 ", "TEAM": "blue"})
    expected = {"X-Team": "blue", "X-Title": "plain", "Authorization": "Bearer sk-1"}
    assert headers == {"chat@eu": expected}


def test_a_key_command_is_run_here_where_that_is_allowed() -> None:
    (made,) = routes(api_key_cmd=("pass", "show"))
    headers = headers_here([made], {}, run=lambda argv: " ".join(argv).replace(" ", "-"))
    assert headers == {"chat@eu": {"Authorization": "Bearer pass-show"}}
    (problem,) = problems_of(made, environ={}, commands=False)
    assert problem == (
        "routes.chat.api_key_cmd: is not run: llmtop engine was started with --no-commands"
    )


def test_all_that_is_missing_is_told_at_once_by_route_and_variable() -> None:
    made = routes(
        api_key_env="KEY",
        headers={"X-Team": "env:TEAM"},
        proxy="env:WAY_OUT",
        tls=Tls(ca_file="/nowhere/ca.pem"),
    )
    told = problems_of(*made, environ={"TEAM": ""})
    assert told == (
        "routes.chat.api_key_env: environment variable KEY is not set",
        "routes.chat.proxy: environment variable WAY_OUT is not set",
        "routes.chat.headers.X-Team: environment variable TEAM is empty",
        'routes.chat.tls.ca_file: "/nowhere/ca.pem" cannot be read: No such file or directory',
    )


def test_a_value_that_is_no_key_is_told_without_it() -> None:
    (problem,) = problems_of(*routes(api_key_env="KEY"), environ={"KEY": "Bearer sk-s3cret"})
    assert "begins with a scheme" in problem
    assert "s3cret" not in problem


def test_authorities_are_those_of_this_environment() -> None:
    (problem,) = problems_of(*routes(), environ={"SSL_CERT_FILE": "/nowhere.pem"})
    assert problem.startswith('SSL_CERT_FILE: "/nowhere.pem" cannot be read')


NEEDY = """
[routes.chat]
base_url = "https://api.example.com/v1"
model = "m"
api_key_env = "CHAT_KEY"
proxy = "env:WAY_OUT"
headers = { X-Team = "env:TEAM" }
tls = { ca_file = "ca.pem" }
"""


def test_settings_for_other_machines_are_read_without_asking_this_one() -> None:
    config = parse_config(NEEDY, Path("/etc/llmtop/routes.toml"), None)
    assert config.routes[0].tls.ca_file == "/etc/llmtop/ca.pem"
    with pytest.raises(ConfigError) as error:
        parse_config(NEEDY, Path("/etc/llmtop/routes.toml"), {})
    assert len(error.value.problems) == 4
    url = "https://api.example.com/v1"
    assert single_route_config(url, "m", environ=None, api_key_env="KEY").routes


def test_mistakes_that_are_nobody_s_machine_s_are_told_all_the_same() -> None:
    text = NEEDY.replace('"env:TEAM" }', '"env:TEAM", Host = "a", "b c" = "d" }')
    text = text.replace("ca_file", "client_key")
    with pytest.raises(ConfigError) as error:
        parse_config(text, Path("/etc/llmtop/routes.toml"), None)
    told = "\n".join(error.value.problems)
    assert "client_key: stands without client_cert" in told
    assert '"b c": is no header name' in told
