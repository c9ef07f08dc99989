"""`llmtop budget`: who spent what in the last hour, and how a record is struck."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from probes.config import Budget, Route
from probes.money.lease_rules import Ask, route_key
from probes.money.ledger import Ledger
from tui.cli import main

ROUTE = Route(name="chat", base_url="http://user.example/v1?key=s3cret", model="m-1")
OTHER = Route(name="slow", base_url="http://other.example/v1", model="m-2")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of this test, and no settings."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path / "state" / "llmtop"


@pytest.fixture
def ledger(state: Path) -> Any:
    """A ledger in which two runs have spent; one of them lives."""
    made = Ledger(state / "ledger.sqlite3", command="llmtop --headless")
    made.introduce([ROUTE, OTHER])
    made.exchange("aa11", [Ask(route_key(ROUTE), 50_000, 0.25, want_tokens=200)], Budget())
    made.exchange("bb22", [Ask(route_key(OTHER), 7, 0.0)], Budget())
    made.release("bb22")
    yield made
    made.close()


def test_it_tells_routes_and_runs_by_what_people_call_them(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["budget"]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0] == "last hour, all routes: 50,007 of 2,000,000 tokens (2.5%), $0.25"
    assert lines[2].split() == ["ROUTE", "MODEL", "TOKENS", "LIMIT", "SHARE", "USD", "OPEN"]
    assert lines[3].split() == [
        *("chat", "http://user.example/v1?key=***", "m-1"),
        *("50,000", "500,000", "10.0%", "$0.25", "200"),
    ]
    run = next(line for line in lines if line.startswith("aa11"))
    assert f"llmtop --headless  {os.getpid()}@" in run
    assert run.split()[-5:] == ["alive", "50,000", "2.5%", "$0.25", "200"]
    assert re.fullmatch(r"\d\d:\d\d:\d\d", run.split()[-6])
    assert next(line for line in lines if line.startswith("bb22")).split()[-5] == "gone"
    assert told.err == ""
    assert "s3cret" not in told.out


def test_the_same_as_json(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["budget", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tokens"], told["limit_tokens"], told["doubt"]) == (50_007, 2_000_000, "")
    chat, slow = told["routes"]
    assert (chat["name"], chat["tokens"], chat["leased_tokens"]) == ("chat", 50_000, 200)
    assert slow["model"] == "m-2"
    runs = {run["id"]: run for run in told["runs"]}
    assert (runs["aa11"]["alive"], runs["bb22"]["alive"]) == (True, False)
    assert runs["aa11"]["pid"] == os.getpid()


def test_the_limits_are_those_of_the_settings(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "routes.toml"
    config.write_text(
        "[budget]\ntokens_per_hour = 100_014\nusd_per_hour = 2.0\n"
        '[routes.chat]\nbase_url = "http://127.0.0.1:1"\nmodel = "m"\n'
    )
    config.chmod(0o600)
    assert main(["budget", "--config", str(config)]) == 0
    assert "50,007 of 100,014 tokens (50.0%), $0.25 of $2" in capsys.readouterr().out


def test_each_limit_is_told_under_its_own_name(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = {
        "tokens_per_hour": 100_014,
        "route_tokens_per_hour": 50_003,
        "usd_per_hour": 2.5,
        "route_usd_per_hour": 1.25,
    }
    config = tmp_path / "routes.toml"
    lines = [f"{name} = {value}" for name, value in limits.items()]
    route = '[routes.chat]\nbase_url = "http://127.0.0.1:1"\nmodel = "m"\n'
    config.write_text("\n".join(["[budget]", *lines, route]))
    config.chmod(0o600)
    assert main(["budget", "--config", str(config), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {
        "tokens_per_hour": told["limit_tokens"],
        "route_tokens_per_hour": told["route_limit_tokens"],
        "usd_per_hour": told["limit_usd"],
        "route_usd_per_hour": told["route_limit_usd"],
    } == limits
    assert (told["tokens"], told["usd"]) == (50_007, 0.25)


def test_where_nothing_was_spent_it_says_so_and_makes_nothing(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["budget"]) == 0
    assert capsys.readouterr().out == "the ledger knows of nothing spent in the last hour\n"
    assert not state.exists()
    assert main(["budget", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == []


@pytest.mark.parametrize("asked", [["--strike", "aa11"], ["--lift"]])
def test_without_a_ledger_there_is_nothing_to_strike_or_lift(
    state: Path, capsys: pytest.CaptureFixture[str], asked: list[str]
) -> None:
    assert main(["budget", *asked]) == 2
    assert "there is no ledger yet" in capsys.readouterr().err
    assert not state.exists()


def test_a_record_is_struck_whole_and_nothing_else(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["budget", "--strike", "bb"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("will free 7 tokens and $0 of run bb22 (llmtop --headless, ")
    assert told[1] == "struck bb22: 7 tokens are free"
    assert ledger.used() == (50_000, 0.25)


def test_a_whole_name_is_meant_where_others_begin_with_it(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.exchange("bb2", [Ask(route_key(OTHER), 5, 0.0)], Budget())
    ledger.release("bb2")
    assert main(["budget", "--strike", "bb2"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "struck bb2: 5 tokens are free"
    assert ledger.used() == (50_007, 0.25)


def test_a_living_run_keeps_its_lease(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["budget", "--strike", "aa11", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"struck": "aa11", "tokens": 50_000, "usd": 0.25, "keeps_lease": True}
    assert ledger.used() == (7, 0.0)
    grant = ledger.exchange("aa11", [Ask(route_key(ROUTE))], Budget())[route_key(ROUTE)]
    assert (grant.tokens, grant.used_tokens) == (200, 0)


@pytest.mark.parametrize("arguments", [["--strike", "zz"], ["--strike", ""]])
def test_a_run_that_is_not_there_is_a_mistake_in_the_call(
    ledger: Ledger, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["budget", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no run, or more than one" in line
    assert ledger.used() == (50_007, 0.25)


def test_a_broken_ledger_is_one_clear_message_and_stays(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.mkdir(parents=True)
    (state / "ledger.sqlite3").write_bytes(b"broken" * 999)
    for arguments in ([], ["--json"], ["--strike", "a"], ["--lift"]):
        assert main(["budget", *arguments]) == 1
        told = capsys.readouterr()
        (line,) = told.err.splitlines()
        assert "is broken: file is not a database; the next run sets it aside" in line
        assert told.out == ""
    assert (state / "ledger.sqlite3").read_bytes() == b"broken" * 999


def test_a_doubt_is_told_and_lifted(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state.mkdir(parents=True)
    (state / "ledger.sqlite3").write_bytes(b"broken" * 999)
    ledger = Ledger(state / "ledger.sqlite3")
    assert ledger.used() == (0, 0.0)
    ledger.close()
    assert main(["budget"]) == 0
    assert "in doubt: until " in capsys.readouterr().err
    assert main(["budget", "--lift"]) == 0
    assert capsys.readouterr().out.startswith("lifted")
    assert main(["budget", "--lift"]) == 0
    assert capsys.readouterr().out == "the ledger is not in doubt\n"
    assert main(["budget", "--lift", "--strike", "a"]) == 2


@pytest.mark.parametrize("option", [[], ["--strike", "aa"], ["--lift"]])
def test_of_a_bus_that_cannot_be_reached_it_says_so(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["budget", "--bus", "nats://127.0.0.1:1", *option]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "nats://127.0.0.1:1 cannot be reached" in told.err
