"""The moments of a run that one can go back to.

Rule 1: a past board is a checkpoint of the board and what the recording has after it. Nothing else
is kept of the past, so without a recording there is none.
Rule 2: checkpoints stand as far apart as folding from one to the next may take, and within a bound
of bytes. Where that runs short, those go that leave the smallest hole.
Rule 3: what decides stays what was decided. In a run its verdicts are read as they were recorded;
of a recording that is judged anew, what this version says is kept beside it and put in its place.
Rule 4: collecting goes on whatever somebody looks at. Going back is done on a board of its own,
from any one thread at a time.
Rule 5: what is not recorded as it comes, the output of open streams, is drawn from how they ended,
where that is recorded soon after: see `_Ahead`.
Rule 6: where retention has deleted parts, the past begins after them.
Rule 7: whoever taps a key waits for no checkpoint: it is taken some routes at a time, between which
the loop goes on. Meanwhile the board stands still, since a checkpoint is of one moment, and what
comes for it waits; the recording, and who calls people, have it at once.
Rule 8: a board of the past is what the screen showed then. What a stretch is asked for is all that
happened in it: of several places one may have told it minutes later.
"""

import threading
import time
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeAlias, get_args

import anyio
from anyio.lowlevel import checkpoint as let_others_run

from probes.board import Board
from probes.board.board import OpenAttempt
from probes.board.checkpoint import Checkpoint
from probes.board.views import Happening
from probes.diagnosis.places import PlaceTimes
from probes.events import (
    DURABLE_TYPES,
    AttemptFinished,
    Derived,
    Event,
    Hello,
    decode_event,
)
from probes.kit.clock import NS_PER_S
from probes.store.hellos import hellos_after
from probes.store.recording_files import RecordedPlace
from probes.store.recording_reader import Piece, RecordingError, read_on, read_pieces

EVENTS_APART: Final = 4_000
"""Durable events from one checkpoint to the next: a sixth of a second of folding."""
LEAST_APART_NS: Final = 30 * NS_PER_S
"""Taking one costs the hundredth part of a second, where eight routes are shown."""
_TIMES_APART: Final = 100
"""So many times as long as one takes lies between two, in the time of the stream: of 400 routes one
takes a third of a second, for as long as which their board stands still."""
_TURN_NS: Final = NS_PER_S // 100
"""So long at a time it is taken, and what waited for it is folded, but for the last piece: a person
feels a tenth of a second."""
_TIMES_OUR_APART: Final = 20
"""The same in our own time: where the past is read a hundred times as fast as it went, taking them
may take no more than a twentieth of that."""
BYTES_KEPT: Final = 40 << 20
"""Of all checkpoints of a run: an hour of 8 routes with 50 streams has one each 150 s."""
STEP_NS: Final = 10 * NS_PER_S
"""One step back; so far apart are the checkpoints prepared before the place that is shown."""
_PREPARED_NS: Final = 400 * NS_PER_S
_NEEDED_NS: Final = 200 * NS_PER_S
"""So far back the next steps are prepared, as soon as those of the second are not: the way there
begins at a checkpoint of the run, and takes as long for one step as for all on it."""
_AT_ONCE_NS: Final = 3 * NS_PER_S
"""Folded in one piece meanwhile: a key waits for as long as that takes."""
_PREPARED_MOST: Final = 48
"""Prepared checkpoints: those of the way here stay for the way forth."""
_PREPARED_BYTES: Final = 48 << 20
"""Of them all: of 400 routes seven find room, of 41 as many as are wanted."""

_AHEAD_NS: Final = 30 * NS_PER_S
_AHEAD_BYTES: Final = 2 << 20
"""So far is looked ahead, in time and in what is read at once, for the ends of open attempts: what
hangs for longer has mostly brought nothing."""
_ENDS_KEPT: Final = 2_000
"""Ends that were read and may have been passed."""

_LATE_NS: Final = 600 * NS_PER_S
"""So much later a place may have told what happened in a stretch; what was cut off for longer and
tells it then is not waited for, or all of a recording would be read for the sake of a minute."""

_DURABLE: Final = frozenset(DURABLE_TYPES)
_DERIVED: Final = frozenset(get_args(Derived))

Locate: TypeAlias = Callable[[], RecordedPlace | None]
"""Return where a moment stands in the recording; None while it is not written, or was lost."""


Aside: TypeAlias = Callable[[Callable[[], object]], object]


def at_once(work: Callable[[], object]) -> None:
    """Do it here."""
    work()


def in_a_thread(work: Callable[[], object]) -> None:
    """Do it in a thread of its own, which nobody waits for."""
    threading.Thread(target=work, name="llmtop-aside", daemon=True).start()


class Recorded(Protocol):
    """The recording of a run, being written or being read."""

    @property
    def parts(self) -> Sequence[Path]:
        """Its files so far, in order; the first of them may have been deleted."""
        ...

    def here(self, hellos: bytes, /) -> Locate:
        """Return what tells where the lines after those stand that were given by now; `hellos` are
        those that are needed by then."""
        ...


class TimeSpan(NamedTuple):
    """What there is of a run, in ns of its stream."""

    begin_ns: int
    """The first moment that can be shown."""
    end_ns: int
    """The last."""
    is_cut: bool
    """The run began earlier, and that part of it was deleted."""


@dataclass(slots=True)
class _Moment:
    """A checkpoint and where it belongs."""

    at_ns: int
    """Stamp of the last durable event before it."""
    number: int
    """Of the durable events before it that were not derived."""
    checkpoint: Checkpoint
    locate: Locate
    bytes_kept: int = 0
    """That would be free without it; 0 of the newest."""
    done: int = 0
    """Events behind its place that are in it already."""


_AT_NS: Final = attrgetter("at_ns")


_WHOLE: Final = object()


class _Taking:
    """A checkpoint that is being taken."""

    def __init__(self, moment: _Moment, parts: Iterator[None]) -> None:
        self.moment = moment
        self._parts = parts
        self.took_ns = 0
        """Time of the processor that went into it."""

    def is_whole(self) -> bool:
        """Take the next part; return whether that was the last."""
        began_ns = time.thread_time_ns()
        is_whole = next(self._parts, _WHOLE) is _WHOLE
        self.took_ns += time.thread_time_ns() - began_ns
        return is_whole


class StretchEnd:
    """The end of a stretch, for who reads on until all of it has come."""

    def __init__(self, end_ns: int) -> None:
        self._end_ns = end_ns
        self._places = PlaceTimes()
        self.is_reached = False
        """Nothing of the stretch is to come, as far as one waits for it."""

    def greeted(self, hellos: bytes) -> list[Event]:
        """Take the `hello` lines that come before the first event; return what they say."""
        said = [decode_event(line) for line in hellos.splitlines()]
        for event in said:
            self._places.fold(event)
        return said

    def is_before(self, event: Event) -> bool:
        """Take the next event; return whether it comes after the stretch."""
        self._places.fold(event)
        if event.at_ns <= self._end_ns:
            return False
        places = self._places.by_name
        # Without places the first that is after it is the end, whatever it tells.
        is_all = "" in places or all(one.now_ns > self._end_ns for one in places.values())
        self.is_reached = is_all or event.at_ns > self._end_ns + _LATE_NS
        return True


class RunTimeline:
    """Takes a run's batches after its board and its recorder have; see the rules."""

    def __init__(
        self,
        board: Board,
        recorded: Recorded,
        *,
        judges_anew: bool = False,
        bytes_kept: int = BYTES_KEPT,
        aside: Aside = at_once,
    ) -> None:
        """Begin with an empty board; `judges_anew` where the verdicts of the batches are not those
        of the recording. `aside` does what need not be done before the next batch."""
        self._board = board
        self._recorded = recorded
        self.judges_anew = judges_anew
        self._aside = aside
        self._most_bytes = bytes_kept
        self._hellos = b""
        self._number = 0
        self._moments: tuple[_Moment, ...] = ()
        """Another one after each change: whoever goes through it does so in another thread."""
        self._changing = threading.Lock()
        """Held by who makes that other one."""
        self._verdicts: dict[int, list[Event]] = {}
        """By the number of the event that decided, where they are not read."""
        self._begin_ns: int | None = None
        self._end_ns = 0
        self.happenings: Sequence[Happening] = ()
        """What has happened in all that was folded, newest first; any thread may read it."""
        self._next_number = 0
        self._next_ns = 0
        self._not_before_ns = 0
        """No checkpoint is taken before, by our own clock."""
        self._taking: _Taking | None = None
        """What is being taken."""
        self._waiting: deque[tuple[list[Event], bytes]] = deque()
        """Batches for the board that came meanwhile, and those behind them."""
        self._begun: anyio.Event | None = None
        """Set where something is to be done in turns; None where all of it is done at once."""

    def fold(self, events: list[Event], lines: bytes) -> None:
        """Take a batch, before its recorder does: its board folds it, now or when its turn has
        come."""
        if self._taking is not None or self._waiting:
            self._waiting.append((events, lines))
        else:
            self._fold(events)

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Take it after both have; take a checkpoint where one is due."""
        if not self._waiting:
            self._note(events, lines)
            if self._is_due():
                self._take()

    async def during(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do what the batches come from; what takes long in turns of the loop meanwhile."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._take_turns)
                await work()
                tasks.cancel_scope.cancel()
        finally:
            self._begun = self._taking = None
            while self._go_on():
                pass

    async def _take_turns(self) -> None:
        while True:
            self._begun = anyio.Event()
            await self._begun.wait()
            while self._go_on():
                await let_others_run()

    def _go_on(self) -> bool:
        """Go on with what is being taken, then with what waits; return whether more is to do."""
        until_ns = time.monotonic_ns() + _TURN_NS
        while (taking := self._taking) is not None:
            if taking.is_whole():
                self._taking = None
                self._keep(taking)
                return bool(self._waiting)
            if time.monotonic_ns() >= until_ns:
                return True
        # Two at least: where one comes each turn, as the past of a bus does, it ends all the same.
        folded = 0
        while self._waiting and (folded < 2 or time.monotonic_ns() < until_ns):
            # It is noted while it still waits: what comes is not to overtake it.
            self._fold(self._waiting[0][0])
            self._note(*self._waiting.popleft())
            folded += 1
        return bool(self._waiting)

    def _fold(self, events: list[Event]) -> None:
        for event in events:
            self._board.fold(event)

    def _note(self, events: list[Event], lines: bytes) -> None:
        """Note a batch that was folded."""
        if self._begin_ns is None and events:
            self._begin_ns = self._end_ns = events[0].at_ns
        for event in events:
            kind = type(event)
            if kind not in _DURABLE:
                continue
            if kind in _DERIVED:
                if self.judges_anew:
                    self._verdicts.setdefault(self._number, []).append(event)
                continue
            self._number += 1
            self._end_ns = max(self._end_ns, event.at_ns)
        self.happenings = self._board.happenings
        self._hellos = hellos_after(self._hellos, lines)

    def _is_due(self) -> bool:
        is_apart = self._number >= self._next_number and self._end_ns >= self._next_ns
        return bool(self._hellos) and is_apart and time.monotonic_ns() >= self._not_before_ns

    @property
    def span(self) -> TimeSpan:
        """What of the run can be shown by now."""
        moments = self._readable()
        begin_ns = moments[0].at_ns if moments else self._end_ns
        return TimeSpan(
            begin_ns, self._end_ns, bool(moments) and moments[0] is not self._moments[0]
        )

    @property
    def recorded_span(self) -> TimeSpan:
        """What of the run can be read by now: it may begin before the first moment to be shown."""
        span = self.span
        if span.is_cut or self._begin_ns is None:
            return span
        return TimeSpan(self._begin_ns, span.end_ns, is_cut=False)

    @property
    def checkpoints(self) -> int:
        """How many there are."""
        return len(self._moments)

    @property
    def is_taking(self) -> bool:
        """Whether one is being taken."""
        return self._taking is not None

    @property
    def bytes_kept(self) -> int:
        """Memory that they take."""
        return sum(moment.bytes_kept for moment in self._moments)

    @property
    def failure(self) -> type[Exception]:
        """What a past board raises where what is recorded cannot be read."""
        return RecordingError

    def past(self) -> "Past":
        """Return a board that goes through the run on its own."""
        return Past(self)

    def before(self, at_ns: int) -> _Moment | None:
        """Return the last checkpoint that is not after a stamp, else the first there is."""
        moments = self._readable()
        place = bisect_right(moments, at_ns, key=_AT_NS)
        return moments[max(0, place - 1)] if moments else None

    def read_on(self, place: RecordedPlace) -> Iterator[Piece]:
        """Yield what is recorded after a place by now. Raises RecordingError."""
        parts = list(self._recorded.parts)
        return read_on(parts if place.part in parts else [place.part], place)

    @property
    def parts(self) -> Sequence[Path]:
        """The files of the recording so far, in order."""
        return self._recorded.parts

    def between(self, begin_ns: int, end_ns: int) -> Iterator[Event]:
        """Yield the durable events of a stretch in their order, verdicts as they were decided.

        The last `hello` before it comes first, of several places that of each: without it no route
        is known.

        Raises:
            RecordingError: what is recorded cannot be read.
        """
        moment = self.before(begin_ns)
        place = None if moment is None else moment.locate()
        if moment is None or place is None:
            raise RecordingError("nothing is recorded that one could go back to")
        end = StretchEnd(end_ns)
        if begin_ns < moment.at_ns and not self.span.is_cut:
            number, done, pieces = 0, 0, read_pieces(self.parts, str)
        else:
            yield from end.greeted(place.hellos)
            number, done, pieces = moment.number, moment.done, self.read_on(place)
        for piece in pieces:
            for event in piece.events[done:]:
                is_after = end.is_before(event)
                if end.is_reached:
                    return
                kind = type(event)
                is_wanted = not is_after and (event.at_ns >= begin_ns or kind is Hello)
                if kind in _DERIVED:
                    if is_wanted and not self.judges_anew:
                        yield event
                    continue
                if kind not in _DURABLE:
                    continue
                number += 1
                if is_wanted:
                    yield event
                    yield from self.verdicts(number)
            done = 0

    def verdicts(self, number: int) -> Sequence[Event]:
        """Return what was derived from the event of a number, where that is judged anew."""
        return self._verdicts.get(number, ())

    def _readable(self) -> tuple[_Moment, ...]:
        """Return the checkpoints after which nothing was deleted."""
        first, moments = 0, self._moments
        for at, moment in enumerate(moments):
            place = moment.locate()
            if place is None or place.part.exists():
                break
            first = at + 1
        return moments[first:]

    def _take(self) -> None:
        """Begin to take a checkpoint of now; without turns take all of it."""
        checkpoint, parts = Checkpoint.in_parts(self._board)
        locate = self._recorded.here(self._hellos)
        moment = _Moment(self._end_ns, self._number, checkpoint, locate)
        self._taking = _Taking(moment, parts)
        if self._begun is not None:
            self._begun.set()
            return
        while self._go_on():
            pass

    def _keep(self, taken: "_Taking") -> None:
        """Keep a checkpoint that is whole."""
        moment, took_ns = taken.moment, taken.took_ns
        with self._changing:
            self._moments = (*self._moments, moment)
        self._aside(self._settle)
        self._not_before_ns = time.monotonic_ns() + _TIMES_OUR_APART * took_ns
        self._next_number = moment.number + EVENTS_APART
        self._next_ns = moment.at_ns + max(LEAST_APART_NS, _TIMES_APART * took_ns)

    def _settle(self) -> None:
        """Compress the newest checkpoint, weigh the one before it, and keep within the bytes. Of
        400 routes weighing alone takes as long as a few frames."""
        self._moments[-1].checkpoint.compress()
        with self._changing:
            *_, before, weighed, _ = (None, None, *self._moments)
            if weighed is not None:
                beside = None if before is None else before.checkpoint
                weighed.bytes_kept = weighed.checkpoint.size_beside(beside)
            while self.bytes_kept > self._most_bytes and len(self._moments) > 3:
                self._thin_out()

    def _thin_out(self) -> None:
        """Give up the checkpoint that leaves the smallest hole; neither the first nor the last."""
        moments = self._moments
        holes = {
            at: moments[at + 1].number - moments[at - 1].number for at in range(1, len(moments) - 1)
        }
        least = min(holes, key=lambda at: (holes[at], at))
        # What it shares with the next one alone stays.
        before, after = moments[least - 1].checkpoint, moments[least + 1]
        after.bytes_kept = after.checkpoint.size_beside(before)
        self._moments = (*moments[:least], *moments[least + 1 :])


class Past:
    """A board that stands somewhere in the past of a run. Any one thread may use it at a time."""

    def __init__(self, timeline: RunTimeline) -> None:
        self._timeline = timeline
        self._reading: _Reading | None = None
        self._ahead: _Ahead | None = None
        """What lies before it."""
        self._prepared: list[_Moment] = []
        """Oldest first."""
        self._behind: _Reading | None = None
        """What they were taken of, where the last one was."""

    @property
    def at_ns(self) -> int:
        """Stamp of the last durable event that it has folded."""
        return 0 if self._reading is None else self._reading.at_ns

    @property
    def board(self) -> Board:
        """The board of that moment; empty before the first `go`."""
        return Board() if self._reading is None else self._reading.board

    def go(self, at_ns: int) -> None:
        """Be where the run was at a stamp: before the first event that is after it.

        Raises:
            RecordingError: what is recorded cannot be read.
        """
        moment = self._nearest(at_ns)
        reading = self._reading
        if reading is None or at_ns < reading.at_ns or moment.number > reading.number:
            reading = self._reading = _Reading(self._timeline, moment)
            self._ahead = None
        reading.fold_until(at_ns)
        self._look_ahead(reading)

    def _look_ahead(self, reading: "_Reading") -> None:
        """Draw the lanes of what is open here."""
        still_open = reading.board.open_attempts()
        if not still_open:
            return
        ahead = self._ahead or reading.ahead()
        if ahead is None:
            return
        self._ahead = ahead
        try:
            ends = ahead.ends(still_open, reading.at_ns)
        except RecordingError:
            return  # a way that leads there says so; here it would be about what nobody asked for
        reading.board.foresee(ends)

    def prepare(self) -> Iterator[None]:
        """Take checkpoints before the present place, so that the next steps back are short: one, or
        a piece of the way to it, each time that it is asked for the next.

        Raises:
            RecordingError: what is recorded cannot be read.
        """
        here_ns = end_ns = self.at_ns
        prepared_ns = min(_PREPARED_NS, self._room() * STEP_NS)
        needed_ns = min(_NEEDED_NS, prepared_ns // 2)
        if not any(map(self._is_far, range(here_ns - STEP_NS, here_ns - needed_ns, -STEP_NS))):
            return
        farthest_ns = here_ns - prepared_ns
        # From one checkpoint of the run to the next all are taken on one way, the nearest first.
        while end_ns > farthest_ns and (begin := self._timeline.before(end_ns - 1)):
            first_ns = max(begin.at_ns, farthest_ns)
            steps = range((here_ns - first_ns) // STEP_NS, (here_ns - end_ns) // STEP_NS, -1)
            for at_ns in [here_ns - number * STEP_NS for number in steps]:
                if self._is_far(at_ns):
                    yield from self._prepare_at(at_ns, here_ns)
            if begin.at_ns >= end_ns:
                break  # the first there is
            end_ns = begin.at_ns

    def _prepare_at(self, at_ns: int, here_ns: int) -> Iterator[None]:
        """Take one checkpoint, on the way that the one before was taken on where that leads there:
        who was interrupted goes on where he was."""
        nearest, reading = self._nearest(at_ns), self._behind
        if reading is None or reading.number < nearest.number or reading.at_ns > at_ns:
            reading = self._behind = _Reading(self._timeline, nearest)
        upto_ns = reading.at_ns
        while upto_ns < at_ns:
            upto_ns = min(at_ns, upto_ns + _AT_ONCE_NS)
            reading.fold_until(upto_ns)
            if upto_ns < at_ns:
                yield
        insort(self._prepared, reading.moment(), key=_AT_NS)
        while len(self._prepared) > self._room():
            # What is farthest from here is needed last.
            ends = (0, -1)
            del self._prepared[max(ends, key=lambda end: abs(self._prepared[end].at_ns - here_ns))]
        yield

    def _room(self) -> int:
        """Return how many checkpoints may be prepared, of the size of one that is near."""
        size = self._nearest(self.at_ns).checkpoint.size
        return max(2, min(_PREPARED_MOST, _PREPARED_BYTES // max(1, size)))

    def _is_far(self, at_ns: int) -> bool:
        """Whether the way to a stamp is longer than a step."""
        return at_ns - self._nearest(at_ns).at_ns >= STEP_NS

    def _nearest(self, at_ns: int) -> _Moment:
        """Return the last checkpoint before a stamp. Raises RecordingError."""
        moment = self._timeline.before(at_ns)
        if moment is None:
            raise RecordingError("nothing is recorded that one could go back to")
        place = bisect_right(self._prepared, at_ns, key=_AT_NS)
        if place and self._prepared[place - 1].at_ns > moment.at_ns:
            return self._prepared[place - 1]
        return moment


class _Ahead:
    """How attempts ended that are open where somebody stands."""

    def __init__(self, timeline: RunTimeline, place: RecordedPlace) -> None:
        self._timeline = timeline
        self._place = place
        """Where the next piece begins."""
        self._pieces: Iterator[Piece] | None = None
        self._ends: dict[OpenAttempt, AttemptFinished] = {}
        self._upto_ns = 0

    def ends(self, still_open: set[OpenAttempt], at_ns: int) -> list[AttemptFinished]:
        """Return the ends of these attempts that are recorded soon after a stamp, and read on from
        where the last call did. Raises RecordingError."""
        known = self._ends
        missing, read = still_open - known.keys(), 0
        while missing and self._upto_ns < at_ns + _AHEAD_NS and read < _AHEAD_BYTES:
            if self._pieces is None:
                self._pieces = self._timeline.read_on(self._place)
            piece = next(self._pieces, None)
            if piece is None:
                self._pieces = None  # more may have been written when somebody asks again
                break
            for event in piece.events:
                if type(event) is AttemptFinished:
                    key = (event.route, event.probe, event.attempt)
                    known.setdefault(key, event)
                    missing.discard(key)
            self._upto_ns = max(self._upto_ns, piece.events[-1].at_ns)
            self._place = piece.end
            read += len(piece.lines)
        found = [known[key] for key in still_open if key in known]
        if len(known) > _ENDS_KEPT:
            self._ends = {key: event for key, event in known.items() if event.at_ns > at_ns}
        return found


class _Reading:
    """A board made of a checkpoint, and what it folds next."""

    def __init__(self, timeline: RunTimeline, moment: _Moment) -> None:
        """Raises RecordingError where nothing is recorded after the checkpoint yet."""
        place = moment.locate()
        self.board = moment.checkpoint.board()
        self.at_ns, self.number = moment.at_ns, moment.number
        self._timeline = timeline
        self._place = place
        """Where the piece begins that is being folded; None while that is not written."""
        self._locate = moment.locate
        self._done = moment.done
        """Events of the piece that are folded."""
        self._piece: Piece | None = None
        self._pieces: Iterator[Piece] | None = None

    def fold_until(self, at_ns: int) -> None:
        """Fold what is recorded by now, up to the first event after a stamp. Raises
        RecordingError."""
        while (piece := self._piece or self._next_piece()) is not None:
            events = piece.events
            while self._done < len(events):
                event = events[self._done]
                if event.at_ns > at_ns:
                    return
                self._done += 1
                self._fold(event)
            self._piece, self._place, self._done = None, piece.end, 0

    def ahead(self) -> _Ahead | None:
        """Return what lies before it; None where nothing does yet."""
        return None if self._place is None else _Ahead(self._timeline, self._place)

    def moment(self) -> _Moment:
        """Return a checkpoint of where it stands."""
        checkpoint = Checkpoint(self.board)
        checkpoint.compress()
        place = self._place
        return _Moment(self.at_ns, self.number, checkpoint, lambda: place, done=self._done)

    def _next_piece(self) -> Piece | None:
        if self._place is None:
            self._place = self._locate()
            if self._place is None:
                return None
        if self._pieces is None:
            self._pieces = self._timeline.read_on(self._place)
        self._piece = next(self._pieces, None)
        if self._piece is None:
            self._pieces = None  # more may have been written when it is asked for again
        return self._piece

    def _fold(self, event: Event) -> None:
        kind = type(event)
        if kind in _DERIVED:
            if not self._timeline.judges_anew:
                self.board.fold(event)
            return
        self.board.fold(event)
        if kind in _DURABLE:
            self.number += 1
            self.at_ns = max(self.at_ns, event.at_ns)
            for verdict in self._timeline.verdicts(self.number):
                self.board.fold(verdict)
