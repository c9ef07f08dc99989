"""Who may start an attempt now."""

from random import Random

import anyio
import pytest
from clocks import NS, ManualClock, settle

from probes.control.commands import Allowance
from probes.engine.gate import Gate
from probes.events import AttemptFinished, Event, Held, Limit, LimitReading, StampLadder
from probes.money.spending import Spending

pytestmark = pytest.mark.anyio


class Room:
    """A gate with everything around it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.spending = Spending()
        self.events: list[Event] = []
        self.reader_stalled = False
        self.admitted = 0
        self.tokens = 100
        self.usd_a_token = 0.0
        self.gate = Gate(
            "r",
            clock=self.clock,
            random=Random(1),
            spending=self.spending,
            emit=self.events.append,
            reader_stalled=lambda: self.reader_stalled,
            usd_of=lambda tokens: tokens * self.usd_a_token,
        )

    async def admit(self) -> None:
        if await self.gate.admit(lambda: self.tokens, lambda: False):
            self.admitted += 1

    def held(self) -> list[tuple[str, bool]]:
        return [(e.reason, e.released) for e in self.events if isinstance(e, Held)]

    def readings(self) -> list[LimitReading]:
        return [event for event in self.events if isinstance(event, LimitReading)]

    def finished(self, outcome: str = "ok", **more: object) -> AttemptFinished:
        return AttemptFinished(
            at_ns=self.clock.now_ns,
            route="r",
            probe="1-1",
            attempt=0,
            outcome=outcome,
            stamps_ns=StampLadder(),
            reserved_tokens=100,
            **more,
        )


async def test_an_open_gate_admits_at_once() -> None:
    room = Room()
    await room.admit()
    assert room.admitted == 1
    assert room.events == []


async def test_a_paused_route_waits_until_it_goes_on() -> None:
    room = Room()
    room.gate.paused = True
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        await settle()
        assert (room.admitted, room.gate.waiting) == (0, 1)
        room.gate.paused = False
        room.gate.changed.ring()
    assert (room.admitted, room.gate.waiting) == (1, 0)


async def test_stopping_turns_everybody_away() -> None:
    room = Room()
    room.gate.paused = True
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        await settle()
        room.gate.stopping = True
        room.gate.changed.ring()
    assert room.admitted == 0


async def test_a_retry_after_cools_the_whole_route_and_releases_it_staggered() -> None:
    room = Room()
    room.gate.settle(room.finished("throttled", retry_after_s=5.0))
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(room.admit)
        await room.clock.advance(4.9)
        assert room.admitted == 0
        assert room.gate.cool_down_left_s == pytest.approx(0.1)
        await room.clock.advance(0.15)
        assert room.admitted < 3
        await room.clock.advance(0.5)
    assert room.admitted == 3
    assert room.held() == [("cool_down", False), ("cool_down", True)]


@pytest.mark.parametrize(
    ("lots", "admitted"), [(0.0, [0, 1, 2, 3, 4, 5]), (0.999, [0, 2, 3, 4, 5, 5])]
)
async def test_after_a_cool_down_one_comes_back_each_tenth_of_a_second(
    lots: float, admitted: list[int]
) -> None:
    """The first at once, each of the others somewhere in a tenth of its own."""
    room = Room()
    room.gate._random.random = lambda: lots  # type: ignore[method-assign]
    room.gate.settle(room.finished("throttled", retry_after_s=5.0))
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(room.admit)
        await room.clock.advance(4.99)
        seen = []
        for _ in range(6):
            seen.append(room.admitted)
            await room.clock.advance(0.1)
    assert seen == admitted


async def test_a_429_without_a_wait_does_not_cool_the_route() -> None:
    room = Room()
    room.gate.settle(room.finished("throttled"))
    await room.admit()
    assert room.admitted == 1


async def test_a_cool_down_lasts_an_hour_at_most_and_shows_what_was_asked() -> None:
    room = Room()
    room.gate.settle(room.finished("throttled", retry_after_s=86_400.0))
    assert room.gate.cool_down_left_s == 3_600
    (held,) = room.events
    assert isinstance(held, Held)
    assert held.asked_s == 86_400


async def test_a_shorter_wait_does_not_shorten_a_cool_down() -> None:
    room = Room()
    room.gate.cool_down(60, room.clock.now_ns)
    room.gate.cool_down(1, room.clock.now_ns)
    assert room.gate.cool_down_left_s == 60


async def test_a_key_ends_a_cool_down() -> None:
    room = Room()
    room.gate.cool_down(60, room.clock.now_ns)
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        await settle()
        assert room.gate.end_cool_down("ended by user")
        await room.clock.advance(0.2)
    assert room.admitted == 1
    assert not room.gate.end_cool_down()


async def test_a_dry_lease_that_is_filled_soon_is_no_spent_budget() -> None:
    room = Room()
    room.spending.allow((Allowance(route="r", tokens=50, more=True),))
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        await settle()
        assert (room.admitted, room.events) == (0, [])
        room.spending.allow((Allowance(route="r", tokens=100, more=True),))
        room.gate.changed.ring()
        await settle()
    assert (room.admitted, room.events) == (1, [])


async def test_a_lease_that_stays_dry_is_said() -> None:
    room = Room()
    room.spending.allow((Allowance(route="r", tokens=50, more=True),))
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        for _ in range(4):
            await room.clock.advance(1.0)
            room.gate.changed.ring()
            await settle()
        assert room.held() == [("budget", False)]
        group.cancel_scope.cancel()


async def test_an_exhausted_budget_holds_and_says_so_once() -> None:
    room = Room()
    room.spending.allow((Allowance(route="r", tokens=150),))
    await room.admit()
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        group.start_soon(room.admit)
        await settle()
        assert room.admitted == 1
        room.spending.allow((Allowance(route="r", tokens=500),))
        room.gate.changed.ring()
    assert room.admitted == 3
    assert room.held() == [("budget", False), ("budget", True)]


async def test_settling_a_cheap_attempt_gives_room_to_the_next() -> None:
    room = Room()
    room.spending.allow((Allowance(route="r", tokens=150),))
    await room.admit()
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        await settle()
        room.gate.settle(room.finished(charged_tokens=20))
    assert room.admitted == 2


@pytest.mark.parametrize(
    ("told", "admitted"),
    [
        ({"cost_usd": 0.5}, 3),  # the server's own figure leaves room for another
        ({"charged_usd": 0.5}, 3),
        ({"cost_usd": 0.5, "charged_usd": 0.95}, 2),  # what is charged outweighs it
        ({"cost_usd": 0.91}, 2),
        ({}, 3),  # nobody knows
    ],
)
async def test_dollars_are_reserved_by_the_price_and_settled_by_what_was_charged(
    told: dict[str, float], admitted: int
) -> None:
    room = Room()
    room.usd_a_token = 0.009
    room.spending.allow((Allowance(route="r", tokens=10**9, usd=2.31),))
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(room.admit)
        await room.clock.advance(60)
        assert room.admitted == 2  # each of the two reserves 0.90 of 2.31
        room.gate.settle(room.finished(charged_tokens=100, **told))
        await settle()
        assert room.admitted == admitted
        room.gate.stopping = True
        room.gate.changed.ring()


async def test_a_stopped_reader_holds_new_attempts() -> None:
    room = Room()
    room.reader_stalled = True
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        await settle()
        room.reader_stalled = False
        room.gate.changed.ring()
    assert room.held() == [("reader_stalled", False), ("reader_stalled", True)]


async def test_limits_are_told_when_they_change_but_once_a_second() -> None:
    room = Room()
    for remaining in (3, 3, 2):
        room.gate.settle(room.finished(limits=(Limit(kind="requests", remaining=remaining),)))
    room.clock.now_ns += 2 * NS
    room.gate.settle(room.finished(limits=(Limit(kind="requests", remaining=1),)))
    assert [reading.limits[0].remaining for reading in room.readings()] == [3, 1]


async def test_limits_that_an_answer_does_not_mention_are_told_as_they_were() -> None:
    room = Room()
    room.gate.settle(room.finished(limits=(Limit(kind="requests", remaining=3),)))
    first_ns = room.clock.now_ns
    room.clock.now_ns += 2 * NS
    room.gate.settle(room.finished(limits=(Limit(kind="tokens", remaining=9),)))
    requests, tokens = room.readings()[-1].limits
    assert (requests.remaining, requests.told_ns) == (3, first_ns)
    assert (tokens.remaining, tokens.told_ns) == (9, room.clock.now_ns)


async def test_limits_that_do_not_change_are_confirmed_every_ten_seconds() -> None:
    room = Room()
    begun_ns = room.clock.now_ns
    for _ in range(25):
        room.gate.settle(room.finished(limits=(Limit(kind="requests", remaining=3),)))
        room.clock.now_ns += NS
    told = [(reading.at_ns - begun_ns) // NS for reading in room.readings()]
    assert told == [0, 10, 20]


async def test_a_cap_that_was_lowered_meanwhile_is_what_is_reserved() -> None:
    room = Room()
    room.spending.allow((Allowance(route="r", tokens=50),))
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        await settle()
        assert room.admitted == 0
        room.tokens = 50
        room.gate.changed.ring()
        await settle()
        assert room.admitted == 1
        assert room.spending.reserve("r", 1) is None


async def test_stopping_ends_a_staggered_release_at_once() -> None:
    room = Room()
    room.gate.cool_down(5.0, room.clock.now_ns)
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(room.admit)
        await room.clock.advance(5.3)
        assert 0 < room.admitted < 10
        assert room.gate.waiting == 100 - room.admitted
        room.gate.stopping = True
        room.gate.changed.ring()
        await settle()
        assert room.gate.waiting == 0
    assert room.admitted < 10


async def admitted_beside_the_pace(room: Room) -> bool:
    """Return whether an attempt may go beside the pace; it must not wait."""
    with anyio.fail_after(1):
        return await room.gate.admit(lambda: room.tokens, lambda: False, evidence=True)


async def test_beside_the_pace_an_attempt_goes_where_all_is_calm_and_is_reserved() -> None:
    room = Room()
    room.spending.allow((Allowance(route="r", tokens=150),))
    assert room.gate.is_calm
    assert await admitted_beside_the_pace(room)
    assert room.spending.reserve("r", 51) is None
    room.gate.settle(room.finished(charged_tokens=20))
    assert room.spending.reserve("r", 130) is not None


async def test_beside_the_pace_a_budget_that_does_not_suffice_is_no_news() -> None:
    room = Room()
    room.spending.allow((Allowance(route="r", tokens=99),))
    assert not await admitted_beside_the_pace(room)
    assert room.events == []
    room.tokens = 99  # what the pace asks may be less, and goes
    await room.admit()
    assert (room.admitted, room.events) == (1, [])


async def test_nothing_goes_beside_the_pace_while_a_budget_holds_the_route() -> None:
    room = Room()
    room.spending.allow((Allowance(route="r", tokens=99),))
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        await settle()
        room.tokens = 10
        assert not await admitted_beside_the_pace(room)
        group.cancel_scope.cancel()
    assert not await admitted_beside_the_pace(room)  # nobody waits, and it is held all the same
    room.spending.allow((Allowance(route="r", tokens=500),))
    await room.admit()
    assert await admitted_beside_the_pace(room)


async def test_nothing_goes_beside_the_pace_of_a_lease_that_is_dry_or_while_somebody_waits() -> (
    None
):
    room = Room()
    room.spending.allow((Allowance(route="r", tokens=99, more=True),))
    async with anyio.create_task_group() as group:
        group.start_soon(room.admit)
        await settle()
        room.tokens = 10
        assert not await admitted_beside_the_pace(room)
        room.spending.allow((Allowance(route="r", tokens=500),))
        room.gate.changed.ring()
    assert room.admitted == 1
    assert await admitted_beside_the_pace(room)


async def test_nothing_goes_beside_the_pace_of_a_route_that_is_paused_or_ending() -> None:
    room = Room()
    room.gate.paused = True
    assert not await admitted_beside_the_pace(room)
    room.gate.paused = False
    assert await admitted_beside_the_pace(room)
    room.gate.stopping = True
    assert not room.gate.is_calm
    assert not await admitted_beside_the_pace(room)


async def test_nothing_goes_beside_the_pace_while_the_reader_has_stopped() -> None:
    room = Room()
    room.reader_stalled = True
    assert not await admitted_beside_the_pace(room)
    assert room.events == []
    room.reader_stalled = False
    assert await admitted_beside_the_pace(room)


async def test_nothing_goes_beside_the_pace_during_a_cool_down() -> None:
    room = Room()
    room.gate.cool_down(100, room.clock.now_ns)
    room.clock.now_ns += 99 * NS
    assert not await admitted_beside_the_pace(room)
    room.clock.now_ns += NS
    assert await admitted_beside_the_pace(room)
    assert room.held() == [("cool_down", False), ("cool_down", True)]


@pytest.mark.parametrize(
    ("outcome", "told", "for_less"),
    [
        ("throttled", {"reason": "rate_limit"}, True),
        ("throttled", {"reason": "overloaded"}, True),
        ("server_error", {"reason": "overloaded"}, True),
        ("client_error", {"reason": "quota"}, True),
        ("server_error", {"reason": "unavailable", "retry_after_s": 1.0}, True),
        ("server_error", {"reason": "unavailable", "retry_after_s": 0.0}, False),
        ("server_error", {"reason": "internal"}, False),
        ("client_error", {"reason": "auth"}, False),
        ("timeout", {"reason": "timeout.first_token"}, False),
        ("ok", {}, False),
    ],
)
async def test_for_a_minute_nothing_goes_beside_the_pace_to_who_asked_for_less(
    outcome: str, told: dict[str, object], for_less: bool
) -> None:
    room = Room()
    room.gate.settle(room.finished(outcome, **told))
    room.gate.end_cool_down()  # a key ends the cool-down, not the calm
    assert await admitted_beside_the_pace(room) != for_less
    await room.admit()
    assert room.admitted == 1  # the pace goes on
    room.clock.now_ns += 60 * NS - 1
    assert await admitted_beside_the_pace(room) != for_less
    room.clock.now_ns += 1
    assert await admitted_beside_the_pace(room)
