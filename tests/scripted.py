"""A network that does what a test says, on the test's own clock."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from probes.config import Route
from probes.events import ClockSource
from probes.kit.clock import Clock
from probes.transport import BodySink, Exchange, Request, Steps
from probes.transport.path import UNTOLD


@dataclass(frozen=True)
class Script:
    """One answer: seconds before the headers, then (seconds, bytes) parts, or an error instead.

    A part may be an error, too: what breaks an answer that has begun.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    connect_s: float = 0.0
    """Before a connection stands."""
    wait_s: float = 0.1
    parts: tuple[tuple[float, bytes | Exception], ...] = ()
    error: Exception | None = None


def sse(payload: object) -> bytes:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return f"data: {text}\n\n".encode()


def chat(*texts: str, wait_s: float = 0.1, gap_s: float = 0.02) -> Script:
    """A good streamed answer of one chunk a text."""
    deltas = [(gap_s, sse({"choices": [{"index": 0, "delta": {"content": t}}]})) for t in texts]
    finish = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    usage = {"prompt_tokens": 9, "completion_tokens": len(texts)}
    end = finish + sse({"choices": [], "usage": usage}) + sse("[DONE]")
    return Script(wait_s=wait_s, parts=(*deltas, (gap_s, end)))


def refusal(status: int, message: str = "no", **headers: str) -> Script:
    """An error answer with an OpenAI body."""
    body = json.dumps({"error": {"message": message, "type": "x", "code": None}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Script(status, {"content-type": "application/json", **named}, parts=((0.0, body),))


@dataclass
class Network:
    """Answers requests by script: in turn, the last one for ever."""

    scripts: list[Script]
    requests: list[Request] = field(default_factory=list)
    transports: int = 0
    open: int = 0
    most_open: int = 0

    def next_script(self) -> Script:
        return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    def transport(self, _route: Route, clock: Clock) -> "ScriptedTransport":
        self.transports += 1
        return ScriptedTransport(self, clock)


class ScriptedTransport:
    clock_source: ClockSource = "user"
    path = UNTOLD

    def __init__(self, network: Network, clock: Clock) -> None:
        self._network = network
        self._clock = clock
        self.open_sockets = 0
        self.reads = 0

    @asynccontextmanager
    async def exchange(self, request: Request, steps: Steps) -> AsyncIterator[Exchange]:
        network, now = self._network, self._clock.monotonic_ns
        network.requests.append(request)
        script = network.next_script()
        network.open += 1
        network.most_open = max(network.most_open, network.open)
        try:
            steps.reached("started", now())
            if script.connect_s:
                await self._clock.sleep(script.connect_s)
            if not self.open_sockets:
                steps.reached("tcp", now())
            self.open_sockets = 1
            steps.reached("sent", now())
            await self._clock.sleep(script.wait_s)
            if script.error is not None:
                raise script.error
            steps.reached("headers", now())
            yield Exchange(script.status, script.headers, partial(self._read_body, script))
        finally:
            network.open -= 1

    async def _read_body(self, script: Script, sink: BodySink) -> int:
        for wait_s, data in script.parts:
            await self._clock.sleep(wait_s)
            if isinstance(data, Exception):
                raise data
            self.reads += 1
            sink(data, self._clock.monotonic_ns(), False, ())
        return self._clock.monotonic_ns()

    async def aclose(self) -> None:
        self.open_sockets = 0
