"""What does the history cost? `python tests/bench/history.py [--days 400] [--routes 20]`.

1. CPU of an attempt: some hours of 20 routes at a probe a second, folded and written as a run does.
2. Size: so many days of so many routes in two cohorts, every slot with all of its centroids, let go
   and merged as the days pass; the file must stay within 500 MB.
3. Reading: a month of one route out of that file, as `llmtop history ROUTE` reads it.
4. Import: recordings of a run, in MB a second.

The file of 2. is written to a temporary folder and deleted; `--keep FILE` keeps it, and uses it
again.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from probes.events import (  # noqa: E402
    AttemptFinished,
    Event,
    Hello,
    ProbeFinished,
    RouteInfo,
    StampLadder,
    Tick,
    durable_lines,
)
from probes.events.parts import Health  # noqa: E402
from probes.history import database  # noqa: E402
from probes.history.database import SLOT_DAYS, HistoryFile  # noqa: E402
from probes.history.fold import HistoryFold  # noqa: E402
from probes.history.packed import pack  # noqa: E402
from probes.history.packed import union as database_union  # noqa: E402
from probes.history.records import (  # noqa: E402
    COUNTS,
    HOUR_S,
    SLOT_S,
    RouteIdentity,
    SlotKey,
    SlotRow,
    Told,
)
from probes.stats.centroids import point  # noqa: E402

S = 1_000_000_000
BEGAN_S = 1_790_000_000 // HOUR_S * HOUR_S
COHORTS = ("64/256", "256/1k")
MOST_MB = 500
MOST_CPU_MS = 1.0
MOST_READ_S = 0.3
LEAST_MB_S = 20


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def route_info(name: str) -> RouteInfo:
    """Return a route as a hello announces it."""
    return RouteInfo(
        name=name,
        base_url="https://api.example.com/v1",
        model="model-of-some-length-2026",
        dialect="chat",
        concurrency=1,
        interval=1.0,
        max_tokens=64,
        prompt_tokens=40,
        stall_after=1.0,
        goal_ttft_s=1.0,
    )


def events(routes: int, seconds: int, chance: random.Random) -> Iterator[list[Event]]:
    """Give a run's events, a second at a time, from Unix second `BEGAN_S` on."""
    names = [f"route-{number:02}" for number in range(routes)]
    wall_ns = BEGAN_S * S
    yield [
        Hello(
            at_ns=0,
            wall_ns=wall_ns,
            engine="1",
            version="0",
            schema=1,
            routes=tuple(map(route_info, names)),
            life=f"{chance.getrandbits(64):x}",
        )
    ]
    for second in range(1, seconds + 1):
        batch: list[Event] = []
        for name in names:
            at = second * S
            wait = round(chance.lognormvariate(-0.7, 0.3) * S)
            first, end = at + wait, at + wait + 40 * 20_000_000
            offsets = tuple(range(wait, end - at, 20_000_000))
            ladder = StampLadder(
                scheduled=at,
                admitted=at,
                started=at,
                sent=at + 200_000,
                headers=first - 1000,
                first_event=first,
                first_token=first,
                first_answer=first,
                last_token=end,
                done=end,
                ended=end,
            )
            batch.append(
                AttemptFinished(
                    at_ns=end,
                    route=name,
                    probe=f"1.{second}",
                    attempt=0,
                    outcome="ok",
                    stamps_ns=ladder,
                    status=200,
                    cohort=COHORTS[0],
                    input_tokens=40,
                    output_tokens=41,
                    token_source="usage",
                    ttft_kind="content",
                    chunks=len(offsets),
                    chunk_offsets_ns=offsets,
                    cost_usd=0.0001,
                    request_id="req_0123456789abcdef",
                    headers={"x-ratelimit-remaining-requests": "99", "server": "x" * 30},
                )
            )
            batch.append(
                ProbeFinished(
                    at_ns=end,
                    route=name,
                    probe=f"1.{second}",
                    outcome="ok",
                    attempts=1,
                    started_ns=at,
                    scheduled_ns=at,
                    first_token_ns=first,
                    first_answer_ns=first,
                    done_ns=end,
                    cohort=COHORTS[0],
                    input_tokens=40,
                    output_tokens=41,
                    cost_usd=0.0001,
                )
            )
        batch.append(
            Tick(at_ns=second * S, wall_ns=wall_ns + second * S, health=Health(), routes=())
        )
        yield batch


def cpu_of_an_attempt(folder: Path, routes: int, hours: float) -> float:
    """Return the CPU of an attempt in ms, written every three minutes as a run does."""
    from probes.history.keeper import WRITE_S

    fold, attempts, spent = HistoryFold(), 0, 0.0
    with HistoryFile(folder / "cpu.sqlite3", writes=True) as file:
        for second, batch in enumerate(events(routes, round(hours * 3600), random.Random(1))):
            began = time.thread_time()
            for event in batch:
                fold.fold(event)
            if second and not second % WRITE_S:
                file.write(fold.told())
            spent += time.thread_time() - began
            attempts += sum(isinstance(event, AttemptFinished) for event in batch)
    return spent / attempts * 1e3


def fill(path: Path, routes: int, days: int) -> None:
    """Write the history of so many days, up to now, each slot as full as a slot can be."""
    chance = random.Random(2)
    digests = [
        tuple(
            pack([point(chance.lognormvariate(mu, 0.4)) for _ in range(600)])
            for mu in (-0.7, 0.5, -4)
        )
        for _ in range(50)
    ]
    # All slots of an hour have one digest here, and there are few: what merging them costs is no
    # matter of size.
    database.union = lru_cache(maxsize=4096)(lambda held: database_union(list(held)))  # type: ignore[assignment]
    names = [
        RouteIdentity(f"route-{n:02}", "https://api.example.com/v1", "model-of-some-length", "")
        for n in range(routes)
    ]
    begin = int(time.time() // HOUR_S - days * 24) * HOUR_S // SLOT_S
    clock = [begin * SLOT_S]
    with HistoryFile(path, writes=True, wall_ns=lambda: clock[0] * S) as file:
        for day in range(days):
            life = f"{chance.getrandbits(64):016x}"
            slots = {}
            for slot in range(begin + day * 144, begin + (day + 1) * 144):
                for place, name in enumerate(names):
                    for number, cohort in enumerate(COHORTS):
                        which = (slot // 6 + 7 * place + 3 * number) % len(digests)
                        counts = dict.fromkeys(COUNTS, 0)
                        counts |= {"probes": 600, "probes_ok": 595, "attempts": 612, "ok": 595}
                        counts |= {"throttled": 9, "server_error": 8, "retries": 12}
                        counts |= {"input_tokens": 487_200 + slot % 999, "input_counted": 600}
                        counts |= {"output_tokens": 24_600, "output_counted": 600}
                        row = SlotRow(tuple(counts.values()), 0.06123, digests[which])
                        slots[SlotKey(life, name, cohort, slot)] = row
                if slot % 6 == 5:  # as a run writes: hour by hour, all routes together
                    file.write(Told(slots, ()))
                    slots = {}
            file.write(Told(slots, ()))
            clock[0] = (begin + (day + 1) * 144) * SLOT_S
            if not day % 10:
                file.retain(max_mb=10_000, max_days=400)
                say(f"  day {day}: {path.stat().st_size / 1e6:.0f} MB")
        file.retain(max_mb=10_000, max_days=400)


def main() -> int:
    """Measure, and say what is beyond its bound; return a status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--routes", type=int, default=20)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", choices=("cpu", "size", "import"))
    given = parser.parse_args()
    bad = False

    def told(what: str, value: float, unit: str, bound: float, *, is_least: bool = False) -> None:
        nonlocal bad
        is_bad = value < bound if is_least else value > bound
        bad = bad or is_bad
        word = "at least" if is_least else "at most"
        say(f"{what}: {value:.3g} {unit} ({word} {bound:g}){' BEYOND' if is_bad else ''}")

    with tempfile.TemporaryDirectory(prefix="llmtop-history-") as temporary:
        folder = Path(temporary)
        if given.only in (None, "cpu"):
            told("CPU of an attempt", cpu_of_an_attempt(folder, 20, 0.5), "ms", MOST_CPU_MS)
        if given.only in (None, "import"):
            from probes.history.importing import import_recordings

            recording = folder / "run.jsonl"
            with recording.open("wb") as file:
                for batch in events(20, 1200, random.Random(3)):
                    file.write(durable_lines(batch))
            began = time.process_time()
            with HistoryFile(folder / "imported.sqlite3", writes=True) as history:
                import_recordings([recording], history, report=say)
            speed = recording.stat().st_size / 1e6 / (time.process_time() - began)
            told("import", speed, "MB/s", LEAST_MB_S, is_least=True)
        if given.only in (None, "size"):
            path = given.keep or folder / "size.sqlite3"
            if not path.exists():
                fill(path, given.routes, given.days)
            size = sum(
                one.stat().st_size
                for one in (path, path.with_name(path.name + "-wal"))
                if one.exists()
            )
            what = f"{given.days} days of {given.routes} routes, {SLOT_DAYS} of them by slots"
            told(what, size / 1e6, "MB", MOST_MB * given.days / 400 * given.routes / 20)
            from probes.history.reading import read_history

            walls, processors = [], []
            for _ in range(7):
                began, used = time.perf_counter(), time.process_time()
                with HistoryFile(path, writes=False) as history:
                    read_history(history, route="route-07", since_s=time.time() - 30 * 86_400)
                walls.append(time.perf_counter() - began)
                processors.append(time.process_time() - used)
            say(f"a month of one route, CPU: {min(processors):.3g} s")
            # What else runs on the machine makes it longer, and nothing makes it shorter.
            told("a month of one route, best of 7", min(walls), "s", MOST_READ_S)
    return int(bad)


if __name__ == "__main__":
    os.environ.setdefault("TZ", "UTC")
    sys.exit(main())
