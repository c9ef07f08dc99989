"""Whether a run lives is asked of the kernel, whichever way it ended."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.kit import file_lock
from probes.money.run_lock import RunLocks

ROOT = str(Path(__file__).parents[3])
HOLDER = """
import sys
from pathlib import Path
from probes.money.run_lock import RunLocks
locks = RunLocks(Path(sys.argv[1]))
print(locks.hold("a"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def locks(tmp_path: Path) -> Iterator[RunLocks]:
    """The locks as another process sees them."""
    made = RunLocks(tmp_path / "runs")
    yield made
    made.close()


def test_a_run_is_held_by_whoever_holds_it_until_that_is_let_go(
    locks: RunLocks, tmp_path: Path
) -> None:
    own = RunLocks(tmp_path / "runs")
    assert own.hold("a")
    assert own.hold("a")
    assert own.is_held("a") is True
    assert locks.is_held("a") is True
    own.let_go("a")
    assert locks.is_held("a") is None  # nothing is left that tells
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_process_that_closes_without_a_word_leaves_what_tells_of_it(
    locks: RunLocks, tmp_path: Path
) -> None:
    own = RunLocks(tmp_path / "runs")
    own.hold("a")
    own.close()
    assert locks.is_held("a") is False
    locks.let_go("a")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_killed_process_holds_nothing(locks: RunLocks, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "runs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ROOT},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert locks.is_held("a") is True
        holder.kill()
        holder.wait(10)
        assert locks.is_held("a") is False


@pytest.mark.parametrize("run", ["../ledger", "", "a/b", "a" * 65, "ü"])
def test_what_is_no_name_of_a_run_becomes_no_path(
    locks: RunLocks, tmp_path: Path, run: str
) -> None:
    (tmp_path / "ledger.lock").write_text("")
    assert locks.is_held(run) is None
    locks.let_go(run)
    assert (tmp_path / "ledger.lock").exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_tells_nothing(
    locks: RunLocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    other = RunLocks(tmp_path / "runs")
    other.hold("b")

    def flock(_descriptor: int, _how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(file_lock.fcntl, "flock", flock)
    assert locks.hold("a") is False
    assert locks.is_held("a") is None
    assert locks.is_held("b") is None
    other.close()


def test_what_dead_runs_left_long_ago_is_cleared_away_and_what_is_held_is_not(
    locks: RunLocks, tmp_path: Path
) -> None:
    other = RunLocks(tmp_path / "runs")
    for run in ("dead", "fresh", "held"):
        other.hold(run)
    other.close()
    other.hold("held")
    for run in ("dead", "held"):
        os.utime(tmp_path / "runs" / f"{run}.lock", (1e9, 1e9))
    locks.hold("a")
    left = {path.stem for path in (tmp_path / "runs").iterdir()}
    assert left == {"fresh", "held", "a"}
    other.close()
