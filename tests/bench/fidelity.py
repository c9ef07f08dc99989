"""How exact and how cheap is it? `python tests/bench/fidelity.py [--streams 1 10 50 200 500] …`

llmtop with its screen on a pseudo-terminal, llmtop headless, and the baselines stream from the
simulator's truth mode, each in processes of its own, in turn (A B A B). What each says of TTFT, of
the arrival of every output chunk, and of E2E is held to the server's own stamps of the same
requests, on warm connections. A client may flag a TTFT as an upper bound, as llmtop does where the
kernel merged its bytes with later ones: these are counted, and the others are given apart. All
stamps are of the same machine's CLOCK_MONOTONIC. CPU time is taken over a span that begins 1.5 s
after the first request. The floor is bare asyncio protocols that search bytes: no HTTP parser, no
JSON, no screen. The server has the last core, the clients have the others: where they share one, a
server at real-time priority stops its clients.

It prints a Markdown table, and writes the same figures as JSON with `--json FILE`. No pass or fail:
machines differ. Where the server's own p99 of lateness is large it did not get its core; the last
column tells what share of the machine went to others, and what the host of a virtual machine took
away: such rows are worth little. On a machine that is not quiet, `--nice -15` gives all clients
precedence over others (root only).

A default run takes less than ten minutes; AIPerf and GuideLLM, where they are on the PATH, take ten
more. Linux only.
"""

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from measure.client import Client  # noqa: E402
from measure.clients.baseline import BASELINES  # noqa: E402
from measure.clients.llmtop import Headless, Screen  # noqa: E402
from measure.clients.tools import TOOLS  # noqa: E402
from measure.machine import Placement, describe, placement  # noqa: E402
from measure.measuring import Measurement, measure  # noqa: E402
from measure.provider import Provider, provider  # noqa: E402
from measure.table import figures, markdown  # noqa: E402
from truth import Pace  # noqa: E402

CHECKING = Headless(
    "llmtop checking", defaults=(r"expect = { pattern = '^(\w+[ .]*)+$', lacks = 'sorry' }",)
)
"""The same that holds every answer against a pattern which other engines never come back from."""
CLIENTS: tuple[Client, ...] = (
    *(BASELINES[0], Headless(), CHECKING, Screen()),
    *BASELINES[1:],
    *TOOLS,
)
ONLY_IF_ASKED = {"bare loop", "floor on uvloop", CHECKING.name}
SECONDS = ((1, 12.0), (10, 8.0), (50, 5.0), (10_000, 4.0))
"""(most streams, seconds of the measured span): few streams take longer for as many chunks."""


def _parser() -> argparse.ArgumentParser:
    names = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--streams", type=int, nargs="+", default=[1, 10, 50, 200, 500], metavar="N")
    add("--rounds", type=int, default=2, help="how often each client has its turn (default: 2)")
    usual = [name for name in names if name not in ONLY_IF_ASKED]
    add("--clients", nargs="+", default=usual, choices=names, metavar="NAME", help=str(names))
    add("--seconds", type=float, help="of a measured span (default: by streams, 4 to 12)")
    add("--tokens", type=int, default=64, help="of a stream (default: 64)")
    add("--rate", type=float, default=50.0, help="tokens/s of a stream (default: 50)")
    add("--seed", type=int, default=1)
    add("--no-pin", action="store_true", help="let server and clients share all cores")
    add("--nice", type=int, default=0, metavar="N", help="of the clients, -20 to 19 (default: 0)")
    add("--no-realtime", action="store_true", help="give the server no real-time priority")
    add("--tree", action="append", default=[], metavar="NAME=PATH", help="another llmtop too")
    add("--json", type=Path, metavar="FILE")
    return parser


def _seconds(options: argparse.Namespace, streams: int) -> float:
    if options.seconds is not None:
        return float(options.seconds)
    return next(seconds for most, seconds in SECONDS if streams <= most)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _wanted(options: argparse.Namespace) -> list[Client]:
    """Return the clients that can be run, and say of the others why not."""
    wanted = [client for client in CLIENTS if client.name in options.clients]
    for tree in options.tree:
        name, _, path = tree.partition("=")
        wanted.append(Headless(name, Path(path).absolute()))
    for client in wanted:
        if reason := client.missing():
            _say(f"{client.name}: left out, {reason}")
    return [client for client in wanted if not client.missing()]


def _rounds(
    options: argparse.Namespace, server: Provider, where: Placement
) -> Iterator[Measurement]:
    """Measure everything that was asked for; give each client's rounds together."""
    clients = _wanted(options)
    for streams in options.streams:
        taking_part = [client for client in clients if streams <= client.most_streams]
        found = {client.name: Measurement(client.name, streams) for client in taking_part}
        for number in range(options.rounds):
            for client in taking_part:
                _say(f"{streams} streams, round {number + 1}: {client.name}")
                try:
                    once = measure(client, server, streams, _seconds(options, streams), where)
                except (RuntimeError, TimeoutError) as error:
                    _say(f"  failed: {error}")
                else:
                    found[client.name].add(once)
        yield from found.values()


def main() -> None:
    """Run the benchmark and print its table."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no client is left behind
    machine, where = describe(), placement(pinned=not options.no_pin, nice=options.nice)
    pace = Pace(options.tokens, options.rate)
    with provider(
        pace, seed=options.seed, cores=where.server, realtime=not options.no_realtime
    ) as server:
        rows = [figures(measured) for measured in _rounds(options, server, where)]
    priority = "SCHED_FIFO" if server.realtime else "no real-time priority"
    language = "C" if server.in_c else "Python"
    conditions = (
        f"{machine}; truth server in {language}: {priority}; {where}; {pace.tokens} tokens a "
        f"stream at {pace.tokens_per_s:g}/s; {options.rounds} rounds"
    )
    sys.stdout.write(f"{conditions}\n\n{markdown(rows)}")
    if options.json:
        options.json.write_text(json.dumps({"conditions": conditions, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
