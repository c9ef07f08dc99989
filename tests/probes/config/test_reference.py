"""Every setting is told from its field, and what is told is what the file takes."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.config import Config, Price, Route
from probes.config.errors import ConfigError
from probes.config.fields import Range, Settings, fields_of
from probes.config.file import parse_config
from probes.config.reference import TABLES, Setting, settings, table, toml_value
from probes.config.settings import route_keys

MINIMAL = '[routes.r]\nbase_url = "http://h"\nmodel = "m"\n'
ALL = list(settings())


WITH_VALUES = [setting for setting in ALL if re.match(r"[`0-9]|true|false", setting.default)]


def dotted(setting: Setting) -> str:
    return f"{setting.table}.{setting.key}".replace("NAME", "r")


def parsed(text: str) -> Config:
    return parse_config(text, Path("routes.toml"), {})


def with_line(setting: Setting, value: str) -> str:
    """Return the smallest file that sets something, whatever else it needs."""
    lines = {"routes.r.base_url": '"http://h"', "routes.r.model": '"m"'}
    if setting.key.startswith("price."):
        lines |= {"routes.r.price.input": "1", "routes.r.price.output": "1"}
    lines[dotted(setting)] = value
    return "".join(f"{key} = {text}\n" for key, text in lines.items())


@pytest.mark.parametrize("setting", ALL, ids=dotted)
def test_a_wrong_value_is_told_in_the_words_of_the_reference(setting: Setting) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(with_line(setting, "1979-05-27"))
    (problem,) = caught.value.problems
    assert problem.startswith(f"routes.toml: {dotted(setting)}: ")
    assert problem.endswith(f"expected {setting.field.takes.expected}")
    assert setting.meaning.endswith(".")


@pytest.mark.parametrize("setting", WITH_VALUES, ids=dotted)
def test_the_default_that_is_told_is_the_one_that_holds(setting: Setting) -> None:
    changed = parsed(with_line(setting, setting.default.strip("`").replace(",", "")))
    default = parsed(MINIMAL)
    if setting.key == "goals.e2e_s":  # which grows with the cap where it is not the user's own
        assert changed.routes[0].goals.e2e_s == default.routes[0].e2e_goal_s
    else:
        assert changed == default


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_a_row_for_each(name: str) -> None:
    head, _, *rows = table(name).splitlines()
    assert head.startswith(f"| `[{name}]` |")
    keys = [setting.key for setting in ALL if setting.table == name]
    assert [row.split("`")[1] for row in rows] == keys
    assert {row.count(" | ") for row in rows} == {3}


def test_only_a_route_s_name_and_what_settings_became_are_no_keys() -> None:
    assert {*fields_of(Route)} - {*route_keys()} == {"name", "prompts", "adaptive", "place"}
    assert {*fields_of(Price)} == {"input", "output", "cached_input"}


@given(
    st.recursive(
        st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text().filter(str.isprintable),
        lambda inner: st.lists(inner, max_size=3).map(tuple),
        max_leaves=5,
    )
)
def test_a_value_is_read_back_as_it_was(value: object) -> None:
    def listed(value: object) -> object:
        return [listed(inner) for inner in value] if isinstance(value, tuple) else value

    assert tomllib.loads(f"a = {toml_value(value)}")["a"] == listed(value)


@pytest.mark.parametrize(
    ("numbers", "words", "inside", "outside"),
    [
        (Range("a share", 0, 1), "a share from 0 to 1", (0, 0.5, 1), (-0.1, 1.1)),
        (Range("s", 0, exclusive=True), "s above 0", (1e-9, 1e300), (0, -1, float("inf"))),
        (Range("n", 1), "n ≥ 1", (1, 10**300), (0, 10**400, float("nan"))),
        (Range("n", 1, 2_000), "n from 1 to 2,000", (1, 2_000), (0, 2_001, float("inf"))),
        (Range("r", 0.5, 30, bounds="{least}–{most} Hz"), "r 0.5–30 Hz", (0.5, 30), (0.4, 31)),
    ],
)
def test_a_range_has_words_and_both_ends(
    numbers: Range, words: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    assert numbers.expected == words
    assert [value for value in inside if numbers.settled(value) != value] == []
    assert [value for value in outside if numbers.settled(value) is not None] == []


def test_records_are_strict_and_frozen() -> None:
    for record in (Route, Price):
        assert issubclass(record, Settings)
        assert record.__struct_config__.forbid_unknown_fields
        assert record.__struct_config__.frozen
