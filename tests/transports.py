"""The transports that every test of the wire runs on."""

import os
from collections.abc import Callable

from probes.config import Route
from probes.engine.route import TransportFactory
from probes.kit.clock import Clock
from probes.transport import Connecting, StampingTransport, Transport, connecting
from probes.transport.pooled import HttpxTransport


def stamping(route: Route, clock: Clock) -> Transport:
    return StampingTransport(clock, connecting(route, os.environ))


def pooled(route: Route, clock: Clock) -> Transport:
    return HttpxTransport(clock, connecting(route, os.environ))


KINDS: dict[str, Callable[[Clock, Connecting], Transport]] = {
    "stamping": StampingTransport,
    "httpx": HttpxTransport,
}

TRANSPORTS: dict[str, TransportFactory] = {"stamping": stamping, "httpx": pooled}
