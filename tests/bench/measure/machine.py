"""The machine, and what of it the benchmark may use."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Placement", "describe", "placement"]


@dataclass(frozen=True)
class Placement:
    """Which cores the truth server and the clients are bound to, None for any; and their weight."""

    server: int | None = None
    clients: int | None = None
    nice: int = 0
    """Of the clients."""

    def __str__(self) -> str:
        """Return it for people."""
        where = f"truth server on core {self.server}, clients on core {self.clients}"
        place = "not pinned" if self.server is None else where
        return f"{place}, clients at nice {self.nice}" if self.nice else place


def placement(*, pinned: bool, nice: int = 0) -> Placement:
    """Return the last core for the server and the first for the clients, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    if not pinned or len(cores) < 2:
        return Placement(nice=nice)
    return Placement(cores[-1], cores[0], nice)


def describe() -> str:
    """Return cores, kernel, Python and the load before the run."""
    load = os.getloadavg()[0]
    return (
        f"{len(os.sched_getaffinity(0))} cores of {_cpu_model()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load before {load:.2f}"
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
