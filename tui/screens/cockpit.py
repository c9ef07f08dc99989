"""What all live screens of a cockpit share: what is looked at, what was turned, and the pace."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from anyio import to_thread

from probes.board.views import Snapshot, WindowName
from probes.control.commands import Adapt, Command, Pause, SetKnob
from probes.control.knobs import KNOBS
from probes.events import Knob
from probes.events.knob_turns import BY_ITSELF, is_next_step, knob_words
from probes.kit.clock import Clock
from tui.keys import KEYS, Hotkey
from tui.panes.header import Strips
from tui.panes.view import ReplayView, ViewState
from tui.screens.alert_desk import AlertDesk
from tui.screens.comparisons import ComparisonDesk
from tui.screens.frames import Frames
from tui.screens.masking import mask_of
from tui.screens.sweeps import SweepDesk
from tui.screens.travel import Travel
from tui.session import CockpitSession, HandedOver, HandOver, Proposal, Propose
from tui.terminal.driver import Terminal
from tui.terminal.pace import CpuMeter, Pace

if TYPE_CHECKING:
    from probes.history.views import HistoryView

_UNDONE_MOST = 100
"""Turns that can be taken back: more than anybody remembers."""

_TYPED_MOST = 100


Weeks: TypeAlias = Callable[[str, float], "HistoryView | str"]
"""Gives the history of a route since a time ago in seconds, or why there is none; blocks."""


class Turned(msgspec.Struct, frozen=True):
    """A knob as it was turned, and what takes that back."""

    words: str
    undo: Command
    step: Knob | None = None
    """The turn as an event would tell it; None of what has no value."""


class CockpitState:
    """One session and how somebody looks at it, whichever screen is in front."""

    def __init__(
        self,
        session: CockpitSession,
        clock: Clock,
        *,
        refresh_hz: float,
        window: WindowName,
        terminal: Terminal | None = None,
        keys: Sequence[Hotkey] = KEYS,
        propose: Propose | None = None,
        hand_over: HandOver | None = None,
        desk: AlertDesk | None = None,
        weeks: Weeks | None = None,
    ) -> None:
        self.view = ViewState(window=window, keys=tuple(keys), idle=_idle_keys(session))
        self.session = session
        self.clock = clock
        self.terminal = terminal
        self.interval_s = 1 / refresh_hz
        self.pace = Pace(refresh_hz, clock.monotonic_ns())
        self.cpu = CpuMeter(clock)
        self.travel = Travel(session.timeline, clock, replayed=session.replayed)
        # Whoever opens a recording sees it go on, as the run did.
        self.travel.play(session.replayed is not None)
        self.frames = Frames(session.board, clock, self.travel)
        self.strips = Strips()
        self.desk = desk or AlertDesk(clock)
        self.comparisons = ComparisonDesk(session)
        self.sweeps = SweepDesk(session, self.desk.attention)
        self.weeks = weeks
        """Reads the history of a route; None where none is kept."""
        self._propose = propose
        self._hand_over = hand_over
        self.is_handing_over = False
        """A hand-over is being made: one at a time."""
        self._settled: dict[str, str] = {}
        """What of [display] is as it was at the start, or as it was saved since."""
        self.typed: deque[str] = deque(maxlen=_TYPED_MOST)
        """Commands that were typed, the last one last."""
        self._turned: list[Turned] = []
        self.remarks_told = 0
        """Of what is missing of a recording."""

    def replay(self) -> ReplayView | None:
        """Return where in a recording one stands; None of a run."""
        replayed, place = self.session.replayed, self.travel.place()
        if replayed is None or place is None:
            return None
        return ReplayView(
            at_ns=place.at_ns,
            begin_ns=place.begin_ns,
            end_ns=max(replayed.end_ns, place.end_ns),
            speed=place.speed,
            is_playing=place.is_playing,
            read_percent=int(100 * replayed.read_share),
            awaited_ns=self.travel.awaited_ns,
            failure=replayed.failure,
        )

    def worded(self, text: str) -> str:
        """Return words of ours as they may leave the screen: while names are masked, without."""
        if not self.view.private:
            return text
        return mask_of(self.session.wanted.routes, self.frames.latest).words(text)

    def settle(self, **display: str) -> None:
        """Take what is looked at for what the settings say: only what is another is ever saved.

        The terminal may have changed the theme, and `--window` the window: nobody asked for these
        to be kept.
        """
        self._settled = display

    def proposal(self, **display: str) -> Proposal:
        """Return what saving would change: knobs as they are wanted now, and what is looked at."""
        if self._propose is None:
            return Proposal(refusal="there is no settings file")
        routes = {
            name: {knob: value for knob in KNOBS if (value := getattr(route, knob)) is not None}
            | ({"concurrency": BY_ITSELF} if route.adaptive else {})
            for name, route in self.session.wanted.routes.items()
        }
        turned = {key: word for key, word in display.items() if word != self._settled.get(key)}
        return self._propose(routes, turned)

    async def hand_over(
        self,
        snapshot: Snapshot,
        route: str,
        *,
        writes: bool,
        progress: Callable[[str, float | None], object],
    ) -> HandedOver:
        """Tell what is shown to whoever is not there, while probing goes on; see `HandOver`.

        `progress` is called in another thread.
        """
        if self._hand_over is None:
            return HandedOver(failure="Nothing is recorded that could be handed over.")
        self.is_handing_over = True
        try:
            told = partial(self._hand_over, snapshot, route, writes=writes, progress=progress)
            return await to_thread.run_sync(told, abandon_on_cancel=False)
        finally:
            self.is_handing_over = False

    def turn(self, command: Command) -> None:
        """Hand a command to the engine, and remember what takes it back where something can."""
        turned = self._undoing(command)
        step = turned.step if turned is not None else None
        last = self._turned[-1].step if self._turned else None
        if step and last and step.route == last.route and is_next_step(last, step):
            # A key that was pressed several times is one turn, in the log as here.
            self._turned.pop()
            turned = _turned(msgspec.structs.replace(step, before=last.before))
        if turned is not None:
            self._turned = [*self._turned[1 - _UNDONE_MOST :], turned]
        self.session.command(command)

    def undo(self) -> Turned | None:
        """Take back the knob that was turned last; return it, or None where none is left."""
        if not self._turned:
            return None
        turned = self._turned.pop()
        self.session.command(turned.undo)
        return turned

    def _undoing(self, command: Command) -> Turned | None:
        """Return what takes a command back: the value that was wanted until now."""
        wanted = self.session.wanted
        match command:
            case SetKnob(route=route, knob=knob, value=value) if route in wanted.routes:
                before: float = getattr(wanted.routes[route], knob)
                if knob == "concurrency" and wanted.routes[route].adaptive:
                    words = f"{route}: {knob_words('auto', 1, 0)}"
                    return Turned(words, Adapt(route=route, on=True, concurrency=before))
                return _turned(
                    Knob(
                        at_ns=self.clock.monotonic_ns(),
                        route=route,
                        knob=KNOBS[knob].name,
                        before=before,
                        after=value,
                    )
                )
            case Adapt(route=route, on=on) if route in wanted.routes:
                before = wanted.routes[route].concurrency
                back = Adapt(route=route, on=not on, concurrency=before)
                return Turned(f"{route}: {knob_words('auto', not on, on)}", back)
            case Pause(route=route, paused=paused):
                words = f"{route or 'all routes'}: {'paused' if paused else 'resumed'}"
                return Turned(words, Pause(route=route, paused=not paused))
            case _:
                return None


def _idle_keys(session: CockpitSession) -> frozenset[str]:
    """Return the ids of the keys that can do nothing in a run."""
    asking = () if session.asks else ("tag", "compare", "compare_again", "sweep", "sweep_again")
    return frozenset((*asking, *(() if session.has_text else ("preview",))))


def _turned(step: Knob) -> Turned:
    """Return the turn of a knob with what takes it back."""
    words = f"{step.route}: {knob_words(step.knob, step.before, step.after)}"
    return Turned(words, SetKnob(route=step.route, knob=step.knob, value=step.before), step)
