"""Make the pictures of this folder from the real app: `python screenshots/make.py` (ten minutes).

With names of stories (`demo`, `slow`, `queueing`, `hang`, `compare`, `sweep`, `auto`,
`leaderboard`, `places`, `history`, `first-run`) only theirs are made.

The engine probes the embedded provider in real time; keys are pressed as a user would, and verdicts
are waited for, never made up. Only the terminal is Textual's headless one, whose screen is exported
as SVG, and the weeks before the run of `history` are (`weeks.py`): nobody can wait for them.
"""

import argparse
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from weeks import fill

from probes.comparing.views import ComparisonView
from probes.config import Budget, Config
from probes.config.places import GivenPlace, config_at
from probes.engine.introduction import route_info
from probes.events import Cause
from probes.history.keeper import HistoryKeeper, default_history_path
from probes.history.records import identity_of
from probes.money.ledger import Ledger
from probes.run.comparison_run import Comparisons
from probes.run.session import Session
from probes.run.sweep_run import Sweeps
from probes.simulator.library import demo_routes
from tui.app import LlmtopApp
from tui.commands.provider import embedded_provider
from tui.screens.first_run import FirstRunApp
from tui.screens.live import LiveScreen

if TYPE_CHECKING:
    from textual.app import App
    from textual.pilot import Pilot

FOLDER = Path(__file__).parent
HOME = (160, 50)
LESSON = (120, 40)
"""Of the pictures that teach: they stand in the middle of a page."""
PATIENCE_S = 240
"""Within which a verdict comes, or something is wrong with what names it."""
PLENTY = Budget(tokens_per_hour=20_000_000, route_tokens_per_hour=5_000_000)


def save(app: "App[Any]", name: str) -> None:
    """Write the screen as it is now."""
    svg = app.export_screenshot(title="llmtop")
    (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
    sys.stdout.write(f"{name}.svg\n")


async def story(pilot: "Pilot[None]", app: LlmtopApp) -> None:
    """Watch the demo, and show what it has to show."""
    await named(pilot, app, "kimi-k2", "outage")
    await pilot.pause(2)
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
    await named(pilot, app, "deepseek-v3", "rate_limited_concurrency")
    await pilot.pause(10)
    save(app, "throttling")
    await pilot.resize_terminal(*LESSON)
    await pilot.press("enter")
    await pilot.pause(1)
    save(app, "limit")
    await pilot.press("escape", "u")
    await pilot.pause(45)  # until there are enough probes behind it to be judged
    save(app, "undone")


async def queueing(pilot: "Pilot[None]", app: LlmtopApp) -> None:
    """Wait until a provider queues, and show what proves it."""
    await pilot.resize_terminal(*LESSON)
    await named(pilot, app, "hit", "provider_queueing")
    await pilot.pause(15)
    save(app, "queueing")
    await pilot.press("enter")
    await pilot.pause(2)
    save(app, "queueing_page")


async def hang(pilot: "Pilot[None]", app: LlmtopApp) -> None:
    """Wait until a route takes requests and answers nothing, and show what proves it."""
    await pilot.resize_terminal(*LESSON)
    await named(pilot, app, "hit", "no_answer")
    await pilot.pause(15)
    save(app, "hang")
    await pilot.press("enter")
    await pilot.pause(2)
    save(app, "hang_page")


async def compare(pilot: "Pilot[None]", app: LlmtopApp) -> None:
    """Compare two routes of one provider until it is known which is faster."""
    await select(pilot, app, "llama-70b-eu")
    await pilot.press("t")
    await select(pilot, app, "deepseek-v3")
    await pilot.press("t", "C", "y")
    with anyio.fail_after(PATIENCE_S):
        while (shown := compared(app)) is None or not shown.is_over:
            await pilot.pause(0.5)
    await pilot.pause(1)
    save(app, "compare")


def compared(app: LlmtopApp) -> ComparisonView | None:
    """Return the comparison that the cockpit shows."""
    (cockpit,) = {one.cockpit for one in app.screen_stack if isinstance(one, LiveScreen)}
    return cockpit.comparisons.view


async def sweep(pilot: "Pilot[None]", app: LlmtopApp) -> None:
    """Look for how much a provider carries that answers in batches of 16."""
    await pilot.pause(20)  # so that its page has something to show before
    await pilot.press("g", "enter", "K", "y")
    (cockpit,) = {one.cockpit for one in app.screen_stack if isinstance(one, LiveScreen)}
    with anyio.fail_after(10 * 60):
        while (shown := cockpit.sweeps.view) is None or not shown.is_over:
            await pilot.pause(0.5)
    await pilot.pause(1)
    save(app, "sweep")


async def adaptive(pilot: "Pilot[None]", app: LlmtopApp) -> None:
    """Let the concurrency of a route find itself, against a limit that is told nowhere."""
    await pilot.pause(20)
    await pilot.press("g", "l")
    await pilot.pause(60)
    save(app, "auto")


async def leaderboard(pilot: "Pilot[None]", app: LlmtopApp) -> None:
    """Rank the routes of the demo."""
    await pilot.pause(40)
    await pilot.press("O")
    await pilot.pause(2)
    save(app, "leaderboard")


async def incident(pilot: "Pilot[None]", app: LlmtopApp) -> None:
    """Wait until a route writes slowly, and for long enough that its charts show it."""
    await select(pilot, app, "llama-70b-eu")
    await named(pilot, app, "llama-70b-eu", "provider_slow_decode")
    await pilot.pause(25)
    save(app, "incident")


async def again(pilot: "Pilot[None]", app: LlmtopApp) -> None:
    """Wait until a route writes slowly that did so before, and show its weeks."""
    await select(pilot, app, "llama-70b-eu")
    await named(pilot, app, "llama-70b-eu", "provider_slow_decode")
    await pilot.press("enter")
    await pilot.pause(15)
    save(app, "again")
    await pilot.press("escape", "H", "s")
    await pilot.pause(3)
    save(app, "history")


async def named(pilot: "Pilot[None]", app: LlmtopApp, route: str, cause: Cause) -> None:
    """Wait until a cause is named of a route. Raises TimeoutError."""
    with anyio.fail_after(PATIENCE_S):
        while not any(
            route in one.diagnosis.routes
            and one.diagnosis.cause == cause
            and one.diagnosis.state == "named"
            for one in app.session.board.snapshot(window="5m").incidents
        ):
            await pilot.pause(0.5)


async def select(pilot: "Pilot[None]", app: LlmtopApp, route: str) -> None:
    """Move the cursor to a route."""
    await pilot.pause(2)
    await pilot.press("g")
    names = [row.name for row in app.session.board.snapshot(window="5m").routes]
    await pilot.press(*["j"] * names.index(route))


async def watch(
    scenario: str,
    tell: Callable[["Pilot[None]", LlmtopApp], Awaitable[None]],
    *,
    weeks: int = 0,
) -> None:
    """Run the whole app on a scenario's routes; of the first so many weeks are known."""
    with embedded_provider(scenario, seed=1) as provider, TemporaryDirectory() as state:
        os.environ["XDG_STATE_HOME"] = state
        routes = demo_routes(provider.base_url, scenario)
        history = None
        if weeks:
            path = default_history_path()
            path.parent.mkdir()
            fill(path, identity_of(route_info(routes[0])), time.time(), days=7 * weeks)
            history = HistoryKeeper(path, max_mb=500, max_days=400)
        config = Config(routes=routes, budget=PLENTY)
        ledger = Ledger(None)
        comparisons = Comparisons(config, {}, ledger=ledger)
        sweeps = Sweeps(config, {}, ledger=ledger)
        session = Session(
            config,
            {},
            recorder=None,
            ledger=ledger,
            compare=lambda: comparisons,
            sweep=lambda: sweeps,
            history=history,
        )
        async with anyio.create_task_group() as group:
            group.start_soon(session.run)
            app = LlmtopApp(session, config)
            app.theme = "llmtop"
            async with app.run_test(size=HOME) as pilot:
                await tell(pilot, app)
            session.stop()


async def places() -> None:
    """Watch four routes from three places, to one of which the way becomes slow."""
    near, far = (str(FOLDER / name) for name in ("places.toml", "places_far.toml"))
    given = [GivenPlace(name, "local") for name in ("ap-south", "eu-west", "us-east")]
    with embedded_provider(near, seed=1) as well, embedded_provider(far, seed=1) as slow:
        shared = Config(routes=demo_routes(well.base_url, near), budget=PLENTY)
        config = config_at(shared, *(place.name for place in given))
        routes = tuple(
            msgspec.structs.replace(
                route, base_url=route.base_url.replace(well.base_url, slow.base_url)
            )
            if route.place == "eu-west"
            else route
            for route in config.routes
        )
        config = msgspec.structs.replace(config, routes=routes)
        session = Session(config, {}, recorder=None, ledger=Ledger(None), places=given)
        async with anyio.create_task_group() as group:
            group.start_soon(session.run)
            app = LlmtopApp(session, config)
            app.theme = "llmtop"
            async with app.run_test(size=HOME) as pilot:
                with anyio.fail_after(PATIENCE_S):
                    while not app.session.board.snapshot(window="5m").incidents:
                        await pilot.pause(0.5)
                await pilot.pause(45)  # until all of its routes are in it
                save(app, "places")
                await pilot.resize_terminal(*LESSON)
                await pilot.press("W")
                await pilot.pause(2)
                save(app, "places_grid")
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


STORIES: dict[str, Callable[[], Awaitable[None]]] = {
    "first-run": first_run,
    "demo": lambda: watch("demo", story),
    "slow": lambda: watch(str(FOLDER / "incident.toml"), incident),
    "queueing": lambda: watch("provider-queueing", queueing),
    "hang": lambda: watch("no-answer", hang),
    "compare": lambda: watch("demo", compare),
    "sweep": lambda: watch("edge-batching", sweep),
    "auto": lambda: watch("edge-concurrency-silent", adaptive),
    "leaderboard": lambda: watch("demo", leaderboard),
    "places": places,
    "history": lambda: watch(str(FOLDER / "incident.toml"), again, weeks=8),
}


def main() -> None:
    """Make the pictures of all stories, or of those that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("stories", nargs="*", metavar="STORY", choices=[[], *STORIES])
    for name in parser.parse_args().stories or STORIES:
        anyio.run(STORIES[name])


if __name__ == "__main__":
    main()
