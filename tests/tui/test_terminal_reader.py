"""The reader of a terminal sees what somebody before it would see."""

import sys
from collections.abc import Iterator

import pytest
from terminal_reader import TerminalReader

PROGRAM = r"""
import base64, os, sys, termios, time, tty

def tell(text):
    os.write(1, text.encode())

before = termios.tcgetattr(0)
tell("before\r\n")
tty.setraw(0)
tell("\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b]0;title\x07\x1b[>1u\x1b]22;default\x07")
tell("\x1b[2;3H\x1b[1;38;2;255;0;0mloud\x1b[0m 漢字")
while (key := os.read(0, 20)) != b"q":
    if key == b"s":
        tell("\x1b[?2026h\x1b[5;1Hhalf")
        time.sleep(0.3)
        tell(" whole\x1b[?2026l")
    elif key == b"c":
        tell("\x1b]52;c;" + base64.b64encode("req_1".encode()).decode() + "\x07\x1b[6;1Hcopied")
    else:
        size = os.get_terminal_size(0)
        tell(f"\x1b[4;1H{key!r} {size.columns}x{size.lines}")
if "rude" not in sys.argv:
    tell("\x1b[<u\x1b[?1000l\x1b[?25h\x1b[?1049l")
    termios.tcsetattr(0, termios.TCSADRAIN, before)
tell("after\r\n")
sys.exit(3)
"""


@pytest.fixture
def terminal() -> Iterator[TerminalReader]:
    with TerminalReader([sys.executable, "-c", PROGRAM], (30, 8)) as reader:
        reader.wait_for("loud")
        yield reader


def test_it_sees_texts_colours_and_the_title(terminal: TerminalReader) -> None:
    assert terminal.size == (30, 8)
    assert terminal.row_of("loud 漢字") == 1
    assert terminal.lines[1].startswith("  loud 漢字")
    cell = terminal.cell(1, 2)
    assert (cell.data, cell.fg, cell.bold) == ("l", "ff0000", True)
    assert terminal.title == "title"
    assert (terminal.takes_all, terminal.shows_cursor) == (True, False)
    assert "before" not in terminal.text


def test_it_types_and_gives_another_size(terminal: TerminalReader) -> None:
    terminal.press("up")
    terminal.wait_for(r"b'\x1b[A' 30x8")
    terminal.resize(40, 9)
    terminal.press("x")
    terminal.wait_for("b'x' 40x9")
    assert terminal.size == (40, 9)


def test_it_reads_whole_frames_only(terminal: TerminalReader) -> None:
    terminal.press("s")
    assert any(line.startswith("half whole") for line in terminal.wait_for("half"))


def test_it_knows_what_was_copied(terminal: TerminalReader) -> None:
    terminal.press("c")
    terminal.wait_for("copied")
    assert terminal.clipboard == "req_1"


def test_it_tells_a_terminal_that_was_given_back(terminal: TerminalReader) -> None:
    assert not terminal.is_given_back()
    terminal.press("q")
    assert terminal.ended() == 3
    assert terminal.is_given_back()
    assert terminal.text.splitlines()[:2] == ["before", "after"]


def test_and_one_that_was_not() -> None:
    with TerminalReader([sys.executable, "-c", PROGRAM, "rude"], (30, 8)) as reader:
        reader.wait_for("loud")
        reader.press("q")
        assert reader.ended() == 3
        assert not reader.is_given_back()


def test_what_never_comes_is_told_with_the_screen(terminal: TerminalReader) -> None:
    with pytest.raises(AssertionError, match=r"'never' was not shown in 0.1 s:\n(.|\n)*loud"):
        terminal.wait_for("never", 0.1)


def test_a_program_that_ended_is_not_waited_for(terminal: TerminalReader) -> None:
    terminal.press("q")
    with pytest.raises(AssertionError, match="it ended without showing 'never'"):
        terminal.wait_for("never")
