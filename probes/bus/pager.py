"""Who calls people where several watch the same places, and what people were told.

Rule 1: the pager of a scope (a place, or all of them) is one key that is compared before it is set
and renewed for as long as somebody has it: of two that come at once one has it.
Rule 2: it is free where nobody has the key, where who has it has not renewed it for `DEAD_S`, or is
a dead process of this machine. How long that is tells our own clock from what we see of the key:
no two machines' clocks are compared.
Rule 3: who only calls where nobody else does waits `YIELD_S` longer, so that whoever stands by for
the pager has it before.
Rule 4: who has it and cannot renew it goes on as if it had it, and looks first thing when the bus
is back: who took it meanwhile has it. But who did not run itself for a while knows nothing before.
Rule 5: who may not write it, and sees that nobody has it, calls as well.
Rule 6: what people were told is kept by place, for as long as it is not over. It outlives who told
it: whoever takes the pager knows what not to tell again, and what to tell the end of. Who calls
says now and then that it still fires: what nobody has stood by for long is told again.
Rule 7: what is muted and acknowledged in one cockpit is known to all who call.
Rule 8: what stands in a key may have been written by anybody: it is bounded, and of a place it
speaks of that place's routes alone.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from probes.bus.connection import (
    PRESENCE_TTL_S,
    BusError,
    BusLostError,
    Entry,
    WrongRevisionError,
)
from probes.bus.messages import (
    MutedRoutes,
    PagerHolder,
    ToldAlert,
    ToldAlerts,
    decode_holder,
    decode_muted,
    decode_told,
    encode,
)
from probes.bus.names import MUTED_KEY, caller_key, told_key
from probes.bus.presence import RENEW_S
from probes.config.places import is_place
from probes.kit.clock import NS_PER_S, Clock
from probes.kit.process_identity import RunIdentity

DEAD_S: Final = PRESENCE_TTL_S
"""A pager that is not renewed for so long, three times what it is renewed in, is nobody's."""
YIELD_S: Final = 5.0
"""What stands by sees a free pager within two seconds, takes it, and is seen to have it."""
LOOK_S: Final = 2.0
"""Between two looks at a pager that somebody else has."""
_TRIES: Final = 5
"""Writers of one place's record: its agent, and whoever has the pager."""
TOLD_MOST: Final = 100
"""Alerts of a place that fire at once; of more the oldest are forgotten, and may be told again."""
_LONGEST_RECORD: Final = 256 << 10
_NAME: Final = re.compile(r"[A-Za-z0-9._:@-]{1,64}")
"""A run or an alert of it: it goes into the headers of a request."""
_LONGEST_ROUTE: Final = 300
_MOST_ROUTES: Final = 500
_MOST_PLACES: Final = 200
_SEEN_NS: Final = 24 * 3600 * NS_PER_S
"""So long an acknowledgement is remembered: more than a mute lasts."""


class PagersBucket(Protocol):
    """The bucket of pagers, as far as it is needed here."""

    async def get(self, key: str) -> Entry | None: ...

    async def create(self, key: str, value: bytes) -> int: ...

    async def update(self, key: str, value: bytes, revision: int) -> int: ...

    async def delete(self, key: str, revision: int | None = None) -> None: ...


class SharedPager:
    """The pager of one scope, as one process sees it: ours, somebody else's, or nobody's."""

    def __init__(
        self, bucket: PagersBucket, scope: str, *, clock: Clock, host: str, process: RunIdentity
    ) -> None:
        self._bucket = bucket
        self._key = caller_key(scope)
        self._clock = clock
        self._us = PagerHolder(host=host, pid=process.pid, process=process)
        self._revision = 0
        """Of what we have set, or seen."""
        self._seen_ns = 0
        """When that was new to us."""
        self._busy_until_ns = 0
        """Until when somebody else is believed to call."""
        self._due_ns = 0
        self._is_known = False
        self._is_refused = False
        """It could not be written when that was tried last, though it could be read."""
        self._tried: tuple[int, int] | None = None
        """When we looked last, whatever came of it: monotonic and wall ns."""
        self._answered_ns = clock.monotonic_ns()
        """When the bus has told last how it is."""
        self.holder: PagerHolder | None = None
        """Somebody else who has it, or had it last."""
        self.held_since_ns: int | None = None
        """Since when it is ours, by our monotonic clock; None while it is not."""

    @property
    def is_held(self) -> bool:
        """Whether it is ours, as far as anybody here can know."""
        return self.held_since_ns is not None and self.has_run

    @property
    def is_unknown(self) -> bool:
        """Whether nobody here can know whose it is, for longer than who had it kept it."""
        for_ns = self._clock.monotonic_ns() - self._answered_ns
        return for_ns > (DEAD_S + YIELD_S) * NS_PER_S and self.has_run

    @property
    def may_call(self) -> bool:
        """Whether nobody else can be expected to call: it is ours, or nobody's and cannot be ours,
        or nobody knows."""
        is_free = self._is_refused and self._is_known and not self.is_anothers and self.has_run
        return self.is_held or self.is_unknown or is_free

    @property
    def is_known(self) -> bool:
        """Whether the bus has ever told whose it is."""
        return self._is_known

    @property
    def is_anothers(self) -> bool:
        """Whether somebody else calls, or did until a moment ago."""
        return self._clock.monotonic_ns() < self._busy_until_ns

    @property
    def has_run(self) -> bool:
        """Whether this process has looked a short while ago, and has not slept since."""
        if self._tried is None:
            return False
        spans = (
            self._clock.monotonic_ns() - self._tried[0],
            self._clock.wall_ns() - self._tried[1],
        )
        return max(spans) <= DEAD_S * NS_PER_S

    async def look(self) -> None:
        """Look at who has it, where that is due. Raises BusError."""
        if self._is_due(LOOK_S):
            await self._do(self._look)

    async def hold(self) -> None:
        """Renew it, or take it where it is free, where that is due. Raises BusError."""
        if self._is_due(LOOK_S if self.held_since_ns is None else RENEW_S):
            await self._do(self._take if self.held_since_ns is None else self._renew)

    async def leave(self) -> None:
        """Let it be free, where it is ours. Raises BusError."""
        if self.held_since_ns is None:
            return
        self.held_since_ns = None
        await self._bucket.delete(self._key, self._revision)
        self._revision = 0

    def _is_due(self, each_s: float) -> bool:
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._due_ns:
            return False
        self._due_ns = now_ns + round(each_s * NS_PER_S)
        return True

    async def _do(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except BusLostError:
            self._due_ns = 0
            raise
        finally:
            self._tried = (self._clock.monotonic_ns(), self._clock.wall_ns())

    async def _look(self) -> Entry | None:
        """Note what stands in the key; return it where it is somebody's who lives."""
        entry = await self._bucket.get(self._key)
        now_ns = self._answered_ns = self._clock.monotonic_ns()
        self._is_known = True
        holder = None if entry is None else _holder(entry)
        if entry is None or _is_dead(holder):
            self._busy_until_ns = min(self._busy_until_ns, now_ns + round(YIELD_S * NS_PER_S))
            return None
        if entry.revision != self._revision:
            self._revision, self._seen_ns, self.holder = entry.revision, now_ns, holder
            self._busy_until_ns = now_ns + round((DEAD_S + YIELD_S) * NS_PER_S)
        return entry

    async def _take(self) -> None:
        before = self._revision
        entry = await self._look()
        if entry is not None and self._is_us(self.holder):  # its answer never came
            self.held_since_ns, self._busy_until_ns = self._clock.monotonic_ns(), 0
            return
        value = encode(self._us)
        now_ns = self._clock.monotonic_ns()
        try:
            if entry is None:
                self._revision = await self._create(value)
            elif entry.revision == before and now_ns - self._seen_ns > DEAD_S * NS_PER_S:
                self._revision = await self._bucket.update(self._key, value, entry.revision)
            else:
                return
        except WrongRevisionError:
            return  # somebody else was faster: the next look tells who
        except BusLostError:
            raise
        except BusError:
            self._is_refused = True
            raise
        self._is_refused = False
        self._seen_ns = self.held_since_ns = self._clock.monotonic_ns()
        self._busy_until_ns = 0
        mine = await self._bucket.get(self._key)
        if mine is not None and mine.revision == self._revision:
            self._us = msgspec.structs.replace(self._us, since_ns=mine.at_ns)

    async def _create(self, value: bytes) -> int:
        """Set a key that holds nothing, or what a dead process of this machine has left."""
        left = await self._bucket.get(self._key)
        if left is not None and _is_dead(_holder(left)):
            return await self._bucket.update(self._key, value, left.revision)
        return await self._bucket.create(self._key, value)

    async def _renew(self) -> None:
        value = encode(self._us)
        try:
            self._revision = await self._bucket.update(self._key, value, self._revision)
            self._answered_ns = self._clock.monotonic_ns()
            return
        except WrongRevisionError:
            entry = await self._bucket.get(self._key)
        holder = None if entry is None else _holder(entry)
        try:
            if entry is None:
                self._revision = await self._bucket.create(self._key, value)
                return
            if self._is_us(holder):  # the same
                self._revision = await self._bucket.update(self._key, value, entry.revision)
                return
        except WrongRevisionError:
            pass
        self.held_since_ns = None
        await self._look()

    def _is_us(self, holder: PagerHolder | None) -> bool:
        ours = (self._us.host, self._us.process)
        return holder is not None and (holder.host, holder.process) == ours


def _holder(entry: Entry) -> PagerHolder | None:
    """Return who wrote an entry; None where this version cannot read it."""
    try:
        holder = decode_holder(entry.value)
    except msgspec.DecodeError:
        return None
    if holder.since_ns:
        return holder
    return msgspec.structs.replace(holder, since_ns=entry.at_ns)


def _is_dead(holder: PagerHolder | None) -> bool:
    """Return whether somebody was a process of this machine that has ended."""
    process = None if holder is None else holder.process
    return process is not None and process.is_alive() is False


async def read_told(bucket: PagersBucket, place: str) -> tuple[ToldAlert, ...]:
    """Return what people were told of a place and is not over. Raises BusError."""
    return _told_in(await bucket.get(told_key(place)), place)


async def edit_told(
    bucket: PagersBucket,
    place: str,
    edit: Callable[[tuple[ToldAlert, ...]], tuple[ToldAlert, ...]],
) -> tuple[ToldAlert, ...]:
    """Change what people were told of a place; return what stands there by then.

    Raises:
        BusError: it could not be changed.
    """
    key = told_key(place)
    for left in reversed(range(_TRIES)):
        entry = await bucket.get(key)
        before = _told_in(entry, place)
        after = edit(before)[-TOLD_MOST:]
        if after == before:
            return after
        value = encode(ToldAlerts(alerts=after))
        try:
            if entry is None:
                await bucket.create(key, value)
            else:
                await bucket.update(key, value, entry.revision)
        except WrongRevisionError:
            if not left:
                raise
            continue
        return after
    raise AssertionError("unreachable")


def _told_in(entry: Entry | None, place: str) -> tuple[ToldAlert, ...]:
    """Return what an entry says that people were told; nothing where it cannot be read."""
    if entry is None or len(entry.value) > _LONGEST_RECORD:
        return ()
    try:
        told = decode_told(entry.value)
    except msgspec.DecodeError:
        return ()
    read = (_bounded(alert, place) for alert in told.alerts[-TOLD_MOST:])
    return tuple(alert for alert in read if alert is not None)


def _bounded(alert: ToldAlert, place: str) -> ToldAlert | None:
    """Return an alert as far as a place may speak of it; None where that is nothing."""
    if not (_NAME.fullmatch(alert.run) and _NAME.fullmatch(alert.id)):
        return None
    routes = tuple(
        route
        for route in alert.routes[:_MOST_ROUTES]
        if len(route) <= _LONGEST_ROUTE and route.endswith(f"@{place}")
    )
    if not routes:
        return None
    places = {place, *(name for name in alert.places[:_MOST_PLACES] if is_place(name))}
    return msgspec.structs.replace(alert, routes=routes, places=tuple(sorted(places)))


async def read_muted(bucket: PagersBucket) -> MutedRoutes:
    """Return what is muted and was acknowledged, in any cockpit. Raises BusError."""
    return _muted_in(await bucket.get(MUTED_KEY))


async def edit_muted(bucket: PagersBucket, more: MutedRoutes, now_ns: int) -> None:
    """Add what was muted and acknowledged in a cockpit; until 0 is muted no more. What is long
    over by `now_ns`, Unix ns, is left out.

    Raises:
        BusError: it could not be changed.
    """
    for left in reversed(range(_TRIES)):
        entry = await bucket.get(MUTED_KEY)
        before = _muted_in(entry)
        until_ns = {**before.until_ns, **more.until_ns}
        seen_ns = {**before.seen_ns, **more.seen_ns}
        after = MutedRoutes(
            until_ns={route: until for route, until in until_ns.items() if until > now_ns},
            seen_ns={route: at for route, at in seen_ns.items() if now_ns - at < _SEEN_NS},
        )
        try:
            if entry is None:
                await bucket.create(MUTED_KEY, encode(after))
            else:
                await bucket.update(MUTED_KEY, encode(after), entry.revision)
        except WrongRevisionError:
            if not left:
                raise
            continue
        return


def _muted_in(entry: Entry | None) -> MutedRoutes:
    """Return what an entry says is muted; nothing where it cannot be read."""
    if entry is None or len(entry.value) > _LONGEST_RECORD:
        return MutedRoutes()
    try:
        return decode_muted(entry.value)
    except msgspec.DecodeError:
        return MutedRoutes()
