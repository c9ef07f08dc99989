"""Events of Messages answers, made by hand, and what the reader makes of them."""

import json
from typing import Any

from probes.answers.dialects.messages_stream import MessagesInterpreter
from probes.answers.dialects.transcript import Transcript
from probes.answers.ending_verdict import Ending, judge
from probes.answers.framing import ServerSentEvent
from probes.answers.progress import Progress

COUNTED = {"input_tokens": 9, "output_tokens": 2}


def read(*events: Any, name: str = "") -> tuple[Transcript, list[Progress]]:
    """Read events, each named by its type unless told otherwise."""
    interpreter = MessagesInterpreter()
    deltas = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        named = name or (event.get("type", "message") if isinstance(event, dict) else "message")
        deltas.append(interpreter.event(ServerSentEvent(named, data)))
    return interpreter.transcript, deltas


def start(**keys: Any) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    return {"type": "message_start", "message": message | keys}


def block(kind: str = "text", index: int = 0, **keys: Any) -> dict[str, Any]:
    return {
        "type": "content_block_start",
        "index": index,
        "content_block": {"type": kind} | keys,
    }


def delta(kind: str = "text_delta", index: int = 0, **keys: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind} | keys}


def stop(reason: str | None = "end_turn", usage: Any = None, **keys: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason} | keys, "usage": usage}


OVER = {"type": "message_stop"}
TEXT = delta(text="a")


def verdict_of(*events: Any, ending: Ending = "complete") -> tuple[str, str]:
    told, _ = read(*events)
    verdict = judge(told, ending, "", began=told.began)
    assert not verdict.retryable
    return verdict.outcome, verdict.reason


def whole(value: Any) -> Transcript:
    interpreter = MessagesInterpreter()
    interpreter.whole(value)
    return interpreter.transcript
