"""What an attempt needs of the network, whoever provides it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from probes.events import ClockSource
from probes.transport.path import PathReading


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, ready to be written."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    method: Literal["POST", "GET"] = "POST"


class Steps(Protocol):
    """Is told of each step of an exchange with its monotonic ns."""

    def reached(self, step: str, at_ns: int) -> None:
        """Note `started`, `dns`, `tcp`, `tls`, `sent` or `headers`."""
        ...


BodySink: TypeAlias = Callable[[bytes, int, bool, Sequence[int]], None]
"""Takes what one read brought of the body: the bytes, their arrival in monotonic ns, whether more
came with them, after them, that is no body, and where in them the server's chunks begin but the
first. The arrival is that of the newest byte."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answer whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names; repeated ones joined by a comma."""
    read_body: Callable[[BodySink], Awaitable[int]]
    """Hands every read of the body to a sink, in the moment it happens; returns the monotonic ns of
    the body's end. What the sink raises is raised here. Await it once."""
    headers_exact: bool = True
    """Nothing came after the head in the read that completed it: its stamp is its own."""
    http_version: str = ""
    """`HTTP/1.1`, `HTTP/2`: what the server answered in."""


class Transport(Protocol):
    """One connection at a time, for one worker."""

    @property
    def clock_source(self) -> ClockSource:
        """Who took the arrival stamps of the last exchange; before the first, who will."""
        ...

    @property
    def path(self) -> PathReading:
        """What the last exchange showed of the way to the other end, as far as that is known."""
        ...

    @property
    def open_sockets(self) -> int:
        """Connections held, 0 or 1."""
        ...

    @property
    def reads(self) -> int:
        """Reads that brought something, since the transport was made."""
        ...

    def exchange(self, request: Request, steps: Steps) -> AbstractAsyncContextManager[Exchange]:
        """Return an async context manager that gives an `Exchange`.

        Raises:
            httpx.TransportError: no connection, no answer, or a broken one.
            httpx.InvalidURL: there is no such URL.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...
