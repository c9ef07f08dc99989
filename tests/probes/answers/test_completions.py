"""The legacy Completions dialect: what it asks, beside chat, and that chat's reader takes it."""

import json
from typing import Any

import pytest

from probes.answers.dialects import dialect_for
from probes.answers.dialects.base import Adaptation
from probes.answers.dialects.completions import CompletionsDialect
from probes.answers.framing import ServerSentEvent
from probes.config import Route

COMPLETIONS = CompletionsDialect()
PLAIN = Adaptation()


def route(**settings: Any) -> Route:
    return Route(name="r", base_url="http://x/v1", model="m", prompt="hi", **settings)


def body(
    nonce: str | None = None, adaptation: Adaptation = PLAIN, **settings: Any
) -> dict[str, Any]:
    written = COMPLETIONS.request_body(
        route(**settings), max_tokens=64, nonce=nonce, adaptation=adaptation
    )
    return dict(json.loads(written))


def test_the_request_asks_for_a_capped_stream_with_usage() -> None:
    assert body() == {
        "model": "m",
        "prompt": "hi",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 64,
    }


def test_it_goes_to_the_completions_path() -> None:
    assert COMPLETIONS.url(route()) == "http://x/v1/completions"


@pytest.mark.parametrize(
    ("nonce", "system", "prompt"),
    [
        (None, "be brief", "be brief\n\nhi"),
        ("n1", None, "n1\nhi"),
        ("n1", "be brief", "n1\nbe brief\n\nhi"),
    ],
)
def test_system_and_prompt_are_one_text(nonce: str | None, system: str | None, prompt: str) -> None:
    assert body(nonce, system=system)["prompt"] == prompt


def test_the_extra_body_is_merged_last() -> None:
    assert body(extra_body={"prompt": [1, 2], "n": 2})["prompt"] == [1, 2]


def test_a_refused_stream_option_is_dropped() -> None:
    bare = COMPLETIONS.adapt(400, "Unknown parameter: stream_options", PLAIN, route())
    assert bare == Adaptation(drop_stream_options=True)
    assert "stream_options" not in body(adaptation=bare)


def test_the_dialect_is_found_by_name() -> None:
    assert dialect_for("completions").name == "completions"


def test_the_text_of_a_choice_is_the_answer() -> None:
    interpreter = COMPLETIONS.decoder()
    for words, finish in (("a", None), ("b", None), ("", "length")):
        choice = {"index": 0, "text": words, "logprobs": None, "finish_reason": finish}
        interpreter.event(ServerSentEvent(data=json.dumps({"choices": [choice]})))
    transcript = interpreter.transcript
    assert (transcript.text, transcript.finish_reason) == (["a", "b"], "length")
    assert transcript.terminal


def test_the_short_way_takes_a_text_that_goes_on() -> None:
    interpreter = COMPLETIONS.decoder()
    chunks = [
        json.dumps({"choices": [{"index": 0, "text": words, "finish_reason": finish}]})
        for words, finish in (("a", None), ("bc", None), ("d", "stop"))
    ]
    interpreter.event(ServerSentEvent(data=chunks[0]))
    added = interpreter.usual(chunks[1].encode())
    assert added is not None
    assert (added.kind, added.text, added.answer) == ("content", "bc", True)
    assert interpreter.usual(chunks[2].encode()) is None
    assert interpreter.transcript.text == ["a", "bc"]
