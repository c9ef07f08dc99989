"""The endpoints: chat completions, models and the server's own truth."""

from collections.abc import Mapping
from random import Random
from urllib.parse import parse_qs, urlsplit

import anyio
import msgspec

from probes.kit.clock import NS_PER_S, Clock
from probes.simulator.access import check_host, check_key
from probes.simulator.chat import (
    DONE,
    ApiError,
    ChatReply,
    ChatRequest,
    decode_request,
    models_body,
    not_found_model,
)
from probes.simulator.exchange import ServedExchange
from probes.simulator.model import Refusal, ServingModel
from probes.simulator.prose import Prose
from probes.simulator.sequence import Prompt, Sequence, SequenceCutError
from probes.simulator.truth import TruthLog, TruthRecord
from probes.simulator.wire import ClientConnection, HttpRequest

_CHAT = "/v1/chat/completions"
_MODELS = "/v1/models"


class Api:
    """Answers the requests of all connections."""

    def __init__(
        self,
        models: Mapping[str, ServingModel],
        truth: TruthLog,
        *,
        clock: Clock,
        random: Random,
        api_key: str | None = None,
    ) -> None:
        """Serve `models`, by their names in requests; `api_key` is asked for where given."""
        self._models = models
        self._truth = truth
        self._clock = clock
        self._random = random
        self._api_key = api_key

    async def handle(self, connection: ClientConnection, request: HttpRequest) -> None:
        """Answer one request; returns when it is answered or its client has gone."""
        path = urlsplit(request.target).path
        record = TruthRecord(request_id=self._identity("req_"), path=path, read_ns=request.read_ns)
        exchange = ServedExchange(connection, request, record, self._clock)
        try:
            await self._until_gone(connection, exchange)
        finally:
            exchange.finish()
            if path.endswith(_CHAT):
                self._truth.add(record)

    def _identity(self, prefix: str) -> str:
        return f"{prefix}{self._random.getrandbits(96):024x}"

    async def _until_gone(self, connection: ClientConnection, exchange: ServedExchange) -> None:
        async def watch() -> None:
            await connection.wait_disconnect()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await self._answer(exchange)
            group.cancel_scope.cancel()

    async def _answer(self, exchange: ServedExchange) -> None:
        try:
            await self._dispatch(exchange)
        except ApiError as error:
            await exchange.answer_error(error)
        except OSError:
            # The client left while we wrote; the record says so, and its slot is free again.
            return

    async def _dispatch(self, exchange: ServedExchange) -> None:
        request, path = exchange.request, exchange.record.path
        check_host(request.header("host"))
        if path == "/truth":
            _only("GET", request)
            return await exchange.answer(200, self._truth_body(request))
        if not path.endswith((_CHAT, _MODELS)):
            raise ApiError(404, "There is nothing at this URL.", code="unknown_url")
        check_key(request.header("authorization"), self._api_key)
        if path.endswith(_MODELS):
            _only("GET", request)
            return await exchange.answer(200, models_body(tuple(self._models), self._now_s()))
        _only("POST", request)
        return await self._chat(exchange, decode_request(request.body))

    def _now_s(self) -> int:
        return self._clock.wall_ns() // NS_PER_S

    def _truth_body(self, request: HttpRequest) -> bytes:
        since = parse_qs(urlsplit(request.target).query).get("since", ["0"])[-1]
        if not since.isascii() or not since.isdigit() or len(since) > 18:
            raise ApiError(400, "since must be a record's number.", param="since")
        return msgspec.json.encode(self._truth.page(int(since)))

    async def _chat(self, exchange: ServedExchange, request: ChatRequest) -> None:
        model, record = self._models.get(request.model), exchange.record
        if model is None:
            raise not_found_model(request.model)
        prompt, phase = request.prompt(), model.phase()
        record.model, record.phase, record.prompt_tokens = request.model, phase.name, prompt.tokens
        _check_context(prompt, phase.conditions.serving.context_tokens)
        admitted = model.admit(prompt)
        exchange.limit_headers = model.limit_headers()
        if isinstance(admitted, Refusal):
            return _refuse(exchange, admitted)
        try:
            await model.enqueue(admitted)
            await self._serve(exchange, request, model, admitted)
        except SequenceCutError:
            exchange.hang_up = "cut" if record.status else "closed"
        finally:
            model.release(admitted)
            record.cached_tokens = admitted.cached_tokens
        return None

    async def _serve(
        self,
        exchange: ServedExchange,
        request: ChatRequest,
        model: ServingModel,
        sequence: Sequence,
    ) -> None:
        price = model.hosted.price if model.hosted.reports_cost else None
        reply = ChatReply(self._identity("chatcmpl-"), self._now_s(), request, price=price)
        prose = Prose(self._random)
        if request.stream:
            await _stream(exchange, reply, prose, sequence, usage=request.include_usage)
        else:
            await _whole(exchange, reply, prose, sequence)
        exchange.record.finish_reason = sequence.fate.finish_reason


def _only(method: str, request: HttpRequest) -> None:
    if request.method != method:
        message = f"Not allowed to {request.method} here."
        raise ApiError(405, message, code="method_not_allowed", headers=(("allow", method),))


def _check_context(prompt: Prompt, context_tokens: int) -> None:
    asked = prompt.tokens + prompt.cap
    if asked > context_tokens:
        message = f"The context holds {context_tokens} tokens; prompt and answer cap are {asked}."
        raise ApiError(400, message, code="context_length_exceeded", param="messages")


def _refuse(exchange: ServedExchange, refusal: Refusal) -> None:
    if refusal.how == "answer":
        raise ApiError(
            refusal.status,
            refusal.message,
            kind=refusal.kind,
            code=refusal.code,
            headers=refusal.headers,
        )
    exchange.hang_up = "closed" if refusal.how == "close" else "reset"


async def _stream(
    exchange: ServedExchange, reply: ChatReply, prose: Prose, sequence: Sequence, *, usage: bool
) -> None:
    await exchange.start_stream()
    # The role comes before the first token is computed, as from servers that answer on admission:
    # a client that takes it for output measures a TTFT that is too good.
    await exchange.chunk(reply.chunk({"role": "assistant", "content": "", "refusal": None}))
    while tokens := await sequence.next_chunk():
        await exchange.chunk(reply.chunk({"content": prose.tokens(tokens)}), tokens)
    await exchange.chunk(reply.chunk({}, sequence.fate.finish_reason))
    if usage:
        await exchange.chunk(reply.usage_chunk(sequence))
    await exchange.chunk(DONE)
    await exchange.end_stream()


async def _whole(
    exchange: ServedExchange, reply: ChatReply, prose: Prose, sequence: Sequence
) -> None:
    text = ""
    while tokens := await sequence.next_chunk():
        text += prose.tokens(tokens)
    await exchange.answer(200, reply.whole(text, sequence), tokens=sequence.produced)
