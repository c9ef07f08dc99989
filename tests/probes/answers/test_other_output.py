"""Output that is no text, told from bookkeeping by its name and whether it says anything."""

from typing import Any

import pytest

from probes.answers.dialects.other_output import other_output, words_in

DATA = "data:image/png;base64,iVBORw0KGgo="
OUTPUT: list[dict[str, Any]] = [
    {"images": [{"type": "image_url", "image_url": {"url": DATA}}]},
    {"audio": {"id": "audio_1", "data": "UklGRg=="}},
    {"audio": {"transcript": "Hel"}},
    {"video": {"url": "https://files.example/1"}},
    {"content": [{"type": "image_url", "image_url": {"url": DATA}}]},
    {"content": [{"type": "text", "text": ""}, {"type": "image", "source": {"data": "iVBOR"}}]},
    {"role": "assistant", "content": "", "tool_results": [{"output": "4"}]},
    {"tool_calls": [{"type": "custom", "custom": {"name": "f", "input": "x"}}]},
    {"something_of_next_year": "x"},
]
NONE: list[object] = [
    {},
    None,
    "text",
    {"role": "assistant", "content": ""},
    {"content": None, "tool_calls": [], "audio": {}, "images": [], "refusal": None},
    {"audio": {"id": "audio_1", "expires_at": 1795430000}},
    {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "", "arguments": ""}}]},
    {"logprobs": {"content": [{"token": "a"}]}, "usage": {"note": "x"}},
    {"annotations": [{"url": "https://a.example"}], "citations": ["https://b.example"]},
    {"reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAAA"}]},
    {"content": [{"type": "thinking", "thinking": "", "signature": "EqQB"}]},
    {"extra_content": {"google": {"thought_signature": "EqQB"}}},
    {"obfuscation": "aX", "padding": "abc", "p": "abcd"},
    {"done": False, "flag": True, "count": 7},
]


@pytest.mark.parametrize("part", OUTPUT, ids=repr)
def test_what_is_output(part: dict[str, Any]) -> None:
    assert other_output(part).found
    assert other_output(part).reasoning == ""


@pytest.mark.parametrize("part", NONE, ids=repr)
def test_what_is_none(part: object) -> None:
    assert not other_output(part).found


@pytest.mark.parametrize(
    "part",
    [
        {"thinking": "Let me"},
        {"thoughts": {"text": "Let me"}},
        {"reasoning_summary": [{"type": "summary_text", "text": "Let "}, {"text": "me"}]},
    ],
)
def test_what_is_named_after_thinking_is_reasoning(part: dict[str, Any]) -> None:
    assert other_output(part).reasoning == "Let me"


def test_what_came_is_named_without_what_is_empty() -> None:
    part = {"role": "assistant", "content": "", "citations": ["x"], "k" * 99: 1}
    assert other_output(part).keys == ("role", "citations", "k" * 40)


def test_words_are_read_in_their_order() -> None:
    assert words_in([{"text": "a"}, ["b", {"parts": ["c", {"x": "d"}]}], "e"]) == "abcde"


@pytest.mark.parametrize(
    "part",
    [
        {f"k{number}": {} for number in range(100_000)} | {"image": "x"},
        {"k": [{"id": "x"}] * 100_000},
        {"k": [[] for _ in range(1000)] + ["x"]},
    ],
    ids=["wide", "long", "hollow"],
)
def test_how_far_a_delta_is_looked_through_is_bounded(part: dict[str, Any]) -> None:
    assert not other_output(part).found


def test_a_delta_may_be_as_deep_as_it_likes() -> None:
    part: Any = "x"
    for _ in range(100):
        part = {"k": part}
    assert other_output(part).found
