"""A machine that is busy with other things: processes that never sleep, on given cores.

Linux shares a core by weight, so one loop beside a monitor costs it little: whoever wakes up from a
sleep comes first. What a loaded machine does to it takes many loops, or heavier ones.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from typing import Final

# One leader forks the others, which are then some hundred kB each. All look now and then whether
# their parent is still there: a test that is killed must not leave a machine busy for ever.
_LOOPS: Final = """
import os, sys
loops, nice, cores = int(sys.argv[1]), int(sys.argv[2]), set(map(int, sys.argv[3:]))
os.sched_setaffinity(0, cores)
os.setpriority(os.PRIO_PROCESS, 0, nice)
for _ in range(loops - 1):
    if not os.fork():
        break
parent = os.getppid()
os.write(1, b".")
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


class BusyCores:
    """Loops that wait for their time, stopped; a context manager."""

    def __init__(self, cores: Iterable[int], *, loops: int, nice: int = 0) -> None:
        """Prepare so many loops on cores that they share; a `nice` below 0 is root's."""
        self._argv = [str(loops), str(nice), *map(str, cores)]
        self._loops = loops
        self._leader: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "BusyCores":
        """Start the loops, and stop them again.

        Raises:
            RuntimeError: they do not start.
        """
        self._leader = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LOOPS, *self._argv],
            stdout=subprocess.PIPE,
            process_group=0,
        )
        assert self._leader.stdout is not None
        started = self._leader.stdout.read(self._loops)
        self.rest()
        if len(started) < self._loops:
            self.__exit__()
            raise RuntimeError(f"of {self._loops} loops {len(started)} started")
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        if self._leader is not None:
            self._signal(signal.SIGKILL)
            self._leader.wait()
            assert self._leader.stdout is not None
            self._leader.stdout.close()

    def work(self) -> None:
        """Be busy from now on."""
        self._signal(signal.SIGCONT)

    def rest(self) -> None:
        """Be idle from now on."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        assert self._leader is not None
        os.killpg(self._leader.pid, number)
