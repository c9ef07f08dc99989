"""What can be read is told, and what broke at once, on every event loop that an engine runs on."""

import asyncio
import importlib.util
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
from far_side import HEADERS, Steps
from wire import SSE, chunked

from probes.kit.clock import SystemClock
from probes.transport import Connecting, Request, StampingTransport
from probes.transport.readiness import readable_sockets

pytestmark = pytest.mark.anyio

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.param == "uvloop" and not HAS_UVLOOP:
        pytest.skip("uvloop is not installed")
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class Resetting:
    """A server that answers one request with the beginning of a stream, and then resets."""

    def __init__(self, *last: bytes) -> None:
        self.last = last
        """What it sends right before."""
        self.may_reset, self.has_reset = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1/chat"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as peer:
            peer.recv(65_536)
            peer.sendall(SSE + chunked(b"data: a\n\n"))
            self.may_reset.wait(10)
            for data in self.last:
                peer.sendall(data)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.has_reset.set()

    def reset(self) -> None:
        """Return when it is done: nothing runs meanwhile, as in a process that is busy."""
        self.may_reset.set()
        assert self.has_reset.wait(10)

    def close(self) -> None:
        self.may_reset.set()
        self._thread.join(10)


@pytest.fixture(params=[(), (chunked(b"data: b\n\n"),)], ids=["alone", "after output"])
def server(request: pytest.FixtureRequest) -> Iterator[Resetting]:
    served = Resetting(*request.param)
    yield served
    served.close()


async def test_a_reset_is_told_though_output_came_with_it(server: Resetting) -> None:
    reads: list[bytes] = []

    def sink(data: bytes, *_: object) -> None:
        reads.append(data)
        if len(reads) == 1:
            server.reset()

    transport = StampingTransport(SystemClock(), Connecting())
    with anyio.fail_after(5), pytest.raises(httpx.ReadError, match="reset"):
        async with transport.exchange(Request(server.url, HEADERS, b"{}"), Steps()) as exchange:
            await exchange.read_body(sink)
    await transport.aclose()
    assert b"".join(reads) == b"".join([b"data: a\n\n", *([b"data: b\n\n"] if server.last else [])])


async def test_a_reset_is_told_to_whoever_reads_later(server: Resetting) -> None:
    transport = StampingTransport(SystemClock(), Connecting())
    with anyio.fail_after(5):
        async with transport.exchange(Request(server.url, HEADERS, b"{}"), Steps()) as exchange:
            server.reset()
            await anyio.sleep(0.05)  # the loop is told of it while nobody reads
            with pytest.raises(httpx.ReadError, match="reset"):
                await exchange.read_body(lambda *_: None)
    await transport.aclose()


async def test_all_that_is_readable_is_told_until_it_is_read() -> None:
    watch, pairs = (
        readable_sockets(asyncio.get_running_loop()),
        [socket.socketpair() for _ in "abc"],
    )
    told: list[int] = []
    for number, (ours, theirs) in enumerate(pairs):
        watch.add(ours.fileno(), lambda number=number: told.append(number))
        theirs.send(b"x")
    await anyio.sleep(0.05)
    assert {0, 1, 2} <= set(told)
    for ours, _ in pairs:
        ours.recv(1)
    await anyio.sleep(0.01)
    told.clear()
    await anyio.sleep(0.01)
    assert told == []
    for ours, theirs in pairs:
        watch.discard(ours.fileno())
        watch.discard(ours.fileno())
        ours.close()
        theirs.close()


async def test_one_that_is_discarded_by_another_is_not_called_any_more() -> None:
    watch, pairs = readable_sockets(asyncio.get_running_loop()), [socket.socketpair() for _ in "ab"]
    told: list[int] = []

    def only(number: int) -> None:
        told.append(number)
        for ours, _ in pairs:
            watch.discard(ours.fileno())

    for number, (ours, theirs) in enumerate(pairs):
        watch.add(ours.fileno(), lambda number=number: only(number))
        theirs.send(b"x")
    await anyio.sleep(0.02)
    assert len(told) == 1
    for pair in pairs:
        for end in pair:
            end.close()


async def test_a_callback_that_fails_takes_nothing_from_the_others() -> None:
    loop = asyncio.get_running_loop()
    watch, pairs = readable_sockets(loop), [socket.socketpair() for _ in "ab"]
    failures: list[object] = []
    told: list[int] = []
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))

    def fail(number: int) -> None:
        pairs[number][0].recv(1)
        told.append(number)
        raise ZeroDivisionError

    for number, (ours, theirs) in enumerate(pairs):
        watch.add(ours.fileno(), lambda number=number: fail(number))
        theirs.send(b"x")
    await anyio.sleep(0.02)
    loop.set_exception_handler(None)
    assert (sorted(told), len(failures)) == ([0, 1], 2)
    for pair in pairs:
        watch.discard(pair[0].fileno())
        for end in pair:
            end.close()
