"""Who calls people over a real bus: agents and cockpits, each with a webhook of its own.

Exactly one page an incident, whoever is killed, and the page is closed by whoever calls by then. It
takes two minutes of wall time: what is wrong has to stand, and what is over to stay over.
"""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from agents import until
from on_call_yard import NAMED_S, OVER_S, Yard, has_pager, on_call_yard

from probes.run.on_call import HAND_OVER_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with on_call_yard(tmp_path) as made:
        yield made


async def test_one_page_an_incident_and_its_end_when_the_cockpit_is_killed(yard: Yard) -> None:
    world = yard.world
    first = yard.cockpit("first")
    await until(has_pager(yard), "nobody took the pager")
    yard.cockpit("second")
    await until(lambda: "stands by" in yard.told("second"), "the second does not stand by")

    world.down.add("eu")
    await until(lambda: bool(world.pages), "nobody was called", NAMED_S)
    await anyio.sleep(HAND_OVER_S)
    assert world.words == ["first firing chat@eu"]

    # Of two cockpits the second goes on with what the first has told; both gone, the agents do.
    first.kill()
    await until(lambda: "go out from here" in yard.told("second"), "nobody stood by")
    world.down.add("us")
    await until(lambda: len(world.pages) > 1, "nobody was called", NAMED_S)
    assert world.words[1:] == ["second changed chat@eu chat@us"]
    await anyio.sleep(HAND_OVER_S)
    yard.cockpits[1].kill()
    await until(lambda: all("go out from here" in one.said for one in yard.agents.values()))
    await anyio.sleep(HAND_OVER_S)
    assert len(world.pages) == 2
    world.down.clear()
    await until(lambda: len(world.pages) > 2, "nobody told the end", OVER_S)
    await anyio.sleep(HAND_OVER_S)
    (end,) = world.pages[2:]
    assert end[0] in ("agent-eu", "agent-us")
    assert [one["state"] for _, one in world.pages] == ["firing", "changed", "over"]
    assert len({(one["run"], one["id"]) for _, one in world.pages}) == 1
    assert len({*world.keys}) == 3
