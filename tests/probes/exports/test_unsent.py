"""What is still to be sent: numbers, order, memory, the recording, and what is lost."""

from pathlib import Path

import pytest
from agent_lines import PLENTY, RUN, Recorded, drained, hello, line, lines, numbered

from probes.exports.unsent import UnsentEvents, cut_lines

pytestmark = pytest.mark.anyio


async def test_events_are_numbered_in_the_order_in_which_they_were_given() -> None:
    unsent = UnsentEvents(RUN, None)
    unsent.add(hello(1) + line(2))
    unsent.add(line(3))
    (chunk,) = await drained(unsent)
    assert (chunk.first, chunk.count, chunk.lines) == (1, 3, hello(1) + lines(2, 2))
    assert (unsent.waiting, unsent.waiting_bytes, unsent.memory_bytes) == (0, 0, 0)


async def test_what_is_peeked_at_waits_until_it_was_sent() -> None:
    unsent = UnsentEvents(RUN, None)
    unsent.add(hello(1))
    first = await unsent.peek(PLENTY)
    unsent.add(line(2))
    second = await unsent.peek(PLENTY)
    assert first is not None
    assert second is not None
    assert (first.count, second.first, second.count) == (1, 1, 2)
    unsent.sent(first)
    (rest,) = await drained(unsent)
    assert (rest.first, rest.lines) == (2, line(2))


async def test_a_chunk_is_no_larger_than_asked_for_but_for_a_single_event() -> None:
    unsent = UnsentEvents(RUN, None)
    unsent.add(hello(1) + lines(2, 20))
    chunks = await drained(unsent, most_bytes=100)
    assert chunks[0].lines == hello(1)
    assert all(len(chunk.lines) <= 100 for chunk in chunks[1:])
    assert len(chunks) > 5
    assert sorted(numbered(chunks)) == list(range(1, 22))


async def test_a_new_engine_begins_a_new_chunk_wherever_its_hello_stands() -> None:
    unsent = UnsentEvents(RUN, None)
    unsent.add(hello(1) + line(2) + hello(3) + line(4))
    unsent.add(line(5))
    unsent.add(hello(6))
    first, second, third = await drained(unsent)
    assert [one.first for one in (first, second, third)] == [1, 3, 6]
    assert [one.life.first for one in (first, second, third)] == [1, 3, 6]
    assert second.lines == hello(3) + lines(4, 2)
    assert second.life.own_offset_ns == 1_000


async def test_what_memory_had_to_let_go_is_read_from_the_recording_in_its_turn(
    tmp_path: Path,
) -> None:
    recorded = Recorded(tmp_path)
    unsent = UnsentEvents(RUN, recorded.recorder, memory_bytes=1_000)
    given = hello(1)
    recorded.give(unsent, given)
    for number in range(2, 300):
        piece = hello(number) if number in (150, 290) else line(number)
        given += piece
        recorded.give(unsent, piece)
    recorded.settle()
    assert unsent.memory_bytes <= 1_000
    chunks = await drained(unsent, most_bytes=700)
    assert b"".join(chunk.lines for chunk in chunks) == given
    assert sorted(numbered(chunks)) == list(range(1, 300))
    assert {chunk.life.first for chunk in chunks} == {1, 150, 290}
    assert unsent.lost == 0
    recorded.recorder.close()


async def test_what_comes_while_the_recording_is_read_is_sent_behind_it(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path)
    unsent = UnsentEvents(RUN, recorded.recorder, memory_bytes=500)
    recorded.give(unsent, hello(1))
    number, chunks = 2, []
    for _ in range(40):
        for _ in range(10):
            recorded.give(unsent, line(number))
            number += 1
        recorded.settle()
        chunk = await unsent.peek(300)
        assert chunk is not None
        unsent.sent(chunk)
        chunks.append(chunk)
    chunks += await drained(unsent, 300)
    assert sorted(numbered(chunks)) == list(range(1, number))
    recorded.recorder.close()


async def test_without_a_recording_the_oldest_are_lost_counted_and_passed_over() -> None:
    lost: list[int] = []
    unsent = UnsentEvents(RUN, None, memory_bytes=400, lost=lost.append)
    unsent.add(hello(1))
    for number in range(2, 102):
        unsent.add(line(number))
    found = numbered(await drained(unsent))
    assert found == {number: line(number) for number in range(102 - len(found), 102)}
    assert lost == [unsent.lost] == [101 - len(found)]


async def test_what_retention_deleted_is_lost_counted_and_passed_over(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, max_mb=0.02)  # parts of 5 KB
    lost: list[int] = []
    unsent = UnsentEvents(RUN, recorded.recorder, memory_bytes=1_000, lost=lost.append)
    recorded.give(unsent, hello(1))
    for number in range(2, 1_002):
        recorded.give(unsent, line(number))
        if number % 20 == 0:
            recorded.settle()
    recorded.settle()
    found = numbered(await drained(unsent, 700))
    assert 200 < len(found) < 600
    assert found == {number: line(number) for number in range(1_002 - len(found), 1_002)}
    assert sum(lost) == unsent.lost == 1_001 - len(found)
    recorded.recorder.close()


async def test_where_the_run_stands_on_disk_is_told_with_its_numbers(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, max_mb=0.02)
    unsent = UnsentEvents(RUN, recorded.recorder)
    recorded.give(unsent, hello(1))
    for number in range(2, 300):
        recorded.give(unsent, line(number))
        if number % 20 == 0:
            recorded.settle()
    recorded.settle()
    rows = unsent.where()
    assert [row.part for row, _ in rows] == list(recorded.recorder.parts)
    assert len(rows) > 1
    for row, number in rows:
        written = row.part.read_bytes()[row.offset :]
        assert written.startswith(hello(1) if number == 1 else line(number))
        assert len(written) == row.size
    recorded.recorder.close()


@pytest.mark.parametrize(
    ("most_bytes", "most_lines", "expected"),
    [
        (100, None, (b"ab\ncd\n", 2)),
        (4, None, (b"ab\n", 1)),
        (1, None, (b"ab\n", 1)),
        (100, 1, (b"ab\n", 1)),
    ],
)
def test_lines_are_cut_whole(
    most_bytes: int, most_lines: int | None, expected: tuple[bytes, int]
) -> None:
    assert cut_lines(b"ab\ncd\n", most_bytes, most_lines) == expected
