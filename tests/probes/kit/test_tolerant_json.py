"""JSON as loosely as servers write it; what no typed decoder takes must stop no dialect."""

import json
from typing import get_args

import pytest

from probes.answers.answer import Answer, AnswerReader
from probes.answers.dialects import dialect_for
from probes.config import Dialect
from probes.kit.tolerant_json import first_value, unreadable, value_of, value_or_none

ENDLESS = "9" * 5_000
DEEP = "[" * 900 + "]" * 900
ODD = {
    "endless number": ENDLESS,
    "infinite number": "1e999",
    "half a character": '"\\ud83d"',
    "half a character as a key": '{"\\ud83d": 1}',
    "control character": '"\x01"',
    "deep": DEEP,
    "as deep as may be": "[" * 100 + "]" * 100,
    "deep in objects": '{"a":' * 900 + "1" + "}" * 900,
    "deeper": "[" * 5_000 + "]" * 5_000,
}
PLACES = (
    '{"unknown":%s}',
    '{"error":{"message":%s}}',
    '{"choices":[{"index":0,"delta":{"content":"a","tool_calls":[{"function":{"name":"f",'
    '"arguments":{"a":%s}}}]},"finish_reason":"error"}]}',
    '{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"usage":%s}',
    '{"message":{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a":%s}}}]}}',
    '{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","name":"f",'
    '"input":{"a":%s}}}',
    '{"type":"response.output_item.done","item":{"type":"function_call","arguments":{"a":%s}}}',
    '{"type":"error","error":%s}',
)
DIALECTS = [name for name in get_args(Dialect) if name != "auto"]


def read(dialect: str, body: str, *, whole: bool) -> Answer:
    asked = dialect_for(dialect)  # type: ignore[arg-type]
    lines = asked.framing == "lines"
    form = "application/x-ndjson" if lines else "text/event-stream"
    headers = {"content-type": "application/json" if whole else form}
    reader = AnswerReader(200, headers, asked, keep_text=True, wall_ns=0)
    wire = body if whole else body + "\n" if lines else f"data: {body}\n\n"
    reader.feed(wire.encode("utf-8", "surrogatepass"))
    return reader.finish("complete")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_no_dialect_stumbles_over_odd_json(dialect: str, odd: str) -> None:
    for place in PLACES:
        for whole in (True, False):
            answer = read(dialect, place % odd, whole=whole)
            assert answer.outcome != "cancelled"
            str(answer).encode()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_json_nested_beyond_use_is_bad_json(dialect: str) -> None:
    for whole in (True, False):
        answer = read(dialect, f'{{"unknown":{DEEP}}}', whole=whole)
        assert (answer.outcome, answer.reason) == ("protocol_error", "bad_json")


def test_what_python_refuses_is_read() -> None:
    assert value_of(ENDLESS) == float("inf")
    assert value_of("-" + ENDLESS) == float("-inf")
    assert value_of("9" * 400) == int("9" * 400)
    assert value_of('"\\ud83d\x01"') == "\ud83d\x01"
    assert first_value('{"a":1}{"b":2}') == {"a": 1}


@pytest.mark.parametrize("text", ["", "{", "[1,]", "7 8", "[" * 100_000])
def test_what_is_no_json_is_told(text: str) -> None:
    assert value_or_none(text) is None
    with pytest.raises(ValueError, match=r"."):
        value_of(text)


def test_json_of_a_million_parts_is_not_to_be_decoded() -> None:
    assert unreadable('{"usage":[' + "[]," * 600_000 + "0]}") == "too_large"
    assert not unreadable("x" * 2_000_000)


def test_how_deep_json_is_does_not_depend_on_its_strings() -> None:
    brackets = json.dumps(["[" * 500, '{"\\' * 500, "]}" * 500])
    assert not unreadable(brackets)
    assert not unreadable("[[],{}," * 100 + "1" + "]" * 100)
    assert unreadable("[" * 129 + "]" * 129) == "bad_json"
    assert unreadable('{"a":"\\"[",' + '"b":{' * 129) == "bad_json"
