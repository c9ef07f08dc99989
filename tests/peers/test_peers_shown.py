"""Servers of others as a user watches them: beside the embedded provider, headless and on screen.

It takes some 6 s of wall time: real servers, a real engine, and a screen that waits for them.
"""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from peer_processes import llama_cpp, llmock, missing_packages, python, simulated
from textual.pilot import Pilot

from probes.config import Config, Route
from probes.money.ledger import Ledger
from probes.run.session import Session
from tui.app import LlmtopApp
from tui.panes.pane import Pane
from tui.screens.home import HomeScreen

pytestmark = [pytest.mark.anyio, missing_packages("xllamacpp", "gguf", "numpy", "llmock")]

REPOSITORY = Path(__file__).parents[2]
CAP = 16
LONGEST_WAIT_S = 15


@dataclass(frozen=True)
class Peers:
    """Base URLs."""

    real: str
    broken: str
    imitated: str


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    with (
        llama_cpp(tmp_path_factory.mktemp("model")) as real,
        llmock("--stream-fault", "truncate=1.0", "--stream-chunk-delay-ms", "20") as broken,
        simulated("healthy") as imitated,
    ):
        yield Peers(real, f"{broken}/v1", f"{imitated}/v1")


def test_headless_tells_the_truth_of_each_route(peers: Peers, tmp_path: Path) -> None:
    settings = tmp_path / "routes.toml"
    settings.write_text(f"""
        [defaults]
        model = "healthy"
        interval = 0.2
        max_tokens = {CAP}
        [routes.real]
        base_url = "{peers.real}"
        [routes.broken]
        base_url = "{peers.broken}"
        [routes.imitated]
        base_url = "{peers.imitated}"
    """)
    settings.chmod(0o600)
    # So long it takes until what fails is more than a blip.
    options = ["--config", str(settings), "--headless", "--duration", "12", "--no-record"]
    ended = subprocess.run(
        python("-m", "tui.cli", *options),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
        cwd=tmp_path,
        timeout=30,
        check=True,
    )
    summary = json.loads(ended.stdout.splitlines()[-1])
    assert summary["type"] == "summary"
    routes: dict[str, dict[str, Any]] = summary["routes"]
    for name in ("real", "imitated"):
        told = routes[name]
        assert told["n"] == told["ok"] > 0
        assert told["output_tokens"] == CAP * told["ok"]
        assert not told["tokens_estimated"]
    broken = routes["broken"]
    assert (broken["state"], broken["success"]) == ("down", 0.0)
    assert broken["failures"] == broken["attempts"] > 0


@dataclass(frozen=True)
class Cockpit:
    """A running screen."""

    board: HomeScreen
    pilot: Pilot[None]

    def lines(self, selector: str) -> list[str]:
        """Return what a pane shows."""
        pane = self.board.query_one(selector, Pane)
        return [pane.render_line(y).text for y in range(pane.size.height)]

    def row(self, route: str) -> str:
        """Return a route's row of the table; empty while there is none."""
        return next((line for line in self.lines("#routes") if f" {route} " in line), "")

    async def select(self, route: str) -> None:
        """Move the cursor up to a route."""
        await self.pilot.press("G")
        with anyio.fail_after(LONGEST_WAIT_S):
            while self.board.view.selected != route:
                await self.pilot.press("k")

    async def until(self, shown: Callable[[], bool]) -> None:
        """Wait for the engine and the next frame."""
        with anyio.fail_after(LONGEST_WAIT_S):
            while not shown():
                await self.pilot.pause(0.1)


@asynccontextmanager
async def cockpit(*routes: Route) -> AsyncIterator[Cockpit]:
    config = Config(routes=routes)
    session = Session(config, {}, recorder=None, ledger=Ledger(None))
    app = LlmtopApp(session, config)
    async with app.run_test(size=(160, 50)) as pilot, anyio.create_task_group() as group:
        group.start_soon(session.run)
        try:
            await pilot.pause()
            assert isinstance(app.screen, HomeScreen)
            yield Cockpit(app.screen, pilot)
        finally:
            session.stop()


async def test_the_screen_shows_them_live(peers: Peers) -> None:
    given = {"model": "healthy", "interval": 0.2, "max_tokens": CAP}
    names = ("real", "broken", "imitated")
    routes = [Route(name=name, base_url=getattr(peers, name), **given) for name in names]
    async with cockpit(*routes) as it:
        await it.until(lambda: f"71/{CAP}" in it.row("real"))
        await it.until(lambda: f"/{CAP} " in it.row("imitated"))
        await it.select("real")
        await it.until(lambda: any(f" {CAP} " in line for line in it.lines("#arrival")))
        await it.pilot.press("+")
        await it.until(lambda: "/2 " in it.row("real"))
        await it.select("broken")
        await it.until(lambda: any("no_finish" in line for line in it.lines("#arrival")))
        await it.until(lambda: "✖ broken" in it.row("broken"))
