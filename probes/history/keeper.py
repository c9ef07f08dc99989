"""The history of a run while it runs: a thread that folds its events and writes the slots down.

Rule 1. Nothing of it runs in the event loop but putting a batch into a queue; the thread imports,
folds, opens and writes. What finds no place in the queue is counted, and told (`probes.kit.aside`).
Rule 2. Open slots are written every few minutes: a run that is killed loses no more than that.
Rule 3. A file that takes nothing stops nothing: that is said once, tried again with the next write,
and what waits meanwhile is bounded.
Rule 4. What an earlier run had learnt is read before anything is written, for the detector to start
from; a run that is greeted before it is read starts from nothing.
Rule 5. What is wrong is looked up as soon as it is suspected, and again where its cause, its routes
or the places that see it change: what was seen before is an event for the run to put into its
stream, so that whoever shows, records or replays that has it.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from probes.config.goals import cap_of
from probes.events import (
    AttemptFinished,
    Diagnosis,
    Event,
    Gap,
    Hello,
    ProbeFinished,
    Reference,
    RouteInfo,
    SeenBefore,
    Tick,
)
from probes.history.records import Told, identity_of
from probes.kit.aside import Aside
from probes.kit.clock import NS_PER_S
from probes.kit.paths import state_folder
from probes.kit.short_figures import counted

if TYPE_CHECKING:
    from probes.history.database import HistoryFile
    from probes.history.fold import HistoryFold
    from probes.history.records import PastIncident, RouteIdentity

WRITE_S: Final = 180
"""Seconds between two writes, of which a killed run loses the last; slots have ten minutes."""
_IDLE_S: Final = 1.0
"""Without events, between two looks at whether something is to be written."""
_RETAIN_S: Final = 6 * 3600.0
_WAITING: Final = 100_000
"""Events that wait for the thread: four minutes of 200 probes a second, some 100 MB. While a disk
hangs for longer, later ones are left out, which is told."""
_SLOTS_WAITING: Final = 20_000
"""Closed slots that wait for a file that cannot be written: half a day of 100 routes."""
_INCIDENTS_WAITING: Final = 5_000
_PATIENCE_S: Final = 0.15
"""What a run's first hello waits for the file to be read: engines take longer to start."""
_CLOSE_S: Final = 5.0
"""What a disk that hangs may cost the end of a run."""
_OLDEST_S: Final = 30 * 86_400
"""Age at which what an earlier run had learnt says nothing any more."""
_OPEN_MOST: Final = 1_000
"""Incidents that are open; more than any run has at once."""
_KINDS: Final = frozenset((Hello, Tick, Gap, AttemptFinished, ProbeFinished, Diagnosis))
"""As `fold.KINDS`, which no start should wait for."""

_Piece: TypeAlias = list[Event] | tuple[Reference, ...] | Literal["begin", "end"]
"""A batch, what is usual by now, or what is done first and last."""
References = Callable[[], Sequence[Reference]]
"""Gives what is usual of each route by now, to be asked in the event loop's thread."""


def default_history_path() -> Path:
    """Return where the history is; below NOWHERE where there is no home folder."""
    return state_folder() / "history.sqlite3"


class HistoryKeeper:
    """Keeps the history of one run. All methods return at once, but `close`."""

    def __init__(
        self,
        path: Path,
        *,
        max_mb: float,
        max_days: float,
        write_s: float = WRITE_S,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Name the file; it is opened by `start`."""
        self._path = path
        self._max_mb, self._max_days = max_mb, max_days
        self._write_s = write_s
        self._wall_ns = wall_ns
        self._aside: Aside[_Piece] = Aside(
            "the history",
            self._work,
            most=_WAITING,
            pieces="events",
            report=lambda text: self._report(text),
            idle=(_IDLE_S, self._write_due),
        )
        self._has_begun = self._has_ended = False
        self._report: Callable[[str], None] = lambda _text: None
        self._references: References = tuple
        self._asked_s = time.monotonic()
        self._read = threading.Event()
        self._known: list[tuple[RouteIdentity, Reference]] = []
        self._open: dict[str, tuple[Diagnosis, PastIncident]] = {}
        """What is wrong, by its id: as it was told last, and as it would be remembered."""
        self._looked_up: dict[str, tuple[object, ...]] = {}
        """What of it was looked up."""
        self._seen: queue.SimpleQueue[SeenBefore] = queue.SimpleQueue()
        self._lost = 0
        self._failing = ""
        # In the thread alone, from its first piece on.
        self._file: HistoryFile
        self._fold: HistoryFold
        self._waits: Told
        """What was told and is not written."""
        self._due_s = self._retain_s = 0.0

    # In the event loop's thread.

    def start(self, report: Callable[[str], None], references: References = tuple) -> None:
        """Begin; `report` takes problems as text, in the thread."""
        self._report = report
        self._references = references
        self._has_begun = self._aside.put("begin", 0)

    def warm(self, hello: Hello) -> list[Event]:
        """Return what is known of its routes by an earlier run, as events of this one."""
        if not self._has_begun or not self._read.wait(_PATIENCE_S):
            return []
        found: list[Event] = []
        oldest_ns = self._wall_ns() - _OLDEST_S * 1_000_000_000
        for info in hello.routes:
            identity = identity_of(info)
            found += [
                msgspec.structs.replace(reference, at_ns=hello.at_ns, route=info.name)
                for known, reference in self._known
                if known == identity and reference.wall_ns >= oldest_ns and _fits(reference, info)
            ]
        return found

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Take a batch."""
        wanted = [event for event in events if type(event) in _KINDS]
        if wanted:
            self._aside.put(wanted, min(len(wanted), _WAITING))
        now_s = time.monotonic()
        if now_s - self._asked_s >= self._write_s:
            self._asked_s = now_s
            self._aside.put(tuple(self._references()), 0)

    def seen(self, at_ns: int) -> list[Event]:
        """Return what was found since it was asked last of what was seen before, with a stamp."""
        found: list[Event] = []
        while not self._seen.empty():
            found.append(msgspec.structs.replace(self._seen.get(), at_ns=at_ns))
        return found

    def close(self) -> None:
        """Write what there is, and end the thread; waits 5 s at most."""
        if not self._has_begun:
            return
        self._aside.put(tuple(self._references()), 0)
        self._aside.put("end", 0)
        self._aside.close(_CLOSE_S)
        if not self._has_ended:
            self._report(
                f"the history {self._path} was not written in {_CLOSE_S:g} s, and is left: `llmtop"
                " history import` of the run's recording brings back what it lacks"
            )

    # In the thread.

    def _work(self, piece: _Piece) -> None:
        if piece == "begin":
            self._begin()
        elif isinstance(piece, tuple):
            self._waits = _joined(self._waits, Told({}, (), self._fold.identities(piece)))
        elif isinstance(piece, list):
            self._take(piece)
        self._write_due(is_last=piece == "end")
        if piece == "end":
            self._end()

    def _begin(self) -> None:
        # No start should wait for these.
        from probes.history.database import HistoryError, HistoryFile
        from probes.history.fold import HistoryFold

        self._file = HistoryFile(self._path, writes=True, wall_ns=self._wall_ns)
        self._fold = HistoryFold()
        self._waits = Told({}, ())
        self._due_s = time.monotonic() + self._write_s
        try:
            if self._path.exists():
                self._known = self._file.references()
        except HistoryError as error:
            self._fail(str(error))
        finally:
            self._read.set()

    def _take(self, events: list[Event]) -> None:
        try:
            for event in events:
                self._fold.fold(event)
                if isinstance(event, Diagnosis):
                    self._diagnosed(event)
        except Exception as error:  # a defect of ours: said once, and not with each batch
            self._lost += len(events)
            self._fail(f"the history has left out events: {type(error).__name__}: {error}")
        self._look_up()

    def _write_due(self, *, is_last: bool = False) -> None:
        """Write what waits where it is time to, and let the oldest go now and then."""
        now_s = time.monotonic()
        if now_s < self._due_s and not is_last:
            return
        self._due_s = now_s + self._write_s
        self._waits = self._write(_joined(self._waits, self._fold.told()))
        if not self._failing and now_s >= self._retain_s:
            self._retain_s = now_s + _RETAIN_S
            self._try(lambda: self._file.retain(max_mb=self._max_mb, max_days=self._max_days))
        for news in self._file.news:
            self._report(news)
        self._file.news.clear()

    def _end(self) -> None:
        self._file.close()
        self._has_ended = True
        if self._waits.slots:
            what = counted(len(self._waits.slots), "slot")
            self._report(
                f"the history lacks {what} of this run, which `llmtop history import` of its"
                " recording brings back"
            )

    def _diagnosed(self, event: Diagnosis) -> None:
        if event.state not in ("named", "perhaps"):
            self._open.pop(event.id, None)
            self._looked_up.pop(event.id, None)
        elif event.id in self._open or len(self._open) < _OPEN_MOST:
            self._open[event.id] = event, self._fold.incident_of(event)

    def _look_up(self) -> None:
        """Look for what was seen before of what is wrong and was not looked up as it is now."""
        from probes.history.database import HistoryError
        from probes.history.reading import seen_already

        known: dict[str, list[PastIncident]] = {}
        for name, (event, present) in self._open.items():
            what = (present.cause, present.routes, present.scope)
            if self._looked_up.get(name) == what:
                continue
            self._looked_up[name] = what
            if event.cause not in known:
                known[event.cause] = []
                try:
                    # Reading must not make a file: there is none before the first write.
                    if self._path.exists():
                        known[event.cause] = self._file.incidents(0.0, event.cause)
                except HistoryError as error:
                    self._fail(str(error))
            seen = seen_already(known[event.cause], present)
            if seen is not None:
                self._seen.put(
                    SeenBefore(
                        at_ns=event.at_ns,
                        cause=event.cause,
                        routes=event.routes,
                        times=seen.times,
                        first_wall_ns=round(seen.first_s * NS_PER_S),
                        last_wall_ns=round(seen.last_s * NS_PER_S),
                        typical_s=seen.typical_s,
                    )
                )

    def _write(self, told: Told) -> Told:
        """Write it down; return what could not be."""
        if self._try(lambda: self._file.write(told)):
            return told._replace(slots={}, incidents=(), references=())
        while len(told.slots) > _SLOTS_WAITING:
            del told.slots[next(iter(told.slots))]
            self._lost += 1
        return told

    def _try(self, work: Callable[[], None]) -> bool:
        from probes.history.database import HistoryError

        try:
            work()
        except HistoryError as error:
            self._fail(str(error))
            return False
        if self._failing:
            self._failing = ""
            lost, self._lost = self._lost, 0
            what = counted(lost, "event or slot", "events and slots")
            self._report(f"the history is kept again; {what} lost")
        return True

    def _fail(self, why: str) -> None:
        if not self._failing:
            self._report(f"{why}; measuring goes on, tried again every {self._write_s:g} s")
        self._failing = why


def _fits(reference: Reference, info: RouteInfo) -> bool:
    """Whether what was learnt is of answers as long as those that are asked for now."""
    return cap_of(reference.cohort) == info.max_tokens


def _joined(first: Told, second: Told) -> Told:
    """Return both; of a slot or an incident the later word."""
    incidents = {one.id: one for one in (*first.incidents, *second.incidents)}
    return second._replace(
        slots={**first.slots, **second.slots},
        incidents=tuple(incidents.values())[-_INCIDENTS_WAITING:],
        references=second.references or first.references,
    )
