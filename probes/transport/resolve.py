"""Names to addresses, in threads of which none ever waits for another name's.

The system's resolver blocks, for half a minute where its servers are dead, and a pool of a few
threads that all names share then holds up every one of them. Here each lookup has a thread of its
own, which nothing waits for at the end of the process. All who ask for a name at one time share
its lookup, so that there are never more threads than `LOOKUPS_AT_ONCE` a name.
"""

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Final, TypeAlias

from aiohappyeyeballs import AddrInfoType

from probes.kit.descriptors import need_descriptor

LOOKUPS_AT_ONCE: Final = 3
"""Of one name. A new one is begun beside one that may hang, for servers come back."""
SHARED_FOR_S: Final = 1.0
"""So old may a lookup be that another joins; a later one begins its own."""

Addresses: TypeAlias = list[AddrInfoType]
Lookup: TypeAlias = Callable[[str, int], Addresses]


def look_up(host: str, port: int) -> Addresses:
    """Return what the system's resolver knows of a name. Blocks.

    Raises:
        OSError: it knows none, or there was nothing to ask it with.
        UnicodeError: there is no such name.
    """
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except socket.gaierror as error:
        if error.errno == socket.EAI_MEMORY:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from error
        # A resolver that can open neither its files nor a socket says that the name is unknown.
        need_descriptor()
        raise


@dataclass(frozen=True, slots=True)
class _Flight:
    """A lookup that has not ended."""

    result: "Future[Addresses]"
    begun_s: float


class Resolver:
    """Looks names up, for any number of event loops."""

    def __init__(
        self, lookup: Lookup = look_up, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; `lookup` blocks, `now_s` is a monotonic clock in seconds."""
        self._lookup = lookup
        self._now_s = now_s
        self._lock = Lock()
        self._flights: dict[tuple[str, int], list[_Flight]] = {}

    @property
    def lookups(self) -> int:
        """Threads that look something up now."""
        with self._lock:
            return sum(map(len, self._flights.values()))

    async def resolve(self, host: str, port: int) -> Addresses:
        """Return the addresses of a name. Whoever is cancelled leaves the lookup to the others.

        Raises:
            OSError: there is no such name, or nobody tells.
            RuntimeError: the system has no thread for it.
            UnicodeError: it is no name.
        """
        return await asyncio.wrap_future(self._joined((host, port)).result)

    def _joined(self, place: tuple[str, int]) -> _Flight:
        """Return the youngest lookup of a place, or a new one where that may hang.

        Raises:
            RuntimeError: the system has no thread for it.
        """
        now_s = self._now_s()
        with self._lock:
            flights = self._flights.setdefault(place, [])
            young = bool(flights) and now_s - flights[-1].begun_s <= SHARED_FOR_S
            if young or len(flights) >= LOOKUPS_AT_ONCE:
                return flights[-1]
            flight = _Flight(Future(), now_s)
            flight.result.set_running_or_notify_cancel()  # from here on nobody can cancel it
            flights.append(flight)
        try:
            Thread(
                target=self._fly, args=(place, flight), name="llmtop-lookup", daemon=True
            ).start()
        except RuntimeError:  # no more threads: nobody may wait for this one
            self._landed(place, flight)
            raise
        return flight

    def _fly(self, place: tuple[str, int], flight: _Flight) -> None:
        found: Addresses = []
        failure: Exception | None = None
        try:
            found = self._lookup(*place)
        except Exception as error:  # whoever waits for it gets it, whatever it is
            failure = error
        self._landed(place, flight)
        if failure is None:
            flight.result.set_result(found)
        else:
            flight.result.set_exception(failure)

    def _landed(self, place: tuple[str, int], flight: _Flight) -> None:
        with self._lock:
            flights = self._flights[place]
            flights.remove(flight)
            if not flights:
                del self._flights[place]


_shared: Final = Resolver()


async def resolve(host: str, port: int) -> Addresses:
    """Return the addresses of a name, as the one resolver of this process tells.

    Raises:
        OSError: there is no such name, or nobody tells.
        RuntimeError: the system has no thread for it.
        UnicodeError: it is no name.
    """
    return await _shared.resolve(host, port)
