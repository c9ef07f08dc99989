"""`llmtop manual`: topics as plain text, by a pager where there is a terminal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tui.cli import main
from tui.commands import manual
from tui.commands.manual import listed, pager_of
from tui.draw.text import cells
from tui.manual import topics


def test_a_topic_is_printed_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual", "states"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "States"
    assert max(map(cells, lines)) <= 80
    assert any(line.startswith("✖ down ") for line in lines)


def test_words_of_a_heading_need_no_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual", "exit", "statuses"]) == 0
    assert capsys.readouterr().out.startswith("Exit statuses\n")


def test_a_room_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual", "tui"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("The cockpit and its commands\n")
    assert "\nExit statuses\n" in told


def test_without_a_topic_all_are_listed_in_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(cells, lines)) <= 80
    assert len([line for line in lines if line]) == len(topics())
    assert [line for line in lines if line.startswith("config ")]


def test_several_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual", "keys"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "several topics begin with keys:"
    assert [line.split("  ")[0] for line in told[1:] if line] == ["llmtop/Keys", "tui/Keys"]


def test_a_topic_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual", "frob"]) == 2
    told = capsys.readouterr().err
    assert told == "llmtop: no topic begins with frob; `llmtop manual` lists all\n"


@pytest.mark.parametrize("width", [20, 60, 200])
def test_the_list_is_as_wide_as_it_may_be_and_a_cut_is_marked(width: int) -> None:
    for line, topic in zip(
        [line for line in listed(topics(), width) if line], topics(), strict=True
    ):
        assert cells(line) <= width
        assert line.endswith(("…", topic.summary))


def test_the_pager_is_the_users_else_less(tmp_path: Path) -> None:
    for name in ("less", "most"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    here = {"PATH": str(tmp_path)}
    assert pager_of(here) == [str(tmp_path / "less")]
    assert pager_of({**here, "PAGER": "most -s 'a b'"}) == [str(tmp_path / "most"), "-s", "a b"]
    for nothing in ("", "no-such-pager", "'"):
        assert pager_of({**here, "PAGER": nothing}) == []
    assert pager_of({"PATH": str(tmp_path / "empty")}) == []


def test_on_a_terminal_the_pager_gets_the_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    pager = f"{sys.executable} -c 'import sys; open(sys.argv[1], \"w\").write(sys.stdin.read())'"
    monkeypatch.setenv("PAGER", f"{pager} {taken}")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["manual", "verdicts"]) == 0
    lines = taken.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "Verdicts"
    assert 50 < max(map(cells, lines)) <= 60


def test_ctrl_c_is_for_the_pager_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pager = tmp_path / "pager.py"
    pager.write_text(
        "import os, signal, sys, time\n"
        "sys.stdin.read()\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "time.sleep(0.2)\n"  # of wall time: the parent must not be gone by then
        "open(sys.argv[1], 'w').write(str(os.getppid()))\n"
    )
    monkeypatch.setenv("PAGER", f"{sys.executable} {pager} {tmp_path / 'parent'}")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["manual", "verdicts"]) == 0
    assert (tmp_path / "parent").read_text() == str(os.getpid())


def test_on_a_pipe_there_is_no_pager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a pager was run"))
    assert main(["manual", "verdicts"]) == 0
    assert manual._width() == 80
