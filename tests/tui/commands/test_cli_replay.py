"""`llmtop replay`: real recordings of real runs, and whatever else a path may name."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from probes.config import Display
from probes.events import Hello, Mark, encode_event
from tui.cli import main, parser
from tui.commands import progress_bar
from tui.commands.output import UsageError
from tui.commands.replay import display_settings

ROOT = Path(__file__).parents[3]
HELLO = encode_event(Hello(at_ns=1, wall_ns=2, engine="1", version="0", routes=(), schema=1))
MARK = encode_event(Mark(at_ns=2, text="\u202ehere"))
SUMMARY = b'{"type":"summary","routes":{}}\n'
TYPES = (
    "hello, attempt_started, first_token, attempt_finished, probe_finished, knob, limit, held, "
    "gap, mark, fault, notice, place, diagnosis, usual, reference, seen_before, "
    "alert, tick, summary"
)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be neither settings nor a state folder: a replay needs none."""

    def none(*_: object, **__: object) -> str:
        pytest.fail("a replay reads its recording alone")

    monkeypatch.setattr("platformdirs.user_config_dir", none)
    monkeypatch.setattr("platformdirs.user_state_dir", none)


def llmtop(command: str, folder: Path) -> "subprocess.CompletedProcess[bytes]":
    """Run a shell's command in `folder`, as a user types it."""
    environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state")}
    return subprocess.run(
        ["/bin/sh", "-c", command.replace("llmtop", f'"{sys.executable}" -P -m tui.cli')],
        capture_output=True,
        cwd=folder,
        env=environ,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("engines", [1, 2])
def test_a_replay_of_a_real_run_prints_what_it_printed(tmp_path: Path, engines: int) -> None:
    # Seconds of the wall: it is the run of real processes that is to be told again.
    if engines > len(os.sched_getaffinity(0)):
        pytest.skip("needs as many cores")
    options = f"--headless --seed 5 --duration 3 --engines {engines} --record run.jsonl"
    live = llmtop(f"llmtop demo {options}", tmp_path)
    again = llmtop("llmtop replay run.jsonl --headless", tmp_path)
    assert (live.returncode, live.stderr) == (again.returncode, again.stderr) == (0, b"")
    assert again.stdout == live.stdout
    hello, *_, summary = map(json.loads, live.stdout.splitlines())
    assert (hello["type"], hello.get("engines", 1)) == ("hello", engines)
    assert sum(route["n"] for route in summary["routes"].values()) > 5
    told = llmtop("llmtop replay run.jsonl --headless --only hello,summary", tmp_path)
    assert [json.loads(line) for line in told.stdout.splitlines()] == [hello, summary]


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_reader_that_has_enough_ends_it_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_bytes(HELLO + MARK * 200_000)
    ended = llmtop("(llmtop replay run.jsonl --headless; echo $? >&2) | head -n 1", tmp_path)
    assert (ended.stdout, ended.stderr) == (HELLO, b"0\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_bytes(HELLO)
    ended = llmtop("llmtop replay run.jsonl --headless > /dev/full", tmp_path)
    words = b"llmtop: standard output: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (1, words)


def test_an_own_recording_is_read_and_nothing_else(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "run.jsonl").write_bytes(HELLO + b"?\n" + MARK)
    assert main(["replay", "--headless", str(tmp_path / "run.jsonl")]) == 0
    told = capfdbinary.readouterr()
    assert told.out == HELLO + MARK.replace("\u202e".encode(), b"\\u202e") + SUMMARY
    assert told.err == b"llmtop: run.jsonl: 1 line is left out: line 2 is unreadable\n"


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line of a command that is refused."""
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    return line.removeprefix("llmtop: ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "is empty: no recording of llmtop"),
        (b"[routes.a]\nmodel = 1\n", "no line of it is an event: no recording of llmtop"),
        (b"\0\xff" * 10_000, "no line of it is an event: no recording of llmtop"),
        (
            HELLO.replace(b'"schema":1', b'"schema":2'),
            "is of schema 2, written by llmtop 0; this version reads schema 1: a newer version "
            "reads it",
        ),
        (
            HELLO.replace(b'"schema":1', b'"schema":0'),
            "is of schema 0, written by llmtop 0; this version reads schema 1",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else f"{len(value or b'')} bytes",
)
def test_what_is_no_recording_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    path = tmp_path / "run.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert complaint(capsys, "replay", "--headless", str(path)) == f"{path}: {words}"


@pytest.mark.skipif(os.name != "posix", reason="needs pipes and permissions of POSIX")
def test_what_is_no_file_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path, "is a directory, expected a regular file"),
        (tmp_path / "pipe", "is a named pipe, expected a regular file"),
        (Path("/dev/null"), "is a device, expected a regular file"),
    ):
        assert complaint(capsys, "replay", "--headless", str(path)) == f"{path}: {words}"
    if os.geteuid():
        (tmp_path / "closed.jsonl").touch(0)
        line = complaint(capsys, "replay", "--headless", str(tmp_path / "closed.jsonl"))
        assert line.endswith("Permission denied")


def test_without_a_terminal_it_says_what_goes_without_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = "no terminal for the screen; without one: llmtop replay PATH --headless"
    assert complaint(capsys, "replay", "run.jsonl") == words


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be a terminal, as far as is asked before the screen."""
    monkeypatch.setattr("tui.commands.watch.has_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "is empty: no recording of llmtop"),
        (b"[routes.a]\nmodel = 1\n", "no line of it is an event: no recording of llmtop"),
        (SUMMARY, "no line of it is an event: no recording of llmtop"),
        (MARK, "has no hello with a route: nothing can be shown"),
        (HELLO, "has no hello with a route: nothing can be shown"),
        (
            HELLO.replace(b'"schema":1', b'"schema":2'),
            "is of schema 2, written by llmtop 0; this version reads schema 1: a newer version "
            "reads it",
        ),
    ],
)
def test_what_cannot_be_shown_is_one_line_before_there_is_a_screen(
    content: bytes | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert complaint(capsys, "replay", str(path)) == f"{path}: {words}"


@pytest.mark.parametrize(
    ("settings", "theme", "problems"),
    [
        (None, Display().theme, 0),
        ('[display]\ntheme = "nord"\n', "nord", 0),
        ('[display]\ntheme = "nosuch"\n', Display().theme, 1),
        ("[display\n", Display().theme, 1),
    ],
)
def test_a_mistake_in_the_settings_does_not_stand_in_the_way(
    settings: str | None, theme: str, problems: int, tmp_path: Path
) -> None:
    path = tmp_path / "routes.toml"
    route = '[routes.a]\nbase_url = "http://127.0.0.1:9"\nmodel = "m"\ninsecure = true\n'
    if settings is not None:
        path.write_text(settings + route)
    environ = {} if settings is None else {"LLMTOP_CONFIG": str(path)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path / "none"))
        config, found = display_settings(environ)
    told = list(found)
    assert (config.display.theme, config.routes, len(told)) == (theme, (), problems)
    assert all(one.startswith("settings left aside: routes.toml") for one in told)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("is_terminal", "more", "is_told"),
    [
        (False, [], True),
        (True, ["--only", "summary"], True),
        (True, [], False),
        (True, ["--only", "summary,mark"], False),
    ],
)
def test_who_waits_for_lines_that_go_elsewhere_is_told_how_far_it_is(
    is_terminal: bool,
    more: list[str],
    is_told: bool,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress_bar, "_QUIET_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    path = tmp_path / "run.jsonl"
    path.write_bytes(HELLO + MARK + b"broken\n")
    assert main(["replay", str(path), "--headless", *more]) == 0
    told = capfdbinary.readouterr()
    assert told.out.endswith(SUMMARY)
    assert ("replaying █" in told.err.decode()) == is_told
    assert re.search(rb"(^|\r)llmtop: run.jsonl: 1 line is left out", told.err), "on its own line"


def test_a_screen_ends_with_no_status_of_an_incident(capsys: pytest.CaptureFixture[str]) -> None:
    words = "replay: --fail-on-incident goes with --headless"
    assert complaint(capsys, "replay", "run.jsonl", "--fail-on-incident") == words


def test_a_replay_needs_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert "required: PATH" in complaint(capsys, "replay", "--headless")


@pytest.mark.parametrize("command", [[], ["demo"], ["replay", "run.jsonl"]])
def test_an_unknown_type_is_told_with_those_there_are(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for text, got in (("tick,tock,arrivals", "arrivals, tock"), ("", "nothing")):
        line = complaint(capsys, *command, "--headless", "--only", text)
        assert line.startswith(f"argument --only: got {got}, expected some of {TYPES}")


@pytest.mark.parametrize("command", [[], ["demo"], ["replay", "run.jsonl"]])
def test_types_of_lines_go_with_lines(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = complaint(capsys, *command, "--only", "tick")
    assert line == f"--only goes with --headless; it takes {TYPES}"


def test_types_are_separated_by_commas() -> None:
    arguments = parser().parse_args(["demo", "--headless", "--only", "tick, summary,tick"])
    assert arguments.only == {"tick", "summary"}
    assert parser().parse_args(["demo"]).only is None
    with pytest.raises(UsageError):
        parser().parse_args(["--only", "tick summary"])
