"""Which limit finds itself best: candidates of the field and ours, raced on known capacities.

Virtual time, the simulator's own model, and a client that does what an engine does with a 429: it
cools the route down where it is asked to wait, lets its workers come back one by one, and else
backs off. `python tests/bench/limits.py` prints a line for each candidate and provider:

    429s        share of refused attempts after the first minute
    throughput  answers a second after the first minute, of the best fixed concurrency's
    TTFT        median after the first minute
    follows     seconds until a limit that has changed is held, down and up
    rests       half of the spread of the limit over the last minute, second by second, for each
                ten of it

    --only NAME      candidates with this in their name
    --provider NAME  providers with this in their name
    --seeds N        runs of each, of which the worst figure counts (default: 1)
    --trace          each move of ours, as the log has it
    --assert         end with status 1 where ours does not hold what is asked
"""

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import Final, NamedTuple, Protocol

import anyio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "probes" / "simulator")]

from simulator_kit import Client, VirtualClock, prompt  # noqa: E402

from probes.adapting import EdgeSearch, HeardAttempt, Move  # noqa: E402
from probes.answers.limits.reading import read_limits  # noqa: E402
from probes.engine.gate import STAGGER_S  # noqa: E402
from probes.engine.retry import FIRST_BACK_OFF_S  # noqa: E402
from probes.kit.clock import NS_PER_S  # noqa: E402
from probes.simulator import load_scenario  # noqa: E402
from probes.simulator.model import ServingModel  # noqa: E402
from probes.simulator.sequence import SequenceCutError  # noqa: E402

MOST_REFUSED: Final = 0.01
LEAST_THROUGHPUT: Final = 0.9
MOST_FOLLOWING_S: Final = 60.0
MOST_RESTLESS: Final = 1.0
MOST: Final = 40
"""`concurrency_max` of the race."""
BEGINS_AT: Final = 1
WARM_S: Final = 60.0


class Finder(Protocol):
    """What finds a limit: told what an engine's events tell, it may move."""

    limit: int

    def waited(self, at_s: float, began_s: float, wait_s: float) -> Move | None:
        """Hear of a first token."""

    def heard(self, one: HeardAttempt) -> Move | None:
        """Hear of the end of an attempt."""


class Fixed:
    """A concurrency that somebody has chosen."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def waited(self, at_s: float, began_s: float, wait_s: float) -> None:
        """Do nothing."""

    def heard(self, one: HeardAttempt) -> None:
        """Do nothing."""


class Aimd:
    """One more for each answer at the limit, a tenth less for each refusal."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def waited(self, at_s: float, began_s: float, wait_s: float) -> None:
        """Nothing is made of it."""

    def heard(self, one: HeardAttempt) -> Move | None:
        """Go up or down."""
        if one.outcome == "refused":
            wanted = max(1, min(self.limit - 1, int(self.limit * 0.9)))
        elif one.at_once * 2 >= self.limit:
            wanted = min(MOST, self.limit + 1)
        else:
            return None
        self.limit = wanted
        return Move(wanted, "")


class Vegas:
    """The queue from the least wait, which is the least TTFT; a refusal is a queue."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._estimate = float(limit)
        self._least_s = math.inf
        self._count = 0
        self._random = Random(1)
        self._probe_at = 30.0 * self._random.uniform(0.5, 1)

    def waited(self, at_s: float, began_s: float, wait_s: float) -> Move | None:
        """Go up or down by the queue."""
        self._count += 1
        if self._count >= self._probe_at * self._estimate or wait_s < self._least_s:
            if self._count >= self._probe_at * self._estimate:
                self._count, self._probe_at = 0, 30.0 * self._random.uniform(0.5, 1)
            self._least_s = wait_s
            return None
        step = max(1, int(math.log10(self._estimate)))
        queue = math.ceil(self._estimate * (1 - self._least_s / wait_s))
        if queue <= step:
            return self._set(self._estimate + 6 * step)
        if queue < 3 * step:
            return self._set(self._estimate + step)
        return self._set(self._estimate - step) if queue > 6 * step else None

    def heard(self, one: HeardAttempt) -> Move | None:
        """Go down for a refusal."""
        step = max(1, int(math.log10(self._estimate)))
        return self._set(self._estimate - step) if one.outcome == "refused" else None

    def _set(self, wanted: float) -> Move:
        self._estimate = max(1.0, min(float(MOST), wanted))
        self.limit = int(self._estimate)
        return Move(self.limit, "")


class Gradient2:
    """The long-term against the short-term wait; a refusal halves, as a drop of half a gradient."""

    def __init__(
        self, limit: int, *, tolerance: float = 1.0, smooth: float = 0.2, queue: float = 4.0
    ) -> None:
        self.limit = limit
        self._tolerance, self._smooth, self._queue = tolerance, smooth, queue
        self._estimate = float(limit)
        self._long_s: float | None = None

    def waited(self, at_s: float, began_s: float, wait_s: float) -> Move | None:
        """Go by the gradient."""
        self._long_s = wait_s if self._long_s is None else self._long_s * 0.9967 + wait_s * 0.0033
        if self._long_s > 2 * wait_s:
            self._long_s *= 0.9
        gradient = min(1.0, max(0.5, self._tolerance * self._long_s / wait_s))
        return self._set(gradient)

    def heard(self, one: HeardAttempt) -> Move | None:
        """Go down for a refusal."""
        return self._set(0.5, queue=0.0) if one.outcome == "refused" else None

    def _set(self, gradient: float, queue: float | None = None) -> Move:
        grown = gradient * self._estimate + (self._queue if queue is None else queue)
        wanted = self._estimate * (1 - self._smooth) + grown * self._smooth
        self._estimate = max(1.0, min(float(MOST), wanted))
        self.limit = int(self._estimate)
        return Move(self.limit, "")


def ours() -> Finder:
    """What ships."""
    return EdgeSearch(BEGINS_AT, least=1, most=MOST, now_s=0.0)


CANDIDATES: Final[dict[str, Callable[[], Finder]]] = {
    "AIMD": lambda: Aimd(BEGINS_AT),
    "Vegas": lambda: Vegas(BEGINS_AT),
    "Gradient2": lambda: Gradient2(BEGINS_AT, tolerance=1.5),
    "ours": ours,
}


class Change(NamedTuple):
    """When a provider's edge moves, and where a limit is to be then."""

    at_s: float
    least: int
    most: int


class Provider(NamedTuple):
    """A scenario, for how long it is raced, and the fixed concurrencies that are tried."""

    name: str
    seconds: float
    fixed: tuple[int, ...]
    changes: tuple[Change, ...] = ()


AROUND_20: Final = (8, 12, 16, 18, 19, 20, 21, 22, 24, 32)
PROVIDERS: Final = (
    Provider("edge-concurrency", 300, AROUND_20),
    Provider("edge-concurrency-silent", 300, AROUND_20),
    Provider("edge-tokens", 300, (18, 20, 21, 22, 24)),
    Provider("edge-batching", 240, (12, 14, 15, 16, 17, 18, 20, 24, 32)),
    # Its second replica comes a minute after eight of ten places are taken: some seconds on.
    Provider("edge-autoscaler", 240, (8, 10, 12, 16, 20, 22, 24, 32), (Change(70, 18, MOST),)),
    Provider("edge-neighbour", 360, (8, 12, 16, 18, 20, 24, 32)),
    Provider(
        "edge-moving", 360, (7, 8, 9, 12, 16, 20, 24), (Change(120, 5, 8), Change(240, 18, 20))
    ),
)


@dataclass
class Seen:
    """What came of one run."""

    ended: list[tuple[float, str]] = field(default_factory=list)
    """When each attempt ended, and how."""
    moves: list[tuple[float, int, str]] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    """When each first token came, and after how long."""

    def between(self, since_s: float, until_s: float, outcome: str = "") -> int:
        return sum(since_s <= at < until_s and how.startswith(outcome) for at, how in self.ended)

    def limits(self, since_s: float, until_s: float, first: int) -> list[int]:
        """Return the limit of each second: where it held for longest."""
        edges = [*((at, to) for at, to, _ in self.moves), (until_s, 0)]
        now, at, found = first, 0, []
        for second in range(int(since_s), int(until_s)):
            held = {now: 0.0}
            reached = float(second)
            while edges[at][0] < second + 1:
                held[now] = held.get(now, 0.0) + edges[at][0] - reached
                reached, now = edges[at]
                at += 1
            held[now] = held.get(now, 0.0) + second + 1 - reached
            found.append(max(held, key=lambda limit: held[limit]))
        return found


async def race(provider: Provider, limit: Finder, seed: int) -> Seen:  # noqa: C901 - one client
    """Run one candidate on one provider."""
    (hosted,) = load_scenario(provider.name).models
    clock = VirtualClock()
    model = ServingModel(hosted, clock=clock, random=Random(seed))
    began_ns = clock.monotonic_ns()
    seen = Seen()
    numbers = itertools.count()
    tokens, cap = hosted.route.prompt_tokens or 20, hosted.route.max_tokens
    open_now: set[int] = set()
    workers = 0
    cool_until_s = 0.0
    released = 0

    def now_s() -> float:
        return (clock.monotonic_ns() - began_ns) / NS_PER_S

    def moved(move: Move | None) -> None:
        if move is not None and (not seen.moves or seen.moves[-1][1] != move.limit):
            seen.moves.append((now_s(), move.limit, move.reason))

    async def attempt() -> float | None:
        """Send one; return what a refusal asks to wait, 0 where it asks nothing, else None."""
        nonlocal cool_until_s, released
        number, started_s = next(numbers), now_s()
        open_now.add(number)
        at_once = len(open_now)
        client = Heeding(model, clock, prompt(tokens, cap, b"%d" % number))

        def first() -> None:
            wait_s = now_s() - started_s
            seen.waits.append((now_s(), wait_s))
            moved(limit.waited(now_s(), started_s, wait_s))

        client.on_first = first
        outcome = "answered"
        try:
            await client.run()
        except SequenceCutError:
            outcome = "failed"
        open_now.discard(number)
        refusal = client.refusal
        headers = dict(model.limit_headers())
        kind, wait_s = "", None
        if refusal is not None:
            headers |= dict(refusal.headers)
            outcome = "refused" if refusal.status == 429 else "failed"
            kind = f"429 {refusal.kind}" if refusal.kind != "rate_limit_error" else "429"
            wait_s = float(headers.get("retry-after-ms", "0")) / 1000
            if outcome == "refused" and wait_s:
                cool_until_s, released = max(cool_until_s, now_s() + wait_s), 0
        seen.ended.append((now_s(), outcome))
        limits = read_limits(headers, None, wall_ns=clock.wall_ns())
        moved(limit.heard(HeardAttempt(now_s(), started_s, outcome, at_once, kind, "", limits)))
        return wait_s

    async def cooled() -> None:
        nonlocal released
        while (left_s := cool_until_s - now_s()) > 0:
            await clock.sleep(left_s + 0.001)  # or rounding would leave a rest for ever
            if cool_until_s <= now_s():
                released += 1
                await clock.sleep(STAGGER_S * released)

    async def worker() -> None:
        nonlocal workers
        while workers <= limit.limit:
            for number in range(3):
                await cooled()
                wait_s = await attempt()
                if wait_s is None:
                    break
                await clock.sleep(wait_s or FIRST_BACK_OFF_S * 2**number)
        workers -= 1

    async with anyio.create_task_group() as group:
        group.start_soon(model.run)
        for _ in range(int(provider.seconds * 20)):
            while workers < limit.limit:
                workers += 1
                group.start_soon(worker)
            await clock.advance(0.05)
        group.cancel_scope.cancel()
    return seen


class Heeding(Client):
    """A client that says when its first token comes."""

    on_first: Callable[[], None]

    async def run(self) -> None:
        """Send one request."""
        admitted = self.model.admit(self.asked)
        if not hasattr(admitted, "next_chunk"):
            self.refusal = admitted
            return
        try:
            await self.model.enqueue(admitted)
            first = True
            while await admitted.next_chunk():
                if first:
                    self.on_first()
                    first = False
        finally:
            self.model.release(admitted)


class Figures(NamedTuple):
    """A line of the table."""

    refused: float
    rate: float
    follows_s: tuple[float, ...]
    restless: float
    ttft_s: float


def figures(provider: Provider, seen: Seen, first: int) -> Figures:
    """Return what is measured of a run."""
    end_s = provider.seconds
    refused = seen.between(WARM_S, end_s, "refused")
    every = seen.between(WARM_S, end_s)
    limits = seen.limits(0, end_s, first)
    follows = []
    for change in provider.changes:
        held = (
            second
            for second in range(int(change.at_s), int(end_s))
            if change.least <= limits[second] <= change.most
        )
        follows.append(next(held, math.inf) - change.at_s)
    last = limits[-60:]
    spread = (max(last) - min(last)) / 2
    rate = seen.between(WARM_S, end_s, "answered") / (end_s - WARM_S)
    ttft_s = median(wait_s for at_s, wait_s in seen.waits if at_s >= WARM_S)
    return Figures(
        refused / max(1, every), rate, tuple(follows), 10 * spread / median(last), ttft_s
    )


def best_fixed(provider: Provider) -> tuple[int, float]:
    """Return the fixed concurrency that answers most, and how many a second."""
    found = {
        count: figures(provider, anyio.run(race, provider, Fixed(count), 1), count).rate
        for count in provider.fixed
    }
    best = max(found, key=lambda count: found[count])
    return best, found[best]


def table(options: argparse.Namespace) -> Iterator[tuple[str, str, int, float, Figures]]:
    """Race; give candidate, provider, best fixed concurrency with its rate, and figures."""
    for provider in PROVIDERS:
        if options.provider not in provider.name:
            continue
        fixed, rate = best_fixed(provider)
        for name, make in CANDIDATES.items():
            if options.only not in name:
                continue
            runs = []
            for seed in range(1, options.seeds + 1):
                seen = anyio.run(race, provider, make(), seed)
                runs.append(figures(provider, seen, BEGINS_AT))
                if options.trace and name == "ours":
                    for at, to, why in seen.moves:
                        _say(f"    {at:7.1f} s → {to:2d}  {why}")
            worst = Figures(
                max(one.refused for one in runs),
                min(one.rate for one in runs),
                tuple(map(max, zip(*(one.follows_s for one in runs), strict=True))),
                max(one.restless for one in runs),
                max(one.ttft_s for one in runs),
            )
            yield name, provider.name, fixed, rate, worst


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--provider", default="")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--assert", dest="holds", action="store_true")
    options = parser.parse_args()
    _say("| limit | provider | 429s | throughput | TTFT | follows | rests |")
    _say("|---|---|---|---|---|---|---|")
    fails = 0
    for name, provider, fixed, rate, one in table(options):
        follows = ", ".join(f"{s:.0f} s" for s in one.follows_s) or "–"
        _say(
            f"| {name} | `{provider}` | {one.refused:.1%} | {one.rate / rate:.0%} of {fixed}'s "
            f"{rate:.1f}/s | {one.ttft_s:.2f} s | {follows} | ±{one.restless:.1f} |"
        )
        holds = (
            one.refused <= MOST_REFUSED
            and one.rate >= LEAST_THROUGHPUT * rate
            and all(s <= MOST_FOLLOWING_S for s in one.follows_s)
            and one.restless <= MOST_RESTLESS
        )
        fails += name == "ours" and not holds
    return 1 if options.holds and fails else 0


if __name__ == "__main__":
    sys.exit(main())
