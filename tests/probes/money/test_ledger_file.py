"""The ledger's file: brought up to date, set aside when broken, never begun from nothing."""

import errno
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.config import Budget, Route
from probes.config.urls import mask_url
from probes.money.lease_rules import Ask, route_key
from probes.money.ledger import Ledger
from probes.money.ledger_file import BrokenLedgerError, LedgerError, _is_busy, _put

pytestmark = pytest.mark.usefixtures("closed_ledgers")

BUDGET = Budget(tokens_per_hour=200_000, route_tokens_per_hour=100_000)
ROUTE = Route(name="r", base_url="http://x/v1?api-version=7", model="m")
KEY = route_key(ROUTE)
NS = 1_000_000_000
ROOT = str(Path(__file__).parents[3])

FIRST_SCHEMA = """
CREATE TABLE spending (
    bucket INTEGER NOT NULL, route TEXT NOT NULL,
    tokens INTEGER NOT NULL, usd REAL NOT NULL,
    PRIMARY KEY (bucket, route)
) WITHOUT ROWID;
CREATE TABLE lease (
    run TEXT NOT NULL, route TEXT NOT NULL,
    tokens INTEGER NOT NULL, usd REAL NOT NULL,
    expires INTEGER NOT NULL, pid INTEGER NOT NULL, boot TEXT NOT NULL, born TEXT NOT NULL,
    PRIMARY KEY (run, route)
) WITHOUT ROWID;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "llmtop" / "ledger.sqlite3"


def spend(ledger: Ledger, tokens: int, run: str = "a", budget: Budget = BUDGET) -> int:
    """Tell of spending and ask for as much as there is; return what was leased."""
    ask = Ask(KEY, spent_tokens=tokens, want_tokens=10**9)
    return ledger.exchange(run, [ask], budget)[KEY].tokens


def note(ledger: Ledger, tokens: int, run: str = "a") -> None:
    """Tell of spending, and lease nothing."""
    ledger.exchange(run, [Ask(KEY, spent_tokens=tokens)], BUDGET)


def asides(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.broken-*"))


def record(path: Path, tokens: int, stem: str = "20261129T120000Z-77-0a1b2c3d") -> None:
    """Leave a recording beside the ledger that tells of spending just now."""
    folder = path.parent / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    now = time.time_ns()
    url = mask_url(ROUTE.base_url)
    (folder / f"{stem}.0001.jsonl").write_text(
        f'{{"type":"hello","at_ns":1,"wall_ns":{now},"routes":'
        f'[{{"name":"r","base_url":"{url}","model":"m"}}]}}\n'
        f'{{"type":"attempt_finished","at_ns":2,"route":"r","probe":"1","charged_tokens":{tokens}}}\n'
    )


def rewrite(content: bytes) -> Callable[[Path], None]:
    return lambda path: _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def wipe_a_page(path: Path) -> None:
    """Overwrite the page that the spending stands in."""
    connection = sqlite3.connect(path)
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'spending'"
    ).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def drop_a_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE spending")
    connection.close()


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "something else": rewrite(b"this is no database at all, but long enough " * 99),
    "a few bytes": rewrite(b"x"),
    "emptied": rewrite(b""),
    "zeros": rewrite(b"\0" * 8192),
    "a wiped page": wipe_a_page,
    "a lost table": drop_a_table,
    "cut in half": truncate,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open"])
def test_a_broken_ledger_is_kept_and_no_new_budget(
    path: Path, damage: Callable[[Path], None], is_open: bool
) -> None:
    ledger = Ledger(path)
    note(ledger, 90_000)
    if not is_open:
        ledger.release("a")
        ledger.close()
        ledger = Ledger(path)
    damage(path)
    broken = path.read_bytes()
    other = Ledger(path)
    assert spend(other, 0, "b") <= 1_000
    (aside,) = asides(path)
    assert aside.read_bytes() == broken
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (news,) = other.take_news()
    assert str(path) in news
    assert str(aside) in news
    assert "only the emergency part" in news
    assert "only the emergency part" in other.doubt
    assert other.take_news() == []
    if is_open:  # who had it open tells what it has spent
        note(ledger, 5)
        assert ledger.used() == (90_005, 0.0)
        assert ledger.take_news() == []
    assert asides(path) == [aside]
    left = [one.name for one in path.parent.iterdir() if "new-" in one.name]
    assert left == []


def test_the_emergency_part_is_for_all_runs_together_and_only_for_an_hour(path: Path) -> None:
    now = [time.time_ns()]
    ledger = Ledger(path, wall_ns=lambda: now[0])
    note(ledger, 10)
    ledger.close()
    path.write_bytes(b"broken" * 999)
    ledger = Ledger(path, wall_ns=lambda: now[0])
    assert spend(ledger, 0, "b") == 1_000
    spend(ledger, 600, "b")
    assert spend(ledger, 0, "c") == 0
    wide = Budget(tokens_per_hour=400_000, route_tokens_per_hour=400_000)
    assert ledger.exchange("d", [Ask("other", want_tokens=10**9)], wide)["other"].tokens == 3_000
    now[0] += 3_620 * NS
    assert ledger.exchange("e", [Ask("other", want_tokens=10**9)], wide)["other"].tokens > 90_000
    assert ledger.doubt == ""


def test_a_doubt_can_be_lifted_for_all(path: Path) -> None:
    ledger = Ledger(path)
    note(ledger, 10)
    ledger.close()
    path.write_bytes(b"broken" * 999)
    ledger, other = Ledger(path), Ledger(path)
    assert spend(ledger, 0, "b") == 1_000
    other.lift()
    assert spend(ledger, 0, "b") == 100_000
    assert ledger.doubt == ""


def test_what_was_recorded_stands_in_the_new_one_and_there_is_no_doubt(path: Path) -> None:
    note(Ledger(path), 90_000)
    record(path, 88_000)
    path.write_bytes(b"broken" * 999)
    ledger = Ledger(path)
    ledger.introduce([ROUTE])
    assert spend(ledger, 0, "b") == 12_000  # under its own key, though its URL is masked there
    assert ledger.doubt == ""
    (news,) = ledger.take_news()
    assert "1 recording tells of 88,000 tokens" in news
    (recorded,) = (run for run in ledger.report().runs if run.command == "recorded")
    assert (recorded.pid, recorded.tokens, recorded.alive) == (77, 88_000, False)


def test_a_run_that_lives_and_is_recorded_is_not_counted_twice(path: Path) -> None:
    ledger = Ledger(path)
    ledger.introduce([ROUTE])
    ledger.attribute("a", "20261129T120000Z-77-0a1b2c3d")
    note(ledger, 90_000)
    record(path, 88_000)
    path.write_bytes(b"broken" * 999)
    assert Ledger(path).used() == (88_000, 0.0)
    note(ledger, 1)
    assert ledger.used() == (90_001, 0.0)


def test_a_ledger_that_was_deleted_is_told_again_and_so_it_is_by_recordings(path: Path) -> None:
    ledger = Ledger(path)
    assert spend(ledger, 7_000) == 93_000
    record(path, 400)
    path.unlink()
    other = Ledger(path)
    assert other.used() == (400, 0.0)
    (news,) = other.take_news()
    assert "was not there; 1 recording tells of 400 tokens" in news
    spend(ledger, 0)
    assert other.used() == (7_400, 0.0)
    assert spend(other, 0, "b") == 0  # what the first has leased is leased again


def test_a_first_ledger_is_no_news_and_not_in_doubt(path: Path) -> None:
    ledger = Ledger(path)
    assert spend(ledger, 0) == 100_000
    assert (ledger.take_news(), ledger.doubt) == ([], "")


def test_a_ledger_that_broke_long_after_it_was_last_written_to_is_not_in_doubt(path: Path) -> None:
    note(Ledger(path), 10)
    path.write_bytes(b"broken" * 999)
    os.utime(path, (time.time() - 4_000, time.time() - 4_000))
    ledger = Ledger(path)
    assert spend(ledger, 0, "b") == 100_000
    assert ledger.doubt == ""
    assert len(asides(path)) == 1


@pytest.mark.parametrize(("age_s", "left"), [(0, 1_000), (4_000, 100_000)])
def test_one_set_aside_by_a_run_that_was_killed_amid_that_is_in_doubt_too(
    path: Path, age_s: int, left: int
) -> None:
    note(Ledger(path), 10)
    aside = path.with_name(f"{path.name}.broken-20261129T120000Z")
    path.rename(aside)
    os.utime(aside, (time.time() - age_s, time.time() - age_s))
    assert spend(Ledger(path), 0, "b") == left


def test_a_journal_of_the_broken_file_is_not_played_into_the_new_one(path: Path) -> None:
    note(Ledger(path), 10)
    path.write_bytes(b"broken" * 999)
    journal = path.with_name(path.name + "-journal")
    journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 504)
    assert Ledger(path).used() == (0, 0.0)
    assert not journal.exists()
    assert Ledger(path).used() == (0, 0.0)


MENDER = """
import sys
from pathlib import Path
from probes.config import Budget
from probes.money.lease_rules import Ask
from probes.money.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
sys.stdin.readline()
budget = Budget(tokens_per_hour=200_000, route_tokens_per_hour=100_000)
grant = ledger.exchange(sys.argv[2], [Ask("r", spent_tokens=100, want_tokens=10)], budget)["r"]
ledger.release(sys.argv[2])
print(len(ledger.take_news()))
"""


def test_of_many_that_find_it_broken_at_once_one_sets_it_aside(path: Path) -> None:
    note(Ledger(path), 10)
    path.write_bytes(b"broken" * 999)
    menders = [
        subprocess.Popen(
            [sys.executable, "-c", MENDER, str(path), f"run{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": ROOT},
        )
        for number in range(5)
    ]
    for mender in menders:
        assert mender.stdin is not None
        mender.stdin.write("\n")
        mender.stdin.flush()
    said = [int(mender.communicate()[0]) for mender in menders]
    assert sum(said) == 1
    assert len(asides(path)) == 1
    assert Ledger(path).used() == (500, 0.0)  # and nobody's spending was lost on the way


def test_one_that_only_reads_sets_nothing_aside(path: Path) -> None:
    note(Ledger(path), 10)
    path.write_bytes(b"broken" * 999)
    with pytest.raises(BrokenLedgerError, match="not a database"):
        Ledger(path, mends=False).report()
    assert asides(path) == []


def test_a_ledger_of_a_newer_llmtop_is_left_as_it_is(path: Path) -> None:
    note(Ledger(path), 10)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LedgerError, match="of a newer llmtop"):
        Ledger(path).used()
    assert asides(path) == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_file_is_not_opened_and_not_moved(
    path: Path, make: Callable[[Path], None]
) -> None:
    path.parent.mkdir()
    make(path)
    with pytest.raises(LedgerError, match="not a regular file"):
        Ledger(path).used()
    assert not path.is_file()


def test_a_ledger_of_the_first_schema_loses_nothing(path: Path) -> None:
    now_s = int(time.time())
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_SCHEMA)
    rows = [(now_s // 10, KEY, 700, 0.5), (now_s // 10 - 5, KEY, 11, 0.0), (now_s // 10, "s", 2, 0)]
    connection.executemany("INSERT INTO spending VALUES (?, ?, ?, ?)", rows)
    connection.execute(
        "INSERT INTO lease VALUES ('0a', ?, 40, 0.25, ?, 1, 'boot', 'born')", (KEY, now_s + 60)
    )
    connection.commit()
    connection.close()
    ledger = Ledger(path)
    assert ledger.used(KEY) == (711, 0.5)
    assert ledger.used() == (713, 0.5)
    assert spend(ledger, 0, "b") == 100_000 - 711 - 40
    report = ledger.report()
    assert {(run.id, run.tokens, run.alive) for run in report.runs if run.id != "b"} == {
        ("earlier", 713, False),
        ("0a", 0, None),
    }
    (earlier,) = (run for run in report.runs if run.id == "earlier")
    assert (earlier.pid, earlier.host, earlier.command, earlier.started_s) == (0, "", "", 0)
    later = Ledger(path, wall_ns=lambda: (now_s + 61) * NS)
    assert later.used(KEY) == (751, 0.75)
    assert later.strike("earlier").tokens == 713
    assert later.used() == (40, 0.25)
    assert ledger.take_news() == later.take_news() == []
    assert asides(path) == []


def test_a_ledger_of_the_second_schema_loses_nothing(path: Path) -> None:
    ledger = Ledger(path)
    ledger.exchange("a", [Ask(KEY, spent_tokens=700, want_tokens=40)], BUDGET)
    ledger.close()
    connection = sqlite3.connect(path)
    connection.executescript(
        "ALTER TABLE lease RENAME TO third;"
        "CREATE TABLE lease (run TEXT NOT NULL, route TEXT NOT NULL, tokens INTEGER NOT NULL,"
        " usd REAL NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (run, route)) WITHOUT ROWID;"
        "INSERT INTO lease SELECT run, route, tokens, usd, expires FROM third;"
        "DROP TABLE third; PRAGMA user_version = 2;"
    )
    connection.close()
    for _ in range(2):
        again = Ledger(path)
        (run,) = again.report().runs
        assert (run.id, run.tokens + run.leased_tokens) == ("a", 740)  # it is settled: it is dead
        again.close()
    assert asides(path) == []


def test_engines_tell_a_ledger_that_is_made_anew_of_all_their_leases(path: Path) -> None:
    ledger = Ledger(path)
    for engine in range(2):
        ledger.exchange("a", [Ask(KEY, want_tokens=40)], BUDGET, engine=engine)
    path.unlink()
    ledger.exchange("a", [Ask(KEY, want_tokens=40)], BUDGET, engine=1)
    (run,) = ledger.report().runs
    assert run.leased_tokens == 80


def test_a_full_disk_changes_nothing_and_is_no_new_budget(path: Path) -> None:
    ledger = Ledger(path)
    note(ledger, 60_000)
    connection = ledger._file.connection()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    much = [Ask(f"route {number}", spent_tokens=1) for number in range(5_000)]
    with pytest.raises(LedgerError, match="full"):
        ledger.exchange("a", much, BUDGET)
    assert ledger.used(KEY) == (60_000, 0.0)
    note(ledger, 1)
    assert ledger.used(KEY) == (60_001, 0.0)


def test_a_damaged_run_name_is_shown_and_harmless(path: Path) -> None:
    note(Ledger(path), 10)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE run SET id = '../../x'")
    connection.execute("UPDATE lease SET run = '../../x'")
    connection.commit()
    connection.close()
    assert Ledger(path).used() == (10, 0.0)


@pytest.mark.parametrize(
    ("code", "busy"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, True),  # an extended code is of its primary one
        (sqlite3.SQLITE_LOCKED, True),
        (sqlite3.SQLITE_CORRUPT, False),
        (sqlite3.SQLITE_FULL, False),
        (None, False),  # Python's own
    ],
)
def test_a_file_that_another_run_holds_is_busy_and_not_broken(code: int | None, busy: bool) -> None:
    error = sqlite3.OperationalError("m")
    if code is not None:
        error.sqlite_errorcode = code  # type: ignore[misc]
    assert _is_busy(error) is busy


def test_an_emptied_ledger_is_called_empty_and_a_released_run_leaves_no_lock(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state" / "ledger.sqlite3"
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    ledger = Ledger(path)
    ledger.exchange("aa11", [Ask(route_key(ROUTE), 5, 0.0, want_tokens=10)], Budget())
    assert any("it is empty" in news for news in ledger.take_news())
    runs = path.with_name("runs")
    assert [lock.name for lock in runs.iterdir()] == ["aa11.lock"]
    ledger.release("aa11")
    assert list(runs.iterdir()) == []
    ledger.close()


def test_a_run_that_had_it_open_tells_all_that_it_spent_however_often_it_asked(path: Path) -> None:
    ledger = Ledger(path)
    for tokens in (90_000, 7):
        note(ledger, tokens)
    rewrite(b"x" * 200)(path)
    note(ledger, 5)
    assert ledger.used() == (90_012, 0.0)


@pytest.mark.parametrize("is_there", [False, True])
def test_without_hard_links_a_new_file_takes_a_free_place_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    fresh, place = tmp_path / "fresh", tmp_path / "ledger.sqlite3"
    fresh.write_text("new")
    if is_there:
        place.write_text("old")
    _put(fresh, place)
    assert place.read_text() == ("old" if is_there else "new")
