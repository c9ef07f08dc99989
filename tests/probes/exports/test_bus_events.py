"""Events on their way to the bus: batches, order, doubt, outages and earlier lives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from agent_lines import RUN, Recorded, hello, line, lines
from clocks import ManualClock
from fake_bus import AHEAD_NS, FakeBus, KeptError

from probes.bus.connection import BusError, NoAnswerError, StreamMessage
from probes.bus.messages import decode_hello
from probes.bus.names import (
    BATCH_BYTES,
    BATCH_S,
    FIRST_HEADER,
    HELLOS_BUCKET,
    OFFSET_HEADER,
    RUN_HEADER,
    events_of,
)
from probes.bus.presence import PlaceTakenError
from probes.exports.bus_events import BusEvents
from probes.exports.recorded_lives import RecordedLife, RecordedRow, lives_of, write_life
from probes.exports.unsent import UnsentEvents

pytestmark = pytest.mark.anyio

LATER, EARLIER = "2".zfill(20), "0".zfill(20)
HELLO_OFFSET_NS = 1_000
"""What `hello` says lies between its stamps and its wall clock."""


class Place:
    """A sender of one place, its bus and its clock."""

    def __init__(self, run: str = RUN, bus: FakeBus | None = None) -> None:
        self.clock = ManualClock()
        self.bus = bus or FakeBus(self.clock)
        self.told: list[str] = []
        self.measured = 0
        self.unsent = UnsentEvents(run, None)
        self.events = BusEvents(
            self.bus,
            "eu",
            self.unsent,
            clock=self.clock,
            server_ahead_ns=self._server_ahead_ns,
            report=self.told.append,
        )

    async def _server_ahead_ns(self) -> int:
        self.measured += 1
        return AHEAD_NS

    def give(self, given: bytes) -> None:
        self.events.receive([], given)

    @property
    def messages(self) -> list[StreamMessage]:
        return [one for one in self.bus.kept if one.subject == events_of("eu")]

    def numbered(self, run: str = RUN) -> list[tuple[int, bytes]]:
        """Return the lines of a life as they stand in the stream, each with its number."""
        return [
            (int(one.headers[FIRST_HEADER]) + at, told)
            for one in self.messages
            if one.headers[RUN_HEADER] == run
            for at, told in enumerate(one.data.splitlines(keepends=True))
        ]

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.events.run)
            yield
            tasks.cancel_scope.cancel()


def whole(count: int) -> list[tuple[int, bytes]]:
    return [(1, hello(1)), *((number, line(number)) for number in range(2, count + 1))]


async def test_events_wait_for_others_for_a_moment_and_are_one_message() -> None:
    place = Place()
    async with place.sending():
        place.give(hello(1))
        await place.clock.advance(BATCH_S / 2)
        place.give(line(2))
        place.give(b"")
        assert place.messages == []
        await place.clock.advance(BATCH_S / 2)
        (message,) = place.messages
    assert message.data == hello(1) + line(2)
    assert message.headers == {
        RUN_HEADER: RUN,
        FIRST_HEADER: "1",
        OFFSET_HEADER: str(HELLO_OFFSET_NS + AHEAD_NS),
    }


async def test_what_fills_a_message_is_sent_at_once_and_cut_to_its_size() -> None:
    place = Place()
    async with place.sending():
        place.give(hello(1))
        count = 5 * BATCH_BYTES // (2 * len(line(1_000)))
        place.give(lines(2, count))
        await place.clock.advance(0.0)
        assert len(place.messages) == 2
        assert all(len(message.data) <= BATCH_BYTES for message in place.messages)
        await place.clock.advance(BATCH_S)
    assert [number for number, _ in place.numbered()] == list(range(1, count + 2))


async def test_a_new_engine_begins_a_message_with_an_offset_of_its_own() -> None:
    place = Place()
    async with place.sending():
        place.give(hello(1) + line(2) + hello(3).replace(b"1003", b"5003") + line(4))
        await place.clock.advance(3 * BATCH_S)
    offsets = [int(message.headers[OFFSET_HEADER]) - AHEAD_NS for message in place.messages]
    assert offsets == [HELLO_OFFSET_NS, HELLO_OFFSET_NS + 4_000]
    assert [message.headers[FIRST_HEADER] for message in place.messages] == ["1", "3"]


async def test_the_offset_is_measured_once_for_each_engine() -> None:
    place = Place()
    async with place.sending():
        place.give(hello(1))
        for number in range(2, 6):
            place.give(line(number))
            await place.clock.advance(BATCH_S)
        assert place.measured == 1
        place.give(hello(6))
        await place.clock.advance(BATCH_S)
    assert place.measured == 2


async def test_the_newest_hello_is_kept_for_who_comes_late() -> None:
    place = Place()
    async with place.sending():
        place.give(hello(1) + line(2))
        await place.clock.advance(BATCH_S)
        place.give(hello(3))
        await place.clock.advance(BATCH_S)
        entry = await place.bus.bucket(HELLOS_BUCKET).get("eu")
    assert entry is not None
    kept = decode_hello(entry.value)
    assert (kept.run, kept.number, kept.offset_ns) == (RUN, 3, HELLO_OFFSET_NS + AHEAD_NS)
    assert bytes(kept.hello) == hello(3).rstrip()


@pytest.mark.parametrize("fault", [KeptError(), NoAnswerError("silent"), BusError("full")])
async def test_whatever_becomes_of_a_message_it_is_in_the_stream_once_and_in_order(
    fault: Exception,
) -> None:
    place = Place()
    async with place.sending():
        for number in range(1, 9):
            place.give(hello(1) if number == 1 else line(number))
            if number in (3, 4, 7):
                place.bus.faults = [fault]
            await place.clock.advance(1.0)
        await place.clock.advance(20.0)
    assert place.numbered() == whole(8)


async def test_what_was_given_during_an_outage_is_sent_in_order_when_it_is_over() -> None:
    place = Place()
    async with place.sending():
        place.give(hello(1))
        await place.clock.advance(1.0)
        place.bus.lose()
        for number in range(2, 100):
            place.give(line(number))
            await place.clock.advance(1.0)
        assert place.unsent.waiting == 98
        place.bus.come_back()
        await place.clock.advance(2.0)
    assert place.numbered() == whole(99)


async def test_an_outage_longer_than_memory_is_made_good_from_the_recording(
    tmp_path: Path,
) -> None:
    place = Place()
    recorded = Recorded(tmp_path)
    place.unsent = UnsentEvents(RUN, recorded.recorder, memory_bytes=1_000)
    place.events._unsent = place.unsent
    async with place.sending():
        place.bus.lose()
        for number, told in whole(500):
            recorded.recorder.append(told)
            place.give(told)
            if number % 100 == 0:
                recorded.settle()
        assert place.unsent.memory_bytes <= 1_000
        place.bus.come_back()
        with anyio.fail_after(5):
            while place.unsent.waiting:
                await place.clock.advance(1.0)
                await anyio.sleep(0.001)  # the recording is read by a thread
    assert place.numbered() == whole(500)
    assert place.unsent.lost == 0
    recorded.recorder.close()


async def test_a_refusal_is_said_once_and_so_is_its_end() -> None:
    place = Place()
    async with place.sending():
        place.give(hello(1))
        place.bus.faults = [BusError("no space left") for _ in range(3)]
        await place.clock.advance(20.0)
    assert place.told == ["nothing can be sent: no space left; trying again", "sending again"]
    assert place.numbered() == whole(1)


async def test_an_event_that_is_too_large_is_left_out_and_counted_by_its_number() -> None:
    place = Place()
    place.bus.most_bytes = 300
    async with place.sending():
        place.give(hello(1))
        await place.clock.advance(1.0)
        place.give(b'{"type":"mark","text":"' + b"x" * 400 + b'"}\n')
        await place.clock.advance(1.0)
        place.give(line(3))
        await place.clock.advance(1.0)
    assert place.numbered() == [(1, hello(1)), (3, line(3))]
    assert place.told == ["1 event left out: too large"]


async def test_who_lost_the_place_sends_nothing_more() -> None:
    place = Place()
    other = Place(LATER, place.bus)
    place.give(hello(1))
    async with place.sending():
        await place.clock.advance(1.0)
    async with other.sending():
        other.give(hello(1))
        await other.clock.advance(1.0)
    place.give(line(2))
    place.events.end()  # it waits for no others then
    with anyio.fail_after(5), pytest.raises(PlaceTakenError):
        await place.events.run()
    assert [one.headers[RUN_HEADER] for one in place.messages] == [RUN, LATER]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {RUN_HEADER: "zzz", FIRST_HEADER: "1"},
        {RUN_HEADER: LATER, FIRST_HEADER: "9" * 5_000},
        {RUN_HEADER: "9" * 5_000, FIRST_HEADER: "1"},
    ],
)
async def test_a_message_that_no_agent_wrote_takes_nobodys_place(headers: dict[str, str]) -> None:
    place = Place()
    await place.bus.publish(events_of("eu"), b"", headers)
    async with place.sending():
        place.give(hello(1) + line(2))
        await place.clock.advance(BATCH_S)
    assert place.messages[-1].data == hello(1) + line(2)
    assert place.told == []


async def test_all_is_sent_before_an_orderly_end() -> None:
    place = Place()
    place.give(hello(1) + line(2))
    place.events.end()
    with anyio.fail_after(5):
        await place.events.run()
    assert place.numbered() == whole(2)


def recorded_life(folder: Path, count: int, run: str = EARLIER) -> RecordedLife:
    recorded = Recorded(folder)
    unsent = UnsentEvents(run, recorded.recorder)
    recorded.give(unsent, hello(1) + lines(2, count - 1))
    recorded.recorder.close()
    rows = tuple(RecordedRow(str(row.part), row.offset, number) for row, number in unsent.where())
    life = RecordedLife("eu", "b", run, rows)
    write_life(folder / "agents", life)
    return life


@pytest.mark.parametrize("sent", [0, 1, 5, 10])
async def test_what_an_earlier_life_did_not_send_goes_first_and_once(
    tmp_path: Path, sent: int
) -> None:
    life = recorded_life(tmp_path, 10)
    before = Place(EARLIER)
    place = Place(bus=before.bus)
    async with before.sending():
        if sent:
            before.give(b"".join(told for _, told in whole(sent)))
        await before.clock.advance(1.0)
    place.give(hello(1))
    await place.events.send_earlier(tmp_path / "agents", [life])
    async with place.sending():
        await place.clock.advance(1.0)
    assert place.numbered(EARLIER) == whole(10)
    assert [one.headers[RUN_HEADER] for one in place.messages][-1] == RUN
    assert {one.headers[OFFSET_HEADER] for one in place.messages} == {
        str(HELLO_OFFSET_NS + AHEAD_NS)
    }
    unsent = 10 - sent
    words = "event" if unsent == 1 else "events"
    assert place.told == (
        [f"sent {unsent} {words} that an earlier agent had recorded"] if unsent else []
    )
    assert lives_of(tmp_path / "agents", "eu", "b") == []


async def test_what_is_older_than_what_another_machine_sent_is_not_sent_and_that_is_said(
    tmp_path: Path,
) -> None:
    life = recorded_life(tmp_path, 10)
    other, place = Place(RUN), Place(LATER)
    place.bus = other.bus
    place.events = BusEvents(
        other.bus,
        "eu",
        place.unsent,
        clock=place.clock,
        server_ahead_ns=place._server_ahead_ns,
        report=place.told.append,
    )
    async with other.sending():
        other.give(hello(1))
        await other.clock.advance(1.0)
    await place.events.send_earlier(tmp_path / "agents", [life])
    assert [one.headers[RUN_HEADER] for one in other.messages] == [RUN]
    assert place.told == ["what was recorded here before another machine had the place is not sent"]


@pytest.mark.parametrize("lost", [1, 3, 8])
async def test_what_a_server_lost_after_it_had_taken_it_is_given_again(lost: int) -> None:
    place = Place()
    async with place.sending():
        for number in range(1, 9):
            place.give(hello(1) if number == 1 else line(number))
            await place.clock.advance(1.0)
        for message in place.messages[-lost:]:
            place.bus.kept.remove(message)
        place.give(line(9))
        await place.clock.advance(2.0)
    assert place.numbered() == whole(9)


async def test_what_the_server_has_had_for_long_is_kept_no_longer() -> None:
    place = Place()
    async with place.sending():
        for number in range(1, 500):
            place.give(hello(1) if number == 1 else line(number))
            await place.clock.advance(1.0)
    assert len(place.events._lately) == 151


async def test_a_stream_that_was_deleted_is_made_anew_with_the_hello() -> None:
    place = Place()
    async with place.sending():
        place.give(hello(1))
        await place.clock.advance(1.0)
        place.bus.kept.clear()
        place.bus.faults = [NoAnswerError("no stream takes that")]
        place.give(line(2))
        await place.clock.advance(2.0)
        entry = await place.bus.bucket(HELLOS_BUCKET).get("eu")
    assert place.bus.restored == 1
    assert place.numbered() == whole(2)
    assert entry is not None
