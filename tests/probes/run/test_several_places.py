"""A run of several places: what is read of a stretch, gone back to, reported and handed over."""

from pathlib import Path

import pytest
from board_streams import at
from diagnosis_streams import SeveralPlaces

from probes.events import AttemptFinished, Event, Gap, Hello, durable_lines
from probes.handover.facts import gather
from probes.handover.recorded_run import read_run
from probes.handover.recording_of_window import recording_of
from probes.handover.window import Stretch
from probes.handover.words import doubts_of_figures
from probes.kit.clock import NS_PER_S
from probes.run.report import read_report
from probes.run.timeline import _LATE_NS, StretchEnd

ERRORS = {"outcome": "server_error", "reason": "internal"}


def recorded(folder: Path, yards: SeveralPlaces) -> Path:
    path = folder / "run.jsonl"
    path.write_bytes(durable_lines(yards.events))
    return path


@pytest.fixture
def away() -> SeveralPlaces:
    """Of a run of three minutes `eu` is away in the second, and sends it in the third."""
    yards = SeveralPlaces()
    yards.seconds(60)
    yards.goes_away("eu")
    yards.seconds(10)
    yards.report("eu", "silent")
    yards.seconds(50)
    yards.comes_back("eu")
    yards.seconds(60)
    return yards


STRETCH = Stretch(at(70), at(100))


def ended_in_stretch(yards: SeveralPlaces) -> set[str]:
    return {
        event.probe
        for event in yards.events
        if isinstance(event, AttemptFinished) and STRETCH.begin_ns <= event.at_ns <= STRETCH.end_ns
    }


def test_a_stretch_has_what_a_place_told_of_it_later(away: SeveralPlaces, tmp_path: Path) -> None:
    run = read_run([recorded(tmp_path, away)])
    events = list(run.timeline.between(*STRETCH))
    found = {event.probe for event in events if isinstance(event, AttemptFinished)}
    assert found == ended_in_stretch(away)
    assert any(name.startswith("eu") for name in found)
    assert {event.place for event in events if isinstance(event, Hello)} == {"ap", "eu", "us"}


def test_a_recording_that_is_handed_over_has_it_too_and_replays(
    away: SeveralPlaces, tmp_path: Path
) -> None:
    run = read_run([recorded(tmp_path, away)])
    path = tmp_path / "handed.jsonl"
    path.write_bytes(b"".join(recording_of(run.timeline, STRETCH).lines))
    again = list(read_run([path]).timeline.between(*STRETCH))
    found = {event.probe for event in again if isinstance(event, AttemptFinished)}
    assert found == ended_in_stretch(away)


def test_a_place_that_is_gone_for_good_is_not_waited_for() -> None:
    yards = SeveralPlaces(("chat",), ("eu", "us"))
    yards.goes_away("eu")
    end = StretchEnd(at(10))
    seen: list[Event] = []
    for event in yards.events:
        end.is_before(event)
    for _ in range(800):
        yards.second()
    for event in yards.events:
        if end.is_reached:
            break
        end.is_before(event)
        seen.append(event)
    assert seen[-1].at_ns - at(10) == pytest.approx(_LATE_NS, abs=2 * NS_PER_S)


def test_the_health_of_each_place_is_its_own(away: SeveralPlaces, tmp_path: Path) -> None:
    away.fold(Gap(at_ns=at(178), started_ns=at(175), place="us"))
    away.second(lag_ns={"eu": 80_000_000})
    run = read_run([recorded(tmp_path, away)])
    facts = gather(run.timeline, Stretch(at(61), at(185)))
    assert [one.place for one in facts.healths] == ["ap", "eu", "us"]
    assert [one.slept_s for one in facts.healths] == [0.0, 0.0, 3.0]
    assert [one.silent_s for one in facts.healths] == [1.0, 1.0, 1.0]
    assert list(doubts_of_figures(facts)) == [
        "at eu our own loop was up to 80.0 ms late (p99)",
        "at us llmtop did not run for 3s; nothing of that time counts",
    ]


def test_a_report_says_what_is_not_known_of_a_place(tmp_path: Path) -> None:
    yards = SeveralPlaces()
    yards.seconds(60)
    yards.goes_away("eu")
    yards.seconds(100)
    yards.comes_back("eu", loses=True)
    yards.seconds(30)
    yards.goes_away("us")
    yards.seconds(10)
    yards.report("us", "silent")
    report = read_report([recorded(tmp_path, yards)])
    assert report.lasted_s == 200.0
    assert report.places == ("ap", "eu", "us")
    lost, gone = report.missing[:2]
    assert lost.startswith("of 1m40s nothing came from eu: ")
    assert gone.startswith("us was not heard any more from ")
    assert [(one.name, one.probes) for one in report.routes[:4]] == [
        ("chat@ap", 200),
        ("code@ap", 200),
        ("chat@eu", 100),
        ("code@eu", 100),
    ]


def test_a_report_pages_nobody_for_what_was_over_when_it_was_told(tmp_path: Path) -> None:
    yards = SeveralPlaces()
    yards.seconds(60)
    yards.goes_away("eu")
    yards.report("eu", "silent")
    yards.seconds(20, {"chat@eu": ERRORS})
    yards.seconds(60)
    yards.comes_back("eu")
    yards.seconds(60)
    report = read_report([recorded(tmp_path, yards)])
    assert [one.record.word.routes for one in report.incidents] == [("chat@eu",)]
    assert report.pages == ()
