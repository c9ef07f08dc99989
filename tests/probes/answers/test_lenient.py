"""What servers write otherwise than they document is taken for what it is, as far as it fits."""

import json
from typing import Annotated, Any

import msgspec
import pytest

from probes.answers.dialects import dialect_for
from probes.answers.framing import ServerSentEvent
from probes.answers.lenient import (
    count,
    decode_any,
    decoder_of,
    given_to_call,
    lenient,
    quantity,
    read_by,
)


class Inner(msgspec.Struct):
    words: str | None = None

    @staticmethod
    def spelled(raw: object) -> object:
        return {"words": raw} if isinstance(raw, str) else raw


class Shape(msgspec.Struct):
    name: str = ""
    words: str | None = None
    number: int | None = 0
    yes: bool | None = None
    any: Any = None
    inner: Inner | None = None
    inners: list[Inner] | None = None
    own: Annotated[str | None, read_by(lambda value: f"read {value}")] = None
    other: str | None = msgspec.field(default=None, name="otherName")


decode = decoder_of(Shape)
FULL = {
    "name": "n",
    "words": "w",
    "number": 7,
    "yes": True,
    "any": [1],
    "inner": {"words": "i"},
    "inners": [{"words": "a"}, {"words": "b"}],
    "otherName": "o",
}


def test_what_fits_is_read_the_same_either_way() -> None:
    assert lenient(Shape, FULL) == decode(json.dumps(FULL))
    assert lenient(Shape, {}) == Shape()


@pytest.mark.parametrize(
    ("field", "written", "read"),
    [
        *(("name", 7, ""), ("name", None, ""), ("words", 7, None), ("words", ["w"], None)),
        *(("number", "7", 7), ("number", 7.0, 7), ("number", -1, None), ("number", "x", None)),
        *(("yes", 1, None), ("yes", "true", None), ("yes", False, False)),
        *(("any", {"x": 1}, {"x": 1}), ("any", None, None)),
        *(("inner", 7, None), ("inner", {"words": 7}, Inner()), ("inner", "i", Inner("i"))),
        *(("inners", {"words": "a"}, [Inner("a")]), ("inners", "a", None)),
        ("inners", [7, "b", None, {"words": []}], [Inner(), Inner("b"), Inner(), Inner()]),
        *(("own", 7, "read 7"), ("own", {"x": 1}, "read {'x': 1}")),
    ],
)
def test_what_does_not_fit_is_as_if_it_were_not_there(field: str, written: Any, read: Any) -> None:
    found = decode(json.dumps(FULL | {"otherName": 7, field: written}))
    expected = lenient(Shape, FULL | {"otherName": None})
    setattr(expected, field, read)
    assert found == expected


@pytest.mark.parametrize("raw", [None, 7, "x", [], [[]]])
def test_what_is_no_object_has_nothing_in_it(raw: object) -> None:
    assert lenient(Shape, raw) == lenient(Shape, {})
    assert decode(json.dumps(raw)) is None


def test_of_a_list_of_objects_the_first_is_read() -> None:
    assert decode(json.dumps([{"name": "a"}, {"name": "b"}])) == lenient(Shape, {"name": "a"})


@pytest.mark.parametrize("text", ["", "{", "{'a':1}", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    for read in (decode, decode_any):
        with pytest.raises(ValueError, match=r"Expecting|nested"):
            read(text)


def test_half_a_character_and_an_endless_number_are_json() -> None:
    found = decode('{"name":"\\ud83d\x01","number":' + "9" * 5000 + "}")
    assert found is not None
    assert (found.name, found.number) == ("\ud83d\x01", None)
    assert decode_any('["\x01"]') == "\x01"
    assert decode_any('["a"]') == ["a"]


def test_a_field_of_no_known_reading_is_a_defect_of_ours() -> None:
    class Odd(msgspec.Struct):
        pair: tuple[int, int] | None = None

    with pytest.raises(TypeError, match="no lenient reading"):
        lenient(Odd, {})


@pytest.mark.parametrize("written", ["7", " 7 ", "7.0", "7e0", "7\x1d", "\x1c7\n", 7, 7.0])
def test_a_number_is_taken_however_it_is_written(written: object) -> None:
    assert quantity(written) == 7.0
    assert count(written) == 7


@pytest.mark.parametrize(
    "written", ["", "x", "-1", "7 8", "nan", "0x7", True, None, [7], -1, 1e999]
)
def test_what_is_none_is_unknown(written: object) -> None:
    assert quantity(written) is None


@pytest.mark.parametrize(
    ("value", "given"),
    [
        ('{"x":1}', '{"x":1}'),
        ({"x": 1, "y": [True, None]}, '{"x":1,"y":[true,null]}'),
        ({}, "{}"),
        ({"x": 10**30}, '{"x":1' + "0" * 30 + "}"),
        ({"x": "\ud83d"}, '{"x":"\ud83d"}'),
        (None, ""),
        (7, ""),
        (True, ""),
    ],
)
def test_an_object_is_told_as_its_json(value: Any, given: str) -> None:
    assert given_to_call(value) == given


def test_an_object_nested_beyond_reason_is_nothing() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert given_to_call(value) == ""


CHAT = {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {"x": "\ud83d"}}}]}}]}
RESPONSES = {"type": "response.function_call_arguments.done", "arguments": {"x": "\ud83d"}}


@pytest.mark.parametrize(("dialect", "event"), [("chat", CHAT), ("responses", RESPONSES)])
def test_half_a_character_in_an_object_is_no_harm(dialect: Any, event: dict[str, Any]) -> None:
    interpreter = dialect_for(dialect).decoder()
    assert interpreter.event(ServerSentEvent(data=json.dumps(event))).kind == "tool_call"
    assert interpreter.transcript.tool_calls.whole() == (("", '{"x":"\ud83d"}'),)
