"""Another history taken whole: of another machine, and what can be read of one that broke."""

import os
import sqlite3
from pathlib import Path

import pytest
from board_streams import route_info
from history_streams import DAY_S, NOON_S, Run, S

from probes.events import Reference
from probes.history.database import VERSION, HistoryFile
from probes.history.fold import HistoryFold
from probes.history.importing import Imported, import_recordings
from probes.history.reading import read_history
from probes.history.records import Told, identity_of
from probes.history.views import RouteHistoryView

DAYS = 40


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A history of forty days, of which the first ten have no slots any more."""
    path = tmp_path / "other.sqlite3"
    with HistoryFile(path, writes=True) as file:
        for day in range(DAYS):
            run = Run(began_s=NOON_S + day * DAY_S, life=f"life-{day}")
            for number in range(60):
                run.probe(60 * number + 10, ttft_s=0.2 + number / 100)
            if day == 5:
                run.diagnosis(3_000, "named", 2_900)
            fold = HistoryFold()
            for event in run.events:
                fold.fold(event)
            file.write(fold.told())
        usual = Reference(at_ns=1, route="chat", cohort="64/256", wall_ns=NOON_S * S)
        file.write(Told({}, (), ((identity_of(route_info("chat")), usual),)))
        before = ((NOON_S + 10 * DAY_S) // 600,)
        file._opened().execute("DELETE FROM slot WHERE at < ?", before)
    return path


@pytest.fixture
def mine(tmp_path: Path) -> HistoryFile:
    return HistoryFile(tmp_path / "mine.sqlite3", writes=True)


def take(mine: HistoryFile, *paths: Path) -> tuple[Imported, list[str]]:
    told: list[str] = []
    return import_recordings(paths, mine, report=told.append), told


def view(file: HistoryFile) -> RouteHistoryView:
    (one,) = read_history(file, since_s=NOON_S - 1, until_s=NOON_S + DAYS * DAY_S).routes
    return one


def test_another_history_is_taken_whole_and_again_without_doubling(
    other: Path, mine: HistoryFile
) -> None:
    expected = view(HistoryFile(other, writes=False))
    before = other.read_bytes()
    for _ in range(2):
        found, told = take(mine, other)
        assert (found.files, found.incidents, told) == (1, 1, [])
        assert view(mine) == expected
    assert expected.whole.probes == 60 * DAYS
    assert [one.wall_ns for _, one in mine.references()] == [NOON_S * S]
    assert other.read_bytes() == before


def test_what_this_machine_has_heard_stays(other: Path, mine: HistoryFile) -> None:
    run = Run(began_s=NOON_S, life="life-0")
    for number in range(90):
        run.probe(30 * number + 10)
    fold = HistoryFold()
    for event in run.events:
        fold.fold(event)
    mine.write(fold.told())
    take(mine, other)
    assert view(mine).days[0].probes == 90


def test_of_a_broken_one_all_is_taken_but_what_cannot_be_read(
    other: Path, mine: HistoryFile
) -> None:
    with sqlite3.connect(other) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    pages = other.stat().st_size // 8192
    with other.open("r+b") as file:
        file.seek(8192 * (pages * 2 // 3))
        file.write(os.urandom(2 * 8192))
    found, told = take(mine, other)
    assert found.files == 1
    assert "of it cannot be read, and left out" in told[0]
    assert 60 * DAYS * 0.6 < view(mine).whole.probes <= 60 * DAYS


def test_rows_that_nobody_wrote_do_not_come(other: Path, mine: HistoryFile) -> None:
    with sqlite3.connect(other) as connection:
        connection.execute("UPDATE slot SET ttft = x'0102' WHERE at % 2")
        connection.execute("UPDATE hour SET probes = 'many', ttft = x'0102'")
        connection.execute("UPDATE incident SET told = '{}'")
    connection.close()
    _, told = take(mine, other)
    assert "rows of it cannot be read" in told[0]
    assert 0 < view(mine).whole.probes < 60 * DAYS
    assert mine.news == []


def test_what_is_no_history_or_a_newer_one_or_itself_is_left_out(
    other: Path, mine: HistoryFile, tmp_path: Path
) -> None:
    take(mine, other)
    alien, newer, cut = (tmp_path / name for name in ("alien", "newer", "cut"))
    with sqlite3.connect(alien) as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    newer.write_bytes(other.read_bytes())
    with sqlite3.connect(newer) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    cut.write_bytes(b"SQLite format 3\x00" + b"junk" * 100)
    found, told = take(mine, alien, newer, cut, mine.path)
    assert found.files == 0
    assert [one.partition(": ")[2] for one in told] == [
        "it is a database of something else; left out",
        f"it was written by a newer llmtop (schema {VERSION + 1}); left out",
        "nothing can be read of it: file is not a database; left out",
        "it is the history itself; left out",
    ]
