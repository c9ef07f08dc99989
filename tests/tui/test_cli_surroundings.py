"""Whatever a shell redirects and wherever there is no home: a sensible status, and no traceback.

Real processes, started as a shell starts them.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from probes.store.recording import Recorder
from tui.commands.output import discard

ROOT = Path(__file__).parents[2]
NOBODY_HOME = "the home folder /nonexistent is not there"
ROUTE = "--base-url http://127.0.0.1:9 --model m"
DEMO = "demo --scenario healthy --headless --duration 0.1"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")


def run(command: str, folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a shell's command in `folder`, in an environment that has a PATH and `environ`."""
    return subprocess.run(
        ["/bin/sh", "-c", command.replace("llmtop", f'"{sys.executable}" -m tui.cli', 1)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environ},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "environ", "status", "words"),
    [
        ("llmtop --version", {}, 0, ""),
        ("llmtop --version >&-", {}, 0, ""),
        ("llmtop --version <&- >&- 2>&-", {}, 0, ""),
        ("llmtop --version >/dev/full", {}, 1, "standard output: No space left on device"),
        ("llmtop --help >/dev/full", {}, 1, "standard output: No space left on device"),
        ("llmtop once --help >/dev/full 2>/dev/full", {}, 1, ""),
        ("llmtop --help | head -1", {}, 0, ""),
        ("llmtop --bogus 2>/dev/full", {}, 2, ""),
        ("llmtop --bogus 2>&-", {}, 2, ""),
        (f"llmtop once {ROUTE} --retries 0 >/dev/full", {}, 1, "No space left on device"),
        (f"llmtop once {ROUTE} --retries 0 2>/dev/full", {}, 1, ""),
        (f"llmtop check {ROUTE} >&- 2>&-", {}, 1, ""),
        (f"llmtop {DEMO} --no-record >/dev/full", {}, 1, "No space left on device"),
        (f"llmtop {DEMO} --no-record <&- >&- 2>&-", {}, 0, ""),
        ("llmtop check", {"HOME": "/nonexistent"}, 2, NOBODY_HOME),
        ("llmtop --headless", {"HOME": "/nonexistent"}, 2, NOBODY_HOME),
        ("llmtop init --no-scan", {"HOME": "/nonexistent"}, 2, NOBODY_HOME),
        ("llmtop init --no-scan --stdout", {"HOME": "/nonexistent"}, 0, ""),
        ("llmtop check --config '~/x.toml'", {"HOME": "/nonexistent"}, 2, "/nonexistent/x.toml"),
        ("llmtop check --config '~nobody-here/x'", {}, 2, "no user is named nobody-here"),
        ("llmtop check", {"LLMTOP_CONFIG": "~nobody-here/x"}, 2, "LLMTOP_CONFIG: no user"),
        (f"llmtop {DEMO} --record '~nobody-here/x'", {}, 2, "--record: no user is named"),
        (f"llmtop {DEMO} --record ''", {}, 2, "expected the path of a file"),
        (f"llmtop {DEMO} --record .", {}, 2, "is a directory"),
        (f"llmtop once {ROUTE} --retries 0", {"HOME": "relative"}, 1, "127.0.0.1:9"),
        (
            f"llmtop once {ROUTE} --retries 0",
            {"HOME": "relative", "XDG_STATE_HOME": "also"},
            1,
            "127.0.0.1:9",
        ),
        (f"llmtop {DEMO} --no-record", {"TMPDIR": "/nonexistent"}, 0, ""),
    ],
)
def test_no_shell_and_no_home_brings_a_traceback(
    tmp_path: Path, command: str, environ: dict[str, str], status: int, words: str
) -> None:
    state = {} if "HOME" in environ else {"XDG_STATE_HOME": str(tmp_path / "state")}
    ended = run(command, tmp_path, **state, **environ)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert ended.returncode == status, ended.stderr
    assert words in ended.stderr
    assert bool(words) is bool(ended.stderr)
    # Nothing is ever put into a folder called `~`, nor below a relative HOME.
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "state"] == []


def test_where_nothing_can_be_kept_it_is_said_after_hello_and_measuring_goes_on(
    tmp_path: Path,
) -> None:
    ended = run(f"llmtop --headless --duration 0.5 {ROUTE}", tmp_path, HOME="/nonexistent")
    assert (ended.returncode, ended.stderr) == (0, "")
    hello, *lines = ended.stdout.splitlines()
    assert hello.startswith('{"type":"hello"')
    notices = [line for line in lines if line.startswith('{"type":"notice"')]
    assert any(f"{NOBODY_HOME}: there is no place for recordings" in line for line in notices)
    assert any('"type":"probe_finished"' in line for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_emptied_and_nothing_else(tmp_path: Path) -> None:
    settings = tmp_path / "routes.toml"
    settings.write_text("[routes.a]\n")
    refused = run(f"llmtop {DEMO} --record routes.toml", tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == (
        "llmtop: --record: routes.toml: holds something else than a recording, "
        "and is left as it is; name another file\n"
    )
    assert settings.read_text() == "[routes.a]\n"
    for _ in range(2):
        assert run(f"llmtop {DEMO} --record run.jsonl", tmp_path).returncode == 0
    assert (tmp_path / "run.jsonl").read_bytes().count(b'{"type":"hello"') == 1
    live = Recorder.to_file(tmp_path / "run.jsonl")
    held = run(f"llmtop {DEMO} --record run.jsonl", tmp_path)
    assert "run.jsonl: being written by another run" in held.stderr
    del live


@pytest.mark.parametrize("imports", [0, 5, 40, 120, 200])
@pytest.mark.parametrize("command", ["--version", f"{DEMO} --no-record"])
def test_ctrl_c_while_it_starts_is_quiet(tmp_path: Path, command: str, imports: int) -> None:
    # Python tells of each import on stderr, so that the signal comes in the middle of them, however
    # slow the machine is. Before the first of ours it is Python itself that takes Ctrl-C.
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "tui.cli", *command.split()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.rstrip().endswith(b"| tui"):
                break
        for _ in range(imports):
            process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert b"Traceback" not in rest
    assert b"KeyboardInterrupt" not in rest
    # It may have been done, or well under way, before the signal came; Python that ends has no
    # handler any more, and the signal itself is the end, which a shell tells as 130, too.
    ended = (130,) if imports < 100 else (0, 130, -signal.SIGINT)
    assert process.returncode in ended


def test_a_stream_that_nobody_takes_is_sent_nowhere(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        discard(stream)
        stream.write("lost")
    assert (tmp_path / "out").read_text() == ""
