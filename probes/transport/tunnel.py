"""Through a proxy to a server: CONNECT (RFC 9110, section 9.3.6) and SOCKS 5 (RFC 1928, 1929).

Pure conversations: each yields what is to be sent and is sent what was read, over whatever carries
the bytes.
"""

import ipaddress
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Generator
from typing import Final, TypeAlias

import httpx

from probes.config.proxies import Proxy

Conversation: TypeAlias = Generator[bytes, bytes, None]
"""Yields bytes to send (maybe none) before each read; is sent what was read, nothing at the end."""

_LONGEST_HEAD: Final = 65_536
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r?\n")
_NO_CREDENTIALS, _PASSWORD, _NOTHING = 0, 2, 255
_CONNECT, _IPV4, _NAME, _IPV6 = 1, 1, 3, 4
_SOCKS_REPLIES: Final = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}


async def converse(
    conversation: Conversation,
    send: Callable[[bytes], Awaitable[None]],
    receive: Callable[[], Awaitable[bytes]],
) -> None:
    """Hold a conversation; `receive` returns nothing at the end of the stream.

    Raises:
        httpx.ProxyError: the proxy refused, or talked nonsense.
    """
    try:
        outgoing = next(conversation)
        while True:
            if outgoing:
                await send(outgoing)
            outgoing = conversation.send(await receive())
    except StopIteration:
        return


def connect_through(proxy: Proxy, host: str, port: int) -> Conversation:
    """Ask an HTTP proxy for a tunnel.

    Raises:
        httpx.ProxyError: it gives none.
    """
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", "User-Agent: llmtop"]
    if proxy.basic_credentials:
        lines.append(f"Proxy-Authorization: Basic {proxy.basic_credentials}")
    outgoing = "\r\n".join([*lines, "", ""]).encode("ascii")
    head = b""
    while (end := _end_of_head(head)) is None:
        read = yield outgoing
        outgoing = b""
        head += read
        if not read or len(head) > _LONGEST_HEAD:
            raise httpx.ProxyError("it did not answer the request for a tunnel in HTTP")
    status = _STATUS.match(head)
    if status is None:
        raise httpx.ProxyError("its answer to the request for a tunnel is no HTTP")
    if not status[1].startswith(b"2"):
        phrase = (status[2] or b"").decode("latin-1").strip()
        raise httpx.ProxyError(f"it answered {status[1].decode()} {phrase}".strip())
    if len(head) > end:
        raise httpx.ProxyError("it wrote into the tunnel itself")


def _end_of_head(data: bytes) -> int | None:
    """Return where the head of an answer ends; None while it does not."""
    found = re.search(rb"\r?\n\r?\n", data)
    return None if found is None else found.end()


def socks_through(proxy: Proxy, host: str, port: int) -> Conversation:
    """Ask a SOCKS proxy for a connection to a name or an address.

    Raises:
        httpx.ProxyError: it gives none.
    """
    buffer = b""
    has_credentials = bool(proxy.user or proxy.password)
    methods = bytes([_PASSWORD, _NO_CREDENTIALS] if has_credentials else [_NO_CREDENTIALS])
    reply, buffer = yield from _exactly(2, buffer, bytes([5, len(methods)]) + methods)
    if reply[0] != 5:
        raise httpx.ProxyError("it speaks no SOCKS 5")
    if reply[1] == _PASSWORD and has_credentials:
        user, password = proxy.user.encode(), proxy.password.encode()
        outgoing = b"\x01%c%b%c%b" % (len(user), user, len(password), password)
        reply, buffer = yield from _exactly(2, buffer, outgoing)
        if reply[1] != 0:
            raise httpx.ProxyError("it does not accept the user or the password")
    elif reply[1] != _NO_CREDENTIALS:
        wants = "nothing that we offer" if has_credentials else "a user and a password"
        raise httpx.ProxyError(f"it wants {wants}")
    asked = bytes([5, _CONNECT, 0]) + _socks_address(host) + struct.pack("!H", port)
    reply, buffer = yield from _exactly(4, buffer, asked)
    if reply[0] != 5 or reply[1] != 0:
        said_no = _SOCKS_REPLIES.get(reply[1], f"error {reply[1]}")
        raise httpx.ProxyError(f"it could not reach the server: {said_no}")
    size, buffer = yield from _bound_size(reply[3], buffer)
    _, buffer = yield from _exactly(size + 2, buffer)
    if buffer:
        raise httpx.ProxyError("it wrote into the tunnel itself")


def _bound_size(kind: int, buffer: bytes) -> Generator[bytes, bytes, tuple[int, bytes]]:
    """Return how long the address is that the proxy tells of its own end."""
    if kind in (_IPV4, _IPV6):
        return (4 if kind == _IPV4 else 16), buffer
    if kind != _NAME:
        raise httpx.ProxyError("its answer is no SOCKS 5")
    length, buffer = yield from _exactly(1, buffer)
    return length[0], buffer


def _exactly(
    size: int, buffer: bytes, outgoing: bytes = b""
) -> Generator[bytes, bytes, tuple[bytes, bytes]]:
    """Say something, then return `size` bytes of what comes, and what came behind them."""
    while outgoing or len(buffer) < size:
        read = yield outgoing
        outgoing = b""
        if not read:
            raise httpx.ProxyError("it closed the connection")
        buffer += read
    return buffer[:size], buffer[size:]


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        if len(name) > _NOTHING:
            raise httpx.ProxyError("the server's name is too long for it") from None
        return bytes([_NAME, len(name)]) + name
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + socket.inet_pton(
        socket.AF_INET if address.version == 4 else socket.AF_INET6, str(address)
    )
