"""The counting server itself: what it bills is what it generated, whoever reads."""

import json
import socket
import time
from typing import Any
from urllib.request import Request as Ask
from urllib.request import urlopen

import pytest
from attacks.counting_server import Behaviour, CountingServer

ASKED: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "x" * 40}],
    "max_tokens": 20,
    "stream": True,
    "stream_options": {"include_usage": True},
}


def ask(server: CountingServer, asked: dict[str, Any] = ASKED) -> list[dict[str, Any]]:
    """Send one request and read its answer to the end; return its events."""
    body = json.dumps(asked).encode()
    with urlopen(Ask(server.base_url + "/chat/completions", body), timeout=10) as answer:  # noqa: S310
        lines = [line for line in answer.read().split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line[6:]) for line in lines]


def test_prompt_and_answer_are_billed_and_told() -> None:
    with CountingServer(Behaviour(rate=0)) as server:
        events = ask(server)
        assert server.settled() == 18 + 20
    usage = events[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (18, 20)
    assert sum("content" in e["choices"][0]["delta"] for e in events if e["choices"]) == 20
    assert server.requests[0].headers["content-type"]


@pytest.mark.parametrize(
    ("behaviour", "billed"),
    [
        (Behaviour(rate=0, answer_tokens=5), 18 + 5),
        (Behaviour(rate=0, answer_tokens=50, ignores_cap=True), 18 + 50),
        (Behaviour(rate=0, prompt_tokens=100), 120),
        (Behaviour(rate=0, usage=lambda asked, written: {"completion_tokens": 10**9}), 38),
    ],
)
def test_the_bill_follows_what_the_model_does_and_not_what_it_says(
    behaviour: Behaviour, billed: int
) -> None:
    with CountingServer(behaviour) as server:
        ask(server)
        assert server.settled() == billed


def test_who_leaves_in_mid_stream_is_billed_what_was_generated_until_it_was_noticed() -> None:
    behaviour = Behaviour(rate=100, notices_after_s=0.2)
    with CountingServer(behaviour) as server:
        body = json.dumps({**ASKED, "max_tokens": 500}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(head.encode() + body)
            while server.billed() < 18 + 10:
                time.sleep(0.01)
        left_at = server.billed()
        billed = server.settled()
        (request,) = server.requests
    assert request.left_early
    assert left_at + 10 <= billed <= left_at + 40
    assert request.written_tokens < request.answer_tokens < 500


def test_a_refusal_costs_nothing() -> None:
    with CountingServer(Behaviour(status=429)) as server:
        with pytest.raises(OSError, match="429"):
            ask(server)
        assert server.settled() == 0
        assert server.requests[0].cap == 20
