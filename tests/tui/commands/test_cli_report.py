"""`llmtop report`: what a colleague reads who was not there, and the same as data."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from board_streams import ProbeScript, at, hello, route_info, tick
from changed import replace
from judges import ListedDiagnostician
from pages import Page, fields_of, first_cells, quoted

from probes.events import (
    Advice,
    Diagnosis,
    Event,
    Evidence,
    Hello,
    Mark,
    SeenBefore,
    encode_event,
)
from probes.events.diagnosis_words import evidence_words
from probes.kit.clock import NS_PER_S
from probes.kit.paths import NOWHERE
from tui.cli import main
from tui.commands import progress_bar

PAGE = Page("tui/README.md")
DAY = 1_795_910_400 * NS_PER_S
"""2026-11-29 00:00:00 UTC, which is the time zone of these tests."""
SPEED = Evidence(
    figure="time_per_token", now=1 / 12, usual=1 / 51, n_now=35, n_usual=49, low=4.0, high=4.5
)
FIRST = Evidence(figure="ttft", now=0.31, usual=0.3, n_now=35, n_usual=49)
FAILS = Evidence(figure="failed_share", now=0.22, usual=0.0, n_now=55, n_usual=300, unit="share")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be neither settings nor a state folder: a report needs none."""

    def none(*_: object, **__: object) -> str:
        pytest.fail("a report reads its recording alone")

    monkeypatch.setattr("platformdirs.user_config_dir", none)
    monkeypatch.setattr("platformdirs.user_state_dir", none)


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """Read recordings on a machine of a zone that is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what lets a judge of ours say these words."""

    def judge(*words: Diagnosis) -> None:
        monkeypatch.setattr("probes.run.report.Diagnostician", lambda: ListedDiagnostician(*words))

    return judge


def word(at_s: float, state: Any = "named", **changes: Any) -> Diagnosis:
    given: dict[str, Any] = {
        "id": "e1-1",
        "cause": "provider_slow_decode",
        "routes": ("alpha",),
        "since_ns": at(100),
        "size": 4.25,
        "evidence": (SPEED,),
        "against": (FIRST,),
        "advice": Advice(act="move", route="bravo"),
        "text": "alpha · provider writes slowly",
    }
    return Diagnosis(at_ns=at(at_s), state=state, **(given | changes))


def probes(first_s: int, last_s: int, **changes: Any) -> list[Event]:
    changes = {"finished": {"rtt_to": "server"}, "e2e_s": 0.9} | changes
    return [
        event
        for second in range(first_s, last_s)
        for event in ProbeScript(
            f"1-{changes.get('route', 'alpha')}-{second}", second, **changes
        ).events()
    ]


def recording(folder: Path, *events: Event, began_s: float = 14 * 3600) -> Path:
    """Return a recording of a run that began at so many seconds after midnight."""
    wall_ns = DAY + round(began_s * NS_PER_S)
    begun = replace(hello(route_info(), route_info("bravo")), wall_ns=wall_ns, version="0.9")
    told = [
        replace(event, wall_ns=event.at_ns - at(0) + wall_ns)
        if hasattr(event, "wall_ns")
        else event
        for event in sorted(events, key=lambda event: event.at_ns)
    ]
    path = folder / "run.jsonl"
    path.write_bytes(b"".join(map(encode_event, [begun, *told])))
    return path


def slow_for_a_while(
    folder: Path, *more: Event, began_s: float = 14 * 3600, **changes: Any
) -> Path:
    """Return 400 s in which both routes are probed, `alpha` slow from second 100 to 200."""
    slow = {"ttft_s": 0.3, "e2e_s": 3.4} | changes
    return recording(
        folder,
        *probes(0, 100),
        *probes(100, 200, **slow),
        *probes(200, 400),
        *probes(0, 400, route="bravo"),
        *(tick(float(second)) for second in range(401)),
        *more,
        began_s=began_s,
    )


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["report", *arguments]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def test_an_incident_is_told_from_its_onset_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged(
        word(110, "perhaps", cause="unknown"),
        word(124),
        word(230, "cleared", evidence=(), against=(), advice=None, text="", size=1.0),
    )
    told = shown(capsys, str(slow_for_a_while(tmp_path)))
    (example,) = re.findall(r"<!-- report -->\n```\n(.*?)```", PAGE.text, re.DOTALL)
    assert told == example


def test_what_hurts_nobody_is_told_and_wakes_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged(word(124))
    told = shown(capsys, str(slow_for_a_while(tmp_path, e2e_s=1.8)))
    assert "I would not have paged you.\n\n1. alpha: provider writes slowly\n" in told
    assert "since 14:01:40, named 14:02:04, not over at the end, 5m00s later; ×4.2" in told
    assert "paged  " not in told


def test_each_page_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged(word(124), word(150, id="e1-2", cause="no_answer", routes=("bravo",), since_ns=at(139)))
    told = shown(capsys, str(slow_for_a_while(tmp_path)))
    assert "I would have paged you 2 times:\n  14:02:04  alpha: " in told
    assert "\n  14:02:30  bravo: answers nothing · nothing is answered\n" in told
    assert told.index("1. alpha") < told.index("2. bravo: answers nothing")


def test_a_share_of_failures_is_no_multiple(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged(word(124, cause="provider_errors", size=0.22, evidence=(FAILS,), against=()))
    told = shown(capsys, str(slow_for_a_while(tmp_path)))
    assert "; 22 % fail\n" in told
    assert f"    for      {evidence_words(FAILS)}\n" in told
    assert "against" not in told


@pytest.mark.parametrize(
    ("advice", "words"),
    [
        (Advice(act="set_knob", knob="concurrency", value=3.0), "set the concurrency to 3"),
        (Advice(act="set_knob", knob="interval", value=2.5), "set the interval to 2.5 s"),
        (
            Advice(act="undo_knob", knob="max_tokens", value=64, detail="it was 512"),
            "set the answer cap back to 64 tokens; it was 512",
        ),
        (Advice(act="move", route="bravo", knob="interval"), "move users to bravo"),
        (Advice(act="set_knob", knob="paused", value=1.0), "p stops probing"),
        (Advice(act="check_key"), "check the key: was it rotated?"),
    ],
)
def test_what_to_do_is_said_without_keys_to_press(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    judged: Callable[..., None],
    advice: Advice,
    words: str,
) -> None:
    judged(word(124, advice=advice))
    path = str(slow_for_a_while(tmp_path))
    assert f"\n    do       {words}\n" in shown(capsys, path)
    (incident,) = json.loads(shown(capsys, path, "--json"))["incidents"]
    assert incident["advice"]["words"] == words


def test_where_nothing_was_wrong_one_calm_sentence_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged()
    assert shown(capsys, str(slow_for_a_while(tmp_path))) == (
        "run.jsonl: 2026-11-29 14:00:00 to 14:06:40 · 6m40s · 2 routes · 800 probes, all of them "
        "ok\n"
        "\n"
        "I would not have paged you.\n"
        "No incident in 6m40s: 2 routes, 800 probes.\n"
    )
    failed = probes(400, 402, outcome="timeout", ttft_s=None)
    told = shown(capsys, str(slow_for_a_while(tmp_path, *failed)))
    assert "802 probes, 2 of them failed\n" in told
    assert "802 probes (2 failed, too few or too far apart to be one).\n" in told


def test_a_suspicion_that_came_to_nothing_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged(word(124, "perhaps"), word(140, "cleared"))
    told = shown(capsys, str(slow_for_a_while(tmp_path, e2e_s=1.0)))
    assert "No incident in 6m40s" in told
    assert told.endswith(
        "Suspected, and never sure enough to be named:\n"
        "  14:01:40  alpha: perhaps provider writes slowly, cleared 14:02:20 after 40s\n"
    )


def test_a_level_that_became_the_usual_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged(word(124), word(300, "settled"))
    told = shown(capsys, str(slow_for_a_while(tmp_path, e2e_s=1.0)))
    assert "named 14:02:04, the usual level from 14:05:00 on, after 3m20s" in told


def test_a_date_is_told_where_it_is_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged(word(124), word(230, "cleared"))
    told = shown(capsys, str(slow_for_a_while(tmp_path, began_s=86_400 - 110)))
    assert "run.jsonl: 2026-11-29 23:58:10 to 2026-11-30 00:04:50" in told
    assert "since 23:59:50, named 2026-11-30 00:00:14, cleared 2026-11-30 00:02:00" in told


def test_it_fits_a_narrow_terminal(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    judged: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged(word(124), word(230, "cleared"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "48")
    told = shown(capsys, str(slow_for_a_while(tmp_path)))
    assert max(map(len, told.splitlines())) <= 48
    assert "    for      12 tok/s, usual 51 (n 35/49), ×4 to\n             ×4.5\n" in told


def test_hostile_words_are_made_harmless(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    evil = "\x1b[2Jevil\u202e\x9b31m\x7f"
    judged(
        word(
            124,
            routes=("alpha", evil),
            advice=Advice(act="move", route=evil, detail=f"tell\n{evil}"),
            text=f"{evil}\nforged: line",
        ),
        word(130, "perhaps", id=f"e1-{evil}", routes=(evil,)),
    )
    path = slow_for_a_while(tmp_path)
    for options in ((), ("--json",)):
        told = shown(capsys, str(path), *options)
        assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", told) is None
        assert "\nforged" not in told
    assert "evil" in told


def test_times_that_no_calendar_holds_break_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged(word(124, since_ns=-(10**18)), word(230, "cleared", since_ns=9 * 10**18))
    path = slow_for_a_while(tmp_path)
    path.write_bytes(re.sub(rb'"wall_ns":\d+', b'"wall_ns":9223372036854775807', path.read_bytes()))
    assert "since " in shown(capsys, str(path))
    fields = json.loads(shown(capsys, str(path), "--json"))
    assert fields["incidents"][0]["id"] == "e1-1"


def test_what_is_missing_of_a_recording_is_said_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged()
    path = recording(tmp_path, *probes(0, 20))
    path.write_bytes(path.read_bytes() + b'{"type":"tick","at_')
    assert main(["report", str(path)]) == 0
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "llmtop: run.jsonl: 1 line is left out: line 82 is cut short",
        "llmtop: no probe of bravo finished: nothing is known there",
        "llmtop: fewer than 60 probes went well of alpha: what is usual there is not known, so "
        "that only failures and hangs were judged",
    ]
    assert main(["report", "--json", str(path)]) == 0
    silent = capsys.readouterr()
    assert silent.err == ""
    assert len(json.loads(silent.out)["missing"]) == 3


def test_a_recording_without_its_hello_or_without_a_probe_says_that_it_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(encode_event(Mark(at_ns=5, text="m")))
    assert main(["report", str(path)]) == 0
    told = capsys.readouterr()
    assert told.out == (
        "run.jsonl: – to – · 0s · 0 routes · 0 probes\n"
        "\n"
        "I would not have paged you.\n"
        "Nothing was measured, so nothing can be said.\n"
    )
    assert told.err == (
        "llmtop: no hello is in it, so that no route is known: nothing of it can be judged\n"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "is empty: no recording of llmtop"),
        (b"[routes.a]\n", "no line of it is an event: no recording of llmtop"),
        (
            encode_event(Hello(at_ns=1, wall_ns=2, engine="1", version="9", routes=(), schema=2)),
            "is of schema 2, written by llmtop 9; this version reads schema 1: a newer version "
            "reads it",
        ),
    ],
    ids=["absent", "empty", "settings", "newer"],
)
def test_what_is_no_recording_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    path = tmp_path / "run.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert main(["report", str(path)]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"llmtop: {path}: {words}\n")


def test_without_a_path_it_is_the_run_that_was_recorded_last(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    judged: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(tmp_path))
    folder = tmp_path / "recordings"
    assert main(["report"]) == 2
    told = capsys.readouterr()
    words = f"llmtop: {folder}: no run is recorded there: name a recording\n"
    assert (told.out, told.err) == ("", words)

    folder.mkdir()
    first = folder / "20261129T140000Z-1-00000000.0001.jsonl"
    slow_for_a_while(tmp_path).rename(first)
    assert main(["report"]) == 0
    told = capsys.readouterr()
    assert told.err == f"llmtop: the newest recording: {first}\n"
    assert told.out.startswith(f"{first.name}: 2026-11-29 14:00:00")

    first.with_name(first.name.replace("0001.jsonl", "0002.jsonl")).write_bytes(first.read_bytes())
    assert main(["report", "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == f"llmtop: the newest recording: {first} and 1 more\n"
    assert len(json.loads(told.out)["recordings"]) == 2


def test_without_a_path_and_a_home_folder_it_says_that_nothing_is_recorded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.commands.report.default_folder", lambda: NOWHERE / "recordings")
    assert main(["report"]) == 2
    assert capsys.readouterr().err == (
        "llmtop: without a home folder nothing is recorded: name a recording\n"
    )


def test_a_folder_is_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    words = f"llmtop: {tmp_path}: is a directory, expected a regular file\n"
    assert capsys.readouterr().err == words


def test_what_was_seen_before_is_told_as_it_was_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    """The recording has it: nobody asks the history of whoever reads it."""
    judged(word(124), word(230, "cleared"))
    onset_ns = DAY + (14 * 3600 + 100) * NS_PER_S
    seen = SeenBefore(
        at_ns=at(125),
        cause="provider_slow_decode",
        routes=("alpha",),
        times=3,
        first_wall_ns=onset_ns - 48 * 86_400 * NS_PER_S,
        last_wall_ns=onset_ns - 3 * 86_400 * NS_PER_S,
        typical_s=2_400.0,
    )
    path = slow_for_a_while(tmp_path, seen)
    line = "    before   seen 3 times since 12 Oct, median 40m, last 3 days ago\n"
    assert line in shown(capsys, str(path))
    judged(word(124), word(230, "cleared"))
    (incident,) = json.loads(shown(capsys, str(path), "--json"))["incidents"]
    assert incident["seen_before"] == {
        "times": 3,
        "first": "2026-10-12T14:01:40.000Z",
        "last": "2026-11-26T14:01:40.000Z",
        "typical_s": 2400.0,
    }


def test_as_data_it_is_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged(word(110, "perhaps", cause="unknown"), word(124), word(230, "cleared"))
    told = shown(capsys, str(slow_for_a_while(tmp_path)), "--json")
    assert told.count("\n") == 1
    fields = json.loads(told)
    (incident,) = fields.pop("incidents")
    (page,) = fields.pop("pages")
    assert fields == {
        "recordings": ["run.jsonl"],
        "version": "0.9",
        "began": "2026-11-29T14:00:00.000Z",
        "ended": "2026-11-29T14:06:40.000Z",
        "lasted_s": 400.0,
        "asleep_s": 0.0,
        "routes": [
            {"route": "alpha", "probes": 400, "failed": 0},
            {"route": "bravo", "probes": 400, "failed": 0},
        ],
        "places": [],
        "missing": [],
    }
    told_of = {
        "`report --json`": {*fields, "incidents", "pages"},
        "`incidents` of `report --json`": incident,
        "`pages` of `report --json`": page,
    }
    for title, found in told_of.items():
        assert sorted(first_cells(PAGE.rows(title))) == sorted(found)
    (routes,) = (row[1] for row in PAGE.rows("`report --json`") if row[0] == "`routes`")
    assert set(quoted(routes)) == set(fields["routes"][0])
    assert set(incident["evidence"][0]) == fields_of(Evidence)
    assert incident["advice"]["words"] == "move users to bravo"
    assert [one["cause"] for one in incident["causes"]] == ["unknown", "provider_slow_decode"]
    assert incident["evidence"][0]["figure"] == "time_per_token"
    assert {name: incident[name] for name in ("state", "since", "named", "until", "lasted_s")} == {
        "state": "cleared",
        "since": "2026-11-29T14:01:40.000Z",
        "named": "2026-11-29T14:02:04.000Z",
        "until": "2026-11-29T14:03:50.000Z",
        "lasted_s": 130.0,
    }
    assert (page["id"], page["at"]) == ("e1-1", "2026-11-29T14:02:04.000Z")
    assert (page["goal"], page["limit"], page["beyond"], page["among"]) == ("e2e", 3.0, 21, 21)


def test_what_json_has_no_number_for_is_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judged: Callable[..., None]
) -> None:
    judged(word(124, size=float("inf"), evidence=(replace(SPEED, high=float("nan")),)))
    path = str(slow_for_a_while(tmp_path))
    (incident,) = json.loads(shown(capsys, path, "--json"), parse_constant=pytest.fail)["incidents"]
    assert (incident["size"], incident["evidence"][0]["high"]) == (None, None)
    assert "×inf" in shown(capsys, path)


def test_a_terminal_is_told_how_far_it_has_come_where_that_takes_long(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    judged: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged()
    path = str(slow_for_a_while(tmp_path))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["report", path]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress_bar, "_QUIET_S", 0.0)
    monkeypatch.setattr(progress_bar, "_REDRAW_S", 0.0)
    assert main(["report", path]) == 0
    told = capsys.readouterr()
    assert re.match(r"\rreading run\.jsonl [█·]{24} \d+ %, \d+ MB", told.err)
    assert told.err.endswith("\r")  # taken off again before anything else is said
    assert told.out.startswith("run.jsonl: 2026-11-29")


def test_a_terminal_is_told_how_far_a_handover_is_and_a_pipe_is_not(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    judged: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged()
    path, out = str(slow_for_a_while(tmp_path)), str(tmp_path / "out")
    monkeypatch.setattr(progress_bar, "_QUIET_S", 0.0)
    monkeypatch.setattr(progress_bar, "_REDRAW_S", 0.0)
    assert main(["report", path, "--out", out]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["report", path, "--out", out]) == 0
    told = capsys.readouterr()
    lines = [line.rstrip() for line in told.err.split("\r")]
    assert f"reading the recording {'·' * 24} 0 %" in lines
    assert "writing attempts.csv" in lines
    assert lines.index("writing report.html") < lines.index("writing recording.jsonl")
    assert told.err.endswith("\r")
    assert told.out.startswith(out)
