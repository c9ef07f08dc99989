"""`python -P -m truth`: the truth mode, a process of its own.

It prints one JSON line, `{"base_url": …, "arrival_clock": …}`, and serves until SIGINT or SIGTERM,
or until its standard input ends where `--until-eof` is given. `GET /truth` tells what was sent when
and how late; `?since=N` leaves out the records up to number N; `DELETE /truth` tells it a last time
and forgets it.
"""

import argparse
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from random import Random

import msgspec

from probes.kit.clock import SystemClock
from truth.schedule import Pace
from truth.server import Metronome, listen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="truth", description=__doc__)
    pace = Pace()
    add = parser.add_argument
    add("--tokens", type=int, default=pace.tokens, help="of a stream, at most (default: 64)")
    add("--rate", type=float, default=pace.tokens_per_s, help="tokens/s (default: 50)")
    add(
        "--first-after",
        type=float,
        nargs=2,
        default=pace.first_after_s,
        metavar=("MIN", "MAX"),
        help="seconds from request to first token (default: 0.1 0.3)",
    )
    add("--seed", type=int, default=1, help="repeats a run's delays and texts (default: 1)")
    add("--port", type=int, default=0, help="0 takes a free port (default)")
    add("--capacity", type=int, default=20_000, help="streams the log keeps (default: 20000)")
    add("--until-eof", action="store_true", help="end when standard input does")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; return the exit status: 0 ended, 1 no port, 2 usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65_535 or not 1 <= options.capacity <= 10_000_000:
        parser.error("a port is from 0 to 65535, a capacity from 1 to 10000000")
    try:
        low, high = options.first_after
        pace = Pace(options.tokens, options.rate, (low, high))
    except ValueError as error:
        parser.error(str(error))
    try:
        metronome = _metronome(pace, options)
    except OSError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: metronome.stop())
    if options.until_eof:
        threading.Thread(target=_stop_at_eof, args=(metronome,), daemon=True).start()
    _announce(metronome)
    # Nothing here makes cycles, and a pass of the collector would make tokens late.
    gc.disable()
    metronome.run()
    return 0


def _metronome(pace: Pace, options: argparse.Namespace) -> Metronome:
    return Metronome(
        listen(options.port),
        pace,
        clock=SystemClock(),
        random=Random(options.seed),
        capacity=options.capacity,
    )


def _announce(metronome: Metronome) -> None:
    line = {"base_url": metronome.base_url, "arrival_clock": metronome.arrival_clock}
    sys.stdout.write(msgspec.json.encode(line).decode("ascii") + "\n")
    sys.stdout.flush()


def _stop_at_eof(metronome: Metronome) -> None:
    """Stop at the end of standard input, in a thread: not every kind of it can be polled."""
    while os.read(0, 4096):
        pass
    metronome.stop()


if __name__ == "__main__":
    sys.exit(main())
