"""An advisory lock on an open file, freed by the kernel when its holder ends, however it ends."""

import errno
import sys

__all__ = ["try_lock"]

if sys.platform == "win32":

    def try_lock(descriptor: int) -> bool:
        """Tell that the lock is ours: this platform has no flock, and file names are unique."""
        return descriptor >= 0

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Take an exclusive lock; return False where somebody else holds it.

        On a file system that knows no locks the lock is ours: file names are unique.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
                raise
        return True
