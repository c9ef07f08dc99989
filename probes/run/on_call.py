"""Whether it is on this run to call people, where others watch the same over a bus.

Rule 1: one calls. Whoever watches all places and has something to call with takes the pager of all;
who watches some takes those of these; another of the kind stands by. An agent calls for its place
where nobody has the pager of it, and as soon as nobody has.
Rule 2: none is worse than twice. What cannot be known (the bus is lost, refuses us, or does not
answer) is taken for "it is on us"; and whoever cannot tell what is due steps back for whom it can.
Rule 3: what people were told is known to all: before an alert is told it is looked up, and what
somebody was told of the same routes, as bad or worse, is not told again, for as long as somebody
stands by it. Who comes to call says a few seconds nothing, so that the one before has written down
what it was just telling.
Rule 4: what was told is written down once somebody has it, and struck out once its end was told.
Who has the pager ends what another has begun, under the name it was begun with: at once where the
end was seen here, and else when nothing of it was seen for `UNSEEN_S`.
Rule 5: a place that is heard again is waited for, for it may have called by itself meanwhile.
Rule 6: what is muted or acknowledged on any screen counts where the pager is.
Rule 7: no defect of this ends a run, nor keeps an alert back for ever.
"""

import queue
import secrets
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

import anyio
import msgspec

from probes.bus.connection import BusError, BusLostError, NoAnswerError, WrongRevisionError
from probes.bus.messages import MutedRoutes, ToldAlert
from probes.bus.names import ALL_PLACES, PAGERS_BUCKET
from probes.bus.pager import (
    DEAD_S,
    YIELD_S,
    PagersBucket,
    SharedPager,
    edit_muted,
    edit_told,
    read_muted,
    read_told,
)
from probes.bus.presence import holder_words
from probes.control.attention import Attention, SharedAttention
from probes.diagnosis.alerts import severity_of
from probes.events import Alert, Event, Harm, Hello, PlaceReport, Tick
from probes.events.diagnosis_words import who_words
from probes.exports.alert_documents import AlertDocument, AlertName, ToldBefore
from probes.exports.alert_sink import AGAIN_S, AlertSink, Outcome
from probes.kit.clock import NS_PER_S, Clock
from probes.kit.process_identity import RunIdentity
from probes.kit.sanitise import neutralise

HAND_OVER_S: Final = 5.0
"""Who had the pager sees within two seconds that it has it no more; a post is on its way for less
than the rest, nearly always."""
UNSEEN_S: Final = 180.0
"""A judge that has just begun needs two minutes for what stands (`probes.diagnosis.paging`)."""
RETURN_S: Final = 10.0
"""An agent that was cut off is back for so long before what it may have told by itself is told from
elsewhere: it writes that down first."""
STOOD_BY_S: Final = 900.0
"""What people were told is old when nobody who calls has seen it fire for so long: all were away
together, and whoever was called has long gone back to bed. Clocks are off by less."""
STEP_BACK_S: Final = AGAIN_S
"""After an alert that could not be told, for whoever stands by."""
_RETURN_MOST_NS: Final = 30 * NS_PER_S
"""A place that comes and goes is not waited for any longer."""
_TURN_S: Final = 0.5
_LOOK_NS: Final = 2 * NS_PER_S
"""Between two looks at what people were told of a place of which something stands."""
_LOOK_AT_ALL_NS: Final = 30 * NS_PER_S
_ANEW_NS: Final = 60 * NS_PER_S
"""Between two times that who calls writes down that something still fires."""
_REFUSED_NS: Final = 30 * NS_PER_S
"""Before what may not be written is tried again: it takes seconds to know that it is refused."""
_REPORT_NS: Final = 10 * NS_PER_S
"""Between two times that it is said who calls: whoever may write there may write anything."""
_LEAVE_S: Final = 3.0
_REPAIR_S: Final = 5.0
_MOST: Final = 1_000
"""Alerts that fire, and names that were told: as many as a run ever has."""
_MOST_PLACES: Final = 200
_OVERS: Final = 100
_Told = tuple[ToldAlert, ...]


class CallBus(Protocol):
    """A connection to the bus, as far as it is needed here."""

    def bucket(self, name: str) -> PagersBucket: ...


class OnCall:
    """Knows whether it is on this run to call people of an alert (`Duty`), and sees to it that
    somebody does."""

    def __init__(
        self,
        bus: CallBus,
        *,
        clock: Clock,
        host: str,
        process: RunIdentity,
        report: Callable[[str], object] | None = None,
        home: str = "",
        places: Sequence[str] = (),
        calls: bool = True,
        keep: Callable[[], Coroutine[Any, Any, object]] | None = None,
    ) -> None:
        """Prepare.

        Args:
            bus: where the others are.
            clock: the time.
            host: the name of this machine, for people.
            process: this process.
            report: takes a line for whoever minds this run; None: who tells of alerts says whom.
            home: the place of an agent, which calls where nobody has the pager; else empty.
            places: those that a cockpit watches; none: all there are.
            calls: whether there is anything to call with; else what is done about alerts here is
                shared with those who call.
            keep: keeps the bus connected, where that is for us to do.
        """
        self._bucket = bus.bucket(PAGERS_BUCKET)
        self._clock = clock
        self._reports = report
        self._keep = keep
        self.run_id = secrets.token_hex(8)
        """Tells the alerts of this run from those of any other."""
        self._home = home

        def pager(scope: str) -> SharedPager:
            return SharedPager(self._bucket, scope, clock=clock, host=host, process=process)

        wanted = (tuple(dict.fromkeys(places)) or (ALL_PLACES,)) if calls and not home else ()
        self._ours = {scope: pager(scope) for scope in wanted}
        """The pagers that we take where they are free."""
        before = dict.fromkeys((ALL_PLACES, *((home,) if home else places))).keys() - {*wanted}
        self._before = tuple(map(pager, sorted(before)))
        """Those of who calls in our place."""
        self._began_ns = clock.monotonic_ns()
        self._rests_until_ns = 0
        self._sinks: list[AlertSink] = []
        self._attention: Attention | None = None
        self._ended: queue.SimpleQueue[tuple[AlertSink, AlertDocument, Outcome]] = (
            queue.SimpleQueue()
        )
        self._anchor_ns = 0
        """What makes Unix time of a stamp of this run."""
        self._now_ns = 0
        """Newest stamp of this run."""
        self._firing: dict[str, tuple[Alert, int]] = {}
        """By id, what fires, and since when we know it, by our clock."""
        self._overs: deque[Alert] = deque(maxlen=_OVERS)
        self._places: dict[str, None] = dict.fromkeys((home,) if home else places)
        """Those that are known."""
        self._unheard: set[str] = set()
        self._heard_ns: dict[str, int] = {}
        """Place → when it was heard again."""
        self._told: dict[str, _Told] = {}
        """Place → what people were told of it, as it was read last."""
        self._write_from_ns = 0
        self._is_ready = bool(home)
        """The past has been read, where there is one to be read."""
        self._read_ns: dict[str, int] = {}
        self._all_read_ns: int | None = None
        self._edits: dict[str, deque[Callable[[_Told], _Told]]] = {}
        """Place → what is to be changed of that."""
        self._before_us: dict[str, ToldBefore] = {}
        """Id of an alert → what another run has told people of what it is about."""
        self._said: dict[AlertName, None] = {}
        """What we have told."""
        self._failed: dict[AlertName, list[AlertSink]] = {}
        """What fires and was told nobody yet → who could not tell it."""
        self._ending: set[AlertName] = set()
        """Of what the end is being told."""
        self._unseen_ns: dict[AlertName, int] = {}
        """What people were told and does not fire here → since when."""
        self._other = ""
        """Who calls in our place, in words."""
        self._may_share = True
        self._shared_ns: int | None = None
        """When it was read last what people do elsewhere."""
        self._reported_ns: int | None = None
        self._is_anothers = False
        """Somebody else calls in our place, as of the last turn."""
        self._standing: object = None
        """Who had which pager by then."""
        self._stood_ns = 0
        """When that changed last."""

    # What alerts are asked.

    def is_ours(self, alert: Alert) -> bool:
        """Return whether it is on us to say what there is to say of an alert; from any thread."""
        places = self._places_of(alert)
        if not self._calls_for(places):
            return False
        noted = self._firing.get(alert.id) if alert.state == "firing" else None
        if noted is None:
            return True
        if alert.id in self._before_us or AlertName(self.run_id, alert.id) in self._said:
            # It is told, and this is about a change: its new places are looked up as they come.
            places = tuple(place for place in places if place in self._places)
        return all(self._is_looked_up(place, noted[1]) for place in places)

    def is_told(self, alert: Alert) -> bool:
        """Return whether people were told of what an alert is about."""
        before = self._told_of(alert)
        if before is None:
            return False
        self._before_us[alert.id] = before
        while len(self._before_us) > _MOST:
            del self._before_us[next(iter(self._before_us))]
        return True

    def knows(self, alert: Alert) -> bool:
        """Return whether people were told of all that an alert hits, under whatever names."""
        return self._told_of(alert) is not None

    def _told_of(self, alert: Alert) -> ToldBefore | None:
        left = set(self._routes_of(alert))
        known: set[str] = set()
        name: AlertName | None = None
        for place in self._places_of(alert):
            for told in self._told.get(place, ()):
                found = AlertName(told.run, told.id)
                counts = told.severity >= _severity(alert) and not self._is_old(told)
                if counts and found not in self._ending and left.intersection(told.routes):
                    left.difference_update(told.routes)
                    known.update(told.routes)
                    name = name or found
        return None if left or name is None else ToldBefore(name, frozenset(known))

    def told_before(self, alert: Alert) -> ToldBefore | None:
        """Return what another run has told people of what an alert is about, where one has."""
        return self._before_us.get(alert.id)

    def _is_looked_up(self, place: str, seen_ns: int) -> bool:
        """Return whether it is known what people were told of a place, for an alert that we know of
        since then."""
        stood_ns, returned_ns = self._settled_ns(place)
        settled_ns = max(seen_ns, stood_ns, min(returned_ns, seen_ns + _RETURN_MOST_NS))
        return self._read_ns.get(place, -1) >= settled_ns

    def _settled_ns(self, place: str) -> tuple[int, int]:
        """Return when who told something of a place has written it down: who called before us, and
        an agent that was cut off and is heard again."""
        heard_ns = self._heard_ns.get(place)
        returned_ns = 0 if heard_ns is None else heard_ns + round(RETURN_S * NS_PER_S)
        stood_ns = self._stood_ns + (round(HAND_OVER_S * NS_PER_S) if self._ours else 0)
        return stood_ns, returned_ns

    def _calls_for(self, places: Sequence[str]) -> bool:
        """Return whether what is of these places is on us."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._rests_until_ns or self._is_anothers:
            return False
        is_late = now_ns - self._began_ns > (DEAD_S + YIELD_S) * NS_PER_S
        if not all(pager.has_run and (pager.is_known or is_late) for pager in self._before):
            return False
        if not self._ours:
            return True
        # Of an alert of several places one pager decides, the same for all who watch them.
        scopes = [place for place in sorted(places) if place in self._ours]
        pager = self._ours[scopes[0]] if scopes else next(iter(self._ours.values()))
        since_ns = pager.held_since_ns
        is_new = since_ns is not None and now_ns - since_ns < HAND_OVER_S * NS_PER_S
        return pager.may_call and (not is_new or pager.is_unknown)

    def _routes_of(self, alert: Alert) -> tuple[str, ...]:
        """Return whom an alert hits; where it names nobody, who showed it, or a route without a
        name at each of its places."""
        if alert.routes or alert.harm.route:
            return alert.routes or (alert.harm.route,)
        places = (self._home,) if self._home else alert.places
        return tuple(f"@{place}" for place in places)

    def _places_of(self, alert: Alert) -> tuple[str, ...]:
        if self._home:
            return (self._home,)
        return tuple(sorted({_place_of(route) for route in self._routes_of(alert)}))

    # What a run tells.

    def attend(self, attention: Attention, report: Callable[[str], object]) -> None:
        """Know what people do about the alerts of this run, and who takes what is to be read of
        it, where nobody does yet."""
        self._attention = attention
        self._reports = self._reports or report

    def begin(self) -> None:
        """Know that the past has been read: from now on we can call, and say who does."""
        self._is_ready = True

    def feed(self, sinks: Iterable[AlertSink]) -> None:
        """Know who tells people of alerts."""
        self._sinks += sinks

    def _report(self, text: str) -> None:
        if self._reports is not None:
            self._reports(text)

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Note a batch, before those who tell of it."""
        for event in events:
            if isinstance(event, Hello | Tick):
                self._anchor_ns = event.wall_ns - event.at_ns
                self._know(event.place)
            elif isinstance(event, PlaceReport):
                self._note_place(event)
            elif isinstance(event, Alert):
                self._note_alert(event)
        if events:
            self._now_ns = max(self._now_ns, events[-1].at_ns)

    def ended(self, sink: AlertSink, document: AlertDocument, outcome: Outcome) -> None:
        """Hear what became of a word; from any thread."""
        self._ended.put((sink, document, outcome))

    def _know(self, place: str) -> None:
        if place and len(self._places) < _MOST_PLACES:
            self._places.setdefault(place)

    def _note_place(self, report: PlaceReport) -> None:
        place = report.place
        self._know(place)
        if place not in self._places:
            return
        if report.state != "heard":
            self._unheard.add(place)
        else:
            self._unheard.discard(place)
            self._heard_ns[place] = self._clock.monotonic_ns()

    def _note_alert(self, alert: Alert) -> None:
        if alert.state == "firing":
            self._firing[alert.id] = (alert, self._clock.monotonic_ns())
            while len(self._firing) > _MOST:
                del self._firing[next(iter(self._firing))]
        else:
            self._firing.pop(alert.id, None)
            self._before_us.pop(alert.id, None)
            self._overs.append(alert)
            name = AlertName(self.run_id, alert.id)
            if name in self._said and self._calls_for(self._places_of(alert)):
                self._ending.add(name)  # `AlertCalls` tells it

    # Beside the run.

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """See to it until the block ends; then what was told last is written down, and others may
        call. Who tells of alerts is to be closed by then."""
        try:
            async with anyio.create_task_group() as tasks:
                if self._keep is not None:
                    tasks.start_soon(self._keep)
                tasks.start_soon(self._mind)
                try:
                    yield
                finally:
                    with anyio.CancelScope(shield=True), anyio.move_on_after(_LEAVE_S):
                        await self._leave()
                    tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # What a run ends with is what it would end with alone.
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise

    async def _mind(self) -> None:
        while True:
            try:
                await self.turn()
            except Exception as error:  # a defect of ours: rule 7
                told = "".join(traceback.format_exception_only(error)).strip()
                self._report(neutralise(f"who calls people is not agreed on for a moment: {told}"))
                await self._clock.sleep(_REPAIR_S)
            await self._clock.sleep(_TURN_S)

    async def turn(self) -> None:
        """See once who calls, and to all that is to be done because of it."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._rests_until_ns:
            for pager in (*self._before, *self._ours.values()):
                with suppress(BusError):  # what that means: `SharedPager`, rule 4
                    takes = self._is_ready and pager in self._ours.values()
                    await (pager.hold() if takes else pager.look())
        self._note_who()
        await self._share(now_ns)
        await self._settle_ended()
        await self._write()
        await self._read(self._clock.monotonic_ns())
        for sink in self._sinks:
            sink.receive([], b"")  # what was held back may be due
        await self._end_what_is_over()

    async def _leave(self) -> None:
        """Write down what was told last, and let others call."""
        await self._settle_ended()
        await self._write()
        for pager in self._ours.values():
            with suppress(BusError):
                await pager.leave()

    def _note_who(self) -> None:
        """Note who calls, and say so where that has changed."""
        pagers = tuple(self._ours.values())
        self._is_anothers = any(pager.is_anothers for pager in self._before)
        standing = (self._is_anothers, *(pager.held_since_ns for pager in pagers))
        now_ns = self._clock.monotonic_ns()
        if standing != self._standing:
            self._standing, self._stood_ns = standing, now_ns
            self._all_read_ns = None
        if not self._is_ready:
            return  # it would stand in the middle of what is past
        if self._reported_ns is None or now_ns - self._reported_ns >= _REPORT_NS:
            self._tell_who()

    def _tell_who(self) -> None:
        other = next(
            (
                pager.holder
                for pager in (*self._before, *self._ours.values())
                if pager.is_anothers and pager.holder is not None
            ),
            None,
        )
        of_place = f" of {self._home}" if self._home else ""
        words = "" if other is None else holder_words(other)
        if words and words != self._other:
            here = "; this one stands by" if self._ours else ""
            self._report(f"alerts{of_place} go out from {words}{here}")
        elif self._other and other is None:
            if not self._ours and not self._home:
                self._report(
                    f"alerts go out from {self._other} no more; agents tell them, where they can"
                )
                self._other = ""
                return
            if not all(pager.may_call for pager in self._ours.values()):
                return  # somebody else may be about to have it
            self._report(f"alerts{of_place} go out from here: {self._other} does not any more")
        if words != self._other:
            self._reported_ns = self._clock.monotonic_ns()
        self._other = words

    async def _share(self, now_ns: int) -> None:
        """Let others know what people do about alerts here, and know what they do elsewhere."""
        attention = self._attention
        if attention is None:
            return
        turned = attention.take_turned() if self._may_share else SharedAttention({}, {})
        if turned.muted_ns or turned.seen_ns:
            more = MutedRoutes(until_ns={**turned.muted_ns}, seen_ns={**turned.seen_ns})
            try:
                await edit_muted(self._bucket, more, self._clock.wall_ns())
                self._shared_ns = None
            except (BusLostError, NoAnswerError):
                attention.give_back(turned)  # for the next turn
            except BusError as error:
                # Who may look and nothing more mutes his own screen.
                attention.give_back(turned)
                self._may_share = False
                self._report(neutralise(f"what is muted here is so on this screen alone: {error}"))
        if self._shared_ns is None or now_ns - self._shared_ns >= _LOOK_NS:
            self._shared_ns = now_ns
            with suppress(BusError):
                shared = await read_muted(self._bucket)
                attention.share(SharedAttention(shared.until_ns, shared.seen_ns))

    # What people were told.

    async def _settle_ended(self) -> None:
        """Note what became of words, since the last time."""
        while not self._ended.empty():
            sink, document, outcome = self._ended.get()
            name = document.name
            if document.state == "over":
                self._strike(name, self._places_of(document.alert))
            elif outcome == "told":
                self._failed.pop(name, None)
                self._say(name)
                self._write_down(name, document.alert)
            elif document.state == "firing" and outcome == "left":
                sink.take_back(document.alert)
            elif document.state == "firing" and name not in self._said:
                failed = self._failed.setdefault(name, [])
                failed.append(sink)
                if len(failed) >= len(self._sinks):  # else another may tell it yet
                    del self._failed[name]
                    for one in failed:
                        one.take_back(document.alert)
                    await self._step_back(document)

    async def _step_back(self, document: AlertDocument) -> None:
        """Leave it to whoever stands by: an alert could not be told from here."""
        self._rests_until_ns = self._clock.monotonic_ns() + round(STEP_BACK_S * NS_PER_S)
        for pager in self._ours.values():
            with suppress(BusError):
                await pager.leave()
        self._report(f"{document.about} could not be told from here: it is for others to tell")

    def _say(self, name: AlertName) -> None:
        self._said[name] = None
        while len(self._said) > _MOST:
            del self._said[next(iter(self._said))]

    def _write_down(self, name: AlertName, alert: Alert) -> None:
        routes, places = self._routes_of(alert), self._places_of(alert)
        for place in places:
            told = ToldAlert(
                run=name.run,
                id=name.id,
                routes=tuple(r for r in routes if self._home or _place_of(r) == place),
                places=places,
                severity=_severity(alert),
                since_ns=alert.since_ns + self._anchor_ns,
                stands_ns=self._clock.wall_ns(),
            )
            self._edit(place, lambda before, told=told: _with(before, told))  # type: ignore[misc]

    def _strike(self, name: AlertName, places: Iterable[str]) -> None:
        """Strike out, everywhere that it stands, what is over."""
        stands = {p for p, told in self._told.items() if any(_name(one) == name for one in told)}
        self._ending.add(name)
        for place in {*places, *stands}:
            self._edit(place, _without(name))

    def _edit(self, place: str, edit: Callable[[_Told], _Told]) -> None:
        self._edits.setdefault(place, deque(maxlen=_MOST)).append(edit)

    async def _write(self) -> None:
        """Change what is to be changed of what people were told."""
        if self._clock.monotonic_ns() < self._write_from_ns:
            return
        for place, edits in list(self._edits.items()):
            done = list(edits)

            def edit(before: _Told, done: list[Callable[[_Told], _Told]] = done) -> _Told:
                for one in done:
                    before = one(before)
                return before

            try:
                self._told[place] = await edit_told(self._bucket, place, edit)
            except (BusLostError, NoAnswerError, WrongRevisionError):
                return  # with the next turn
            except BusError:
                self._write_from_ns = self._clock.monotonic_ns() + _REFUSED_NS
                return
            for _ in done:
                edits.popleft()
            if not edits:
                del self._edits[place]
        stands = {_name(one) for told in self._told.values() for one in told}
        self._ending &= stands

    async def _read(self, now_ns: int) -> None:
        """Look up what people were told: of what is about to be told at once, of what stands now
        and then, and of all there is rarely."""
        if not self._sinks:
            return
        known_ns: dict[str, int] = {}  # place → since when we know of its newest alert
        for alert, seen_ns in self._firing.values():
            for place in self._places_of(alert):
                known_ns[place] = max(seen_ns, known_ns.get(place, 0))
        due = {place for place, at_ns in known_ns.items() if self._read_ns.get(place, -1) < at_ns}
        due |= {
            place
            for place in {*self._places, *self._told, *known_ns}
            if any(
                self._read_ns.get(place, -1) < settled_ns <= now_ns
                for settled_ns in self._settled_ns(place)
            )
        }
        stands = {self._home} if self._home else {p for p, told in self._told.items() if told}
        due |= {p for p in stands if now_ns - self._read_ns.get(p, -_LOOK_NS) >= _LOOK_NS}
        if self._all_read_ns is None or now_ns - self._all_read_ns >= _LOOK_AT_ALL_NS:
            self._all_read_ns = now_ns
            due |= self._places.keys()
        for place in due:
            with suppress(BusError):  # rule 2
                self._told[place] = await read_told(self._bucket, place)
            self._read_ns[place] = now_ns

    async def _end_what_is_over(self) -> None:
        """Tell the end of what another has begun to tell, where it is on us."""
        if not self._sinks:
            return
        now_ns = self._clock.monotonic_ns()
        hit = {route for alert, _ in self._firing.values() for route in self._routes_of(alert)}
        standing: dict[AlertName, set[str]] = {}
        for told in self._told.values():
            for one in told:
                standing.setdefault(_name(one), set()).update(one.routes)
        seen: set[AlertName] = set()
        for place, told in list(self._told.items()):
            is_ours = place not in self._unheard and self._calls_for((place,))
            for one in told if is_ours else ():
                name = _name(one)
                if hit.intersection(one.routes):
                    self._stand_by(one, place)
                if name in seen or name in self._ending or hit & standing[name]:
                    continue
                seen.add(name)
                since_ns = self._unseen_ns.setdefault(name, now_ns)
                # The end of what was told by this run is for `AlertCalls`, if it was for us then.
                over = None if name.run == self.run_id else self._over_of(one)
                if over is not None or now_ns - since_ns >= UNSEEN_S * NS_PER_S:
                    await self._end(one, place, over)
        self._unseen_ns = {name: at for name, at in self._unseen_ns.items() if name in seen}

    def _stand_by(self, told: ToldAlert, place: str) -> None:
        """Write down, now and then, that it still fires."""
        now_ns = self._clock.wall_ns()
        if now_ns - told.stands_ns < _ANEW_NS or self._is_old(told) or place in self._edits:
            return
        name = _name(told)
        self._edit(
            place,
            lambda before: tuple(
                msgspec.structs.replace(one, stands_ns=now_ns) if _name(one) == name else one
                for one in before
            ),
        )

    def _is_old(self, told: ToldAlert) -> bool:
        return self._clock.wall_ns() - told.stands_ns > STOOD_BY_S * NS_PER_S

    def _over_of(self, told: ToldAlert) -> Alert | None:
        """Return the end of what people were told, where it was seen here."""
        return next(
            (
                over
                for over in reversed(self._overs)
                if over.at_ns + self._anchor_ns >= told.since_ns
                and {*self._routes_of(over)}.intersection(told.routes)
            ),
            None,
        )

    async def _end(self, told: ToldAlert, place: str, over: Alert | None) -> None:
        """Strike it out of a place; tell that it is over where it is so at all places."""
        name = _name(told)
        is_all = self._ours.keys() == {ALL_PLACES}
        struck = {place, *told.places} if is_all else {place}
        try:
            for one in struck:
                self._told[one] = await edit_told(self._bucket, one, _without(name))
        except BusError:
            return  # with the next turn: it still stands
        # Only then: of two who strike it out at once, one finds that it stands nowhere.
        for one in {*told.places} - struck:
            with suppress(BusError):
                if any(_name(other) == name for other in await read_told(self._bucket, one)):
                    return
        if over is None:
            over = Alert(
                at_ns=self._now_ns,
                id=told.id,
                state="over",
                kind="incident",
                routes=tuple(route for route in told.routes if route.rpartition("@")[0]),
                places=() if self._home else told.places,
                since_ns=told.since_ns - self._anchor_ns,
                harm=Harm("stands", told.routes[0]),
                text=f"{who_words(told.routes)}: over, as far as can be seen from here",
            )
        for sink in self._sinks:
            sink.end(over, name)


def _name(told: ToldAlert) -> AlertName:
    return AlertName(told.run, told.id)


def _with(before: _Told, told: ToldAlert) -> _Told:
    """Return what people were told with one more, or more of one."""
    kept = []
    for one in before:
        if _name(one) != _name(told):
            kept.append(one)
            continue
        told = msgspec.structs.replace(
            told,
            routes=tuple(dict.fromkeys((*one.routes, *told.routes))),
            severity=max(one.severity, told.severity),
            since_ns=min(one.since_ns, told.since_ns),
        )
    return (*kept, told)


def _without(name: AlertName) -> Callable[[_Told], _Told]:
    """Return what strikes an alert out of what people were told."""
    return lambda before: tuple(told for told in before if _name(told) != name)


def _place_of(route: str) -> str:
    return route.rpartition("@")[2]


def _severity(alert: Alert) -> int:
    # Slow in one way or another is one thing to who has to know: which of both is said depends on
    # when a judge began.
    return max(1, severity_of(alert.harm))
