"""The wire is as bad as its schedule says, by the kernel's own measure."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wires.bad_wire import FAR, Weather
from wires.namespaces import missing
from wires.spans import at, edges

TESTS = Path(__file__).parents[1]

ECHO = """
import asyncio, json, socket, struct, sys, time
from random import Random
from wires.bad_wire import FAR, HERE, BadWire, Weather
from wires.namespaces import enter

BURST = 200

async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()

async def main(weather, times):
    begun = time.monotonic()
    with BadWire(weather, lambda: time.monotonic() - begun, Random(1)) as wire:
        server = await asyncio.start_server(echo, HERE, 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(FAR, port)
        waits = []
        for number in range(times):
            sent = time.monotonic()
            writer.write(b"%4d" % number)
            assert await reader.readexactly(4) == b"%4d" % number
            waits.append(time.monotonic() - sent)
        for number in range(BURST):
            writer.write(b"%4d" % number)
            await asyncio.sleep(0.0005)
        echoed = await reader.readexactly(4 * BURST)
        assert echoed == b"".join(b"%4d" % number for number in range(BURST))
        peer = writer.get_extra_info("peername")[0]
        raw = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
        writer.close()
        await writer.wait_closed()
        server.close()
        (retransmits,) = struct.unpack_from("I", raw, 100)
        (reordered,) = struct.unpack_from("I", raw, 224)
        print(json.dumps({"waits": waits, "lost": wire.lost, "peer": peer,
                          "retransmits": retransmits, "reordered": reordered}))

enter(network=True)
asyncio.run(main([Weather(**one) for one in json.loads(sys.argv[1])], int(sys.argv[2])))
"""

needs_wire = pytest.mark.skipif(bool(missing("tun")), reason=missing("tun"))


def over(*weather: dict[str, Any], times: int) -> dict[str, Any]:
    """What pings over a wire told."""
    argv = [sys.executable, "-P", "-c", ECHO, json.dumps(weather), str(times)]
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@needs_wire
def test_a_round_trip_passes_the_delay_twice() -> None:
    told = over({"from_s": 0, "to_s": 99, "delay_ms": 30}, times=8)
    assert told["peer"] == FAR
    assert min(told["waits"]) >= 0.060
    assert sorted(told["waits"])[4] < 0.100, "half of them within a busy machine's patience"


@needs_wire
def test_one_way_can_be_bad_alone_and_a_fair_wire_is_as_fast_as_loopback() -> None:
    for way in ("there", "back"):
        waits = over({"from_s": 0, "to_s": 99, "delay_ms": 40, "way": way}, times=5)["waits"]
        assert min(waits) >= 0.040
        assert sorted(waits)[2] < 0.079
    assert sorted(over(times=20)["waits"])[10] < 0.010


@needs_wire
def test_no_packet_overtakes_another_unless_it_is_told() -> None:
    restless = {"from_s": 0, "to_s": 99, "delay_ms": 40, "jitter_ms": 20}
    assert over(restless, times=2)["reordered"] == 0
    assert over({**restless, "overtake": 1.0}, times=2)["reordered"] > 0


@needs_wire
def test_what_is_lost_is_sent_again_by_the_kernel_and_everything_arrives() -> None:
    told = over({"from_s": 0, "to_s": 99, "loss": 0.25}, times=16)
    assert told["lost"] > 2
    assert told["retransmits"] > 0
    assert max(told["waits"]) > 0.15, "a retransmission time-out"


@needs_wire
def test_the_weather_changes_when_the_schedule_says_so() -> None:
    waits = over({"from_s": 0, "to_s": 0.5, "delay_ms": 25}, times=60)["waits"]
    assert waits[0] >= 0.050
    assert sorted(waits[-20:])[10] < 0.010


def test_the_last_of_a_schedule_counts_and_its_edges_are_told() -> None:
    throughout = Weather(from_s=0, to_s=100, delay_ms=5)
    worse = Weather(from_s=10, to_s=20, delay_ms=50)
    schedule = (throughout, worse)
    assert [at(schedule, s) for s in (0, 9.9, 10, 19.9, 20, 100)] == [
        throughout, throughout, worse, worse, throughout, None,
    ]  # fmt: skip
    assert edges(schedule) == (0, 10, 20, 100)
    assert edges(()) == ()
    assert at((), 1.0) is None
