"""A run on the screen ends with the same statuses as one without it."""

from pathlib import Path
from typing import Any

import pytest

from probes.board import Board
from probes.config.file import parse_config
from probes.money.ledger import Ledger
from probes.run.session import Session
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

    monkeypatch.setattr("tui.commands.start.run_app", run_app)
    monkeypatch.setattr(Board, "summary", lambda _board: summary)
    arguments = parser().parse_args(["--no-record", "--duration", "60", *options])
    config = parse_config(ROUTES, Path("routes.toml"), {})
    assert watch(config, arguments, Ledger(None)) == status
    assert asked == [60.0]
    assert told in capsys.readouterr().err


def test_an_untouched_board_has_met_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.commands.start.run_app", lambda *_given, **_named: 0)
    arguments = parser().parse_args(["--no-record", "--fail-on-goals"])
    config = parse_config(ROUTES, Path("routes.toml"), {})
    assert watch(config, arguments, Ledger(None)) == 3


def test_a_run_without_a_screen_is_asked_for_what_was_asked_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []

    async def run_headless(_session: object, **named: Any) -> int:
        asked.append(named)
        return 3

    monkeypatch.setattr("probes.run.headless.run_headless", run_headless)
    config = parse_config(ROUTES, Path("routes.toml"), {})
    for options in (["--duration", "60"], ["--fail-on-goals"]):
        arguments = parser().parse_args(["--headless", "--no-record", *options])
        assert watch(config, arguments, Ledger(None)) == 3
    told = [(one["duration_s"], one["fail_on_goals"]) for one in asked]
    assert told == [(60.0, False), (None, True)]


@pytest.mark.parametrize("complaint", [None, "nothing can be kept"])
def test_where_nothing_can_be_kept_the_run_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, complaint: str | None
) -> None:
    noted: list[str] = []
    monkeypatch.setattr("tui.commands.start.run_app", lambda *_given, **_named: 0)
    monkeypatch.setattr("tui.commands.watch.state_complaint", lambda: complaint)
    monkeypatch.setattr(Session, "note", lambda _session, text: noted.append(text))
    config = parse_config(ROUTES, Path("routes.toml"), {})
    arguments = parser().parse_args(["--no-record"])
    watch(config, arguments, Ledger(tmp_path / "ledger.sqlite3"))
    assert noted == ([] if complaint is None else [complaint])
    watch(config, arguments, Ledger(None))  # the demo's ledger is nobody's: nothing is missed
    assert len(noted) == (complaint is not None)
