"""What of a stream belongs to one place: its time, and what its engine says of itself.

Rule 1: a place's time is the newest stamp of its own events. Its routes are judged, read and aged
at that time and never at another place's: clocks of two machines differ, batches come late, and a
place that was away for a minute then sends what it has, in order.
Rule 2: a gap, what is held, health and budgets are a place's own. The header shows the worst.
Rule 3: a stream of one place that has no name is one place: all of it is that place's.
"""

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from probes.board.lanes import SlotTokens
from probes.board.views import PlaceView
from probes.events import (
    Batch,
    BudgetState,
    ClockSource,
    Gap,
    Health,
    HeldReason,
    PlaceReport,
    PlaceState,
    Tick,
)
from probes.kit.clock import NS_PER_S

if TYPE_CHECKING:
    from probes.board.route import RouteBoard  # it knows its place

_DROPS_SHOWN_NS: Final = 60 * NS_PER_S
"""A lane keeps a minute of cells: for so long a gap in them may be seen."""
ARRIVAL_NS: Final = 5 * NS_PER_S
"""Over how long the live tokens/s is taken: short enough to be seen move, and still readable."""
_SLOTS_KEPT: Final = 4096
"""80 routes' slots of 100 ms over that time."""
_BEHIND_NS: Final = 5 * NS_PER_S
"""A batch is a second and a half late where all is well."""
_GAPS_KEPT: Final = 16
"""More than come while a probe is open, unless a machine sleeps over and over."""
_UNHEARD: Final[Mapping[PlaceState, str]] = {
    "heard": "",
    "silent": "nothing comes from there",
    "gone": "nobody probes there",
    "unknown": "the way there is lost from here",
}


def unheard_words(report: PlaceReport | None) -> str:
    """Return why nothing is heard of a place."""
    return "" if report is None else _UNHEARD[report.state]


class PlaceBoard:
    """State of one place."""

    __slots__ = (
        "_arrivals",
        "_dropped_ns",
        "batch_ns",
        "budgets",
        "clock",
        "closing",
        "due_ns",
        "durable_ns",
        "engine",
        "gaps",
        "health",
        "held",
        "name",
        "now_ns",
        "report",
        "seal_from_ns",
        "second",
        "step",
        "turns",
    )

    def __init__(self, name: str, at_ns: int) -> None:
        self.name = name
        """Empty where one place is all there is."""
        self.now_ns = self.durable_ns = at_ns
        """Stamps of its newest event, and of its newest durable one."""
        self.turns: tuple[RouteBoard, ...] = ()
        """Its routes: a second of its time is divided among them in this order."""
        self.due_ns = 0
        """When the next of them has its turn."""
        self.step = self.second = -1
        """Turn that was taken last, and the second that it was in."""
        self.closing: deque[RouteBoard] = deque()
        """Routes with slices that may be sealed."""
        self.seal_from_ns = 0
        self.report: PlaceReport | None = None
        """What was told last of whether it is heard; None where nobody told."""
        self.engine = ""
        """Id of the engine that runs there; empty before one has said hello."""
        self.clock: ClockSource = "user"
        self.health: Health | None = None
        self.budgets: tuple[BudgetState, ...] = ()
        self.batch_ns: int | None = None
        """When its last batch came; None in a replay, which has none."""
        self.gaps: deque[Gap] = deque(maxlen=_GAPS_KEPT)
        self.held: set[HeldReason] = set()
        """What holds back new attempts of all its routes."""
        self._dropped_ns: int | None = None
        """When its engine last said that it had dropped transient events."""
        self._arrivals: deque[tuple[int, SlotTokens]] = deque(maxlen=_SLOTS_KEPT)
        """Output by the stamp of its 100 ms slot."""

    @property
    def is_heard(self) -> bool:
        """Whether what is known of it may be how it is."""
        return self.report is None or self.report.state == "heard"

    def view(self, stream_ns: int) -> PlaceView:
        """Return how it is while the stream is at a stamp."""
        report = self.report
        if report is None:
            return PlaceView(name=self.name)
        # What it could not send meanwhile comes with the stamps of then.
        behind_ns = report.at_ns - self.now_ns if report.state == "heard" else 0
        return PlaceView(
            name=self.name,
            state=report.state,
            since_ns=report.since_ns,
            since_s=max(0, stream_ns - report.since_ns) / NS_PER_S,
            behind_s=behind_ns / NS_PER_S if behind_ns > _BEHIND_NS else 0.0,
            detail=report.detail,
        )

    def engine_ran(self, started_ns: int, ended_ns: int) -> bool:
        """Return whether the engine ran all the time between two stamps, so that they hold."""
        if not self.gaps:
            return True
        return not any(gap.started_ns < ended_ns and started_ns < gap.at_ns for gap in self.gaps)

    def ticked(self, event: Tick) -> None:
        """Take health and budgets."""
        self._note_health(event.health, event.at_ns)
        self.budgets = event.budgets

    def batched(self, event: Batch) -> bool:
        """Take the health of a batch; return whether more changed than its timings."""
        before = self.health
        self._note_health(event.health, event.at_ns)
        self.batch_ns = event.at_ns
        return before is None or _at_once(before) != _at_once(event.health)

    def arrived(self, at_ns: int, written: SlotTokens) -> None:
        """Count the output of one slot of one route for the live tokens/s."""
        self._arrivals.append((at_ns, written))
        while self._arrivals and self._arrivals[0][0] < at_ns - ARRIVAL_NS:
            self._arrivals.popleft()

    @property
    def drops_shown(self) -> bool:
        """Whether transient events are missing from what the lanes may still show."""
        return self._dropped_ns is not None and self.now_ns - self._dropped_ns < _DROPS_SHOWN_NS

    @property
    def is_live(self) -> bool:
        """Whether output of open streams is told as it comes."""
        return self.batch_ns is not None and self.batch_ns >= self.now_ns - ARRIVAL_NS

    def recent_output(self) -> list[SlotTokens]:
        """Return what has arrived in the last seconds, by slots."""
        since = self.now_ns - ARRIVAL_NS
        return [written for at_ns, written in self._arrivals if at_ns >= since]

    def _note_health(self, health: Health, at_ns: int) -> None:
        # A new engine counts from zero: what is fewer than before is all its own.
        before = self.health.drops if self.health is not None else 0
        if health.drops > (before if health.drops >= before else 0):
            self._dropped_ns = at_ns
        self.health = health
        self.clock = health.clock


def _at_once(health: Health) -> tuple[int, str]:
    """Return what of the health is shown at once, and not with the next second's figures."""
    return health.drops, health.short_of
