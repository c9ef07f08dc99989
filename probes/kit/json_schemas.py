"""Whether a JSON value fits a JSON Schema, where the value may be anything that a server sent.

Rule 1. No code is made of a schema, and nothing is ever fetched for one: a `$ref` leads to a place
        in the same schema, or the schema is refused.
Rule 2. What a schema calls a pattern is searched for by `linear_patterns`, never by an engine that
        goes back; and `uniqueItems` costs no more than the length of its list.
Rule 3. A value is looked at by one error only, the first: a list of a thousand wrong items tells no
        more than one of them.
Rule 4. Its package is imported where somebody has a schema, and nowhere else.

`format` asserts nothing: it is a note to the reader, as the specification has it by default.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

from probes.kit.linear_patterns import LinearPattern, PatternError
from probes.kit.short_figures import counted

MOST_BYTES: Final = 100_000
"""Of a schema as JSON: those that people write by hand have a hundredth of that."""
_MOST_WORDS: Final = 200
"""Characters of what the package says of a mistake: it quotes what is wrong, whole."""
_LATEST: Final = "https://json-schema.org/draft/2020-12/schema"
_DRAFTS: Final = frozenset(
    (
        *(_LATEST, "https://json-schema.org/draft/2019-09/schema"),
        *(f"http://json-schema.org/draft-0{number}/schema" for number in (3, 4, 6, 7)),
    )
)
"""What a schema may name as its `$schema`; the latest where it names none."""
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_NO_SCHEMAS: Final = frozenset(("const", "default", "enum", "examples"))
"""Keywords whose values are data and no schemas."""
_BY_NAME: Final = frozenset(
    ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
)
"""Keywords whose values are tables of schemas: the keys in them are names, and no keywords."""
_SAMPLES: Final[tuple[object, ...]] = (None, 0, "", [], {}, [[]], [{}], {"": {}})
"""Values of every kind, tried when a schema is read: one that refers to itself without end, or to
a place that is not there, is found out then and not by the first answer."""


class SchemaError(ValueError):
    """A schema cannot be used; the text says why."""


class Misfit(NamedTuple):
    """The first thing about a value that a schema does not allow."""

    rule: str
    """Where in the schema it is forbidden, such as `/properties/age/type`: the user's own words."""
    words: str
    """What is wrong, with the value's own words: hostile."""


def is_installed() -> bool:
    """Tell whether there is a package for schemas; it is not imported for that."""
    return find_spec("jsonschema") is not None


def uses_patterns(schema: Mapping[str, Any]) -> bool:
    """Tell whether a schema needs an engine for patterns."""
    return next(_patterns(schema), None) is not None


class JsonSchema:
    """A schema that values are held to."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Check a schema.

        Raises:
            SchemaError: it is too large, is none, or refers to what is not in it.
        """
        text = json.dumps(schema)
        if len(text) > MOST_BYTES:
            raise SchemaError(f"has more than {MOST_BYTES:,} bytes")
        for pattern in _patterns(schema):
            try:
                _pattern(pattern)
            except PatternError as error:
                words = f"has the pattern {json.dumps(pattern)[:60]}, which {error}"
                raise SchemaError(words) from None
        # As text again: the package wants the lists and tables of Python's own reader.
        self._validator = _validator(json.loads(text))

    def misfit(self, value: object) -> Misfit | None:
        """Return what does not fit; None where all does.

        Raises:
            RecursionError: the value is nested deeper than the schema can follow.
        """
        error = next(self._validator.iter_errors(value), None)
        if error is None:
            return None
        rule = "".join(f"/{part}" for part in error.absolute_schema_path)
        return Misfit(rule, f"{error.json_path}: {error.message}")


def _validator(schema: Any) -> Any:
    """Return the package's validator of a schema that was found to be one."""
    from jsonschema import FormatChecker, exceptions, validators  # an extra, dear to import
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    named = schema.get("$schema", _LATEST)
    if not isinstance(named, str) or named.rstrip("#") not in _DRAFTS:
        raise SchemaError(f"names a $schema that is not known: {json.dumps(named)[:80]}")
    plain = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        plain.check_schema(schema, format_checker=FormatChecker(formats=()))
    except exceptions.SchemaError as error:
        where = "".join(f"/{part}" for part in error.absolute_path) or "/"
        words = f"is no JSON Schema: {where}: {error.message[:_MOST_WORDS]}"
        raise SchemaError(words) from None
    for table in _tables(schema):
        if "unevaluatedProperties" in table and "patternProperties" in table:
            raise SchemaError("has unevaluatedProperties beside patternProperties, expected one")
    held = validators.extend(
        plain,
        {
            "pattern": _pattern_keyword,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
            "uniqueItems": _unique_items,
        },
    )
    # A registry of our own, and an empty one: without it the package would fetch what is named.
    validator = held(schema, registry=Registry())
    try:
        for reference in _references(schema):
            validator._resolver.lookup(reference)
        for sample in _SAMPLES:
            next(validator.iter_errors(sample), None)
    except Unresolvable as error:
        words = f"refers to {json.dumps(error.ref)[:80]}, which is not in it; nothing is fetched"
        raise SchemaError(words) from None
    except RecursionError:
        raise SchemaError("refers to itself without end") from None
    return validator


def _tables(schema: object) -> Iterator[Mapping[str, Any]]:
    """Give every table of a schema that may be a schema itself, the outermost first."""
    waiting: list[tuple[object, bool]] = [(schema, False)]
    while waiting:
        one, is_of_names = waiting.pop()
        if isinstance(one, list):
            waiting += ((inner, False) for inner in one)
        elif isinstance(one, dict):
            if not is_of_names:
                yield one
            waiting += (
                (inner, not is_of_names and key in _BY_NAME)
                for key, inner in one.items()
                if is_of_names or key not in _NO_SCHEMAS
            )


def _patterns(schema: object) -> Iterator[str]:
    """Give the patterns of a schema; a property that is called `pattern` is none."""
    for table in _tables(schema):
        pattern, by_name = table.get("pattern"), table.get("patternProperties")
        if isinstance(pattern, str):
            yield pattern
        if isinstance(by_name, dict):
            yield from by_name


def _references(schema: Mapping[str, Any]) -> Iterator[str]:
    """Give the references of a schema that can be looked up from its root: all, unless a part of it
    has an address of its own."""
    tables = list(_tables(schema))
    if any("$id" in table or "id" in table for table in tables[1:]):
        return
    for table in tables:
        for key in _REFERENCES:
            if isinstance(reference := table.get(key), str):
                yield reference


@cache
def _pattern(pattern: str) -> LinearPattern:
    return LinearPattern(pattern)


# Keywords as the package has them, where its own would go back in a text or compare all with all.


def _pattern_keyword(validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    if validator.is_type(value, "string") and not _pattern(pattern).is_in(value):
        yield _error(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], value: Any, _schema: Any
) -> Iterator[Any]:
    if validator.is_type(value, "object"):
        for pattern, schema in patterns.items():
            for name, one in value.items():
                if _pattern(pattern).is_in(name):
                    yield from validator.descend(one, schema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, wanted: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[Any]:
    if not validator.is_type(value, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [
        name
        for name in value
        if name not in known and not any(_pattern(one).is_in(name) for one in patterns)
    ]
    if validator.is_type(wanted, "object"):
        for name in extra:
            yield from validator.descend(value[name], wanted, path=name)
    elif not wanted and extra:
        yield _error(f"has the property {extra[0]!r}, which is not allowed")


def _unique_items(validator: Any, wanted: Any, value: Any, _schema: Any) -> Iterator[Any]:
    if wanted and validator.is_type(value, "array"):
        seen = {_comparable(one) for one in value}
        if len(seen) < len(value):
            twice = f"{len(value) - len(seen)} of {counted(len(value), 'item')}"
            yield _error(f"{twice} stand in it twice")


def _comparable(value: Any) -> Any:
    """Return what is equal where two JSON values are: `1` and `1.0` are, `1` and `true` are not."""
    if isinstance(value, dict):
        return "table", frozenset((name, _comparable(one)) for name, one in value.items())
    if isinstance(value, list):
        return ("list", *map(_comparable, value))
    return ("truth" if isinstance(value, bool) else "value"), value


def _error(words: str) -> Any:
    from jsonschema import ValidationError

    return ValidationError(words)
