"""An advisory lock on an open file, freed by the kernel when its holder ends, however it ends."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LOOK_S: Final = 0.05
"""Between two tries: who holds it writes a file anew."""


class FileBusyError(OSError):
    """Somebody else was at it for as long as one would wait."""


if sys.platform == "win32":

    def take_lock(descriptor: int) -> bool | None:  # noqa: ARG001
        """Tell that nothing can be known: this platform has no flock."""
        return None

else:
    import fcntl

    def take_lock(descriptor: int) -> bool | None:
        """Take an exclusive lock; False where somebody else holds it, None where there are none.

        Raises:
            OSError: the file system fails.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS):
                raise
            return None
        return True


def try_lock(descriptor: int) -> bool:
    """Take an exclusive lock; return False where somebody else holds it.

    Where there are no locks it is ours: what is locked so has a name that nobody else uses.
    """
    return take_lock(descriptor) is not False


@contextmanager
def alone(path: Path, within_s: float) -> Iterator[None]:
    """Be the only one who does something that a file stands for; made where it is missing.

    Where there are no locks nobody is waited for.

    Raises:
        FileBusyError: somebody else is at it for longer than `within_s` seconds.
        OSError: the file system fails.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        deadline = time.monotonic() + within_s
        while take_lock(descriptor) is False:
            if time.monotonic() > deadline:
                raise FileBusyError(errno.EBUSY, "it is being mended by another run", str(path))
            time.sleep(_LOOK_S)
        yield
    finally:
        os.close(descriptor)
