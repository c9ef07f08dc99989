"""What does it cost to go back in a run? `python tests/bench/travel.py [--minutes 60] [--rate 3]`

Eight routes at so many probes a second each, some 50 streams in all by default, are made up with
events of the size that real ones have, folded into a board and recorded as a session does. What
taking checkpoints costs is of the thread that folds. Then somebody goes back: 200 steps of 10 s
with the pause between two that a person makes (`--pause`, 0.2 s; checkpoints are prepared
meanwhile, in a thread, as the cockpit does), and 40 jumps to anywhere. Times are on the wall, from
the key to the snapshot that a screen needs, and of the processor, in ms; baseline is one snapshot
of the live board. Garbage is collected as the cockpit does it, each second. What it takes of memory
is said beside what the same run takes without it, in a process of its own.
"""

import argparse
import gc
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from flat import Traffic  # noqa: E402
from replay import as_large_as_a_real_one  # noqa: E402

from probes.board import Board  # noqa: E402
from probes.events import (  # noqa: E402
    DURABLE_TYPES,
    AttemptFinished,
    Event,
    durable_lines,
)
from probes.kit.clock import NS_PER_S  # noqa: E402
from probes.run.sinks import board_sink, recorder_sink  # noqa: E402
from probes.run.timeline import Past, RunTimeline, in_a_thread  # noqa: E402
from probes.store.recording import Recorder  # noqa: E402
from tui.terminal.collector import Collector  # noqa: E402

_SWEEP_EVERY = 10
"""Batches of 100 ms."""


def rss_mb() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def batches(minutes: float, rate: float, routes: int) -> Iterator[list[Event]]:
    """Yield what arrives each 100 ms."""
    traffic = Traffic(routes, rate)
    yield [traffic.hello()]
    for number, told in enumerate(traffic.slots()):
        if number >= minutes * 600:
            return
        durable = [event for event in told if isinstance(event, DURABLE_TYPES)]
        yield [
            as_large_as_a_real_one(event) if isinstance(event, AttemptFinished) else event
            for event in durable
        ]


def timed_ms(work: Callable[[], float]) -> tuple[float, float]:
    """Return what it takes on the wall, and of the processor, which it says itself."""
    begin = time.perf_counter()
    spent = work()
    return (time.perf_counter() - begin) * 1e3, spent


def told(title: str, found: list[tuple[float, float]]) -> str:
    """Return a row of a table: on the wall, and of the processor."""
    row = f"| {title} | {len(found)} |"
    for times in zip(*found, strict=True):
        p95 = quantiles(times, n=20, method="inclusive")[-1]
        row += f" {median(times):.1f} | {p95:.1f} | {max(times):.1f} |"
    return row + "\n"


def look(past: Past, at_ns: int) -> float:
    """Do what a key does; return the milliseconds of the processor that it took."""
    began = time.thread_time()
    past.go(at_ns)
    past.board.snapshot(anew=True)
    return (time.thread_time() - began) * 1e3


def prepare_until(aside: ThreadPoolExecutor, past: Past, due: float) -> None:
    """Make the next steps short until the next key, which may come amid a piece of that."""
    pieces, done = past.prepare(), False
    while not done and (left := due - time.monotonic()) > 0:
        piece = aside.submit(next, pieces, True)
        done = wait([piece], left).not_done or piece.result() is not None
    time.sleep(max(0.0, due - time.monotonic()))


def resident_without(minutes: float, rate: float, routes: int) -> None:
    """Print the resident memory of a process that has the same run without a way back."""
    board, collector = Board(), Collector()
    collector.start()
    fold = board_sink(board)
    for number, events in enumerate(batches(minutes, rate, routes)):
        fold(events, durable_lines(events))
        if number % _SWEEP_EVERY == 0:
            collector.sweep()
    gc.collect()
    sys.stdout.write(f"{rss_mb():.0f}")


def sweep_each_second(collector: Collector, until: threading.Event) -> None:
    """Collect as the screen does, whatever somebody waits for."""
    while not until.wait(1.0):
        collector.sweep()


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=60.0)
    options.add_argument("--rate", type=float, default=3.0)
    options.add_argument("--pause", type=float, default=0.2)
    options.add_argument("--routes", type=int, default=8)
    options.add_argument("--without", action="store_true", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.without:
        resident_without(asked.minutes, asked.rate, asked.routes)
        return
    run_of = [f"--{name}={getattr(asked, name)}" for name in ("minutes", "rate", "routes")]
    without = subprocess.run(
        [sys.executable, __file__, "--without", *run_of], capture_output=True, check=True, text=True
    )
    write = sys.stdout.write
    collector, at_end = Collector(), threading.Event()
    collector.start()
    with tempfile.TemporaryDirectory() as folder:
        board, recorder = Board(), Recorder.to_folder(Path(folder), max_mb=4096, max_days=7)
        timeline = RunTimeline(board, recorder, aside=in_a_thread)
        recorder.start(write)
        fold, record = board_sink(board), recorder_sink(recorder)
        taking: list[tuple[float, float]] = []
        spent = 0.0
        for number, events in enumerate(batches(asked.minutes, asked.rate, asked.routes)):
            if number % _SWEEP_EVERY == 0:
                collector.sweep()
            lines = durable_lines(events)
            began = time.thread_time()
            fold(events, lines)
            spent += time.thread_time() - began
            record(events, lines)
            before, began = timeline.checkpoints, time.thread_time()
            begun = time.perf_counter()
            timeline.receive(events, lines)
            if timeline.checkpoints != before:
                ended = time.perf_counter(), time.thread_time()
                taking.append(((ended[0] - begun) * 1e3, (ended[1] - began) * 1e3))
        recorder.close()
        gc.collect()
        size = sum(part.stat().st_size for part in recorder.parts) / 1e6
        write(f"{asked.minutes:g} minutes, {size:.0f} MB recorded, folded in {spent:.1f} s CPU; ")
        write(f"{timeline.checkpoints} checkpoints of {timeline.bytes_kept / 1e6:.1f} MB, ")
        write(
            f"{rss_mb():.0f} MB resident, {without.stdout} without a way back\n\n"
            "| | n | median ms | p95 | most | CPU ms | p95 | most |\n"
            "|---|---|---|---|---|---|---|---|\n"
        )
        write(told("taking a checkpoint", taking))

        def live() -> float:
            began = time.thread_time()
            board.snapshot(anew=True)
            return (time.thread_time() - began) * 1e3

        write(told("a snapshot of the live board", [timed_ms(live) for _ in range(20)]))
        past, span = timeline.past(), timeline.span
        look(past, span.end_ns - NS_PER_S)
        steps, at_ns = [], past.at_ns
        threading.Thread(target=sweep_each_second, args=(collector, at_end), daemon=True).start()
        with ThreadPoolExecutor(1) as aside:
            for _ in range(200):
                at_ns -= 10 * NS_PER_S
                if at_ns < span.begin_ns:  # a short run is gone through again
                    at_ns = span.end_ns - NS_PER_S
                step = partial(aside.submit, look, past, at_ns)
                steps.append(timed_ms(lambda: step().result()))  # noqa: B023 - called at once
                prepare_until(aside, past, time.monotonic() + asked.pause)
        write(told("a step back of 10 s", steps))
        gone_back_mb = rss_mb()
        chance, jumps = random.Random(1), []
        for _ in range(40):
            jump = partial(look, timeline.past(), chance.randrange(span.begin_ns, span.end_ns))
            jumps.append(timed_ms(jump))
        write(told("a jump to anywhere", jumps))
        at_end.set()
        write(f"\n{gone_back_mb:.0f} MB resident after the steps, {rss_mb():.0f} after the jumps\n")


if __name__ == "__main__":
    main()
