"""Recordings brought into the history: what is missing comes, nothing is doubled."""

from pathlib import Path

import pytest
from board_streams import route_info
from history_streams import DAY_S, NOON_S, Run

from probes.events import Notice, durable_lines
from probes.history.database import HistoryFile
from probes.history.fold import HistoryFold
from probes.history.importing import Imported, import_recordings
from probes.history.reading import read_history, seen_before

STEM = "20260921T120000Z-77-0123abcd"


@pytest.fixture
def file(tmp_path: Path) -> HistoryFile:
    return HistoryFile(tmp_path / "history.sqlite3", writes=True)


def day_run() -> Run:
    """Return a run of two hours, a probe every ten seconds."""
    run = Run()
    for second in range(10, 7200, 10):
        run.probe(second, ttft_s=0.2 + second / 20_000)
        run.tick(second + 1)
    run.diagnosis(3000, "named", 2900)
    run.diagnosis(3600, "cleared", 2900)
    run.events.sort(key=lambda event: event.at_ns)
    return run


def take(file: HistoryFile, *paths: Path) -> tuple[Imported, list[str]]:
    remarks: list[str] = []
    return import_recordings(paths, file, report=remarks.append), remarks


def told(file: HistoryFile) -> object:
    return read_history(file, since_s=NOON_S - 1, until_s=NOON_S + DAY_S).routes


def test_an_import_tells_what_a_run_would_have_written(tmp_path: Path, file: HistoryFile) -> None:
    run, path = day_run(), tmp_path / "run.jsonl"
    path.write_bytes(durable_lines(run.events))
    found, remarks = take(file, path)
    assert (found.files, found.slots, found.incidents, found.routes) == (1, 12, 1, ("chat",))
    assert (found.first_s, found.last_s) == (NOON_S, NOON_S + 7200)
    assert remarks == []
    with HistoryFile(tmp_path / "live.sqlite3", writes=True) as live:
        fold = HistoryFold()
        for number, event in enumerate(run.events):
            fold.fold(event)
            if number % 100 == 0:
                live.write(fold.told())
        live.write(fold.told())
        assert told(live) == told(file)


def test_importing_again_and_over_what_a_killed_run_wrote_doubles_nothing(
    tmp_path: Path, file: HistoryFile
) -> None:
    run, path = day_run(), tmp_path / "run.jsonl"
    path.write_bytes(durable_lines(run.events))
    fold = HistoryFold()
    for event in run.events[:700]:  # and then it was killed
        fold.fold(event)
    file.write(fold.told())
    take(file, path)
    once = told(file)
    assert once[0].whole.probes == 719  # type: ignore[index]
    take(file, path, path)
    assert told(file) == once
    assert len(file.incidents(0)) == 1


def parts_of(folder: Path, run: Run, count: int) -> list[Path]:
    """Write a recording in parts, each with the hello at its head."""
    size = -(-len(run.events) // count)
    paths = []
    for number in range(count):
        part = run.events[number * size : (number + 1) * size]
        head = [] if number == 0 else run.events[:1]
        paths.append(folder / f"{STEM}.{number + 1:04}.jsonl")
        paths[-1].write_bytes(durable_lines([*head, *part]))
    return paths


def test_parts_of_a_run_are_read_together_in_their_order(tmp_path: Path, file: HistoryFile) -> None:
    paths = parts_of(tmp_path, day_run(), 5)
    found, _ = take(file, *reversed(paths))
    assert found.files == 5
    assert told(file)[0].whole.probes == 719  # type: ignore[index]


def test_parts_that_are_named_one_by_one_bring_the_whole_run(
    tmp_path: Path, file: HistoryFile
) -> None:
    """Two parts share a slot, and each by itself knows a half of it."""
    paths = parts_of(tmp_path, day_run(), 5)
    (tmp_path / "another.jsonl").write_bytes(b"")
    for path in paths:
        found, _ = take(file, path)
        assert found.files == 5
        assert told(file)[0].whole.probes == 719  # type: ignore[index]


def test_a_part_alone_never_takes_back_what_is_there(tmp_path: Path, file: HistoryFile) -> None:
    paths = parts_of(tmp_path, day_run(), 5)
    take(file, *paths)
    before = told(file)
    take(file, paths[2])
    assert told(file) == before


def test_what_it_needs_not_is_not_even_decoded(tmp_path: Path, file: HistoryFile) -> None:
    path = tmp_path / "run.jsonl"
    run = day_run()
    lines = durable_lines([run.events[0], Notice(at_ns=1, route="", text="x"), *run.events[1:]])
    path.write_bytes(lines + b'{"type":"notice","at_ns":"no number"}\n')
    found, remarks = take(file, path)
    assert found.events == len(run.events)
    assert remarks == []


def test_lines_that_cannot_be_read_cost_themselves_and_are_told(
    tmp_path: Path, file: HistoryFile
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(durable_lines(day_run().events) + b'{"type":"attempt_finished","at_n')
    found, remarks = take(file, path)
    assert found.slots == 12
    assert remarks == [f"{path}: 1 line is unreadable, and left out"]


def test_files_that_are_none_are_told_and_the_others_come(
    tmp_path: Path, file: HistoryFile
) -> None:
    good, other, newer = (tmp_path / name for name in ("good", "other", "newer"))
    good.write_bytes(durable_lines(day_run().events))
    other.write_text("hello\nworld\n")
    newer.write_bytes(durable_lines(day_run().events).replace(b'"schema":1', b'"schema":9', 1))
    found, remarks = take(file, other, newer, tmp_path, good)
    assert (found.files, found.slots) == (1, 12)
    assert [remark.split(": ", 1)[1] for remark in remarks] == [
        "no line of it is an event: no recording of llmtop; left out",
        "is of schema 9, written by llmtop 0; this version reads schema 1; left out",
        "is a directory, expected a regular file; left out",
    ]


def test_progress_goes_up_to_all_bytes(tmp_path: Path, file: HistoryFile) -> None:
    paths = parts_of(tmp_path, day_run(), 3)
    seen: list[tuple[int, int]] = []
    import_recordings(
        paths, file, report=print, progress=lambda done, whole: seen.append((done, whole))
    )
    size = sum(path.stat().st_size for path in paths)
    assert seen[-1] == (size, size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_what_an_agent_recorded_of_an_incident_is_one_with_what_a_screen_over_all_places_did(
    tmp_path: Path, file: HistoryFile
) -> None:
    """Their clocks, ids and beginnings differ, and the agent knows its own place alone."""
    routes = [route_info(f"chat@{place}", place=place) for place in ("eu", "us")]
    agent = Run(routes[0], began_s=NOON_S, life="agent", place="eu")
    agent.diagnosis(30, "named", 10, routes=("chat@eu",))
    agent.diagnosis(2_400, "cleared", 10, routes=("chat@eu",))
    screen = Run(*routes, began_s=NOON_S + 2.5, life="screen")
    both = ("chat@eu", "chat@us")
    screen.diagnosis(90, "named", 12, routes=both, id="9-4")
    screen.diagnosis(2_410, "cleared", 12, routes=both, id="9-4")
    late = Run(*routes, began_s=NOON_S + 4, life="late")
    late.diagnosis(1_900, "named", 1_800, routes=both, id="3-1")  # came late, and was killed
    for name, run in (("agent", agent), ("screen", screen), ("late", late)):
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(durable_lines(run.events))
        take(file, path)
        take(file, path)
    assert len(file.incidents(0)) == 3
    (seen,) = seen_before(file.incidents(0), "chat", "chat@eu")
    assert (seen.scope, seen.times) == ("from everywhere", 1)
    assert seen.typical_s == pytest.approx(2_402.5)
