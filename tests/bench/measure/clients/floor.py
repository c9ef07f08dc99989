"""The floor in Python: bare protocols, one stamp a read, no JSON, no HTTP parser, no screen."""

import asyncio
import json
import time
from array import array
from typing import cast
from urllib.parse import urlsplit

from ..readings import Reading
from .worker import Job, body

OUTPUT = b'"delta":{"content":'
END = b"\r\n0\r\n\r\n"


class _Stream(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, job: Job, host: str, lost: asyncio.Event) -> None:
        self._job = job
        self._lost = lost
        data = json.dumps(body(job.tokens)).encode()
        self._head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(data)}\r\nx-request-id: "
        ).encode()
        self._tail = b"\r\n\r\n" + data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._ask()

    def _ask(self) -> None:
        self._id = self._job.request_id()
        self._chunks = array("q")
        request = self._head + self._id.encode() + self._tail
        self._started_ns = time.monotonic_ns()
        self._transport.write(request)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        if OUTPUT in data:
            self._chunks.append(now_ns)
        if data.endswith(END):
            reading = Reading(
                request_id=self._id,
                started_ns=self._started_ns,
                first_ns=self._chunks[0],
                done_ns=now_ns,
                chunks_ns=self._chunks.tolist(),
            )
            self._job.tell(reading)
            self._ask()


async def run(job: Job) -> None:
    """Open all connections and let them work; returns when one is lost."""
    parts = urlsplit(job.base_url)
    loop, lost = asyncio.get_running_loop(), asyncio.Event()
    for _ in range(job.streams):
        await loop.create_connection(
            lambda: _Stream(job, parts.netloc, lost), parts.hostname, parts.port
        )
    await lost.wait()
