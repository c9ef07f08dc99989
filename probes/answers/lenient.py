"""JSON values as servers write them: any may be absent, null, or of another type than documented.

Rule 1  Nothing is refused for a part of it: what fits is taken, what does not is as if it were not
        there. The typed decoder, which is faster by far, refuses the whole; what it refuses is read
        again by `lenient`, field by field.
Rule 2  The type of a field says how it is read: `str` takes a string, `int` a count, a record an
        object, a list of records a list, or the one object that some servers write in its place.
        `Any` is looked into by whoever needs it. A field that servers write in more ways names its
        own reading with `read_by`; a record that they do has a `spelled`.
Rule 3  Numbers come as ints, floats and strings; an absurd one is unknown.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, inspect

from probes.kit.tolerant_json import value_of

_Record = TypeVar("_Record", bound=msgspec.Struct)
_Reading = Callable[[Any], Any]

Nothing: TypeAlias = Annotated[list[Any], Meta(max_length=0)] | None
"""No list, or an empty one: what the shapes of usual events ask of what they have no field for."""

_MOST_TOKENS: Final = 10**11
"""More is no count. Whether so many can have been used is judged where they are charged."""
_MOST_AMOUNT: Final = 10**15
"""The same of an amount, be it of ticks of which a USD has 10¹⁰."""
_DECIMAL: Final = re.compile(r"\s*\d{1,30}(\.\d{0,30})?([eE][+-]?\d{1,3})?\s*")
_any_decoder: Final = msgspec.json.Decoder()


def decode_any(data: str) -> object:
    """Return any JSON value; of a list its first value where the fast decoder refuses it.

    Raises:
        ValueError: the data is not JSON, or nested too deeply.
    """
    try:
        return _any_decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        # Servers write lone surrogates, control characters and endless numbers too.
        return first_of(value_of(data))


def decoder_of(shape: type[_Record]) -> Callable[[str], _Record | None]:
    """Return what decodes a record, typed where it can be, else leniently.

    It returns None for a JSON value that is no object and so carries nothing, and raises
    `ValueError` where the data is not JSON, or nested too deeply.
    """
    typed = msgspec.json.Decoder(shape).decode

    def decode(data: str) -> _Record | None:
        try:
            return typed(data)
        except (msgspec.DecodeError, RecursionError):
            raw = first_of(value_of(data))
        return lenient(shape, raw) if isinstance(raw, Mapping) else None

    return decode


def first_of(value: object) -> object:
    """Return the first of a list's values, as Google wraps errors, and anything else as it is."""
    return value[0] if isinstance(value, list) and value else value


def read_by(reading: _Reading) -> Meta:
    """Return what marks a field, in `Annotated`, as read by a function of its own."""
    return Meta(extra={"reading": reading})


def lenient(shape: type[_Record], raw: object) -> _Record:
    """Return the record of a JSON value of which any part may be of another type."""
    return _record(shape, _spelled(shape, raw) or {})


def _record(shape: type[_Record], given: Mapping[str, Any]) -> _Record:
    fields = _fields(shape)  # most are absent: what is not there is not read, as it has a default
    return shape(**{name: read(given[key]) for name, key, read in fields if key in given})


def _spelled(shape: type[msgspec.Struct], raw: object) -> Mapping[str, Any] | None:
    """Return the object that a value stands for; None where it stands for none."""
    if hasattr(shape, "spelled"):
        raw = shape.spelled(raw)
    return raw if isinstance(raw, dict | Mapping) else None


@cache
def _fields(shape: type[msgspec.Struct]) -> tuple[tuple[str, str, _Reading], ...]:
    """Return each field's name, its key in the JSON, and how it is read."""
    info = inspect.type_info(shape)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - what a record is
    return tuple((field.name, field.encode_name, _reading(field.type)) for field in info.fields)


def _reading(kind: inspect.Type) -> _Reading:
    if isinstance(kind, inspect.Metadata) and kind.extra is not None:
        reading: _Reading = kind.extra["reading"]
        return reading
    if isinstance(kind, inspect.AnyType):
        return lambda value: value
    if isinstance(kind, inspect.StrType):
        return string
    inner = kind.types[0] if isinstance(kind, inspect.UnionType) else kind  # the other is None
    if isinstance(inner, inspect.StrType):
        return lambda value: value if isinstance(value, str) else None
    if isinstance(inner, inspect.BoolType):
        return lambda value: value if isinstance(value, bool) else None
    if isinstance(inner, inspect.IntType):
        return count
    if isinstance(inner, inspect.StructType):
        shape = inner.cls
        return lambda value: (
            None if (given := _spelled(shape, value)) is None else _record(shape, given)
        )
    if isinstance(inner, inspect.ListType) and isinstance(inner.item_type, inspect.StructType):
        item = inner.item_type.cls
        return lambda value: (
            None if (found := listed(value)) is None else [lenient(item, one) for one in found]
        )
    raise TypeError(f"no lenient reading of {kind}")


def listed(value: object) -> list[Any] | None:
    """Return a list, or an object as the only one of it; None for anything else."""
    if isinstance(value, Mapping):
        return [value]
    return value if isinstance(value, list) else None


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object as it is, and anything else as an empty one."""
    if isinstance(value, dict | Mapping):  # `dict` first: asking the abstract class is slow
        return value
    return {}


def string(value: object) -> str:
    """Return a string as it is, and anything else as an empty one."""
    return value if isinstance(value, str) else ""


def quantity(value: object) -> float | None:
    """Return a finite number of zero or above; None for everything else, booleans included."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value.strip())  # of more characters than `float` takes for white space
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= sys.float_info.max else None


def count(value: object) -> int | None:
    """Return a whole number of tokens; None where it is no number, negative or absurd."""
    number = quantity(value)
    if number is None or number > _MOST_TOKENS or number != int(number):
        return None
    return int(number)


def first_count(*values: object) -> int | None:
    """Return the first of several that is a whole number of tokens; None where none is."""
    counts = map(count, values)
    return next((number for number in counts if number is not None), None)


def amount(value: object) -> float | None:
    """Return an amount of money; None where it is no number, negative or absurd."""
    number = quantity(value)
    return number if number is not None and number <= _MOST_AMOUNT else None


def given_to_call(value: object) -> str:
    """Return the JSON that a call is given; some servers send the object itself instead.

    Halves of characters stay as they came. Empty for what is neither, or nested beyond reason.
    """
    if not isinstance(value, Mapping | list):
        return string(value)
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except RecursionError:
        return ""
