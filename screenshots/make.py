"""Make the pictures of this folder from the real app: `python screenshots/make.py` (two minutes).

The engine probes the embedded provider in real time; keys are pressed as a user would. Only the
terminal is Textual's headless one, whose screen is exported as SVG.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from probes.config import Budget, Config, Route
from probes.money.ledger import Ledger
from probes.run.session import Session
from probes.simulator import demo_routes
from tui.app import LlmtopApp
from tui.commands.provider import embedded_provider
from tui.screens.first_run import FirstRunApp

if TYPE_CHECKING:
    from textual.app import App
    from textual.pilot import Pilot

FOLDER = Path(__file__).parent
HOME = (160, 50)
PLENTY = Budget(tokens_per_hour=20_000_000, route_tokens_per_hour=5_000_000)


def save(app: "App[object]", name: str) -> None:
    """Write the screen as it is now."""
    svg = app.export_screenshot(title="llmtop")
    (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
    sys.stdout.write(f"{name}.svg\n")


async def story(pilot: "Pilot[None]", app: LlmtopApp) -> None:
    """Watch the demo, and show what it has to show."""
    await pilot.pause(70)
    save(app, "home")
    await pilot.resize_terminal(80, 24)
    await pilot.pause(1)
    save(app, "narrow")
    await pilot.resize_terminal(*HOME)
    await pilot.press("question_mark")
    await pilot.pause(1)
    save(app, "help")
    await pilot.press("escape")
    await select(pilot, app, "deepseek-v3")
    await pilot.press("plus", "plus", "plus")
    await pilot.pause(15)
    save(app, "throttling")


async def select(pilot: "Pilot[None]", app: LlmtopApp, route: str) -> None:
    """Move the cursor to a route."""
    await pilot.press("g")
    names = [row.name for row in app.session.board.snapshot(window="5m").routes]
    await pilot.press(*["j"] * names.index(route))


async def demo(routes: tuple[Route, ...]) -> None:
    """Run the whole app on the demo's routes."""
    config = Config(routes=routes, budget=PLENTY)
    session = Session(config, {}, recorder=None, ledger=Ledger(None))
    async with anyio.create_task_group() as group:
        group.start_soon(session.run)
        app = LlmtopApp(session, config)
        app.theme = "llmtop"
        async with app.run_test(size=HOME) as pilot:
            await story(pilot, app)
        session.stop()


async def first_run() -> None:
    """Show what a user without any configuration sees."""
    app = FirstRunApp(
        Path("/home/you/.config/llmtop/routes.toml"), ["DEEPINFRA_API_KEY", "GROQ_API_KEY"]
    )
    app.theme = "llmtop"
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause(1)
        save(app, "first_run")


def main() -> None:
    """Make all pictures."""
    anyio.run(first_run)
    with embedded_provider("demo", seed=1) as provider:
        anyio.run(demo, demo_routes(provider.base_url))


if __name__ == "__main__":
    main()
