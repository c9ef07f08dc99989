"""Busy cores are busy when they are told, and are gone at the end."""

import os
import sys
import time
from pathlib import Path

import pytest

from wires.busy import BusyCores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cores are chosen on Linux alone")


def loops() -> list[int]:
    """CPU time of each loop of ours, in clock ticks."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"os.getppid() == parent" in (folder / "cmdline").read_bytes():
                user, system = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
                found.append(int(user) + int(system))
        except OSError:
            continue
    return found


def test_the_loops_wait_for_their_time_and_leave_nothing_behind() -> None:
    core = min(os.sched_getaffinity(0))
    before = len(loops())
    with BusyCores([core], loops=3) as cores:
        resting = sum(loops())
        time.sleep(0.2)  # that nothing happens can only be waited for
        assert len(loops()) == before + 3
        assert sum(loops()) - resting <= 1 + before * 20
        cores.work()
        deadline = time.monotonic() + 20
        while sum(loops()) < resting + 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sum(loops()) >= resting + 3
    assert len(loops()) == before
