"""However a cockpit ends, its terminal is as it was found, and nothing of it runs on."""

import os
import re
import signal
import termios
import time
from pathlib import Path

import pytest
from cockpits import DRAWN, Cockpit

from tui.terminal.leaving import LEAVE_WITHIN_S, ending_signals

ENTER, LEAVE, SHOW_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
ORDERLY = {signal.SIGTERM: 0, signal.SIGHUP: 0}
"""Those that manage a process; the others end it with 128 and their number, as shells say it."""
SHORT = (signal.SIGQUIT, signal.SIGUSR1)
UNHEARD = [
    pytest.param(signal.SIGKILL, id="SIGKILL"),
    *(
        pytest.param(number, id=number.name, marks=pytest.mark.long)
        for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
    ),
]
"""No handler runs after these."""
GONE_WITHIN_S = LEAVE_WITHIN_S + 5.0


def modes_left_on(written: bytes) -> set[bytes]:
    """Return the private modes that were set and not reset after it."""
    on: set[bytes] = set()
    for numbers, what in re.findall(rb"\x1b\[\?([\d;]+)([hl])", written):
        for number in numbers.split(b";"):
            (on.add if what == b"h" else on.discard)(number)
    # The wrapping of lines and the cursor are on in every shell.
    return on - {b"7", b"25"}


def assert_given_back(cockpit: Cockpit) -> None:
    assert cockpit.written.rindex(LEAVE) > cockpit.written.rindex(ENTER)
    assert cockpit.written.rindex(SHOW_CURSOR) > cockpit.written.rindex(b"\x1b[?25l")
    assert modes_left_on(bytes(cockpit.written)) == set()
    assert cockpit.written.count(b"\x1b[>") <= cockpit.written.count(b"\x1b[<u")
    assert termios.tcgetattr(cockpit.slave) == cockpit.before
    assert b"Traceback" not in cockpit.written


def name_of(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else str(number)


def all_signals() -> list[object]:
    """Return every signal that ends a process by default; of those without names one."""
    named = [number for number in ending_signals() if number in set(signal.Signals)]
    return [
        pytest.param(number, id=name_of(number), marks=[] if number in SHORT else pytest.mark.long)
        for number in named
        # Python ignores these, and they end nothing.
        if number not in (signal.SIGPIPE, signal.SIGXFSZ)
    ]


@pytest.mark.parametrize("number", all_signals())
def test_a_signal_that_ends_a_process_gives_the_terminal_back(tmp_path: Path, number: int) -> None:
    with Cockpit(tmp_path) as cockpit:
        cockpit.wait_for(DRAWN)
        cockpit.process.send_signal(number)
        assert cockpit.ended() == ORDERLY.get(signal.Signals(number), 128 + number)
        assert_given_back(cockpit)
        assert cockpit.gone_within(2.0)


@pytest.mark.long
@pytest.mark.parametrize("tenths", range(2, 16))
def test_a_signal_during_the_start_leaves_the_terminal_alone(tmp_path: Path, tenths: int) -> None:
    with Cockpit(tmp_path) as cockpit:
        cockpit.read(tenths / 10)
        cockpit.process.send_signal(signal.SIGQUIT)
        # Before there is a screen the signal does what it does to everybody.
        assert cockpit.ended() in (-signal.SIGQUIT, 128 + signal.SIGQUIT)
        if ENTER in cockpit.written:
            assert_given_back(cockpit)
        assert termios.tcgetattr(cockpit.slave) == cockpit.before
        assert cockpit.gone_within(2.0)


@pytest.mark.long
def test_a_terminal_that_takes_nothing_does_not_keep_the_cockpit(tmp_path: Path) -> None:
    with Cockpit(tmp_path) as cockpit:
        cockpit.wait_for(DRAWN)
        for _ in range(6):  # nobody reads: the terminal is full, then the queue before it
            cockpit.press("?\x1b")
            time.sleep(0.2)
        cockpit.process.send_signal(signal.SIGTERM)
        cockpit.process.wait(GONE_WITHIN_S)
        assert cockpit.gone_within(2.0)
        assert termios.tcgetattr(cockpit.slave) == cockpit.before


def hang_up(cockpit: Cockpit, kind: str, chance: int) -> None:
    """Take the terminal away at a moment of some kind."""
    if kind == "starting":
        cockpit.read(0.3 + chance % 9 / 10)
    else:
        cockpit.wait_for(DRAWN)
    if kind == "drawing":
        cockpit.press("wwss12345")
    elif kind == "help":
        cockpit.press("?")
        cockpit.read(0.4)
    elif kind == "leaving":
        cockpit.press("q")
        cockpit.read(chance % 5 / 20)
    elif kind == "full":  # what it writes is taken by nobody
        for _ in range(8):
            cockpit.press("?\x1b1")
            time.sleep(0.1)
    elif kind == "suspended":
        cockpit.press("\x1a")
        cockpit.wait_for(LEAVE)
        cockpit.read(0.5)
    cockpit.hang_up()


@pytest.mark.parametrize(
    ("kind", "controlling"),
    [("starting", False), ("drawing", True), ("help", False), ("full", False)],
)
def test_a_hang_up_leaves_no_process(tmp_path: Path, kind: str, controlling: bool) -> None:
    with Cockpit(tmp_path, controlling=controlling) as cockpit:
        hang_up(cockpit, kind, 5)
        assert cockpit.gone_within(GONE_WITHIN_S)


@pytest.mark.long
def test_a_hang_up_in_the_background_leaves_no_process(tmp_path: Path) -> None:
    with Cockpit(tmp_path) as cockpit:  # the kernel wakes it for that
        hang_up(cockpit, "suspended", 0)
        assert cockpit.gone_within(GONE_WITHIN_S)


@pytest.mark.long
@pytest.mark.parametrize("number", range(32))
def test_no_hang_up_of_many_leaves_a_process(tmp_path: Path, number: int) -> None:
    kinds = ("drawing", "starting", "help", "leaving", "full")
    with Cockpit(tmp_path, controlling=number // len(kinds) % 2 == 0) as cockpit:
        hang_up(cockpit, kinds[number % len(kinds)], number)
        assert cockpit.gone_within(GONE_WITHIN_S)


@pytest.mark.parametrize("number", UNHEARD)
def test_a_death_that_nobody_hears_gives_the_terminal_back(tmp_path: Path, number: int) -> None:
    # A leader of a session takes its terminal along: here, as usual, that is the shell.
    with Cockpit(tmp_path, controlling=False) as cockpit:
        cockpit.wait_for(DRAWN)
        os.kill(cockpit.process.pid, number)
        assert cockpit.ended() == -number
        assert cockpit.gone_within(5.0)
        cockpit.read(0.2)
        assert_given_back(cockpit)
