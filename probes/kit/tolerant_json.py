"""JSON as loosely as servers write it, where the typed decoders refuse it."""

import json
import re
from typing import Final

_PAGE: Final = re.compile(r"\s*<(!doctype|html|head|title|body|h1|\?xml)\b", re.IGNORECASE)
_BEGINNING: Final = re.compile(r'\s*(\{|"|\[\s*([\[{"\]\-0-9]|true|false|null|\Z))')
_STRING_OR_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[{}\[\]]', re.DOTALL)
_MOST_PARTS: Final = 1_000_000
"""More objects, lists and members than an answer has: decoded they take far more than bytes."""
_DEEPEST: Final = 128
"""Deeper than any answer nests, and far from where Python runs out of stack."""
_MOST_DIGITS: Final = 400
"""A longer number is taken for a float, and is infinite: Python refuses to make it an int."""


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


_decoder: Final = json.JSONDecoder(strict=False, parse_int=_number)


def begins_json(text: str) -> bool:
    """Whether a text begins as JSON that could be any of an answer: `[PING]` and words do not.

    Numbers do not either: a keep-alive may begin with its date, no answer with a number.
    """
    return _BEGINNING.match(text) is not None


def begins_page(text: str) -> bool:
    """Whether a text begins as a page of HTML, which is none of an answer and ends it."""
    return _PAGE.match(text) is not None


def unreadable(text: str) -> str:
    """Return why JSON is not to be decoded; empty where it may be.

    `too_large` where its objects would cost far more than its bytes, `bad_json` where it is nested
    so deeply that whoever walks through it could run out of stack.
    """
    if len(text) > _MOST_PARTS and sum(map(text.count, "{[,")) > _MOST_PARTS:
        return "too_large"
    return "bad_json" if _is_deep(text) else ""


def _is_deep(text: str) -> bool:
    if text.count("{") + text.count("[") <= _DEEPEST:
        return False
    depth = 0
    for found in _STRING_OR_TOKEN.finditer(text):
        token = found[0]
        if token in ("{", "["):
            depth += 1
            if depth > _DEEPEST:
                return True
        elif token in ("}", "]"):
            depth -= 1
    return False


def value_of(text: str) -> object:
    """Return any JSON value: lone surrogates, control characters and endless numbers are taken.

    Raises:
        ValueError: the text is not JSON, or nested too deeply.
    """
    try:
        return _decoder.decode(text)
    except RecursionError as error:
        raise ValueError("JSON is nested too deeply") from error


def value_or_none(text: str) -> object | None:
    """Return any JSON value; None where it is not JSON, or nested too deeply."""
    try:
        return value_of(text)
    except ValueError:
        return None


def first_value(text: str) -> object:
    """Return the JSON value that a text begins with, whatever follows it.

    Raises:
        ValueError: the text does not begin with JSON, or with some that is nested too deeply.
    """
    try:
        value: object = _decoder.raw_decode(text)[0]
    except RecursionError as error:
        raise ValueError("JSON is nested too deeply") from error
    return value
