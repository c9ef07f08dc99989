"""In a real terminal: every way out restores it."""

import errno
import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from probes.kit.clock import SystemClock
from tui.terminal.driver import MeteredFile, WriteMeter, title_sequence
from tui.terminal.terminal_app import TerminalApp

PROGRAM = """
import sys
from fakes import FakeSession, config
from tui.commands.start import run_app
sys.exit(run_app(FakeSession(), config()))
"""
ENTER, LEAVE, SHOW_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
ROOT = Path(__file__).parents[3]
PATIENCE_S = 20.0


class Terminal:
    """A cockpit in a pseudo-terminal of 120×40, and all it wrote."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "tui")))
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path, "TERM": "xterm"},
        )
        self.written = b""

    def wait_for(self, what: bytes) -> None:
        """Read until `what` has been written."""
        deadline = time.monotonic() + PATIENCE_S
        while what not in self.written:
            assert time.monotonic() < deadline, self.written[-2000:]
            if select.select([self.master], [], [], 0.1)[0]:
                self.written += os.read(self.master, 65536)

    def ended(self) -> int:
        """Return the exit status; what it wrote last is read meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            if select.select([self.master], [], [], 0.05)[0]:
                self.written += os.read(self.master, 65536)
        while select.select([self.master], [], [], 0)[0]:
            self.written += os.read(self.master, 65536)
        return self.process.returncode

    def hang_up(self) -> None:
        """Take the terminal away; a session without a controlling one gets no signal of it."""
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.master >= 0:
            os.close(self.master)
            os.close(self.slave)


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    made.close()


def assert_restored(terminal: Terminal) -> None:
    assert terminal.written.rindex(LEAVE) > terminal.written.rindex(ENTER)
    assert terminal.written.rindex(SHOW_CURSOR) > terminal.written.rindex(ENTER)
    assert termios.tcgetattr(terminal.slave)[3] == terminal.before[3]
    assert b"Traceback" not in terminal.written


def test_q_leaves_a_summary_on_the_restored_terminal(terminal: Terminal) -> None:
    terminal.wait_for(b"busy-llama")
    os.write(terminal.master, b"q")
    assert terminal.ended() == 0
    assert_restored(terminal)
    summary = terminal.written[terminal.written.rindex(LEAVE) :]
    assert "llmtop ran 12m41s" in summary.decode()
    assert b"busy-llama" in summary


def test_what_was_masked_on_the_screen_is_not_named_below_it(terminal: Terminal) -> None:
    terminal.wait_for(b"busy-llama")
    os.write(terminal.master, b"M")
    terminal.wait_for(b"masked")
    os.write(terminal.master, b"q")
    assert terminal.ended() == 0
    summary = terminal.written[terminal.written.rindex(LEAVE) :]
    assert b"route 1" in summary
    assert b"llama" not in summary
    assert b"recorded in" not in summary


PUSH, POP = b"\x1b[22;0t", b"\x1b[23;0t"
TITLE = "\x1b]2;✖ 1 down · llmtop\x1b\\".encode()


def test_the_title_tells_the_worst_once_and_the_former_one_comes_back(terminal: Terminal) -> None:
    terminal.wait_for(TITLE)
    terminal.wait_for(b"LIVE")
    time.sleep(2.5)  # it is asked for once a second
    os.write(terminal.master, b"q")
    assert terminal.ended() == 0
    assert terminal.written.count(TITLE) == terminal.written.count(PUSH) == 1
    end = terminal.written[terminal.written.index(TITLE) + len(TITLE) :]
    assert end.count(POP) == 1
    assert end.index(b"\x1b]2;\x1b\\" + POP) < end.index(LEAVE)


def test_what_is_in_a_title_cannot_end_it() -> None:
    told = title_sequence("a\x07b\x1b\\c" + "x" * 500)
    assert told.count("\x1b") == 2
    assert "\x07" not in told
    assert len(told) < 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(terminal: Terminal, number: signal.Signals) -> None:
    terminal.wait_for(b"busy-llama")
    terminal.process.send_signal(number)
    assert terminal.ended() == 0
    assert_restored(terminal)


def test_a_cockpit_whose_terminal_is_gone_ends(terminal: Terminal) -> None:
    terminal.wait_for(b"busy-llama")
    terminal.hang_up()
    terminal.process.wait(PATIENCE_S)


class DeadFile(io.StringIO):
    """A terminal that hung up: each write fails, and is counted."""

    tries = 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise OSError(errno.EIO, "Input/output error")


def test_after_a_write_that_failed_nothing_is_written_and_nothing_is_awaited() -> None:
    dead, meter = DeadFile(), WriteMeter(SystemClock())
    file = MeteredFile(dead, meter)
    writer = WriterThread(file)
    writer.start()
    for _ in range(MAX_QUEUED_WRITES * 3):
        meter.queued(1)
        writer.write("x")  # blocks for ever where the thread has ended
    writer.stop()
    assert file.gone
    assert dead.tries == 1
    assert not meter.busy


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_that_shows_no_screen_is_told_so_in_one_line(term: str) -> None:
    master, slave = pty.openpty()
    told = subprocess.run(
        [sys.executable, "-m", "tui.cli", "--base-url", "http://127.0.0.1:9/v1", "--model", "m"],
        stdin=slave,
        stdout=slave,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"TERM": term},
        text=True,
    )
    os.close(slave)
    os.close(master)
    assert told.returncode == 2
    (line,) = told.stderr.splitlines()
    assert line.startswith("llmtop: ")
    assert "TERM" in line
    assert "--headless" in line


class _Defective(TerminalApp[None]):
    def on_mount(self) -> None:
        secret = "s3cret-" + "s3cret"
        raise RuntimeError(f"a defect, {len(secret)}")


@pytest.mark.anyio
async def test_a_defect_of_the_screen_shows_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="a defect"):
        async with _Defective().run_test():
            pass
    written = capsys.readouterr().err
    assert "a defect, 13" in written
    assert "on_mount" in written
    assert "-".join(["s3cret", "s3cret"]) not in written  # source lines are shown
