"""A clock that tests own."""

import heapq
from itertools import count

import anyio
from anyio.lowlevel import checkpoint

NS = 1_000_000_000


class ManualClock:
    """Stands still until it is advanced; sleepers wake in the order of their deadlines."""

    def __init__(self, start_ns: int = 1_000 * NS, wall_ns: int = 1_800_000_000 * NS) -> None:
        self.now_ns = start_ns
        self._wall_offset_ns = wall_ns - start_ns
        self._order = count()
        self._sleepers: list[tuple[int, int, anyio.Event]] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns + self._wall_offset_ns

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._wall_offset_ns += round(seconds * NS)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await checkpoint()
            return
        event = anyio.Event()
        deadline_ns = self.now_ns + round(seconds * NS)
        heapq.heappush(self._sleepers, (deadline_ns, next(self._order), event))
        await event.wait()

    async def advance(self, seconds: float) -> None:
        """Let time pass, and everybody who wakes run until they wait again."""
        end_ns = self.now_ns + round(seconds * NS)
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_ns:
            deadline_ns, _, event = heapq.heappop(self._sleepers)
            self.now_ns = max(self.now_ns, deadline_ns)
            event.set()
            await settle()
        self.now_ns = end_ns
        await settle()


async def settle(rounds: int = 30) -> None:
    """Let every task run until it waits for something."""
    for _ in range(rounds):
        await checkpoint()
