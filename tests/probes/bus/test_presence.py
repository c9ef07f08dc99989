"""One agent a place: taken, renewed, refused, lost, and found dead."""

import os

import anyio
import pytest
from changed import replace
from clocks import ManualClock, settle
from fake_bus import AHEAD_NS, FakeBucket, FakeBus

from probes.bus.connection import PRESENCE_TTL_S, BusLostError
from probes.bus.messages import Presence, decode_presence, encode
from probes.bus.names import PLACES_BUCKET
from probes.bus.presence import RENEW_S, PlaceHeld, PlaceTakenError
from probes.kit.process_identity import RunIdentity, current_identity

pytestmark = pytest.mark.anyio

ELSEWHERE = RunIdentity(7, "another boot", "1", "another space")


class Yard:
    """A bus, a clock, and agents of one place on machines of their own."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = FakeBus(self.clock)
        self.bucket: FakeBucket = self.bus.bucket(PLACES_BUCKET)

    def agent(self, host: str = "here", process: RunIdentity = ELSEWHERE) -> PlaceHeld:
        return PlaceHeld(
            self.bucket,
            "eu",
            clock=self.clock,
            host=host,
            process=process,
            version="0",
            routes=3,
            unsent=lambda: 5,
        )

    async def entry(self) -> Presence | None:
        found = await self.bucket.get("eu")
        return None if found is None else decode_presence(found.value)

    async def taken(self, agent: PlaceHeld, after_s: float = 20.0) -> None:
        """Let an agent take the place while time passes."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent.take)
            await self.clock.advance(after_s)


async def test_a_free_place_is_taken_with_an_id_of_the_servers_clock() -> None:
    yard = Yard()
    agent = yard.agent()
    await agent.take()
    entry = await yard.entry()
    assert entry is not None
    server_ns = yard.clock.wall_ns() + AHEAD_NS
    assert entry.run == agent.run == f"{server_ns:020d}"
    assert (entry.host, entry.pid, entry.since_ns) == ("here", 7, server_ns)
    assert (entry.routes, entry.unsent) == (3, 5)


async def test_a_life_is_later_than_the_last_whatever_the_clock_says() -> None:
    yard = Yard()
    agent = yard.agent()
    last = f"{yard.clock.wall_ns() + 10**15:020d}"
    await agent.take(last)
    assert agent.run == f"{int(last) + 1:020d}"
    assert agent.run > last


async def test_the_second_agent_is_refused_by_name_as_soon_as_the_first_renews() -> None:
    yard = Yard()
    first, second = yard.agent("alpha"), yard.agent("beta")
    await first.take()
    refused: list[PlaceTakenError] = []

    async def take() -> None:
        try:
            await second.take()
        except PlaceTakenError as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.keep, yard.bus.wait_connected)
        await settle()
        tasks.start_soon(take)
        await yard.clock.advance(2 * RENEW_S)
        tasks.cancel_scope.cancel()
    (error,) = refused
    assert str(error).startswith("place eu is taken by alpha, pid 7, since ")
    assert str(error)[-3] == ":"
    entry = await yard.entry()
    assert entry is not None
    assert entry.host == "alpha"


@pytest.mark.parametrize("since_ns", [10**40, -(10**40)])
def test_an_entry_that_says_anything_can_be_told_of(since_ns: int) -> None:
    holder = Presence(run="", host="\x1b[2J" + "h" * 500, pid=7, since_ns=since_ns)
    told = str(PlaceTakenError("eu", holder))
    assert told.isprintable()
    assert len(told) < 150


async def test_a_place_whose_entry_vanishes_is_free() -> None:
    yard = Yard()
    await yard.agent("alpha").take()
    second = yard.agent("beta")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(second.take)
        await yard.clock.advance(RENEW_S + 1)
        assert second.run == ""
        yard.bucket.expire("eu")
        await yard.clock.advance(2.0)
    entry = await yard.entry()
    assert entry is not None
    assert (entry.host, entry.run) == ("beta", second.run)


async def test_an_entry_that_nobody_renews_and_nothing_lets_vanish_is_taken_over() -> None:
    yard = Yard()
    await yard.agent("alpha").take()
    second = yard.agent("beta")
    await yard.taken(second, PRESENCE_TTL_S + RENEW_S + 3)
    entry = await yard.entry()
    assert entry is not None
    assert entry.host == "beta"


async def test_the_place_of_a_process_of_this_machine_that_is_dead_is_free_at_once() -> None:
    yard = Yard()
    ours = current_identity()
    if ours.is_alive() is None:
        pytest.skip("this platform does not tell processes apart")
    dead = replace(ours, pid=2**22 + 1)
    await yard.agent("here", dead).take()
    successor = yard.agent("here", ours)
    with anyio.fail_after(5):
        await successor.take()  # no time passes
    entry = await yard.entry()
    assert entry is not None
    assert entry.pid == os.getpid()


async def test_the_place_is_kept_by_renewing_it_also_after_it_vanished() -> None:
    yard = Yard()
    agent = yard.agent()
    await agent.take()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.keep, yard.bus.wait_connected)
        first = await yard.bucket.get("eu")
        await yard.clock.advance(RENEW_S)
        second = await yard.bucket.get("eu")
        yard.bucket.expire("eu")
        await yard.clock.advance(RENEW_S)
        third = await yard.entry()
        tasks.cancel_scope.cancel()
    assert first is not None
    assert second is not None
    assert third is not None
    assert second.revision > first.revision
    assert third.run == agent.run


async def test_a_lost_bus_is_waited_for_and_who_took_the_place_meanwhile_has_it() -> None:
    yard = Yard()
    late, quick = yard.agent("alpha"), yard.agent("beta")
    await late.take()
    lost: list[PlaceTakenError] = []

    async def keep() -> None:
        try:
            await late.keep(yard.bus.wait_connected)
        except PlaceTakenError as error:
            lost.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep)
        await settle()
        yard.bus.lose()
        await yard.clock.advance(60.0)
        assert lost == []
        yard.bus.come_back()
        yard.bucket.expire("eu")
        # Who is first at the server has it.
        await quick.take()
        await yard.clock.advance(RENEW_S)
    (error,) = lost
    assert "taken by beta" in str(error)


async def test_an_answer_that_never_came_takes_no_place_away() -> None:
    yard = Yard()
    agent = yard.agent()
    await agent.take()
    entry = await yard.bucket.get("eu")
    assert entry is not None
    await yard.bucket.update("eu", entry.value, entry.revision)  # ours, and nobody told us
    await agent.renew()
    assert (await yard.entry()) == decode_presence(entry.value)


async def test_what_another_version_wrote_is_somebodys() -> None:
    yard = Yard()
    agent = yard.agent()
    await agent.take()
    await yard.bucket.put("eu", b'{"new": "shape"}')
    with pytest.raises(PlaceTakenError, match=r"^place eu is taken$"):
        await agent.renew()


async def test_the_servers_clock_is_read_off_our_own_entry() -> None:
    yard = Yard()
    agent = yard.agent()
    await agent.take()
    assert await agent.server_ahead_ns() == AHEAD_NS
    yard.clock.set_wall(-100.0)
    yard.bus._ahead_ns += 100 * 10**9
    assert await agent.server_ahead_ns() == AHEAD_NS + 100 * 10**9


async def test_leaving_frees_the_place_where_it_is_still_ours() -> None:
    yard = Yard()
    agent = yard.agent()
    await agent.take()
    await agent.leave()
    assert await yard.entry() is None
    yard.bus.lose()
    with pytest.raises(BusLostError):
        await agent.leave()


def test_a_presence_of_a_later_version_is_read() -> None:
    presence = Presence(run="1", host="h", pid=1, since_ns=2, process=ELSEWHERE)
    more = encode(presence)[:-1] + b',"later":1}'
    assert decode_presence(more) == presence
