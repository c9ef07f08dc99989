"""Whether what a file says is the user's own word: who could have written it, or put it there.

Rule 1: a file is believed where only its owner can write it, and that is who runs us, or root.
Rule 2: so is each folder on the way to it, and each symbolic link, at every step that it takes:
who can write a folder can put another file under the name. In a folder with the sticky bit, such as
/tmp, only an entry's owner can, so there the entry's owner decides. Rule 3: the file that is judged
is the one that is open, not what the name means a moment later. Rule 4: one sentence names the
part that is at fault, and what mends it.

A pipe that we were started with has no name that others could take (`/dev/fd/63`): whoever started
us gave it. Windows has no such owners and modes; nothing is judged there.
"""

import functools
import os
import shlex
import stat
import sys
from pathlib import Path
from typing import Final

from probes.kit.open_regular import is_given_descriptor, open_given, open_regular, read_open

_MOST_LINKS: Final = 40
"""As many symbolic links as Linux follows."""
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_ADMINISTRATORS: Final = {"darwin": ("admin", "wheel"), "linux": ("staff", "wheel", "sudo")}
"""Groups whose members can become root anyway. Homebrew's folders belong to `admin`, and Debian's
/usr/local to `staff`: refusing these would refuse every tool that was installed there."""


class UntrustedError(ValueError):
    """What others could have written or replaced; the text says which part, and what mends it."""


def read_trusted(path: Path, most: int, *, may_be_given: bool = False) -> bytes:
    """Return what a file holds, at most `most` bytes, where only the user can have written it.

    With `may_be_given` it may be a pipe that we were started with, such as `/dev/stdin`.

    Raises:
        UntrustedError: others can write or replace it.
        OSError: it cannot be read, is no regular file, or holds more; `strerror` says so.
    """
    descriptor = open_given(path) if may_be_given else open_regular(path)
    try:
        judge_open(descriptor, path)
        return read_open(descriptor, path, most)
    finally:
        os.close(descriptor)


def judge_open(descriptor: int, path: Path) -> None:
    """Judge an open file by the path it was opened under.

    Raises:
        UntrustedError: others can write or replace it.
        OSError: the path leads nowhere any more.
    """
    if sys.platform == "win32":
        return
    status = os.fstat(descriptor)
    if is_given_descriptor(path):
        if stat.S_ISREG(status.st_mode):
            _judge_file(path, status)
        return
    _judge_file(path, status)
    found = _walk(path)
    if (found.st_dev, found.st_ino) != (status.st_dev, status.st_ino):
        raise UntrustedError("it was replaced while it was opened")


def judge_executable(path: Path) -> None:
    """Judge a program that is to be run; folders that administrators share are no fault of it.

    Raises:
        UntrustedError: others can write or replace it.
        OSError: it is not there.
    """
    if sys.platform != "win32":
        _judge_file(path, _walk(path, administrators=True), administrators=True)


def _walk(path: Path, *, administrators: bool = False) -> os.stat_result:
    """Return what a path leads to, after a look at all that it leads through."""
    waiting = list(reversed(path.absolute().parts))
    here, links = Path(waiting.pop()), 0
    status = here.lstat()
    while waiting:
        name = waiting.pop()
        if name == "..":
            here = here.parent
            status = here.lstat()
            continue
        entry = here / name
        found = entry.lstat()
        _judge_folder(here, status, entry, found, administrators=administrators)
        if not stat.S_ISLNK(found.st_mode):
            here, status = entry, found
            continue
        links += 1
        if links > _MOST_LINKS:
            raise UntrustedError(f"it leads through more than {_MOST_LINKS} symbolic links")
        target = entry.readlink()
        if target.is_absolute():
            here = Path(target.anchor)
            status = here.lstat()
        waiting += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return status


def _judge_folder(
    folder: Path,
    status: os.stat_result,
    entry: Path,
    found: os.stat_result,
    *,
    administrators: bool,
) -> None:
    """Judge whether others can put another `entry` into a folder.

    Raises:
        UntrustedError: they can.
    """
    if not (_is_ours(status.st_uid) or _is_beyond_our_namespace(status.st_uid)):
        raise UntrustedError(
            f"the folder {folder} belongs to {_owner(status)}, who can replace what is in it;"
            f" run: chown {_name(os.geteuid())} {shlex.quote(str(folder))}"
        )
    if not _others_write(status, administrators=administrators) or _is_read_only(folder):
        return
    if not status.st_mode & stat.S_ISVTX:
        raise UntrustedError(
            f"others can write the folder {folder} (mode {_mode(status)}) and replace"
            f" what is in it; run: chmod go-w {shlex.quote(str(folder))}"
        )
    if not _is_ours(found.st_uid):
        raise UntrustedError(
            f"{entry} belongs to {_owner(found)}, expected you or root: in {folder}"
            " its owner can replace it"
        )


def _judge_file(path: Path, status: os.stat_result, *, administrators: bool = False) -> None:
    """Judge who can write a file itself.

    Raises:
        UntrustedError: others can.
    """
    quoted = shlex.quote(str(path))
    if not _is_ours(status.st_uid):
        raise UntrustedError(
            f"it belongs to {_owner(status)}, expected you or root;"
            f" run: chown {_name(os.geteuid())} {quoted}"
        )
    if _others_write(status, administrators=administrators) and not _is_read_only(path):
        raise UntrustedError(
            f"others can write it (mode {_mode(status)}); run: chmod go-w {quoted}"
        )


def _is_ours(uid: int) -> bool:
    return uid in (0, os.geteuid())


def _others_write(status: os.stat_result, *, administrators: bool) -> bool:
    writable = status.st_mode & _OTHERS_WRITE
    if writable == stat.S_IWGRP and administrators:
        return status.st_gid not in _administrators()
    return bool(writable)


def _is_read_only(path: Path) -> bool:
    """Whether a path lies where nobody can write whatever its mode says.

    Kubernetes mounts a ConfigMap so, and gives its folder to everybody (mode 0777).
    """
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


@functools.cache
def _administrators() -> frozenset[int]:
    import grp  # Windows has none

    found = set()
    for name in _ADMINISTRATORS.get(sys.platform, ()):
        try:
            found.add(grp.getgrnam(name).gr_gid)
        except KeyError:
            continue
    return frozenset(found)


@functools.cache
def _overflow_uid() -> int | None:
    """Return the owner that is shown of files whose owner this namespace has no number for.

    None where it has one for everybody: outside of containers.
    """
    try:
        first = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
        if first[:1] == ["0"] and first[1:3] == ["0", "4294967295"]:
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _is_beyond_our_namespace(uid: int) -> bool:
    """Whether a folder's owner cannot be told, as that of `/` in a container without root.

    Its mode still says whether others can write it.
    """
    return uid == _overflow_uid()


def _owner(status: os.stat_result) -> str:
    return f"user {_name(status.st_uid)}"


def _name(uid: int) -> str:
    import pwd  # Windows has none

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
