"""How true are the starts of an open pace? `python tests/bench/pace.py [--seconds S] [--json FILE]`

An engine in a process of its own probes the embedded provider, at 1, 10 and 50 a second, constant
and Poisson. Printed is how late its probes start against their schedule, median, p99 and most, in
milliseconds, and how far the gaps in the provider's own log are from those of the schedule. Beside
it stands a bare asyncio loop that sleeps until the same moments and does nothing else: what the
machine itself can do.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

import anyio  # noqa: E402

from probes.config import Budget, Config, Route  # noqa: E402
from probes.engine.pacing import Schedule  # noqa: E402
from probes.events import AttemptFinished, AttemptStarted, Event, PaceKind  # noqa: E402
from probes.kit.clock import NS_PER_S, SystemClock  # noqa: E402
from probes.money.ledger import Ledger  # noqa: E402
from probes.run.session import Session  # noqa: E402

RATES = (1.0, 10.0, 50.0)
PACES: tuple[PaceKind, ...] = ("constant", "poisson")
NS_PER_MS = 1e6
WARM_UP = 2
"""Starts that are left out: the first of a connection wait for it."""


@dataclass(frozen=True)
class Lateness:
    """How late the starts of one run were, in ms."""

    who: str
    pace: str
    rate: float
    n: int
    p50: float
    p99: float
    most: float
    gap_p99: float | None = None
    """How far 99 % of the gaps in the provider's log are from the schedule's at most."""

    def row(self) -> str:
        """Return it as a row of a table."""
        gap = "–" if self.gap_p99 is None else f"{self.gap_p99:.2f}"
        figures = f"{self.n} | {self.p50:.2f} | {self.p99:.2f} | {self.most:.2f} | {gap}"
        return f"| {self.who} | {self.pace} | {self.rate:g} | {figures} |"


def lateness(
    who: str, pace: str, rate: float, late_ns: list[int], gaps_off_ns: list[int]
) -> Lateness:
    """Return the figures of some starts."""
    late_ms = sorted(one / NS_PER_MS for one in late_ns[WARM_UP:])
    off_ms = sorted(abs(one) / NS_PER_MS for one in gaps_off_ns[WARM_UP:])
    return Lateness(
        who,
        pace,
        rate,
        len(late_ms),
        at(late_ms, 0.5),
        at(late_ms, 0.99),
        late_ms[-1],
        at(off_ms, 0.99) if off_ms else None,
    )


def at(ordered: list[float], share: float) -> float:
    """Return a percentile by rank."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def bare(pace: PaceKind, rate: float, seconds: float) -> Lateness:
    """Sleep until each moment of a schedule."""
    now_ns = time.monotonic_ns()
    schedule, late_ns = Schedule(pace, rate, Random(1), now_ns), list[int]()
    while (due_ns := schedule.due_ns) is not None and due_ns < now_ns + seconds * NS_PER_S:
        await asyncio.sleep(max(0, due_ns - time.monotonic_ns()) / NS_PER_S)
        late_ns.append(time.monotonic_ns() - due_ns)
        schedule.advance()
    return lateness("asyncio.sleep", pace, rate, late_ns, [])


async def probed(base_url: str, pace: PaceKind, rate: float, seconds: float) -> list[Event]:
    """Probe the provider for some seconds; return what the engine told."""
    route = Route(
        name="r",
        base_url=f"{base_url}/v1",
        model="healthy",
        concurrency=200,
        pace=pace,
        rate=rate,
        max_tokens=4,
        evidence=False,
    )
    plenty = Budget(tokens_per_hour=10**9, route_tokens_per_hour=10**9)
    ledger, events = Ledger(None), list[Event]()
    session = Session(Config(routes=(route,), budget=plenty), {}, recorder=None, ledger=ledger)
    session.subscribe(lambda batch, _lines: events.extend(batch))

    async with anyio.create_task_group() as group:
        group.start_soon(session.run)
        await SystemClock().sleep(seconds + 2)
        session.stop()
    ledger.close()
    return events


def measured(pace: PaceKind, rate: float, seconds: float) -> Lateness:
    """Return how late an engine's starts were."""
    command = [sys.executable, "-P", "-m", "probes.simulator", "--scenario", "healthy"]
    with subprocess.Popen(
        [*command, "--port", "0", "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as provider:
        assert provider.stdout is not None
        assert provider.stdin is not None
        base_url = json.loads(provider.stdout.readline())["base_url"]
        events = anyio.run(probed, base_url, pace, rate, seconds)
        with urllib.request.urlopen(base_url + "/truth") as answer:  # noqa: S310 - loopback
            records = {one["request_id"]: one for one in json.load(answer)["records"]}
        provider.stdin.close()
    started = [one for one in events if isinstance(one, AttemptStarted) and one.attempt == 0]
    ended = [one for one in events if isinstance(one, AttemptFinished) and one.attempt == 0]
    read = sorted(
        (one.stamps_ns.scheduled, records[one.request_id]["read_ns"])
        for one in ended
        if one.request_id in records and one.stamps_ns.scheduled is not None
    )
    off = [
        (after_ns - before_ns) - (after_due_ns - before_due_ns)
        for (before_due_ns, before_ns), (after_due_ns, after_ns) in pairwise(read)
    ]
    late_ns = [one.at_ns - one.scheduled_ns for one in started]
    return lateness("llmtop", pace, rate, late_ns, off)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure all, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each run; default: 30")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    arguments = parser.parse_args()
    say("| starts of | pace | a second | n | late p50, ms | p99 | most | gaps off by, p99 |")
    say("|---|---|---|---|---|---|---|---|")
    found: list[Lateness] = []
    for pace in PACES:
        for rate in RATES:
            for one in (
                measured(pace, rate, arguments.seconds),
                asyncio.run(bare(pace, rate, arguments.seconds)),
            ):
                found.append(one)
                say(one.row())
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(one) for one in found], indent=1))


if __name__ == "__main__":
    main()
