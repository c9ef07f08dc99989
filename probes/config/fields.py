"""What a field of the settings says of itself, and how a value of the file is held to it.

Rule 1. All of it stands on the field, in `probes.config.settings`: its type, its default, what it
takes beyond its type (`Range`, `Shape`) and, as the string in its `Annotated`, what it means. The
check of the file, the README's reference, the comments that `init` writes and the ranges of the
knobs are derived from there.
Rule 2. It counts for the file alone. msgspec's own bounds (`Meta(ge=…)`) would count on the pipe to
an engine, too, where one of several has a part of a concurrency, which may be none.
Rule 3. A wrong value costs itself: it is noted, one line with key, value and what was expected, and
all others are read.
Rule 4. A value is not shown where a secret could stand by mistake.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec

from probes.config.errors import KeyPath, Problems, shown

_ANY_SIZE: Final = sys.float_info.max
"""Whatever is above it is infinite, and no setting is."""


_VARIABLE_PREFIX: Final = "env:"


def named_variable(value: str) -> str | None:
    """Return the environment variable that a value such as `env:NAME` names; else None."""
    if value.startswith(_VARIABLE_PREFIX):
        return value.removeprefix(_VARIABLE_PREFIX)
    return None


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: strict, frozen."""


def _always(_: Any) -> bool:
    return True


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers that a field takes."""

    words: str
    """What such a number is, its unit included."""
    least: float
    most: float = _ANY_SIZE
    exclusive: bool = False
    """`least` itself is out of range; `most` never is."""
    bounds: str = ""
    """The bounds in words, where these are not simply the two numbers, `{least}` and `{most}`."""

    @property
    def expected(self) -> str:
        """The range in words, for whoever set something else."""
        if self.bounds:
            return f"{self.words} {self.bounds.format(least=self.least, most=self.most)}"
        if self.most == _ANY_SIZE:
            return f"{self.words} {'above' if self.exclusive else '≥'} {self.least:,}"
        return f"{self.words} from {self.least:,} to {self.most:,}"

    def holds(self, value: float) -> bool:
        """Tell whether a number is in range; a whole one may be of any size."""
        return self.least <= value <= self.most and not (self.exclusive and value == self.least)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a field takes that is no number."""

    words: str
    """What it is, for whoever set something else."""
    holds: Callable[[Any], bool] = _always
    settle: Callable[[Any], Any] = _as_it_is
    """Returns the value as it is kept; raises ValueError where it can say more precisely what is
    wrong, without a secret."""
    show: bool = True
    """Whether a wrong value may be printed."""

    @property
    def expected(self) -> str:
        """What was expected, in words."""
        return self.words


@dataclass(frozen=True, slots=True)
class Unset:
    """What holds where a field has no value, in the words of the reference."""

    words: str


_FLAG: Final = Shape("true or false")


class Field(NamedTuple):
    """One key of the file, as its field declares it."""

    kind: Any
    """Its type, without None and without what is noted beside it; a record for a table."""
    takes: Range | Shape
    default: Any
    """`msgspec.NODEFAULT` where the key is required."""
    unset: str
    """What holds where the default is None, in words; empty where nothing does."""
    meaning: str

    @property
    def is_table(self) -> bool:
        """Whether the key is a table with a record of its own."""
        return isinstance(self.kind, type) and issubclass(self.kind, Settings)

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is msgspec.NODEFAULT

    def read(self, value: object) -> Any:
        """Return a value of the file in the field's type.

        Raises:
            ValueError: it has another type or is out of range; the text says what was expected.
        """
        try:
            converted = msgspec.convert(value, type=self.kind, strict=True)
        except msgspec.ValidationError:
            raise ValueError(self._complaint(value)) from None
        if not self.takes.holds(converted):
            raise ValueError(self._complaint(value))
        return self.takes.settle(converted) if isinstance(self.takes, Shape) else converted

    def _complaint(self, value: object) -> str:
        hidden = isinstance(self.takes, Shape) and not self.takes.show
        return f"{'' if hidden else f'got {shown(value)}, '}expected {self.takes.expected}"


@cache
def fields_of(record: type[Settings]) -> Mapping[str, Field]:
    """Return the keys of a table by name, in the order of its record."""
    return {info.name: _field_of(info) for info in msgspec.structs.fields(record)}


def _field_of(info: msgspec.structs.FieldInfo) -> Field:
    kind, notes = info.type, []
    while True:  # `Annotated` may stand in a union with None, and around it
        members = [member for member in get_args(kind) if member is not NoneType]
        if get_origin(kind) is Annotated:
            kind, *more = members
            notes += more
        elif NoneType in get_args(kind):
            (kind,) = members
        else:
            break
    takes = next((note for note in notes if isinstance(note, Range | Shape)), None)
    default = info.default
    if info.default_factory is not msgspec.NODEFAULT:
        default = info.default_factory()
    return Field(
        kind=kind,
        takes=takes or _by_type(kind),
        default=default,
        unset=next((note.words for note in notes if isinstance(note, Unset)), ""),
        meaning=next((note for note in notes if isinstance(note, str)), ""),
    )


def _by_type(kind: Any) -> Shape:
    """Return what a type alone says that a field takes."""
    if kind is bool:
        return _FLAG
    return Shape(" or ".join(f'"{choice}"' for choice in _choices(kind)))


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
            inner_fields = fields_of(field.kind)
            inner = read_table(value, inner_fields, here, problems)
            if isinstance(value, dict):
                note_missing(value, inner_fields, here, problems)
            if is_complete(inner, inner_fields):
                values[key] = inner
        else:
            try:
                values[key] = field.read(value)
            except ValueError as error:
                problems.add(here, str(error))
    return values


def note_missing(
    raw: Mapping[str, Any], fields: Mapping[str, Field], path: KeyPath, problems: Problems
) -> None:
    """Note the keys that a table must have and has not."""
    for key, field in fields.items():
        if field.is_required and key not in raw:
            problems.add((*path, key), f"is missing, expected {field.takes.words}")


def is_complete(values: Mapping[str, Any], fields: Mapping[str, Field]) -> bool:
    """Tell whether a record can be made of good values."""
    return all(key in values for key, field in fields.items() if field.is_required)
