"""What processes use, as the kernel counts it; Linux."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CPUCLOCK_SCHED = 2


def cpu_ns(pids: Iterable[int]) -> int:
    """Return the CPU time the processes have used, all threads, user and system.

    It is read from their CPU clocks (clock_getcpuclockid(3)), which count ns where /proc/PID/stat
    counts 10 ms. A process that has ended counts nothing.
    """
    total = 0
    for pid in pids:
        try:
            total += time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)
        except OSError:
            continue
    return total


def peak_rss_bytes(pids: Iterable[int]) -> int:
    """Return the sum of the processes' largest resident sizes so far (VmHWM)."""
    total = 0
    for pid in pids:
        try:
            lines = (PROC / str(pid) / "status").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)
    return total


@dataclass(frozen=True)
class CoreTime:
    """What all cores of the machine have done since it started, in seconds."""

    busy_s: float
    """Everything that ran here."""
    stolen_s: float
    """The host of the virtual machine ran something else."""


def core_time() -> CoreTime:
    """Return what the kernel counts in /proc/stat."""
    fields = (PROC / "stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, stolen = map(int, fields[1:9])
    ticks_s = os.sysconf("SC_CLK_TCK")
    return CoreTime((user + nice + system + irq + softirq) / ticks_s, stolen / ticks_s)


def favour(pids: Iterable[int], nice: int) -> None:
    """Give the sessions of processes a weight against other sessions.

    Linux weighs sessions first (autogroups) and the niceness of processes only within one.
    """
    for pid in pids:
        with suppress(OSError):  # no autogroups here, or the process has ended
            (PROC / str(pid) / "autogroup").write_text(str(nice))


def descendants(pid: int) -> list[int]:
    """Return the processes below a process, children first."""
    parents = _parents()
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def _parents() -> dict[int, int]:
    parents = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents
