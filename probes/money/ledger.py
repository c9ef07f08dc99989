"""What probing has cost in the last hour, shared by all runs of this machine.

1. Money is spent out of leases. A lease counts as spent until its run settles it, so that spent +
   leased never exceeds an hourly limit however many runs there are, and no run spends beyond its
   leases.
2. "Gone" is not "did not spend". A run that ends in order frees what it has not spent; the lease of
   one that is gone otherwise is settled in full. So leases are kept small.
3. Whether a run lives is told by the lock that it holds on a file of its own; where there are no
   locks by its process, in the same PID namespace; else its lease runs out by time.
4. What a run has settled stays for an hour. A run tells it again to a ledger that was made anew.
5. A ledger in doubt (made anew, and nothing tells what the broken one knew) gives out no more than
   the emergency part of each budget, to all runs together.
"""

import os
import platform
import secrets
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from probes.config import Budget, Route
from probes.config.urls import mask_url
from probes.kit.paths import runtime_folder, state_folder
from probes.kit.process_identity import RunIdentity, current_identity
from probes.money.lease_rules import (
    HOUR_S,
    LEASE_S,
    NOTHING,
    OVERALL,
    Amount,
    Ask,
    Grant,
    emergency_part,
    left_of,
    recorded_key,
    route_key,
    settled,
    topped_up,
)
from probes.money.ledger_file import (
    BUCKET_S,
    BUSY_S,
    LedgerError,
    LedgerFile,
    note_spending,
)
from probes.money.run_lock import RunLocks

EARLIER: Final = "earlier"
"""What the runs together are called that a ledger of the first schema did not tell apart."""
_MOST_TOKENS: Final = 10**15
"""More is no count of tokens; sums of it still fit SQLite's integers."""
_NS_PER_S: Final = 1_000_000_000
_Result = TypeVar("_Result")


class Reservation(msgspec.Struct, frozen=True):
    """Leave to spend once, until it is settled."""

    run: str
    route: str
    tokens: int
    usd: float


class RouteSpending(msgspec.Struct, frozen=True):
    """A route's last hour; without a name where no run has told it."""

    key: str
    name: str
    base_url: str
    """Masked."""
    model: str
    tokens: int
    usd: float
    leased_tokens: int
    leased_usd: float


class RunSpending(msgspec.Struct, frozen=True):
    """A run's last hour."""

    id: str
    pid: int
    host: str
    command: str
    started_s: int
    """Wall time."""
    alive: bool | None
    """None where that cannot be known from here."""
    tokens: int
    usd: float
    leased_tokens: int
    leased_usd: float


class Report(msgspec.Struct, frozen=True):
    """Who has spent what in the last hour, most first."""

    routes: tuple[RouteSpending, ...]
    runs: tuple[RunSpending, ...]
    doubt: str
    """Why the emergency part alone may be spent; empty where it is not so."""

    @property
    def tokens(self) -> int:
        """Spent by all."""
        return sum(route.tokens for route in self.routes)

    @property
    def usd(self) -> float:
        """Spent by all."""
        return sum(route.usd for route in self.routes)


class Struck(msgspec.Struct, frozen=True):
    """What striking a run's record has freed, or would free."""

    run: RunSpending
    tokens: int
    usd: float
    keeps_lease: bool
    """The run lives: what it has in its hands stays leased."""


@dataclass(slots=True)
class _Sums:
    tokens: int = 0
    usd: float = 0.0

    def add(self, tokens: int, usd: float) -> None:
        self.tokens += tokens
        self.usd += usd


@dataclass(slots=True)
class _Memory:
    """What this process knows of a run of its own: told again to a ledger that is made anew."""

    spent: dict[tuple[int, str], _Sums] = field(default_factory=dict)
    """By bucket and route."""
    leased: dict[tuple[int, str], _Sums] = field(default_factory=dict)
    """By engine and route."""
    recording: str = ""


def default_ledger_path() -> Path:
    """Return the ledger's file in the platform's state folder."""
    return state_folder() / "ledger.sqlite3"


def emergency_ledger_path() -> Path:
    """Return the file that commands count in which end at once, while the ledger cannot be used.

    It lies elsewhere, among what is temporary: a full or read-only disk is seldom both.
    """
    return runtime_folder() / "emergency.sqlite3"


def is_ours_alone(folder: Path, *, make: bool = False) -> bool:
    """Tell whether a folder is there and nobody else can write to it; `make` makes it if need be.

    The runtime folder may lie in /tmp, where somebody else may have been first.
    """
    try:
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return own and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022


def new_run() -> str:
    """Return a name for a run that no other run has."""
    return secrets.token_hex(8)


def run_called(name: str, runs: Sequence[RunSpending]) -> RunSpending:
    """Return the run that has a name, or the one whose name begins so.

    Raises:
        KeyError: there is none, or more than one.
    """
    called = [one for one in runs if one.id == name]
    called = called or [one for one in runs if name and one.id.startswith(name)]
    if len(called) != 1:
        raise KeyError(name)
    return called[0]


class Ledger:
    """The ledger's file, or one in memory where `path` is None. Thread-safe; calls block.

    Every method raises LedgerError where the file cannot be used. One that is closed without
    `release` leaves its runs to be settled in full, as a killed process does.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        identity: RunIdentity | None = None,
        is_alive: Callable[[RunIdentity], bool | None] = RunIdentity.is_alive,
        command: str = "",
        mends: bool = True,
    ) -> None:
        """Name the ledger; its file, readable by its owner alone, is made when first used.

        `command` is what people know this process's runs by; without `mends` a broken file is left
        as it is.
        """
        self._wall_ns = wall_ns
        self._identity = identity or current_identity()
        self._is_alive = is_alive
        self._command = command
        self._lock = threading.Lock()
        self._locks = None if path is None else RunLocks(path.with_name("runs"))
        self._names: dict[str, tuple[str, str, str]] = {}
        self._keys: dict[tuple[str, str, str], str] = {}
        self._memories: dict[str, _Memory] = {}
        self._doubt = ""
        self._path = path
        self._file = LedgerFile(
            path,
            wall_ns=wall_ns,
            recordings=None if path is None else path.with_name("recordings"),
            key_of=self._key_of,
            mends=mends,
        )

    @property
    def shared(self) -> bool:
        """Whether other runs see it."""
        return self._path is not None

    @property
    def doubt(self) -> str:
        """Why, when it was last asked, the emergency part alone could be spent; else empty."""
        return self._doubt

    def take_news(self) -> list[str]:
        """Return, once, what a person should know of repairs to the file."""
        news, self._file.news = self._file.news, []
        return news

    def introduce(self, routes: Iterable[Route]) -> None:
        """Learn what people call routes; what is kept of a base URL is masked."""
        for route in routes:
            names = (route.shared_name, mask_url(route.base_url), route.model)
            self._names[route_key(route)] = names
            self._keys[names] = route_key(route)

    def attribute(self, run: str, recording: str) -> None:
        """Learn which recording tells what a run of this process spends: it is not counted twice.

        `recording` is the stem of its files' names.
        """
        self._memories.setdefault(run, _Memory()).recording = recording

    def exchange(
        self, run: str, asks: Sequence[Ask], budget: Budget, *, engine: int = 0
    ) -> dict[str, Grant]:
        """Settle what an engine of a run has spent, top its leases up, return them by route key.

        Under `OVERALL` stand the sums of all routes: of its leases, and of all runs' use.

        A lease is never taken back: it grows to what is wanted and allowed, and shrinks as it is
        spent and given back. The overall limits hold for all routes in the ledger together.
        """

        def work(connection: sqlite3.Connection) -> tuple[int, _Books]:
            now_s = self._begin(connection)
            self._register(connection, now_s, run)
            books = _Books(connection, now_s, run, engine)
            for ask in asks:
                books.settle(ask)
            for ask in asks:
                books.top_up(ask, budget)
            return now_s, books

        now_s, books = self._do(work)
        # Only what is committed: a ledger that is made anew is told of that, and of no more.
        self._remember(run, engine, now_s, asks, books)
        self._doubt = books.doubt
        return {OVERALL: books.grant(None), **{ask.route: books.grant(ask.route) for ask in asks}}

    def used(self, route: str | None = None) -> tuple[int, float]:
        """Return tokens and USD that were spent in the last hour, on one route or on all."""

        def work(connection: sqlite3.Connection) -> _Sums:
            books = _Books(connection, self._begin(connection), "", 0)
            return books.used(route)

        used = self._do(work)
        return used.tokens, used.usd

    def release(self, run: str) -> None:
        """Free what a run that ends in order has not spent."""

        def work(connection: sqlite3.Connection) -> None:
            now_s = self._wall_ns() // _NS_PER_S
            connection.execute("DELETE FROM lease WHERE run = ?", (run,))
            connection.execute("UPDATE run SET ended = ? WHERE id = ?", (now_s, run))

        self._do(work)
        self._let_go(run)

    def reserve(
        self, route: str, tokens: int, budget: Budget, *, usd: float = 0.0, run: str = ""
    ) -> Reservation | None:
        """Reserve all of `tokens` and `usd` for one probe; None where the budget has not that."""
        own = run or new_run()
        grant = self.exchange(own, [Ask(route, want_tokens=tokens, want_usd=usd)], budget)[route]
        if grant.tokens < tokens or grant.usd < usd:
            self._do(lambda connection: _drop_lease(connection, own, route))
            self._memories[own].leased.pop((0, route), None)
            if not run:
                self._let_go(own)
            return None
        return Reservation(own, route, tokens, usd)

    def settle(self, reservation: Reservation, tokens: int, usd: float) -> None:
        """Replace a reservation by what was really spent."""
        run, route = reservation.run, reservation.route

        def work(connection: sqlite3.Connection) -> int:
            now_s = self._begin(connection)
            self._register(connection, now_s, run)
            if not _drop_lease(connection, run, route):
                # We were taken for dead and settled in full: the truth takes that one's place.
                connection.execute("DELETE FROM spending WHERE run = ? AND route = ?", (run, route))
            note_spending(connection, now_s, route, run, min(tokens, _MOST_TOKENS), usd)
            return now_s

        now_s = self._do(work)
        memory = self._memories[run]
        memory.leased.pop((0, route), None)
        memory.spent.setdefault((now_s // BUCKET_S, route), _Sums()).add(tokens, usd)

    def report(self) -> Report:
        """Return who has spent what in the last hour."""

        def work(connection: sqlite3.Connection) -> Report:
            now_s = self._begin(connection)
            return Report(
                routes=tuple(_route_spending(connection)),
                runs=tuple(self._run_spending(connection)),
                doubt=_doubt(connection, now_s)[1],
            )

        return self._do(work)

    def strike(self, run: str, *, confirm: Callable[[Struck], bool] = lambda _: True) -> Struck:
        """Strike what a run has spent from the last hour, once `confirm` agrees to what that frees.

        Raises:
            KeyError: no run, or more than one, has a name that begins so.
        """

        def work(connection: sqlite3.Connection) -> Struck:
            self._begin(connection)
            one = run_called(run, self._run_spending(connection))
            keeps = one.alive is not False and one.leased_tokens > 0
            freed = _Sums(one.tokens, one.usd)
            if not keeps:
                freed.add(one.leased_tokens, one.leased_usd)
            struck = Struck(one, freed.tokens, freed.usd, keeps)
            if confirm(struck):
                key = "" if one.id == EARLIER else one.id
                connection.execute("DELETE FROM spending WHERE run = ?", (key,))
                if not keeps:
                    connection.execute("DELETE FROM lease WHERE run = ?", (key,))
            return struck

        return self._do(work)

    def lift(self) -> None:
        """End a doubt: from now on what the ledger knows counts as all there is."""
        self._do(lambda connection: connection.execute("DELETE FROM doubt"))
        self._doubt = ""

    def absorb(self, path: Path) -> int:
        """Settle what was counted apart, in the ledger at `path`, and strike it there.

        Returns the tokens. What stands there as leased is a running command's, and stays.
        """
        if not path.exists() or not is_ours_alone(path.parent):
            return 0
        other = Ledger(path, wall_ns=self._wall_ns, mends=False)
        try:
            apart = other._do(lambda connection: _Apart(connection, other._begin(connection)))
            if apart.spending:
                self._do(lambda connection: apart.note(connection, self._begin(connection)))
                # Only now: who is killed in between has it counted twice, not never.
                other._do(apart.strike)
            return apart.tokens
        finally:
            other.close()

    def close(self) -> None:
        """Close the file, and the locks of this process's runs."""
        with self._lock:
            self._file.close()
            if self._locks is not None:
                self._locks.close()

    def _do(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Do work in one transaction, whole or not at all; again where the file was mended."""
        if not self._lock.acquire(timeout=2 * BUSY_S):
            raise LedgerError(f"the spending ledger {self._path} has not answered yet")
        try:
            for last in (False, True):
                try:
                    return _transact(self._file.connection(), work)
                except sqlite3.Error as error:
                    failure = self._file.failure(error)
                    if last or not self._file.is_broken(error):
                        raise failure from error
                except OSError as error:
                    raise self._file.failure(error) from error
            raise AssertionError  # the second turn returns or raises
        finally:
            self._lock.release()

    def _begin(self, connection: sqlite3.Connection) -> int:
        """Forget what is over, settle for the dead; return the wall time in seconds."""
        now_s = self._wall_ns() // _NS_PER_S
        oldest = (now_s - HOUR_S) // BUCKET_S
        connection.execute("DELETE FROM spending WHERE bucket < ?", (oldest,))
        _pull_back_the_future(connection, now_s)
        self._settle_for_the_dead(connection, now_s)
        connection.execute("DELETE FROM doubt WHERE until <= ?", (now_s,))
        for table, column in (("run", "id"), ("route", "key")):
            foreign = "run" if table == "run" else "route"
            connection.execute(
                f"DELETE FROM {table} WHERE NOT EXISTS"  # noqa: S608 - names of our own tables
                f" (SELECT 1 FROM lease WHERE {foreign} = {table}.{column}) AND NOT EXISTS"
                f" (SELECT 1 FROM spending WHERE {foreign} = {table}.{column})"
            )
        return now_s

    def _settle_for_the_dead(self, connection: sqlite3.Connection, now_s: int) -> None:
        """Count the leases of runs that are gone as spent, at the last moment it can have been."""
        rows = connection.execute(
            "SELECT lease.run, route, tokens, usd, expires, pid, boot, born, space, locked"
            " FROM lease LEFT JOIN run ON run.id = lease.run"
        ).fetchall()
        fates: dict[str, bool | None] = {}
        for run, route, tokens, usd, expires, *who in rows:
            if run not in fates:
                fates[run] = self._lives(run, *who)
            if fates[run] is False or (fates[run] is None and expires < now_s):
                moment_s = min(now_s, expires)
                if moment_s > now_s - HOUR_S:
                    note_spending(connection, moment_s, route, run, tokens, usd)
                _drop_lease(connection, run, route)
                connection.execute("UPDATE run SET ended = ? WHERE id = ?", (moment_s, run))
        for run, lives in fates.items():
            if lives is False and self._locks is not None:
                self._locks.let_go(run)

    def _lives(
        self,
        run: str,
        pid: int | None,
        boot: str | None,
        born: str | None,
        space: str | None,
        locked: int | None,
    ) -> bool | None:
        """Tell whether a run lives, by its lock, else by its process; None where nobody knows."""
        if locked and self._locks is not None:
            held = self._locks.is_held(run)
            if held is not None:
                return held
        if pid is None:
            return None
        return self._is_alive(RunIdentity(pid, boot or "", born or "", space or ""))

    def _register(self, connection: sqlite3.Connection, now_s: int, run: str) -> None:
        """Make sure that the ledger knows a run of ours, and all that this process knows of it."""
        for key, names in self._names.items():
            connection.execute("INSERT OR IGNORE INTO route VALUES (?, ?, ?, ?)", (key, *names))
        if connection.execute("SELECT 1 FROM run WHERE id = ?", (run,)).fetchone():
            return
        me, memory = self._identity, self._memories.setdefault(run, _Memory())
        locked = self._locks is not None and self._locks.hold(run)
        connection.execute(
            "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                *(run, me.pid, me.boot, me.born, me.space, locked),
                *(platform.node(), self._command, now_s, memory.recording),
            ),
        )
        if memory.recording:
            told = "SELECT id FROM run WHERE recording = ? AND id != ?"
            connection.execute(
                f"DELETE FROM spending WHERE run IN ({told})",  # noqa: S608 - a constant
                (memory.recording, run),
            )
        for (bucket, route), sums in memory.spent.items():
            if bucket >= (now_s - HOUR_S) // BUCKET_S:
                note_spending(connection, bucket * BUCKET_S, route, run, sums.tokens, sums.usd)
        for (engine, route), sums in memory.leased.items():
            connection.execute(
                "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?)",
                (run, engine, route, sums.tokens, sums.usd, now_s + LEASE_S),
            )

    def _remember(
        self, run: str, engine: int, now_s: int, asks: Sequence[Ask], books: "_Books"
    ) -> None:
        memory = self._memories.setdefault(run, _Memory())
        oldest = (now_s - HOUR_S) // BUCKET_S
        for key in [key for key in memory.spent if key[0] < oldest]:
            del memory.spent[key]
        for ask in asks:
            if ask.spent_tokens or ask.spent_usd:
                sums = memory.spent.setdefault((now_s // BUCKET_S, ask.route), _Sums())
                sums.add(ask.spent_tokens, ask.spent_usd)
            lease = books.grant(ask.route)
            memory.leased[engine, ask.route] = _Sums(lease.tokens, lease.usd)

    def _let_go(self, run: str) -> None:
        self._memories.pop(run, None)
        if self._locks is not None:
            self._locks.let_go(run)

    def _key_of(self, name: str, base_url: str, model: str) -> str:
        """Return the key of a route by what a recording tells: its base URL is masked there."""
        return self._keys.get((name, base_url, model)) or recorded_key(name, base_url, model)

    def _run_spending(self, connection: sqlite3.Connection) -> list[RunSpending]:
        spent = _by(connection, "spending", "run")
        leased = _by(connection, "lease", "run")
        rows = connection.execute(
            "SELECT id, pid, host, command, started, ended, boot, born, space, locked FROM run"
        )
        known = {row[0]: row[1:] for row in rows.fetchall()}
        runs: list[RunSpending] = []
        for run in spent.keys() | leased.keys():
            unknown = (0, "", "", 0, None, "", "", "", 0)
            pid, host, command, started, ended, *who = known.get(run, unknown)
            alive = False if ended is not None or not run else self._lives(run, pid, *who)
            own, lease = spent.get(run, _Sums()), leased.get(run, _Sums())
            runs.append(
                RunSpending(
                    id=run or EARLIER,
                    pid=pid,
                    host=host,
                    command=command,
                    started_s=started,
                    alive=alive,
                    tokens=own.tokens,
                    usd=own.usd,
                    leased_tokens=lease.tokens,
                    leased_usd=lease.usd,
                )
            )
        return sorted(runs, key=lambda run: (-run.tokens - run.leased_tokens, run.id))


class _Apart:
    """What another ledger knows of spending by runs that have ended."""

    def __init__(self, connection: sqlite3.Connection, _now_s: int) -> None:
        rows = connection.execute("SELECT * FROM spending WHERE run NOT IN (SELECT run FROM lease)")
        self.spending: list[tuple[int, str, str, int, float]] = rows.fetchall()
        self._routes = connection.execute("SELECT * FROM route").fetchall()
        self._runs = connection.execute("SELECT * FROM run").fetchall()

    @property
    def tokens(self) -> int:
        return sum(tokens for _, _, _, tokens, _ in self.spending)

    def note(self, connection: sqlite3.Connection, _now_s: int) -> None:
        for table, rows in (("route", self._routes), ("run", self._runs)):
            for row in rows:
                marks = ", ".join("?" * len(row))
                connection.execute(
                    f"INSERT OR IGNORE INTO {table} VALUES ({marks})",  # noqa: S608 - our own
                    row,
                )
        for bucket, route, run, tokens, usd in self.spending:
            note_spending(connection, bucket * BUCKET_S, route, run, tokens, usd)

    def strike(self, connection: sqlite3.Connection) -> None:
        connection.executemany(
            "DELETE FROM spending WHERE (bucket, route, run, tokens, usd) = (?, ?, ?, ?, ?)",
            self.spending,
        )


class _Books:
    """All sums of the ledger, in one transaction of one engine of a run."""

    def __init__(self, connection: sqlite3.Connection, now_s: int, run: str, engine: int) -> None:
        self._connection = connection
        self._now_s = now_s
        self._run = run
        self._engine = engine
        self._spent = _by(connection, "spending", "route")
        self._leased = _by(connection, "lease", "route")
        rows = connection.execute(
            "SELECT route, tokens, usd, expires FROM lease WHERE (run, engine) = (?, ?)",
            (run, engine),
        )
        self._own = {route: (Amount(tokens, usd), expires) for route, tokens, usd, expires in rows}
        self._doubted_s, self.doubt = _doubt(connection, now_s)
        self._since: dict[str, _Sums] = {}
        if self.doubt:
            self._since = _by(connection, "spending", "route", self._doubted_s // BUCKET_S)

    def used(self, route: str | None) -> _Sums:
        return _of(self._spent, route)

    def settle(self, ask: Ask) -> None:
        tokens = min(ask.spent_tokens, _MOST_TOKENS)
        if ask.spent_tokens or ask.spent_usd:
            note_spending(
                self._connection, self._now_s, ask.route, self._run, tokens, ask.spent_usd
            )
            for sums in (self._spent, self._since):
                sums.setdefault(ask.route, _Sums()).add(tokens, ask.spent_usd)
        if ask.route not in self._own:
            return
        had, expires = self._own[ask.route]
        left = settled(ask, had)
        if left != had:
            self._lease(ask.route, left, expires)

    def top_up(self, ask: Ask, budget: Budget) -> None:
        had, expires = self._own.get(ask.route, (NOTHING, 0))
        lease = topped_up(ask, had, self._left(ask.route, budget))
        if expires > self._now_s + LEASE_S // 2 and lease == had:
            return  # a transaction without a change costs no write to the disk
        self._lease(ask.route, lease, self._now_s + LEASE_S)

    def grant(self, route: str | None) -> Grant:
        if route is None:
            lease = sum((lease for lease, _ in self._own.values()), NOTHING)
        else:
            lease, _ = self._own.get(route, (NOTHING, 0))
        used = self.used(route)
        return Grant(lease.tokens, lease.usd, used.tokens, used.usd)

    def _lease(self, route: str, lease: Amount, expires: int) -> None:
        had, _ = self._own.get(route, (NOTHING, 0))
        more = lease - had
        self._leased.setdefault(route, _Sums()).add(more.tokens, more.usd)
        self._own[route] = (lease, expires)
        self._connection.execute(
            "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?)",
            (self._run, self._engine, route, lease.tokens, lease.usd, expires),
        )

    def _left(self, route: str, budget: Budget) -> Amount:
        """Return what neither is spent nor leased of a route's budget and of the overall one."""
        left = left_of(budget, self._taken(self._spent, route), self._taken(self._spent, None))
        if self.doubt:
            since = self._taken(self._since, route), self._taken(self._since, None)
            left = left.least(left_of(emergency_part(budget), *since))
        return left

    def _taken(self, spent: dict[str, _Sums], route: str | None) -> Amount:
        """Return what is spent and leased of one route, or of all."""
        used, leased = _of(spent, route), _of(self._leased, route)
        return Amount(used.tokens + leased.tokens, used.usd + leased.usd)


def _transact(
    connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], _Result]
) -> _Result:
    """Do work in one immediate transaction, committed or rolled back as a whole."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _drop_lease(connection: sqlite3.Connection, run: str, route: str) -> bool:
    """Delete a lease; return whether there was one."""
    cursor = connection.execute("DELETE FROM lease WHERE run = ? AND route = ?", (run, route))
    return cursor.rowcount > 0


def _pull_back_the_future(connection: sqlite3.Connection, now_s: int) -> None:
    """Count as just spent what was noted under a clock that has been set back since."""
    future = connection.execute(
        "SELECT route, run, sum(tokens), sum(usd) FROM spending WHERE bucket > ?"
        " GROUP BY route, run",
        (now_s // BUCKET_S,),
    ).fetchall()
    connection.execute("DELETE FROM spending WHERE bucket > ?", (now_s // BUCKET_S,))
    for route, run, tokens, usd in future:
        note_spending(connection, now_s, route, run, tokens, usd)
    latest = now_s + LEASE_S
    connection.execute("UPDATE lease SET expires = ? WHERE expires > ?", (latest, latest))
    doubted = now_s + HOUR_S + BUCKET_S
    connection.execute(
        "UPDATE doubt SET since = min(since, ?), until = ? WHERE until > ?",
        (now_s, doubted, doubted),
    )


def _doubt(connection: sqlite3.Connection, now_s: int) -> tuple[int, str]:
    """Return since when there is doubt, wall seconds, and why; (0, "") where there is none."""
    row = connection.execute(
        "SELECT since, why FROM doubt WHERE until > ? ORDER BY since LIMIT 1", (now_s,)
    ).fetchone()
    return (0, "") if row is None else (int(row[0]), str(row[1]))


def _by(
    connection: sqlite3.Connection, table: str, column: str, since: int = 0
) -> dict[str, _Sums]:
    """Return the sums of a table by route or by run, of buckets from `since` on."""
    where = f" WHERE bucket >= {int(since)}" if since else ""
    rows = connection.execute(
        f"SELECT {column}, sum(tokens), sum(usd) FROM {table}{where} GROUP BY {column}"  # noqa: S608
    )
    return {key: _Sums(tokens, usd) for key, tokens, usd in rows.fetchall()}


def _of(sums: dict[str, _Sums], route: str | None) -> _Sums:
    if route is not None:
        return sums.get(route, _Sums())
    return _Sums(sum(one.tokens for one in sums.values()), sum(one.usd for one in sums.values()))


def _route_spending(connection: sqlite3.Connection) -> list[RouteSpending]:
    spent, leased = _by(connection, "spending", "route"), _by(connection, "lease", "route")
    rows = connection.execute("SELECT key, name, base_url, model FROM route").fetchall()
    names = {key: (name, base_url, model) for key, name, base_url, model in rows}
    routes = [
        RouteSpending(
            key,
            *names.get(key, ("", "", "")),
            tokens=spent.get(key, _Sums()).tokens,
            usd=spent.get(key, _Sums()).usd,
            leased_tokens=leased.get(key, _Sums()).tokens,
            leased_usd=leased.get(key, _Sums()).usd,
        )
        for key in spent.keys() | leased.keys()
    ]
    return sorted(routes, key=lambda one: (-one.tokens - one.leased_tokens, one.name, one.key))
