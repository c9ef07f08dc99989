"""Several engines for one run: the work is divided, their events become one stream.

To whoever runs it a group is a host like that of one engine. Each of its engines has a host of its
own, which starts it again by the usual rules; the others go on meanwhile.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TypeAlias

import anyio
import msgspec

from probes.config import Route
from probes.control.commands import (
    Allow,
    Burst,
    Command,
    Configure,
    EndCoolDown,
    MarkTime,
    SetKnob,
    WatchText,
)
from probes.control.status import HostStatus, worst_of
from probes.events import DURABLE_TYPES, Batch, Event, Held, Hello, Mark, encode_event
from probes.kit.clock import Clock, seconds
from probes.kit.signals import Signal
from probes.run.several.division import Division
from probes.run.several.merge import Item, Merge
from probes.run.several.money import Money
from probes.run.several.voice import Voice
from probes.run.several.wishes import Wishes
from probes.sources.source import Receive
from probes.sources.supervised import Prepare, SupervisedEngine

Lose: TypeAlias = Callable[[str, int, float], None]
"""Takes a route and the tokens and USD that a killed engine may have spent unheard."""

MakeHost: TypeAlias = Callable[[Prepare, Receive], SupervisedEngine]
"""Make the host of one engine."""


class EngineGroup:
    """Owns the hosts of several engines; commands go in, one ordered stream comes out.

    `run` returns after `stop`; cancelling it kills the engines. Nothing is left behind either way.
    """

    def __init__(
        self,
        prepare: Prepare,
        receive: Receive,
        *,
        routes: Sequence[Route],
        engines: int,
        make_host: MakeHost,
        clock: Clock,
        lose: Lose = lambda _route, _tokens, _usd: None,
    ) -> None:
        """Prepare a group of `engines` engines; `prepare` gives what one engine for all of the
        work would be told, `lose` hears what a killed one had in its hands."""
        self._lose = lose
        self._prepare = prepare
        self._receive = receive
        self._clock = clock
        self._numbers = count(1)
        self._wishes = Wishes(routes)
        self._division = Division({route.name: route.concurrency for route in routes}, engines)
        self._money = Money(routes)
        self._merge = Merge(engines + 1)
        self._voice = Voice(
            {route.name: route.concurrency for route in routes}, engines, self._division.of
        )
        self._round = Signal()
        self._hosts = [
            make_host(self._preparing(engine), self._receiving(engine)) for engine in range(engines)
        ]

    @property
    def status(self) -> HostStatus:
        """How the engine is that is worst off; its detail says which."""
        return worst_of([host.status for host in self._hosts])

    def send(self, command: Command) -> None:
        """Pass a command on, to each engine its part of it."""
        now_ns = self._clock.monotonic_ns()
        if not isinstance(command, Burst) or self._voice.living:  # else nobody sends it
            self._tell(self._wishes.turn(command, now_ns))
        match command:
            case Allow():
                self._money.allow(command)
                self._share_money(everybody=True)
            case SetKnob(knob="concurrency") if command.route in self._division.routes:
                self._resize(command)
            case Burst() if command.route in self._division.routes:
                self._burst(command)
            case MarkTime():
                self._tell([Mark(at_ns=now_ns, text=command.text)])
            case _:
                self._send_all(command)

    @property
    def in_order(self) -> bool:
        """Whether nothing is unknown of what its engines did: of killed ones `lose` has heard."""
        return True

    def hold(self) -> None:
        """Stop reading the engines' pipes."""
        for host in self._hosts:
            host.hold()

    def release(self) -> None:
        """Read on."""
        for host in self._hosts:
            host.release()

    def retry(self) -> None:
        """Start those engines now that wait for it or were given up."""
        for host in self._hosts:
            host.retry()

    def stop(self) -> None:
        """End all engines in order; `run` returns when they have."""
        for host in self._hosts:
            host.stop()

    async def run(self) -> None:
        """Keep the engines running until `stop`."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._deliver_rounds)
                async with anyio.create_task_group() as hosts:
                    for engine in range(len(self._hosts)):
                        hosts.start_soon(self._run_host, engine)
                tasks.cancel_scope.cancel()
        finally:
            self._deliver(everything=True)

    async def _run_host(self, engine: int) -> None:
        try:
            await self._hosts[engine].run()
        finally:
            self._end_money(engine)
        self._merge.end(engine)
        self._look()

    async def _deliver_rounds(self) -> None:
        """Deliver a round when every prompt engine has been heard, or has had its time."""
        while True:
            patience_s = self._merge.patience_s(self._clock.monotonic_ns())
            await self._round.wait(self._clock, patience_s)
            self._deliver()
            self._share_money()

    def _look(self) -> None:
        if self._merge.is_complete(self._clock.monotonic_ns()):
            self._round.ring()

    def _deliver(self, *, everything: bool = False) -> None:
        now_ns = self._clock.monotonic_ns()
        events: list[Event] = []
        lines: list[bytes] = []
        for item in self._merge.take_all() if everything else self._merge.take(now_ns):
            told = self._told(item)
            events += told
            lines += _lines(told, item.event, item.line)
        last = self._voice.close_round()
        events += last
        lines += _lines(last, None, None)
        if events:
            self._receive(events, b"".join(lines))

    def _told(self, item: Item) -> list[Event]:
        if item.source == len(self._hosts):  # ourselves
            return self._voice.tell(item.event)
        return self._voice.hear(item.source, item.event)

    def _tell(self, events: Sequence[Event]) -> None:
        """Put events of our own into the stream."""
        if events:
            lines = b"".join(encode_event(event) for event in events)
            self._merge.add(len(self._hosts), events, lines)
            self._look()

    def _preparing(self, engine: int) -> Prepare:
        async def prepare(_: str) -> Sequence[Command]:
            """Return what this engine must be told; ids count the lives of all engines."""
            commands = await self._prepare(str(next(self._numbers)))
            return list(self._first_words(engine, commands))

        return prepare

    def _first_words(self, engine: int, commands: Sequence[Command]) -> Iterator[Command]:
        """Give one engine's part of what an engine is told first; nothing is awaited in it."""
        self._money.begin(engine)
        for command in commands:
            match command:
                case Configure():
                    yield self._part(engine, command)
                case Allow():
                    self._money.allow(command)
                    yield self._share_money(everybody=True)[engine]
                case SetKnob(knob="concurrency"):
                    pass  # Configure has told it
                case _:
                    yield command

    def _part(self, engine: int, command: Configure) -> Configure:
        shares = self._division.of(engine)
        routes = tuple(
            msgspec.structs.replace(route, concurrency=shares[route.name])
            for route in command.routes
        )
        return msgspec.structs.replace(command, routes=routes)

    def _receiving(self, engine: int) -> Receive:
        def receive(events: list[Event], lines: bytes) -> None:
            for event in events:
                self._note(engine, event)
            self._merge.add(engine, events, lines)
            self._look()

        return receive

    def _note(self, engine: int, event: Event) -> None:
        """Do at once what must not wait for the event's turn in the stream."""
        self._money.fold(engine, event)
        match event:
            case Batch() if event.money is not None:
                self._money.report(engine, event.money)
            case Hello():
                for info in event.routes:
                    self._money.expect_prompt(info.name, info.prompt_tokens)
            case Held(reason="restarting", released=False):
                self._end_money(engine)
            case Held(reason="cool_down"):
                self._cool_down_others(engine, event)
            case _:
                pass

    def _end_money(self, engine: int) -> None:
        taken = self._money.end(engine, in_order=self._hosts[engine].in_order)
        for route, lost in taken.items():
            self._lose(route, math.ceil(lost.tokens), lost.usd)

    def _cool_down_others(self, engine: int, event: Held) -> None:
        """Tell the other engines what a server asked of one."""
        if not self._wishes.cooled(event) or event.until_ns is None:
            return
        left_s = seconds(event.until_ns - self._clock.monotonic_ns())
        if left_s > 0:
            command = EndCoolDown(route=event.route, until_s=left_s, who="another engine")
            for other, host in enumerate(self._hosts):
                if other != engine:
                    host.send(command)

    def _resize(self, command: SetKnob) -> None:
        before = self._division.shares(command.route)
        self._division.resize(command.route, self._wishes.concurrency(command.route))
        after = self._division.shares(command.route)
        for engine, host in enumerate(self._hosts):
            if before[engine] != after[engine]:
                part = msgspec.structs.replace(command, value=float(after[engine]), part=True)
                host.send(part)
        self._share_money()

    def _burst(self, command: Burst) -> None:
        parts = self._division.split(command.count, sorted(self._voice.living))
        for engine, number in parts.items():
            self._money.expect_burst(engine, command.route, number)
        self._share_money()
        for engine, number in parts.items():
            self._hosts[engine].send(msgspec.structs.replace(command, count=number))

    def _send_all(self, command: Command) -> None:
        if isinstance(command, WatchText):
            self._voice.watch()
        if isinstance(command, SetKnob) and command.route in self._division.routes:
            self._money.expect_answer(command.route, self._wishes.max_tokens(command.route))
        for host in self._hosts:
            host.send(command)

    def _share_money(self, *, everybody: bool = False) -> dict[int, Allow]:
        """Tell engines what they may spend now, and return it; who does not live hears nothing."""
        working = {
            engine: self._division.of(engine)
            for engine, host in enumerate(self._hosts)
            if host.status.state != "gave_up"
        }
        told = self._money.divide(working, everybody=everybody)
        for engine, allow in told.items():
            self._hosts[engine].send(allow)
        return told


def _lines(told: Sequence[Event], heard: Event | None, line: bytes | None) -> Iterator[bytes]:
    """Give the JSON lines of durable events; what is told as it was heard is not encoded anew."""
    for event in told:
        if event is heard and line is not None:
            yield line
        elif isinstance(event, DURABLE_TYPES):
            yield encode_event(event)
