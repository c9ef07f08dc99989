"""Signals ask the screen to leave; who does not leave in time is ended."""

import os
import pty
import signal
import subprocess
import sys
import termios
import threading

import anyio
import anyio.lowlevel
import pytest

from tui.terminal.guardian import GIVE_BACK, TerminalState
from tui.terminal.leaving import Leaving, ending_signals

UNHEARD = (signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL)
HARMLESS = (signal.SIGCHLD, signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP, signal.SIGTTOU)


@pytest.fixture
def slave():
    """The program's side of a terminal, and the modes it has."""
    master, slave = pty.openpty()
    yield slave
    os.close(master)
    os.close(slave)


def make_raw(terminal: int) -> None:
    modes = termios.tcgetattr(terminal)
    modes[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG)
    termios.tcsetattr(terminal, termios.TCSANOW, modes)


def test_the_signals_are_those_that_end_a_process_and_can_be_heard() -> None:
    signals = ending_signals()
    assert {signal.SIGQUIT, signal.SIGABRT, signal.SIGUSR1, signal.SIGALRM} <= set(signals)
    assert not set(signals) & {*UNHEARD, *HARMLESS}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGTERM, 0),
        (signal.SIGHUP, 0),
        (signal.SIGINT, 130),
        (signal.SIGUSR2, 128 + signal.SIGUSR2),
    ],
)
async def test_a_signal_leaves_with_its_status(number: int, status: int) -> None:
    told: list[int] = []
    before = signal.getsignal(number)
    with Leaving(None) as leaving:
        with leaving.screen(told.append):
            os.kill(os.getpid(), number)
            with anyio.fail_after(5):
                while not told:
                    await anyio.lowlevel.checkpoint()
        assert signal.getsignal(number) is before
    assert told == [status]


@pytest.mark.anyio
async def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Leaving(None) as leaving, leaving.screen(lambda _: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_who_does_not_leave_is_ended_with_the_terminal_restored(slave: int) -> None:
    ended: list[int] = []
    forced = threading.Event()

    def end(status: int) -> None:
        ended.append(status)
        forced.set()

    before = termios.tcgetattr(slave)
    with Leaving(TerminalState(slave, slave), within_s=0.01, end=end) as leaving:
        make_raw(slave)
        leaving.ask()
        assert forced.wait(5)
    assert ended == [1]
    assert termios.tcgetattr(slave) == before


def test_who_leaves_in_time_is_left_alone() -> None:
    ended: list[int] = []
    with Leaving(None, within_s=60, end=ended.append) as leaving:
        leaving.ask()
        leaving.ask()
    assert ended == []


def test_a_terminal_gets_its_modes_and_its_screen_back() -> None:
    master, slave = pty.openpty()
    state = TerminalState(slave, slave)
    make_raw(slave)
    state.restore("farewell")
    assert termios.tcgetattr(slave) == state.modes
    assert os.read(master, 1000) == f"{GIVE_BACK}farewell".encode()
    os.close(master)
    state.restore()  # a terminal that is gone is no error
    os.close(slave)


def test_the_modes_that_a_shell_has_made_anew_are_left_alone(slave: int) -> None:
    state = TerminalState(slave, slave)
    theirs = termios.tcgetattr(slave)
    theirs[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(slave, termios.TCSANOW, theirs)
    theirs = termios.tcgetattr(slave)
    state.restore(if_raw=True)
    assert termios.tcgetattr(slave) == theirs
    make_raw(slave)
    state.restore(if_raw=True)
    assert termios.tcgetattr(slave) == state.modes


def test_the_guardian_imports_nothing_of_ours() -> None:
    program = "import sys, tui.terminal.guardian; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    modules = told.stdout.split()
    assert [name for name in modules if name.startswith("tui")] == [
        "tui",
        "tui.terminal",
        "tui.terminal.guardian",
    ]
    assert "asyncio" not in modules
    assert "textual" not in modules
