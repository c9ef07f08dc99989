"""Stages as seen from outside: started, read with the time of each line, and never left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from wires.stage import RECORDING, Stage

_ROOT: Final = Path(__file__).parents[2]
_LEAVE_S: Final = 30.0
"""What starting and ending may take beside the stage's own duration, on a busy machine."""
_running: Final[set[int]] = set()
"""Stages that play, by process."""
_over: Final = threading.Event()
"""No more stages are to be played."""


@dataclass(frozen=True)
class Line:
    """What llmtop printed, and when it could be read."""

    seen_ns: int
    """Monotonic."""
    event: dict[str, Any]


@dataclass
class Played:
    """A stage that was played."""

    start_ns: int
    """Monotonic; the seconds of the stage's schedules count from here."""
    lines: list[Line] = field(default_factory=list)
    status: int = 0
    """Of llmtop; below 0 the signal that ended it."""
    said: str = ""
    """On stderr."""
    recording: Path = Path()

    def of_type(self, kind: str) -> list[Line]:
        """Return the lines of one type."""
        return [line for line in self.lines if line.event["type"] == kind]

    def after_s(self, at_ns: int) -> float:
        """Return a moment in seconds of the stage."""
        return (at_ns - self.start_ns) / 1e9


def play(stage: Stage, folder: Path) -> Played:
    """Play a stage to its end in a process of its own; `folder` takes all its files.

    Raises:
        RuntimeError: it did not start, or did not end, or no more are to be played.
    """
    if _over.is_set():
        raise RuntimeError("no more stages are to be played")
    file = folder / "stage.json"
    file.write_bytes(msgspec.json.encode(stage))
    argv = [sys.executable, "-P", "-m", "wires.stage", str(file), str(folder)]
    paths = os.pathsep.join((str(_ROOT), str(_ROOT / "tests")))
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            argv,
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    _running.add(process.pid)
    played = Played(start_ns=0, recording=folder / RECORDING)
    deadline_s = time.monotonic() + stage.duration_s + _LEAVE_S
    try:
        assert process.stdout is not None
        for raw in process.stdout:
            line = Line(time.monotonic_ns(), json.loads(raw))
            if line.event["type"] == "stage":
                played.start_ns = line.event["start_ns"]
            else:
                played.lines.append(line)
        played.status = process.wait(max(1.0, deadline_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise RuntimeError("the stage does not end") from None
    finally:
        _kill(process.pid)
        process.wait()
        _running.discard(process.pid)
        if process.stdout is not None:
            process.stdout.close()
        played.said = (folder / "stderr").read_text(errors="replace")
    if not played.start_ns:
        raise RuntimeError(f"the stage did not start: {played.said[-2000:]}")
    return played


def end_all() -> None:
    """End all stages that other threads play, and let none begin; these are told by an error."""
    _over.set()
    for pid in tuple(_running):
        _kill(pid)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # all of it has ended by itself
        os.killpg(pid, signal.SIGKILL)
