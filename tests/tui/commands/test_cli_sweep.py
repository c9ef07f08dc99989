"""`llmtop sweep` against the embedded provider: what it says before, meanwhile and at the end."""

import csv
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import made_sweep
import pytest
from pages import ROOT
from terminal_reader import TerminalReader, terminal_environment

from tui.cli import main
from tui.commands.provider import embedded_provider
from tui.commands.sweep import cost_words, progress_words, result_lines

SCENARIO = """
title = "Swept"
[[models]]
name = "quick"
incident = "healthy"
serving = { gateway_s = 0.02, jitter = 0.1, decode_tokens_per_s = 400, batch_penalty = 0.01 }
[[models]]
name = "refusing"
incident = "healthy"
faults = { refuse = "auth", refuse_share = 1.0 }
"""
ROUTES = """
[defaults]
base_url = "{base_url}"
max_tokens = 8
[routes.quick]
model = "quick"
price = {{ input = 1.0, output = 2.0 }}
[routes.free]
model = "quick"
[routes.refusing]
model = "refusing"
"""


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("scenario") / "swept.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    with embedded_provider(str(path), seed=1) as provider:
        yield f"{provider.base_url}/v1"


@pytest.fixture(autouse=True)
def config(base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the option that names the settings; the ledger is the test's own."""
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path / "config"))
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(tmp_path / "state"))
    file = tmp_path / "routes.toml"
    file.write_text(ROUTES.format(base_url=base_url), encoding="utf-8")
    file.chmod(0o600)
    return ["--config", str(file)]


Output = pytest.CaptureFixture[str]
SMALL = ("--max", "2", "--step", "1", "--yes", "--goal", "ttft_p95=5")


def test_a_sweep_is_a_sentence_a_chart_and_a_row_a_step(config: list[str], capsys: Output) -> None:
    # On a machine that is busy the provider may well have changed: that is said then.
    assert main(["sweep", "quick", *SMALL, *config]) in (0, 3)
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert "ithin goals up to 2 at once: TTFT p95" in lines[0] or "provider changed" in lines[0]
    assert any("TTFT p95, s (log)" in line for line in lines)
    (head,) = [at for at, line in enumerate(lines) if line.split()[:2] == ["LOAD", "N"]]
    assert [line.split()[0] for line in lines[head + 1 :]] == ["1", "2", "1"]
    # The cost was said, and on a pipe nothing else.
    (cost,) = told.err.splitlines()
    assert cost.startswith("llmtop: quick from 1 at once up to 2 at once (TTFT p95 ≤ 5.00 s)")
    assert "14 steps" in cost


def test_it_is_one_json_object_which_another_one_is_drawn_beside(
    config: list[str], capsys: Output, tmp_path: Path
) -> None:
    assert main(["sweep", "quick", *SMALL, "--json", *config]) in (0, 3)
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["schema"], told["route"], told["by"]) == (1, "quick", "concurrency")
    assert told["state"] in ("done", "ill")
    assert 0 < told["spent_usd"] <= told["cost"]["usd"]
    assert sum(one["tokens"] for one in told["points"]) <= told["spent_tokens"]
    former, picture = tmp_path / "before.json", tmp_path / "now.svg"
    former.write_text(line, encoding="utf-8")
    options = ["--compare", str(former), "--svg", str(picture)]
    assert main(["sweep", "quick", *SMALL, *options, *config]) in (0, 3)
    lines = capsys.readouterr().out.splitlines()
    assert any("◌ quick, before" in line for line in lines)
    assert any(line.startswith("Before, quick: ") for line in lines)
    ET.parse(picture)  # noqa: S314
    assert "swept before" in picture.read_text(encoding="utf-8")


def test_it_is_a_table_for_a_spreadsheet(config: list[str], capsys: Output) -> None:
    assert main(["sweep", "free", *SMALL, "--csv", *config]) in (0, 3)
    head, *rows = csv.reader(capsys.readouterr().out.splitlines())
    assert [dict(zip(head, row, strict=True))["purpose"] for row in rows] == [
        "grow",
        "grow",
        "check",
    ]


def test_what_refuses_ends_with_status_1(config: list[str], capsys: Output) -> None:
    assert main(["sweep", "refusing", *SMALL, *config]) == 1
    told = capsys.readouterr().out
    assert told.startswith("It cannot be swept: nothing answers")
    assert "client_error / auth: Incorrect API key provided" in told


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["nobody", "--yes"], "no route is named nobody"),
        (["refusing@eu", "--yes"], "no route is named refusing@eu; in the settings it is refusing"),
        (["quick", "--yes", "--goal", "speed=1"], "goal: got 'speed', expected one of ttft_p95"),
        (["quick", "--max", "0"], "expected a number above 0"),
        (["quick", "--by", "luck"], "invalid choice"),
        (["free", "--yes", "--budget-usd", "1"], "no price is known of free"),
        (["quick"], "where nobody can be asked, say --yes"),
        (
            ["quick", "--yes", "--compare", "/nowhere.json"],
            "--compare: /nowhere.json: No such file",
        ),
        (["quick", "--yes", "--compare", __file__], "it is no JSON"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_sent(
    config: list[str], capsys: Output, words: list[str], problem: str
) -> None:
    assert main(["sweep", *words, *config]) == 2
    told = capsys.readouterr()
    assert problem in told.err
    assert told.out == ""


def test_a_picture_that_cannot_be_written_loses_no_result(
    config: list[str], capsys: Output
) -> None:
    assert main(["sweep", "quick", *SMALL, "--svg", "/nowhere/a.svg", *config]) in (0, 3)
    told = capsys.readouterr()
    assert "--svg: /nowhere/a.svg: No such file" in told.err
    assert "TTFT95" in told.out


def argv(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "tui.cli", *words]


def test_on_a_terminal_it_is_asked_and_a_bar_is_drawn(config: list[str], tmp_path: Path) -> None:
    environment = {**terminal_environment(), "XDG_STATE_HOME": str(tmp_path / "x")}
    asked = argv("sweep", "quick", "--step", "3", *config)
    with TerminalReader(asked, (100, 30), environment) as terminal:
        terminal.wait_for("Begin? [y/N]")
        assert "at most 18 steps" in terminal.text
        terminal.press("y", "\r")
        terminal.wait_for("left · asks for 1 at once")
        terminal.process.send_signal(signal.SIGINT)
        terminal.wait_for("Stopped after ")
        terminal.process.wait(20)
        assert terminal.process.returncode == 130


def test_who_does_not_say_yes_sends_nothing(config: list[str], tmp_path: Path) -> None:
    environment = {**terminal_environment(), "XDG_STATE_HOME": str(tmp_path / "x")}
    with TerminalReader(argv("sweep", "quick", *config), (100, 30), environment) as terminal:
        terminal.wait_for("Begin? [y/N]")
        terminal.press("\r")
        terminal.wait_for("nothing was sent")
        terminal.process.wait(20)
        assert terminal.process.returncode == 1


def test_ctrl_c_ends_it_with_what_is_known(config: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "tui.cli", "sweep", "quick", "--yes", "--step", "1"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, *config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=ROOT,
        text=True,
    ) as running:
        assert running.stderr is not None
        assert "at most" in running.stderr.readline()
        try:
            running.wait(4)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=20)
    assert running.returncode == 130
    assert out.startswith("Stopped after")


# In words.


def test_what_it_may_cost_is_told_with_its_budget() -> None:
    told = cost_words(made_sweep.view(most_tokens=1_000, most_usd=0.5))
    assert "at most 16 steps, 3,391 probes, 278,062 tokens, $0.495, some 8m00s" in told
    assert "it ends at its budget of 1,000 tokens and $0.5" in told


def test_progress_is_a_bar_with_what_is_left() -> None:
    told = progress_words(made_sweep.view())
    assert told.startswith("━━━━━━━━━━━━━━━───── about 1m04s left · asks for 20 at once · n 41")
    assert "at 32 p95 1.70 s, 38 429s" in told


def test_a_sweep_of_nothing_is_a_sentence() -> None:
    assert result_lines(made_sweep.begun()) == ["Nothing is asked yet."]


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_on_a_terminal_nothing_is_wider_than_it(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((columns, 24)))
    for line in result_lines(made_sweep.view(state="done")):
        assert len(line) <= columns
    (head,) = [one for one in result_lines(made_sweep.view(state="done")) if "LOAD" in one]
    assert head.split()[-1] == "GOALS" or columns == 40
