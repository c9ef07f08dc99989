"""The event stream on disk."""

import errno
import fcntl
import inspect
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorded import recorded_events

from probes.config import Recording
from probes.events import Event, Hello, Mark, encode_event
from probes.store.recording import OpenPart, Recorder, open_part, retain

NOW_NS = 1_800_000_000 * 1_000_000_000


def hello(engine: str = "1", schema: int = 1) -> Hello:
    """Return an engine's introduction."""
    return Hello(at_ns=1, wall_ns=2, engine=engine, version="0", routes=(), schema=schema)


def mark(number: int, size: int = 10) -> Mark:
    """Return a numbered event of about `size` bytes."""
    return Mark(at_ns=number, text="x" * size)


def lines(*events: Event) -> bytes:
    """Return the JSON lines of events."""
    return b"".join(encode_event(event) for event in events)


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for the writer's thread."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the writer did not come that far"
        time.sleep(0.005)


def recorder(folder: Path, problems: list[str] | None = None, **settings: Any) -> Recorder:
    """Return a started recorder that writes at once."""
    settings = {"max_mb": 1.0, "max_days": 7.0, "flush_s": 0.005, "retry_s": 0.01} | settings
    made = Recorder.to_folder(folder, **settings)
    made.start((problems if problems is not None else []).append)
    return made


def files(folder: Path) -> list[Path]:
    """Return the folder's recordings, oldest first."""
    return sorted(folder.glob("*.jsonl"))


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    writer = recorder(tmp_path / "recordings")
    writer.append(lines(hello(), mark(1)))
    writer.append(lines(mark(2)))
    writer.close()
    (path,) = files(tmp_path / "recordings")
    assert path == writer.path.with_name(path.name)
    assert writer.has_begun
    assert recorded_events(path) == [hello(), mark(1), mark(2)]


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    writer = recorder(tmp_path / "recordings")
    writer.append(lines(hello()))
    writer.close()
    (path,) = files(tmp_path / "recordings")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_two_runs_of_one_second_write_two_files(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    writers = [recorder(tmp_path, wall_ns=lambda: now_ns) for _ in range(2)]
    for writer in writers:
        writer.append(lines(hello()))
        writer.close()
    assert len(files(tmp_path)) == 2


def test_a_killed_run_loses_only_what_was_not_yet_written(tmp_path: Path) -> None:
    writer = recorder(tmp_path)
    writer.append(lines(hello(), mark(1)))
    until(lambda: bool(files(tmp_path)) and files(tmp_path)[0].stat().st_size > 0)
    assert recorded_events(files(tmp_path)[0]) == [hello(), mark(1)]
    writer.close()


def test_parts_begin_with_the_hello_and_read_as_one_stream(tmp_path: Path) -> None:
    writer = recorder(tmp_path, max_mb=0.004)
    sent: list[Event] = [hello(), *(mark(number, 300) for number in range(6))]
    for count, event in enumerate(sent, 1):
        writer.append(lines(event))
        until(lambda count=count: _recorded(tmp_path) >= min(count, 3))  # type: ignore[misc]
    writer.close()
    assert len(files(tmp_path)) >= 2
    for path in files(tmp_path):
        assert path.read_bytes().startswith(b'{"type":"hello"')
    events = recorded_events(files(tmp_path)[0])
    assert events == [hello(), *sent[-(len(events) - 1) :]]


def _recorded(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in files(folder))


def of_place(place: str, engine: str) -> Hello:
    """Return the introduction of one of several places' engine."""
    return Hello(at_ns=1, wall_ns=1, engine=engine, version="0", routes=(), schema=1, place=place)


def test_of_several_places_each_part_begins_with_the_hello_of_each(tmp_path: Path) -> None:
    made = recorder(tmp_path, max_mb=0.01)
    told: list[Event] = [of_place("eu", "eu1"), of_place("us", "us1"), *map(mark, range(60))]
    told += [of_place("eu", "eu2"), *map(mark, range(60, 120))]
    for event in told:
        made.append(lines(event))
        until(lambda: made._queue.empty())
        time.sleep(0.006)
    made.close()
    parts = files(tmp_path)
    assert len(parts) > 2
    for part in parts[1:]:
        begun = recorded_events(part)[:2]
        assert {one.place for one in begun if isinstance(one, Hello)} == {"eu", "us"}
    assert recorded_events(parts[0]) == told


def test_lines_before_the_first_hello_follow_it(tmp_path: Path) -> None:
    writer = recorder(tmp_path)
    writer.append(lines(mark(1)))
    writer.append(lines(hello(), mark(2)))
    writer.close()
    assert recorded_events(files(tmp_path)[0]) == [hello(), mark(1), mark(2)]


def _old_recording(folder: Path, number: int, size: int, age_days: float = 0.0) -> Path:
    path = folder / f"20260101T00000{number}Z-1-0000000{number}.0001.jsonl"
    path.write_bytes(b"x" * size)
    seconds = NOW_NS / 1e9 - age_days * 86_400
    os.utime(path, (seconds, seconds))
    return path


def test_retention_deletes_what_is_too_old(tmp_path: Path) -> None:
    old = _old_recording(tmp_path, 1, 10, age_days=8)
    young = _old_recording(tmp_path, 2, 10, age_days=6)
    assert retain(tmp_path, 1000, 7.0, NOW_NS) == [old]
    assert files(tmp_path) == [young]


def test_retention_deletes_the_oldest_until_the_rest_fits(tmp_path: Path) -> None:
    paths = [_old_recording(tmp_path, number, 100) for number in range(1, 5)]
    assert retain(tmp_path, 250, 7.0, NOW_NS) == paths[:2]


def test_retention_spares_live_files_and_what_is_not_ours(tmp_path: Path) -> None:
    live = _old_recording(tmp_path, 1, 100, age_days=30)
    foreign = tmp_path / "notes.jsonl"
    foreign.write_bytes(b"x" * 100)
    with live.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert retain(tmp_path, 0, 7.0, NOW_NS) == []
    assert retain(tmp_path, 0, 7.0, NOW_NS) == [live]
    assert foreign.exists()


def by_default(folder: Path, **settings: Any) -> Recorder:
    """Return a started recorder with the bounds of the default settings."""
    kept = Recording()
    return recorder(folder, max_mb=kept.max_mb, max_days=kept.max_days, **settings)


@pytest.mark.parametrize(("more", "parts"), [(0, 1), (1, 2)])
def test_a_recording_is_rotated_at_16_mb(tmp_path: Path, more: int, parts: int) -> None:
    writer = by_default(tmp_path)
    begin, end = lines(hello()), lines(mark(2))
    middle = lines(mark(1, (16 << 20) - len(begin) - len(lines(mark(1, 0))) - len(end) + more))
    for part in (begin, middle, end):
        before = _bytes(tmp_path)
        writer.append(part)
        until(lambda before=before: _bytes(tmp_path) > before)  # type: ignore[misc]
    writer.close()
    assert len(files(tmp_path)) == parts
    assert files(tmp_path)[0].stat().st_size <= 16 << 20


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in files(folder))


MB = 1_000_000
ROOM_BYTES = 256 * MB - (16 << 20)
"""What others may have when a part begins that will grow to 16 MB."""


@pytest.mark.parametrize(("more", "gone"), [(0, 0), (1, 1)])
def test_all_recordings_have_256_mb_and_the_oldest_go_first(
    tmp_path: Path, more: int, gone: int
) -> None:
    sizes = (100 * MB, 100 * MB, ROOM_BYTES - 200 * MB + more)
    paths = [_old_recording(tmp_path, number, 0) for number in range(1, 4)]
    for path, size in zip(paths, sizes, strict=True):
        os.truncate(path, size)  # a hole: it takes no room
        os.utime(path, (NOW_NS / 1e9,) * 2)
    writer = by_default(tmp_path, wall_ns=lambda: NOW_NS)
    writer.append(lines(hello()))
    writer.close()
    assert [path.exists() for path in paths] == [False] * gone + [True] * (3 - gone)


def test_recordings_have_seven_days_but_live_ones(tmp_path: Path) -> None:
    ages = (7.01, 7.01, 6.99)
    live, old, young = (_old_recording(tmp_path, n, 10, age) for n, age in enumerate(ages))
    with live.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.utime(live, (NOW_NS / 1e9 - 7.01 * 86_400,) * 2)
        writer = by_default(tmp_path, wall_ns=lambda: NOW_NS)
        writer.append(lines(hello()))
        writer.close()
    assert [path.exists() for path in (live, old, young)] == [True, False, True]


def test_a_killed_run_loses_no_more_than_a_second() -> None:
    """By default it writes each half second; the other half is for the write itself."""
    writer = Recorder.to_folder(Path("unused"), max_mb=1.0, max_days=1.0)
    assert writer._flush_s <= 0.5
    assert inspect.signature(Recorder.to_file).parameters["flush_s"].default <= 0.5


def test_a_run_never_keeps_more_than_its_bound(tmp_path: Path) -> None:
    writer = recorder(tmp_path, max_mb=0.02)
    writer.append(lines(hello()))
    for number in range(100):
        writer.append(lines(mark(number, 900)))
        if number % 5 == 0:
            time.sleep(0.01)
    writer.close()
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 20_000


class FullDisk:
    """Opens parts that fail to write until there is room."""

    def __init__(self) -> None:
        self.full = threading.Event()
        self.full.set()

    def open(self, path: Path, *, exclusive: bool) -> OpenPart:
        """Open the real file behind a gate."""
        return _Gated(open_part(path, exclusive=exclusive), self.full)


class _Gated:
    def __init__(self, part: OpenPart, full: threading.Event) -> None:
        self._part = part
        self._full = full
        self.close = part.close

    @property
    def size(self) -> int:
        return self._part.size

    def write(self, data: bytes) -> None:
        if self._full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        self._part.write(data)


def test_a_full_disk_is_said_once_and_nothing_is_lost_when_there_is_room_again(
    tmp_path: Path,
) -> None:
    disk, problems = FullDisk(), []
    writer = recorder(tmp_path, problems, opener=disk.open)
    writer.append(lines(hello(), mark(1)))
    until(lambda: bool(problems))
    writer.append(lines(mark(2)))
    time.sleep(0.05)
    disk.full.clear()
    until(lambda: len(problems) == 2)
    writer.append(lines(mark(3)))
    writer.close()
    assert problems[0].startswith("not recording: No space left on device")
    assert problems[1] == "recording again; 0 lines were lost"
    assert recorded_events(files(tmp_path)[0]) == [hello(), mark(1), mark(2), mark(3)]


def test_of_what_a_full_disk_costs_the_hello_of_a_new_engine_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.store.recording.MAX_PENDING_BYTES", 1_000)
    disk, problems = FullDisk(), []
    disk.full.clear()
    writer = recorder(tmp_path, problems, opener=disk.open)
    writer.append(lines(hello(), mark(1)))
    until(lambda: bool(files(tmp_path)) and files(tmp_path)[0].stat().st_size > 0)
    disk.full.set()
    writer.append(lines(mark(2, 500)))
    until(lambda: bool(problems))
    writer.append(lines(hello("2"), mark(3, 500)))
    writer.append(lines(mark(4, 500)))
    writer.append(lines(mark(5, 500)))
    time.sleep(0.05)
    disk.full.clear()
    until(lambda: len(problems) == 2)
    writer.close()
    assert recorded_events(files(tmp_path)[0]) == [hello(), mark(1), hello("2"), mark(5, 500)]
    assert problems[1] == "recording again; 3 lines were lost"


def test_a_partial_write_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.jsonl"
    part = open_part(path, exclusive=True)
    part.write(b"whole\n")
    real = os.write

    def short(descriptor: int, data: bytes) -> int:
        if len(data) < 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:8])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        with pytest.raises(OSError, match="No space"):
            part.write(b"0123456789\n")
    part.write(b"next\n")
    part.close()
    assert path.read_bytes() == b"whole\nnext\n"


def test_a_folder_that_cannot_be_made_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    problems: list[str] = []
    writer = recorder(tmp_path / "file" / "recordings", problems)
    writer.append(lines(hello()))
    until(lambda: bool(problems))
    writer.close()
    assert not writer.has_begun
    assert problems[0].startswith("not recording: ")


def test_a_named_file_is_replaced_and_never_rotated(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    before = lines(hello(), mark(7, 9_000))
    path.write_bytes(before)
    path.chmod(0o644)
    writer = Recorder.to_file(path, flush_s=0.005)
    assert path.read_bytes() == before  # a run that never begins leaves it as it was
    writer.start([].append)
    writer.append(lines(hello(), mark(1)))
    writer.close()
    assert recorded_events(path) == [hello(), mark(1)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.jsonl"]


def test_a_named_file_that_another_run_writes_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(lines(hello()))
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="written by another run"):
            Recorder.to_file(path)
    assert path.read_bytes() == lines(hello())


@pytest.mark.parametrize(
    "content",
    [
        b"[routes.a]\nbase_url = 'https://h'\n",
        b"\n",
        b" ",
        b"\0" * 100,
        b"\xff\xfe\x00",
        b'{"type":"hello"}\n',
        b'{"type":"hello","engine":"1"',
        b'{"type":"hello","user":"a chat log of somebody\'s"}\n',
        b"\xef\xbb\xbf" + lines(hello()),
        lines(mark(1), hello()),
        lines(hello())[:-1],
        b"[" * 100_000,
    ],
)
def test_a_named_file_that_holds_something_else_is_refused_untouched(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(content)
    path.chmod(0o644)
    before = path.stat()
    with pytest.raises(OSError, match="holds something else than a recording"):
        Recorder.to_file(path)
    assert path.read_bytes() == content
    assert (path.stat().st_mode, path.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


@pytest.mark.parametrize("content", [b"", lines(hello(schema=99)), lines(hello(), mark(1))])
def test_a_named_file_that_is_empty_or_a_recording_of_any_schema_is_taken(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(content)
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    writer = Recorder.to_file(link, flush_s=0.005)
    writer.start([].append)
    writer.append(lines(hello("2")))
    writer.close()
    assert recorded_events(path) == [hello("2")]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (os.mkfifo, "is a named pipe"),
        (Path.mkdir, "a directory"),
        (lambda path: path.symlink_to(os.devnull), "is a device"),
    ],
)
def test_a_named_file_must_be_a_regular_one(
    tmp_path: Path, make: Callable[[Path], object], what: str
) -> None:
    path = tmp_path / "no-file"
    make(path)
    with pytest.raises(OSError, match=what):
        Recorder.to_file(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_named_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs.jsonl"
    path.write_bytes(lines(hello()))
    os.chown(path, 12_345, -1)
    with pytest.raises(OSError, match="belongs to another user"):
        Recorder.to_file(path)
    assert path.read_bytes() == lines(hello())
