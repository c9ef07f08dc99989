"""A run on the screen ends with the same statuses as one without it."""

from pathlib import Path
from typing import Any

import pytest
from judges import ListedDiagnostician

from probes.board import Board
from probes.config.file import parse_config
from probes.events import Diagnosis, Hello
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

    def run_app(
        _session: object, _config: object, *, duration_s: float | None, **_more: object
    ) -> int:
        asked.append(duration_s)
        return of_the_screen

    monkeypatch.setattr("tui.commands.start.run_app", run_app)
    monkeypatch.setattr(Board, "summary", lambda _board: summary)
    arguments = parser().parse_args(["--no-record", "--duration", "60", *options])
    config = parse_config(ROUTES, Path("routes.toml"), {})
    assert watch(config, arguments, Ledger(None)) == status
    assert asked == [60.0]
    assert told in capsys.readouterr().err


def test_what_is_muted_on_the_screen_is_muted_in_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_app(session: Session, _config: object, *, attention: object, **_more: object) -> int:
        assert attention is session.attention
        return 7

    monkeypatch.setattr("tui.commands.start.run_app", run_app)
    arguments = parser().parse_args(["--no-record"])
    config = parse_config(ROUTES, Path("routes.toml"), {})
    assert watch(config, arguments, Ledger(None)) == 7


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
    for options in (["--duration", "60"], ["--fail-on-goals"], ["--fail-on-incident"]):
        arguments = parser().parse_args(["--headless", "--no-record", *options])
        assert watch(config, arguments, Ledger(None)) == 3
    told = [(one["duration_s"], one["fail_on_goals"], one["fail_on_incident"]) for one in asked]
    assert told == [(60.0, False, False), (None, True, False), (None, False, True)]


@pytest.mark.parametrize(
    ("options", "of_the_screen", "status"),
    [
        ([], 0, 0),
        (["--fail-on-incident"], 0, 4),
        (["--fail-on-incident"], 129, 129),
        (["--fail-on-incident", "--fail-on-goals"], 0, 3),
    ],
)
def test_an_incident_that_was_named_decides_on_the_status_of_a_screen(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    of_the_screen: int,
    status: int,
) -> None:
    verdict = Diagnosis(at_ns=1, id="1.1", state="named", cause="dns", routes=("a",), since_ns=0)

    def run_app(
        session: Session, _config: object, *, duration_s: float | None, **_more: object
    ) -> int:
        session._stream.receive(
            [Hello(at_ns=1, wall_ns=1, engine="1", version="0", routes=(), schema=1)], b""
        )
        return of_the_screen

    monkeypatch.setattr("tui.commands.start.run_app", run_app)
    monkeypatch.setattr("probes.run.session.Diagnostician", lambda: ListedDiagnostician(verdict))
    arguments = parser().parse_args(["--no-record", *options])
    config = parse_config(ROUTES, Path("routes.toml"), {})
    assert watch(config, arguments, Ledger(None)) == status
    assert ("a: dns since " in capsys.readouterr().err) == (status in (3, 4))


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
