"""`llmtop leaderboard`: what it reads, what it says before it sends, and what it prints."""

import json
from pathlib import Path

import pytest
from board_streams import hello, route_info
from diagnosis_streams import attempt, life

from probes.board.standings import LEADER_ORDERS as ORDERS
from probes.config.workloads import WORKLOADS as KNOWN
from probes.events import durable_lines
from probes.run.leaderboard_run import LeaderboardCost
from probes.store import recording_files
from tui import cli
from tui.cli import LEADER_ORDERS, WORKLOADS, main
from tui.commands import leaderboard
from tui.commands.leaderboard import cost_words


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A recorded run of two routes, asked two shapes."""
    events = [hello(route_info("alpha"), route_info("bravo"))]
    for place in range(7):
        for name, wait_s in (("alpha", 0.5), ("bravo", 0.2)):
            for cohort in ("1000/1k/aa-1k", "64/256"):
                probe = f"{name}{cohort}{place}"
                one = attempt(5.0 * place, route=name, probe=probe, wait_s=wait_s, cohort=cohort)
                events += life(one)
    events.sort(key=lambda event: event.at_ns)
    path = tmp_path / "run.jsonl"
    path.write_bytes(durable_lines(events))
    return path


def test_it_knows_the_workloads_and_orders_that_there_are() -> None:
    assert tuple(KNOWN) == WORKLOADS
    assert LEADER_ORDERS == ORDERS


def test_a_recording_is_ranked_shape_by_shape(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "--from", str(recording)]) == 0
    told = capsys.readouterr().out
    assert told.index("aa-1k, cap 1000") < told.index("cap 64, in ≤256")
    assert told.index("1 bravo") < told.index("2 alpha")


def test_as_json_what_is_unknown_is_null(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "--from", str(recording), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["source"], told["answer_tokens"], told["interval"]) == ("recording", 500, 0.95)
    named, own = told["tables"]
    assert (named["shape"], named["answer_cap"], named["input_band"]) == ("aa-1k", 1000, "1k")
    assert (own["shape"], own["answer_cap"]) == (None, 64)
    first = named["routes"][0]
    assert first["route"] == "bravo"
    assert first["ttft_s"] == {
        "value": pytest.approx(0.2),
        "low": pytest.approx(0.2),
        "high": pytest.approx(0.2),
        "n": 7,
    }
    assert first["price_blended_usd_per_million"] is None
    assert first["e2e_from"] == "first_token"


def test_what_is_sorted_by_is_chosen(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "--from", str(recording), "--sort", "name"]) == 0
    assert "1 alpha" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "/nowhere.jsonl"], "nowhere.jsonl"),
        (["--from", "x", "--probes", "3"], "--from reads a recording"),
        (["--probes", "0"], "a number of probes from 1 to 200"),
        (["--workload", "aa-2k"], "aa-2k"),
    ],
)
def test_a_mistake_is_told(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "routes.toml"
    path.write_text('[routes.alpha]\nbase_url = "http://127.0.0.1:9"\nmodel = "m"\n')
    return path


def test_where_nobody_can_be_asked_it_says_its_cost_and_sends_nothing(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "--config", str(settings), "--probes", "3"]) == 2
    told = capsys.readouterr().err
    assert "1 route, workload aa-1k: at most 4 probes with the warm-up, 8,032 tokens" in told
    assert "no price is known" in told
    assert "say --yes" in told


def test_a_route_that_is_not_there_is_told(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "bravo", "--config", str(settings)]) == 2
    assert "no route is named bravo" in capsys.readouterr().err


def test_a_route_that_has_a_workload_is_asked_that(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with settings.open("a") as file:
        file.write('workload = "aa-100"\n')
    assert main(["leaderboard", "--config", str(settings), "--probes", "1"]) == 2
    assert "each what it asks always: at most 2 probes" in capsys.readouterr().err


def test_the_run_that_is_on_is_read_and_nothing_is_sent(
    recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leaderboard, "newest_recording", lambda _: [recording])
    monkeypatch.setattr(leaderboard, "is_being_written", lambda _: True)
    assert main(["leaderboard"]) == 0
    assert "a run is on: its recording run.jsonl is read" in capsys.readouterr().err


def test_a_file_is_being_written_while_a_run_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    part = recording_files.open_part(path, exclusive=True)
    assert recording_files.is_being_written(path)
    part.close()
    assert not recording_files.is_being_written(path)
    assert not recording_files.is_being_written(tmp_path / "nowhere")


def test_the_cost_names_whose_price_is_not_known() -> None:
    cost = LeaderboardCost(routes=2, probes=14, tokens=100, usd=0.5, unpriced=("bravo",))
    assert cost_words(cost, None).endswith("$0.5 without bravo, of which no price is known")
    assert cli.parser().parse_args(["leaderboard"]).module == "tui.commands.leaderboard"
