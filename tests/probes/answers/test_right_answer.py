"""An answer is held against what is expected, whatever a server put into it."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.right_answer import MOST_CHECKED, PIECE, AnswerJudgement, Expectation
from probes.config import Expect
from probes.kit.sanitise import neutralise

PERSON: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer"}},
    "additionalProperties": False,
}
TREE: dict[str, Any] = {"type": "array", "items": {"$ref": "#"}}


def judged(text: str, *, is_cut: bool = False, **expected: Any) -> AnswerJudgement:
    return Expectation(Expect(**expected)).judge(text, is_cut=is_cut)


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        ({"contains": "harbour"}, "The harbour.", "The Harbour."),
        ({"contains": "harbour", "ignore_case": True}, "The HARBOUR.", "The port."),
        ({"contains": ("a", "b")}, "b a", "a"),
        ({"contains": "Straße", "ignore_case": True}, "STRASSE", "Gasse"),
        ({"lacks": "sorry"}, "Yes.", "I am sorry."),
        ({"lacks": ("sorry", "cannot"), "ignore_case": True}, "can", "I CANNOT"),
        ({"equals": "harbour"}, " harbour\n", "harbour."),
        ({"equals": " harbour ", "ignore_case": True}, "Harbour", "harbour harbour"),
        ({"pattern": r"^\d{4}$"}, "2026\n", "In 2026"),
        ({"pattern": "HARBOUR", "ignore_case": True}, "a harbour", "a port"),
        ({"json_schema": PERSON}, '{"name": "Ann", "age": 3}', '{"name": "Ann", "age": "3"}'),
        ({"json_schema": PERSON}, ' {"name": "Ann"} ', '{"name": "ann"}'),
        ({"json_schema": PERSON}, '{"name": "A"}', '{"name": "A", "size": 1}'),
        ({"json_schema": PERSON}, '{"name": "A"}', "The name is A."),
        ({"json_schema": {}}, "3", "three"),
        ({"json_schema": {"uniqueItems": True}}, "[1, true, 2]", "[1, 2, 1.0]"),
        ({"contains": "a", "lacks": "b", "pattern": "c"}, "ac", "abc"),
    ],
)
def test_all_that_is_said_must_hold(expected: dict[str, Any], right: str, wrong: str) -> None:
    assert judged(right, **expected).finding == "right"
    told = judged(wrong, **expected)
    assert told.finding == "wrong"
    assert told.words.startswith("expected ")


def test_what_was_expected_and_what_came_are_told_in_short_pieces() -> None:
    assert judged("The sea.", contains="harbour").words == (
        'expected "harbour" in it; came "The sea."'
    )
    text = "a" * 500 + "\n" + "b" * 500
    told = judged(text, contains="harbour").words
    assert told == f'expected "harbour" in it; came "{"a" * PIECE}" … "{"b" * PIECE}"'
    assert judged("", contains="harbour").words.endswith("; came nothing")


def test_without_an_example_none_of_its_words_are_told() -> None:
    for expected in ({"contains": "x"}, {"equals": "x"}, {"pattern": "x"}, {"json_schema": PERSON}):
        told = judged('{"secret": "hunter2"}', example=False, **expected).words
        assert "hunter2" not in told
        assert "secret" not in told
        assert told.endswith("; 21 characters came")


def test_json_in_a_fence_is_told_to_be_in_one() -> None:
    told = judged('```json\n{"name": "Ann"}\n```', json_schema=PERSON)
    assert told.finding == "wrong"
    assert "code fence" in told.words


@pytest.mark.parametrize(
    ("expected", "text", "finding"),
    [
        ({"contains": "harbour"}, "The", "open"),
        ({"contains": "harbour"}, "The harbour is", "right"),
        ({"pattern": "harbour"}, "The", "open"),
        ({"json_schema": PERSON}, '{"name": "A', "open"),
        ({"json_schema": PERSON}, "No JSON at all", "open"),
        ({"equals": "the harbour"}, "the har", "open"),
        ({"equals": "the harbour"}, "a har", "wrong"),
        ({"equals": "the harbour"}, "the harbour is", "wrong"),
        ({"lacks": "sorry"}, "I am sorry that", "wrong"),
        ({"lacks": "sorry", "contains": "x"}, "I am", "open"),
    ],
)
def test_a_cut_answer_is_wrong_only_by_what_no_more_of_it_could_mend(
    expected: dict[str, Any], text: str, finding: str
) -> None:
    assert judged(text, is_cut=True, **expected).finding == finding


def test_a_longer_answer_than_is_looked_at_counts_as_cut() -> None:
    text = "a" * MOST_CHECKED + "harbour"
    assert judged(text, contains="harbour").finding == "open"
    assert judged(text, lacks="harbour").finding == "right"
    assert judged("b" * MOST_CHECKED + "b", lacks="bb").finding == "wrong"


HOSTILE = {
    "deep lists": "[" * 50_000,
    "deep lists, closed": "[" * 50_000 + "]" * 50_000,
    "as deep as is followed": "[" * 128 + "]" * 128,
    "deep tables": '{"a":' * 20_000,
    "a huge string": '"' + "a" * 2_000_000 + '"',
    "a huge string inside": json.dumps({"name": "A" * 90_000}),
    "not a number": "NaN",
    "infinite": '{"name": Infinity}',
    "infinite by its exponent": '{"age": 1e999}',
    "endless digits": '{"age": ' + "9" * 90_000 + "}",
    "some digits": '{"age": ' + "9" * 299 + "}",
    "the same key": '{"name": "A", "name": "b"}',
    "thousands of keys": json.dumps({str(i): i for i in range(9_000)}),
    "thousands of items": json.dumps([{"a": i, "b": [i]} for i in range(4_000)]),
    "half a character, escaped": '{"name": "\\ud83d"}',
    "half a character in a key": '{"\\udc00": "\\ud83d"}',
    "half a character": '{"name": "A\ud83d"}',
    "control characters": '{"name": "A\x00\x1b[2J"}',
    "escape sequences": "\x1b]0;title\x07\u202e\u009b31m",
    "a byte order mark": '\ufeff{"name": "Ann"}',
    "blanks alone": " \t\n\u2028\xa0",
    "nothing": "",
    "bytes that were no UTF-8": '{"name": "A\ufffd"}',
}
EXPECTED = {
    "contains": {"contains": "harbour", "ignore_case": True},
    "equals": {"equals": "harbour", "ignore_case": True},
    "pattern": {"pattern": "(a*)*b|(x+x+)+y"},
    "person": {"json_schema": PERSON},
    "tree": {"json_schema": TREE},
    "unique": {"json_schema": {"uniqueItems": True, "items": {"multipleOf": 0.01}}},
    "names": {
        "json_schema": {
            "patternProperties": {"^(a+)+$": {"type": "string"}},
            "propertyNames": {"pattern": "^(a+)+$"},
            "additionalProperties": {"anyOf": [{"type": "number"}, {"maximum": 3}]},
        }
    },
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("expected", EXPECTED.values(), ids=EXPECTED)
def test_a_hostile_answer_is_judged_like_any_other(expected: dict[str, Any], text: str) -> None:
    told = judged(text, **expected)
    assert told.finding in ("right", "wrong", "open")
    assert len(told.words) <= 500
    told.words.encode()  # no half characters in it
    assert neutralise(told.words).isprintable()


@pytest.mark.parametrize("text", ["NaN", "[NaN]", '{"name": Infinity}', '{"age": 1e999}'])
def test_what_json_has_no_number_for_is_no_json(text: str) -> None:
    told = judged(text, json_schema={})
    assert told.finding == "wrong"
    assert "expected JSON: " in told.words


def test_of_a_key_that_stands_twice_the_last_counts_as_everywhere() -> None:
    assert judged('{"name": "a", "name": "B"}', json_schema=PERSON).finding == "right"
    assert judged('{"name": "B", "name": "a"}', json_schema=PERSON).finding == "wrong"


def test_an_answer_that_nests_as_any_other_is_followed_by_a_schema_that_refers_to_itself() -> None:
    deep = 60
    assert judged("[" * deep + "]" * deep, json_schema=TREE).finding == "right"
    assert sys.getrecursionlimit() <= 1_000  # the process that does it has more


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON)
def test_equal_values_are_equal_however_they_are_written(value: Any) -> None:
    twice = judged(json.dumps([value, 0.5, value]), json_schema={"uniqueItems": True})
    assert twice.finding == "wrong"
    assert "stand in it twice" in twice.words


@given(st.text(), st.text(min_size=1), st.booleans())
def test_what_is_in_a_text_is_found_in_it(text: str, word: str, ignore_case: bool) -> None:
    expectation = Expectation(Expect(contains=word, ignore_case=ignore_case))
    whole = f"x{word}{text}x"
    assert expectation.judge(whole).finding == "right"
