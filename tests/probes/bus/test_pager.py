"""The pager of a scope: held by one, renewed, taken over; and what people were told of a place."""

import anyio
import msgspec
import pytest
from clocks import ManualClock, settle
from fake_bus import AHEAD_NS, FakeBus, KeptError

from probes.bus import pager as module
from probes.bus.connection import BusLostError, NoAnswerError
from probes.bus.messages import MutedRoutes, PagerHolder, ToldAlert, ToldAlerts, encode
from probes.bus.names import ALL_PLACES, MUTED_KEY, PAGERS_BUCKET, caller_key, told_key
from probes.bus.pager import (
    DEAD_S,
    LOOK_S,
    TOLD_MOST,
    YIELD_S,
    SharedPager,
    edit_muted,
    edit_told,
    read_muted,
    read_told,
)
from probes.bus.presence import RENEW_S
from probes.kit.process_identity import RunIdentity, current_identity

pytestmark = pytest.mark.anyio

STEP_S = 0.5


class Yard:
    """A bus, a clock, and processes that want the pager or look at who has it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = FakeBus(self.clock)
        self.bucket = self.bus.bucket(PAGERS_BUCKET)

    def pager(self, host: str, process: RunIdentity | None = None) -> SharedPager:
        process = process or RunIdentity(7, f"boot of {host}", "1", "a space")
        return SharedPager(self.bucket, ALL_PLACES, clock=self.clock, host=host, process=process)

    async def pass_time(
        self,
        seconds: float,
        *,
        hold: tuple[SharedPager, ...] = (),
        look: tuple[SharedPager, ...] = (),
    ) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.clock.now_ns += round(STEP_S * 1e9)
            for one in hold:
                await one.hold()
            for one in look:
                await one.look()


async def test_a_free_pager_is_taken_and_says_who_has_it_since_when() -> None:
    yard = Yard()
    ours, looker = yard.pager("here"), yard.pager("there")
    await ours.hold()
    assert ours.is_held
    await looker.look()
    assert looker.is_anothers
    assert looker.holder is not None
    since_ns = yard.clock.wall_ns() + AHEAD_NS
    assert (looker.holder.host, looker.holder.pid, looker.holder.since_ns) == ("here", 7, since_ns)
    await yard.pass_time(10 * RENEW_S, hold=(ours,), look=(looker,))
    assert ours.is_held
    assert looker.is_anothers
    assert looker.holder.since_ns == since_ns


async def test_of_two_that_come_at_once_one_has_it() -> None:
    yard = Yard()
    first, second = yard.pager("a"), yard.pager("b")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.hold)
        tasks.start_soon(second.hold)
        await settle()
    assert [first.is_held, second.is_held].count(True) == 1
    await yard.pass_time(60, hold=(first, second))
    assert [first.is_held, second.is_held].count(True) == 1


async def test_who_stands_by_has_it_before_those_who_only_call_where_nobody_does() -> None:
    yard = Yard()
    first, second, last = yard.pager("a"), yard.pager("b"), yard.pager("c")
    await first.hold()
    await yard.pass_time(20, hold=(first, second), look=(last,))
    at_s = 0.0
    while not second.is_held:
        await yard.pass_time(STEP_S, hold=(second,), look=(last,))
        at_s += STEP_S
        assert last.is_anothers
    assert DEAD_S - RENEW_S <= at_s <= DEAD_S + LOOK_S + STEP_S
    await yard.pass_time(20, hold=(second,), look=(last,))
    assert last.is_anothers
    assert last.holder is not None
    assert last.holder.host == "b"


async def test_where_nobody_stands_by_it_is_free_after_its_life_and_a_moment() -> None:
    yard = Yard()
    first, last = yard.pager("a"), yard.pager("c")
    await yard.pass_time(20, hold=(first,), look=(last,))
    await yard.pass_time(DEAD_S, look=(last,))
    assert last.is_anothers
    await yard.pass_time(YIELD_S + RENEW_S, look=(last,))
    assert not last.is_anothers


async def test_what_is_left_in_order_is_free_for_who_stands_by_at_once() -> None:
    yard = Yard()
    first, second, last = yard.pager("a"), yard.pager("b"), yard.pager("c")
    await yard.pass_time(20, hold=(first, second), look=(last,))
    await first.leave()
    await first.leave()  # nothing is left by then
    assert not first.is_held
    await yard.pass_time(LOOK_S, hold=(second,), look=(last,))
    assert second.is_held
    assert last.is_anothers


async def test_what_a_dead_process_of_this_machine_had_is_free_at_once() -> None:
    yard = Yard()
    dead = msgspec.structs.replace(current_identity(), born="1")
    await yard.pager("here", dead).hold()
    looker, ours = yard.pager("here"), yard.pager("here", current_identity())
    await looker.look()
    assert not looker.is_anothers
    await ours.hold()
    assert ours.is_held


async def test_who_was_away_finds_that_it_has_it_no_more() -> None:
    yard = Yard()
    first, second = yard.pager("a"), yard.pager("b")
    await first.hold()
    await yard.pass_time(DEAD_S + 2 * LOOK_S, hold=(second,))
    assert second.is_held
    assert not first.is_held  # it has not run: it knows nothing
    await first.hold()
    assert first.held_since_ns is None
    assert first.is_anothers


async def test_who_slept_has_it_again_only_once_it_has_looked() -> None:
    yard = Yard()
    ours = yard.pager("a")
    await ours.hold()
    yard.clock.set_wall(DEAD_S + 1)  # a machine that sleeps: its monotonic clock stands still
    assert not ours.is_held
    await yard.pass_time(RENEW_S, hold=(ours,))
    assert ours.is_held


async def test_a_lost_bus_takes_it_from_nobody() -> None:
    yard = Yard()
    ours, second, looker = yard.pager("a"), yard.pager("b"), yard.pager("c")
    await yard.pass_time(10, hold=(ours, second), look=(looker,))
    yard.bus.lose()
    for _ in range(60):
        yard.clock.now_ns += round(STEP_S * 1e9)
        for work in (ours.hold, second.hold, looker.look):
            try:
                await work()
            except BusLostError:
                continue
    assert ours.is_held
    assert second.is_unknown
    assert not second.is_held
    assert not looker.is_anothers
    yard.bus.come_back()
    await yard.pass_time(LOOK_S, hold=(ours, second), look=(looker,))
    assert ours.is_held
    assert not second.is_held
    assert not second.is_unknown
    assert looker.is_anothers


@pytest.mark.parametrize("again", [False, True])
async def test_an_answer_that_gets_lost_costs_nothing(again: bool) -> None:
    yard = Yard()
    ours, second = yard.pager("a"), yard.pager("b")
    if again:
        await ours.hold()
        yard.clock.now_ns += round(RENEW_S * 1e9)
    yard.bus.faults = [KeptError()]
    with pytest.raises(NoAnswerError):
        await ours.hold()
    await yard.pass_time(2 * LOOK_S, hold=(second, ours))
    assert ours.is_held
    assert not second.is_held


async def test_what_vanished_is_put_back() -> None:
    yard = Yard()
    ours = yard.pager("a")
    await ours.hold()
    yard.bucket.expire(caller_key(ALL_PLACES))
    await yard.pass_time(RENEW_S, hold=(ours,))
    assert ours.is_held
    assert await yard.bucket.get(caller_key(ALL_PLACES)) is not None


@pytest.mark.parametrize("value", [b"{", b'{"host": 3}', b"[" * 100_000])
async def test_what_cannot_be_read_is_somebodys_for_as_long_as_it_is_renewed(value: bytes) -> None:
    yard = Yard()
    ours = yard.pager("a")
    await yard.bucket.put(caller_key(ALL_PLACES), value)
    await ours.hold()
    assert not ours.is_held
    assert ours.holder is None
    await yard.pass_time(DEAD_S + 2 * LOOK_S, hold=(ours,))
    assert ours.is_held


# What people were told.

TOLD = ToldAlert(
    run="r1",
    id="1-a1",
    routes=("chat@eu",),
    places=("eu", "us"),
    severity=2,
    since_ns=5,
    stands_ns=6,
)


async def test_what_was_told_outlives_who_told_it_and_is_struck_out() -> None:
    yard = Yard()
    assert await read_told(yard.bucket, "eu") == ()
    assert await edit_told(yard.bucket, "eu", lambda before: (*before, TOLD)) == (TOLD,)
    assert await read_told(yard.bucket, "eu") == (TOLD,)
    assert await edit_told(yard.bucket, "eu", lambda _: ()) == ()
    assert await read_told(yard.bucket, "eu") == ()


async def test_who_changes_nothing_writes_nothing() -> None:
    yard = Yard()
    await edit_told(yard.bucket, "eu", lambda before: before)
    assert yard.bus.kept == []
    await edit_told(yard.bucket, "eu", lambda _: (TOLD,))
    await edit_told(yard.bucket, "eu", lambda before: before)
    assert len(yard.bus.kept) == 1


async def test_of_two_who_write_at_once_both_are_kept() -> None:
    yard = Yard()
    other = msgspec.structs.replace(TOLD, run="r2")

    async def write(told: ToldAlert) -> None:
        await edit_told(yard.bucket, "eu", lambda before: (*before, told))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write, TOLD)
        tasks.start_soon(write, other)
    assert {one.run for one in await read_told(yard.bucket, "eu")} == {"r1", "r2"}


@pytest.mark.parametrize(
    "value", [b"{", b'{"alerts": 3}', b"[" * 100_000, b" " * (module._LONGEST_RECORD + 1)]
)
async def test_what_cannot_be_read_was_told_to_nobody(value: bytes) -> None:
    yard = Yard()
    await yard.bucket.put(told_key("eu"), value)
    assert await read_told(yard.bucket, "eu") == ()
    assert await edit_told(yard.bucket, "eu", lambda before: (*before, TOLD)) == (TOLD,)


async def test_a_place_speaks_of_its_own_routes_within_bounds() -> None:
    yard = Yard()
    wild = msgspec.structs.replace(
        TOLD,
        routes=("chat@us", "x" * 1_000 + "@eu", "chat@eu"),
        places=("us", "A place", "../x"),
    )
    names = [
        msgspec.structs.replace(TOLD, run="a\r\nX-Evil: 1"),
        msgspec.structs.replace(TOLD, id="x" * 65),
        msgspec.structs.replace(TOLD, routes=("chat@us",)),
    ]
    await yard.bucket.put(told_key("eu"), encode(ToldAlerts(alerts=(wild, *names))))
    (read,) = await read_told(yard.bucket, "eu")
    assert read.routes == ("chat@eu",)
    assert read.places == ("eu", "us")


async def test_of_alerts_without_end_the_newest_are_kept() -> None:
    yard = Yard()
    many = tuple(msgspec.structs.replace(TOLD, id=f"a{n}") for n in range(TOLD_MOST + 20))
    told = await edit_told(yard.bucket, "eu", lambda _: many)
    assert [told[0].id, len(told)] == ["a20", TOLD_MOST]
    await yard.bucket.put(told_key("eu"), encode(ToldAlerts(alerts=many)))
    assert await read_told(yard.bucket, "eu") == told


def test_a_holder_of_a_later_version_is_read() -> None:
    holder = msgspec.json.decode(b'{"host":"h","pid":3,"more":1}', type=PagerHolder)
    assert (holder.host, holder.since_ns) == ("h", 0)


# What is muted.


async def test_what_several_cockpits_mute_and_acknowledge_is_kept_and_what_is_past_is_not() -> None:
    yard = Yard()
    hour_ns = 3600 * 10**9
    now_ns = 1_800_000_000 * 10**9
    await edit_muted(
        yard.bucket,
        MutedRoutes(until_ns={"a@eu": now_ns + hour_ns}, seen_ns={"a@eu": now_ns}),
        now_ns,
    )
    await edit_muted(
        yard.bucket,
        MutedRoutes(until_ns={"b@eu": now_ns + 2 * hour_ns}, seen_ns={"b@eu": now_ns + 1}),
        now_ns,
    )
    muted = await read_muted(yard.bucket)
    assert muted.until_ns == {"a@eu": now_ns + hour_ns, "b@eu": now_ns + 2 * hour_ns}
    assert muted.seen_ns == {"a@eu": now_ns, "b@eu": now_ns + 1}
    await edit_muted(yard.bucket, MutedRoutes(until_ns={"b@eu": 0}), now_ns + hour_ns)
    assert (await read_muted(yard.bucket)).until_ns == {}
    await edit_muted(yard.bucket, MutedRoutes(), now_ns + 25 * hour_ns)
    assert await read_muted(yard.bucket) == MutedRoutes()


async def test_of_two_who_mute_at_once_both_count() -> None:
    yard = Yard()

    async def mute(route: str) -> None:
        await edit_muted(yard.bucket, MutedRoutes(until_ns={route: 2}), 1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(mute, "a@eu")
        tasks.start_soon(mute, "b@eu")
    assert (await read_muted(yard.bucket)).until_ns == {"a@eu": 2, "b@eu": 2}


@pytest.mark.parametrize("value", [b"{", b'{"until_ns": 3}', b" " * (module._LONGEST_RECORD + 1)])
async def test_what_cannot_be_read_mutes_nothing(value: bytes) -> None:
    yard = Yard()
    await yard.bucket.put(MUTED_KEY, value)
    assert await read_muted(yard.bucket) == MutedRoutes()
