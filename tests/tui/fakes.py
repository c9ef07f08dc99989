"""A session without an engine, and a clock that stands still."""

import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, NamedTuple

import anyio
import made
import msgspec
from changed import replace

from probes.board.views import Happening, RequestView, Snapshot
from probes.comparing.source import ComparisonSource
from probes.config import Config, Display
from probes.control.commands import Command
from probes.control.status import HostState
from probes.control.wanted import Wanted, WantedRoute
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WindowName
from probes.sweeping.source import SweepSource
from tui.session import Replayed, TimelineSource


class FakeStatus(msgspec.Struct, frozen=True):
    """How an engine is that does not exist."""

    state: HostState = "running"
    silent_s: float = 0.0
    last_words: str = ""
    restarts: int = 0
    detail: str = ""
    engine: str = ""
    since_s: float = 1_000.0
    read_percent: int | None = None


class FakeClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_ns = made.NOW_NS

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns + made.WALL_ANCHOR_NS

    async def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)


@dataclass
class FakeBoard:
    """Gives out one hand-made snapshot, as asked for."""

    whole: Snapshot = field(default_factory=made.snapshot)
    asked: list[tuple[WindowName, tuple[str, ...]]] = field(default_factory=list)
    requests: dict[tuple[str, str], RequestView] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return self.whole.version

    def snapshot(
        self,
        *,
        window: WindowName = "5m",
        detail_routes: Collection[str] = (),
        pages: Collection[str] = (),
        standings: bool = False,
        anew: bool = False,
    ) -> Snapshot:
        self.asked.append((window, tuple(detail_routes)))
        details = {name: self.whole.details[name] for name in detail_routes}
        stand = self.whole.standings if standings else ()
        return replace(self.whole, window=window, details=details, standings=stand)

    def request(self, route: str, probe: str) -> RequestView | None:
        return self.requests.get((route, probe))


class FakeSpan(NamedTuple):
    """What there is of a made-up run."""

    begin_ns: int
    end_ns: int
    is_cut: bool = False


class UnreadableError(Exception):
    """What is recorded cannot be read."""


class MovedBoard(FakeBoard):
    """A board that fails a test where somebody reads it while it is being moved."""

    is_moved = False

    def snapshot(self, **asked: Any) -> Snapshot:
        assert not self.is_moved, "a board is read while it is moved"
        return super().snapshot(**asked)

    def request(self, route: str, probe: str) -> RequestView | None:
        assert not self.is_moved, "a board is read while it is moved"
        return super().request(route, probe)


class FakePast:
    """A board of the past whose ways are as long as a test wants them."""

    def __init__(self, timeline: "FakeTimeline") -> None:
        self._timeline = timeline
        self.board = MovedBoard(timeline.whole)
        self.at_ns = 0

    def go(self, at_ns: int) -> None:
        timeline = self._timeline
        timeline.ways.append(at_ns)
        self.board.is_moved = True
        timeline.open_road.wait(20)
        if timeline.trouble:
            raise UnreadableError(timeline.trouble)
        self.at_ns = at_ns
        self.board.whole = timeline.shown(at_ns)
        self.board.is_moved = False

    def prepare(self) -> Iterator[None]:
        for _ in range(self._timeline.prepares):
            self._timeline.prepared += 1
            yield


class FakeTimeline:
    """A run of an hour that ends at the present of the made boards."""

    failure = UnreadableError

    def __init__(self, whole: Snapshot | None = None) -> None:
        self.whole = whole or made.snapshot()
        self.span = FakeSpan(made.NOW_NS - 3600 * NS_PER_S, made.NOW_NS)
        self.happenings: tuple[Happening, ...] = ()
        self.open_road = threading.Event()
        """Ways end where this is set."""
        self.open_road.set()
        self.trouble = ""
        """Why nothing can be read."""
        self.prepares = 0
        self.prepared = 0
        self.ways: list[int] = []
        """Where somebody was sent."""

    def shown(self, at_ns: int) -> Snapshot:
        """Return what a board shows at a moment."""
        return replace(self.whole, now_ns=at_ns, version=at_ns // NS_PER_S)

    def past(self) -> FakePast:
        return FakePast(self)


@dataclass
class FakeReplayed:
    """A recording, read as far as a test says."""

    name: str = "run.jsonl"
    read_share: float = 1.0
    end_ns: int = made.NOW_NS
    remarks: tuple[str, ...] = ()
    failure: str = ""


@dataclass
class FakeSession:
    """Keeps what it is told."""

    board: FakeBoard = field(default_factory=FakeBoard)
    status: FakeStatus = field(default_factory=FakeStatus)
    commands: list[Command] = field(default_factory=list)
    retried: int = 0
    lifted: int = 0
    gathered: list[float] = field(default_factory=list)
    recording_path: str = ""
    timeline: TimelineSource | None = None
    replayed: Replayed | None = None
    comparisons: ComparisonSource | None = None
    sweeps: SweepSource | None = None
    asks: bool = True
    has_text: bool = True
    stopped: anyio.Event = field(default_factory=anyio.Event)

    @property
    def wanted(self) -> Wanted:
        """As the routes of the board stand, and as it was commanded since."""
        routes = {
            row.name: WantedRoute(
                row.target,
                row.interval,
                row.max_tokens,
                paused=row.state == "paused",
                rate=None if row.pace is None else row.pace.rate,
            )
            for row in self.board.whole.routes
        }
        return reduce(Wanted.after_command, self.commands, Wanted(routes, routes))

    def command(self, command: Command) -> None:
        self.commands.append(command)

    def lift(self) -> None:
        self.lifted += 1

    def gather(self, for_s: float) -> None:
        self.gathered.append(for_s)

    def retry(self) -> None:
        self.retried += 1

    async def run(self) -> None:
        await self.stopped.wait()

    async def outlast(self, duration_s: float) -> None:
        await anyio.sleep(duration_s)

    def stop(self) -> None:
        self.stopped.set()


def config() -> Config:
    """Return settings of a screen that refreshes seldom: tests pull by hand."""
    return Config(routes=(), display=Display(refresh_hz=0.1))
