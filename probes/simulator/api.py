"""The endpoints: chat completions in two dialects, models and the server's own truth."""

from collections.abc import Mapping
from random import Random
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import anyio
import msgspec

from probes.kit.clock import NS_PER_S, Clock
from probes.simulator.access import check_host, check_key
from probes.simulator.chat import (
    ApiError,
    ChatReply,
    ChatRequest,
    decode_request,
    models_body,
    not_found_model,
)
from probes.simulator.exchange import HangUp, ServedExchange
from probes.simulator.model import Refusal, ServingModel
from probes.simulator.ollama import (
    OllamaReply,
    OllamaRequest,
    decode_ollama_request,
    ollama_error_body,
)
from probes.simulator.prose import Prose, asked_word
from probes.simulator.scenario import Conditions, HostedModel
from probes.simulator.sequence import SentPrompt, Sequence, SequenceCutError
from probes.simulator.truth import TruthLog, TruthRecord
from probes.simulator.wire import ClientConnection, HttpRequest

_CHAT = "/v1/chat/completions"
_OLLAMA = "/api/chat"
_MODELS = "/v1/models"

AnyRequest: TypeAlias = ChatRequest | OllamaRequest
AnyReply: TypeAlias = ChatReply | OllamaReply


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
            if path.endswith((_CHAT, _OLLAMA)):
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
        if not path.endswith((_CHAT, _OLLAMA, _MODELS)):
            raise ApiError(404, "There is nothing at this URL.", code="unknown_url")
        check_key(request.header("authorization"), self._api_key)
        if path.endswith(_MODELS):
            _only("GET", request)
            return await exchange.answer(200, models_body(tuple(self._models), self._now_s()))
        _only("POST", request)
        if path.endswith(_CHAT):
            return await self._chat(exchange, decode_request(request.body))
        exchange.error_body = ollama_error_body
        return await self._chat(exchange, decode_ollama_request(request.body))

    def _now_s(self) -> int:
        return self._clock.wall_ns() // NS_PER_S

    def _truth_body(self, request: HttpRequest) -> bytes:
        since = parse_qs(urlsplit(request.target).query).get("since", ["0"])[-1]
        if not since.isascii() or not since.isdigit() or len(since) > 18:
            raise ApiError(400, "since must be a record's number.", param="since")
        return msgspec.json.encode(self._truth.page(int(since)))

    async def _chat(self, exchange: ServedExchange, request: AnyRequest) -> None:
        model, record = self._models.get(request.model), exchange.record
        if model is None:
            raise not_found_model(request.model)
        phase = model.phase()
        prompt = request.prompt(phase.conditions.serving.prompt_factor)
        record.model, record.phase, record.prompt_tokens = request.model, phase.name, prompt.tokens
        _check_context(prompt, phase.conditions.serving.context_tokens)
        admitted = model.admit(prompt)
        exchange.limit_headers = model.limit_headers()
        if isinstance(admitted, Refusal):
            return _refuse(exchange, admitted)
        exchange.is_last = admitted.fate.closes
        try:
            if admitted.fate.hang_at == "request":
                await anyio.sleep_forever()
            await model.enqueue(admitted)
            reply = self._reply(exchange, request, model.hosted, phase.conditions, admitted)
            word = b"" if admitted.fate.is_wrong else asked_word(prompt.data)
            prose = Prose(self._random, word.decode())
            answer = _stream if request.stream else _whole
            await answer(exchange, reply, prose, admitted)
        except SequenceCutError as cut:
            in_stream: HangUp = "cut" if cut.how == "reset" else "dropped"
            exchange.hang_up = in_stream if record.status else "closed"
        finally:
            model.release(admitted)
            record.cached_tokens = admitted.cached_tokens
        return None

    def _reply(
        self,
        exchange: ServedExchange,
        request: AnyRequest,
        hosted: HostedModel,
        conditions: Conditions,
        sequence: Sequence,
    ) -> AnyReply:
        serving, faults, swapped = conditions.serving, conditions.faults, sequence.fate.swapped
        model = (swapped and faults.swap_model) or request.model
        if isinstance(request, OllamaRequest):
            return OllamaReply(self._now_s(), exchange.record.read_ns, model)
        return ChatReply(
            self._identity("chatcmpl-"),
            self._now_s(),
            request,
            model=model,
            fingerprint=(swapped and faults.swap_fingerprint) or serving.fingerprint,
            price=hosted.price if hosted.reports_cost else None,
            reports_times=serving.reports_times,
        )


def _only(method: str, request: HttpRequest) -> None:
    if request.method != method:
        message = f"Not allowed to {request.method} here."
        raise ApiError(405, message, code="method_not_allowed", headers=(("allow", method),))


def _check_context(prompt: SentPrompt, context_tokens: int) -> None:
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
    exchange: ServedExchange, reply: AnyReply, prose: Prose, sequence: Sequence
) -> None:
    fate, written = sequence.fate, 0
    await exchange.start_stream(reply.content_type)
    if fate.hang_at == "headers":
        await anyio.sleep_forever()
    for piece in reply.opening():
        await exchange.chunk(piece)
    try:
        while tokens := await sequence.next_chunk():
            await exchange.chunk(reply.words(prose.tokens(tokens)), tokens)
            written += tokens
            if fate.hang_at == "stream" and written >= fate.hang_after:
                await anyio.sleep_forever()
    except SequenceCutError as cut:
        if cut.how != "end":
            raise
        await exchange.end_stream("unfinished")
        return
    for piece in reply.closing(sequence):
        await exchange.chunk(piece)
    await exchange.end_stream()
    exchange.record.finish_reason = fate.finish_reason


async def _whole(
    exchange: ServedExchange, reply: AnyReply, prose: Prose, sequence: Sequence
) -> None:
    if sequence.fate.hang_at is not None:
        await anyio.sleep_forever()
    text = ""
    while tokens := await sequence.next_chunk():
        text += prose.tokens(tokens)
    await exchange.answer(200, reply.whole(text, sequence), tokens=sequence.produced)
    exchange.record.finish_reason = sequence.fate.finish_reason
