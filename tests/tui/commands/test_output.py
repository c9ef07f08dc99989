"""Lines for people hold up nobody: what stderr does not take is left out, counted and said."""

import os
import sys
import time
from io import TextIOWrapper
from pathlib import Path

import pytest

from tui.commands import output
from tui.commands.output import complain, warn

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs pipes that tell of their room")


class Pipe:
    """A stderr that somebody reads when a test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.stream = TextIOWrapper(os.fdopen(writer, "wb"), line_buffering=True)

    def __enter__(self) -> "Pipe":
        # In the test itself: pytest puts a stream of its own there after the fixtures.
        self._monkeypatch.setattr(sys, "stderr", self.stream)
        self._monkeypatch.setattr(output, "_stderr", output.PatientWriter())
        return self

    def __exit__(self, *_: object) -> None:
        self.read()
        self.stream.close()
        os.close(self.reader)

    def read(self) -> str:
        found = b""
        try:
            while piece := os.read(self.reader, 1 << 20):
                found += piece
        except BlockingIOError:
            pass
        return found.decode()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    return Pipe(monkeypatch)


def test_a_pipe_that_nobody_reads_holds_up_nobody(pipe: Pipe) -> None:
    with pipe:
        began_s = time.monotonic()
        for number in range(5_000):
            complain([f"line {number} {'x' * 100}"])
        assert time.monotonic() - began_s < 2.0, "it waits once, and for none of those that follow"
        taken = pipe.read().splitlines()
        assert 0 < len(taken) < 5_000
        complain(["again"])
        left_out = 5_000 - len(taken)
        assert pipe.read().splitlines() == [
            f"llmtop: {left_out:,} lines were left out: nobody read them",
            "llmtop: again",
        ]


def test_a_reader_who_is_late_for_a_moment_misses_nothing(pipe: Pipe) -> None:
    with pipe:
        lines = [f"{number} {'é' * 3_000}" for number in range(8)]
        complain(lines)
        assert pipe.read().splitlines() == [f"llmtop: {line}" for line in lines]


def test_what_is_said_to_nobody_at_the_end_keeps_no_process(pipe: Pipe) -> None:
    with pipe:
        began_s = time.monotonic()
        warn(["x" * 1_000_000, "\n"])
        assert time.monotonic() - began_s < 2.0


def test_a_file_and_what_has_no_descriptor_take_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    complain(["seen"])
    assert capsys.readouterr().err == "llmtop: seen\n"
    with (tmp_path / "log").open("w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        complain(["x" * 200_000])
    assert len((tmp_path / "log").read_text()) == 200_009
