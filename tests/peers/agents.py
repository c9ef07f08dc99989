"""Agents as processes of their own, each with a state folder, and what they gave to a bus."""

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from peer_processes import python

from probes.bus.address import bus_address
from probes.bus.connection import BusConnection, StreamMessage
from probes.bus.names import FIRST_HEADER, RUN_HEADER, events_of
from probes.kit.clock import SystemClock

PATIENCE_S: Final = 40.0

ROUTES: Final = """
[defaults]
base_url = "{url}"
model = "{model}"
max_tokens = 16
interval = {interval}
[routes.chat]
[routes.other]
"""
MODEL: Final = "sim"


def settings(folder: Path, url: str, *, interval: float = 0.2, model: str = MODEL) -> Path:
    """Write the settings of two routes at a provider."""
    path = folder / "routes.toml"
    path.write_text(ROUTES.format(url=url, interval=interval, model=model), encoding="utf-8")
    return path


class Agent:
    """One agent of a place; it may be started again after it has ended."""

    def __init__(self, folder: Path, place: str, url: str, config: Path, *options: str) -> None:
        self.place = place
        self.state = folder / place
        self.said_path = folder / f"{place}.err"
        arguments = ("--config", str(config), "--bus", url, "--place", place, *options)
        self._command = python("-m", "tui.cli", "agent", *arguments)
        self._process: subprocess.Popen[bytes] | None = None
        self.state.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start it, and return at once."""
        environ = {**os.environ, "XDG_STATE_HOME": str(self.state)}
        with self.said_path.open("ab") as said:
            self._process = subprocess.Popen(
                self._command, stderr=said, stdout=subprocess.DEVNULL, env=environ
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would; its engine notices, and ends."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def end(self) -> int:
        """Ask it to end in order; return its status."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def ended(self) -> int:
        """Wait for an end of its own; return its status."""
        return self.process.wait(PATIENCE_S)

    @property
    def said(self) -> str:
        return self.said_path.read_text(encoding="utf-8") if self.said_path.exists() else ""

    def recorded(self) -> list[list[bytes]]:
        """Return the lines of each recorded run, oldest run first."""
        folder = self.state / "llmtop" / "recordings"
        runs: dict[str, list[bytes]] = defaultdict(list)
        for path in sorted(folder.glob("*.jsonl")):
            lines = path.read_bytes().splitlines(keepends=True)
            runs[path.name.split(".", 1)[0]] += [line for line in lines if line.endswith(b"\n")]
        # Names begin with the second at which they began, and two may begin in one.
        stamps = {stem: (folder / f"{stem}.0001.jsonl").stat().st_ino for stem in runs}
        return [runs[stem] for stem in sorted(runs, key=lambda stem: (stem[:16], stamps[stem]))]

    @property
    def unsent_files(self) -> list[Path]:
        return list((self.state / "llmtop" / "agents").glob("*"))


async def until(holds: Callable[[], bool], what: str = "", seconds: float = PATIENCE_S) -> None:
    """Wait for other processes."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, what
        await anyio.sleep(0.05)


@asynccontextmanager
async def on_the_bus(url: str) -> AsyncIterator[BusConnection]:
    """Give a connection that comes back."""
    bus = BusConnection(bus_address(url), clock=SystemClock(), name=f"test {sys.argv[0]}")
    await bus.connect()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.run)
        try:
            yield bus
        finally:
            tasks.cancel_scope.cancel()
    await bus.close()


async def messages_of(bus: BusConnection, place: str) -> list[StreamMessage]:
    """Return all that a place gave, in the order of the stream."""
    last = await bus.last(events_of(place))
    found: list[StreamMessage] = []
    if last is None:
        return found
    async with bus.messages(events_of(place), after=0) as messages:
        async for message in messages:
            found.append(message)
            if message.sequence == last.sequence:
                return found
    raise AssertionError("the connection was lost")


def by_run(messages: list[StreamMessage]) -> Mapping[str, list[bytes]]:
    """Return the lines of each life in order; none is doubled, missing, or out of order."""
    runs: dict[str, list[bytes]] = {}
    for message in messages:
        run = message.headers[RUN_HEADER]
        assert run == max([run, *runs]), "an earlier life after a later one"
        lines = runs.setdefault(run, [])
        assert int(message.headers[FIRST_HEADER]) == len(lines) + 1
        lines += message.data.splitlines(keepends=True)
    return runs


def assert_all_sent(agent: Agent, messages: list[StreamMessage]) -> None:
    """Hold what is in the stream against what was recorded.

    A life that was killed may have sent what it had no time to record, and nothing else differs.
    """
    sent, recorded = list(by_run(messages).values()), agent.recorded()
    assert len(sent) == len(recorded)
    for in_stream, on_disk in zip(sent, recorded, strict=True):
        assert in_stream[: len(on_disk)] == on_disk
        assert len(in_stream) - len(on_disk) < 100
