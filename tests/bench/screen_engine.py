"""An engine that probes nothing: it writes, in real time, what a busy one would.

Run by `screen.py` as a process of its own, through the pipe and the host of the real one, so that
no cost of probing is in the cockpit's figures. Commands: `go` begins, `pause` with `cancel` ends
what is open and holds until the next `pause`, `stop` and the end of the input end it.
"""

import os
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from probes.control.commands import Configure, Go, Pause, Stop, decode_command
from probes.events import (
    SCHEMA_VERSION,
    Arrival,
    Arrivals,
    AttemptFinished,
    AttemptStarted,
    Batch,
    Event,
    FirstToken,
    Health,
    Hello,
    Knob,
    Outcome,
    ProbeFinished,
    RetryPlan,
    RouteCounts,
    RouteInfo,
    StampLadder,
    Tick,
    encode_event,
)

BATCH_NS = 100_000_000
CHUNKS_PER_BATCH = 5
"""50 tokens a second of one stream, a token a chunk."""
CHARACTERS = 4
COHORT = "200/256"


@dataclass
class Stream:
    """One open attempt: it waits, streams `tokens` chunks, and ends."""

    route: str
    probe: str
    attempt: int
    started_ns: int
    first_ns: int
    tokens: int
    throttled: bool = False
    failed: bool = False
    told_first: bool = False
    sent: int = 0

    def ended(self) -> bool:
        return self.sent >= self.tokens


class Engine:
    """`streams` open streams over `routes`, each begun again as soon as it has ended."""

    def __init__(self, routes: tuple[RouteInfo, ...], streams: int) -> None:
        self.routes = routes
        self.streams = streams
        self.paused = False
        self.open: list[Stream] = []
        self.number = 0
        self.seq = 0
        self.next_tick_ns = 0

    def begin(self, now_ns: int) -> Iterable[Event]:
        """Open what is missing; streams are staggered, so that some end in each batch."""
        while not self.paused and len(self.open) < self.streams:
            self.number += 1
            number = self.number
            route = self.routes[number % len(self.routes)].name
            throttled = number % 29 == 0
            failed = number % len(self.routes) == 0 and not throttled
            wait_ns = 250_000_000 + (number * 37 % 40) * 20_000_000
            tokens = (
                0
                if throttled or failed
                else 200 - (number * 53 % 190 if number <= self.streams else 0)
            )
            stream = Stream(
                route,
                f"1-{number}",
                0,
                now_ns,
                now_ns + wait_ns,
                tokens,
                throttled=throttled,
                failed=failed,
            )
            self.open.append(stream)
            yield AttemptStarted(
                at_ns=now_ns,
                route=route,
                probe=stream.probe,
                attempt=0,
                scheduled_ns=now_ns,
                admitted_ns=now_ns,
                cohort=COHORT,
                reserved_tokens=210,
            )

    def advance(self, now_ns: int) -> Iterable[Event]:
        """Give what came in the last batch: first tokens, chunks by route, ends, new streams."""
        arrivals: dict[str, list[Arrival]] = {}
        for stream in [one for one in self.open if one.first_ns <= now_ns]:
            if not stream.told_first and stream.tokens:
                stream.told_first = True
                yield self._first(stream)
            chunks = min(CHUNKS_PER_BATCH, stream.tokens - stream.sent)
            stream.sent += chunks
            if chunks:
                arrival = Arrival(stream.probe, 0, chunks, chunks * CHARACTERS, now_ns)
                arrivals.setdefault(stream.route, []).append(arrival)
            if stream.ended():
                self.open.remove(stream)
                yield from self._end(stream, now_ns)
        yield from self.begin(now_ns)
        for route, arrived in arrivals.items():
            yield Arrivals(at_ns=now_ns - BATCH_NS, route=route, arrivals=tuple(arrived))

    def pause(self, paused: bool, now_ns: int) -> Iterable[Event]:
        """Hold everything and cancel what is open, or go on."""
        self.paused = paused
        for route in self.routes:
            yield Knob(
                at_ns=now_ns,
                route=route.name,
                knob="paused",
                before=float(not paused),
                after=float(paused),
            )
        for stream in self.open if paused else ():
            yield from self._end(stream, now_ns, "cancelled")
        self.open = [] if paused else self.open

    def health(self, now_ns: int, *, news: bool) -> Iterable[Event]:
        """Give the batch's end, and once a second a tick; without news or open streams no more."""
        health = Health(
            loop_lag_p99_ns=300_000 + self.seq % 7 * 50_000, cpu_share=0.12, clock="kernel"
        )
        counts = tuple(
            RouteCounts(
                route=route.name,
                in_flight=sum(stream.route == route.name for stream in self.open),
                target=route.concurrency,
            )
            for route in self.routes
        )
        if now_ns >= self.next_tick_ns:
            self.next_tick_ns = now_ns + 1_000_000_000
            yield Tick(at_ns=now_ns, wall_ns=time.time_ns(), health=health, routes=counts)
        elif not (news or self.open):
            return
        yield Batch(at_ns=now_ns, seq=self.seq, health=health)
        self.seq += 1

    def _first(self, stream: Stream) -> Event:
        return FirstToken(
            at_ns=stream.first_ns,
            route=stream.route,
            probe=stream.probe,
            attempt=0,
            felt_ns=stream.first_ns - stream.started_ns,
            kind="content",
            cohort=COHORT,
        )

    def _end(self, stream: Stream, now_ns: int, outcome: Outcome | None = None) -> Iterable[Event]:
        ended: Outcome = "server_error" if stream.failed else "ok"
        outcome = outcome or ("throttled" if stream.throttled else ended)
        ok = outcome == "ok"
        first_ns = stream.first_ns if stream.sent else None
        step_ns = BATCH_NS // CHUNKS_PER_BATCH
        begin_ns = stream.first_ns - stream.started_ns
        yield AttemptFinished(
            at_ns=now_ns,
            route=stream.route,
            probe=stream.probe,
            attempt=0,
            outcome=outcome,
            reason="rate_limit.requests" if stream.throttled else "overloaded" * stream.failed,
            message="The engine is currently overloaded" if stream.failed else "",
            retry=RetryPlan(reason="rate_limit", wait_s=1.0, number=1)
            if stream.throttled
            else None,
            status=429 if stream.throttled else 503 if stream.failed else 200,
            stamps_ns=StampLadder(
                started=stream.started_ns,
                sent=stream.started_ns,
                first_token=first_ns,
                last_token=now_ns if first_ns else None,
                done=now_ns if ok else None,
                ended=now_ns,
            ),
            clock="kernel",
            cohort=COHORT,
            input_tokens=12,
            output_tokens=stream.sent,
            charged_tokens=12 + stream.sent,
            reserved_tokens=210,
            token_source="usage",
            ttft_kind="content" if first_ns else "none",
            chunks=stream.sent,
            chunk_offsets_ns=tuple(begin_ns + step_ns * index for index in range(stream.sent)),
            text_chars=stream.sent * CHARACTERS,
        )
        yield ProbeFinished(
            at_ns=now_ns,
            route=stream.route,
            probe=stream.probe,
            outcome=outcome,
            attempts=1,
            started_ns=stream.started_ns,
            scheduled_ns=stream.started_ns,
            first_token_ns=first_ns,
            done_ns=now_ns if ok else None,
            cohort=COHORT,
        )


def write(events: Iterable[Event]) -> None:
    """Write a batch at once."""
    data = memoryview(b"".join(encode_event(event) for event in events))
    while data:
        data = data[os.write(1, data) :]


def greeting(configure: Configure) -> tuple[Hello, tuple[RouteInfo, ...]]:
    """Return what introduces the engine, and its routes."""
    routes = tuple(
        RouteInfo(
            name=route.name,
            base_url=route.base_url,
            model=route.model,
            dialect="chat",
            concurrency=route.concurrency,
            interval=0.0,
            max_tokens=200,
            prompt_tokens=12,
            stall_after=1.0,
            goal_ttft_s=1.0,
        )
        for route in configure.routes
    )
    hello = Hello(
        at_ns=time.monotonic_ns(),
        wall_ns=time.time_ns(),
        engine=configure.engine,
        version="0",
        routes=routes,
        schema=SCHEMA_VERSION,
        clock="kernel",
    )
    return hello, routes


def configured() -> Configure:
    """Read what an engine is told before it may begin; return its configuration."""
    configure = None
    for line in sys.stdin.buffer:
        command = decode_command(line)
        configure = command if isinstance(command, Configure) else configure
        if isinstance(command, Go):
            break
    assert configure is not None
    return configure


def main(streams: int) -> None:
    """Serve until told to stop."""
    configure = configured()
    hello, routes = greeting(configure)
    engine = Engine(routes, streams)
    write([hello])
    asked: list[Pause] = []
    threading.Thread(target=obey, args=(asked,), daemon=True).start()
    due_ns = time.monotonic_ns()
    while True:
        now_ns = time.monotonic_ns()
        events: list[Event] = []
        while asked:
            events += engine.pause(asked.pop(0).paused, now_ns)
        events += engine.advance(now_ns)
        write([*events, *engine.health(now_ns, news=bool(events))])
        due_ns += BATCH_NS
        time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))


def obey(asked: list[Pause]) -> None:
    """Take commands until the end."""
    for line in sys.stdin.buffer:
        command = decode_command(line)
        if isinstance(command, Stop):
            break
        if isinstance(command, Pause):
            asked.append(command)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
