"""What does a cockpit over many places cost? `python tests/bench/places.py [--screen] [3x5 20x20]`

For each PxR: P places of R routes at one probe a second each are made up and published through a
real `nats-server -js` on loopback, and read by `llmtop --bus`, printed into a pipe that is read at
once, or with `--screen` drawn on a terminal of 160×50. A row for each: CPU of a core above the same
program while nobody publishes, its memory at the end and at its most, and the delay from an event's
stamp to its line, or to the table that shows it (so batches of half a second are in it, and the
half second that a table stands); printed also what was lost or came twice. `--past` seconds come at
once when it has begun, as those of places that were away, `--faults` kills the server twice and
stops the agents meanwhile, and gives the delay outside of these outages as well, `--profile FILE`
says where the time goes.
"""

import argparse
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "peers")]

from nats_server import NatsServer, nats_server  # noqa: E402

from probes.kit.clock import NS_PER_S  # noqa: E402

IDLE_S = 8.0
SETTLE_S = 5.0
DOWN_S = 5.0
HEALED_S = 10.0
SIZE = (160, 50)
RUN = "import sys; from tui.cli import main; sys.exit(main())"
PROFILED = """
import cProfile, os, sys
from tui.cli import main
profile = cProfile.Profile()
status = profile.runcall(main, sys.argv[1:])
profile.dump_stats(os.environ["PROFILE_TO"])
sys.exit(status)
"""


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> tuple[float, float]:
    """Return the memory that a process holds, and the most that it held."""
    told = Path(f"/proc/{pid}/status").read_text()
    now, most = (re.search(rf"{name}:\s+(\d+)", told) for name in ("VmRSS", "VmHWM"))
    assert now
    assert most
    return int(now[1]) / 1024, int(most[1]) / 1024


def spread(ordered: Sequence[float]) -> str:
    """Return the columns of delays in seconds."""
    p50, p95 = (ordered[round(share * (len(ordered) - 1))] for share in (0.5, 0.95))
    return f" {p50:8.2f} {p95:8.2f}"


class Printed:
    """A cockpit without a screen, and what its lines say."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*command, "--headless"], stdout=subprocess.PIPE, env=environ
        )
        self.delays: list[tuple[int, float]] = []
        """Stamp and seconds from there to the line."""
        self.kinds: Counter[str] = Counter()
        self.probes: Counter[bytes] = Counter()
        self.notices: list[str] = []
        self.since_ns = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            kind = line[9 : line.index(b'"', 9)].decode()
            self.kinds[kind] += 1
            if kind == "probe_finished":
                stamp = int(line[line.index(b'"at_ns":') + 8 :].split(b",", 1)[0])
                if stamp >= self.since_ns:
                    self.delays.append((stamp, (time.time_ns() - stamp) / NS_PER_S))
                found = re.search(rb'"route":"([^"]+)","probe":"([^"]+)"', line)
                assert found
                self.probes[found[1] + b" " + found[2]] += 1
            elif kind == "notice":
                self.notices.append(json.loads(line)["text"])

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self._thread.join(10)


class Drawn:
    """A cockpit on a terminal that takes what it draws at once."""

    def __init__(self, command: list[str], environ: dict[str, str], delays: Path) -> None:
        self._delays = delays
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        self.since_ns = 0
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, env=environ, start_new_session=True
        )
        os.close(slave)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while os.read(self._master, 1 << 16):
                pass
        except OSError:
            return

    def end(self) -> None:
        os.write(self._master, b"q")
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(60)

    def told(self) -> str:
        """Return the columns of the delay, of the whole time."""
        if not self._delays.is_file():
            return ""
        steps = {int(step): n for step, n in json.loads(self._delays.read_text()).items()}
        return spread([step / 100 for step in sorted(steps) for _ in range(steps[step])])


@contextmanager
def publisher(url: str, places: int, routes: int, options: argparse.Namespace) -> Iterator[Any]:
    """Let places publish; gives the process once the present begins."""
    argv = [sys.executable, str(Path(__file__).with_name("places_publisher.py")), url]
    argv += ["--places", str(places), "--routes", str(routes), "--past", str(options.past)]
    argv += ["--seconds", str(options.seconds + SETTLE_S + 2)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def outage(outages: list[tuple[int, int]]) -> Iterator[None]:
    """Note what was not to be heard in time: what was said in it, right before it, and until all
    that waited has come."""
    began_ns = time.time_ns()
    yield
    outages.append((began_ns - 2 * NS_PER_S, time.time_ns() + round(HEALED_S * NS_PER_S)))


def faults(
    server: NatsServer, agents: "subprocess.Popen[str]", seconds: float
) -> list[tuple[int, int]]:
    """Kill the server twice for some seconds, and stop all agents between, for a minute at most;
    return from when to when (Unix ns) each outage was felt."""
    ends = time.monotonic() + seconds
    outages: list[tuple[int, int]] = []
    time.sleep(seconds / 5)
    with outage(outages):
        server.kill()
        time.sleep(DOWN_S)
        server.start()
    time.sleep(seconds / 5)
    with outage(outages):
        agents.send_signal(signal.SIGSTOP)
        time.sleep(min(60.0, seconds / 5))
        agents.send_signal(signal.SIGCONT)
    time.sleep(seconds / 10)
    with outage(outages):
        server.kill()
        time.sleep(DOWN_S)
        server.start()
    time.sleep(max(0.0, ends - time.monotonic()))
    return outages


def measure(places: int, routes: int, options: argparse.Namespace, folder: Path) -> str:
    """Return the row of one size."""
    program = ["-c", PROFILED if options.profile else RUN]
    if options.screen and not options.profile:
        program = [str(Path(__file__).with_name("places_cockpit.py"))]
    with nats_server(folder / "bus") as server:
        command = [sys.executable, "-P", *program, "--bus", server.url]
        command += ["--no-record"] if options.no_record else []
        environ = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "TERM": "xterm-256color"}
        environ |= {"PYTHONPATH": str(ROOT), "PROFILE_TO": str(options.profile)}
        environ["DELAYS_TO"] = str(folder / "delays")
        cockpit: Printed | Drawn
        if options.screen:
            cockpit = Drawn(command, environ, folder / "delays")
        else:
            cockpit = Printed(command, environ)
        time.sleep(2.0)
        assert cockpit.process.poll() is None, "the cockpit has ended"
        pid = cockpit.process.pid
        begin, idle_began = time.monotonic(), cpu_s(pid)
        time.sleep(IDLE_S)
        idle = (cpu_s(pid) - idle_began) / (time.monotonic() - begin)
        with publisher(server.url, places, routes, options) as process:
            time.sleep(SETTLE_S)
            cockpit.since_ns = time.time_ns()
            begin, began = time.monotonic(), cpu_s(pid)
            outages: list[tuple[int, int]] = []
            if options.faults:
                outages = faults(server, process, options.seconds)
            else:
                time.sleep(options.seconds)
            busy = (cpu_s(pid) - began) / (time.monotonic() - begin)
            memory, most = memory_mb(pid)
            published = json.loads(process.stdout.readline())
            time.sleep(1.5)
        cockpit.end()
    told = f"{places:>3}x{routes:<3} {idle:6.1%} {busy - idle:7.1%} {memory:6.0f} {most:6.0f}"
    if isinstance(cockpit, Drawn):
        return told + cockpit.told()
    kinds = {kind: n for kind, n in cockpit.kinds.items() if kind not in DERIVED}
    lost = sum(published.values()) - sum(kinds.values())
    doubled = sum(number - 1 for number in cockpit.probes.values())
    told += spread(sorted(delay for _, delay in cockpit.delays) or [0.0])
    told += f" {sum(kinds.values()):>9,} {lost:>5} {doubled:>7}"
    if outages:
        calm = [
            delay
            for stamp, delay in cockpit.delays
            if not any(began <= stamp <= ended for began, ended in outages)
        ]
        told += f"\n    outside of the outages:  {spread(sorted(calm) or [0.0])}"
    return told + "".join(f"\n    {text}" for text in cockpit.notices[:5])


DERIVED = frozenset(("diagnosis", "usual", "alert", "summary", "place", "notice"))


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("sizes", nargs="*", default=["3x5", "20x20"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--past", type=float, default=0.0)
    parser.add_argument("--screen", action="store_true")
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--faults", action="store_true", help="kill the server, stop the agents")
    parser.add_argument("--profile", type=Path)
    options = parser.parse_args()
    head = "  size   idle   above     MB   most    p50 s    p95 s"
    head += "" if options.screen else "    events  lost doubled"
    sys.stdout.write(f"{head}\n")
    for size in options.sizes:
        places, routes = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(f"{measure(places, routes, options, Path(folder))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
