"""Who waits at a terminal sees how far it is and how long it will take; a pipe gets nothing."""

import re
import time
from collections.abc import Callable

import pytest

from tui.commands import progress_bar
from tui.commands.progress_bar import ProgressBar, waiting_for


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: found[0])
    return found


@pytest.fixture
def drawn(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    return lambda: capsys.readouterr().err.strip()


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], ProgressBar]:
    def begun() -> ProgressBar:
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        return ProgressBar()

    return begun


def test_a_pipe_gets_nothing(clock: list[float], drawn: Callable[[], str]) -> None:
    bar = ProgressBar()
    clock[0] = 9.0
    bar.draw("importing", 1, 2)
    bar.clear()
    assert drawn() == ""


def test_a_terminal_sees_how_far_it_is_and_how_long_it_takes_from_here(
    clock: list[float], drawn: Callable[[], str], on_a_terminal: Callable[[], ProgressBar]
) -> None:
    bar = on_a_terminal()
    bar.draw("importing", 1, 4, "1 MB")
    assert drawn() == "", "nobody waits yet"
    clock[0] = 1.0
    bar.draw("importing", 3, 4, "3 MB")
    assert drawn() == "importing ██████████████████······ 75 %, 3 MB"
    clock[0] = 1.05
    bar.draw("importing", 4, 4, "4 MB")
    assert drawn() == "", "nobody reads so fast"
    clock[0] = 90.0
    bar.draw("importing", 2, 4, "2 MB")
    assert drawn() == "importing ████████████············ 50 %, 2 MB, 1m30s left"
    clock[0] = 95.0
    bar.draw("importing", 19, 20, "19 MB")
    assert drawn().endswith("95 %, 19 MB, 5s left")
    clock[0] = 180.0
    bar.draw("importing", 4, 4, "4 MB")
    assert drawn() == "importing ████████████████████████ 100 %, 4 MB"
    bar.clear()
    assert drawn() == ""


def test_what_comes_next_is_shown_at_once_and_has_a_time_of_its_own(
    clock: list[float], drawn: Callable[[], str], on_a_terminal: Callable[[], ProgressBar]
) -> None:
    bar = on_a_terminal()
    clock[0] = 60.0
    bar.draw("reading", 1, 2)
    drawn()
    bar.draw("writing", 1, 2)
    assert drawn().startswith("writing ████████████············ 50 %")
    clock[0] = 70.0
    bar.draw("writing", 1, 2)
    assert drawn().endswith("50 %, 10s left")


def test_where_nobody_knows_the_whole_the_words_stand_alone(
    clock: list[float], drawn: Callable[[], str], on_a_terminal: Callable[[], ProgressBar]
) -> None:
    bar = on_a_terminal()
    clock[0] = 5.0
    bar.draw("reading", 1, 0, "1 MB")
    assert drawn() == "reading, 1 MB"


def test_what_is_waited_for_is_told_with_how_long_on_a_terminal_alone(
    drawn: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_bar, "_QUIET_S", 0.01)
    for is_terminal in (False, True):
        monkeypatch.setattr("sys.stderr.isatty", lambda it=is_terminal: it)
        with waiting_for("asking a server"):
            time.sleep(0.05)
        told = drawn()
        assert bool(re.match(r"asking a server: 0\.\d s", told)) == is_terminal
        assert bool(told) == is_terminal
    monkeypatch.setattr(progress_bar, "_QUIET_S", 9.0)
    with waiting_for("asking a server that answers at once"):
        pass
    assert drawn() == ""
