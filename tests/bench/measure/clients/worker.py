"""`python -m measure.clients.worker LOOP CLIENT URL STREAMS TOKENS FILE`: a baseline's process.

Each of STREAMS tasks sends one request after the other until SIGTERM; then the readings are
written to FILE. LOOP is `asyncio` or `uvloop`.
"""

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol

from ..readings import Reading, Report, save_report

PROMPT = "Write one short sentence about the sea."


class Job(Protocol):
    """Where a client connects to, and where its readings go."""

    base_url: str
    streams: int
    tokens: int

    def request_id(self) -> str:
        """Return a new id, for the request's `x-request-id`."""
        ...

    def tell(self, reading: Reading) -> None:
        """Keep a reading."""
        ...


Readers = Callable[[Job], Awaitable[None]]
"""Streams for ever; what each client module offers as `run`."""


def body(tokens: int) -> dict[str, object]:
    """Return the request that all clients send, and llmtop too."""
    return {
        "model": "metronome",
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


class _Job:
    def __init__(self, base_url: str, streams: int, tokens: int) -> None:
        self.base_url = base_url
        self.streams = streams
        self.tokens = tokens
        self.readings: list[Reading] = []
        self._numbers = itertools.count()

    def request_id(self) -> str:
        return f"w{os.getpid()}-{next(self._numbers)}"

    def tell(self, reading: Reading) -> None:
        self.readings.append(reading)


def _die(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """End at once: a client that lost a task would be measured as a good one."""
    sys.stderr.write(f"{context}\n")
    os._exit(1)


async def _until_told(client: str, job: _Job) -> None:
    run: Readers = import_module(f"{__package__}.{client}").run
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    loop.set_exception_handler(_die)
    reading = asyncio.ensure_future(run(job))
    waiting = asyncio.ensure_future(told.wait())
    await asyncio.wait({reading, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if reading.done():
        reading.result()
        raise RuntimeError("the client ended by itself")


def main() -> None:
    """Stream until SIGTERM, then save the report and leave without tidying up."""
    loop, client, base_url, streams, tokens, file = sys.argv[1:]
    job = _Job(base_url, int(streams), int(tokens))
    with asyncio.Runner(loop_factory=import_module(loop).new_event_loop) as runner:
        runner.run(_until_told(client, job))
        save_report(Path(file), Report(readings=job.readings))
        os._exit(0)


if __name__ == "__main__":
    main()
