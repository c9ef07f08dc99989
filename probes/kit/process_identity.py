"""Which process a record belongs to, so that another can tell whether it still lives.

1. A process id means something only in its own PID namespace of its own boot: containers share the
   machine's boot id and count their processes from 1 each. Of a process elsewhere nothing is known.
2. A process id is used again; with the time of its start it is not.
"""

import os
import sys
from pathlib import Path
from typing import Final

import msgspec

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_PID_SPACE: Final = Path("/proc/self/ns/pid")
_START_FIELD: Final = 19
"""Field 22 of /proc/PID/stat (proc_pid_stat(5)), counted from the one after the name."""


class RunIdentity(msgspec.Struct, frozen=True):
    """A process of one boot of one machine."""

    pid: int
    boot: str
    """The boot's id; empty where the platform tells none."""
    born: str
    """When the process started; empty where the platform does not tell."""
    space: str = ""
    """The PID namespace that `pid` counts in; empty where the platform does not tell."""

    def is_alive(self) -> bool | None:
        """Tell whether it still runs; None where that cannot be known from here."""
        if not self.boot or not self.space:
            return None
        if (self.boot, self.space) != (boot_id(), _pid_space()):
            return None
        born = _born(self.pid)
        return born != "" and born == self.born


def current_identity() -> RunIdentity:
    """Return this process."""
    return RunIdentity(os.getpid(), boot_id(), _born(os.getpid()), _pid_space())


def boot_id() -> str:
    """Return this boot's id; empty where the platform tells none."""
    if sys.platform != "linux":
        return ""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _pid_space() -> str:
    """Return this process's PID namespace by its inode (namespaces(7)); empty without one."""
    try:
        status = _PID_SPACE.stat()
    except OSError:
        return ""
    return f"{status.st_dev:x}:{status.st_ino}"


def _born(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[_START_FIELD] if fields[0] != "Z" else ""
