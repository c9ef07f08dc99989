"""Clients' processes: spawned on the right core with a home of their own, and never left behind."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .client import Task

ROOT = Path(__file__).parents[3]
BENCH = Path(__file__).parents[1]
PATIENCE_S = 30.0


def foreign_environment(task: Task) -> dict[str, str]:
    """Return an environment in which a client finds no settings and leaves no traces."""
    home = str(task.folder)
    own = {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_STATE_HOME": home, "XDG_CACHE_HOME": home}
    # A program that may not keep what it has compiled compiles itself at each start.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **own}


def environment(task: Task, root: Path = ROOT, **more: str) -> dict[str, str]:
    """Return the same for a client of this repository, or of another tree of it."""
    paths = os.pathsep.join((str(root), str(BENCH)))
    return {**foreign_environment(task), "PYTHONPATH": paths, **more}


@contextmanager
def spawned(argv: Sequence[str], task: Task, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a group of its own; whatever of the group is left at the end is killed."""
    process = subprocess.Popen(
        argv, cwd=task.folder, start_new_session=True, preexec_fn=_placing(task), **options
    )
    try:
        yield process
    finally:
        _kill_group(process)


def _placing(task: Task) -> Callable[[], None]:
    def place() -> None:
        if task.cores:
            os.sched_setaffinity(0, task.cores)
        os.setpriority(os.PRIO_PROCESS, 0, task.nice)

    return place


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):  # all of it has ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for_end(
    process: subprocess.Popen[bytes], what: str, log: Path, patience_s: float = PATIENCE_S
) -> None:
    """Wait until a client that was asked to end has ended well.

    Raises:
        RuntimeError: it did not, or not in time.
    """
    try:
        status = process.wait(patience_s)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{what} does not end") from None
    if status:
        said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        raise RuntimeError(f"{what} ended with status {status}: {said}")
