"""A TCP connection to a name: resolved, then tried by Happy Eyeballs (RFC 8305)."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import aiohappyeyeballs
import anyio
import httpx
from aiohappyeyeballs import AddrInfoType

from probes.transport.arrivals import ask_for_stamps
from probes.transport.http1 import Target

__all__ = ["dial"]

ATTEMPT_DELAY_S: Final = 0.25
"""How long an address has before the next one is tried beside it (RFC 8305, section 5)."""


async def dial(target: Target, reached: Callable[[str], None]) -> socket.socket:
    """Return a connected, non-blocking socket whose arrivals are stamped where they can be.

    `reached` is told of `dns`, for a name, and of `tcp` in the moment it happens. Cancelling leaves
    no socket behind.

    Raises:
        httpx.ConnectError: no address, or none that answers; its cause is what the system said.
    """
    try:
        addresses = _literal(target)
        if addresses is None:
            addresses = await _resolve(target)
            reached("dns")
        sock = await aiohappyeyeballs.start_connection(
            addresses,
            happy_eyeballs_delay=ATTEMPT_DELAY_S,
            loop=asyncio.get_running_loop(),
            socket_factory=_new_socket,
        )
    except (OSError, RuntimeError, UnicodeError) as error:  # uvloop raises RuntimeError
        raise httpx.ConnectError(str(error) or type(error).__name__) from error
    reached("tcp")
    return sock


def _literal(target: Target) -> list[AddrInfoType] | None:
    """Return the address that a host is; None for a name, which has to be resolved."""
    flags = socket.AI_NUMERICHOST
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM, flags=flags)
    except socket.gaierror:
        return None
    return list(found)


async def _resolve(target: Target) -> list[AddrInfoType]:
    found = await anyio.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    return [(family, kind, number, name, address) for family, kind, number, name, address in found]


def _new_socket(address: AddrInfoType) -> socket.socket:
    family, kind, number, _, _ = address
    sock = socket.socket(family, kind, number)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask_for_stamps(sock)
    except OSError:
        sock.close()
        raise
    return sock
