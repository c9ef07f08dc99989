"""The page of the settings says what may be set, to what, and what stands without it."""

import re
import tomllib
from pathlib import Path

import pytest
from pages import KB, Page, each_of, first_cells, number, per_cent

from probes.config import Budget, Display, Goals, Price, Recording, Route, Timeouts
from probes.config.e2e_goal import E2E_GOAL_CAP
from probes.config.file import parse_config
from probes.config.key_command import COMMAND_BYTES, COMMAND_SECONDS
from probes.config.knob_ranges import KNOBS, KnobRange
from probes.config.rules import BUDGET_RULES, DISPLAY_RULES, RECORDING_RULES, ROUTE_RULES, Rule
from probes.config.scrubbing import PIECE
from probes.discovery.loopback import HOSTS, PORTS
from probes.discovery.loopback_network import _TIMEOUT_S
from probes.engine.route import JITTER
from probes.kit.open_regular import PIPE_SECONDS
from tui.commands.init import _LISTS_S, PROVIDERS
from tui.draw.theme_names import OWN_THEMES
from tui.terminal import pace

PAGE = Page("probes/config/README.md")
ROUTE = Route(name="r", base_url="https://h", model="m")


def range_of(rule: object, step: float, reach: int) -> tuple[float, float]:
    """Return the least and the most that a rule of the settings takes, in steps."""
    assert isinstance(rule, Rule)
    taken = [value for n in range(-1, reach) if is_taken(rule, value := n * step)]
    assert taken[-1] < (reach - 1) * step, "the reach is too short"
    return taken[0], taken[-1]


def is_taken(rule: Rule, value: float) -> bool:
    """Return whether a rule takes a value."""
    try:
        rule.read(int(value) if value == int(value) else value)
    except ValueError:
        return False
    return True


RETRIES = range_of(ROUTE_RULES["retries"], 1, 20)
REFRESH = range_of(DISPLAY_RULES["refresh_hz"], 0.5, 100)

NUMBERS = {
    "The file": (
        "Ollama ({}), vLLM ({}), llama.cpp ({}), SGLang ({}) and LM Studio ({})".format(*PORTS),
        "asks {} and {}".format(*HOSTS),
        f"{_TIMEOUT_S:g} s each and all at once",
        f"within {number(_LISTS_S)} seconds",
    ),
    "A route": (
        f"without a shell and stdin; {COMMAND_SECONDS:g} s, {COMMAND_BYTES // KB} KB",
        f"± {per_cent(JITTER)}, 0 to 86,400",
        f"| {ROUTE.retries} | at most {RETRIES[1]:g}; {RETRIES[0]:g} for none |",
        f"`max_tokens` is at most {E2E_GOAL_CAP}",
    ),
    "Budgets, recordings, the screen": (
        f"| {Budget().tokens_per_hour:,} |",
        f"| {Budget().route_tokens_per_hour:,} |",
        f"| {Recording().max_mb:g}, {Recording().max_days:g} | all recordings together",
        f"| {Display().refresh_hz:g} | {REFRESH[0]:g} to {REFRESH[1]:g}; a slow terminal gets "
        f"fewer, down to {pace._SLOWEST_HZ:g}",
        f'| `"{Display().window}"` |',
        f'| `"{Display().theme}"` |',
    ),
    "Keys and other people": (
        f"in any part of {PIECE} characters or more",
        f"within {PIPE_SECONDS:g} s",
    ),
}


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS) == []


def defaults() -> dict[str, str]:
    """Return the default of each setting of a route that the table has."""
    rows = PAGE.rows("A route")
    return {name: row[1] for row in rows for name in re.findall(r"`([a-z_0-9.]+)`", row[0])}


def test_the_settings_of_a_route_are_those_that_there_are() -> None:
    there = {
        name
        for key, rule in ROUTE_RULES.items()
        for name in ([f"{key}.{inner}" for inner in rule] if isinstance(rule, dict) else [key])
    }
    assert defaults().keys() == there


def test_every_setting_of_a_route_has_its_default() -> None:
    said = defaults()
    timeouts = Timeouts()
    numbers = {
        "max_tokens": ROUTE.max_tokens,
        "concurrency": ROUTE.concurrency,
        "interval": ROUTE.interval,
        "stall_after": ROUTE.stall_after,
        "retries": ROUTE.retries,
        "goals.ttft_s": Goals().ttft_s,
        "goals.e2e_s": ROUTE.e2e_goal_s,
        "goals.success": Goals().success,
        **{f"timeouts.{name}": getattr(timeouts, name) for name in timeouts.__struct_fields__},
    }
    assert {name: float(said[name]) for name in numbers} == numbers
    for name in ("dialect", "api_version", "cap_field", "cache", "connection", "prompt", "proxy"):
        assert said[name] == f'`"{getattr(ROUTE, name)}"`'
    for name in ("insecure", "paused", "http2", "stream", "continuous_usage"):
        assert said[name] == str(getattr(ROUTE, name)).lower()
    assert said["tls.verify"] == str(ROUTE.tls.verify).lower()
    assert {f"price.{name}" for name in Price.__struct_fields__} <= said.keys()


@pytest.mark.parametrize("knob", KNOBS.values(), ids=lambda knob: knob.name)
def test_the_range_of_a_knob_stands_beside_its_setting(knob: KnobRange) -> None:
    (row,) = [row for row in PAGE.rows("A route") if row[0] == f"`{knob.name}`"]
    assert f"{knob.least:,} to {knob.most:,}" in row[2]


def test_every_other_setting_is_there_and_no_other() -> None:
    said: dict[str, set[str]] = {}
    for cell in first_cells(PAGE.rows("Budgets, recordings, the screen")):
        if cell.startswith("["):
            table = said.setdefault(cell.strip("[]"), set())
        else:
            table.add(cell)
    assert said == {
        "budget": set(BUDGET_RULES),
        "recording": set(RECORDING_RULES),
        "display": set(DISPLAY_RULES),
    }


def test_every_theme_of_ours_is_named() -> None:
    text = PAGE.section("Budgets, recordings, the screen")
    assert {name for name in OWN_THEMES if f"`{name}`" not in text.replace('"', "")} == set()


def test_every_provider_that_init_looks_for_is_named() -> None:
    text = PAGE.section("The file")
    prefixes = [provider.variable.removesuffix("API_KEY") for provider in PROVIDERS]
    assert [prefix for prefix in prefixes if f"`{prefix}" not in text] == []


def test_the_example_settings_are_good() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)
    assert tomllib.loads(example)
    config = parse_config(example, Path("routes.toml"), {"DEEPINFRA_API_KEY": "k" * 20})
    assert config.routes[0].goals.ttft_s == 0.8
