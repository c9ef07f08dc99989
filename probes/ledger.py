"""What probing has cost in the last hour, shared by all runs of this machine.

Money is spent out of leases. A lease is counted as spent until its run settles it, so that
spent + leased never exceeds an hourly limit however many runs there are, and no run spends beyond
its leases. What a run has settled stays for an hour; the unspent lease of a run that is gone is
free again.
"""

import hashlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from probes.config import Budget, Route
from probes.paths import state_folder
from probes.run_identity import RunIdentity, current_identity
from probes.words import plainly

__all__ = [
    "OVERALL",
    "Ask",
    "Grant",
    "Ledger",
    "LedgerError",
    "Reservation",
    "default_ledger_path",
    "new_run",
    "route_key",
]

OVERALL: Final = ""
"""Stands for all routes together."""

HOUR_S: Final = 3_600
BUCKET_S: Final = 10
"""Spending is kept by slices of so many seconds, and counts until its slice is an hour old."""
LEASE_S: Final = 600
"""A lease whose run cannot be looked at is free again after so long without a word of it."""
_BUSY_MS: Final = 2_000
_NS_PER_S: Final = 1_000_000_000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS spending (
    bucket INTEGER NOT NULL, route TEXT NOT NULL,
    tokens INTEGER NOT NULL, usd REAL NOT NULL,
    PRIMARY KEY (bucket, route)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lease (
    run TEXT NOT NULL, route TEXT NOT NULL,
    tokens INTEGER NOT NULL, usd REAL NOT NULL,
    expires INTEGER NOT NULL, pid INTEGER NOT NULL, boot TEXT NOT NULL, born TEXT NOT NULL,
    PRIMARY KEY (run, route)
) WITHOUT ROWID;
"""


class LedgerError(Exception):
    """The ledger cannot be read or written now; its message is for a person."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a run tells of one route, and wants for it."""

    route: str
    """The route's key."""
    spent_tokens: int = 0
    """Spent since it last asked."""
    spent_usd: float = 0.0
    want_tokens: int = 0
    """What its unspent lease should come up to."""
    want_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """A route's unspent lease, and what all runs used of it in the last hour."""

    tokens: int
    usd: float
    used_tokens: int
    used_usd: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """Leave to spend once, until it is settled."""

    run: str
    route: str
    tokens: int
    usd: float


@dataclass(frozen=True, slots=True)
class _Sums:
    tokens: int
    usd: float


@dataclass(frozen=True, slots=True)
class _Lease:
    tokens: int
    usd: float
    expires: int


def default_ledger_path() -> Path:
    """Return the ledger's file in the platform's state folder."""
    return state_folder() / "ledger.sqlite3"


def route_key(route: Route) -> str:
    """Return what a route is known by in the ledger: its name, base URL and model, hashed."""
    text = "\0".join((route.name, route.base_url, route.model))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def new_run() -> str:
    """Return a name for a run that no other run has."""
    return secrets.token_hex(8)


class Ledger:
    """The ledger's file, or one in memory where `path` is None. Thread-safe; calls block.

    Every method raises LedgerError where the file cannot be used.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        identity: RunIdentity | None = None,
        is_alive: Callable[[RunIdentity], bool | None] = RunIdentity.is_alive,
    ) -> None:
        """Name the ledger; its file, readable by its owner alone, is made when first used."""
        self._path = path
        self._wall_ns = wall_ns
        self._identity = identity or current_identity()
        self._is_alive = is_alive
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def shared(self) -> bool:
        """Whether other runs see it."""
        return self._path is not None

    def exchange(self, run: str, asks: Sequence[Ask], budget: Budget) -> dict[str, Grant]:
        """Settle what a run has spent, top its leases up, and return them by route key.

        Under `OVERALL` stand the sums of all routes: of the run's leases, and of all runs' use.

        A lease is never taken back: it grows to what is wanted and allowed, and shrinks as it is
        spent. The overall limits hold for all routes in the ledger together.
        """
        with self._transaction() as connection:
            now_s = self._begin(connection)
            for ask in asks:
                self._settle(connection, now_s, run, ask)
            for ask in asks:
                self._top_up(connection, now_s, run, ask, budget)
            grants = {ask.route: _grant(connection, run, ask.route) for ask in asks}
            return {OVERALL: _grant(connection, run, None), **grants}

    def used(self, route: str | None = None) -> tuple[int, float]:
        """Return tokens and USD that were spent in the last hour, on one route or on all."""
        with self._transaction() as connection:
            self._begin(connection)
            used = _used(connection, route)
        return used.tokens, used.usd

    def release(self, run: str) -> None:
        """Free what a run that ends has not spent."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM lease WHERE run = ?", (run,))

    def reserve(
        self, route: str, tokens: int, budget: Budget, *, usd: float = 0.0
    ) -> Reservation | None:
        """Reserve all of `tokens` and `usd` for one probe; None where the budget has not that."""
        run = new_run()
        ask = Ask(route, want_tokens=tokens, want_usd=usd)
        grant = self.exchange(run, [ask], budget)[route]
        if grant.tokens < tokens or grant.usd < usd:
            self.release(run)
            return None
        return Reservation(run, route, tokens, usd)

    def settle(self, reservation: Reservation, tokens: int, usd: float) -> None:
        """Replace a reservation by what was really spent."""
        with self._transaction() as connection:
            now_s = self._begin(connection)
            _spend(connection, now_s, reservation.route, tokens, usd)
            connection.execute("DELETE FROM lease WHERE run = ?", (reservation.run,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._lock, self._open, str(self._path or "in memory"))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            if self._path is not None:
                _make_private(self._path)
            connection = sqlite3.connect(
                self._path or ":memory:", isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
                connection.executescript(_SCHEMA)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _begin(self, connection: sqlite3.Connection) -> int:
        """Forget what is over; return the wall time in seconds."""
        now_s = self._wall_ns() // _NS_PER_S
        oldest = (now_s - HOUR_S) // BUCKET_S
        connection.execute("DELETE FROM spending WHERE bucket < ?", (oldest,))
        self._pull_back_the_future(connection, now_s)
        self._free_leases(connection, now_s)
        return now_s

    def _pull_back_the_future(self, connection: sqlite3.Connection, now_s: int) -> None:
        """Count as just spent what was noted under a clock that has been set back since."""
        future = connection.execute(
            "SELECT route, sum(tokens), sum(usd) FROM spending WHERE bucket > ? GROUP BY route",
            (now_s // BUCKET_S,),
        ).fetchall()
        connection.execute("DELETE FROM spending WHERE bucket > ?", (now_s // BUCKET_S,))
        for route, tokens, usd in future:
            _spend(connection, now_s, route, tokens, usd)
        latest = now_s + LEASE_S
        connection.execute("UPDATE lease SET expires = ? WHERE expires > ?", (latest, latest))

    def _free_leases(self, connection: sqlite3.Connection, now_s: int) -> None:
        rows = connection.execute("SELECT DISTINCT run, pid, boot, born, expires FROM lease")
        for run, pid, boot, born, expires in rows.fetchall():
            alive = self._is_alive(RunIdentity(pid, boot, born))
            if alive is False or (alive is None and expires < now_s):
                connection.execute("DELETE FROM lease WHERE run = ?", (run,))

    def _settle(self, connection: sqlite3.Connection, now_s: int, run: str, ask: Ask) -> None:
        if ask.spent_tokens or ask.spent_usd:
            _spend(connection, now_s, ask.route, ask.spent_tokens, ask.spent_usd)
            connection.execute(
                "UPDATE lease SET tokens = max(0, tokens - ?), usd = max(0.0, usd - ?)"
                " WHERE run = ? AND route = ?",
                (ask.spent_tokens, ask.spent_usd, run, ask.route),
            )

    def _top_up(
        self, connection: sqlite3.Connection, now_s: int, run: str, ask: Ask, budget: Budget
    ) -> None:
        own = _lease_of(connection, run, ask.route)
        left = _left(connection, ask.route, budget)
        tokens = own.tokens + max(0, min(ask.want_tokens - own.tokens, left.tokens))
        usd = own.usd + max(0.0, min(ask.want_usd - own.usd, left.usd))
        renewed = own.expires > now_s + LEASE_S // 2
        if renewed and (tokens, usd) == (own.tokens, own.usd):
            return  # a transaction without a change costs no write to the disk
        me = self._identity
        connection.execute(
            "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (run, ask.route, tokens, usd, now_s + LEASE_S, me.pid, me.boot, me.born),
        )


class _Transaction:
    """One thread, one immediate transaction, committed or rolled back as a whole."""

    def __init__(
        self, lock: threading.Lock, connect: Callable[[], sqlite3.Connection], name: str
    ) -> None:
        self._name = name
        self._lock = lock
        self._connect = connect
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            self._connection = self._connect()
            self._connection.execute("BEGIN IMMEDIATE")
        except (sqlite3.Error, OSError) as error:
            self._lock.release()
            raise self._failure(error) from error
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            self._finish(error)
        finally:
            self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> LedgerError:
        return LedgerError(
            f"the spending ledger {self._name} cannot be used: {plainly(str(error))}"
        )

    def _finish(self, error: BaseException | None) -> None:
        if self._connection is None or not self._connection.in_transaction:
            return
        if error is not None:
            self._connection.execute("ROLLBACK")
            return
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as failure:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise self._failure(failure) from failure


def _make_private(path: Path) -> None:
    """Make the file for its owner alone before the database writes to it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    path.chmod(0o600)


def _spend(connection: sqlite3.Connection, now_s: int, route: str, tokens: int, usd: float) -> None:
    if tokens or usd:
        connection.execute(
            "INSERT INTO spending VALUES (?, ?, ?, ?) ON CONFLICT (bucket, route)"
            " DO UPDATE SET tokens = tokens + excluded.tokens, usd = usd + excluded.usd",
            (now_s // BUCKET_S, route, tokens, usd),
        )


def _sums(connection: sqlite3.Connection, query: str, values: Mapping[str, str]) -> _Sums:
    tokens, usd = connection.execute(query, values).fetchone()
    return _Sums(tokens or 0, usd or 0.0)


def _used(connection: sqlite3.Connection, route: str | None) -> _Sums:
    if route is None:
        return _sums(connection, "SELECT sum(tokens), sum(usd) FROM spending", {})
    query = "SELECT sum(tokens), sum(usd) FROM spending WHERE route = :route"
    return _sums(connection, query, {"route": route})


def _leased(connection: sqlite3.Connection, route: str | None) -> _Sums:
    if route is None:
        return _sums(connection, "SELECT sum(tokens), sum(usd) FROM lease", {})
    query = "SELECT sum(tokens), sum(usd) FROM lease WHERE route = :route"
    return _sums(connection, query, {"route": route})


def _leased_by(connection: sqlite3.Connection, run: str, route: str | None) -> _Sums:
    query = "SELECT sum(tokens), sum(usd) FROM lease WHERE run = :run"
    if route is None:
        return _sums(connection, query, {"run": run})
    return _sums(connection, query + " AND route = :route", {"run": run, "route": route})


def _lease_of(connection: sqlite3.Connection, run: str, route: str) -> _Lease:
    query = "SELECT tokens, usd, expires FROM lease WHERE run = ? AND route = ?"
    row = connection.execute(query, (run, route)).fetchone()
    return _Lease(*row) if row else _Lease(0, 0.0, 0)


def _left(connection: sqlite3.Connection, route: str, budget: Budget) -> _Sums:
    """Return what neither is spent nor leased of a route's budget and of the overall one."""
    tokens: list[int] = []
    usd: list[float] = []
    for name, token_limit, usd_limit in (
        (route, budget.route_tokens_per_hour, budget.route_usd_per_hour),
        (None, budget.tokens_per_hour, budget.usd_per_hour),
    ):
        used, leased = _used(connection, name), _leased(connection, name)
        tokens.append(token_limit - used.tokens - leased.tokens)
        usd.append(float("inf") if usd_limit is None else usd_limit - used.usd - leased.usd)
    return _Sums(min(tokens), min(usd))


def _grant(connection: sqlite3.Connection, run: str, route: str | None) -> Grant:
    lease, used = _leased_by(connection, run, route), _used(connection, route)
    return Grant(lease.tokens, lease.usd, used.tokens, used.usd)
