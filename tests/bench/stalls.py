"""What holds up the loop of a cockpit over many routes? `python tests/bench/stalls.py`.

`--routes` (400) over `--places` (20) are probed once a second each. What `--minutes` (5) of that
tell is judged, folded and recorded as fast as it goes; then `--seconds` (60) come as they do over a
bus, a place at a time, in a loop that takes two frames a second of all rows and sweeps up garbage
each second, as a cockpit's does. A ticker of 10 ms tells how much later than that it came: of all,
and of those while a checkpoint was being taken. With `--at-once` each is taken in one piece. Ticks
are told in ms on the wall, of a machine that should have nothing else to do; what each kind of work
takes at a time in ms of the processor.
"""

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from board_memory import moved  # noqa: E402
from flat import Traffic, rss_mb  # noqa: E402

from probes.board import Board  # noqa: E402
from probes.diagnosis import Diagnostician  # noqa: E402
from probes.events import Event, durable_lines  # noqa: E402
from probes.kit.clock import NS_PER_S  # noqa: E402
from probes.run.sinks import recorder_sink  # noqa: E402
from probes.run.timeline import RunTimeline, in_a_thread  # noqa: E402
from probes.run.verdicts import Judge, with_verdicts  # noqa: E402
from probes.store.recording import Recorder  # noqa: E402
from tui.terminal.collector import Collector  # noqa: E402

_TICK_S = 0.01


class _Timed(RunTimeline):
    """Notes what each turn takes."""

    turns: list[float]

    def _go_on(self) -> bool:
        begin = time.thread_time()
        try:
            return super()._go_on()
        finally:
            self.turns.append((time.thread_time() - begin) * 1e3)

    def hurry(self) -> None:
        """Take a checkpoint with the next batch."""
        self.turns = []
        self._next_ns = self._next_number = self._not_before_ns = 0


class Run:
    """A board over many routes with all that takes its events, and what each of it took."""

    def __init__(self, names: Sequence[str], places: int, folder: Path) -> None:
        self.names = names
        self.board, self.judge = Board(), Judge(Diagnostician())
        self.recorder = Recorder.to_folder(folder, max_mb=4096, max_days=7)
        self.timeline = _Timed(self.board, self.recorder, aside=in_a_thread)
        self.timeline.hurry()
        self.recorder.start(print)
        self.collector = Collector()
        self.took: dict[str, list[float]] = defaultdict(list)
        self.lags: list[float] = []
        self.lags_while_taken: list[float] = []
        traffic = Traffic(0, 1.0, slot_ns=NS_PER_S, names=names)
        self.seconds = moved(traffic, places)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note what a piece of work takes."""
        begin = time.thread_time()
        yield
        self.took[what].append((time.thread_time() - begin) * 1e3)

    def note_pass(self, phase: str, info: dict[str, int]) -> None:
        """Note what a pass of the collector takes."""
        if phase == "start":
            self._began = time.thread_time()
        else:
            took = (time.thread_time() - self._began) * 1e3
            self.took[f"a pass of generation {info['generation']}"].append(took)

    def take(self, events: list[Event]) -> None:
        """Take a message."""
        events, lines = with_verdicts(self.judge, events, durable_lines(events))
        self.timeline.fold(events, lines)
        recorder_sink(self.recorder)(events, lines)
        self.timeline.receive(events, lines)

    async def live(self, seconds: int) -> None:
        """Take what comes, second by second, a place at a time."""
        tasks = [asyncio.create_task(one()) for one in (self._tick, self._draw, self._sweep)]
        begin = time.perf_counter()
        for number, events in enumerate(islice(self.seconds, seconds)):
            by_place: dict[str, list[Event]] = defaultdict(list)
            for event in events:
                place = getattr(event, "place", "") or getattr(event, "route", "")
                by_place[place.rpartition("@")[2]].append(event)
            for at, told in enumerate(by_place.values()):
                due = begin + number + at / len(by_place)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                with self.timed("a message of a place"):
                    self.take(told)
        for task in tasks:
            task.cancel()

    async def _tick(self) -> None:
        while True:
            begin = time.perf_counter()
            was_taken = self.timeline.is_taking
            await asyncio.sleep(_TICK_S)
            lag = (time.perf_counter() - begin - _TICK_S) * 1e3
            self.lags.append(lag)
            if was_taken or self.timeline.is_taking:
                self.lags_while_taken.append(lag)

    async def _draw(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            with self.timed("a snapshot"):
                self.board.snapshot("5m", self.names[:1])

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            with self.timed("a sweep of the collector"):
                self.collector.sweep(stays=True)


def main() -> None:
    """Fold, live, and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--routes", type=int, default=400)
    options.add_argument("--places", type=int, default=20)
    options.add_argument("--minutes", type=float, default=5.0)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--at-once", action="store_true")
    asked = options.parse_args()
    names = [f"r{at // asked.places}@p{at % asked.places}" for at in range(asked.routes)]
    write = sys.stdout.write
    with tempfile.TemporaryDirectory() as folder:
        run = Run(names, asked.places, Path(folder))
        run.collector.start()
        for number, events in enumerate(islice(run.seconds, round(asked.minutes * 60))):
            run.take(events)
            if number % 5 == 0:
                run.collector.sweep(stays=True)
        write(f"{asked.routes} routes, {len(gc.get_objects()):,} objects, {rss_mb():.0f} MB\n\n")
        gc.callbacks.append(run.note_pass)
        before = run.timeline.checkpoints
        run.timeline.hurry()
        live = partial(run.live, asked.seconds)
        asyncio.run(live() if asked.at_once else run.timeline.during(live))
        gc.callbacks.remove(run.note_pass)
        taken = run.timeline.checkpoints - before
        run.recorder.close()
    run.took["a turn of taking them"] = run.timeline.turns
    run.took["a tick late"] = run.lags
    run.took[f"while {taken} checkpoints were taken"] = run.lags_while_taken
    write("| | n | median ms | p99 | most |\n|---|---|---|---|---|\n")
    for what, took in run.took.items():
        if took:
            took.sort()
            p99 = took[int(len(took) * 0.99)]
            write(f"| {what} | {len(took)} | {median(took):.1f} | {p99:.1f} | {took[-1]:.1f} |\n")
    write(f"\n{rss_mb():.0f} MB resident\n")


if __name__ == "__main__":
    main()
