"""A machine that is busy with other things: processes that never sleep, on given cores.

Rule 1. Every loop has a session of its own. Linux weighs sessions first (autogroups), so a hundred
        loops of one session would take from a monitor no more than one does.
Rule 2. Loops are started stopped, and are told when to work and when to rest: a start takes time
        in the very moment in which the test wants to see something else.
Rule 3. Whoever started them may be killed, and a machine must not stay busy for ever: the kernel
        ends them with their parent.

Even so a monitor that mostly sleeps comes first whenever it wakes up: 64 loops on its core make it
some 30 ms late at worst. What really stops it for long is what has precedence over everything
(root): real-time loops, which here work for `BURST_S` and let others run for `PAUSE_S`.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from typing import Final

BURST_S: Final = 0.4
PAUSE_S: Final = 0.1

# PR_SET_PDEATHSIG is 1. One leader forks the others, which then are some hundred kB each.
_LOOPS: Final = """
import ctypes, os, signal, sys, time
count, realtime = int(sys.argv[1]), sys.argv[2] == "realtime"
burst_s, pause_s = map(float, sys.argv[3:5])
os.sched_setaffinity(0, set(map(int, sys.argv[5:])))
if realtime:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
libc = ctypes.CDLL(None)
libc.prctl(1, signal.SIGKILL)
for _ in range(count - 1):
    if not os.fork():
        libc.prctl(1, signal.SIGKILL)
        os.setsid()
        break
os.write(1, b"%d\\n" % os.getpid())
os.kill(os.getpid(), signal.SIGSTOP)
while True:
    until = time.monotonic() + burst_s
    while time.monotonic() < until:
        pass
    if realtime:
        time.sleep(pause_s)
"""


class BusyCores:
    """Loops on cores, resting until they are told to work; a context manager."""

    def __init__(self, cores: Iterable[int], *, loops: int, realtime: bool = False) -> None:
        """Prepare so many loops on cores that they share; with `realtime`, which is root's, they
        have precedence over all that is not."""
        kind = "realtime" if realtime else "usual"
        self._argv = [str(loops), kind, str(BURST_S), str(PAUSE_S), *map(str, cores)]
        self._loops = loops
        self._leader: subprocess.Popen[bytes] | None = None
        self._pids: list[int] = []

    def __enter__(self) -> "BusyCores":
        """Start the loops.

        Raises:
            RuntimeError: they do not start; its text says why.
        """
        self._leader = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LOOPS, *self._argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._leader.stdout is not None
        for _ in range(self._loops):
            line = self._leader.stdout.readline()
            if not line:
                self._leader.kill()
                said = self._leader.communicate()[1].decode(errors="replace")
                raise RuntimeError(f"{len(self._pids)} of {self._loops} loops started: {said}")
            self._pids.append(int(line))
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        if self._leader is None:
            return
        self._leader.kill()  # and with it, by the kernel, the others
        self._leader.communicate()

    def work(self) -> None:
        """Be busy from now on."""
        self._signal(signal.SIGCONT)

    def rest(self) -> None:
        """Be idle from now on."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._pids:
            os.kill(pid, number)
