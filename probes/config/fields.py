"""What a field of the settings says of itself, and how a value of the file is held to it.

Rule 1. All of it stands on the field, in `probes.config.settings`: its type, its default, what it
takes beyond its type (`Range`, `Shape`) and, in the docstring under it, what it means. The check of
the file, the README's reference, the comments that `init` writes and the ranges of the knobs are
derived from there.
Rule 2. It counts for the file alone. msgspec's own bounds (`Meta(ge=…)`) would count on the pipe to
an engine, too, where one of several has a part of a concurrency, which may be none.
Rule 3. A wrong value costs itself: it is noted, one line with key, value and what was expected, and
all others are read.
Rule 4. A value is not shown where a secret could stand by mistake.
"""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from probes.config.errors import KeyPath, Problems, shown

_VARIABLE_PREFIX: Final = "env:"
_ANY_SIZE: Final = sys.float_info.max
"""Whatever is above it is infinite, and no setting is."""


def named_variable(value: str) -> str | None:
    """Return the environment variable that a value such as `env:NAME` names; else None."""
    if value.startswith(_VARIABLE_PREFIX):
        return value.removeprefix(_VARIABLE_PREFIX)
    return None


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: strict, frozen."""


class Range(msgspec.Struct, frozen=True):
    """The numbers that a field takes."""

    words: str
    """What such a number is, its unit included."""
    least: float
    most: float = _ANY_SIZE
    exclusive: bool = False
    """`least` itself is out of range; `most` never is."""
    bounds: str = ""
    """The bounds in words, with `{least}` and `{most}`; by default they follow from the numbers."""
    word: str = ""
    """A text that the file may have in a number's place; whoever reads the file settles it."""

    @property
    def expected(self) -> str:
        """The range in words, for whoever set something else."""
        bounds = "above {least:,}" if self.exclusive else "≥ {least:,}"
        if self.most < _ANY_SIZE:
            bounds = "from {least:,} to {most:,}"
        bounds = (self.bounds or bounds).format(least=self.least, most=self.most)
        return f"{self.words} {bounds}" + (f', or "{self.word}"' if self.word else "")

    def settled(self, value: float) -> float | None:
        """Return a number as it is kept; None where it is out of range."""
        # A whole number may be too large for a float: it is compared as it is.
        held = self.least <= value <= self.most and not (self.exclusive and value == self.least)
        return value if held else None


class Shape(msgspec.Struct, frozen=True):
    """What a field takes that is no number."""

    expected: str
    """What it is, for whoever set something else."""
    holds: Callable[[Any], bool] | None = None
    settle: Callable[[Any], Any] | None = None
    """Returns the value as it is kept. Raises ValueError where it can say more precisely what is
    wrong, without a secret."""
    show: bool = True
    """Whether a wrong value may be printed."""

    @property
    def words(self) -> str:
        """The same: a shape has no bounds."""
        return self.expected

    def settled(self, value: Any) -> Any:
        """Return a value as it is kept; None where it is none of these."""
        if self.holds is not None and not self.holds(value):
            return None
        return value if self.settle is None else self.settle(value)


class Unset(msgspec.Struct, frozen=True):
    """What holds where a field has no value, in the words of the reference."""

    words: str


class Field(msgspec.Struct, frozen=True):
    """One key of the file, as its field declares it."""

    kind: Any
    """Its type, without None and without what is noted beside it; a record for a table."""
    takes: Range | Shape
    default: Any
    """`msgspec.NODEFAULT` where the key is required."""
    unset: str
    """What holds where the default is None, in words; empty where nothing does."""

    @property
    def is_table(self) -> bool:
        """Whether the key is a table with a record of its own."""
        return isinstance(self.kind, type) and issubclass(self.kind, Settings)

    def read(self, value: object) -> Any:
        """Return a value of the file in the field's type.

        Raises:
            ValueError: it has another type or is out of range; the text says what was expected.
        """
        if isinstance(self.takes, Range) and self.takes.word and value == self.takes.word:
            return value
        try:
            settled = self.takes.settled(msgspec.convert(value, type=self.kind, strict=True))
        except msgspec.ValidationError:
            settled = None
        if settled is None:
            hidden = isinstance(self.takes, Shape) and not self.takes.show
            got = "" if hidden else f"got {shown(value)}, "
            raise ValueError(f"{got}expected {self.takes.expected}")
        return settled


@cache
def fields_of(record: type[Settings]) -> Mapping[str, Field]:
    """Return the keys of a table by name, in the order of its record."""
    return {info.name: _field_of(info) for info in msgspec.structs.fields(record)}


def _field_of(info: msgspec.structs.FieldInfo) -> Field:
    kind, notes = info.type, []
    while get_origin(kind) is Annotated or NoneType in get_args(kind):  # in any order
        kind, *more = (member for member in get_args(kind) if member is not NoneType)
        notes += more
    takes = next((note for note in notes if isinstance(note, Range | Shape)), None)
    if takes is None:  # the type alone says it
        choices = " or ".join(f'"{choice}"' for choice in _choices(kind))
        takes = Shape("true or false" if kind is bool else choices)
    made = info.default_factory
    return Field(
        kind,
        takes,
        default=info.default if made is msgspec.NODEFAULT else made(),
        unset=next((note.words for note in notes if isinstance(note, Unset)), ""),
    )


def _choices(kind: Any) -> tuple[str, ...]:
    """Return the texts of a `Literal`, or of a union of them; nothing of any other type."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(choice for member in get_args(kind) for choice in _choices(member))


def read_table(
    raw: object, fields: Mapping[str, Field], path: KeyPath, problems: Problems
) -> dict[str, Any]:
    """Return the values of a table that its fields take; note all others in `problems`.

    Tables in it are left out where a key is missing without which their record cannot be made.
    """
    if not isinstance(raw, dict):
        problems.add(path, f"got {shown(raw)}, expected a table")
        return {}
    values: dict[str, Any] = {}
    for key, value in raw.items():
        field, here = fields.get(key), (*path, key)
        if field is None:
            problems.unknown(here, fields)
        elif field.is_table:
            known = fields_of(field.kind)
            inner = read_table(value, known, here, problems)
            note_missing(value, known, here, problems)
            if inner.keys() >= {*needed(known)}:
                values[key] = inner
        else:
            try:
                values[key] = field.read(value)
            except ValueError as error:
                problems.add(here, str(error))
    return values


def needed(fields: Mapping[str, Field]) -> list[str]:
    """Return the keys without which there is no record."""
    return [key for key, field in fields.items() if field.default is msgspec.NODEFAULT]


def note_missing(raw: Any, fields: Mapping[str, Field], path: KeyPath, problems: Problems) -> None:
    """Note the keys that a table, if it is one, must have and has not."""
    for key in needed(fields) if isinstance(raw, dict) else ():
        if key not in raw:
            problems.add((*path, key), f"is missing, expected {fields[key].takes.words}")
