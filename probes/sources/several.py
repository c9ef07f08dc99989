"""Several engines as one source: the work is divided, their events become one stream.

What somebody turns is the total: each engine is told its part of it, and we tell of it
ourselves, once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from probes.config import Route
from probes.control.commands import (
    AcceptUsual,
    Burst,
    Command,
    Configure,
    EndCoolDown,
    MarkTime,
    PacePart,
    Pause,
    ProbeNow,
    SetKnob,
    Thicken,
    WatchText,
)
from probes.control.evidence import CALM_S, EVIDENCE_EVERY_S, asks_for_less
from probes.control.status import HostStatus, worst_of
from probes.control.wanted import knob_changes, wanted_of
from probes.events import (
    DURABLE_TYPES,
    AttemptFinished,
    AttemptStarted,
    Event,
    Held,
    Knob,
    KnobKind,
    Mark,
    encode_event,
)
from probes.kit.clock import Clock, seconds
from probes.sources.division import Division
from probes.sources.merged_sources import MergedSources
from probes.sources.merged_stream import MergedStream
from probes.sources.source import Brief, Receive, Source
from probes.sources.time_merge import Heard

MakeEngine: TypeAlias = Callable[[int, Sequence[Route], Brief, Receive], Source]
"""Make the source of one engine: its place, its part of the routes, what it is told, who hears."""


_IDLE_S: Final = 3 * EVIDENCE_EVERY_S
"""An engine that was to probe more often and began nothing for so long has no worker at rest. No
sooner does its turn go to another, which would begin one at once: it knows of no start before."""


@dataclass(slots=True)
class _Thickening:
    """The engine that probes a route more often."""

    engine: int
    active_ns: int
    """When it was chosen, or last began a probe beside the pace."""


class SeveralEngines(MergedSources[Source]):
    """Owns the sources of several engines; commands go in, one ordered stream comes out."""

    def __init__(
        self,
        brief: Brief,
        receive: Receive,
        *,
        routes: Sequence[Route],
        engines: int,
        make_engine: MakeEngine,
        clock: Clock,
    ) -> None:
        """Prepare `engines` engines; `brief` gives what one for all of the work would be told."""
        super().__init__(brief, receive, sources=engines, clock=clock)
        self._wanted = wanted_of(tuple(routes))
        self._cool_down_ended_ns: dict[str, int] = {}
        self._thickening: dict[str, _Thickening] = {}
        """By route, the engine that was told last to probe more often."""
        self._asked_less_ns: dict[str, int] = {}
        """By route, when an answer to any engine last asked for less."""
        concurrency = {route.name: route.concurrency for route in routes}
        self._division = Division(concurrency, engines)
        self._stream = MergedStream(
            concurrency,
            engines,
            self._division.of,
            rates={route.name: route.rate or 0.0 for route in routes if route.is_open},
        )
        self._engines = [
            make_engine(
                engine,
                self._parts(engine, routes),
                self._brief_of(engine),
                self._receive_of(engine),
            )
            for engine in range(engines)
        ]

    @property
    def status(self) -> HostStatus:
        """How the engine is that is worst off; its detail says which."""
        return worst_of([engine.status for engine in self._engines])

    def send(self, command: Command) -> None:
        """Pass a command on, to each engine its part of it."""
        now_ns = self._now_ns
        known = getattr(command, "route", "") in self._division.routes
        match command:
            case SetKnob(knob="concurrency") if known:
                self._tell(self._turned(command, now_ns))
                self._resize(command)
            case SetKnob(knob="rate") if known and self._wanted.routes[command.route].is_open:
                self._tell(self._turned(command, now_ns))
                for engine in range(len(self._engines)):
                    self._tell_pace(engine, command)
            case Burst() | ProbeNow() if known:
                self._send_beside(command, now_ns)
            case Thicken() if known:
                self._thicken(command, now_ns)
            case AcceptUsual() if known:
                self._tell([_knob(command, "usual", 0.0, 1.0, now_ns)])
            case MarkTime():
                self._tell([Mark(at_ns=now_ns, text=command.text, about_ns=command.about_ns)])
            case _:
                if isinstance(command, WatchText):
                    self._stream.watch()
                self._tell(self._turned(command, now_ns))
                for source in self._engines:
                    source.send(command)

    def _send_beside(self, command: Burst | ProbeNow, now_ns: int) -> None:
        """Share what goes beside the pace out. It is of now: an engine that is being started would
        send its part late."""
        living = sorted(self._stream.living)
        if isinstance(command, ProbeNow):
            for engine in self._division.split(1, living):
                self._engines[engine].send(command)
            return
        parts = self._division.split(command.count, living)
        if parts:  # else nobody sends it
            self._tell([_knob(command, "burst", 0.0, float(command.count), now_ns)])
        for engine, number in parts.items():
            self._engines[engine].send(msgspec.structs.replace(command, count=number))

    @property
    def _now_ns(self) -> int:
        return self._clock.monotonic_ns()

    def _pass_on(self, items: Sequence[Heard]) -> None:
        events: list[Event] = []
        lines: list[bytes] = []
        for item in items:
            if item.source == self._ourselves:
                told = self._stream.tell(item.event)
            else:
                told = self._stream.hear(item.source, item.event)
            events += told
            lines += _lines(told, item)
        last = self._stream.close_round()
        events += last
        lines += _lines(last, None)
        if events:
            self._receive(events, b"".join(lines))

    def _turned(self, command: Command, now_ns: int) -> list[Event]:
        """Take note of what is wanted in all; return what is to be told of it."""
        before, self._wanted = self._wanted, self._wanted.after_command(command)
        events: list[Event] = []
        if isinstance(command, (SetKnob, Pause)):
            for change in knob_changes(before.routes, self._wanted.routes):
                reason = command.reason if isinstance(command, SetKnob) else ""
                told = Knob(at_ns=now_ns, who=command.who, reason=reason, **change._asdict())
                events.append(told)
        if isinstance(command, EndCoolDown) and command.route in before.routes:
            self._cool_down_ended_ns[command.route] = now_ns
            until_ns = before.routes[command.route].cool_until_ns or now_ns
            if until_ns > now_ns:
                events.append(
                    Held(
                        at_ns=now_ns,
                        reason="cool_down",
                        route=command.route,
                        released=True,
                        detail=f"ended by {command.who}",
                    )
                )
                left_s = seconds(until_ns - now_ns)
                events.append(_knob(command, "cool_down", left_s, 0.0, now_ns))
        return events

    def _resize(self, command: SetKnob) -> None:
        before = self._division.shares(command.route)
        self._division.resize(command.route, round(command.value))
        after = self._division.shares(command.route)
        for engine, source in enumerate(self._engines):
            if before[engine] != after[engine]:  # each that is told reports, and wakes its workers
                part = msgspec.structs.replace(command, value=float(after[engine]), part=True)
                source.send(part)
        rate = self._wanted.routes[command.route].rate
        if before != after and rate is not None:
            # Another number of places is another part of the ticks, for all of them.
            turn = SetKnob(route=command.route, knob="rate", value=rate, who=command.who)
            for engine in range(len(self._engines)):
                self._tell_pace(engine, turn)

    def _tell_pace(self, engine: int, command: SetKnob) -> None:
        """Tell an engine its part of a rate."""
        part = self._division.pace_part(command.route, engine, command.value)
        told = msgspec.structs.replace(command, value=part.own_rate, part=True, pace_part=part)
        self._engines[engine].send(told)

    def _thicken(self, command: Thicken, now_ns: int) -> None:
        """Have one engine probe more often, and no other.

        It knows of its own starts alone, so none is asked where the whole pace is a second or less;
        and an only worker is only where there is one in all. What another engine was answered
        counts as what itself was.
        """
        name, wanted = command.route, self._wanted.routes[command.route]
        before = self._thickening.pop(name, None)
        asked_less_ns = self._asked_less_ns.get(name)
        calm = asked_less_ns is None or seconds(now_ns - asked_less_ns) >= CALM_S
        is_slow = wanted.per_s * EVIDENCE_EVERY_S < 1
        chosen = None
        if command.for_s > 0 and calm and (is_slow or wanted.concurrency == 1):
            chosen = self._thickening_engine(name, before, now_ns)
        if before is not None and (chosen is None or chosen.engine != before.engine):
            self._engines[before.engine].send(Thicken(route=name, for_s=0.0))
        if chosen is not None:
            self._thickening[name] = chosen
            fresh = command.fresh and wanted.concurrency == 1
            self._engines[chosen.engine].send(msgspec.structs.replace(command, fresh=fresh))

    def _thickening_engine(
        self, route: str, before: "_Thickening | None", now_ns: int
    ) -> "_Thickening | None":
        """Return which engine is to probe more often: the one that does so already, as long as it
        can; else the one with most workers at rest; None where none works on the route."""
        shares = self._division.shares(route)
        working = [one for one in sorted(self._stream.living) if shares[one]]
        if before is not None and before.engine in working:
            if seconds(now_ns - before.active_ns) < _IDLE_S:
                return before
        elif not working:
            return None
        at_rest = [shares[one] - self._stream.in_flight(one, route) for one in working]
        return _Thickening(working[at_rest.index(max(at_rest))], now_ns)

    def _hear_attempt(self, engine: int, event: AttemptStarted | AttemptFinished) -> None:
        """Note that an engine goes on probing more often, or what a server asked of one: another
        that probes more often ends that."""
        known = self._thickening.get(event.route)
        if isinstance(event, AttemptStarted):
            if known is not None and event.evidence and engine == known.engine:
                known.active_ns = event.at_ns
        elif asks_for_less(event.outcome, event.reason, event.retry_after_s):
            self._asked_less_ns[event.route] = event.at_ns
            if known is not None and engine != known.engine:
                del self._thickening[event.route]
                self._engines[known.engine].send(Thicken(route=event.route, for_s=0.0))

    def _parts(self, engine: int, routes: Sequence[Route]) -> tuple[Route, ...]:
        shares = self._division.of(engine)
        parts = self._pace_parts(engine)
        return tuple(
            msgspec.structs.replace(
                route,
                concurrency=shares[route.name],
                rate=parts[route.name].own_rate if route.name in parts else route.rate,
            )
            for route in routes
        )

    def _pace_parts(self, engine: int) -> dict[str, PacePart]:
        """Return an engine's part of each open pace, as it is wanted now."""
        return {
            name: self._division.pace_part(name, engine, wanted.rate)
            for name, wanted in self._wanted.routes.items()
            if wanted.rate is not None
        }

    def _part(self, number: int, command: Command) -> Command | None:
        match command:
            case Configure():
                return msgspec.structs.replace(
                    command,
                    routes=self._parts(number, command.routes),
                    pace_parts=self._pace_parts(number),
                )
            case SetKnob(knob="concurrency" | "rate"):
                return None  # its part stands in Configure
            case _:
                return command

    def _receive_of(self, engine: int) -> Receive:
        def receive(events: list[Event], lines: bytes) -> None:
            for event in events:
                if isinstance(event, Held) and event.reason == "cool_down":
                    # Not when it is its turn in the stream: until then they would go on sending.
                    self._cool_down_others(engine, event)
                elif isinstance(event, AttemptStarted | AttemptFinished):
                    self._hear_attempt(engine, event)
            self._hear(engine, events, lines)

        return receive

    def _cool_down_others(self, engine: int, event: Held) -> None:
        """Tell the other engines at once what a server asked of one, where that is news.

        It is not where we had told the engine so ourselves, where the others cool for as long
        already, and where the user has ended that cool-down since.
        """
        known = self._wanted.routes.get(event.route)
        if known is None or event.released or event.asked_s is None or event.until_ns is None:
            return
        ended_ns = self._cool_down_ended_ns.get(event.route, 0)
        if event.at_ns < ended_ns or event.until_ns <= (known.cool_until_ns or 0):
            return
        self._wanted = self._wanted.after_event(event)
        left_s = seconds(event.until_ns - self._clock.monotonic_ns())
        if left_s > 0:
            command = EndCoolDown(route=event.route, until_s=left_s, who="another engine")
            for other, source in enumerate(self._engines):
                if other != engine:
                    source.send(command)


def _knob(
    command: Burst | EndCoolDown | AcceptUsual,
    knob: KnobKind,
    before: float,
    after: float,
    now_ns: int,
) -> Knob:
    return Knob(
        at_ns=now_ns, route=command.route, knob=knob, before=before, after=after, who=command.who
    )


def _lines(told: Sequence[Event], heard: Heard | None) -> Iterator[bytes]:
    """Give the JSON lines of durable events; what is told as it was heard is not encoded anew."""
    for event in told:
        if heard is not None and event is heard.event and heard.line is not None:
            yield heard.line
        elif isinstance(event, DURABLE_TYPES):
            yield encode_event(event)
