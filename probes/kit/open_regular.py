"""Files that a user names: opened without ever waiting for what is no file.

Rule 1: a path is opened without blocking, then looked at through its descriptor, never before: what
a name means may change between a look and an opening. Rule 2: what is no regular file is refused
and says what it is: opening a named pipe waits for a writer, for ever where there is none, and a
device may have no end. Rule 3: what is read whole has a bound.

The one exception is a descriptor that the caller of the program gave it on purpose, for what is
read whole and once: `/dev/stdin`, and `/dev/fd/N` of a process substitution. It is read to its
end, for at most `PIPE_SECONDS`.
"""

import errno
import os
import re
import select
import stat
import time
from pathlib import Path
from typing import Final

PIPE_SECONDS: Final = 10.0
"""What whoever writes into a given pipe has for all of it: as long as a key command has."""
_READ_BYTES: Final = 65_536
_GIVEN: Final = re.compile(r"/dev/(stdin|fd/[0-9]{1,6})|/proc/(self|thread-self)/fd/[0-9]{1,6}")
_KINDS: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a disk"),
)
_NOT_BLOCKING: Final = getattr(os, "O_NONBLOCK", 0)
_ALWAYS: Final = (
    getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
)


class NotRegularError(OSError):
    """What a path names is no regular file; `strerror` says what it is."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(errno.EINVAL, f"is {what}, expected a regular file", str(path))


class TooLargeError(OSError):
    """A file has more bytes than are read of it; `strerror` says how many those are."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(errno.EFBIG, f"is larger than {most:,} bytes", str(path))


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Return a descriptor of the regular file at `path`, which the caller closes.

    `flags` and `mode` are those of `os.open`; a file that O_CREAT makes is one. O_TRUNC is done
    only once it is known to be one. Never waits.

    Raises:
        NotRegularError: it is a named pipe, a device, a folder or the like.
        OSError: it cannot be opened.
    """
    descriptor = _open(path, flags & ~os.O_TRUNC, mode)
    try:
        what = kind_of(os.fstat(descriptor))
        if what:
            raise NotRegularError(path, what)
        if _NOT_BLOCKING:
            os.set_blocking(descriptor, True)
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_given_descriptor(path: Path) -> bool:
    """Whether a path names a descriptor that this process was started with: `/dev/fd/63`."""
    return _GIVEN.fullmatch(str(path)) is not None


def open_given(path: Path) -> int:
    """Return a descriptor of a regular file, or of a pipe that the caller gave us.

    Raises:
        NotRegularError: it is neither; a terminal is not.
        OSError: it cannot be opened.
    """
    if not is_given_descriptor(path):
        return open_regular(path)
    descriptor = _open(path, os.O_RDONLY, 0)
    status = os.fstat(descriptor)
    if not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
        what = "a terminal" if os.isatty(descriptor) else kind_of(status)
        if what:
            os.close(descriptor)
            raise NotRegularError(path, what)
    return descriptor


def read_open(descriptor: int, path: Path, most: int, *, seconds: float = PIPE_SECONDS) -> bytes:
    """Return all that an open file or pipe holds, at most `most` bytes; the caller closes it.

    Raises:
        TooLargeError: there are more.
        OSError: it cannot be read, or a pipe did not end within `seconds`.
    """
    deadline_s = time.monotonic() + seconds
    data = bytearray()
    while len(data) <= most:
        try:
            piece = os.read(descriptor, min(_READ_BYTES, most + 1 - len(data)))
        except BlockingIOError:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
                words = f"did not end within {seconds:g} s"
                raise TimeoutError(errno.ETIMEDOUT, words, str(path)) from None
            continue
        if not piece:
            return bytes(data)
        data += piece
    raise TooLargeError(path, most)


def kind_of(status: os.stat_result) -> str:
    """Return what is no regular file, in words; empty for one that is."""
    if stat.S_ISREG(status.st_mode):
        return ""
    return next((words for is_kind, words in _KINDS if is_kind(status.st_mode)), "no file")


def _open(path: Path, flags: int, mode: int) -> int:
    try:
        return os.open(path, flags | _ALWAYS | _NOT_BLOCKING, mode)
    except OSError as error:
        # A named pipe without a reader, and a socket, cannot even be opened so.
        if error.errno in (errno.ENXIO, errno.EOPNOTSUPP, errno.EISDIR):
            what = kind_of(path.stat())
            if what:
                raise NotRegularError(path, what) from None
        raise
