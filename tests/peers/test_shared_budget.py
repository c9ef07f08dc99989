"""Agents of several places, real processes, with one budget on a real bus."""

import json
from pathlib import Path

import pytest
from nats_server import nats_server
from places_that_spend import Plan, spent_together

from tui.cli import main


def test_what_places_are_billed_together_is_within_their_budget_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    plan = Plan(tokens=5_000, agents=3, killed=1, rate=3.0, kill_s=2.0, away_s=3.0, back_s=18.0)
    with nats_server(tmp_path / "bus") as bus:
        outcome = spent_together(bus, tmp_path, plan)
        assert main(["budget", "--bus", bus.url, "--json"]) == 0
    assert plan.tokens * 0.6 < outcome.billed <= plan.tokens
    assert outcome.billed <= outcome.spent + outcome.held <= plan.tokens
    told = "\n".join(text for words in outcome.words.values() for text in words)
    assert "the bus of the budgets cannot be reached since" in told
    assert "the bus of the budgets is there again after" in told
    report = json.loads(capsys.readouterr().out)
    (route,) = report["routes"]
    assert (route["name"], route["tokens"]) == ("chat", outcome.spent)
    assert route["leased_tokens"] == outcome.held
    runs = {run["host"].rpartition(" ")[2]: run for run in report["runs"]}
    assert {place: run["leased_tokens"] for place, run in runs.items()} == {
        "p0": outcome.held,  # it was killed: what it held counts as spent
        "p1": 0,
        "p2": 0,
    }
    assert [runs[place]["alive"] for place in ("p1", "p2")] == [False, False]
