"""llmtop itself, as its users run it: headless, or with its screen on a pseudo-terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from probes.events import AttemptFinished, Event, Tick, decode_event

from ..client import RunningClient, Task
from ..matching import quantile
from ..processes import descendants
from ..readings import Reading, Report
from ..spawning import ROOT, environment, spawned, wait_for_end

ROUTES = 8
LINES, COLUMNS = 50, 160
PLENTY = 10**12
NS_PER_MS = 1_000_000
LONGEST_S = 120.0
"""After its time, in case nobody is left to stop it."""
SUMMARY = b'{"type":"summary"'


def routes_toml(task: Task, *defaults: str) -> str:
    """Return settings in which eight routes, or as many as there are, share the streams, with more
    lines for all of them."""
    routes = min(ROUTES, task.streams)
    lines = [
        "[defaults]",
        f'base_url = "{task.base_url}/v1"',
        'model = "metronome"',
        f"max_tokens = {task.tokens}",
        "interval = 0",
        *defaults,
        "[budget]",
        f"tokens_per_hour = {PLENTY}",
        f"route_tokens_per_hour = {PLENTY}",
    ]
    for number in range(routes):
        share = task.streams // routes + (number < task.streams % routes)
        lines += [f"[routes.route-{number + 1}]", f"concurrency = {share}"]
    return "\n".join(lines) + "\n"


def report_of(events: Iterable[Event], since_ns: int = 0) -> Report:
    """Return what llmtop's events say of the attempts and seconds since then."""
    readings, lags = [], []
    for event in events:
        if isinstance(event, Tick) and event.at_ns >= since_ns:
            lags.append(event.health.loop_lag_p99_ns / NS_PER_MS)
        elif isinstance(event, AttemptFinished) and (reading := _reading(event, since_ns)):
            readings.append(reading)
    return Report(readings=readings, loop_lag_ms=quantile(lags, 0.5))


def _reading(event: AttemptFinished, since_ns: int) -> Reading | None:
    stamps = event.stamps_ns
    if not (event.request_id and stamps.started and stamps.first_token and stamps.done):
        return None
    if stamps.started < since_ns:
        return None
    return Reading(
        request_id=event.request_id,
        started_ns=stamps.started,
        first_ns=stamps.first_token,
        done_ns=stamps.done,
        chunks_ns=[stamps.started + offset for offset in event.chunk_offsets_ns],
        flagged="first_token" in event.inexact,
    )


def _events(path: Path) -> Iterator[Event]:
    with path.open("rb") as file:
        for line in file:
            if not line.startswith(SUMMARY):
                yield decode_event(line)


def _command(task: Task, *options: str, defaults: tuple[str, ...] = ()) -> list[str]:
    settings = task.folder / "routes.toml"
    settings.write_text(routes_toml(task, *defaults))
    settings.chmod(0o600)
    installed = Path(sys.executable).with_name("llmtop")
    program = [str(installed)] if installed.exists() else [sys.executable, "-P", "-m", "tui.cli"]
    return [*program, "--config", str(settings), *options]


@dataclass(frozen=True)
class _Running:
    """Either kind at work."""

    process: subprocess.Popen[bytes]
    events: Path
    log: Path

    def processes(self) -> Mapping[str, list[int]]:
        return {"engine": descendants(self.process.pid), "cockpit": [self.process.pid]}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        wait_for_end(self.process, "llmtop", self.log)

    def report(self, since_ns: int) -> Report:
        return report_of(_events(self.events), since_ns)


@dataclass(frozen=True)
class Headless:
    """`llmtop --headless`, its events in a file."""

    name: str = "llmtop headless"
    root: Path = ROOT
    """The tree whose llmtop it is."""
    most_streams: int = 100_000
    defaults: tuple[str, ...] = ()
    """More lines of its settings, for all routes."""

    def missing(self) -> str:
        """Return nothing: it is always there."""
        return ""

    @contextmanager
    def start(self, task: Task) -> Iterator[RunningClient]:
        """Spawn it."""
        events, log = task.folder / "events.jsonl", task.folder / "stderr.txt"
        longest = f"{task.seconds + LONGEST_S:g}"
        options = ("--headless", "--no-record", "--duration", longest)
        argv = _command(task, *options, defaults=self.defaults)
        with (
            events.open("wb") as stdout,
            log.open("wb") as stderr,
            spawned(
                argv, task, env=environment(task, self.root), stdout=stdout, stderr=stderr
            ) as run,
        ):
            yield _Running(run, events, log)


@dataclass(frozen=True)
class _RunningScreen(_Running):
    master: int

    def stop(self) -> None:
        os.write(self.master, b"q")
        wait_for_end(self.process, "llmtop", self.log)


class Screen:
    """`llmtop` with its live screen of 160×50, recording to a file."""

    name = "llmtop screen"
    most_streams = 100_000

    def missing(self) -> str:
        """Return nothing: it is always there."""
        return ""

    @contextmanager
    def start(self, task: Task) -> Iterator[RunningClient]:
        """Spawn it on a pseudo-terminal whose output is read as fast as it comes."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        events, log = task.folder / "events.jsonl", task.folder / "terminal.txt"
        argv = _command(task, "--record", str(events))
        env = environment(task, TERM="xterm-256color", COLORTERM="truecolor")
        ended = threading.Event()
        try:
            with spawned(argv, task, env=env, stdin=slave, stdout=slave, stderr=slave) as process:
                drain = threading.Thread(target=_drain, args=(master, log, ended), daemon=True)
                drain.start()
                yield _RunningScreen(process, events, log, master)
            ended.set()
            drain.join()
        finally:
            ended.set()
            os.close(slave)
            os.close(master)


def _drain(master: int, log: Path, ended: threading.Event) -> None:
    """Take what the screen writes, as a quick terminal would; keep it for when something fails."""
    with log.open("wb") as file, suppress(OSError):
        while not ended.is_set():
            if select.select([master], [], [], 0.1)[0]:
                file.write(os.read(master, 65_536))
