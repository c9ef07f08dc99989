"""Another history read whole: of another machine, or what is left of one that broke.

Rule 1. The file is only read, and every row of it is looked at before it is believed: what a broken
page left in it must not break the file that takes it.
Rule 2. Rows lie by series and time. Where a page cannot be read the reading goes on behind it, and
what was lost is told.
Rule 3. A row is given under the names of its series and its engine, as a fold would: of two of one
slot the one that has heard more stays, so what is there already is not doubled.
"""

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from probes.events import Reference
from probes.history.database import APPLICATION, HELD, VERSION
from probes.history.packed import unpack
from probes.history.records import (
    COUNTS,
    DIGESTS,
    HOUR_SLOTS,
    PastIncident,
    RouteIdentity,
    SlotKey,
    SlotRow,
    Told,
)
from probes.kit.open_regular import open_regular
from probes.kit.short_figures import counted

_Told = TypeVar("_Told", PastIncident, Reference)

_HEAD: Final = b"SQLite format 3\x00"
_AT_ONCE: Final = 2_000
_FARTHEST: Final = 2**22
"""Steps over what cannot be read: eighty years of slots."""
_MOST: Final = 2**62
_N: Final = len(COUNTS)


class UnreadableHistoryError(Exception):
    """Nothing can be taken from a file; its message is for a person, and names it."""


def is_database(path: Path) -> bool:
    """Return whether a file is a database. Raises OSError."""
    with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor
        return file.read(len(_HEAD)) == _HEAD


def kept_in(path: Path, report: Callable[[str], object]) -> Iterator[Told]:
    """Give what is kept in another history, in pieces; what cannot be read of it is told last.

    Raises:
        UnreadableHistoryError: it is none, or nothing can be read of it.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            _check(database, path)
            yield from _Reading(database, path, report).pieces()
    except sqlite3.Error as error:
        raise UnreadableHistoryError(f"{path}: nothing can be read of it: {error}") from error


def _check(database: sqlite3.Connection, path: Path) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise UnreadableHistoryError(f"{path}: it is a database of something else")
    if version > VERSION:
        raise UnreadableHistoryError(f"{path}: it was written by a newer llmtop (schema {version})")


class _Reading:
    """One file, and what of it could not be read."""

    def __init__(
        self, database: sqlite3.Connection, path: Path, report: Callable[[str], object]
    ) -> None:
        self._database, self._path, self._report = database, path, report
        self._holes = self._odd = 0

    def pieces(self) -> Iterator[Told]:
        series = {
            number: (RouteIdentity(*map(str, route)), str(cohort))
            for number, *route, cohort in self._rows(
                "SELECT id, route, base_url, model, place, cohort FROM series"
            )
        }
        lives = {number: str(name) for number, name in self._rows("SELECT id, name FROM life")}
        heard: Counter[tuple[int, object, int]] = Counter()
        """By series, engine and hour, what their slots have heard."""
        for number, (route, cohort) in series.items():
            kept: dict[SlotKey, SlotRow] = {}
            for at, life, *held in self._by_time("slot", number):
                row = self._believed(held)
                if row is not None and life in lives:
                    kept[SlotKey(lives[life], route, cohort, at)] = row
                    heard[number, life, at // HOUR_SLOTS] += row.weight
                if len(kept) >= _AT_ONCE:
                    yield Told(kept, ())
                    kept = {}
            yield Told(kept, ())
        for number, (route, cohort) in series.items():
            kept = {}
            for at, life, *held in self._by_time("hour", number):
                row = self._believed(held)
                # Others are made of their slots by whoever writes these.
                if row is not None and life in lives and row.weight > heard[number, life, at]:
                    kept[SlotKey(lives[life], route, cohort, at)] = row
                if len(kept) >= _AT_ONCE:
                    yield Told({}, (), hours=kept)
                    kept = {}
            yield Told({}, (), hours=kept)
        incidents = self._decoded("SELECT told FROM incident", PastIncident)
        yield Told({}, tuple(one for _, one in incidents))
        references = self._decoded("SELECT series, told FROM reference", Reference)
        yield Told({}, (), tuple((series[at][0], one) for at, one in references if at in series))
        self._tell()

    def _rows(self, words: str) -> Iterator[tuple[Any, ...]]:
        """Give rows up to where they can be read."""
        try:
            yield from self._database.execute(words)
        except sqlite3.Error:
            self._holes += 1

    def _by_time(self, table: str, series: int) -> Iterator[tuple[Any, ...]]:
        """Give the rows of a series in order, and go on behind what cannot be read."""
        words = (
            f"SELECT at, life, {HELD} FROM {table}"  # noqa: S608 - names of ours
            " WHERE series = ? AND at >= ? ORDER BY at"
        )
        at, step = 0, 1
        while step <= _FARTHEST:
            try:
                for row in self._database.execute(words, (series, at)):
                    at, step = row[0], 1
                    yield row
            except sqlite3.Error:
                self._holes += step == 1
                at, step = at + step, 2 * step
            else:
                return

    def _decoded(self, words: str, kind: type[_Told]) -> list[tuple[int, _Told]]:
        found: list[tuple[int, _Told]] = []
        for *number, told in self._rows(words):
            try:
                found.append((number[0] if number else 0, msgspec.json.decode(told, type=kind)))
            except (msgspec.DecodeError, TypeError):
                self._odd += 1
        return found

    def _believed(self, held: list[Any]) -> SlotRow | None:
        """Return a row as it was written; None where something else stands there."""
        counts, usd, digests = tuple(held[:_N]), held[_N], tuple(held[_N + 1 :])
        with suppress(ValueError, TypeError):
            for digest in digests:
                unpack(digest)
            are_counts = all(type(one) is int and 0 <= one < _MOST for one in counts)
            if are_counts and math.isfinite(usd) and len(digests) == len(DIGESTS):
                return SlotRow(counts, float(usd), digests)
        self._odd += 1
        return None

    def _tell(self) -> None:
        lost = []
        if self._holes:
            lost.append(counted(self._holes, "stretch", "stretches"))
        if self._odd:
            lost.append(counted(self._odd, "row"))
        if lost:
            self._report(f"{self._path}: {' and '.join(lost)} of it cannot be read, and left out")
