"""Looking names up: shared, bounded, and no name waits for another's."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from far_side import good, post, transport_of
from transports import KINDS
from wire import serve

from probes.transport.resolve import LOOKUPS_AT_ONCE, SHARED_FOR_S, Resolver

pytestmark = pytest.mark.anyio

HERE: list[Any] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]


class System:
    """A system's resolver whose servers are dead for some names."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.alive = threading.Event()

    def lookup(self, host: str, _port: int) -> list[Any]:
        self.asked.append(host)
        if host.startswith("dead"):
            self.alive.wait(30)
        if host.startswith("unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return HERE


@pytest.fixture
def system() -> Iterator[System]:
    made = System()
    yield made
    made.alive.set()


class Seconds:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_name_is_looked_up_in_a_thread() -> None:
    addresses = await Resolver().resolve("localhost", 80)
    assert {address[4][1] for address in addresses} == {80}


async def test_hanging_lookups_hold_up_no_other_name(system: System) -> None:
    resolver = Resolver(system.lookup)
    async with anyio.create_task_group() as group:
        for number in range(40):  # more than any pool of the standard library has threads here
            group.start_soon(resolver.resolve, f"dead-{number}", 80)
        await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            assert await resolver.resolve("alive", 80) == HERE
        group.cancel_scope.cancel()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_route_whose_name_hangs_does_not_delay_another(
    kind: str, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(host: str, port: int, *given: Any, **named: Any) -> list[Any]:
        if named.get("flags") == socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return [(*HERE[0][:4], ("127.0.0.1", port))] if system.lookup(str(host), port) else []

    async with serve(good) as server, anyio.create_task_group() as group:
        port = server.url.rpartition(":")[2].split("/")[0]
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

        async def stuck(number: int) -> None:
            async with transport_of(kind) as transport:
                await post(transport, f"http://dead-{number}.example/v1")

        for number in range(40):
            group.start_soon(stuck, number)
        await anyio.sleep(0.05)
        async with transport_of(kind) as transport:
            with anyio.fail_after(5):
                assert (await post(transport, f"http://alive.example:{port}/v1")).status == 200
        group.cancel_scope.cancel()


async def test_all_who_ask_at_once_share_one_lookup(system: System) -> None:
    resolver = Resolver(system.lookup, Seconds())
    found: list[Any] = []

    async def ask() -> None:
        found.append(await resolver.resolve("dead", 80))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(ask)
        await anyio.sleep(0.01)
        assert (system.asked, resolver.lookups) == (["dead"], 1)
        system.alive.set()
    assert found == [HERE] * 50
    assert resolver.lookups == 0


async def test_a_lookup_that_may_hang_is_not_waited_for_but_threads_are_bounded(
    system: System,
) -> None:
    now_s = Seconds()
    resolver = Resolver(system.lookup, now_s)
    async with anyio.create_task_group() as group:
        for _ in range(3 * LOOKUPS_AT_ONCE):
            group.start_soon(resolver.resolve, "dead", 80)
            await anyio.sleep(0.001)
            now_s.now += 2 * SHARED_FOR_S
        assert resolver.lookups == LOOKUPS_AT_ONCE == 3
        group.cancel_scope.cancel()


async def test_who_leaves_takes_nothing_from_the_others(system: System) -> None:
    resolver = Resolver(system.lookup, Seconds())
    async with anyio.create_task_group() as group:
        with anyio.move_on_after(0.01) as scope:
            group.start_soon(resolver.resolve, "dead", 80)
            await resolver.resolve("dead", 80)
        assert scope.cancelled_caught
        system.alive.set()
    assert system.asked == ["dead"]


async def test_a_name_that_is_not_known_is_told_to_all_and_asked_again_later(
    system: System,
) -> None:
    resolver = Resolver(system.lookup)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await resolver.resolve("unknown", 80)
    assert len(system.asked) == 2


async def test_without_a_thread_nobody_is_left_waiting(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver(system.lookup)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            await resolver.resolve("alive", 80)
    assert resolver.lookups == 0
    assert await resolver.resolve("alive", 80) == HERE


def test_a_lookup_that_hangs_does_not_hold_up_the_end_of_a_loop(system: System) -> None:
    resolver = Resolver(system.lookup)

    async def leave() -> None:
        with anyio.move_on_after(0.01):
            await resolver.resolve("dead", 80)

    anyio.run(leave)
    assert resolver.lookups == 1
    system.alive.set()  # its result finds nobody, and no loop
