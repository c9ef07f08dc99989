"""An advisory lock on an open file, freed by the kernel when its holder ends, however it ends."""

import errno
import sys

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
