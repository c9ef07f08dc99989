"""A provider that counts: what it would bill for each request, whoever goes away meanwhile.

Real sockets, OpenAI chat streaming. A request is billed its prompt and the tokens that were
generated for it, as providers do it:

1. Generation runs at the model's pace, whether or not anybody reads.
2. A client that goes away ends it, `notices_after_s` later; what was generated until then is
   billed, written or not.
3. What is refused (a status of 300 or more) or never arrives whole is not billed.

How a model behaves is a `Behaviour`, settable for each model by name. Everything that was asked is
kept in `requests`, headers too, so that a test can look for what must never have been sent.

Use it in a test as a context manager, or by hand; `GET /truth` tells both what was billed:

    python tests/attacks/counting_server.py --port 8080 --rate 50
"""

import argparse
import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]  # for whoever runs it by hand

from http_request import read_request  # noqa: E402

_NO_CAP = 10**9
_HEAD_LIMIT = 1 << 20
_START_S = 10.0


@dataclass(frozen=True)
class Behaviour:
    """What a model does with a request."""

    prompt_tokens: int | None = None
    """Billed for the prompt; None: a token for each 4 characters of the messages, and 8."""
    answer_tokens: int = _NO_CAP
    """How long the answer is if nothing ends it sooner."""
    rate: float = 100.0
    """Tokens a second; 0 is all at once."""
    first_after_s: float = 0.02
    """From the request to the first token."""
    ignores_cap: bool = False
    """Goes on beyond `max_tokens`."""
    usage: Callable[[int, int], Mapping[str, Any] | None] | None = None
    """Given the prompt's and the answer's tokens, the usage that is told: a lie, or None for none;
    without it the truth is told, where `stream_options` asks for it."""
    hangs_after: int | None = None
    """After so many tokens nothing more comes, and the connection stays open."""
    drops_after: int | None = None
    """After so many tokens the connection is closed."""
    notices_after_s: float = 0.0
    """How long it goes on generating for a client that has gone."""
    status: int = 200
    """Above 299 it refuses, and bills nothing."""
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with the answer."""
    word: str = "tok "
    """A token's text."""


@dataclass
class Request:
    """One request: what was asked, and what it is billed."""

    model: str
    path: str
    headers: dict[str, str]
    body: bytes
    cap: int | None
    """`max_completion_tokens` or `max_tokens`; None where neither was sent."""
    arrived: float
    """`time.monotonic`."""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    written_tokens: int = 0
    """Of the answer's: handed to the socket."""
    left_early: bool = False
    """The client went away before the end."""
    done: bool = False
    """Nothing more is generated for it."""

    @property
    def billed(self) -> int:
        """Tokens on the bill."""
        return self.prompt_tokens + self.answer_tokens


@dataclass
class _Exchange:
    request: Request
    behaviour: Behaviour
    asked: dict[str, Any]
    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class CountingServer:
    """The server, in a thread of its own with its own event loop."""

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        models: Mapping[str, Behaviour] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Prepare a server whose models all behave as `behaviour`, but for those of `models`."""
        self._behaviour = behaviour or Behaviour()
        self._models = dict(models or {})
        self._host = host
        self._port = port
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="counting-server", daemon=True)
        self.requests: list[Request] = []

    def __enter__(self) -> "CountingServer":
        self._thread.start()
        assert self._ready.wait(_START_S)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_S)

    @property
    def base_url(self) -> str:
        """What a route's `base_url` is to be."""
        return f"http://{self._host}:{self._port}/v1"

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    def behave(self, behaviour: Behaviour, model: str | None = None) -> None:
        """Behave so from the next request on: one model, or all without a behaviour of their own"""
        if model is None:
            self._behaviour = behaviour
        else:
            self._models[model] = behaviour

    def billed(self, model: str | None = None) -> int:
        """Return the tokens billed until now, of one model or of all."""
        return sum(
            request.billed
            for request in list(self.requests)
            if model is None or request.model == model
        )

    @property
    def open(self) -> int:
        """Requests for which something is still generated."""
        return sum(not request.done for request in list(self.requests))

    def settled(self, seconds: float = 10.0) -> int:
        """Wait until nothing is generated any more; return what is billed then."""
        deadline = time.monotonic() + seconds
        while self.open and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not self.open, f"{self.open} requests are still open after {seconds} s"
        return self.billed()

    def truth(self) -> dict[str, Any]:
        """Return what `GET /truth` tells."""
        return {
            "billed": self.billed(),
            "open": self.open,
            "requests": [
                {
                    "model": request.model,
                    "cap": request.cap,
                    "prompt_tokens": request.prompt_tokens,
                    "answer_tokens": request.answer_tokens,
                    "written_tokens": request.written_tokens,
                    "left_early": request.left_early,
                    "done": request.done,
                }
                for request in list(self.requests)
            ],
        }

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to whoever waits for the start
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._connection(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(accept, self._host, self._port, limit=_HEAD_LIMIT)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone; what it was billed is counted
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection stays."""
        came = await read_request(reader)
        if came is None:
            return False
        if came.method == "GET" and came.path == "/truth":
            return await _answer(writer, 200, self.truth())
        asked = _asked(came.body)
        model = str(asked.get("model", ""))
        cap = asked.get("max_completion_tokens", asked.get("max_tokens"))
        request = Request(model, came.target, came.headers, came.body, cap, time.monotonic())
        self.requests.append(request)
        behaviour = self._models.get(model, self._behaviour)
        if behaviour.status >= 300:
            request.done = True
            refusal = {"error": {"message": f"refused with {behaviour.status}", "type": "refused"}}
            return await _answer(writer, behaviour.status, refusal, behaviour.headers)
        told = behaviour.prompt_tokens
        request.prompt_tokens = _prompt_tokens(asked) if told is None else told
        try:
            return await self._generate(_Exchange(request, behaviour, asked, writer), reader)
        finally:
            request.done = True

    async def _generate(self, exchange: _Exchange, reader: asyncio.StreamReader) -> bool:
        request, behaviour = exchange.request, exchange.behaviour
        most = min(behaviour.answer_tokens, _NO_CAP)
        if request.cap is not None and not behaviour.ignores_cap:
            most = min(most, request.cap)
        async with _watched(exchange, reader):
            if not exchange.asked.get("stream", False):
                return await self._whole(exchange, most)
            _write(exchange, _stream_head(behaviour))
            async for _ in self._tokens(exchange, most):
                chunk = {"choices": [{"index": 0, "delta": {"content": behaviour.word}}]}
                if _write(exchange, _event(chunk)):
                    request.written_tokens += 1
                if behaviour.drops_after == request.answer_tokens:
                    return False
                if behaviour.hangs_after == request.answer_tokens:
                    await exchange.gone.wait()
            if exchange.gone.is_set():
                return False
            finish = "stop" if request.answer_tokens >= behaviour.answer_tokens else "length"
            last: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
            _write(exchange, _event(last))
            usage = _usage(exchange)
            if usage is not None:
                _write(exchange, _event({"choices": [], "usage": dict(usage)}))
            _write(exchange, _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            await exchange.writer.drain()
        return True

    async def _whole(self, exchange: _Exchange, most: int) -> bool:
        """Answer a request that asked for no stream."""
        async for _ in self._tokens(exchange, most):
            pass
        if exchange.gone.is_set():
            return False
        text = exchange.behaviour.word * exchange.request.answer_tokens
        exchange.request.written_tokens = exchange.request.answer_tokens
        choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
        told = {"choices": [choice], "usage": _usage(exchange) or {}}
        return await _answer(exchange.writer, 200, told, exchange.behaviour.headers)

    async def _tokens(self, exchange: _Exchange, most: int) -> AsyncIterator[None]:
        """Generate at the model's pace; end when the client is seen to have gone."""
        request, behaviour = exchange.request, exchange.behaviour
        begun = time.monotonic() + behaviour.first_after_s
        left: float | None = None
        for number in range(most):
            due = begun + (number / behaviour.rate if behaviour.rate else 0.0)
            wait = due - time.monotonic()
            if left is None and wait > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(exchange.gone.wait(), wait)
            elif wait > 0:
                await asyncio.sleep(wait)
            elif number % 16 == 0:
                await asyncio.sleep(0)
            if left is None and exchange.gone.is_set():
                request.left_early = True
                left = time.monotonic()
            if left is not None and time.monotonic() >= left + behaviour.notices_after_s:
                return
            request.answer_tokens += 1
            yield


@asynccontextmanager
async def _watched(exchange: _Exchange, reader: asyncio.StreamReader) -> AsyncIterator[None]:
    """Know of it at once when the client closes its side; it sends nothing before an answer."""

    async def watch() -> None:
        with suppress(ConnectionError):
            while not reader.at_eof():
                # Nobody pipelines here: what can be read is the end.
                if not await reader.read(1):
                    break
        exchange.gone.set()

    task = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        if exchange.gone.is_set():
            exchange.request.left_early = True
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _write(exchange: _Exchange, data: bytes) -> bool:
    """Hand bytes to the socket, where somebody is there to take them."""
    if exchange.gone.is_set() or exchange.writer.is_closing():
        return False
    exchange.writer.write(data)
    return True


async def _answer(
    writer: asyncio.StreamWriter,
    status: int,
    told: object,
    headers: tuple[tuple[str, str], ...] = (),
) -> bool:
    body = json.dumps(told).encode()
    lines = [
        f"HTTP/1.1 {status} Status",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()
    return True


def _asked(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _prompt_tokens(asked: Mapping[str, Any]) -> int:
    messages = asked.get("messages")
    texts = [
        str(message.get("content", "")) for message in messages or () if isinstance(message, dict)
    ]
    return sum(map(len, texts)) // 4 + 8


def _usage(exchange: _Exchange) -> Mapping[str, Any] | None:
    request, behaviour = exchange.request, exchange.behaviour
    if behaviour.usage is not None:
        return behaviour.usage(request.prompt_tokens, request.answer_tokens)
    options = exchange.asked.get("stream_options") or {}
    if exchange.asked.get("stream", False) and not options.get("include_usage", False):
        return None
    return {
        "prompt_tokens": request.prompt_tokens,
        "completion_tokens": request.answer_tokens,
        "total_tokens": request.billed,
    }


def _stream_head(behaviour: Behaviour) -> bytes:
    lines = [
        "HTTP/1.1 200 OK",
        "content-type: text/event-stream",
        "transfer-encoding: chunked",
        *(f"{name}: {value}" for name, value in behaviour.headers),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _event(told: Mapping[str, Any]) -> bytes:
    return _chunk(b"data: " + json.dumps(told).encode() + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def main() -> None:
    """Serve until Ctrl-C, then tell what was billed."""
    parser = argparse.ArgumentParser(description="a provider that counts what it bills")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=float, default=Behaviour.rate, help="tokens a second")
    parser.add_argument("--tokens", type=int, default=_NO_CAP, help="length of an answer")
    parser.add_argument("--ignore-cap", action="store_true")
    arguments = parser.parse_args()
    behaviour = replace(
        Behaviour(),
        rate=arguments.rate,
        answer_tokens=arguments.tokens,
        ignores_cap=arguments.ignore_cap,
    )
    with CountingServer(behaviour, port=arguments.port) as server:
        print(json.dumps({"base_url": server.base_url}), flush=True)  # noqa: T201
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
        print(json.dumps(server.truth()), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
