"""The least that Python can do for a read: one epoll set, one recvmsg, one stamp.

No event loop calls back, nothing is parsed: bytes are searched for output and for the end of an
answer. What costs less than this reads less.
"""

import asyncio
import json
import select
import socket
import time
from array import array
from urllib.parse import urlsplit

from ..readings import Reading
from .floor import END, OUTPUT
from .worker import Job, body

READ_BYTES = 65_536
ANCILLARY_BYTES = 64
SO_TIMESTAMPNS = 35
TURN_S = 0.1
"""After so long it looks whether it is to end."""


class _Stream:
    """One connection that asks again as soon as it is answered."""

    def __init__(self, job: Job, host: str, port: int) -> None:
        self._job = job
        data = json.dumps(body(job.tokens)).encode()
        self._head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(data)}\r\nx-request-id: "
        ).encode()
        self._tail = b"\r\n\r\n" + data
        self.sock = socket.create_connection((host, port))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.setblocking(False)
        self._ask()

    def _ask(self) -> None:
        self._id = self._job.request_id()
        self._chunks_ns = array("q")
        request = self._head + self._id.encode() + self._tail
        self._started_ns = time.monotonic_ns()
        self.sock.send(request)

    def read(self) -> None:
        data, _, _, _ = self.sock.recvmsg(READ_BYTES, ANCILLARY_BYTES)
        now_ns = time.monotonic_ns()
        if OUTPUT in data:
            self._chunks_ns.append(now_ns)
        if data.endswith(END):
            reading = Reading(
                request_id=self._id,
                started_ns=self._started_ns,
                first_ns=self._chunks_ns[0],
                done_ns=now_ns,
                chunks_ns=self._chunks_ns.tolist(),
            )
            self._job.tell(reading)
            self._ask()
        elif not data:
            raise ConnectionError("the server closed the connection")


async def run(job: Job) -> None:
    """Open all connections and read them, looking up from time to time."""
    parts = urlsplit(job.base_url)
    watch = select.epoll()
    streams: dict[int, _Stream] = {}
    for _ in range(job.streams):
        stream = _Stream(job, parts.hostname or "", parts.port or 80)
        streams[stream.sock.fileno()] = stream
        watch.register(stream.sock.fileno(), select.EPOLLIN)
    while True:
        until = time.monotonic() + TURN_S
        while (left := until - time.monotonic()) > 0:
            for descriptor, _ in watch.poll(left):
                streams[descriptor].read()
        await asyncio.sleep(0)
