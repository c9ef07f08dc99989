"""How exact are the figures? `python tests/bench/fidelity.py [STREAMS …]` (default: 1 10 50).

llmtop's engine and, as the baseline, the official `openai` client stream from the embedded
provider in the same run, A B A B, each in a process of its own; what each says of TTFT and E2E is
held to what the provider logged of the same requests. Warm connections only. No pass or fail:
machines differ, so quote the medians, and the ratio.
"""

import json
import multiprocessing
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
from openai import AsyncOpenAI

from probes.config import Budget, Config, Route
from probes.events import AttemptFinished, Event, ProbeFinished
from probes.ledger import Ledger
from probes.session import Session

PER_STREAM = 12
MAX_TOKENS = 24
ROUNDS = 2


@dataclass(frozen=True)
class Reading:
    """What a client says of one request, in ns from its start."""

    request_id: str
    ttft_ns: int
    e2e_ns: int


Client = Callable[[str, int], list[Reading]]


def llmtop(base_url: str, streams: int) -> list[Reading]:
    """Read with llmtop: a host and its engine process."""
    return anyio.run(_llmtop, base_url, streams)


async def _llmtop(base_url: str, streams: int) -> list[Reading]:
    route = Route(
        name="r",
        base_url=base_url + "/v1",
        model="healthy",
        concurrency=streams,
        interval=0.0,
        max_tokens=MAX_TOKENS,
    )
    plenty = Budget(tokens_per_hour=10**9, route_tokens_per_hour=10**9)
    session = Session(
        Config(routes=(route,), budget=plenty), {}, recorder=None, ledger=Ledger(None)
    )
    attempts: list[AttemptFinished] = []
    finished = 0

    def receive(batch: list[Event], _lines: bytes) -> None:
        nonlocal finished
        attempts.extend(event for event in batch if isinstance(event, AttemptFinished))
        finished += sum(isinstance(event, ProbeFinished) for event in batch)
        if finished >= streams * PER_STREAM:
            session.stop()

    session.subscribe(receive)
    await session.run()
    return [
        Reading(a.request_id, s.first_token - s.started, s.done - s.started)
        for a in attempts
        if (s := a.stamps_ns).done and s.first_token and s.started and a.request_id and not a.cold
    ]


def openai_client(base_url: str, streams: int) -> list[Reading]:
    """Read as most users do, with one client of the official library."""
    return anyio.run(_openai, base_url, streams)


async def _openai(base_url: str, streams: int) -> list[Reading]:
    readings: list[Reading] = []
    async with AsyncOpenAI(base_url=base_url + "/v1", api_key="none", max_retries=0) as client:

        async def work() -> None:
            for number in range(PER_STREAM):
                reading = await _one(client)
                if number:  # the first made the connection
                    readings.append(reading)

        async with anyio.create_task_group() as group:
            for _ in range(streams):
                group.start_soon(work)
    return readings


async def _one(client: AsyncOpenAI) -> Reading:
    started_ns = time.monotonic_ns()
    raw = await client.chat.completions.with_raw_response.create(
        model="healthy",
        messages=[{"role": "user", "content": "Write one short sentence about the sea."}],
        max_tokens=MAX_TOKENS,
        stream=True,
        stream_options={"include_usage": True},
    )
    first_ns = 0
    async for chunk in raw.parse():
        if not first_ns and chunk.choices and chunk.choices[0].delta.content:
            first_ns = time.monotonic_ns()
    done_ns = time.monotonic_ns()
    return Reading(raw.headers["x-request-id"], first_ns - started_ns, done_ns - started_ns)


@contextmanager
def provider() -> Iterator[str]:
    """Serve the embedded provider in a process of its own; give its URL."""
    argv = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", "healthy", "--until-eof"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield json.loads(process.stdout.readline())["base_url"]
        process.stdin.close()


def errors_ms(base_url: str, readings: list[Reading]) -> tuple[list[float], list[float]]:
    """Return the errors of TTFT and E2E in ms: what the client says less what the server did."""
    with urllib.request.urlopen(base_url + "/truth") as answer:  # noqa: S310 - loopback
        records = {record["request_id"]: record for record in json.load(answer)["records"]}
    ttft, e2e = [], []
    for reading in readings:
        record = records.get(reading.request_id)
        if record is None or record["ending"] != "streamed":
            continue
        writes = zip(record["chunks_ns"], record["chunk_tokens"], strict=True)
        first_ns = next(stamp for stamp, tokens in writes if tokens)
        ttft.append((reading.ttft_ns - (first_ns - record["read_ns"])) / 1e6)
        e2e.append((reading.e2e_ns - (record["ended_ns"] - record["read_ns"])) / 1e6)
    return ttft, e2e


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def cells(values: list[float]) -> str:
    return " / ".join(f"{quantile(values, share):.2f}" for share in (0.5, 0.95, 0.99))


def main() -> None:
    """Print the table."""
    wanted = [int(text) for text in sys.argv[1:]] or [1, 10, 50]
    clients: dict[str, Client] = {"llmtop": llmtop, "openai": openai_client}
    head = "| streams | client | requests | TTFT error ms p50 / p95 / p99 | E2E error ms |"
    sys.stdout.write(head + "\n|---|---|---|---|---|\n")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for streams in wanted:
            found: dict[str, tuple[list[float], list[float]]] = {n: ([], []) for n in clients}
            for _ in range(ROUNDS):
                for name, client in clients.items():
                    with provider() as base_url:
                        readings = pool.apply(client, (base_url, streams))
                        for total, more in zip(
                            found[name], errors_ms(base_url, readings), strict=True
                        ):
                            total.extend(more)
            for name, (ttft, e2e) in found.items():
                row = f"| {streams} | {name} | {len(ttft)} | {cells(ttft)} | {cells(e2e)} |\n"
                sys.stdout.write(row)
                sys.stdout.flush()


if __name__ == "__main__":
    main()
