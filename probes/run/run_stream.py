"""The one stream of a run as it happens: from whoever gives events to all that takes them.

Rule 1: the stream begins with a `hello`. What comes before it waits, and stands behind it with no
stamp before it: whoever told that knew no time of the engine's. A run that ends before any engine
spoke has a hello of our own.
Rule 2: a batch is judged before anybody hears it, and its verdicts are part of it. The order in
which sinks hear it stands here, with its reasons.
Rule 3: where the run begins from what is kept of earlier ones, what was usual then stands right
behind the first hello, of several places of each: it is part of the stream, so that a replay judges
as the run did. So is what was seen before of what is wrong, as soon as it is found.
Rule 4: what the recorder, the history and exports cannot do is told in the stream, behind the batch
that came next; before the hello it waits like all else.
Rule 5: at the end exports go first and the recorder last: what is told until then is recorded, too.
"""

import os
import queue
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio
import msgspec
from anyio import to_thread

from probes import __version__
from probes.board import Board
from probes.diagnosis import Diagnostician
from probes.events import SCHEMA_VERSION, Event, Hello, Notice, RouteInfo, durable_lines
from probes.kit.clock import Clock
from probes.run.exporting import Export, close_exports
from probes.run.sinks import JudgedSinks, Sink, board_sink, recorder_sink
from probes.run.timeline import RunTimeline, in_a_thread
from probes.run.verdicts import Judge
from probes.stats.sketch import BACKEND
from probes.store.recording import Recorder

if TYPE_CHECKING:
    from probes.history.keeper import HistoryKeeper

_HELLO_PATIENCE_S: Final = 60.0
"""An engine that says nothing for half of it is killed; without any, a duration must end too."""


class RunStream:
    """Takes the batches of a source and what is told beside it; owns what they are given to.

    All methods are for the event loop's thread, but `note`, which any thread may call.
    """

    def __init__(
        self,
        diagnostician: Diagnostician,
        *,
        clock: Clock,
        recorder: Recorder | None,
        history: "HistoryKeeper | None",
        goes_back: bool,
        begins_from_history: bool,
        learn: Sink,
        follow: Sink,
    ) -> None:
        """Prepare the stream of one run.

        Args:
            diagnostician: judges it.
            clock: the time.
            recorder: writes it down.
            history: keeps what comes of it for weeks.
            goes_back: whether its past is kept for who looks at it.
            begins_from_history: whether it is told what was usual before, and tells what is by now.
                Where the events come from runs of others, these have done so.
            learn: takes from a batch what is wanted of the routes.
            follow: does what follows from a batch that everybody has heard.
        """
        self.board = Board()
        """Everything the stream has told so far."""
        self.timeline = (
            RunTimeline(self.board, recorder, aside=in_a_thread)
            if goes_back and recorder is not None
            else None
        )
        """What of it can be gone back to; None where nothing is recorded."""
        self.newest_ns = 0
        """Its newest stamp."""
        self._diagnostician = diagnostician
        self._clock = clock
        self._recorder = recorder
        self._history = history
        self._begins_from_history = begins_from_history
        self._sinks = JudgedSinks(
            Judge(diagnostician),
            # Whoever comes later and looks at the board sees the batch that it is called with, but
            # while a checkpoint is taken for who goes back.
            board_sink(self.board) if self.timeline is None else self.timeline.fold,
            # A subscriber that commands in answer to an event changes what is wanted after it.
            learn,
            # What a subscriber prints, or fails at, is on record already.
            *([] if recorder is None else [recorder_sink(recorder)]),
            # Its checkpoints are of what the board has folded and the recorder has been given.
            *([] if self.timeline is None else [self.timeline.receive]),
            *([] if history is None else [history.receive]),
            # Subscribers, in the order in which they come.
        )
        self._follow = follow
        self._exports: list[Export] = []
        self._notes: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._greeted = False
        self._hello_came = anyio.Event()
        self._early: list[Event] = []
        self._warmed: set[str] = set()
        """Places whose routes were told what was usual before."""
        self._heard_ns = clock.monotonic_ns()

    @property
    def now_ns(self) -> int:
        """The present on its clock: its newest stamp, and the time since that came."""
        return self.newest_ns + self._clock.monotonic_ns() - self._heard_ns

    @property
    def recording_path(self) -> str:
        """The file being recorded to; empty where nothing is, or was."""
        recorder = self._recorder
        return "" if recorder is None or not recorder.has_begun else str(recorder.path)

    def subscribe(self, sink: Sink) -> None:
        """Call back with every batch, after the board has folded it and it is being recorded."""
        self._sinks.add(sink)

    def close_with_it(self, export: Export) -> None:
        """Close an export at the end, before problems are told for the last time."""
        self._exports.append(export)

    def note(self, text: str, route: str = "") -> None:
        """Put a notice into the stream with the next batch, after its hello."""
        self._notes.put((route, text))

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Take a batch in order, and the JSON lines of its durable events."""
        if not self._greeted:
            # Of several engines one may be heard of before another has introduced itself.
            first = next((at for at, one in enumerate(events) if isinstance(one, Hello)), None)
            if first is None:
                self._early.extend(events)
                return
            hello_ns = events[first].at_ns
            early = [
                msgspec.structs.replace(event, at_ns=max(event.at_ns, hello_ns))
                for event in (*self._early, *events[:first])
            ]
            if first:
                events, lines = events[first:], durable_lines(events[first:])
            events, lines = [*events, *early], lines + durable_lines(early)
            self._greeted = True
            self._hello_came.set()
            self._early = []
        events, lines = self._with_usual(events, lines)
        newest_ns = max((event.at_ns for event in events), default=0)
        if newest_ns > self.newest_ns:  # what is told of a dead engine has its last stamp
            self.newest_ns, self._heard_ns = newest_ns, self._clock.monotonic_ns()
        events, lines = self._sinks.give(events, lines)
        self._follow(events, lines)
        self.tell_notes()
        if self._history is not None and (seen := self._history.seen(self.newest_ns)):
            self.deliver(seen)

    def deliver(self, events: list[Event]) -> None:
        """Put events of our own into the stream."""
        self.receive(events, durable_lines(events))

    def emit(self, text: str, route: str = "") -> None:
        """Put a notice of our own into the stream at once."""
        self.deliver([Notice(at_ns=self.newest_ns, route=route, text=text)])

    def tell_notes(self) -> None:
        """Tell what was noted, where the stream has begun."""
        while self._greeted and not self._notes.empty():
            route, text = self._notes.get()
            self.emit(text, route)

    async def outlast(self, duration_s: float) -> None:
        """Return so many seconds after the first hello: what a run's duration counts from.

        Where no engine introduces itself, the seconds count from when that is given up.
        """
        with anyio.move_on_after(_HELLO_PATIENCE_S):
            await self._hello_came.wait()
        await self._clock.sleep(duration_s)

    def start(self) -> None:
        """Begin to write down what comes."""
        if self._recorder is not None:
            self._recorder.start(self.note)
        if self._history is None:
            return
        if self._begins_from_history:
            self._history.start(self.note, self._diagnostician.references)
        else:
            self._history.start(self.note)

    async def during(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do what the batches come from, and in turns of the loop what takes long of them."""
        if self.timeline is None:
            await work()
        else:
            await self.timeline.during(work)

    async def close(self, hello: Callable[[], Event]) -> None:
        """End it, and return when all is written; `hello` makes ours, where nobody's came."""
        await close_exports(self._exports)
        if not self._greeted:
            self.deliver([hello()])
        if self._history is not None:
            await to_thread.run_sync(self._history.close)
        self.tell_notes()
        if self._recorder is not None:
            await to_thread.run_sync(self._recorder.close)
            self.tell_notes()

    def _with_usual(self, events: list[Event], lines: bytes) -> tuple[list[Event], bytes]:
        """Return a batch with what was usual before right behind the first hello of each place."""
        history = self._history if self._begins_from_history else None
        if history is None or not any(isinstance(event, Hello) for event in events):
            return events, lines
        told: list[Event] = []
        for event in events:
            told.append(event)
            if isinstance(event, Hello) and event.place not in self._warmed:
                self._warmed.add(event.place)
                told += history.warm(event)
        # A hello of ours has no field that we do not know: its line may be written anew.
        return (events, lines) if len(told) == len(events) else (told, durable_lines(told))


def own_hello(at_ns: int, wall_ns: int, routes: tuple[RouteInfo, ...]) -> Hello:
    """Return what stands in the place of the hello of engines that never spoke."""
    return Hello(
        at_ns=at_ns,
        wall_ns=wall_ns,
        engine="",
        version=__version__,
        schema=SCHEMA_VERSION,
        pid=os.getpid(),
        digests=BACKEND,
        routes=routes,
    )
