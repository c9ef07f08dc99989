"""A prompts file is read line by line; a mistake is told with file, line, key and expectation."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.config import Expect, Route
from probes.config.errors import ConfigError
from probes.config.file import parse_config
from probes.config.prompts_file import MOST_LINES, MOST_SHAPES, PromptsFileError, read_prompts

PNG = b"\x89PNG\r\n\x1a\n and so on"
ASKED = [{"role": "user", "content": "Where is my parcel?"}]
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "weather"}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prompts.jsonl"


def line(**keys: Any) -> str:
    return json.dumps({"messages": ASKED, **keys})


def problems_of(file: Path, *lines: str) -> list[str]:
    file.write_text("\n".join(lines))
    with pytest.raises(PromptsFileError) as caught:
        read_prompts(file)
    return [problem.removeprefix(f"{file}: ") for problem in caught.value.problems]


def test_lines_are_read_in_their_order_with_what_stands_beside(file: Path) -> None:
    file.write_text(f"\n{line(name='a', weight=3, max_tokens=9)}\n\n{line(tools=[TOOL])}\n")
    first, second = read_prompts(file)
    assert (first.name, first.weight, first.max_tokens, first.line) == ("a", 3, 9, 2)
    assert (second.name, second.weight, second.max_tokens) == ("line-4", 1, None)
    assert [message.text for message in first.messages] == ["Where is my parcel?"]
    assert [tool.name for tool in second.tools] == ["weather"]


def test_parts_calls_and_answers_of_tools_are_read(file: Path) -> None:
    url = f"data:image/png;base64,{b64encode(PNG).decode()}"
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url}}]
    messages = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]
    file.write_text(line(messages=messages))
    ((system, user, assistant, tool),) = (prompt.messages for prompt in read_prompts(file))
    assert (system.role, system.text) == ("system", "be brief")
    assert (user.text, user.images) == ("look", (url,))
    assert [call.name for call in assistant.tool_calls] == ["weather"]
    assert (tool.tool_call_id, tool.text) == ("c1", "rain")


def test_a_line_may_expect_something_of_its_own(file: Path) -> None:
    (file.parent / "schema.json").write_text('{"type": "object"}')
    lines = (
        line(expect={"contains": "parcel", "ignore_case": True}),
        line(expect={"json_schema_file": "schema.json"}),
        line(expect={}),
        line(),
    )
    file.write_text("\n".join(lines))
    assert [prompt.expect for prompt in read_prompts(file)] == [
        Expect(contains="parcel", ignore_case=True),
        Expect(json_schema={"type": "object"}),
        Expect(),
        None,
    ]


def test_what_a_line_cannot_expect_is_told_at_its_key(file: Path) -> None:
    told = problems_of(file, line(expect={"contain": "a", "pattern": "("}), line(expect="a"))
    assert told[0] == "line 1: expect.contain: unknown key, did you mean contains?"
    assert told[1].startswith("line 1: expect.pattern: is no pattern of RE2")
    assert told[2] == "line 2: expect: expected an object with the keys of a route's `expect`"
    assert len(told) == 3


def test_a_picture_may_be_a_file_beside_it(file: Path) -> None:
    (file.parent / "cat.png").write_bytes(PNG)
    file.write_text(line(images=["cat.png"]))
    (prompt,) = read_prompts(file)
    (url,) = prompt.messages[-1].images
    assert url == f"data:image/png;base64,{b64encode(PNG).decode()}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "line 1: is no JSON, expected one object a line"),
        ("[]", "line 1: got a list, expected an object with messages"),
        ("{}", "line 1: messages: is missing, expected a list of 1 to 1,000 messages"),
        (line(weight=0), "line 1: weight: got 0, expected a number from 0 to 1,000"),
        (line(max_tokens=0), "line 1: max_tokens: got 0, expected a whole number from 1"),
        (line(name="a b"), 'line 1: name: got "a b", expected 1 to 32 of the characters'),
        (line(wieght=2), "line 1: wieght: unknown key, did you mean weight?"),
        (line(messages=[]), "line 1: messages: expected a list of 1 to 1,000 messages"),
        (line(messages=[{"role": "bot", "content": "x"}]), 'line 1: messages.0.role: got "bot"'),
        (line(messages=[{"role": "user", "content": ""}]), "line 1: messages.0.content: is empty"),
        (line(messages=[{"role": "user", "content": 3}]), "line 1: messages.0.content: got 3"),
        (
            line(messages=[{"role": "assistant", "content": "x"}]),
            'line 1: messages.0.role: got "assistant", expected the last to be a user',
        ),
        (line(tools=[{"name": "x"}]), "line 1: tools.0: is no function, expected"),
        (line(images=["https://h/x.png"]), "line 1: images.0: is a URL that would be fetched"),
        (line(images=["no.png"]), 'line 1: images.0: got "no.png": No such file'),
        (line(images=["data:image/png;base64,?"]), "line 1: images.0: is no data URL of at most"),
        (line(images=["prompts.jsonl"]), 'line 1: images.0: got "prompts.jsonl", expected a data'),
    ],
)
def test_a_mistake_is_told(file: Path, text: str, problem: str) -> None:
    (told,) = problems_of(file, text)[:1]
    assert told.startswith(problem)


def test_all_mistakes_are_told_at_once(file: Path) -> None:
    same = line(name="x"), line(name="x", max_tokens=9)
    told = problems_of(file, line(weight=-1), line(), "{", *same)
    assert [one.partition(":")[0] for one in told] == ["line 1", "line 3", "line 5"]
    assert told[-1].endswith("expected that of line 4, which has the same name: none")


def test_lines_of_one_name_are_one_shape_as_large_as_its_largest(file: Path) -> None:
    long = [{"role": "user", "content": "x" * 4_000}]
    file.write_text(
        f"{line(name='a')}\n{line(name='b', weight=3)}\n{line(name='a', messages=long)}"
    )
    shapes = route_of(file).shapes
    assert [*shapes] == ["b", "a"]
    assert shapes["b"] < 50 < 1_000 < shapes["a"]


def test_no_message_is_shown(file: Path) -> None:
    secret = "my-secret-words"
    text = line(messages=[{"role": "user", "content": [{"type": "odd", "text": secret}]}, 5])
    assert secret not in "".join(problems_of(file, text))


def test_an_empty_file_and_too_many_lines_are_refused(file: Path) -> None:
    assert problems_of(file, "") == ["is empty, expected at least one line with messages"]
    (told,) = problems_of(file, *[line()] * (MOST_LINES + 1))
    assert told == "has 201 lines, expected at most 200"
    (told,) = problems_of(file, *[line()] * (MOST_SHAPES + 1))
    assert told == "has 17 shapes, expected at most 16: lines may share a name"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["role", "content", "type", "text", "url", "image_url", "function", "name"]
                ),
                x,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_stands_in_a_line_it_is_read_or_told(tmp_path_factory: Any, value: object) -> None:
    file = tmp_path_factory.getbasetemp() / "any.jsonl"
    for key in ("messages", "tools", "images", "weight"):
        file.write_text(json.dumps({"messages": ASKED, key: value}))
        assert all(told.startswith(f"{file}: line 1") for told in told_of(file))


def told_of(file: Path) -> tuple[str, ...]:
    try:
        read_prompts(file)
    except PromptsFileError as error:
        return error.problems
    return ()


def route_of(file: Path, own: str = "") -> Route:
    text = (
        f'[routes.r]\nbase_url = "http://127.0.0.1"\nmodel = "m"\nprompts_file = "{file}"\n{own}\n'
    )
    return parse_config(text, file.parent / "routes.toml", {}).routes[0]


def refused(file: Path, own: str = "") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        route_of(file, own)
    return caught.value.problems


def test_a_route_names_it_and_is_as_large_as_its_largest_line(file: Path) -> None:
    long = [{"role": "user", "content": "x" * 4_000}]
    file.write_text(f"{line()}\n{line(messages=long)}")
    route = route_of(file)
    assert [prompt.name for prompt in route.prompts] == ["line-1", "line-2"]
    assert 1_000 < route.input_tokens < 1_050


def test_its_mistakes_are_told_under_the_key_of_the_route(file: Path) -> None:
    file.write_text("{")
    (problem,) = refused(file)
    told = f"{file}: line 1: is no JSON, expected one object a line"
    assert problem == f"routes.toml: routes.r.prompts_file: {told}"


def test_a_cap_above_the_route_s_is_refused(file: Path) -> None:
    file.write_text(line(max_tokens=500))
    (problem,) = refused(file)
    assert problem.endswith("line 1: max_tokens: got 500, expected at most the route's 64")
    assert route_of(file, "max_tokens = 500").prompts[0].cap(500) == 500


@pytest.mark.parametrize("dialect", ["completions", "auto"])
def test_what_a_dialect_cannot_say_is_refused_when_the_file_is_read(
    file: Path, dialect: str
) -> None:
    (file.parent / "cat.png").write_bytes(PNG)
    file.write_text(f"{line()}\n{line(tools=[TOOL], images=['cat.png'])}")
    (problem,) = refused(file, f'dialect = "{dialect}"')
    assert f'line 2: has tools and pictures: dialect "{dialect}" cannot say them' in problem
    for other in ("chat", "responses", "messages", "ollama", "azure"):
        assert route_of(file, f'dialect = "{other}"').prompts


def test_a_late_system_message_is_refused_where_it_must_be_the_first(file: Path) -> None:
    file.write_text(line(messages=[*ASKED, {"role": "system", "content": "x"}, *ASKED]))
    (problem,) = refused(file, 'dialect = "messages"')
    assert "line 1: messages.1.role: " in problem
    assert route_of(file).prompts
