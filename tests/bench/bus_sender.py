"""What does it cost to give events to a bus? `python tests/bench/bus_sender.py`

A real nats-server on loopback, events of a demo at some rates, ten batches a second as a run gives
them: CPU time of this process for each 1,000 events above that of the same process with nothing to
send, and the time from when an event was given to when the server had it, by the
server's own stamps. Then what waited for an outage: how fast it is sent.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import anyio

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "peers")]

from nats_server import nats_server  # noqa: E402

from probes.bus.address import bus_address  # noqa: E402
from probes.bus.connection import BusConnection  # noqa: E402
from probes.bus.names import FIRST_HEADER, events_of  # noqa: E402
from probes.exports.bus_events import BusEvents  # noqa: E402
from probes.exports.unsent import UnsentEvents  # noqa: E402
from probes.kit.clock import SystemClock  # noqa: E402

RATES = (10, 100, 1_000, 4_000)
SECONDS = 10.0
BATCH_S = 0.1


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def demo_lines() -> list[bytes]:
    """Return the lines of some seconds of the demo, the hello first."""
    command = ["-m", "tui.cli", "demo", "--headless", "--duration", "8", "--no-record"]
    done = subprocess.run([sys.executable, "-P", *command], check=True, capture_output=True)
    return done.stdout.splitlines(keepends=True)[:-1]  # the last is the summary


class Sender:
    """Gives lines to a bus, and knows when."""

    def __init__(self, bus: BusConnection, place: str) -> None:
        self.clock = SystemClock()
        self.bus = bus
        self.place = place
        self.unsent = UnsentEvents("1".zfill(20), None)
        self.given_ns = [0]
        self.events = BusEvents(
            bus, place, self.unsent, clock=self.clock, server_ahead_ns=self._no_way, report=say
        )

    async def _no_way(self) -> int:
        return 0  # one machine, one clock

    def give(self, lines: Sequence[bytes]) -> None:
        self.given_ns += [time.time_ns()] * len(lines)
        self.events.receive([], b"".join(lines))

    async def delays_s(self) -> list[float]:
        """Return how late each event came."""
        last = await self.bus.last(events_of(self.place))
        assert last is not None
        found: list[float] = []
        async with self.bus.messages(events_of(self.place), after=0) as messages:
            async for message in messages:
                first = int(message.headers[FIRST_HEADER])
                count = message.data.count(b"\n")
                stamps = self.given_ns[first : first + count]
                found += [(message.at_ns - stamp) / 1e9 for stamp in stamps]
                if message.sequence == last.sequence:
                    return found
        raise AssertionError("the connection was lost")


async def cpu_at(bus: BusConnection, rate: int, lines: list[bytes]) -> tuple[float, Sender]:
    """Return CPU seconds of this process while so many events a second were given."""
    sender = Sender(bus, f"rate-{rate}")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender.events.run)
        begun, at, given = time.process_time(), 0, 0
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            due = round(rate * (SECONDS - (ends - time.monotonic()))) - given
            piece = [lines[0]] if not given and rate else []
            while len(piece) < due:
                at = at % (len(lines) - 1) + 1
                piece.append(lines[at])
            sender.give(piece)
            given += len(piece)
            await anyio.sleep(BATCH_S)
        spent = time.process_time() - begun
        sender.events.end()
    return spent, sender


async def main(port_folder: Path) -> None:
    lines = demo_lines()
    lines = [lines[0], *(line for line in lines if not line.startswith(b'{"type":"hello"'))]
    mean = statistics.fmean(map(len, lines))
    say(f"{len(lines)} events of a demo, {mean:.0f} bytes each")
    with nats_server(port_folder) as server:
        bus = BusConnection(bus_address(server.url), clock=SystemClock())
        await bus.connect()
        idle, _ = await cpu_at(bus, 0, lines)
        say(f"idle: {idle / SECONDS:.2%} of a core")
        for rate in RATES:
            spent, sender = await cpu_at(bus, rate, lines)
            cost = (spent - idle) / (rate * SECONDS) * 1e6
            late = sorted(await sender.delays_s())
            say(
                f"{rate:5}/s: {cost:7.2f} ms CPU per 1,000 events, "
                f"{(spent - idle) / SECONDS:.2%} of a core, {sender.events.messages} messages; "
                f"late p50 {late[len(late) // 2]:.3f} s, p95 {late[int(len(late) * 0.95)]:.3f} s, "
                f"max {late[-1]:.3f} s"
            )
        sender = Sender(bus, "backlog")
        sender.give([lines[0]])
        while sender.unsent.memory_bytes < 24 << 20:
            sender.give(lines[1:])
        waiting, size = sender.unsent.waiting, sender.unsent.memory_bytes
        begun, cpu = time.monotonic(), time.process_time()
        sender.events.end()
        await sender.events.run()
        took, spent = time.monotonic() - begun, time.process_time() - cpu
        say(
            f"backlog of {waiting:,} events, {size >> 20} MB: sent in {took:.2f} s, "
            f"{spent / waiting * 1e6:.2f} ms CPU per 1,000 events"
        )
        await bus.close()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, Path(folder))
