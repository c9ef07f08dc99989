"""The command line: statuses, one-line complaints, and what is imported for what."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from probes import __version__
from probes.stats.sketch import BACKEND
from tui.cli import main, parser
from tui.commands.init import PROVIDERS, config_text, write_config
from tui.commands.output import UsageError

KEYS = {provider.variable: f"secret-of-{provider.name}" for provider in PROVIDERS}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the real settings, state and keys."""
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path / "config"))
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(tmp_path / "state"))
    for variable in (*KEYS, "LLMTOP_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("tui.commands.init.found_servers", tuple)
    monkeypatch.setattr("tui.commands.init.found_prices", lambda _environ: {})


def modules_after(*arguments: str) -> set[str]:
    """Return what a process has imported once `llmtop` with these arguments has ended."""
    code = (
        "import json, sys; from tui.cli import main; main(sys.argv[1:]);"
        "print(json.dumps(sorted(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(json.loads(ended.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["once", "--base-url", "http://127.0.0.1:9", "--model", "m", "--retries", "0"],
        ["init", "--stdout", "--no-scan"],
        ["demo", "--headless", "--duration", "0.2", "--no-record"],
        ["replay", "--headless", "--only", "summary", __file__],
        ["check"],
    ],
)
def test_a_command_without_a_screen_never_imports_textual(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert not {name for name in modules_after(*arguments) if name.startswith("textual")}


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"llmtop {__version__} (percentiles: {BACKEND})\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--bogus"], "unrecognized arguments: --bogus"),
        (
            ["sweep", "chat", "--bus", "nats://h"],
            "--bus: `llmtop sweep` probes from the machine that it runs on: run it at the place",
        ),
        (["compare", "a", "b", "--place=eu=ssh:h"], "--place: `llmtop compare` probes from the"),
        (["replay", "--bus", "x"], "unrecognized arguments: --bus"),
        (["--duration", "-1"], "got -1, expected seconds above 0"),
        (["--duration", "1m"], "got 1m, expected seconds above 0"),
        (["--engines", "0"], "got 0, expected a number of processes from 1 to "),
        (["--engines", "1000"], "got 1000, expected a number of processes from 1 to "),
        (["demo", "--engines", "two"], "got two, expected a number of processes from 1 to "),
        (["chekc"], "invalid choice: chekc (choose from demo, simulate, init, check, once"),
        (["--window", "2m"], "--window: invalid choice: 2m (choose from 1m, 5m, 15m, 1h, run)"),
        (["demo", "--seed", "x"], "got x, expected a whole number"),
        (["simulate", "--port", "http"], "got http, expected a port from 0 to 65535"),
        (["once", "--stall-timeout", "1m"], "got 1m, expected a number of seconds"),
        (["--base-url", "https://h"], "--base-url and --model go together"),
        (["once", "--model", "m"], "--base-url and --model go together"),
        (["check", "--api-key-env", "X"], "--api-key-env goes with --base-url"),
        (["once"], "no settings"),
        (["check", "--config", "/nonexistent/routes.toml"], "No such file or directory"),
        (["once", "--base-url", "ftp://h", "--model", "m"], "--base-url: got ftp://h, expected"),
        (["demo", "--headless", "--scenario", "nope"], 'no scenario is named "nope"'),
        (["simulate", "--port", "70000"], "expected a port from 0 to 65535"),
        (
            ["once", "--base-url", "http://h", "--model", "m", "--max-tokens", "0"],
            "--max-tokens: got 0, expected a whole number",
        ),
        (
            ["once", "--base-url", "http://h", "--model", "m", "--stall-timeout", "nan"],
            "--stall-timeout: got NaN, expected a number of seconds",
        ),
        (
            ["once", "--base-url", "http://h", "--model", "m", "--dialect", "morse"],
            '--dialect: got "morse", expected "chat" or ',
        ),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert line.startswith("llmtop: ")
    assert complaint in line


@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ([], "llmtop --headless --duration 60 --base-url URL --model M"),
        (["demo"], "llmtop demo --headless --duration 60"),
        (["--base-url", "http://h", "--model", "m"], "llmtop --headless --duration 60"),
    ],
)
def test_without_a_terminal_it_says_how_to_run_headless(
    arguments: list[str], how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("llmtop: no terminal for the ")
    assert how in line


def without_streams(closed: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `llmtop` as a shell does that was told to close or redirect some streams."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m tui.cli "$@" {closed}', sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=30,
        check=False,
    )


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_reason_to_break(closed: str) -> None:
    ended = without_streams(closed, "init", "--stdout")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert bool(ended.stdout) is (">&-" not in closed.replace("2>&-", ""))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line_and_status_1() -> None:
    ended = without_streams(">/dev/full", "init", "--stdout")
    assert ended.returncode == 1
    assert ended.stderr == "llmtop: standard output: No space left on device\n"


def test_several_mistakes_of_a_file_are_a_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "routes.toml"
    file.write_text("[routes.a]\nbase_url = 'https://h'\ninterval = -3\n[disply]\n")
    file.chmod(0o600)
    assert main(["check", "--config", str(file)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "llmtop: routes.toml: disply: unknown key, did you mean display?",
        "llmtop: routes.toml: routes.a.interval: got -3, "
        "expected a number of seconds from 0 to 86,400",
        "llmtop: routes.toml: routes.a.model: is missing, expected the model's name",
    ]


def test_keys_that_cannot_be_given_out_are_a_mistake_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "routes.toml"
    keys = '[keys]\nmor = "x"\nundo = "q"\nquit = "f99"\n'
    file.write_text(f"[routes.a]\nbase_url = 'http://127.0.0.1:9'\nmodel = 'm'\n{keys}")
    file.chmod(0o600)
    assert main(["check", "--config", str(file)]) == 2
    mor, quit_ = capsys.readouterr().err.splitlines()
    assert mor == "llmtop: routes.toml: keys.mor: unknown key, did you mean more?"
    assert quit_.startswith("llmtop: routes.toml: keys.quit: got f99, expected a character such as")


def test_a_route_that_is_not_there_is_told_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "routes.toml"
    write_config(file, config_text(KEYS))
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in KEYS.items():
            patch.setenv(variable, value)
        assert main(["once", "--config", str(file), "deepinfa"]) == 2
    assert capsys.readouterr().err == (
        "llmtop: no route is named deepinfa; did you mean deepinfra?\n"
    )


@pytest.mark.parametrize(("cores", "most"), [(1, 1), (8, 8), (128, 32)])
def test_there_are_no_more_engines_than_cores(
    cores: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(cores)), raising=False)
    assert parser().parse_args(["demo", "--engines", str(most)]).engines == most
    assert parser().parse_args(["demo"]).engines == 1
    with pytest.raises(UsageError, match=f"from 1 to {most}: an engine fills one core"):
        parser().parse_args(["--engines", str(most + 1)])


def test_engines_in_this_process_are_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1}, raising=False)
    assert main(["demo", "--headless", "--in-process", "--engines", "2"]) == 2
    assert capsys.readouterr().err == "llmtop: --engines and --in-process exclude each other\n"


def test_an_option_may_stand_before_or_after_its_command() -> None:
    before = parser().parse_args(["--config", "a.toml", "check"])
    after = parser().parse_args(["check", "--config", "a.toml"])
    assert before.config == after.config == Path("a.toml")
    assert before.module == after.module == "tui.commands.check"


def test_ctrl_c_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tui.commands.once.anyio.run", interrupted)
    assert main(["once", "--base-url", "http://127.0.0.1:9", "--model", "m"]) == 130
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
