"""What a dead life of an agent left unsent, read back with its numbers."""

from pathlib import Path

from agent_lines import PLENTY, RUN, Recorded, hello, line, lines, numbered

from probes.exports.recorded_lives import (
    Missing,
    RecordedLife,
    RecordedRow,
    forget_life,
    lives_of,
    recorded_chunks,
    write_life,
)
from probes.exports.unsent import EventChunk, UnsentEvents


def rows_of(unsent: UnsentEvents) -> tuple[RecordedRow, ...]:
    return tuple(RecordedRow(str(row.part), row.offset, number) for row, number in unsent.where())


def life(*rows: RecordedRow, run: str = RUN, place: str = "eu", bus: str = "b") -> RecordedLife:
    return RecordedLife(place, bus, run, rows)


def read(
    told: RecordedLife, after: int = 0, most: int = PLENTY
) -> tuple[list[EventChunk], list[int]]:
    found = list(recorded_chunks(told, after, most))
    chunks = [one for one in found if isinstance(one, EventChunk)]
    return chunks, [one.count for one in found if isinstance(one, Missing)]


def written(folder: Path, count: int = 300, max_mb: float = 0.02) -> tuple[Recorded, UnsentEvents]:
    """Record a life of so many events, in parts of some KB; its last is not among its rows."""
    recorded = Recorded(folder, max_mb=max_mb)
    unsent = UnsentEvents(RUN, recorded.recorder)
    recorded.give(unsent, hello(1))
    for number in range(2, count + 1):
        recorded.give(unsent, hello(number) if number == 200 else line(number))
        if number % 20 == 0:
            recorded.settle()
    recorded.settle()
    return recorded, unsent


def test_a_life_is_read_from_its_first_part_on_though_its_file_knows_no_other(
    tmp_path: Path,
) -> None:
    recorded, _ = written(tmp_path)
    recorded.recorder.close()
    assert len(recorded.recorder.parts) > 2
    first = RecordedRow(str(recorded.recorder.parts[0]), 0, 1)
    chunks, missing = read(life(first), most=700)
    assert sorted(numbered(chunks)) == list(range(1, 301))
    assert numbered(chunks)[299] == line(299)
    assert [chunk.life.first for chunk in chunks if 199 <= chunk.first <= 201] == [200]
    assert all(len(chunk.lines) <= 700 for chunk in chunks)
    assert missing == []


def test_what_was_sent_is_not_read_again(tmp_path: Path) -> None:
    recorded, unsent = written(tmp_path)
    recorded.recorder.close()
    chunks, missing = read(life(*rows_of(unsent)), after=250)
    assert sorted(numbered(chunks)) == list(range(251, 301))
    assert chunks[0].life.hello == hello(200)
    assert chunks[0].life.first == 200
    assert missing == []
    assert read(life(*rows_of(unsent)), after=300) == ([], [])
    assert read(life(*rows_of(unsent)), after=310) == ([], [])


def test_parts_that_retention_deleted_are_counted(tmp_path: Path) -> None:
    recorded, unsent = written(tmp_path)
    recorded.recorder.close()
    rows = rows_of(unsent)
    for row in rows[:2]:
        Path(row.file).unlink()
    gone = rows[2].number - 1
    chunks, missing = read(life(*rows))
    assert sorted(numbered(chunks)) == list(range(gone + 1, 301))
    assert numbered(chunks)[299] == line(299)
    assert missing == [gone]
    assert read(life(*rows), after=gone - 5)[1] == [5]
    assert read(life(*rows), after=gone + 5)[1] == []


def test_where_nobody_knows_the_numbers_nothing_is_given_and_that_is_said(tmp_path: Path) -> None:
    recorded, unsent = written(tmp_path)
    recorded.recorder.close()
    first, second = rows_of(unsent)[:2]
    Path(second.file).unlink()
    chunks, missing = read(life(first, second))
    assert sorted(numbered(chunks)) == list(range(1, second.number))
    assert missing == [0]


def test_a_hole_in_a_part_is_counted(tmp_path: Path) -> None:
    part = tmp_path / "part.jsonl"
    head = hello(1) + lines(2, 9)
    part.write_bytes(head + lines(31, 10))
    rows = RecordedRow(str(part), 0, 1), RecordedRow(str(part), len(head), 31)
    chunks, missing = read(life(*rows))
    assert sorted(numbered(chunks)) == [*range(1, 11), *range(31, 41)]
    assert missing == [20]


def test_a_line_that_a_kill_tore_is_left_out(tmp_path: Path) -> None:
    part = tmp_path / "part.jsonl"
    part.write_bytes(hello(1) + line(2) + line(3)[:-4])
    chunks, missing = read(life(RecordedRow(str(part), 0, 1)))
    assert sorted(numbered(chunks)) == [1, 2]
    assert missing == []


def test_a_life_that_was_killed_before_it_wrote_anything_left_nothing(tmp_path: Path) -> None:
    assert read(life(RecordedRow(str(tmp_path / "none.jsonl"), 0, 1))) == ([], [])


def test_lives_of_a_place_and_bus_are_found_oldest_first(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    assert lives_of(folder, "eu", "b") == []
    later, earlier = life(run="2".zfill(20)), life(run="1".zfill(20))
    for one in (later, earlier, life(place="us"), life(bus="other", run="3".zfill(20))):
        write_life(folder, one)
    (folder / "eu-torn.agent.json").write_bytes(b'{"place":')
    assert lives_of(folder, "eu", "b") == [earlier, later]
    assert (folder / f"eu-{later.run}.agent.json").stat().st_mode & 0o777 == 0o600
    forget_life(folder, earlier)
    forget_life(folder, earlier)
    assert lives_of(folder, "eu", "b") == [later]
