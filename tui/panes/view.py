"""What the user chose to look at. The board screen owns it; panes only read it."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from probes.board.standings import LeaderOrder
from probes.board.views import FeltColumn, Happening, RouteState, WindowName
from probes.kit.clock import NS_PER_S
from tui.keys import KEYS, Hotkey

PaneName: TypeAlias = Literal[
    "header",
    "axis",
    "banner",
    "verdicts",
    "routes",
    "arrival",
    "percentiles",
    "throttling",
    "retries",
    "happenings",
    "footer",
    # of the page of a route
    "crumbs",
    "verdict",
    "phases",
    "heat",
    "figures",
    "probes",
    # of the page of a probe
    "request",
    # of the page of a comparison
    "comparison",
    # of the page of a sweep
    "sweep",
    # of the leaderboard
    "leaderboard",
    # of the grid of places
    "places",
    # of the weeks of a route
    "history",
]


ARM_LETTERS: Final = "ABCD"
"""What tagged routes are called, in the order in which they were tagged: as the arms of the
comparison that will be made of them. More than four lines of intervals nobody compares by eye, and
each arm more makes every other one rarer for the same money."""

LogFilter: TypeAlias = Literal["all", "route", "incidents"]
"""What the log shows: everything, the selected route, or only incidents and knobs."""


class Freeze(msgspec.Struct, frozen=True):
    """The screen stands still while collection goes on."""

    for_s: float
    """How long it has stood."""
    versions: int
    """Changes of the board it has not shown since."""


class PastView(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown is not now. Stamps are ns of the run."""

    at_ns: int
    begin_ns: int
    end_ns: int
    """The whole run; the end is the present, or that of the recording."""
    read_ns: int | None = None
    """How far a recording has been read; None where all of it has."""
    is_cut: bool = False
    """The run began earlier, and that part of the recording was deleted."""
    has_present: bool = True
    """The run goes on; False of a recording."""
    going_to_ns: int | None = None
    """Where one is on a long way to."""
    speed: float = 1.0
    """Seconds of the run that pass in one while it is played."""
    is_playing: bool = False
    hurt_now: int = 0
    """Routes that hurt in the present."""
    worst_now: RouteState | None = None
    """The worst state of these."""
    stops: tuple[Happening, ...] = ()
    """What has happened that one can go to, as it is known now, oldest first."""

    @property
    def ago_s(self) -> int:
        """How long before the end that was, in whole seconds."""
        return (self.end_ns - self.at_ns) // NS_PER_S


class PageView(msgspec.Struct, frozen=True):
    """How the page of a route is looked at."""

    probe: str = ""
    """Id of the selected probe; empty selects the newest."""
    gaps: bool | None = None
    """The heat map is of the time between chunks, not of TTFT; None where nobody has chosen: then
    it is of what hurts."""
    only_failed: bool = False
    """Only probes that were not good are listed."""
    slowest: bool = False
    """They are listed slowest first, not newest first."""
    t0: FeltColumn | None = None
    """What the figures are compared with, where the user has set it."""
    t0_route: str = ""
    """Whose figures those are."""
    t0_ns: int | None = None
    """When it was set, stamp of the engine."""
    against_t0: bool = False
    """The figures are shown as what they are against T0."""


class ReplayView(msgspec.Struct, frozen=True):
    """Where in a recording one stands that is shown in the place of a run."""

    at_ns: int
    begin_ns: int
    end_ns: int
    """Its own, read or not."""
    speed: float
    """Seconds of the run that pass in one while it is played."""
    is_playing: bool
    read_percent: int
    """How much of it has been read."""
    awaited_ns: int | None = None
    """The moment that is waited for, as it has not been read yet."""
    failure: str = ""
    """Why the rest cannot be read; empty where it can."""

    @property
    def is_over(self) -> bool:
        """Whether nothing comes after what is shown."""
        return self.at_ns >= self.end_ns and self.read_percent >= 100


class ViewState(msgspec.Struct, frozen=True):
    """Selection, order, filter, window and scroll: nothing of it changes what is measured."""

    selected: str | None = None
    """Route the lower panes show; None while there is none."""
    sort: str = ""
    """Key of the column the table is sorted by; empty is worst first."""
    reversed: bool = False
    filter: str = ""
    """Lower-case words that a route's name, model, tags or state must all contain."""
    window: WindowName = "1m"
    only_hurt: bool = False
    """Only routes that hurt are rows of the table."""
    private: bool = False
    """Names of routes, models and hosts, and a server's words, are masked: somebody looks on."""
    log_filter: LogFilter = "all"
    tagged: tuple[str, ...] = ()
    """Routes that are to be compared, the first one is what the others are compared with."""
    groups: Mapping[str, bool] = msgspec.field(default_factory=dict)
    """Route → whether its places stand beneath it: of those that the user has opened or closed."""
    rows: tuple[str, ...] | None = None
    """The rows of the table in their order, where that was made of other names than those shown;
    None where filter and order make it."""
    preview: bool = False
    """The token arrival pane shows the text as it comes."""
    acknowledged: frozenset[str] = frozenset()
    """Ids of the alerts that somebody has seen: they are loud no more."""
    maximised: int | None = None
    """Number of the pane that has the whole screen."""
    places: int = 1
    """From how many places routes are probed: with one alone there is no grid to go to."""
    freeze: Freeze | None = None
    past: PastView | None = None
    """Where in the past the screen stands; None where it shows the present."""
    keys: tuple[Hotkey, ...] = KEYS
    """The keys that the user has: whoever shows one takes it from here."""
    idle: frozenset[str] = frozenset()
    """Ids of the keys that do nothing in this run, such as to compare what is probed elsewhere:
    they are not offered, and say why."""
    lit: str = ""
    """Id of the key whose entry in the footer the mouse is on; empty for none."""
    page: "PageView" = msgspec.field(default_factory=lambda: PageView())
    leader_order: LeaderOrder = "e2e"
    """What the leaderboard is sorted by."""
    leader_reversed: bool = False
    offsets: Mapping[PaneName, int] = msgspec.field(default_factory=dict)
    """Pane → lines scrolled down."""

    @property
    def frozen(self) -> bool:
        """Whether the screen stands still."""
        return self.freeze is not None

    def tag(self, route: str) -> str:
        """Return the letter of a tagged route; a blank of one that is not."""
        return ARM_LETTERS[self.tagged.index(route)] if route in self.tagged else " "

    def offset(self, pane: PaneName) -> int:
        """Return how many lines a pane is scrolled down."""
        return self.offsets.get(pane, 0)


DEFAULT_VIEW: Final = ViewState()
