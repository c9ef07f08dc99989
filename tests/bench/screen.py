"""What does the screen cost? `python tests/bench/screen.py [80x24 160x50 …]` (default 160x50).

Runs the real cockpit in a pseudo-terminal on a stream of 8 routes and 50 open streams of 50 tokens
a second, which a process of its own writes (`screen_engine.py`), and prints the cockpit's CPU share
of one core, the time of a frame and its bytes: live, on the page of a route, at 1 Hz, frozen, with
everything paused, and with 41 routes. In the same run an empty app of Textual's, which is what
cannot be had cheaper. One route fails, so that verdicts, strips and the log have something to say.
Then how long the first frame takes from the start of the process, and the way out, beside those of
an empty app; and what becomes of the refresh rate on a terminal that takes 20 kB a second. `--span
S` sets the seconds of each reading, `--streams N` the open streams. No pass or fail: machines
differ, and are busy at times; the last column is the CPU time of a million additions in Python
right after the reading: about 35 ms on a quiet core, and what else is slower then is slower in that
ratio.
"""

import argparse
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

COCKPIT = Path(__file__).with_name("screen_cockpit.py")
ROOT = Path(__file__).parents[2]
SYNC_QUERY, SYNC_ANSWER = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
ROUTES, MANY_ROUTES = 8, 41
WARM_S = 4.0
SLOW_BYTES_PER_S = 20_000
STARTS = 5
FIRST_PAINTED = b"most users hurt first"
EMPTY = f"""
from textual.app import App
from textual.widgets import Label

class Empty(App):
    BINDINGS = [("q", "quit", "quit")]

    def compose(self):
        yield Label({FIRST_PAINTED.decode()!r})

Empty().run()
"""
IMPORTS = "import tui.cli, tui.commands.live, tui.commands.watch, tui.app"


@dataclass
class Reading:
    """What one span of time took."""

    cpu: float
    frames_ms: list[float] = field(default_factory=list)
    frames_cpu_ms: list[float] = field(default_factory=list)
    frames_bytes: list[int] = field(default_factory=list)
    rss_kb: int = 0
    reference_ms: float = 0.0

    def row(self, name: str) -> str:
        """Return a line of the table."""
        cells = (
            name,
            f"{self.cpu * 100:.1f}",
            str(len(self.frames_ms)),
            spread(self.frames_ms),
            spread(self.frames_cpu_ms),
            spread([count / 1000 for count in self.frames_bytes]),
            str(self.rss_kb // 1024),
            f"{self.reference_ms:.0f}",
        )
        return f"| {' | '.join(cells)} |\n"


def spread(values: list[float]) -> str:
    """Return median and p99."""
    if not values:
        return "–"
    ordered = sorted(values)
    return f"{statistics.median(ordered):.1f} / {ordered[int(len(ordered) * 0.99)]:.1f}"


class Terminal:
    """A pseudo-terminal that reads all the program writes, at most `bytes_per_s` where given."""

    def __init__(self, argv: list[str], size: tuple[int, int], bytes_per_s: int = 0) -> None:
        self.bytes_per_s = bytes_per_s
        self.seen = bytearray()
        self.master, slave = pty.openpty()
        columns, rows = size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.control, theirs = socket.socketpair()
        self.started_s = time.monotonic()
        self.process = subprocess.Popen(
            argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            cwd=ROOT,
            env=environment() | {"SCREEN_CONTROL": str(theirs.fileno())},
            pass_fds=(theirs.fileno(),),
        )
        os.close(slave)
        theirs.close()
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, as a dragged window does."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def reading(self, span_s: float) -> Reading:
        """Return what the program takes from now on for `span_s` seconds."""
        self._ask()
        time.sleep(span_s)
        return Reading(**self._ask())

    def wait_for(self, text: bytes, patience_s: float) -> float | None:
        """Return how long, in seconds, it takes until `text` is written; None if it is not."""
        begun = time.monotonic()
        while time.monotonic() < begun + patience_s:
            if text in self.seen:
                return time.monotonic() - self.started_s
            time.sleep(0.005)
        return None

    def close(self) -> None:
        """End the program."""
        self.bytes_per_s = 0
        self.press("q")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._ended.set()
        self._reader.join()
        os.close(self.master)
        self.control.close()

    def _ask(self) -> dict[str, object]:
        self.control.sendall(b"?")
        line = b""
        while not line.endswith(b"\n"):
            line += self.control.recv(1 << 20)
        return json.loads(line)

    def _read(self) -> None:
        while not self._ended.is_set():
            if not select.select([self.master], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.master, 1024 if self.bytes_per_s else 65_536)
            except OSError:
                return  # the program has gone
            self.seen = (self.seen + data)[-200_000:]
            if SYNC_QUERY in data:
                os.write(self.master, SYNC_ANSWER)
            if self.bytes_per_s:
                time.sleep(len(data) / self.bytes_per_s)


def environment() -> dict[str, str]:
    """Return the environment of a terminal of true colours, which tells its size itself.

    Modules are compiled once, as in an installation, and not beside their source.
    """
    unwanted = ("LINES", "COLUMNS", "PYTHONDONTWRITEBYTECODE")
    inherited = {key: value for key, value in os.environ.items() if key not in unwanted}
    return inherited | {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{COCKPIT.parent}",
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "llmtop-bench-bytecode"),
    }


def cockpit(
    kind: str,
    size: tuple[int, int],
    hz: float,
    streams: int,
    *,
    slow: int = 0,
    routes: int = ROUTES,
) -> Terminal:
    """Start the program under measurement."""
    program = [sys.executable, str(COCKPIT), kind, str(hz), str(streams), str(routes)]
    return Terminal(program, size, slow)


def spans(size: tuple[int, int], span_s: float, streams: int) -> None:
    """Print the table of one size."""
    sys.stdout.write(
        f"\n{size[0]}x{size[1]}, {streams} streams\n\n"
        "| cockpit | CPU % of a core | frames | frame ms p50 / p99 | its CPU ms "
        "| kB a frame | RSS MB | loop ms |\n|---|---|---|---|---|---|---|---|\n"
    )
    terminal = cockpit("empty", size, 10, streams)
    time.sleep(WARM_S)
    show("empty app, 10 Hz timer", terminal.reading(span_s))
    terminal.close()
    terminal = cockpit("llmtop", size, 1, streams)
    time.sleep(WARM_S)
    show("llmtop live, 1 Hz", terminal.reading(span_s))
    terminal.close()
    terminal = cockpit("llmtop", size, 10, streams)
    time.sleep(WARM_S + 10)
    live = terminal.reading(span_s)
    show("llmtop live, 10 Hz", live)
    terminal.press("\r")
    time.sleep(2)
    show("page of a route, 10 Hz", terminal.reading(span_s))
    terminal.press(" ")
    time.sleep(1)
    show("page of a route, frozen", terminal.reading(span_s))
    terminal.press(" \x1b")
    time.sleep(2)
    terminal.press(" ")
    time.sleep(1)
    show("llmtop frozen", terminal.reading(span_s))
    terminal.press(" P")
    time.sleep(12)  # until the last lane has left the screen
    show("llmtop, all paused", terminal.reading(span_s))
    terminal.close()
    terminal = cockpit("llmtop", size, 10, streams, routes=MANY_ROUTES)
    time.sleep(WARM_S + 10)
    many = terminal.reading(span_s)
    show(f"llmtop live, {MANY_ROUTES} routes", many)
    terminal.close()
    ratio = many.cpu / live.cpu
    sys.stdout.write(f"\n{MANY_ROUTES} routes cost {ratio:.2f} times what {ROUTES} do\n")


def show(name: str, reading: Reading) -> None:
    """Print one line at once."""
    sys.stdout.write(reading.row(name))
    sys.stdout.flush()


def slow_terminal(size: tuple[int, int], streams: int) -> None:
    """Print what the header says of the rate on a slow terminal, and after it is fast again."""
    terminal = cockpit("llmtop", size, 10, streams, slow=SLOW_BYTES_PER_S)
    time.sleep(15)
    said = re.findall(rb"[\d.]+ Hz: slow terminal", bytes(terminal.seen))
    slow = said[-1].decode() if said else "nothing"
    terminal.bytes_per_s = 0
    time.sleep(15)
    terminal.seen.clear()
    time.sleep(3)
    fast = terminal.reading(5)
    sys.stdout.write(
        f"\nterminal of {SLOW_BYTES_PER_S // 1000} kB/s: the header says {slow}; "
        f"15 s after it is fast again: {len(fast.frames_ms) / 5:.1f} frames a second\n"
    )
    terminal.close()


def first_frame(size: tuple[int, int]) -> None:
    """Print how long the first frame and the way out take, and how much of that is imports: of the
    cockpit, and turn by turn with it of an app of Textual's that shows a word."""
    url = ["--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--no-record"]
    programs = {
        "llmtop": [sys.executable, "-m", "tui.cli", *url],
        "an empty app": [sys.executable, "-c", EMPTY],
    }
    timed(IMPORTS)  # compiles
    painted, cpu, ended = ({name: [] for name in programs} for _ in range(3))
    for _ in range(STARTS):
        for name, program in programs.items():
            terminal = Terminal(program, size)
            painted[name].append(terminal.wait_for(FIRST_PAINTED, 20.0) or 20.0)
            cpu[name].append(cpu_seconds(terminal.process.pid))
            begun = time.monotonic()
            terminal.close()
            ended[name].append(time.monotonic() - begun)
    bare, imports = (min(timed(program) for _ in range(STARTS)) for program in ("pass", IMPORTS))
    sys.stdout.write(
        "\n| program | first frame s after the start, median / best | its CPU s, best "
        "| quit s, median / best |\n|---|---|---|---|\n"
    )
    for name in programs:
        sys.stdout.write(
            f"| {name} | {statistics.median(painted[name]):.2f} / {min(painted[name]):.2f} "
            f"| {min(cpu[name]):.2f} "
            f"| {statistics.median(ended[name]):.2f} / {min(ended[name]):.2f} |\n"
        )
    sys.stdout.write(
        f"\nbest of the interpreter alone {bare:.2f} s, with all imports {imports:.2f}\n"
    )


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(program: str) -> float:
    """Return the seconds that a Python program takes."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environment())
    return time.monotonic() - begun


def size_of(text: str) -> tuple[int, int]:
    """Return a size written as `160x50`."""
    columns, _, rows = text.partition("x")
    return int(columns), int(rows)


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=size_of, default=[(160, 50)], metavar="SIZE")
    parser.add_argument("--span", type=float, default=15.0)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--only", choices=("spans", "slow", "start"))
    arguments = parser.parse_args()
    for size in arguments.sizes:
        if arguments.only in (None, "spans"):
            spans(size, arguments.span, arguments.streams)
        if arguments.only in (None, "slow"):
            slow_terminal(size, arguments.streams)
        if arguments.only in (None, "start"):
            first_frame(size)


if __name__ == "__main__":
    main()
