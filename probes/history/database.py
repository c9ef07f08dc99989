"""The history's file: made, opened, written by slots, bounded, set aside when it is broken.

Rule 1. A row is of one slot, route, cohort and engine, and is written whole: of two of them the one
that has heard more stays. So a row may be written as often as one likes, by its run while it grows
and by an import later, and nothing is doubled.
Rule 2. The hour that a slot is of is made anew of its slots in the same transaction. Whoever reads
weeks reads hours alone; when slots are let go, nothing has to be merged.
Rule 3. A file of a newer schema is refused, one that is broken is kept under a dated name, and one
that cannot be used now (locked, full disk, no permission) is left as it is.
Rule 4. Slots go after `SLOT_DAYS`, everything after `max_days`, and the oldest hours of all routes
where there is no room: what was deleted is used again, and given back to the disk.
"""

import errno
import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from probes.events import Reference
from probes.history.packed import union
from probes.history.records import (
    COUNTS,
    DIGESTS,
    HOUR_S,
    HOUR_SLOTS,
    SLOT_S,
    PastIncident,
    RouteIdentity,
    SlotRow,
    Told,
    summed,
)
from probes.kit.file_lock import alone
from probes.kit.words import plainly

_Result = TypeVar("_Result")

VERSION: Final = 1
SLOT_DAYS: Final = 60
"""Days after which ten minutes are not looked at one by one any more."""
BUSY_S: Final = 5.0
"""How long a write waits for another run's; in a thread of its own."""
APPLICATION: Final = 0x6C6C6D74
"""Tells our files from other databases: `llmt`."""
_AGAIN_S: Final = 0.02
_PAGE_BYTES: Final = 8_192
"""Rows are some 450 bytes, and lie by route and time: what a month reads lies together."""
_MEND_S: Final = 10.0
_DAY_S: Final = 86_400
_ROOM: Final = 0.97
"""Share of the bound that is left in use when it was passed, so that not each write must delete."""
_INCIDENTS_KEPT: Final = 50_000
_GIVEN_BACK: Final = 2_000
"""Pages that are given back to the disk at once."""
_NO_FILE: Final = "it is not a regular file"
_BROKEN_CODES: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)

_WHOLE: Final = ", ".join(f"{name} INTEGER NOT NULL" for name in COUNTS)
_PACKED: Final = ", ".join(f"{name} BLOB NOT NULL" for name in DIGESTS)
_ROWS: Final = """
CREATE TABLE {table} (
    series INTEGER NOT NULL, at INTEGER NOT NULL, life INTEGER NOT NULL,
    {whole}, usd REAL NOT NULL, {packed},
    PRIMARY KEY (series, at, life)
) WITHOUT ROWID;
"""
_SCHEMA: Final = (
    """
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    route TEXT NOT NULL, base_url TEXT NOT NULL, model TEXT NOT NULL, place TEXT NOT NULL,
    cohort TEXT NOT NULL,
    UNIQUE (route, base_url, model, place, cohort)
);
CREATE TABLE life (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE incident (
    id TEXT PRIMARY KEY, since REAL NOT NULL, ended REAL, cause TEXT NOT NULL, told TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX incident_since ON incident (since);
CREATE TABLE reference (
    series INTEGER PRIMARY KEY, at INTEGER NOT NULL, told TEXT NOT NULL
);
"""
    + _ROWS.format(table="slot", whole=_WHOLE, packed=_PACKED)
    + _ROWS.format(table="hour", whole=_WHOLE, packed=_PACKED)
)
_COLUMNS: Final = ("series", "at", "life", *COUNTS, "usd", *DIGESTS)
HELD: Final = ", ".join((*COUNTS, "usd", *DIGESTS))
_UPSERT: Final = (  # names of ours, and a `?` for each value
    "INSERT INTO {table} VALUES ("  # noqa: S608
    + ", ".join("?" * len(_COLUMNS))
    + ") "
    "ON CONFLICT (series, at, life) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[3:])
    + " WHERE excluded.probes + excluded.attempts >= probes + attempts"
)


class HistoryError(Exception):
    """The history cannot be read or written now; its message is for a person."""


class NewerHistoryError(HistoryError):
    """It was written by a newer version: this one must not touch it."""


class EmptyHistoryError(HistoryError):
    """Nothing has been written yet."""


class BrokenHistoryError(HistoryError):
    """The file is no history, or not whole."""


class StoredRow(NamedTuple):
    """A row as it is read: of which series, when it begins, and what it holds."""

    series: int
    begins_s: int
    row: SlotRow


class StoredSeries(NamedTuple):
    """What a number of `StoredRow.series` stands for."""

    route: RouteIdentity
    cohort: str


class HistoryFile:
    """The database at a path. Not thread-safe; calls block."""

    def __init__(
        self, path: Path, *, writes: bool, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        """Name the file; one that `writes` makes it when it is first used."""
        self._path = path
        self._writes = writes
        self._wall_ns = wall_ns
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        """Of the file that was opened last: another in its place is another file."""
        self._series: dict[tuple[RouteIdentity, str], int] = {}
        self._lives: dict[str, int] = {}
        self.news: list[str] = []
        """What a person should know of repairs; whoever tells it takes it out."""

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def __enter__(self) -> "HistoryFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it go."""
        connection, self._connection = self._connection, None
        self._series, self._lives = {}, {}
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    # Written.

    def write(self, told: Told) -> None:
        """Write down what a fold has told; all of it or nothing.

        Raises:
            HistoryError: it cannot be written now.
        """
        if told.slots or told.incidents or told.references or told.hours:
            self._do(lambda connection: self._write(connection, told))

    def retain(self, *, max_mb: float, max_days: float) -> None:
        """Let the oldest go. Raises HistoryError."""
        self._do(lambda connection: self._retain(connection, max_mb, max_days))

    def _write(self, connection: sqlite3.Connection, told: Told) -> None:
        with _changing(connection):
            rows = [
                _values(
                    self._series_id(connection, key.route, key.cohort),
                    key.slot,
                    self._life_id(connection, key.life),
                    row,
                )
                for key, row in told.hours.items()
            ]
            connection.executemany(_UPSERT.format(table="hour"), rows)
            hours: set[tuple[int, int, int]] = set()
            rows = []
            for key, row in told.slots.items():
                series = self._series_id(connection, key.route, key.cohort)
                life = self._life_id(connection, key.life)
                rows.append(_values(series, key.slot, life, row))
                hours.add((series, key.slot // HOUR_SLOTS, life))
            connection.executemany(_UPSERT.format(table="slot"), rows)
            connection.executemany(
                _UPSERT.format(table="hour"),
                (_values(*hour, _hour(connection, *hour)) for hour in sorted(hours)),
            )
            for incident in told.incidents:
                found = connection.execute("SELECT told FROM incident WHERE id = ?", (incident.id,))
                known = [msgspec.json.decode(told, type=PastIncident) for (told,) in found]
                # A part of a recording may end before the incident did: what is known stays.
                if all(one.knows_no_more_than(incident) for one in known):
                    connection.execute(
                        "INSERT OR REPLACE INTO incident VALUES (?, ?, ?, ?, ?)",
                        (
                            *(incident.id, incident.since_s, incident.ended_s, incident.cause),
                            msgspec.json.encode(incident).decode(),
                        ),
                    )
            for route, reference in told.references:
                series = self._series_id(connection, route, reference.cohort)
                connection.execute(
                    "INSERT INTO reference VALUES (?, ?, ?) ON CONFLICT (series) DO UPDATE"
                    " SET at = excluded.at, told = excluded.told WHERE excluded.at >= at",
                    (
                        *(series, reference.wall_ns // 1_000_000_000),
                        msgspec.json.encode(reference).decode(),
                    ),
                )

    def _series_id(self, connection: sqlite3.Connection, route: RouteIdentity, cohort: str) -> int:
        known = self._series.get((route, cohort))
        if known is None:
            connection.execute(
                "INSERT OR IGNORE INTO series (route, base_url, model, place, cohort)"
                " VALUES (?, ?, ?, ?, ?)",
                (*route, cohort),
            )
            (known,) = connection.execute(
                "SELECT id FROM series WHERE route = ? AND base_url = ? AND model = ?"
                " AND place = ? AND cohort = ?",
                (*route, cohort),
            ).fetchone()
            self._series[route, cohort] = known
        return known

    def _life_id(self, connection: sqlite3.Connection, name: str) -> int:
        known = self._lives.get(name)
        if known is None:
            connection.execute("INSERT OR IGNORE INTO life (name) VALUES (?)", (name,))
            found = connection.execute("SELECT id FROM life WHERE name = ?", (name,))
            (known,) = found.fetchone()
            self._lives[name] = known
        return known

    def _retain(self, connection: sqlite3.Connection, max_mb: float, max_days: float) -> None:
        now_s = self._wall_ns() // 1_000_000_000
        oldest_s = now_s - round(max_days * _DAY_S)
        slots_s = max(oldest_s, now_s - SLOT_DAYS * _DAY_S)
        series = [one for (one,) in connection.execute("SELECT id FROM series")]
        with _changing(connection):
            for one in series:
                # By route, because that is how they lie: a day of all of them is everywhere.
                before = (one, slots_s // SLOT_S)
                connection.execute("DELETE FROM slot WHERE series = ? AND at < ?", before)
                connection.execute(
                    "DELETE FROM hour WHERE series = ? AND at < ?", (one, oldest_s // HOUR_S)
                )
            connection.execute("DELETE FROM incident WHERE since < ?", (oldest_s,))
            connection.execute("DELETE FROM reference WHERE at < ?", (oldest_s,))
            connection.execute(
                "DELETE FROM incident WHERE id NOT IN"
                " (SELECT id FROM incident ORDER BY since DESC LIMIT ?)",
                (_INCIDENTS_KEPT,),
            )
        bound = round(max_mb * 1_000_000)
        if _bytes_used(connection) > bound:
            self._make_room(connection, series, round(_ROOM * bound), now_s)
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        if free > _GIVEN_BACK:
            connection.execute(f"PRAGMA incremental_vacuum({_GIVEN_BACK})").fetchall()

    def _make_room(
        self, connection: sqlite3.Connection, series: Sequence[int], bound: int, now_s: int
    ) -> None:
        """Delete the oldest of all routes, a day at a time: slots first, for their hours stay."""
        for table, span_s in (("slot", SLOT_S), ("hour", HOUR_S)):
            while _bytes_used(connection) > bound:
                begins = [
                    at
                    for one in series
                    for (at,) in connection.execute(
                        f"SELECT min(at) FROM {table} WHERE series = ?",  # noqa: S608 - ours
                        (one,),
                    )
                    if at is not None
                ]
                # The hours of the last day stay, whatever the bound: a history has something.
                if not begins or min(begins) * span_s > now_s - 2 * _DAY_S:
                    break
                until = min(begins) + _DAY_S // span_s
                with _changing(connection):
                    connection.executemany(
                        f"DELETE FROM {table} WHERE series = ? AND at < ?",  # noqa: S608 - ours
                        ((one, until) for one in series),
                    )

    # Read.

    def series(self) -> Mapping[int, StoredSeries]:
        """Return whose rows there are, by number. Raises HistoryError."""

        def read(connection: sqlite3.Connection) -> dict[int, StoredSeries]:
            rows = connection.execute(
                "SELECT id, route, base_url, model, place, cohort FROM series ORDER BY id"
            )
            return {
                number: StoredSeries(RouteIdentity(*route), cohort)
                for number, *route, cohort in rows
            }

        return self._do(read)

    def rows(self, series: Iterable[int], begin_s: float, end_s: float) -> list[StoredRow]:
        """Return the hours of some series that begin within a time. Raises HistoryError."""
        return self._rows("hour", HOUR_S, series, begin_s, end_s)

    def slots(self, series: Iterable[int], begin_s: float, end_s: float) -> list[StoredRow]:
        """Return the slots of ten minutes in the place of the hours. Raises HistoryError."""
        return self._rows("slot", SLOT_S, series, begin_s, end_s)

    def incidents(self, begin_s: float, cause: str = "") -> list[PastIncident]:
        """Return the incidents that were on after a time, of one cause or of any, in order.

        Raises:
            HistoryError: it cannot be read now.
        """

        def read(connection: sqlite3.Connection) -> list[PastIncident]:
            rows = connection.execute(
                "SELECT told FROM incident WHERE coalesce(ended, since) >= ?"
                " AND ? IN ('', cause) ORDER BY since, id",
                (begin_s, cause),
            )
            return [msgspec.json.decode(told, type=PastIncident) for (told,) in rows]

        return self._do(read)

    def references(self) -> list[tuple[RouteIdentity, Reference]]:
        """Return what was usual of each route and cohort, by the last run. Raises HistoryError."""

        def read(connection: sqlite3.Connection) -> list[tuple[RouteIdentity, Reference]]:
            rows = connection.execute(
                "SELECT route, base_url, model, place, told FROM reference"
                " JOIN series ON series.id = reference.series"
            )
            return [
                (RouteIdentity(*route), msgspec.json.decode(told, type=Reference))
                for *route, told in rows
            ]

        return self._do(read)

    def _rows(
        self, table: str, span_s: int, series: Iterable[int], begin_s: float, end_s: float
    ) -> list[StoredRow]:
        def read(connection: sqlite3.Connection) -> list[StoredRow]:
            found: list[StoredRow] = []
            n = len(COUNTS)
            for one in series:
                rows = connection.execute(
                    f"SELECT at, {HELD} FROM {table}"  # noqa: S608 - names of ours
                    " WHERE series = ? AND at >= ? AND at < ? ORDER BY at",
                    (one, -(-begin_s // span_s), -(-end_s // span_s)),
                )
                found += [
                    StoredRow(
                        one, at * span_s, SlotRow(tuple(held[:n]), held[n], tuple(held[n + 1 :]))
                    )
                    for at, *held in rows
                ]
            return found

        return self._do(read)

    # The file.

    def _do(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Do something with the open database; a broken one is set aside once, if we may write."""
        for attempt in (0, 1):
            try:
                return work(self._opened())
            except (sqlite3.Error, OSError, ValueError, OverflowError, BrokenHistoryError) as error:
                if isinstance(error, BrokenHistoryError):
                    broken = error
                elif _is_broken(error):
                    broken = BrokenHistoryError(f"the history {self._path} is broken: {error}")
                else:
                    self.close()
                    raise HistoryError(self._cannot(error)) from error
                self.close()
                if attempt or not self._writes:
                    raise broken from error
                self._set_aside(broken)
        raise AssertionError  # the second attempt returns or raises

    def _cannot(self, error: Exception) -> str:
        why = (isinstance(error, OSError) and error.strerror) or plainly(str(error))
        remedy = _remedy(error, self._path.parent)
        return f"the history {self._path} cannot be used: {why}" + (remedy and f": {remedy}")

    def _opened(self) -> sqlite3.Connection:
        """Return the database that is at the path now."""
        if self._connection is not None and self._inode != _inode_of(self._path):
            self.close()  # another run has set it aside meanwhile
        if self._connection is None:
            if self._writes:
                self._make()
            elif not self._path.is_file():
                # SQLite would call a folder an I/O error.
                raise OSError(_NO_FILE if self._path.exists() else "there is no such file")
            self._inode = _inode_of(self._path)
            self._connection = self._connect()
        return self._connection

    def _make(self) -> None:
        """Put an empty file where none is, readable by its owner alone."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(self._path, flags, 0o600)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(_NO_FILE)
            if status.st_mode & 0o077 and os.name == "posix":
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)

    def _connect(self) -> sqlite3.Connection:
        mode = "rw" if self._writes else "ro"
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            deadline = time.monotonic() + BUSY_S
            while not self._is_checked(connection, is_last=time.monotonic() > deadline):
                time.sleep(_AGAIN_S)
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_checked(self, connection: sqlite3.Connection, *, is_last: bool) -> bool:
        """Check it; return False where another run is at it just now.

        Of two that make a file at one instant SQLite turns one away at once, however long it is to
        wait: it would wait for a journal that the other is replacing.
        """
        try:
            self._check(connection)
        except sqlite3.OperationalError as error:
            if is_last or not _is_busy(error):
                raise
            return False
        return True

    def _check(self, connection: sqlite3.Connection) -> None:
        """Make sure that it is a history of this schema; make one of an empty file."""
        # Of one moment: another run may be making it just now.
        connection.execute("BEGIN")
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.execute("COMMIT")
        if not tables and not version:
            if not self._writes:
                raise EmptyHistoryError(f"the history {self._path} is empty")
            self._create(connection)
        elif application != APPLICATION:
            raise BrokenHistoryError(f"{self._path} is a database of something else")
        elif version > VERSION:
            raise NewerHistoryError(
                f"the history {self._path} was written by a newer llmtop (schema {version}; this"
                f" one knows {VERSION}), and is left as it is: upgrade llmtop, or move it away"
            )
        if self._writes:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {16 << 20}").fetchall()

    def _create(self, connection: sqlite3.Connection) -> None:
        # These hold for an empty file alone, and before anything is in it.
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        with _changing(connection):
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables:
                return  # another run has made it meanwhile
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def _set_aside(self, broken: Exception) -> None:
        """Keep a broken file under a dated name, unless another run has done that meanwhile."""
        self.close()
        try:
            with alone(self._path.with_name(f"{self._path.name}.lock"), _MEND_S):
                if self._inode != _inode_of(self._path):
                    return
                moment = time.gmtime(self._wall_ns() / 1e9)
                stamp = f"{time.strftime('%Y%m%dT%H%M%SZ', moment)}-{secrets.token_hex(2)}"
                aside = self._path.with_name(f"{self._path.name}.broken-{stamp}")
                for suffix in ("-wal", "-shm"):
                    # A log left behind would be played into the new file.
                    with suppress(FileNotFoundError):
                        beside = self._path.with_name(self._path.name + suffix)
                        beside.rename(aside.with_name(aside.name + suffix))
                self._path.rename(aside)
        except OSError as error:
            raise HistoryError(self._cannot(error)) from error
        self.news.append(
            f"{broken}: kept as {aside}, a new one is begun; `llmtop history import {aside}`"
            " brings back what can be read of it, and of recordings what they tell"
        )


def _inode_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _hour(connection: sqlite3.Connection, series: int, hour: int, life: int) -> SlotRow:
    """Return an hour, made of its slots."""
    first = hour * HOUR_SLOTS
    n = len(COUNTS)
    found = connection.execute(
        f"SELECT {HELD} FROM slot WHERE series = ? AND life = ? AND at >= ? AND at < ?",  # noqa: S608
        (series, life, first, first + HOUR_SLOTS),
    ).fetchall()
    return SlotRow(
        summed(held[:n] for held in found),
        sum(held[n] for held in found),
        tuple(union(tuple(held[n + 1 + at] for held in found)) for at in range(len(DIGESTS))),
    )


def _values(series: int, at: int, life: int, row: SlotRow) -> tuple[object, ...]:
    return (series, at, life, *row.counts, row.usd, *row.digests)


def _bytes_used(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


@contextmanager
def _changing(connection: sqlite3.Connection) -> Iterator[None]:
    """Change it whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def _remedy(error: Exception, folder: Path) -> str:
    """Return what a person can do where a file cannot be used; empty where that is not known."""
    code = getattr(error, "sqlite_errorcode", -1)
    number = error.errno if isinstance(error, OSError) else None
    if code & 0xFF == sqlite3.SQLITE_FULL or number in (errno.ENOSPC, errno.EDQUOT):
        return "make room on its disk"
    if _is_busy(error):
        return "another program holds it, and must let it go"
    may_not = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
    if code & 0xFF in may_not or number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"let this user write in {folder}, or name another state folder by XDG_STATE_HOME"
    return ""


def _is_busy(error: Exception) -> bool:
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _is_broken(error: Exception) -> bool:
    """Tell whether the file, not its surroundings, is at fault."""
    if isinstance(error, ValueError):  # a digest or an incident in it is none
        return True
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    code: int = getattr(error, "sqlite_errorcode", -1)
    # Without a table that our schema has, it is not ours.
    return code & 0xFF in _BROKEN_CODES or str(error).startswith("no such ")
