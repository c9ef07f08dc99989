"""The transports that every test of the wire runs on."""

from probes.clock import Clock
from probes.config import Route
from probes.route import TransportFactory
from probes.transport import HttpxTransport, StampingTransport, Transport

__all__ = ["TRANSPORTS"]


def stamping(route: Route, clock: Clock) -> Transport:
    return StampingTransport(clock, reuse=route.connection == "reuse")


def pooled(route: Route, clock: Clock) -> Transport:
    return HttpxTransport(clock, reuse=route.connection == "reuse")


TRANSPORTS: dict[str, TransportFactory] = {"stamping": stamping, "httpx": pooled}
