"""Runs one command for its parent, and sees to it that nothing of it outlives the parent.

A program of its own, started by `probes.config.key_command` as `python -I -S keeper.py STATUS
INPUT PROGRAM ARGV…` in a session of its own; it imports nothing of ours. INPUT is the descriptor
of what the command reads, -1 for nothing.

Descriptor 0 is the life-line: a pipe of which the parent holds the other end and never writes to.
However the parent ends, by a signal that it handles or by SIGKILL, the kernel closes that end, and
the keeper kills the command with all that it started, wherever that has gone: on Linux it adopts
what its descendants leave behind, so that a process which made itself a session is found as well.
Where the keeper itself is killed, the kernel kills the command (Linux).

The end of the command is the end of the process, not of its pipe: an agent that it started may hold
that open for ever. Such an agent is left alone when the command ends by itself. How it ended is
reported on the descriptor STATUS: `s` and the exit status, negative for a signal; or `e` and the
number of the error for which it could not be started.
"""

import os
import select
import signal
import sys
from pathlib import Path

_LIFE_LINE = 0
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
"""Numbers of prctl(2)."""
_ROUNDS = 50
"""Sweeps over the processes of this machine before what still starts others is left to the group's
signal; two are enough for whatever does not flee on purpose."""


def main() -> None:
    """Run the command; never returns but by `os._exit`."""
    status, given = int(sys.argv[1]), int(sys.argv[2])
    program, argv = sys.argv[3], sys.argv[4:]
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)  # the life-line alone ends it
    _prctl(_SET_CHILD_SUBREAPER, 1)
    # Closed by the start of the program, as exec closes all that is not handed down; else it brings
    # the number of the error.
    failure, failure_end = os.pipe()
    command = os.fork()
    if not command:
        os.close(failure)
        _become(program, argv, status, given, failure_end)
    os.close(failure_end)
    if given >= 0:
        os.close(given)
    os.close(1)  # the command's; our copy would hold it open
    failed = os.read(failure, 16)
    if failed:
        os.write(status, b"e%s\n" % failed)
        os._exit(1)
    while True:
        ready, _, _ = select.select([_LIFE_LINE, wake_read], [], [])
        if _LIFE_LINE in ready:
            _kill_all(command)
        os.read(wake_read, 64)
        ended, how = os.waitpid(command, os.WNOHANG)
        if ended:
            os.write(status, b"s%d\n" % os.waitstatus_to_exitcode(how))
            os._exit(0)


def _become(program: str, argv: list[str], status: int, given: int, failure: int) -> None:
    """Be the command: no stdin but what is given, no stderr, and an end with the keeper's."""
    keeper = os.getppid()
    signal.set_wakeup_fd(-1)
    for restored in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(restored, signal.SIG_DFL)
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != keeper:  # it went before its death could be heard of
        os._exit(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null if given < 0 else given, 0)
    os.dup2(null, 2)
    os.close(status)
    if given >= 0:
        os.close(given)
    try:
        os.execv(program, argv)  # noqa: S606 - without a shell, on purpose
    except OSError as error:
        os.write(failure, b"%d" % (error.errno or 0))
    os._exit(127)


def _kill_all(command: int) -> None:
    """Kill the command and everything that came of it, then this process with its group."""
    for _ in range(_ROUNDS):
        found = _descendants()
        for process in found or [command]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break  # none is left
    os.killpg(0, signal.SIGKILL)


def _descendants() -> list[int]:
    """Return the processes that descend from this one, where the system tells (Linux)."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        parents[int(folder.name)] = int(fields[1])
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def _prctl(what: int, value: int) -> None:
    """Ask Linux for something; other systems have the life-line and the group alone."""
    if sys.platform != "linux":
        return
    import ctypes  # only where it is of use

    ctypes.CDLL(None, use_errno=True).prctl(what, value, 0, 0, 0)


if __name__ == "__main__":
    main()
