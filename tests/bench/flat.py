"""Does the board stay flat? `python tests/bench/flat.py [--hours 24] [--rate 10] [--frames 1]`.

A day of probes, compressed: eight routes × `--rate` probes a second are made up and folded into a
board as fast as they can be, while `--frames` snapshots a simulated second are taken as the screen
takes them. One row for each hour: memory, cost of an event, of a frame, and of the first frame over
each window. CPU time, so that a busy machine changes little. The full day at the default rate is
6.9 million probes and takes well over half an hour; `--rate 1` takes a tenth of it.

Output arrives on one 100 ms slot in ten: lanes forget it anyway, and making it up costs more than
folding it.
"""

import argparse
import gc
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from pathlib import Path
from statistics import median
from typing import Any, get_args

from probes.board import Board
from probes.events import (
    Arrival,
    Arrivals,
    AttemptFinished,
    AttemptStarted,
    Batch,
    Event,
    FirstToken,
    Health,
    Hello,
    ProbeFinished,
    RetryPlan,
    RouteCounts,
    RouteInfo,
    StampLadder,
    Tick,
)
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WindowName

SLOT_NS = NS_PER_S // 10
HOUR_S = 3600
CHUNKS = 12
WINDOWS: tuple[WindowName, ...] = get_args(WindowName)


class Traffic:
    """The made-up stream of some routes, in the order of its stamps, for ever."""

    def __init__(
        self,
        routes: int,
        rate: float,
        *,
        trouble: float = 1.0,
        slot_ns: int = SLOT_NS,
        names: Sequence[str] = (),
    ) -> None:
        self._chance = random.Random(1)
        self._names = list(names) or [f"route{number}" for number in range(routes)]
        self._rate = rate
        self._trouble = trouble
        self._slot_ns = slot_ns
        self._waiting: list[tuple[int, int, Event]] = []
        self._open: dict[str, dict[str, None]] = {name: {} for name in self._names}
        self._probes = 0
        self._order = 0

    def hello(self) -> Hello:
        """Return the event that announces the routes."""
        return Hello(
            at_ns=0,
            wall_ns=0,
            engine="e1",
            version="0",
            schema=1,
            routes=tuple(route_info(name) for name in self._names),
        )

    def slots(self) -> Iterator[list[Event]]:
        """Yield what the engine tells at the end of each slot."""
        owed, slot = 0.0, 0
        while True:
            begin = slot * self._slot_ns
            owed += self._rate * self._slot_ns / NS_PER_S
            while owed >= 1.0:
                owed -= 1.0
                for name in self._names:
                    self._begin(name, begin + self._chance.randrange(self._slot_ns))
            yield self._slot_events(begin + self._slot_ns, slot)
            slot += 1

    def _slot_events(self, until_ns: int, slot: int) -> list[Event]:
        events: list[Event] = []
        while self._waiting and self._waiting[0][0] < until_ns:
            events.append(heappop(self._waiting)[2])
        for event in events:
            self._note(event)
        health = Health(loop_lag_p99_ns=300_000, open_streams=len(self._waiting))
        if until_ns % NS_PER_S == 0:
            events += [arrivals(name, probes, until_ns) for name, probes in self._open.items()]
            counts = tuple(
                RouteCounts(route=name, in_flight=len(probes), target=16)
                for name, probes in self._open.items()
            )
            events.append(Tick(at_ns=until_ns, wall_ns=until_ns, health=health, routes=counts))
        events.append(Batch(at_ns=until_ns, seq=slot, health=health))
        return events

    def _note(self, event: Event) -> None:
        if isinstance(event, AttemptStarted):
            self._open[event.route][event.probe] = None
        elif isinstance(event, AttemptFinished):
            self._open[event.route].pop(event.probe, None)

    def _push(self, event: Event) -> None:
        self._order += 1
        heappush(self._waiting, (event.at_ns, self._order, event))

    def _begin(self, route: str, start_ns: int) -> None:
        """Plan one probe: 3 % are throttled once, 2 % fail, some for a reason nobody else has."""
        self._probes += 1
        same: dict[str, Any] = {"route": route, "probe": f"e1-{self._probes}", "cohort": "64/256"}
        fate = self._chance.random() / self._trouble
        began, attempt = start_ns, 0
        if fate < 0.03:
            began, attempt = self._throttled(same, start_ns), 1
        self._started(same, began, attempt)
        first = began + round(self._chance.lognormvariate(-1.0, 0.5) * NS_PER_S)
        end = first + round(self._chance.uniform(0.3, 1.5) * NS_PER_S)
        if 0.03 <= fate < 0.05:
            reason = f"reason{self._probes}" if fate < 0.032 else "overloaded"
            self._ended(same, start_ns, end, attempt, outcome="server_error", reason=reason)
            return
        self._push(
            FirstToken(
                at_ns=first, attempt=attempt, felt_ns=first - start_ns, kind="content", **same
            )
        )
        step = (end - first) // CHUNKS
        ladder = StampLadder(started=began, first_token=first, last_token=end, done=end, ended=end)
        self._push(
            AttemptFinished(
                at_ns=end,
                attempt=attempt,
                outcome="ok",
                stamps_ns=ladder,
                input_tokens=20,
                output_tokens=self._chance.randrange(20, 60),
                token_source="usage",
                chunks=CHUNKS,
                chunk_offsets_ns=tuple(first - began + step * number for number in range(CHUNKS)),
                cost_usd=1e-5,
                **same,
            )
        )
        self._finished(same, start_ns, end, attempt, first_token_ns=first, done_ns=end)

    def _started(self, same: dict[str, Any], at_ns: int, attempt: int) -> None:
        self._push(
            AttemptStarted(
                at_ns=at_ns, attempt=attempt, scheduled_ns=at_ns, admitted_ns=at_ns, **same
            )
        )

    def _throttled(self, same: dict[str, Any], start_ns: int) -> int:
        self._started(same, start_ns, 0)
        end = start_ns + NS_PER_S // 20
        plan = RetryPlan(reason="rate_limit", wait_s=0.5, number=1)
        self._failed(same, end, 0, start_ns, outcome="throttled", reason="rate_limit", retry=plan)
        return end + NS_PER_S // 2

    def _ended(
        self, same: dict[str, Any], start_ns: int, end: int, attempt: int, **how: Any
    ) -> None:
        self._failed(same, end, attempt, start_ns, **how)
        self._finished(same, start_ns, end, attempt, **how)

    def _failed(self, same: dict[str, Any], end: int, attempt: int, began: int, **how: Any) -> None:
        ladder = StampLadder(started=began, ended=end)
        self._push(AttemptFinished(at_ns=end, attempt=attempt, stamps_ns=ladder, **how, **same))

    def _finished(
        self, same: dict[str, Any], start_ns: int, end: int, attempt: int, **how: Any
    ) -> None:
        how.setdefault("outcome", "ok")
        self._push(
            ProbeFinished(
                at_ns=end,
                attempts=attempt + 1,
                started_ns=start_ns,
                scheduled_ns=start_ns,
                **how,
                **same,
            )
        )


def route_info(name: str) -> RouteInfo:
    return RouteInfo(
        name=name,
        base_url="http://localhost:1/v1",
        model="m",
        dialect="chat",
        concurrency=16,
        interval=0.1,
        max_tokens=64,
        prompt_tokens=20,
        stall_after=1.0,
        goal_ttft_s=1.0,
        goal_e2e_s=3.0,
    )


def arrivals(route: str, probes: dict[str, None], until_ns: int) -> Arrivals:
    last = until_ns - SLOT_NS // 2
    of = tuple(Arrival(probe, 0, chunks=1, characters=4, last_ns=last) for probe in probes)
    return Arrivals(at_ns=until_ns - SLOT_NS, route=route, arrivals=of)


class Hour:
    """What an hour of the stream cost, in CPU ns."""

    def __init__(self) -> None:
        self.events = 0
        self.fold_ns = 0
        self.slowest_slot_ns = 0
        self.frames_ns: list[int] = []
        self.windows_ns: dict[WindowName, list[int]] = {name: [] for name in WINDOWS}

    def fold(self, board: Board, events: list[Event]) -> None:
        """Fold what came in one slot."""
        begin = time.thread_time_ns()
        for event in events:
            board.fold(event)
        took = time.thread_time_ns() - begin
        self.events += len(events)
        self.fold_ns += took
        self.slowest_slot_ns = max(self.slowest_slot_ns, took)

    def frame(self, board: Board, window: WindowName) -> int:
        """Take a snapshot as the screen does; return what it cost."""
        begin = time.thread_time_ns()
        board.snapshot(window, ("route0",))
        return time.thread_time_ns() - begin

    def row(self, number: int) -> str:
        """Return the line of the table."""
        frames = sorted(self.frames_ns)
        shares = (frames[int(len(frames) * share)] / 1e6 for share in (0.5, 0.97, 0.99))
        queries = (f"{median(took) / 1e6:.2f}" for took in self.windows_ns.values() if took)
        return (
            f"| {number} | {self.events:,} | {rss_mb():.1f} | {len(gc.get_objects()):,} "
            f"| {self.fold_ns / self.events / 1e3:.2f} | {self.slowest_slot_ns / 1e6:.1f} | "
            + " / ".join(f"{share:.2f}" for share in shares)
            + f" / {frames[-1] / 1e6:.1f} | {' / '.join(queries)} |\n"
        )


def rss_mb() -> float:
    """Return this process's resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run(hours: float, rate: float, frames: float, routes: int) -> None:
    """Fold and print."""
    traffic, board = Traffic(routes, rate), Board()
    board.fold(traffic.hello())
    hour, every = Hour(), max(1, round(10 / frames))
    # The cockpit's collector runs between frames too.
    gc.disable()
    for number, events in enumerate(traffic.slots(), start=1):
        hour.fold(board, events)
        second = number / 10
        if second % 10 == 5:
            gc.collect()
        # The last 20 odd seconds of an hour ask for each window in turn, which the screen does
        # not: they are told apart.
        if second % HOUR_S > HOUR_S - 25:
            if number % 10 == 0:
                window = WINDOWS[int(second) % len(WINDOWS)]
                hour.windows_ns[window].append(hour.frame(board, window))
        elif number % every == 0:
            hour.frames_ns.append(hour.frame(board, "5m"))
        if second % HOUR_S == 0 or second >= hours * HOUR_S:
            sys.stdout.write(hour.row(-(-number // (10 * HOUR_S))))
            sys.stdout.flush()
            hour = Hour()
        if second >= hours * HOUR_S:
            return


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--hours", type=float, default=24.0)
    options.add_argument("--rate", type=float, default=10.0, help="probes/s of each route")
    options.add_argument("--frames", type=float, default=1.0, help="snapshots a simulated second")
    options.add_argument("--routes", type=int, default=8)
    asked = options.parse_args()
    began = time.monotonic()
    sys.stdout.write(
        "| hour | events | RSS MB | objects | fold µs/event | slowest 100 ms of events, ms "
        f"| frame ms p50 / p97 / p99 / max | first frame over {' / '.join(WINDOWS)}, ms |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    run(asked.hours, asked.rate, asked.frames, asked.routes)
    sys.stdout.write(f"\n{time.monotonic() - began:.0f} s of wall time\n")


if __name__ == "__main__":
    main()
