"""Recordings read back from files that a crash, a full disk or a person has been at."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.events import Event, Hello, Mark, encode_event
from probes.store.recording_reader import RecordingError, SkippedLines, read_recording


def hello(engine: str = "1", schema: int = 1) -> Hello:
    return Hello(at_ns=1, wall_ns=2, engine=engine, version="0", routes=(), schema=schema)


def mark(number: int, text: str = "x") -> Mark:
    return Mark(at_ns=number, text=text)


def lines(*events: Event) -> bytes:
    return b"".join(encode_event(event) for event in events)


def read(path: Path, content: bytes) -> tuple[list[Event], SkippedLines, list[str]]:
    path.write_bytes(content)
    skipped, problems = SkippedLines(), []
    events = list(read_recording(path, problems.append, skipped))
    return events, skipped, problems


DAMAGES = {
    "no JSON": (b"garbage\n", {"unreadable": 1}),
    "two bad lines": (b"{\n}\n", {"unreadable": 2}),
    "binary": (bytes(range(11, 256)) + b"\n", {"unreadable": 1}),
    "an empty line": (b"\n", {"unreadable": 1}),
    "a carriage return": (b"\r\n", {"unreadable": 1}),
    "invalid UTF-8": (b'{"type":"mark","at_ns":1,"text":"\xff\xfe"}\n', {"unreadable": 1}),
    "nested too deep": (b'{"a":' * 200_000 + b"\n", {"unreadable": 1}),
    "an unknown type": (b'{"type":"later","at_ns":1}\n', {"unknown": 1}),
    "no type": (b"{}\n", {"unknown": 1}),
    "a type of its own": (b'{"type":7}\n', {"unknown": 1}),
    "a field of another type": (b'{"type":"mark","at_ns":"soon","text":""}\n', {"unknown": 1}),
    "no object": (b"[1]\n", {"unknown": 1}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_line_costs_itself_alone(tmp_path: Path, damage: str) -> None:
    bad, counts = DAMAGES[damage]
    content = lines(hello(), mark(1)) + bad + lines(mark(2))
    events, skipped, (problem,) = read(tmp_path / "run.jsonl", content)
    assert events == [hello(), mark(1), mark(2)]
    assert dict(skipped.by_reason) == counts
    assert (skipped.total, skipped.first) == (sum(counts.values()), "run.jsonl: line 3")
    assert problem.startswith(f"run.jsonl: {skipped.total} line")


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
    events, skipped, _ = read(tmp_path / "run.jsonl", content)
    assert events == [hello(), mark(1), after, mark(3)]
    assert skipped.total == 1


def test_a_torn_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    events, skipped, problems = read(path, lines(hello(), mark(1), mark(2))[:-9])
    assert events == [hello(), mark(1)]
    assert dict(skipped.by_reason) == {"cut short": 1}
    assert problems == ["run.jsonl: the last line was cut short and is left out"]


def test_a_whole_last_line_without_its_end_is_read(tmp_path: Path) -> None:
    events, skipped, problems = read(tmp_path / "run.jsonl", lines(hello(), mark(1))[:-1])
    assert (events, skipped.total, problems) == ([hello(), mark(1)], 0, [])


@pytest.mark.parametrize("size", [1_001, 5_000, 300_000])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_long_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, end: bytes
) -> None:
    monkeypatch.setattr("probes.store.recording_reader.LONGEST_LINE", 1_000)
    after = lines(mark(2)) if end else b""
    content = lines(hello(), mark(1)) + b"x" * size + end + after
    events, skipped, (problem,) = read(tmp_path / "run.jsonl", content)
    assert events == [hello(), mark(1), *([mark(2)] if end else [])]
    assert dict(skipped.by_reason) == {"too long": 1}
    assert problem == "run.jsonl: 1 line is left out: 1 longer than 16 MB"


@pytest.mark.skipif(os.name != "posix", reason="needs sparse files")
def test_an_endless_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "run.jsonl"
    path.write_bytes(lines(hello()))
    os.truncate(path, 300 << 20)
    tracemalloc.start()
    try:
        assert list(read_recording(path)) == [hello()]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def test_a_damaged_hello_costs_itself_alone(tmp_path: Path) -> None:
    events, skipped, _ = read(tmp_path / "run.jsonl", b"\0\0\n" + lines(mark(1), mark(2)))
    assert (events, skipped.total) == ([mark(1), mark(2)], 1)


def test_what_another_schema_says_is_skipped_until_ours_comes_back(tmp_path: Path) -> None:
    content = lines(hello(), hello("2", schema=99), mark(1), hello("3"), mark(2))
    events, skipped, (problem,) = read(tmp_path / "run.jsonl", content)
    assert events == [hello(), hello("3"), mark(2)]
    assert dict(skipped.by_reason) == {"schema": 2}
    assert problem == "run.jsonl: 2 lines are left out: 2 of another schema"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[routes.a]\n", "no recording of llmtop"),
        (b"\0" * 1_000, "no recording of llmtop"),
        (lines(hello(schema=99), mark(1)), "schema 99; this version reads 1"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, words: str
) -> None:
    with pytest.raises(RecordingError, match=words):
        read(tmp_path / "run.jsonl", content)


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    assert read(tmp_path / "run.jsonl", b"") == ([], SkippedLines(), [])


def test_a_missing_file_and_a_pipe_are_refused_with_the_reason(tmp_path: Path) -> None:
    for name in ("none.jsonl", "20260101T000000Z-1-00000000.0001.jsonl"):
        with pytest.raises(RecordingError, match="No such file"):
            list(read_recording(tmp_path / name))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingError, match="is a named pipe"):
        list(read_recording(tmp_path / "pipe"))


def test_segments_are_counted_together_and_told_apart(tmp_path: Path) -> None:
    names = [f"20260101T000000Z-1-00000000.000{number}.jsonl" for number in (1, 2, 3)]
    for number, name in enumerate(names):
        damage = b"?\n" * number
        (tmp_path / name).write_bytes(lines(hello()) + damage + lines(mark(number)))
    skipped, problems = SkippedLines(), []
    events = list(read_recording(tmp_path / names[0], problems.append, skipped))
    assert events == [hello(), mark(0), mark(1), mark(2)]
    assert (skipped.total, skipped.first) == (3, f"{names[1]}: line 2")
    assert problems == [
        f"{names[1]}: 1 line is left out: 1 cannot be read",
        f"{names[2]}: 2 lines are left out: 2 cannot be read",
    ]


@given(damage=st.binary(max_size=200), place=st.integers(0, 3))
def test_no_damage_between_lines_loses_another_line(
    tmp_path_factory: pytest.TempPathFactory, damage: bytes, place: int
) -> None:
    whole = [hello(), mark(1), mark(2), mark(3)]
    parts = [encode_event(event) for event in whole]
    parts.insert(place, damage + b"\n")
    events, _, _ = read(tmp_path_factory.mktemp("damaged") / "run.jsonl", b"".join(parts))
    assert events == whole
