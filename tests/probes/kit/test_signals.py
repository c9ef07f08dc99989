"""Waiting for a ring beside waiting for time."""

from functools import partial

import anyio
import pytest
from clocks import ManualClock, settle

from probes.kit.signals import Signal, first_of

pytestmark = pytest.mark.anyio


async def test_a_ring_wakes_all_who_wait() -> None:
    signal, clock, woken = Signal(), ManualClock(), []

    async def wait(limit_s: float | None) -> None:
        woken.append(await signal.wait(clock, limit_s))

    async with anyio.create_task_group() as group:
        group.start_soon(wait, None)
        group.start_soon(wait, 60)
        await settle()
        signal.ring()
    assert woken == [True, True]


async def test_without_a_ring_the_wait_ends_with_its_time() -> None:
    signal, clock, woken = Signal(), ManualClock(), []

    async def wait() -> None:
        woken.append(await signal.wait(clock, 2))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await clock.advance(1.9)
        assert woken == []
        await clock.advance(0.2)
    assert woken == [False]


async def test_a_ring_before_the_wait_is_not_heard() -> None:
    signal, clock = Signal(), ManualClock()
    signal.ring()
    async with anyio.create_task_group() as group:
        group.start_soon(clock.advance, 1)
        assert await signal.wait(clock, 1) is False


async def test_of_several_waits_the_first_ends_all() -> None:
    clock, ended = ManualClock(), anyio.Event()
    woken: list[float] = []

    async def sleep(for_s: float) -> None:
        await clock.sleep(for_s)
        woken.append(for_s)

    async def wait() -> None:
        await first_of(partial(sleep, 3.0), partial(sleep, 2.0), anyio.Event().wait)
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await clock.advance(1.9)
        assert not ended.is_set()
        await clock.advance(0.1)
        assert ended.is_set()
        await clock.advance(5.0)
    assert woken == [2.0]
