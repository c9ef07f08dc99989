"""Which process a record belongs to, so that another can tell whether it still lives."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["RunIdentity", "boot_id", "current_identity"]

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_START_FIELD: Final = 19
"""Field 22 of /proc/PID/stat (proc_pid_stat(5)), counted from the one after the name."""


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """A process of one boot of one machine."""

    pid: int
    boot: str
    """The boot's id; empty where the platform tells none."""
    born: str
    """When the process started; empty where the platform does not tell."""

    def is_alive(self) -> bool | None:
        """Tell whether it still runs; None where that cannot be known from here."""
        if not self.boot or self.boot != boot_id():
            return None
        born = _born(self.pid)
        return born != "" and born == self.born


def current_identity() -> RunIdentity:
    """Return this process."""
    return RunIdentity(os.getpid(), boot_id(), _born(os.getpid()))


def boot_id() -> str:
    """Return this boot's id; empty where the platform tells none."""
    if sys.platform != "linux":
        return ""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _born(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[_START_FIELD] if fields[0] != "Z" else ""
