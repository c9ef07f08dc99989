"""Events of a Responses stream, made by hand, and the reader that takes them."""

import json
from typing import Any

from probes.answers.dialects.responses_stream import ResponsesInterpreter
from probes.answers.dialects.transcript import Transcript
from probes.answers.ending_verdict import judge
from probes.answers.framing import ServerSentEvent
from probes.answers.progress import Progress
from probes.events import Verdict

COMPLETED = {"type": "response.completed", "response": {"status": "completed"}}


def read(*events: Any) -> tuple[Transcript, list[Progress]]:
    interpreter = ResponsesInterpreter()
    datas = [event if isinstance(event, str) else json.dumps(event) for event in events]
    deltas = [interpreter.event(ServerSentEvent(data=data)) for data in datas]
    return interpreter.transcript, deltas


def whole(body: Any) -> Transcript:
    interpreter = ResponsesInterpreter()
    interpreter.whole(body)
    return interpreter.transcript


def told(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def text(words: Any, **fields: Any) -> dict[str, Any]:
    return told("output_text.delta", delta=words, **fields)


def message(*words: str) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": said} for said in words]
    return {"type": "message", "content": parts}


def ended(**fields: Any) -> dict[str, Any]:
    return told("completed", response={"status": "completed", **fields})


def verdict(transcript: Transcript) -> Verdict:
    return judge(transcript, "complete", "", began=transcript.began)
