"""One error, one verdict: under its status, and told inside a 200 by every dialect.

Whatever a body says of itself must be heard in both places. What only the status says cannot be:
these bodies are the exceptions, and each kind of them says why.
"""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from stream_cases import CASES

from probes.answers.answer import Answer, AnswerReader
from probes.answers.body import json_of, refusal_of
from probes.answers.dialects import dialect_for
from probes.answers.error_body import ErrorBody, with_amazon_type
from probes.answers.outcome import of_error
from probes.answers.refusal import is_busy

WALL_NS = 1_795_430_000 * 10**9
SAID_BY_THE_STATUS: Final[dict[str, Callable[[int, ErrorBody, Answer], bool]]] = {
    "a moderation is the answer's inside an answer": lambda _status, _error, told: (
        told.reason == "content_filter"
    ),
    "a full server is a 429 or a 5xx, and its words are the same": lambda _status, error, _told: (
        is_busy(error)
    ),
    "words that name nobody are the server's; only the status says whose they are": (
        lambda status, error, told: told.reason == "upstream" and error.status in (None, status)
    ),
    "a time-out of the server's has a status of its own": lambda status, _error, told: (
        status == 408 and told.reason == "gateway_timeout"
    ),
    "a 413 says that it will never fit, its code that it does not now": (
        lambda status, _error, told: status == 413 and told.outcome == "throttled"
    ),
    "the status says more than a code that says it was asked wrongly": (
        lambda status, _error, told: told.reason == "bad_request" and status not in (400, 422)
    ),
}
"""Why a body may get another verdict inside a 200, and when that holds."""


def bodies() -> Iterator[Any]:
    for case in CASES:
        raw = case.get("framing") == "raw" or "content-encoding" in case["headers"]
        if case["status"] < 400 or raw or case["expect"].get("reason") == "blocked":
            continue
        body = b"".join(base64.b64decode(frame["bytes_b64"]) for frame in case["frames"])
        value = json_of(body)
        if isinstance(value, dict) and value:
            yield pytest.param(case, body, id=case["name"])


def told_in(api: str, value: Any) -> Answer:
    """Return what a stream of this dialect that ends in such an error event is judged to be."""
    headers = {"content-type": "text/event-stream"}
    data = json.dumps(value)
    if api == "ollama":
        headers = {"content-type": "application/x-ndjson"}
        stream = f"{data}\n"
    else:
        stream = f"event: error\ndata: {data}\n\n"
    reader = AnswerReader(200, headers, dialect_for(api), keep_text=True, wall_ns=WALL_NS)
    reader.feed(stream.encode())
    return reader.finish("complete")


def family_of(outcome: str, reason: str) -> tuple[str, str]:
    return outcome, reason.partition(".")[0]


@pytest.mark.parametrize(("case", "body"), bodies())
def test_an_error_told_in_a_stream_is_the_error_it_is_with_its_status(
    case: dict[str, Any], body: bytes
) -> None:
    value, error = refusal_of(body)
    status = case["status"]
    error = with_amazon_type(error, case["headers"])
    verdict = of_error(error, status)
    apis = ["chat", "completions", "messages", "responses"]
    if isinstance(value, dict) and isinstance(value.get("error"), str):
        apis.append("ollama")
    for api in apis:
        told = told_in(api, value)
        if family_of(told.outcome, told.reason) == family_of(verdict.outcome, verdict.reason):
            continue
        why = [why for why, holds in SAID_BY_THE_STATUS.items() if holds(status, error, told)]
        assert why, (api, status, verdict, told.outcome, told.reason, error)
