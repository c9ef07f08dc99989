"""Agents made up: what P places × R routes tell, published through a real JetStream.

`python tests/bench/places_publisher.py URL --places P --routes R --seconds S [--rate N] [--past S]`

The events are made up before anything is published, so that publishing costs what the wire costs.
Each second of the wall has one second of the stream; `--past` seconds before it are published at
once. Prints `ready` before the present begins, and at the end how much there was of each place.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import anyio
import msgspec

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from flat import Traffic  # noqa: E402
from replay import as_large_as_a_real_one  # noqa: E402

from probes.bus.address import bus_address  # noqa: E402
from probes.bus.connection import BusConnection, BusError  # noqa: E402
from probes.bus.messages import KeptHello, Presence, encode  # noqa: E402
from probes.bus.names import (  # noqa: E402
    BATCH_S,
    FIRST_HEADER,
    HELLOS_BUCKET,
    OFFSET_HEADER,
    PLACES_BUCKET,
    RUN_HEADER,
    events_of,
)
from probes.events import DURABLE_TYPES, AttemptFinished, Hello, encode_event  # noqa: E402
from probes.kit.clock import NS_PER_S, SystemClock  # noqa: E402

RUN = f"{time.time_ns():020}"
NAMES = ("eu", "us", "ap", *(f"p{number}" for number in range(4, 200)))


class Batch(NamedTuple):
    """What one message holds."""

    due_s: float
    """Since the stream's start."""
    first: int
    lines: bytes


class MadeUpPlace:
    """One place's stream."""

    def __init__(self, name: str, routes: int, rate: float, seconds: float) -> None:
        self.name = name
        traffic = Traffic(0, rate, names=[f"route{number}@{name}" for number in range(routes)])
        hello = traffic.hello()
        infos = tuple(msgspec.structs.replace(info, place=name) for info in hello.routes)
        # Ids of probes are an engine's own, and tell places apart as engines do.
        self.hello: Hello = msgspec.structs.replace(hello, routes=infos, engine=name)
        self.batches = list(self._batches(traffic, seconds))
        self.events = sum(batch.lines.count(b"\n") for batch in self.batches)

    def _batches(self, traffic: Traffic, seconds: float) -> Iterator[Batch]:
        lines, first, number = [encode_event(self.hello)], 1, 1
        for slot, told in enumerate(traffic.slots(), start=1):
            for event in told:
                if isinstance(event, AttemptFinished):
                    lines.append(encode_event(as_large_as_a_real_one(event)))
                elif isinstance(event, DURABLE_TYPES):
                    lines.append(encode_event(event))
            now_s = slot / 10
            if slot % round(BATCH_S * 10) == 0:
                yield Batch(now_s, first, b"".join(lines))
                number += len(lines)
                first, lines = number, []
            if now_s >= seconds:
                return


async def publish(bus: BusConnection, place: MadeUpPlace, start_ns: int) -> None:
    """Publish a place's stream at its times; `start_ns` is the stream's zero as Unix ns."""
    for batch in place.batches:
        wait_s = batch.due_s - (time.time_ns() - start_ns) / NS_PER_S
        if wait_s > 0:
            await anyio.sleep(wait_s)
        headers = {
            RUN_HEADER: RUN,
            FIRST_HEADER: str(batch.first),
            OFFSET_HEADER: str(start_ns),
            # Where the server was killed before it said that it had the message.
            "Nats-Msg-Id": f"{place.name}-{batch.first}",
        }
        while True:
            try:
                await bus.publish(events_of(place.name), batch.lines, headers)
                break
            except BusError:
                await anyio.sleep(0.1)
                await bus.wait_connected()


async def keep_presence(bus: BusConnection, places: list[MadeUpPlace]) -> None:
    while True:
        for place in places:
            told = Presence(run=RUN, host="bench", pid=1, since_ns=0)
            try:
                await bus.bucket(PLACES_BUCKET).put(place.name, encode(told))
            except BusError:
                break
        await anyio.sleep(3)


async def run(options: argparse.Namespace) -> None:
    seconds = options.past + options.seconds
    names = NAMES[: options.places]
    places = [MadeUpPlace(name, options.routes, options.rate, seconds) for name in names]
    bus = BusConnection(bus_address(options.url), clock=SystemClock(), name="bench")
    await bus.connect()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.run)
        start_ns = time.time_ns() - round(options.past * NS_PER_S)
        for place in places:
            kept = KeptHello(
                run=RUN,
                number=1,
                offset_ns=start_ns,
                hello=msgspec.Raw(encode_event(place.hello).rstrip()),
            )
            await bus.bucket(HELLOS_BUCKET).put(place.name, encode(kept))
        tasks.start_soon(keep_presence, bus, places)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        async with anyio.create_task_group() as publishing:
            for place in places:
                publishing.start_soon(publish, bus, place, start_ns)
        tasks.cancel_scope.cancel()
    await bus.close()
    sys.stdout.write(json.dumps({place.name: place.events for place in places}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("url")
    parser.add_argument("--places", type=int, default=3)
    parser.add_argument("--routes", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=1.0, help="probes a second of each route")
    parser.add_argument("--past", type=float, default=0.0, help="seconds that are over already")
    anyio.run(run, parser.parse_args())


if __name__ == "__main__":
    main()
