"""The network below an attempt: one connection a worker, every step of an exchange dated."""

import sys

from probes.clock import Clock
from probes.transport.arrivals import kernel_stamps
from probes.transport.base import Exchange, Request, Sink, Steps, Transport
from probes.transport.pooled import HttpxTransport, environment_proxy
from probes.transport.stamping import StampingTransport

__all__ = [
    "Exchange",
    "HttpxTransport",
    "Request",
    "Sink",
    "StampingTransport",
    "Steps",
    "Transport",
    "kernel_stamps",
    "open_transport",
]


def open_transport(base_url: str, clock: Clock, *, reuse: bool) -> Transport:
    """Return the most exact transport there is for a URL, in this environment.

    `reuse` keeps the connection for the next request. The stamping transport needs a loop that
    watches descriptors, which Windows' has not, and speaks to no proxy.
    """
    proxy = environment_proxy(base_url)
    if proxy is not None or sys.platform == "win32":
        return HttpxTransport(clock, proxy=proxy, reuse=reuse)
    return StampingTransport(clock, reuse=reuse)
