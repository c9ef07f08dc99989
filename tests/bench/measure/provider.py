"""The metronome in a process of its own, at real-time priority if allowed.

It is the one in C where there is a compiler: the one in Python is late above 500 streams, and takes
from a machine of two cores what the clients' own kernel work needs.
"""

import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from truth import MetronomePage, Pace
from truth.command import ARGV, ENVIRONMENT, argv_in_c

ROOT = Path(__file__).parents[3]
PRIORITY = 10
NOTHING = 10**17
POLL_S = 0.02


@dataclass(frozen=True)
class Provider:
    """A running truth server."""

    base_url: str
    """Without `/v1`."""
    pace: Pace
    pid: int
    realtime: bool
    """Whether it runs before everything else on its core."""
    in_c: bool
    """Whether it is the one in C."""

    def clear(self) -> None:
        """Forget all that was."""
        self._page("DELETE", NOTHING)

    def truth(self) -> MetronomePage:
        """Return all that was since it was cleared."""
        return self._page("GET", 0)

    def wait_for_request(self, client: subprocess.Popen[bytes], patience_s: float) -> int:
        """Wait for a client's first request since it was cleared; return its arrival.

        Raises:
            TimeoutError: there was none.
            RuntimeError: the client has ended.
        """
        deadline = time.monotonic() + patience_s
        while (arrival_ns := self._page("GET", NOTHING).first_arrival_ns) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no request within {patience_s:g} s")
            if client.poll() is not None:
                raise RuntimeError(f"it ended with status {client.returncode} at once")
            time.sleep(POLL_S)
        return arrival_ns

    def _page(self, method: str, since: int) -> MetronomePage:
        url = f"{self.base_url}/truth?since={since}"
        request = urllib.request.Request(url, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return msgspec.json.decode(answer.read(), type=MetronomePage)


@contextmanager
def provider(pace: Pace, *, seed: int, cores: frozenset[int], realtime: bool) -> Iterator[Provider]:
    """Run the truth server; on some cores where they are given."""
    low, high = pace.first_after_s
    options = ["--tokens", str(pace.tokens), "--rate", str(pace.tokens_per_s)]
    options += ["--first-after", str(low), str(high), "--seed", str(seed), "--until-eof"]
    with (
        tempfile.TemporaryDirectory(prefix="llmtop-metronome-") as folder,
        _started([*((in_c := argv_in_c(Path(folder))) or ARGV), *options]) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        if cores:
            os.sched_setaffinity(process.pid, cores)
        try:
            hastened = realtime and _hasten(process.pid)
            yield Provider(base_url, pace, process.pid, hastened, in_c is not None)
        finally:
            process.stdin.close()


def _started(argv: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)


def _hasten(pid: int) -> bool:
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except PermissionError:
        return False
    return True
