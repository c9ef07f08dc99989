"""The history of a run while it runs: a thread that folds its events and writes the slots down.

Rule 1. Nothing of it runs in the event loop but putting a batch into a queue; the thread imports,
folds, opens and writes.
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
from typing import TYPE_CHECKING, Final

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
from probes.kit.clock import NS_PER_S
from probes.kit.paths import state_folder
from probes.kit.short_figures import counted

if TYPE_CHECKING:
    from probes.history.database import HistoryFile
    from probes.history.fold import HistoryFold
    from probes.history.records import PastIncident, RouteIdentity, Told

WRITE_S: Final = 180
"""Seconds between two writes, of which a killed run loses the last; slots have ten minutes."""
_FOLD_S: Final = 1.0
"""Between two looks at whether something is to be written."""
_RETAIN_S: Final = 6 * 3600.0
_WAITING: Final = 20_000
"""Events that wait for the thread: more than a minute of 200 probes a second. While a disk hangs,
later ones are not counted."""
_SLOTS_WAITING: Final = 20_000
"""Closed slots that wait for a file that cannot be written: half a day of 100 routes."""
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
        self._queue: queue.SimpleQueue[list[Event] | tuple[Reference, ...] | None]
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="llmtop-history", daemon=True)
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

    # In the event loop's thread.

    def start(self, report: Callable[[str], None], references: References = tuple) -> None:
        """Begin; `report` takes problems as text, in the thread."""
        self._report = report
        self._references = references
        self._thread.start()

    def warm(self, hello: Hello) -> list[Event]:
        """Return what is known of its routes by an earlier run, as events of this one."""
        from probes.history.records import identity_of

        if self._thread.ident is None or not self._read.wait(_PATIENCE_S):
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
            if self._queue.qsize() < _WAITING:
                self._queue.put(wanted)
            else:
                self._lost += len(wanted)
        now_s = time.monotonic()
        if now_s - self._asked_s >= self._write_s:
            self._asked_s = now_s
            self._queue.put(tuple(self._references()))

    def seen(self, at_ns: int) -> list[Event]:
        """Return what was found since it was asked last of what was seen before, with a stamp."""
        found: list[Event] = []
        while not self._seen.empty():
            found.append(msgspec.structs.replace(self._seen.get(), at_ns=at_ns))
        return found

    def close(self) -> None:
        """Write what there is, and end the thread; waits 5 s at most."""
        if self._thread.ident is None:
            return
        self._queue.put(tuple(self._references()))
        self._queue.put(None)
        self._thread.join(_CLOSE_S)

    # In the thread.

    def _run(self) -> None:
        # No start should wait for these.
        from probes.history.database import HistoryError, HistoryFile
        from probes.history.fold import HistoryFold
        from probes.history.records import Told

        file = HistoryFile(self._path, writes=True, wall_ns=self._wall_ns)
        try:
            if self._path.exists():
                self._known = file.references()
        except HistoryError as error:
            self._fail(str(error))
        finally:
            self._read.set()
        fold = HistoryFold()
        waits = Told({}, ())
        due_s, retain_s = time.monotonic() + self._write_s, 0.0
        ended = False
        while not ended:
            ended, references = self._gather(fold)
            if not ended:
                self._look_up(file)
            waits = _joined(waits, Told({}, (), fold.identities(references)))
            now_s = time.monotonic()
            if not ended and now_s < due_s:
                continue
            due_s = now_s + self._write_s
            waits = _joined(waits, fold.told())
            waits = self._write(file, waits)
            if not self._failing and now_s >= retain_s:
                retain_s = now_s + _RETAIN_S
                self._try(lambda: file.retain(max_mb=self._max_mb, max_days=self._max_days))
            for news in file.news:
                self._report(news)
            file.news.clear()
        file.close()

    def _gather(self, fold: "HistoryFold") -> tuple[bool, Sequence[Reference]]:
        """Fold what comes within a second; return whether that is the end, and what is usual."""
        references: Sequence[Reference] = ()
        until_s = time.monotonic() + _FOLD_S
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                batch = self._queue.get(timeout=left_s)
            except queue.Empty:
                break
            if batch is None:
                return True, references
            if isinstance(batch, tuple):
                references = batch
            else:
                try:
                    for event in batch:
                        fold.fold(event)
                        if isinstance(event, Diagnosis):
                            self._diagnosed(event, fold)
                except Exception as error:  # a defect of ours: it must not end the thread
                    self._lost += len(batch)
                    self._fail(f"the history has left out events: {type(error).__name__}: {error}")
        return False, references

    def _diagnosed(self, event: Diagnosis, fold: "HistoryFold") -> None:
        if event.state not in ("named", "perhaps"):
            self._open.pop(event.id, None)
            self._looked_up.pop(event.id, None)
        elif event.id in self._open or len(self._open) < _OPEN_MOST:
            self._open[event.id] = event, fold.incident_of(event)

    def _look_up(self, file: "HistoryFile") -> None:
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
                        known[event.cause] = file.incidents(0.0, event.cause)
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

    def _write(self, file: "HistoryFile", told: "Told") -> "Told":
        """Write it down; return what could not be."""
        if self._try(lambda: file.write(told)):
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


def _joined(first: "Told", second: "Told") -> "Told":
    """Return both; of a slot the later row."""
    return second._replace(
        slots={**first.slots, **second.slots},
        incidents=(*first.incidents, *second.incidents),
        references=second.references or first.references,
    )
