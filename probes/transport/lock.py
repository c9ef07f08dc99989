"""The second lock on keys: what carries one is written only where nobody can read along.

`probes.config` refuses a key over plain http to another machine by what a URL says. Here the
socket has the last word: a name may lead elsewhere than it did, or than its resolver should.

Rule 1: a wire is private if TLS with the server lies on it, or if its other end is this machine:
a Unix socket, or a peer whose own address is loopback. Through a proxy only the former counts:
whatever the way to the proxy is, plain http leaves it in the clear.
Rule 2: a request that carries a secret is written to a private wire or not at all; that is looked
at before each request, not once a connection. Rule 3: `insecure = true` lifts it, nothing else.

What a proxy's own URL says of user and password goes to that proxy, and nowhere else, as its
scheme says: that is the user's own word for this wire.
"""

import socket
from collections.abc import Iterable

import httpx

from probes.config.urls import is_loopback_address
from probes.transport.options import Connecting


class ClearTextError(httpx.TransportError):
    """A request with a secret would have gone over a wire that others can read."""


def is_local(sock: socket.socket) -> bool:
    """Whether the other end of a connected socket is on this machine, by its own address.

    Raises:
        httpx.ConnectError: the connection is gone.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return True  # a Unix socket, which has no other machine at its end
    return is_loopback_address(peer_of(sock))


def peer_of(sock: socket.socket) -> str:
    """Return the address of the other end of a connected socket; empty for a Unix socket.

    Raises:
        httpx.ConnectError: the connection is gone.
    """
    try:
        peer = sock.getpeername()
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error
    return str(peer[0]) if isinstance(peer, tuple) else ""


def carries_secret(options: Connecting, names: Iterable[str]) -> bool:
    """Whether a request with headers of these names must not be read by others."""
    return not options.insecure and any(name.lower() in options.secret_headers for name in names)


def refuse_clear_text(peer: str, *, through_proxy: bool) -> ClearTextError:
    """Return the error of a request that was not written."""
    where = "through a proxy" if through_proxy else f"to {peer or 'another machine'}"
    return ClearTextError(
        f"the key would go over plain http {where}, where others can read it;"
        " use https, or insecure = true"
    )
