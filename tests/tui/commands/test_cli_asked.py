"""What was asked, and what may be wrong with a URL."""

from typing import Any

import pytest

from probes.config import Route
from probes.engine.single import ProbeRecord
from probes.events import AttemptFinished, ProbeFinished, StampLadder
from tui.commands.asked import asked_lines


def record(url: str, **changes: Any) -> ProbeRecord:
    values = {"outcome": "client_error", "reason": "not_found", "status": 404} | changes
    attempt = AttemptFinished(
        at_ns=1, route="r", probe="1-1", attempt=0, stamps_ns=StampLadder(), **values
    )
    probe = ProbeFinished(
        at_ns=1, route="r", probe="1-1", outcome=values["outcome"], attempts=1, started_ns=0,
        scheduled_ns=0,
    )  # fmt: skip
    return ProbeRecord(probe, (attempt,), url=url)


def lines(base_url: str, path: str, dialect: Any = "chat", **changes: Any) -> list[str]:
    route = Route(name="r", base_url=base_url, model="m", dialect=dialect)
    return asked_lines(route, record(f"{base_url.partition('?')[0]}{path}", **changes))


@pytest.mark.parametrize(
    ("base_url", "path", "dialect", "advice"),
    [
        ("https://h", "/chat/completions", "chat", "has no /v1, below which most servers answer"),
        ("https://h/openai", "/responses", "responses", "try https://h/openai/v1"),
        ("https://h:8443/api/", "/completions", "completions", "try https://h:8443/api/v1"),
        ("https://h/v1/v1", "/chat/completions", "chat", "the path has /v1 twice"),
        (
            "https://h/v1/chat/completions/chat",
            "/completions/chat/completions",
            "chat",
            "the path has /chat/completions twice",
        ),
        ("https://h/v1/models", "/chat/completions", "chat", "ends in /models, which is another"),
        ("https://h/v1/embeddings", "/responses", "responses", "ends in /embeddings"),
        ("http://h:11434/api/generate", "/api/chat", "ollama", "ends in /generate"),
        ("https://h/docs", "/v1/messages", "messages", "ends in /docs"),
    ],
)
def test_a_path_that_is_not_there_gets_one_line_of_advice(
    base_url: str, path: str, dialect: str, advice: str
) -> None:
    asked, told = lines(base_url, path, dialect)
    assert asked == f"asked POST {base_url}{path}"
    assert advice in told


@pytest.mark.parametrize(
    ("base_url", "dialect", "changes"),
    [
        ("https://h/v1", "chat", {}),
        ("https://h/v1beta/openai", "chat", {}),
        ("https://h/api/v3", "chat", {}),
        ("https://h/openai/v1", "auto", {}),
        ("https://h", "messages", {}),
        ("http://h:11434", "ollama", {}),
        ("https://h.openai.azure.com", "azure", {}),
        ("https://h", "chat", {"reason": "model_not_found"}),
        ("https://h", "chat", {"reason": "auth", "status": 401}),
        ("https://h", "chat", {"reason": "internal", "status": 500, "outcome": "server_error"}),
    ],
)
def test_where_the_path_is_not_to_blame_there_is_no_advice(
    base_url: str, dialect: str, changes: dict[str, Any]
) -> None:
    assert len(lines(base_url, "/x", dialect, **changes)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 405, "reason": "bad_request"},
        {"status": 200, "outcome": "protocol_error", "reason": "html"},
        {"status": 200, "outcome": "client_error", "reason": "not_found"},
    ],
)
def test_a_path_that_is_not_there_is_known_by_more_than_a_404(changes: dict[str, Any]) -> None:
    assert len(lines("https://h", "/chat/completions", **changes)) == 2


def test_what_was_asked_is_shown_without_its_secrets() -> None:
    route = Route(name="r", base_url="https://h?key=hidden", model="m")
    url = "https://h/chat/completions?key=hidden&api-version=1"
    told = asked_lines(route, record(url))
    assert told[0] == "asked POST https://h/chat/completions?key=***&api-version=***"
    assert told[1] == ("base_url has no /v1, below which most servers answer: try https://h/v1")
    assert asked_lines(route, record("")) == []
