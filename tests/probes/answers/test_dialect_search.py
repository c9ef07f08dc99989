"""Which dialect a server speaks: told from its answers, found by asking."""

from typing import Any

import pytest

from probes.answers.dialects.search import DialectSearch, candidates, dialect_of, is_read_as
from probes.events import AttemptFinished, Outcome, StampLadder

S = 10**9


def answered(
    status: int | None,
    reason: str = "",
    *,
    outcome: Outcome = "client_error",
    dialect: str = "",
    at_s: int = 0,
) -> AttemptFinished:
    return AttemptFinished(
        at_ns=at_s * S,
        route="r",
        probe="1-1",
        attempt=0,
        outcome=outcome,
        stamps_ns=StampLadder(),
        reason=reason,
        status=status,
        dialect=dialect,
    )


@pytest.mark.parametrize(
    ("value", "dialect"),
    [
        ({"object": "chat.completion.chunk", "choices": []}, "chat"),
        ({"choices": [{"text": "a"}]}, "chat"),
        ({"type": "message_start", "message": {}}, "messages"),
        ({"type": "message", "role": "assistant", "content": []}, "messages"),
        ({"type": "response.created", "response": {}}, "responses"),
        ({"object": "response", "output": []}, "responses"),
        ({"model": "m", "message": {"content": "a"}, "done": False}, "ollama"),
        ({"model": "m", "response": "a", "done": True}, "ollama"),
        ({"type": "ping"}, None),
        ({"type": "error", "error": {"message": "no"}}, None),
        ({"message": "queued"}, None),
        ({"response": "a"}, None),
        ({"type": ["message_start"]}, None),
        ([], None),
        ("choices", None),
        (None, None),
    ],
)
def test_an_answer_tells_its_dialect_by_its_own_keys(value: Any, dialect: str | None) -> None:
    assert dialect_of(value) == dialect


def test_azure_and_legacy_completions_are_answered_as_chat_is() -> None:
    assert is_read_as("chat", "azure")
    assert is_read_as("chat", "completions")
    assert is_read_as("chat", "chat")
    assert not is_read_as("messages", "chat")
    assert not is_read_as("chat", "messages")


@pytest.mark.parametrize(
    ("url", "first"),
    [
        ("https://api.deepinfra.com/v1/openai", "chat"),
        ("http://127.0.0.1:11434", "chat"),
        ("https://api.anthropic.com", "messages"),
        ("https://api.anthropic.com/v1", "messages"),
        ("https://api.deepseek.com/anthropic", "messages"),
        ("https://mine.openai.azure.com", "azure"),
        ("https://mine.openai.azure.com/openai/v1", "chat"),
    ],
)
def test_the_url_tells_what_to_ask_in_first(url: str, first: str) -> None:
    assert candidates(url)[0] == first


def test_a_host_that_only_ends_like_anthropics_is_not_taken_for_it() -> None:
    assert candidates("https://notanthropic.com/v1")[0] == "chat"


def test_a_path_that_is_not_there_leads_to_the_next_dialect() -> None:
    search = DialectSearch(("chat", "messages"))
    assert search.hear(answered(404, "not_found"), "chat") == "next"
    assert search.dialect == "messages"
    assert search.hear(answered(200, outcome="ok"), "messages") == "found"
    assert search.hear(answered(404, "not_found"), "messages") == "unsure"


@pytest.mark.parametrize(
    ("status", "told"),
    [(404, "next"), (405, "next"), (501, "next"), (403, "unsure"), (406, "unsure")],
)
def test_some_statuses_say_that_there_is_no_such_path(status: int, told: str) -> None:
    search = DialectSearch(("chat", "messages"))
    assert search.hear(answered(status, "bad_request"), "chat") == told


@pytest.mark.parametrize("reason", ["html", "not_an_answer", "empty", "bad_json"])
def test_a_200_that_is_no_answer_leads_to_the_next_dialect(reason: str) -> None:
    search = DialectSearch(("chat", "messages"))
    assert search.hear(answered(200, reason, outcome="protocol_error"), "chat") == "next"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "model_not_found"), (401, "auth"), (429, "rate_limit"), (400, "bad_request")],
)
def test_an_answer_that_says_nothing_of_dialects_changes_nothing(status: int, reason: str) -> None:
    search = DialectSearch(("chat", "messages"))
    assert search.hear(answered(status, reason), "chat") == "unsure"
    assert search.hear(answered(None, "connect.refused"), "chat") == "unsure"
    assert search.hear(answered(502, "html", outcome="server_error"), "chat") == "unsure"
    assert search.dialect == "chat"


def test_an_answer_that_was_cut_still_finds_the_dialect() -> None:
    search = DialectSearch(("chat", "messages"))
    assert search.hear(answered(200, "cut", outcome="truncated"), "chat") == "found"


def test_what_a_server_is_heard_to_speak_is_asked_next() -> None:
    search = DialectSearch(("chat", "responses", "messages"))
    heard = answered(200, "other_dialect", outcome="protocol_error", dialect="messages")
    assert search.hear(heard, "chat") == "next"
    assert search.dialect == "messages"


def test_a_server_that_speaks_what_was_tried_already_does_not_lead_in_circles() -> None:
    search = DialectSearch(("chat", "responses"))
    assert search.hear(answered(404, "not_found"), "chat") == "next"
    heard = answered(200, "other_dialect", outcome="protocol_error", dialect="chat")
    assert search.hear(heard, "responses") == "nothing"


def test_after_a_round_in_vain_the_search_rests_a_minute() -> None:
    search = DialectSearch(("chat", "messages"))
    assert search.hear(answered(404, at_s=1), "chat") == "next"
    assert search.hear(answered(404, at_s=2), "messages") == "nothing"
    assert search.dialect == "chat"
    assert search.hear(answered(404, at_s=60), "chat") == "unsure"
    assert search.hear(answered(404, at_s=62), "chat") == "next"


def test_an_old_question_does_not_move_the_search_on() -> None:
    search = DialectSearch(("chat", "responses", "messages"))
    assert search.hear(answered(404), "chat") == "next"
    assert search.hear(answered(404), "chat") == "unsure"
    assert search.dialect == "responses"
