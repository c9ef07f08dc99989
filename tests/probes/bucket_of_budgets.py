"""The bucket of the budgets as a test needs it: in memory, with a clock of its own, unreliable."""

from random import Random

from clocks import NS, ManualClock

from probes.bus.connection import BusLostError, Entry, NoAnswerError, WrongRevisionError


class BucketServer:
    """Holds what was set, and dates it by its own clock."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.wall_s = 0.0
        """How far its clock is from true time."""
        self.up = True
        self.entries: dict[str, Entry] = {}
        self.revision = 0
        self.sets = 0

    def now_ns(self) -> int:
        """Return the server's time."""
        return 1_800_000_000 * NS + self.clock.monotonic_ns() + round(self.wall_s * NS)

    def set(self, key: str, value: bytes, revision: int | None) -> int:
        """Set a key, where it still has a revision."""
        found = self.entries.get(key)
        if revision is not None and revision != (0 if found is None else found.revision):
            raise WrongRevisionError("somebody else was faster")
        self.revision += 1
        self.sets += 1
        self.entries[key] = Entry(key, value, self.revision, self.now_ns())
        return self.revision

    def bucket(self, *, delay_s: float = 0.0, chance: Random | None = None) -> "FakeBucket":
        """Return it as one place reaches it."""
        return FakeBucket(self, delay_s, chance)


class FakeBucket:
    """The way of one place to the server: slow, and cut whenever a test says so."""

    def __init__(self, server: BucketServer, delay_s: float, chance: Random | None) -> None:
        self.server = server
        self.delay_s = delay_s
        self.up = True
        self.chance = chance
        self.lost = 0.0
        """Part of what is asked whose answer never comes, done or not."""

    async def get(self, key: str) -> Entry | None:
        await self._way()
        found = self.server.entries.get(key)
        await self._way()
        return found

    async def put(self, key: str, value: bytes) -> int:
        return await self._set(key, value, None)

    async def create(self, key: str, value: bytes) -> int:
        return await self._set(key, value, 0)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        return await self._set(key, value, revision)

    async def _set(self, key: str, value: bytes, revision: int | None) -> int:
        await self._way()
        if self._is_lost():
            raise NoAnswerError("no answer in time")
        revision = self.server.set(key, value, revision)
        if self._is_lost():
            raise NoAnswerError("no answer in time")
        await self._way()
        return revision

    def _is_lost(self) -> bool:
        return self.chance is not None and self.chance.random() < self.lost

    async def _way(self) -> None:
        """Be on the way there, or back."""
        await self.server.clock.sleep(self.delay_s)
        if not (self.up and self.server.up):
            raise BusLostError("lost")
