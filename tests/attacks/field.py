"""Real processes of llmtop with a state folder of their own, and what their ledger knows."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

from probes.money.ledger import Ledger

ROOT = Path(__file__).parents[2]
LLMTOP = (sys.executable, "-P", "-m", "tui.cli")
_PATIENCE_S = 30.0


@dataclass
class Run:
    """A headless run: its process, and the events it has printed until now."""

    process: subprocess.Popen[bytes]
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def engine(self) -> int:
        """The engine's process id; waits for its hello."""
        until(lambda: any(event["type"] == "hello" for event in self.events))
        return max(
            (event["at_ns"], event["pid"]) for event in self.events if event["type"] == "hello"
        )[1]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return its events of one type."""
        return [event for event in list(self.events) if event["type"] == kind]

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self.process.kill()
        self.process.wait(_PATIENCE_S)

    def stop(self) -> int:
        """End it in order; return its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE_S)


class Field:
    """A machine's state folder, a settings file, and the runs that share them."""

    def __init__(self, folder: Path, routes: Sequence[Mapping[str, Any]], budget: str = "") -> None:
        self.folder = folder
        self.state = folder / "state"
        self.ledger = self.state / "llmtop" / "ledger.sqlite3"
        self.runs: list[Run] = []
        self.config = folder / "routes.toml"
        tables = [
            f"[routes.{one['name']}]\n"
            + "".join(f"{k} = {json.dumps(v)}\n" for k, v in one.items() if k != "name")
            for one in routes
        ]
        self.config.write_text("\n".join([budget, *tables]))
        self.config.chmod(0o600)
        for name in ("state", "config", "runtime"):
            (folder / name).mkdir(mode=0o700)

    def __enter__(self) -> "Field":
        return self

    def __exit__(self, *_: object) -> None:
        for run in self.runs:
            with suppress(ProcessLookupError):
                run.process.kill()
            run.process.wait(_PATIENCE_S)

    @property
    def environment(self) -> dict[str, str]:
        """What the processes find in their environment."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(self.state),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_RUNTIME_DIR": str(self.folder / "runtime"),
        }

    def start(self, *arguments: str, before: Sequence[str] = (), record: bool = False) -> Run:
        """Start a headless run; `before` stands in front of its command."""
        recording = () if record else ("--no-record",)
        process = subprocess.Popen(
            [*before, *LLMTOP, "--headless", "--config", self.config, *recording, *arguments],
            stdout=subprocess.PIPE,
            env=self.environment,
        )
        run = Run(process)
        self.runs.append(run)
        Thread(target=_read, args=(run,), daemon=True).start()
        return run

    def command(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start another command of llmtop."""
        return subprocess.Popen(
            [*LLMTOP, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def known(self) -> int:
        """Return the tokens that the ledger knows to be spent."""
        ledger = Ledger(self.ledger)
        try:
            return ledger.used()[0]
        finally:
            ledger.close()


def _read(run: Run) -> None:
    assert run.process.stdout is not None
    with run.process.stdout as lines:
        for line in lines:
            with suppress(ValueError):  # a killed process may leave half a line
                run.events.append(json.loads(line))


def until(condition: Any, seconds: float = _PATIENCE_S) -> None:
    """Wait for what other processes bring about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Tell whether a process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
