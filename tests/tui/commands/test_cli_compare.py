"""`llmtop compare` against the embedded provider: what it says before, meanwhile and at the end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT
from terminal_reader import TerminalReader, terminal_environment

from probes.comparing.plan import ALPHA, MARGIN, MOST_PAIRS
from probes.comparing.views import (
    ArmView,
    ComparedFigure,
    ComparisonCost,
    ComparisonView,
)
from tui.cli import main
from tui.commands.compare import cost_words, progress_words, result_lines
from tui.commands.provider import embedded_provider

SCENARIO = """
title = "Two arms"
[[models]]
name = "quick"
incident = "healthy"
serving = { gateway_s = 0.04, jitter = 0.05, decode_tokens_per_s = 2000 }
[[models]]
name = "slow"
incident = "healthy"
serving = { gateway_s = 0.16, jitter = 0.05, decode_tokens_per_s = 2000 }
"""
ROUTES = """
[defaults]
base_url = "{base_url}"
max_tokens = 4
[routes.quick]
model = "quick"
price = {{ input = 1.0, output = 2.0 }}
[routes.again]
model = "quick"
price = {{ input = 1.0, output = 2.0 }}
[routes.slow]
model = "slow"
[routes.keyed]
model = "quick"
api_key_env = "COMPARE_KEY"
"""


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("scenario") / "arms.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    with embedded_provider(str(path), seed=1) as provider:
        yield f"{provider.base_url}/v1"


@pytest.fixture(autouse=True)
def config(base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the option that names the settings; the ledger is the test's own."""
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path / "config"))
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(tmp_path / "state"))
    monkeypatch.setenv("COMPARE_KEY", "sk-s3cret-s3cret")
    file = tmp_path / "routes.toml"
    file.write_text(ROUTES.format(base_url=base_url), encoding="utf-8")
    file.chmod(0o600)
    return ["--config", str(file)]


Output = pytest.CaptureFixture[str]


def test_a_slower_route_is_told_with_the_figures(config: list[str], capsys: Output) -> None:
    assert main(["compare", "quick", "slow", "--yes", *config]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].split()[:3] == ["ARM", "PROBES", "GOOD"]
    assert [line.split()[0] for line in lines[1:3]] == ["quick", "slow"]
    (ttft,) = [line for line in lines if line.startswith("slow") and " TTFT " in line]
    assert ttft.endswith("slower")
    assert lines[-1].startswith("slow is slower to the first token than quick, ×")
    # The cost was said, and on a pipe nothing else.
    (cost,) = told.err.splitlines()
    assert cost.startswith(
        f"llmtop: slow against quick: at most {MOST_PAIRS} pairs, {2 * MOST_PAIRS + 2} probes"
    )
    assert "without slow, of which no price is known" in cost


def test_what_is_not_known_ends_with_another_status(config: list[str], capsys: Output) -> None:
    assert main(["compare", "quick", "again", "--pairs", "3", "--yes", "--json", *config]) == 3
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["state"], told["pairs"], told["changed"]) == ("budget", 3, "the route")
    assert (told["alpha"], told["margin"]) == (ALPHA, MARGIN)
    assert told["cost"]["pairs"] == 3
    assert told["cost"]["unpriced"] == []
    assert 0 < told["spent_usd"] <= told["cost"]["usd"]
    first, second = told["arms"]
    assert (first["name"], first["probes"], first["figures"]) == ("quick", 3, [])
    (deciding,) = [one for one in second["figures"] if one["decides"]]
    assert (deciding["figure"], deciding["verdict"], deciding["low"]) == ("ttft", "unknown", None)


def test_one_route_is_compared_with_one_thing_changed(config: list[str], capsys: Output) -> None:
    asked = ["compare", "keyed", "--change", "fresh", "--pairs", "2", "--yes", "--json", *config]
    assert main(asked) == 3
    told = capsys.readouterr()
    fields = json.loads(told.out)
    assert [arm["name"] for arm in fields["arms"]] == ["keyed", "keyed (fresh)"]
    assert "s3cret" not in told.out + told.err


def test_a_margin_may_be_wide(config: list[str], capsys: Output) -> None:
    asked = ["compare", "quick", "again", "--pairs", "60", "--margin", "100", "--yes", *config]
    assert main(asked) == 0
    assert "no difference larger than 100 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["quick"], "2 to 4 routes can be compared, not 1"),
        (["quick", "nobody"], "no route is named nobody"),
        (["quick@eu", "again@eu"], "no route is named quick@eu; in the settings it is quick"),
        (["quick", "quick"], "quick is named twice"),
        (["quick", "slow", "--change", "fresh"], "a change is made to one route, not to 2"),
        (["quick", "--change", "faster"], "--change: got faster, expected fresh, stream"),
        (["quick", "--change", "prompt"], "--change: got prompt, expected fresh, stream"),
        (["quick", "--change", "fresh=1"], "--change: got fresh, expected fresh, stream"),
        (["quick", "--change", "prompt=0"], "prompt: got 0, expected tokens"),
        (["quick", "slow", "--pairs", "0"], "expected a number of pairs from 1 to 10,000"),
        (["quick", "slow", "--margin", "0"], "expected a number of per cent above 0"),
        (["quick", "slow", "--budget-tokens", "x"], "expected a whole number of tokens above 0"),
        (["quick", "slow", "--budget-usd", "nan"], "expected a number of USD above 0"),
        (["quick", "slow", "--budget-usd", "1"], "cannot be held: no price is known of slow"),
        (["quick", "slow"], "where nobody can be asked, say --yes"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    config: list[str], capsys: Output, asked: list[str], words: str
) -> None:
    yes = [] if "--yes" in words else ["--yes"]
    assert main(["compare", *asked, *yes, *config]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert words in line


def test_a_key_goes_to_no_other_host(config: list[str], capsys: Output) -> None:
    url = "http://127.0.0.1:9/v1?key=hidden"
    assert main(["compare", "keyed", "--change", f"base-url={url}", "--yes", *config]) == 2
    told = capsys.readouterr()
    assert "give that URL a route of its own" in told.err
    assert "hidden" not in told.err


def argv(*asked: str) -> list[str]:
    return [
        sys.executable,
        "-P",
        "-c",
        "import sys; from tui.cli import main; sys.exit(main())",
        *asked,
    ]


def test_ctrl_c_ends_it_with_what_is_known(config: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        argv("compare", "quick", "again", "--yes", *config),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "x"), "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the cost: it has begun
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Stopped after " in told.splitlines()[-1]


def test_a_terminal_is_asked_first_and_shown_how_it_goes(config: list[str], tmp_path: Path) -> None:
    environ = {**terminal_environment(), "XDG_STATE_HOME": str(tmp_path / "x"), "COMPARE_KEY": "k"}
    asked = argv("compare", "quick", "again", "--pairs", "40", *config)
    with TerminalReader(asked, (100, 30), {**environ, "PYTHONPATH": str(ROOT)}) as terminal:
        terminal.wait_for("Begin? [y/N]")
        assert "at most 40 pairs, 82 probes" in terminal.text
        terminal.press("y", "\r")
        terminal.wait_for("of 40 pairs · ")
        terminal.wait_for("asking ")
        terminal.process.send_signal(signal.SIGINT)
        terminal.wait_for("Stopped after ")
        terminal.process.wait(20)
        assert terminal.process.returncode == 130
        assert "asking" not in terminal.text


def test_who_does_not_say_yes_sends_nothing(config: list[str], tmp_path: Path) -> None:
    environ = {**terminal_environment(), "XDG_STATE_HOME": str(tmp_path / "x"), "COMPARE_KEY": "k"}
    asked = argv("compare", "quick", "again", *config)
    with TerminalReader(asked, (100, 30), {**environ, "PYTHONPATH": str(ROOT)}) as terminal:
        terminal.wait_for("Begin? [y/N]")
        terminal.press("\r")
        terminal.wait_for("nothing was sent")
        terminal.process.wait(20)
        assert terminal.process.returncode == 1


# In words.


VIEW = ComparisonView(
    arms=(
        ArmView(name="alpha", probes=9, good=9, ttft_s=0.31, e2e_s=1.2, tokens_per_s=48.0),
        ArmView(
            name="br\x1b[31mavo",
            figures=(
                ComparedFigure("ttft", 9, 1.24, 1.02, 1.5, "worse", decides=True),
                ComparedFigure("good", 9, -0.11, -0.4, 0.2),
            ),
        ),
    ),
    changed="the route",
    state="running",
    pairs=9,
    cost=ComparisonCost(pairs=300, probes=602, tokens=15_652, usd=0.0123, unpriced=("alpha",)),
    sentence="It is so.",
    spent_tokens=470,
    seconds=12.0,
)


def test_the_cost_in_words() -> None:
    told = cost_words(VIEW)
    assert "\x1b" not in told
    assert told.partition(" against ")[2] == (
        "alpha: at most 300 pairs, 602 probes with the warm-up, 15,652 tokens, $0.0123 without"
        " alpha, of which no price is known; it ends as soon as it knows"
    )


def test_progress_is_one_line_without_what_a_terminal_obeys() -> None:
    told = progress_words(VIEW)
    assert told.startswith("9 of 300 pairs · br")
    assert "TTFT ×1.24 (×1.02 to ×1.50)" in told
    assert "470 tokens, 12s" in told
    assert "\x1b" not in told
    assert "\n" not in told


def test_the_result_names_no_control_characters() -> None:
    lines = result_lines(VIEW)
    assert lines[-1] == "It is so."
    assert not any("\x1b" in line for line in lines)
    (good,) = [line for line in lines if " good " in line]
    assert "-40 to +20 points" in good
