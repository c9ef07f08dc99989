"""Descriptors: how many this process may have open, and the few that its own work keeps.

Rule 1: the soft limit is raised to the hard one when work begins; shells hand down 256 or 1,024.
Rule 2: connections leave the last few alone. Without these a name cannot be looked up, a ledger or
a certificate not be opened, and what dies of that is no single probe. The kernel always gives the
lowest number that is free, so a connection whose number lies in the reserve is one too many.
"""

import errno
import os
import sys
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import resource

MOST: Final = 65_536
"""No run of 1,000 workers a route comes near it, and some programs walk through all numbers up to
the limit when they start a child."""
_MACOS_MOST: Final = 10_240
"""What macOS allows where it calls the hard limit infinite (OPEN_MAX)."""
RESERVED: Final = 16
"""For lookups (two each while they last), certificates, the ledger, a recording and its rotation.
Of a limit below four times as many, a quarter."""
_FOLDERS: Final = (Path("/proc/self/fd"), Path("/dev/fd"))


def raise_descriptor_limit() -> int | None:
    """Raise this process's soft limit as far as is allowed and sensible; return it.

    None where the system has none.
    """
    if sys.platform == "win32":
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (MOST, _MACOS_MOST):
        wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            continue
        break
    return descriptor_limit()


def descriptor_limit() -> int | None:
    """Return how many descriptors this process may have; None where there is no limit."""
    if sys.platform == "win32":
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def leave_reserve(descriptor: int) -> None:
    """Refuse the number of a new connection that lies in the reserve; its owner closes it.

    Raises:
        OSError: EMFILE, as if there were no more.
    """
    limit = descriptor_limit()
    if limit is not None and descriptor >= limit - _reserved(limit):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def need_descriptor() -> None:
    """Make sure that what failed, or passed over what it could not open, had a descriptor to open.

    Resolvers and OpenSSL take a file that cannot be opened for one that is not there.

    Raises:
        OSError: EMFILE or ENFILE: there is none left.
    """
    os.close(os.open(os.devnull, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)))


def room_for_connections(connections: int) -> int | None:
    """Return how many connections this process can have at once, of which some are open now.

    None where nothing bounds them.
    """
    limit = descriptor_limit()
    if limit is None:
        return None
    others = max(0, _open() - connections)
    return max(0, limit - _reserved(limit) - others)


def _reserved(limit: int) -> int:
    return min(RESERVED, limit // 4)


def _open() -> int:
    """Return how many descriptors are open; a guess where the system does not list them."""
    for folder in _FOLDERS:
        try:
            return len(os.listdir(folder)) - 1  # noqa: PTH208 - names alone, and one is the list's
        except OSError:
            continue
    return RESERVED
