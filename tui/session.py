"""What the cockpit asks of whoever runs the engine: `probes.run.session`, or a test's own."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from probes.board.views import Happening, RequestView, Snapshot, WindowName
from probes.comparing.source import ComparisonSource
from probes.control.commands import Command
from probes.control.status import HostStatus
from probes.control.wanted import Wanted
from probes.sweeping.source import SweepSource


class BoardSource(Protocol):
    """Where snapshots come from."""

    @property
    def version(self) -> int:
        """The version a snapshot of this moment would have."""
        ...

    def snapshot(
        self,
        *,
        window: WindowName,
        detail_routes: Collection[str] = (),
        pages: Collection[str] = (),
        standings: bool = False,
        anew: bool = False,
    ) -> Snapshot:
        """Return the state of this moment, with the details of the routes asked for, of those in
        `pages` with all that their page shows, and with `standings` how routes stand beside each
        other.

        Figures are up to a second old unless they are to be read `anew`.
        """
        ...

    def request(self, route: str, probe: str) -> RequestView | None:
        """Return one probe that ended, whole; None where it is not kept any more."""
        ...


class Span(Protocol):
    """What there is of a run, in ns of its stream."""

    @property
    def begin_ns(self) -> int:
        """The first moment that can be shown."""
        ...

    @property
    def end_ns(self) -> int:
        """The last."""
        ...

    @property
    def is_cut(self) -> bool:
        """Whether the run began earlier, and that part of it was deleted."""
        ...


class PastBoard(Protocol):
    """A board that stands somewhere in the past; any one thread uses it at a time."""

    @property
    def at_ns(self) -> int:
        """The moment that it shows."""
        ...

    @property
    def board(self) -> BoardSource:
        """The state of that moment: another object where it has gone back."""
        ...

    def go(self, at_ns: int) -> None:
        """Be where the run was at a stamp; takes up to a second."""
        ...

    def prepare(self) -> Iterator[None]:
        """Make the next steps back short, a piece of a tenth of a second at a time; between two
        pieces it may go elsewhere, and then the rest is not for it."""
        ...


class TimelineSource(Protocol):
    """The moments of a run that one can go back to."""

    @property
    def span(self) -> Span:
        """What of the run can be shown by now."""
        ...

    @property
    def failure(self) -> type[Exception]:
        """What a past board raises where what is recorded cannot be read."""
        ...

    @property
    def happenings(self) -> Sequence[Happening]:
        """What has happened in all that is known of the run, newest first."""
        ...

    def past(self) -> PastBoard:
        """Return a board that goes through the run on its own."""
        ...


class Replayed(Protocol):
    """A recording that is shown in the place of a run, and how far it has been read."""

    @property
    def name(self) -> str:
        """Its first file's."""
        ...

    @property
    def read_share(self) -> float:
        """How much of it has been read, 0 to 1."""
        ...

    @property
    def end_ns(self) -> int:
        """Stamp of its end: what lies between that and the span's is not read yet."""
        ...

    @property
    def remarks(self) -> Sequence[str]:
        """What is missing of it, a line each, in the order in which that was found."""
        ...

    @property
    def failure(self) -> str:
        """Why the rest cannot be read; empty where it can."""
        ...


class CockpitSession(Protocol):
    """A running engine, its board, and the way to command it."""

    @property
    def board(self) -> BoardSource:
        """State folded from the engine's events."""
        ...

    @property
    def timeline(self) -> TimelineSource | None:
        """What of the run can be gone back to; None where nothing is recorded."""
        ...

    @property
    def replayed(self) -> Replayed | None:
        """The recording that is shown; None of a run."""
        ...

    @property
    def comparisons(self) -> ComparisonSource | None:
        """What compares its routes; None where nothing can be asked, as in a recording."""
        ...

    @property
    def sweeps(self) -> SweepSource | None:
        """What sweeps its routes; None where nothing can be asked, as in a recording."""
        ...

    @property
    def asks(self) -> bool:
        """Whether its routes can be compared and swept from here: cheap to ask, as those two are
        not."""
        ...

    @property
    def has_text(self) -> bool:
        """Whether the text of open streams can be had."""
        ...

    @property
    def wanted(self) -> Wanted:
        """What the user wants of each route by now: the base of the next key."""
        ...

    @property
    def status(self) -> HostStatus:
        """How the engine is; a new frozen object after each change."""
        ...

    @property
    def recording_path(self) -> str:
        """The file being recorded to; empty where nothing is."""
        ...

    def command(self, command: Command) -> None:
        """Hand a command to the engine; never blocks."""
        ...

    def gather(self, for_s: float) -> None:
        """Let the board learn what came about so many seconds late, much at once; 0: as it comes.

        Nothing is lost, and nothing is dated otherwise.
        """
        ...

    def retry(self) -> None:
        """Start the engine again after it gave up."""
        ...

    def lift(self) -> None:
        """Let the budgets count from what is known, where the ledger fails or is in doubt."""
        ...

    async def run(self) -> None:
        """Run the engine until `stop`."""
        ...

    async def outlast(self, duration_s: float) -> None:
        """Return so many seconds after the engine's first hello."""
        ...

    def stop(self) -> None:
        """End `run` soon; may be called twice."""
        ...


class Proposal(msgspec.Struct, frozen=True):
    """What saving would change in the settings file."""

    lines: tuple[str, ...] = ()
    """A line for each change."""
    refusal: str = ""
    """Why nothing can be saved; empty where it can."""
    file: str = ""
    write: Callable[[], str] = str
    """Writes it; returns why that failed, empty where it is written."""


class HandedOver(msgspec.Struct, frozen=True):
    """What came of handing over what is shown."""

    summary: str = ""
    """What happened, in a paragraph."""
    folder: str = ""
    """Where it was written; empty where it was not to be."""
    failure: str = ""
    """Why there is neither; empty where there is."""


class HandOver(Protocol):
    """Tells what is shown to whoever is not there; takes some seconds, in any thread."""

    def __call__(
        self,
        snapshot: Snapshot,
        route: str,
        *,
        writes: bool,
        progress: Callable[[str, float | None], object],
    ) -> HandedOver:
        """Tell the incident of a route, or of the last quarter of an hour where it has none.

        Args:
            snapshot: what is shown: its moment is the last that is told.
            route: the one that is selected; empty for none.
            writes: a folder is written; else there is the summary alone.
            progress: takes what is being done, in words, and how much of that is done, from 0 to 1
                where that is known; in the same thread.
        """
        ...


Propose: TypeAlias = Callable[
    [Mapping[str, Mapping[str, float | str]], Mapping[str, str]], Proposal
]
"""Takes the keys of routes by their names, and those of [display]."""
