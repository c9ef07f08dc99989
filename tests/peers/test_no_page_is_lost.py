"""Who calls people over a real bus while the one who should sleeps, and while there is no bus.

Never none, and none twice; in a file of its own, for it takes a minute and a half of wall time.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from agents import until
from on_call_yard import NAMED_S, Yard, has_pager, on_call_yard

from probes.bus.pager import DEAD_S, YIELD_S
from probes.run.on_call import HAND_OVER_S, RETURN_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with on_call_yard(tmp_path) as made:
        yield made


async def test_who_sleeps_and_a_bus_that_is_gone_cost_no_page_and_double_none(yard: Yard) -> None:
    world = yard.world
    cockpit = yard.cockpit("first")
    await until(has_pager(yard), "nobody took the pager")

    cockpit.send_signal(signal.SIGSTOP)
    world.down.add("us")
    await until(lambda: bool(world.pages), "nobody was called", NAMED_S)
    assert world.words == ["agent-us firing chat@us"]
    cockpit.send_signal(signal.SIGCONT)
    await anyio.sleep(DEAD_S + YIELD_S + HAND_OVER_S)
    assert world.words == ["agent-us firing chat@us"]

    yard.server.kill()
    world.down.add("eu")
    await until(lambda: len(world.pages) > 1, "nobody was called", NAMED_S)
    assert world.words[1:] == ["agent-eu firing chat@eu"]
    yard.server.start()
    await until(lambda: "bus is back" in yard.agents["eu"].said, "the bus is not back")
    await anyio.sleep(RETURN_S + 20.0)
    assert len(world.pages) == 2
