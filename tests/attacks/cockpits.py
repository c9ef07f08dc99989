"""A real cockpit with its real engine on a pseudo-terminal, and the processes it leaves behind."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ROOT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = 30.0
DRAWN: Final = b"most users hurt first"
"""Stands on the screen as soon as the table does."""
_MARK: Final = "LLMTOP_ATTACK"

ROUTES: Final = """
[routes.a]
base_url = "http://127.0.0.1:9/v1"
model = "m"
interval = 0.2
concurrency = 4
retries = 0

[routes.b]
base_url = "http://127.0.0.1:9/v1"
model = "m"
interval = 0.1
concurrency = 4
"""
"""Nobody listens there: the engine is busy and the table changes all the time."""


class Cockpit:
    """`llmtop` in a terminal of 120×40, of which it is the session's leader where `controlling`."""

    def __init__(self, home: Path, *arguments: str, controlling: bool = True) -> None:
        self.mark = uuid.uuid4().hex
        self.written = bytearray()
        config = home / "routes.toml"
        config.write_text(ROUTES)
        config.chmod(0o600)
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui.cli", "--config", str(config), *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=ROOT,
            env=environment(home) | {_MARK: self.mark},
            start_new_session=True,
            preexec_fn=_take_terminal if controlling else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pid in self.left_behind():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Take the terminal away, as a cut line or a closed window does."""
        for descriptor in (self.slave, self.master):
            if descriptor >= 0:
                os.close(descriptor)
        self.slave = self.master = -1

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.master, keys.encode())

    def read(self, span_s: float) -> None:
        """Take what is written for so long."""
        until_s = time.monotonic() + span_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._take(left_s)

    def wait_for(self, what: bytes, patience_s: float = PATIENCE_S) -> None:
        """Read until `what` has been written."""
        deadline_s = time.monotonic() + patience_s
        while what not in self.written:
            assert time.monotonic() < deadline_s, bytes(self.written[-2000:])
            self._take(0.1)

    def ended(self, patience_s: float = PATIENCE_S) -> int:
        """Return the exit status; where there still is a terminal, it is read meanwhile."""
        deadline_s = time.monotonic() + patience_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline_s, "the cockpit does not end"
            if self.master < 0:
                time.sleep(0.05)
            else:
                self._take(0.05)
        while self.master >= 0 and self._take(0):
            pass
        return self.process.returncode

    def left_behind(self) -> list[int]:
        """Return the processes that came of this start and still run, the cockpit among them."""
        wanted = f"{_MARK}={self.mark}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            # A process that has just gone, or is not ours, cannot be read.
            with contextlib.suppress(OSError):
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z" and wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def gone_within(self, patience_s: float) -> bool:
        """Tell whether nothing of it runs any more, at the latest after so many seconds."""
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            if self.process.poll() is not None and not self.left_behind():
                return True
            time.sleep(0.1)
        return False

    def _take(self, patience_s: float) -> bool:
        if not select.select([self.master], [], [], patience_s)[0]:
            return False
        self.written += os.read(self.master, 65_536)
        return True


def environment(home: Path) -> dict[str, str]:
    """Return an environment whose home, settings and state are in `home`."""
    unwanted = ("LINES", "COLUMNS", "NO_COLOR", "COLORTERM")
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    return kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_DATA_HOME": str(home / "data"),
        "TERM": "xterm-256color",
        "PYTHONPATH": str(ROOT),
    }


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
