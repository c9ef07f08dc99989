"""Shared by all tests."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from probes.money.ledger import Ledger
from probes.stats import digest
from probes.stats.sketch import BACKEND, SKETCHES

# How long an example takes tells of the machine, which may be busy, not of the code under test. CI
# plays the same examples each time: what a change breaks is red, and nothing else. New ones are
# looked for wherever people run the tests.
settings.register_profile("llmtop", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("llmtop")


def pytest_configure() -> None:
    """Undo what whoever started the tests had signals ignored for: nohup, or a shell's `&`.

    Children inherit it, and what is ignored at the start stays so in llmtop.
    """
    for name in ("SIGHUP", "SIGINT", "SIGQUIT"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what asks for the tests that take minutes."""
    parser.addoption("--long", action="store_true", help="run the tests marked `long`, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what takes minutes unless it is asked for; then let it take an hour."""
    asked = config.getoption("--long")
    marker = pytest.mark.timeout(3600) if asked else pytest.mark.skip(reason="needs --long")
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker(marker)


@pytest.fixture(autouse=True, scope="session")
def _runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let what is counted apart, where a ledger cannot be used, be this run's alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, which Textual needs."""
    return "asyncio"


@pytest.fixture(params=sorted(SKETCHES), scope="module")
def package(request: pytest.FixtureRequest) -> Any:
    """Let long digests be held by one package, then by the other where it is installed."""
    name: str = request.param
    if name == "fastdigest" != BACKEND:
        pytest.skip("fastdigest is not installed: the extra `fast` brings it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest, "new_sketch", SKETCHES[name])
        yield name


@pytest.fixture
def closed_ledgers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every ledger that a test opened."""
    opened: list[Ledger] = []
    begin = Ledger.__init__

    def note(ledger: Ledger, *args: Any, **settings: Any) -> None:
        begin(ledger, *args, **settings)
        opened.append(ledger)

    monkeypatch.setattr(Ledger, "__init__", note)
    yield
    for ledger in opened:
        ledger.close()
