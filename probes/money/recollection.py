"""What the recordings of the last hour tell of spending: for a ledger that is lost.

Reads only what it needs of each line, newest recordings first, and stops after `BOUND_S`: then it
says that it does not know the whole. Lines that are no events are skipped. An attempt that began
and whose end is not recorded is counted with its whole reservation.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from probes.money.lease_rules import HOUR_S
from probes.store.recording_files import RECORDING_NAME

BOUND_S: Final = 10.0
"""How long reading may take: an hour at full load is some 100 MB."""
_LONGEST_LINE: Final = 8 << 20
_NS_PER_S: Final = 1_000_000_000
_KINDS: Final = ("hello", "tick", "attempt_started", "attempt_finished")
_PREFIXES: Final = tuple(b'{"type":"%s"' % kind.encode() for kind in _KINDS)


class RecordedRoute(msgspec.Struct, frozen=True):
    """A route as a hello told of it; its base URL is masked."""

    name: str
    """The one that it has at every place."""
    base_url: str
    model: str


@dataclass(slots=True)
class RecordedRun:
    """What one run's recording tells."""

    stem: str
    """Its files' name without number and ending."""
    pid: int = 0
    """Of its host; 0 where the name does not tell."""
    started_s: int = 0
    """Wall time of its first event that was read."""
    last_s: int = 0
    routes: tuple[RecordedRoute, ...] = ()
    spent: dict[tuple[RecordedRoute, int], tuple[int, float]] = field(default_factory=dict)
    """Tokens and USD by route and wall second."""


@dataclass(slots=True)
class Recollection:
    """All recordings that were written to in the last hour."""

    runs: list[RecordedRun] = field(default_factory=list)
    whole: bool = True
    """All that is recorded was read."""


class _Route(msgspec.Struct, frozen=True):
    name: str
    base_url: str = ""
    model: str = ""
    place: str = ""


class _Hello(msgspec.Struct, frozen=True):
    at_ns: int
    wall_ns: int
    routes: tuple[_Route, ...]


class _Event(msgspec.Struct, frozen=True):
    type: str
    at_ns: int
    wall_ns: int = 0
    route: str = ""
    probe: str = ""
    attempt: int = 0
    charged_tokens: int = 0
    reserved_tokens: int = 0
    reserved_usd: float = 0.0
    charged_usd: float = 0.0
    cost_usd: float | None = None


_hello = msgspec.json.Decoder(_Hello)
_event = msgspec.json.Decoder(_Event)


def recollect(
    folder: Path,
    *,
    now_s: int,
    bound_s: float = BOUND_S,
    monotonic: Callable[[], float] = time.monotonic,
) -> Recollection:
    """Return what the recordings of a folder tell of the hour before `now_s`."""
    recollected = Recollection()
    deadline = monotonic() + bound_s
    families = _families(folder, now_s)
    for stem, paths in families.items():
        reader = _Reader(stem, now_s)
        for path in paths:
            if not reader.read(path, lambda: monotonic() > deadline):
                recollected.whole = False
        run = reader.ended()
        if run.spent:
            recollected.runs.append(run)
    return recollected


def _families(folder: Path, now_s: int) -> dict[str, list[Path]]:
    """Return the parts that were written to within the hour by run, newest run first."""
    found: list[tuple[float, Path]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if RECORDING_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    written = entry.stat(follow_symlinks=False).st_mtime
                    if written >= now_s - HOUR_S:
                        found.append((written, Path(entry.path)))
    except OSError:
        return {}
    families: dict[str, list[Path]] = {}
    for _, path in sorted(found, reverse=True):
        families.setdefault(path.name.split(".", 1)[0], []).append(path)
    return {stem: sorted(paths) for stem, paths in families.items()}


class _Reader:
    """Reads one run's parts in order."""

    def __init__(self, stem: str, now_s: int) -> None:
        pid = stem.split("-")[1]
        self.run = RecordedRun(stem, pid=int(pid) if pid.isdecimal() else 0)
        self._oldest_s = now_s - HOUR_S
        self._now_s = now_s
        self._offset_ns = 0
        self._routes: dict[str, RecordedRoute] = {}
        self._open: dict[tuple[str, int], _Event] = {}

    def read(self, path: Path, late: Callable[[], bool]) -> bool:
        """Read a part; return whether to its end."""
        try:
            with path.open("rb") as file:
                number = 0
                while line := file.readline(_LONGEST_LINE):
                    number += 1
                    if number % 1_000 == 0 and late():
                        return False
                    if line.startswith(_PREFIXES):
                        self._take(line)
        except OSError:
            return False
        return not late()

    def ended(self) -> RecordedRun:
        """Count what was left open, and return the run."""
        for started in self._open.values():
            self._spend(started, started.reserved_tokens, started.reserved_usd)
        return self.run

    def _take(self, line: bytes) -> None:
        try:
            if line.startswith(_PREFIXES[0]):
                self._greet(_hello.decode(line))
                return
            event = _event.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # cut short by a kill, or damaged
        match event.type:
            case "tick":
                self._offset_ns = event.wall_ns - event.at_ns
            case "attempt_started":
                self._open[event.probe, event.attempt] = event
            case "attempt_finished":
                self._open.pop((event.probe, event.attempt), None)
                self._spend(event, event.charged_tokens, event.charged_usd or event.cost_usd or 0.0)
            case _:
                pass

    def _greet(self, hello: _Hello) -> None:
        self._offset_ns = hello.wall_ns - hello.at_ns
        for route in hello.routes:
            shared_name = route.name.removesuffix(f"@{route.place}") if route.place else route.name
            self._routes[route.name] = RecordedRoute(shared_name, route.base_url, route.model)
        self.run.routes = tuple(dict.fromkeys(self._routes.values()))

    def _spend(self, event: _Event, tokens: int, usd: float) -> None:
        second = min(self._now_s, (event.at_ns + self._offset_ns) // _NS_PER_S)
        if second < self._oldest_s or not (tokens or usd):
            return
        route = self._routes.get(event.route, RecordedRoute(event.route, "", ""))
        before_tokens, before_usd = self.run.spent.get((route, second), (0, 0.0))
        self.run.spent[route, second] = (before_tokens + tokens, before_usd + usd)
        self.run.started_s = min(self.run.started_s or second, second)
        self.run.last_s = max(self.run.last_s, second)
