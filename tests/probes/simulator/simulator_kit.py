"""What the simulator's tests share: a clock that only tests move, models, and quick scenarios."""

import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from statistics import median

import anyio
import httpx
import openai
from anyio.lowlevel import checkpoint

from probes.kit.clock import NS_PER_S, SystemClock
from probes.simulator import (
    Conditions,
    Faults,
    HostedModel,
    Limits,
    Scenario,
    Serving,
    SimulatorServer,
    serve,
    steady,
)
from probes.simulator.model import Refusal, ServingModel
from probes.simulator.sequence import SentPrompt, Sequence, SequenceCutError

CHAT = "/v1/chat/completions"

EXACT = Serving(
    gateway_s=0.0,
    prefill_tokens_per_s=1_000,
    prefill_chunk=1_000,
    decode_tokens_per_s=10,
    batch_penalty=0.5,
    answer_tokens=10,
    answer_spread=0.0,
    jitter=0.0,
)
"""No chance: alone a step is 100 ms, and each prompt token costs 1 ms."""

QUICK = Serving(
    gateway_s=0.0,
    prefill_tokens_per_s=1_000_000,
    decode_tokens_per_s=2_000,
    answer_tokens=5,
    answer_spread=0.0,
    jitter=0.0,
)
"""For tests over sockets: half a millisecond a token."""

SLOW = Serving(gateway_s=0.0, decode_tokens_per_s=20, answer_tokens=2_000, answer_spread=0.0)
"""An answer that lasts longer than any test."""


async def settle() -> None:
    """Let every task that can run do so until all wait; no chain of wake-ups here is longer."""
    for _ in range(12):
        await checkpoint()


class VirtualClock:
    """Time that stands still but for `advance`."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * NS_PER_S
        self._sleepers: list[tuple[int, int, anyio.Event]] = []
        self._order = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await checkpoint()
            return
        self._order += 1
        deadline = self.now_ns + round(seconds * NS_PER_S)
        event = anyio.Event()
        heapq.heappush(self._sleepers, (deadline, self._order, event))
        await event.wait()

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking every sleeper in its turn."""
        end_ns = self.now_ns + round(seconds * NS_PER_S)
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_ns:
            self.now_ns, _, event = heapq.heappop(self._sleepers)
            event.set()
            await settle()
        self.now_ns = end_ns


def prompt(tokens: int = 10, cap: int = 100, fill: bytes = b"x") -> SentPrompt:
    """A prompt of `tokens` tokens, four bytes each."""
    return SentPrompt(data=fill * (4 * tokens), tokens=tokens, cap=cap)


def hosted(
    serving: Serving = EXACT, limits: Limits | None = None, faults: Faults | None = None
) -> HostedModel:
    """One model under conditions that never change."""
    conditions = Conditions(serving=serving, limits=limits or Limits(), faults=faults or Faults())
    return steady("model", conditions).models[0]


@asynccontextmanager
async def running(
    model: HostedModel, clock: VirtualClock, seed: int = 1
) -> AsyncIterator[ServingModel]:
    """A model whose loop runs."""
    serving = ServingModel(model, clock=clock, random=Random(seed))
    async with anyio.create_task_group() as group:
        group.start_soon(serving.run)
        yield serving
        group.cancel_scope.cancel()


class Client:
    """Sends one request to a model, and writes down when its tokens came."""

    def __init__(self, model: ServingModel, clock: VirtualClock, asked: SentPrompt) -> None:
        self.model, self.clock, self.asked = model, clock, asked
        self.sequence: Sequence | None = None
        self.refusal: Refusal | None = None
        self.times_s: list[float] = []

    async def run(self) -> None:
        started_ns = self.clock.monotonic_ns()
        admitted = self.model.admit(self.asked)
        if isinstance(admitted, Refusal):
            self.refusal = admitted
            return
        self.sequence = admitted
        try:
            await self.model.enqueue(admitted)
            while await admitted.next_chunk():
                self.times_s.append((self.clock.monotonic_ns() - started_ns) / NS_PER_S)
        finally:
            self.model.release(admitted)

    @property
    def gaps_s(self) -> list[float]:
        pairs = zip(self.times_s, self.times_s[1:], strict=False)
        return [round(later - earlier, 6) for earlier, later in pairs]


class Story:
    """What one route of a scenario looks like from outside, second by second."""

    def __init__(self, hosted: HostedModel, clock: VirtualClock) -> None:
        self.hosted, self.clock = hosted, clock
        self.model = ServingModel(hosted, clock=clock, random=Random(1))
        self.started_ns = clock.monotonic_ns()
        self.asked = prompt(hosted.route.prompt_tokens or 20, hosted.route.max_tokens)
        self.ttfts: list[tuple[float, float]] = []
        self.ends: list[tuple[float, float]] = []
        self.longest_gaps: list[tuple[float, float]] = []
        self.token_s: list[tuple[float, float]] = []
        """Median time of a token of each answer."""
        self.refused: list[tuple[float, int]] = []

    def now_s(self) -> float:
        return (self.clock.monotonic_ns() - self.started_ns) / NS_PER_S

    async def worker(self) -> None:
        while True:
            started_s = self.now_s()
            client = Client(self.model, self.clock, self.asked)
            try:
                await client.run()
            except SequenceCutError:
                self.refused.append((started_s, 0))
            if client.refusal is not None:
                self.refused.append((started_s, client.refusal.status))
                await self.clock.sleep(0.5)
            elif len(client.times_s) > 1:
                self.ttfts.append((started_s, client.times_s[0]))
                self.ends.append((started_s, client.times_s[-1]))
                self.longest_gaps.append((started_s, max(client.gaps_s)))
                self.token_s.append((started_s, median(client.gaps_s)))
            await self.clock.sleep(started_s + self.hosted.route.interval - self.now_s())

    async def play(self, seconds: float, concurrency: int) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self.model.run)
            for _ in range(concurrency):
                group.start_soon(self.worker)
            await self.clock.advance(seconds)
            group.cancel_scope.cancel()


async def ask_all(
    model: ServingModel, clock: VirtualClock, prompts: list[SentPrompt], seconds: float = 60.0
) -> list[Client]:
    """Send all prompts at once and let `seconds` pass."""
    clients = [Client(model, clock, asked) for asked in prompts]
    async with anyio.create_task_group() as group:
        for client in clients:
            group.start_soon(client.run)
        await clock.advance(seconds)
    return clients


@asynccontextmanager
async def serving(
    scenario: Scenario | None = None, *, api_key: str | None = None, seed: int = 1
) -> AsyncIterator[SimulatorServer]:
    """A real server on a free port."""
    chosen = scenario or steady("quick", Conditions(serving=QUICK))
    async with serve(chosen, clock=SystemClock(), random=Random(seed), api_key=api_key) as server:
        yield server


def body(model: str = "quick", **fields: object) -> dict[str, object]:
    """A chat request."""
    return {"model": model, "messages": [{"role": "user", "content": "hello there"}], **fields}


async def drain(sequence: Sequence) -> None:
    """Read a sequence to its end."""
    while await sequence.next_chunk():
        pass


def client(server: SimulatorServer, **options: object) -> httpx.AsyncClient:
    """A client of the server."""
    return httpx.AsyncClient(base_url=server.base_url, timeout=10.0, **options)


def official(server: SimulatorServer, **options: object) -> openai.AsyncOpenAI:
    """The official client of the server; it tries nothing again."""
    defaults = {"api_key": "unused", "max_retries": 0, "timeout": 10.0}
    return openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", **{**defaults, **options})


def quick(**parts: object) -> Scenario:
    """A scenario of one model, `quick`, with the named conditions."""
    return steady("quick", Conditions(**{"serving": QUICK, **parts}))


async def until(condition: Callable[[], object]) -> None:
    """Wait for the server, which shares this event loop, to get somewhere."""
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - the server offers no event, nor needs one
            await anyio.sleep(0.005)
