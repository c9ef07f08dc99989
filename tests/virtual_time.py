"""An event loop whose time passes as fast as it can be worked: nobody waits for a timer.

`anyio.run(main, backend_options={"loop_factory": VirtualLoop})`. Where nothing is left to wait for,
it raises instead of hanging.
"""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

import anyio

NS = 1_000_000_000


class _Jumping(selectors.SelectSelector):
    """Lets time pass where a real one would wait."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing will come")
        self.now_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time is its selector's."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


class VirtualClock:
    """The clock of the loop that runs; begins at 1,000 s."""

    def monotonic_ns(self) -> int:
        return round((1_000 + asyncio.get_running_loop().time()) * NS)

    def wall_ns(self) -> int:
        return self.monotonic_ns() + 1_800_000_000 * NS

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))


OPTIONS: Mapping[str, Any] = {"loop_factory": VirtualLoop}
