"""`llmtop history`: weeks as charts, a table and words; recordings brought into it."""

import json
import sqlite3
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from history_streams import DAY_S, NOON_S, Run
from made_history import ENDS_S, filled

from probes.config import Config, History
from probes.events import durable_lines
from probes.history.database import VERSION
from probes.history.views import HistoryView
from probes.kit.paths import NOWHERE
from tui.cli import main
from tui.commands import history as command
from tui.commands.output import UsageError
from tui.commands.watch import history_of
from tui.draw.text import cells


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """Read it on a machine of a zone that is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(tmp_path / "state"))
    monkeypatch.setattr("time.time", lambda: float(ENDS_S))
    return tmp_path / "state" / "history.sqlite3"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["history", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize("module", ["tui.cli", "tui.commands.live", "tui.app"])
def test_nothing_of_it_is_imported_until_it_is_asked_for(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in sys.modules if m.startswith('probes.history')])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_all_routes_have_a_line_and_what_was_found_stands_below(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(path)
    out = said(capsys)
    assert out.startswith("2 routes since 2026-09-21 12:00 (UTC)\n")
    (chat,) = [line for line in out.splitlines() if line.startswith("chat ")]
    assert chat.split()[1] == "1,792"
    assert "  chat               812 → 1,940 tokens since 8 Oct, ×2.4" in out
    assert "slow to the first token  seen 3 times since 24 Sep, median 40m, last on 12 Oct" in out
    assert max(cells(line) for line in out.splitlines()) <= 120


def test_one_route_has_charts_a_table_and_its_checks(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(path)
    out = said(capsys, "chat", "--since", "30d")
    for words in (
        "TTFT, s, by day",
        "E2E by hour of the day",
        "percentiles are of cohort 64/256, all probes",
        "days and hours are UTC",
        "\n2026-10-08 ",
        "prompts  812 → 1,940 tokens since 8 Oct, ×2.4  (medians of",
        "incidents  slow to the first token  seen 3 times",
    ):
        assert words in out
    assert "2026-10-03" not in out, "a day on which nothing was probed has no row"
    assert max(cells(line) for line in out.splitlines()) <= 120


def test_json_has_all_of_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(path)
    found: dict[str, Any] = json.loads(said(capsys, "chat", "--json"))
    (route,) = found["routes"]
    assert (route["route"], len(route["days"]), len(route["hours"])) == ("chat", 30, 8)
    assert route["jumps"][0]["day"] == "2026-10-08"
    assert route["seen"][0]["times"] == 3
    assert route["whole"]["ttft_s"]["p50"] == pytest.approx(0.4, rel=0.2)


def test_a_time_ago_or_a_day_bounds_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(path)
    for since, probes in (("36h", 96), ("2026-10-20", 96), ("52w", 28 * 64)):
        found = json.loads(said(capsys, "chat", "--json", "--since", since))
        assert sum(day["probes"] for day in found["routes"][0]["days"]) == probes


@pytest.mark.parametrize("since", ["soon", "-3d", "0s", "2026-13-01", ""])
def test_what_is_no_time_is_told(since: str) -> None:
    with pytest.raises(UsageError, match=r"--since: got .*expected such as 30d"):
        command.since(since, float(ENDS_S))


def test_a_route_that_it_does_not_know_is_told_with_those_it_knows(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(path, 2)
    assert main(["history", "other"]) == 2
    assert capsys.readouterr().err == (
        "llmtop: history: no route is called other; it knows chat, 漢字-route\n"
    )


def test_without_a_history_it_says_how_there_comes_one(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys).startswith(f"there is no history yet: {path} is made by the first run")
    told = json.loads(said(capsys, "--json", "--since", "2026-10-14"))
    assert {*told} == {*HistoryView.__struct_fields__}, "the same fields as where there is one"
    assert told["routes"] == []
    assert told["ends_s"] > told["begins_s"] > 0
    path.parent.mkdir()
    path.touch()
    assert said(capsys).startswith("there is no history yet")


def test_a_time_in_which_nothing_was_probed_is_told(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, 2)
    monkeypatch.setattr("time.time", lambda: float(ENDS_S + 400 * DAY_S))
    assert said(capsys).startswith("nothing was probed since ")
    assert said(capsys, "chat").startswith("nothing was probed since ")


@pytest.mark.parametrize("broken", ["junk", "newer"])
def test_what_cannot_be_read_is_a_status_and_a_line(
    path: Path, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    filled(path, 1)
    if broken == "junk":
        path.write_bytes(b"junk" * 5000)
    else:
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        connection.close()
    assert main(["history"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert ("sets it aside" if broken == "junk" else "newer llmtop") in err


def test_without_a_home_folder_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "default_history_path", lambda: NOWHERE / "history.sqlite3")
    assert main(["history"]) == 2


def test_two_routes_are_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "a", "b"]) == 2
    assert "got 2 words, expected one route" in capsys.readouterr().err


def test_recordings_are_brought_into_it(
    tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(began_s=NOON_S)
    for second in range(10, 3000, 10):
        run.probe(second)
    recording = tmp_path / "run.jsonl"
    recording.write_bytes(durable_lines(run.events))
    out = said(capsys, "import", str(recording))
    assert out == (
        "imported 1 file, 2026-09-21 12:00 to 2026-09-21 12:50: 5 slots of ten minutes, of chat;"
        f" in {path}\n"
    )
    again = json.loads(said(capsys, "import", str(recording), "--json"))
    assert (again["slots"], again["history"]) == (5, str(path))
    (route,) = json.loads(said(capsys, "chat", "--json"))["routes"]
    assert route["whole"]["probes"] == 299


def test_an_import_of_nothing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "import"]) == 2
    assert main(["history", "import", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.endswith("none: there is no such file\n")
    (tmp_path / "other").write_text("no recording\n")
    assert main(["history", "import", str(tmp_path / "other")]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("nothing was imported")
    assert "no recording of llmtop" in err


@pytest.mark.parametrize("off", ["no_history", "no_record", "settings", "nowhere"])
def test_a_run_keeps_one_unless_it_is_asked_not_to(
    off: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = Namespace(no_history=off == "no_history", no_record=off == "no_record")
    config = Config(routes=(), history=History(enabled=off != "settings"))
    plain = history_of(Config(routes=()), Namespace(no_history=False, no_record=False))
    assert plain is not None
    if off == "nowhere":
        monkeypatch.setattr("probes.history.keeper.state_folder", lambda: NOWHERE)
    assert history_of(config, arguments) is None


def test_the_demo_keeps_none(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.undo()
    folder = path.parent
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(folder))
    assert main(["demo", "--headless", "--duration", "0.2", "--only", "summary"]) == 0
    assert (folder / "recordings").is_dir()
    assert not path.exists()
