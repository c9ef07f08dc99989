"""One agent a place: an entry in a bucket that lives for as long as it is renewed.

Rule 1: the entry is compared before it is set: of two agents that come at once one has the place.
Rule 2: an entry that is there is somebody's until it has not been renewed for its whole life; of a
process of this machine that is dead it is nobody's at once.
Rule 3: an agent that cannot renew goes on as if it had the place, and looks first thing when the
bus is back: who took it meanwhile has it.
Rule 4: what the server stamps on our own entry tells how far our wall clock is from its.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, Protocol

import anyio
import msgspec

from probes.bus.connection import PRESENCE_TTL_S, BusError, Entry, WrongRevisionError
from probes.bus.messages import PagerHolder, Presence, decode_presence, encode
from probes.kit.clock import NS_PER_S, Clock
from probes.kit.process_identity import RunIdentity
from probes.kit.sanitise import neutralise

RENEW_S: Final = 3.0
"""A third of what an entry lives, so that one that is lost on its way costs nothing."""
_LOOK_S: Final = 1.0
"""Between two looks at whether somebody else's entry is renewed."""
_MEASURED: Final = 3
"""Readings of the server's clock, of which the quickest counts: half its way is the error."""


_MOST_NS: Final = 1 << 62
"""Whoever wrote an entry may have written anything: beyond it no moment can be named."""
_LONGEST_HOST: Final = 64


class PlaceTakenError(BusError):
    """Somebody else probes there."""

    def __init__(self, place: str, holder: Presence | None) -> None:
        by = "" if holder is None else f" by {holder_words(holder)}"
        super().__init__(f"place {place} is taken{by}")
        self.holder = holder


def holder_words(holder: Presence | PagerHolder) -> str:
    """Return who has something, in words: `HOST, pid 7, since 14:03`."""
    since = time.localtime(min(max(0, holder.since_ns), _MOST_NS) / NS_PER_S)
    day = "" if time.time() - time.mktime(since) < 86_400 else f"{since.tm_mon}-{since.tm_mday} "
    host = neutralise(holder.host, _LONGEST_HOST)
    return f"{host}, pid {holder.pid}, since {day}{time.strftime('%H:%M', since)}"


class _Bucket(Protocol):
    """A bucket of the bus, as far as a presence needs it."""

    async def get(self, key: str) -> Entry | None: ...

    async def create(self, key: str, value: bytes) -> int: ...

    async def update(self, key: str, value: bytes, revision: int) -> int: ...

    async def delete(self, key: str, revision: int | None = None) -> None: ...


class PlaceHeld:
    """This process as the one agent of a place."""

    def __init__(
        self,
        bucket: _Bucket,
        place: str,
        *,
        clock: Clock,
        host: str,
        process: RunIdentity,
        version: str = "",
        routes: int = 0,
        unsent: Callable[[], int] = lambda: 0,
    ) -> None:
        """Prepare to take it; `unsent` tells how many events wait to be sent."""
        self._bucket = bucket
        self._place = place
        self._clock = clock
        self._unsent = unsent
        self._revision = 0
        self._lock = anyio.Lock()
        self._presence = Presence(
            run="",
            host=host,
            pid=process.pid,
            since_ns=clock.wall_ns(),
            version=version,
            routes=routes,
            process=process,
        )

    @property
    def run(self) -> str:
        """Id of this life of the place's agent; empty before it has the place."""
        return self._presence.run

    async def take(self, last_run: str = "") -> None:
        """Become the agent of the place, as a life later than `last_run`.

        Where somebody's entry is there this waits until it is renewed or gone, which takes some
        seconds.

        Raises:
            PlaceTakenError: somebody else is.
            BusError: the bus does not answer.
        """
        await self._enter()
        entry = await self._bucket.get(self._place)
        taken_ns = self._presence.since_ns if entry is None else entry.at_ns
        # The server's clock: those of two machines that had the place may differ by minutes.
        number = max(taken_ns, int(last_run) + 1 if last_run.isdecimal() else 0)
        self._presence = msgspec.structs.replace(
            self._presence, run=f"{number:020d}", since_ns=taken_ns
        )
        await self.renew()

    async def _enter(self) -> None:
        """Put our entry where nobody's is."""
        first: Entry | None = None
        ends_ns = self._clock.monotonic_ns() + round((PRESENCE_TTL_S + RENEW_S) * NS_PER_S)
        while True:
            entry = await self._bucket.get(self._place)
            first = first or entry
            try:
                if entry is None:
                    self._revision = await self._bucket.create(self._place, encode(self._presence))
                    return
                if self._is_dead(entry) or self._clock.monotonic_ns() > ends_ns:
                    value = encode(self._presence)
                    self._revision = await self._bucket.update(self._place, value, entry.revision)
                    return
            except WrongRevisionError:
                continue
            if first is not None and entry.revision != first.revision:
                raise PlaceTakenError(self._place, _holder(entry))
            await self._clock.sleep(_LOOK_S)

    async def keep(self, connected: Callable[[], Awaitable[object]]) -> NoReturn:
        """Renew the entry until cancelled, each time that `connected` has returned.

        Raises:
            PlaceTakenError: somebody else has the place by now.
        """
        while True:
            await connected()
            try:
                await self.renew()
            except PlaceTakenError:
                raise
            except BusError:  # whoever shows the connection tells of it
                await self._clock.sleep(_LOOK_S)
            else:
                await self._clock.sleep(RENEW_S)

    async def renew(self) -> None:
        """Renew the entry once, or put it back where it has vanished.

        Raises:
            PlaceTakenError: somebody else has the place by now.
            BusError: the bus does not answer.
        """
        async with self._lock:
            self._presence = msgspec.structs.replace(self._presence, unsent=self._unsent())
            value = encode(self._presence)
            try:
                self._revision = await self._bucket.update(self._place, value, self._revision)
                return
            except WrongRevisionError:
                entry = await self._bucket.get(self._place)
            try:
                if entry is None:
                    self._revision = await self._bucket.create(self._place, value)
                    return
                holder = _holder(entry)
                ours = (self._presence.host, self._presence.process)
                if holder is None or (holder.host, holder.process) != ours:
                    raise PlaceTakenError(self._place, holder)
                # One of ours whose answer never came.
                self._revision = await self._bucket.update(self._place, value, entry.revision)
            except WrongRevisionError:
                raise PlaceTakenError(self._place, None) from None

    async def taken_by(self) -> PlaceTakenError:
        """Return who has the place, where it is known already that it is not us."""
        try:
            entry = await self._bucket.get(self._place)
        except BusError:
            entry = None
        return PlaceTakenError(self._place, None if entry is None else _holder(entry))

    async def server_ahead_ns(self) -> int:
        """Return how far the server's wall clock is ahead of ours, to half of the way there.

        Raises:
            PlaceTakenError: somebody else has the place by now.
            BusError: the bus does not answer.
        """
        found: list[tuple[int, int]] = []
        for _ in range(_MEASURED):
            before_ns = self._clock.monotonic_ns()
            await self.renew()
            after_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
            entry = await self._bucket.get(self._place)
            if entry is not None and entry.revision == self._revision:
                way_ns = after_ns - before_ns
                found.append((way_ns, entry.at_ns - (wall_ns - way_ns // 2)))
        if not found:
            raise BusError(f"place {self._place}: the server's clock could not be read")
        return min(found)[1]

    async def leave(self) -> None:
        """Let the place be free, where it is still ours. Raises BusError."""
        async with self._lock:
            await self._bucket.delete(self._place, self._revision)

    def _is_dead(self, entry: Entry) -> bool:
        """Whether an entry is of a process of this machine that has ended."""
        holder = _holder(entry)
        process = None if holder is None else holder.process
        return process is not None and process.is_alive() is False


def _holder(entry: Entry) -> Presence | None:
    """Return who wrote an entry; None where this version cannot read it."""
    try:
        return decode_presence(entry.value)
    except msgspec.DecodeError:
        return None
