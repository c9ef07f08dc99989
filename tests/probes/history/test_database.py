"""The file: written again and again without doubling, bounded, refused, set aside."""

import errno
import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from changed import replace
from history_streams import DAY_S, NOON_S, S

from probes.events import Reference
from probes.history import database
from probes.history.database import (
    SLOT_DAYS,
    VERSION,
    BrokenHistoryError,
    HistoryError,
    HistoryFile,
    NewerHistoryError,
)
from probes.history.packed import Union, pack
from probes.history.records import (
    COUNTS,
    SLOT_S,
    PastIncident,
    RouteIdentity,
    SlotKey,
    SlotRow,
    Told,
)
from probes.stats.centroids import point

CHAT = RouteIdentity("chat", "http://h/v1", "m", "")
NOON = NOON_S // SLOT_S


def row(probes: int, value: float = 1.0) -> SlotRow:
    counts = dict.fromkeys(COUNTS, 0) | {"probes": probes, "attempts": probes}
    digest = pack([point(value)] * probes)
    return SlotRow(tuple(counts.values()), probes / 1000, (digest, digest, b""))


def told(
    probes: int = 1, *, slot: int = NOON, life: str = "a", route: RouteIdentity = CHAT
) -> Told:
    return Told({SlotKey(life, route, "64/256", slot): row(probes)}, ())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite3"


def probes(path: Path, *, table: str = "rows") -> list[tuple[float, int]]:
    """Return when each hour, or slot, began after noon, and how many probes it has."""
    with HistoryFile(path, writes=False) as file:
        rows = getattr(file, table)(file.series(), 0, 1e11)
    return [(one.begins_s - NOON_S, one.row.counts[0]) for one in rows]


def test_it_is_made_readable_by_its_owner_alone(path: Path) -> None:
    with HistoryFile(path, writes=True) as file:
        file.write(told())
        modes = {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    connection.close()


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o644)
    with HistoryFile(path, writes=True) as file:
        file.write(told())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_row_is_written_over_by_one_that_has_heard_more_and_by_no_other(path: Path) -> None:
    with HistoryFile(path, writes=True) as file:
        for number in (3, 5, 2, 5):
            file.write(told(number))
    assert probes(path) == probes(path, table="slots") == [(0, 5)]


def test_an_hour_is_all_of_its_slots(path: Path) -> None:
    with HistoryFile(path, writes=True) as file:
        for number, slot in enumerate(range(NOON, NOON + 7), 1):
            file.write(told(number, slot=slot))
        file.write(told(40, slot=NOON + 1))
        (first, second) = file.rows(file.series(), 0, 1e11)
    assert (first.row.counts[0], second.row.counts[0]) == (1 + 40 + 3 + 4 + 5 + 6, 7)
    assert first.row.usd == pytest.approx(0.059)
    union = Union()
    union.add(first.row.digests[0])
    assert union.n == 59


def test_two_engines_in_one_slot_are_two_rows(path: Path) -> None:
    with HistoryFile(path, writes=True) as one, HistoryFile(path, writes=True) as other:
        one.write(told(3, life="a"))
        other.write(told(4, life="b"))
        one.write(told(5, life="a"))
    assert sorted(probes(path)) == [(0, 4), (0, 5)]


def test_several_runs_write_at_once_and_lose_nothing(path: Path) -> None:
    def work(life: str) -> None:
        with HistoryFile(path, writes=True) as file:
            for number in range(1, 21):
                file.write(told(number, life=life, slot=NOON + number % 2))

    threads = [threading.Thread(target=work, args=(f"life-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(probes(path, table="slots")) == [(0, 20)] * 4 + [(SLOT_S, 19)] * 4
    assert probes(path) == [(0, 39)] * 4


def test_what_fails_half_way_leaves_nothing_behind(path: Path) -> None:
    with HistoryFile(path, writes=True) as file:
        file.write(told())
        bad = Told({SlotKey("b", CHAT, "64/256", NOON): row(1)._replace(usd="x")}, ())  # type: ignore[arg-type]
        bad.slots[SlotKey("b", CHAT, "64/256", NOON)] = row(1)._replace(digests=(b"junk",) * 3)
        bad.slots[SlotKey("b", CHAT, "64/256", NOON + 1)] = row(1)._replace(digests=(b"junk",) * 3)
        with pytest.raises(BrokenHistoryError):
            file.write(bad)


def test_slots_go_before_hours_and_all_of_it_after_max_days(path: Path) -> None:
    clock = [NOON_S]
    with HistoryFile(path, writes=True, wall_ns=lambda: clock[0] * S) as file:
        file.write(told())
        clock[0] = NOON_S + (SLOT_DAYS + 1) * DAY_S
        file.retain(max_mb=100, max_days=400)
        assert probes(path, table="slots") == []
        assert probes(path) == [(0, 1)]
        clock[0] = NOON_S + 401 * DAY_S
        file.retain(max_mb=100, max_days=400)
        assert probes(path) == []


def test_an_hour_that_was_kept_is_not_replaced_by_less_of_it(path: Path) -> None:
    """An old recording whose beginning is gone is imported after its slots were let go."""
    clock = [NOON_S]
    with HistoryFile(path, writes=True, wall_ns=lambda: clock[0] * S) as file:
        for slot in range(NOON, NOON + 6):
            file.write(told(10, slot=slot))
        clock[0] += 90 * DAY_S
        file.retain(max_mb=100, max_days=400)
        for slot in range(NOON + 3, NOON + 6):
            file.write(told(10, slot=slot))
        assert probes(path) == [(0, 60)]


def test_where_there_is_no_room_the_oldest_of_all_routes_go(path: Path) -> None:
    now_s = NOON_S + 40 * DAY_S
    routes = [CHAT._replace(name=f"r{n}") for n in range(4)]
    with HistoryFile(path, writes=True, wall_ns=lambda: now_s * S) as file:
        for day in range(40):
            slots = {}
            for route in routes:
                for slot in range(NOON + day * 144, NOON + day * 144 + 144, 3):
                    slots[SlotKey("a", route, "64/256", slot)] = row(200, 1.0 + slot % 7)
            file.write(Told(slots, ()))
        before = path.stat().st_size
        file.retain(max_mb=0.7 * before / 1e6, max_days=400)
        assert probes(path, table="slots")[0][0] > 10 * DAY_S
        assert {begins for begins, _ in probes(path)} >= {0, 39 * DAY_S}, "hours go last"
        file.retain(max_mb=0.1 * before / 1e6, max_days=400)
        left = probes(path)
        assert min(begins for begins, _ in left) > 10 * DAY_S
        assert max(begins for begins, _ in left) >= 39 * DAY_S
        for _ in range(20):
            file.retain(max_mb=0.1 * before / 1e6, max_days=400)
    assert len({one.series for one in HistoryFile(path, writes=False).rows(range(9), 0, 1e11)}) == 4


def test_incidents_and_references_come_back_as_they_went_in(path: Path) -> None:
    incident = PastIncident(
        id="x", cause="dns", names=("chat",), scope="", routes=("chat",), since_s=NOON_S
    )
    later = Reference(at_ns=1, route="chat", cohort="64/256", wall_ns=NOON_S * S)
    earlier = Reference(at_ns=1, route="chat", cohort="64/256", wall_ns=(NOON_S - 5) * S)
    with HistoryFile(path, writes=True) as file:
        file.write(Told({}, (incident,), ((CHAT, later),)))
        file.write(Told({}, (incident,), ((CHAT, earlier),)))
        assert file.incidents(NOON_S) == [incident]
        assert file.incidents(NOON_S + 1) == []
        assert file.references() == [(CHAT, later)]


def test_who_heard_less_of_an_incident_does_not_take_its_end_away(path: Path) -> None:
    on = PastIncident(
        id="x", cause="dns", names=("chat",), scope="", routes=("chat",), since_s=NOON_S
    )
    over = replace(on, ended_s=NOON_S + 60.0)
    with HistoryFile(path, writes=True) as file:
        for told, known in ((on, on), (over, over), (on, over)):
            file.write(Told({}, (told,)))
            assert file.incidents(NOON_S) == [known]


def test_a_file_that_another_run_is_making_is_not_broken(tmp_path: Path) -> None:
    made, broken = threading.Event(), list[Exception]()

    def read(path: Path) -> None:
        while not made.is_set():
            try:
                with HistoryFile(path, writes=False) as file:
                    file.series()
            except BrokenHistoryError as error:
                broken.append(error)
            except HistoryError:
                pass  # there is none yet

    for number in range(30):
        path = tmp_path / f"{number}.sqlite3"
        made.clear()
        reader = threading.Thread(target=read, args=(path,))
        reader.start()
        with HistoryFile(path, writes=True) as file:
            file.write(told(1))
        made.set()
        reader.join()
    assert broken == []


def test_a_newer_file_is_refused_and_left_as_it_is(path: Path) -> None:
    with HistoryFile(path, writes=True) as file:
        file.write(told())
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    for writes in (True, False):
        with pytest.raises(NewerHistoryError, match="newer llmtop"):
            HistoryFile(path, writes=writes).write(told())
    assert list(path.parent.glob("*.broken-*")) == []


@pytest.mark.parametrize("junk", [b"junk " * 999, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_broken_file_is_set_aside_by_whoever_writes(path: Path, junk: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(junk)
    with pytest.raises(BrokenHistoryError):
        HistoryFile(path, writes=False).series()
    assert path.read_bytes() == junk
    with HistoryFile(path, writes=True) as file:
        file.write(told())
        (news,) = file.news
    assert "kept as" in news
    (aside,) = path.parent.glob("*.broken-*")
    assert aside.read_bytes() == junk
    assert probes(path) == [(0, 1)]


def test_pages_that_break_while_it_is_open_are_noticed_too(path: Path) -> None:
    with HistoryFile(path, writes=True) as file:
        file.write(told())
    size = path.stat().st_size
    with path.open("r+b") as raw:
        raw.seek(8192)
        raw.write(b"\xa5" * (size - 8192))
    with HistoryFile(path, writes=True) as file:
        file.write(told(2))
        assert len(file.news) == 1
    assert probes(path) == [(0, 2)]


def test_a_database_of_something_else_is_not_written_into(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    with HistoryFile(path, writes=True) as file:
        file.write(told())
    assert len(list(path.parent.glob("*.broken-*"))) == 1


def test_a_run_whose_file_was_set_aside_by_another_writes_the_new_one(path: Path) -> None:
    with HistoryFile(path, writes=True) as file:
        file.write(told(1, life="a"))
        path.rename(path.with_name("aside"))
        file.write(told(2, life="b"))
    assert probes(path) == [(0, 2)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_nothing_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(HistoryError, match="cannot be used: Permission denied"):
        HistoryFile(tmp_path / "history.sqlite3", writes=True).write(told())


def test_a_path_that_leads_elsewhere_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="cannot be used: "):
        HistoryFile(tmp_path / "file" / "history.sqlite3", writes=True).write(told())
    (tmp_path / "target").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(HistoryError, match="cannot be used: "):
        HistoryFile(tmp_path / "link", writes=True).write(told())
    assert (tmp_path / "target").read_text() == ""


def test_a_full_disk_costs_that_write_alone(path: Path) -> None:
    with HistoryFile(path, writes=True) as file:
        file.write(told(1))
        connection = file._opened()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        many = {SlotKey("a", CHAT, "64/256", NOON + n): row(200) for n in range(400)}
        with pytest.raises(HistoryError, match="full"):
            file.write(Told(many, ()))
        file.write(told(3))
    assert probes(path) == [(0, 3)]


WRITERS = """
import sys, time
from pathlib import Path
from probes.history.database import HistoryFile
from probes.history.records import COUNTS, RouteIdentity, SlotKey, SlotRow, Told

folder, name, began = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
key = SlotKey(name, RouteIdentity("chat", "http://h/v1", "m", ""), "64/256", 3)
told = Told({key: SlotRow((1,) * len(COUNTS), 0.0, (b"", b"", b""))}, ())
for number in range(int(sys.argv[4])):
    while time.time() < began + 0.05 * number:
        pass  # to the microsecond with the other
    with HistoryFile(folder / f"{number}.sqlite3", writes=True) as file:
        file.write(told)
        assert not file.news, file.news
"""


def test_two_processes_that_make_a_file_at_the_same_instant_both_write_it(tmp_path: Path) -> None:
    """Of an empty file each makes a schema and turns its journal, and one of them is second."""
    began, many = f"{time.time() + 1.5}", 40
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITERS, str(tmp_path), name, began, str(many)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "other")
    ]
    for writer in writers:
        _, failed = writer.communicate(timeout=60)
        assert (writer.returncode, failed) == (0, "")
    for number in range(many):
        with HistoryFile(tmp_path / f"{number}.sqlite3", writes=False) as file:
            assert len(file.rows(file.series(), 0, 1e11)) == 2


REMEDIES = [
    (OSError(errno.ENOSPC, "No space left on device"), "No space left on device: make room on"),
    (OSError(errno.EROFS, "Read-only file system"), "let this user write in"),
    (PermissionError(errno.EACCES, "Permission denied"), "another state folder by XDG_STATE_HOME"),
]


@pytest.mark.parametrize(("error", "words"), REMEDIES)
def test_what_cannot_be_used_says_why_and_what_to_do(
    path: Path, error: OSError, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: HistoryFile) -> None:
        raise error

    monkeypatch.setattr(HistoryFile, "_make", fail)
    with pytest.raises(HistoryError, match=re.escape(words)) as found:
        HistoryFile(path, writes=True).write(Told({}, (open_incident(),)))
    assert str(path) in str(found.value)


def test_a_file_that_another_program_holds_is_said_to_be_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    with HistoryFile(path, writes=True) as file:
        file.write(Told({}, (open_incident(),)))
        other = sqlite3.connect(path)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(HistoryError, match="another program holds it"):
            HistoryFile(path, writes=True).write(Told({}, (open_incident(),)))
        other.close()


def test_a_folder_in_its_place_is_no_file_to_who_reads_either(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="it is not a regular file"):
        HistoryFile(tmp_path, writes=False).series()
    with pytest.raises(HistoryError, match="there is no such file"):
        HistoryFile(tmp_path / "none", writes=False).series()


def open_incident() -> PastIncident:
    return PastIncident(
        id="x", cause="dns", names=("chat",), scope="", routes=("chat",), since_s=NOON_S
    )
