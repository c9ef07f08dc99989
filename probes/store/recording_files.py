"""The files of recordings: private, locked by the run that writes them, bounded together.

A file that the user names is emptied only where nothing is lost by it: it is opened as it is,
locked, and looked at through its descriptor; empty it may be, or a recording, which begins with a
`hello` of ours. It is emptied when there is something to write in its place.
"""

import errno
import os
import re
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from probes.kit.file_lock import try_lock
from probes.kit.open_regular import open_regular

RECORDING_NAME: Final = re.compile(r"\d{8}T\d{6}Z-\d+-[0-9a-f]{8}\.\d{4,}\.jsonl")
"""UTC stamp, process id and chance of a run, number of the part."""

_LONGEST_HELLO: Final = 16 << 20
"""Bytes; a thousand routes have a thirtieth of it. Without a bound a file of another kind, which
may have no newline at all, would be read whole."""
_READ_BYTES: Final = 1 << 16
_NS_PER_DAY: Final = 86_400 * 1_000_000_000


class RecordedPlace(NamedTuple):
    """A place between two lines of a recording."""

    part: Path
    offset: int
    """Bytes before it in the part."""
    hellos: bytes
    """The `hello` lines that are needed to read on from it, which a part repeats at its head: the
    last before it, of several places that of each."""


def part_number(path: Path) -> int:
    """Return which part of its run a file is, the first being 1. It has a recording's name."""
    return int(path.name.split(".")[1])


class OpenPart(Protocol):
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


class RecordingHead(msgspec.Struct, tag_field="type", tag="hello"):
    """What the first line of every recording tells, of whatever schema."""

    engine: str
    version: str
    schema: int


class _PartFile:
    """A file that this process alone appends to, in the place of what it holds."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_emptied = False
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def write(self, data: bytes) -> None:
        if not self._is_emptied:
            # Not before: a run that fails to start leaves the recording before it as it is.
            os.ftruncate(self._descriptor, 0)
            self._is_emptied = True
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            # What was written of a batch goes again: the next line would follow a torn one, and the
            # whole batch is tried again.
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise
        self._size += len(data)

    def close(self) -> None:
        try:
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)


def open_part(path: Path, *, exclusive: bool) -> OpenPart:
    """Open a file for one writer, readable by its owner alone.

    Raises:
        OSError: it cannot be opened, or another writer holds it; with `exclusive`, it exists;
            without, it holds something else than a recording, or is another user's.
    """
    flags = os.O_RDWR | os.O_CREAT
    if exclusive:
        # A name of ours that is there already is nobody's honest doing, nor is a link in its place.
        flags |= os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = open_regular(path, flags)
    try:
        if not try_lock(descriptor):
            raise OSError(errno.EBUSY, "being written by another run", str(path))
        if not exclusive:
            _refuse_to_empty(descriptor, path)
        if os.name == "posix":
            os.fchmod(descriptor, 0o600)  # a file that was there may have been open to others
        return _PartFile(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _refuse_to_empty(descriptor: int, path: Path) -> None:
    """Make sure that nothing is lost where an open file is emptied.

    Raises:
        OSError: it is another user's, or holds something else than a recording.
    """
    status = os.fstat(descriptor)
    # Another user's file, in a folder that both may write to, is a trap for our events.
    if os.name == "posix" and status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, "belongs to another user", str(path))
    if status.st_size and not _begins_with_hello(descriptor):
        words = "holds something else than a recording, and is left as it is; name another file"
        raise OSError(errno.EEXIST, words, str(path))
    os.lseek(descriptor, 0, os.SEEK_SET)


def _begins_with_hello(descriptor: int) -> bool:
    head = bytearray()
    while b"\n" not in head and len(head) <= _LONGEST_HELLO:
        piece = os.read(descriptor, _READ_BYTES)
        if not piece:
            break
        head += piece
    line, end, _ = bytes(head).partition(b"\n")
    try:
        msgspec.json.decode(line, type=RecordingHead)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return bool(end)


def is_being_written(path: Path) -> bool:
    """Return whether a run holds a recording's file now."""
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)


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
