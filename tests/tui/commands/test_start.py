"""The engine starts first and ends last, whatever becomes of the screen."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import pytest
from fakes import FakeSession

from probes.config import Config, Display
from probes.config.errors import ConfigError
from tui.commands.start import Screen, run_app, run_cockpit
from tui.draw.theme import THEMES
from tui.draw.theme_names import OWN_THEMES


@dataclass
class FakeScreen:
    """A screen that does what a test says."""

    body: Callable[[], object] = lambda: None
    forever: bool = False
    return_code: int | None = None
    left: anyio.Event = field(default_factory=anyio.Event)

    async def run_async(self) -> None:
        self.body()
        if self.forever:
            await self.left.wait()

    def exit(self) -> None:
        self.left.set()


def loading(screen: FakeScreen) -> Callable[[], Callable[[], Screen]]:
    return lambda: lambda: screen


@dataclass
class BrokenSession(FakeSession):
    """A session that fails at once."""

    error: Exception = field(default_factory=lambda: RuntimeError("engine room on fire"))

    async def run(self) -> None:
        raise self.error


@dataclass
class MarkedSession(FakeSession):
    """A session that says when it runs."""

    running: threading.Event = field(default_factory=threading.Event)

    async def run(self) -> None:
        self.running.set()
        await super().run()


@pytest.mark.anyio
async def test_the_engine_is_stopped_when_the_screen_ends() -> None:
    session = FakeSession()
    seen: list[bool] = []
    screen = FakeScreen(lambda: seen.append(session.stopped.is_set()), return_code=3)
    with anyio.fail_after(5):
        assert await run_cockpit(session, loading(screen)) == 3
    assert seen == [False]
    assert session.stopped.is_set()


@pytest.mark.anyio
async def test_the_engine_runs_while_the_screen_is_still_being_imported() -> None:
    session = MarkedSession()

    def load() -> Callable[[], Screen]:
        assert session.running.wait(5)
        return FakeScreen

    with anyio.fail_after(5):
        await run_cockpit(session, load)


@pytest.mark.anyio
async def test_the_engine_is_stopped_where_the_screen_cannot_be_had() -> None:
    session = FakeSession()

    def load() -> Callable[[], Screen]:
        raise ImportError("no textual")

    with anyio.fail_after(5), pytest.raises(ExceptionGroup) as raised:
        await run_cockpit(session, load)
    assert raised.group_contains(ImportError, match="no textual")
    assert session.stopped.is_set()


@pytest.mark.anyio
async def test_a_duration_ends_the_screen() -> None:
    with anyio.fail_after(5):
        assert await run_cockpit(FakeSession(), loading(FakeScreen(forever=True)), 0.01) == 0


@pytest.mark.anyio
async def test_a_broken_session_ends_the_screen_and_is_told() -> None:
    with anyio.fail_after(5), pytest.raises(ExceptionGroup) as raised:
        await run_cockpit(BrokenSession(), loading(FakeScreen(forever=True)))
    assert raised.group_contains(RuntimeError, match="on fire")


def test_a_theme_that_is_not_there_is_told_with_those_that_are() -> None:
    settings = Config(routes=(), display=Display(theme="no such theme"), source="/x/routes.toml")
    with pytest.raises(ConfigError) as told:
        run_app(FakeSession(), settings)
    (problem,) = told.value.problems
    assert problem.startswith("routes.toml: display.theme: got no such theme, expected one of ")
    for name in ("llmtop-light", "textual-dark"):
        assert name in problem


def test_the_own_themes_are_those_there_are() -> None:
    assert {theme.name for theme in THEMES} == OWN_THEMES


def test_starting_waits_for_neither_textual_nor_the_provider() -> None:
    program = "import sys, tui.commands.live, tui.commands.start; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    modules = told.stdout.split()
    for late in ("textual", "httpx", "probes.simulator", "probes.engine.engine"):
        assert late not in modules


def test_all_that_is_wrong_with_theme_and_keys_is_told_at_once() -> None:
    settings = Config(
        routes=(),
        source="/etc/routes.toml",
        display=Display(theme="neon"),
        keys={"mor": ("x",), "undo": ("q",)},
    )
    with pytest.raises(ConfigError) as caught:
        run_app(FakeSession(), settings)
    theme, *keys = caught.value.problems
    assert theme.startswith("routes.toml: display.theme: got neon, expected one of ")
    assert keys == [
        "routes.toml: keys.mor: unknown key, did you mean more?",
        "routes.toml: keys.undo: got q, expected another key than that of quit on the same screen",
    ]


def test_what_only_a_few_ask_for_is_not_imported_with_the_screen() -> None:
    program = "import sys, tui.app; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    rare = {"tomlkit", "markdown_it", "probes.config.saving"}
    assert rare.isdisjoint(ended.stdout.split())
