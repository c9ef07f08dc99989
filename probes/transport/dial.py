"""A connection to a server: resolved, tried by Happy Eyeballs (RFC 8305), led through a proxy."""

import asyncio
import re
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

import aiohappyeyeballs
import httpx
from aiohappyeyeballs import AddrInfoType

from probes.config.proxies import Proxy
from probes.kit.descriptors import leave_reserve
from probes.transport.arrivals import ask_for_stamps
from probes.transport.options import Connecting
from probes.transport.path import TcpPath
from probes.transport.resolve import resolve
from probes.transport.tunnel import connect_through, converse, socks_through

ATTEMPT_DELAY_S: Final = 0.25
"""How long an address has before the next one is tried beside it (RFC 8305, section 5)."""
_READ_BYTES: Final = 65_536
_NUMBER: Final = re.compile(r"\[Errno (\d+)\] ([^\[]*)")


async def dial(
    options: Connecting,
    host: str,
    port: int,
    reached: Callable[[str], None],
    *,
    forwarded: bool = False,
    path: TcpPath | None = None,
) -> socket.socket:
    """Return a connected, non-blocking socket whose arrivals are stamped where they can be.

    `forwarded` leaves it at the proxy, which is then handed the request itself. A proxy of https is
    not led through here: that takes TLS on the way. `reached` is told of `dns`, for a name, and of
    `tcp` when the connection stands, tunnels included. `path` is given the socket, but for a Unix
    one, before anything is sent. Cancelling leaves no socket behind.

    Raises:
        httpx.ConnectError: no address, or none that answers; its cause is what the system said.
        httpx.ProxyError: the proxy is to blame.
    """
    # A Unix socket first: the environment's proxy is for machines that have a name.
    if options.unix_socket is not None:
        sock = await _connect_unix(options.unix_socket)
    elif options.proxy is not None or options.unusable_proxy:
        sock = await dial_proxy(options, reached, path)
        if not forwarded and options.proxy is not None:
            await _lead(sock, options.proxy, host, port, reached)
    else:
        sock = await _connect(host, port, reached, path)
    reached("tcp")
    return sock


async def dial_proxy(
    options: Connecting, reached: Callable[[str], None], path: TcpPath | None = None
) -> socket.socket:
    """Return a socket that is connected to the route's proxy.

    Raises:
        httpx.ProxyError: there is none, or it cannot be reached.
    """
    proxy = options.proxy
    if proxy is None:
        raise httpx.ProxyError(f"the proxy that the environment names {options.unusable_proxy}")
    try:
        return await _connect(proxy.host, proxy.port, reached, path)
    except httpx.ConnectError as error:
        raise httpx.ProxyError(f"the proxy {proxy.shown} cannot be reached: {error}") from error


async def _connect(
    host: str, port: int, reached: Callable[[str], None], path: TcpPath | None
) -> socket.socket:
    try:
        addresses = _literal(host, port)
        if addresses is None:
            # A literal address has no `dns` step: an absent stamp says so, a zero would lie.
            addresses = await resolve(host, port)
            reached("dns")
        sock = await _race(addresses)
    except (OSError, RuntimeError, UnicodeError, _SeveralError) as error:
        raise httpx.ConnectError(_words_of(error)) from error
    # Here, not where the connection stands: what is said to a proxy is acknowledged too.
    if path is not None:
        path.connected(sock)
    return sock


class _SeveralError(ExceptionGroup[OSError]):
    """What each of several addresses failed with."""


async def _race(addresses: list[AddrInfoType]) -> socket.socket:
    """Return a socket that is connected to the first address that answers.

    Raises:
        OSError: the one address does not.
        RuntimeError: the same, in words without a number.
        _SeveralError: none does. The library tells their errors in words alone.
    """
    try:
        return await aiohappyeyeballs.start_connection(
            addresses,
            happy_eyeballs_delay=ATTEMPT_DELAY_S,
            loop=asyncio.get_running_loop(),
            socket_factory=_new_socket,
        )
    except (OSError, RuntimeError) as error:
        # The library joins the errors of all addresses in one text. Their numbers are wanted back:
        # they tell a refusal from a dead network, and our own lack of ports from either.
        found = _NUMBER.findall(str(error))
        if len(found) < 2:
            if found and isinstance(error, RuntimeError):
                raise OSError(int(found[0][0]), found[0][1].strip()) from error
            raise
        each = [OSError(int(number), text.strip()) for number, text in found]
        raise _SeveralError(str(error), each) from error


def _words_of(error: Exception) -> str:
    words = error.message if isinstance(error, _SeveralError) else str(error)
    return words or type(error).__name__


async def _connect_unix(path: str) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise httpx.ConnectError("this system has no Unix sockets")
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        raise httpx.ConnectError(f"{path}: {error.strerror or error}") from error
    try:
        leave_reserve(sock.fileno())
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, path)
    except OSError as error:
        sock.close()
        raise httpx.ConnectError(f"{path}: {error.strerror or error}") from error
    except BaseException:
        sock.close()
        raise
    return sock


async def _lead(
    sock: socket.socket,
    proxy: Proxy,
    host: str,
    port: int,
    reached: Callable[[str], None],
) -> None:
    """Have a proxy connect a socket to a server; the socket is closed where it does not."""
    loop = asyncio.get_running_loop()
    try:
        if proxy.scheme == "https":
            raise httpx.ProxyError("it is reached over TLS, for which there is httpx's transport")
        if proxy.scheme == "http":
            conversation = connect_through(proxy, host, port)
        else:
            if proxy.scheme == "socks5":  # socks5h leaves the name to the proxy, as curl has it
                host = await _resolved(host, port, reached)
            conversation = socks_through(proxy, host, port)
        await converse(
            conversation,
            partial(loop.sock_sendall, sock),
            partial(loop.sock_recv, sock, _READ_BYTES),
        )
    except httpx.ProxyError as error:
        sock.close()
        raise httpx.ProxyError(f"the proxy {proxy.shown}: {error}") from error
    except OSError as error:
        sock.close()
        raise httpx.ProxyError(f"the proxy {proxy.shown} broke the connection: {error}") from error
    except BaseException:
        sock.close()
        raise


async def _resolved(host: str, port: int, reached: Callable[[str], None]) -> str:
    """Return an address of a name for a proxy that is given none; one of IPv4 where there is."""
    if _literal(host, port) is not None:
        return host
    try:
        addresses = await resolve(host, port)
    except (OSError, RuntimeError, UnicodeError) as error:
        raise httpx.ConnectError(str(error)) from error
    reached("dns")
    # IPv4 first: SOCKS proxies without IPv6 are common, and say no more than "refused".
    families = sorted(addresses, key=lambda address: address[0] != socket.AF_INET)
    return str(families[0][4][0])


def _literal(host: str, port: int) -> list[AddrInfoType] | None:
    """Return the address that a host is; None for a name, which has to be resolved."""
    flags = socket.AI_NUMERICHOST
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (socket.gaierror, UnicodeError):
        return None
    return list(found)


def _new_socket(address: AddrInfoType) -> socket.socket:
    family, kind, number, _, _ = address
    sock = socket.socket(family, kind, number)
    try:
        leave_reserve(sock.fileno())
        # Nagle would hold back the end of a request until its beginning is acknowledged.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask_for_stamps(sock)
    except OSError:
        sock.close()
        raise
    return sock
