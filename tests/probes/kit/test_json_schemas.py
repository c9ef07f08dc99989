"""A schema is the user's own and may be wrong; a value is anybody's and may be hostile."""

import json
import re
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from probes.kit.json_schemas import MOST_BYTES, JsonSchema, SchemaError, uses_patterns

LIST = {
    "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}},
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"enum": ["x" * 1_000_000]}, "more than 100,000 bytes"),
        ({"type": "strin"}, "is no JSON Schema: /type"),
        ({"properties": {"a": {"minimum": "3"}}}, "/properties/a/minimum"),
        ({"$ref": "https://example.com/schema"}, "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
        ({"$ref": "other.json"}, "nothing is fetched"),
        ({"properties": {"a": {"$ref": "#/$defs/gone"}}}, "which is not in it"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"$schema": "https://example.com/mine"}, "names a $schema that is not known"),
        ({"$schema": 3}, "names a $schema that is not known"),
        ({"pattern": "(?=a)"}, 'has the pattern "(?=a)"'),
        ({"patternProperties": {r"(a)\1": {}}}, "is no pattern of RE2"),
        ({"properties": {"const": {"pattern": "("}}}, "is no pattern of RE2"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "expected one"),
    ],
)
def test_what_cannot_be_used_is_refused_when_it_is_read(
    schema: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SchemaError, match=re.escape(complaint)):
        JsonSchema(schema)


def test_a_megabyte_of_a_schema_costs_no_more_than_its_size() -> None:
    schema = {"properties": {f"p{number}": {"pattern": "a"} for number in range(40_000)}}
    assert len(json.dumps(schema)) > 1_000_000 > MOST_BYTES
    with pytest.raises(SchemaError, match="more than 100,000 bytes"):
        JsonSchema(schema)


def test_nothing_is_fetched_though_somebody_could_be_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda *given, **_: asked.append(given))
    for reference in ("http://127.0.0.1:9/a", "https://json-schema.org/never", "//127.0.0.1/x"):
        with pytest.raises(SchemaError):
            JsonSchema({"properties": {"a": {"$ref": reference}}})
    assert asked == []


@pytest.mark.parametrize(
    "schema",
    [
        {},
        LIST,
        {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}},
        {"const": {"pattern": "(?=a)", "$ref": "http://x/y"}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}},
        {"$id": "https://example.com/own", "$defs": {"a": {"$id": "b"}}, "$ref": "b"},
        {"format": "regex", "type": "string"},
    ],
)
def test_what_is_a_schema_is_taken(schema: dict[str, Any]) -> None:
    assert JsonSchema(schema).misfit({"x": 1}) is None or "type" in schema or "const" in schema


def test_a_pattern_is_told_from_a_property_of_that_name() -> None:
    assert uses_patterns({"items": [{"pattern": "a"}]})
    assert uses_patterns({"patternProperties": {"a": {}}})
    assert not uses_patterns({"properties": {"pattern": {"type": "string"}}})
    assert not uses_patterns({"default": {"pattern": "a"}})


def test_the_first_misfit_is_told_with_its_rule_and_its_place() -> None:
    schema = JsonSchema({"properties": {"a": {"items": {"type": "integer"}}}})
    misfit = schema.misfit({"a": [1, "x", "y"]})
    assert misfit is not None
    assert misfit.rule == "/properties/a/items/type"
    assert misfit.words == "$.a[1]: 'x' is not of type 'integer'"


OWN = {
    "pattern": "^a+$",
    "patternProperties": {"^x": {"type": "integer"}, "y$": {"minimum": 2}},
    "properties": {"known": {"type": "string"}},
    "additionalProperties": {"type": "boolean"},
    "uniqueItems": True,
}
NAMES = st.sampled_from(["known", "x", "xy", "y", "z", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_keywords_of_our_own_say_what_the_package_s_say(value: Any, closed: bool) -> None:
    schema = {**OWN, "additionalProperties": False} if closed else OWN
    assert (JsonSchema(schema).misfit(value) is None) == Draft202012Validator(schema).is_valid(
        value
    )


def test_many_items_that_cannot_be_sorted_are_compared_in_one_go() -> None:
    items: list[Any] = [{"a": number} if number % 2 else number for number in range(20_000)]
    schema = JsonSchema({"uniqueItems": True})
    assert schema.misfit(items) is None
    assert schema.misfit([*items, {"a": 1}]) is not None
