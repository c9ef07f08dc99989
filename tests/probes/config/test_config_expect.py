"""What an answer must be is read from the file, and every mistake in it is told then."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probes.config import Config, Expect
from probes.config.errors import ConfigError, Problems, dotted
from probes.config.expect import read_expect
from probes.config.file import parse_config
from probes.kit import json_schemas, linear_patterns

ROUTE = '[routes.r]\nbase_url = "http://h"\nmodel = "m"\n'


def parsed(text: str, folder: Path = Path()) -> Config:
    return parse_config(ROUTE + text, folder / "routes.toml", {})


def complaint(text: str, folder: Path = Path()) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(text, folder)
    (problem,) = caught.value.problems
    return problem.removeprefix("routes.toml: routes.r.expect.")


def test_one_text_is_a_list_of_one() -> None:
    (route,) = parsed('expect = { contains = "a", lacks = ["b", "c"] }').routes
    assert route.expect == Expect(contains=("a",), lacks=("b", "c"))
    assert Expect(contains="ab").contains == ("ab",)
    again = msgspec.json.decode(msgspec.json.encode(route.expect), type=Expect)
    assert again == route.expect  # as it goes to an engine


def test_nothing_is_expected_unless_it_is_said() -> None:
    (route,) = parsed("").routes
    assert not route.expect.is_set
    assert route.expect.words == ""
    for said in (
        'contains = "a"',
        'lacks = "a"',
        'equals = "a"',
        'pattern = "a"',
        "json_schema = {}",
    ):
        assert parsed(f"expect = {{ {said} }}").routes[0].expect.is_set
    assert not parsed("expect = { ignore_case = true }").routes[0].expect.is_set


def test_a_route_s_own_replaces_that_of_the_defaults_whole() -> None:
    text = '[defaults.expect]\ncontains = "a"\n' + ROUTE
    assert parse_config(text, Path("r.toml"), {}).routes[0].expect.contains == ("a",)
    own = parse_config(text + 'expect = { lacks = "b" }', Path("r.toml"), {}).routes[0].expect
    assert own == Expect(lacks="b")
    assert not parse_config(text + "expect = {}", Path("r.toml"), {}).routes[0].expect.is_set


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('contains = ""', "contains: got"),
        ('contains = ["a", 3]', "contains: got a list"),
        ("contains = 3", "contains: got 3"),
        ('contain = "a"', "contain: unknown key, did you mean contains?"),
        (f"contains = {['a'] * 21}", "contains: got a list"),
        (f'equals = "{"a" * 10_001}"', "equals: got"),
        ('pattern = "(?=a)"', "pattern: is no pattern of RE2: invalid perl operator"),
        (r"pattern = '\pL{1000}'", "pattern: is no pattern of RE2: pattern too large"),
        ('json_schema = "a.json"', "json_schema: expected a table that is a JSON Schema"),
        ("json_schema = { const = 2020-01-01 }", "json_schema: expected a table"),
        ("json_schema = { const = 99999999999999999999 }", "json_schema: expected a table"),
        ('json_schema = { type = "x" }', "json_schema: is no JSON Schema: /type"),
        ('json_schema = { "$ref" = "http://h/x" }', "json_schema: refers to"),
        ('json_schema = {}\njson_schema_file = "s"', "json_schema_file: stands beside json_schema"),
        ('json_schema_file = "none.json"', "json_schema_file: "),
    ],
)
def test_a_mistake_is_told_at_its_key(text: str, told: str) -> None:
    assert complaint(f"[routes.r.expect]\n{text}").startswith(told)


def test_a_schema_s_file_lies_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "integer"}')
    (route,) = parsed('expect = { json_schema_file = "schema.json" }', tmp_path).routes
    assert route.expect == Expect(json_schema={"type": "integer"})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{" + b'"a":' + b'"' + b"x" * 1_000_000 + b'"}', "has more than 100,000 bytes"),
        (b"[1]", "expected a table"),
        (b"{", "is no JSON"),
        (b'{"a": NaN}', "is no JSON"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "nested at most 64 deep"),
        (b'{"a":' * 9_000, "nested at most 64 deep"),
        (b'{"a": "\xff"}', "is not UTF-8"),
        (b'{"type": "x"}', "is no JSON Schema"),
    ],
    ids=["large", "list", "cut", "nan", "deep", "too deep", "latin", "none"],
)
def test_a_file_that_holds_no_schema_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "s.json").write_bytes(content)
    line = complaint('expect = { json_schema_file = "s.json" }', tmp_path)
    assert line.startswith("json_schema_file: ")
    assert told in line
    assert len(line) < 400


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ('pattern = "a"', "google-re2"),
        ("json_schema = {}", "jsonschema"),
        ('json_schema = { pattern = "a" }', "google-re2"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    text: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"google-re2": "re2"}.get(package, package)

    def find(name: str) -> Any:
        return None if name == missing else find_spec(name)

    monkeypatch.setattr(linear_patterns, "find_spec", find)
    monkeypatch.setattr(json_schemas, "find_spec", find)
    told = complaint(f"[routes.r.expect]\n{text}")
    assert told.endswith(f"the package {package}: pip install 'llmtop-tui[expect]'")


def test_what_is_expected_is_said_in_a_few_words() -> None:
    expect = Expect(contains="harbour", lacks="x" * 99, equals="a\nb", pattern="^a", json_schema={})
    assert expect.words == (
        f'contains "harbour", lacks "{"x" * 39}…", is "a b", matches "^a", is JSON of a schema'
    )


def read(raw: object) -> tuple[Expect, Mapping[str, str]]:
    told: dict[str, str] = {}
    problems = Problems(lambda path: dotted(path))
    expect = read_expect(raw, Path(), ("line 3", "expect"), problems)
    try:
        problems.raise_if_any()
    except ConfigError as error:
        told = dict(line.split(": ", 1) for line in error.problems)
    return expect, told


def test_a_table_of_another_file_is_read_by_the_same_rules() -> None:
    assert read({"contains": "a", "ignore_case": True}) == (
        Expect(contains=("a",), ignore_case=True),
        {},
    )
    expect, told = read({"contains": 3, "pattern": "(", "equals": "x"})
    assert expect == Expect(equals="x")
    assert set(told) == {'"line 3".expect.contains', '"line 3".expect.pattern'}
    assert read("harbour")[1] == {'"line 3".expect': 'got "harbour", expected a table'}
