"""A run on the screen ends with the same statuses as one without it."""

from pathlib import Path
from typing import Any

import pytest

from probes.board import Board
from probes.config.file import parse_config
from probes.ledger import Ledger
from tui.cli import parser
from tui.commands.watch import watch

ROUTES = '[routes.a]\nbase_url = "http://127.0.0.1:1"\nmodel = "m"\n'
MISSED = {"goals_met": False, "goals_missed": ["ttft"], "goals_unknown": []}
MET = {"goals_met": True, "goals_missed": [], "goals_unknown": []}
UNKNOWN = {"goals_met": None, "goals_missed": [], "goals_unknown": ["no probe finished"]}


@pytest.mark.parametrize(
    ("options", "of_the_screen", "summary", "status", "told"),
    [
        ([], 0, {"a": MISSED}, 0, ""),
        (["--fail-on-goals"], 0, {"a": MET}, 0, ""),
        (["--fail-on-goals"], 0, {"a": MISSED}, 1, "a: goals missed: ttft"),
        (["--fail-on-goals"], 0, {"a": UNKNOWN}, 3, "a: goals unknown: no probe finished"),
        (["--fail-on-goals"], 0, {"a": UNKNOWN, "b": MISSED}, 1, "b: goals missed: ttft"),
        (["--fail-on-goals"], 129, {"a": MISSED}, 129, ""),
    ],
)
def test_goals_decide_on_the_status_of_a_screen_that_ended_in_order(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    of_the_screen: int,
    summary: dict[str, Any],
    status: int,
    told: str,
) -> None:
    asked: list[float | None] = []

    def run_app(_session: object, _config: object, *, duration_s: float | None) -> int:
        asked.append(duration_s)
        return of_the_screen

    monkeypatch.setattr("tui.start.run_app", run_app)
    monkeypatch.setattr(Board, "summary", lambda _board: summary)
    arguments = parser().parse_args(["--no-record", "--duration", "60", *options])
    config = parse_config(ROUTES, Path("routes.toml"), {})
    assert watch(config, arguments, Ledger(None)) == status
    assert asked == [60.0]
    assert told in capsys.readouterr().err


def test_an_untouched_board_has_met_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.start.run_app", lambda *_given, **_named: 0)
    arguments = parser().parse_args(["--no-record", "--fail-on-goals"])
    config = parse_config(ROUTES, Path("routes.toml"), {})
    assert watch(config, arguments, Ledger(None)) == 3
