"""`llmtop agent`: what it complains about before it probes, and what it imports for that."""

import subprocess
import sys
from pathlib import Path

import pytest

from probes.bus.connection import MISSING_EXTRA
from tui.cli import main

NOWHERE = "nats://127.0.0.1:9"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("LLMTOP_BUS", raising=False)
    path = tmp_path / "routes.toml"
    path.write_text('[routes.chat]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\n')
    return str(path)


def agent(config: str, *arguments: str) -> int:
    return main(["agent", "--config", config, *arguments])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "the following arguments are required: --place"),
        (("--place", "eu"), "which bus? --bus nats://HOST:4222, or the variable LLMTOP_BUS"),
        (("--place", "EU", "--bus", NOWHERE), "--place: 'EU' is no name of a place, expected 1 to"),
        (("--place", "eu", "--bus", "http://bus"), "--bus: http:// is no bus, expected nats://"),
        (
            ("--place", "eu", "--bus", NOWHERE, "--bus-credentials", "/none.creds"),
            "--bus-credentials: /none.creds: No such file or directory",
        ),
        (
            ("--place", "eu", "--bus", NOWHERE, "--in-process", "--engines", "2"),
            "--engines and --in-process exclude each other",
        ),
    ],
)
def test_a_wrong_call_is_one_line(
    config: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    assert agent(config, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"llmtop: {complaint}")


def test_a_bus_that_is_not_there_is_one_line_and_another_status(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMTOP_BUS", NOWHERE.replace("//", "//ann:s3cret-s3cret@"))
    assert agent(config, "--place", "eu", "--duration", "5") == 1
    told = capsys.readouterr().err
    assert told == f"llmtop: {NOWHERE} cannot be reached: Connection refused\n"


def test_without_the_package_it_is_said_how_to_get_it(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "nats"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nats", None)
    assert agent(config, "--place", "eu", "--bus", NOWHERE) == 2
    assert capsys.readouterr().err == f"llmtop: {MISSING_EXTRA}\n"


def test_nothing_of_the_bus_is_imported_until_it_is_asked_for(config: str) -> None:
    code = (
        "import sys; from tui.cli import main; main(sys.argv[1:]);"
        "print([name for name in sys.modules if name.partition('.')[0] == 'nats'])"
    )
    for arguments in (["--version"], ["agent", "--help"], ["agent", "--config", config]):
        ended = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert ended.stdout.splitlines()[-1] == "[]"
