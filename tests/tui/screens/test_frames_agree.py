"""Frames agree with themselves: what stands on the screen twice is said alike, moment after moment.

The frames are read as text, from the terminal's lines alone; see `frame_reader`.
"""

import re
from collections.abc import Collection
from random import Random
from typing import Any

import msgspec
import pytest
from bench.calm import lines_of
from bench.incident_streams import healthy, scenarios
from bench.incident_streams.trouble import Outline
from frame_reader import Frame, contradictions, read
from msgspec.structs import replace
from snapshots import bad_day
from staged import state_of
from streamed import Streamed, streamed

from probes.board import Board
from probes.board.views import Snapshot
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WindowName

pytestmark = pytest.mark.anyio

SIZE = (200, 60)
BAD_DAY = bad_day()


def frame_of(screen: Streamed) -> Frame:
    """Return what stands on the screen now."""
    live = screen.live
    return read(
        screen.run.passed_s,
        header=lines_of(live, "header")[0],
        verdicts=lines_of(live, "verdicts"),
        table=lines_of(live, "routes"),
        percentiles=lines_of(live, "percentiles"),
        window=live.view.window,
    )


async def watched(
    outline: Outline,
    until_s: float,
    *,
    from_s: float = 5.0,
    board: Board | None = None,
    step_s: float = 2.5,
) -> list[str]:
    """Return what the frames of a run contradict, the cursor on each route by turns."""
    found: list[str] = []
    async with streamed(outline, size=SIZE, board=board) as screen:
        chance, before = Random(1), None
        at_s = from_s
        while at_s < until_s:
            at_s += step_s * (0.5 + chance.random())
            if chance.random() < 0.1:
                await screen.press(chance.choice("jjkwng"))
            await screen.until(at_s)
            frame = frame_of(screen)
            assert frame.rows
            assert frame.columns
            found += [f"{at_s:.1f} s: {one}" for one in contradictions(frame, before)]
            before = frame
    return found


@pytest.mark.parametrize(
    ("outline", "until_s"),
    [
        (BAD_DAY, 640.0),
        (healthy.run_of("stray", 1, 400.0), 400.0),
        (scenarios.run_of("no_answer.hang", 1), 500.0),
    ],
    ids=["a bad day", "health", "a hang"],
)
async def test_what_is_said_twice_is_said_alike(outline: Outline, until_s: float) -> None:
    assert await watched(outline, until_s) == []


class Lying(Board):
    """A board whose snapshots contradict themselves."""

    def __init__(self, lie: str) -> None:
        super().__init__()
        self._lie = lie

    def snapshot(
        self,
        window: WindowName = "5m",
        detail_routes: Collection[str] = (),
        pages: Collection[str] = (),
        *,
        standings: bool = False,
        anew: bool = False,
    ) -> Snapshot:
        true = super().snapshot(window, detail_routes, pages, standings=standings, anew=anew)
        replace: Any = msgspec.structs.replace
        if self._lie == "n falls" and true.details:
            details = {}
            for name, detail in true.details.items():
                first, *rest = detail.percentiles.columns
                much = replace(first.ttft[0], n=first.ttft[0].n + 5000)
                columns = (replace(first, ttft=(much, *first.ttft[1:])), *rest)
                table = replace(detail.percentiles, columns=columns)
                details[name] = replace(detail, percentiles=table)
            return replace(true, details=details)
        if self._lie == "in flight" and true.totals:
            return replace(true, totals=replace(true.totals, in_flight=true.totals.in_flight + 1))
        if self._lie == "429/m" and true.totals:
            return replace(true, totals=replace(true.totals, throttled_per_min=77.0))
        if self._lie == "SINCE" and true.now_ns // NS_PER_S % 20 == 0:
            return replace(true, routes=tuple(replace(row, since_s=0.0) for row in true.routes))
        if self._lie == "TTFT95":
            rows = tuple(
                replace(row, ttft_p95=replace(row.ttft_p95, value=(row.ttft_p95.value or 0) + 0.3))
                for row in true.routes
            )
            return replace(true, routes=rows)
        return true


@pytest.mark.parametrize("lie", ["n falls", "in flight", "429/m", "SINCE", "TTFT95"])
async def test_a_screen_that_contradicts_itself_is_found_out(lie: str) -> None:
    found = await watched(BAD_DAY, 270.0, from_s=210.0, board=Lying(lie))
    assert any(lie in one for one in found), found[:3]


async def test_a_screen_that_does_not_is_not() -> None:
    assert await watched(BAD_DAY, 270.0, from_s=210.0, board=Lying("")) == []


async def test_the_usual_of_a_verdict_is_that_of_the_figures() -> None:
    async with streamed(BAD_DAY, size=SIZE) as screen:
        for at_s in range(5, 400, 5):
            await screen.until(float(at_s))
        cockpit = state_of(screen.app)
        cockpit.view = replace(cockpit.view, selected="qwen3-235b")
        await screen.press("enter")
        for at_s in (401.0, 430.0, 460.0):
            await screen.until(at_s)
            verdict = " ".join(lines_of(screen.live, "verdict"))
            told = re.search(r"first token [\d.]+ s, usual ([\d.]+)", verdict)
            figures = lines_of(screen.live, "figures")
            row = next(line for line in figures if "TTFT p50" in line).split()
            place = figures[0].split().index("usual") + 1  # the label is of two words
            assert told is not None, verdict
            assert float(told[1]) == pytest.approx(float(row[place]), abs=0.0051)
