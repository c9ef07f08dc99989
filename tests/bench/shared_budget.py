"""Do places keep one budget together? `python tests/bench/shared_budget.py [--agents N]`

Real agents (`llmtop agent`) on a real `nats-server -js` with one budget, against the embedded
provider, whose own log says what was billed. Two agents are killed (-9), then the bus is killed and
started again half a minute later; at the end the budget holds all. Printed is what was billed by
then, against the budget, and what the book on the bus knows. Status 1 where more was billed than
the budget, or than the book knows.

`--contention`: how places race for the book instead, without agents: each changes it as often as
one that spends without a pause, over a connection of its own.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "peers")]

import anyio  # noqa: E402
from nats_server import NatsServer, nats_server  # noqa: E402
from places_that_spend import Plan, spent_together  # noqa: E402

from probes.bus.address import bus_address  # noqa: E402
from probes.bus.connection import BusConnection  # noqa: E402
from probes.bus.names import BUDGETS_BUCKET  # noqa: E402
from probes.config import Budget  # noqa: E402
from probes.kit.clock import SystemClock  # noqa: E402
from probes.money.bus_ledger import BOOK_KEY, BusLedger  # noqa: E402
from probes.money.lease_rules import Ask  # noqa: E402

ROUTES = 8


def main() -> int:
    """Measure, and print a table; return the status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=8, help="default: 8")
    parser.add_argument("--tokens", type=int, default=100_000, help="the budget; default: 100,000")
    parser.add_argument("--contention", action="store_true", help="race for the book, no agents")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each race; default: 30")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, nats_server(Path(folder) / "bus") as bus:
        if arguments.contention:
            anyio.run(contended, bus, arguments.seconds)
            return 0
        return together(bus, Path(folder), arguments.agents, arguments.tokens)


def together(bus: NatsServer, folder: Path, agents: int, tokens: int) -> int:
    """Let agents spend, and print what they were billed."""
    plan = Plan(tokens=tokens, agents=agents, kill_s=10.0, away_s=15.0, back_s=45.0)
    outcome = spent_together(bus, folder, plan, say)
    within = outcome.billed <= tokens
    known = outcome.spent + outcome.held
    part = tokens // 100
    say("")
    say("| agents | killed | bus away | budget | + emergency part | billed | the book knows |")
    say("|---|---|---|---|---|---|---|")
    say(
        f"| {agents} | {plan.killed} | {plan.back_s - plan.away_s:g} s | {tokens:,} |"
        f" {tokens + part:,} | {outcome.billed:,} ({outcome.billed / tokens:.1%}) |"
        f" {outcome.spent:,} spent, {outcome.held:,} held |"
    )
    away = outcome.billed_by(plan.back_s) - outcome.billed_by(plan.away_s)
    say(f"billed while the bus was away: {away:,} tokens, out of what was leased before")
    say(f"the book was changed {outcome.changes} times in {outcome.seconds:.0f} s")
    place, words = max(outcome.words.items(), key=lambda one: len(one[1]))
    for text in words:
        say(f"  {place}: {text}")
    if not within or outcome.billed > known:
        say("MORE WAS BILLED THAN MAY BE" if not within else "MORE WAS BILLED THAN IS KNOWN")
        return 1
    return 0


async def contended(bus: NatsServer, seconds: float) -> None:
    """Let more and more places change the book, and print what a change takes."""
    say(f"each place: {ROUTES} routes, an exchange a second, spending all the time")
    say("| places | changes a second | lost races each | a change, ms: median | p99 | book, kB |")
    say("|---|---|---|---|---|---|")
    for places in (1, 8, 20):
        connections = [
            BusConnection(bus_address(bus.url), clock=SystemClock()) for _ in range(places)
        ]
        for connection in connections:
            await connection.connect()
        ledgers = [
            BusLedger(one.bucket(BUDGETS_BUCKET), place=f"p{n}", clock=SystemClock())
            for n, one in enumerate(connections)
        ]
        took: list[float] = []
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                for number, ledger in enumerate(ledgers):
                    tasks.start_soon(_spend, ledger, number / places, took)
        changes = sum(one.changes for one in ledgers)
        races = sum(one.conflicts for one in ledgers) / changes
        entry = await connections[0].bucket(BUDGETS_BUCKET).get(BOOK_KEY)
        size = 0 if entry is None else len(entry.value)
        for connection in connections:
            await connection.close()
        ms = sorted(1000 * one for one in took)
        say(
            f"| {places} | {changes / seconds:.1f} | {races:.2f} | {statistics.median(ms):.1f} |"
            f" {ms[int(0.99 * len(ms))]:.1f} | {size / 1000:.0f} |"
        )


async def _spend(ledger: BusLedger, late_s: float, took: list[float]) -> None:
    """Spend on all routes without a pause; note how long each exchange took that asked the bus."""
    plenty = Budget(tokens_per_hour=10**9, route_tokens_per_hour=10**9)
    await anyio.sleep(late_s)
    leased = 0
    while True:
        asks = [
            Ask(f"route-{n:032}", spent_tokens=min(leased, 150), want_tokens=500)
            for n in range(ROUTES)
        ]
        changes, began = ledger.changes, time.perf_counter()
        grants = await ledger.exchange("run", asks, plenty)
        if ledger.changes > changes:
            took.append(time.perf_counter() - began)
        leased = min(grants[ask.route].tokens for ask in asks)
        await anyio.sleep(1.0)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
