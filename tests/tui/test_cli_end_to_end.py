"""The commands against the embedded provider: real processes on real sockets."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui.cli import main
from tui.commands.provider import embedded_provider


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with embedded_provider("healthy", seed=1) as provider:
        yield f"{provider.base_url}/v1"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path / "config"))
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(tmp_path / "state"))
    return tmp_path / "state"


def written(tmp_path: Path, text: str) -> str:
    file = tmp_path / "routes.toml"
    file.write_text(text)
    file.chmod(0o600)
    return str(file)


def test_once_tells_an_answer_as_json(
    base_url: str, capsys: pytest.CaptureFixture[str], state: Path
) -> None:
    options = ["--max-tokens", "5", "--json", "--include-text"]
    assert main(["once", "--base-url", base_url, "--model", "healthy", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["output_tokens"], told["finish_reason"]) == ("ok", 5, "length")
    assert 0 < told["ttft_s"] < told["e2e_s"]
    assert told["itl_s"] > 0
    assert told["text"]
    assert told["attempts"][0]["status"] == 200
    assert (state / "ledger.sqlite3").exists()


def test_once_draws_a_waterfall(base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--max-tokens", "5"]
    assert main(["once", "--base-url", base_url, "--model", "healthy", *options]) == 0
    told = capsys.readouterr()
    assert "  first token" in told.out
    assert "\nok · TTFT " in told.out
    assert told.err == ""


@pytest.mark.parametrize(
    ("url", "reason"), [("", "model_not_found"), ("http://127.0.0.1:9", "connect.refused")]
)
def test_once_ends_with_1_where_the_probe_failed(
    base_url: str, url: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = ["--base-url", url or base_url, "--model", "gone", "--retries", "0"]
    assert main(["once", *target, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["reason"] == reason
    assert (told["ttft_s"], told["e2e_s"]) == (None, None)


def test_check_probes_every_route_and_tells_which_fails(
    base_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = f'[defaults]\nbase_url = "{base_url}"\nmax_tokens = 4\n[routes.good]\nmodel="healthy"\n'
    assert main(["check", "--config", written(tmp_path, good)]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["ROUTE", "OUTCOME", "REASON", "TTFT", "E2E", "IN/OUT", "COST"]
    assert row.split()[:2] == ["good", "ok"]
    both = good + '[routes.bad]\nmodel="gone"\n'
    assert main(["check", "--config", written(tmp_path, both)]) == 1
    told = capsys.readouterr()
    assert "bad    client error  model_not_found" in told.out
    assert told.err.startswith("llmtop: bad: The model `gone` does not exist")


def test_a_spent_budget_sends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
        [budget]
        route_tokens_per_hour = 10
        [routes.dear]
        base_url = "http://127.0.0.1:9"
        model = "m"
    """
    config = written(tmp_path, text)
    assert main(["once", "--config", config]) == 1
    assert capsys.readouterr().err == (
        "llmtop: dear: the hour's budget is spent; nothing was sent\n"
    )
    assert main(["check", "--config", config]) == 1
    assert "dear   held     budget" in capsys.readouterr().out


@pytest.mark.parametrize(
    "engines",
    [1, pytest.param(2, marks=pytest.mark.skipif(os.cpu_count() == 1, reason="needs two cores"))],
)
def test_the_demo_runs_headless_and_ends_in_a_summary(tmp_path: Path, engines: int) -> None:
    # A second of wall time: a real engine and provider in processes of their own.
    record = tmp_path / "run.jsonl"
    options = ["--headless", "--duration", "1", "--record", str(record), f"--engines={engines}"]
    ended = subprocess.run(
        [sys.executable, "-m", "tui.cli", "demo", *options],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "XDG_STATE_HOME": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [event["type"] for event in events].count("hello") == 1
    assert events[0]["type"] == "hello"
    assert events[0].get("engines", 1) == engines
    assert events[-1]["type"] == "summary"
    assert len(events[-1]["routes"]) == 6
    assert record.read_bytes().startswith(b'{"type":"hello"')
    assert not (tmp_path / "llmtop" / "ledger.sqlite3").exists()


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["simulate", "--scenario", "healthy", "--port", port]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("llmtop: the embedded provider did not start: ")
    assert "in use" in line


def test_the_provider_ends_with_its_block() -> None:
    with embedded_provider("healthy") as provider:
        assert provider.process.poll() is None
    assert provider.process.returncode == 0
