"""`llmtop engine`, spoken to as its cockpit on another machine does: over pipes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from probes import __version__
from probes.config import Route
from probes.config.places import routes_at
from probes.control.commands import Command, Configure, Go, Stop, encode_command
from tui.cli import main
from tui.commands.provider import embedded_provider

ENGINE = [sys.executable, "-P", "-m", "tui.cli", "engine"]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with embedded_provider("healthy", seed=1) as provider:
        yield f"{provider.base_url}/v1"


def configure(base_url: str, **settings: Any) -> Configure:
    route = Route(name="chat", base_url=base_url, model="healthy", interval=0.1, **settings)
    return Configure(engine="1", routes=routes_at((route,), "eu"))


@contextmanager
def engine(*options: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run an engine whose environment is this alone."""
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(
        [*ENGINE, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": root, **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[bytes], *commands: Command) -> tuple[bytes, str]:
    """Tell an engine something, and that nothing will follow; return what it says."""
    out, error = process.communicate(b"".join(map(encode_command, commands)), timeout=30)
    return out, error.decode()


def test_it_probes_with_the_keys_of_its_own_environment(base_url: str) -> None:
    with engine(CHAT_KEY="sk-there-4711") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encode_command(configure(base_url, api_key_env="CHAT_KEY")))
        process.stdin.write(encode_command(Go()))
        process.stdin.flush()
        lines = [process.stdout.readline()]
        while b'"probe_finished"' not in lines[-1]:
            lines.append(process.stdout.readline())
        process.stdin.write(encode_command(Stop()))
        out, error = process.communicate(timeout=30)
        assert process.returncode == 0
    # A login's own files may have printed something without an end of line before.
    assert lines.pop(0) == b"\n"
    hello = json.loads(lines[0])
    assert (hello["type"], hello["routes"][0]["name"]) == ("hello", "chat@eu")
    assert json.loads(lines[-1])["outcome"] == "ok"
    assert b"sk-there" not in b"".join(lines) + out
    assert error == b""


def test_what_is_missing_is_told_at_once_a_line_each(base_url: str) -> None:
    with engine() as process:
        asked = configure(base_url, api_key_env="CHAT_KEY", headers={"X-Team": "env:TEAM"})
        out, error = told(process, asked, Go())
        assert process.returncode == 2
    assert out == b"\n"
    assert error.splitlines() == [
        "llmtop: routes.chat.api_key_env: environment variable CHAT_KEY is not set",
        "llmtop: routes.chat.headers.X-Team: environment variable TEAM is not set",
    ]


def test_a_key_command_is_run_there_unless_its_login_may_not(base_url: str) -> None:
    asked = configure(base_url, api_key_cmd=("printf", "sk-printed"))
    with engine("--no-commands") as process:
        _, error = told(process, asked, Go())
        assert process.returncode == 2
    assert error == (
        "llmtop: routes.chat.api_key_cmd: is not run: llmtop engine was started with "
        "--no-commands\n"
    )
    with engine() as process:
        out, error = told(process, asked, Go())
        assert (process.returncode, error) == (0, "")
    assert b'"type":"hello"' in out


def test_headers_are_taken_from_no_host(base_url: str) -> None:
    sent = Configure(engine="1", routes=(), headers={"chat@eu": {"Authorization": "Bearer x"}})
    with engine() as process:
        _, error = told(process, sent)
        assert process.returncode == 2
    assert error == "llmtop: a host must not send headers: keys are those of this machine\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"type":"divine"}', "Invalid value 'divine' - at `$.type`"),
        (b"hello", "JSON is malformed"),
        (
            b'{"type":"configure","engine":"1","routes":[{"name":"a","base_url":"u","model":"m",'
            b'"from_tomorrow":1}]}',
            "Object contains unknown field `from_tomorrow` - at `$.routes[0]`",
        ),
    ],
)
def test_a_host_of_another_version_is_told_that_it_is_one(line: bytes, why: str) -> None:
    with engine() as process:
        out, error = process.communicate(line + b"\n", timeout=30)
        assert process.returncode == 2
    begin = f"llmtop: llmtop {__version__} here does not understand its host: {why}"
    assert error.decode().startswith(begin)
    assert out == b"\n"


def test_it_ends_with_its_host_and_ignores_the_terminal(base_url: str) -> None:
    with engine() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encode_command(configure(base_url)) + encode_command(Go()))
        process.stdin.flush()
        assert process.stdout.readline() == b"\n"
        assert b'"hello"' in process.stdout.readline()
        process.stdin.close()  # as when sshd is gone
        began = time.monotonic()
        process.stdout.read()
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5


def test_a_host_that_says_nothing_for_long_is_given_up(base_url: str) -> None:
    code = (
        "import probes.__main__ as engine, sys; engine.HOST_SILENT_S = 0.5; "
        "sys.exit(engine.serve_elsewhere(commands=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(encode_command(configure(base_url)) + encode_command(Go()))
        process.stdin.flush()
        assert process.wait(20) == 0
        assert process.stderr.read() == b"the host has said nothing for 0.5 s\n"


def test_who_types_it_is_told_what_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main(["engine"]) == 2
    assert "which starts it: llmtop --place NAME=ssh:HOST" in capsys.readouterr().err


ROUTES = '[routes.chat]\nbase_url = "https://h/v1"\nmodel = "m"\napi_key_env = "NOT_SET_HERE"\n'


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--place", "EU=local"], "--place: 'EU' is no name of a place, expected 1 to 32 of a-z"),
        (["--place", "eu=ssh:-oProxyCommand=x"], "--place eu: got '-oProxyCommand=x', expected"),
        (["--place", "eu"], "--place eu: does not say how it is reached"),
        (["--place", "eu=local", "--place", "eu=ssh:h"], "--place eu: stands twice"),
        (["--place", "eu=ssh:h", "--in-process"], "--in-process and --place exclude each other"),
        (["--place", "eu=ssh:h", "demo"], "--place, before a command, goes with llmtop itself"),
        (["--place", "eu=ssh:h", "--place", "here=local"], "variable NOT_SET_HERE is not set"),
    ],
)
def test_a_place_that_cannot_be_is_one_line(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(ROUTES)
    file.chmod(0o600)
    before = ["--config", str(file), "--headless"]
    assert main([*before, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("llmtop: ")
    assert told in line


def test_places_need_settings_to_probe_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("LLMTOP_CONFIG", raising=False)
    assert main(["--place", "eu=ssh:h", "--headless"]) == 2
    assert "--place: there are no settings to probe by" in capsys.readouterr().err
