"""Runs of `llmtop` as a user starts them, bounded and ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LLMTOP = (sys.executable, "-P", "-m", "tui.cli")
HEADLESS = (*LLMTOP, "--headless", "--no-record")


def home_of(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a run that finds and leaves everything under `folder`."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **more,
    }


@contextmanager
def running(
    argv: Sequence[str], environ: Mapping[str, str], **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in a session of its own; whatever of it is left at the end is killed."""
    process = subprocess.Popen(
        list(argv),
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.PIPE),
        start_new_session=True,
        **options,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()


def events_of(printed: bytes) -> list[dict[str, Any]]:
    """The events of a headless run."""
    return [json.loads(line) for line in printed.splitlines() if line.startswith(b"{")]


def until(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait until something holds, no longer than `seconds`; return whether it does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(mark: str) -> list[int]:
    """The processes whose command line or environment holds a mark; zombies are none."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            told = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if mark.encode() in told and state != "Z":
            found.append(int(folder.name))
    return found
