"""Engines at several places as one source: each probes its own routes, their events become one
stream.

Rule 1: the stream has one line of time, `SharedLine`: Unix time as our own clock has it. What an
engine at another place stamped is moved onto it by one constant for as long as that engine lives.
Rule 2: that constant is the least of (when we received a batch, on our line) − (its stamp), over
the batches of the engine's first second. A batch is stamped right before it is written, so each is
the true one and what the way took, never less: the least is the quickest way, some ms to 0.2 s. The
place's own wall clock is not asked: one that is an hour off moves nothing. Until the constant is
known the engine's events wait. An engine of this machine stamps with our own clock: its constant is
known.
Rule 3: an engine whose stamps are no longer where the constant puts them, since either machine
slept or its clock runs fast, is begun anew: two constants in one life would be a measurement that
nobody made. One after the other of such engines each waits twice as long.
Rule 4: places know nothing of each other. A command goes to the place of its route, or to all where
it names none; one that cannot be reached is said to be so, with since when, and the others go on.
Rule 5: who may send a key to whom is decided here: headers go to engines of this machine alone.
Rule 6: a place speaks of its own routes alone; what it says of another's is dropped, and said once.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from typing import Final, Protocol, TypeAlias

import msgspec

from probes import __version__
from probes.config import Route
from probes.config.places import GivenPlace
from probes.control.commands import Command, Configure, MarkTime, WatchText
from probes.control.status import HostStatus, worst_of
from probes.events import (
    Batch,
    Event,
    Hello,
    Mark,
    Notice,
    PlaceReport,
    PlaceState,
    SeenBefore,
    Tick,
    durable_lines,
)
from probes.events.placing import at_place
from probes.kit.clock import NS_PER_S, Clock
from probes.kit.sanitise import neutralise
from probes.sources.merged_sources import MergedSources
from probes.sources.rules import PLACE_SILENT_S
from probes.sources.source import Brief, Receive, Source, is_engine_end
from probes.sources.time_merge import Heard

SETTLE_NS: Final = NS_PER_S
"""So long the quickest way from an engine is looked for: ten batches, of which one that met nothing
on its way is enough."""
DRIFT_NS: Final = 5 * NS_PER_S
"""An order of events that is wrong by more misleads; a way that is full of other traffic makes all
batches late by a second or two, and is no reason to begin anew."""
DRIFT_SEEN_NS: Final = 60 * NS_PER_S
"""So long all batches must have been late: one in time says that the stamps are right."""
_STOOD_NS: Final = 2 * NS_PER_S
"""By so much our wall clock leaps when this machine slept, or when somebody sets it."""


class RenewableSource(Source, Protocol):
    """A source whose engine can be begun anew."""

    def renew(self, why: str) -> None:
        """End the engine in order and start another, later each time where that does not last."""
        ...


MakePlace: TypeAlias = Callable[[int, Sequence[Route], Brief, Receive], RenewableSource]
"""Make the source of one place: its number, its routes, what it is told, who hears."""


class SharedLine:
    """Unix time that never goes back: our wall clock as it stood once, and what has passed since.

    Where the wall clock leaps ahead the line follows when it is told to; set back it waits.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin where the wall clock stands."""
        self._clock = clock
        self.by_ns = clock.wall_ns() - clock.monotonic_ns()
        """What moves stamps of this machine's own clock onto the line."""

    @property
    def now_ns(self) -> int:
        """The present on it."""
        return self._clock.monotonic_ns() + self.by_ns

    def catch_up(self) -> bool:
        """Follow the wall clock where it leapt ahead; tell whether it did."""
        leap_ns = self._clock.wall_ns() - self.now_ns
        if leap_ns < _STOOD_NS:
            return False
        self.by_ns += leap_ns
        return True


class _Feed:
    """What comes of one place: moved onto the line, once it is known by how much."""

    def __init__(self, place: GivenPlace, line: SharedLine, routes: Set[str]) -> None:
        """Begin with no engine; `routes` are those that are probed from the place."""
        self.place = place
        self._line = line
        self._routes = routes
        self._strays = 0
        """Events of routes that are not."""
        self._by_ns: int | None = None
        """The constant of the engine; None before there is one, and in its first second."""
        self._least_ns: int | None = None
        """The least of receipt − stamp of its batches by now."""
        self._waiting: list[Event] = []
        self._hello_ns = 0
        """When we heard it introduce itself."""
        self._late_ns: int | None = None
        """The least that any of its batches was late since `_looked_ns`."""
        self._looked_ns = 0
        self.last_ns = line.now_ns
        """Stamp of the last that was heard of the place; until then when we began to listen."""
        self.back_ns: int | None = None
        """Stamp of the first that was heard since it was last told not to be; None before that."""
        self.drifted = False
        """The engine's stamps are not where the constant puts them."""
        self.state: PlaceState | None = None
        """What was last told of the place; None before anything was."""

    @property
    def is_settled(self) -> bool:
        """Whether the constant of its engine is known."""
        return self._by_ns is not None

    def hear(self, events: Sequence[Event]) -> list[Event]:
        """Take what its source gives, of an engine or said in its stead; return, as it stands on
        the line, what can be placed by now."""
        told: list[Event] = []
        now_ns = self._line.now_ns
        for event in self._own(events):
            if isinstance(event, Hello):
                told += self.settle()
                self._begin(now_ns)
            elif isinstance(event, Batch):
                self._time(now_ns - event.at_ns, now_ns)
            elif is_engine_end(event):
                told += self.settle()  # it says no more of when it was
                if not self._hello_ns:  # nor has any other
                    told.append(at_place(event, self.place.name, now_ns - event.at_ns))
                    continue
            if self._by_ns is None:
                self._waiting.append(event)
            elif event.at_ns + self._by_ns > now_ns + DRIFT_NS:
                # Nothing is heard before it was said; passed on it would be the stream's present.
                self.drifted = True
            else:
                told.append(at_place(event, self.place.name, self._by_ns))
        return self._noted(told) + self.settle_if_due()

    def _own(self, events: Sequence[Event]) -> Iterator[Event]:
        """Give what is of the place itself, and what is to be said beside it."""
        for event in events:
            route = getattr(event, "route", "")
            if isinstance(event, SeenBefore):
                route = next((one for one in event.routes if one not in self._routes), "")
            if route and route not in self._routes:
                self._strays += 1
                if self._strays > 1:
                    continue
                text = f"it speaks of a route that is not probed there: {neutralise(route, 40)}"
                yield Notice(at_ns=event.at_ns, route="", text=text)
            elif isinstance(event, Hello):
                infos = tuple(info for info in event.routes if info.name in self._routes)
                yield msgspec.structs.replace(event, routes=infos)
                if event.version != __version__:
                    version = neutralise(event.version, 40)
                    text = f"there it is llmtop {version}, here {__version__}"
                    yield Notice(at_ns=event.at_ns, route="", text=text)
            elif isinstance(event, Tick | Batch):
                counts = tuple(one for one in event.routes if one.route in self._routes)
                whole = len(counts) == len(event.routes)
                yield event if whole else msgspec.structs.replace(event, routes=counts)
            elif not isinstance(event, PlaceReport):  # that is ours to say
                yield event

    def settle_if_due(self) -> list[Event]:
        """Return what waited, once the engine's first second is over."""
        is_due = self._line.now_ns - self._hello_ns >= SETTLE_NS
        return self.settle() if self._waiting and is_due else []

    def settle(self) -> list[Event]:
        """Decide on the constant by what is known; return what waited for it."""
        if not self._waiting:
            return []
        waiting, self._waiting = self._waiting, []
        by_ns = self._least_ns
        if by_ns is None:  # not one batch came: all that is known is that it has been
            by_ns = self._line.now_ns - max(event.at_ns for event in waiting)
        self._by_ns = by_ns
        present_ns = self._line.now_ns + DRIFT_NS - by_ns
        placed = [event for event in waiting if event.at_ns <= present_ns]
        # As below: one that stands there would be the present of all places.
        self.drifted = self.drifted or len(placed) < len(waiting)
        return self._noted([at_place(event, self.place.name, by_ns) for event in placed])

    def _begin(self, now_ns: int) -> None:
        """Begin with an engine whose constant is not known, unless it has our own clock."""
        self._by_ns = self._line.by_ns if self.place.way == "local" else None
        self._least_ns = self._late_ns = None
        self._hello_ns = now_ns
        self.drifted = False

    def _time(self, way_ns: int, now_ns: int) -> None:
        """Learn how long a batch was on its way: rules 2 and 3."""
        if self._by_ns is None:
            self._least_ns = way_ns if self._least_ns is None else min(self._least_ns, way_ns)
            return
        late_ns = way_ns - self._by_ns
        if self._late_ns is None:
            self._late_ns, self._looked_ns = late_ns, now_ns
        self._late_ns = min(self._late_ns, late_ns)
        if now_ns - self._looked_ns >= DRIFT_SEEN_NS:
            self.drifted = self.drifted or self._late_ns > DRIFT_NS
            self._late_ns = None

    def _noted(self, told: list[Event]) -> list[Event]:
        """Note of when it is what was heard of the place itself."""
        heard = [event.at_ns for event in told if not is_engine_end(event)]
        if heard:
            self.last_ns = max(self.last_ns, heard[-1])
            if self.state != "heard" and self.back_ns is None:
                self.back_ns = heard[0]
        return told


class SeveralPlaces(MergedSources[RenewableSource]):
    """Owns the sources of several places; commands go in, one ordered stream comes out.

    Cancelling `run` kills the engines of this machine and the ways to the others.
    """

    def __init__(
        self,
        brief: Brief,
        receive: Receive,
        *,
        routes: Sequence[Route],
        places: Sequence[GivenPlace],
        make_engine: MakePlace,
        clock: Clock,
    ) -> None:
        """Prepare an engine at each place for the routes that are probed from there; `brief` gives
        what one for all of the routes would be told."""
        super().__init__(brief, receive, sources=len(places), clock=clock)
        self._line = SharedLine(clock)
        self._began_ns = self._line.now_ns
        self._feeds = [
            _Feed(place, self._line, {route.name for route in routes if route.place == place.name})
            for place in places
        ]
        self._number_of = {place.name: number for number, place in enumerate(places)}
        self._place_of = {route.name: self._number_of[route.place] for route in routes}
        self._engines = [
            make_engine(
                number,
                [route for route in routes if route.place == place.name],
                self._brief_of(number),
                self._receive_of(number),
            )
            for number, place in enumerate(places)
        ]

    @property
    def status(self) -> HostStatus:
        """How the engine is that is worst off; `engine` says at which place, and which others are
        as badly off."""
        statuses = [engine.status for engine in self._engines]
        names = [feed.place.name for feed in self._feeds]
        worst = worst_of(statuses, names)
        if worst.state == "running":
            return msgspec.structs.replace(worst, engine=f"place {worst.engine}")
        alike = zip(names, statuses, strict=True)
        others = [name for name, one in alike if one.state == worst.state and name != worst.engine]
        word = "places" if others else "place"
        return msgspec.structs.replace(worst, engine=f"{word} {', '.join([worst.engine, *others])}")

    @property
    def given_up(self) -> list[tuple[str, str]]:
        """The places whose engines were given up, each with the reason."""
        statuses = zip(self._feeds, (engine.status for engine in self._engines), strict=True)
        return [
            (feed.place.name, status.end) for feed, status in statuses if status.state == "gave_up"
        ]

    @property
    def is_given_up(self) -> bool:
        """Whether nobody probes anywhere, nor will without being asked to."""
        return len(self.given_up) == len(self._feeds)

    def send(self, command: Command) -> None:
        """Pass a command on to the place of its route, or to all."""
        route = getattr(command, "route", "")
        match command:
            case MarkTime():  # of the line, and of no place
                now_ns = self._line.now_ns
                self._tell([Mark(at_ns=now_ns, text=command.text, about_ns=command.about_ns)])
            case WatchText():
                # One stream is on preview: all places hear whose it is, those of others end theirs.
                for number, engine in enumerate(self._engines):
                    here = self._place_of.get(route) == number
                    engine.send(command if here else WatchText())
            case _ if route in self._place_of:
                self._engines[self._place_of[route]].send(command)
            case _ if not route:
                for engine in self._engines:
                    engine.send(command)
            case _:
                self._tell([Notice(at_ns=self._line.now_ns, route=route, text="no such route")])

    @property
    def _now_ns(self) -> int:
        return self._line.now_ns

    def _begin_round(self) -> None:
        """Begin engines anew whose constant no longer holds; add what can be placed by now, and
        which places are heard."""
        has_leapt = self._line.catch_up()
        for feed, engine in zip(self._feeds, self._engines, strict=True):
            if has_leapt:
                engine.renew("this machine slept, or its clock was set")
            elif feed.drifted:
                engine.renew("its stamps run away from the time here")
            feed.drifted = False
        for number, feed in enumerate(self._feeds):
            self._add(number, feed.settle_if_due())
        self._tell_places()

    def _add_rest(self) -> None:
        for number, feed in enumerate(self._feeds):
            self._add(number, feed.settle())

    def _tell_places(self) -> None:
        """Tell of which places it has changed whether they are heard."""
        now_ns = self._line.now_ns
        for feed, engine in zip(self._feeds, self._engines, strict=True):
            status = engine.status
            state = self._state(feed, status, now_ns)
            if state is None or state == feed.state:
                continue
            feed.state = state
            back_ns, feed.back_ns = feed.back_ns, None
            since_ns = feed.last_ns
            if state == "heard" and back_ns is not None:
                since_ns = back_ns
            # Not when the next try is due: that is of the moment, and this is kept.
            detail = status.end if state in ("unknown", "gone") else ""
            if status.state == "starting" and state == "unknown":
                detail = detail or status.detail  # what it says in the place of a hello
            report = PlaceReport(
                at_ns=now_ns,
                place=feed.place.name,
                state=state,
                since_ns=since_ns,
                detail=detail,
            )
            self._tell([report])

    def _state(self, feed: _Feed, status: HostStatus, now_ns: int) -> PlaceState | None:
        """Return whether a place is heard; None where that is not known yet."""
        match status.state:
            case "gave_up":
                return "gone"
            case "restarting":
                return "unknown"
            case "starting":  # a way that is as long as usual is no news
                waited = now_ns - self._began_ns >= PLACE_SILENT_S * NS_PER_S
                return "unknown" if feed.state is not None or waited else None
            case "running" | "silent" if feed.is_settled:
                return "silent" if status.silent_s >= PLACE_SILENT_S else "heard"
            case _:
                return feed.state

    def _add(self, number: int, events: Sequence[Event]) -> None:
        # What was moved is another line than the one that came.
        self._merge.add(number, events, durable_lines(events))

    def _pass_on(self, items: Sequence[Heard]) -> None:
        if items:
            lines = b"".join(item.line for item in items if item.line is not None)
            self._receive([item.event for item in items], lines)

    def _part(self, number: int, command: Command) -> Command | None:
        if isinstance(command, Configure):
            return _part(command, self._feeds[number].place)
        route = getattr(command, "route", "")
        return command if not route or self._place_of.get(route) == number else None

    def _receive_of(self, number: int) -> Receive:
        def receive(events: list[Event], _lines: bytes) -> None:
            told = self._feeds[number].hear(events)
            self._hear(number, told, durable_lines(told))

        return receive


def _part(configure: Configure, place: GivenPlace) -> Configure:
    """Return what an engine must know: its place's routes, and keys where it is here (rule 5)."""
    routes = tuple(route for route in configure.routes if route.place == place.name)
    headers: dict[str, dict[str, str]] = {}
    if place.way == "local":
        headers = {route.name: configure.headers.get(route.name, {}) for route in routes}
    return msgspec.structs.replace(configure, routes=routes, headers=headers)
