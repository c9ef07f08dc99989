"""A lock file for each run, beside the ledger: whether the run lives is asked of the kernel.

A run holds its file locked from before its first lease until its end. The kernel frees the lock
whichever way the holder ends, and it does so for processes of every container that shares the
folder: their process ids mean nothing to each other, the lock does. Where a file system has no
locks nothing is known by it, and the run's identity and the time decide.
"""

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from probes.kit.file_lock import take_lock

_RUN: Final = re.compile(r"[0-9A-Za-z_]{1,64}")
"""A run's name; what else a ledger may hold in its place must not become a path."""


OLD_S: Final = 86_400
"""A lock file that is older and not held is nobody's: leases run out within the hour."""


class RunLocks:
    """The lock files of one ledger; holds those of this process's own runs."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which is made when it is first needed."""
        self._folder = folder
        self._held: dict[str, int] = {}

    def hold(self, run: str) -> bool:
        """Lock a run's file until `let_go`; False where no lock can be had. Raises OSError."""
        if run in self._held:
            return True
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self._path(run), flags, 0o600)
        try:
            locked = take_lock(descriptor) is True
        except BaseException:
            os.close(descriptor)
            raise
        if not locked:
            os.close(descriptor)
            with suppress(OSError):
                self._path(run).unlink()
            return False
        self._held[run] = descriptor
        return True

    def is_held(self, run: str) -> bool | None:
        """Tell whether somebody holds a run's lock; None where that cannot be known."""
        if not _RUN.fullmatch(run):
            return None
        if run in self._held:
            # Never opened anew: on NFS closing any descriptor of a file frees our own lock of it.
            return True
        flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            descriptor = os.open(self._path(run), flags)
        except OSError:
            return None  # deleted, or not ours to open
        try:
            taken = take_lock(descriptor)
        except OSError:
            taken = None
        finally:
            os.close(descriptor)
        return None if taken is None else not taken

    def let_go(self, run: str) -> None:
        """Free a run's lock, or clear away what a dead one has left."""
        if _RUN.fullmatch(run):
            with suppress(OSError):  # its file tells nothing any more, there or not
                self._path(run).unlink()
        descriptor = self._held.pop(run, None)
        if descriptor is not None:
            os.close(descriptor)

    def close(self) -> None:
        """Free all locks as the end of the process would: their files stay, and tell of it."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def _sweep(self) -> None:
        """Clear away what dead runs have left that no ledger asks after any more."""
        oldest = time.time() - OLD_S
        with os.scandir(self._folder) as entries:
            found = [Path(entry.name).stem for entry in entries if _is_old(entry, oldest)]
        for run in found:
            if self.is_held(run) is False:
                self.let_go(run)

    def _path(self, run: str) -> Path:
        return self._folder / f"{run}.lock"


def _is_old(entry: "os.DirEntry[str]", oldest: float) -> bool:
    try:
        return entry.name.endswith(".lock") and entry.stat(follow_symlinks=False).st_mtime < oldest
    except OSError:
        return False  # gone meanwhile
