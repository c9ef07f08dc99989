"""The machine, and what of it the benchmark may use."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Placement:
    """Who runs where, and with what weight; no cores are any cores."""

    server: frozenset[int] = frozenset()
    clients: frozenset[int] = frozenset()
    nice: int = 0
    """Of the clients."""

    def __str__(self) -> str:
        """Return it for people."""
        server, clients = _cores(self.server), _cores(self.clients)
        return f"truth server on {server}, clients on {clients} at nice {self.nice}"


def _cores(cores: frozenset[int]) -> str:
    return f"core {', '.join(map(str, sorted(cores)))}" if cores else "any core"


def placement(*, pinned: bool, nice: int = 0) -> Placement:
    """Give the last core to the server and the others to the clients, where there are two."""
    *others, last = sorted(os.sched_getaffinity(0))
    if not pinned or not others:
        return Placement(nice=nice)
    return Placement(frozenset({last}), frozenset(others), nice)


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
