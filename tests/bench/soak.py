"""Does an attempt leave anything behind? `python tests/bench/soak.py [--attempts N]` (100,000).

With `--screen` the soak is of the cockpit and its engine instead: see `screen_soak.py`, which takes
the other arguments.

Workers send attempts to a server that answers well, cuts, resets, stalls, refuses and talks
nonsense, each by a seeded draw; some attempts are cancelled by us at a random moment. Half of the
workers make a new connection each time. It prints, at each tenth, what an operating system counts:
open descriptors, resident memory, and the outcomes so far. What grows with the attempts is a leak.
Linux only; takes some minutes.
"""

import argparse
import asyncio
import gc
import multiprocessing
import resource
import socket
import struct
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from random import Random

import anyio
import screen_soak

from probes.answers.dialects import dialect_for
from probes.answers.request_headers import request_headers
from probes.config import Timeouts
from probes.engine.attempt import Attempt
from probes.engine.health import GapWatch
from probes.kit.clock import SystemClock
from probes.transport import Connecting, Request, StampingTransport

WORKERS = 40
CANCELLED_SHARE = 0.05
TIMEOUTS = Timeouts(connect=2.0, first_token=0.05, stall=0.05, total=1.0)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def event(payload: bytes) -> bytes:
    data = b"data: " + payload + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


WORDS = event(b'{"choices":[{"index":0,"delta":{"content":"word "}}]}')
FINISH = event(b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
GOOD = HEAD + WORDS + WORDS + FINISH + event(b"[DONE]") + b"0\r\n\r\n"
LIMITED = b"HTTP/1.1 429 Too Many\r\ncontent-length: 2\r\nretry-after: 1\r\n\r\n{}"
NONSENSE = b"SSH-2.0-OpenSSH_9.2\r\n"


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, random: Random
) -> None:
    """Answer the requests of one connection, each as the draw has it."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(2)
            draw = random.random()
            if draw < 0.7:
                writer.write(GOOD)
            elif draw < 0.75:
                writer.write(LIMITED)
            elif draw < 0.8:
                writer.write(HEAD + WORDS)
                await asyncio.sleep(0.1)
            elif draw < 0.85:
                writer.write(NONSENSE)
            else:
                writer.write((GOOD[: random.randrange(len(GOOD))]) if draw < 0.95 else b"")
                await writer.drain()
                if draw > 0.9:
                    linger = struct.pack("ii", 1, 0)
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


def serve(pipe: Pipe, seed: int) -> None:
    """Serve on a free port, told over the pipe, until killed."""

    async def run() -> None:
        random = Random(seed)
        server = await asyncio.start_server(
            lambda reader, writer: answer(reader, writer, random), "127.0.0.1", 0, backlog=512
        )
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


class Quiet:
    """Listens to nothing."""

    hears_output = False

    def on_started(self, at_ns: int) -> None:
        return

    def on_first_token(self, at_ns: int, kind: object) -> None:
        return

    def on_output(self, progress: object) -> None:
        return


class Soak:
    """The workers and what became of their attempts."""

    def __init__(self, url: str, attempts: int, seed: int) -> None:
        self._request = Request(url, request_headers({}, dialect_for("chat")), b"{}")
        self._wanted = attempts
        self._random = Random(seed)
        self._clock = SystemClock()
        self._started_s = time.monotonic()
        self.outcomes: Counter[str] = Counter()
        self.done = 0

    async def run(self) -> None:
        self.report()
        async with anyio.create_task_group() as group:
            for number in range(WORKERS):
                group.start_soon(self._work, number % 2 == 0)
        self.report()

    async def _work(self, reuse: bool) -> None:
        transport = StampingTransport(self._clock, Connecting(reuse=reuse))
        while self.done < self._wanted:
            self.done += 1
            if self.done % (self._wanted // 10) == 0:
                self.report()
            self.outcomes[await self._attempt(transport)] += 1
        await transport.aclose()

    async def _attempt(self, transport: StampingTransport) -> str:
        attempt = Attempt(
            transport=transport,
            dialect=dialect_for("chat"),
            clock=self._clock,
            gaps=GapWatch(self._clock.monotonic_ns()),
            timeouts=TIMEOUTS,
            stall_after=1.0,
            listener=Quiet(),
        )
        if self._random.random() < CANCELLED_SHARE:
            delay_s = self._random.random() / 100
            asyncio.get_running_loop().call_later(delay_s, attempt.cancel)
        return (await attempt.run(self._request)).outcome

    def report(self) -> None:
        gc.collect()
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        megabytes = pages * resource.getpagesize() / 1e6
        tasks = len(asyncio.all_tasks())
        elapsed_s = time.monotonic() - self._started_s
        counted = f"| {self.done:>7} | {elapsed_s:6.1f} | {descriptors:>4} | {tasks:>3} "
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        sys.stdout.write(f"{counted}| {megabytes:6.1f} | {outcomes} |\n")
        sys.stdout.flush()


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    if "--screen" in sys.argv[1:]:
        screen_soak.main([word for word in sys.argv[1:] if word != "--screen"])
        return
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs, options.seed), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1/chat/completions"
    sys.stdout.write(
        "| attempts | s | descriptors | tasks | RSS MB | outcomes |\n|---|---|---|---|---|---|\n"
    )
    asyncio.run(Soak(url, max(10, options.attempts), options.seed).run())
    server.kill()


if __name__ == "__main__":
    main()
