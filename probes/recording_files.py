"""The files of recordings: private, locked by the run that writes them, bounded together."""

import errno
import os
import re
import stat
from pathlib import Path
from typing import Final, Protocol

from probes.file_lock import try_lock

__all__ = ["RECORDING_NAME", "Segment", "open_segment", "retain"]

RECORDING_NAME: Final = re.compile(r"\d{8}T\d{6}Z-\d+-[0-9a-f]{8}\.\d{4,}\.jsonl")
"""UTC stamp, process id and chance of a run, number of the segment."""

_NS_PER_DAY: Final = 86_400 * 1_000_000_000


class Segment(Protocol):
    """An open, locked file of a recording."""

    def write(self, data: bytes) -> None:
        """Append all of `data` or nothing. Raises OSError."""
        ...

    @property
    def size(self) -> int:
        """Bytes in the file."""
        ...

    def close(self) -> None:
        """Bring it to the disk and let it go. Raises OSError."""
        ...


class _FileSegment:
    """A file that this process alone appends to."""

    def __init__(self, descriptor: int, *, truncate: bool) -> None:
        self._descriptor = descriptor
        if truncate:
            os.ftruncate(descriptor, 0)
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise
        self._size += len(data)

    def close(self) -> None:
        try:
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)


def open_segment(path: Path, *, exclusive: bool) -> Segment:
    """Open a file for one writer, readable by its owner alone.

    Raises:
        OSError: it cannot be opened, or another writer holds it; with `exclusive`, it exists.
    """
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    if exclusive:
        flags |= os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if not try_lock(descriptor):
            raise OSError(errno.EBUSY, "being written by another run", str(path))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        path.chmod(0o600)
        return _FileSegment(descriptor, truncate=not exclusive)
    except BaseException:
        os.close(descriptor)
        raise


def retain(folder: Path, max_bytes: int, max_days: float, now_ns: int) -> list[Path]:
    """Delete recordings that are too old, then the oldest until all fit; return the deleted.

    Only files with a recording's name are touched, and never one that a writer holds.
    """
    with os.scandir(folder) as entries:
        found = sorted(entry.path for entry in entries if RECORDING_NAME.fullmatch(entry.name))
    sizes = {path: status for path in map(Path, found) if (status := _status(path))}
    total = sum(status.st_size for status in sizes.values())
    deleted: list[Path] = []
    for path, status in sizes.items():
        old = now_ns - status.st_mtime_ns > max_days * _NS_PER_DAY
        if (old or total > max_bytes) and _delete_unless_live(path):
            total -= status.st_size
            deleted.append(path)
    return deleted


def _status(path: Path) -> os.stat_result | None:
    """Return what is known of a file; None where another run has just deleted it."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _delete_unless_live(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        if not try_lock(descriptor):
            return False
        path.unlink()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
