"""A session without an engine, and a clock that stands still."""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import reduce

import anyio
import made
import msgspec
from changed import replace

from probes.board.views import RequestView, Snapshot
from probes.config import Config, Display
from probes.control.commands import Command
from probes.control.status import HostState
from probes.control.wanted import Wanted, WantedRoute
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WindowName
from tui.session import ComparisonSource, TimelineSource


class FakeStatus(msgspec.Struct, frozen=True):
    """How an engine is that does not exist."""

    state: HostState = "running"
    silent_s: float = 0.0
    last_words: str = ""
    restarts: int = 0
    detail: str = ""
    engine: str = ""
    since_s: float = 1_000.0


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
        anew: bool = False,
    ) -> Snapshot:
        self.asked.append((window, tuple(detail_routes)))
        details = {name: self.whole.details[name] for name in detail_routes}
        return replace(self.whole, window=window, details=details)

    def request(self, route: str, probe: str) -> RequestView | None:
        return self.requests.get((route, probe))


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
    comparisons: ComparisonSource | None = None
    stopped: anyio.Event = field(default_factory=anyio.Event)

    @property
    def wanted(self) -> Wanted:
        """As the routes of the board stand, and as it was commanded since."""
        routes = {
            row.name: WantedRoute(
                row.target, row.interval, row.max_tokens, paused=row.state == "paused"
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
