"""What does an event, a sample, a reading cost? `python tests/bench/board.py [SECONDS]` (60).

CPU µs, best of several runs where that makes sense, with one raw `update` of the `tdigest` package
measured in between as the baseline: on a busy machine read the ratios. The streams are those of
`flat.py`: live, eight routes × 10 probes a second for so many seconds; and as a replay reads it, an
hour of the durable events of eight routes × one probe a second, without a screen. An event's mean
has its share of what the board does beside it in it: judging, sealing, putting windows together.
"""

import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain, islice
from statistics import mean, median

from flat import Traffic
from tdigest import TDigest

from probes.board import Board
from probes.events import DURABLE_TYPES, Event, decode_event, encode_event
from probes.stats import digest as digest_module
from probes.stats.chunk_gaps import gaps_between
from probes.stats.digest import Digest
from probes.stats.log_buckets import LogBuckets
from probes.stats.quantiles import Distribution, Quantiles
from probes.stats.sketch import BACKEND, SKETCHES

CHANCE = random.Random(1)
SAMPLES = [CHANCE.lognormvariate(-1.0, 0.6) for _ in range(4_000)]


def cost_us(work: Callable[[], object], times: int) -> float:
    """Return the CPU µs of one call, at its best."""
    best = float("inf")
    for _ in range(7):
        begin = time.thread_time_ns()
        for _ in range(times):
            work()
        best = min(best, (time.thread_time_ns() - begin) / times / 1e3)
    return best


def filled(samples: list[float], *, closed: bool = False) -> Digest:
    """Return a digest of samples."""
    made = Digest()
    for value in samples:
        made.add(value)
    if closed:
        made.compact()
    return made


def raw() -> None:
    """Add a thousand samples to a digest of the `tdigest` package."""
    made = TDigest()
    for value in SAMPLES[:1_000]:
        made.update(value)


def digest_rows() -> list[tuple[str, float]]:
    """Return what the digest's work costs, by name."""
    rows = [("tdigest: a raw update, the baseline", cost_us(raw, 1) / 1_000)]
    for name, make in SKETCHES.items():
        if name == "tdigest" or name == BACKEND:
            digest_module.new_sketch = make  # type: ignore[misc]
            rows.append((f"Digest.add, 4,000 on {name}", cost_us(lambda: filled(SAMPLES), 1) / 4e3))
    digest_module.new_sketch = SKETCHES[BACKEND]  # type: ignore[misc]
    slices = [filled(SAMPLES[at : at + 100], closed=True) for at in range(0, 1_400, 100)]
    parts = [Distribution(slices), Distribution([filled(SAMPLES[:60])])]
    few = [Distribution([filled(SAMPLES[at : at + 10], closed=True)]) for at in range(0, 60, 10)]
    gaps, offsets = LogBuckets(), tuple(range(0, 12 * 20_000_000, 20_000_000))
    rows += [
        ("Digest.add, a slice of 100", cost_us(lambda: filled(SAMPLES[:100]), 20) / 100),
        ("closing a slice of 100", cost_us(lambda: filled(SAMPLES[:100], closed=True), 20)),
        ("a window of 14 pieces put together", cost_us(lambda: Distribution(slices), 10)),
        ("p50, p95 and p99 of it", cost_us(lambda: Quantiles(parts).at(0.5, 0.95, 0.99), 50)),
        ("p95 of 60 samples that are known", cost_us(lambda: Quantiles(few).at(0.95), 50)),
        ("12 chunk gaps", cost_us(lambda: gaps.add_all(gaps_between(offsets)), 200)),
    ]
    return rows


def made(rate: float, seconds: int) -> Iterable[Event]:
    """Give the events of eight routes at so many probes a second each."""
    traffic = Traffic(8, rate)
    slots = islice(traffic.slots(), seconds * 10)
    return chain((traffic.hello(),), chain.from_iterable(slots))


def fold_rows(events: Iterable[Event]) -> list[tuple[str, int, float, float]]:
    """Return (kind, events, median, mean) of what folding costs."""
    board = Board()
    took: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        begin = time.thread_time_ns()
        board.fold(event)
        took[type(event).__name__].append(time.thread_time_ns() - begin)
    took.pop("Hello")
    found = [(name, len(ns), median(ns) / 1e3, mean(ns) / 1e3) for name, ns in took.items()]
    every = [ns for kind in took.values() for ns in kind]
    return [*sorted(found), ("all", len(every), median(every) / 1e3, mean(every) / 1e3)]


def replay_rows(events: list[Event]) -> list[tuple[str, float]]:
    """Return what each step of a replay costs of all events, in CPU seconds."""
    lines, board = [encode_event(event) for event in events], Board()
    steps: list[tuple[str, Callable[[], object]]] = [
        ("decode", lambda: [decode_event(line) for line in lines]),
        ("fold", lambda: [board.fold(event) for event in events]),
        ("summary", board.summary),
    ]
    rows = []
    for name, work in steps:
        begin = time.thread_time_ns()
        work()
        rows.append((name, (time.thread_time_ns() - begin) / 1e9))
    return rows


def main() -> None:
    """Print the tables."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    write = sys.stdout.write
    write(f"long digests by {BACKEND}\n\n| work | CPU µs |\n|---|---|\n")
    for name, cost in digest_rows():
        write(f"| {name} | {cost:.2f} |\n")
    hour = [event for event in made(1.0, 3600) if isinstance(event, DURABLE_TYPES)]
    for title, events in (("fold, live", made(10.0, seconds)), ("fold, replay", hour)):
        write(f"\n| {title} | events | median CPU µs | mean |\n|---|---|---|---|\n")
        for name, count, middle, average in fold_rows(events):
            write(f"| {name} | {count:,} | {middle:.1f} | {average:.1f} |\n")
        write(f"| a raw update again | | {cost_us(raw, 1) / 1_000:.1f} | |\n")
    write(f"\n| replay of an hour, {len(hour):,} events | CPU s | µs an event |\n|---|---|---|\n")
    for name, seconds_taken in replay_rows(hour):
        write(f"| {name} | {seconds_taken:.2f} | {seconds_taken / len(hour) * 1e6:.1f} |\n")


if __name__ == "__main__":
    main()
