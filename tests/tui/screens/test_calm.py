"""A healthy screen is calm: in a quarter of an hour no row moves, no lamp is lit."""

import pytest
from bench.calm import LEARNT_S, lines_of, restless, rows_of
from bench.incident_streams import healthy, scenarios
from bench.incident_streams.trouble import Outline
from streamed import streamed

pytestmark = pytest.mark.anyio

QUARTER_S = 900.0


async def watched(outline: Outline) -> list[str]:
    """Return what is not calm in a quarter of an hour of a run, with the second at which it was."""
    found = []
    async with streamed(outline) as screen:
        await screen.until(LEARNT_S)
        names = screen.run.board.routes
        order = [name for name, _ in rows_of(lines_of(screen.live, "routes"), names)]
        assert sorted(order) == sorted(names)
        at_s = LEARNT_S
        while at_s < QUARTER_S:
            at_s += 2.0
            await screen.until(at_s)
            rows = rows_of(lines_of(screen.live, "routes"), names)
            faults = restless(rows, lines_of(screen.live, "verdicts"), order)
            found += [f"{at_s:g} s: {fault}" for fault in faults]
    return found


@pytest.mark.parametrize("kind", ["sigma0.3", "stray", "seldom"])
async def test_a_healthy_quarter_of_an_hour_is_calm(kind: str) -> None:
    assert await watched(healthy.run_of(kind, 1, QUARTER_S)) == []


async def test_what_is_not_calm_is_seen() -> None:
    found = await watched(scenarios.run_of("provider_queueing.x5", 1))
    told = {fault.split(": ")[1] for fault in found}
    assert told == {"a lamp", "a verdict"}


def test_rows_that_move_are_seen() -> None:
    rows = [("beta", "  · beta"), ("alpha", "▸ · alpha")]
    assert [*restless(rows, [], ["alpha", "beta"])] == ["rows moved: beta alpha"]
    assert [*restless(rows, ["both routes well for 12 m"], ["beta", "alpha"])] == []
