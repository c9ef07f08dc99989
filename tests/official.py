"""The official client and a probe of ours, sent to the same server; neither waits.

What each asks its clock for is noted instead.
"""

import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2
import openai
from probing import probe_once
from transports import stamping
from wire import Play, serve

from probes.config import Route, Timeouts
from probes.engine.health import BEAT_S
from probes.kit.clock import SystemClock
from probes.transport import Transport

PATIENCE_S = 20.0


@dataclass
class Counted:
    """What a client did: requests that reached the server, and waits it asked for, in s."""

    waits: list[float] = field(default_factory=list)
    requests: int = 0


class FixedRandom(Random):
    """Always the same share of the jitter."""

    def __init__(self, share: float) -> None:
        super().__init__(1)
        self._share = share

    def random(self) -> float:
        return self._share


class HastyClock(SystemClock):
    """Notes how long it should have slept, and does not; the engine's own beat goes on."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if seconds == BEAT_S:
            await super().sleep(seconds)
        elif seconds > 0:
            self.asked.append(seconds)


class KeptTransport:
    """A transport that outlives the probe that used it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def aclose(self) -> None:
        """Its owner closes what it wraps."""


def official_client(url: str, timeout_s: float = PATIENCE_S) -> openai.AsyncOpenAI:
    """Return the official client with its own policy; without loading certificates."""
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    http = openai.DefaultAsyncHttpxClient(verify=bare, trust_env=False)
    return openai.AsyncOpenAI(
        base_url=url, api_key="none", http_client=http, timeout=httpx2.Timeout(timeout_s)
    )


async def call(client: openai.AsyncOpenAI) -> None:
    """Stream one answer to its end, whatever that is."""
    with suppress(openai.OpenAIError, httpx2.HTTPError, ValueError, RecursionError):
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        async with stream:
            async for _ in stream:
                pass


async def officially(play: Play, waits: list[float], timeout_s: float = PATIENCE_S) -> Counted:
    async with serve(play) as server, official_client(server.url, timeout_s) as client:
        await call(client)
    return Counted(waits, len(server.requests))


def route_to(url: str, timeout_s: float = PATIENCE_S) -> Route:
    timeouts = Timeouts(connect=5.0, first_token=timeout_s, stall=timeout_s, total=PATIENCE_S)
    return Route(name="r", base_url=url, model="m", timeouts=timeouts)


async def ours(play: Play, jitter: float = 0.0, timeout_s: float = PATIENCE_S) -> Counted:
    async with serve(play) as server:
        counted = await probe_at(server.url, jitter, timeout_s)
    counted.requests = len(server.requests)
    return counted


async def probe_at(url: str, jitter: float = 0.0, timeout_s: float = PATIENCE_S) -> Counted:
    """Send one probe; its waits are those of its record, and what it asked of its clock."""
    clock = HastyClock()
    record = await probe_once(
        route_to(url, timeout_s), {}, clock=clock, random=FixedRandom(jitter), transport=stamping
    )
    planned = [event.retry.wait_s for event in record.attempts if event.retry is not None]
    assert [wait_s for wait_s in planned if wait_s > 0] == clock.asked
    return Counted(planned)
