"""What does an engine cost beside the floor? `python tests/bench/cost.py [--streams 50 200 500]`

All clients work at once, on the same core, against one metronome: the floor (bare asyncio protocols
that search bytes), the same on uvloop where it is installed, and llmtop headless. So they share
what else the machine does, and their ratios hold where those of one run after another swing by a
fifth. Printed is the CPU of each engine in µs a chunk and beside the floor's. `--tree NAME=PATH`
adds the llmtop of another tree of this repository, to compare a change with what was before it.

No pass or fail: machines differ. Linux only.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from measure.client import Client, Task  # noqa: E402
from measure.clients.baseline import FLOORS  # noqa: E402
from measure.clients.llmtop import Headless  # noqa: E402
from measure.machine import describe, placement  # noqa: E402
from measure.processes import cpu_ns  # noqa: E402
from measure.provider import Provider, provider  # noqa: E402
from truth import Pace  # noqa: E402

TOKENS, RATE = 64, 50.0
SETTLED_S = 4.0
"""From the start of the last client to the measured span: imports and connections are over."""
NS_PER_US = 1_000


def main() -> None:
    """Print a table for each number of streams."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[50, 200, 500], metavar="N")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each round (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts (default: 3)")
    parser.add_argument("--tree", action="append", default=[], metavar="NAME=PATH")
    given = parser.parse_args()
    clients: list[Client] = [one for one in FLOORS if not one.missing()]
    clients.append(Headless("llmtop"))
    for tree in given.tree:
        name, _, path = tree.partition("=")
        clients.append(Headless(name, Path(path).absolute()))
    sys.stdout.write(f"{describe()}\n\n| streams | client | CPU µs a chunk | of the floor |\n")
    sys.stdout.write("| --- | --- | --- | --- |\n")
    for streams in given.streams:
        costs = _costs(clients, streams, given.seconds, given.rounds)
        for client, (cost, ratio) in zip(clients, costs, strict=True):
            sys.stdout.write(f"| {streams} | {client.name} | {cost:.1f} | {ratio:.2f} |\n")
            sys.stdout.flush()


def _costs(
    clients: Sequence[Client], streams: int, seconds: float, rounds: int
) -> list[tuple[float, float]]:
    """Return each client's µs a chunk and its ratio to the floor's, the medians of all rounds."""
    where = placement(pinned=True)
    pace = Pace(TOKENS, RATE)
    found: list[list[float]] = []
    with provider(pace, seed=1, cores=where.server, realtime=True) as server:
        for number in range(rounds):
            # Who starts last has the others' work beside its imports: take turns at it.
            turn = number % len(clients)
            order = [*range(turn, len(clients)), *range(turn)]
            found.append(_round(clients, order, server, streams, seconds))
    return [
        (statistics.median(each), statistics.median(map(_share, each, (one[0] for one in found))))
        for each in ([one[place] for one in found] for place in range(len(clients)))
    ]


def _share(cost: float, floor: float) -> float:
    return cost / floor


def _round(
    clients: Sequence[Client],
    order: Sequence[int],
    server: Provider,
    streams: int,
    seconds: float,
) -> list[float]:
    where = placement(pinned=True)
    server.clear()
    with ExitStack() as stack:
        pids: dict[int, Sequence[int]] = {}
        running = []
        for place in order:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            task = Task(
                base_url=server.base_url,
                streams=streams,
                tokens=TOKENS,
                folder=folder,
                seconds=SETTLED_S * len(clients) + seconds,
                cores=where.clients,
                nice=0,
            )
            client = stack.enter_context(clients[place].start(task))
            running.append((place, client))
        time.sleep(SETTLED_S)
        for place, client in running:
            pids[place] = next(iter(client.processes().values()))  # without the cockpit
        before = {place: cpu_ns(of) for place, of in pids.items()}
        began = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        # All of them get the same chunks: each stream RATE a second but for its first wait.
        chunks = streams * RATE * took
        costs = [(cpu_ns(pids[place]) - before[place]) / chunks for place in range(len(clients))]
        for _, client in running:
            client.stop()
    return [cost / NS_PER_US for cost in costs]


if __name__ == "__main__":
    main()
