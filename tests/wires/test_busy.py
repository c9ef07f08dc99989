"""Busy cores are busy when they are told, and are gone at the end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wires.busy import BURST_S, BusyCores
from wires.namespaces import missing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cores are chosen on Linux alone")


LATEST = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
latest, until = 0.0, time.monotonic() + 1.5
while time.monotonic() < until:
    due = time.monotonic() + 0.01
    time.sleep(0.01)
    latest = max(latest, time.monotonic() - due)
print(latest)
"""
"""How late a process on a core was at worst, in seconds."""


def loops() -> list[int]:
    """CPU time of each loop of ours, in clock ticks."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"libc.prctl(1, signal.SIGKILL)" in (folder / "cmdline").read_bytes():
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
    deadline = time.monotonic() + 20
    while len(loops()) > before and time.monotonic() < deadline:
        time.sleep(0.01)  # the kernel ends the others a moment after their leader
    assert len(loops()) == before


@pytest.mark.long  # not that it takes long: it stops all that runs beside it
@pytest.mark.skipif(bool(missing("realtime")), reason=missing("realtime"))
def test_real_time_loops_come_before_everything_and_pause() -> None:
    core = max(os.sched_getaffinity(0))
    with BusyCores([core], loops=1, realtime=True) as cores:
        cores.work()
        beside = subprocess.run(
            [sys.executable, "-I", "-S", "-c", LATEST, str(core)], stdout=subprocess.PIPE
        )
    latest_s = float(beside.stdout)
    assert latest_s > BURST_S / 2
    assert latest_s < 10 * BURST_S


def test_loops_that_cannot_start_say_why() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)0 of 1 loops started: .*Invalid argument"):
        BusyCores([4095], loops=1).__enter__()
