"""The network below an attempt: one connection a worker, every step of an exchange dated."""

import sys

import probes.transport.httpx_import  # noqa: F401 - the first of all
from probes.kit.clock import Clock
from probes.transport.arrivals import kernel_stamps
from probes.transport.base import BodySink, Exchange, Request, Steps, Transport
from probes.transport.options import Connecting, connecting
from probes.transport.path import PathReading
from probes.transport.stamping import StampingTransport

__all__ = [
    "BodySink",
    "Connecting",
    "Exchange",
    "PathReading",
    "Request",
    "StampingTransport",
    "Steps",
    "Transport",
    "connecting",
    "kernel_stamps",
    "open_transport",
]


def open_transport(clock: Clock, options: Connecting) -> Transport:
    """Return the most exact transport there is for what a route wants.

    The stamping transport needs a loop that watches descriptors, which Windows' has not, speaks no
    HTTP/2, and reaches no proxy over TLS.
    """
    tls_proxy = options.proxy is not None and options.proxy.scheme == "https"
    if options.http2 or tls_proxy or sys.platform == "win32":
        # Few routes want it, and httpcore with its h2 takes 60 ms of a start.
        from probes.transport.pooled import HttpxTransport

        return HttpxTransport(clock, options)
    return StampingTransport(clock, options)
