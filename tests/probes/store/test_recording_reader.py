"""Recordings read back from files that a crash, a full disk or a person has been at."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.events import Arrivals, Event, Hello, Mark, encode_event
from probes.store.recording_reader import (
    RecordingError,
    last_stamp_ns,
    newest_recording,
    read_recording,
    recorded_parts,
)


def hello(engine: str = "1", schema: int = 1) -> Hello:
    return Hello(at_ns=1, wall_ns=2, engine=engine, version="0", routes=(), schema=schema)


def mark(number: int, text: str = "x") -> Mark:
    return Mark(at_ns=number, text=text)


def lines(*events: Event) -> bytes:
    return b"".join(encode_event(event) for event in events)


def read(path: Path, content: bytes) -> tuple[list[Event], bytes, list[str]]:
    """Return what is read of a file: events, lines and remarks."""
    path.write_bytes(content)
    return read_parts(path)


def read_parts(*paths: Path) -> tuple[list[Event], bytes, list[str]]:
    remarks: list[str] = []
    events: list[Event] = []
    given = b""
    for batch, batch_lines in read_recording(recorded_parts(paths, remarks.append), remarks.append):
        events += batch
        given += batch_lines
    return events, given, remarks


CANNOT_BE_READ = "1 line is left out: line 3 is unreadable"
UNKNOWN = "1 line is left out: line 3 is no event that this version knows"
DAMAGES = {
    "no JSON": (b"garbage\n", CANNOT_BE_READ),
    "two bad lines": (b"{\n}\n", "2 lines are left out, the first is line 3: 2 unreadable"),
    "binary": (bytes(range(11, 256)) + b"\n", CANNOT_BE_READ),
    "an empty line": (b"\n", CANNOT_BE_READ),
    "a carriage return": (b"\r\n", CANNOT_BE_READ),
    "invalid UTF-8": (b'{"type":"mark","at_ns":1,"text":"\xff\xfe"}\n', CANNOT_BE_READ),
    "a number without end": (
        b'{"type":"mark","text":"","at_ns":' + b"1" * 400 + b"}\n",
        CANNOT_BE_READ,
    ),
    "a number without end beside what we do not know": (
        b'{"type":"mark","text":"","at_ns":' + b"1" * 400 + b',"later":"\xff"}\n',
        CANNOT_BE_READ,
    ),
    "nested too deep": (b'{"a":' * 200_000 + b"\n", CANNOT_BE_READ),
    "an unknown type": (b'{"type":"later","at_ns":1}\n', UNKNOWN),
    "no type": (b"{}\n", UNKNOWN),
    "a type of its own": (b'{"type":7}\n', UNKNOWN),
    "a field of another type": (b'{"type":"mark","at_ns":"soon","text":""}\n', UNKNOWN),
    "no object": (b"[1]\n", UNKNOWN),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_line_costs_itself_alone(tmp_path: Path, damage: str) -> None:
    bad, remark = DAMAGES[damage]
    content = lines(hello(), mark(1)) + bad + lines(mark(2))
    events, given, remarks = read(tmp_path / "run.jsonl", content)
    assert events == [hello(), mark(1), mark(2)]
    assert given == lines(*events)
    assert remarks == [f"run.jsonl: {remark}"]


@pytest.mark.parametrize(
    "torn",
    [
        lines(mark(9, "torn"))[:-4],
        lines(mark(9, "torn"))[:9],
        b"\0" * 5_000,
        lines(mark(9))[:-2] + b"\0" * 400,
    ],
)
@pytest.mark.parametrize("after", [mark(2), hello("2")])
def test_what_is_glued_to_a_torn_line_is_read(tmp_path: Path, torn: bytes, after: Event) -> None:
    content = lines(hello(), mark(1)) + torn + lines(after, mark(3))
    events, given, (remark,) = read(tmp_path / "run.jsonl", content)
    assert events == [hello(), mark(1), after, mark(3)]
    assert given == lines(*events)
    assert remark.startswith("run.jsonl: 1 line is left out: line 3 is ")


def test_a_torn_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    events, given, remarks = read(path, lines(hello(), mark(1), mark(2))[:-9])
    assert events == [hello(), mark(1)]
    assert given == lines(*events)
    assert remarks == ["run.jsonl: 1 line is left out: line 3 is cut short"]


def test_a_whole_last_line_gets_the_end_it_lacks(tmp_path: Path) -> None:
    content = lines(hello(), mark(1))
    assert read(tmp_path / "run.jsonl", content[:-1]) == ([hello(), mark(1)], content, [])


def test_lines_keep_the_bytes_they_have_in_the_file(tmp_path: Path) -> None:
    odd = b'{ "type" : "mark" , "text": "caf\xc3\xa9", "at_ns": 1, "later": [1, {}] }\n'
    events, given, remarks = read(tmp_path / "run.jsonl", lines(hello()) + odd)
    assert (events, given, remarks) == ([hello(), mark(1, "café")], lines(hello()) + odd, [])


def test_an_id_may_have_as_many_digits_as_it_likes(tmp_path: Path) -> None:
    content = lines(hello(), mark(1, "1" * 400))
    assert read(tmp_path / "run.jsonl", content) == ([hello(), mark(1, "1" * 400)], content, [])


def test_transient_events_are_read_and_have_no_lines(tmp_path: Path) -> None:
    arrivals = Arrivals(at_ns=1, route="r", arrivals=())
    events, given, _ = read(tmp_path / "run.jsonl", lines(hello(), arrivals, mark(2)))
    assert (events, given) == ([hello(), arrivals, mark(2)], lines(hello(), mark(2)))


def test_what_headless_printed_is_a_recording_too(tmp_path: Path) -> None:
    content = lines(hello(), mark(1))
    summary = b'{"type":"summary","routes":{}}\n'
    assert read(tmp_path / "run.jsonl", content + summary) == ([hello(), mark(1)], content, [])


@pytest.mark.parametrize("size", [1_001, 5_000, 300_000])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_long_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, end: bytes
) -> None:
    monkeypatch.setattr("probes.store.recording_reader.LONGEST_LINE", 1_000)
    after = lines(mark(2)) if end else b""
    content = lines(hello(), mark(1)) + b"x" * size + end + after
    events, _, remarks = read(tmp_path / "run.jsonl", content)
    assert events == [hello(), mark(1), *([mark(2)] if end else [])]
    assert remarks == ["run.jsonl: 1 line is left out: line 3 is longer than 16 MB"]


@pytest.mark.skipif(os.name != "posix", reason="needs sparse files")
def test_an_endless_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "run.jsonl"
    path.write_bytes(lines(hello()))
    os.truncate(path, 300 << 20)
    tracemalloc.start()
    try:
        assert read_parts(path)[0] == [hello()]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def test_a_long_recording_comes_in_batches_that_leave_time_between_them(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(lines(hello(), *(mark(number, "x" * 1_000) for number in range(1_000))))
    batches = list(read_recording([path], str))
    assert max(len(given) for _, given in batches) < 70_000
    assert sum(len(events) for events, _ in batches) == 1_001


def test_a_damaged_hello_costs_itself_alone(tmp_path: Path) -> None:
    events, _, remarks = read(tmp_path / "run.jsonl", b"\0\0\n" + lines(mark(1), mark(2)))
    assert events == [mark(1), mark(2)]
    assert remarks == ["run.jsonl: 1 line is left out: line 1 is unreadable"]


NEWER = [
    lines(hello("2", schema=99)),
    b'{"type":"hello","engine":"2","version":"9.0","schema":99,"routes":{"a":"other"}}\n',
]


@pytest.mark.parametrize("newer", NEWER)
def test_what_another_schema_says_is_skipped_until_ours_comes_back(
    tmp_path: Path, newer: bytes
) -> None:
    content = lines(hello()) + newer + lines(mark(1), hello("3"), mark(2))
    events, given, remarks = read(tmp_path / "run.jsonl", content)
    assert events == [hello(), hello("3"), mark(2)]
    assert given == lines(*events)
    assert remarks == ["run.jsonl: 2 lines are left out, the first is line 2: 2 of another schema"]


@pytest.mark.parametrize("newer", NEWER)
def test_a_recording_of_a_newer_schema_is_refused_with_both_schemas(
    tmp_path: Path, newer: bytes
) -> None:
    words = "is of schema 99, written by llmtop .*; this version reads schema 1: a newer version"
    with pytest.raises(RecordingError, match=words):
        read(tmp_path / "run.jsonl", newer + lines(mark(1)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty: no recording of llmtop"),
        (b"[routes.a]\n", "no line of it is an event: no recording of llmtop"),
        (b"\0" * 1_000, "no line of it is an event"),
        (b'{"type":"summary","routes":{}}\n', "no line of it is an event"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, words: str
) -> None:
    with pytest.raises(RecordingError, match=words):
        read(tmp_path / "run.jsonl", content)


def test_what_is_no_file_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    good = tmp_path / "good.jsonl"
    good.write_bytes(lines(hello()))
    for name in ("none.jsonl", "20260101T000000Z-1-00000000.0001.jsonl"):
        with pytest.raises(RecordingError, match="No such file"):
            recorded_parts([good, tmp_path / name], str)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingError, match="is a named pipe"):
        recorded_parts([good, tmp_path / "pipe"], str)
    with pytest.raises(RecordingError, match="is a directory"):
        recorded_parts([tmp_path], str)


def part(folder: Path, number: int) -> Path:
    return folder / f"20260101T000000Z-1-00000000.{number:04}.jsonl"


def made_parts(folder: Path, *numbers: int) -> list[Path]:
    """Write parts as the recorder does, each with its run's hello and a mark of its number."""
    paths = [part(folder, number) for number in numbers]
    for number, path in zip(numbers, paths, strict=True):
        path.write_bytes(lines(hello(), mark(number)))
    return paths


def test_the_first_part_stands_for_all_and_their_greeting_is_given_once(tmp_path: Path) -> None:
    first, *_ = made_parts(tmp_path, 1, 2, 9_999, 10_000)
    (tmp_path / "20260101T000000Z-1-00000000.0003.jsonl.gz").write_bytes(b"not one of them")
    (tmp_path / "20260101T000000Z-2-00000000.0002.jsonl").write_bytes(lines(hello("other")))
    events, given, (remark,) = read_parts(first)
    assert events == [hello(), mark(1), mark(2), mark(9_999), mark(10_000)]
    assert given == lines(*events)
    assert remark == f"{first.name}: 9,996 parts, 3 to 9998, are left out: deleted"


@pytest.mark.parametrize(
    ("there", "named", "read", "remark"),
    [
        ((1, 2, 3), (1, 2, 3), (1, 2, 3), ""),
        ((1, 2, 3), (3, 1, 2, 1), (1, 2, 3), ""),
        ((1, 2, 3), (2,), (2, 3), "part 1 is left out: not named"),
        ((1, 2, 3), (1, 3), (1, 3), "part 2 is left out: not named"),
        ((3, 4), (3,), (3, 4), "2 parts, 1 to 2, are left out: deleted"),
        ((2, 4), (2, 4), (2, 4), "2 parts, 1 to 3, are left out: deleted"),
    ],
)
def test_parts_are_read_in_their_order_and_missing_ones_are_said(
    tmp_path: Path,
    there: tuple[int, ...],
    named: tuple[int, ...],
    read: tuple[int, ...],
    remark: str,
) -> None:
    made_parts(tmp_path, *there)
    events, _, remarks = read_parts(*(part(tmp_path, number) for number in named))
    assert events == [hello(), *map(mark, read)]
    assert remarks == ([f"{part(tmp_path, min(named)).name}: {remark}"] if remark else [])


def test_a_part_that_retention_deletes_meanwhile_is_left_out(tmp_path: Path) -> None:
    paths, remarks = made_parts(tmp_path, 1, 2, 3), list[str]()
    parts = recorded_parts(paths, remarks.append)
    paths[1].unlink()
    read = [event for events, _ in read_recording(parts, remarks.append) for event in events]
    assert read == [hello(), mark(1), mark(3)]
    assert remarks == [f"{paths[1].name}: was deleted meanwhile, and is left out"]


def test_other_files_are_read_as_they_are_named(tmp_path: Path) -> None:
    for name, number in (("b.jsonl", 1), ("a.jsonl", 2)):
        (tmp_path / name).write_bytes(lines(hello(), mark(number)))
    assert read_parts(tmp_path / "b.jsonl", tmp_path / "a.jsonl")[0] == [hello(), mark(1), mark(2)]


def test_an_engine_that_was_started_again_greets_once(tmp_path: Path) -> None:
    one, two = part(tmp_path, 1), part(tmp_path, 2)
    one.write_bytes(lines(hello(), mark(1), hello("2"), mark(2)))
    two.write_bytes(lines(hello("2"), mark(3)))
    assert read_parts(one)[0] == [hello(), mark(1), hello("2"), mark(2), mark(3)]


def test_what_is_skipped_is_told_file_by_file(tmp_path: Path) -> None:
    paths = made_parts(tmp_path, 1, 2, 3)
    paths[1].write_bytes(lines(hello()) + b"?\n" + lines(mark(2)))
    paths[2].write_bytes(lines(hello()) + b'?\n{"type":"later"}\n' + lines(mark(3)))
    events, _, remarks = read_parts(paths[0])
    assert events == [hello(), mark(1), mark(2), mark(3)]
    assert remarks == [
        f"{paths[1].name}: 1 line is left out: line 2 is unreadable",
        f"{paths[2].name}: 2 lines are left out, the first is line 2: "
        "1 unreadable, 1 no event that this version knows",
    ]


@given(damage=st.binary(max_size=200), place=st.integers(0, 3))
def test_no_damage_between_lines_loses_another_line(
    tmp_path_factory: pytest.TempPathFactory, damage: bytes, place: int
) -> None:
    whole = [hello(), mark(1), mark(2), mark(3)]
    parts = [encode_event(event) for event in whole]
    parts.insert(place, damage + b"\n")
    events, given_lines, _ = read(tmp_path_factory.mktemp("damaged") / "run.jsonl", b"".join(parts))
    assert events == whole
    assert given_lines == lines(*whole)


def test_the_newest_recording_is_of_the_run_that_began_last(tmp_path: Path) -> None:
    runs = ("20261128T235959Z-9-00000000", "20261129T000001Z-1-ffffffff")
    for name in (
        f"{runs[1]}.9999.jsonl",
        f"{runs[1]}.10000.jsonl",
        f"{runs[0]}.0001.jsonl",
        "ledger.sqlite3",
        "20270101.jsonl",
    ):
        (tmp_path / name).touch()
    os.utime(tmp_path / f"{runs[1]}.9999.jsonl", (0, 0))
    found = [path.name for path in newest_recording(tmp_path)]
    assert found == [f"{runs[1]}.9999.jsonl", f"{runs[1]}.10000.jsonl"]


def test_without_any_run_there_is_no_newest_recording(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").touch()
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(RecordingError, match="no run is recorded there: name a recording"):
            newest_recording(folder)
    with pytest.raises(RecordingError, match="Not a directory"):
        newest_recording(tmp_path / "notes.jsonl")


@pytest.mark.parametrize(
    ("content", "stamp"),
    [
        (b"", None),
        (b"\0" * 3_000_000, None),
        (encode_event(Mark(at_ns=7, text="a")) + encode_event(Mark(at_ns=9, text="b")), 9),
        (encode_event(Mark(at_ns=7, text="a")) + b'{"type":"mark","at_ns":9,"te', 7),
        (encode_event(Mark(at_ns=7, text="a")) + b'{"type":"summary","routes":{}}\n', 7),
    ],
    ids=["empty", "no event", "whole", "torn", "printed"],
)
def test_the_last_stamp_is_known_without_reading_what_is_before(
    content: bytes, stamp: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    assert last_stamp_ns([path]) == stamp


def test_a_file_that_is_gone_has_no_last_stamp(tmp_path: Path) -> None:
    assert last_stamp_ns([tmp_path / "gone.jsonl"]) is None
