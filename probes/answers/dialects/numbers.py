"""Numbers as servers write them: ints, floats, strings; anything absurd is unknown."""

import re
import sys
from collections.abc import Mapping
from typing import Any, Final

_MOST_TOKENS: Final = 10**11
"""More is no count. Whether so many can have been used is judged where they are charged."""
_MOST_AMOUNT: Final = 10**15
"""The same of an amount, be it of ticks of which a USD has 10¹⁰."""
_DECIMAL: Final = re.compile(r"\s*\d{1,30}(\.\d{0,30})?([eE][+-]?\d{1,3})?\s*")


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


def amount(value: object) -> float | None:
    """Return an amount of money; None where it is no number, negative or absurd."""
    number = quantity(value)
    return number if number is not None and number <= _MOST_AMOUNT else None


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object as it is, and anything else as an empty one."""
    if isinstance(value, dict | Mapping):  # `dict` first: asking the abstract class is slow
        return value
    return {}
