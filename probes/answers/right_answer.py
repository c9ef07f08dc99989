"""Is an answer what was expected of it? Texts in, a judgement out; no sockets and no clock.

Rule 1. Only a whole answer that is ok by all else is looked at: what was cut, refused, filtered or
        empty has a verdict of its own, and is not wrong besides.
Rule 2. An answer that its cap cut short, or that is longer than is looked at, is wrong only by what
        no more of it could mend: a text that must not be there, or a beginning that is another one.
        Whether the rest would have had what is missing nobody knows: it is `open`.
Rule 3. An answer is hostile. It is cut at a bound, what is searched for in it takes time in
        proportion to its length, and JSON in it is not followed deeper than any answer nests.
Rule 4. Of a wrong answer two short pieces are told, its beginning and its end, and what a schema
        says of it; where no example is to be kept, none of its words.
"""

import json
from functools import partial
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeAlias

from probes.config.expect import Expect, quoted_short
from probes.kit.json_schemas import JsonSchema
from probes.kit.linear_patterns import LinearPattern
from probes.kit.short_figures import counted
from probes.kit.tolerant_json import unreadable
from probes.kit.words import clean

MOST_CHECKED: Final = 100_000
"""Characters of an answer that are looked at: 25,000 tokens, more than anybody's canary brings."""
PIECE: Final = 60
"""Characters of each of the two pieces that are told of a wrong answer."""
_MISFIT: Final = 120
"""Characters of what a schema says of a value."""
_MOST_DIGITS: Final = 300
"""Of a whole number; one of more is beyond what anybody reckons with, and no arithmetic is done."""
_FENCE: Final = "```"

Finding: TypeAlias = Literal[
    "right",
    "wrong",
    "open",  # it was cut: what is missing may have come later
]


class AnswerJudgement(NamedTuple):
    """What came of the look at an answer."""

    finding: Finding
    words: str = ""
    """Of a wrong answer, what was expected and what came: hostile, at most 500 characters."""


class _NotJsonError(ValueError):
    """A text is no JSON; the words say why, without any of the text."""


class Expectation:
    """What is expected, ready to be held against answers."""

    def __init__(self, expect: Expect) -> None:
        """Prepare a table of the settings.

        Raises:
            PatternError: its pattern is none; its settings were not read by `settle_expect`.
            SchemaError: the same of its schema.
            ImportError: a package that it needs is missing.
        """
        self._expect = expect
        self._contains = tuple(map(self._compared, expect.contains))
        self._lacks = tuple(map(self._compared, expect.lacks))
        self._equals = None if expect.equals is None else self._compared(expect.equals.strip())
        self._pattern = (
            None
            if expect.pattern is None
            else LinearPattern(expect.pattern, ignore_case=expect.ignore_case)
        )
        self._schema = None if expect.json_schema is None else JsonSchema(expect.json_schema)

    def judge(self, text: str, *, is_cut: bool = False) -> AnswerJudgement:
        """Hold an answer's text against it; `is_cut` where there would have been more of it."""
        if len(text) > MOST_CHECKED:
            text, is_cut = text[:MOST_CHECKED], True
        text = text.lstrip() if is_cut else text.strip()
        wrong, missing = self._wrong(text, is_cut=is_cut)
        if wrong:
            return AnswerJudgement("wrong", self._told(wrong, text))
        return AnswerJudgement("open" if missing else "right")

    def _wrong(self, text: str, *, is_cut: bool) -> tuple[str, bool]:
        """Return what is wrong for sure, and else whether something is missing that may have been
        cut off."""
        compared = self._compared(text)
        for told, one in zip(self._expect.lacks, self._lacks, strict=True):
            if one in compared:
                return f"expected no {quoted_short(told)} in it", False
        whole = self._equals
        if whole is not None and compared != whole:
            if not (is_cut and whole.startswith(compared)):
                return f"expected {quoted_short(self._expect.equals or '')}", False
            return "", True
        wrong = self._missing(text, compared)
        return ("", bool(wrong)) if is_cut else (wrong, False)

    def _missing(self, text: str, compared: str) -> str:
        """Return what more of the answer might have brought; empty where all is there."""
        for told, one in zip(self._expect.contains, self._contains, strict=True):
            if one not in compared:
                return f"expected {quoted_short(told)} in it"
        if self._pattern is not None and not self._pattern.is_in(text):
            return f"expected a match of {quoted_short(self._expect.pattern or '')}"
        return "" if self._schema is None else self._misfit(self._schema, text)

    def _misfit(self, schema: JsonSchema, text: str) -> str:
        """Return what of a text does not fit the schema; empty where all does."""
        try:
            misfit = schema.misfit(_json_value(text))
        except _NotJsonError as error:
            return f"expected JSON: {error}"
        except RecursionError:
            return "expected JSON of the schema: it is nested too deeply"
        if misfit is None:
            return ""
        rule = misfit.rule if len(misfit.rule) <= _MISFIT else misfit.rule[: _MISFIT - 1] + "…"
        if not self._expect.example:
            return f"expected JSON of the schema: it breaks {rule}"
        return f"expected JSON of the schema ({rule}): {quoted_short(misfit.words, _MISFIT)}"

    def _told(self, wrong: str, text: str) -> str:
        if not self._expect.example:
            return f"{wrong}; {counted(len(text), 'character')} came"
        return clean(f"{wrong}; came {_pieces(text)}")

    def _compared(self, text: str) -> str:
        return text.casefold() if self._expect.ignore_case else text


def _pieces(text: str) -> str:
    """Return the beginning of a text and, where that is not all of it, its end."""
    if not text:
        return "nothing"
    if len(text) <= 2 * PIECE:
        return quoted_short(text, 2 * PIECE)
    return f"{quoted_short(text[:PIECE], PIECE)} … {quoted_short(text[-PIECE:], PIECE)}"


def _json_value(text: str) -> Any:
    """Return the JSON value that a text is, as strictly as JSON is written down: no `NaN`, no
    number that is infinite. Of keys that stand twice the last counts, as everywhere.

    Raises:
        _NotJsonError: it is none.
    """
    if text.startswith(_FENCE):
        raise _NotJsonError("it stands in a code fence")
    why = unreadable(text)
    if why:
        raise _NotJsonError("it is nested too deeply" if why == "bad_json" else "it is too large")
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _NotJsonError(f"{error.msg.lower()} at character {error.pos + 1}") from None
    except RecursionError:
        raise _NotJsonError("it is nested too deeply") from None


def _refuse(name: str) -> NoReturn:
    raise _NotJsonError(f"{name} is no number of JSON")


def _number(kind: type[int] | type[float], digits: str) -> int | float:
    number = kind(digits) if len(digits) <= _MOST_DIGITS else float(digits)
    if abs(number) == float("inf"):
        raise _NotJsonError("a number in it is too large")
    return number


_decoder: Final = json.JSONDecoder(
    parse_constant=_refuse, parse_int=partial(_number, int), parse_float=partial(_number, float)
)
