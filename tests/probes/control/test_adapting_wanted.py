"""Whether a concurrency finds itself is what is wanted, too: it is switched, and set by hand."""

from pathlib import Path

import pytest

from probes.config import Route
from probes.config.errors import ConfigError
from probes.config.file import override_route, parse_config
from probes.control.commands import Adapt, SetKnob
from probes.control.wanted import commands_for_restart, wanted_of
from probes.events.knob_turns import BY_ITSELF

ROUTE = Route(name="alpha", base_url="http://127.0.0.1:1/v1", model="m", concurrency=4)
WANTED = wanted_of((ROUTE,))


def test_it_is_switched_on_where_it_stands_or_elsewhere() -> None:
    on = WANTED.after_command(Adapt(route="alpha", on=True)).routes["alpha"]
    assert (on.adaptive, on.concurrency) == (True, 4)
    elsewhere = WANTED.after_command(Adapt(route="alpha", on=True, concurrency=7))
    assert elsewhere.routes["alpha"].concurrency == 7
    assert WANTED.after_command(Adapt(route="beta", on=True)) == WANTED


@pytest.mark.parametrize(("who", "stays"), [(BY_ITSELF, True), ("user", False)])
def test_whoever_sets_it_by_hand_switches_it_off(who: str, stays: bool) -> None:
    on = WANTED.after_command(Adapt(route="alpha", on=True))
    turned = on.after_command(SetKnob(route="alpha", knob="concurrency", value=5, who=who))
    assert (turned.routes["alpha"].adaptive, turned.routes["alpha"].concurrency) == (stays, 5)


def test_a_new_engine_is_told_the_concurrency_and_not_that_it_finds_itself() -> None:
    on = WANTED.after_command(Adapt(route="alpha", on=True, concurrency=9))
    (command,) = commands_for_restart(on, 0)
    assert command == SetKnob(route="alpha", knob="concurrency", value=9, who="restart")


HEAD = '[routes.alpha]\nbase_url = "http://127.0.0.1:1/v1"\nmodel = "m"\n'


def read(text: str, tmp_path: Path) -> Route:
    return parse_config(HEAD + text, tmp_path / "routes.toml", {}).routes[0]


def test_auto_begins_at_its_least(tmp_path: Path) -> None:
    route = read('concurrency = "auto"\nconcurrency_min = 3\n', tmp_path)
    assert (route.adaptive, route.concurrency, route.asked_concurrency) == (True, 3, "auto")
    plain = read("concurrency = 5\n", tmp_path)
    assert (plain.adaptive, plain.concurrency, plain.asked_concurrency) == (False, 5, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('concurrency = "many"', 'got "many", expected a whole number from 1 to 1,000, or "auto"'),
        (
            'concurrency = "auto"\nconcurrency_min = 9\nconcurrency_max = 4',
            "concurrency_min: is 9, expected at most concurrency_max, which is 4",
        ),
        ("concurrency_max = 0", "got 0, expected a whole number from 1 to 1,000"),
    ],
)
def test_what_cannot_be_is_told_with_its_key(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, tmp_path)
    assert words in str(caught.value)


def test_a_number_on_the_command_line_sets_it_by_hand() -> None:
    auto = override_route(ROUTE, {"concurrency": "auto"})
    assert (auto.adaptive, auto.concurrency) == (True, 1)
    assert override_route(auto, {"concurrency": 6}).adaptive is False
    assert override_route(auto, {"max_tokens": 6}).adaptive is True
