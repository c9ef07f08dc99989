"""The path as the kernel tells it, over a wire that is as bad as a schedule says: Linux, root."""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from wires.namespaces import missing

from probes.transport import PathReading

TESTS = Path(__file__).parents[2]
MS = 1_000_000
DOUBTED_MS = (6, 45)
"""Above the shortest round trip: what may be an acknowledgement that was held back. A busy machine
may hold the wire itself back for as long, now and then."""

EXCHANGES = """
import asyncio, json, ssl, sys, time
from dataclasses import asdict
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
import trustme
from probes.config import Tls
from probes.kit.clock import SystemClock
from probes.transport import Connecting, Request, StampingTransport
from wires.bad_wire import FAR, HERE, BadWire, Weather
from wires.namespaces import enter

class Steps:
    def reached(self, step, at_ns):
        pass

async def answer(reader, writer):
    try:
        while head := await reader.readuntil(b"\\r\\n\\r\\n"):
            size = int(head.lower().split(b"content-length:")[1].split()[0])
            think_ms, *_ = json.loads(await reader.readexactly(size))
            await asyncio.sleep(think_ms / 1000)
            writer.write(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
            for _ in range(4):
                await asyncio.sleep(0.005)
                writer.write(b"40\\r\\n" + b"y" * 64 + b"\\r\\n")
            writer.write(b"0\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main(weather, thinks_ms, tls, reuse):
    begun = time.monotonic()
    context, trusted = None, Tls()
    if tls:
        authority = trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(FAR).configure_cert(context)
        file = Path(folder) / "authority.pem"
        authority.cert_pem.write_to_path(str(file))
        trusted = Tls(ca_file=str(file))
    with BadWire(weather, lambda: time.monotonic() - begun, Random(1)):
        server = await asyncio.start_server(answer, HERE, 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        transport = StampingTransport(SystemClock(), Connecting(tls=trusted, reuse=reuse))
        url = f"http{'s' * tls}://{FAR}:{port}/"
        told = []
        for think_ms in thinks_ms:
            body = json.dumps([think_ms]).encode()
            async with transport.exchange(Request(url, {}, body), Steps()) as exchange:
                await exchange.read_body(lambda *_: None)
            told.append(asdict(transport.path))
            await asyncio.sleep(0.02)
        await transport.aclose()
        print(json.dumps(told))
        server.close()

enter(network=True)
with TemporaryDirectory() as folder:
    weather, thinks_ms, tls, reuse = json.loads(sys.argv[1])
    asyncio.run(main([Weather(**one) for one in weather], thinks_ms, tls, reuse))
"""

pytestmark = pytest.mark.skipif(bool(missing("tun")), reason=missing("tun"))


def over(
    *weather: dict[str, Any], thinks_ms: list[int], tls: bool = False, reuse: bool = True
) -> list[PathReading]:
    """What is told of exchanges over a wire, with a server that thinks so long before each."""
    asked = json.dumps([weather, thinks_ms, tls, reuse])
    environ = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", EXCHANGES, asked],
        env=environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    readings = [PathReading(**one) for one in json.loads(done.stdout)]
    assert len(readings) == len(thinks_ms)
    assert {reading.rtt_to for reading in readings} == {"server"}
    return readings


def trips_ms(readings: list[PathReading]) -> list[float]:
    return [reading.rtt_ns / MS for reading in readings if reading.rtt_ns is not None]


def doubtful_ms(readings: list[PathReading]) -> list[float]:
    """Round trips that may be a server's time."""
    least_ms, most_ms = DOUBTED_MS
    return [
        reading.rtt_ns / MS
        for reading in readings
        if reading.rtt_ns is not None
        and reading.rtt_min_ns is not None
        and least_ms < (reading.rtt_ns - reading.rtt_min_ns) / MS < most_ms
    ]


def throughout(**weather: float) -> dict[str, float]:
    return {"from_s": 0, "to_s": 99, **weather}


@pytest.mark.parametrize(("tls", "reuse"), [(False, False), (False, True), (True, True)])
def test_a_round_trip_is_that_of_the_wire_and_not_the_servers(tls: bool, reuse: bool) -> None:
    readings = over(throughout(delay_ms=25), thinks_ms=[100] * 5, tls=tls, reuse=reuse)
    told = trips_ms(readings)
    assert len(told) == 5
    assert min(told) >= 49
    assert median(told) < 75, "half of them within a busy machine's patience"
    assert {(reading.retransmits, reading.reordered) for reading in readings[1:]} == {(0, 0)}


def test_a_wire_that_gets_worse_is_told_at_once_and_not_smoothed() -> None:
    worse = {"from_s": 1, "to_s": 99, "delay_ms": 60}
    told = trips_ms(over(throughout(delay_ms=5), worse, thinks_ms=[90] * 12))
    first = next(number for number, trip_ms in enumerate(told) if trip_ms > 60)
    assert 3 <= first <= 9
    assert median(told[:first]) < 30
    assert median(told[first + 1 :]) == pytest.approx(120, abs=25)


def test_a_server_that_answers_at_once_hides_a_small_change_and_no_large_one() -> None:
    """Its acknowledgements come with its answers, and take what these take."""
    small = over(throughout(delay_ms=5), thinks_ms=[*[1] * 4, *[28] * 6])
    assert len(doubtful_ms(small)) <= 1, "else all six"
    assert len(trips_ms(small[5:])) <= 2
    worse = {"from_s": 0.6, "to_s": 99, "delay_ms": 60}
    large = trips_ms(over(throughout(delay_ms=5), worse, thinks_ms=[1] * 26))
    assert median(large[-4:]) == pytest.approx(121, abs=25)


def test_an_acknowledgement_that_was_held_back_is_not_the_wires() -> None:
    """A server that answered at once waits in vain for the next answer, once."""
    readings = over(throughout(delay_ms=5), thinks_ms=[*[1] * 3, *[120] * 2] * 4)
    assert len(doubtful_ms(readings)) <= 2, "else four: the first of those that took long"
    prompt = [reading.rtt_ns is not None for reading in readings[4::5]]
    assert prompt == [True] * 4, "the second of those tells its round trip again"


def test_what_is_lost_is_told_in_both_directions() -> None:
    readings = over(throughout(delay_ms=5, loss=0.15), thinks_ms=[60] * 12)
    assert sum(reading.retransmits or 0 for reading in readings) > 0
    assert sum(reading.reordered or 0 for reading in readings) > 0
    trips = trips_ms(readings)
    assert len(trips) >= 4
    assert min(trips) >= 9
    assert median(trips) < 30
