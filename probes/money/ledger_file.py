"""The ledger's database file: made, opened, brought up to date, and set aside when it is broken.

1. Unknown is not zero. A ledger that is missing or broken is not begun from nothing: what the last
   hour's recordings tell stands in the new one, and where a broken one was written to within the
   hour and nothing was recorded, the new one is in doubt: until that hour is over, or somebody
   lifts it, only the emergency part of each budget may be spent.
2. A file that cannot be used now (locked, full disk, no permission) is left as it is.
3. A broken file is kept, under a dated name. One process sets it aside and puts the new one in its
   place, under a lock, and never over a file that is there; the others find that done.
4. A file that was exchanged while it was open is noticed before it is used again.
"""

import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from probes.kit.file_lock import FileBusyError, alone
from probes.kit.short_figures import counted
from probes.kit.words import plainly
from probes.money.lease_rules import HOUR_S
from probes.money.recollection import Recollection, recollect

BUCKET_S: Final = 10
"""Spending is kept by slices of so many seconds, and counts until its slice is an hour old."""
BUSY_S: Final = 2.0
"""How long a call waits for others that write; in a worker thread."""
_MEND_S: Final = 20.0
"""How long one waits for another that is mending: it reads an hour's recordings meanwhile."""
_VERSION: Final = 3
_NS_PER_S: Final = 1_000_000_000
_BROKEN_CODES: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)

_SCHEMA: Final = """
CREATE TABLE run (
    id TEXT PRIMARY KEY,
    pid INTEGER NOT NULL, boot TEXT NOT NULL, born TEXT NOT NULL, space TEXT NOT NULL,
    locked INTEGER NOT NULL, host TEXT NOT NULL, command TEXT NOT NULL, started INTEGER NOT NULL,
    recording TEXT NOT NULL, ended INTEGER
) WITHOUT ROWID;
CREATE TABLE route (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, base_url TEXT NOT NULL, model TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE spending (
    bucket INTEGER NOT NULL, route TEXT NOT NULL, run TEXT NOT NULL,
    tokens INTEGER NOT NULL, usd REAL NOT NULL,
    PRIMARY KEY (bucket, route, run)
) WITHOUT ROWID;
CREATE TABLE lease (
    run TEXT NOT NULL, engine INTEGER NOT NULL, route TEXT NOT NULL,
    tokens INTEGER NOT NULL, usd REAL NOT NULL, expires INTEGER NOT NULL,
    PRIMARY KEY (run, engine, route)
) WITHOUT ROWID;
CREATE TABLE doubt (since INTEGER NOT NULL, until INTEGER NOT NULL, why TEXT NOT NULL);
"""
_COLUMNS: Final = {
    "run": "id pid boot born space locked host command started recording ended",
    "route": "key name base_url model",
    "spending": "bucket route run tokens usd",
    "lease": "run engine route tokens usd expires",
    "doubt": "since until why",
}
_SECOND_COLUMNS: Final = {**_COLUMNS, "lease": "run route tokens usd expires"}
"""Of the second schema, in which a run had one lease of a route for all its engines."""
_FIRST_COLUMNS: Final = {
    "spending": "bucket route tokens usd",
    "lease": "run route tokens usd expires pid boot born",
}
"""Of the first schema, which knew routes but not runs."""

RecordedKey = Callable[[str, str, str], str]
"""Gives a route's key from its name, masked base URL and model."""


class LedgerError(Exception):
    """The ledger cannot be read or written now; its message is for a person."""

    def __init__(self, message: str, why: str = "") -> None:
        """Say it whole; `why` is the reason alone, for a line that has no room for paths."""
        super().__init__(message)
        self.why = why or message


class BrokenLedgerError(LedgerError):
    """What stands there is no ledger: whoever spends sets such a file aside."""


class _BrokenError(Exception):
    """What is wrong with the file, in words."""


class _Doubt(msgspec.Struct, frozen=True):
    since: int
    until: int
    why: str


class LedgerFile:
    """One database file, or one in memory where `path` is None. Not thread-safe; calls block."""

    def __init__(
        self,
        path: Path | None,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        recordings: Path | None = None,
        key_of: RecordedKey,
        mends: bool = True,
    ) -> None:
        """Name the file; it is made when it is first used. Without `mends` it is never set aside.

        `recordings` is the folder that what is lost is told from.
        """
        self._path = path
        self._wall_ns = wall_ns
        self._recordings = recordings
        self._key_of = key_of
        self._mends = mends
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] = (0, 0)
        self.news: list[str] = []
        """What a person should know of repairs; whoever tells it takes it out."""

    def connection(self) -> sqlite3.Connection:
        """Return the open database, which is that at the path now.

        Raises:
            LedgerError: it cannot be used now.
        """
        if self._connection is not None and self._path is not None and not self._in_place():
            self.close()
        if self._connection is None:
            try:
                self._connection = self._opened()
            except (sqlite3.Error, OSError) as error:
                raise self.failure(error) from error
        return self._connection

    def failure(self, error: Exception) -> LedgerError:
        """Return the error that a person reads; after most of them the file is opened anew."""
        if self._path is not None and not _is_busy(error):
            self.close()
        why = (isinstance(error, OSError) and error.strerror) or plainly(str(error))
        where = self._path or "in memory"
        return LedgerError(f"the spending ledger {where} cannot be used: {why}", why)

    @staticmethod
    def is_broken(error: Exception) -> bool:
        """Tell whether the file, not its surroundings, is at fault."""
        return isinstance(error, sqlite3.DatabaseError) and (
            _code(error) in _BROKEN_CODES or _code(error) == sqlite3.SQLITE_ERROR
        )

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _in_place(self) -> bool:
        assert self._path is not None  # noqa: S101 - asked for files only
        try:
            status = self._path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode

    def _opened(self) -> sqlite3.Connection:
        if self._path is None:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            _create(connection)
            return connection
        for _ in range(2):
            try:
                return self._open_file(self._path)
            except FileNotFoundError:
                self._replace(self._path)
            except _BrokenError as broken:
                if not self._mends:
                    raise BrokenLedgerError(
                        f"the spending ledger {self._path} is broken: {broken}; the next run sets"
                        " it aside and tells what it spent from the last hour's recordings"
                    ) from None
                self._replace(self._path)
        raise LedgerError(f"the spending ledger {self._path} cannot be used: it breaks again")

    def _open_file(self, path: Path) -> sqlite3.Connection:
        """Open what is there, whole and of this schema.

        Raises:
            FileNotFoundError: nothing is there.
            _BrokenError: it is no ledger.
            sqlite3.Error, OSError, LedgerError: it cannot be used now.
        """
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is not a regular file")
        if status.st_mode & 0o077:
            path.chmod(0o600)
        if status.st_size == 0:
            raise _BrokenError("it is empty")
        connection = _connect(path)
        try:
            _check(connection, path)
        except sqlite3.DatabaseError as error:
            connection.close()
            if _code(error) in _BROKEN_CODES:
                raise _BrokenError(str(error)) from error
            raise
        except BaseException:
            connection.close()
            raise
        self._inode = (status.st_dev, status.st_ino)
        return connection

    def _replace(self, path: Path) -> None:
        """Put a new ledger where none or a broken one is, unless another has done it meanwhile."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _being_mended(path):
            try:
                self._open_file(path).close()
            except FileNotFoundError:
                wrong = ""
            except _BrokenError as broken:
                wrong = str(broken)
            else:
                return
            fresh = path.with_name(f"{path.name}.new-{os.getpid()}-{secrets.token_hex(4)}")
            try:
                news = self._fill(fresh, path, wrong)
                if wrong:
                    aside = self._set_aside(path)
                    news = (
                        f"the spending ledger {path} was broken ({wrong}): kept as {aside}; {news}"
                    )
                elif news:
                    news = f"the spending ledger {path} was not there; {news}"
                _put(fresh, path)
            finally:
                with suppress(OSError):
                    fresh.unlink()
            if news:
                self.news.append(news)

    def _fill(self, fresh: Path, path: Path, wrong: str) -> str:
        """Make a ledger of what is known of the last hour; return that in words."""
        now_s = self._wall_ns() // _NS_PER_S
        recollected = Recollection()
        if self._recordings is not None:
            recollected = recollect(self._recordings, now_s=now_s)
        os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = _connect(fresh)
        try:
            _create(connection)
            connection.execute("BEGIN")
            tokens = self._note(connection, recollected)
            doubt = _doubt(path, wrong, recollected, now_s)
            if doubt is not None:
                connection.execute(
                    "INSERT INTO doubt VALUES (?, ?, ?)", (doubt.since, doubt.until, doubt.why)
                )
            connection.execute("COMMIT")
        finally:
            connection.close()
        if recollected.runs:
            runs = counted(len(recollected.runs), "recording tells", "recordings tell")
            spent = f"{counted(tokens, 'token')} in the last hour"
            known = f"{runs} of {spent}; what was not recorded is unknown"
        else:
            known = "no recording tells what was spent in the last hour" if wrong else ""
        return f"{known}; {doubt.why}" if doubt is not None else known

    def _note(self, connection: sqlite3.Connection, recollected: Recollection) -> int:
        total = 0
        for run in recollected.runs:
            identity = f"recorded_{run.pid}_{secrets.token_hex(4)}"
            connection.execute(
                "INSERT INTO run VALUES (?, ?, '', '', '', 0, '', 'recorded', ?, ?, ?)",
                (identity, run.pid, run.started_s, run.stem, run.last_s),
            )
            for one in run.routes:
                key = self._key_of(one.name, one.base_url, one.model)
                connection.execute(
                    "INSERT OR IGNORE INTO route VALUES (?, ?, ?, ?)",
                    (key, one.name, one.base_url, one.model),
                )
            for (route, second), (tokens, usd) in run.spent.items():
                key = self._key_of(route.name, route.base_url, route.model)
                note_spending(connection, second, key, identity, tokens, usd)
                total += tokens
        return total

    def _set_aside(self, path: Path) -> Path:
        """Move the broken file and what belongs to it to a name with the date; return that."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall_ns() / _NS_PER_S))
        aside = path.with_name(f"{path.name}.broken-{stamp}")
        while aside.exists():
            aside = path.with_name(f"{path.name}.broken-{stamp}-{secrets.token_hex(2)}")
        for suffix in ("-journal", "-wal", "-shm"):
            # A journal left behind would be played into the new file.
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        path.rename(aside)
        return aside


def note_spending(
    connection: sqlite3.Connection, second: int, route: str, run: str, tokens: int, usd: float
) -> None:
    """Count spending of a moment, wall time in seconds."""
    if tokens or usd:
        connection.execute(
            "INSERT INTO spending VALUES (?, ?, ?, ?, ?) ON CONFLICT (bucket, route, run)"
            " DO UPDATE SET tokens = tokens + excluded.tokens, usd = usd + excluded.usd",
            (second // BUCKET_S, route, run, tokens, usd),
        )


def _doubt(path: Path, wrong: str, recollected: Recollection, now_s: int) -> _Doubt | None:
    """Return what is in doubt of a ledger that is made anew; None where all is known.

    A ledger that is missing was never there, or was deleted by somebody who may do so; unless it
    was set aside by a run that was killed before it had put the new one in its place.
    """
    if recollected.runs and recollected.whole:
        return None
    lost = [path] if wrong else list(path.parent.glob(f"{path.name}.broken-*"))
    # Each spending is written there: of an old one nothing was spent since.
    if not any(_written_s(one) >= now_s - HOUR_S for one in lost):
        return None
    until = now_s + HOUR_S + BUCKET_S
    clock = time.strftime("%H:%M UTC", time.gmtime(until))
    return _Doubt(
        now_s, until, f"until {clock} only the emergency part of each budget may be spent"
    )


def _written_s(path: Path) -> float:
    """Return when a file was last written to, wall seconds; 0 where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Make sure that the database is whole and of this schema; bring older ones up to it."""
    found = connection.execute("PRAGMA quick_check(1)").fetchall()
    if found != [("ok",)]:
        raise _BrokenError(str(found[0][0]) if found else "its check says nothing")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise LedgerError(f"the spending ledger {path} is of a newer llmtop")
    columns = _columns(connection)
    if version == 0 and columns == _FIRST_COLUMNS:
        _migrate(connection)
    elif version == 2 and columns == _SECOND_COLUMNS:
        _divide_leases(connection)
    elif version != _VERSION or columns != _COLUMNS:
        raise _BrokenError("it is a database of something else")


def _columns(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute(
        "SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p"
        " WHERE m.type = 'table' ORDER BY m.name, p.cid"
    )
    columns: dict[str, str] = {}
    for table, column in rows.fetchall():
        columns[table] = f"{columns[table]} {column}" if table in columns else column
    return columns


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring a ledger of the first schema up to this one; nothing that was spent is lost.

    It did not tell which run had spent what: that stands under no run. Its leases stay as leases
    of runs of which nothing can be known from here.
    """
    with _changing(connection):
        if _columns(connection) != _FIRST_COLUMNS:
            return  # another process has done it meanwhile
        for table in _FIRST_COLUMNS:
            connection.execute(f"ALTER TABLE {table} RENAME TO first_{table}")
        for statement in filter(str.strip, _SCHEMA.split(";")):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO spending SELECT bucket, route, '', tokens, usd FROM first_spending"
        )
        connection.execute(
            "INSERT INTO run SELECT run, max(pid), max(boot), max(born), '', 0, '', '',"
            " max(expires) - 600, '', NULL FROM first_lease GROUP BY run"
        )
        connection.execute(
            "INSERT INTO lease SELECT run, 0, route, tokens, usd, expires FROM first_lease"
        )
        for table in _FIRST_COLUMNS:
            connection.execute(f"DROP TABLE first_{table}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _divide_leases(connection: sqlite3.Connection) -> None:
    """Bring a ledger of the second schema up to this one: its leases are of a first engine."""
    with _changing(connection):
        if _columns(connection) != _SECOND_COLUMNS:
            return  # another process has done it meanwhile
        connection.execute("ALTER TABLE lease RENAME TO second_lease")
        (statement,) = (one for one in _SCHEMA.split(";") if "CREATE TABLE lease" in one)
        connection.execute(statement)
        connection.execute(
            "INSERT INTO lease SELECT run, 0, route, tokens, usd, expires FROM second_lease"
        )
        connection.execute("DROP TABLE second_lease")
        connection.execute(f"PRAGMA user_version = {_VERSION}")


@contextmanager
def _changing(connection: sqlite3.Connection) -> Iterator[None]:
    """Change the schema whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _put(fresh: Path, path: Path) -> None:
    """Move a new file to its place; never over one that is there."""
    try:
        os.link(fresh, path)
    except FileExistsError:
        return  # another process was first: its file holds
    except OSError:  # a file system without hard links
        if not path.exists():
            fresh.rename(path)


def _code(error: Exception) -> int:
    """Return SQLite's primary result code; -1 where the error is Python's own."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else -1


def _is_busy(error: Exception) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def _being_mended(path: Path) -> Iterator[None]:
    """Be the one who makes or mends a ledger; where there are no locks, `_put` lets one alone
    win."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        with alone(lock, _MEND_S):
            yield
    except FileBusyError:
        told = f"the spending ledger is being mended by another run: {lock}"
        raise LedgerError(told) from None
