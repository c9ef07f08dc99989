"""What an answer must be to be of use: `expect` of a route, or of a prompt.

Rule 1. All that is said must hold. Who says nothing expects nothing, and no answer is looked at.
Rule 2. A mistake in it is told when the file is read: a pattern that is none, a schema that is too
        large, a package that is missing.
Rule 3. It comes from a user's own file, an answer from a server: what is bounded here is what may
        be asked of a hostile answer.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from probes.config.errors import KeyPath, Problems
from probes.config.fields import Settings, Shape, fields_of, read_table
from probes.config.text import EncodingError, decode_text
from probes.kit import json_schemas, linear_patterns
from probes.kit.json_schemas import JsonSchema, SchemaError
from probes.kit.linear_patterns import LinearPattern, PatternError
from probes.kit.open_regular import TooLargeError
from probes.kit.paths import PathError, path_of
from probes.kit.trust import UntrustedError, read_trusted

LONGEST_TEXT: Final = 10_000
"""Characters of a text to look for; nobody writes down a longer answer."""
MOST_TEXTS: Final = 20
_NEEDS: Final = "pip install 'llmtop-tui[expect]'"
_DEEPEST_SCHEMA: Final = 64


def _texts(value: object) -> tuple[str, ...]:
    """Return a text, or a list of them, as what is kept."""
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]


def _are_texts(value: object) -> bool:
    texts = _texts(value)
    return len(texts) <= MOST_TEXTS and all(map(_is_text, texts))


def _is_text(text: str) -> bool:
    return bool(text.strip()) and len(text) <= LONGEST_TEXT


def is_json(value: object, deepest: int = _DEEPEST_SCHEMA) -> bool:
    """Tell whether JSON has such a value, nested no deeper; it has no dates, no nan and no inf."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return deepest > 0 and all(is_json(one, deepest - 1) for one in inner)
    if isinstance(value, int):
        return -(2**63) <= value < 2**64  # what any reader of JSON can hold
    return value is None or isinstance(value, str)


_EQUAL: Final = Shape(
    f"a text that is not empty, at most {LONGEST_TEXT:,} characters",
    _is_text,
)
_FILE: Final = Shape("the path of a JSON file", lambda text: text.strip() and text.isprintable())
_TEXTS: Final = Shape(
    f"a text that is not empty or a list of at most {MOST_TEXTS}, each at most"
    f" {LONGEST_TEXT:,} characters",
    _are_texts,
    settle=_texts,
)
_SCHEMA: Final = Shape("a table that is a JSON Schema", is_json, show=False)


class Expect(Settings, frozen=True, kw_only=True):
    """What an answer must be. Texts are compared without the blanks at the answer's ends."""

    contains: Annotated[str | tuple[str, ...], _TEXTS] = ()
    """A text that must be in the answer, or a list of which all must be."""
    lacks: Annotated[str | tuple[str, ...], _TEXTS] = ()
    """The same of what must not be in it, such as an apology."""
    equals: Annotated[str | None, _EQUAL] = None
    """The whole answer, but for blanks at its ends."""
    pattern: Annotated[str | None, Shape("a regular expression of RE2", _is_text)] = None
    """A regular expression that must match somewhere in it (`^` and `$` are its ends); RE2's, which
    takes time in proportion to the answer; needs `pip install 'llmtop-tui[expect]'`."""
    json_schema: Annotated[dict[str, Any] | None, _SCHEMA] = None
    """The answer must be JSON and fit this JSON Schema, of at most 100,000 bytes; nothing that it
    refers to is fetched, and `format` asserts nothing; needs `pip install 'llmtop-tui[expect]'`."""
    json_schema_file: Annotated[str | None, _FILE] = None
    """Holds the schema; relative to this file."""
    ignore_case: bool = False
    """Upper and lower case are one, in all but `json_schema`."""
    example: bool = True
    """Keep two short pieces of a wrong answer, its beginning and its end, in what is told of it."""

    def __post_init__(self) -> None:
        """Keep one text as a list of one, wherever it comes from."""
        msgspec.structs.force_setattr(self, "contains", _texts(self.contains))
        msgspec.structs.force_setattr(self, "lacks", _texts(self.lacks))

    @property
    def is_set(self) -> bool:
        """Whether anything is expected."""
        return bool(
            self.contains
            or self.lacks
            or self.equals is not None
            or self.pattern is not None
            or self.json_schema is not None
        )

    @property
    def words(self) -> str:
        """What is expected, in a few words; empty where nothing is."""
        parts = [f"contains {quoted_short(one)}" for one in self.contains]
        parts += [f"lacks {quoted_short(one)}" for one in self.lacks]
        if self.equals is not None:
            parts.append(f"is {quoted_short(self.equals)}")
        if self.pattern is not None:
            parts.append(f"matches {quoted_short(self.pattern)}")
        if self.json_schema is not None:
            parts.append("is JSON of a schema")
        return ", ".join(parts)


def quoted_short(text: str, most: int = 40) -> str:
    """Return a text in quotes on one line, cut with a mark."""
    text = " ".join(text[: 4 * most].split())
    return f'"{text}"' if len(text) <= most else f'"{text[: most - 1]}…"'


def read_expect(raw: object, folder: Path, path: KeyPath, problems: Problems) -> Expect:
    """Return an `expect` table of any file, its paths relative to `folder`.

    Mistakes are noted, each at its key below `path`; what is wrong is left out.
    """
    values = read_table(raw, fields_of(Expect), path, problems)
    return Expect(**settle_expect(values, folder, path, problems))


def settle_expect(
    values: Mapping[str, Any], folder: Path, path: KeyPath, problems: Problems
) -> dict[str, Any]:
    """Return the good values of an `expect` table, its schema's file read; note the mistakes."""
    settled = dict(values)
    file = settled.pop("json_schema_file", None)
    if file is not None:
        here = (*path, "json_schema_file")
        if "json_schema" in settled:
            problems.add(here, "stands beside json_schema, expected one of them")
        else:
            try:
                settled["json_schema"] = _schema_of(path_of(file, folder))
            except (ValueError, PathError) as error:
                problems.add(here, str(error))
    schema_key = "json_schema" if file is None else "json_schema_file"
    for key, said_of, complaint in (
        ("pattern", "pattern", _pattern_complaint(settled)),
        ("json_schema", schema_key, _schema_complaint(settled.get("json_schema"))),
    ):
        if complaint is not None:
            del settled[key]
            problems.add((*path, said_of), complaint)
    return settled


def _pattern_complaint(values: Mapping[str, Any]) -> str | None:
    pattern = values.get("pattern")
    if pattern is None:
        return None
    if not linear_patterns.is_installed():
        return f"needs the package google-re2: {_NEEDS}"
    try:
        LinearPattern(pattern, ignore_case=values.get("ignore_case", False))
    except PatternError as error:
        return str(error)
    return None


def _schema_complaint(schema: Mapping[str, Any] | None) -> str | None:
    if schema is None:
        return None
    if not json_schemas.is_installed():
        return f"needs the package jsonschema: {_NEEDS}"
    if json_schemas.uses_patterns(schema) and not linear_patterns.is_installed():
        return f"has a pattern, and needs the package google-re2: {_NEEDS}"
    try:
        JsonSchema(schema)
    except SchemaError as error:
        return str(error)
    return None


def _schema_of(file: Path) -> dict[str, Any]:
    """Return what a schema's file holds.

    Raises:
        ValueError: it cannot be read, or is no table of JSON; the text names the file.
    """
    try:
        text = decode_text(read_trusted(file, json_schemas.MOST_BYTES))
        schema = msgspec.json.decode(text)
    except TooLargeError:
        raise ValueError(f"{file}: has more than {json_schemas.MOST_BYTES:,} bytes") from None
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror or error}") from None
    except (UntrustedError, EncodingError) as error:
        raise ValueError(f"{file}: {error}") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"{file}: is no JSON: {error}") from None
    except RecursionError:
        schema = None
    if not isinstance(schema, dict) or not is_json(schema):
        raise ValueError(f"{file}: expected a table nested at most {_DEEPEST_SCHEMA} deep")
    return schema
