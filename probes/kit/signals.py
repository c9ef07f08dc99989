"""Waiting for "something changed" beside waiting for time."""

from collections.abc import Awaitable, Callable

import anyio

from probes.kit.clock import Clock


async def first_of(*waits: Callable[[], Awaitable[object]]) -> None:
    """Return as soon as one of them has returned; the others are cancelled."""
    async with anyio.create_task_group() as group:

        async def end_with(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            group.cancel_scope.cancel()

        for wait in waits:
            group.start_soon(end_with, wait)


class Signal:
    """A bell that can be rung again and again: whoever waits at that moment wakes.

    Invariant: between looking at a condition and calling `wait` nothing is awaited, so that no
    ring is missed.
    """

    def __init__(self) -> None:
        self._event: anyio.Event | None = None
        """What somebody waits for; most bells are never waited at, and an event is dear."""

    def ring(self) -> None:
        """Wake all who wait now."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self, clock: Clock, timeout_s: float | None = None) -> bool:
        """Return True at the next ring, False after `timeout_s` seconds of `clock` without one."""
        event = self._event = self._event or anyio.Event()
        if timeout_s is None:
            await event.wait()
            return True
        async with anyio.create_task_group() as group:

            async def expire() -> None:
                await clock.sleep(timeout_s)
                group.cancel_scope.cancel()

            group.start_soon(expire)
            await event.wait()
            group.cancel_scope.cancel()
        return event.is_set()
