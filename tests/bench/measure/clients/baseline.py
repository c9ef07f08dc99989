"""The baselines: each a worker in one process."""

import importlib.util
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..client import RunningClient, Task
from ..readings import Report, load_report
from ..spawning import environment, spawned, wait_for_end


@dataclass(frozen=True)
class _Running:
    process: subprocess.Popen[bytes]
    file: Path
    log: Path

    def processes(self) -> Mapping[str, list[int]]:
        return {"client": [self.process.pid]}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        wait_for_end(self.process, "the client", self.log)

    def report(self, since_ns: int) -> Report:
        whole = load_report(self.file)
        kept = [reading for reading in whole.readings if reading.started_ns >= since_ns]
        return msgspec.structs.replace(whole, readings=kept)


@dataclass(frozen=True)
class Baseline:
    """A client that somebody else wrote, or the floor."""

    name: str
    module: str
    needs: str
    """The package it stands on; empty for none."""
    most_streams: int
    loop: str = "asyncio"

    def missing(self) -> str:
        """Return why it cannot be run here, empty where it can."""
        found = not self.needs or importlib.util.find_spec(self.needs)
        return "" if found else f"{self.needs} is not installed"

    @contextmanager
    def start(self, task: Task) -> Iterator[RunningClient]:
        """Spawn a worker."""
        file, log = task.folder / "report.json", task.folder / "stderr.txt"
        job = [task.base_url, str(task.streams), str(task.tokens), str(file)]
        argv = [sys.executable, "-P", "-m", "measure.clients.worker", self.loop, self.module, *job]
        with (
            log.open("wb") as stderr,
            spawned(argv, task, env=environment(task), stdout=stderr, stderr=stderr) as process,
        ):
            yield _Running(process, file, log)


FLOORS = (
    Baseline("floor", "floor", "", 100_000),
    Baseline("floor on uvloop", "floor", "uvloop", 100_000, loop="uvloop"),
)
BASELINES = (
    *FLOORS,
    Baseline("bare loop", "bare", "", 100_000),
    Baseline("httpx", "plain_httpx", "httpx", 50),
    Baseline("aiohttp", "plain_aiohttp", "aiohttp", 100_000),
    Baseline("openai", "official_openai", "openai", 200),
)
